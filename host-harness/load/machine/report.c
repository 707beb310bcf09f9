/* SPDX-License-Identifier: MIT
 *
 * report.c - a machine's part of the report: the tables, and the same as JSON. See load/report.h
 * for state and callers.
 */
#include "host-harness/load/report.h"

#include "machine.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

enum { MATRIX_NODES = 8 }; /* up to so many a table has a line per pair of nodes */

/* What the threads counted, the reclaimer's with them. */
static struct machine_thread sum_threads(const struct load *load)
{
    struct machine_thread sum = {0};

    for (uint32_t t = 0; t <= load->options.threads; t++) {
        const struct machine_thread *thread = &load->on_machine->threads[t];

        sum.promises += thread->promises;
        sum.remote_frees += thread->remote_frees;
        sum.cached += thread->cached;
        sum.dropped += thread->dropped;
        sum.offlined += thread->offlined;
        sum.moved += thread->moved;
        sum.claimed += thread->claimed;
    }
    return sum;
}

/* ---- The tables ------------------------------------------------------------------------------ */

static void print_nodes(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    report_say(
        out, "\nnode  CPUs threads    frames      free  cached  going home  pressure  hit rate\n");
    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        const struct quire_node_stats *stats = &on->loaded[n];
        uint64_t wanted = stats->counts[QUIRE_NODE_HIT] + stats->counts[QUIRE_NODE_FOREIGN];
        uint32_t cpus = 0, threads = 0;

        for (uint32_t cpu = 0; cpu < on->topology.cpu_count; cpu++)
            cpus += on->topology.cpu_node[cpu] == n;
        for (uint32_t t = 0; t < load->options.threads; t++)
            threads += on->threads[t].node.n == n;
        report_say(out, "%4u %5u %7u %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %11" PRIu64 " %9u", n,
                   cpus, threads, stats->managed, stats->free, stats->cached, stats->remote,
                   stats->pressure);
        if (wanted > 0)
            report_say(out, " %8.2f%%\n",
                       100.0 * (double)stats->counts[QUIRE_NODE_HIT] / (double)wanted);
        else
            report_say(out, "         -\n");
    }
}

static void print_counts(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    report_say(out,
               "\nnode         hit        miss     foreign  interleave       local       other\n");
    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        const uint64_t *counts = on->loaded[n].counts;

        report_say(out, "%4u", n);
        for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
            report_say(out, "%s%11" PRIu64, i ? " " : "  ", counts[i]);
        report_say(out, "\n");
    }
}

/* The latency of single frames that CPUs of `from` got of `to`. */
static void add_pair(const struct load *load, uint32_t from, uint32_t to, struct hist *hist)
{
    for (uint32_t t = 0; t < load->options.threads; t++) {
        if (load->on_machine->threads[t].node.n == from)
            hist_merge(hist, &load->on_machine->threads[t].alloc[to]);
    }
}

static void print_row(FILE *out, const struct hist *hist, uint32_t access)
{
    report_say(out, " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64, hist->count,
               hist_percentile(hist, 0.5), hist_percentile(hist, 0.99), hist->max);
    if (access)
        report_say(out, " %10.1f\n", access / 10.0);
    else
        report_say(out, "          -\n");
}

static void print_pairs(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    report_say(out, "from   to distance      timed      p50      p99        max     access\n");
    for (uint32_t from = 0; from < on->topology.node_count; from++) {
        for (uint32_t to = 0; to < on->topology.node_count; to++) {
            struct hist hist = {0};

            add_pair(load, from, to, &hist);
            if (hist.count == 0 && !on->access[from][to])
                continue;
            report_say(out, "%4u %4u %8u", from, to, on->topology.distance[from][to]);
            print_row(out, &hist, on->access[from][to]);
        }
    }
}

static void print_distances(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    report_say(out, "distance pairs      timed      p50      p99        max     access\n");
    for (unsigned distance = 0; distance < 256; distance++) {
        struct hist hist = {0};
        unsigned pairs = 0;

        for (uint32_t from = 0; from < on->topology.node_count; from++) {
            for (uint32_t to = 0; to < on->topology.node_count; to++) {
                if (on->topology.distance[from][to] != distance)
                    continue;
                pairs++;
                add_pair(load, from, to, &hist);
            }
        }
        if (hist.count == 0)
            continue;
        report_say(out, "%8u %5u", distance, pairs);
        print_row(out, &hist, 0);
    }
}

