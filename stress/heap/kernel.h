/* SPDX-License-Identifier: MIT
 *
 * kernel.h - the kernel around the examples of docs/porting-heap.md, and of docs/porting.md, "Count
 * what it is used for".
 */
#ifndef QUIRE_STRESS_HEAP_KERNEL_H
#define QUIRE_STRESS_HEAP_KERNEL_H

#include <quire/heap.h>

extern struct quire_bringup *bringup; /* its machine is up */
extern uintptr_t direct_base;
extern struct quire_machine *machine;
enum { CPUS = 4 };

uint32_t cpu_number(void *ctx);
quire_node cpu_node(void *ctx);
void panic(const char *why);
void print_holder(const struct quire_holder *holder);
void print_count(const char *what, int64_t frames);

/* The examples. */
void heap_init(const struct quire_run *runs, size_t run_count, uint32_t cpus, uint32_t nodes);
void *heap_alloc(size_t bytes);
void heap_free(void *object);
void print_holders(struct quire_heap *heap, uint64_t older_than);
int frame_alloc(enum quire_kind kind, quire_pfn *pfn);
int frame_free(enum quire_kind kind, quire_pfn pfn);
void print_counts(void);

#endif /* QUIRE_STRESS_HEAP_KERNEL_H */
