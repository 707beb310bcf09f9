/* SPDX-License-Identifier: MIT
 *
 * pci.h - the configuration space of PCI devices on bus 0, by the two ports that every PC has.
 *
 * No state but the address port, so there is one caller at a time.
 */
#ifndef KERNEL_PORT_ARCH_X86_PCI_H
#define KERNEL_PORT_ARCH_X86_PCI_H

#include "x86.h"

enum { PCI_PORT_ADDRESS = 0xcf8, PCI_PORT_DATA = 0xcfc, PCI_DEVICES = 32 };

/* Where a device's command register is, and bits in it: it answers to its memory, reaches ours. */
enum {
    PCI_COMMAND = 0x04,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_NO_INTERRUPTS = 1 << 10,
};

/* A word of a device, 0 .. PCI_DEVICES-1; the offset is a multiple of 4 below 256. */
static inline uint32_t pci_read(uint32_t device, uint32_t offset)
{
    outl(PCI_PORT_ADDRESS, 1u << 31 | device << 11 | offset);
    return inl(PCI_PORT_DATA);
}

static inline void pci_write(uint32_t device, uint32_t offset, uint32_t value)
{
    outl(PCI_PORT_ADDRESS, 1u << 31 | device << 11 | offset);
    outl(PCI_PORT_DATA, value);
}

#endif /* KERNEL_PORT_ARCH_X86_PCI_H */
