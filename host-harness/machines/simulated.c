/* SPDX-License-Identifier: MIT
 *
 * simulated.c - a simulated machine from a memory map (see simulated.h).
 */
#include "simulated.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((format(printf, 2, 3))) static int fail(struct map_error *error, const char *format,
                                                      ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return -1;
}

const char *zone_type_name(enum quire_zone_type type)
{
    static const char *const names[QUIRE_ZONE_TYPES] = {"DMA", "DMA32", "Normal", "Huge", "Device"};

    return names[type];
}

struct simulated_zone *simulated_zone_of(const struct simulated_machine *machine, quire_pfn pfn)
{
    uint32_t number;

    if (!machine->plan) {
        for (size_t z = 0; z < machine->zone_count; z++) {
            if (quire_zone_holds(&machine->zones[z].zone, pfn))
                return &machine->zones[z];
        }
        return NULL;
    }
    number = quire_pfnmap_zone(&machine->plan->pfnmap, pfn);
    return number == QUIRE_PFNMAP_NONE ? NULL : &machine->zones[number];
}

/* Tell boot memory one region. What it refuses it counts, and `quire map` shows the counts. */
static int describe(struct quire_boot *boot, const struct map_region *region)
{
    static const enum quire_boot_kind kinds[MAP_KINDS] = {
        [MAP_USABLE] = QUIRE_BOOT_USABLE,      [MAP_RESERVED] = QUIRE_BOOT_FIRMWARE,
        [MAP_ACPI_DATA] = QUIRE_BOOT_FIRMWARE, [MAP_ACPI_NVS] = QUIRE_BOOT_FIRMWARE,
        [MAP_UNUSABLE] = QUIRE_BOOT_FIRMWARE,  [MAP_PERSISTENT] = QUIRE_BOOT_FIRMWARE,
        [MAP_DEVICE] = QUIRE_BOOT_DEVICE,
    };
    enum quire_boot_kind kind = kinds[region->kind];
    uint64_t bytes = region->end - region->start;
    uint32_t node = region->node == MAP_NODE_ANY ? QUIRE_NODE_ANY : region->node;

    if (region->kind == MAP_NODE_ONLY)
        return quire_boot_assign(boot, region->start, bytes, node);
    if (kind == QUIRE_BOOT_FIRMWARE)
        node = QUIRE_NODE_ANY;
    return quire_boot_add(boot, region->start, bytes, kind, node);
}

static uint32_t highest_node(const struct map *map)
{
    uint32_t highest = 0;

    for (size_t i = 0; i < map->count; i++) {
        if (map->regions[i].node != MAP_NODE_ANY && map->regions[i].node > highest)
            highest = map->regions[i].node;
    }
    return highest;
}

/* Room for the boot map and the plan. Each region and each zone border or piece of metadata can
 * divide two entries; blocks of the Huge zone can divide more, so the room is generous. */
static int make_room(struct simulated_plan *own, const struct map *map, uint32_t nodes)
{
    size_t room = 16 * (map->count + 64) + 64 * (size_t)nodes;
    struct quire_boot_entry *entries = calloc(room, sizeof(*entries));

    own->plan.zone_capacity = (size_t)nodes * QUIRE_ZONE_TYPES;
    own->plan.run_capacity = room;
    own->plan.span_capacity = room;
    own->plan.zones = calloc(own->plan.zone_capacity, sizeof(*own->plan.zones));
    own->plan.runs = calloc(room, sizeof(*own->plan.runs));
    own->plan.spans = calloc(room, sizeof(*own->plan.spans));
    own->mappings = calloc(own->plan.zone_capacity + 1, sizeof(*own->mappings));
    own->boot.entries = entries;
    if (!entries || !own->plan.zones || !own->plan.runs || !own->plan.spans || !own->mappings)
        return -1;
    return quire_boot_init(&own->boot, entries, room, QUIRE_BOOT_LOW);
}

static int plan_zones(struct simulated_plan *own, uint32_t nodes,
                      const struct simulated_options *options)
{
    struct quire_boot_layout layout = {
        .no_dma = options->no_dma,
        .no_dma32 = options->no_dma32,
        .huge_nodes = nodes,
        .no_lowmem_reserve = true, /* a load uses up all memory, whichever zone it asks first */
        .zone = {.slots = options->slots ? options->slots : 1,
                 .min = QUIRE_WATERMARK_AUTO,
                 .low = QUIRE_WATERMARK_AUTO,
                 .high = QUIRE_WATERMARK_AUTO,
                 .no_run_map = options->no_run_map,
                 .metadata_zeroed = true, /* as the system gives it, see map_metadata */
                 .port = options->port},
    };
    uint64_t *huge = calloc(nodes, sizeof(*huge));
    if (!huge)
        return QUIRE_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < nodes; i++)
        huge[i] = options->huge_bytes;
    layout.huge_bytes = huge;
    int result = quire_boot_plan_zones(&own->boot, &layout, &own->plan);
    free(huge);
    return result;
}

