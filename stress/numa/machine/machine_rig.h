/* SPDX-License-Identifier: MIT
 *
 * machine_rig.h - what the tests of the machine share: a machine of simulated nodes and memory, a
 * CPU of choice for each thread, a port that keeps the books of its memory, and checks of the
 * whole.
 *
 * rig_begin describes a machine; a test changes what it likes, adds zones, and opens it. Node n's
 * memory starts at rig_base(n). The port's memory remembers the node that it was asked for.
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_MACHINE_RIG_H
#define QUIRE_STRESS_NUMA_MACHINE_MACHINE_RIG_H

#include "stress/common/die.h"
#include "stress/common/port.h"
#include "stress/common/sizes.h"

#include <quire/machine.h>

enum {
    RIG_ZONES = 256,   /* zones of a rig */
    RIG_SHIFT = 24,    /* nodes are 2^24 frames apart */
    RIG_MEMORY = 4096, /* pieces of the port's memory */
};

struct rig_zone {
    struct quire_zone zone;
    struct quire_run run;
    enum quire_zone_type type;
    void *metadata;
};

struct rig {
    struct quire_topology topology;
    struct quire_machine_config config;
    struct rig_zone zones[RIG_ZONES];
    struct quire_machine_zone given[RIG_ZONES];
    struct quire_pfnmap_span spans[RIG_ZONES];
    uint32_t zone_count;
    uint32_t slots; /* of each zone */
    uint64_t low;   /* watermarks low and high of each zone: 0 after rig_begin */
    struct quire_machine *machine;
    void *memory;

    /* The port. */
    struct {
        void *at;
        size_t bytes;
        uint32_t node;
    } pieces[RIG_MEMORY];
    uint32_t piece_count;
    uint32_t refuse_memory; /* the port gives so many pieces, then none; 0: no limit */
    uint64_t memory_bytes;
    _Atomic uint32_t reclaims;
    uint64_t (*reclaim)(struct rig *rig, quire_node node, uint64_t frames);
    void (*event)(struct rig *rig); /* called in the zones' `event` and `zero`; NULL: nothing is */
    struct heard heard;             /* by the zones' ports */
};

/* The CPU that the calling thread seems to run on. */
extern _Thread_local uint32_t rig_cpu;

/* A topology of nodes with so many CPUs each, distances 10 and 20. */
void rig_begin(struct rig *r, uint32_t nodes, uint32_t cpus);
uint64_t rig_base(uint32_t node);
/* A zone of `frames` frames, `at` frames above the node's base. Returns its place. */
uint32_t rig_zone(struct rig *r, uint32_t node, enum quire_zone_type type, uint64_t at,
                  uint64_t frames);
/* The same, built but not part of the machine's configuration. */
uint32_t rig_spare_zone(struct rig *r, uint32_t node, enum quire_zone_type type, uint64_t at,
                        uint64_t frames);
/* Overwrite and free a zone's metadata, and build it anew. It is out of service. */
void rig_rebuild_zone(struct rig *r, uint32_t zone);
/* Build the machine; rig_try says what quire_machine_init says. */
int rig_try(struct rig *r);
void rig_open(struct rig *r);
/* Nothing is used: drain all, check all, take it down, see that all memory came back. */
void rig_close(struct rig *r);
void rig_free_zones(struct rig *r);
/* Every zone is consistent, and free + cached + remote + used = managed. */
void rig_check(struct rig *r, uint64_t used);
struct quire_node_stats rig_stats(struct rig *r, uint32_t node);
/* Node of the piece of the port's memory that holds this address. */
uint32_t rig_node_of_memory(const struct rig *r, const void *at);

/* Let others run: sleep for 50 microseconds. */
void rig_pause(void);

#endif /* QUIRE_STRESS_NUMA_MACHINE_MACHINE_RIG_H */
