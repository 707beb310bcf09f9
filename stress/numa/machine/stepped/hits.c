/* SPDX-License-Identifier: MIT
 *
 * hits.c - the hits of a zone cache that is replaced are counted once, whatever a drain by a reader
 * of the new snapshot does beside the writer (K7 of percpu/cpu_cache.h).
 *
 * A child changes the topology, so that a zone gets a wider cache. While the change waits for
 * readers, a drain is under way, which finds rounds in a CPU cache of the old one. Before it takes
 * that, the old cache is closed; and at every instruction of what it does from then on its hits are
 * moved to the counts of their CPU, as the change does after its wait. The change goes on, and the
 * topology is changed back: the figures must be those of the allocations.
 */
#include "numa/machine/machine.h"

#include "stress/common/tracee.h"
#include "stress/numa/machine/machine_rig.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { HITS = 20, INSTRUCTIONS = 5000 };

static struct rig rig;
static struct zone_cache *replaced;
static unsigned signals;

/* ---- The child ------------------------------------------------------------------------------ */

static void handle(int signal)
{
    (void)signal;
    if (++signals == 1) {
        if (!qi_cache_close(&replaced->cache))
            die("the drain has the CPU cache already");
    } else {
        qi_zone_cache_save_hits(rig.machine, qi_machine_snapshot(rig.machine), replaced);
    }
    (void)raise(SIGSTOP);
}

static uint32_t no_enter(void *ctx)
{
    (void)ctx;
    return 0;
}

static void no_leave(void *ctx, uint32_t entered)
{
    (void)ctx;
    (void)entered;
}

/* In place of waiting: the only reader is of the new snapshot. */
static void drain_meanwhile(void *ctx)
{
    (void)ctx;
    if (replaced) /* the second change */
        return;
    replaced = qi_machine_snapshot(rig.machine)->entries[0].previous;
    if (!replaced || cpu_cache_count(cpu_cache_of(&replaced->cache, 0, CACHE_UNMOVABLE)) == 0)
        die("there is nothing to be drained");
    (void)raise(SIGSTOP);
    must(quire_machine_drain_cpu(rig.machine, 0), "drain_cpu");
    (void)raise(SIGSTOP);
}

static void check_hits(const char *when)
{
    struct quire_node_stats stats = rig_stats(&rig, 0);

    if (stats.counts[QUIRE_NODE_HIT] != HITS || stats.counts[QUIRE_NODE_LOCAL] != HITS)
        die("%s: %" PRIu64 " hits, %" PRIu64 " of them local, not %d", when,
            stats.counts[QUIRE_NODE_HIT], stats.counts[QUIRE_NODE_LOCAL], HITS);
}

static void play(void)
{
    static struct quire_topology wider;
    quire_pfn pfn;

    for (unsigned i = 0; i < HITS; i++) {
        must(quire_machine_alloc(rig.machine, 0, 0, &pfn), "alloc");
        must(quire_machine_free(rig.machine, pfn, 0), "free");
    }
    check_hits("before");
    wider = rig.topology;
    wider.cpu_node[2] = 0;
    must(quire_machine_set_topology(rig.machine, &wider), "set_topology");
    check_hits("in the wider cache");
    must(quire_machine_set_topology(rig.machine, &rig.topology), "set_topology");
    check_hits("back");
    rig_close(&rig);
}

static const struct scene change = {"drain beside a change", NULL, play, NULL};

void scene_play(const struct scene *scene)
{
    scene->act();
    _exit(0);
}

/* ---- The parent ----------------------------------------------------------------------------- */

/* A child that has closed the cache, stopped before its drain flushes what it took. */
static struct tracee start_closed(void)
{
    const uintptr_t flush = (uintptr_t)qi_cpu_cache_flush;
    struct tracee t = tracee_stop_at(&change, (uintptr_t)qi_cpu_cache_take, 1);
    uint64_t was;

    if (tracee_run(&t, SIGUSR1) != STOP_PAUSE)
        die("the cache was not closed");
    was = tracee_break(&t, flush);
    if (tracee_run(&t, 0) != STOP_TRAP || !tracee_at(&t, flush))
        die("the drain did not get the CPU cache");
    tracee_poke(&t, flush, was);
    return t;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = handle};
    bool more = true;
    unsigned n = 0;

    skip_unless_watchable();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, 2, 2);
    (void)rig_zone(&rig, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(&rig, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig.config.port.enter = no_enter;
    rig.config.port.leave = no_leave;
    rig.config.port.wait_for_readers = drain_meanwhile;
    rig_open(&rig);
    for (; more; n++) {
        struct tracee t = start_closed();

        for (unsigned i = 0; i < n && more; i++)
            more = tracee_step(&t, 0) == STOP_TRAP && tracee_in_program(tracee_ip(&t));
        if (more && tracee_run(&t, SIGUSR1) != STOP_PAUSE)
            die("instruction %u: the hits were not moved", n);
        tracee_finish(&t);
        if (n == INSTRUCTIONS)
            die("more than %d instructions", INSTRUCTIONS);
    }
    printf("the hits were moved at each of %u instructions of a drain: clean\n", n - 1);
    if (n < 20)
        die("this was no test");
    return 0;
}
