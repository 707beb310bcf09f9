/* SPDX-License-Identifier: MIT
 *
 * allocators.h - the allocators that quire-bench knows, each in its own file. A new one is a file,
 * a line here and a line in allocators.c.
 */
#ifndef QUIRE_BENCH_ALLOCATORS_ALLOCATORS_H
#define QUIRE_BENCH_ALLOCATORS_ALLOCATORS_H

#include "bench/bench.h"

extern const struct allocator allocator_quire;
extern const struct allocator allocator_quire_cache;
extern const struct allocator allocator_quire_zone;
extern const struct allocator allocator_quire_norunmap;
extern const struct allocator allocator_quire_exchange;
extern const struct allocator allocator_quire_local;
extern const struct allocator allocator_quire_hardened;
extern const struct allocator allocator_quire_uncounted;
extern const struct allocator allocator_spinlock_buddy;
extern const struct allocator allocator_batched_buddy;
extern const struct allocator allocator_cached_buddy;
extern const struct allocator allocator_linux_like;
extern const struct allocator allocator_mimalloc;
extern const struct allocator allocator_jemalloc;
extern const struct allocator allocator_tcmalloc;
extern const struct allocator allocator_glibc;
extern const struct allocator allocator_quire_heap;
extern const struct allocator allocator_quire_heap_exchange;
extern const struct allocator allocator_null;
extern const struct allocator allocator_bound;
extern const struct allocator allocator_machine_one;
extern const struct allocator allocator_machine_all;

/* In heap.c; first thing in main(). May start the program again with room for jemalloc. */
void heap_prepare(char **argv);

/* The order whose runs hold `frames`: what a buddy must spend on a run of any length. */
static inline unsigned order_of(uint64_t frames)
{
    return frames == 1 ? 0 : 64 - (unsigned)__builtin_clzll(frames - 1);
}

/* In metadata_map.c. Memory for metadata: `bytes` that read as zeros and cost only what is touched;
 * NULL if there is none. */
void *metadata_map(size_t bytes);
void metadata_unmap(void *memory, size_t bytes);

#endif /* QUIRE_BENCH_ALLOCATORS_ALLOCATORS_H */
