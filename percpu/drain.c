/* SPDX-License-Identifier: MIT
 *
 * drain.c - the public ways to get frames out of the caches, and around them.
 *
 * Lock-free and bounded; in rseq mode each drain of other CPUs makes one membarrier call, which
 * waits for those CPUs to take an interrupt, not for what their threads do.
 */
#include "core/layout.h"
#include "percpu/depot.h"

enum { DENSITY_LOOKS = 64 }; /* of a maintenance: some 5 microseconds */

static uint64_t drain_depot(struct quire_cache *c, quire_slot slot)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        frames += quire_depot_drain(c, slot, i, c->depot_nodes);
    return frames;
}

int quire_cache_drain(struct quire_cache *c, uint32_t cpu)
{
    uint32_t mine = cpu - c->first_cpu;

    if (mine >= c->cpus)
        return QUIRE_ERR_SIZE;
    (void)quire_racks_drain(c, mine, mine + 1, false);
    return QUIRE_OK;
}

int quire_cache_drain_all(struct quire_cache *c)
{
    (void)quire_racks_drain(c, 0, c->cpus, false);
    (void)drain_depot(c, slot_of_cpu(c, quire_rack_cpu(c)));
    return QUIRE_OK;
}

int quire_cache_retire_cpu(struct quire_cache *c, uint32_t cpu)
{
    int error = quire_cache_drain(c, cpu);

    return error ? error : quire_zone_retire_slot(c->zone, slot_of_cpu(c, cpu - c->first_cpu));
}

uint64_t quire_cache_maintain(struct quire_cache *c)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    uint64_t frames = quire_racks_drain(c, 0, c->cpus, true);

    for (unsigned i = 0; i < DEPOT_CLASSES; i++) {
        uint32_t unused = quire_depot_unused(c->state->depot, i);

        if (unused)
            frames += quire_depot_drain(c, slot, i, unused);
    }
    quire_density_look(c, DENSITY_LOOKS);
    quire_cache_ease(c, slot);
    return frames;
}

/* An allocation that no rack serves: from the zone; before it is refused, the caches are drained.
 */
int quire_alloc_around(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    int error = quire_zone_alloc(c->zone, slot, order, flags, pfn);

    if (error != QUIRE_ERR_NO_MEMORY || (flags & QUIRE_NO_CALLBACK && c->mode == QUIRE_CACHE_RSEQ))
        return error;
    (void)quire_cache_drain_all(c);
    return quire_zone_alloc(c->zone, slot, order, flags, pfn);
}

/* The hardened build noticed that a frame may not be freed. */
int quire_refuse(struct quire_cache *c, quire_pfn pfn, int error)
{
    const struct quire_port *port = &c->zone->port;

    (void)qa_add(&c->state->bad_frees, 1, relaxed); /* relaxed: a statistic */
    if (port->report)
        port->report(port->ctx, c->zone, QUIRE_REPORT_BAD_FREE, pfn, error);
    return error;
}
