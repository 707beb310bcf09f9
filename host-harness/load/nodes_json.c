/* SPDX-License-Identifier: MIT
 *
 * nodes_json.c - the figures of `quire run --topology` as JSON.
 *
 * No state. Main thread, after all threads have ended. Without memory members are left out; the
 * last one tells (see json.c).
 */
#include "nodes.h"

#include <cjson/cJSON.h>

static const char *const count_names[QUIRE_NODE_COUNTS] = {"hit",        "miss",  "foreign",
                                                           "interleave", "local", "other"};

static void add_node(cJSON *list, const struct run *run, uint32_t n)
{
    const struct nodes *nodes = run->nodes;
    const struct quire_node_stats *stats = &nodes->loaded[n];
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(list, object);
    run_json_number(object, "node", n);
    run_json_number(object, "id", nodes->topology.node_id[n]);
    run_json_number(object, "managed", stats->managed);
    run_json_number(object, "free", stats->free);
    run_json_number(object, "cached", stats->cached);
    run_json_number(object, "going_home", stats->remote);
    run_json_number(object, "pressure", stats->pressure);
    run_json_number(object, "zones", stats->zones);
    for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
        run_json_number(object, count_names[i], stats->counts[i]);
}

static void add_pairs(cJSON *root, const struct run *run)
{
    const struct nodes *nodes = run->nodes;
    cJSON *list = cJSON_AddArrayToObject(root, "pairs");

    for (uint32_t from = 0; from < nodes->topology.node_count; from++) {
        for (uint32_t to = 0; to < nodes->topology.node_count; to++) {
            struct hist hist = {0};
            cJSON *pair;

            nodes_pair(run, from, to, &hist);
            if (hist.count == 0 && !nodes->access[from][to])
                continue;
            pair = cJSON_CreateObject();
            cJSON_AddItemToArray(list, pair);
            run_json_number(pair, "from", from);
            run_json_number(pair, "to", to);
            run_json_number(pair, "distance", nodes->topology.distance[from][to]);
            run_json_number(pair, "timed", hist.count);
            run_json_number(pair, "p50_ns", hist_percentile(&hist, 0.5));
            run_json_number(pair, "p99_ns", hist_percentile(&hist, 0.99));
            run_json_number(pair, "max_ns", hist.max);
            if (nodes->access[from][to])
                cJSON_AddNumberToObject(pair, "access_ns", nodes->access[from][to] / 10.0);
        }
    }
}

static bool add_reclaim(cJSON *root, const struct run *run)
{
    const struct nodes *nodes = run->nodes;
    cJSON *object = cJSON_AddObjectToObject(root, "reclaim");

    run_json_number(object, "wakeups", nodes->wakeups);
    run_json_number(object, "calls", nodes->reclaims);
    run_json_number(object, "frames", nodes->reclaimed);
    /* relaxed: nobody else runs */
    run_json_number(object, "last_resorts", qa_load(&nodes->last_resorts, relaxed));
    return run_json_number(object, "last_resort_frames",
                           qa_load(&nodes->last_resort_frames, relaxed)); /* relaxed: as above */
}

/* Sums over the threads. */
static void add_sums(cJSON *root, const struct run *run)
{
    uint64_t promises = 0, remote = 0, claimed = 0, offlined = 0, moved = 0;

    for (uint32_t t = 0; t <= run->options.threads; t++) {
        const struct node_thread *thread = &run->nodes->threads[t];

        promises += thread->promises;
        remote += thread->remote_frees;
        claimed += thread->claimed;
        offlined += thread->offlined;
        moved += thread->moved;
    }
    run_json_number(root, "places_checked", promises);
    run_json_number(root, "remote_frees", remote);
    run_json_number(root, "claimed", claimed);
    run_json_number(root, "offlined", offlined);
    run_json_number(root, "moved", moved);
    run_json_number(root, "snapshots", run->nodes->machine_loaded.snapshots);
    if (run->options.real) {
        run_json_number(root, "pages_right", run->nodes->pages_right);
        run_json_number(root, "pages_wrong", run->nodes->pages_wrong);
        run_json_number(root, "pages_untouched", run->nodes->pages_empty);
    }
}

bool nodes_json(struct cJSON *root, struct run *run, const struct run_sums *sums)
{
    cJSON *list = cJSON_AddArrayToObject(root, "nodes");

    (void)sums;
    for (uint32_t n = 0; n < run->nodes->topology.node_count; n++)
        add_node(list, run, n);
    add_pairs(root, run);
    add_sums(root, run);
    return add_reclaim(root, run);
}
