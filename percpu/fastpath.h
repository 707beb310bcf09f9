/* SPDX-License-Identifier: MIT
 *
 * fastpath.h - a CPU's view at a cache: all that a hit reads, worked out when the cache is built,
 * and the hits themselves, inline. Private to percpu and numa.
 *
 * For callers that may find the zone of the cache taken out of service meanwhile: views, CPU caches
 * and the zone's handle live as long as the cache's memory, the zone's metadata does not. It is
 * read only for a frame that the caller still owns, and while somebody owns a frame no zone goes.
 *
 *   T1  A view does not change once its cache is in service, but for its tag. While the cache is
 *       closed, and nobody owns a frame of its range, it may be bound to a zone that takes the
 *       place of the old one (view.c): CPU caches, range and cache stay.
 *   T2  Its blocks are the zone's: of the longest stretch of sections, or of a part of it.
 *   T3  In exchange mode whoever has a view may use it, on whatever CPU he is by now (K1 of
 * cpu_cache.h). In rseq mode the kernel's word says whose CPU caches are used, and the view is any
 * CPU's.
 *
 * A hit does the common thing or nothing: what it answers with false, qi_cache_alloc_slowpath and
 * quire_cache_free know. Lock-free, any context; in rseq mode without a locked instruction, in
 * exchange mode one.
 */
#ifndef QUIRE_PERCPU_FASTPATH_H
#define QUIRE_PERCPU_FASTPATH_H

#include "percpu/arch/rseq.h"
#include "percpu/hardened.h"

struct cpu_view {
    struct cpu_cache *cpu_caches[QUIRE_CACHE_CLASSES];
    uint64_t first_block, blocks; /* T2; pfn >> 9, and how many */
    const void *descs, *fulls;    /* their descriptors and fullness bytes */
    const qa32 *sparse_limit;     /* a block with a larger fullness byte is sparse */
    const struct quire_cache *cache;
    uint64_t first_frame; /* the zone's number of the first block's first frame */
    qa32 node;            /* the layer above's; a hint */
} __attribute__((aligned(64)));

/* The view of a CPU that has CPU caches, as the machine counts it. */
static inline const struct cpu_view *view_of(const struct quire_cache *c, uint32_t cpu)
{
    const void *cpu_views = c->cpu_views;

    return (const struct cpu_view *)cpu_views + (cpu - c->first_cpu);
}

/* Is the block with this descriptor SPLIT, without pins? */
static inline bool is_cacheable(uint32_t desc)
{
    return ((desc - D_SPLIT) & (D_STATE | D_PINS)) == 0;
}

/* Is this one allocated block, while no range is being emptied? */
static inline bool is_allocated_block(const struct quire_cache *c, quire_pfn pfn, uint32_t desc)
{
    return pfn.n % BLOCK_FRAMES == 0 && desc == desc_whole(HUGE_ORDER) && !has_isolations(c->zone);
}

