/* SPDX-License-Identifier: MIT
 *
 * lifecycle.c - a cache goes out of service, and back into it: for the layer above, whose zones
 * come and go.
 *
 * A cache is open, or closed: empty, with all limits 0. The danger is a hit that found the cache
 * before it closed, and pushes a frame after it was emptied. The protocol: closing sets the limits
 * to 0 first, and then takes each CPU cache, empties it and puts it back. Putting it back publishes
 * the limit: what takes the CPU cache afterwards sees 0 and does not push (E-cpu-cache). So a push
 * looks at the limit after it took the CPU cache, whatever it saw before.
 *
 *               close   drain   refill   pop   push   open, maintain
 *   close         -       X       -       X     X           -
 *   open          -       X       X       X     X           -
 *
 * (X: may run side by side; -: the caller sees to it that they do not.) What a push does beside
 * close is in the CPU cache before it is taken, and is emptied with it, or is not done. A drain
 * that has a CPU cache when close comes by makes it answer false: to be asked again. Drains may go
 * on afterwards, and find nothing: they leave the count of pops to who closed (K7).
 *
 * In local mode the owners empty their CPU caches, asked for it behind the limits; the answer says
 * that a push afterwards sees them (A2 of ask.c). A CPU that has not answered makes it false.
 *
 * Bounded: each CPU cache once, and of each shard and class as many halves as the depot has nodes.
 * In rseq mode a system call for each CPU, in local mode a call of the port.
 */
#include "percpu/cpu_cache.h"

/* Empty a CPU's caches into the zone; were all there? */
static bool empty_cpu_caches(struct quire_cache *c, uint32_t cpu)
{
    bool all = true;

    if (c->mode == QUIRE_CACHE_LOCAL)
        return qi_cpu_caches_ask_to_empty(c, cpu);
    if (c->mode == QUIRE_CACHE_RSEQ && !qi_cpu_caches_detach(c, cpu, ALL_CLASSES))
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
        qi_cpu_caches_attach(c, cpu, ALL_CLASSES);
    return all;
}

/* Let nothing be pushed. A new cache is closed so before it is known to others, until it is opened.
 */
void qi_cache_forbid_push(struct quire_cache *c)
{
    qa_store(&c->state->short_of_memory, 1, relaxed); /* relaxed: the only one to turn it */
    (void)qi_cache_set_limits(c);
}

/* Take a cache out of service. False: a CPU cache was taken, or the kernel did not restart the
 * sections of a CPU, or one has not answered; ask again. */
bool qi_cache_close(struct quire_cache *c)
{
    bool all = true;

    qi_cache_forbid_push(c);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        all &= empty_cpu_caches(c, cpu);
    qi_depot_drain(c, slot_of_cpu(c, 0));
    return all;
}

/* Back into service. Others may use it already. That the zone is short of memory is found by the
 * next call that meets it (pressure.c). */
void qi_cache_open(struct quire_cache *c)
{
    (void)qa_xchg(&c->state->short_of_memory, 0, relaxed); /* relaxed: ordered by E-limits */
    qa_fence_after_rmw(); /* E-limits fence: the turn before the limits */
    (void)qi_cache_set_limits(c);
}
