/* SPDX-License-Identifier: MIT
 *
 * device_tree.c - the topology in a device tree: /cpus, memory, distance-map.
 *
 * Memory is what map_read_dtb reads: a map and a topology of one tree cannot differ in what they
 * leave out.
 *
 * Nodes are numbered by ascending numa-node-id. A tree without any has one node, 0, and so has
 * whatever does not tell its node. A CPU's number is its `reg`; of two cells, as arm64's MPIDR has
 * them, it is affinity 3 above the lower 24 bits. Of pseries each thread is a CPU, by the number
 * that ibm,ppc-interrupt-server#s lists.
 */
#include "host-harness/machines/dtb.h"
#include "host-harness/machines/map/reader.h"
#include "reader.h"

#include <inttypes.h>
#include <libfdt.h>
#include <string.h>

struct reader {
    struct dtb dtb;
    struct topo *topo;
    uint64_t seen[MAP_NODES / 64]; /* numa-node-ids */
    uint32_t cpus;                 /* numbers of CPUs that were told, the same ones among them */
};

bool topo_is_dtb(const void *bytes, size_t size)
{
    static const uint8_t magic[] = {0xd0, 0x0d, 0xfe, 0xed};

    return size >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
}

static void see(struct reader *reader, uint32_t id)
{
    if (id == MAP_NODE_ANY)
        id = 0;
    reader->seen[id / 64] |= (uint64_t)1 << id % 64;
}

static void see_memory(struct reader *reader, const struct map *map)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->regions[i].kind == MAP_USABLE)
            see(reader, map->regions[i].node);
}

static int add_memory(const struct reader *reader, const struct map *map)
{
    struct topo *topo = reader->topo;
    const char *name = reader->dtb.name;

    for (size_t i = 0; i < map->count; i++) {
        const struct map_region *region = &map->regions[i];
        quire_node where;

        if (region->kind != MAP_USABLE) {
            if (topo_reserve(topo, name, region->start, region->end, reader->dtb.error))
                return -1;
        } else if (topo_node(topo, name, region->node == MAP_NODE_ANY ? 0 : region->node, &where,
                             reader->dtb.error) ||
                   topo_memory(topo, name, region->start, region->end - region->start, where,
                               reader->dtb.error)) {
            return -1;
        }
    }
    return 0;
}

static int cpu_number(const struct reader *reader, int node, unsigned width, uint32_t *id)
{
    struct dtb_cells cells;
    uint64_t reg;

    *id = 0;
    if (dtb_property(&reader->dtb, node, "reg", width, &cells))
        return -1;
    if (cells.left == 0)
        return dtb_fail(&reader->dtb, node, "a CPU without reg: expected its number");
    if (!dtb_number(&cells, width, &reg) || reg >> 40 || (reg >> 32 && reg >> 24 & 0xff))
        return dtb_fail(&reader->dtb, node,
                        "reg is no CPU's number: expected at most 32 bits or an MPIDR");
    *id = reg >> 32 ? (uint32_t)(reg >> 32 << 24 | (reg & 0xffffff)) : (uint32_t)reg;
    return 0;
}

/* Each is looked for among the CPUs that there are. */
static int add_cpu(struct reader *reader, uint32_t cpu, quire_node where)
{
    if (reader->cpus++ == 4 * QUIRE_CPUS)
        return dtb_fail(&reader->dtb, -1, "more than %d numbers of CPUs: expected at most %d CPUs",
                        4 * QUIRE_CPUS, QUIRE_CPUS);
    return topo_cpu(reader->topo, reader->dtb.name, cpu, where, reader->dtb.error);
}

/* The CPUs of a node: itself, or its threads where it lists their numbers. */
static int add_cpus(struct reader *reader, int node, uint32_t id, unsigned width)
{
    const struct dtb *dtb = &reader->dtb;
    struct dtb_cells threads;
    quire_node where = {QUIRE_NO_NODE};
    uint64_t thread;
    uint32_t cpu;

    if (topo_node(reader->topo, dtb->name, id, &where, dtb->error) ||
        cpu_number(reader, node, width, &cpu) ||
        dtb_property(dtb, node, "ibm,ppc-interrupt-server#s", 1, &threads))
        return -1;
    if (threads.left == 0)
        return add_cpu(reader, cpu, where);
    while (threads.left > 0) {
        dtb_number(&threads, 1, &thread);
        if (add_cpu(reader, (uint32_t)thread, where))
            return -1;
    }
    return 0;
}

