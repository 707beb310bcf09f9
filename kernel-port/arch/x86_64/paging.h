/* SPDX-License-Identifier: MIT
 *
 * paging.h - the kernel's page tables, and how physical memory is reached.
 *
 * Thread only, one CPU at a time, and only while quire_boot_alloc still gives memory: the tables
 * are complete before the zones exist.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_PAGING_H
#define KERNEL_PORT_ARCH_X86_64_PAGING_H

#include "layout.h"

#include <quire/boot.h>

#include <stdbool.h>
#include <stdint.h>

enum paging_rights {
    MAP_READ = 0,
    MAP_WRITE = 1,
    MAP_EXECUTE = 2, /* never together with MAP_WRITE */
    MAP_DEVICE = 4,  /* not cached */
};

/* Where physical memory is in the direct map. */
static inline void *direct(uint64_t phys)
{
    return (void *)(DIRECT_BASE + phys);
}

/* Build tables with the image and all memory of `boot`, and use them on this CPU. */
void paging_init(struct quire_boot *boot);

/* What each CPU turns on besides what it started with, where it can: no execution of user pages in
 * the kernel, and no access to them but where user_access_allow says so. */
void paging_protect(void);

/* Is there no such access, as the processors have SMAP? For trap_entry.S; false before
 * paging_init. */
extern bool paging_guards_user;

/* Map `bytes` from `phys` at `virt`, all multiples of a page, by the largest pages that fit. */
void paging_map(struct quire_boot *boot, uint64_t virt, uint64_t phys, uint64_t bytes,
                unsigned rights);

/* Take one page of 4 KiB out again, on this CPU. */
void paging_unmap_page(uint64_t virt);

/* The tables' physical address, for further CPUs; below 4 GiB. */
uint32_t paging_root(void);

/* The largest pages used for the direct map, bytes. */
uint64_t paging_largest_page(void);

/* Take memory before zones exist; on `node` if it has any, else anywhere; panics if there is
 * none. Aligned to a page and zeroed. Must lie below `high`, inclusive; 0 means anywhere that is
 * mapped. */
uint64_t boot_take(struct quire_boot *boot, uint64_t bytes, uint32_t node, uint64_t high);

#endif /* KERNEL_PORT_ARCH_X86_64_PAGING_H */
