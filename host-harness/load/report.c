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

enum { MATRIX_NODES = 8 }; /* up to so many a table has a line per pair of nodes */

__attribute__((format(printf, 2, 3))) static void say(FILE *out, const char *format, ...)
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

void report_sum(const struct load *load, struct load_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t t = 0; t < load->options.threads; t++) {
        struct worker *w = &load->workers[t];

        sums->operations += qa_load(&w->operations, relaxed); /* relaxed: no other thread runs */
        sums->sequence ^= random_scramble(w->sequence + t);
        sums->outcome ^= random_scramble(w->outcome + t);
        for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
            sums->refusals[i] += w->refusals[i];
            sums->refused += w->refusals[i];
        }
        for (unsigned i = 0; i < CALL_KINDS; i++)
            hist_merge(&sums->latency[i], &w->latency[i]);
        for (unsigned i = 0; i < LOAD_CHECKS; i++)
            sums->checks[i] += w->checks[i];
    }
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        for (unsigned e = 0; e < QUIRE_EVENTS; e++)
            sums->events[e] += load->zones[z].loaded.events[e];
    }
}

uint64_t report_count(const struct load *load, enum machine_count count)
{
    uint64_t sum = 0;

    for (uint32_t t = 0; t <= load->options.threads; t++)
        sum += load->on_machine->threads[t].counts[count];
    return sum;
}

void report_add_pair(const struct load *load, uint32_t from, uint32_t to, struct hist *hist)
{
    for (uint32_t t = 0; t < load->options.threads; t++) {
        if (load->on_machine->threads[t].node.n == from)
            hist_merge(hist, &load->on_machine->threads[t].alloc[to]);
    }
}

/* ---- What all targets have ------------------------------------------------------------------- */

static void print_latency(FILE *out, const struct load *load, const struct load_sums *sums)
{
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

    say(out, "\nlatency of calls in ns: one in %u is timed; reading the clock adds %" PRIu64 "\n",
        load->sample, load->timer_ns);
    say(out, "%-15s %10s %8s %8s %8s %8s %9s %10s\n", "call", "timed", "p50", "p90", "p99", "p99.9",
        "p99.99", "max");
    for (unsigned i = 0; i < CALL_KINDS; i++) {
        const struct hist *hist = &sums->latency[i];

        if (hist->count == 0)
            continue;
        say(out, "%-15s %10" PRIu64, call_names[i], hist->count);
        for (unsigned p = 0; p < sizeof(parts) / sizeof(parts[0]); p++)
            say(out, " %*" PRIu64, p < 4 ? 8 : 9, hist_percentile(hist, parts[p]));
        say(out, " %10" PRIu64 "\n", hist->max);
    }
}

static void print_refusals(FILE *out, const struct load_sums *sums)
{
    say(out, "\nrefused, as expected: %" PRIu64, sums->refused);
    for (unsigned i = 1; i < QUIRE_ERRORS; i++) {
        if (sums->refusals[i])
            say(out, ", %s %" PRIu64, quire_strerror(-(int)i), sums->refusals[i]);
    }
    say(out, "\nwatermark crossings:");
    for (unsigned e = 0; e < QUIRE_EVENTS; e++)
        say(out, "%s %s %" PRIu64, e ? "," : "", report_event_name((enum quire_event)e),
            sums->events[e]);
    say(out, "\n");
}

static void print_checks(FILE *out, struct load *load, const struct load_sums *sums)
{
    char text[32];

    say(out, "\npeak metadata: %s (%zu bytes, all there is from the start)\n",
        cli_bytes(text, sizeof(text), load->machine.metadata_bytes), load->machine.metadata_bytes);
    say(out,
        "verified: %" PRIu64 " frames handed out, %" PRIu64 " freed, %" PRIu64
        " handed out once more at the end,\n%" PRIu64 " bad calls refused, %" PRIu64
        " answers compared with the exact free count (one thread),\n%" PRIu64
        " other answers; the shadow model took %s\n",
        sums->checks[CHECK_TAKEN], sums->checks[CHECK_GIVEN], load->redrawn,
        sums->checks[CHECK_REFUSED], sums->checks[CHECK_FLOORS], sums->checks[CHECK_ANSWERS],
        cli_bytes(text, sizeof(text), shadow_touched_bytes(&load->shadow)));
}