/* First pass, `add` not set: which nodes are named? Second: the CPUs. */
static int read_cpus(struct reader *reader, bool add)
{
    const struct dtb *dtb = &reader->dtb;
    int cpus = fdt_path_offset(dtb->tree, "/cpus"), node;
    unsigned width, size;

    if (cpus < 0)
        return dtb_fail(dtb, -1, "no /cpus: expected the tree of a machine");
    if (dtb_widths(dtb, cpus, &width, &size))
        return -1;
    fdt_for_each_subnode(node, dtb->tree, cpus)
    {
        uint32_t id, cpu;

        if (!dtb_is(dtb, node, "cpu") || !dtb_enabled(dtb, node))
            continue;
        if (dtb_numa_node(dtb, node, 0, &id) || cpu_number(reader, node, width, &cpu))
            return -1;
        if (!add)
            see(reader, id);
        else if (add_cpus(reader, node, id, width))
            return -1;
    }
    return 0;
}

static int add_nodes(struct reader *reader)
{
    quire_node node;

    for (uint32_t id = 0; id < MAP_NODES; id++)
        if (reader->seen[id / 64] >> id % 64 & 1 &&
            topo_node(reader->topo, reader->dtb.name, id, &node, reader->dtb.error))
            return -1;
    return 0;
}

static bool find_node(const struct topo *topo, uint64_t id, quire_node *node)
{
    for (uint32_t n = 0; n < topo->topology.node_count; n++)
        if (topo->topology.node_id[n] == id) {
            *node = quire_node_of(n);
            return true;
        }
    return false;
}

/* The next distance of the matrix; false if it is of a node that does not exist. */
static bool next_distance(const struct reader *reader, struct dtb_cells *cells, quire_node *from,
                          quire_node *to, uint64_t *distance)
{
    uint64_t from_id, to_id;

    dtb_number(cells, 1, &from_id);
    dtb_number(cells, 1, &to_id);
    dtb_number(cells, 1, distance);
    return find_node(reader->topo, from_id, from) && find_node(reader->topo, to_id, to);
}

/* Does the matrix make sense as a whole? Or else it is worth nothing. */
static bool check_distances(struct reader *reader, struct dtb_cells cells)
{
    const uint32_t *id = reader->topo->topology.node_id;
    quire_node from, to;
    uint64_t distance;

    while (cells.left > 0) {
        if (!next_distance(reader, &cells, &from, &to, &distance) ||
            topo_is_distance(from, to, distance))
            continue;
        topo_note(reader->topo,
                  "the distance map is ignored: from node %" PRIu32 " to node %" PRIu32
                  " it says %" PRIu64,
                  id[from.n], id[to.n], distance);
        return false;
    }
    return true;
}

static int read_distances(struct reader *reader)
{
    const struct dtb *dtb = &reader->dtb;
    int map = fdt_node_offset_by_compatible(dtb->tree, -1, "numa-distance-map-v1");
    struct dtb_cells cells;
    quire_node from, to;
    uint64_t distance;

    if (map < 0)
        return 0;
    if (dtb_property(dtb, map, "distance-matrix", 3, &cells))
        return -1;
    if (!reader->topo->topology.strict && !check_distances(reader, cells))
        return 0;
    while (cells.left > 0)
        if (next_distance(reader, &cells, &from, &to, &distance) &&
            topo_distance(reader->topo, dtb->name, from, to, distance, dtb->error))
            return -1;
    return 0;
}

static int read_all(struct reader *reader, const struct map *map)
{
    see_memory(reader, map);
    if (map->note[0])
        topo_note(reader->topo, "%s", map->note);
    return add_nodes(reader) || read_cpus(reader, true) || add_memory(reader, map) ||
                   read_distances(reader)
               ? -1
               : 0;
}

int topo_read_dtb(struct topo *topo, const char *name, const void *tree, size_t size,
                  struct map_error *error)
{
    struct reader reader = {.topo = topo};
    struct map_input input = {
        name, {tree, (const char *)tree + size}, 0, error, 0, topo->topology.strict};
    struct map map = {0};
    int result;

    topo->format = "device tree";
    result = dtb_open(&reader.dtb, name, tree, size, error) || read_cpus(&reader, false) ||
             map_read_dtb(&map, &input) || read_all(&reader, &map);
    map_free(&map);
    return result ? -1 : 0;
}
