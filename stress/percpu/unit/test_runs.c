/* SPDX-License-Identifier: MIT
 *
 * test_runs.c - runs of order 1 to 8 in the caches: as single frames, orders 1 and 2 by mobility;
 * what is not just one run is refused at once. A magazine of two rounds moves no halves.
 */
#include "unit.h"

#include "percpu/cpu_cache.h"

enum { ROUNDS = 16, LARGE_ROUNDS = 16 };

static void open_runs(struct rig *r)
{
    rig_begin(r, 128 * BLOCK);
    r->cache_config.rounds = 64;
    r->cache_config.run_rounds = ROUNDS;
    r->cache_config.large_rounds = LARGE_ROUNDS;
    r->cache_config.huge_rounds = 0;
    r->cache_config.depot = 4;
    rig_open(r);
    run_on(r, 0);
}

/* A pair of calls stays within the CPU cache. */
static void pair(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order < HUGE_ORDER; order++) {
        unsigned cls = cache_class_of(order, 0);
        struct quire_cache_stats before, after;
        struct rig r;
        uint64_t pfn;

        open_runs(&r);
        pfn = take(&r, order, 0);
        give(&r, pfn, order);
        before = stats_of(&r);
        assert_int_equal(before.cached[cls], r.cache.capacity[cls] / 2 << order);
        assert_int_equal(cached_frames(&r), before.cached[cls]);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(take(&r, order, 0), pfn);
            check_rest(&r, 1ull << order);
            give(&r, pfn, order);
        }
        after = stats_of(&r);
        assert_int_equal(after.hits, before.hits + 20);
        after.hits = before.hits;
        assert_memory_equal(&before, &after, sizeof before);
        rig_close(&r, 0);
    }
}

/* Many, so that magazines overflow and are flushed, of both kinds at the same time. */
static void many(void **unused)
{
    enum { MOST = 100 };

    (void)unused;
    for (unsigned order = 1; order < HUGE_ORDER; order++) {
        unsigned some = 32 * BLOCK >> order, runs = some < MOST ? some : MOST;
        uint64_t pfns[2][MOST];
        struct rig r;

        open_runs(&r);
        for (int round = 0; round < 3; round++) {
            for (unsigned i = 0; i < runs; i++)
                for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++) {
                    pfns[flags][i] = take(&r, order, flags);
                    assert_int_equal(pfns[flags][i] % (1u << order), 0);
                }
            check_rest(&r, 2ull * runs << order);
            for (unsigned i = 0; i < runs; i++)
                for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++)
                    give(&r, pfns[flags][i], order);
            check_rest(&r, 0);
        }
        assert_true((stats_of(&r).overflows > 0) ==
                    (r.cache.capacity[cache_class_of(order, 0)] > 2));
        assert_true(stats_of(&r).cached[cache_class_of(order, 0)] > 0);
        rig_close(&r, 0);
    }
}

/* Orders 1 and 2: a movable run is not handed to an unmovable request, nor the reverse. */
static void mobility(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order < FIRST_LARGE_ORDER; order++) {
        uint64_t fixed, movable;
        struct rig r;

        open_runs(&r);
        fixed = take(&r, order, QUIRE_UNMOVABLE);
        movable = take(&r, order, QUIRE_MOVABLE);
        assert_int_not_equal(fixed / BLOCK, movable / BLOCK);
        give(&r, fixed, order);
        give(&r, movable, order);
        assert_int_equal(take(&r, order, QUIRE_UNMOVABLE), fixed);
        assert_int_equal(take(&r, order, QUIRE_MOVABLE), movable);
        rig_close(&r, 2ull << order);
    }
}

static void refused(struct rig *r, uint64_t pfn, unsigned order, int error)
{
    unsigned reports = r->heard.reports;

    assert_int_equal(quire_cache_free(&r->cache, quire_pfn_of(pfn), order), error);
    assert_int_equal(r->heard.reports, reports + 1);
    assert_int_equal(r->heard.report_pfn, pfn);
}

