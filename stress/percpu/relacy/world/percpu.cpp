/* SPDX-License-Identifier: MIT
 *
 * percpu.cpp - the real sources of percpu, in exchange mode, and of core's batches, compiled as C++
 * over Relacy's atomics. White-box.
 *
 * Left out is simple.c, which builds a zone. In C an index is a class of CPU caches; C++ wants to
 * be told so, hence -fpermissive.
 */
#include "caches.hpp"

#define _Static_assert static_assert

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#include "percpu_sources.inc"
#pragma GCC diagnostic pop

void depot_share(struct depot *depot)
{
    for (struct depot_stack *stack : {&depot->empty, &depot->full[CACHE_UNMOVABLE]}) {
        stack->stack.top.share();
        stack->full.share();
    }
    for (uint32_t i = 0; i < InCaches::DEPOT; i++) {
        void *node = depot->nodes.first + i * depot->nodes.stride;

        static_cast<struct depot_half *>(node)->node.below.share();
    }
}

/* The one function of core/zone that percpu calls. */
uint64_t quire_zone_managed(const struct quire_zone *z)
{
    return qa_load(&z->head->managed, relaxed);
}