static void print_load(FILE *out, const struct load *load, const struct load_sums *sums)
{
    say(out, "\noperations: %" PRIu64 ", %.0f per second; calls: %" PRIu64 ", %.0f per second\n",
        sums->operations, report_rate(load, sums->operations), load->calls,
        report_rate(load, load->calls));
    if (load->options.operations)
        say(out, "sequence %016" PRIx64 ", outcome %016" PRIx64 "\n", sums->sequence,
            sums->outcome);
    print_latency(out, load, sums);
    print_refusals(out, sums);
}

/* ---- Zones ----------------------------------------------------------------------------------- */

static void print_zones(FILE *out, const struct load *load)
{
    char text[32];

    say(out, "\nzone node type        frames  set aside      min      low     high  metadata\n");
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        const struct simulated_zone *from = &load->machine.zones[z];
        const struct load_zone *zone = &load->zones[z];

        say(out,
            "%4zu %4u %-6s %11" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
            " %9s\n",
            z, from->node, zone_type_name(from->type), zone->before.managed, zone->set_aside_frames,
            zone->before.min, zone->before.low, zone->before.high,
            cli_bytes(text, sizeof(text), from->metadata_bytes));
    }
}

static void print_fragmentation(FILE *out, const struct load *load)
{
    static const unsigned orders[] = {1, 3, 6, 9, 10};

    say(out, "\nfragmentation when the threads ended, all still held; unusable: the share of "
             "free frames\nthat lies in runs below the order\n");
    say(out, "zone       free  whole blocks  split blocks  largest run  pressure");
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        say(out, " %*s%u", i < 4 ? 4 : 3, "o", orders[i]);
    say(out, "\n");
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        const struct quire_zone_stats *stats = &load->zones[z].loaded;

        say(out, "%4zu %10" PRIu64 " %13" PRIu64 " %13" PRIu64 " %12" PRIu64 " %9u", z, stats->free,
            stats->whole_free_blocks, stats->split_blocks, stats->largest_run,
            load->zones[z].loaded_pressure);
        for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
            say(out, " %4.1f%%", stats->unusable[orders[i]] / 10.0);
        say(out, "\n");
    }
}

static void print_on_zones(FILE *out, struct load *load, const struct load_sums *sums)
{
    print_zones(out, load);
    print_load(out, load, sums);
    print_fragmentation(out, load);
    print_checks(out, load, sums);
}

/* ---- A machine ------------------------------------------------------------------------------- */

static void print_nodes(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    say(out, "\nnode  CPUs threads    frames      free  cached   in remote  pressure  hit rate\n");
    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        const struct quire_node_stats *stats = &on->loaded[n];
        uint64_t wanted = stats->counts[QUIRE_NODE_HIT] + stats->counts[QUIRE_NODE_FOREIGN];
        uint32_t cpus = 0, threads = 0;

        for (uint32_t cpu = 0; cpu < on->topology.cpu_count; cpu++)
            cpus += on->topology.cpu_node[cpu] == n;
        for (uint32_t t = 0; t < load->options.threads; t++)
            threads += on->threads[t].node.n == n;
        say(out, "%4u %5u %7u %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %11" PRIu64 " %9u", n, cpus,
            threads, stats->managed, stats->free, stats->cached, stats->remote, stats->pressure);
        if (wanted > 0)
            say(out, " %8.2f%%\n", 100.0 * (double)stats->counts[QUIRE_NODE_HIT] / (double)wanted);
        else
            say(out, "         -\n");
    }
}

static void print_counts(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    say(out, "\nnode         hit        miss     foreign  interleave       local       other\n");
    for (uint32_t n = 0; n < on->topology.node_count; n++) {
        const uint64_t *counts = on->loaded[n].counts;

        say(out, "%4u", n);
        for (unsigned i = 0; i < QUIRE_NODE_COUNTS; i++)
            say(out, "%s%11" PRIu64, i ? " " : "  ", counts[i]);
        say(out, "\n");
    }
}

static void print_row(FILE *out, const struct hist *hist, uint32_t access)
{
    say(out, " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64, hist->count,
        hist_percentile(hist, 0.5), hist_percentile(hist, 0.99), hist->max);
    if (access)
        say(out, " %10.1f\n", access / 10.0);
    else
        say(out, "          -\n");
}

