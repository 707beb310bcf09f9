/* SPDX-License-Identifier: MIT
 *
 * ranges.h - what the topology and the ACPI readers ask of stretches of memory.
 *
 * No state. Wait-free, any context.
 */
#ifndef QUIRE_NUMA_TOPOLOGY_RANGES_H
#define QUIRE_NUMA_TOPOLOGY_RANGES_H

#include "core/fault.h"

#include <quire/topology.h>

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

#endif /* QUIRE_NUMA_TOPOLOGY_RANGES_H */
