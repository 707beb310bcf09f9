/* SPDX-License-Identifier: MIT
 *
 * test_asked.c - local mode: what a CPU that was asked for its frames does, and what it need not
 * do. The port's `ask_drain` does nothing here but note whom it was to ask, so that the other CPU
 * answers when the test lets it.
 */
#include "unit.h"

#include "percpu/fastpath.h"

enum { THERE = 1, FRAMES = 64 * BLOCK, ROUNDS = 64 };

static bool online;
static uint32_t last_asked;

static bool note(uint32_t cpu)
{
    last_asked = cpu;
    return online;
}

/* CPU THERE has as many frames as a magazine holds; this is CPU HERE. */
static void begin(struct rig *r)
{
    uint64_t pfns[ROUNDS];

    online = true;
    rig_begin(r, FRAMES);
    r->cache_config.rounds = ROUNDS;
    r->cache_config.depot = 0;
    r->ask = note;
    rig_open(r);
    run_on(r, THERE);
    take_many(r, 0, ROUNDS, pfns);
    give_many(r, ROUNDS, pfns);
    assert_true(cached_frames(r) >= ROUNDS / 2);
    run_on(r, HERE);
    last_asked = UINT32_MAX;
    r->asks = 0;
}

static void end(struct rig *r, uint64_t used)
{
    r->ask = NULL;
    rig_close(r, used);
}

static uint64_t asked_there(const struct rig *r)
{
    return qa_load(&views_of(&r->cache)[THERE].asked, relaxed);
}

/* Nobody but the owner takes anything; it answers at its next free. */
static void answers_at_a_free(void **unused)
{
    struct rig r;
    uint64_t pfn, before;

    (void)unused;
    begin(&r);
    run_on(&r, THERE);
    pfn = take(&r, 0, 0);
    before = cached_frames(&r);
    run_on(&r, HERE);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    assert_int_equal(last_asked, THERE);
    assert_int_equal(r.asks, 1);
    assert_int_equal(cached_frames(&r), before);
    run_on(&r, THERE);
    give(&r, pfn, 0);
    assert_int_equal(cached_frames(&r), 1);
    assert_int_equal(asked_there(&r), 0);
    end(&r, 0);
}

/* The same of a run, and of a frame of a sparse block. */
static void answers_at_other_frees(void **unused)
{
    struct rig r;
    uint64_t run, frame, sparse;

    (void)unused;
    begin(&r);
    run_on(&r, THERE);
    run = take(&r, 1, 0);
    frame = take(&r, 0, 0);
    sparse = take(&r, 0, 0);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    give(&r, run, 1);
    assert_int_equal(cached_frames(&r), 2);
    qa_store(&r.cache.state->sparse_limit, 0, relaxed);
    give(&r, frame, 0);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    give(&r, sparse, 0);
    assert_int_equal(cached_frames(&r), 1);
    end(&r, 0);
}

/* ... at its next refill, */
static void answers_at_a_refill(void **unused)
{
    struct rig r;

    (void)unused;
    begin(&r);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    run_on(&r, THERE);
    give(&r, take(&r, 1, 0), 1); /* a refill of another class */
    assert_int_equal(stats_of(&r).cached[CACHE_UNMOVABLE], 0);
    end(&r, 0);
}

/* ... at its next batch, */
static void answers_at_a_batch(void **unused)
{
    quire_pfn pfns[2];
    struct rig r;

    (void)unused;
    begin(&r);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    run_on(&r, THERE);
    assert_false(qi_view_pop_batch(view_of(&r.cache, THERE), CACHE_UNMOVABLE, pfns, 2));
    assert_int_equal(cached_frames(&r), 0);
    end(&r, 0);
}

/* ... and when the port says so: its own CPU alone. */
static void answers_when_called(void **unused)
{
    struct rig r;
    uint64_t before;

    (void)unused;
    begin(&r);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    before = cached_frames(&r);
    quire_cache_answer(&r.cache);
    assert_int_equal(cached_frames(&r), before);
    run_on(&r, THERE);
    quire_cache_answer(&r.cache);
    assert_int_equal(cached_frames(&r), 0);
    run_on(&r, r.cache.cpus); /* has no CPU caches */
    quire_cache_answer(&r.cache);
    end(&r, 0);
}

