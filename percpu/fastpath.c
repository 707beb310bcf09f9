/* SPDX-License-Identifier: MIT
 *
 * fastpath.c - the allocation and the free that a magazine serves.
 *
 * A freed frame of a dense block goes into the loaded magazine and is used again at once; one of a
 * sparse block goes into the outgoing magazine and from there home: density.c says why, and what
 * is sparse.
 *
 * A single frame is cached only if its block is SPLIT and it is none of the block's pins, by a
 * look; a run only if the maps show just that run. All other frees, and every order without a CPU
 * cache, go to the zone, which knows the errors. A block with pins never becomes whole, so it
 * counts as dense.
 *
 * The layer above tries fastpath.h's hits first; what they leave comes here.
 *
 * Lock-free, any context. In rseq mode without a locked instruction, in exchange mode one.
 */
#include "percpu/fastpath.h"
#include "core/internal.h"

_Static_assert(CACHE_UNMOVABLE == 0 && (unsigned)CACHE_MOVABLE == QUIRE_MOVABLE,
               "mobility flags name the rack");
_Static_assert(CLASS_UNMOVABLE % 2 == CACHE_UNMOVABLE && CLASS_MOVABLE % 2 == CACHE_MOVABLE &&
                   CLASS_LARGE % 2 == CACHE_UNMOVABLE,
               "a block's class names the rack by its lowest bit");

/* ---- Ways into and out of a CPU cache
 * ------------------------------------------------------------ */

/* The same in rseq mode, of the CPU's cache of a class: for the layer above and what is less
 * common, as each copy of a section is one more to be tested. */
bool qi_cache_pop_rseq(const struct quire_cache *c, unsigned cls, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    if (!rseq_pop(c, cls, &pfn->n))
        return false;
    cached_clear(c, pfn, 1);
    return true;
#else
    (void)c;
    (void)cls;
    (void)pfn;
    return false;
#endif
}

bool qi_cache_push_rseq(const struct quire_cache *c, unsigned cls, quire_pfn pfn, bool sparse)
{
#if QUIRE_RSEQ
    return sparse ? rseq_push_out(c, cls, pfn.n) : rseq_push(c, cls, pfn.n);
#else
    (void)c;
    (void)cls;
    (void)pfn;
    (void)sparse;
    return false;
#endif
}

static int pop_xchg_or_refill(struct quire_cache *c, uint32_t cpu, unsigned cls, uint32_t flags,
                              quire_pfn *pfn)
{
    if (c->mode == QUIRE_CACHE_EXCHANGE && cpu < c->cpus &&
        cpu_cache_pop_xchg(cpu_cache_of(c, cpu, cls), pfn)) {
        cached_clear(c, pfn, 1);
        return QUIRE_OK;
    }
    return qi_cache_refill_and_pop(c, cpu, cls, flags, pfn);
}

static __attribute__((noinline)) int push_xchg_or_flush(struct quire_cache *c, unsigned cls,
                                                        quire_pfn pfn, bool sparse)
{
    uint32_t cpu = qi_cache_cpu(c);

    if (c->mode == QUIRE_CACHE_EXCHANGE && cpu < c->cpus &&
        (sparse ? cpu_cache_push_outgoing_xchg(cpu_cache_of(c, cpu, cls), pfn)
                : cpu_cache_push_xchg(cpu_cache_of(c, cpu, cls), pfn)))
        return QUIRE_OK;
    return qi_cache_push_or_flush(c, cpu, cls, pfn, sparse);
}

/* ---- Allocation ----------------------------------------------------------------------------- */

/* A request that the zone may refuse while caches hold frames. One that falls back goes to the
 * zone, as what lies in a CPU cache was taken without leaving the zone its reserve. `hits`: try the
 * ways that count as hits (K6). */
static int alloc_undrained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                           bool hits, quire_pfn *pfn)
{
    uint32_t known =
        QUIRE_MOVABLE | QUIRE_HIGH | QUIRE_EMERGENCY | QUIRE_NO_CALLBACK | QUIRE_ZEROED;
    unsigned cls = cache_class_of(order, flags & QUIRE_MOVABLE);
    int error;

    if (cls >= QUIRE_CACHE_CLASSES || c->capacity[cls] == 0 || flags & ~known)
        return quire_zone_alloc(c->zone, slot_of_cpu(c, cpu), order, flags, pfn);
    if (flags & QUIRE_ZEROED && !c->zone->port.zero)
        return QUIRE_ERR_UNSUPPORTED;
    if (hits)
        error = pop_xchg_or_refill(c, cpu, cls, flags & ~(uint32_t)QUIRE_ZEROED, pfn);
    else
        error = qi_cache_refill_and_pop(c, cpu, cls, flags & ~(uint32_t)QUIRE_ZEROED, pfn);
    if (!error && flags & QUIRE_ZEROED) {
        error = c->zone->port.zero(c->zone->port.ctx, *pfn, 1ull << order);
        if (error)
            (void)quire_cache_free(c, *pfn, order);
    }
    return error;
}

