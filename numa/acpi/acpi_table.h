/* SPDX-License-Identifier: MIT
 *
 * acpi_table.h - how the readers of acpi.h walk a table: numbers byte by byte, entries one by one.
 *
 * State: a cursor on the caller's stack. Invariants:
 *   AC1  the table has been through quire_acpi_table: its length is true and its checksum right.
 *   AC2  an entry that qi_acpi_next returned lies wholly inside the table, its header included;
 *        so a reader needs to compare its size with its type's alone, by qi_acpi_check_size.
 *   AC3  every call of qi_acpi_next moves on by at least an entry's header: a walk is O(bytes).
 */
#ifndef QUIRE_NUMA_ACPI_ACPI_TABLE_H
#define QUIRE_NUMA_ACPI_ACPI_TABLE_H

#include <quire/acpi.h>

#include "numa/topology/ranges.h"

/* Little-endian, at any address. */
static inline uint32_t acpi_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t acpi_u32(const uint8_t *p)
{
    return acpi_u16(p) | acpi_u16(p + 2) << 16;
}

static inline uint64_t acpi_u64(const uint8_t *p)
{
    return acpi_u32(p) | (uint64_t)acpi_u32(p + 4) << 32;
}

enum { ACPI_REVISION = 8 }; /* where it is in a table's header */

/* A table and the entry that a walk has come to. */
struct acpi_walk {
    const uint8_t *table;
    uint32_t bytes; /* of the table */
    bool wide;      /* HMAT: 16 bits of type, 32 of length; else 8 and 8 */
    uint32_t next;  /* where the next entry begins, from the table's start */
    const uint8_t *entry;
    uint32_t at, type, size; /* of the entry */
    struct quire_fault *fault;
};

/* Go to the next entry. 1: there is one; 0: the table ends here; else an error. */
int qi_acpi_next(struct acpi_walk *walk);

/* 0, or an error: the entry is shorter than its type asks. */
int qi_acpi_check_size(const struct acpi_walk *walk, uint32_t size);

/* A mistake that the caller may want to know and be able to do with: `error` if it is strict, else
 * 0, and counted. */
int qi_acpi_distrust(struct quire_topology *topology, const struct acpi_walk *walk, int error,
                     struct quire_fault fault);

/* One table each, behind quire_acpi_read. They add to the topology as they go, and leave it to
 * quire_acpi_read to take that back after an error; `placed` are the CPUs that got a node. */
struct acpi_placed {
    uint64_t bits[(QUIRE_CPUS + 63) / 64];
};
int qi_acpi_madt(struct quire_topology *topology, struct acpi_walk *walk);
int qi_acpi_srat(struct quire_topology *topology, struct acpi_walk *walk,
                 struct acpi_placed *placed);
int qi_acpi_slit(struct quire_topology *topology, struct acpi_walk *walk);
int qi_acpi_hmat(struct quire_topology *topology, struct acpi_walk *walk);

/* The node of a proximity domain, or QUIRE_NO_NODE. */
static inline uint32_t acpi_node_of(const struct quire_topology *topology, uint32_t domain)
{
    for (uint32_t n = 0; n < topology->node_count; n++)
        if (topology->node_id[n] == domain)
            return n;
    return QUIRE_NO_NODE;
}

#endif /* QUIRE_NUMA_ACPI_ACPI_TABLE_H */
