/* SPDX-License-Identifier: MIT
 *
 * fastpath.c - the cache's own allocation and free: a hit of the CPU's view (fastpath.h), or
 * slowpath.c. The layer above has views of its own and comes in by fastpath.h.
 *
 * In rseq mode a section finds its CPU cache by itself, so the CPU is not asked for, and what is
 * common has its sections inline. In exchange and local mode the CPU's number is read once, here,
 * and passed down.
 *
 * Lock-free, any context. In rseq and local mode without a locked instruction, in exchange mode
 * one.
 */
#include "percpu/fastpath.h"

_Static_assert(CACHE_UNMOVABLE == 0 && (unsigned)CACHE_MOVABLE == QUIRE_MOVABLE,
               "mobility flags name the class of single frames");
_Static_assert(CLASS_UNMOVABLE % 2 == CACHE_UNMOVABLE && CLASS_MOVABLE % 2 == CACHE_MOVABLE,
               "a block's class names that of its single frames by the lowest bit");
_Static_assert((int)D_CLASS == (int)D_CLASS_ORDER + (1 << D_CLASS_SHIFT),
               "`recent` of a view has four bits, the lowest one a mobility");
_Static_assert((int)FIRST_LARGE_ORDER == (int)LARGE_ORDER,
               "runs without mobility in the zone have no classes by mobility");
_Static_assert(2 * QUIRE_CACHE_CLASSES < 63, "the bits of all classes lie below ASK_NOBODY");

/* ---- Rseq mode ------------------------------------------------------------------------------ */

__attribute__((__noinline__)) bool qi_cache_pop_rseq(const struct quire_cache *c,
                                                     enum cache_class cls, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    return rseq_pop(c, cls, &pfn->n);
#else
    (void)c;
    (void)cls;
    (void)pfn;
    return false;
#endif
}

__attribute__((__noinline__)) bool qi_cache_push_rseq(const struct quire_cache *c,
                                                      enum cache_class cls, quire_pfn pfn)
{
#if QUIRE_RSEQ
    return rseq_push(c, cls, pfn.n);
#else
    (void)c;
    (void)cls;
    (void)pfn;
    return false;
#endif
}

/* ---- Allocation ----------------------------------------------------------------------------- */

/* In exchange mode; in rseq mode with more flags than mobility. */
static __attribute__((__noinline__)) int alloc_by_view(struct quire_cache *c, unsigned order,
                                                       uint32_t flags, quire_pfn *pfn)
{
    enum cache_class cls = request_class(c, order, flags);
    uint32_t cpu = cache_cpu(c);

    if (cls < CACHE_NONE && cpu < c->cpus && !(flags & ~CACHE_HIT_FLAGS) &&
        view_pop(views_of(c) + cpu, cls, order, pfn))
        return QUIRE_OK;
    return qi_cache_alloc_drained(c, cpu, order, flags, pfn);
}

#if QUIRE_RSEQ
/* By a section inline. */
static inline __attribute__((always_inline)) int alloc_rseq(struct quire_cache *c,
                                                            enum cache_class cls, unsigned order,
                                                            uint32_t flags, quire_pfn *pfn)
{
    if (!rseq_pop(c, cls, &pfn->n))
        return qi_cache_alloc_drained(c, rseq_cache_cpu(c), order, flags, pfn);
    cache_hand_out(c, *pfn, order);
    return QUIRE_OK;
}
#endif

int quire_cache_alloc(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
#if QUIRE_RSEQ
    if ((flags | c->without_rseq) <= QUIRE_MOVABLE) {
        enum cache_class cls;

        if (order == 0)
            return alloc_rseq(c, (enum cache_class)flags, 0, flags, pfn);
        cls = request_class(c, order, flags);
        if (cls < CACHE_NONE)
            return alloc_rseq(c, cls, order, flags, pfn);
    }
#endif
    return alloc_by_view(c, order, flags, pfn);
}

/* ---- Free ----------------------------------------------------------------------------------- */

/* Push what was admitted, not to the zone. False: there is no room. */
static inline bool view_push(const struct cpu_view *s, struct admission a, quire_pfn pfn)
{
#if QUIRE_RSEQ
    if (!s->cache->without_rseq)
        return a.place == TO_OUTGOING ? rseq_push_out(s->cache, a.cls, pfn.n)
                                      : rseq_push(s->cache, a.cls, pfn.n);
#endif
    return a.place == TO_OUTGOING ? view_claim_push_outgoing(s, a.cls, pfn)
                                  : view_claim_push(s, s->cpu_caches[a.cls], pfn);
}

