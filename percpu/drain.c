/* SPDX-License-Identifier: MIT
 *
 * drain.c - how frames get out of the caches: drains, and decay.
 *
 * The danger is an owner that is kept away from its CPU caches for as long as their frames take to
 * be flushed, a drain that waits for an owner, and one that stands still with all that a CPU has.
 * The protocol: a drain goes from CPU to CPU and passes by what is taken already. In exchange mode
 * it takes a CPU cache as an owner does, flushes it and puts it back before it takes the next one.
 * In rseq mode this works on the drainer's own CPU; for another one the kernel has to restart what
 * runs there (K3): one membarrier call for each such CPU that holds anything, after which its CPU
 * caches are taken together, the owner is let back, and only then they are flushed. That call waits
 * for the CPU to take an interrupt, not for what its threads do, and if the kernel refuses it the
 * CPU caches stay as they are.
 *
 * In local mode the drainer takes nothing: each CPU that holds anything is asked for it, all of
 * them first, and then made to answer by the port, the drainer's own too (ask.c).
 *
 *   while another CPU is drained, its    exchange mode     rseq mode             local mode
 *     pop and push                       finds it taken    restarted, then as    goes on; a push
 *                                                          left                  answers first
 *     refill, overflow                   finds it taken    the same              answers first
 *     drain by a third CPU               passes by         passes by             asks, too
 *   (what finds a CPU cache taken goes to the zone)
 *
 * Bounded: each CPU cache once, and of each shard and class as many halves as the depot has nodes.
 * Lock-free, any context but for the system call or the port's call, which a drain with
 * `no_syscall` does without.
 */
#include "core/layout.h"
#include "percpu/depot.h"
#include "percpu/fastpath.h"

enum { DENSITY_SAMPLES = 64 }; /* of a maintenance: some 5 microseconds */

/* Does a CPU cache hold anything, or its outgoing magazine? As currently read. */
static bool holds_rounds(const struct cpu_cache *r, bool out_only)
{
    return qa_load(&r->out, relaxed) > 0 || /* relaxed: a hint */
           (!out_only && cpu_cache_count(r) > 0);
}

/* Flush a CPU cache that was taken, or only its outgoing magazine, and put it back. */
static uint64_t flush_and_put(struct quire_cache *c, uint32_t cpu, unsigned cls, bool out_only)
{
    struct cpu_cache *r = cpu_cache_of(c, cpu, cls);
    uint64_t frames = qi_cpu_cache_flush(c, slot_of_cpu(c, cpu), cls, r, out_only);

    cpu_cache_put(r);
    return frames;
}

/* Steal another CPU's caches of these classes, all at once so that its owner is kept away once.
 * Returns which were got. */
static uint64_t steal_cpu_caches(const struct quire_cache *c, uint32_t cpu, uint64_t classes)
{
    uint64_t got = 0;

    if (!qi_cpu_caches_detach(c, cpu, classes))
        return 0;
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (classes & class_bit(i) && qi_cpu_cache_steal(cpu_cache_of(c, cpu, i)))
            got |= class_bit(i);
    qi_cpu_caches_attach(c, cpu, classes);
    return got;
}

/* Local mode: ask a CPU for what it holds, or only for the outgoing magazines of those that
 * out_only[] names. */
static void ask_for_rounds(const struct quire_cache *c, uint32_t cpu, const bool out_only[])
{
    uint64_t wanted = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (holds_rounds(cpu_cache_of(c, cpu, i), out_only[i]))
            wanted |= out_only[i] ? ask_flush_bit(i) : ask_drain_bit(i);
    if (wanted)
        qi_cpu_caches_ask(c, cpu, wanted);
}

/* Drain a CPU's caches, or only the outgoing magazines of those that out_only[] names. Where it
 * can, it has one in its hands at a time: what it has, a request that is to be refused does not
 * find. */
