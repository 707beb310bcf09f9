/* SPDX-License-Identifier: MIT
 *
 * apic.h - each CPU's local interrupt controller: its timer, and interrupts between CPUs.
 *
 * xAPIC only: registers in memory, ids below 255. Sending takes two writes that an interrupt must
 * not come between, so those functions turn interrupts off around them; none may be called from an
 * NMI, but on the way to the end.
 */
#ifndef KERNEL_PORT_ARCH_X86_APIC_H
#define KERNEL_PORT_ARCH_X86_APIC_H

#include <quire/boot.h>

#include <stdint.h>

/* Map the registers; panics on a machine that has x2APIC only. Then, on each CPU, turn it on. */
void apic_map(struct quire_boot *boot);
void apic_enable(void);

uint32_t apic_id(void);
void apic_acknowledge(void);

/* To the CPU with this APIC id. */
void apic_send(uint32_t id, uint8_t vector);
void apic_nmi(uint32_t id);
void apic_init(uint32_t id);
void apic_startup(uint32_t id, uint8_t page); /* page: physical address / 4096 */

/* The timer: count down once from `count`, or again and again with an interrupt at VECTOR_TIMER. */
void apic_timer_count(uint32_t count);
uint32_t apic_timer_left(void);
void apic_timer_start(uint32_t period);
void apic_timer_stop(void);

#endif /* KERNEL_PORT_ARCH_X86_APIC_H */
