/* SPDX-License-Identifier: MIT
 *
 * topology.c - filling a topology: nodes, CPUs, memory and distances, each checked as it comes.
 *
 * State: the caller's structure alone. What is in it after these functions:
 *   TO1  nodes, CPUs and ranges 0 .. count-1 are set; what lies beyond the counts is zero, so that
 *       equal topologies are equal bytes.
 *   TO2  node_id and cpu_id have no number twice.
 *   TO3  a distance is 0 (not told), 10 on the diagonal, 11 .. 255 elsewhere.
 * Callers may write into the structure themselves; so quire_topology_check (topology_check.c) takes
 * none of this for granted.
 */
#include "numa/topology/ranges.h"

void quire_topology_init(struct quire_topology *topology)
{
    __builtin_memset(topology, 0, sizeof *topology);
}

int quire_topology_add_node(struct quire_topology *topology, uint32_t id, quire_node *node)
{
    uint32_t n = 0;

    while (n < topology->node_count && topology->node_id[n] != id)
        n++;
    if (n == QUIRE_NODES)
        return QUIRE_ERR_FULL;
    if (n == topology->node_count) {
        topology->node_id[n] = id;
        topology->node_count++;
    }
    *node = quire_node_of(n);
    return QUIRE_OK;
}

static bool has_node(const struct quire_topology *topology, quire_node node)
{
    return node.n < topology->node_count;
}

int quire_topology_add_cpu(struct quire_topology *topology, uint32_t id, quire_node node)
{
    uint32_t cpu = 0;

    if (node.n != QUIRE_NO_NODE && !has_node(topology, node))
        return QUIRE_ERR_NODE;
    while (cpu < topology->cpu_count && topology->cpu_id[cpu] != id)
        cpu++;
    if (cpu == QUIRE_CPUS)
        return QUIRE_ERR_FULL;
    if (cpu == topology->cpu_count) {
        topology->cpu_id[cpu] = id;
        topology->cpu_node[cpu] = node.n;
        topology->cpu_count++;
        return QUIRE_OK;
    }
    if (node.n == QUIRE_NO_NODE || topology->cpu_node[cpu] == node.n)
        return QUIRE_OK;
    if (topology->cpu_node[cpu] != QUIRE_NO_NODE)
        return QUIRE_ERR_BUSY;
    topology->cpu_node[cpu] = node.n;
    return QUIRE_OK;
}

int quire_topology_add_memory(struct quire_topology *topology, uint64_t phys, uint64_t bytes,
                              quire_node node, enum quire_memory_kind kind)
{
    const uint64_t limit = (uint64_t)1 << (QUIRE_PFN_BITS + QUIRE_FRAME_SHIFT);
    struct quire_topology_memory *range = &topology->ranges[topology->range_count];

    if (!has_node(topology, node))
        return QUIRE_ERR_NODE;
    if (kind > QUIRE_MEMORY_DEVICE)
        return QUIRE_ERR_UNSUPPORTED;
    if (bytes == 0 || phys >= limit || bytes > limit - phys)
        return QUIRE_ERR_SIZE;
    if (topology->range_count == QUIRE_TOPOLOGY_RANGES)
        return QUIRE_ERR_FULL;
    range->phys = phys;
    range->bytes = bytes;
    range->node = node;
    range->kind = kind;
    topology->range_count++;
    return QUIRE_OK;
}

int quire_topology_set_distance(struct quire_topology *topology, quire_node from, quire_node to,
                                unsigned distance)
{
    if (!has_node(topology, from) || !has_node(topology, to))
        return QUIRE_ERR_NODE;
    if (from.n == to.n ? distance != QUIRE_DISTANCE_LOCAL
                       : distance <= QUIRE_DISTANCE_LOCAL || distance > QUIRE_DISTANCE_UNREACHABLE)
        return QUIRE_ERR_SIZE;
    topology->distance[from.n][to.n] = (uint8_t)distance;
    return QUIRE_OK;
}

quire_nodemask quire_topology_with_memory(const struct quire_topology *topology)
{
    quire_nodemask mask = {0};

    for (uint32_t i = 0; i < topology->range_count; i++)
        if (topology->ranges[i].kind == QUIRE_MEMORY_ORDINARY)
            mask.bits |= quire_nodemask_of(topology->ranges[i].node).bits;
    return mask;
}

quire_nodemask quire_topology_with_cpus(const struct quire_topology *topology)
{
    quire_nodemask mask = {0};

    for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
        mask.bits |= quire_nodemask_of(quire_node_of(topology->cpu_node[cpu])).bits;
    return mask;
}
