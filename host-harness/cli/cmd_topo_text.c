/* SPDX-License-Identifier: MIT
 *
 * cmd_topo_text.c - a topology as text of 80 columns.
 *
 * A matrix is drawn as one while it fits; larger ones are told row by row, nodes of one value
 * together, which is shorter the more alike the nodes are.
 */
#include "cli.h"
#include "cmd_topo.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 80 };

/* A line that is broken between words; what follows a break is indented. */
struct line {
    unsigned at, indent;
};

__attribute__((format(printf, 2, 3))) static void word(struct line *line, const char *format, ...)
{
    char text[128];
    va_list arguments;

    va_start(arguments, format);
    unsigned length = (unsigned)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (line->at + 1 + length > COLUMNS && line->at > line->indent) {
        printf("\n%*s", (int)line->indent, "");
        line->at = line->indent;
    }
    line->at += (unsigned)printf(" %s", text);
}

/* A list of numbers, as words: runs of three and more as "5-8". */
struct list {
    struct line *line;
    uint32_t first, last;
    bool any, open; /* a word was written; a run is waiting */
};

static void close_run(struct list *list, const char *after)
{
    if (!list->open)
        return;
    list->open = false;
    if (list->first == list->last)
        word(list->line, "%" PRIu32 "%s", list->first, after);
    else if (list->first + 1 == list->last)
        word(list->line, "%" PRIu32 " %" PRIu32 "%s", list->first, list->last, after);
    else
        word(list->line, "%" PRIu32 "-%" PRIu32 "%s", list->first, list->last, after);
    list->any = true;
}

static void number(struct list *list, uint32_t n)
{
    if (list->open && list->last + 1 == n) {
        list->last = n;
        return;
    }
    close_run(list, "");
    list->first = list->last = n;
    list->open = true;
}

static void print_nodes(const struct topo *topo)
{
    const struct quire_topology *topology = &topo->topology;

    printf("\n%4s %6s %5s %12s %5s %8s  %s\n", "node", "id", "CPUs", "memory", "tier", "moves to",
           "which CPUs");
    for (uint32_t n = 0; n < topology->node_count; n++) {
        quire_node down = quire_topology_demotion(topology, quire_node_of(n));
        uint32_t tier = quire_topology_tier(topology, quire_node_of(n)), cpus = 0;
        uint64_t bytes = topo_memory_of(topo, n);
        char size[16] = "none", level[16] = "-", target[16] = "-";
        struct line line = {47, 47};
        struct list list = {.line = &line};

        for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
            cpus += topology->cpu_node[cpu] == n;
        if (bytes)
            cli_bytes(size, sizeof(size), bytes);
        if (tier != QUIRE_NO_TIER)
            snprintf(level, sizeof(level), "%" PRIu32, tier);
        if (down.n != QUIRE_NO_NODE)
            snprintf(target, sizeof(target), "%" PRIu32, down.n);
        printf("%4" PRIu32 " %6" PRIu32 " %5" PRIu32 " %12s %5s %8s ", n, topology->node_id[n],
               cpus, size, level, target);
        for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
            if (topology->cpu_node[cpu] == n)
                number(&list, topology->cpu_id[cpu]);
        close_run(&list, "");
        printf("%s\n", list.any ? "" : " none");
    }
}

static void print_zones(const struct topo *topo)
{
    struct topo_zones zones;
    char size[16];

    cmd_topo_zones(topo, &zones);
    printf("\n%4s %-8s %-18s %-18s %10s\n", "node", "zone", "from", "to", "managed");
    for (size_t i = 0; i < zones.count; i++) {
        const struct topo_zone *zone = &zones.zones[i];

        printf("%4" PRIu32 " %-8s 0x%016" PRIx64 " 0x%016" PRIx64 " %10s\n", zone->node, zone->type,
               zone->start, zone->end - 1, cli_bytes(size, sizeof(size), zone->bytes));
    }
    if (zones.count == 0)
        printf("   -\n");
    cmd_topo_zones_free(&zones);
}

/* What a matrix holds, whatever its type. */
typedef uint32_t cell(const struct quire_topology *topology, uint32_t from, uint32_t to);

static uint32_t distance(const struct quire_topology *topology, uint32_t from, uint32_t to)
{
    return topology->distance[from][to];
}

static uint32_t latency(const struct quire_topology *topology, uint32_t from, uint32_t to)
{
    return topology->latency_ns[from][to];
}

static uint32_t bandwidth(const struct quire_topology *topology, uint32_t from, uint32_t to)
{
    return topology->bandwidth_mbs[from][to];
}

