/* SPDX-License-Identifier: MIT
 *
 * memory.c - see memory.h.
 */
#include "memory.h"

#include "cpu.h"
#include "firmware.h"
#include "heap.h"
#include "kernel-port/kernel/devices/balloon.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "layout.h"
#include "paging.h"
#include "port.h"

enum { MAP_ROOM = 8192, GIGABYTES_MAX = 16 };

struct memory memory;

static uint32_t memory_cpu(void *ctx)
{
    (void)ctx;
    return cpu_id();
}

static struct quire_kinds_line kinds_of_cpus[CPUS_MAX];
const struct quire_kinds memory_kinds = {.lines = kinds_of_cpus,
                                         .cpus = CPUS_MAX,
                                         .local = true,
                                         .cpu = memory_cpu};
static struct quire_kind_source sources[QUIRE_KINDS];

static struct quire_boot_entry entries[MAP_ROOM];
static uint64_t huge_bytes[QUIRE_NODES], huge_sections[QUIRE_NODES]; /* what hugepages= asks */
static uint64_t gigabyte_slots[GIGABYTES_MAX];

extern char image_start[], image_end[];

static void check(int error, const char *what)
{
    if (error)
        panic("%s: %s", what, quire_strerror(error));
}

/* The map from the loader and from the command line. An entry that makes no sense is counted by
 * quire_boot_add, and said in the report; the others count. */
static void add_maps(const struct boot_info *info, const struct options *options)
{
    for (size_t i = 0; i < info->map_count; i++) {
        const struct boot_memory *m = &info->map[i];
        bool usable = m->type == BOOT_MEMORY_USABLE;
        int error =
            quire_boot_add(&memory.boot, m->phys, m->bytes,
                           usable ? QUIRE_BOOT_USABLE : QUIRE_BOOT_FIRMWARE, QUIRE_NODE_ANY);

        if (error != QUIRE_ERR_SIZE)
            check(error, "memory map");
    }
    for (uint32_t i = 0; i < options->map_count; i++) {
        const struct option_map *m = &options->maps[i];
        int error = quire_boot_add(&memory.boot, m->phys, m->bytes, m->kind, QUIRE_NODE_ANY);

        if (error)
            panic("memmap=: %lx bytes at %lx: %s", m->bytes, m->phys, quire_strerror(error));
    }
}

/* Without SRAT all memory belongs to node 0, and the topology learns of it from the map. */
static void tell_topology(struct quire_topology *t)
{
    struct quire_boot_region r;

    for (size_t i = 0; !quire_boot_region(&memory.boot, i, &r); i++)
        if (r.kind == QUIRE_BOOT_USABLE)
            check(quire_topology_add_memory(t, quire_phys(r.run.pfn),
                                            r.run.frames << QUIRE_FRAME_SHIFT, quire_node_of(0),
                                            QUIRE_MEMORY_ORDINARY),
                  "topology");
}

static void assign_nodes(struct quire_topology *t)
{
    struct quire_fault fault = {0};
    int error;

    for (uint32_t i = 0; i < t->range_count; i++)
        if (t->ranges[i].kind != QUIRE_MEMORY_HOTPLUG)
            check(quire_boot_assign(&memory.boot, t->ranges[i].phys, t->ranges[i].bytes,
                                    t->ranges[i].node.n),
                  "memory of a node");
    error = quire_topology_check(t, &fault);
    if (error)
        panic("ACPI: %s (number %lu: found %lu, expected %lu)", fault.what, fault.where,
              fault.found, fault.expected);
}

static void check_image(void)
{
    uint64_t first = IMAGE_PHYS / QUIRE_FRAME_SIZE;
    uint64_t end = ((uint64_t)image_end - IMAGE_BASE) / QUIRE_FRAME_SIZE;
    struct quire_boot_region r;

    for (size_t i = 0; !quire_boot_region(&memory.boot, i, &r); i++)
        if (r.run.pfn.n < end && r.run.pfn.n + r.run.frames > first && r.kind != QUIRE_BOOT_USABLE)
            panic("memory map: the kernel's image, %x to %lx, is not in usable memory", IMAGE_PHYS,
                  end * QUIRE_FRAME_SIZE);
}

