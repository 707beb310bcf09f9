/* SPDX-License-Identifier: MIT
 *
 * firmware.c - see firmware.h. The tables are read by Quire's own readers; this file shows them
 * where the tables are.
 */
#include "firmware.h"

#include "console.h"
#include "kernel-port/kernel/lib/panic.h"
#include "layout.h"

#include <quire/acpi.h>

static const void *map(void *ctx, uint64_t phys, size_t bytes)
{
    (void)ctx;
    if (phys > WINDOW_BYTES || bytes > WINDOW_BYTES - phys)
        return NULL;
    return (const void *)(DIRECT_BASE + phys);
}

/* False: there is no such table. */
static bool read_table(struct quire_topology *t, uint64_t rsdp, const char *signature)
{
    struct quire_fault fault = {0};
    const void *table;
    size_t length;
    int error = quire_acpi_find(rsdp, signature, map, NULL, &table, &length, &fault);

    if (error == QUIRE_ERR_NO_MEMORY)
        panic("ACPI: a table on the way to %s lies above 4 GiB", signature);
    if (error)
        return false;
    error = quire_acpi_read(t, table, length, &fault);
    if (error)
        panic("ACPI: %s is damaged at byte %lu: %s (found %lu, expected %lu)", signature,
              fault.where, fault.what, fault.found, fault.expected);
    if (fault.what)
        print("ACPI: %s at byte %lu is passed over: %s (found %lu, expected %lu)\n", signature,
              fault.where, fault.what, fault.found, fault.expected);
    return true;
}

void firmware_read(struct quire_topology *t, uint64_t rsdp)
{
    quire_node node;

    quire_topology_init(t);
    if (!rsdp)
        panic("the loader found no ACPI tables");
    if (!read_table(t, rsdp, "APIC"))
        panic("ACPI: no table of CPUs (MADT) from the root pointer at %016lx", rsdp);
    if (read_table(t, rsdp, "SRAT")) {
        (void)read_table(t, rsdp, "SLIT");
        (void)read_table(t, rsdp, "HMAT");
    } else {
        (void)quire_topology_add_node(t, 0, &node);
    }
}
