/* SPDX-License-Identifier: MIT
 *
 * stress.c - all CPUs at once, everything at random, each frame written and looked at again.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/devices/balloon.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/random_load.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "x86.h"

enum {
    RUNS_MOST = 4096,
    RUNS_LEAST = 64,
    DRAIN_EVERY = 4096,
    FRAMES_PER_RUN = 64,
    STEPS_LEAST = 200
};

static struct random_load *loads[CPUS_MAX];
static uint64_t duration, given; /* given: frames, atomic */

/* A CPU's table is as long as memory allows, with all CPUs' tables full, to be half full. */
static uint32_t table_size(void)
{
    uint64_t managed = 0, runs;

    for (uint32_t i = 0; i < memory_zone_count(); i++)
        managed += quire_zone_managed(&memory.up.zones[i]);
    runs = managed / cpu_count / FRAMES_PER_RUN;
    return runs < RUNS_LEAST ? RUNS_LEAST : runs > RUNS_MOST ? RUNS_MOST : (uint32_t)runs;
}

/* Now and then somebody drains somebody else's caches in the middle of it all, and gives back what
 * is free, where there is a device that takes it. */
static void stress(void *argument)
{
    struct random_load *m = loads[cpu_id()];
    const struct quire_give_back all_free = {0};
    uint64_t start, frames;

    (void)argument;
    work_meet();
    start = rdtsc();
    for (uint32_t n = 1; n < STEPS_LEAST || rdtsc() - start < duration; n++) {
        random_load_step(m);
        if (n % DRAIN_EVERY == 0)
            (void)quire_machine_drain_cpu(memory.up.machine, random_below(&m->random, cpu_count));
        if (n % DRAIN_EVERY == 0 && !balloon_fault()) {
            (void)quire_machine_give_back(memory.up.machine, quire_node_of(QUIRE_NO_NODE),
                                          &all_free, &frames);
            (void)__atomic_fetch_add(&given, frames, __ATOMIC_RELAXED);
        }
        if (n % 64 == 0)
            work_quiet();
    }
    random_load_empty(m);
}

void suite_stress(const struct options *options)
{
    uint64_t calls = 0, refused = 0, idle = 0;

    shadow_begin();
    for (uint32_t i = 0; i < cpu_count; i++)
        loads[i] = random_load_make(table_size(), 0, options->seed, i, cpus[i]->node);
    zone_audit_begin();
    duration = options->seconds * clock_tsc_hz();
    work_on_all(stress, NULL);
    for (uint32_t i = 0; i < cpu_count; i++) {
        calls += loads[i]->calls;
        refused += loads[i]->refused;
        idle += loads[i]->calls < STEPS_LEAST / 2;
    }
    tap_note("%lu calls on %u CPUs in %lu s, %lu refusals", calls, cpu_count, options->seconds,
             refused);
    if (!balloon_fault())
        tap(given > 0, "%lu frames were given back meanwhile", given);
    tap_equal(idle, 0, "CPUs that did not have their turn");
    shadow_end("stress");
    zone_audit_end("stress");
    for (uint32_t i = 0; i < cpu_count; i++)
        random_load_unmake(loads[i]);
}
