/* SPDX-License-Identifier: MIT
 *
 * fault.h - how topology.c and the ACPI readers say what is wrong, in one call, and what both of
 * them ask of ranges.
 *
 * No state. Wait-free, any context.
 */
#ifndef QUIRE_NUMA_TOPOLOGY_FAULT_H
#define QUIRE_NUMA_TOPOLOGY_FAULT_H

#include <quire/topology.h>

/* Fill in *fault, if there is one, and return `error`. */
static inline int topology_fault_set(struct quire_topology_fault *fault, int error,
                                     const char *what, uint64_t where, uint64_t found,
                                     uint64_t expected)
{
    if (fault) {
        fault->what = what;
        fault->where = where;
        fault->other = where;
        fault->found = found;
        fault->expected = expected;
    }
    return error;
}

/* The same of two things, `where` and `other`. */
static inline int topology_fault_set_pair(struct quire_topology_fault *fault, int error,
                                          const char *what, uint64_t where, uint64_t other,
                                          uint64_t found, uint64_t expected)
{
    topology_fault_set(fault, error, what, where, found, expected);
    if (fault)
        fault->other = other;
    return error;
}

/* The first byte behind the range, or the last number there is. */
static inline uint64_t topology_end_of(const struct quire_topology_memory *range)
{
    return range->bytes > UINT64_MAX - range->phys ? UINT64_MAX : range->phys + range->bytes;
}

/* Do two ranges, both below 2^52, give a byte to two nodes? What is plugged into a window may
 * belong to another node than the window. */
static inline bool topology_overlap(const struct quire_topology_memory *a,
                                    const struct quire_topology_memory *b)
{
    return a->node.n != b->node.n &&
           (a->kind == QUIRE_MEMORY_HOTPLUG) == (b->kind == QUIRE_MEMORY_HOTPLUG) &&
           a->phys < b->phys + b->bytes && b->phys < a->phys + a->bytes;
}

#endif /* QUIRE_NUMA_TOPOLOGY_FAULT_H */
