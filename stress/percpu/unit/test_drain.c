/* SPDX-License-Identifier: MIT
 *
 * test_drain.c - how frames get out of the caches: drained from any CPU, by retirement, by decay,
 * by memory pressure, and because somebody would be refused otherwise.
 *
 * "Elsewhere" is another CPU; with one CPU only it is the same one.
 */
#include "unit.h"

#include "percpu/cpu_cache.h"

static void open_default(struct rig *r, uint64_t frames)
{
    rig_begin(r, frames);
    r->usable[0].pfn = quire_pfn_of(16 * BLOCK); /* aligned for runs of order 12 */
    r->cache_config.rounds = 64;
    r->cache_config.huge_rounds = 4;
    r->cache_config.depot = 8;
    rig_open(r);
}

/* Leave frames of all classes in the CPU caches of a CPU and in the depot. */
static uint64_t leave_frames(struct rig *r, uint32_t cpu)
{
    uint64_t pfns[200], block;

    run_on(r, cpu);
    for (uint32_t flags = 0; flags <= QUIRE_MOVABLE; flags++) {
        take_many(r, flags, 200, pfns);
        give_many(r, 200, pfns);
    }
    block = take(r, 9, 0);
    give(r, block, 9);
    check_rest(r, 0);
    return cached_frames(r);
}

static void drain_one(void **unused)
{
    struct quire_cache_stats s;
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    (void)leave_frames(&r, elsewhere());
    run_on(&r, HERE);
    assert_int_equal(quire_cache_drain(&r.cache, r.cache.cpus), QUIRE_ERR_SIZE);
    assert_ok(quire_cache_drain(&r.cache, cpu_name(elsewhere())));
    s = stats_of(&r);
    assert_int_equal(cached_frames(&r) - depot_of(&r), 0);
    assert_true(depot_of(&r) > 0); /* the depot is the zone's, not a CPU's */
    assert_int_equal(s.drains, 3);
    check_rest(&r, 0);
    assert_ok(quire_cache_drain(&r.cache, cpu_name(elsewhere()))); /* nothing there */
    assert_int_equal(stats_of(&r).drains, 3);
    rig_close(&r, 0);
}

/* Refills fetch half a magazine; after a drain they begin with one round, and double. */
static void refills_grow(void **unused)
{
    enum { HALF = 32, TAKEN = 3 * HALF };
    static const uint64_t want[] = {HALF, 1, 2, 4, 8, 16, HALF, HALF};
    static const unsigned orders[] = {0, 2};

    (void)unused;
    for (size_t o = 0; o < 2; o++) {
        unsigned order = orders[o];
        uint64_t pfns[TAKEN], half, n = 0;
        struct rig r;

        rig_begin(&r, 64 * BLOCK);
        r.cache_config.rounds = 2 * HALF;
        r.cache_config.depot = 0;
        rig_open(&r);
        run_on(&r, HERE);
        half = r.cache.capacity[cached_class_of(order, 0)] / 2;
        assert_in_range(half, order ? 4 : HALF, HALF);
        for (size_t i = 0; i < sizeof want / sizeof want[0] && n < TAKEN; i++) {
            uint64_t fetched = (want[i] < half ? want[i] : half) << order;
            uint64_t before = quire_zone_free_frames(&r.zone);

            pfns[n++] = take(&r, order, 0);
            assert_int_equal(before - quire_zone_free_frames(&r.zone), fetched);
            if (i == 0)
                assert_ok(quire_cache_drain_all(&r.cache));
            while (cached_frames(&r) > 0)
                pfns[n++] = take(&r, order, 0);
        }
        while (n > 0)
            give(&r, pfns[--n], order);
        rig_close(&r, 0);
    }
}

