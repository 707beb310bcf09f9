/* SPDX-License-Identifier: MIT
 *
 * smp.h - all CPUs of the machine: areas and stacks on their own nodes, and their start.
 */
#ifndef KERNEL_PORT_KERNEL_SMP_H
#define KERNEL_PORT_KERNEL_SMP_H

#include <quire/boot.h>
#include <quire/topology.h>

/* Make a struct cpu and stacks for each CPU of the topology; the first one moves to its own.
 * While boot memory can still be taken. */
void smp_prepare(struct quire_boot *boot, const struct quire_topology *topology);

/* Start all others, and wait until they are there. Panics if one does not come. */
void smp_start(void);

#endif /* KERNEL_PORT_KERNEL_SMP_H */
