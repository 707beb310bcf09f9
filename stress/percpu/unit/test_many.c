/* SPDX-License-Identifier: MIT
 *
 * test_many.c - batches into and out of a magazine: as a whole or not at all, and what must not go
 * in does not.
 */
#include "unit.h"

#include "percpu/fastpath.h"

#include <stdlib.h>

enum { ROUNDS = 128, MANY = 64 };

static struct rig rig;
static quire_pfn pfns[ROUNDS + 1];

static const struct cpu_view *open_many(struct rig *r)
{
    rig_begin(r, 128 * BLOCK);
    r->cache_config.rounds = ROUNDS;
    r->cache_config.depot = 0;
    rig_open(r);
    run_on(r, 0);
    return view_of(&r->cache, r->cache.first_cpu);
}

/* n frames from the zone, in the order of their addresses, from a block that is dense. */
static void take_around(struct rig *r, uint32_t flags, size_t n, quire_pfn to[])
{
    size_t got;

    assert_ok(quire_zone_alloc_batch(&r->zone, quire_slot_of(0), flags, n, to, &got));
}

static void give_around(struct rig *r, size_t n)
{
    assert_ok(quire_zone_free_batch(&r->zone, quire_slot_of(0), pfns, n, NULL));
}

static void shuffle(quire_pfn array[], size_t n, uint64_t seed)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33;
        quire_pfn was = array[i - 1];

        array[i - 1] = array[k % i];
        array[k % i] = was;
    }
}

static int by_number(const void *a, const void *b)
{
    const quire_pfn *x = (const quire_pfn *)a, *y = (const quire_pfn *)b;

    return (x->n > y->n) - (x->n < y->n);
}

/* The same frames come back, for every number and order of frames; the figures are exact. */
static void there_and_back(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    for (size_t n = 1; n <= ROUNDS; n += n < 20 ? 1 : 9)
        for (unsigned order = 0; order < 4; order++) {
            const struct cpu_view *view = open_many(r);
            uint32_t movable = n % 2;
            quire_pfn back[ROUNDS];

            take_around(r, movable, n, pfns);
            if (order == 1)
                for (size_t i = 0; i < n / 2; i++) {
                    quire_pfn was = pfns[i];

                    pfns[i] = pfns[n - 1 - i];
                    pfns[n - 1 - i] = was;
                }
            if (order > 1)
                shuffle(pfns, n, n * order);
            assert_false(qi_view_pop_batch(view, movable, back, n));
            assert_true(qi_view_push_batch(view, pfns, n));
            assert_int_equal(stats_of(r).cached[movable], n);
            check_rest(r, 0);
            assert_false(qi_view_pop_batch(view, movable, back, n + 1));
            assert_false(qi_view_pop_batch(view, !movable, back, n));
            assert_int_equal(stats_of(r).hits, 0);
            assert_true(qi_view_pop_batch(view, movable, back, n));
            assert_int_equal(stats_of(r).hits, n);
            assert_int_equal(stats_of(r).cached[movable], 0);
            qsort(pfns, n, sizeof pfns[0], by_number);
            qsort(back, n, sizeof back[0], by_number);
            assert_memory_equal(pfns, back, n * sizeof pfns[0]);
            give_around(r, n);
            rig_close(r, 0);
        }
}

/* No more than there is room for, and nothing while the zone is short of memory. */
static void full(void **unused)
{
    struct rig *r = &rig;
    const struct cpu_view *view = open_many(r);

    (void)unused;
    take_around(r, 0, ROUNDS + 1, pfns);
    assert_false(qi_view_push_batch(view, pfns, ROUNDS + 1));
    assert_true(qi_view_push_batch(view, pfns, MANY + 1));
    assert_false(qi_view_push_batch(view, pfns + MANY + 1, ROUNDS - MANY));
    assert_true(qi_view_push_batch(view, pfns + MANY + 1, ROUNDS - MANY - 1));
    assert_int_equal(stats_of(r).cached[CACHE_UNMOVABLE], ROUNDS);
    check_rest(r, 1);
    assert_true(qi_view_pop_batch(view, 0, pfns, ROUNDS));
    r->cache.state->short_of_memory.v = 1;
    (void)qi_cache_set_limits(&r->cache);
    assert_false(qi_view_push_batch(view, pfns, 1));
    r->cache.state->short_of_memory.v = 0;
    (void)qi_cache_set_limits(&r->cache);
    assert_true(qi_view_push_batch(view, pfns, 1));
    assert_ok(quire_cache_drain_all(&r->cache));
    for (size_t i = 1; i <= ROUNDS; i++)
        give(r, pfns[i].n, 0);
    rig_close(r, 0);
}