void memory_find(const struct boot_info *info, const struct options *options)
{
    check(quire_boot_init(&memory.boot, entries, MAP_ROOM, QUIRE_BOOT_LOW), "boot memory");
    add_maps(info, options);
    check_image();
    check(quire_boot_reserve(&memory.boot, IMAGE_PHYS, (uint64_t)(image_end - image_start)),
          "the kernel's image");
    memory.ramdisk = info->module;
    if (memory.ramdisk.bytes)
        check(quire_boot_reserve(&memory.boot, memory.ramdisk.phys, memory.ramdisk.bytes),
              "the ramdisk");
    firmware_read(&memory.topology, info->rsdp);
    if (memory.topology.range_count == 0)
        tell_topology(&memory.topology);
    assign_nodes(&memory.topology);
}

/* Turn hugepages= into bytes for each node. */
static void share_huge(const struct options *options)
{
    quire_nodemask with = quire_topology_with_memory(&memory.topology);
    uint32_t turn = 0;

    for (uint32_t i = 0; i < options->huge_count; i++) {
        const struct option_huge *h = &options->huge[i];
        uint64_t node = (uint64_t)h->node;

        if (h->node != OPTION_ANY_NODE && (node >= QUIRE_NODES || !(with.bits >> node & 1)))
            panic("hugepages=: node %d has no memory", h->node);
        for (uint64_t n = 0; n < h->count; n++) {
            while (h->node == OPTION_ANY_NODE && !(with.bits >> turn & 1))
                turn = (turn + 1) % QUIRE_NODES;
            if (h->node == OPTION_ANY_NODE)
                node = turn;
            huge_bytes[node] += h->page_bytes;
            huge_sections[node] += h->page_bytes == 1ul << 30;
            turn = (turn + 1) % QUIRE_NODES;
        }
    }
}

/* Blocks fill up what whole sections could not, so the pages of 1 GiB are counted. */
static void check_sections(void)
{
    for (uint32_t node = 0; node < QUIRE_NODES; node++) {
        struct quire_zone *zone = memory_zone_of(node, QUIRE_ZONE_HUGE);
        struct quire_zone_stats s;
        uint64_t there = 0;

        if (zone) {
            (void)quire_zone_stats(zone, &s);
            there = s.free_runs[18] + 2 * s.free_runs[19] + 4 * s.free_runs[20];
        }
        if (there < huge_sections[node])
            panic("hugepages=: node %u has %lu free whole pages of 1 GiB, not %lu", node, there,
                  huge_sections[node]);
    }
}

/* Some of them, if there are more than slots. */
static void offer_gigabytes(void)
{
    struct quire_gigabytes *gigabytes = &memory.gigabytes;

    gigabytes->machine = memory.up.machine;
    gigabytes->slots = gigabyte_slots;
    for (uint32_t node = 0; node < QUIRE_NODES; node++)
        gigabytes->count += (uint32_t)huge_sections[node];
    if (gigabytes->count > GIGABYTES_MAX)
        gigabytes->count = GIGABYTES_MAX;
}

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)ctx;
    (void)bytes;
    (void)node;
    return direct(phys);
}

void memory_build(const struct options *options)
{
    struct quire_bringup *up = &memory.up;
    int error;

    share_huge(options);
    heap_find_runs(&memory.boot);
    up->boot = &memory.boot;
    up->topology = &memory.topology;
    up->map = map;
    up->layout = (struct quire_boot_layout){
        .huge_bytes = huge_bytes,
        .huge_nodes = QUIRE_NODES,
        .no_lowmem_reserve = true, /* the tests use up all memory by way of the zonelists */
        .zone = {.slots = cpu_count,
                 .min = QUIRE_WATERMARK_AUTO,
                 .low = QUIRE_WATERMARK_AUTO,
                 .high = QUIRE_WATERMARK_AUTO,
                 .port = zone_port},
    };
    if (!balloon_fault())
        up->layout.zone.port.discard = port_discard;
    up->mode = options->mode;
    up->port = machine_port;
    error = quire_bringup(up);
    if (error == QUIRE_ERR_NO_MEMORY)
        panic("too little memory: %s", up->fault.what ? up->fault.what : "none for the machine");
    if (error && up->fault.what)
        panic("%s (number %lu: found %lu, expected %lu)", up->fault.what, up->fault.where,
              up->fault.found, up->fault.expected);
    check(error, "machine");
    if (up->plan.huge_missing)
        panic("hugepages=: %lu MiB of what was asked for are not there as free whole pages",
              up->plan.huge_missing >> 20);
    check_sections();
    offer_gigabytes();
    heap_build();
}

