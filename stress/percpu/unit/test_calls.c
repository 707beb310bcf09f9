/* SPDX-License-Identifier: MIT
 *
 * test_calls.c - allocation and free through one CPU's caches: classes, flags, errors, what
 * refills, overflows and the depot move, and which frames are flushed.
 */
#include "unit.h"

#include "core/layout.h"
#include "percpu/cpu_cache.h"

static void open_default(struct rig *r, uint64_t frames)
{
    rig_begin(r, frames);
    r->cache_config.rounds = 64;
    r->cache_config.huge_rounds = 4;
    r->cache_config.depot = 4 * r->cache_config.cpus;
    rig_open(r);
    run_on(r, 0);
}

/* A pair of calls stays within the CPU cache: the frame just freed comes back. */
static void pair(void **unused)
{
    struct quire_cache_stats before, after;
    struct rig r;
    uint64_t pfn;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    pfn = take(&r, 0, 0);
    give(&r, pfn, 0);
    before = stats_of(&r);
    assert_int_equal(before.underflows, 1);
    assert_int_equal(before.refills, 1);
    assert_int_equal(before.cached[CACHE_UNMOVABLE], 32);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(take(&r, 0, 0), pfn);
        check_rest(&r, 1);
        give(&r, pfn, 0);
    }
    after = stats_of(&r);
    assert_int_equal(after.hits, before.hits + 100);
    after.hits = before.hits;
    assert_memory_equal(&before, &after, sizeof before);
    rig_close(&r, 0);
}

/* A cache of one CPU that is not the first: others go to the zone, by other slots. */
static void not_from_cpu_0(void **unused)
{
    uint32_t other = cpu_count() > 1 ? cpu_name(1) : cpu_name(0);
    struct rig r;
    uint64_t pfn;

    (void)unused;
    rig_begin(&r, 64 * BLOCK);
    r.cache_config.first_cpu = other;
    r.cache_config.cpus = 1;
    rig_open(&r);
    assert_int_equal(quire_cache_drain(&r.cache, other + 1), QUIRE_ERR_SIZE);
    if (other > 0) {
        assert_int_equal(quire_cache_drain(&r.cache, other - 1), QUIRE_ERR_SIZE);
        assert_int_equal(quire_cache_retire_cpu(&r.cache, other - 1), QUIRE_ERR_SIZE);
        run_on(&r, 0);
        give(&r, take(&r, 0, 0), 0);
        assert_int_equal(cached_frames(&r), 0);
    }
    run_on(&r, cpu_count() > 1 ? 1 : 0);
    pfn = take(&r, 0, 0);
    assert_int_not_equal(cached_frames(&r), 0);
    give(&r, pfn, 0);
    assert_int_equal(take(&r, 0, 0), pfn);
    give(&r, pfn, 0);
    assert_int_equal(stats_of(&r).refills, 1);
    assert_ok(quire_cache_drain(&r.cache, other));
    assert_int_equal(cached_frames(&r), 0);
    assert_ok(quire_cache_retire_cpu(&r.cache, other));
    rig_close(&r, 0);
}

/* Mobility decides which CPU cache an allocation looks into, the block's class to which a free
 * goes. */
static void classes(void **unused)
{
    struct quire_cache_stats s;
    struct rig r;
    uint64_t a, b, c;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    a = take(&r, 0, QUIRE_UNMOVABLE);
    b = take(&r, 0, QUIRE_MOVABLE);
    c = take(&r, 9, QUIRE_MOVABLE);
    assert_int_not_equal(a / BLOCK, b / BLOCK);
    assert_int_equal(c % BLOCK, 0);
    s = stats_of(&r);
    assert_int_equal(s.cached[CACHE_UNMOVABLE], 31);
    assert_int_equal(s.cached[CACHE_MOVABLE], 31);
    assert_int_equal(s.cached[CACHE_HUGE], BLOCK);
    check_rest(&r, BLOCK + 2);
    give(&r, a, 0);
    give(&r, c, 9);
    s = stats_of(&r);
    assert_int_equal(s.cached[CACHE_UNMOVABLE], 32);
    assert_int_equal(s.cached[CACHE_MOVABLE], 31);
    assert_int_equal(s.cached[CACHE_HUGE], 2 * BLOCK);
    assert_int_equal(take(&r, 9, 0), c);
    give(&r, b, 0);
    assert_int_equal(take(&r, 0, QUIRE_MOVABLE), b);
    rig_close(&r, BLOCK + 1);
}

