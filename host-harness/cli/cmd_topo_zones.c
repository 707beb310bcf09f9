/* SPDX-License-Identifier: MIT
 *
 * cmd_topo_zones.c - the zones of a topology: built as `quire run` or a kernel would build them of
 * this memory map, looked at, and taken down.
 */
#include "cmd_topo.h"
#include "host-harness/machines/simulated.h"

#include <stdlib.h>

/* From the first frame of a zone to behind its last one. */
static void find_range(const struct quire_boot_plan *plan, size_t zone, struct topo_zone *out)
{
    out->start = UINT64_MAX;
    for (size_t i = 0; i < plan->span_count; i++) {
        struct quire_run run = plan->spans[i].run;

        if (plan->spans[i].zone != zone)
            continue;
        if (quire_phys(run.pfn) < out->start)
            out->start = quire_phys(run.pfn);
        if (quire_phys(run.pfn) + run.frames * QUIRE_FRAME_SIZE > out->end)
            out->end = quire_phys(run.pfn) + run.frames * QUIRE_FRAME_SIZE;
    }
}

static void look(const struct simulated_machine *machine, struct topo_zones *zones)
{
    zones->zones = calloc(machine->zone_count, sizeof(*zones->zones));
    if (!zones->zones)
        return;
    zones->count = machine->zone_count;
    for (size_t i = 0; i < zones->count; i++) {
        const struct simulated_zone *zone = &machine->zones[i];

        zones->zones[i].node = zone->node;
        zones->zones[i].type = zone_type_name(zone->type);
        zones->zones[i].bytes = quire_zone_managed(&zone->zone) * QUIRE_FRAME_SIZE;
        find_range(&machine->plan->plan, i, &zones->zones[i]);
    }
}

void cmd_topo_zones(const struct topo *topo, struct topo_zones *zones)
{
    const struct simulated_options options = {.slots = topo->topology.cpu_count};
    struct map_error error;
    struct simulated_machine machine;
    struct map map;

    *zones = (struct topo_zones){NULL, 0};
    if (topo_memory_map(topo, &map, &error))
        return;
    if (simulated_build(&machine, &map, &options, &error) == 0) {
        look(&machine, zones);
        simulated_teardown(&machine);
    }
    map_free(&map);
}

void cmd_topo_zones_free(struct topo_zones *zones)
{
    free(zones->zones);
    *zones = (struct topo_zones){NULL, 0};
}
