/* SPDX-License-Identifier: MIT
 *
 * hit.c - the allocation and the free that a magazine serves.
 *
 * Density-aware recycling. A plain last-in-first-out cache hands the frame just freed to the next
 * caller for ever: fast, but fragmented memory stays as it is. So a free looks at the fullness
 * byte of the frame's block. A frame of a dense block goes into the loaded magazine and is used
 * again at once; one of a sparse block goes into the outgoing magazine and from there home, so that
 * sparse blocks run empty and become whole. Refills come from the fullest blocks.
 *
 * A frame is cached only if its block is SPLIT without pins, by a look; all other frees, and every
 * order without a rack, go to the zone, which knows the errors.
 *
 * Lock-free, any context. In rseq mode without a locked instruction, in exchange mode one.
 */
#include "percpu/hardened.h"
#include "percpu/rseq.h"

/* The rack of requests of this order and mobility; QUIRE_CACHE_CLASSES if there is none. */
static inline unsigned rack_for(unsigned order, uint32_t flags)
{
    if (order == 0)
        return flags & QUIRE_MOVABLE ? RACK_MOVABLE : RACK_UNMOVABLE;
    return order == HUGE_ORDER ? RACK_HUGE : QUIRE_CACHE_CLASSES;
}

/* Pop a round of the exchange-owned rack. */
static bool pop_exchanged(const struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn *pfn)
{
    struct quire_rack *r = rack_of(c, cpu, rack);
    uint32_t count;

    if (!quire_rack_take(c, r, cpu))
        return false;
    count = qa_load(&r->count, relaxed); /* relaxed: K1 */
    if (count > 0) {
        *pfn = r->rounds[count - 1];
        qa_store(&r->count, count - 1, relaxed); /* relaxed: P1 publishes it */
    }
    quire_rack_put(r);
    return count > 0;
}

/* Push a round to the exchange-owned rack, if there is room. */
static bool push_exchanged(const struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn pfn,
                           bool sparse)
{
    struct quire_rack *r = rack_of(c, cpu, rack);
    quire_pfn *rounds = sparse ? outgoing(r) : r->rounds;
    qa32 *count = sparse ? &r->out : &r->count;
    uint32_t n, limit = qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */

    if (sparse)
        limit /= 2;
    if (!quire_rack_take(c, r, cpu))
        return false;
    n = qa_load(count, relaxed); /* relaxed: K1 */
    if (n < limit) {
        rounds[n] = pfn;
        qa_store(count, n + 1, relaxed); /* relaxed: P1 publishes it */
    }
    quire_rack_put(r);
    return n < limit;
}

static inline int pop(struct quire_cache *c, unsigned rack, uint32_t flags, quire_pfn *pfn)
{
    uint32_t cpu;

#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ) {
        char *area = rseq_area();

        cpu = rseq_cpu(area);
        if (cpu < c->cpus && rseq_pop(rack_of(c, cpu, rack), area, cpu, &pfn->n) == RSEQ_DONE) {
            cached_clear(c, pfn, rack != RACK_HUGE);
            return QUIRE_OK;
        }
        return quire_alloc_slowly(c, cpu, rack, flags, pfn);
    }
#endif
    cpu = quire_rack_cpu(c);
    if (cpu < c->cpus && pop_exchanged(c, cpu, rack, pfn)) {
        cached_clear(c, pfn, rack != RACK_HUGE);
        return QUIRE_OK;
    }
    return quire_alloc_slowly(c, cpu, rack, flags, pfn);
}

static inline int push(struct quire_cache *c, unsigned rack, quire_pfn pfn, bool sparse)
{
    uint32_t cpu;

#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ) {
        char *area = rseq_area();

        cpu = rseq_cpu(area);
        if (cpu < c->cpus) {
            struct quire_rack *r = rack_of(c, cpu, rack);
            uint32_t limit = qa_load(&r->limit, relaxed); /* relaxed: a hint (K5) */
            int result = sparse ? rseq_push(r, area, cpu, &r->out, limit / 2, outgoing(r), pfn.n)
                                : rseq_push(r, area, cpu, &r->count, limit, r->rounds, pfn.n);

            if (result == RSEQ_DONE)
                return QUIRE_OK;
        }
        return quire_free_slowly(c, cpu, rack, pfn, sparse);
    }
