/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the kernel around the example of docs/porting.md, "Map it".
 */
#ifndef QUIRE_STRESS_VM_KERNEL_H
#define QUIRE_STRESS_VM_KERNEL_H

#include <quire/machine.h>
#include <quire/paging.h>

extern struct quire_machine *machine;
extern uintptr_t direct_base;

void panic(const char *why);
void forget_page(uint64_t virt);
void forget_all(void);

/* The example. */
extern struct quire_paging pages;
void pages_init(void);
int pages_map(uint64_t virt, uint64_t phys, uint64_t bytes, uint32_t access);
int pages_unmap(uint64_t virt, uint64_t bytes);

#endif /* QUIRE_STRESS_VM_KERNEL_H */
