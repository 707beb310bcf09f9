/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the kernel around the example of docs/porting.md, "Zones and the machine".
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_EXAMPLE_KERNEL_H
#define QUIRE_STRESS_NUMA_MACHINE_EXAMPLE_KERNEL_H

#include <quire/boot.h>
#include <quire/machine.h>
#include <quire/topology.h>

extern struct quire_boot boot;         /* what there is */
extern struct quire_topology topology; /* what the machine is */
extern uintptr_t direct_base;          /* where physical address 0 is mapped */

uint32_t cpu_number(void *ctx);
void panic(const char *why);

/* The example. */
extern struct quire_machine *machine;
void memory_init(void);
uint64_t page_alloc(void);
void page_free(uint64_t phys);

#endif /* QUIRE_STRESS_NUMA_MACHINE_EXAMPLE_KERNEL_H */
