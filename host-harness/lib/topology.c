/* SPDX-License-Identifier: MIT
 *
 * topology.c - this machine as libnuma shows it: nodes, their CPUs, distances.
 *
 * A kernel without NUMA, or one that forbids to ask, is a machine of one node with all CPUs. Nodes
 * and CPUs that this process may not use are there all the same: only no memory is taken of them.
 * No state but libnuma's own, which is filled before main.
 */
#include "parts.h"

#include <numa.h>
#include <unistd.h>

static bool has_nodes(void)
{
    return numa_available() >= 0;
}

static int add_nodes(struct quire_topology *topology)
{
    quire_node node;
    int result = QUIRE_OK;

    if (!has_nodes())
        return quire_topology_add_node(topology, 0, &node);
    for (int n = 0; n <= numa_max_node() && !result; n++) {
        if (numa_bitmask_isbitset(numa_nodes_ptr, (unsigned)n))
            result = quire_topology_add_node(topology, (uint32_t)n, &node);
    }
    return result;
}

static int add_distances(struct quire_topology *topology)
{
    int result = QUIRE_OK;

    topology->asymmetric = true; /* firmware may say so: not ours to refuse */
    for (uint32_t from = 0; from < topology->node_count && !result; from++) {
        for (uint32_t to = 0; to < topology->node_count && !result; to++) {
            int distance = has_nodes() ? numa_distance((int)topology->node_id[from],
                                                       (int)topology->node_id[to])
                                       : 0;

            if (from != to && distance > QUIRE_DISTANCE_LOCAL)
                result = quire_topology_set_distance(topology, quire_node_of(from),
                                                     quire_node_of(to), (unsigned)distance);
        }
    }
    return result;
}

static quire_node node_of_os(const struct quire_topology *topology, int os_node)
{
    for (uint32_t n = 0; n < topology->node_count; n++) {
        if (os_node >= 0 && topology->node_id[n] == (uint32_t)os_node)
            return quire_node_of(n);
    }
    return quire_node_of(QUIRE_NO_NODE);
}

/* A CPU's number is Linux's, which is what a restartable sequence knows: so the numbers of CPUs
 * that are not there, or not switched on, are used up too. */
static int add_cpus(struct quire_topology *topology)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    int result = QUIRE_OK;

    for (long cpu = 0; cpu < cpus && cpu < QUIRE_CPUS && !result; cpu++) {
        int os_node = has_nodes() ? numa_node_of_cpu((int)cpu) : 0;

        result = quire_topology_add_cpu(topology, (uint32_t)cpu, node_of_os(topology, os_node));
    }
    return result;
}

int quire_host_topology_read(struct quire_topology *topology)
{
    int result;

    quire_topology_init(topology);
    result = add_nodes(topology);
    if (!result)
        result = add_distances(topology);
    return result ? result : add_cpus(topology);
}

uint64_t quire_host_topology_bytes(const struct quire_topology *topology, quire_node node)
{
    long long bytes;

    if (!has_nodes())
        return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (!numa_bitmask_isbitset(numa_all_nodes_ptr, topology->node_id[node.n]))
        return 0;
    bytes = numa_node_size64((int)topology->node_id[node.n], NULL);
    return bytes > 0 ? (uint64_t)bytes : 0;
}
