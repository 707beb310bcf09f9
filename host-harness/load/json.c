/* SPDX-License-Identifier: MIT
 *
 * json.c - the figures of `quire run` as JSON. Whole numbers are written as they are, since
 * cJSON's own numbers are doubles and would round seeds and large counts.
 *
 * See report.h for state and callers.
 */
#include "report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const error_names[QUIRE_ERRORS] = {
    "ok",    "no_memory",   "size",    "align",   "node",        "zone",
    "frame", "double_free", "order",   "busy",    "initialised", "unsupported",
    "full",  "state",       "damaged", "address", "mapped",      "unmapped",
    "large", "area",        "access",  "limit",   "end",         "pager",
};

enum { NUMBER_TEXT = 32 };

static const char *number_text(char text[NUMBER_TEXT], uint64_t number)
{
    (void)snprintf(text, NUMBER_TEXT, "%" PRIu64, number);
    return text;
}

static bool add_number(cJSON *to, const char *name, uint64_t number)
{
    char text[NUMBER_TEXT];

    return cJSON_AddRawToObject(to, name, number_text(text, number)) != NULL;
}

static void add_numbers(cJSON *to, const char *name, const uint64_t numbers[], unsigned count)
{
    cJSON *list = cJSON_AddArrayToObject(to, name);

    for (unsigned i = 0; i < count; i++) {
        char text[NUMBER_TEXT];

        cJSON_AddItemToArray(list, cJSON_CreateRaw(number_text(text, numbers[i])));
    }
}

static void add_latency(cJSON *root, const struct load *load, const struct load_sums *sums)
{
    cJSON *latency = cJSON_AddObjectToObject(root, "latency");

    add_number(latency, "timed_one_in", load->sample);
    add_number(latency, "timer_ns", load->timer_ns);
    for (unsigned i = 0; i < CALL_KINDS; i++) {
        const struct hist *hist = &sums->latency[i];
        cJSON *call = cJSON_AddObjectToObject(latency, report_call_name((enum call_kind)i));

        add_number(call, "timed", hist->count);
        add_number(call, "p50_ns", hist_percentile(hist, 0.5));
        add_number(call, "p90_ns", hist_percentile(hist, 0.9));
        add_number(call, "p99_ns", hist_percentile(hist, 0.99));
        add_number(call, "p99.9_ns", hist_percentile(hist, 0.999));
        add_number(call, "p99.99_ns", hist_percentile(hist, 0.9999));
        add_number(call, "max_ns", hist->max);
    }
}

static void add_errors(cJSON *to, const char *name, const uint64_t errors[QUIRE_ERRORS])
{
    cJSON *object = cJSON_AddObjectToObject(to, name);
    uint64_t total = 0;

    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        total += errors[i];
        add_number(object, error_names[i], errors[i]);
    }
    add_number(object, "total", total);
}

static void add_events(cJSON *to, const uint64_t events[QUIRE_EVENTS])
{
    cJSON *object = cJSON_AddObjectToObject(to, "watermark_crossings");

    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        add_number(object, report_event_name((enum quire_event)e), events[e]);
}

static void add_checks(cJSON *root, struct load *load, const struct load_sums *sums)
{
    cJSON *object = cJSON_AddObjectToObject(root, "checks");

    add_number(object, "frames_taken", sums->checks[CHECK_TAKEN]);
    add_number(object, "frames_given", sums->checks[CHECK_GIVEN]);
    add_number(object, "frames_redrawn", load->redrawn);
    add_number(object, "bad_calls_refused", sums->checks[CHECK_REFUSED]);
    add_number(object, "floors", sums->checks[CHECK_FLOORS]);
    add_number(object, "other_answers", sums->checks[CHECK_ANSWERS]);
    /* relaxed: no other thread runs */
    add_number(object, "bad_frees_reported", qa_load(&load->bad_reports, relaxed));
    add_number(object, "shadow_bytes_touched", shadow_touched_bytes(&load->shadow));
}

