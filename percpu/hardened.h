/* SPDX-License-Identifier: MIT
 *
 * hardened.h - the hardened build (QUIRE_HARDENED): a bit per frame says "in a cache", so that a
 * frame that is freed twice into magazines is noticed on the spot, and so is one that the zone
 * would refuse, being free already or part of a run. In the normal build nothing of it exists, and
 * a bad free is noticed when the frame reaches the zone's bitmap.
 *
 *   X1  The bit is set before the frame enters a magazine and cleared after it left, by the one who
 *       moves it. Of two frees of the same frame one sets it; the other is refused. A run
 *       has the bit of its first frame.
 *
 * A frame that was handed out again between the two frees cannot be told from its first life.
 * Lock-free, any context. Relaxed: the bit decides, the magazine carries the frame.
 */
#ifndef QUIRE_PERCPU_HARDENED_H
#define QUIRE_PERCPU_HARDENED_H

#include "core/fastpath.h"
#include "percpu/cpu_cache.h"

#ifdef QUIRE_HARDENED

static inline qa64 *cached_word(const struct quire_cache *c, uint64_t frame)
{
    void *p = c->state->cached;

    return (qa64 *)p + frame / WORD_BITS;
}

/* The frame enters a cache. False: it is in one already. */
static inline bool cached_set(const struct quire_cache *c, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn), bit = 1ull << frame % WORD_BITS;

    return frame == NO_FRAME ||
           !(qa_or(cached_word(c, frame), bit, relaxed) & bit); /* relaxed: only the bit counts */
}

/* Is the frame in the cache? */
static inline bool cached_has(const struct quire_cache *c, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn);

    /* relaxed: only the bit counts */
    return frame != NO_FRAME && qa_load(cached_word(c, frame), relaxed) >> frame % WORD_BITS &
                                    1; /* relaxed: see above */
}

/* A run is about to enter a cache, and was admitted: may it, as far as the zone and the caches
 * know? If so, it is marked. Of runs the zone was asked already. */
static inline int cached_enter(const struct quire_cache *c, quire_pfn pfn, unsigned order)
{
    if (order == 0) {
        uint64_t frame = frame_of_pfn(c->zone, pfn), mask = 1ull << frame % WORD_BITS;
        unsigned word = place_of(frame) / WORD_BITS;
        uint32_t b = block_of(frame);
        int error;

        /* relaxed: the caller's bit */
        if (!(qa_load(&frame_map(c->zone, b)->w[word], relaxed) & mask))
            return QUIRE_ERR_DOUBLE_FREE;
        error = frames_check(c->zone, b, word, mask);
        if (error)
            return error;
    }
    return cached_set(c, pfn) ? QUIRE_OK : QUIRE_ERR_DOUBLE_FREE;
}

/* The frames leave their cache. */
static inline void cached_clear(const struct quire_cache *c, const quire_pfn pfns[], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t frame = frame_of_pfn(c->zone, pfns[i]);

        (void)qa_and(cached_word(c, frame), ~(1ull << frame % WORD_BITS),
                     relaxed); /* relaxed: as above */
    }
}

#else

static inline bool cached_set(const struct quire_cache *c, quire_pfn pfn)
{
    (void)c;
    (void)pfn;
    return true;
}

static inline bool cached_has(const struct quire_cache *c, quire_pfn pfn)
{
    (void)c;
    (void)pfn;
    return false;
}

static inline int cached_enter(const struct quire_cache *c, quire_pfn pfn, unsigned order)
{
    (void)c;
    (void)pfn;
    (void)order;
    return QUIRE_OK;
}

static inline void cached_clear(const struct quire_cache *c, const quire_pfn pfns[], uint32_t n)
{
    (void)c;
    (void)pfns;
    (void)n;
}

#endif

#endif /* QUIRE_PERCPU_HARDENED_H */
