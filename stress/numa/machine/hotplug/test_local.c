/* SPDX-License-Identifier: MIT
 *
 * test_local.c - a machine whose caches are in local mode: what its port must have, drains that ask
 * CPUs, hot-plug that waits for their answers, and a CPU that the machine does not know. White-box.
 */
#include "stress/numa/machine/unit.h"

#include "numa/machine/machine.h"

enum { CPUS = 4, OFFLINE = 3, CACHED = 24, MOST_ASKS = 1000 };

static struct rig rig;
static unsigned asks,
    answers_late; /* CPUs answer when they are asked the next time after so many */

/* The CPU is asleep, and woken; OFFLINE, and those that do not exist, are not there. */
static bool ask_drain(void *ctx, uint32_t cpu)
{
    const struct rig *r = ctx;
    uint32_t before = rig_cpu;

    if (++asks > MOST_ASKS)
        die("CPUs are asked again and again, and do not find what for");
    if (cpu >= OFFLINE)
        return false;
    if (answers_late > 0) {
        answers_late--;
        return true;
    }
    rig_cpu = cpu;
    quire_machine_answer(r->machine);
    rig_cpu = before;
    return true;
}

/* Two nodes, two CPUs each, of which the last one is offline. */
static void begin(struct rig *r)
{
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    r->config.mode = QUIRE_CACHE_LOCAL;
    r->config.port.ask_drain = ask_drain;
    asks = answers_late = 0;
}

/* Leave frames in the caches of a CPU. */
static void leave_frames(struct rig *r, uint32_t cpu)
{
    uint64_t pfns[CACHED];

    rig_cpu = cpu;
    for (unsigned i = 0; i < CACHED; i++)
        pfns[i] = take(r, 0, 0);
    for (unsigned i = 0; i < CACHED; i++)
        give(r, pfns[i], 0);
}

/* A machine with frames in the caches of a CPU, seen by CPU 0; nobody was asked yet. */
static struct rig *open_with_cached(uint32_t cpu)
{
    begin(&rig);
    rig_open(&rig);
    leave_frames(&rig, cpu);
    rig_cpu = 0;
    asks = 0;
    return &rig;
}

static uint64_t cached(struct rig *r)
{
    struct quire_machine_stats s;

    assert_ok(quire_machine_stats(r->machine, &s));
    return s.cached;
}

static void wrong_ports(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    begin(r);
    r->config.port.ask_drain = NULL;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.port.ask_drain = ask_drain;
    r->config.port.cpu = NULL;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    rig_free_zones(r);
}

static void drains(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    begin(r);
    rig_open(r);
    assert_int_equal(qa_load(&r->machine->mode, relaxed), QUIRE_CACHE_LOCAL);
    leave_frames(r, 1);
    leave_frames(r, 2);
    rig_cpu = 0;
    asks = 0;
    assert_ok(quire_machine_drain_cpu(r->machine, 1));
    assert_int_equal(asks, 1);
    assert_ok(quire_machine_drain(r->machine));
    assert_int_equal(asks, 2);
    assert_int_equal(cached(r), 0);
    rig_close(r);
}

/* All frames of a zone but those in another CPU's cache are used: the request asks for them. */
static void last_frames(void **unused)
{
    static uint64_t pfns[32 * BLOCK];
    struct rig *r = open_with_cached(1);

    (void)unused;
    for (unsigned i = 0; i < 32 * BLOCK; i++)
        pfns[i] = take(r, 0, 0);
    assert_int_equal(cached(r), 0);
    for (unsigned i = 0; i < 32 * BLOCK; i++)
        give(r, pfns[i], 0);
    rig_close(r);
}

/* A CPU that is asked and does nothing but hits answers by its next free. */
static void hits_answer(void **unused)
{
    struct rig *r = open_with_cached(1);
    uint64_t pfn;

    (void)unused;
    answers_late = 1;
    assert_ok(quire_machine_drain_cpu(r->machine, 1));
    assert_true(cached(r) >= CACHED);
    rig_cpu = 1;
    pfn = take(r, 0, 0);
    assert_true(cached(r) >= CACHED - 1);
    give(r, pfn, 0);
    assert_true(cached(r) <= 1);
    rig_close(r);
}

/* A CPU that goes away is not asked. */
static void retires(void **unused)
{
    struct rig *r = open_with_cached(1);

    (void)unused;
    assert_ok(quire_machine_retire_cpu(r->machine, 1));
    assert_int_equal(asks, 0);
    assert_int_equal(rig_stats(r, 0).cached, 0);
    rig_close(r);
}

/* A zone leaves when all CPUs have answered, late ones too, and is not kept by those offline. */
static void zone_leaves(void **unused)
{
    struct rig *r = open_with_cached(2);

    (void)unused;
    answers_late = 3;
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
    assert_true(asks > 4);
    assert_int_equal(answers_late, 0);
    quire_machine_answer(r->machine); /* looks at the closed cache, whose zone is gone */
    rig_close(r);
}

/* Who runs on a CPU that the topology does not know is no CPU 0: its caches are not for it. */
static void unknown_cpu(void **unused)
{
    struct rig *r = &rig;
    uint64_t before, pfn;

    (void)unused;
    begin(r);
    rig_open(r);
    leave_frames(r, 0);
    before = cached(r);
    rig_cpu = CPUS + 1;
    pfn = take(r, 0, 0);
    assert_int_equal(cached(r), before);
    give(r, pfn, 0);
    assert_int_equal(cached(r), before);
    quire_machine_answer(r->machine);
    rig_cpu = 0;
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_ports), cmocka_unit_test(drains),  cmocka_unit_test(last_frames),
        cmocka_unit_test(hits_answer), cmocka_unit_test(retires), cmocka_unit_test(zone_leaves),
        cmocka_unit_test(unknown_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
