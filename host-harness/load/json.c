/* SPDX-License-Identifier: MIT
 *
 * json.c - the figures of `quire run` as JSON. Whole numbers are written as they are, since
 * cJSON's own numbers are doubles and would round seeds and large counts.
 *
 * No state. Main thread, after all threads have ended. Running out of memory in cJSON leaves
 * members out; the caller sees that as a failure of the last one, `verdict`.
 */
#include "run.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const error_names[QUIRE_ERRORS] = {
    "ok",    "no_memory",   "size",  "align", "node",        "zone",
    "frame", "double_free", "order", "busy",  "initialised", "unsupported",
};

static const char *const count_names[QUIRE_COUNTS] = {
    "home",     "split", "whole",  "steal",     "last_pass",
    "rollback", "retry", "gather", "withdrawn", "revoked",
};

enum { NUMBER_TEXT = 32 };

static const char *number_text(char text[NUMBER_TEXT], uint64_t number)
{
    (void)snprintf(text, NUMBER_TEXT, "%" PRIu64, number);
    return text;
}

bool run_json_number(cJSON *to, const char *name, uint64_t number)
{
    char text[NUMBER_TEXT];

    return cJSON_AddRawToObject(to, name, number_text(text, number)) != NULL;
}

static void add_list(cJSON *to, const char *name, const uint64_t numbers[], unsigned count)
{
    cJSON *list = cJSON_AddArrayToObject(to, name);

    for (unsigned i = 0; i < count; i++) {
        char text[NUMBER_TEXT];

        cJSON_AddItemToArray(list, cJSON_CreateRaw(number_text(text, numbers[i])));
    }
}

static void add_latency(cJSON *root, const struct run *run, const struct run_sums *sums)
{
    cJSON *latency = cJSON_AddObjectToObject(root, "latency");

    run_json_number(latency, "timed_one_in", run->sample);
    run_json_number(latency, "timer_ns", run->timer_ns);
    for (unsigned i = 0; i < RUN_CALLS; i++) {
        const struct hist *hist = &sums->latency[i];
        cJSON *call = cJSON_AddObjectToObject(latency, run_call_name((enum run_call)i));

        run_json_number(call, "timed", hist->count);
        run_json_number(call, "p50_ns", hist_percentile(hist, 0.5));
        run_json_number(call, "p90_ns", hist_percentile(hist, 0.9));
        run_json_number(call, "p99_ns", hist_percentile(hist, 0.99));
        run_json_number(call, "p99.9_ns", hist_percentile(hist, 0.999));
        run_json_number(call, "p99.99_ns", hist_percentile(hist, 0.9999));
        run_json_number(call, "max_ns", hist->max);
    }
}

static void add_errors(cJSON *to, const char *name, const uint64_t errors[QUIRE_ERRORS])
{
    cJSON *object = cJSON_AddObjectToObject(to, name);
    uint64_t total = 0;

    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        total += errors[i];
        run_json_number(object, error_names[i], errors[i]);
    }
    run_json_number(object, "total", total);
}

static void add_events(cJSON *to, const uint64_t events[QUIRE_EVENTS])
{
    cJSON *object = cJSON_AddObjectToObject(to, "watermark_crossings");

    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        run_json_number(object, run_event_name((enum quire_event)e), events[e]);
}

static void add_fragmentation(cJSON *to, const struct run_zone *zone)
{
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_AddObjectToObject(to, "loaded");
    uint64_t unusable[QUIRE_MAX_ORDER + 1];

    for (unsigned i = 0; i <= QUIRE_MAX_ORDER; i++)
        unusable[i] = stats->unusable[i];
    run_json_number(object, "free", stats->free);
    run_json_number(object, "pressure", zone->loaded_pressure);
    run_json_number(object, "largest_run", stats->largest_run);
    run_json_number(object, "whole_free_blocks", stats->whole_free_blocks);
    run_json_number(object, "split_blocks", stats->split_blocks);
    add_list(object, "free_runs_by_order", stats->free_runs, QUIRE_MAX_ORDER + 1);
    add_list(object, "unusable_thousandths_by_order", unusable, QUIRE_MAX_ORDER + 1);
}