static void add_digest(cJSON *root, const char *name, uint64_t digest)
{
    char text[NUMBER_TEXT];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, digest);
    cJSON_AddStringToObject(root, name, text);
}

/* ---- Zones ----------------------------------------------------------------------------------- */

static const char *const zone_counts[QUIRE_COUNTS] = {
    "home_block", "split", "whole",  "steal",     "last_pass",
    "rollback",   "retry", "gather", "withdrawn", "revoked",
};

static void add_fragmentation(cJSON *to, const struct load_zone *zone)
{
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_AddObjectToObject(to, "loaded");
    uint64_t unusable[QUIRE_MAX_ORDER + 1];

    for (unsigned i = 0; i <= QUIRE_MAX_ORDER; i++)
        unusable[i] = stats->unusable[i];
    add_number(object, "free", stats->free);
    add_number(object, "pressure", zone->loaded_pressure);
    add_number(object, "largest_run", stats->largest_run);
    add_number(object, "whole_free_blocks", stats->whole_free_blocks);
    add_number(object, "split_blocks", stats->split_blocks);
    add_numbers(object, "free_runs_by_order", stats->free_runs, QUIRE_MAX_ORDER + 1);
    add_numbers(object, "unusable_thousandths_by_order", unusable, QUIRE_MAX_ORDER + 1);
}

static void add_zone(cJSON *zones, const struct load *load, size_t z)
{
    const struct simulated_zone *from = &load->machine.zones[z];
    const struct load_zone *zone = &load->zones[z];
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_CreateObject();
    cJSON *counts;

    cJSON_AddItemToArray(zones, object);
    add_number(object, "zone", z);
    add_number(object, "node", from->node);
    cJSON_AddStringToObject(object, "type", zone_type_name(from->type));
    add_number(object, "managed", zone->before.managed);
    add_number(object, "reserved", zone->before.reserved);
    add_number(object, "set_aside", zone->set_aside_frames);
    add_number(object, "min", zone->before.min);
    add_number(object, "low", zone->before.low);
    add_number(object, "high", zone->before.high);
    add_number(object, "metadata_bytes", from->metadata_bytes);
    add_fragmentation(object, zone);
    add_events(object, stats->events);
    add_errors(object, "errors", stats->errors);
    counts = cJSON_AddObjectToObject(object, "counts");
    for (unsigned i = 0; i < QUIRE_COUNTS; i++)
        add_number(counts, zone_counts[i], stats->counts[i]);
}

static bool add_zones(struct cJSON *root, struct load *load)
{
    cJSON *zones = cJSON_AddArrayToObject(root, "zones");

    for (size_t z = 0; z < load->machine.zone_count; z++)
        add_zone(zones, load, z);
    return zones != NULL;
}

/* ---- A machine ------------------------------------------------------------------------------- */

static const char *const node_counts[QUIRE_NODE_COUNTS] = {"hit",        "miss",  "foreign",
                                                           "interleave", "local", "other"};

static void add_node(cJSON *list, const struct load *load, uint32_t n)
{
    const struct machine_target *on = load->on_machine;
    const struct quire_node_stats *stats = &on->loaded[n];
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(list, object);
    add_number(object, "node", n);
    add_number(object, "id", on->topology.node_id[n]);
    add_number(object, "managed", stats->managed);
    add_number(object, "free", stats->free);
    add_number(object, "cached", stats->cached);
    add_number(object, "in_remote_magazines", stats->remote);
    add_number(object, "pressure", stats->pressure);
    add_number(object, "zones", stats->zones);
    for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
        add_number(object, node_counts[i], stats->counts[i]);
}

