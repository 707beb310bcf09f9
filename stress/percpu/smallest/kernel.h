/* SPDX-License-Identifier: MIT
 *
 * kernel.h - what a kernel has when it begins with docs/porting.md: a map of the firmware's, a
 * place where all of memory can be reached, and a way to stop.
 */
#ifndef STRESS_PERCPU_SMALLEST_KERNEL_H
#define STRESS_PERCPU_SMALLEST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct firmware_range {
    uint64_t base, length;
    bool usable;
};

extern struct firmware_range firmware_map[];
extern size_t firmware_ranges;
extern uint64_t kernel_start, kernel_end; /* physical */

void *direct(uint64_t phys);
uint64_t physical(const void *address);
_Noreturn void panic(const char *why);

/* kalloc.c, out of docs/porting.md. */
void memory_init(void);
void *kalloc(unsigned order);
void kfree(void *memory, unsigned order);

#endif /* STRESS_PERCPU_SMALLEST_KERNEL_H */
