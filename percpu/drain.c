/* SPDX-License-Identifier: MIT
 *
 * drain.c - how frames get out of the caches, and around them: drains, decay, and what is done
 * before a request is refused.
 *
 * A drain goes from CPU to CPU, and keeps only the one away from its racks whose turn it is, and
 * only until they are in the drainer's hands: what they hold goes home afterwards. It passes by
 * racks that are in somebody's hands already. In exchange mode it takes them like anybody; in rseq
 * mode this works on the drainer's own CPU, and for another one the kernel has to restart what runs
 * there: one membarrier call for each such CPU that holds anything. It waits for that CPU to take
 * an interrupt, not for what its threads do, and if the kernel refuses it the racks stay as they
 * are.
 *
 * Bounded: each rack once, each depot node once. Lock-free, any context but for the system call,
 * which a calm drain does without.
 */
#include "core/layout.h"
#include "percpu/depot.h"

enum { DENSITY_LOOKS = 64 }; /* of a maintenance: some 5 microseconds */

/* Did nobody use the rack since the last time this was asked? What every use changes, in 32 bits:
 * if they agree by chance a rack in use is drained and pays a refill. */
static bool is_idle(struct quire_rack *r)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    /* relaxed: hints, all of them */
    uint64_t slow = qa_load(&r->underflows, relaxed) + qa_load(&r->overflows, relaxed);
    uint64_t used = qa_load(&r->count, relaxed); /* relaxed: a hint; the pops too, see K6 */
    uint32_t now;

    used = (used * odd + slow) * odd + qa_load(&r->out, relaxed); /* relaxed: a hint */
    now = (uint32_t)(used * odd >> 32);
    return qa_xchg(&r->seen, now, relaxed) == now; /* relaxed: a hint */
}

/* Does a rack hold anything, or its outgoing magazine, by a look? */
static bool holds(const struct quire_rack *r, bool out_only)
{
    return qa_load(&r->out, relaxed) > 0 || /* relaxed: a look */
           (!out_only && rack_count(r) > 0);
}

/* Take those of a CPU's racks that mine[] asks for; afterwards it says which they are. */
static void take_racks(const struct quire_cache *c, uint32_t cpu, bool calm, bool mine[])
{
    bool asked[QUIRE_CACHE_CLASSES], left = false;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        asked[i] = mine[i];
        mine[i] = asked[i] && quire_rack_take(c, rack_of(c, cpu, i), cpu);
        left |= asked[i] && !mine[i];
    }
    if (!left || c->mode != QUIRE_CACHE_RSEQ || calm || !quire_racks_detach(c, cpu))
        return;
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (asked[i] && !mine[i])
            mine[i] = quire_rack_steal(rack_of(c, cpu, i));
    quire_racks_attach(c, cpu);
}

/* Drain a CPU's racks, or only the outgoing magazines of those that out_only[] names. */
static uint64_t drain_cpu(struct quire_cache *c, uint32_t cpu, bool calm, const bool out_only[])
{
    bool mine[QUIRE_CACHE_CLASSES];
    uint64_t frames = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        mine[i] = holds(rack_of(c, cpu, i), out_only[i]);
    take_racks(c, cpu, calm, mine);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (mine[i]) {
            struct quire_rack *r = rack_of(c, cpu, i);

            frames += quire_flush_rack(c, slot_of_cpu(c, cpu), i, r, out_only[i]);
            rack_put(r);
        }
    return frames;
}

static const bool everything[QUIRE_CACHE_CLASSES];

/* Drain all racks and the depot; `calm`: without a system call, and ask for the rest of it to be
 * done by somebody who may wait (E2 of pressure.c). */
void quire_caches_drain(struct quire_cache *c, bool calm)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    uint32_t owed = calm && c->mode == QUIRE_CACHE_RSEQ;

    if (qa_load(&c->state->owed, relaxed) != owed) /* relaxed: only the word counts */
        qa_store(&c->state->owed, owed, relaxed);  /* relaxed: only the word counts */
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        (void)drain_cpu(c, cpu, calm, everything);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)quire_depot_drain(c, slot, i, c->depot_nodes);
}

int quire_cache_drain(struct quire_cache *c, uint32_t cpu)
{
    uint32_t mine = cpu - c->first_cpu;

    if (mine >= c->cpus)
        return QUIRE_ERR_SIZE;
    (void)drain_cpu(c, mine, false, everything);
    return QUIRE_OK;
}

int quire_cache_drain_all(struct quire_cache *c)
{
    quire_caches_drain(c, false);
    return QUIRE_OK;
}

int quire_cache_retire_cpu(struct quire_cache *c, uint32_t cpu)
{
    int error = quire_cache_drain(c, cpu);

    return error ? error : quire_zone_retire_slot(c->zone, slot_of_cpu(c, cpu - c->first_cpu));
}

/* What a CPU did not use since the last time goes home; of the rest, what waits to do so. *used: it
 * may have used something; a rack that holds something may have been, by hits that cancel out. */
static uint64_t decay(struct quire_cache *c, uint32_t cpu, bool *used)
{
    bool in_use[QUIRE_CACHE_CLASSES];

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct quire_rack *r = rack_of(c, cpu, i);

        in_use[i] = !is_idle(r);
        *used |= in_use[i] || holds(r, false);
    }
    return drain_cpu(c, cpu, false, in_use);
}

uint64_t quire_cache_maintain(struct quire_cache *c)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    uint64_t frames = 0;
    bool used = false;

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        frames += decay(c, cpu, &used);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++) {
        uint32_t unused = quire_depot_unused(c->state->depot, i);

        if (unused)
            frames += quire_depot_drain(c, slot, i, unused);
    }
    if (used)
        quire_density_look(c, DENSITY_LOOKS);
    quire_cache_ease(c, 0);
    return frames;
}

/* ---- Around the caches ---------------------------------------------------------------------- */

/* The zone refused a request: drain the caches, as far as the request permits. */
static void before_refusal(struct quire_cache *c, uint32_t flags)
{
    quire_caches_drain(c, flags & QUIRE_NO_CALLBACK);
}

/* An allocation that no rack serves: from the zone; before it is refused, the caches are drained.
 */
int quire_alloc_around(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    int error = quire_zone_alloc(c->zone, slot, order, flags, pfn);

    if (error != QUIRE_ERR_NO_MEMORY)
        return error;
    before_refusal(c, flags);
    return quire_zone_alloc(c->zone, slot, order, flags, pfn);
}

int quire_cache_alloc_contig(struct quire_cache *c, const struct quire_contig *want, uint32_t flags,
                             quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, quire_rack_cpu(c));
    int error = quire_zone_alloc_contig(c->zone, slot, want, flags, pfn);

    if (error != QUIRE_ERR_NO_MEMORY)
        return error;
    before_refusal(c, flags);
    return quire_zone_alloc_contig(c->zone, slot, want, flags, pfn);
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
