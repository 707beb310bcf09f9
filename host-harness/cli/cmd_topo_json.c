/* SPDX-License-Identifier: MIT
 *
 * cmd_topo_json.c - a topology as JSON.
 */
#include "cli.h"
#include "cmd_topo.h"

#include <cjson/cJSON.h>

static cJSON *number(uint64_t value)
{
    return cJSON_CreateNumber((double)value);
}

static void add_cpus(cJSON *object, const struct quire_topology *topology, uint32_t node)
{
    cJSON *cpus = cJSON_AddArrayToObject(object, "cpus");

    for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
        if (topology->cpu_node[cpu] == node)
            cJSON_AddItemToArray(cpus, number(topology->cpu_id[cpu]));
}

static void add_order(cJSON *object, const struct quire_topology *topology, uint32_t node)
{
    cJSON *array = cJSON_AddArrayToObject(object, "order");
    quire_node order[QUIRE_NODES];
    uint32_t count = quire_topology_order(topology, quire_node_of(node), order);

    for (uint32_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, number(order[i].n));
}

static void add_zones(cJSON *object, const struct topo_zones *zones, uint32_t node)
{
    cJSON *array = cJSON_AddArrayToObject(object, "zones");

    for (size_t i = 0; i < zones->count; i++) {
        const struct topo_zone *zone = &zones->zones[i];
        cJSON *item;

        if (zone->node != node)
            continue;
        item = cJSON_CreateObject();
        cJSON_AddItemToArray(array, item);
        cJSON_AddStringToObject(item, "type", zone->type);
        cJSON_AddItemToObject(item, "start", number(zone->start));
        cJSON_AddItemToObject(item, "end", number(zone->end));
        cJSON_AddItemToObject(item, "managed_bytes", number(zone->bytes));
    }
}

static void add_nodes(cJSON *root, const struct topo *topo, const struct topo_zones *zones)
{
    const struct quire_topology *topology = &topo->topology;
    cJSON *nodes = cJSON_AddArrayToObject(root, "nodes");

    for (uint32_t n = 0; n < topology->node_count; n++) {
        uint32_t tier = quire_topology_tier(topology, quire_node_of(n));
        quire_node down = quire_topology_demotion(topology, quire_node_of(n));
        cJSON *node = cJSON_CreateObject();

        cJSON_AddItemToArray(nodes, node);
        cJSON_AddItemToObject(node, "node", number(n));
        cJSON_AddItemToObject(node, "id", number(topology->node_id[n]));
        add_cpus(node, topology, n);
        cJSON_AddItemToObject(node, "memory_bytes", number(topo_memory_of(topo, n)));
        cJSON_AddItemToObject(node, "tier",
                              tier == QUIRE_NO_TIER ? cJSON_CreateNull() : number(tier));
        cJSON_AddItemToObject(node, "demotion",
                              down.n == QUIRE_NO_NODE ? cJSON_CreateNull() : number(down.n));
        add_order(node, topology, n);
        add_zones(node, zones, n);
    }
}

static void add_distances(cJSON *root, const struct quire_topology *topology)
{
    cJSON *rows = cJSON_AddArrayToObject(root, "distances");

    for (uint32_t from = 0; from < topology->node_count; from++) {
        cJSON *row = cJSON_CreateArray();
        cJSON_AddItemToArray(rows, row);
        for (uint32_t to = 0; to < topology->node_count; to++)
            cJSON_AddItemToArray(row, number(topology->distance[from][to]));
    }
}

/* Cells of which nothing is known are null; a matrix of those alone is left out. */
static void add_speeds(cJSON *root, const char *name, const struct quire_topology *topology,
                       const uint32_t matrix[QUIRE_NODES][QUIRE_NODES])
{
    if (!cmd_topo_known(topology, matrix))
        return;
    cJSON *rows = cJSON_AddArrayToObject(root, name);
    for (uint32_t from = 0; from < topology->node_count; from++) {
        cJSON *row = cJSON_CreateArray();
        cJSON_AddItemToArray(rows, row);
        for (uint32_t to = 0; to < topology->node_count; to++)
            cJSON_AddItemToArray(row,
                                 matrix[from][to] ? number(matrix[from][to]) : cJSON_CreateNull());
    }
}

static void add_stretch(cJSON *memory, uint64_t start, uint64_t bytes, cJSON *node,
                        const char *kind)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(memory, object);
    cJSON_AddItemToObject(object, "start", number(start));
    cJSON_AddItemToObject(object, "bytes", number(bytes));
    cJSON_AddItemToObject(object, "node", node);
    cJSON_AddStringToObject(object, "kind", kind);
}

/* What is in use has no node: it need not be memory. */
static void add_memory(cJSON *root, const struct topo *topo)
{
    cJSON *memory = cJSON_AddArrayToObject(root, "memory");

    for (uint32_t i = 0; i < topo->topology.range_count; i++) {
        const struct quire_topology_memory *range = &topo->topology.ranges[i];

        add_stretch(memory, range->phys, range->bytes, number(range->node.n),
                    cmd_topo_kind(range->kind));
    }
    for (uint32_t i = 0; i < topo->reserved_count; i++)
        add_stretch(memory, topo->reserved[i].start,
                    topo->reserved[i].end - topo->reserved[i].start, cJSON_CreateNull(),
                    "reserved");
}

int cmd_topo_json(const char *path, const struct topo *topo)
{
    const struct quire_topology *topology = &topo->topology;
    cJSON *root = cJSON_CreateObject();
    struct topo_zones zones;

    cmd_topo_zones(topo, &zones);
    cJSON_AddStringToObject(root, "source", topo->source);
    cJSON_AddStringToObject(root, "format", topo->format);
    cJSON_AddStringToObject(root, "note", topo->note);
    cJSON_AddBoolToObject(root, "made_up_addresses", topo->laid_out);
    cJSON_AddItemToObject(root, "node_count", number(topology->node_count));
    cJSON_AddItemToObject(root, "cpu_count", number(topology->cpu_count));
    add_nodes(root, topo, &zones);
    add_distances(root, topology);
    add_speeds(root, "latency_ns", topology, topology->latency_ns);
    add_speeds(root, "bandwidth_mbs", topology, topology->bandwidth_mbs);
    add_memory(root, topo);
    int result = cli_write_json("topo", path, root);
    cJSON_Delete(root);
    cmd_topo_zones_free(&zones);
    return result;
}