#endif
    cpu = quire_rack_cpu(c);
    if (cpu < c->cpus && push_exchanged(c, cpu, rack, pfn, sparse))
        return QUIRE_OK;
    return quire_free_slowly(c, cpu, rack, pfn, sparse);
}

/* Requests with more flags than mobility, and orders without a rack. */
static int alloc_careful(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    unsigned rack = rack_for(order, flags);
    uint32_t known = QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK |
                     QUIRE_ZEROED;
    int error;

    if (rack == QUIRE_CACHE_CLASSES || flags & ~known)
        return quire_alloc_around(c, order, flags, pfn);
    if (flags & QUIRE_ZEROED && !c->zone->port.zero)
        return QUIRE_ERR_UNSUPPORTED;
    error = pop(c, rack, flags & ~(uint32_t)QUIRE_ZEROED, pfn);
    if (!error && flags & QUIRE_ZEROED) {
        error = c->zone->port.zero(c->zone->port.ctx, *pfn, 1ull << order);
        if (error)
            (void)quire_cache_free(c, *pfn, order);
    }
    return error;
}

int quire_cache_alloc(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    if (order == 0 && !(flags & ~(uint32_t)QUIRE_MOVABLE))
        return pop(c, flags & QUIRE_MOVABLE ? RACK_MOVABLE : RACK_UNMOVABLE, flags, pfn);
    return alloc_careful(c, order, flags, pfn);
}

/* The frame's number in the zone, or NO_FRAME. */
static inline uint64_t number_of(const struct quire_cache *c, quire_pfn pfn)
{
    uint64_t frame = pfn.n - c->shift;

    if (frame - c->first_frame < c->frames)
        return frame;
    return c->frames ? NO_FRAME : frame_of_pfn(c->zone, pfn);
}

/* A free that no rack takes. */
static int free_around(struct quire_cache *c, quire_pfn pfn, unsigned order)
{
    return quire_zone_free(c->zone, slot_of_cpu(c, quire_rack_cpu(c)), pfn, order);
}

static int free_huge(struct quire_cache *c, quire_pfn pfn)
{
    uint64_t frame = number_of(c, pfn);

    /* relaxed: a look; the zone decides when the block gets there */
    if (frame == NO_FRAME || place_of(frame) || c->capacity[RACK_HUGE] == 0 ||
        qa_load(desc_of(c->zone, block_of(frame)), relaxed) != desc_whole(HUGE_ORDER))
        return free_around(c, pfn, HUGE_ORDER);
    return push(c, RACK_HUGE, pfn, false);
}

int quire_cache_free(struct quire_cache *c, quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    uint32_t b, d;
    unsigned rack;

    if (order != 0)
        return order == HUGE_ORDER ? free_huge(c, pfn) : free_around(c, pfn, order);
    frame = number_of(c, pfn);
    if (frame == NO_FRAME)
        return free_around(c, pfn, 0);
    b = block_of(frame);
    d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look; the zone decides at the flush */
    rack = desc_class(d) == CLASS_MOVABLE ? RACK_MOVABLE : RACK_UNMOVABLE;
    if ((d & (D_STATE | D_PINS)) != D_SPLIT || c->capacity[rack] == 0)
        return free_around(c, pfn, 0);
    if (!cached_set(c, pfn))
        return quire_double_free(c, pfn);
    /* relaxed: hints, both */
    return push(c, rack, pfn,
                qa_load(full_of(c->zone, b), relaxed) > qa_load(&c->state->sparse_over, relaxed));
}
