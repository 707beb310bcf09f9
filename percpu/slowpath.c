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
 * A call that finds its rack in somebody's hands (an interrupt in the middle of another call, a
 * drain) goes to the zone. Before an allocation is refused, everything that is cached anywhere is
 * given back and the zone is asked once more.
 *
 * Lock-free, any context.
 */
#include "percpu/depot.h"
#include "percpu/hardened.h"

enum { DENSITY_PERIOD = 32 }; /* refills between two looks at the density */

/* Half a magazine of frames, from the depot or the zone, into pfns[]. Returns how many. */
static uint32_t fetch(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r,
                      uint32_t flags, quire_pfn pfns[])
{
    size_t n = 0;

    flags &= QUIRE_MOVABLE | QUIRE_NO_CALLBACK; /* urgency is for one request, not for a stock */
    if (rack >= RACK_RUNS) {
        while (n < r->half &&
               quire_zone_alloc(c->zone, slot, rack_order(rack), flags, &pfns[n]) == QUIRE_OK)
            (void)cached_set(c, pfns[n++]);
        return (uint32_t)n;
    }
    n = quire_depot_get(c->state->depot, rack, pfns);
    if (n == 0) {
        (void)quire_zone_alloc_batch(c->zone, slot, flags | QUIRE_PARTIAL, r->half, pfns, &n);
        for (size_t i = 0; i < n; i++)
            (void)cached_set(c, pfns[i]);
        count_up(&r->refills);
        if (qa_load(&r->refills, relaxed) % DENSITY_PERIOD == 0) /* relaxed: a hint */
            quire_density_look(c, 1);
    }
    return (uint32_t)n;
}

/* An allocation that did not find a round. */
int quire_alloc_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, uint32_t flags,
                       quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = rack_order(rack);
    struct quire_rack *r;
    uint32_t count;
    bool got;

    if (cpu >= c->cpus || c->capacity[rack] == 0)
        return quire_alloc_around(c, order, flags, pfn);
    r = rack_of(c, cpu, rack);
    quire_cache_ease(c, flags);
    if (qa_load(&r->limit, relaxed) == 0) /* relaxed: a hint (K5) */
        return quire_alloc_around(c, order, flags, pfn);
    if (!quire_rack_take(c, r, cpu)) {
        (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        return quire_alloc_around(c, order, flags, pfn);
    }
    count = rack_count(r);
    if (count == 0) {
        count_up(&r->underflows);
        count = fetch(c, slot, rack, r, flags, r->rounds);
    }
    got = count > 0;
    if (got) {
        *pfn = r->rounds[--count];
        cached_clear(c, pfn, 1);
    }
    rack_set_count(r, count);
    rack_put(r);
    return got ? QUIRE_OK : quire_alloc_around(c, order, flags, pfn);
}

/* Put a frame into the loaded magazine, whose upper half goes to the depot, or home, when it is
 * full. Did it? */
static bool put_in(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r,
                   quire_pfn pfn)
{
    uint32_t count = rack_count(r);
    bool full = count >= 2 * r->half;

    if (full) {
        quire_pfn *upper = r->rounds + r->half;

        count_up(&r->overflows);
        if (rack >= RACK_RUNS || !quire_depot_give(c->state->depot, rack, upper, r->half)) {
            cached_clear(c, upper, r->half);
            (void)quire_flush(c, slot, rack, upper, r->half);
            count_up(&r->flushes);
        }
        count = r->half;
    }
    r->rounds[count] = pfn;
    rack_set_count(r, count + 1);
    return full;
}

/* Put a frame into the outgoing magazine, which goes home when it is full. Did it? */
static bool put_out(struct quire_cache *c, quire_slot slot, unsigned rack, struct quire_rack *r,
                    quire_pfn pfn)
{
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    bool full = out >= r->half;

    if (full) {
        cached_clear(c, outgoing(r), out);
        (void)quire_flush(c, slot, rack, outgoing(r), out);
        count_up(&r->flushes);
        out = 0;
    }
    outgoing(r)[out] = pfn;
    qa_store(&r->out, out + 1, relaxed); /* relaxed: P1 publishes it */
    return full;
}

/* A free that did not find room. The frame is marked as cached (hardened build). */
int quire_free_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn pfn,
                      bool sparse)
{
    quire_slot slot = slot_of_cpu(c, cpu);
    unsigned order = rack_order(rack);
    struct quire_rack *r = cpu < c->cpus ? rack_of(c, cpu, rack) : NULL;
    bool met_zone;

    if (!r || qa_load(&r->limit, relaxed) == 0 || !quire_rack_take(c, r, cpu)) { /* relaxed: K5 */
        if (r)
            (void)qa_add(&c->state->bypasses, 1, relaxed); /* relaxed: a statistic */
        cached_clear(c, &pfn, 1);
        return quire_zone_free(c->zone, slot, pfn, order);
    }
    met_zone = sparse ? put_out(c, slot, rack, r, pfn) : put_in(c, slot, rack, r, pfn);
    rack_put(r);
    if (met_zone)
        quire_cache_ease(c, 0);
    return QUIRE_OK;
}
