/* SPDX-License-Identifier: MIT
 *
 * topology.c - this machine as libnuma shows it: nodes, their CPUs, distances.
 *
 * A kernel without NUMA, or one that forbids to ask, is a machine of one node with all CPUs. Nodes
 * and CPUs that this process may not use are there all the same: only no memory is taken of them.
 * No state but libnuma's own, which is filled before main.
 */
#include "parts.h"

#include <errno.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Bytes of a node that this process may have; *unused, of it nobody uses. */
static uint64_t bytes_of(uint32_t os_node, uint64_t *unused)
{
    long long bytes, rest = 0;

    if (!has_nodes()) {
        *unused = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    *unused = 0;
    if (!numa_bitmask_isbitset(numa_all_nodes_ptr, os_node))
        return 0;
    bytes = numa_node_size64((int)os_node, &rest);
    *unused = rest > 0 ? (uint64_t)rest : 0;
    return bytes > 0 ? (uint64_t)bytes : 0;
}

uint64_t quire_host_topology_bytes(const struct quire_topology *topology, quire_node node)
{
    uint64_t unused;

    return bytes_of(topology->node_id[node.n], &unused);
}

/* ---- Of a node, without a host --------------------------------------------------------------- */

/* Linux's number of a node. False if there is no such node. */
static bool find_os_node(quire_node node, uint32_t *os_node)
{
    uint32_t before = 0;

    *os_node = 0;
    if (!has_nodes())
        return node.n == 0;
    for (int n = 0; n <= numa_max_node(); n++) {
        *os_node = (uint32_t)n;
        if (numa_bitmask_isbitset(numa_nodes_ptr, (unsigned)n) && before++ == node.n)
            return true;
    }
    return false;
}

static uint32_t cpus_of(uint32_t os_node)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    uint32_t count = 0;

    for (long cpu = 0; cpu < cpus; cpu++)
        count += !has_nodes() || numa_node_of_cpu((int)cpu) == (int)os_node;
    return count;
}

/* Free bytes of its pool of huge pages; 0 if the kernel has none. */
static uint64_t pool_of(uint32_t os_node)
{
    unsigned long pages = 0;
    char path[128];
    FILE *file;

    if (has_nodes())
        snprintf(path, sizeof(path),
                 "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/free_hugepages",
                 os_node);
    else
        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fgets(path, sizeof(path), file))
        pages = strtoul(path, NULL, 10);
    (void)fclose(file);
    return pages * HOST_HUGE;
}

int quire_host_node(quire_node node, struct quire_host_node *what)
{
    int error = errno;
    uint32_t os_node;

    if (!find_os_node(node, &os_node))
        return QUIRE_ERR_NODE;
    *what = (struct quire_host_node){.os_node = os_node, .cpus = cpus_of(os_node)};
    what->bytes = bytes_of(os_node, &what->free_bytes);
    what->huge_bytes = pool_of(os_node);
    errno = error; /* a file that is not there is no refusal */
    return QUIRE_OK;
}
