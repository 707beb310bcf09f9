/* SPDX-License-Identifier: MIT
 *
 * scale.c - a machine of 64 nodes, 1024 CPUs and 64 TiB, beside one of a single node: how long it
 * takes to build, what it needs, what a hit costs, and that it works: every CPU allocates and
 * frees, near and far. Fails if the building takes a second or more. (It is all that quire_bringup
 * does; the zones' metadata is fresh memory that reads as zeros and is touched nowhere but where
 * frames are used.)
 */
#include "stress/common/die.h"

#include <quire/bringup.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    NODES = 64,
    CPUS = 1024,
    SHIFT = 28, /* frames of a node: 1 TiB */
    LIMIT_MS = 1000,
    PAIRS = 100000,
    HELD = 8 * 512 - 40, /* frames */
};

static struct quire_topology topology;
static struct quire_boot boot;
static struct quire_boot_entry entries[16 * NODES];
static uint32_t cpu_now;

/* Fresh memory that costs nothing until it is touched. */
static void *fresh(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    must(p == MAP_FAILED, "mmap");
    return p;
}

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return cpu_now;
}

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    return fresh(bytes);
}

static void take_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    (void)munmap(memory, bytes);
}

/* What the machine's own memory at `phys` is here: any that is fresh. */
static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)ctx;
    (void)phys;
    (void)node;
    return fresh(bytes);
}

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void describe(uint32_t nodes, uint32_t cpus)
{
    quire_node node;

    quire_topology_init(&topology);
    must(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], 0), "boot_init");
    for (uint32_t n = 0; n < nodes; n++) {
        must(quire_topology_add_node(&topology, n, &node), "add_node");
        must(quire_boot_add(&boot, (uint64_t)(n + 1) << SHIFT << 12, 1ull << SHIFT << 12,
                            QUIRE_BOOT_USABLE, QUIRE_NODE_ANY),
             "boot_add");
        must(quire_topology_add_memory(&topology, (uint64_t)(n + 1) << SHIFT << 12,
                                       1ull << SHIFT << 12, node, QUIRE_MEMORY_ORDINARY),
             "add_memory");
        for (uint32_t i = 0; i < cpus / nodes; i++)
            must(quire_topology_add_cpu(&topology, n * (cpus / nodes) + i, node), "add_cpu");
        for (uint32_t k = 0; k < n; k++)
            topology.distance[n][k] = topology.distance[k][n] =
                (uint8_t)(12 + 10 * __builtin_popcount(n ^ k)); /* a hypercube */
    }
}

/* Every CPU: near memory, and of the farthest node, and back. */
static void use(struct quire_machine *m, uint32_t nodes, uint32_t cpus)
{
    for (cpu_now = 0; cpu_now < cpus; cpu_now++) {
        struct quire_request request = quire_request_of(0, 0);
        uint32_t local = cpu_now / (cpus / nodes), far = nodes - 1 - local;
        quire_pfn a, b;

        must(quire_machine_alloc(m, 0, 0, &a), "alloc");
        request.near_node = quire_near_of(quire_node_of(far));
        must(quire_machine_request(m, &request, &b, NULL), "request");
        if ((a.n >> SHIFT) - 1 != local || (b.n >> SHIFT) - 1 != far)
            must(QUIRE_ERR_NODE, "a frame of another node");
        must(quire_machine_free(m, a, 0), "free");
        must(quire_machine_free(m, b, 0), "free");
    }
    must(quire_machine_drain(m), "drain");
}

/* The cost of a hit, nanoseconds for a pair; the least of some tries. The frames that are held
 * make the blocks full, so that those freed are used again at once (percpu/density.c). */
static double hit_ns(struct quire_machine *m)
{
    static quire_pfn held[HELD];
    double best = 1e9;
    quire_pfn pfn;

    cpu_now = 0;
    for (int i = 0; i < HELD; i++)
        must(quire_machine_alloc(m, 0, 0, &held[i]), "alloc");
    for (int try = 0; try < 7; try++) {
        double start = now_ms();

        for (int i = 0; i < PAIRS; i++) {
            must(quire_machine_alloc(m, 0, 0, &pfn), "alloc");
            must(quire_machine_free(m, pfn, 0), "free");
        }
        start = (now_ms() - start) * 1e6 / PAIRS;
        best = start < best ? start : best;
    }
    must(quire_machine_free_batch(m, held, HELD, NULL), "free_batch");
    return best;
}

static double build(uint32_t nodes, uint32_t cpus, struct quire_machine_stats *stats)
{
    struct quire_bringup b = {
        .boot = &boot,
        .topology = &topology,
        .map = map,
        .layout = {.zone = {.slots = cpus / nodes + 4,
                            .min = QUIRE_WATERMARK_AUTO,
                            .low = QUIRE_WATERMARK_AUTO,
                            .high = QUIRE_WATERMARK_AUTO,
                            .metadata_zeroed = true}},
        .mode = QUIRE_CACHE_EXCHANGE,
        .port = {.cpu = tell_cpu, .memory = give_memory, .give_back = take_back}};
    double start, time, ns;

    describe(nodes, cpus);
    start = now_ms();
    must(quire_bringup(&b), "bringup");
    time = now_ms() - start;
    ns = hit_ns(b.machine);
    use(b.machine, nodes, cpus);
    must(quire_machine_stats(b.machine, stats), "stats");
    must(stats->free != stats->managed, "a frame is lost");
    printf("%2u nodes, %4u CPUs, %5.1f TiB: built in %.1f ms, metadata %.1f MiB (%.4f %%), "
           "zonelists %" PRIu64 " bytes, a hit and its free %.1f ns\n",
           nodes, cpus, (double)stats->managed * 4096 / (1ull << 40), time,
           (double)stats->metadata_bytes / (1 << 20),
           100.0 * (double)stats->metadata_bytes / ((double)stats->managed * 4096),
           stats->zonelist_bytes, ns);
    quire_machine_fini(b.machine);
    return time;
}

int main(void)
{
    struct quire_machine_stats stats;

    (void)build(1, 16, &stats);
    if (build(NODES, CPUS, &stats) < LIMIT_MS)
        return 0;
    (void)fprintf(stderr, "FAILED: that took more than %d ms\n", LIMIT_MS);
    return 1;
}