/* The run map tells a run from its parts and from others, in every build. */
static void not_a_run(void **unused)
{
    uint64_t before, frames, run, after;
    struct rig r;

    (void)unused;
    open_runs(&r);
    before = take(&r, 2, 0);
    run = take(&r, 2, 0);
    after = take(&r, 2, 0);
    frames = take(&r, 0, 0);
    refused(&r, run, 1, QUIRE_ERR_ORDER);
    refused(&r, run + 2, 1, QUIRE_ERR_ORDER);
    refused(&r, run & ~UINT64_C(7), 3, QUIRE_ERR_ORDER);
    refused(&r, run + 1, 2, QUIRE_ERR_ALIGN);
    refused(&r, frames & ~UINT64_C(1), 1, QUIRE_ERR_ORDER);
    refused(&r, 1, 1, QUIRE_ERR_ALIGN);
    assert_ok(quire_zone_free(&r.zone, quire_slot_of(0), quire_pfn_of(after), 2));
    refused(&r, after, 2, QUIRE_ERR_DOUBLE_FREE);
    give(&r, run, 2);
    give(&r, before, 2);
    check_rest(&r, 1);
    rig_close(&r, 1);
}

/* A run that is freed twice is refused, whether it lies in a magazine, full or not, or in the zone;
 * and so is one that is named by another order. */
static void freed_again(void **unused)
{
    enum { RUNS = 24 };

    (void)unused;
    for (unsigned order = 1; order < HUGE_ORDER; order++) {
        uint64_t pfns[RUNS];
        struct rig r;

        open_runs(&r);
        for (unsigned i = 0; i < RUNS; i++)
            pfns[i] = take(&r, order, 0);
        for (unsigned i = 0; i < RUNS; i++) {
            refused(&r, pfns[i], order - 1, QUIRE_ERR_ORDER);
            give(&r, pfns[i], order);
            refused(&r, pfns[i], order, QUIRE_ERR_DOUBLE_FREE);
        }
        for (unsigned i = 0; i < RUNS; i++)
            assert_int_not_equal(quire_cache_free(&r.cache, quire_pfn_of(pfns[i]), order),
                                 QUIRE_OK);
        check_rest(&r, 0);
        rig_close(&r, 0);
    }
}

/* A magazine of two rounds: an allocation brings one run, a free takes one to the zone. What it
 * holds is all that is kept back. */
static void by_one(void **unused)
{
    enum { ORDER = 8, RUNS = 6 };
    uint64_t pfns[RUNS], frames = 1 << ORDER;
    struct rig r;

    (void)unused;
    open_runs(&r);
    assert_int_equal(r.cache.capacity[cache_class_of(ORDER, 0)], 2);
    for (unsigned i = 0; i < RUNS; i++) {
        pfns[i] = take(&r, ORDER, 0);
        assert_int_equal(cached_frames(&r), 0);
    }
    for (unsigned i = 0; i < RUNS; i++) {
        give(&r, pfns[i], ORDER);
        if (i < 2)
            assert_int_equal(cached_frames(&r), (i + 1) * frames);
        else /* one of a sparse block waits in the outgoing magazine */
            assert_in_range(cached_frames(&r), 2 * frames, 3 * frames);
    }
    assert_int_equal(stats_of(&r).flushes + stats_of(&r).overflows, 0);
    assert_int_equal(take(&r, ORDER, 0), pfns[1]);
    assert_int_equal(take(&r, ORDER, 0), pfns[0]);
    give(&r, pfns[0], ORDER);
    rig_close(&r, frames);
}

/* Runs of a block that is nearly empty are flushed, and the block becomes whole. */
static void sparse_of(unsigned order)
{
    enum { MOST = 16 * BLOCK >> 2 };
    unsigned runs = 16 * BLOCK >> order;
    static uint64_t pfns[MOST];
    struct rig r;
    uint64_t used;

    open_runs(&r);
    for (unsigned i = 0; i < runs; i++)
        pfns[i] = take(&r, order, 0);
    assert_ok(quire_cache_drain_all(&r.cache));
    used = (uint64_t)runs << order;
    for (unsigned i = 0; i < runs; i++) /* of all blocks only every sixteenth run stays */
        if (i % 16) {
            assert_ok(quire_zone_free(&r.zone, quire_slot_of(0), quire_pfn_of(pfns[i]), order));
            used -= 1u << order;
        }
    give(&r, pfns[runs / 2], order);
    assert_int_not_equal(take(&r, order, 0), pfns[runs / 2]);
    check_rest(&r, used);
    rig_close(&r, used);
}

static void sparse(void **unused)
{
    (void)unused;
    sparse_of(2);
    sparse_of(5);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair),      cmocka_unit_test(many),        cmocka_unit_test(mobility),
        cmocka_unit_test(not_a_run), cmocka_unit_test(freed_again), cmocka_unit_test(by_one),
        cmocka_unit_test(sparse),
    };

    return run_unit(argc, argv, tests);
}
