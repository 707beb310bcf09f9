/* SPDX-License-Identifier: MIT
 *
 * machine.c - whole machines behind the table: one of a single node (`machine-1`) and the
 * largest that Quire takes (`machine-64`: 64 nodes, 1024 CPUs, 64 TiB), their nodes of one size, so
 * that the difference is what the number of nodes and CPUs costs. The threads run on the first
 * nodes' CPUs, by the numbers that the kernel gives.
 *
 * The functions only pass on. State: struct whole_machine, which nobody changes after open.
 */
#include "allocators.h"
#include "bench/measure/stopwatch.h"

#include <quire/machine.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    NODES = 64,
    CPUS = 16,    /* of a node */
    SHIFT = 28,   /* frames of a node: 1 TiB */
    NEAREST = 12, /* distances: another node's, and what each further step adds */
    STEP = 10,
};

struct whole_machine {
    struct quire_machine *machine;
    struct whole figures;
    unsigned nodes;
    void *memory;
    size_t bytes;
    struct quire_topology topology;
    struct quire_zone zones[NODES];
    void *metadata[NODES];
    size_t metadata_bytes[NODES];
};

/* ---- The port ------------------------------------------------------------------------------- */

static uint32_t current_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    return metadata_map(bytes);
}

static void take_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    metadata_unmap(memory, bytes);
}

/* ---- Building ------------------------------------------------------------------------------- */

/* Nodes at the corners of a cube of as many dimensions as it takes. */
static bool describe(struct whole_machine *w, unsigned cpus)
{
    int error = QUIRE_OK;
    quire_node node;

    quire_topology_init(&w->topology);
    for (unsigned n = 0; n < w->nodes && !error; n++) {
        error = quire_topology_add_node(&w->topology, n, &node);
        for (unsigned i = 0; i < cpus && !error; i++) {
            error = quire_topology_add_cpu(&w->topology, n * cpus + i, node);
        }
        if (!error) {
            error = quire_topology_add_memory(
                &w->topology, (uint64_t)(n + 1) << SHIFT << QUIRE_FRAME_SHIFT,
                UINT64_C(1) << SHIFT << QUIRE_FRAME_SHIFT, node, QUIRE_MEMORY_ORDINARY);
        }
        for (unsigned k = 0; k < n && !error; k++) {
            unsigned far = NEAREST + STEP * (unsigned)(__builtin_popcount(n ^ k) - 1);

            error = quire_topology_set_distance(&w->topology, node, quire_node_of(k), far);
        }
    }
    w->figures.nodes = w->nodes;
    w->figures.cpus = w->nodes * cpus;
    return !error;
}

static bool build_zone(struct whole_machine *w, unsigned n, unsigned slots)
{
    struct quire_run usable = {quire_pfn_of((uint64_t)(n + 1) << SHIFT), UINT64_C(1) << SHIFT};
    struct quire_zone_config config = {
        .id = n,
        .type = QUIRE_ZONE_NORMAL,
        .slots = slots,
        .usable = &usable,
        .usable_count = 1,
        .min = QUIRE_WATERMARK_AUTO,
        .low = QUIRE_WATERMARK_AUTO,
        .high = QUIRE_WATERMARK_AUTO,
        .metadata_zeroed = true,
    };

    if (quire_zone_metadata_size(&config, &w->metadata_bytes[n])) {
        return false;
    }
    w->metadata[n] = metadata_map(w->metadata_bytes[n]);
    return w->metadata[n] &&
           quire_zone_init(&w->zones[n], &config, w->metadata[n], w->metadata_bytes[n]) == QUIRE_OK;
}

