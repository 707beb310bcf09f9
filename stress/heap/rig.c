/* SPDX-License-Identifier: MIT
 *
 * rig.c - see rig.h.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

_Thread_local uint32_t rig_cpu;
uint32_t rig_grants = UINT32_MAX, rig_requests;
int rig_refusal = QUIRE_ERR_NO_MEMORY;
enum quire_cache_mode rig_mode = QUIRE_CACHE_EXCHANGE;
uint32_t rig_rounds;
void (*rig_rival)(void), (*rig_interrupt)(void);
struct quire_heap_config rig_extras;

static struct quire_topology topology;
static struct quire_boot boot;
static struct quire_boot_entry entries[64];

/* What the heap's library calls in place of quire_machine_request. */
int rig_machine_request(struct quire_machine *machine, const struct quire_request *request,
                        quire_pfn *pfn, struct quire_refusal *why);

int rig_machine_request(struct quire_machine *machine, const struct quire_request *request,
                        quire_pfn *pfn, struct quire_refusal *why)
{
    void (*rival)(void) = rig_rival;

    if (rival) { /* where there is one, there are no threads */
        rig_rival = NULL;
        rival();
    }
    if (rig_grants != UINT32_MAX) {
        rig_requests++;
        if (rig_grants == 0)
            return rig_refusal;
        rig_grants--;
    }
    return quire_machine_request(machine, request, pfn, why);
}

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)node;
    assert_true(phys + bytes <= RIG_MEMORY);
    return (unsigned char *)ctx + phys;
}

static uint32_t tell_cpu_of_machine(void *ctx)
{
    void (*interrupt)(void) = rig_interrupt;

    (void)ctx;
    if (interrupt) {
        rig_interrupt = NULL;
        interrupt();
    }
    return rig_cpu;
}

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return rig_cpu;
}

static quire_node tell_node(void *ctx)
{
    (void)ctx;
    return quire_node_of(rig_cpu / RIG_CPUS);
}

const char *rig_mode_set(unsigned number)
{
    static const char *const names[RIG_MODES] = {"exchange", "no magazines", "what works here"};

    rig_mode = number == 2 ? QUIRE_CACHE_AUTO : QUIRE_CACHE_EXCHANGE;
    rig_rounds = number == 1 ? QUIRE_HEAP_NO_MAGAZINES : 0;
    return names[number];
}

void rig_machine(struct rig *r)
{
    quire_node node;

    memset(r, 0, sizeof *r);
    r->memory = aligned_alloc(1 << 21, RIG_MEMORY);
    assert_non_null(r->memory);
    rig_grants = UINT32_MAX;
    rig_cpu = 0;
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, RIG_MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    quire_topology_init(&topology);
    for (uint32_t n = 0; n < RIG_NODES; n++) {
        assert_ok(quire_topology_add_node(&topology, n, &node));
        for (uint32_t cpu = 0; cpu < RIG_CPUS; cpu++)
            assert_ok(quire_topology_add_cpu(&topology, n * RIG_CPUS + cpu, node));
        assert_ok(quire_topology_add_memory(&topology, (uint64_t)n * RIG_NODE_BYTES, RIG_NODE_BYTES,
                                            node, QUIRE_MEMORY_ORDINARY));
        r->runs[n].pfn.n = (uint64_t)n * RIG_NODE_BYTES / QUIRE_FRAME_SIZE;
        r->runs[n].frames = RIG_NODE_BYTES / QUIRE_FRAME_SIZE;
    }
    r->bringup.boot = &boot;
    r->bringup.topology = &topology;
    r->bringup.map = map;
    r->bringup.map_ctx = r->memory;
    r->bringup.layout.no_dma = true;
    r->bringup.layout.no_dma32 = true;
    r->bringup.mode = QUIRE_CACHE_EXCHANGE;
    r->bringup.port.cpu = tell_cpu_of_machine;
    assert_ok(quire_bringup(&r->bringup));
    r->config.machine = r->bringup.machine;
    r->config.runs = r->runs;
    r->config.run_count = RIG_NODES;
    r->config.nodes = RIG_NODES;
    r->config.cpus = RIG_NODES * RIG_CPUS;
    r->config.caches = RIG_CACHES;
    r->config.mode = rig_mode;
    r->config.rounds = rig_rounds;
    r->config.port.reach.base = (uintptr_t)r->memory;
    r->config.tags = rig_extras.tags;
    r->config.options = rig_extras.options;
    r->config.quarantine = rig_extras.quarantine;
    r->config.reserve = rig_extras.reserve;
    r->config.port.report = rig_extras.port.report;
    r->config.port.cpu = tell_cpu;
    r->config.port.node = tell_node;
    r->free_start = rig_free_frames(r);
}