/* Requests with more flags than mobility, runs that missed, exchange mode. */
static __attribute__((noinline)) int cache_alloc_checked(struct quire_cache *c, unsigned order,
                                                         uint32_t flags, bool hits, quire_pfn *pfn)
{
    int error = alloc_undrained(c, qi_cache_cpu(c), order, flags, hits, pfn);

    return error == QUIRE_ERR_NO_MEMORY ? qi_cache_drain_and_alloc(c, order, flags, pfn) : error;
}

int quire_cache_alloc(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    if (order == 0 && flags < c->flags) {
        if (!rseq_pop(c, flags, &pfn->n))
            return cache_alloc_checked(c, 0, flags, false, pfn);
        cached_clear(c, pfn, 1);
        return QUIRE_OK;
    }
    if (flags < c->flags && cache_class_of(order, flags) < QUIRE_CACHE_CLASSES &&
        qi_cache_pop_rseq(c, cache_class_of(order, flags), pfn))
        return QUIRE_OK;
#endif
    return cache_alloc_checked(c, order, flags, true, pfn);
}

/* For who missed, counts the hits, and drains before a refusal: what this gives is no hit, and it
 * refuses when the zone does. `cpu`: as the machine counts it. */
int qi_cache_alloc_undrained(struct quire_cache *c, uint32_t cpu, unsigned order, uint32_t flags,
                             quire_pfn *pfn)
{
    return alloc_undrained(c, cpu - c->first_cpu, order, flags, false, pfn);
}

