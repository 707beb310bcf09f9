/* SPDX-License-Identifier: MIT
 *
 * drain.c - how frames get out of the caches, and around them: drains, decay, and what is done
 * before a request is refused.
 *
 * A drain goes from CPU to CPU, and keeps only the one away from its CPU caches whose turn it is,
 * and only until they are in the drainer's hands: what they hold goes home afterwards. It passes by
 * CPU caches that are in somebody's hands already. In exchange mode it takes them like anybody; in
 * rseq mode this works on the drainer's own CPU, and for another one the kernel has to restart what
 * runs there: one membarrier call for each such CPU that holds anything. It waits for that CPU to
 * take an interrupt, not for what its threads do, and if the kernel refuses it the CPU caches stay
 * as they are.
 *
 * Bounded: each CPU cache once, each depot node once. Lock-free, any context but for the system
 * call, which a calm drain does without.
 */
#include "core/layout.h"
#include "percpu/depot.h"

enum { DENSITY_SAMPLES = 64 }; /* of a maintenance: some 5 microseconds */

/* Did nobody use the CPU cache since the last time this was asked? What every use changes, in 32
 * bits: if they agree by chance a CPU cache in use is drained and pays a refill. */
static bool cpu_cache_is_idle(struct cpu_cache *r)
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

/* Does a CPU cache hold anything, or its outgoing magazine, by a look? */
static bool holds_rounds(const struct cpu_cache *r, bool out_only)
{
    return qa_load(&r->out, relaxed) > 0 || /* relaxed: a look */
           (!out_only && cpu_cache_count(r) > 0);
}

/* Take those of a CPU's caches that mine[] asks for; afterwards it says which they are. */
static void take_cpu_caches(const struct quire_cache *c, uint32_t cpu, bool no_syscall, bool mine[])
{
    bool asked[QUIRE_CACHE_CLASSES], left = false;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        asked[i] = mine[i];
        mine[i] = asked[i] && qi_cpu_cache_take(c, cpu_cache_of(c, cpu, i), cpu);
        left |= asked[i] && !mine[i];
    }
    if (!left || c->mode != QUIRE_CACHE_RSEQ || no_syscall || !qi_cpu_caches_detach(c, cpu))
        return;
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (asked[i] && !mine[i])
            mine[i] = qi_cpu_cache_steal(cpu_cache_of(c, cpu, i));
    qi_cpu_caches_attach(c, cpu);
}

/* Drain a CPU's caches, or only the outgoing magazines of those that out_only[] names. */
static uint64_t drain_cpu_caches(struct quire_cache *c, uint32_t cpu, bool no_syscall,
                                 const bool out_only[])
{
    bool mine[QUIRE_CACHE_CLASSES];
    uint64_t frames = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        mine[i] = holds_rounds(cpu_cache_of(c, cpu, i), out_only[i]);
    take_cpu_caches(c, cpu, no_syscall, mine);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (mine[i]) {
            struct cpu_cache *r = cpu_cache_of(c, cpu, i);

            frames += qi_cpu_cache_flush(c, slot_of_cpu(c, cpu), i, r, out_only[i]);
            cpu_cache_put(r);
        }
    return frames;
}

static const bool both_magazines[QUIRE_CACHE_CLASSES];

/* Drain all CPU caches and the depot; `no_syscall`: without a system call, and ask for the rest of
 * it to be done by somebody who may wait (PR2 of pressure.c). */
void qi_cache_drain_whole(struct quire_cache *c, bool no_syscall)
{
    quire_slot slot = slot_of_cpu(c, qi_cache_cpu(c));
    uint32_t drain_pending = no_syscall && c->mode == QUIRE_CACHE_RSEQ;

    if (qa_load(&c->state->drain_pending, relaxed) !=
        drain_pending) /* relaxed: only the word counts */
        qa_store(&c->state->drain_pending, drain_pending,
                 relaxed); /* relaxed: only the word counts */
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        (void)drain_cpu_caches(c, cpu, no_syscall, both_magazines);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        (void)qi_depot_flush(c, slot, i, c->depot_nodes);
}

int quire_cache_drain(struct quire_cache *c, uint32_t cpu)
{
    uint32_t mine = cpu - c->first_cpu;

    if (mine >= c->cpus)
        return QUIRE_ERR_SIZE;
    (void)drain_cpu_caches(c, mine, false, both_magazines);
    return QUIRE_OK;
}

int quire_cache_drain_all(struct quire_cache *c)
{
    qi_cache_drain_whole(c, false);
    return QUIRE_OK;
}

int quire_cache_retire_cpu(struct quire_cache *c, uint32_t cpu)
{
    int error = quire_cache_drain(c, cpu);

    return error ? error : quire_zone_retire_slot(c->zone, slot_of_cpu(c, cpu - c->first_cpu));
}

/* What a CPU did not use since the last time goes home; of the rest, what waits to do so. *used: it
 * may have used something; a CPU cache that holds something may have been, by hits that cancel out.
 * */
static uint64_t decay_cpu_caches(struct quire_cache *c, uint32_t cpu, bool *used)
{
    bool in_use[QUIRE_CACHE_CLASSES];

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct cpu_cache *r = cpu_cache_of(c, cpu, i);

        in_use[i] = !cpu_cache_is_idle(r);
        *used |= in_use[i] || holds_rounds(r, false);
    }
    return drain_cpu_caches(c, cpu, false, in_use);
}

uint64_t quire_cache_maintain(struct quire_cache *c)
{
    quire_slot slot = slot_of_cpu(c, qi_cache_cpu(c));
    uint64_t frames = 0;
    bool used = false;

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        frames += decay_cpu_caches(c, cpu, &used);
    for (unsigned i = 0; i < DEPOT_CLASSES; i++) {
        uint32_t unused = qi_depot_unused(c->state->depot, i);

        if (unused)
            frames += qi_depot_flush(c, slot, i, unused);
    }
    if (used)
        qi_density_sample(c, DENSITY_SAMPLES);
    qi_cache_follow_pressure(c, 0);
    return frames;
}

/* ---- Around the caches ---------------------------------------------------------------------- */

/* The zone refused a request: drain the caches, as far as the request permits. */
static void drain_before_refusal(struct quire_cache *c, uint32_t flags)
{
    qi_cache_drain_whole(c, flags & QUIRE_NO_CALLBACK);
}

/* The zone refused a run: drain, and ask it once more. */
int qi_cache_drain_and_alloc(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    drain_before_refusal(c, flags);
    return quire_zone_alloc(c->zone, slot_of_cpu(c, qi_cache_cpu(c)), order, flags, pfn);
}

int quire_cache_alloc_contig(struct quire_cache *c, const struct quire_contig *want, uint32_t flags,
                             quire_pfn *pfn)
{
    quire_slot slot = slot_of_cpu(c, qi_cache_cpu(c));
    int error = quire_zone_alloc_contig(c->zone, slot, want, flags, pfn);

    if (error != QUIRE_ERR_NO_MEMORY)
        return error;
    drain_before_refusal(c, flags);
    return quire_zone_alloc_contig(c->zone, slot, want, flags, pfn);
}

/* The hardened build noticed that a frame may not be freed. */
int qi_cache_report_bad_free(struct quire_cache *c, quire_pfn pfn, int error)
{
    const struct quire_port *port = &c->zone->port;

    (void)qa_add(&c->state->bad_frees, 1, relaxed); /* relaxed: a statistic */
    if (port->report)
        port->report(port->ctx, c->zone, QUIRE_REPORT_BAD_FREE, pfn, error);
    return error;
}
