/* SPDX-License-Identifier: MIT
 *
 * pressure.c - the caches follow the zone's free frames: below `low` all are drained once and stay
 * empty, at `high` they fill again, between the two nothing changes; so what a drain gives back
 * does not by itself end the shortage.
 *
 *   E1  `tight` is 1 from the call that notices free < low to the one that notices free >= high.
 *   E2  `owed` is 1 if a drain was due in a call that must not wait for the kernel (rseq mode,
 *       QUIRE_NO_CALLBACK). The next call that may wait makes it.
 *
 * Lock-free, any context.
 */
#include "core/fastpath.h"
#include "percpu/cpu_cache.h"

/* Set the racks' limits by `tight`, which the caller has just turned (K5). Somebody else may turn
 * it back meanwhile. With the fences on all sides either the look at the end sees that, or the
 * other one's limits come after these: the last word is the one that fits. Another turn of the loop
 * follows a turn of `tight`, that is a crossing of the zone's watermarks. */
bool quire_cache_limits(const struct quire_cache *c)
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

/* Turn `tight` if the zone asks for it. True: a shortage began, and the caches are to be drained.
 * While the zone's count is sharded there is plenty, and nobody needs to look at the slots' lines,
 * each of which is another CPU's. */
static bool turns_tight(const struct quire_cache *c)
{
    const struct quire_zone_head *h = c->zone->head;
    uint32_t tight = qa_load(&c->state->tight, relaxed); /* relaxed: the exchange decides */
    uint64_t free;

    if (!tight && quire_count_sharded(c->zone))
        return false;
    free = quire_zone_free_frames(c->zone);
    if (tight ? free < h->high : free >= h->low)
        return false;
    if (!qa_cas(&c->state->tight, &tight, !tight, relaxed)) /* relaxed: ordered by F3 */
        return false;
    qa_fence_after_rmw(); /* F3 fence: pairs F3: the turn before the limits */
    return quire_cache_limits(c);
}

/* A magazine met the zone: follow its free frames. `flags` are the request's. */
void quire_cache_ease(struct quire_cache *c, uint32_t flags)
{
    if (turns_tight(c))
        quire_caches_drain(c, flags & QUIRE_NO_CALLBACK);
    else if (!(flags & QUIRE_NO_CALLBACK) && qa_load(&c->state->owed, relaxed)) /* relaxed: E2 */
        quire_caches_drain(c, false);
}