/* The same, drained before it is refused. */
int qi_cache_alloc_slowpath(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    return cache_alloc_checked(c, order, flags, false, pfn);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* A free that no CPU cache takes. */
static __attribute__((noinline)) int bypass_free(struct quire_cache *c, quire_pfn pfn,
                                                 unsigned order)
{
    return quire_zone_free(c->zone, slot_of_cpu(c, qi_cache_cpu(c)), pfn, order);
}

/* Is a block with this fullness byte sparse? */
static inline bool is_sparse(const struct quire_cache *c, const void *full)
{
    /* relaxed: hints, both */
    return qa_load((const qa8 *)full, relaxed) > qa_load(&c->state->sparse_limit, relaxed);
}

/* May this frame of a block that is SPLIT, but has pins, be cached: is it none of them? */
static inline bool is_unpinned(const struct quire_cache *c, uint64_t frame, uint32_t desc)
{
    uint64_t pinned;

    if (desc_state(desc) != D_SPLIT)
        return false;
    pinned = qi_pinned_frames(c->zone, block_of(frame), place_of(frame) / WORD_BITS);
    return !(pinned >> frame % WORD_BITS & 1);
}

/* Is this one allocated run of its order, as far as the zone's maps know? Not one of a range that
 * is being emptied: it may be freed, but not be handed out again. */
static inline bool is_allocated_run(const struct quire_cache *c, unsigned order, uint64_t frame,
                                    uint32_t desc)
{
    if (frame % (1ull << order))
        return false;
    if (order == HUGE_ORDER)
        return desc == desc_whole(HUGE_ORDER) &&
               !qi_block_in_isolated_range(c->zone, block_of(frame));
    return desc_state(desc) == D_SPLIT && qi_run_check(c->zone, frame, 1ull << order) == QUIRE_OK;
}

/* Is a round of this order from block b one that should go home? */
static inline bool goes_outgoing(const struct quire_cache *c, unsigned order, uint32_t b,
                                 uint32_t desc)
{
    return order != HUGE_ORDER && !(desc & D_PINS) && is_sparse(c, full_of(c->zone, b));
}

/* A run, or block. Whether it may be freed is read from the maps at once, as for a free without a
 * cache; that it is in a cache already is noticed later, or in the hardened build. */
static int cache_free_run(struct quire_cache *c, quire_pfn pfn, unsigned order, uint64_t frame)
{
    uint32_t b = block_of(frame), d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look */
    unsigned cls = cache_class_of(order, desc_class(d) % 2);
    bool sparse = goes_outgoing(c, order, b, d);

    if (cls >= QUIRE_CACHE_CLASSES || c->capacity[cls] == 0 ||
        !is_allocated_run(c, order, frame, d))
        return bypass_free(c, pfn, order);
    if (!cached_set(c, pfn))
        return qi_cache_report_bad_free(c, pfn, QUIRE_ERR_DOUBLE_FREE);
#if QUIRE_RSEQ
    if (c->mode == QUIRE_CACHE_RSEQ && !sparse && rseq_push(c, cls, pfn.n))
        return QUIRE_OK;
#endif
    return push_xchg_or_flush(c, cls, pfn, sparse);
}

/* Other orders than 0, other stretches than the longest, blocks with pins, exchange mode. */
static __attribute__((noinline)) int cache_free_checked(struct quire_cache *c, quire_pfn pfn,
                                                        unsigned order)
{
    uint64_t frame = frame_of_pfn(c->zone, pfn);
    uint32_t b = block_of(frame), d;
    int error;

    if (frame == NO_FRAME)
        return bypass_free(c, pfn, order);
    if (order != 0)
        return cache_free_run(c, pfn, order, frame);
    d = qa_load(desc_of(c->zone, b), relaxed); /* relaxed: a look; the zone decides */
    if (!is_cacheable(d) && !is_unpinned(c, frame, d))
        return bypass_free(c, pfn, 0);
    error = cached_check_set(c, pfn);
    if (error)
        return qi_cache_report_bad_free(c, pfn, error);
    if (QUIRE_RSEQ && c->mode == QUIRE_CACHE_RSEQ && d & D_PINS &&
        qi_cache_push_rseq(c, desc_class(d) % 2, pfn, false))
        return QUIRE_OK;
    return push_xchg_or_flush(c, desc_class(d) % 2, pfn, goes_outgoing(c, 0, b, d));
}

#if QUIRE_RSEQ
/* A frame of a sparse block. */
static __attribute__((noinline)) int cache_free_sparse(struct quire_cache *c, quire_pfn pfn,
                                                       unsigned cls)
{
    return rseq_push_out(c, cls, pfn.n) ? QUIRE_OK : push_xchg_or_flush(c, cls, pfn, true);
}

/* A single frame of block b of the longest stretch. */
static inline int cache_free_fastpath(struct quire_cache *c, quire_pfn pfn, uint64_t b)
{
    const void *descs = c->descs;
    uint32_t d = qa_load((const qa32 *)descs + b, relaxed); /* relaxed: a look; the zone decides */
    unsigned cls = desc_class(d) % 2;
    int error;

    if (!is_cacheable(d))
        return cache_free_checked(c, pfn, 0);
    error = cached_check_set(c, pfn);
    if (error)
        return qi_cache_report_bad_free(c, pfn, error);
    if (is_sparse(c, c->fulls + b))
        return cache_free_sparse(c, pfn, cls);
    return rseq_push(c, cls, pfn.n) ? QUIRE_OK : push_xchg_or_flush(c, cls, pfn, false);
}
#endif

#if QUIRE_RSEQ
/* Push block b of the longest stretch, if it is one allocated block. */
static inline bool push_block_rseq(const struct quire_cache *c, quire_pfn pfn, uint64_t b)
{
    const void *descs = c->descs;

    /* relaxed: a look; the zone decides */
    if (!is_allocated_block(c, pfn, qa_load((const qa32 *)descs + b, relaxed)) ||
        !cached_set(c, pfn))
        return false;
    if (rseq_push(c, CACHE_HUGE, pfn.n))
        return true;
    cached_clear(c, &pfn, 1);
    return false;
}
#endif

int quire_cache_free(struct quire_cache *c, quire_pfn pfn, unsigned order)
{
#if QUIRE_RSEQ
    uint64_t b = (pfn.n >> BLOCK_ORDER) - c->first_block;

    if (b < c->blocks) {
        if (order == 0)
            return cache_free_fastpath(c, pfn, b);
        if (order == HUGE_ORDER && push_block_rseq(c, pfn, b))
            return QUIRE_OK;
    }
#endif
    return cache_free_checked(c, pfn, order);
}

/* ---- A hit or nothing (fastpath.h)
 * --------------------------------------------------------------- */

/* A single frame of a block that is sparse, or has pins. */
bool qi_view_push_sparse_or_pinned(const struct cpu_view *s, quire_pfn pfn)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;
    const struct quire_cache *c = s->cache;
    bool sparse = false;
    uint32_t d;

    if (b >= s->blocks)
        return false;
    d = qa_load((const qa32 *)s->descs + b, relaxed); /* relaxed: a look; the zone decides */
    if (is_cacheable(d))
        sparse = is_sparse(c, (const qa8 *)s->fulls + b);
    else if (!is_unpinned(c, s->first_frame + (pfn.n - (s->first_block << BLOCK_ORDER)), d))
        return false;
    if ((is_cacheable(d) && !sparse) || cached_check_set(c, pfn) != QUIRE_OK)
        return false;
    if (view_push_class(s, desc_class(d) % 2, pfn, sparse))
        return true;
    cached_clear(c, &pfn, 1);
    return false;
}

/* A run of order 1 to 3. */
bool qi_view_push_run(const struct cpu_view *s, quire_pfn pfn, unsigned order)
{
    uint64_t b = (pfn.n >> BLOCK_ORDER) - s->first_block;
    const struct quire_cache *c = s->cache;
    uint32_t d;

    if (b >= s->blocks || order > MAX_RUN_ORDER)
        return false;
    d = qa_load((const qa32 *)s->descs + b, relaxed); /* relaxed: a look; the zone decides */
    if (!is_allocated_run(c, order, s->first_frame + (pfn.n - (s->first_block << BLOCK_ORDER)),
                          d) ||
        !cached_set(c, pfn))
        return false;
    if (view_push_class(s, cache_class_of(order, desc_class(d) % 2), pfn,
                        !(d & D_PINS) && is_sparse(c, (const qa8 *)s->fulls + b)))
        return true;
    cached_clear(c, &pfn, 1);
    return false;
}
