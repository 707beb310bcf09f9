/* SPDX-License-Identifier: MIT
 *
 * report.c - the table that `quire run` prints, and what is summed up for it: see report.h.
 */
#include "report.h"

#include "random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_say(FILE *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
}

static const char *const call_names[CALL_KINDS] = {
    [CALL_ALLOC] = "alloc",
    [CALL_FREE] = "free",
    [CALL_ALLOC_ORDER] = "alloc order 1+",
    [CALL_FREE_ORDER] = "free order 1+",
    [CALL_ALLOC_BATCH] = "alloc batch",
    [CALL_FREE_BATCH] = "free batch",
    [CALL_ALLOC_RUNS] = "alloc runs",
    [CALL_ALLOC_CONTIG] = "alloc contig",
    [CALL_FREE_CONTIG] = "free contig",
    [CALL_ALLOC_AT] = "alloc at",
    [CALL_RESERVE] = "reserve",
    [CALL_UNRESERVE] = "unreserve",
    [CALL_SPLIT] = "split",
    [CALL_JOIN] = "join",
    [CALL_REFUSED] = "bad call",
};

const char *report_call_name(enum call_kind call)
{
    return call_names[call];
}

const char *report_event_name(enum quire_event event)
{
    static const char *const names[QUIRE_EVENTS] = {"low", "min", "recovered"};

    return names[event];
}

const char *report_verdict(struct load *load)
{
    return load_violated(load) ? load->text : "clean";
}

double report_rate(const struct load *load, uint64_t count)
{
    return load->seconds > 0 ? (double)count / load->seconds : 0;
}

static void sum_checks(struct load_checks *sum, const struct load_checks *one)
{
    sum->taken += one->taken;
    sum->given += one->given;
    sum->refused += one->refused;
    sum->floors += one->floors;
    sum->answers += one->answers;
}

void report_sum(const struct load *load, struct load_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t t = 0; t < load->options.threads; t++) {
        struct worker *w = &load->workers[t];

        sums->operations += qa_load(&w->operations, relaxed); /* relaxed: no other thread runs */
        sums->sequence ^= random_mix(w->sequence + t);
        sums->outcome ^= random_mix(w->outcome + t);
        for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
            sums->failures[i] += w->failures[i];
            sums->failed += w->failures[i];
        }
        for (unsigned i = 0; i < CALL_KINDS; i++)
            hist_merge(&sums->latency[i], &w->latency[i]);
        sum_checks(&sums->checks, &w->checks);
    }
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        for (unsigned e = 0; e < QUIRE_EVENTS; e++)
            sums->events[e] += load->zones[z].loaded.events[e];
    }
}

static void print_latency(FILE *out, const struct load *load, const struct load_sums *sums)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

    report_say(out,
               "\nlatency of calls in ns: one in %u is timed; reading the clock adds %" PRIu64 "\n",
               load->sample, load->timer_ns);
    report_say(out, "%-15s %10s %8s %8s %8s %8s %9s %10s\n", "call", "timed", "p50", "p90", "p99",
               "p99.9", "p99.99", "max");
    for (unsigned i = 0; i < CALL_KINDS; i++) {
        const struct hist *hist = &sums->latency[i];

        if (hist->count == 0)
            continue;
        report_say(out, "%-15s %10" PRIu64, call_names[i], hist->count);
        for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
            report_say(out, " %*" PRIu64, p < 4 ? 8 : 9, hist_percentile(hist, parts[p]));
        report_say(out, " %10" PRIu64 "\n", hist->max);
    }
}

static void print_failures(FILE *out, const struct load_sums *sums)
{
    report_say(out, "\nfailures: %" PRIu64, sums->failed);
    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        if (sums->failures[i])
            report_say(out, ", %s %" PRIu64, quire_strerror(-(int)i), sums->failures[i]);
    }
    report_say(out, "\nwatermark crossings:");
    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        report_say(out, "%s %s %" PRIu64, e ? "," : "", report_event_name((enum quire_event)e),
                   sums->events[e]);
    report_say(out, "\n");
}

void report_print_checks(FILE *out, struct load *load, const struct load_sums *sums)
{
    const struct load_checks *checks = &sums->checks;
    char text[32];

    report_say(out, "\npeak metadata: %s (%zu bytes, all there is from the start)\n",
               cli_bytes(text, sizeof(text), load->machine.metadata_bytes),
               load->machine.metadata_bytes);
    report_say(out,
               "verified: %" PRIu64 " frames handed out, %" PRIu64 " freed, %" PRIu64
               " handed out once more at the end,\n%" PRIu64 " bad calls refused, %" PRIu64
               " answers compared with the exact free count (one thread),\n%" PRIu64
               " other answers; the shadow model took %s\n",
               checks->taken, checks->given, load->redrawn, checks->refused, checks->floors,
               checks->answers, cli_bytes(text, sizeof(text), shadow_touched_bytes(&load->shadow)));
}

void report_print_load(FILE *out, const struct load *load, const struct load_sums *sums)
{
    report_say(out,
               "\noperations: %" PRIu64 ", %.0f per second; calls: %" PRIu64 ", %.0f per second\n",
               sums->operations, report_rate(load, sums->operations), load->calls,
               report_rate(load, load->calls));
    if (load->options.operations)
        report_say(out, "sequence %016" PRIx64 ", outcome %016" PRIx64 "\n", sums->sequence,
                   sums->outcome);
    print_latency(out, load, sums);
    print_failures(out, sums);
}

int report_print(struct load *load, const struct load_sums *sums)
{
    const struct load_options *options = &load->options;
    FILE *out = options->json && strcmp(options->json, "-") == 0 ? stderr : stdout;

    report_say(out, "%s: %s (%s)\n", load->target->source_name, load->map.source, load->map.format);
    if (*load->map.note)
        report_say(out, "note: %s\n", load->map.note);
    report_say(out, "%u threads, %.2f seconds%s, seed %" PRIu64 "\n", options->threads,
               load->seconds, load->interrupted ? " (interrupted)" : "", options->seed);
    load->target->print(out, load, sums);
    report_say(out, "verdict: %s\n", report_verdict(load));
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
