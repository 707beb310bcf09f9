/* SPDX-License-Identifier: MIT
 *
 * allocators.c - the table of allocators, in the order in which results are shown. No state.
 */
#include "allocators.h"

const struct allocator *const bench_allocators[] = {
    &allocator_quire,
    &allocator_quire_cache,
    &allocator_quire_zone,
    &allocator_quire_norunmap,
    &allocator_quire_exchange,
    &allocator_quire_local,
    &allocator_quire_hardened,
    &allocator_quire_uncounted,
    &allocator_null,
    &allocator_spinlock_buddy,
    &allocator_batched_buddy,
    &allocator_cached_buddy,
    &allocator_linux_like,
    &allocator_mimalloc,
    &allocator_jemalloc,
    &allocator_tcmalloc,
    &allocator_glibc,
    &allocator_quire_heap,
    &allocator_quire_heap_exchange,
    &allocator_bound,
    &allocator_machine_one,
    &allocator_machine_all,
};
const size_t bench_allocator_count = sizeof(bench_allocators) / sizeof(bench_allocators[0]);
