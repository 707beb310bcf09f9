/* SPDX-License-Identifier: MIT
 *
 * memory.h - from the loader's memory map to a machine that allocates.
 *
 * Three steps: memory_find (what there is, and on which node), then whoever needs memory before
 * the allocator takes it from memory.boot, then memory_build (quire_bringup). Everything
 * here is written by the first CPU, and constant when the suites start, but for the counters.
 */
#ifndef KERNEL_PORT_KERNEL_MEMORY_H
#define KERNEL_PORT_KERNEL_MEMORY_H

#include "boot_info.h"
#include "options.h"

#include <quire/bringup.h>

enum { ZONES_MAX = QUIRE_ZONE_TYPES * QUIRE_NODES };

struct memory {
    struct quire_topology topology;
    struct quire_boot boot;
    struct quire_bringup up; /* plan, zones and machine */
    uint64_t machine_bytes;  /* taken for it, by memory_take and by itself */
    /* Told by the zones; atomic. */
    uint64_t events[ZONES_MAX][QUIRE_EVENTS];
    uint64_t reports[QUIRE_ERRORS]; /* by -error */
};

extern struct memory memory;

static inline uint32_t memory_zone_count(void)
{
    return (uint32_t)memory.up.plan.zone_count;
}

void memory_find(const struct boot_info *info, const struct options *options);
void memory_build(const struct options *options);

/* Print what there is: regions, nodes, zones. */
void memory_print(void);

/* Contiguous zeroed memory on `node`, or nearby, for kernel data; panics if there is none. From
 * whatever zone: this kernel removes none (bringup.h: zones that may leave). */
void *memory_take(size_t bytes, quire_node node);
void memory_give_back(void *address, size_t bytes);

/* The zone that holds a frame; NULL if none does. */
struct quire_zone *memory_zone(quire_pfn pfn);

/* The zone of this node and type, or NULL. */
struct quire_zone *memory_zone_of(uint32_t node, enum quire_zone_type type);

/* The slot that the calling CPU uses in every zone. */
quire_slot memory_slot(void);

#endif /* KERNEL_PORT_KERNEL_MEMORY_H */