static int plan_machine(struct simulated_plan *own, const struct map *map,
                        const struct simulated_options *options, struct map_error *error)
{
    uint32_t nodes = highest_node(map) + 1;

    if (make_room(own, map, nodes))
        return fail(error, "no memory to plan a machine of %u nodes", nodes);
    for (size_t i = 0; i < map->count; i++) {
        int result = describe(&own->boot, &map->regions[i]);
        if (result && result != QUIRE_ERR_SIZE)
            return fail(error, "%.200s: line %u: boot memory refuses the region: %s", map->source,
                        map->regions[i].line, quire_strerror(result));
    }
    int result = plan_zones(own, nodes, options);
    if (result == QUIRE_ERR_NO_MEMORY)
        return fail(error,
                    "%.200s: no zone fits: expected usable memory above the first 2 MiB, with room "
                    "for the zones' metadata in one piece",
                    map->source);
    if (result)
        return fail(error,
                    "%.200s: no plan for zones of %u slots and %" PRIu64
                    " bytes of huge pages per node: %s: expected 1 to %d slots and a multiple of "
                    "2 MiB",
                    map->source, options->slots, options->huge_bytes, quire_strerror(result),
                    QUIRE_ZONE_MAX_SLOTS);
    return 0;
}

void *simulated_pages(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* What the simulated machine's memory at `phys` is in this process. No swap is reserved, so that
 * the metadata of memory never used costs nothing. */
static void *map_metadata(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    struct simulated_plan *own = ctx;

    (void)phys;
    (void)node;
    void *address = simulated_pages(bytes);
    if (!address)
        return NULL;
    own->mappings[own->mapping_count++] = (struct simulated_mapping){address, bytes};
    return address;
}

static int build_zones(struct simulated_machine *machine, struct map_error *error)
{
    struct simulated_plan *own = machine->plan;
    size_t count = own->plan.zone_count;

    if (count == 0)
        return fail(error, "boot memory planned no zone: expected usable memory");
    struct quire_zone *handles = calloc(count, sizeof(*handles));
    machine->zones = calloc(count, sizeof(*machine->zones));
    int result = QUIRE_ERR_NO_MEMORY;
    if (handles && machine->zones)
        result = quire_boot_build(&own->plan, map_metadata, own, handles, &own->pfnmap);
    for (size_t i = 0; i < count && !result; i++) {
        const struct quire_boot_zone *planned = &own->plan.zones[i];
        machine->zones[i] = (struct simulated_zone){
            .zone = handles[i], /* a handle may be copied */
            .type = planned->config.type,
            .node = planned->node,
            .metadata_bytes = planned->metadata_bytes,
            .metadata = handles[i].head,
        };
        machine->metadata_bytes += planned->metadata_bytes;
    }
    free(handles);
    if (result)
        return fail(error, "the zones cannot be built: %s", quire_strerror(result));
    machine->zone_count = count;
    machine->metadata_bytes += own->plan.pfnmap_bytes;
    return 0;
}

int simulated_build(struct simulated_machine *machine, const struct map *map,
                    const struct simulated_options *options, struct map_error *error)
{
    memset(machine, 0, sizeof(*machine));
    machine->plan = calloc(1, sizeof(*machine->plan));
    if (!machine->plan)
        return fail(error, "no memory to plan a machine");
    if (plan_machine(machine->plan, map, options, error) || build_zones(machine, error)) {
        simulated_teardown(machine);
        return -1;
    }
    return 0;
}

void simulated_teardown(struct simulated_machine *machine)
{
    struct simulated_plan *own = machine->plan;

    if (own) {
        for (size_t i = 0; i < own->mapping_count; i++)
            munmap(own->mappings[i].address, own->mappings[i].bytes);
        free(own->mappings);
        free(own->boot.entries);
        free(own->plan.zones);
        free(own->plan.runs);
        free(own->plan.spans);
        free(own);
    }
    free(machine->zones);
    memset(machine, 0, sizeof(*machine));
}