static void print_square(const struct quire_topology *topology, cell *value, int width)
{
    printf("%4s ", "from");
    for (uint32_t to = 0; to < topology->node_count; to++)
        printf("%*" PRIu32, width, to);
    printf("\n");
    for (uint32_t from = 0; from < topology->node_count; from++) {
        printf("%4" PRIu32 " ", from);
        for (uint32_t to = 0; to < topology->node_count; to++) {
            uint32_t v = value(topology, from, to);
            if (v)
                printf("%*" PRIu32, width, v);
            else
                printf("%*s", width, "-");
        }
        printf("\n");
    }
}

/* "from 5  10: 5  20: 0-3  ...", values ascending. */
static void print_row(const struct quire_topology *topology, cell *value, uint32_t from)
{
    struct line line = {9, 9};
    uint32_t last = 0;

    printf("from %3" PRIu32 " ", from);
    for (;;) {
        struct list list = {.line = &line};
        uint32_t next = UINT32_MAX;

        for (uint32_t to = 0; to < topology->node_count; to++) {
            uint32_t v = value(topology, from, to);
            if (v > last && v < next)
                next = v;
        }
        if (next == UINT32_MAX)
            break;
        word(&line, "%" PRIu32 ":", next);
        for (uint32_t to = 0; to < topology->node_count; to++)
            if (value(topology, from, to) == next)
                number(&list, to);
        close_run(&list, ";");
        last = next;
    }
    printf("\n");
}

static void print_matrix(const struct quire_topology *topology, const char *title, cell *value,
                         unsigned width)
{
    printf("\n%s\n", title);
    if (5 + topology->node_count * width <= COLUMNS) {
        print_square(topology, value, (int)width);
        return;
    }
    for (uint32_t from = 0; from < topology->node_count; from++)
        print_row(topology, value, from);
}

static void print_orders(const struct quire_topology *topology)
{
    quire_node order[QUIRE_NODES];

    printf("\norder in which a node asks\n");
    for (uint32_t from = 0; from < topology->node_count; from++) {
        uint32_t count = quire_topology_order(topology, quire_node_of(from), order);
        struct line line = {5, 5};
        struct list list = {.line = &line};

        printf("%4" PRIu32 ":", from);
        for (uint32_t i = 0; i < count; i++)
            number(&list, order[i].n);
        close_run(&list, "");
        printf("\n");
    }
}

static void print_memory(const struct topo *topo)
{
    const struct quire_topology *topology = &topo->topology;
    char size[16];

    printf("\n%-18s %-18s %10s %4s  %s%s\n", "from", "to", "size", "node", "memory",
           topo->laid_out ? ", laid out here" : "");
    for (uint32_t i = 0; i < topology->range_count; i++) {
        const struct quire_topology_memory *range = &topology->ranges[i];
        printf("0x%016" PRIx64 " 0x%016" PRIx64 " %10s %4" PRIu32 "  %s\n", range->phys,
               range->phys + range->bytes - 1, cli_bytes(size, sizeof(size), range->bytes),
               range->node.n, cmd_topo_kind(range->kind));
    }
    for (uint32_t i = 0; i < topo->reserved_count; i++) {
        const struct topo_reserved *reserved = &topo->reserved[i];
        uint64_t bytes = reserved->end - reserved->start;

        printf("0x%016" PRIx64 " 0x%016" PRIx64 " %10s %4s  reserved\n", reserved->start,
               reserved->end - 1, cli_bytes(size, sizeof(size), bytes), "-");
    }
}

void cmd_topo_text(const struct topo *topo)
{
    const struct quire_topology *topology = &topo->topology;
    uint64_t bytes = 0;
    char size[16];

    for (uint32_t n = 0; n < topology->node_count; n++)
        bytes += topo_memory_of(topo, n);
    printf("%s: %s, %" PRIu32 " node%s, %" PRIu32 " CPU%s, %s\n", topo->source, topo->format,
           topology->node_count, topology->node_count == 1 ? "" : "s", topology->cpu_count,
           topology->cpu_count == 1 ? "" : "s", cli_bytes(size, sizeof(size), bytes));
    if (topo->note[0])
        printf("note: %s\n", topo->note);
    print_nodes(topo);
    print_zones(topo);
    print_matrix(topology, "distance", distance, 4);
    if (cmd_topo_known(topology, topo->topology.latency_ns))
        print_matrix(topology, "latency of a read, ns", latency, 6);
    if (cmd_topo_known(topology, topo->topology.bandwidth_mbs))
        print_matrix(topology, "bandwidth, MB/s", bandwidth, 8);
    print_orders(topology);
    print_memory(topo);
}