/* Draining one CPU leaves the others' CPU caches alone. */
static void drain_one_of_two(void **unused)
{
    struct rig r;
    uint64_t both, one;

    (void)unused;
    if (elsewhere() == HERE) {
        print_message("one CPU only: no second one to be left alone\n");
        skip();
    }
    open_default(&r, 64 * BLOCK);
    (void)leave_frames(&r, HERE);
    assert_ok(quire_cache_drain_all(&r.cache));
    (void)leave_frames(&r, HERE);
    one = cached_frames(&r) - depot_of(&r);
    (void)leave_frames(&r, elsewhere());
    both = cached_frames(&r) - depot_of(&r);
    assert_true(both > one);
    assert_ok(quire_cache_drain(&r.cache, cpu_name(elsewhere())));
    assert_int_equal(cached_frames(&r) - depot_of(&r), one);
    rig_close(&r, 0);
}

static void drain_all(void **unused)
{
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    for (uint32_t cpu = 0; cpu < cpu_count(); cpu++)
        (void)leave_frames(&r, cpu);
    run_on(&r, HERE);
    assert_ok(quire_cache_drain_all(&r.cache));
    assert_int_equal(cached_frames(&r), 0);
    assert_int_equal(quire_zone_free_frames(&r.zone), 64 * BLOCK);
    rig_close(&r, 0);
}

/* A CPU that goes away gives up magazines, credit and home blocks; later it comes back. */
static void retire(void **unused)
{
    struct quire_zone_stats z;
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    for (int turn = 0; turn < 3; turn++) {
        (void)leave_frames(&r, elsewhere());
        run_on(&r, HERE);
        assert_ok(quire_cache_retire_cpu(&r.cache, cpu_name(elsewhere())));
        assert_int_equal(cached_frames(&r) - depot_of(&r), 0);
    }
    assert_ok(quire_cache_drain_all(&r.cache));
    assert_ok(quire_cache_retire_cpu(&r.cache, cpu_name(elsewhere())));
    assert_ok(quire_zone_stats(&r.zone, &z)); /* no home block stays split */
    assert_int_equal(z.split_blocks, 0);
    assert_int_equal(z.whole_free_blocks, 64);
    assert_int_equal(quire_cache_retire_cpu(&r.cache, r.cache.cpus), QUIRE_ERR_SIZE);
    rig_close(&r, 0);
}

/* An idle cache is empty after two calls; one that is in use keeps its frames. */
static void decay(void **unused)
{
    struct quire_cache_stats before;
    struct rig r;
    uint64_t cached;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    cached = leave_frames(&r, HERE);
    assert_true(quire_cache_maintain(&r.cache) + quire_cache_maintain(&r.cache) == cached);
    assert_int_equal(cached_frames(&r), 0);
    check_rest(&r, 0);
    before = stats_of(&r); /* with nothing to do it does nothing */
    for (int i = 0; i < 10; i++)
        assert_int_equal(quire_cache_maintain(&r.cache), 0);
    assert_int_equal(stats_of(&r).drains, before.drains);
    rig_close(&r, 0);
}

/* A CPU cache that is used between the calls keeps its frames. */
static void no_decay_in_use(void **unused)
{
    uint64_t pfns[10];
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    run_on(&r, HERE);
    take_many(&r, 0, 10, pfns);
    for (size_t i = 10; i < 100; i++) {
        (void)take(&r, 0, 0);
        assert_int_equal(quire_cache_maintain(&r.cache), 0);
    }
    assert_int_equal(stats_of(&r).drains, 0);
    assert_true(cached_frames(&r) > 0);
    check_rest(&r, 100);
    rig_close(&r, 100);
}

/* Nor does one lose them whose hits cancel out. */
static void no_decay_in_balance(void **unused)
{
    uint64_t pfns[10];
    struct rig r;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    run_on(&r, HERE);
    take_many(&r, 0, 10, pfns);
    (void)quire_cache_maintain(&r.cache);
    for (int i = 0; i < 100; i++) {
        give(&r, take(&r, 0, 0), 0);
        assert_int_equal(quire_cache_maintain(&r.cache), 0);
    }
    assert_int_equal(stats_of(&r).drains, 0);
    assert_true(cached_frames(&r) > 0);
    rig_close(&r, 10);
}

