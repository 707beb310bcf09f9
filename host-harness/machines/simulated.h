/* SPDX-License-Identifier: MIT
 *
 * simulated.h - a simulated machine: the zones that boot memory makes of a map, built and ready.
 *
 * The memory that the map describes does not exist here, and need not: Quire never touches what it
 * manages. Only the zones' metadata is real. The boot plan gives it a place in the simulated memory
 * (and reserves that); this process maps as many bytes without reserving swap, so that a map of
 * many TiB runs on a small host and costs what is touched.
 *
 * State: a struct simulated_machine belongs to its caller and never changes between simulated_build
 * and simulated_teardown, so that all threads may read it. Invariants: zone_count >= 1; every zone
 * has a usable frame; each managed frame resolves to exactly one zone (simulated_zone_of).
 */
#ifndef HOST_HARNESS_MACHINES_SIMULATED_H
#define HOST_HARNESS_MACHINES_SIMULATED_H

#include "host-harness/machines/map/map.h"

#include <quire/quire.h>

struct simulated_options {
    uint32_t slots;         /* per zone; give each thread one. 0 means 1 */
    uint64_t huge_bytes;    /* per node, a multiple of 2 MiB: for orders 9 and up; 0 for none */
    bool no_dma;            /* no zone for memory below 16 MiB */
    bool no_dma32;          /* no zone for memory below 4 GiB */
    bool no_run_map;        /* see struct quire_zone_config */
    struct quire_port port; /* every zone gets a copy */
};

struct simulated_zone {
    struct quire_zone zone; /* the handle to call with */
    enum quire_zone_type type;
    uint32_t node;
    void *metadata; /* where this process mapped it */
    size_t metadata_bytes;
};

/* A piece of simulated memory that this process really has. */
struct simulated_mapping {
    void *address;
    size_t bytes;
};

struct simulated_plan {
    struct quire_boot boot;      /* regions: quire_boot_region */
    struct quire_boot_plan plan; /* zones[i] belongs to the machine's zones[i] */
    struct quire_pfnmap pfnmap;
    struct simulated_mapping *mappings;
    size_t mapping_count;
};

struct simulated_machine {
    struct simulated_zone *zones; /* by node, then by type */
    size_t zone_count;
    size_t metadata_bytes;       /* of all zones and of the frame-to-zone table */
    struct simulated_plan *plan; /* what boot memory decided; NULL if the zones are another's */
};

/* Plan and build the zones of `map`. 0, or -1 with *error filled and nothing left behind. */
int simulated_build(struct simulated_machine *machine, const struct map *map,
                    const struct simulated_options *options, struct map_error *error);

/* Give everything back; the machine is empty afterwards. Nobody may use its zones any more. A
 * zeroed machine is welcome. */
void simulated_teardown(struct simulated_machine *machine);

/* The zone that holds the frame, or NULL. Wait-free, any thread. */
struct simulated_zone *simulated_zone_of(const struct simulated_machine *machine, quire_pfn pfn);

/* Zeroed pages for what describes a simulated machine, for munmap; no swap is reserved for them.
 * NULL without memory. */
void *simulated_pages(size_t bytes);

/* "DMA", "DMA32", "Normal", "Huge", "Device". */
const char *zone_type_name(enum quire_zone_type type);

#endif /* HOST_HARNESS_MACHINES_SIMULATED_H */
