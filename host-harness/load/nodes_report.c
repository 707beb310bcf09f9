/* SPDX-License-Identifier: MIT
 *
 * nodes_report.c - the tables that `quire run --topology` prints.
 *
 * No state. Main thread, after all threads have ended.
 */
#include "nodes.h"

#include <inttypes.h>

enum { MATRIX_NODES = 8 }; /* up to so many a table has a line per pair of nodes */

static void print_nodes(FILE *out, const struct run *run)
{
    const struct nodes *nodes = run->nodes;

    run_say(out,
            "\nnode  CPUs threads    frames      free  cached  going home  pressure  hit rate\n");
    for (uint32_t n = 0; n < nodes->topology.node_count; n++) {
        const struct quire_node_stats *stats = &nodes->loaded[n];
        uint64_t wanted = stats->counts[QUIRE_NODE_HIT] + stats->counts[QUIRE_NODE_FOREIGN];
        uint32_t cpus = 0, threads = 0;

        for (uint32_t cpu = 0; cpu < nodes->topology.cpu_count; cpu++)
            cpus += nodes->topology.cpu_node[cpu] == n;
        for (uint32_t t = 0; t < run->options.threads; t++)
            threads += nodes->threads[t].node.n == n;
        run_say(out, "%4u %5u %7u %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %11" PRIu64 " %9u", n,
                cpus, threads, stats->managed, stats->free, stats->cached, stats->remote,
                stats->pressure);
        if (wanted > 0)
            run_say(out, " %8.2f%%\n",
                    100.0 * (double)stats->counts[QUIRE_NODE_HIT] / (double)wanted);
        else
            run_say(out, "         -\n");
    }
}

static void print_counts(FILE *out, const struct run *run)
{
    const struct nodes *nodes = run->nodes;

    run_say(out,
            "\nnode         hit        miss     foreign  interleave       local       other\n");
    for (uint32_t n = 0; n < nodes->topology.node_count; n++) {
        const uint64_t *counts = nodes->loaded[n].counts;

        run_say(out, "%4u", n);
        for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
            run_say(out, "%s%11" PRIu64, i ? " " : "  ", counts[i]);
        run_say(out, "\n");
    }
}

void nodes_pair(const struct run *run, uint32_t from, uint32_t to, struct hist *hist)
{
    for (uint32_t t = 0; t < run->options.threads; t++) {
        if (run->nodes->threads[t].node.n == from)
            hist_merge(hist, &run->nodes->threads[t].alloc[to]);
    }
}

static void print_row(FILE *out, const struct hist *hist, uint32_t access)
{
    run_say(out, " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64, hist->count,
            hist_percentile(hist, 0.5), hist_percentile(hist, 0.99), hist->max);
    if (access)
        run_say(out, " %10.1f\n", access / 10.0);
    else
        run_say(out, "          -\n");
}

static void print_pairs(FILE *out, const struct run *run)
{
    const struct nodes *nodes = run->nodes;

    run_say(out, "from   to distance      timed      p50      p99        max     access\n");
    for (uint32_t from = 0; from < nodes->topology.node_count; from++) {
        for (uint32_t to = 0; to < nodes->topology.node_count; to++) {
            struct hist hist = {0};

            nodes_pair(run, from, to, &hist);
            if (hist.count == 0 && !nodes->access[from][to])
                continue;
            run_say(out, "%4u %4u %8u", from, to, nodes->topology.distance[from][to]);
            print_row(out, &hist, nodes->access[from][to]);
        }
    }
}

static void print_distances(FILE *out, const struct run *run)
{
    const struct nodes *nodes = run->nodes;

    run_say(out, "distance pairs      timed      p50      p99        max     access\n");
    for (unsigned distance = 0; distance < 256; distance++) {
        struct hist hist = {0};
        unsigned pairs = 0;

        for (uint32_t from = 0; from < nodes->topology.node_count; from++) {
            for (uint32_t to = 0; to < nodes->topology.node_count; to++) {
                if (nodes->topology.distance[from][to] != distance)
                    continue;
                pairs++;
                nodes_pair(run, from, to, &hist);
            }
        }
        if (hist.count == 0)
            continue;
        run_say(out, "%8u %5u", distance, pairs);
        print_row(out, &hist, 0);
    }
}

static void print_reclaim(FILE *out, const struct run *run)
{
    const struct nodes *nodes = run->nodes;
    struct node_thread sum = {0};

    for (uint32_t t = 0; t <= run->options.threads; t++) {
        const struct node_thread *thread = &nodes->threads[t];

        sum.promises += thread->promises;
        sum.remote_frees += thread->remote_frees;
        sum.shelved += thread->shelved;
        sum.dropped += thread->dropped;
        sum.offlined += thread->offlined;
        sum.moved += thread->moved;
        sum.claimed += thread->claimed;
    }
    run_say(out,
            "\npage cache: %" PRIu64 " pages put, %" PRIu64 " dropped; background reclaim: %" PRIu64
            " wakeups, %" PRIu64 " calls, %" PRIu64 " frames;\nlast resort: %" PRIu64
            " requests, %" PRIu64 " frames\n",
            sum.shelved, sum.dropped, nodes->wakeups, nodes->reclaims, nodes->reclaimed,
            qa_load(&nodes->last_resorts, relaxed),        /* relaxed: nobody else runs */
            qa_load(&nodes->last_resort_frames, relaxed)); /* relaxed: as above */
    run_say(out,
            "frames freed on another node's CPU: %" PRIu64 "; claimed ahead: %" PRIu64
            "; taken offline and back: %" PRIu64 ", %" PRIu64
            " moved away for it\nplaces checked against the policy: %" PRIu64
            "; snapshots: %" PRIu64 "\n",
            sum.remote_frees, sum.claimed, sum.offlined, sum.moved, sum.promises,
            nodes->machine_loaded.snapshots);
    if (run->options.real)
        run_say(out,
                "pages by move_pages(2): %" PRIu64 " on the promised node, %" PRIu64
                " elsewhere, %" PRIu64 " never touched\n",
                nodes->pages_right, nodes->pages_wrong, nodes->pages_empty);
}

void nodes_print(FILE *out, struct run *run, const struct run_sums *sums)
{
    print_nodes(out, run);
    print_counts(out, run);
    run_print_load(out, run, sums);
    run_say(out, "\nsingle frames by node of the CPU and node that gave, ns; access: a read%s\n",
            run->options.real ? "" : " (not here: memory is simulated)");
    if (run->nodes->topology.node_count <= MATRIX_NODES)
        print_pairs(out, run);
    else
        print_distances(out, run);
    print_reclaim(out, run);
    run_print_checks(out, run, sums);
}
