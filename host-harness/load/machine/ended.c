/* SPDX-License-Identifier: MIT
 *
 * ended.c - after the threads of a load on a machine have ended: reclaim is stopped and the nodes'
 * counters compared with what the threads counted; when everything was freed, caches are drained
 * and each node must have all its frames. The zones are judged by verdict.c then.
 *
 * State: machine.h. Main thread; the reclaimer may still be awake, and is told to stop first.
 */
#include "machine.h"

#include <inttypes.h>
#include <time.h>

enum { TRIES = 50, PAUSE_MS = 20 };

static void stop_reclaiming(struct machine_target *on)
{
    struct quire_host_stats stats;

    pthread_mutex_lock(&on->reclaiming);
    on->closed = true;
    pthread_mutex_unlock(&on->reclaiming);
    if (on->host) {
        (void)quire_host_stats(on->host, &stats);
        on->wakeups = stats.wakeups;
        on->reclaims = stats.reclaims;
        on->reclaimed = stats.reclaimed;
        return;
    }
    quire_reclaimer_stop(&on->reclaimer);
    /* relaxed: its thread has ended */
    on->wakeups = qa_load(&on->reclaimer.wakeups, relaxed);
    on->reclaims = qa_load(&on->reclaimer.calls, relaxed);
    on->reclaimed = qa_load(&on->reclaimer.frames, relaxed);
}

static void note_loaded(struct load *load)
{
    struct machine_target *on = load->on_machine;

    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        int error = quire_machine_node_stats(on->machine, quire_node_of(n), &on->loaded[n]);

        if (error)
            load_violation(load, "figures of node %u: answered \"%s\"", n, quire_strerror(error));
    }
    (void)quire_machine_stats(on->machine, &on->machine_loaded);
    load->machine.metadata_bytes = on->machine_loaded.metadata_bytes;
}

/* The machine's counters against what the threads counted. */
static void check_counts(struct load *load)
{
    const struct machine_target *on = load->on_machine;
    uint64_t miss = 0, foreign = 0;

    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        const uint64_t *counts = on->loaded[n].counts;
        uint64_t local = 0, other = 0;

        for (uint32_t t = 0; t < load->options.threads; t++) {
            local += on->threads[t].local[n];
            other += on->threads[t].other[n];
        }
        miss += counts[QUIRE_NODE_MISS];
        foreign += counts[QUIRE_NODE_FOREIGN];
        if (counts[QUIRE_NODE_LOCAL] != local || counts[QUIRE_NODE_OTHER] != other)
            load_violation(load,
                           "node %u counts %" PRIu64 " local and %" PRIu64
                           " other, its callers %" PRIu64 " and %" PRIu64,
                           n, counts[QUIRE_NODE_LOCAL], counts[QUIRE_NODE_OTHER], local, other);
        if (counts[QUIRE_NODE_HIT] + counts[QUIRE_NODE_MISS] != local + other)
            load_violation(load,
                           "node %u counts %" PRIu64 " hits and %" PRIu64
                           " misses, but gave %" PRIu64 " times",
                           n, counts[QUIRE_NODE_HIT], counts[QUIRE_NODE_MISS], local + other);
        if (counts[QUIRE_NODE_INTERLEAVE] > counts[QUIRE_NODE_HIT])
            load_violation(load, "node %u counts more interleaved hits than hits", n);
    }
    if (miss != foreign)
        load_violation(load, "all nodes count %" PRIu64 " misses and %" PRIu64 " foreign", miss,
                       foreign);
}

void machine_ended(struct load *load)
{
    stop_reclaiming(load->on_machine);
    note_loaded(load);
    check_counts(load);
}

/* Has the node all its frames: none cached, none on its way? If not, the last try tells. */
static bool has_all(struct load *load, uint32_t n, bool last)
{
    struct shadow_finding finding;
    struct quire_node_stats stats;
    uint64_t managed = 0, set_aside = 0;

    for (size_t z = 0; z < load->machine.zone_count; z++) {
        if (load->machine.zones[z].node == n) {
            managed += load->zones[z].before.managed;
            set_aside += load->zones[z].set_aside_frames;
        }
    }
    (void)quire_machine_node_stats(load->on_machine->machine, quire_node_of(n), &stats);
    if (stats.managed == managed && stats.free + set_aside == managed && !stats.cached &&
        !stats.remote)
        return true;
    if (last && !shadow_is_empty(&load->shadow, &finding))
        load_violation(load, "frame %" PRIu64 " %s, by thread %u", finding.pfn, finding.what,
                       (finding.found >> CALL_STAMP_BITS) - 1);
    if (last && shadow_find_lost(&load->shadow, &load->machine, &finding.pfn))
        load_violation(load, "frame %" PRIu64 " of node %u was freed and is not free", finding.pfn,
                       n);
    if (last)
        load_violation(
            load,
            "node %u at the end: %" PRIu64 " frames managed, %" PRIu64 " free, %" PRIu64
            " cached, %" PRIu64 " in remote magazines; expected %" PRIu64 " and %" PRIu64 " free",
            n, stats.managed, stats.free, stats.cached, stats.remote, managed, managed - set_aside);
    return false;
}

/* A host's own thread may be using a CPU's cache when the caches are drained: so several tries.
 */
static void check_nodes(struct load *load)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    bool all = false;

    for (unsigned i = 0; i < TRIES && !all && !load_violated(load); i++) {
        int error = quire_machine_drain(load->on_machine->machine);

        if (error)
            load_violation(load, "drain at the end: answered \"%s\"", quire_strerror(error));
        all = true;
        for (uint32_t n = 0; n < load->on_machine->topology.node_count; n++)
            all = has_all(load, n, i == TRIES - 1) && all;
        if (!all)
            nanosleep(&pause, NULL);
    }
}

void machine_emptied(struct load *load)
{
    const struct machine_target *on = load->on_machine;

    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        while (!load_violated(load) &&
               page_cache_drop(&load->workers[0], quire_node_of(n), UINT64_MAX) > 0)
            ;
    }
    check_nodes(load);
    if (on->host && !load_violated(load))
        host_measure(load);
}