/* Of the frames that nobody holds all but one are cached on another CPU: that one is had, and then
 * the others. */
static void last_frame(void **unused)
{
    enum { FRAMES = 32 * BLOCK, LAST = QUIRE_CACHE_MAX_ROUNDS };
    static uint64_t pfns[FRAMES];
    struct rig r;
    quire_pfn pfn;

    (void)unused;
    rig_begin(&r, FRAMES);
    r.cache_config.rounds = QUIRE_CACHE_MAX_ROUNDS;
    r.cache_config.huge_rounds = 0;
    rig_open(&r);
    run_on(&r, elsewhere());
    take_many(&r, 0, FRAMES, pfns);
    give_many(&r, LAST - 1, pfns);
    assert_int_equal(cached_frames(&r), LAST - 1);
    assert_ok(quire_zone_free(&r.zone, quire_slot_of(0), quire_pfn_of(pfns[LAST - 1]), 0));
    run_on(&r, HERE);
    take_many(&r, QUIRE_MOVABLE, LAST, pfns); /* of the other class, too */
    check_rest(&r, FRAMES);
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_EMERGENCY, &pfn), QUIRE_ERR_NO_MEMORY);
    give_many(&r, FRAMES, pfns);
    rig_close(&r, 0);
}

/* The only run that is left in the zone is asked for, while frames of it are cached elsewhere. */
static void large_request(void **unused)
{
    enum { FRAMES = 64 * BLOCK };
    struct rig r;

    (void)unused;
    for (unsigned order = 1; order <= 12; order++) {
        uint64_t pfn;

        open_default(&r, FRAMES);
        run_on(&r, elsewhere());
        for (uint64_t left = FRAMES >> order; left > 1; left--) {
            quire_pfn held;

            assert_ok(quire_zone_alloc(&r.zone, quire_slot_of(0), order, 0, &held));
        }
        pfn = take(&r, 0, 0);
        give(&r, pfn, 0);
        assert_true(cached_frames(&r) > 0);
        run_on(&r, HERE);
        assert_int_equal(take(&r, order, 0), pfn >> order << order);
        check_rest(&r, FRAMES);
        rig_close(&r, FRAMES);
    }
}

/* Blocks of order 9 in somebody's CPU cache do not make requests for frames fail, nor the reverse.
 */
static void blocks_and_frames(void **unused)
{
    static uint64_t pfns[64 * BLOCK];
    struct rig r;
    uint64_t block;

    (void)unused;
    open_default(&r, 64 * BLOCK);
    run_on(&r, elsewhere());
    block = take(&r, 9, 0);
    give(&r, block, 9);
    assert_true(stats_of(&r).cached[CACHE_HUGE] >= 2 * BLOCK);
    run_on(&r, HERE);
    take_many(&r, 0, 64 * BLOCK, pfns);
    check_rest(&r, 64 * BLOCK);
    run_on(&r, elsewhere());
    give_many(&r, 64 * BLOCK, pfns);
    run_on(&r, HERE);
    for (int i = 0; i < 64; i++)
        (void)take(&r, 9, 0);
    check_rest(&r, 64 * BLOCK);
    rig_close(&r, 64 * BLOCK);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drain_one),
        cmocka_unit_test(refills_grow),
        cmocka_unit_test(drain_one_of_two),
        cmocka_unit_test(drain_all),
        cmocka_unit_test(retire),
        cmocka_unit_test(decay),
        cmocka_unit_test(no_decay_in_use),
        cmocka_unit_test(no_decay_in_balance),
        cmocka_unit_test(last_frame),
        cmocka_unit_test(large_request),
        cmocka_unit_test(blocks_and_frames),
    };

    return run_unit(argc, argv, tests);
}
