/* SPDX-License-Identifier: MIT
 *
 * flush.c - frames from the caches back into the zone: flushes, drains, decay.
 *
 * A batch that holds a bad frame (freed twice, or part of a run) is refused by the zone as a
 * whole; the bad one is dropped, which is all that can be done for it here, and told to the port
 * by the zone; the others go home.
 *
 * A drain passes by racks that are in somebody's hands. Bounded: each rack once, each depot node
 * once. Lock-free, any context; in rseq mode a drain of other CPUs is a system call.
 */
#include "percpu/depot.h"
#include "percpu/hardened.h"

/* Free n rounds of a class. Returns how many frames that were. */
uint64_t quire_flush(struct quire_cache *c, quire_slot slot, unsigned rack, quire_pfn pfns[],
                     uint32_t n)
{
    uint64_t frames = 0;

    if (rack == RACK_HUGE) {
        for (uint32_t i = 0; i < n; i++)
            if (quire_zone_free(c->zone, slot, pfns[i], HUGE_ORDER) == QUIRE_OK)
                frames += 1u << HUGE_ORDER;
            else
                (void)qa_add(&c->state->bad_frees, 1, relaxed); /* relaxed: a statistic */
        return frames;
    }
    while (n > 0) {
        size_t bad;

        if (quire_zone_free_batch(c->zone, slot, pfns, n, &bad) == QUIRE_OK)
            return frames + n;
        (void)qa_add(&c->state->bad_frees, 1, relaxed); /* relaxed: a statistic */
        pfns[bad] = pfns[--n];
    }
    return frames;
}

/* Give `nodes` full nodes of the depot to the zone. */
uint64_t quire_depot_drain(struct quire_cache *c, quire_slot slot, unsigned rack, uint32_t nodes)
{
    quire_pfn pfns[QUIRE_CACHE_MAX_ROUNDS / 2];
    uint64_t frames = 0;

    for (; nodes > 0; nodes--) {
        uint32_t n = quire_depot_get(c->state->depot, rack, pfns);

        if (n == 0)
            break;
        cached_clear(c, pfns, n);
        frames += quire_flush(c, slot, rack, pfns, n);
    }
    return frames;
}

/* Flush a rack that the caller has taken. */
static uint64_t empty_rack(struct quire_cache *c, quire_slot slot, unsigned rack,
                           struct quire_rack *r)
{
    uint32_t count = qa_load(&r->count, relaxed), out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    uint64_t frames;

    cached_clear(c, r->rounds, count);
    cached_clear(c, outgoing(r), out);
    frames = quire_flush(c, slot, rack, r->rounds, count) +
             quire_flush(c, slot, rack, outgoing(r), out);
    qa_store(&r->count, 0, relaxed); /* relaxed: P1 publishes it */
    qa_store(&r->out, 0, relaxed);   /* relaxed: P1 publishes it */
    (void)qa_add(&c->state->drains, 1, relaxed); /* relaxed: a statistic */
    return frames;
}

/* Did nobody use the rack since the last time this was asked? */
static bool is_idle(struct quire_rack *r)
{
    /* relaxed: hints, all of them; a wrong guess costs a refill */
    uint32_t mark = (uint32_t)(qa_load(&r->underflows, relaxed) + qa_load(&r->overflows, relaxed));
    uint32_t now = mark << 16 ^ qa_load(&r->count, relaxed) << 4 ^ qa_load(&r->out, relaxed);

    return qa_xchg(&r->seen, now, relaxed) == now; /* relaxed: a hint */
}

/* Does a rack hold anything, by a look? */
static bool holds(const struct quire_rack *r)
{
    return qa_load(&r->count, relaxed) + qa_load(&r->out, relaxed) > 0; /* relaxed: a look */
}

/* Drain the racks of CPUs first .. end-1, or those that nobody used since the last time. */
uint64_t quire_racks_drain(struct quire_cache *c, uint32_t first, uint32_t end, bool idle_only)
{
    uint64_t frames = 0;
    bool some = false;

    for (uint32_t cpu = first; cpu < end && !some; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            some |= holds(rack_of(c, cpu, i));
    if (!some)
        return 0;
    quire_racks_detach(c, first, end, true);
    for (uint32_t cpu = first; cpu < end; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            struct quire_rack *r = rack_of(c, cpu, i);

            if (!holds(r) || (idle_only && !is_idle(r)) || !quire_rack_steal(c, r))
                continue;
            frames += empty_rack(c, slot_of_cpu(c, cpu), i, r);
            quire_rack_put(r);
        }
    quire_racks_detach(c, first, end, false);
    return frames;
}

/* Follow the zone's memory pressure (K5): below `low` all caches are drained once and stay empty,
 * at `high` they fill again. Called where a magazine met the zone. */
void quire_cache_ease(struct quire_cache *c, quire_slot slot)
{
    bool low = quire_zone_pressure(c->zone) > 0;
    uint32_t tight = qa_load(&c->state->tight, relaxed); /* relaxed: the exchange decides */

    if (low == (tight == 1) || !qa_cas(&c->state->tight, &tight, low, relaxed)) /* relaxed: as above */
        return;
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            qa_store(&rack_of(c, cpu, i)->limit, low ? 0 : c->capacity[i], relaxed); /* relaxed: a hint */
    if (low) {
        (void)quire_racks_drain(c, 0, c->cpus, false);
        for (unsigned i = 0; i < DEPOT_CLASSES; i++)
            (void)quire_depot_drain(c, slot, i, c->depot_nodes);
    }
}
