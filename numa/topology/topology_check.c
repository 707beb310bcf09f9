/* SPDX-License-Identifier: MIT
 *
 * topology_check.c - does a topology make sense? Then what nobody told is filled in.
 *
 * Nothing in the structure is believed: it may have been written by anybody. All of it is looked at
 * before the first byte is changed, so a refused topology is as it was.
 */
#include "numa/topology/ranges.h"

static int check_counts(const struct quire_topology *topology, struct quire_fault *fault)
{
    if (topology->node_count == 0)
        return fault_set(fault, QUIRE_ERR_NODE, "there is no node", 0, 0, 1);
    if (topology->node_count > QUIRE_NODES)
        return fault_set(fault, QUIRE_ERR_SIZE, "there are too many nodes", 0, topology->node_count,
                         QUIRE_NODES);
    if (topology->cpu_count > QUIRE_CPUS)
        return fault_set(fault, QUIRE_ERR_SIZE, "there are too many CPUs", 0, topology->cpu_count,
                         QUIRE_CPUS);
    if (topology->range_count > QUIRE_TOPOLOGY_RANGES)
        return fault_set(fault, QUIRE_ERR_SIZE, "there are too many stretches of memory", 0,
                         topology->range_count, QUIRE_TOPOLOGY_RANGES);
    return QUIRE_OK;
}

static bool is_id(const uint32_t id[], uint32_t count, uint32_t number)
{
    for (uint32_t i = 0; i < count; i++)
        if (id[i] == number)
            return true;
    return false;
}

/* The lowest number that is nobody's. */
static uint32_t unused_id(const uint32_t id[], uint32_t count)
{
    uint32_t number = 0;

    while (is_id(id, count, number))
        number++;
    return number;
}

static int check_ids(const struct quire_topology *topology, struct quire_fault *fault)
{
    for (uint32_t i = 1; i < topology->node_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (topology->node_id[i] == topology->node_id[k])
                return fault_set_pair(fault, QUIRE_ERR_BUSY, "two nodes have one id", i, k,
                                      topology->node_id[i],
                                      unused_id(topology->node_id, topology->node_count));
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        uint32_t node = topology->cpu_node[i];

        if (node != QUIRE_NO_NODE && node >= topology->node_count)
            return fault_set(fault, QUIRE_ERR_NODE, "a CPU is on a node that does not exist", i,
                             node, topology->node_count - 1);
        for (uint32_t k = 0; k < i; k++)
            if (topology->cpu_id[i] == topology->cpu_id[k])
                return fault_set_pair(fault, QUIRE_ERR_BUSY, "two CPUs have one id", i, k,
                                      topology->cpu_id[i],
                                      unused_id(topology->cpu_id, topology->cpu_count));
    }
    return QUIRE_OK;
}

static int check_range(const struct quire_topology *topology, uint32_t i, struct quire_fault *fault)
{
    const uint64_t limit = (uint64_t)1 << (QUIRE_PFN_BITS + QUIRE_FRAME_SHIFT);
    const struct quire_topology_memory *range = &topology->ranges[i];

    if (range->node.n >= topology->node_count)
        return fault_set(fault, QUIRE_ERR_NODE, "memory is on a node that does not exist", i,
                         range->node.n, topology->node_count - 1);
    if (range->kind > QUIRE_MEMORY_DEVICE)
        return fault_set(fault, QUIRE_ERR_UNSUPPORTED, "memory is of an unknown kind", i,
                         (uint64_t)range->kind, QUIRE_MEMORY_DEVICE);
    if (range->bytes == 0)
        return fault_set(fault, QUIRE_ERR_SIZE, "a stretch of memory is empty", i, 0, 1);
    if (range->phys >= limit || range->bytes > limit - range->phys)
        return fault_set(fault, QUIRE_ERR_SIZE, "memory ends beyond 2^52", i,
                         topology_end_of(range), limit);
    for (uint32_t k = 0; k < i; k++) {
        const struct quire_topology_memory *other = &topology->ranges[k];

        if (topology_overlap(range, other))
            return fault_set_pair(fault, QUIRE_ERR_BUSY, "memory of two nodes overlaps", i, k,
                                  range->phys, other->phys + other->bytes);
    }
    return QUIRE_OK;
}

static int check_memory(const struct quire_topology *topology, struct quire_fault *fault)
{
    int error = QUIRE_OK;

    if (topology->range_count == 0)
        return fault_set(fault, QUIRE_ERR_NO_MEMORY, "no node has memory", 0, 0, 1);
    for (uint32_t i = 0; i < topology->range_count && !error; i++)
        error = check_range(topology, i, fault);
    return error;
}

static int check_pair(const struct quire_topology *topology, uint32_t from, uint32_t to,
                      struct quire_fault *fault)
{
    unsigned there = topology->distance[from][to], back = topology->distance[to][from];

    if (there == 0)
        return QUIRE_OK;
    if (from == to && there != QUIRE_DISTANCE_LOCAL)
        return fault_set(fault, QUIRE_ERR_SIZE, "a node's distance to itself is not 10", from,
                         there, QUIRE_DISTANCE_LOCAL);
    if (from != to && there <= QUIRE_DISTANCE_LOCAL)
        return fault_set_pair(fault, QUIRE_ERR_SIZE, "two nodes are nearer than 11", from, to,
                              there, QUIRE_DISTANCE_LOCAL + 1);
    if (back != 0 && back != there && !topology->asymmetric)
        return fault_set_pair(fault, QUIRE_ERR_SIZE, "a distance differs by direction", from, to,
                              there, back);
    return QUIRE_OK;
}

static int check_distances(const struct quire_topology *topology, struct quire_fault *fault)
{
    int error = QUIRE_OK;

    for (uint32_t from = 0; from < topology->node_count; from++)
        for (uint32_t to = 0; to < topology->node_count && !error; to++)
            error = check_pair(topology, from, to, fault);
    return error;
}

/* A distance told for one direction holds for the other one too. */
static void fill_distances(struct quire_topology *topology)
{
    for (uint32_t from = 0; from < topology->node_count; from++)
        for (uint32_t to = 0; to < topology->node_count; to++) {
            uint8_t *there = &topology->distance[from][to];

            if (*there == 0)
                *there = topology->distance[to][from];
            if (*there == 0)
                *there = from == to ? QUIRE_DISTANCE_LOCAL : QUIRE_DISTANCE_REMOTE;
        }
}

int quire_topology_check(struct quire_topology *topology, struct quire_fault *fault)
{
    int error = check_counts(topology, fault);

    if (!error)
        error = check_ids(topology, fault);
    if (!error)
        error = check_memory(topology, fault);
    if (!error)
        error = check_distances(topology, fault);
    if (error)
        return error;
    fill_distances(topology);
    for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++)
        if (topology->cpu_node[cpu] == QUIRE_NO_NODE)
            topology->cpu_node[cpu] = 0;
    return QUIRE_OK;
}