/* In the order that a kernel would: not the scarce zones first. */
static quire_pfn take_from_node(uint64_t frames, uint32_t node)
{
    static const enum quire_zone_type order[] = {QUIRE_ZONE_NORMAL, QUIRE_ZONE_DMA32,
                                                 QUIRE_ZONE_DMA};
    struct quire_contig want = {.frames = frames};
    quire_pfn pfn = {0};

    for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct quire_zone *zone = memory_zone_of(node, order[i]);

        if (zone && !quire_zone_alloc_contig(zone, memory_slot(), &want, 0, &pfn))
            break;
    }
    return pfn;
}

void *memory_take(size_t bytes, quire_node node)
{
    uint64_t frames = (bytes + QUIRE_FRAME_SIZE - 1) / QUIRE_FRAME_SIZE;
    quire_node order[QUIRE_NODES];
    uint32_t count = quire_topology_order(&memory.topology, node, order);
    quire_pfn pfn = {0};

    for (uint32_t i = 0; i < count && pfn.n == 0; i++)
        pfn = take_from_node(frames, order[i].n);
    if (pfn.n == 0)
        panic("too little memory: %lu KiB for the kernel's own data", bytes >> 10);
    memset(direct(quire_phys(pfn)), 0, frames << QUIRE_FRAME_SHIFT);
    quire_kinds_count(&memory_kinds, QUIRE_KIND_KERNEL, (ptrdiff_t)frames);
    (void)__atomic_fetch_add(&memory.machine_bytes, frames << QUIRE_FRAME_SHIFT, __ATOMIC_RELAXED);
    return direct(quire_phys(pfn));
}

void memory_give_back(void *address, size_t bytes)
{
    quire_pfn pfn = quire_pfn_of_phys((uint64_t)address - DIRECT_BASE);
    uint64_t frames = (bytes + QUIRE_FRAME_SIZE - 1) / QUIRE_FRAME_SIZE;

    check(quire_zone_free_contig(memory_zone(pfn), memory_slot(), pfn, frames),
          "giving back memory");
    quire_kinds_count(&memory_kinds, QUIRE_KIND_KERNEL, -(ptrdiff_t)frames);
    (void)__atomic_fetch_sub(&memory.machine_bytes, frames << QUIRE_FRAME_SHIFT, __ATOMIC_RELAXED);
}

static struct quire_kind_source *source_of(enum quire_kind kind)
{
    sources[kind] = (struct quire_kind_source){memory.up.machine, &memory_kinds, kind, {0}};
    return &sources[kind];
}

struct quire_table_source memory_tables(void)
{
    return quire_tables_of_kind(source_of(QUIRE_KIND_TABLE));
}

struct quire_frame_source memory_frames(enum quire_kind kind)
{
    return quire_frames_of_kind(source_of(kind));
}

struct quire_zone *memory_zone(quire_pfn pfn)
{
    uint32_t zone = quire_pfnmap_zone(&memory.up.pfnmap, pfn);

    return zone == QUIRE_PFNMAP_NONE ? NULL : &memory.up.zones[zone];
}

struct quire_zone *memory_zone_of(uint32_t node, enum quire_zone_type type)
{
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        if (memory.up.plan.zones[i].node == node && memory.up.plan.zones[i].config.type == type)
            return &memory.up.zones[i];
    return NULL;
}

quire_slot memory_slot(void)
{
    return quire_slot_of(cpu_id());
}
