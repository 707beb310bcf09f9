/* SPDX-License-Identifier: MIT
 *
 * test_calm.c - whom a drain disturbs, and what a request may wait for: a drain keeps one CPU at a
 * time from its CPU caches, and no longer than it must; a request with QUIRE_NO_CALLBACK gets
 * everything that can be had without a system call, and leaves the rest to the next one; contiguous
 * requests drain the caches, too.
 *
 * "Elsewhere" is another CPU; with one CPU only it is the same one.
 */
#include "unit.h"

#include "core/frame_byte.h"
#include "percpu/cpu_cache.h"

enum { FRAMES = 6 * BLOCK };

static uint64_t pfns[FRAMES];

/* Must the kernel help, or the port, to get at what the other CPU has? */
static bool out_of_reach(void)
{
    return (mode == QUIRE_CACHE_RSEQ || mode == QUIRE_CACHE_LOCAL) && elsewhere() != HERE;
}

static void open_small(struct rig *r)
{
    rig_begin(r, FRAMES);
    r->cache_config.rounds = 64;
    r->cache_config.huge_rounds = 0;
    r->cache_config.depot = 4 * r->cache_config.cpus;
}

/* ---- Whom a drain disturbs ------------------------------------------------------------------ */

static struct rig *drained;
static unsigned asked;

/* Called in the middle of the drain of a CPU, while its frames are flushed. */
static void look_around(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                        int error)
{
    uint32_t there = cpu_name(elsewhere());
    const struct quire_cache *c = &drained->cache;

    (void)ctx;
    (void)zone;
    (void)what;
    (void)pfn;
    (void)error;
    asked++;
    assert_int_equal(qa_load(&cpu_cache_of(c, there, 0)->present, relaxed), 0);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            assert_int_equal(qa_load(&cpu_cache_of(c, cpu, i)->detached, relaxed), 0);
            if (cpu != there)
                assert_int_equal(qa_load(&cpu_cache_of(c, cpu, i)->present, relaxed), 1);
        }
}

/* Two frees of a frame at one instant, which both find its byte as it should be, make the drain of
 * the other CPU call back in its middle. */
static void one_at_a_time(void **unused)
{
    struct rig r;

    (void)unused;
    open_small(&r);
    r.zone_config.port.report = look_around;
    rig_open(&r);
    drained = &r;
    asked = 0;
    run_on(&r, HERE);
    take_many(&r, 0, 10, pfns);
    if (elsewhere() != HERE)
        give_many(&r, 5, pfns); /* something here, too */
    run_on(&r, elsewhere());
    pfns[10] = take(&r, 0, 0);
    give(&r, pfns[10], 0);
    byte_restore(byte_of_frame(&r.zone, frame_of_pfn(&r.zone, quire_pfn_of(pfns[10]))),
                 BYTE_SINGLE);
    give(&r, pfns[10], 0); /* as the second of the two */
    run_on(&r, HERE);
    assert_ok(quire_cache_drain_all(&r.cache));
    assert_int_equal(asked, 1);
    rig_close(&r, elsewhere() != HERE ? 5 : 10);
}

/* ---- What a request may wait for ------------------------------------------------------------ */

/* All frames are used, but those in the depot and in the other CPU's cache. Returns how many are in
 * the depot. */
static uint64_t fill_caches(struct rig *r, uint64_t *in_cpu_cache)
{
    struct quire_cache_stats s;

    run_on(r, elsewhere());
    take_many(r, 0, FRAMES, pfns);
    give_many(r, 64 + 4 * 32, pfns);
    run_on(r, HERE);
    s = stats_of(r);
    assert_int_equal(quire_zone_free_frames(&r->zone), 0);
    assert_true(s.depot[CACHE_UNMOVABLE] > 0 && s.cached[CACHE_UNMOVABLE] > 0);
    *in_cpu_cache = s.cached[CACHE_UNMOVABLE];
    return s.depot[CACHE_UNMOVABLE];
}

