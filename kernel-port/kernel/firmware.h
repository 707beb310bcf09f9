/* SPDX-License-Identifier: MIT
 *
 * firmware.h - what ACPI says: CPUs, nodes, distances.
 */
#ifndef KERNEL_PORT_KERNEL_FIRMWARE_H
#define KERNEL_PORT_KERNEL_FIRMWARE_H

#include <quire/topology.h>

#include <stdint.h>

/* Read MADT and, where there are any, SRAT, SLIT and HMAT, from the root pointer at `rsdp`. Tables
 * lie below 4 GiB. A machine without SRAT has one node. The topology still lacks memory if no SRAT
 * names any, and is not checked yet. Panics if there is no MADT or a table is damaged. */
void firmware_read(struct quire_topology *topology, uint64_t rsdp);

#endif /* KERNEL_PORT_KERNEL_FIRMWARE_H */
