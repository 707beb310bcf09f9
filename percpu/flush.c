/* SPDX-License-Identifier: MIT
 *
 * flush.c - frames from the caches back into the zone: flushes, drains, decay.
 *
 * A bad frame (freed twice, or part of a run) is dropped, which is all that can be done for it
 * here, and told to the port by the zone; the others go home.
 *
 * A drain passes by racks that are in somebody's hands. Bounded: each rack once, each depot node
 * once. Lock-free, any context; in rseq mode a drain of racks is a system call, and does nothing if
 * the kernel refuses it.
 */
#include "core/block.h"
#include "percpu/depot.h"
#include "percpu/hardened.h"

/* Free n rounds of a class. Returns how many frames that were. */
uint64_t quire_flush(struct quire_cache *c, quire_slot slot, unsigned rack, const quire_pfn pfns[],
                     uint32_t n)
{
    uint64_t freed = 0;

    if (rack == RACK_HUGE) {
        for (uint32_t i = 0; i < n; i++)
            freed += quire_zone_free(c->zone, slot, pfns[i], HUGE_ORDER) == QUIRE_OK;
    } else {
        freed = quire_frames_return(c->zone, slot, pfns, n);
    }
    if (freed < n)
        (void)qa_add(&c->state->bad_frees, n - freed, relaxed); /* relaxed: a statistic */
    return freed * round_frames(rack);
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

/* Flush a rack that the caller has taken, or only its outgoing magazine. */
static uint64_t empty_rack(struct quire_cache *c, quire_slot slot, unsigned rack,
                           struct quire_rack *r, bool out_only)
{
    uint32_t count = out_only ? 0 : qa_load(&r->count, relaxed); /* relaxed: K1 */
    uint32_t out = qa_load(&r->out, relaxed);                    /* relaxed: K1 */
    uint64_t frames;

    cached_clear(c, r->rounds, count);
    cached_clear(c, outgoing(r), out);
    frames =
        quire_flush(c, slot, rack, r->rounds, count) + quire_flush(c, slot, rack, outgoing(r), out);
    if (!out_only)
        qa_store(&r->count, 0, relaxed);         /* relaxed: P1 publishes it */
    qa_store(&r->out, 0, relaxed);               /* relaxed: P1 publishes it */
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

/* Does a rack hold anything, or its outgoing magazine, by a look? */
static bool holds(const struct quire_rack *r, bool out_only)
{
    return qa_load(&r->out, relaxed) > 0 ||                /* relaxed: a look */
           (!out_only && qa_load(&r->count, relaxed) > 0); /* relaxed: a look */
}

/* Drain the racks of CPUs first .. end-1; or those that nobody used since the last time, and of the
 * others the outgoing magazines, whose frames wait for nothing but to go home. */
uint64_t quire_racks_drain(struct quire_cache *c, uint32_t first, uint32_t end, bool idle_only)
{
    uint64_t frames = 0;
    bool some = false;

    for (uint32_t cpu = first; cpu < end && !some; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
            some |= holds(rack_of(c, cpu, i), false);
    if (!some)
        return 0;
    if (!quire_racks_detach(c, first, end)) {
        quire_racks_attach(c, first, end);
        return 0;
    }
    for (uint32_t cpu = first; cpu < end; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            struct quire_rack *r = rack_of(c, cpu, i);
            bool out_only = idle_only && !is_idle(r);

            if (!holds(r, out_only) || !quire_rack_steal(c, r))
                continue;
            frames += empty_rack(c, slot_of_cpu(c, cpu), i, r, out_only);
            quire_rack_put(r);
        }
    quire_racks_attach(c, first, end);
    return frames;
}

/* Set the racks' limits by `tight`, which the caller has just turned (K5). Somebody else may turn
 * it back meanwhile. With the fences on all sides either the look at the end sees that, or the
 * other one's limits come after these: the last word is the one that fits. Another turn of the loop
 * follows a turn of `tight`, that is a crossing of the zone's watermarks. */
static bool set_limits(const struct quire_cache *c)
{
    uint32_t tight;

    do {
        tight = qa_load(&c->state->tight, relaxed); /* relaxed: ordered by F3 */
        for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
            for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
                /* relaxed: a hint */
                qa_store(&rack_of(c, cpu, i)->limit, tight ? 0 : c->capacity[i], relaxed);
        qa_fence_seq_cst(); /* F3 fence: pairs F3: the limits before the look */
    } while (qa_load(&c->state->tight, relaxed) != tight); /* relaxed: ordered by F3 */
    return tight;
}

/* Follow the zone's free frames: below `low` all caches are drained once and stay empty, at `high`
 * they fill again, between the two nothing changes; so what a drain gives back does not by itself
 * end the shortage. Called where a magazine met the zone. */
void quire_cache_ease(struct quire_cache *c, quire_slot slot)
{
    const struct quire_zone_head *h = c->zone->head;
    uint64_t free = quire_zone_free_frames(c->zone);
    uint32_t tight = qa_load(&c->state->tight, relaxed); /* relaxed: the exchange decides */

    if (tight ? free < h->high : free >= h->low)
        return;
    if (!qa_cas(&c->state->tight, &tight, !tight, relaxed)) /* relaxed: ordered by F3 */
        return;
    qa_fence_after_rmw(); /* F3 fence: pairs F3: the turn before the limits */
    if (!set_limits(c))
        return;
    (void)quire_racks_drain(c, 0, c->cpus, false);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)quire_depot_drain(c, slot, i, c->depot_nodes);
}

/* Take a cache out of service, for the layer above, which sees to it that meanwhile and afterwards
 * nobody drains, refills or maintains it: only the hits of those who found it before may still be
 * under way. Those may pop; with a limit of 0 they cannot push, once their rack was in our hands.
 * False: a rack was in somebody else's, or the kernel did not restart the sections; ask again. */
bool quire_cache_close(struct quire_cache *c)
{
    bool all;

    qa_store(&c->state->tight, 1, relaxed); /* relaxed: nobody else turns it, see above */
    (void)set_limits(c);
    all = quire_racks_detach(c, 0, c->cpus);
    for (uint32_t cpu = 0; cpu < c->cpus && all; cpu++)
        for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
            struct quire_rack *r = rack_of(c, cpu, i);

            if (!quire_rack_steal(c, r)) {
                all = false;
                continue;
            }
            (void)empty_rack(c, slot_of_cpu(c, cpu), i, r, false);
            quire_rack_put(r);
        }
    quire_racks_attach(c, 0, c->cpus);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)quire_depot_drain(c, slot_of_cpu(c, 0), i, c->depot_nodes);
    return all;
}

/* Back into service. */
void quire_cache_open(struct quire_cache *c)
{
    qa_store(&c->state->tight, 0, relaxed); /* relaxed: nobody else turns it, see above */
    (void)set_limits(c);
}