/* The last frames are in the depot: no request is refused that could have them. */
static void calm_request(void **unused)
{
    uint64_t in_depot, in_cpu_cache;
    quire_pfn pfn;
    struct rig r;

    (void)unused;
    open_small(&r);
    rig_open(&r);
    in_depot = fill_caches(&r, &in_cpu_cache);
    for (uint64_t i = 0; i < in_depot; i++)
        (void)take(&r, 0, QUIRE_MOVABLE | QUIRE_NO_CALLBACK);
    if (out_of_reach()) {
        assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_NO_CALLBACK | QUIRE_EMERGENCY, &pfn),
                         QUIRE_ERR_NO_MEMORY);
        assert_int_equal(stats_of(&r).cached[CACHE_UNMOVABLE], in_cpu_cache);
    }
    for (uint64_t i = 0; i < in_cpu_cache; i++)
        (void)take(&r, 0, QUIRE_MOVABLE | (out_of_reach() ? 0 : QUIRE_NO_CALLBACK));
    assert_int_equal(cached_frames(&r), 0);
    rig_close(&r, FRAMES);
}

/* What is in the caller's own CPU cache, of whatever class, is in its reach. */
static void calm_on_the_own_cpu(void **unused)
{
    struct rig r;

    (void)unused;
    open_small(&r);
    rig_open(&r);
    run_on(&r, HERE);
    take_many(&r, 0, FRAMES, pfns);
    give_many(&r, 40, pfns);
    assert_int_equal(quire_zone_free_frames(&r.zone), 0);
    for (int i = 0; i < 40; i++)
        (void)take(&r, 0, QUIRE_MOVABLE | QUIRE_NO_CALLBACK);
    rig_close(&r, FRAMES);
}

/* The drain that a request could not wait for is made by the next one that can. */
static void drain_pending(void **unused)
{
    struct rig r;
    size_t held = 0;

    (void)unused;
    open_small(&r);
    r.zone_config.low = 150;
    r.zone_config.high = 250;
    rig_open(&r);
    run_on(&r, elsewhere());
    pfns[0] = take(&r, 0, 0);
    give(&r, pfns[0], 0);
    run_on(&r, HERE);
    while (qa_load(&r.cache.state->short_of_memory, relaxed) == 0)
        pfns[held++] = take(&r, 0, QUIRE_NO_CALLBACK);
    if (out_of_reach())
        assert_true(stats_of(&r).cached[CACHE_UNMOVABLE] > 0);
    else
        assert_int_equal(cached_frames(&r), 0);
    pfns[held++] = take(&r, 0, 0);
    assert_int_equal(cached_frames(&r), 0);
    check_rest(&r, held);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

/* ---- Contiguous requests -------------------------------------------------------------------- */

static void contiguous(void **unused)
{
    enum { LENGTH = FRAMES - 212 };
    struct quire_contig want = {.frames = LENGTH};
    quire_pfn pfn;
    struct rig r;

    (void)unused;
    open_small(&r);
    r.usable[0].frames = LENGTH;
    rig_open(&r);
    run_on(&r, elsewhere());
    take_many(&r, 0, 20, pfns);
    give_many(&r, 20, pfns);
    run_on(&r, HERE);
    assert_true(cached_frames(&r) > 0);
    if (!out_of_reach()) {
        assert_ok(quire_cache_alloc_contig(&r.cache, &want, QUIRE_NO_CALLBACK, &pfn));
    } else {
        assert_int_equal(quire_cache_alloc_contig(&r.cache, &want, QUIRE_NO_CALLBACK, &pfn),
                         QUIRE_ERR_NO_MEMORY);
        assert_ok(quire_cache_alloc_contig(&r.cache, &want, 0, &pfn));
    }
    assert_int_equal(pfn.n, r.usable[0].pfn.n);
    check_rest(&r, LENGTH);
    assert_int_equal(quire_cache_alloc_contig(&r.cache, &want, QUIRE_EMERGENCY, &pfn),
                     QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_free_contig(&r.zone, quire_slot_of(0), pfn, LENGTH));
    want.frames = 0; /* no such request */
    assert_int_equal(quire_cache_alloc_contig(&r.cache, &want, 0, &pfn), QUIRE_ERR_SIZE);
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),       cmocka_unit_test(calm_request),
        cmocka_unit_test(calm_on_the_own_cpu), cmocka_unit_test(drain_pending),
        cmocka_unit_test(contiguous),
    };

    return run_unit(argc, argv, tests);
}
