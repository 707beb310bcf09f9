/* SPDX-License-Identifier: MIT
 *
 * lifecycle.c - a cache goes out of service, and back into it: for the layer above, whose zones
 * come and go.
 *
 * While it closes, the caller sees to it that nobody refills, eases or maintains the cache; drains,
 * and hits of those who found it before (fastpath.h), may be under way. Hits may pop. With a limit
 * of 0 they cannot push once their rack was in our hands: who takes it after us sees the limit, as
 * putting it back published it. It opens while others may use it already.
 *
 * Bounded: each rack once, each depot node once. In rseq mode a system call for each CPU.
 */
#include "percpu/depot.h"

/* Empty a CPU's racks into the zone; were all there? */
static bool empty_racks(struct quire_cache *c, uint32_t cpu)
{
    bool all = true;

    if (c->mode == QUIRE_CACHE_RSEQ && !quire_racks_detach(c, cpu))
        return false;
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct quire_rack *r = rack_of(c, cpu, i);

        if (!quire_rack_steal(r)) {
            all = false;
            continue;
        }
        (void)quire_flush_rack(c, slot_of_cpu(c, cpu), i, r, false);
        rack_put(r);
    }
    if (c->mode == QUIRE_CACHE_RSEQ)
        quire_racks_attach(c, cpu);
    return all;
}

/* Let nobody push. A new cache is shut before anybody knows of it, until it is opened. */
void quire_cache_shut(struct quire_cache *c)
{
    qa_store(&c->state->tight, 1, relaxed); /* relaxed: nobody else turns it, see above */
    (void)quire_cache_limits(c);
}

/* Take a cache out of service. False: a rack was in somebody's hands, or the kernel did not restart
 * the sections of a CPU; ask again. */
bool quire_cache_close(struct quire_cache *c)
{
    bool all = true;

    quire_cache_shut(c);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        all &= empty_racks(c, cpu);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)quire_depot_drain(c, slot_of_cpu(c, 0), i, c->depot_nodes);
    return all;
}

/* Back into service. Those who ease it may find that the zone is short of memory all the same. */
void quire_cache_open(struct quire_cache *c)
{
    (void)qa_xchg(&c->state->tight, 0, relaxed); /* relaxed: ordered by F3 */
    qa_fence_after_rmw(); /* F3 fence: pairs F3: the turn before the limits */
    (void)quire_cache_limits(c);
}
