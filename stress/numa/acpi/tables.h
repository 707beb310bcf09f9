/* SPDX-License-Identifier: MIT
 *
 * tables.h - ACPI tables for tests: read from files, or made byte by byte.
 *
 * State: a struct table belongs to its test. The functions fail the test that calls them when
 * something does not fit.
 */
#ifndef QUIRE_STRESS_NUMA_ACPI_TABLES_H
#define QUIRE_STRESS_NUMA_ACPI_TABLES_H

#include <quire/acpi.h>

enum { TABLE_BYTES = 1 << 17 };

struct table {
    size_t bytes;
    uint8_t data[TABLE_BYTES];
};

/* The file `name` of the test data. */
void table_load(struct table *table, const char *name);

/* A header with this signature and revision and `more` zeros behind it. */
void table_begin(struct table *table, const char *signature, unsigned revision, size_t more);

/* Append numbers, little-endian. */
void table_put(struct table *table, unsigned width, uint64_t value);

/* Set the number of `width` bytes at `at`. */
void table_set(struct table *table, size_t at, unsigned width, uint64_t value);

/* Make length and checksum right: of all that there is. */
void table_end(struct table *table);
void table_sum(struct table *table); /* the checksum alone, over the length that it says */

/* Entries of MADT and SRAT. */
void madt_apic(struct table *table, unsigned id, unsigned flags);
void madt_x2apic(struct table *table, uint32_t id, unsigned flags);
void madt_gicc(struct table *table, uint32_t uid, unsigned flags);
void madt_rintc(struct table *table, uint32_t uid, unsigned flags);
void srat_rintc(struct table *table, uint32_t domain, uint32_t uid, unsigned flags);
void srat_apic(struct table *table, uint32_t domain, unsigned id, unsigned flags);
void srat_memory(struct table *table, uint32_t domain, uint64_t phys, uint64_t bytes,
                 unsigned flags);
void srat_x2apic(struct table *table, uint32_t domain, uint32_t id, unsigned flags);
void srat_gicc(struct table *table, uint32_t domain, uint32_t uid, unsigned flags);

/* An HMAT structure of latencies or bandwidths: lists and matrix are entries[] in their order. */
void hmat_speeds(struct table *table, unsigned flags, unsigned type, uint64_t base,
                 unsigned initiators, unsigned targets, const unsigned entries[]);

/* Read a table that must be right. */
void table_read(struct quire_topology *topology, const struct table *table);

/* Read a table of which so many entries are passed over, the first with a phrase that holds `what`,
 * at `where`; a strict topology must refuse it there. */
void table_passed_over(struct quire_topology *topology, const struct table *table, const char *what,
                       uint64_t where, uint32_t times);

/* Read a table that must be refused with `error`, a phrase that holds `what`, and `where`; the
 * topology must be as it was, byte by byte. */
void table_refused(struct quire_topology *topology, const struct table *table, size_t bytes,
                   int error, const char *what, uint64_t where);

#endif /* QUIRE_STRESS_NUMA_ACPI_TABLES_H */
