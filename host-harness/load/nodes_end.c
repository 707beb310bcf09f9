/* SPDX-License-Identifier: MIT
 *
 * nodes_end.c - after the threads of `quire run --topology` have ended: what they held is
 * freed, caches are drained, and the nodes' figures must add up. The zones are judged by end.c
 * then.
 *
 * State: nodes.h. Main thread; the reclaimer may still be awake, and is told to stop first.
 */
#include "calls.h"
#include "check.h"
#include "nodes.h"

#include <inttypes.h>
#include <time.h>

enum { TRIES = 50, PAUSE_MS = 20 };

static void stop_reclaiming(struct run *run)
{
    struct nodes *nodes = run->nodes;
    struct quire_host_stats stats;

    pthread_mutex_lock(&nodes->reclaiming);
    nodes->closed = true;
    pthread_mutex_unlock(&nodes->reclaiming);
    if (nodes->host) {
        (void)quire_host_stats(nodes->host, &stats);
        nodes->wakeups = stats.wakeups;
        nodes->reclaims = stats.reclaims;
        nodes->reclaimed = stats.reclaimed;
        return;
    }
    quire_reclaimer_stop(&nodes->reclaimer);
    /* relaxed: its thread has ended */
    nodes->wakeups = qa_load(&nodes->reclaimer.wakeups, relaxed);
    nodes->reclaims = qa_load(&nodes->reclaimer.calls, relaxed);
    nodes->reclaimed = qa_load(&nodes->reclaimer.frames, relaxed);
}

static void note_loaded(struct run *run)
{
    struct nodes *nodes = run->nodes;

    for (uint32_t n = 0; n < nodes->topology.node_count; n++) {
        int error = quire_machine_node_stats(nodes->machine, quire_node_of(n), &nodes->loaded[n]);

        if (error)
            run_violation(run, "figures of node %u: answered \"%s\"", n, quire_strerror(error));
    }
    (void)quire_machine_stats(nodes->machine, &nodes->machine_loaded);
    run->machine.metadata_bytes = nodes->machine_loaded.metadata_bytes;
}

static void free_held(struct run *run)
{
    const struct board_run nothing = {0};

    for (uint32_t t = 0; t < run->options.threads; t++) {
        struct bag *bag = &run->workers[t].bags[0];

        while (bag->count > 0 && !run_violated(run))
            node_free(&run->workers[t], &bag->records[--bag->count]);
    }
    for (size_t i = 0; i < run->board.count && !run_violated(run); i++) {
        struct board_run got = board_exchange(&run->board, i, nothing);
        const struct record record = {got.pfn, got.frames, 0, got.contig};

        if (got.frames > 0)
            node_free(&run->workers[0], &record);
    }
    for (uint32_t n = 0; n < run->nodes->topology.node_count && !run_violated(run); n++) {
        while (shelf_drop(&run->workers[0], quire_node_of(n), UINT64_MAX) > 0 && !run_violated(run))
            ;
    }
}

/* Is everything of the node at home: nothing cached, nothing on its way? */
static bool is_home(struct run *run, uint32_t n, bool last)
{
    struct shadow_finding finding;
    struct quire_node_stats stats;
    uint64_t managed = 0, held = 0;

    for (size_t z = 0; z < run->machine.zone_count; z++) {
        if (run->machine.zones[z].node == n) {
            managed += run->zones[z].before.managed;
            held += run->zones[z].ballast_frames;
        }
    }
    (void)quire_machine_node_stats(run->nodes->machine, quire_node_of(n), &stats);
    if (stats.managed == managed && stats.free + held == managed && !stats.cached && !stats.remote)
        return true;
    if (last && !shadow_is_empty(&run->shadow, &finding))
        run_violation(run, "frame %" PRIu64 " %s, by thread %u", finding.pfn, finding.what,
                      (finding.found >> CHECK_STAMP_BITS) - 1);
    if (last && shadow_find_lost(&run->shadow, &run->machine, &finding.pfn))
        run_violation(run, "frame %" PRIu64 " of node %u was freed and is not free", finding.pfn,
                      n);
    if (last)
        run_violation(
            run,
            "node %u at the end: %" PRIu64 " frames managed, %" PRIu64 " free, %" PRIu64
            " cached, %" PRIu64 " on their way home; expected %" PRIu64 " and %" PRIu64 " free",
            n, stats.managed, stats.free, stats.cached, stats.remote, managed, managed - held);
    return false;
}

/* A host's own thread may have a CPU cache in its hands when the caches are drained. */
static void check_home(struct run *run)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    bool home = false;

    for (unsigned i = 0; i < TRIES && !home && !run_violated(run); i++) {
        int error = quire_machine_drain(run->nodes->machine);

        if (error)
            run_violation(run, "drain at the end: answered \"%s\"", quire_strerror(error));
        home = true;
        for (uint32_t n = 0; n < run->nodes->topology.node_count; n++)
            home = is_home(run, n, i == TRIES - 1) && home;
        if (!home)
            nanosleep(&pause, NULL);
    }
}

/* The machine's counters against what the threads counted. */
static void check_counts(struct run *run)
{
    const struct nodes *nodes = run->nodes;
    uint64_t miss = 0, foreign = 0;

    for (uint32_t n = 0; n < nodes->topology.node_count; n++) {
        const uint64_t *counts = nodes->loaded[n].counts;
        uint64_t local = 0, other = 0;

        for (uint32_t t = 0; t < run->options.threads; t++) {
            local += nodes->threads[t].local[n];
            other += nodes->threads[t].other[n];
        }
        miss += counts[QUIRE_NODE_MISS];
        foreign += counts[QUIRE_NODE_FOREIGN];
        if (counts[QUIRE_NODE_LOCAL] != local || counts[QUIRE_NODE_OTHER] != other)
            run_violation(run,
                          "node %u counts %" PRIu64 " local and %" PRIu64
                          " other, its callers %" PRIu64 " and %" PRIu64,
                          n, counts[QUIRE_NODE_LOCAL], counts[QUIRE_NODE_OTHER], local, other);
        if (counts[QUIRE_NODE_HIT] + counts[QUIRE_NODE_MISS] != local + other)
            run_violation(run,
                          "node %u counts %" PRIu64 " hits and %" PRIu64
                          " misses, but gave %" PRIu64 " times",
                          n, counts[QUIRE_NODE_HIT], counts[QUIRE_NODE_MISS], local + other);
        if (counts[QUIRE_NODE_INTERLEAVE] > counts[QUIRE_NODE_HIT])
            run_violation(run, "node %u counts more interleaved hits than hits", n);
    }
    if (miss != foreign)
        run_violation(run, "all nodes count %" PRIu64 " misses and %" PRIu64 " foreign", miss,
                      foreign);
}

void nodes_give_back(struct run *run)
{
    stop_reclaiming(run);
    note_loaded(run);
    check_counts(run);
    free_held(run);
    check_home(run);
    if (run->options.real && !run_violated(run)) {
        nodes_measure(run);
        nodes_look_where(run);
    }
}