/* Every order is served, and aligned; those without a CPU cache leave nothing behind. */
static void other_orders(void **unused)
{
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    for (unsigned order = 1; order <= 13; order++) {
        uint64_t pfn = take(&r, order, 0);

        assert_int_equal(pfn & ((1u << order) - 1), 0);
        give(&r, pfn, order);
        if (order != 9)
            assert_int_equal(cached_frames(&r), 0);
        assert_ok(quire_cache_drain_all(&r.cache));
    }
    rig_close(&r, 0);
}

static void wrong_requests(void **unused)
{
    quire_pfn pfn = {77};
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    assert_int_equal(quire_cache_alloc(&r.cache, 21, 0, &pfn), QUIRE_ERR_SIZE);
    assert_int_equal(quire_cache_alloc(&r.cache, 0, 1u << 20, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_cache_alloc(&r.cache, 9, 1u << 20, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_PARTIAL, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_cache_alloc(&r.cache, 18, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(pfn.n, 77);
    assert_int_equal(cached_frames(&r), 0);
    rig_close(&r, 0);
}

/* Frees that no CPU cache may take get the zone's errors at once. */
static void wrong_frees(void **unused)
{
    struct rig r;
    uint64_t run, frame;

    (void)unused;
    rig_begin(&r, 64 * BLOCK - 300); /* the last block ends in a hole */
    rig_open(&r);
    run_on(&r, 0);
    run = take(&r, 9, 0);
    frame = take(&r, 0, 0);
#define assert_free(pfn, order, error) \
    assert_int_equal(quire_cache_free(&r.cache, quire_pfn_of(pfn), order), error)
    assert_free(0, 0, QUIRE_ERR_FRAME); /* before the zone's maps */
    assert_free(BLOCK, 9, QUIRE_ERR_FRAME);
    assert_free(66 * BLOCK - 1, 0, QUIRE_ERR_FRAME); /* a hole */
    assert_free(66 * BLOCK, 0, QUIRE_ERR_FRAME);     /* behind the maps */
    assert_free(1ull << 39, 0, QUIRE_ERR_FRAME);
    assert_free(UINT64_MAX, 0, QUIRE_ERR_FRAME);
    assert_free(UINT64_MAX, 9, QUIRE_ERR_ALIGN);
    assert_free(frame | 1, 9, QUIRE_ERR_ALIGN);
    assert_free(0, 21, QUIRE_ERR_SIZE);
    assert_free(run, 0, QUIRE_ERR_ORDER); /* part of a block's run */
    assert_free(run + 5, 0, QUIRE_ERR_ORDER);
    assert_free(run, 3, QUIRE_ERR_ORDER);
    assert_free(frame / BLOCK * BLOCK, 9, QUIRE_ERR_ORDER); /* split */
    assert_free(60 * BLOCK, 0, QUIRE_ERR_DOUBLE_FREE);      /* never allocated */
    assert_free(60 * BLOCK, 9, QUIRE_ERR_DOUBLE_FREE);
#undef assert_free
    check_rest(&r, BLOCK + 1);
    rig_close(&r, BLOCK + 1);
}

static void zeroed(void **unused)
{
    quire_pfn pfn = {77};
    struct rig r;
    uint64_t frame;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    frame = take(&r, 0, QUIRE_ZEROED);
    assert_int_equal(r.heard.zero_calls, 1);
    give(&r, frame, 0);
    assert_int_equal(take(&r, 0, QUIRE_ZEROED | QUIRE_UNMOVABLE), frame); /* by a hit, too */
    assert_int_equal(r.heard.zero_calls, 2);
    (void)take(&r, 9, QUIRE_ZEROED);
    (void)take(&r, 3, QUIRE_ZEROED);
    assert_int_equal(r.heard.zero_calls, 4);
    (void)take(&r, 0, 0);
    assert_int_equal(r.heard.zero_calls, 4);
    r.heard.zero_answer = QUIRE_ERR_BUSY; /* a failed call changes nothing */
    for (unsigned order = 0; order <= 9; order += 3)
        assert_int_equal(quire_cache_alloc(&r.cache, order, QUIRE_ZEROED, &pfn), QUIRE_ERR_BUSY);
    rig_close(&r, 2 + 8 + BLOCK);
    rig_begin(&r, 64 * BLOCK);
    r.zone_config.port.zero = NULL;
    rig_open(&r);
    run_on(&r, 0);
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_ZEROED, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_cache_alloc(&r.cache, 4, QUIRE_ZEROED, &pfn), QUIRE_ERR_UNSUPPORTED);
    rig_close(&r, 0);
}

/* A run that a magazine had is a hit, whether it is then zeroed or not. */
static void zeroed_hits(void **unused)
{
    struct quire_cache_stats before, after;
    struct rig r;

    (void)unused;
    rig_begin(&r, 64 * BLOCK);
    r.cache_config.rounds = 64;
    r.cache_config.run_rounds = 16;
    rig_open(&r);
    run_on(&r, 0);
    give(&r, take(&r, 0, 0), 0);
    give(&r, take(&r, 1, QUIRE_MOVABLE), 1);
    before = stats_of(&r);
    for (int i = 0; i < 10; i++) {
        give(&r, take(&r, 0, QUIRE_ZEROED), 0);
        give(&r, take(&r, 1, QUIRE_ZEROED | QUIRE_MOVABLE), 1);
    }
    after = stats_of(&r);
    assert_int_equal(after.hits, before.hits + 20);
    after.hits = before.hits;
    assert_memory_equal(&before, &after, sizeof before);
    rig_close(&r, 0);
}

/* A port that cannot zero for want of memory is no zone that refuses: its error is passed on, and
 * nothing is drained or asked again. */
static void zero_out_of_memory(void **unused)
{
    const struct quire_contig want = {.frames = 33};
    struct quire_cache_stats before, after;
    quire_pfn pfn = {77};
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    give(&r, take(&r, 0, 0), 0);
    before = stats_of(&r);
    r.heard.zero_answer = QUIRE_ERR_NO_MEMORY;
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_ZEROED, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(r.heard.zero_calls, 1);
    assert_int_equal(quire_cache_alloc(&r.cache, 5, QUIRE_ZEROED, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(r.heard.zero_calls, 2);
    assert_int_equal(quire_cache_alloc_contig(&r.cache, &want, QUIRE_ZEROED, &pfn),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(r.heard.zero_calls, 3);
    assert_int_equal(r.heard.zeroed, 1 + 32 + want.frames);
    after = stats_of(&r);
    assert_int_equal(after.drains, before.drains);
    assert_int_equal(after.cached[CACHE_UNMOVABLE], before.cached[CACHE_UNMOVABLE]);
    rig_close(&r, 0);
}

/* A call that had no CPU cache to find taken is no bypass: where frames are not cached, and while
 * the zone is short of memory. */
static void no_bypasses(void **unused)
{
    static uint64_t pfns[16 * BLOCK];
    size_t held = 0;
    struct rig r;

    (void)unused;
    rig_begin(&r, 16 * BLOCK);
    r.cache_config.rounds = 0;
    r.cache_config.run_rounds = 8;
    r.cache_config.huge_rounds = 0;
    rig_open(&r);
    run_on(&r, 0);
    give(&r, take(&r, 0, 0), 0);
    assert_int_equal(stats_of(&r).bypasses, 0);
    rig_close(&r, 0);

    rig_begin(&r, 16 * BLOCK);
    r.zone_config.low = 1000;
    r.zone_config.high = 2000;
    r.cache_config.rounds = 8;
    rig_open(&r);
    run_on(&r, 0);
    while (quire_zone_free_frames(&r.zone) > 500)
        pfns[held++] = take(&r, 0, 0);
    while (held > 0 && quire_zone_free_frames(&r.zone) < 900)
        give(&r, pfns[--held], 0);
    assert_int_equal(stats_of(&r).bypasses, 0);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

/* Refills and overflows move half a magazine; overflows meet the depot first, refills too. */
static void halves(void **unused)
{
    static uint64_t pfns[1000];
    struct quire_cache_stats s;
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    take_many(&r, 0, 320, pfns);
    s = stats_of(&r);
    assert_int_equal(s.refills, 10);
    assert_int_equal(s.underflows, 10);
    assert_int_equal(cached_frames(&r), 0);
    give_many(&r, 65, pfns); /* one more than fits */
    s = stats_of(&r);
    assert_int_equal(s.overflows, 1);
    assert_int_equal(s.depot[CACHE_UNMOVABLE], 32);
    assert_int_equal(s.cached[CACHE_UNMOVABLE], 33);
    assert_int_equal(s.flushes, 0);
    give_many(&r, 255, pfns + 65); /* the depot holds four halves a CPU, the rest is flushed */
    s = stats_of(&r);
    assert_int_equal(s.overflows, 8);
    assert_int_equal(s.depot[CACHE_UNMOVABLE], 4 * 32);
    assert_int_equal(s.flushes, 4);
    assert_int_equal(s.cached[CACHE_UNMOVABLE], 64);
    check_rest(&r, 0);
    take_many(&r, 0, 64 + 4 * 32, pfns); /* all of it without a refill from the zone */
    s = stats_of(&r);
    assert_int_equal(s.refills, 10);
    assert_int_equal(s.depot[CACHE_UNMOVABLE], 0);
    assert_int_equal(s.underflows, 14);
    for (int turn = 0; turn < 10; turn++) { /* and the same over again */
        give_many(&r, 64 + 4 * 32, pfns);
        assert_int_equal(depot_of(&r), 4 * 32);
        take_many(&r, 0, 64 + 4 * 32, pfns);
    }
    assert_int_equal(stats_of(&r).flushes, 4);
    rig_close(&r, 64 + 4 * 32);
}

/* Bursts that alternate, each of any length below half a magazine, do not reach the zone. */
static void no_ping_pong(void **unused)
{
    struct quire_cache_stats before, after;
    uint64_t pfns[96];
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    take_many(&r, 0, 96, pfns);
    give_many(&r, 96, pfns);
    before = stats_of(&r);
    for (int burst = 0; burst < 200; burst++) {
        take_many(&r, 0, 30, pfns);
        give_many(&r, 30, pfns);
    }
    after = stats_of(&r);
    assert_true(after.underflows - before.underflows <= 2);
    assert_true(after.overflows - before.overflows <= 2);
    assert_int_equal(after.flushes, before.flushes);
    rig_close(&r, 0);
}

/* Blocks of order 9: a refill brings half a magazine, an overflow sends half of it to the zone. */
static void blocks(void **unused)
{
    uint64_t pfns[12];
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    for (size_t i = 0; i < 12; i++)
        pfns[i] = take(&r, 9, 0);
    assert_int_equal(stats_of(&r).cached[CACHE_HUGE], 0);
    for (size_t i = 0; i < 12; i++) {
        give(&r, pfns[i], 9);
        assert_true(stats_of(&r).cached[CACHE_HUGE] <= 4 * BLOCK);
        check_rest(&r, (11 - i) * BLOCK);
    }
    assert_int_equal(stats_of(&r).cached[CACHE_HUGE], 4 * BLOCK);
    assert_true(stats_of(&r).overflows > 0);
    rig_close(&r, 0);
}

/* A zone of two stretches of memory far apart: frames of both are cached. */
static void two_stretches(void **unused)
{
    struct rig r;
    uint64_t pfns[200];

    (void)unused;
    rig_begin(&r, 150);
    r.usable[1] = (struct quire_run){quire_pfn_of(1ull << 30), 4 * BLOCK};
    r.zone_config.usable_count = 2;
    r.cache_config.rounds = 16;
    r.cache_config.huge_rounds = 0;
    r.cache_config.depot = 2;
    rig_open(&r);
    run_on(&r, 0);
    take_many(&r, 0, 200, pfns);
    give_many(&r, 200, pfns);
    assert_in_range(cached_frames(&r), 16, 16 + 8 + 2 * 8);
    assert_int_equal(quire_cache_free(&r.cache, quire_pfn_of(1ull << 29), 0), QUIRE_ERR_FRAME);
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_from_cpu_0), cmocka_unit_test(pair),
        cmocka_unit_test(classes),        cmocka_unit_test(other_orders),
        cmocka_unit_test(wrong_requests), cmocka_unit_test(wrong_frees),
        cmocka_unit_test(zeroed),         cmocka_unit_test(zeroed_hits),
        cmocka_unit_test(no_bypasses),    cmocka_unit_test(zero_out_of_memory),
        cmocka_unit_test(halves),         cmocka_unit_test(no_ping_pong),
        cmocka_unit_test(blocks),         cmocka_unit_test(two_stretches),
    };

    return run_unit(argc, argv, tests);
}
