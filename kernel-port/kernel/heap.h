/* SPDX-License-Identifier: MIT
 *
 * heap.h - the kernel's heap: objects for what it needs once its machine is up. Each has a tag:
 * what of the kernel it is for. (What comes before the machine, or is the machine's own, is taken
 * by memory.h.)
 */
#ifndef KERNEL_PORT_KERNEL_HEAP_H
#define KERNEL_PORT_KERNEL_HEAP_H

#include <quire/file.h>
#include <quire/heap.h>

struct quire_boot;

enum heap_tag {
    HEAP_SHADOWS = 1,
    HEAP_LOADS = 2,
    HEAP_PROCESSES = 3,
    HEAP_AREAS = 4, /* what is known of areas of programs, besides the page table */
    HEAP_FILES = 5, /* files of programs, and what leads to the pages of their caches */
    HEAP_TAGS = 5,
};

extern struct quire_heap kernel_heap;

/* Which frames there are: before the machine takes some. */
void heap_find_runs(const struct quire_boot *boot);

/* The heap's; the machine is up. First CPU only. */
void heap_build(void);

/* What every heap on this machine begins with: machine, frames, CPUs, nodes, port. */
struct quire_heap_config heap_config(void);

/* Zeroed memory near `node`; panics if there is none. */
void *heap_take(size_t bytes, quire_node node, enum heap_tag tag);
void heap_give_back(void *object);

/* Pages for what vm/ knows of areas and files. */
struct quire_memory_source heap_pages(enum heap_tag tag);

/* Print what somebody holds, a line for each holder: tag, bytes, and the function that asked. */
void heap_print_holders(const struct quire_holders *holders);

#endif /* KERNEL_PORT_KERNEL_HEAP_H */