/* Pop a round of a CPU cache in exchange mode. */
static inline bool cpu_cache_pop_xchg(struct cpu_cache *r, quire_pfn *pfn)
{
    uint64_t word;
    bool any;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* E-cpu-cache acquire */
        return false;
    word = qa_load(&r->count, relaxed); /* relaxed: K1 */
    any = word & CPU_CACHE_COUNT_MASK;
    if (__builtin_expect(any, 1)) {
        *pfn = r->rounds[(word & CPU_CACHE_COUNT_MASK) - 1];
        qa_store(&r->count, word + CPU_CACHE_POP,
                 relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return any;
}

/* Push a round to a CPU cache in exchange mode, if there is room. */
static inline bool cpu_cache_push_xchg(struct cpu_cache *r, quire_pfn pfn)
{
    uint64_t word;
    bool room;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* E-cpu-cache acquire */
        return false;
    word = qa_load(&r->count, relaxed);                                 /* relaxed: K1 */
    room = (word & CPU_CACHE_COUNT_MASK) < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (__builtin_expect(room, 1)) {
        r->rounds[word & CPU_CACHE_COUNT_MASK] = pfn;
        qa_store(&r->count, word + 1, relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return room;
}

/* The same to the outgoing magazine: of half the size. */
static inline bool cpu_cache_push_outgoing_xchg(struct cpu_cache *r, quire_pfn pfn)
{
    uint32_t out;
    bool room;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* E-cpu-cache acquire */
        return false;
    out = qa_load(&r->out, relaxed);              /* relaxed: K1 */
    room = 2 * out < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (room) {
        outgoing_rounds(r)[out] = pfn;
        qa_store(&r->out, out + 1, relaxed); /* relaxed: K1; E-cpu-cache publishes it */
    }
    cpu_cache_put(r);
    return room;
}

/* fastpath.c; the first two in rseq mode */
bool qi_cache_pop_rseq(const struct quire_cache *c, unsigned cls, quire_pfn *pfn);
bool qi_cache_push_rseq(const struct quire_cache *c, unsigned cls, quire_pfn pfn, bool sparse);
bool qi_view_push_sparse_or_pinned(const struct cpu_view *s, quire_pfn pfn);
bool qi_view_push_run(const struct cpu_view *s, quire_pfn pfn, unsigned order);

/* Pop a round of a class. False: there is none. */
static inline bool view_pop(const struct cpu_view *s, unsigned cls, quire_pfn *pfn)
{
    if (QUIRE_RSEQ && s->cache->mode == QUIRE_CACHE_RSEQ)
        return qi_cache_pop_rseq(s->cache, cls, pfn);
    if (!cpu_cache_pop_xchg(s->cpu_caches[cls], pfn))
        return false;
    cached_clear(s->cache, pfn, 1);
    return true;
}

/* Push what may be cached, of a dense or a sparse block. */
static inline bool view_push_class(const struct cpu_view *s, unsigned cls, quire_pfn pfn,
                                   bool sparse)
{
    if (QUIRE_RSEQ && s->cache->mode == QUIRE_CACHE_RSEQ)
        return qi_cache_push_rseq(s->cache, cls, pfn, sparse);
    return sparse ? cpu_cache_push_outgoing_xchg(s->cpu_caches[cls], pfn)
                  : cpu_cache_push_xchg(s->cpu_caches[cls], pfn);
}

/* Push a single frame of a dense block without pins. False: nothing has changed. */
static inline bool view_push_frame(const struct cpu_view *s, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;
    uint32_t d, fullness;

    if (b >= s->blocks)
        return false;
    d = qa_load((const qa32 *)s->descs + b, relaxed);       /* relaxed: a look; the zone decides */
    fullness = qa_load((const qa8 *)s->fulls + b, relaxed); /* relaxed: a hint */
    if (!is_cacheable(d) || fullness > qa_load(s->sparse_limit, relaxed) || /* relaxed: a hint */
        cached_check_set(s->cache, pfn) != QUIRE_OK)
        return false;
    if (view_push_class(s, desc_class(d) % 2, pfn, false))
        return true;
    cached_clear(s->cache, &pfn, 1);
    return false;
}

/* Push a block of order 9. False: nothing has changed. */
static inline bool view_push_block(const struct cpu_view *s, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;

    /* relaxed: a look; the zone decides */
    if (b >= s->blocks ||
        !is_allocated_block(s->cache, pfn, qa_load((const qa32 *)s->descs + b, relaxed)) ||
        !cached_set(s->cache, pfn))
        return false;
    if (view_push_class(s, CACHE_HUGE, pfn, false))
        return true;
    cached_clear(s->cache, &pfn, 1);
    return false;
}

/* batch.c */
bool qi_view_pop_batch(const struct cpu_view *s, unsigned cls, quire_pfn pfns[], size_t n);
bool qi_view_push_batch(const struct cpu_view *s, const quire_pfn pfns[], size_t n);

#endif /* QUIRE_PERCPU_FASTPATH_H */
