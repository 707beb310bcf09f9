/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the kernel around the example of docs/porting.md, "Allocate objects".
 */
#ifndef QUIRE_STRESS_HEAP_KERNEL_H
#define QUIRE_STRESS_HEAP_KERNEL_H

#include <quire/heap.h>

extern struct quire_bringup *bringup; /* its machine is up */
extern uintptr_t direct_base;

uint32_t cpu_number(void *ctx);
quire_node cpu_node(void *ctx);
void panic(const char *why);

/* The example. */
void heap_init(const struct quire_run *runs, size_t run_count, uint32_t cpus, uint32_t nodes);
void *heap_alloc(size_t bytes);
void heap_free(void *object);

#endif /* QUIRE_STRESS_HEAP_KERNEL_H */
