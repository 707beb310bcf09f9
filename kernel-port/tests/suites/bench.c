/* SPDX-License-Identifier: MIT
 *
 * bench.c - figures: how long operations take, and from which node to which.
 *
 * The unit is nanoseconds of the emulated machine; or instructions, loops included, where the
 * emulator counts those (-icount). Figures are no tests: the results here say only that nothing
 * was refused. Each figure is in a table and in a line of JSON behind "@json". What Linux 6.1
 * takes, in instructions, is printed beside: its alloc_pages and free, counted in the same emulator
 * with init_on_alloc=0 and mitigations=off.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/timing.h"
#include "kernel-port/tests/zone_audit.h"

#include <stddef.h>

enum { PAIRS = 500, BATCH = 64 };

static uint64_t failed;
static uint64_t values[QUIRE_NODES][QUIRE_NODES];

static uint32_t cpu_of_node(uint32_t node)
{
    uint32_t cpu = 0;

    while (cpu < cpu_count && cpus[cpu]->node != node)
        cpu++;
    return cpu;
}

static bool has_memory(uint32_t node)
{
    return quire_topology_with_memory(&memory.topology).bits >> node & 1;
}

/* Frames of that node alone, so that no other one's are measured. */
static uint64_t pair_between(uint32_t cpu, uint32_t node, unsigned order)
{
    struct quire_policy bind = {.mode = QUIRE_POLICY_BIND,
                                .nodes = quire_nodemask_of(quire_node_of(node))};
    struct op op = {.request = {.order = order,
                                .near_node = quire_near_of(quire_node_of(node)),
                                .policy = &bind},
                    .n = PAIRS};
    struct timing t = timing_of(cpu, &op, op_request_pairs, NULL);

    failed += t.failed;
    return t.first;
}

static void print_row(uint32_t from)
{
    print("%8u", from);
    for (uint32_t to = 0; to < memory.topology.node_count; to++)
        if (has_memory(to))
            print(" %7lu.%lu", values[from][to] / 10, values[from][to] % 10);
        else
            print(" %9s", "-");
    print("\n");
}

static void print_json_row(uint32_t from, unsigned order)
{
    for (uint32_t to = 0; to < memory.topology.node_count; to++)
        if (has_memory(to))
            print("@json {\"case\": \"matrix\", \"order\": %u, \"cpu_node\": %u, "
                  "\"memory_node\": %u, \"value\": %lu.%lu, \"unit\": \"%s\"}\n",
                  order, from, to, values[from][to] / 10, values[from][to] % 10, timing_unit());
}

static void matrix(unsigned order)
{
    uint32_t nodes = memory.topology.node_count;

    print("\nalloc and free of order %u, %s: CPU's node down, memory's node across\n        ",
          order, timing_unit());
    for (uint32_t to = 0; to < nodes; to++)
        print(" %9u", to);
    print("\n");
    for (uint32_t from = 0; from < nodes; from++) {
        uint32_t cpu = cpu_of_node(from);

        if (cpu == cpu_count)
            continue;
        for (uint32_t to = 0; to < nodes; to++)
            values[from][to] = has_memory(to) ? pair_between(cpu, to, order) : 0;
        print_row(from);
        print_json_row(from, order);
    }
}

static void figure(const char *name, unsigned order, uint64_t value, uint32_t linux_takes)
{
    char text[16] = "-";

    if (linux_takes)
        (void)print_into(text, sizeof text, "%u", linux_takes);
    print("%-34s %9lu.%lu %10s\n", name, value / 10, value % 10, text);
    print("@json {\"case\": \"%s\", \"order\": %u, \"value\": %lu.%lu, \"unit\": \"%s\", "
          "\"linux_instructions\": %u}\n",
          name, order, value / 10, value % 10, timing_unit(), linux_takes);
}

static void pairs(void)
{
    static const struct {
        unsigned order;
        uint32_t linux_takes;
    } sizes[] = {{0, 690}, {1, 766}, {3, 878}, {4, 1475}, {8, 9624}, {9, 9959}, {10, 35698}};

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct op op = {.request = {.order = sizes[i].order}, .n = PAIRS};
        struct timing t = timing_of(0, &op, op_pairs, NULL);
        char name[40];

        failed += t.failed;
        (void)print_into(name, sizeof name, "order %u, alloc and free", sizes[i].order);
        figure(name, sizes[i].order, t.first, sizes[i].linux_takes);
    }
}

/* Past the caches: what an interrupt takes that finds them taken. */
static void zone_pairs(void)
{
    uint32_t node = cpus[0]->node;
    struct op op = {.n = PAIRS, .zone = memory_zone_of(node, QUIRE_ZONE_NORMAL)};
    struct timing t;

    if (!op.zone)
        op.zone = memory_zone_of(node, QUIRE_ZONE_DMA32);
    if (!op.zone)
        return;
    t = timing_of(0, &op, op_zone_pairs, NULL);
    failed += t.failed;
    figure("zone alone, alloc and free", 0, t.first, 0);
}

static void bulk(void)
{
    struct op op = {.n = OPS_FRAMES};
    struct timing t = timing_of(0, &op, op_allocate, op_free);

    failed += t.failed;
    figure("10000 frames, alloc, per frame", 0, t.first, 570);
    figure("10000 frames, free, per frame", 0, t.second, 258);
    op = (struct op){.n = BATCH,
                     .request = {.near_node = quire_near_of(quire_node_of(cpus[0]->node))}};
    t = timing_of(0, &op, op_batch_allocate, op_batch_free);
    failed += t.failed;
    figure("batch of 64, alloc, per frame", 0, t.first, 68);
    figure("batch of 64, free, per frame", 0, t.second, 261);
}

void suite_bench(const struct options *options)
{
    static const unsigned orders[] = {0, 3, 9};

    (void)options;
    failed = 0;
    zone_audit_begin();
    timing_init();
    for (unsigned i = 0; i < sizeof orders / sizeof orders[0]; i++)
        matrix(orders[i]);
    print("\nCPU 0, memory of its node %21s %s\n", timing_unit(), "Linux, instructions");
    pairs();
    zone_pairs();
    bulk();
    print("\n");
    tap_equal(failed, 0, "refused calls");
    zone_audit_end("benchmark");
}