__attribute__((__noinline__)) bool qi_view_push_other(const struct cpu_view *s, quire_pfn pfn,
                                                      unsigned order)
{
    uint64_t at = window_find(&s->window, pfn);
    const struct quire_cache *c = s->cache;
    struct admission a;
    uint32_t d;

    if (at >= s->window.blocks)
        return false;
    d = qa_load(window_desc(&s->window, at), relaxed); /* relaxed: a hint; the zone decides */
    a = admit(c, &s->window, at, d, pfn, order);
    if (order == 0 && a.place == TO_LOADED && is_cacheable(d))
        return false; /* view_push_frame found no room */
    if (a.place == TO_ZONE || !byte_clear(window_frame_byte(&s->window, pfn), byte_of_order(order)))
        return false;
    if (view_push(s, a, pfn))
        return true;
    byte_restore(window_frame_byte(&s->window, pfn), byte_of_order(order));
    return false;
}

/* With a look for room, where bursts often find none. */
bool qi_view_push_run(const struct cpu_view *s, quire_pfn pfn, unsigned order)
{
    uint64_t at = window_find(&s->window, pfn);
    struct admission a;
    bool by_xchg, pushed;
    qa8 *byte;

    qi_assert(order > 0 && order < HUGE_ORDER);
    if (at >= s->window.blocks || !admit_run(s, at, order, &a))
        return false;
    byte = window_frame_byte(&s->window, pfn);
    by_xchg = a.place == TO_LOADED && !cache_uses_rseq(s->cache);
    if (by_xchg && order >= FIRST_LARGE_ORDER && !cpu_cache_has_room(s->cpu_caches[a.cls]))
        return false;
    if (!byte_clear(byte, byte_of_order(order)))
        return false;
    pushed = by_xchg ? view_claim_push(s, s->cpu_caches[a.cls], pfn) : view_push(s, a, pfn);
    if (!pushed)
        byte_restore(byte, byte_of_order(order));
    return pushed;
}

/* In exchange mode; in rseq mode all but what a section inline takes. */
static __attribute__((__noinline__)) int free_by_view(struct quire_cache *c, quire_pfn pfn,
                                                      unsigned order)
{
    uint32_t cpu = cache_cpu(c);

    if (order > HUGE_ORDER)
        return quire_zone_free(c->zone, slot_of_cpu(c, cpu), pfn, order);
    if (cpu < c->cpus) {
        const struct cpu_view *s = views_of(c) + cpu;

        if (order == 0 && !cache_uses_rseq(c) && view_push_frame(s, pfn))
            return QUIRE_OK;
        if (order > 0 && order < HUGE_ORDER ? qi_view_push_run(s, pfn, order)
                                            : qi_view_push_other(s, pfn, order))
            return QUIRE_OK;
    }
    return qi_cache_free_checked(c, cpu, pfn, order);
}

#if QUIRE_RSEQ
/* What a hit admits, by a section inline. */
static inline __attribute__((always_inline)) int free_rseq(struct quire_cache *c, quire_pfn pfn,
                                                           unsigned order)
{
    const struct cpu_view *s = views_of(c); /* any: T3 */
    uint64_t at = window_find(&s->window, pfn);
    struct admission a = {CACHE_NONE, TO_ZONE};

    if (at < s->window.blocks)
        a = admit_hit(c->zone, &s->window, s->sparse_limit, at, order);
    if (a.place != TO_LOADED ||
        !byte_clear(window_frame_byte(&s->window, pfn), byte_of_order(order)))
        return free_by_view(c, pfn, order);
    return rseq_push(c, a.cls, pfn.n) ? QUIRE_OK
                                      : qi_cache_push_or_flush(c, rseq_cache_cpu(c), a, pfn);
}
#endif

int quire_cache_free(struct quire_cache *c, quire_pfn pfn, unsigned order)
{
#if QUIRE_RSEQ
    if (!(order | c->without_rseq))
        return free_rseq(c, pfn, 0);
    if (order == HUGE_ORDER && !c->without_rseq)
        return free_rseq(c, pfn, HUGE_ORDER);
#endif
    return free_by_view(c, pfn, order);
}
