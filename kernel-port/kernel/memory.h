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

#include "cpu.h"

#include <quire/bringup.h>
#include <quire/space.h>

enum { ZONES_MAX = QUIRE_ZONE_TYPES * QUIRE_NODES };

struct memory {
    struct quire_topology topology;
    struct quire_boot boot;
    struct quire_bringup up;          /* plan, zones and machine */
    uint64_t machine_bytes;           /* taken for it, by memory_take and by itself */
    struct boot_module ramdisk;       /* where it is; no bytes: there is none */
    struct quire_gigabytes gigabytes; /* as many as hugepages= names, 16 at most, for spaces: in
                                       * Huge zones, but while somebody has filled them */
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

/* Frames in use by what they are for: all of the kernel's, but those of tests. */
extern const struct quire_kinds memory_kinds;

/* Print a line with all of them. */
void memory_print_kinds(void);

/* 2^order frames of the machine, for this kind, and back: as quire_machine_alloc and _free. */
static inline int memory_alloc(unsigned order, uint32_t flags, enum quire_kind kind, quire_pfn *pfn)
{
    int error = quire_machine_alloc(memory.up.machine, order, flags, pfn);

    if (!error)
        quire_kinds_count_here(&memory_kinds, cpu_id(), kind, (ptrdiff_t)1 << order);
    return error;
}

static inline int memory_free(quire_pfn pfn, unsigned order, enum quire_kind kind)
{
    int error = quire_machine_free(memory.up.machine, pfn, order);

    if (!error)
        quire_kinds_count_here(&memory_kinds, cpu_id(), kind, -((ptrdiff_t)1 << order));
    return error;
}

/* Page tables; frames of programs, of page caches and so on. The machine is up. */
struct quire_table_source memory_tables(void);
struct quire_frame_source memory_frames(enum quire_kind kind);

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
