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
    "ok",    "no_memory",   "size",  "align", "node",        "zone",
    "frame", "double_free", "order", "busy",  "initialised", "unsupported",
};

enum { NUMBER_TEXT = 32 };

static const char *number_text(char text[NUMBER_TEXT], uint64_t number)
{
    (void)snprintf(text, NUMBER_TEXT, "%" PRIu64, number);
    return text;
}

bool report_number(cJSON *to, const char *name, uint64_t number)
{
    char text[NUMBER_TEXT];

    return cJSON_AddRawToObject(to, name, number_text(text, number)) != NULL;
}

void report_numbers(cJSON *to, const char *name, const uint64_t numbers[], unsigned count)
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

    report_number(latency, "timed_one_in", load->sample);
    report_number(latency, "timer_ns", load->timer_ns);
    for (unsigned i = 0; i < CALL_KINDS; i++) {
        const struct hist *hist = &sums->latency[i];
        cJSON *call = cJSON_AddObjectToObject(latency, report_call_name((enum call_kind)i));

        report_number(call, "timed", hist->count);
        report_number(call, "p50_ns", hist_percentile(hist, 0.5));
        report_number(call, "p90_ns", hist_percentile(hist, 0.9));
        report_number(call, "p99_ns", hist_percentile(hist, 0.99));
        report_number(call, "p99.9_ns", hist_percentile(hist, 0.999));
        report_number(call, "p99.99_ns", hist_percentile(hist, 0.9999));
        report_number(call, "max_ns", hist->max);
    }
}

void report_errors(cJSON *to, const char *name, const uint64_t errors[QUIRE_ERRORS])
{
    cJSON *object = cJSON_AddObjectToObject(to, name);
    uint64_t total = 0;

    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        total += errors[i];
        report_number(object, error_names[i], errors[i]);
    }
    report_number(object, "total", total);
}

void report_events(cJSON *to, const uint64_t events[QUIRE_EVENTS])
{
    cJSON *object = cJSON_AddObjectToObject(to, "watermark_crossings");

    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        report_number(object, report_event_name((enum quire_event)e), events[e]);
}

static void add_checks(cJSON *root, struct load *load, const struct load_checks *checks)
{
    cJSON *object = cJSON_AddObjectToObject(root, "checks");

    report_number(object, "frames_taken", checks->taken);
    report_number(object, "frames_given", checks->given);
    report_number(object, "frames_redrawn", load->redrawn);
    report_number(object, "bad_calls_refused", checks->refused);
    report_number(object, "floors", checks->floors);
    report_number(object, "other_answers", checks->answers);
    /* relaxed: no other thread runs */
    report_number(object, "bad_frees_reported", qa_load(&load->bad_reports, relaxed));
    report_number(object, "shadow_bytes_touched", shadow_touched_bytes(&load->shadow));
}

static void add_digest(cJSON *root, const char *name, uint64_t digest)
{
    char text[NUMBER_TEXT];

    (void)snprintf(text, sizeof(text), "%016" PRIx64, digest);
    cJSON_AddStringToObject(root, name, text);
}

struct cJSON *report_json(struct load *load, const struct load_sums *sums)
{
    cJSON *root = cJSON_CreateObject();
    char format_name[NUMBER_TEXT];

    (void)snprintf(format_name, sizeof(format_name), "%s_format", load->target->source_name);
    report_number(root, "threads", load->options.threads);
    cJSON_AddNumberToObject(root, "seconds", load->seconds);
    cJSON_AddBoolToObject(root, "interrupted", load->interrupted);
    report_number(root, "seed", load->options.seed);
    cJSON_AddStringToObject(root, load->target->source_name, load->map.source);
    cJSON_AddStringToObject(root, format_name, load->map.format);
    report_number(root, "operations", sums->operations);
    cJSON_AddNumberToObject(root, "ops_per_second", report_rate(load, sums->operations));
    report_number(root, "calls", load->calls);
    cJSON_AddNumberToObject(root, "calls_per_second", report_rate(load, load->calls));
    add_digest(root, "sequence", sums->sequence);
    add_digest(root, "outcome", sums->outcome);
    add_latency(root, load, sums);
    report_errors(root, "failures", sums->failures);
    report_events(root, sums->events);
    report_number(root, "peak_metadata_bytes", load->machine.metadata_bytes);
    bool done = load->target->json(root, load);
    add_checks(root, load, &sums->checks);
    if (done && cJSON_AddStringToObject(root, "verdict", report_verdict(load)))
        return root;
    cJSON_Delete(root);
    return NULL;
}