static void print_reclaim(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    const struct machine_thread sum = sum_threads(load);

    report_say(out,
               "\npage cache: %" PRIu64 " pages put, %" PRIu64
               " dropped; background reclaim: %" PRIu64 " wakeups, %" PRIu64 " calls, %" PRIu64
               " frames;\nlast resort: %" PRIu64 " requests, %" PRIu64 " frames\n",
               sum.cached, sum.dropped, on->wakeups, on->reclaims, on->reclaimed,
               qa_load(&on->last_resorts, relaxed),        /* relaxed: no other thread runs */
               qa_load(&on->last_resort_frames, relaxed)); /* relaxed: as above */
    report_say(out,
               "frames freed on another node's CPU: %" PRIu64 "; claimed ahead: %" PRIu64
               "; taken offline and back: %" PRIu64 ", %" PRIu64
               " moved away for it\nplaces checked against the policy: %" PRIu64
               "; snapshots: %" PRIu64 "\n",
               sum.remote_frees, sum.claimed, sum.offlined, sum.moved, sum.promises,
               on->machine_loaded.snapshots);
    if (load->options.real)
        report_say(out,
                   "pages by move_pages(2): %" PRIu64 " on the promised node, %" PRIu64
                   " elsewhere, %" PRIu64 " never touched\n",
                   on->pages_right, on->pages_wrong, on->pages_empty);
}

void machine_print(FILE *out, struct load *load, const struct load_sums *sums)
{
    print_nodes(out, load);
    print_counts(out, load);
    report_print_load(out, load, sums);
    report_say(out, "\nsingle frames by node of the CPU and node that gave, ns; access: a read%s\n",
               load->options.real ? "" : " (not here: memory is simulated)");
    if (load->on_machine->topology.node_count <= MATRIX_NODES)
        print_pairs(out, load);
    else
        print_distances(out, load);
    print_reclaim(out, load);
    report_print_checks(out, load, sums);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *const count_names[QUIRE_NODE_COUNTS] = {"hit",        "miss",  "foreign",
                                                           "interleave", "local", "other"};

static void add_node(cJSON *list, const struct load *load, uint32_t n)
{
    const struct machine_target *on = load->on_machine;
    const struct quire_node_stats *stats = &on->loaded[n];
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(list, object);
    report_number(object, "node", n);
    report_number(object, "id", on->topology.node_id[n]);
    report_number(object, "managed", stats->managed);
    report_number(object, "free", stats->free);
    report_number(object, "cached", stats->cached);
    report_number(object, "going_home", stats->remote);
    report_number(object, "pressure", stats->pressure);
    report_number(object, "zones", stats->zones);
    for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
        report_number(object, count_names[i], stats->counts[i]);
}

static void add_pairs(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    cJSON *list = cJSON_AddArrayToObject(root, "pairs");

    for (uint32_t from = 0; from < on->topology.node_count; from++) {
        for (uint32_t to = 0; to < on->topology.node_count; to++) {
            struct hist hist = {0};
            cJSON *pair;

            add_pair(load, from, to, &hist);
            if (hist.count == 0 && !on->access[from][to])
                continue;
            pair = cJSON_CreateObject();
            cJSON_AddItemToArray(list, pair);
            report_number(pair, "from", from);
            report_number(pair, "to", to);
            report_number(pair, "distance", on->topology.distance[from][to]);
            report_number(pair, "timed", hist.count);
            report_number(pair, "p50_ns", hist_percentile(&hist, 0.5));
            report_number(pair, "p99_ns", hist_percentile(&hist, 0.99));
            report_number(pair, "max_ns", hist.max);
            if (on->access[from][to])
                cJSON_AddNumberToObject(pair, "access_ns", on->access[from][to] / 10.0);
        }
    }
}

static bool add_reclaim(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    cJSON *object = cJSON_AddObjectToObject(root, "reclaim");

    report_number(object, "wakeups", on->wakeups);
    report_number(object, "calls", on->reclaims);
    report_number(object, "frames", on->reclaimed);
    /* relaxed: no other thread runs */
    report_number(object, "last_resorts", qa_load(&on->last_resorts, relaxed));
    return report_number(object, "last_resort_frames",
                         qa_load(&on->last_resort_frames, relaxed)); /* relaxed: as above */
}

static void add_sums(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    const struct machine_thread sum = sum_threads(load);

    report_number(root, "places_checked", sum.promises);
    report_number(root, "remote_frees", sum.remote_frees);
    report_number(root, "claimed", sum.claimed);
    report_number(root, "offlined", sum.offlined);
    report_number(root, "moved", sum.moved);
    report_number(root, "snapshots", on->machine_loaded.snapshots);
    if (load->options.real) {
        report_number(root, "pages_right", on->pages_right);
        report_number(root, "pages_wrong", on->pages_wrong);
        report_number(root, "pages_untouched", on->pages_empty);
    }
}

bool machine_json(struct cJSON *root, struct load *load)
{
    cJSON *list = cJSON_AddArrayToObject(root, "nodes");

    for (uint32_t n = 0; n < load->on_machine->topology.node_count; n++)
        add_node(list, load, n);
    add_pairs(root, load);
    add_sums(root, load);
    return add_reclaim(root, load);
}
