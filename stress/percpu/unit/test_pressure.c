/* SPDX-License-Identifier: MIT
 *
 * test_pressure.c - the caches follow the zone's watermarks: below `low` they are drained and stay
 * empty, at `high` they fill again, between the two nothing changes.
 */
#include "unit.h"

#include "percpu/cpu_cache.h"

enum { FRAMES = 32 * BLOCK, MIN = 100, LOW = 1000, HIGH = 3000 };

static uint64_t pfns[FRAMES];

static void open_watched(struct rig *r)
{
    rig_begin(r, FRAMES);
    r->zone_config.min = MIN;
    r->zone_config.low = LOW;
    r->zone_config.high = HIGH;
    r->cache_config.rounds = 64;
    r->cache_config.huge_rounds = 2;
    r->cache_config.depot = 8;
    rig_open(r);
    run_on(r, 0);
}

/* Take frames until the zone's free ones are below `target`; the caches may hold others. Returns
 * how many are held then. */
static size_t take_down_to(struct rig *r, size_t held, uint64_t target)
{
    while (quire_zone_free_frames(&r->zone) >= target)
        pfns[held++] = take(r, 0, 0);
    return held;
}

static void below_low(void **unused)
{
    struct rig r;
    size_t held;
    uint64_t block, free_frames;

    (void)unused;
    open_watched(&r);
    run_on(&r, cpu_count() - 1); /* something on another CPU */
    block = take(&r, 9, 0);
    give(&r, block, 9);
    pfns[0] = take(&r, 0, QUIRE_MOVABLE);
    give(&r, pfns[0], 0);
    run_on(&r, 0);
    held = take_down_to(&r, 0, LOW);
    assert_int_equal(r.heard.lows, 1);
    pfns[held++] = take(&r, 0, 0);
    for (int i = 0; i < 64; i++) /* at the latest when this CPU's own magazine is empty */
        pfns[held++] = take(&r, 0, 0);
    assert_int_equal(cached_frames(&r), 0);
    check_rest(&r, held);
    for (int i = 0; i < 100; i++) { /* and so it stays */
        give(&r, pfns[--held], 0);
        assert_int_equal(cached_frames(&r), 0);
    }
    block = take(&r, 0, 0);
    free_frames = quire_zone_free_frames(&r.zone);
    give(&r, block, 0);
    assert_int_equal(quire_zone_free_frames(&r.zone), free_frames + 1);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

static void at_high(void **unused)
{
    struct rig r;
    size_t held;

    (void)unused;
    open_watched(&r);
    held = take_down_to(&r, 0, LOW - 100);
    while (quire_zone_free_frames(&r.zone) < HIGH - 1) { /* not yet */
        give(&r, pfns[--held], 0);
        pfns[held++] = take(&r, 0, 0);
        give(&r, pfns[--held], 0);
        assert_int_equal(cached_frames(&r), 0);
    }
    while (quire_zone_free_frames(&r.zone) < HIGH + 100)
        give(&r, pfns[--held], 0);
    pfns[held++] = take(&r, 0, 0);
    give(&r, pfns[--held], 0);
    assert_true(cached_frames(&r) > 0);
    check_rest(&r, held);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

/* Between the watermarks the caches work as ever: no drain, whatever happens. */
static void between(void **unused)
{
    struct rig r;
    size_t held;

    (void)unused;
    open_watched(&r);
    held = take_down_to(&r, 0, HIGH - 500);
    assert_true(quire_zone_free_frames(&r.zone) > LOW);
    for (int round = 0; round < 20; round++) {
        take_many(&r, 0, 300, pfns + held);
        give_many(&r, 300, pfns + held);
    }
    assert_int_equal(stats_of(&r).drains, 0);
    assert_true(cached_frames(&r) > 0);
    check_rest(&r, held);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

/* Maintenance lets the caches work again, too, if nobody allocates. */
static void maintained(void **unused)
{
    struct rig r;
    size_t held;

    (void)unused;
    open_watched(&r);
    held = take_down_to(&r, 0, LOW - 100);
    while (held > 100)
        give(&r, pfns[--held], 0);
    assert_int_equal(cached_frames(&r), 0);
    (void)quire_cache_maintain(&r.cache);
    give(&r, pfns[--held], 0);
    assert_int_equal(cached_frames(&r), 1);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

/* What lies in the caches is no way round the reserve that a fallback must leave: the zone has it
 * when the last one is refused, whoever filled the caches before. */
static void reserve(void **unused)
{
    enum { KEPT = 2000 };
    size_t held = 0;
    quire_pfn pfn;
    struct rig r;

    (void)unused;
    rig_begin(&r, FRAMES);
    r.zone_config.lowmem_reserve = KEPT;
    rig_open(&r);
    run_on(&r, 0);
    take_many(&r, 0, FRAMES - KEPT - 200, pfns);
    held = FRAMES - KEPT - 200;
    give_many(&r, 150, pfns + held - 150);
    held -= 150;
    assert_true(cached_frames(&r) > 0);
    while (!quire_cache_alloc(&r.cache, 0, QUIRE_FALLBACK, &pfn)) {
        pfns[held++] = pfn.n;
        assert_true(quire_zone_free_frames(&r.zone) >= KEPT);
    }
    assert_int_equal(held, FRAMES - KEPT);
    assert_int_equal(quire_zone_free_frames(&r.zone), KEPT);
    pfns[held++] = take(&r, 0, 0); /* the first refill after a drain is of one frame */
    pfns[held++] = take(&r, 0, 0); /* and a magazine has some again */
    assert_true(cached_frames(&r) > 0);
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_FALLBACK, &pfn), QUIRE_ERR_NO_MEMORY);
    give_many(&r, held, pfns);
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_low),  cmocka_unit_test(at_high), cmocka_unit_test(between),
        cmocka_unit_test(maintained), cmocka_unit_test(reserve),
    };

    return run_unit(argc, argv, tests);
}