static void add_pairs(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    cJSON *list = cJSON_AddArrayToObject(root, "pairs");

    for (uint32_t from = 0; from < on->topology.node_count; from++) {
        for (uint32_t to = 0; to < on->topology.node_count; to++) {
            struct hist hist = {0};
            cJSON *pair;

            report_add_pair(load, from, to, &hist);
            if (hist.count == 0 && !on->access[from][to])
                continue;
            pair = cJSON_CreateObject();
            cJSON_AddItemToArray(list, pair);
            add_number(pair, "from", from);
            add_number(pair, "to", to);
            add_number(pair, "distance", on->topology.distance[from][to]);
            add_number(pair, "timed", hist.count);
            add_number(pair, "p50_ns", hist_percentile(&hist, 0.5));
            add_number(pair, "p99_ns", hist_percentile(&hist, 0.99));
            add_number(pair, "max_ns", hist.max);
            if (on->access[from][to])
                cJSON_AddNumberToObject(pair, "access_ns", on->access[from][to] / 10.0);
        }
    }
}

static bool add_reclaim(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;
    cJSON *object = cJSON_AddObjectToObject(root, "reclaim");

    add_number(object, "wakeups", on->wakeups);
    add_number(object, "calls", on->reclaims);
    add_number(object, "frames", on->reclaimed);
    /* relaxed: no other thread runs */
    add_number(object, "last_resorts", qa_load(&on->last_resorts, relaxed));
    return add_number(object, "last_resort_frames",
                      qa_load(&on->last_resort_frames, relaxed)); /* relaxed: as above */
}

static void add_sums(cJSON *root, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    add_number(root, "places_checked", report_count(load, COUNT_KEPT));
    add_number(root, "remote_frees", report_count(load, COUNT_REMOTE));
    add_number(root, "mempool_frames", report_count(load, COUNT_MEMPOOL));
    add_number(root, "offlined", report_count(load, COUNT_OFFLINED));
    add_number(root, "moved", report_count(load, COUNT_MOVED));
    add_number(root, "snapshots", on->machine_loaded.snapshots);
    if (load->options.real) {
        add_number(root, "pages_right", on->pages_right);
        add_number(root, "pages_wrong", on->pages_wrong);
        add_number(root, "pages_untouched", on->pages_empty);
    }
}

static bool add_machine(struct cJSON *root, struct load *load)
{
    cJSON *list = cJSON_AddArrayToObject(root, "nodes");

    for (uint32_t n = 0; n < load->on_machine->topology.node_count; n++)
        add_node(list, load, n);
    add_pairs(root, load);
    add_sums(root, load);
    return add_reclaim(root, load);
}

/* ---- All of it ------------------------------------------------------------------------------- */

struct cJSON *report_json(struct load *load, const struct load_sums *sums)
{
    cJSON *root = cJSON_CreateObject();
    char format_name[NUMBER_TEXT];

    (void)snprintf(format_name, sizeof(format_name), "%s_format", load->target->source_name);
    add_number(root, "threads", load->options.threads);
    cJSON_AddNumberToObject(root, "seconds", load->seconds);
    cJSON_AddBoolToObject(root, "interrupted", load->interrupted);
    add_number(root, "seed", load->options.seed);
    cJSON_AddStringToObject(root, load->target->source_name, load->map.source);
    cJSON_AddStringToObject(root, format_name, load->map.format);
    add_number(root, "operations", sums->operations);
    cJSON_AddNumberToObject(root, "ops_per_second", report_rate(load, sums->operations));
    add_number(root, "calls", load->calls);
    cJSON_AddNumberToObject(root, "calls_per_second", report_rate(load, load->calls));
    add_digest(root, "sequence", sums->sequence);
    add_digest(root, "outcome", sums->outcome);
    add_latency(root, load, sums);
    add_errors(root, "refusals", sums->refusals);
    add_events(root, sums->events);
    add_number(root, "peak_metadata_bytes", load->machine.metadata_bytes);
    bool done = load->on_machine ? add_machine(root, load) : add_zones(root, load);
    add_checks(root, load, sums);
    if (done && cJSON_AddStringToObject(root, "verdict", report_verdict(load)))
        return root;
    cJSON_Delete(root);
    return NULL;
}
