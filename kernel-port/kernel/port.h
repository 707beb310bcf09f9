/* SPDX-License-Identifier: MIT
 *
 * port.h - what Quire asks of this kernel: the whole port, in one file.
 */
#ifndef KERNEL_PORT_KERNEL_PORT_H
#define KERNEL_PORT_KERNEL_PORT_H

#include <quire/machine.h>
#include <quire/port.h>

/* For each zone; and its `discard`, where there is a device that memory can be given back to. */
extern const struct quire_port zone_port;
int port_discard(void *ctx, quire_pfn pfn, uint64_t frames);

/* For the machine above them. */
extern const struct quire_machine_port machine_port;

/* Answer what other CPUs ask of this one, where caches are in local mode. In each NMI. */
void port_answer(void);

#endif /* KERNEL_PORT_KERNEL_PORT_H */