static void add_zone(cJSON *zones, const struct run *run, size_t z)
{
    const struct simulated_zone *from = &run->machine.zones[z];
    const struct run_zone *zone = &run->zones[z];
    const struct quire_zone_stats *stats = &zone->loaded;
    cJSON *object = cJSON_CreateObject();
    cJSON *counts;

    cJSON_AddItemToArray(zones, object);
    run_json_number(object, "zone", z);
    run_json_number(object, "node", from->node);
    cJSON_AddStringToObject(object, "type", machine_zone_type_name(from->type));
    run_json_number(object, "managed", zone->before.managed);
    run_json_number(object, "reserved", zone->before.reserved);
    run_json_number(object, "ballast", zone->ballast_frames);
    run_json_number(object, "min", zone->before.min);
    run_json_number(object, "low", zone->before.low);
    run_json_number(object, "high", zone->before.high);
    run_json_number(object, "metadata_bytes", from->metadata_bytes);
    add_fragmentation(object, zone);
    add_events(object, stats->events);
    add_errors(object, "errors", stats->errors);
    counts = cJSON_AddObjectToObject(object, "counts");
    for (unsigned i = 0; i < QUIRE_COUNTS; i++)
        run_json_number(counts, count_names[i], stats->counts[i]);
}

static void add_checks(cJSON *root, struct run *run, const struct run_checks *checks)
{
    cJSON *object = cJSON_AddObjectToObject(root, "checks");

    run_json_number(object, "frames_taken", checks->taken);
    run_json_number(object, "frames_given", checks->given);
    run_json_number(object, "frames_redrawn", run->redrawn);
    run_json_number(object, "bad_calls_refused", checks->refused);
    run_json_number(object, "floors", checks->floors);
    run_json_number(object, "other_answers", checks->answers);
    /* relaxed: nobody else runs */
    run_json_number(object, "bad_frees_reported", qa_load(&run->bad_reports, relaxed));
    run_json_number(object, "shadow_bytes_touched", shadow_touched_bytes(&run->shadow));
}

static void add_digest(cJSON *root, const char *name, uint64_t digest)
{
    char text[NUMBER_TEXT];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, digest);
    cJSON_AddStringToObject(root, name, text);
}

bool run_json_zones(struct cJSON *root, struct run *run, const struct run_sums *sums)
{
    cJSON *zones = cJSON_AddArrayToObject(root, "zones");

    (void)sums;
    for (size_t z = 0; z < run->machine.zone_count; z++)
        add_zone(zones, run, z);
    return zones != NULL;
}

struct cJSON *run_json(struct run *run, const struct run_sums *sums)
{
    cJSON *root = cJSON_CreateObject();

    run_json_number(root, "threads", run->options.threads);
    cJSON_AddNumberToObject(root, "seconds", run->seconds);
    cJSON_AddBoolToObject(root, "interrupted", run->interrupted);
    run_json_number(root, "seed", run->options.seed);
    cJSON_AddStringToObject(root, run->options.topology ? "topology" : "map", run->map.source);
    cJSON_AddStringToObject(root, run->options.topology ? "topology_format" : "map_format",
                            run->map.format);
    run_json_number(root, "operations", sums->operations);
    cJSON_AddNumberToObject(root, "ops_per_second", run_rate(run, sums->operations));
    run_json_number(root, "calls", run->calls);
    cJSON_AddNumberToObject(root, "calls_per_second", run_rate(run, run->calls));
    add_digest(root, "sequence", sums->sequence);
    add_digest(root, "outcome", sums->outcome);
    add_latency(root, run, sums);
    add_errors(root, "failures", sums->failures);
    add_events(root, sums->events);
    run_json_number(root, "peak_metadata_bytes", run->machine.metadata_bytes);
    bool done = run->way->json(root, run, sums);
    add_checks(root, run, &sums->checks);
    if (done && cJSON_AddStringToObject(root, "verdict", run_verdict(run)))
        return root;
    cJSON_Delete(root);
    return NULL;
}
