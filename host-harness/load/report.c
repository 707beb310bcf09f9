/* SPDX-License-Identifier: MIT
 *
 * report.c - the table that `quire run` prints.
 *
 * No state. Main thread, after all threads have ended.
 */
#include "run.h"

#include "random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Whether it was written shows at the end, by ferror. */
void run_say(FILE *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
}

static const char *const call_names[RUN_CALLS] = {
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

const char *run_call_name(enum run_call call)
{
    return call_names[call];
}

const char *run_event_name(enum quire_event event)
{
    static const char *const names[QUIRE_EVENTS] = {"low", "min", "recovered"};

    return names[event];
}

const char *run_verdict(struct run *run)
{
    return run_violated(run) ? run->text : "clean";
}

double run_rate(const struct run *run, uint64_t count)
{
    return run->seconds > 0 ? (double)count / run->seconds : 0;
}

static void sum_checks(struct run_checks *sum, const struct run_checks *one)
{
    sum->taken += one->taken;
    sum->given += one->given;
    sum->refused += one->refused;
    sum->floors += one->floors;
    sum->answers += one->answers;
}

void run_report_sum(const struct run *run, struct run_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t t = 0; t < run->options.threads; t++) {
        struct worker *w = &run->workers[t];

        sums->operations += qa_load(&w->operations, relaxed); /* relaxed: nobody else runs */
        sums->sequence ^= random_mix(w->sequence + t);
        sums->outcome ^= random_mix(w->outcome + t);
        for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
            sums->failures[i] += w->failures[i];
            sums->failed += w->failures[i];
        }
        for (unsigned i = 0; i < RUN_CALLS; i++)
            hist_merge(&sums->latency[i], &w->latency[i]);
        sum_checks(&sums->checks, &w->checks);
    }
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        for (unsigned e = 0; e < QUIRE_EVENTS; e++)
            sums->events[e] += run->zones[z].loaded.events[e];
    }
}

static void print_zones(FILE *out, const struct run *run)
{
    char text[32];

    run_say(out,
            "\nzone node type        frames    ballast      min      low     high  metadata\n");
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        const struct simulated_zone *from = &run->machine.zones[z];
        const struct run_zone *zone = &run->zones[z];

        run_say(out,
                "%4zu %4u %-6s %11" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
                " %9s\n",
                z, from->node, machine_zone_type_name(from->type), zone->before.managed,
                zone->ballast_frames, zone->before.min, zone->before.low, zone->before.high,
                cli_bytes(text, sizeof(text), from->metadata_bytes));
    }
}

static void print_latency(FILE *out, const struct run *run, const struct run_sums *sums)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

    run_say(out,
            "\nlatency of calls in ns: one in %u is timed; reading the clock adds %" PRIu64 "\n",
            run->sample, run->timer_ns);
    run_say(out, "%-15s %10s %8s %8s %8s %8s %9s %10s\n", "call", "timed", "p50", "p90", "p99",
            "p99.9", "p99.99", "max");
    for (unsigned i = 0; i < RUN_CALLS; i++) {
        const struct hist *hist = &sums->latency[i];

        if (hist->count == 0)
            continue;
        run_say(out, "%-15s %10" PRIu64, call_names[i], hist->count);
        for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
            run_say(out, " %*" PRIu64, p < 4 ? 8 : 9, hist_percentile(hist, parts[p]));
        run_say(out, " %10" PRIu64 "\n", hist->max);
    }
}

static void print_failures(FILE *out, const struct run_sums *sums)
{
    run_say(out, "\nfailures: %" PRIu64, sums->failed);
    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        if (sums->failures[i])
            run_say(out, ", %s %" PRIu64, quire_strerror(-(int)i), sums->failures[i]);
    }
    run_say(out, "\nwatermark crossings:");
    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        run_say(out, "%s %s %" PRIu64, e ? "," : "", run_event_name((enum quire_event)e),
                sums->events[e]);
    run_say(out, "\n");
}

static void print_fragmentation(FILE *out, const struct run *run)
{
    static const unsigned orders[] = {1, 3, 6, 9, 10};

    run_say(out, "\nfragmentation when the threads ended, all still held; unusable: the share of "
                 "free frames\nthat lies in runs below the order\n");
    run_say(out, "zone       free  whole blocks  split blocks  largest run  pressure");
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        run_say(out, " %*s%u", i < 4 ? 4 : 3, "o", orders[i]);
    run_say(out, "\n");
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        const struct quire_zone_stats *stats = &run->zones[z].loaded;

        run_say(out, "%4zu %10" PRIu64 " %13" PRIu64 " %13" PRIu64 " %12" PRIu64 " %9u", z,
                stats->free, stats->whole_free_blocks, stats->split_blocks, stats->largest_run,
                run->zones[z].loaded_pressure);
        for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
            run_say(out, " %4.1f%%", stats->unusable[orders[i]] / 10.0);
        run_say(out, "\n");
    }
}

void run_print_checks(FILE *out, struct run *run, const struct run_sums *sums)
{
    const struct run_checks *checks = &sums->checks;
    char text[32];

    run_say(out, "\npeak metadata: %s (%zu bytes, all there is from the start)\n",
            cli_bytes(text, sizeof(text), run->machine.metadata_bytes),
            run->machine.metadata_bytes);
    run_say(out,
            "verified: %" PRIu64 " frames handed out, %" PRIu64 " freed, %" PRIu64
            " handed out once more at the end,\n%" PRIu64 " bad calls refused, %" PRIu64
            " answers compared with the exact free count (one thread),\n%" PRIu64
            " other answers; the shadow model took %s\n",
            checks->taken, checks->given, run->redrawn, checks->refused, checks->floors,
            checks->answers, cli_bytes(text, sizeof(text), shadow_touched_bytes(&run->shadow)));
}

void run_print_load(FILE *out, const struct run *run, const struct run_sums *sums)
{
    run_say(
        out, "\noperations: %" PRIu64 ", %.0f per second; calls: %" PRIu64 ", %.0f per second\n",
        sums->operations, run_rate(run, sums->operations), run->calls, run_rate(run, run->calls));
    if (run->options.operations)
        run_say(out, "sequence %016" PRIx64 ", outcome %016" PRIx64 "\n", sums->sequence,
                sums->outcome);
    print_latency(out, run, sums);
    print_failures(out, sums);
}

void run_print_zones(FILE *out, struct run *run, const struct run_sums *sums)
{
    print_zones(out, run);
    run_print_load(out, run, sums);
    print_fragmentation(out, run);
    run_print_checks(out, run, sums);
}

int run_report_print(struct run *run, const struct run_sums *sums)
{
    const struct run_options *options = &run->options;
    FILE *out = options->json && strcmp(options->json, "-") == 0 ? stderr : stdout;

    run_say(out, "%s: %s (%s)\n", options->topology ? "topology" : "map", run->map.source,
            run->map.format);
    if (*run->map.note)
        run_say(out, "note: %s\n", run->map.note);
    run_say(out, "%u threads, %.2f seconds%s, seed %" PRIu64 "\n", options->threads, run->seconds,
            run->interrupted ? " (interrupted)" : "", options->seed);
    run->way->print(out, run, sums);
    run_say(out, "verdict: %s\n", run_verdict(run));
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
