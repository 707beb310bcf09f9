/* SPDX-License-Identifier: MIT
 *
 * fault.h - how topology.c and the ACPI readers say what is wrong, in one call.
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

#endif /* QUIRE_NUMA_TOPOLOGY_FAULT_H */
