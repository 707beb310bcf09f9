/* SPDX-License-Identifier: MIT
 *
 * hwloc.c - topologies from hwloc: XML files (lstopo --of xml) and synthetic strings.
 *
 * Nodes and CPUs are numbered as the operating system did, in ascending order. hwloc puts a CPU
 * near several nodes if they have the same CPUs (fast memory beside the usual one); Quire counts it
 * to one: to the node with the fewest CPUs, of equals to the lowest number. Where the file has no
 * distances, nodes near the same CPUs are 11 apart, and others as far as if nobody told.
 * Bandwidths are taken as they are: hwloc calls them MiB/s, but has them from Linux, and that has
 * them from HMAT in MB/s. What an initiator's CPUs see of a node, their nodes see.
 *
 * What is here runs in a process of its own (child_process.c).
 *
 * hwloc 2 refuses files of format 3, although what is read here did not change between the two; so
 * they are shown to it as format 2.
 */
#include "reader.h"

#include <errno.h>
#include <hwloc.h>
#include <hwloc/distances.h>
#include <hwloc/memattrs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct topo *topo;
    const char *name;
    hwloc_topology_t hwloc;
    hwloc_obj_t node[QUIRE_NODES]; /* by Quire's number */
    struct map_error *error;
};

bool topo_is_xml(const char *text, size_t size)
{
    size_t at = 0;

    while (at < size &&
           (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
        at++;
    return at < size && text[at] == '<';
}

static uint32_t nodes_of(const struct reader *reader)
{
    return reader->topo->topology.node_count;
}

static int read_nodes(struct reader *reader)
{
    hwloc_const_nodeset_t set = hwloc_topology_get_topology_nodeset(reader->hwloc);
    int id;

    hwloc_bitmap_foreach_begin(id, set)
    {
        hwloc_obj_t object = hwloc_get_numanode_obj_by_os_index(reader->hwloc, (unsigned)id);
        quire_node node;

        if (!object)
            continue;
        if (topo_node(reader->topo, reader->name, (uint32_t)id, &node, reader->error) ||
            topo_lay_out(reader->topo, reader->name, object->attr->numanode.local_memory, node,
                         reader->error))
            return -1;
        reader->node[node.n] = object;
    }
    hwloc_bitmap_foreach_end();
    return 0;
}

/* The node to which a CPU counts. */
static quire_node node_of_cpu_set(const struct reader *reader, unsigned cpu)
{
    quire_node node = {QUIRE_NO_NODE};
    int fewest = 0;

    for (uint32_t n = 0; n < nodes_of(reader); n++) {
        int weight = hwloc_bitmap_weight(reader->node[n]->cpuset);

        if (hwloc_bitmap_isset(reader->node[n]->cpuset, cpu) &&
            (node.n == QUIRE_NO_NODE || weight < fewest)) {
            node = quire_node_of(n);
            fewest = weight;
        }
    }
    return node;
}

static int read_cpus(struct reader *reader)
{
    hwloc_const_cpuset_t set = hwloc_topology_get_topology_cpuset(reader->hwloc);
    int cpu;

    hwloc_bitmap_foreach_begin(cpu, set)
    {
        if (topo_cpu(reader->topo, reader->name, (uint32_t)cpu,
                     node_of_cpu_set(reader, (unsigned)cpu), reader->error))
            return -1;
    }
    hwloc_bitmap_foreach_end();
    return 0;
}

static uint32_t number_of(const struct reader *reader, const struct hwloc_obj *object)
{
    uint32_t n = 0;

    while (n < nodes_of(reader) && reader->node[n] != object)
        n++;
    return n;
}

/* A matrix of nodes, taken as it is. */
static int take_distances(struct reader *reader, const struct hwloc_distances_s *distances)
{
    for (unsigned i = 0; i < distances->nbobjs; i++)
        for (unsigned k = 0; k < distances->nbobjs; k++) {
            uint32_t from = number_of(reader, distances->objs[i]);
            uint32_t to = number_of(reader, distances->objs[k]);

            if (from < nodes_of(reader) && to < nodes_of(reader) &&
                topo_distance(reader->topo, reader->name, quire_node_of(from), quire_node_of(to),
                              distances->values[i * distances->nbobjs + k], reader->error))
                return -1;
        }
    return 0;
}

static int beside_each_other(struct reader *reader)
{
    for (uint32_t i = 0; i < nodes_of(reader); i++)
        for (uint32_t k = 0; k < nodes_of(reader); k++)
            if (i != k &&
                hwloc_bitmap_intersects(reader->node[i]->cpuset, reader->node[k]->cpuset) &&
                topo_distance(reader->topo, reader->name, quire_node_of(i), quire_node_of(k),
                              QUIRE_DISTANCE_LOCAL + 1, reader->error))
                return -1;
    return 0;
}

static int read_distances(struct reader *reader)
{
    struct hwloc_distances_s *distances = NULL;
    unsigned count = 1;
    int result;

    if (hwloc_distances_get_by_type(reader->hwloc, HWLOC_OBJ_NUMANODE, &count, &distances,
                                    HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
        count == 0)
        return beside_each_other(reader);
    result = take_distances(reader, distances);
    hwloc_distances_release(reader->hwloc, distances);
    return result;
}

static void take_speed(const struct reader *reader, const struct hwloc_location *initiator,
                       uint32_t to, uint64_t value, uint32_t matrix[QUIRE_NODES][QUIRE_NODES])
{
    const struct quire_topology *topology = &reader->topo->topology;

    if (initiator->type != HWLOC_LOCATION_TYPE_CPUSET || value > UINT32_MAX)
        return;
    for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
        if (topology->cpu_node[cpu] != QUIRE_NO_NODE &&
            hwloc_bitmap_isset(initiator->location.cpuset, topology->cpu_id[cpu]))
            matrix[topology->cpu_node[cpu]][to] = (uint32_t)value;
}

static int read_speed(const struct reader *reader, hwloc_memattr_id_t id,
                      uint32_t matrix[QUIRE_NODES][QUIRE_NODES])
{
    for (uint32_t to = 0; to < nodes_of(reader); to++) {
        struct hwloc_location *initiators;
        hwloc_uint64_t *values;
        unsigned count = 0;

        if (hwloc_memattr_get_initiators(reader->hwloc, id, reader->node[to], 0, &count, NULL,
                                         NULL) != 0 ||
            count == 0)
            continue;
        initiators = calloc(count, sizeof(*initiators));
        values = calloc(count, sizeof(*values));
        if (initiators && values &&
            hwloc_memattr_get_initiators(reader->hwloc, id, reader->node[to], 0, &count, initiators,
                                         values) == 0)
            for (unsigned i = 0; i < count; i++)
                take_speed(reader, &initiators[i], to, values[i], matrix);
        bool full = !initiators || !values;
        free(initiators);
        free(values);
        if (full)
            return topo_fail(reader->error, reader->name, "no memory for its memory attributes");
    }
    return 0;
}

/* Reads win over accesses of either kind. */
static int read_speeds(struct reader *reader)
{
    struct quire_topology *topology = &reader->topo->topology;

    return read_speed(reader, HWLOC_MEMATTR_ID_BANDWIDTH, topology->bandwidth_mbs) ||
                   read_speed(reader, HWLOC_MEMATTR_ID_READ_BANDWIDTH, topology->bandwidth_mbs) ||
                   read_speed(reader, HWLOC_MEMATTR_ID_LATENCY, topology->latency_ns) ||
                   read_speed(reader, HWLOC_MEMATTR_ID_READ_LATENCY, topology->latency_ns)
               ? -1
               : 0;
}

static int read_all(struct reader *reader)
{
    return read_nodes(reader) || read_cpus(reader) || read_distances(reader) || read_speeds(reader)
               ? -1
               : 0;
}

/* hwloc explains itself on standard error, which belongs to the one line that says what is wrong.
 */
static int open_hwloc(struct reader *reader)
{
    setenv("HWLOC_HIDE_ERRORS", "2", 1);
    if (hwloc_topology_init(&reader->hwloc) == 0)
        return 0;
    return topo_fail(reader->error, reader->name, "hwloc cannot start: %s", strerror(errno));
}

int topo_hwloc_synthetic(struct topo *topo, const char *text, size_t size, struct map_error *error)
{
    struct reader reader = {.topo = topo, .name = text, .error = error};
    int result;

    (void)size;
    if (open_hwloc(&reader))
        return -1;
    if (hwloc_topology_set_synthetic(reader.hwloc, text) != 0 ||
        hwloc_topology_load(reader.hwloc) != 0)
        result = topo_fail(error, text,
                           "not a synthetic topology: expected the like of node:4 "
                           "core:8 pu:2, and no file of this name is there");
    else
        result = read_all(&reader);
    hwloc_topology_destroy(reader.hwloc);
    return result;
}

/* hwloc 2 looks at the digit before the dot alone. */
static void as_format_2(struct topo *topo, char *text)
{
    static const char format_3[] = "<topology version=\"3.";
    char *version = strstr(text, format_3);

    if (!version || hwloc_get_api_version() >= 0x30000)
        return;
    version[sizeof(format_3) - 3] = '2';
    snprintf(topo->note, sizeof(topo->note), "a file of hwloc 3, read as one of hwloc 2");
}

int topo_hwloc_xml(struct topo *topo, const char *text, size_t size, struct map_error *error)
{
    const char *name = topo->source;
    struct reader reader = {.topo = topo, .name = name, .error = error};
    char *copy = malloc(size + 1);
    int result;

    if (!copy)
        return topo_fail(error, name, "no memory to read it");
    memcpy(copy, text, size);
    copy[size] = '\0';
    as_format_2(topo, copy);
    result = open_hwloc(&reader);
    if (result) {
        free(copy);
        return result;
    }
    if (hwloc_topology_set_xmlbuffer(reader.hwloc, copy, (int)size + 1) != 0 ||
        hwloc_topology_load(reader.hwloc) != 0)
        result = topo_fail(error, name, "hwloc cannot read it: expected a file of lstopo --of xml");
    else
        result = read_all(&reader);
    hwloc_topology_destroy(reader.hwloc);
    free(copy);
    return result;
}
