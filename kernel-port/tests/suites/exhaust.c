/* SPDX-License-Identifier: MIT
 *
 * exhaust.c - the end of memory: watermarks, floors, who may go below, and the way back; and
 * caches that are drained from another CPU, which that hears of in local mode alone.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/frame_list.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"

enum { CACHED = 100, LATE_US = 20000, SMALL = 4096 };

static struct frame_list lists[CPUS_MAX];
static struct quire_zone *zone;
static uint32_t flags;

/* All CPUs at once, until each is refused; and once more, when no debit is in motion. */
static void take(void *argument)
{
    struct frame_list *list = &lists[cpu_id()];

    (void)argument;
    list->tag = cpu_id();
    work_meet();
    frame_list_take(list, zone, flags, UINT64_MAX);
    work_meet();
    frame_list_take(list, zone, flags, UINT64_MAX);
}

static void release(void *argument)
{
    (void)argument;
    frame_list_free(&lists[cpu_id()]);
}

static bool take_down_to(uint32_t with, uint64_t floor, const char *what)
{
    flags = with | QUIRE_MOVABLE;
    work_on_all(take, NULL);
    return tap_equal(quire_zone_free_frames(zone), floor, what);
}

static void test_zone(uint32_t index)
{
    uint64_t *events = memory.events[index];
    uint64_t before[QUIRE_EVENTS];
    struct quire_zone_stats s;
    char what[96];

    zone = &memory.up.zones[index];
    (void)quire_zone_stats(zone, &s);
    tap_note("zone %u: %lu frames free, watermarks %lu/%lu/%lu", index, s.free, s.min, s.low,
             s.high);
    for (unsigned i = 0; i < QUIRE_EVENTS; i++)
        before[i] = events[i];
    tap_equal(quire_zone_pressure(zone), 0, "pressure before");
    take_down_to(0, s.min, "frames left by ordinary requests of all CPUs, min");
    tap_equal(quire_zone_pressure(zone), 100, "pressure at min");
    take_down_to(QUIRE_HIGH, s.min / 2, "frames left by high requests, half of min");
    take_down_to(QUIRE_EMERGENCY, 0, "frames left by emergencies");
    tap_equal(events[QUIRE_EVENT_LOW] - before[QUIRE_EVENT_LOW], 1, "times that low was told");
    tap_equal(events[QUIRE_EVENT_MIN] - before[QUIRE_EVENT_MIN], 1, "times that min was told");
    tap_equal(events[QUIRE_EVENT_RECOVERED] - before[QUIRE_EVENT_RECOVERED], 0,
              "times that recovery was told too early");
    work_on_all(release, NULL);
    tap_equal(events[QUIRE_EVENT_RECOVERED] - before[QUIRE_EVENT_RECOVERED], 1,
              "times that recovery was told");
    (void)print_into(what, sizeof what, "zone %u", index);
    shadow_end(what);
}

/* A node that is full refuses who is bound to it; others are served by the nearest with memory. */
static void test_fall_back(void)
{
    uint32_t node = cpus[0]->node;
    struct quire_policy bind = {.mode = QUIRE_POLICY_BIND,
                                .nodes = quire_nodemask_of(quire_node_of(node))};
    struct quire_request want = {.near_node = quire_near_of(quire_node_of(node))};
    quire_node order[QUIRE_NODES], got;
    uint32_t nodes = quire_topology_order(&memory.topology, quire_node_of(node), order), next = 1;
    struct quire_zone *there;
    quire_pfn pfn;

    while (next < nodes && !memory_zone_of(order[next].n, QUIRE_ZONE_NORMAL) &&
           !memory_zone_of(order[next].n, QUIRE_ZONE_DMA32))
        next++;
    if (next == nodes) {
        tap_skip("fall back", "only one node has memory");
        return;
    }
    flags = QUIRE_EMERGENCY | QUIRE_MOVABLE;
    for (uint32_t i = 0; i < memory_zone_count(); i++) {
        zone = &memory.up.zones[i];
        if (memory.up.plan.zones[i].node == node)
            work_on_all(take, NULL);
    }
    want.policy = &bind;
    tap(quire_machine_request(memory.up.machine, &want, &pfn, NULL) != QUIRE_OK,
        "a full node refuses who is bound to it");
    want.policy = NULL;
    if (tap(!quire_machine_request(memory.up.machine, &want, &pfn, NULL),
            "who is not bound is served")) {
        tap(!quire_machine_find(memory.up.machine, pfn, &got, &there) && got.n == order[next].n,
            "by the nearest node with memory, %u", order[next].n);
        tap(!quire_machine_free(memory.up.machine, pfn, 0), "and gives it back");
    }
    work_on_all(release, NULL);
    shadow_end("fall back");
}

/* Leave frames of the CPU's own node in its caches. */
static void fill_caches(void *argument)
{
    quire_pfn pfns[CACHED];
    unsigned n = 0;

    (void)argument;
    while (n < CACHED && !quire_machine_alloc(memory.up.machine, 0, 0, &pfns[n]))
        n++;
    while (n)
        if (quire_machine_free(memory.up.machine, pfns[--n], 0))
            shadow_wrong("a free was refused", pfns[n], 0, 0);
}

static uint64_t free_frames(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < memory_zone_count(); i++)
        n += quire_zone_free_frames(&memory.up.zones[i]);
    return n;
}

/* Interrupts that CPUs have had: to wake them, and NMIs. */
static uint64_t interrupts(void)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < cpu_count; i++)
        n += cpus[i]->wakes + __atomic_load_n(&cpus[i]->nmis, __ATOMIC_ACQUIRE);
    return n;
}

static void test_remote_drain(bool local)
{
    uint64_t before, heard, cached, kept;

    (void)quire_machine_drain(memory.up.machine);
    before = free_frames();
    work_on_all(fill_caches, NULL);
    clock_wait_us(LATE_US); /* a wake-up that came too late for its work */
    cached = before - free_frames();
    heard = interrupts();
    for (uint32_t i = 0; i < cpu_count; i++)
        (void)quire_machine_drain_cpu(memory.up.machine, i);
    kept = interrupts();
    (void)quire_machine_drain(memory.up.machine); /* the depots, which are nobody's */
    kept = interrupts() - kept;
    heard = interrupts() - heard;
    tap_note("%lu frames were in the caches of %u CPUs", cached, cpu_count);
    if (before < SMALL)
        tap_skip("caches keep frames", "this machine is too small for caches");
    else
        tap(cached > 0, "caches kept frames");
    tap_equal(free_frames(), before, "free frames after one CPU drained all");
    if (local)
        tap((heard > 0) == (cached > 0 && cpu_count > 1), "%lu NMIs asked the others", heard);
    else
        tap_equal(heard, 0, "interrupts that it took the others");
    tap_equal(kept, 0, "and none for CPUs that have nothing");
}

void suite_exhaust(const struct options *options)
{
    shadow_begin();
    zone_audit_begin();
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        if (memory.up.plan.zones[i].config.type <= QUIRE_ZONE_NORMAL)
            test_zone(i);
    test_fall_back();
    test_remote_drain(options->mode == QUIRE_CACHE_LOCAL);
    zone_audit_end("exhaustion");
}
