/* SPDX-License-Identifier: MIT
 *
 * percpu.cpp - the real sources of percpu, and of core's batches and figures, compiled as C++ over
 * Relacy's atomics; with QUIRE_RSEQ_MODEL they have rseq mode, too. White-box.
 *
 * Left out is simple.c, which builds a zone. In C an index is a class of CPU caches; C++ wants to
 * be told so, hence -fpermissive.
 */
#include "caches.hpp"

#define _Static_assert static_assert

#ifdef QUIRE_RSEQ_MODEL
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#define syscall sections_membarrier
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
#include "percpu_sources.inc"
#pragma GCC diagnostic pop

void depot_share(struct depot *depot, uint32_t nodes)
{
    for (uint32_t cpu = 0; cpu < depot->shards; cpu++) {
        struct depot_shard *shard = &depot->of_cpu[cpu];

        shard->empty_ones.top.share();
        shard->refused.share();
        shard->of_class[CACHE_UNMOVABLE].full_ones.top.share();
        shard->of_class[CACHE_UNMOVABLE].full.share();
        shard->of_class[CACHE_UNMOVABLE].dry.share();
    }
    for (uint32_t i = 0; i < nodes; i++) {
        void *node = depot->nodes.first + i * depot->nodes.stride;

        static_cast<struct depot_half *>(node)->node.below.share();
    }
}

void depot_set_patience(struct depot *depot, uint32_t patience)
{
    depot->patience = patience;
}

void depot_set_refused(struct depot *depot, uint32_t cpu, uint32_t refused)
{
    qa_store(&depot->of_cpu[cpu].refused, refused, relaxed);
}
