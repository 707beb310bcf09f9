/* SPDX-License-Identifier: MIT
 *
 * ask.c - local mode: what other CPUs ask of the owner of CPU caches, and how it answers.
 *
 * In local mode only a CPU's own calls write its `present` words (K8 of cpu_cache.h), so that no
 * locked instruction is needed for them. Whoever wants frames out of another CPU's caches sets bits
 * in the `asked` word of that CPU's view, a bit for each class: drain it, or flush its outgoing
 * magazine. The owner sees the word at its next free, refill, overflow or batch, or when the port
 * has it call quire_cache_answer. To answer is, for each class that was asked for: take the CPU
 * cache, clear the bits, flush, put back.
 *
 * The danger is a bit that is cleared though the asker's wish is not met: by an answer that looked
 * before the asker did its part, or beside a push that the answer interrupted.
 *
 *   A1  Bits are set by any CPU, and cleared by the owner alone while it has the CPU cache.
 *   A2  So when bits are seen cleared, no push of the class was under way on that CPU at that
 *       moment; pushes of before are in the figures that the asker reads then, and pushes after it
 *       see what the asker did before it asked (E-asked, both ways): limits of 0.
 *   A3  Rounds that were pushed before the bits were set are flushed: the clearing read the asker's
 *       write, and the flush comes after it.
 *   A4  What an answer finds taken, by the call that it interrupted, stays asked for.
 *
 *                  hit    ask    answer   retire
 *   hit             n      X       n        -
 *   ask                    X       X        X
 *   answer                         n        -
 *
 * (X: may run side by side; n: one inside the other, on one CPU; -: the caller of retire sees to it
 * that they do not.) Nothing waits here; what the port's `ask_drain` does is the port's.
 *
 * Bounded: an answer takes each class's CPU cache once. Lock-free, any context.
 */
#include "percpu/fastpath.h"

static uint64_t asked_of(const struct quire_cache *c, uint32_t cpu)
{
    return qa_load(&views_of(c)[cpu].asked, relaxed); /* relaxed: a hint; clearing orders */
}

/* Frames that a CPU cache holds which this asks for, as currently read. */
static uint64_t frames_asked(const struct quire_cache *c, uint32_t cpu, uint64_t asked)
{
    uint64_t frames = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES; i++) {
        const struct cpu_cache *r = cpu_cache_of(c, cpu, i);
        uint32_t rounds = 0;

        if (asked & (ask_drain_bit(i) | ask_flush_bit(i)))
            rounds += qa_load(&r->out, relaxed); /* relaxed: a figure */
        if (asked & ask_drain_bit(i))
            rounds += cpu_cache_count(r);
        frames += rounds * frames_per_round(i);
    }
    return frames;
}

/* Ask a CPU for something, any number of bits. */
void qi_cpu_caches_ask(const struct quire_cache *c, uint32_t cpu, uint64_t wanted)
{
    qi_assert(c->mode == QUIRE_CACHE_LOCAL && wanted);
    (void)qa_or(&views_of(c)[cpu].asked, wanted, release); /* E-asked release: the limits */
}

/* Answer what is asked of CPU `cpu`, on which the caller runs and stays. Returns frames freed. */
uint64_t qi_cpu_caches_answer(const struct quire_cache *c, uint32_t cpu)
{
    struct cpu_view *s = views_of(c) + cpu;
    uint64_t asked = asked_of(c, cpu);
    uint64_t frames = 0;

    for (unsigned i = 0; i < QUIRE_CACHE_CLASSES && asked; i++) {
        struct cpu_cache *r = cpu_cache_of(c, cpu, i);
        uint64_t bits = asked & (ask_drain_bit(i) | ask_flush_bit(i));

        if (!bits || !cpu_cache_claim(r, true)) /* A4 */
            continue;
        /* E-asked acquire: what the asker did; E-asked release: what was pushed (A1 to A3) */
        (void)qa_and(&s->asked, ~bits, acq_rel);
        if (frames_asked(c, cpu, bits) > 0) /* or the cache may be closed, its zone gone (K7) */
            frames += qi_cpu_cache_flush(c, slot_of_cpu(c, cpu), i, r, !(bits & ask_drain_bit(i)));
        cpu_cache_put(r);
    }
    return frames;
}

/* Have a CPU answer, or see to it that it will. `quiet`: by no call of the port. False: it is
 * offline. */
static bool have_answered(const struct quire_cache *c, uint32_t cpu, bool quiet)
{
    const struct quire_port *port = &c->zone->port;

    if (port->ask_drain && !quiet)
        return port->ask_drain(port->ctx, c->first_cpu + cpu);
    if (cpu == cache_cpu(c))
        (void)qi_cpu_caches_answer(c, cpu);
    return true;
}

/* The same, if anything is asked of it. Returns about how many frames that freed. */
uint64_t qi_cpu_caches_have_answered(const struct quire_cache *c, uint32_t cpu, bool quiet)
{
    uint64_t asked = asked_of(c, cpu);
    uint64_t before, after;

    if (!asked)
        return 0;
    before = frames_asked(c, cpu, asked);
    (void)have_answered(c, cpu, quiet);
    after = frames_asked(c, cpu, asked);
    return before > after ? before - after : 0;
}

/* For who closes the cache, the limits being 0: have a CPU's caches emptied by their owner. True:
 * they are empty, and stay so. A CPU that is offline sees the limits when it comes back. */
bool qi_cpu_caches_ask_to_empty(const struct quire_cache *c, uint32_t cpu)
{
    uint64_t asked;
    bool online;

    qi_cpu_caches_ask(c, cpu, ASK_DRAIN_ALL);
    online = have_answered(c, cpu, false);
    asked = qa_load(&views_of(c)[cpu].asked, acquire); /* E-asked acquire: pushes of before (A2) */
    return !(online && asked & ASK_DRAIN_ALL) && frames_asked(c, cpu, ASK_DRAIN_ALL) == 0;
}

void quire_cache_answer(struct quire_cache *c)
{
    uint32_t cpu;

    if (c->mode != QUIRE_CACHE_LOCAL)
        return;
    cpu = cache_cpu(c);
    if (cpu < c->cpus)
        (void)qi_cpu_caches_answer(c, cpu);
}
