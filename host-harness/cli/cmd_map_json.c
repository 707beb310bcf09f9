/* SPDX-License-Identifier: MIT
 *
 * cmd_map_json.c - `quire map --json`: the table of cmd_map.c as JSON. Addresses and sizes are
 * numbers: all are below 2^52, so a reader that keeps them as doubles has them exactly.
 */
#include "cli.h"
#include "cmd_map.h"

#include <cjson/cJSON.h>

static void add_number(cJSON *object, const char *key, uint64_t value)
{
    cJSON_AddNumberToObject(object, key, (double)value);
}

/* A number, or null where nothing is known. */
static void add_id(cJSON *object, const char *key, uint32_t value, uint32_t unknown)
{
    if (value == unknown)
        cJSON_AddNullToObject(object, key);
    else
        add_number(object, key, value);
}

static void add_map(cJSON *root, const struct map *map)
{
    cJSON *object = cJSON_AddObjectToObject(root, "map");

    cJSON_AddStringToObject(object, "source", map->source);
    cJSON_AddStringToObject(object, "format", map->format);
    add_number(object, "regions", map->count);
    cJSON_AddStringToObject(object, "note", map->note);
}

static void add_regions(cJSON *root, const struct simulated_machine *machine)
{
    cJSON *list = cJSON_AddArrayToObject(root, "regions");
    struct quire_boot_region region;

    for (size_t i = 0; !quire_boot_region(&machine->plan->boot, i, &region); i++) {
        if (region.kind == QUIRE_BOOT_NOTHING)
            continue;
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemToArray(list, object);
        add_number(object, "start", quire_phys(region.run.pfn));
        add_number(object, "frames", region.run.frames);
        cJSON_AddStringToObject(object, "what", cmd_map_word(&region));
        add_id(object, "node", region.node, QUIRE_NODE_ANY);
        add_id(object, "zone", region.zone, QUIRE_BOOT_NO_ZONE);
        cJSON_AddBoolToObject(object, "disputed", region.disputed);
    }
}

static void add_zones(cJSON *root, const struct simulated_machine *machine)
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    cJSON *list = cJSON_AddArrayToObject(root, "zones");
    struct zone_figures figures;

    for (size_t i = 0; i < plan->zone_count; i++) {
        const struct quire_boot_zone *zone = &plan->zones[i];
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemToArray(list, object);
        cmd_map_figures(zone, &figures);
        add_number(object, "zone", i);
        add_number(object, "node", zone->node);
        cJSON_AddStringToObject(object, "type", machine_zone_type_name(zone->config.type));
        add_number(object, "start", figures.first << QUIRE_FRAME_SHIFT);
        add_number(object, "end", figures.end << QUIRE_FRAME_SHIFT);
        add_number(object, "usable_frames", figures.usable);
        add_number(object, "reserved_frames", figures.reserved);
        add_number(object, "hole_frames", figures.holes);
        add_number(object, "metadata_bytes", zone->metadata_bytes);
        add_number(object, "metadata_start", zone->metadata_phys);
        add_number(object, "metadata_node", zone->metadata_node);
    }
}

static void add_totals(cJSON *root, const struct simulated_machine *machine)
{
    const struct quire_boot_plan *plan = &machine->plan->plan;
    struct remark remarks[CMD_MAP_REMARKS];

    add_number(root, "usable_frames", plan->usable_frames);
    add_number(root, "reserved_frames", plan->reserved_frames);
    add_number(root, "metadata_bytes", machine->metadata_bytes);
    cJSON *table = cJSON_AddObjectToObject(root, "frame_table");
    add_number(table, "bytes", plan->pfnmap_bytes);
    add_number(table, "start", plan->pfnmap_phys);
    add_number(table, "node", plan->pfnmap_node);
    cJSON *left_out = cJSON_AddObjectToObject(root, "left_out");
    cmd_map_remarks(machine, remarks);
    for (size_t i = 0; i < CMD_MAP_REMARKS; i++)
        add_number(left_out, remarks[i].key, remarks[i].amount);
}

int cmd_map_json(const char *path, const struct map *map, const struct simulated_machine *machine)
{
    cJSON *root = cJSON_CreateObject();

    add_map(root, map);
    add_regions(root, machine);
    add_zones(root, machine);
    add_totals(root, machine);
    int result = cli_write_json("map", path, root);
    cJSON_Delete(root);
    return result;
}