static uint64_t drain_cpu_caches(struct quire_cache *c, uint32_t cpu, bool no_syscall,
                                 const bool out_only[])
{
    uint64_t frames = 0, left = 0;

    if (c->mode == QUIRE_CACHE_LOCAL) {
        ask_for_rounds(c, cpu, out_only);
        return qi_cpu_caches_have_answered(c, cpu, no_syscall);
    }
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct cpu_cache *r = cpu_cache_of(c, cpu, i);

        if (!holds_rounds(r, out_only[i]))
            continue;
        if (qi_cpu_cache_take(c, r, cpu))
            frames += flush_and_put(c, cpu, i, out_only[i]);
        else
            left |= class_bit(i);
    }
    if (!left || c->mode != QUIRE_CACHE_RSEQ || no_syscall)
        return frames;
    left = steal_cpu_caches(c, cpu, left);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (left & class_bit(i))
            frames += flush_and_put(c, cpu, i, out_only[i]);
    return frames;
}

static const bool both_magazines[QUIRE_CACHE_CLASSES];

/* Drain all CPU caches and the depot. `no_syscall`: without a system call, or a call of the port;
 * the rest is left to a call that may wait (PR2 of pressure.c). */
void qi_cache_drain_whole(struct quire_cache *c, bool no_syscall)
{
    quire_slot slot = slot_of_cpu(c, cache_cpu(c));
    uint32_t drain_pending = no_syscall && c->mode != QUIRE_CACHE_EXCHANGE;

    if (qa_load(&c->state->drain_pending, relaxed) !=
        drain_pending) /* relaxed: only the word counts */
        qa_store(&c->state->drain_pending, drain_pending,
                 relaxed); /* relaxed: only the word counts */
    /* Local mode: while one CPU is waited for, the others may come to it. */
    for (uint32_t cpu = 0; cpu < c->cpus && c->mode == QUIRE_CACHE_LOCAL; cpu++)
        ask_for_rounds(c, cpu, both_magazines);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        (void)drain_cpu_caches(c, cpu, no_syscall, both_magazines);
    qi_depot_drain(c, slot);
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

/* As quire_cache_drain, for a CPU that goes away: in local mode its CPU caches are taken, as it
 * runs nothing else that uses them. */
int qi_cache_drain_retiring(struct quire_cache *c, uint32_t cpu)
{
    uint32_t mine = cpu - c->first_cpu;

    if (c->mode != QUIRE_CACHE_LOCAL || mine >= c->cpus)
        return quire_cache_drain(c, cpu);
    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++)
        if (qi_cpu_cache_steal(cpu_cache_of(c, mine, i)))
            (void)flush_and_put(c, mine, i, false);
    return QUIRE_OK;
}

int quire_cache_retire_cpu(struct quire_cache *c, uint32_t cpu)
{
    int error = qi_cache_drain_retiring(c, cpu);

    return error ? error : quire_zone_retire_slot(c->zone, slot_of_cpu(c, cpu - c->first_cpu));
}

/* What a CPU did not use since the last time is flushed; of the rest, the outgoing magazines.
 * *used: it may have used something; a CPU cache that holds something may have been, by hits that
 * cancel out. */
static uint64_t decay_cpu_caches(struct quire_cache *c, uint32_t cpu, bool *used)
{
    bool in_use[QUIRE_CACHE_CLASSES], any_in_use = false;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        struct cpu_cache *r = cpu_cache_of(c, cpu, i);

        in_use[i] = !cpu_cache_is_idle(r);
        any_in_use |= in_use[i];
        *used |= in_use[i] || holds_rounds(r, false);
    }
    /* In local mode a CPU in use comes to it by itself, and is not interrupted. */
    return drain_cpu_caches(c, cpu, c->mode == QUIRE_CACHE_LOCAL && any_in_use, in_use);
}

uint64_t quire_cache_maintain(struct quire_cache *c)
{
    quire_slot slot = slot_of_cpu(c, cache_cpu(c));
    uint64_t frames = 0;
    bool used = false;

    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        frames += decay_cpu_caches(c, cpu, &used);
    for (uint32_t cpu = 0; cpu < c->cpus; cpu++)
        for (unsigned i = 0; i < DEPOT_CLASSES; i++)
            frames += qi_depot_flush(c, slot, cpu, i, qi_depot_unused(c->state->depot, cpu, i));
    if (used)
        qi_density_sample(c, DENSITY_SAMPLES);
    qi_cache_follow_pressure(c, 0);
    return frames;
}