static bool build_machine(struct whole_machine *w)
{
    struct quire_machine_zone given[NODES];
    struct quire_pfnmap_span spans[NODES];
    struct quire_machine_config config = {
        .topology = &w->topology,
        .zones = given,
        .zone_count = w->nodes,
        .spans = spans,
        .span_count = w->nodes,
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.cpu = current_cpu, .memory = give_memory, .give_back = take_back},
    };

    for (unsigned n = 0; n < w->nodes; n++) {
        /* cppcheck-suppress [unreadVariable]; read through config */
        given[n] = (struct quire_machine_zone){&w->zones[n], quire_node_of(n)};
        /* cppcheck-suppress [unreadVariable] */
        spans[n] = (struct quire_pfnmap_span){
            {quire_pfn_of((uint64_t)(n + 1) << SHIFT), UINT64_C(1) << SHIFT}, n};
    }
    if (quire_machine_size(&config, &w->bytes)) {
        return false;
    }
    w->memory = metadata_map(w->bytes);
    return w->memory && quire_machine_init(&config, w->memory, w->bytes, &w->machine) == QUIRE_OK;
}

static void whole_close(void *opened)
{
    struct whole_machine *w = opened;

    if (w->machine) {
        quire_machine_fini(w->machine);
    }
    if (w->memory) {
        metadata_unmap(w->memory, w->bytes);
    }
    for (unsigned n = 0; n < w->nodes; n++) {
        if (w->metadata[n]) {
            metadata_unmap(w->metadata[n], w->metadata_bytes[n]);
        }
    }
    free(w);
}

static void *open_nodes(unsigned nodes)
{
    struct whole_machine *w = calloc(1, sizeof(*w));
    unsigned there = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    unsigned cpus = nodes > 1 || there < CPUS ? CPUS : there;
    struct stopwatch watch = {0};
    bool built;

    if (!w) {
        return NULL;
    }
    w->nodes = nodes;
    stopwatch_start(&watch);
    built = describe(w, cpus);
    for (unsigned n = 0; n < nodes && built; n++) {
        built = build_zone(w, n, cpus + 1);
    }
    built = built && build_machine(w);
    stopwatch_stop(&watch, 1);
    w->figures.init_ns = (double)watch.ns;
    if (built) {
        return w;
    }
    whole_close(w);
    return NULL;
}

static void *open_one(uint64_t frames, unsigned threads)
{
    (void)frames;
    (void)threads;
    return open_nodes(1);
}

static void *open_all(uint64_t frames, unsigned threads)
{
    (void)frames;
    (void)threads;
    return open_nodes(NODES);
}

/* ---- Using ---------------------------------------------------------------------------------- */

static struct quire_machine *machine_of(void *arena)
{
    return ((struct whole_machine *)arena)->machine;
}

static int whole_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)thread;
    return quire_machine_alloc(machine_of(arena), order, 0, frame);
}

static int whole_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    (void)thread;
    return quire_machine_free(machine_of(arena), frame, order);
}

/* By the counts alone: to walk 64 TiB takes seconds. */
static const char *whole_check(void *arena)
{
    struct quire_machine_stats stats;

    if (quire_machine_drain(machine_of(arena)) || quire_machine_stats(machine_of(arena), &stats)) {
        return "the machine cannot be drained";
    }
    return stats.free == stats.managed ? NULL : "free and managed frames differ";
}

static void whole_figures(void *arena, struct whole *figures)
{
    struct quire_machine_stats stats;

    (void)quire_machine_stats(machine_of(arena), &stats);
    *figures = ((struct whole_machine *)arena)->figures;
    figures->bytes = (double)stats.managed * QUIRE_FRAME_SIZE;
    figures->metadata_bytes = (double)stats.metadata_bytes;
    figures->zonelist_bytes = (double)stats.zonelist_bytes;
}

const struct allocator allocator_machine_one = {
    .name = "machine-1",
    .what = "a whole machine: 1 node, 16 CPUs, 1 TiB",
    .open = open_one,
    .close = whole_close,
    .alloc = whole_alloc,
    .free = whole_free,
    .check = whole_check,
    .whole = whole_figures,
};

const struct allocator allocator_machine_all = {
    .name = "machine-64",
    .what = "the largest machine: 64 nodes, 1024 CPUs, 64 TiB",
    .open = open_all,
    .close = whole_close,
    .alloc = whole_alloc,
    .free = whole_free,
    .check = whole_check,
    .whole = whole_figures,
};