static void print_pairs(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    say(out, "from   to distance      timed      p50      p99        max     access\n");
    for (uint32_t from = 0; from < on->topology.node_count; from++) {
        for (uint32_t to = 0; to < on->topology.node_count; to++) {
            struct hist hist = {0};

            report_add_pair(load, from, to, &hist);
            if (hist.count == 0 && !on->access[from][to])
                continue;
            say(out, "%4u %4u %8u", from, to, on->topology.distance[from][to]);
            print_row(out, &hist, on->access[from][to]);
        }
    }
}

static void print_distances(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    say(out, "distance pairs      timed      p50      p99        max     access\n");
    for (unsigned distance = 0; distance < 256; distance++) {
        struct hist hist = {0};
        unsigned pairs = 0;

        for (uint32_t from = 0; from < on->topology.node_count; from++) {
            for (uint32_t to = 0; to < on->topology.node_count; to++) {
                if (on->topology.distance[from][to] != distance)
                    continue;
                pairs++;
                report_add_pair(load, from, to, &hist);
            }
        }
        if (hist.count == 0)
            continue;
        say(out, "%8u %5u", distance, pairs);
        print_row(out, &hist, 0);
    }
}

static void print_reclaim(FILE *out, const struct load *load)
{
    const struct machine_target *on = load->on_machine;

    say(out,
        "\npage cache: %" PRIu64 " pages put, %" PRIu64 " dropped; background reclaim: %" PRIu64
        " wakeups, %" PRIu64 " calls, %" PRIu64 " frames;\nlast resort: %" PRIu64
        " requests, %" PRIu64 " frames\n",
        report_count(load, COUNT_CACHED), report_count(load, COUNT_DROPPED), on->wakeups,
        on->reclaims, on->reclaimed,
        qa_load(&on->last_resorts, relaxed),        /* relaxed: no other thread runs */
        qa_load(&on->last_resort_frames, relaxed)); /* relaxed: as above */
    say(out,
        "frames freed on another node's CPU: %" PRIu64 "; filled into mempools: %" PRIu64
        "; taken offline and back: %" PRIu64 ", %" PRIu64
        " moved away for it\nplaces checked against the policy: %" PRIu64 "; snapshots: %" PRIu64
        "\n",
        report_count(load, COUNT_REMOTE), report_count(load, COUNT_MEMPOOL),
        report_count(load, COUNT_OFFLINED), report_count(load, COUNT_MOVED),
        report_count(load, COUNT_KEPT), on->machine_loaded.snapshots);
    if (load->options.real)
        say(out,
            "pages by move_pages(2): %" PRIu64 " on the promised node, %" PRIu64
            " elsewhere, %" PRIu64 " never touched\n",
            on->pages_right, on->pages_wrong, on->pages_empty);
}

static void print_on_machine(FILE *out, struct load *load, const struct load_sums *sums)
{
    print_nodes(out, load);
    print_counts(out, load);
    print_load(out, load, sums);
    say(out, "\nsingle frames by node of the CPU and node that gave, ns; access: a read%s\n",
        load->options.real ? "" : " (not here: memory is simulated)");
    if (load->on_machine->topology.node_count <= MATRIX_NODES)
        print_pairs(out, load);
    else
        print_distances(out, load);
    print_reclaim(out, load);
    print_checks(out, load, sums);
}

/* ---- All of it ------------------------------------------------------------------------------- */

int report_print(struct load *load, const struct load_sums *sums)
{
    const struct load_options *options = &load->options;
    FILE *out = options->json && strcmp(options->json, "-") == 0 ? stderr : stdout;

    say(out, "%s: %s (%s)\n", load->target->source_name, load->map.source, load->map.format);
    if (*load->map.note)
        say(out, "note: %s\n", load->map.note);
    say(out, "%u threads, %.2f seconds%s, seed %" PRIu64 "\n", options->threads, load->seconds,
        load->interrupted ? " (interrupted)" : "", options->seed);
    if (load->on_machine)
        print_on_machine(out, load, sums);
    else
        print_on_zones(out, load, sums);
    say(out, "verdict: %s\n", report_verdict(load));
    return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
