/* SPDX-License-Identifier: MIT
 *
 * memory_print.c - what the machine has, as tables on the console.
 */
#include "memory.h"

#include "console.h"
#include "cpu.h"
#include "paging.h"

static const char *const type_names[QUIRE_ZONE_TYPES] = {"DMA", "DMA32", "Normal", "Huge",
                                                         "Device"};

static uint64_t mib(uint64_t frames)
{
    return frames >> (20 - QUIRE_FRAME_SHIFT);
}

static void print_report(void)
{
    struct quire_boot_report r;

    quire_boot_report(&memory.boot, &r);
    print("memory: %lu MiB usable, %lu MiB in use, %lu KiB metadata, %u map entries accepted\n",
          mib(r.usable), mib(r.reserved + r.taken), r.metadata << 2, r.accepted);
    if (r.refused.empty + r.refused.wrapping + r.refused.beyond + r.refused.slivers)
        print("memory: entries refused: %u empty, %u wrapping, %u beyond, %u slivers\n",
              r.refused.empty, r.refused.wrapping, r.refused.beyond, r.refused.slivers);
    print("paging: direct map by pages of up to %lu MiB\n", paging_largest_page() >> 20);
}

/* Of reads, as HMAT tells them. */
static void print_latencies(const struct quire_topology *t)
{
    bool known = false;

    for (uint32_t i = 0; i < t->node_count; i++)
        for (uint32_t j = 0; j < t->node_count; j++)
            known = known || t->latency_ns[i][j];
    if (!known)
        return;
    print("node     latency, ns\n");
    for (uint32_t node = 0; node < t->node_count; node++) {
        print("%4u    ", node);
        for (uint32_t to = 0; to < t->node_count; to++)
            print(" %5u", t->latency_ns[node][to]);
        print("\n");
    }
}

static void print_nodes(void)
{
    const struct quire_topology *t = &memory.topology;

    print("node     CPUs  memory MiB  tier  distances\n");
    for (uint32_t node = 0; node < t->node_count; node++) {
        uint32_t with = 0;
        uint64_t frames = 0;

        for (uint32_t i = 0; i < cpu_count; i++)
            with += cpus[i]->node == node;
        for (uint32_t i = 0; i < memory_zone_count(); i++)
            if (memory.up.plan.zones[i].node == node)
                frames += quire_zone_managed(&memory.up.zones[i]);
        print("%4u %8u %11lu %5u ", node, with, mib(frames),
              quire_topology_tier(t, quire_node_of(node)));
        for (uint32_t to = 0; to < t->node_count; to++)
            print(" %3u", t->distance[node][to]);
        print("\n");
    }
    print_latencies(t);
}

static void print_zones(void)
{
    print("zone  node  type    managed frames  reserved   watermarks\n");
    for (uint32_t i = 0; i < memory_zone_count(); i++) {
        struct quire_zone_stats s;

        (void)quire_zone_stats(&memory.up.zones[i], &s);
        print("%4u %5u  %-7s %14lu %9lu   %lu/%lu/%lu\n", i, memory.up.plan.zones[i].node,
              type_names[memory.up.plan.zones[i].config.type], s.managed, s.reserved, s.min, s.low,
              s.high);
    }
}

void memory_print_kinds(void)
{
    int64_t frames[QUIRE_KINDS];
    struct quire_fault fault = {0};
    int error = quire_kinds_report(&memory_kinds, memory.up.machine, frames, &fault);

    print("frames in use:");
    for (unsigned kind = 0; kind < QUIRE_KINDS; kind++) {
        const char *name = quire_kind_name((enum quire_kind)kind);

        if (frames[kind])
            print(" %ld %s;", frames[kind], name ? name : "the kernel's");
    }
    print(" %s\n", error ? fault.what : "no kind has fewer than none");
}

void memory_print(void)
{
    print_report();
    print_nodes();
    print_zones();
    memory_print_kinds();
}