void rig_heap(struct rig *r)
{
    assert_ok(quire_heap_size(&r->config, &r->bytes));
    r->room = aligned_alloc(64, r->bytes);
    assert_non_null(r->room);
    memset(r->room, 0xa5, r->bytes);
    assert_ok(quire_heap_init(&r->heap, &r->config, r->room, r->bytes));
}

void rig_open(struct rig *r)
{
    rig_machine(r);
    rig_heap(r);
}

void rig_close(struct rig *r)
{
    struct quire_heap_totals totals;
    struct quire_heap_stats runs;
    uint64_t reserve;

    rig_grants = UINT32_MAX;
    if (!r->config.quarantine)
        assert_int_equal(rig_used(r), 0);
    (void)quire_heap_trim(&r->heap);
    assert_int_equal(rig_used(r), 0);
    assert_int_equal(rig_slabs(r), 0);
    assert_ok(quire_heap_run_stats(&r->heap, quire_node_of(QUIRE_NO_NODE), &runs));
    assert_int_equal(runs.used + runs.frames, 0);
    assert_ok(quire_heap_totals(&r->heap, &totals));
    reserve = (uint64_t)r->config.reserve * 8;
    assert_int_equal(totals.frames, reserve);
    assert_int_equal(totals.reserve, r->config.reserve);
    assert_int_equal(rig_free_frames(r), r->free_start - reserve);
    assert_int_equal(quire_heap_unreserve(&r->heap), r->config.reserve);
    assert_int_equal(rig_free_frames(r), r->free_start);
    quire_machine_fini(r->bringup.machine);
    free(r->room);
    free(r->memory);
}

uint64_t rig_free_frames(struct rig *r)
{
    uint64_t n = 0;

    (void)quire_machine_drain(r->bringup.machine);
    for (size_t i = 0; i < r->bringup.plan.zone_count; i++)
        n += quire_zone_free_frames(&r->bringup.zones[i]);
    return n;
}

void *rig_alloc(struct rig *r, size_t bytes)
{
    void *object = NULL;

    assert_ok(quire_heap_alloc(&r->heap, bytes, 0, &object));
    return object;
}

struct quire_heap_stats rig_stats(struct rig *r, uint32_t number, uint32_t node)
{
    struct quire_heap_stats stats;

    assert_ok(quire_heap_stats(&r->heap, number, quire_node_of(node), &stats));
    return stats;
}

uint64_t rig_slabs(struct rig *r)
{
    struct quire_heap_totals totals;
    uint64_t n = 0;

    assert_ok(quire_heap_totals(&r->heap, &totals));
    for (uint32_t i = 0; i < totals.classes; i++)
        n += rig_stats(r, i, QUIRE_NO_NODE).slabs;
    return n;
}

uint64_t rig_used(struct rig *r)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < QUIRE_HEAP_CLASSES + RIG_CACHES; i++)
        n += rig_stats(r, i, QUIRE_NO_NODE).used;
    return n;
}

uint32_t rig_node_of(struct rig *r, const void *object)
{
    uint64_t phys = (uint64_t)((const unsigned char *)object - r->memory);
    struct quire_zone *zone;
    quire_node node;

    assert_ok(quire_machine_find(r->bringup.machine, quire_pfn_of_phys(phys), &node, &zone));
    return node.n;
}

uint32_t rig_class(struct rig *r, size_t bytes)
{
    void *object = rig_alloc(r, bytes);
    uint32_t number = 0;

    while (rig_stats(r, number, QUIRE_NO_NODE).used == 0)
        number++;
    assert_ok(quire_heap_free(&r->heap, object));
    return number;
}
