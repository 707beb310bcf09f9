/* SPDX-License-Identifier: MIT
 *
 * slowpath.c - what a call does when its magazine cannot serve it: refill, overflow, bypass.
 *
 * Refills and flushes move half a magazine, so that alternating bursts of allocations and frees
 * meet at the middle and do not go to the zone each time. A refill takes a half from the depot, or
 * from the zone (which fills up the fullest blocks). An overflow of the loaded magazine, whose
 * frames are of dense blocks, goes to the depot, or home; a full outgoing magazine goes home, block
 * by block.
 *
 * A call that finds its CPU cache in somebody's hands (an interrupt in the middle of another call,
 * a drain) goes to the zone.
 *
 * Lock-free, any context.
 */
#include "percpu/depot.h"
#include "percpu/hardened.h"

enum { DENSITY_PERIOD = 32 }; /* refills between two looks at the density */

/* Half a magazine of frames, from the depot or the zone, into pfns[]. Returns how many. */
static uint32_t refill_half(struct quire_cache *c, quire_slot slot, unsigned cls,
                            struct cpu_cache *r, uint32_t flags, quire_pfn pfns[])
{
    size_t n = 0;

    flags &= QUIRE_MOVABLE | QUIRE_NO_CALLBACK; /* urgency is for one request, not for a stock */
    if (cls >= CACHE_RUNS) {
        while (n < r->half &&
               quire_zone_alloc(c->zone, slot, class_order(cls), flags, &pfns[n]) == QUIRE_OK)
            (void)cached_set(c, pfns[n++]);
        return (uint32_t)n;
    }
    n = qi_depot_get(c->state->depot, cls, pfns);
    if (n == 0) {
        (void)quire_zone_alloc_batch(c->zone, slot, flags | QUIRE_PARTIAL, r->half, pfns, &n);
        for (size_t i = 0; i < n; i++)
            (void)cached_set(c, pfns[i]);
        count_as_owner(&r->refills);
        if (qa_load(&r->refills, relaxed) % DENSITY_PERIOD == 0) /* relaxed: a hint */
            qi_density_sample(c, 1);
    }
    return (uint32_t)n;
}

/* An allocation that did not find a round. Not drained before it is refused: the caller's matter.
 */
int qi_cache_refill_and_pop(struct quire_cache *c, uint32_t cpu, unsigned cls, uint32_t flags,
                            quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = class_order(cls);
    struct cpu_cache *r;
    uint32_t count;
    bool got;

    if (cpu >= c->cpus || c->capacity[cls] == 0)
        return quire_zone_alloc(c->zone, slot, order, flags, pfn);
    r = cpu_cache_of(c, cpu, cls);
    qi_cache_follow_pressure(c, flags);
    if (qa_load(&r->limit, relaxed) == 0) /* relaxed: a hint (K5) */
        return quire_zone_alloc(c->zone, slot, order, flags, pfn);
    if (!qi_cpu_cache_take(c, r, cpu)) {
        (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        return quire_zone_alloc(c->zone, slot, order, flags, pfn);
    }
    count = cpu_cache_count(r);
    if (count == 0) {
        count_as_owner(&r->underflows);
        count = refill_half(c, slot, cls, r, flags, r->rounds);
    }
    got = count > 0;
    if (got) {
        *pfn = r->rounds[--count];
        cached_clear(c, pfn, 1);
    }
    cpu_cache_set_count(r, count);
    cpu_cache_put(r);
    return got ? QUIRE_OK : quire_zone_alloc(c->zone, slot, order, flags, pfn);
}

/* Put a frame into the loaded magazine, whose upper half goes to the depot, or home, when it is
 * full. Did it? */
static bool push_loaded(struct quire_cache *c, quire_slot slot, unsigned cls, struct cpu_cache *r,
                        quire_pfn pfn)
{
    uint32_t count = cpu_cache_count(r);
    bool full = count >= 2 * r->half;

    if (full) {
        quire_pfn *upper = r->rounds + r->half;

        count_as_owner(&r->overflows);
        if (cls >= CACHE_RUNS || !qi_depot_put(c->state->depot, cls, upper, r->half)) {
            cached_clear(c, upper, r->half);
            (void)qi_rounds_flush(c, slot, cls, upper, r->half);
            count_as_owner(&r->flushes);
        }
        count = r->half;
    }
    r->rounds[count] = pfn;
    cpu_cache_set_count(r, count + 1);
    return full;
}

/* Put a frame into the outgoing magazine, which goes home when it is full. Did it? */
static bool push_outgoing(struct quire_cache *c, quire_slot slot, unsigned cls, struct cpu_cache *r,
                          quire_pfn pfn)
{
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    bool full = out >= r->half;

    if (full) {
        cached_clear(c, outgoing_rounds(r), out);
        (void)qi_rounds_flush(c, slot, cls, outgoing_rounds(r), out);
        count_as_owner(&r->flushes);
        out = 0;
    }
    outgoing_rounds(r)[out] = pfn;
    qa_store(&r->out, out + 1, relaxed); /* relaxed: E-cpu-cache publishes it */
    return full;
}

/* A free that did not find room. The frame is marked as cached (hardened build). */
int qi_cache_push_or_flush(struct quire_cache *c, uint32_t cpu, unsigned cls, quire_pfn pfn,
                           bool sparse)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = class_order(cls);
    struct cpu_cache *r = cpu < c->cpus ? cpu_cache_of(c, cpu, cls) : NULL;
    bool met_zone;

    if (!r || qa_load(&r->limit, relaxed) == 0 || !qi_cpu_cache_take(c, r, cpu)) { /* relaxed: K5 */
        if (r)
            (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        cached_clear(c, &pfn, 1);
        return quire_zone_free(c->zone, slot, pfn, order);
    }
    met_zone = sparse ? push_outgoing(c, slot, cls, r, pfn) : push_loaded(c, slot, cls, r, pfn);
    cpu_cache_put(r);
    if (met_zone)
        qi_cache_follow_pressure(c, 0);
    return QUIRE_OK;
}
