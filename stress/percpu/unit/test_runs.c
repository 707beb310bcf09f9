/* SPDX-License-Identifier: MIT
 *
 * test_runs.c - runs of order 1 to 3 in the caches: as single frames, by mobility (but order 3);
 * what is not just one run is refused at once. Orders 4 to 8 go to the zone.
 */
#include "unit.h"

#include "percpu/cpu_cache.h"

enum { ROUNDS = 16 };

static void open_runs(struct rig *r)
{
    rig_begin(r, 64 * BLOCK);
    r->cache_config.rounds = 64;
    r->cache_config.run_rounds = ROUNDS;
    r->cache_config.huge_rounds = 0;
    r->cache_config.depot = 4;
    rig_open(r);
    run_on(r, 0);
}

/* A pair of calls stays within the CPU cache. */
static void pair(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order <= 8; order++) {
        unsigned cls = cache_class_of(order, 0);
        struct quire_cache_stats before, after;
        struct rig r;
        uint64_t pfn;

        open_runs(&r);
        pfn = take(&r, order, 0);
        give(&r, pfn, order);
        before = stats_of(&r);
        if (order <= MAX_RUN_ORDER)
            assert_int_equal(before.cached[cls], ROUNDS); /* frames of half a magazine */
        else
            assert_int_equal(cached_frames(&r), 0);
        for (int i = 0; i < 20 && order <= MAX_RUN_ORDER; i++) {
            assert_int_equal(take(&r, order, 0), pfn);
            check_rest(&r, 1ull << order);
            give(&r, pfn, order);
        }
        after = stats_of(&r);
        assert_int_equal(after.hits, before.hits + (order <= MAX_RUN_ORDER ? 20 : 0));
        after.hits = before.hits;
        assert_memory_equal(&before, &after, sizeof before);
        rig_close(&r, 0);
    }
}

/* Many, so that magazines overflow and are flushed, of both kinds at the same time. */
static void many(void **unused)
{
    enum { RUNS = 100 };

    (void)unused;
    for (unsigned order = 1; order <= MAX_RUN_ORDER; order++) {
        uint64_t pfns[2][RUNS];
        struct rig r;

        open_runs(&r);
        for (int round = 0; round < 3; round++) {
            for (unsigned i = 0; i < RUNS; i++)
                for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++) {
                    pfns[flags][i] = take(&r, order, flags);
                    assert_int_equal(pfns[flags][i] % (1u << order), 0);
                }
            check_rest(&r, 2ull * RUNS << order);
            for (unsigned i = 0; i < RUNS; i++)
                for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++)
                    give(&r, pfns[flags][i], order);
            check_rest(&r, 0);
        }
        assert_true(stats_of(&r).overflows > 0);
        rig_close(&r, 0);
    }
}

/* Orders 1 and 2: a movable run is not handed to an unmovable request, nor the reverse. */
static void mobility(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order < MAX_RUN_ORDER; order++) {
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

/* Runs of a block that is nearly empty are flushed, and the block becomes whole. */
static void sparse(void **unused)
{
    enum { ORDER = 2, RUNS = 16 * BLOCK >> ORDER };
    static uint64_t pfns[RUNS];
    struct rig r;
    uint64_t used;

    (void)unused;
    open_runs(&r);
    for (unsigned i = 0; i < RUNS; i++)
        pfns[i] = take(&r, ORDER, 0);
    assert_ok(quire_cache_drain_all(&r.cache));
    used = RUNS << ORDER;
    for (unsigned i = 0; i < RUNS; i++) /* of all blocks only every sixteenth run stays */
        if (i % 16) {
            assert_ok(quire_zone_free(&r.zone, quire_slot_of(0), quire_pfn_of(pfns[i]), ORDER));
            used -= 1 << ORDER;
        }
    give(&r, pfns[RUNS / 2], ORDER);
    assert_int_not_equal(take(&r, ORDER, 0), pfns[RUNS / 2]);
    check_rest(&r, used);
    rig_close(&r, used);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair),      cmocka_unit_test(many),   cmocka_unit_test(mobility),
        cmocka_unit_test(not_a_run), cmocka_unit_test(sparse),
    };

    return run_unit(argc, argv, tests);
}
