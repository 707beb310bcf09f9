/* SPDX-License-Identifier: MIT
 *
 * balloon.h - free page reporting: memory that nobody uses goes to the hypervisor.
 */
#ifndef KERNEL_PORT_KERNEL_DEVICES_BALLOON_H
#define KERNEL_PORT_KERNEL_DEVICES_BALLOON_H

#include <quire/types.h>

#include <stdint.h>

/* 10 s: reports of 986 MiB in all took up to 61 ms in QEMU; a host that swaps may take seconds. */
enum { BALLOON_PATIENCE_US = 10000000 };

/* Find the device and have it ready, whatever it was in. From now on it has `patience_us`
 * microseconds for an answer. NULL, or what is wrong. Thread only, clocks are measured, and nobody
 * reports. */
const char *balloon_begin(uint64_t patience_us);

/* What balloon_begin, or a report since, found wrong; NULL: nothing. Wait-free, any context. */
const char *balloon_fault(void);

/* The device's number on PCI bus 0, if balloon_begin found one. Wait-free, any context. */
uint32_t balloon_device(void);

/* The hypervisor may have these frames, which are the caller's, until they are touched again;
 * nothing is known of what they read then. 0, or they are as they were: QUIRE_ERR_BUSY: another
 * report is under way. QUIRE_ERR_STATE: balloon_fault says why. QUIRE_ERR_SIZE: 4 GiB or more. Any
 * context; it waits for the device, as long as balloon_begin said. */
int balloon_report(quire_pfn pfn, uint64_t frames);

#endif /* KERNEL_PORT_KERNEL_DEVICES_BALLOON_H */
