/* SPDX-License-Identifier: MIT
 *
 * test_usual.c - what is usually freed (T4 of percpu/fastpath.h): whatever is usual, a frame comes
 * into the magazine of its own class, or is not pushed by a hit. White-box: frees by the view,
 * reads and sets what is usual.
 */
#include "unit.h"

#include "percpu/fastpath.h"
#include "stress/common/random.h"

static struct rig rig;

static struct cpu_view *own_view(struct rig *r)
{
    return views_of(&r->cache) + (cpu_name(0) - r->cache.first_cpu);
}

static struct cpu_view *open_here(struct rig *r)
{
    rig_begin(r, 64 * BLOCK);
    r->cache_config.rounds = 64;
    rig_open(r);
    run_on(r, 0);
    return own_view(r);
}

static void set_usual(struct cpu_view *view, uint32_t cls)
{
    qa_store(&view->usual, (uintptr_t)view->cpu_caches[cls], relaxed);
}

/* Returns how often it takes: a section that is restarted, as its thread was preempted, is a push
 * that was none. */
static unsigned push(const struct cpu_view *view, uint64_t pfn)
{
    unsigned tries = 1;

    while (!view_push_frame(view, quire_pfn_of(pfn)))
        assert_true(++tries < 100 && mode == QUIRE_CACHE_RSEQ);
    return tries;
}

/* Allocate a frame of each of two classes in turns, in streaks or at random, and free it: it comes
 * back to its own magazine, and four alike are usual, until one is not. */
static void own_magazine(void **unused)
{
    struct rig *r = &rig;
    struct cpu_view *view = open_here(r);
    uint64_t random = 7;
    unsigned alike = 0;

    (void)unused;
    give(r, take(r, 0, QUIRE_MOVABLE), 0);
    give(r, take(r, 0, 0), 0);
    set_usual(view, CACHE_HUGE);
    for (uint32_t i = 0, cls = 0, last = 2; i < 20000; i++, last = cls) {
        uint64_t streak = i / 5000, before[2], pfn;

        cls = streak == 3 ? (uint32_t)random_below(&random, 2) : i >> 2 * streak & 1;
        pfn = take(r, 0, cls);
        before[0] = stats_of(r).cached[CACHE_UNMOVABLE];
        before[1] = stats_of(r).cached[CACHE_MOVABLE];
        alike = (cls == last ? alike : 0) + push(view, pfn);
        assert_int_equal(stats_of(r).cached[CACHE_UNMOVABLE], before[0] + (cls == 0));
        assert_int_equal(stats_of(r).cached[CACHE_MOVABLE], before[1] + (cls == 1));
        if (i < 4) /* what was before is not known */
            continue;
        if (alike >= 4)
            assert_ptr_equal(view_usual(view), view->cpu_caches[cls]);
        else
            assert_ptr_equal(view_usual(view), view->cpu_caches[CACHE_HUGE]);
    }
    rig_close(r, 0);
}

/* Whatever is usual, as threads that are late may leave it. */
static void any_value(void **unused)
{
    struct rig *r = &rig;
    struct cpu_view *view = open_here(r);

    (void)unused;
    for (uint32_t usual = 0; usual < QUIRE_CACHE_CLASSES; usual++)
        for (uint32_t cls = 0; cls < 2; cls++) {
            uint64_t pfn = take(r, 0, cls), single, before;

            before = stats_of(r).cached[cls];
            set_usual(view, usual);
            (void)push(view, pfn);
            assert_int_equal(stats_of(r).cached[cls], before + 1);
            /* A free frame, of a FREE block; a frame of a block for runs of another order. */
            set_usual(view, usual);
            single = r->usable[0].pfn.n + r->usable[0].frames - 1;
            assert_false(view_push_frame(view, quire_pfn_of(single)));
        }
    rig_close(r, 0);
}

/* A frame in a block for longer runs is not for a hit, whatever is usual. */
static void block_for_runs(void **unused)
{
    struct rig *r = &rig;
    struct cpu_view *view = open_here(r);
    uint64_t run = take(r, 3, 0);

    (void)unused;
    assert_ok(quire_zone_split(&r->zone, quire_slot_of(0), quire_pfn_of(run), 3));
    set_usual(view, CACHE_UNMOVABLE);
    for (uint64_t i = 0; i < 8; i++)
        assert_false(view_push_frame(view, quire_pfn_of(run + i)));
    for (uint64_t i = 0; i < 8; i++)
        give(r, run + i, 0);
    rig_close(r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_magazine), cmocka_unit_test(any_value),
                                       cmocka_unit_test(block_for_runs)};

    return run_unit(argc, argv, tests);
}
