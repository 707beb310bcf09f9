/* SPDX-License-Identifier: MIT
 *
 * fastpath.h - a CPU's seat at a cache: all that a hit reads, worked out when the cache is built,
 * and the hits themselves, inline. Private to percpu and numa.
 *
 * For callers that may find the zone of the cache taken out of service meanwhile: seats, racks and
 * the zone's handle live as long as the cache's memory, the zone's metadata does not. It is read
 * only for a frame that the caller still owns, and while somebody owns a frame no zone goes.
 *
 *   T1  A seat does not change once its cache is in service, but for its tag. While the cache is
 *       closed, and nobody owns a frame of its range, it may be bound to a zone that takes the
 *       place of the old one (view.c): racks, range and cache stay.
 *   T2  Its blocks are the zone's: of the longest stretch of sections, or of a part of it.
 *   T3  In exchange mode whoever has a seat may use it, on whatever CPU he is by now (K1 of
 * cpu_cache.h). In rseq mode the kernel's word says whose racks are used, and the seat is any
 * CPU's.
 *
 * A hit does the common thing or nothing: what it answers with false, quire_cache_alloc_missed and
 * quire_cache_free know. Lock-free, any context; in rseq mode without a locked instruction, in
 * exchange mode one.
 */
#ifndef QUIRE_PERCPU_FASTPATH_H
#define QUIRE_PERCPU_FASTPATH_H

#include "percpu/arch/rseq.h"
#include "percpu/hardened.h"

struct quire_seat {
    struct quire_rack *racks[QUIRE_CACHE_CLASSES];
    uint64_t first_block, blocks; /* T2; pfn >> 9, and how many */
    const void *descs, *fulls;    /* their descriptors and fullness bytes */
    const qa32 *sparse_over;      /* a block with a larger fullness byte is sparse */
    const struct quire_cache *cache;
    uint64_t first_frame; /* the zone's number of the first block's first frame */
    qa32 tag;             /* the layer above's; a hint */
} __attribute__((aligned(64)));

/* The seat of a CPU that has racks, as the machine counts it. */
static inline const struct quire_seat *seat_of(const struct quire_cache *c, uint32_t cpu)
{
    const void *seats = c->seats;

    return (const struct quire_seat *)seats + (cpu - c->first_cpu);
}

/* Is the block with this descriptor SPLIT, without pins? */
static inline bool is_cacheable(uint32_t desc)
{
    return ((desc - D_SPLIT) & (D_STATE | D_PINS)) == 0;
}

/* Is this one allocated block, while no range is being emptied? */
static inline bool is_plain_block(const struct quire_cache *c, quire_pfn pfn, uint32_t desc)
{
    return pfn.n % BLOCK_FRAMES == 0 && desc == desc_whole(HUGE_ORDER) && !quire_isolating(c->zone);
}

/* Pop a round of a rack in exchange mode. */
static inline bool rack_pop_exchanged(struct quire_rack *r, quire_pfn *pfn)
{
    uint64_t word;
    bool any;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* P2 acquire: pairs P1 */
        return false;
    word = qa_load(&r->count, relaxed); /* relaxed: K1 */
    any = word & RACK_COUNT;
    if (__builtin_expect(any, 1)) {
        *pfn = r->rounds[(word & RACK_COUNT) - 1];
        qa_store(&r->count, word + RACK_POP, relaxed); /* relaxed: K1; P1 publishes it */
    }
    rack_put(r);
    return any;
}

/* Push a round to a rack in exchange mode, if there is room. */
static inline bool rack_push_exchanged(struct quire_rack *r, quire_pfn pfn)
{
    uint64_t word;
    bool room;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* P2 acquire: pairs P1 */
        return false;
    word = qa_load(&r->count, relaxed);                       /* relaxed: K1 */
    room = (word & RACK_COUNT) < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (__builtin_expect(room, 1)) {
        r->rounds[word & RACK_COUNT] = pfn;
        qa_store(&r->count, word + 1, relaxed); /* relaxed: K1; P1 publishes it */
    }
    rack_put(r);
    return room;
}

