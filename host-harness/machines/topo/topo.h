/* SPDX-License-Identifier: MIT
 *
 * topo.h - topologies of machines, read from wherever they are told: ACPI tables, device trees,
 * hwloc's files and synthetic strings, this machine.
 *
 * Nothing in the bytes of a file can make a reader crash, run long or use more memory than a few
 * times the file's size: what does not make sense is refused with the file, what was wrong, and
 * what would be right.
 *
 * State: none of its own; a struct topo belongs to its caller. A topology that was loaded has been
 * through quire_topology_check. Called from ordinary threads of a process, one at a time (libnuma
 * and hwloc look at the environment); uses libc.
 */
#ifndef HOST_HARNESS_MACHINES_TOPO_TOPO_H
#define HOST_HARNESS_MACHINES_TOPO_TOPO_H

#include "host-harness/machines/map/map.h"

#include <quire/topology.h>

enum { TOPO_RESERVED = 512 }; /* stretches of memory in use */

/* The physical bytes start .. end - 1 of memory that the source says is in use. */
struct topo_reserved {
    uint64_t start, end;
};

struct topo {
    struct quire_topology topology;
    struct topo_reserved reserved[TOPO_RESERVED]; /* in any order, overlapping, with no memory */
    uint32_t reserved_count;
    const char *format; /* "ACPI tables", "device tree", "hwloc XML", ... */
    bool laid_out;      /* the source tells sizes alone: addresses are made up, see below */
    char source[MAP_TEXT_BYTES]; /* what was read */
    char note[MAP_TEXT_BYTES];   /* what had to be assumed; empty if nothing */
};

enum topo_flags {
    TOPO_ASYMMETRIC = 1, /* distances may differ by direction */
    TOPO_STRICT = 2,     /* refuse what is passed over with a note otherwise: see acpi.h */
};

/* Load what `argument` names:
 *   host           this machine, by libnuma
 *   FILE           hwloc XML, a flattened device tree, or one ACPI table, by its content
 *   -              the same, read from the standard input
 *   FILE@ADDRESS   the same, which lies in the machine's memory there
 *   FOLDER         all ACPI tables of it that are an APIC, SRAT, SLIT or HMAT
 *   FILE,FILE...   these ACPI tables
 *   node:4 pu:2    an hwloc synthetic topology
 * 0, or -1 with *error filled (one line, printable). Blocking (reads files).
 *
 * What ACPI tables get wrong and acpi.h can do without costs the entry and gives a note; so do the
 * same things in a device tree, memory of two nodes and distances.
 *
 * Where sizes alone are told, memory is laid out node after node from 4 GiB upwards, each node
 * from the next multiple of 1 GiB; sizes shrink to whole frames. */
int topo_load(struct topo *topo, const char *argument, unsigned flags, struct map_error *error);

/* The readers behind it, on bytes in memory; `name` stands for the file in errors. */
int topo_parse(struct topo *topo, const char *name, const void *bytes, size_t size, unsigned flags,
               struct map_error *error);

/* Bytes of ordinary memory on a node, each counted once, less what is in use. */
uint64_t topo_memory_of(const struct topo *topo, uint32_t node);

/* The memory of a topology as a memory map; nodes are numbered as in the topology, by Quire.
 * 0, or -1 with *error filled and *map empty. */
int topo_memory_map(const struct topo *topo, struct map *map, struct map_error *error);

/* The same, to run on: refused as well if there is no CPU. */
int topo_map(const struct topo *topo, struct map *map, struct map_error *error);

#endif /* HOST_HARNESS_MACHINES_TOPO_TOPO_H */
