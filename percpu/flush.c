/* SPDX-License-Identifier: MIT
 *
 * flush.c - frames that somebody has in his hands go back into the zone.
 *
 * A bad frame (freed twice, or part of a run) is dropped, which is all that can be done for it
 * here, and told to the port by the zone; the others go home. No state. Lock-free, any context.
 */
#include "core/internal.h"
#include "percpu/depot.h"
#include "percpu/hardened.h"

/* Free n rounds of a class. Returns how many frames that were. */
uint64_t qi_rounds_flush(struct quire_cache *c, quire_slot slot, unsigned cls,
                         const quire_pfn pfns[], uint32_t n)
{
    uint64_t freed = 0;

    if (cls >= CACHE_RUNS) {
        for (uint32_t i = 0; i < n; i++)
            freed += quire_zone_free(c->zone, slot, pfns[i], class_order(cls)) == QUIRE_OK;
    } else {
        freed = qi_frames_flush(c->zone, slot, pfns, n);
    }
    if (freed < n)
        (void)qa_add(&c->state->bad_frees, n - freed, relaxed); /* relaxed: a statistic */
    return freed * frames_per_round(cls);
}

/* Give `nodes` full nodes of the depot to the zone. */
uint64_t qi_depot_flush(struct quire_cache *c, quire_slot slot, unsigned cls, uint32_t nodes)
{
    struct depot *depot = c->state->depot;
    uint64_t frames = 0;

    for (; nodes > 0; nodes--) {
        uint32_t n;
        const quire_pfn *pfns = quire_depot_hold(depot, cls, &n);

        if (!pfns)
            break;
        cached_clear(c, pfns, n);
        frames += qi_rounds_flush(c, slot, cls, pfns, n);
        quire_depot_emptied(depot, pfns);
    }
    return frames;
}

/* Flush a CPU cache that the caller has taken, or only its outgoing magazine. */
uint64_t qi_cpu_cache_flush(struct quire_cache *c, quire_slot slot, unsigned cls,
                            struct cpu_cache *r, bool out_only)
{
    uint32_t count = out_only ? 0 : cpu_cache_count(r);
    uint32_t out = qa_load(&r->out, relaxed); /* relaxed: K1 */
    uint64_t frames;

    cached_clear(c, r->rounds, count);
    cached_clear(c, outgoing_rounds(r), out);
    frames = qi_rounds_flush(c, slot, cls, r->rounds, count) +
             qi_rounds_flush(c, slot, cls, outgoing_rounds(r), out);
    if (!out_only)
        cpu_cache_set_count(r, 0);
    qa_store(&r->out, 0, relaxed);               /* relaxed: E-cpu-cache publishes it */
    (void)qa_add(&c->state->drains, 1, relaxed); /* relaxed: a statistic */
    return frames;
}
