/* SPDX-License-Identifier: MIT
 *
 * acpi.h - read a machine's topology out of ACPI tables: MADT, SRAT, SLIT, HMAT.
 *
 * A table is a piece of memory that the caller supplies, as the firmware or
 * /sys/firmware/acpi/tables gives it. It is only read, byte by byte, never beyond its length, and
 * nothing in it is believed: lengths, counts and checksums are checked before use. Written from
 * the ACPI specification, version 6.6, sections 5.2.12, 5.2.16, 5.2.17 and 5.2.28.
 *
 * Tables are to be read in this order: MADT, SRAT, SLIT, HMAT; each may be missing. MADT says which
 * CPUs there are, numbered by APIC id or, on arm64 and RISC-V, by ACPI processor UID; SRAT where
 * they are, or without a MADT which there are, too. SRAT alone makes nodes: a caller without one
 * adds node 0 and its memory. SLIT and HMAT speak of SRAT's domains, and others are passed over.
 * Skipped as well: entries that are disabled, CPUs that are not there yet, caches, and what is of
 * an unknown type. Memory that SRAT calls non-volatile is QUIRE_MEMORY_DEVICE.
 *
 * Some mistakes are so common that a machine must do with them. They cost the entry, unless
 * topology->strict is set: memory in two domains (the later entry goes), memory that ends beyond
 * 2^52, and a SLIT with a distance other than 10 on the diagonal or 11 to 255 elsewhere (all of it
 * goes). The call succeeds then and counts them in topology->passed_over; *fault is the first one,
 * or has a `what` of NULL if there was none.
 *
 * Functions return 0 or: QUIRE_ERR_SIZE, a length is wrong; QUIRE_ERR_FULL, too many entries;
 * QUIRE_ERR_UNSUPPORTED, another signature or an unknown revision; QUIRE_ERR_FRAME, a checksum
 * is wrong; QUIRE_ERR_BUSY, a CPU or memory is in two domains: `other` is the CPU's id or the first
 * such address, `found` the domain at this byte and `expected` the earlier one. *fault says what
 * and at which byte. After an error the topology is as it was. Wait-free, any context, O(bytes *
 * (CPUs + nodes + stretches of memory)).
 */
#ifndef QUIRE_ACPI_H
#define QUIRE_ACPI_H

#include <quire/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QUIRE_ACPI_HEADER = 36 }; /* bytes: what every table starts with */

/* Is this a table with a right length and checksum? Gives its signature, e.g. "SRAT", and its own
 * length, which may be less than `bytes`. */
int quire_acpi_table(const void *table, size_t bytes, char signature[5], size_t *length,
                     struct quire_fault *fault);

/* Add what a table says, whichever of the four it is. */
int quire_acpi_read(struct quire_topology *topology, const void *table, size_t bytes,
                    struct quire_fault *fault);

/* Where the caller can read the physical bytes phys .. phys + bytes - 1; NULL if nowhere. What it
 * gave stays readable until quire_acpi_find has returned, and the table after that. */
typedef const void *quire_acpi_map(void *ctx, uint64_t phys, size_t bytes);

/* Find the table with this signature from the root pointer at `rsdp` (XSDT, else RSDT). The table
 * is mapped and its checksum is right. QUIRE_ERR_NO_MEMORY: `map` gave NULL. QUIRE_ERR_FRAME:
 * there is no such table, or a checksum is wrong. QUIRE_ERR_UNSUPPORTED: no root pointer there.
 * QUIRE_ERR_SIZE: a length is wrong. fault->where is a physical address. */
int quire_acpi_find(uint64_t rsdp, const char signature[4], quire_acpi_map *map, void *ctx,
                    const void **table, size_t *length, struct quire_fault *fault);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_ACPI_H */
