/* SPDX-License-Identifier: MIT
 *
 * lifecycle.c - a cache goes out of service, and back into it: for the layer above, whose zones
 * come and go.
 *
 * While it closes, the caller sees to it that nobody refills, eases or maintains the cache; drains,
 * and hits of those who found it before (fastpath.h), may be under way. Hits may pop. With a limit
 * of 0 they cannot push once their CPU cache was in our hands: who takes it after us sees the
 * limit, as putting it back published it. It opens while others may use it already.
 *
 * Bounded: each CPU cache once, each depot node once. In rseq mode a system call for each CPU.
 */
#include "percpu/depot.h"

/* Empty a CPU's caches into the zone; were all there? */
static bool empty_cpu_caches(struct quire_cache *c, uint32_t cpu)
{
    bool all = true;

    if (c->mode == QUIRE_CACHE_RSEQ && !qi_cpu_caches_detach(c, cpu))
        return false;
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct cpu_cache *r = cpu_cache_of(c, cpu, i);

        if (!qi_cpu_cache_steal(r)) {
            all = false;
            continue;
        }
        (void)qi_cpu_cache_flush(c, slot_of_cpu(c, cpu), i, r, false);
        cpu_cache_put(r);
    }
    if (c->mode == QUIRE_CACHE_RSEQ)
        qi_cpu_caches_attach(c, cpu);
    return all;
}

/* Let nobody push. A new cache is shut before anybody knows of it, until it is opened. */
void qi_cache_forbid_push(struct quire_cache *c)
{
    qa_store(&c->state->short_of_memory, 1, relaxed); /* relaxed: nobody else turns it, see above */
    (void)qi_cache_set_limits(c);
}

/* Take a cache out of service. False: a CPU cache was in somebody's hands, or the kernel did not
 * restart the sections of a CPU; ask again. */
bool qi_cache_close(struct quire_cache *c)
{
    bool all = true;

    qi_cache_forbid_push(c);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        all &= empty_cpu_caches(c, cpu);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)qi_depot_flush(c, slot_of_cpu(c, 0), i, c->depot_nodes);
    return all;
}

/* Back into service. Those who ease it may find that the zone is short of memory all the same. */
void qi_cache_open(struct quire_cache *c)
{
    (void)qa_xchg(&c->state->short_of_memory, 0, relaxed); /* relaxed: ordered by E-limits */
    qa_fence_after_rmw(); /* E-limits fence: the turn before the limits */
    (void)qi_cache_set_limits(c);
}