/* pfns[at] is none that may go in: nothing goes in. */
static void refused(struct rig *r, const struct cpu_view *view, size_t at, uint64_t pfn)
{
    quire_pfn was = pfns[at];

    pfns[at].n = pfn;
    assert_false(qi_view_push_batch(view, pfns, MANY));
    assert_int_equal(stats_of(r).cached[CACHE_UNMOVABLE] + stats_of(r).cached[CACHE_MOVABLE], 0);
    pfns[at] = was;
}

/* One frame that is wrong, at each place, among others that come upwards, and mixed. */
static void wrong_ones(void **unused)
{
    struct rig *r = &rig;
    const struct cpu_view *view = open_many(r);
    uint64_t run = take(r, 3, 0), block = take(r, 9, 0);
    quire_pfn movable, freed;

    (void)unused;
    take_around(r, QUIRE_MOVABLE, 1, &movable);
    take_around(r, 0, 1, &freed);
    take_around(r, 0, MANY, pfns);
    assert_ok(quire_zone_free(&r->zone, quire_slot_of(0), freed, 0));
    assert_ok(quire_cache_drain_all(&r->cache));
    for (unsigned mixed = 0; mixed < 3; mixed++) {
        for (size_t at = 0; at < MANY; at++) {
            const uint64_t wrong[] = {
                freed.n,
                movable.n,
                run,
                run + 3,
                run + 7,
                block,
                block + 1,
                5,
                UINT64_MAX,
                pfns[(at + 1) % MANY].n,
                pfns[(at + 37) % MANY].n,
                pfns[(at + MANY - 1) % MANY].n,
            };

            for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                refused(r, view, at, wrong[i]);
        }
        shuffle(pfns, MANY, mixed + 1);
    }
    check_rest(r, MANY + 1 + 8 + 512);
    assert_true(qi_view_push_batch(view, pfns, MANY));
    assert_true(qi_view_pop_batch(view, 0, pfns, MANY));
    give_around(r, MANY);
    give(r, movable.n, 0);
    give(r, run, 3);
    give(r, block, 9);
    assert_int_equal(r->heard.reports, 0);
    rig_close(r, 0);
}

/* Frames of a block that is sparse, that has pins, or that is being emptied. */
static void wrong_blocks(void **unused)
{
    struct rig *r = &rig;
    const struct cpu_view *view = open_many(r);
    static struct quire_isolated_frames held[1];
    struct quire_isolation isolation = {0};
    uint64_t first;
    uint32_t b;

    (void)unused;
    take_around(r, 0, MANY, pfns);
    first = pfns[0].n / BLOCK * BLOCK;
    b = block_of(frame_of_pfn(&r->zone, pfns[0]));
    qa_store(full_of(&r->zone, b), 200, relaxed);
    assert_false(qi_view_push_batch(view, pfns, MANY));
    qa_store(full_of(&r->zone, b), 0, relaxed);
    assert_ok(quire_zone_isolate(&r->zone, quire_slot_of(0),
                                 (struct quire_run){quire_pfn_of(first), BLOCK}, held, &isolation));
    assert_false(qi_view_push_batch(view, pfns, MANY));
    assert_ok(quire_zone_isolate_undo(&r->zone, quire_slot_of(0), &isolation));
    assert_false(qi_view_push_batch(view, pfns, MANY)); /* no home block any more, and sparse */
    qa_store(full_of(&r->zone, b), 0, relaxed);
    assert_true(qi_view_push_batch(view, pfns, MANY));
    assert_true(qi_view_pop_batch(view, 0, pfns, MANY));
    assert_ok(quire_zone_reserve(&r->zone, quire_slot_of(0), quire_pfn_of(first + 500), 2));
    assert_false(qi_view_push_batch(view, pfns, MANY));
    assert_ok(quire_zone_unreserve(&r->zone, quire_slot_of(0), quire_pfn_of(first + 500), 2));
    give_around(r, MANY);
    rig_close(r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(full),
        cmocka_unit_test(wrong_ones),
        cmocka_unit_test(wrong_blocks),
    };

    return run_unit(argc, argv, tests);
}