/* The call that an answer interrupts has its CPU cache: that stays asked for. */
static void taken_stays_asked(void **unused)
{
    struct cpu_cache *k;
    struct rig r;
    uint64_t before;

    (void)unused;
    begin(&r);
    k = cpu_cache_of(&r.cache, THERE, CACHE_UNMOVABLE);
    run_on(&r, THERE);
    assert_true(qi_cpu_cache_take(&r.cache, k, THERE));
    before = cached_frames(&r);
    assert_ok(quire_cache_drain(&r.cache, THERE));
    quire_cache_answer(&r.cache);
    assert_int_equal(cached_frames(&r), before);
    assert_int_equal(asked_there(&r), ask_drain_bit(CACHE_UNMOVABLE));
    cpu_cache_put(k);
    quire_cache_answer(&r.cache);
    assert_int_equal(cached_frames(&r), 0);
    end(&r, 0);
}

/* Who runs elsewhere does not get a CPU cache. */
static void not_from_elsewhere(void **unused)
{
    struct rig r;

    (void)unused;
    begin(&r);
    assert_false(qi_cpu_cache_take(&r.cache, cpu_cache_of(&r.cache, THERE, 0), THERE));
    end(&r, 0);
}

/* A request that must not call the port asks, and no more; the next one that may sees to it. */
static void no_callback(void **unused)
{
    static quire_pfn held[FRAMES];
    struct rig r;
    uint64_t n = 0, kept;
    quire_pfn pfn;

    (void)unused;
    begin(&r);
    kept = stats_of(&r).cached[CACHE_UNMOVABLE];
    while (quire_zone_alloc(&r.zone, quire_slot_of(0), 0, 0, &held[n]) == QUIRE_OK)
        n++;
    assert_int_equal(quire_cache_alloc(&r.cache, 0, QUIRE_NO_CALLBACK, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(r.asks, 0);
    assert_int_equal(cached_frames(&r), kept);
    assert_int_not_equal(asked_there(&r), 0);
    r.ask = NULL; /* it answers at once */
    assert_ok(quire_cache_alloc(&r.cache, 0, 0, &pfn));
    assert_int_equal(r.asks, 1);
    give(&r, pfn.n, 0);
    while (n > 0)
        assert_ok(quire_zone_free(&r.zone, quire_slot_of(0), held[--n], 0));
    end(&r, 0);
}

/* A CPU that went away is asked nothing: its CPU caches are taken. */
static void retired_is_not_asked(void **unused)
{
    struct rig r;

    (void)unused;
    begin(&r);
    assert_ok(quire_cache_retire_cpu(&r.cache, THERE));
    assert_int_equal(r.asks, 0);
    assert_int_equal(cached_frames(&r), 0);
    end(&r, 0);
}

/* Maintenance lets a CPU in use come to it, and wakes one that is idle. */
static void maintenance(void **unused)
{
    struct rig r;

    (void)unused;
    begin(&r);
    assert_int_equal(quire_cache_maintain(&r.cache), 0);
    assert_int_equal(r.asks, 0);
    assert_int_equal(quire_cache_maintain(&r.cache), 0);
    assert_int_equal(r.asks, 1);
    assert_int_equal(last_asked, THERE);
    r.ask = NULL;
    assert_true(quire_cache_maintain(&r.cache) >= ROUNDS / 2);
    assert_int_equal(cached_frames(&r), 0);
    end(&r, 0);
}

/* A cache is closed when all CPUs have answered, or are offline and have nothing. */
static void closing(void **unused)
{
    struct rig r;

    (void)unused;
    begin(&r);
    assert_false(qi_cache_close(&r.cache));
    run_on(&r, THERE);
    quire_cache_answer(&r.cache);
    online = false;
    assert_true(qi_cache_close(&r.cache));
    online = true;
    assert_false(qi_cache_close(&r.cache)); /* it may be in the middle of a push */
    qi_cache_open(&r.cache);
    for (uint32_t cpu = 0; cpu < r.cache.cpus; cpu++) {
        r.cpu = cpu;
        quire_cache_answer(&r.cache);
    }
    end(&r, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_at_a_free),
        cmocka_unit_test(answers_at_other_frees),
        cmocka_unit_test(answers_at_a_refill),
        cmocka_unit_test(answers_at_a_batch),
        cmocka_unit_test(answers_when_called),
        cmocka_unit_test(taken_stays_asked),
        cmocka_unit_test(not_from_elsewhere),
        cmocka_unit_test(no_callback),
        cmocka_unit_test(retired_is_not_asked),
        cmocka_unit_test(maintenance),
        cmocka_unit_test(closing),
    };

    select_mode(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
