/* SPDX-License-Identifier: MIT
 *
 * report.c - the table. No state.
 */
#include "report.h"

#include "bench/measure/metadata.h"
#include "bench/measure/variant.h"
#include "goals.h"
#include "published.h"

#include <math.h>

void report_head(const struct bench_machine *machine, const struct options *options)
{
    printf("%s, %u CPUs, %s, %s\n", machine->cpu, machine->cpus, machine->kernel,
           machine->compiler);
    printf("load before: %.2f; reading the clock: %.0f ns, twice per sample\n", machine->load,
           machine->clock_ns);
    for (unsigned i = 0; i < options->thread_counts; i++) {
        if (options->threads[i] > machine->cpus) {
            printf("note: %u threads share %u CPUs, so a lock's holder may be off its CPU while "
                   "others spin\n",
                   options->threads[i], machine->cpus);
        }
    }
    printf("\nNanoseconds per operation as one thread sees it: median, least and largest sample.\n"
           "instr: instructions per operation by callgrind, one thread, where counted.\n\n");
    printf("%-19s %3s %-17s %-15s %9s %9s %9s %8s\n", "case", "thr", "variant", "allocator",
           "ns/op", "min", "max", "instr");
}

static void report_row(const struct result *r)
{
    char variant[VARIANT_TEXT], instructions[32] = "-";

    variant_text(r->variant, variant);
    if (!isnan(r->instructions)) {
        (void)snprintf(instructions, sizeof(instructions), "%.1f", r->instructions);
    }
    printf("%-19s %3u %-17s %-15s %9.2f %9.2f %9.2f %8s", r->bench->name, r->threads, variant,
           r->allocator->name, r->figure[NS_PER_OP], r->min, r->max, instructions);
    if (!isnan(r->figure[SETTLED_NS])) {
        printf("; settled %.2f", r->figure[SETTLED_NS]);
    }
    if (!isnan(r->figure[WHOLE_SHARE])) {
        printf("; whole blocks %.1f %%", 100 * r->figure[WHOLE_SHARE]);
    }
    if (r->least_share < r->figure[WHOLE_SHARE]) {
        printf(" (least %.1f)", 100 * r->least_share);
    }
    if (!isnan(r->figure[REFUSALS])) {
        printf("; %.0f refused", r->figure[REFUSALS]);
    }
    if (!isnan(r->figure[FIRST_NS])) {
        printf("; the first %.2f us, the worst %.2f us", r->figure[FIRST_NS] / 1000,
               r->figure[WORST_NS] / 1000);
    }
    if (!isnan(r->figure[P50_NS])) {
        printf("; half within %.0f, 99.99 %% within %.0f, the worst %.0f", r->figure[P50_NS],
               r->figure[P9999_NS], r->figure[WORST_NS]);
    }
    putchar('\n');
}

void report_rows(const struct result *first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        report_row(&first[i]);
    }
    (void)fflush(stdout);
}

static void report_metadata(const struct options *options)
{
    printf("\nMetadata of a 64 GiB arena (target: less than %.0f %%):\n",
           100 * METADATA_TARGET_SHARE);
    for (size_t i = 0; i < bench_allocator_count; i++) {
        double share = metadata_share(options, i);

        if (!isnan(share)) {
            printf("  %-15s %8.4f %%  %s\n", bench_allocators[i]->name, 100 * share,
                   share < METADATA_TARGET_SHARE ? "yes" : "NO");
        }
    }
}

static void report_machines(const struct options *options)
{
    const char *head = "\nWhole machines:\n";
    struct whole whole;

    for (size_t i = 0; i < bench_allocator_count; i++) {
        if (!metadata_whole(options, i, &whole)) {
            continue;
        }
        printf("%s  %-15s %2u nodes, %4u CPUs, %4.1f TiB: built in %.1f ms; metadata %.1f MiB "
               "(%.4f %%), zonelists %.1f KiB\n",
               head, bench_allocators[i]->name, whole.nodes, whole.cpus, whole.bytes / 0x1p40,
               whole.init_ns / 1e6, whole.metadata_bytes / 0x1p20,
               100 * whole.metadata_bytes / whole.bytes, whole.zonelist_bytes / 0x1p10);
        head = "";
    }
}

static void report_published(const struct results *results)
{
    struct published published;
    const struct result *ours;
    size_t index = 0;

    if (!published_next(results, &index, &published, &ours)) {
        return;
    }
    printf("\nNot measured here, but published (%s), beside quire:\n"
           "%-19s %5s  %-10s %3s %7s   %-6s %3s %9s\n",
           published_source, "case", "order", "allocator", "thr", "ns/op", "here", "thr", "ns/op");
    do {
        printf("%-19s %5u  %-10s %3u %7.0f   %-6s %3u %9.2f\n", published.bench, published.order,
               published.allocator, published.threads, published.ns, "quire", ours->threads,
               ours->figure[NS_PER_OP]);
    } while (published_next(results, &index, &published, &ours));
}

static void report_goals(const struct results *results)
{
    struct goal_report goal;
    size_t index = 0;

    if (!goals_next(results, &index, &goal)) {
        return;
    }
    printf("\n%10s  %-18s  %-7s  %s\n", "measured", "to reach", "reached", "what");
    do {
        if (isnan(goal.target)) {
            printf("%7.3f %-2s  %-18s  %-7s  %s\n", goal.measured, goal.unit, "-", "-", goal.what);
        } else {
            printf("%7.3f %-2s  %-8s %6.3f %-2s  %-7s  %s\n", goal.measured, goal.unit,
                   goal.at_least ? "at least" : "at most", goal.target, goal.unit,
                   goal.reached ? "yes" : "NO", goal.what);
        }
    } while (goals_next(results, &index, &goal));
}

void report_tail(const struct results *results, const struct options *options)
{
    report_metadata(options);
    report_machines(options);
    report_published(results);
    report_goals(results);
}
