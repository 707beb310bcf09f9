/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the kernel around the examples of docs/porting-vm.md.
 */
#ifndef QUIRE_STRESS_VM_KERNEL_H
#define QUIRE_STRESS_VM_KERNEL_H

#include <quire/machine.h>
#include <quire/paging.h>
#include <quire/space.h>

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

/* The one about files; what it needs. */
void *page_give(void *ctx);
void page_take(void *ctx, void *page);
int disk_size(void *at, uint64_t *bytes);
int disk_read(void *at, uint64_t page, quire_pfn pfn);
int disk_write(void *at, uint64_t page, quire_pfn pfn);
int file_begin(struct quire_file *file, void *disk);
int file_map(struct quire_space *space, struct quire_file *file, enum quire_area_kind kind,
             uint64_t bytes, quire_vaddr *at);
uint64_t reclaim(struct quire_file *files, unsigned count, uint64_t frames);

/* The one about spaces. */
void invalidate(void *ctx, struct quire_vrange range);
void end_process(uint64_t address, const char *why);
void spaces_init(void);
int process_begin(struct quire_space *space);
void page_fault(struct quire_space *space, uint64_t address, uint32_t code);

#endif /* QUIRE_STRESS_VM_KERNEL_H */
