/* SPDX-License-Identifier: MIT
 *
 * pressure.c - the caches follow the zone's free frames: below `low` all are drained once and stay
 * empty, at `high` they fill again, between the two nothing changes; so what a drain gives back
 * does not by itself end the shortage.
 *
 *   PR1  `short_of_memory` is 1 from the call that notices free < low to the one that notices free
 *       >= high.
 *   PR2  `drain_pending` is 1 if a drain was due in a call that must not wait for the kernel (rseq
 *       mode, QUIRE_NO_CALLBACK). The next call that may wait makes it.
 *
 * The danger is two calls that notice opposite crossings: one turns `short_of_memory` on, the other
 * off, and the limits that are written last are those of the first. So both turn the word, fence,
 * write the limits, fence, and read the word again (E-limits); if it is not what they wrote the
 * limits for, they write them again. The last limits fit the last word.
 *
 *   turn on:  word = 1; E-limits; limits = 0; E-limits; if (word != 1) again
 *   turn off: word = 0; E-limits; limits = capacity; E-limits; if (word != 0) again
 *
 *                 follow   open (lifecycle.c)   close   push
 *   follow          X              X              -      X
 *
 * (X: may run side by side; -: the caller of close sees to it that they do not. A push may see a
 * limit that is late, K5.)
 *
 * Lock-free, any context.
 */
#include "core/fastpath.h"
#include "percpu/cpu_cache.h"

/* Set the CPU caches' limits by `short_of_memory`, which the caller has just turned (K5). Another
 * turn of the loop follows a turn of `short_of_memory`, that is a crossing of the zone's
 * watermarks. */
bool qi_cache_set_limits(const struct quire_cache *c)
{
    uint32_t short_of_memory;

    do {
        short_of_memory =
            qa_load(&c->state->short_of_memory, relaxed); /* relaxed: ordered by E-limits */
        for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
            for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
                /* relaxed: a hint */
                qa_store(&cpu_cache_of(c, cpu, i)->limit, short_of_memory ? 0 : c->capacity[i],
                         relaxed);
        qa_fence_seq_cst(); /* E-limits fence: the limits before the word is read again */
    } while (qa_load(&c->state->short_of_memory, relaxed) !=
             short_of_memory); /* relaxed: ordered by E-limits */
    return short_of_memory;
}

/* Turn `short_of_memory` if the zone asks for it. True: a shortage began, and the caches are to be
 * drained. While the zone's count is sharded there is plenty, and the slots' lines, each of which
 * is another CPU's, are not read. */
static bool shortage_begins(const struct quire_cache *c)
{
    const struct quire_zone_head *h = c->zone->head;
    uint32_t short_of_memory =
        qa_load(&c->state->short_of_memory, relaxed); /* relaxed: the exchange decides */
    uint64_t free;

    if (!short_of_memory && count_is_sharded(c->zone))
        return false;
    free = quire_zone_free_frames(c->zone);
    if (short_of_memory ? free < h->high : free >= h->low)
        return false;
    /* relaxed: ordered by E-limits. It could be a store: of two who see the same crossing both
     * would set the limits, and drain. */
    if (!qa_cas(&c->state->short_of_memory, &short_of_memory, !short_of_memory, relaxed))
        return false;
    qa_fence_after_rmw(); /* E-limits fence: the turn before the limits */
    return qi_cache_set_limits(c);
}

/* A magazine met the zone: follow its free frames. `flags` are the request's. */
void qi_cache_follow_pressure(struct quire_cache *c, uint32_t flags)
{
    if (shortage_begins(c))
        qi_cache_drain_whole(c, flags & QUIRE_NO_CALLBACK);
    else if (!(flags & QUIRE_NO_CALLBACK) &&
             qa_load(&c->state->drain_pending, relaxed)) /* relaxed: PR2 */
        qi_cache_drain_whole(c, false);
}
