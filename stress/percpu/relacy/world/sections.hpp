/* SPDX-License-Identifier: MIT
 *
 * sections.hpp - the restartable sequences of percpu/arch/rseq.h, and the CPUs that they depend on,
 * as Relacy explores them: percpu/arch/rseq.h includes this file when QUIRE_RSEQ_MODEL is defined.
 *
 * A section has the accesses of its machine code, in their order, each a step; where two
 * architectures differ the weaker one counts (aarch64: the count that the commit stores was read by
 * the load before). `present` and `detached` are one access. Before each access the section is
 * given up, as the kernel jumps to the abort label, if something came between it and the one
 * before:
 *
 *   another thread's step on the CPU, or one of the thread's interrupts
 *   the thread's move to another CPU
 *   a membarrier for the CPU
 *   nothing that the test sees: the scheduler, as often as the case says
 *
 * What the kernel orders is told to Relacy: all that ran on a CPU comes before what runs there
 * next, and a membarrier comes behind what ran on its CPU, and before what runs there after it, the
 * other way round too. So a section has no fences and needs none but for `present` and `detached`.
 *
 * Not here are the sections that numa and the heap have for themselves (_at, _two_at). That the
 * instructions are those of the model is read, not searched; that they are restarted at each of
 * them is stress/percpu/stepped.
 */
#ifndef QUIRE_STRESS_PERCPU_RELACY_SECTIONS_HPP
#define QUIRE_STRESS_PERCPU_RELACY_SECTIONS_HPP

#include "percpu/cpu_cache.h"

/* ---- For percpu/arch/rseq.h and the sources ---- */

static inline bool rseq_is_registered()
{
    return true;
}

/* The area of the running thread: the number of its CPU at byte 4. */
char *rseq_area();

bool rseq_pop(const struct quire_cache *c, enum cache_class cls, uint64_t *round);
bool rseq_push(const struct quire_cache *c, enum cache_class cls, uint64_t round);
bool rseq_push_out(const struct quire_cache *c, enum cache_class cls, uint64_t round);
int rseq_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu);

/* As syscall() of membarrier. */
long sections_membarrier(long number, int command, int flags, int cpu);

/* ---- For the world ---- */

/* What comes from outside, in an execution. */
struct SectionEvents {
    unsigned restarts; /* of sections, by the scheduler */
    unsigned moves;    /* of thread 0 to CPU 1 */
    unsigned refusals; /* of membarrier: the kernel is out of memory */
};

/* No thread runs yet, or none any more: whoever calls is on this CPU. */
void sections_outside(uint32_t cpu);

/* The threads start, each on its CPU. */
void sections_start(const uint32_t cpus[], const SectionEvents &events);

/* The running thread comes to a step (Scenario::at_step); an interrupt comes. */
void sections_at_step();
void sections_interrupted();

/* The CPU of the running thread. */
uint32_t sections_cpu();

#endif /* QUIRE_STRESS_PERCPU_RELACY_SECTIONS_HPP */
