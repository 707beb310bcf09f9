/* SPDX-License-Identifier: MIT
 *
 * host.c - this machine's topology, by libnuma: nodes (whose numbers may have holes), their
 * CPUs, how much memory each has, distances. The kernel does not tell where the memory lies.
 *
 * A kernel without NUMA, or one that hides it from this process, gives one node with all CPUs.
 */
#include "reader.h"

#include <numa.h>
#include <stdio.h>
#include <unistd.h>

static const char name[] = "host";

static int add_cpus(struct topo *topo, quire_node node, const struct bitmask *cpus,
                    struct map_error *error)
{
    for (unsigned cpu = 0; cpu < cpus->size; cpu++)
        if (numa_bitmask_isbitset(cpus, cpu) && topo_cpu(topo, name, cpu, node, error))
            return -1;
    return 0;
}

static int add_node(struct topo *topo, int id, struct bitmask *cpus, struct map_error *error)
{
    long long bytes = numa_node_size64(id, NULL);
    quire_node node;

    if (topo_node(topo, name, (uint32_t)id, &node, error))
        return -1;
    if (bytes > 0 && topo_lay_out(topo, name, (uint64_t)bytes, node, error))
        return -1;
    return numa_node_to_cpus(id, cpus) == 0 ? add_cpus(topo, node, cpus, error) : 0;
}

static int add_distances(struct topo *topo, struct map_error *error)
{
    const struct quire_topology *topology = &topo->topology;

    for (uint32_t from = 0; from < topology->node_count; from++)
        for (uint32_t to = 0; to < topology->node_count; to++) {
            int distance = numa_distance((int)topology->node_id[from], (int)topology->node_id[to]);

            /* 0: not told. */
            if (distance != 0 && topo_distance(topo, name, quire_node_of(from), quire_node_of(to),
                                               (uint64_t)distance, error))
                return -1;
        }
    return 0;
}

static int read_numa(struct topo *topo, struct map_error *error)
{
    struct bitmask *cpus = numa_allocate_cpumask();
    int result = 0;

    if (!cpus)
        return topo_fail(error, name, "no memory for a set of CPUs");
    for (int id = 0; id <= numa_max_node() && !result; id++)
        if (numa_bitmask_isbitset(numa_nodes_ptr, (unsigned)id))
            result = add_node(topo, id, cpus, error);
    numa_free_cpumask(cpus);
    return result ? result : add_distances(topo, error);
}

static int read_flat(struct topo *topo, struct map_error *error)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    quire_node node;

    if (cpus < 1 || pages < 1 || page < 1)
        return topo_fail(error, name,
                         "this machine does not tell its CPUs and memory: expected "
                         "sysconf to");
    snprintf(topo->note, sizeof(topo->note),
             "the kernel does not tell nodes: one stands for all there is");
    if (topo_node(topo, name, 0, &node, error) ||
        topo_lay_out(topo, name, (uint64_t)pages * (uint64_t)page, node, error))
        return -1;
    for (uint32_t cpu = 0; cpu < (uint32_t)cpus; cpu++)
        if (topo_cpu(topo, name, cpu, node, error))
            return -1;
    return 0;
}

int topo_read_host(struct topo *topo, struct map_error *error)
{
    topo->format = "this machine, by libnuma";
    return numa_available() < 0 ? read_flat(topo, error) : read_numa(topo, error);
}