/* The same to the outgoing magazine: of half the size. */
static inline bool rack_push_out_exchanged(struct quire_rack *r, quire_pfn pfn)
{
    uint32_t out;
    bool room;

    if (qa_xchg(&r->present, 0, acquire) != 1) /* P2 acquire: pairs P1 */
        return false;
    out = qa_load(&r->out, relaxed);              /* relaxed: K1 */
    room = 2 * out < qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
    if (room) {
        outgoing(r)[out] = pfn;
        qa_store(&r->out, out + 1, relaxed); /* relaxed: K1; P1 publishes it */
    }
    rack_put(r);
    return room;
}

/* fastpath.c; the first two in rseq mode */
bool quire_pop_restartable(const struct quire_cache *c, unsigned rack, quire_pfn *pfn);
bool quire_push_restartable(const struct quire_cache *c, unsigned rack, quire_pfn pfn, bool sparse);
bool quire_seat_push_beside(const struct quire_seat *s, quire_pfn pfn);
bool quire_seat_push_run(const struct quire_seat *s, quire_pfn pfn, unsigned order);

/* Pop a round of a class. False: there is none. */
static inline bool seat_pop(const struct quire_seat *s, unsigned rack, quire_pfn *pfn)
{
    if (QUIRE_RSEQ && s->cache->mode == QUIRE_CACHE_RSEQ)
        return quire_pop_restartable(s->cache, rack, pfn);
    if (!rack_pop_exchanged(s->racks[rack], pfn))
        return false;
    cached_clear(s->cache, pfn, 1);
    return true;
}

/* Push what may be cached, of a dense or a sparse block. */
static inline bool seat_put(const struct quire_seat *s, unsigned rack, quire_pfn pfn, bool sparse)
{
    if (QUIRE_RSEQ && s->cache->mode == QUIRE_CACHE_RSEQ)
        return quire_push_restartable(s->cache, rack, pfn, sparse);
    return sparse ? rack_push_out_exchanged(s->racks[rack], pfn)
                  : rack_push_exchanged(s->racks[rack], pfn);
}

/* Push a single frame of a dense block without pins. False: nothing has changed. */
static inline bool seat_push(const struct quire_seat *s, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;
    uint32_t d, fullness;

    if (b >= s->blocks)
        return false;
    d = qa_load((const qa32 *)s->descs + b, relaxed);       /* relaxed: a look; the zone decides */
    fullness = qa_load((const qa8 *)s->fulls + b, relaxed); /* relaxed: a hint */
    if (!is_cacheable(d) || fullness > qa_load(s->sparse_over, relaxed) || /* relaxed: a hint */
        cached_enter(s->cache, pfn) != QUIRE_OK)
        return false;
    if (seat_put(s, desc_class(d) % 2, pfn, false))
        return true;
    cached_clear(s->cache, &pfn, 1);
    return false;
}

/* Push a block of order 9. False: nothing has changed. */
static inline bool seat_push_whole(const struct quire_seat *s, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;

    /* relaxed: a look; the zone decides */
    if (b >= s->blocks ||
        !is_plain_block(s->cache, pfn, qa_load((const qa32 *)s->descs + b, relaxed)) ||
        !cached_set(s->cache, pfn))
        return false;
    if (seat_put(s, RACK_HUGE, pfn, false))
        return true;
    cached_clear(s->cache, &pfn, 1);
    return false;
}

/* batch.c */
bool quire_seat_pop_many(const struct quire_seat *s, unsigned rack, quire_pfn pfns[], size_t n);
bool quire_seat_push_many(const struct quire_seat *s, const quire_pfn pfns[], size_t n);

#endif /* QUIRE_PERCPU_FASTPATH_H */
