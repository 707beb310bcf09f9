/* SPDX-License-Identifier: MIT
 *
 * hotplug.c - the machine changes while all CPUs allocate: new topologies, each with a grace
 * period, and blocks that go out of service and come back.
 *
 * The first CPU changes things, all others run the load of stress.c. Frames that are out of
 * service belong to the first CPU, as far as the shadow knows: if one is handed out, it is seen.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/random_load.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "x86.h"

enum { RUNS = 512, BLOCK = 512, OFFLINE_TAG = 0x0ff };

static struct random_load *loads[CPUS_MAX];
static struct quire_topology other; /* as the machine's, with two nodes farther apart */
static uint64_t duration, changes, offline, busy, odd;
static bool over;

static void change_topology(void)
{
    const struct quire_topology *next = changes % 2 ? &memory.topology : &other;

    odd += quire_machine_set_topology(memory.up.machine, next) != QUIRE_OK;
    changes++;
}

/* Is every frame of the run one to hand out? What is reserved, or a hole, stays that in a block
 * that goes, and must not come into use with it when it comes back. */
static bool is_plain(const struct quire_zone *zone, const struct quire_run *run)
{
    for (uint64_t i = 0; i < run->frames; i++) {
        enum quire_frame_state state;

        if (quire_zone_frame_state(zone, quire_pfn_of(run->pfn.n + i), &state) ||
            state >= QUIRE_FRAME_RESERVED)
            return false;
    }
    return true;
}

/* A block of a zone, chosen at random, goes and comes back, unless somebody holds a frame of it. */
static void change_block(random *r)
{
    struct quire_zone *zone = &memory.up.zones[random_below(r, memory_zone_count())];
    struct quire_run extent, run = {.frames = BLOCK};
    size_t blockers = 0;
    int error;

    if (quire_zone_extent(zone, 0, &extent))
        return;
    run.pfn.n = extent.pfn.n + (uint64_t)random_below(r, (uint32_t)(extent.frames / BLOCK)) * BLOCK;
    if (!is_plain(zone, &run))
        return;
    error = quire_machine_offline(memory.up.machine, run, NULL, NULL, NULL, 0, &blockers);
    if (error) {
        busy++;
        return;
    }
    offline++;
    shadow_take(run.pfn, run.frames, OFFLINE_TAG, SHADOW_LIGHT);
    clock_wait_us(100);
    shadow_give(run.pfn, run.frames, OFFLINE_TAG, SHADOW_LIGHT);
    odd += quire_machine_online(memory.up.machine, run) != QUIRE_OK;
}

static void change(uint64_t seed)
{
    random r = random_from(seed, CPUS_MAX);
    uint64_t start = rdtsc();

    while (rdtsc() - start < duration) {
        change_topology();
        change_block(&r);
    }
    if (changes % 2) /* leave the machine as it was */
        change_topology();
    __atomic_store_n(&over, true, __ATOMIC_RELEASE); /* pairs with use */
}

static void use(struct random_load *m)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        random_load_step(m);
        work_quiet();
    }
    random_load_empty(m);
}

static void use_or_change(void *argument)
{
    const uint64_t *seed = argument;

    work_meet();
    if (cpu_id() == 0)
        change(*seed);
    else
        use(loads[cpu_id()]);
}

void suite_hotplug(const struct options *options)
{
    struct quire_machine_stats before = {0}, after = {0};
    uint64_t seed = options->seed;
    uint32_t nodes = memory.topology.node_count;

    other = memory.topology;
    if (nodes > 1)
        other.distance[0][nodes - 1] = other.distance[nodes - 1][0] = 200;
    changes = offline = busy = odd = 0;
    over = false;
    shadow_begin();
    for (uint32_t i = 0; i < cpu_count; i++)
        loads[i] = random_load_make(RUNS, 0, options->seed, i, cpus[i]->node);
    zone_audit_begin();
    (void)quire_machine_stats(memory.up.machine, &before);
    duration = options->seconds * clock_tsc_hz();
    work_on_all(use_or_change, &seed);
    (void)quire_machine_stats(memory.up.machine, &after);
    tap_note("%lu topologies; %lu blocks out of service and back, %lu were in use", changes,
             offline, busy);
    tap_equal(odd, 0, "changes that were refused oddly");
    tap(changes > 0 && after.snapshots - before.snapshots >= changes,
        "each change published a snapshot, and its grace period ended");
    shadow_end("hot-plug");
    zone_audit_end("hot-plug");
    for (uint32_t i = 0; i < cpu_count; i++)
        random_load_unmake(loads[i]);
}
