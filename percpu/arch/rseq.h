/* SPDX-License-Identifier: MIT
 *
 * rseq.h - the restartable sequences of rseq mode: push, pop and take of a CPU cache's magazines,
 * without a locked instruction. The C around them is here, their instructions are in the file of
 * the architecture.
 *
 * QUIRE_RSEQ is 1 for Linux processes with glibc on x86-64 and aarch64. Elsewhere (in a kernel, on
 * riscv64 and i386, under ThreadSanitizer, which cannot see the sections) it is 0 and nothing else
 * is here: caches are in exchange or local mode, and one that is asked for rseq mode is refused
 * (QUIRE_ERR_UNSUPPORTED). To add an architecture: its rseq_ARCH.h, and a line in the two places
 * below.
 *
 * The danger is a thread that is moved to another CPU, or interrupted, between reading a count and
 * writing it. The kernel restarts a section at its abort label when the thread was preempted,
 * migrated or got a signal between the section's start and its last store, which is the commit. So
 * a section sees and changes its CPU's cache as if nothing could come between, on that CPU; what
 * other CPUs do to the CPU cache is ordered by `detached` and by membarrier, which restarts running
 * sections (K3 of cpu_cache.h). glibc (2.35 and later) registers the thread's area; where it did
 * not, __rseq_size is 0.
 *
 * Push and pop find their CPU cache by the CPU number that they read inside the section, so it is
 * the number of the CPU that they run on; or a CPU cache that was found before, and whose number
 * they compare with that one. All check `present` and `detached` as one eight-byte word
 * that must read 1; where a load does not acquire by itself, by a load-acquire, as the CPU cache
 * may have been put back from another CPU (the other end of E-cpu-cache is in cpu_cache_put). A
 * section that gives up leaves the thread's area pointing at it, which means nothing to the kernel
 * once the thread is elsewhere.
 *
 * An architecture's file defines, as text of the assembler (labels 1: start, 2: behind the commit,
 * 3: the descriptor, 4: the abort):
 *   RSEQ_START, RSEQ_END   the section's descriptor and its arming; its abort
 *   RSEQ_FIND              this CPU's cache of a class, or to `slow`
 *   RSEQ_AT_START, RSEQ_AT   the same as the first and the third, of a CPU cache that was found
 *                          outside, or to `slow`: it is not this CPU's
 *   RSEQ_POP, RSEQ_PUSH, RSEQ_PUSH_OUT, RSEQ_TAKE   what comes then, up to the commit
 *   RSEQ_POP_TWO, RSEQ_PUSH_TWO   all of it, of rounds of two words (kernel-port/heap), where a
 *                          CPU's memory is found by a table, and the CPU cache is `at` bytes behind
 *                          it; the push's was found outside
 * and RSEQ_AREA, RSEQ_AREA_BY, RSEQ_CPU_CACHE, RSEQ_CPU_CACHE_OF and RSEQ_TABLE, which are
 * operands, RSEQ_SCRATCH, RSEQ_AT_SCRATCH, RSEQ_POP_TWO_SCRATCH and RSEQ_PUSH_TWO_SCRATCH, which
 * are the registers used up, rseq_area(), rseq_area_key(), rseq_cpu_by(), rseq_cpu_here(), and
 * rseq_cpu_wide().
 *
 * The interleaving tests have the sections as steps of a model (QUIRE_RSEQ_MODEL).
 */
#ifndef QUIRE_PERCPU_ARCH_RSEQ_H
#define QUIRE_PERCPU_ARCH_RSEQ_H

#include "percpu/cpu_cache.h"

#if defined(QUIRE_RSEQ_MODEL)
#define QUIRE_RSEQ 1
#elif defined(QUIRE_HOSTED) && defined(__linux__) && !defined(QUIRE_TSAN) && \
    (defined(__x86_64__) || defined(__aarch64__)) && __has_include(<sys/rseq.h>)
#define QUIRE_RSEQ 1
#else
#define QUIRE_RSEQ 0
#endif

/* What a take comes to: taken; it is taken already; restarted, or on another CPU by now. */
enum { RSEQ_DONE = 0, RSEQ_BUSY = 1, RSEQ_AGAIN = 2 };

#if QUIRE_RSEQ

#include <sys/rseq.h>

#ifdef QUIRE_RSEQ_MODEL
#include "stress/percpu/relacy/world/sections.hpp"
#else

#define RSEQ_TEXT(number)  #number
#define RSEQ_NUMBER(macro) RSEQ_TEXT(macro)
#define RSEQ_POP_TEXT      RSEQ_NUMBER(CPU_CACHE_POP_NUMBER)

/* The sections say these as numbers. */
_Static_assert(offsetof(struct cpu_cache, count) == 8, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, out) == 16, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, limit) == 20, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, half) == 24, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, rounds) == 64, "used by the sections");

#if defined(__x86_64__)
#include "percpu/arch/rseq_x86_64.h"
#elif defined(__aarch64__)
#include "percpu/arch/rseq_aarch64.h"
#else
#error "rseq mode has no sections for this architecture: QUIRE_RSEQ must be 0, for exchange mode"
#endif

/* Did glibc register the threads' areas? */
static inline bool rseq_is_registered(void)
{
    return __rseq_size > 0;
}

/* Pop a round of this CPU's cache of a class. False: not this way. */
static inline bool rseq_pop(const struct quire_cache *c, enum cache_class cls, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(RSEQ_START RSEQ_FIND RSEQ_POP RSEQ_END
                 : [v] "=&r"(v)
                 : RSEQ_AREA(c), RSEQ_CPU_CACHE(c, cls)
                 : "memory", "cc", RSEQ_SCRATCH
                 : slow, again);
    *round = v;
    return true;
slow:
again:
    return false;
}

/* Pop a round of the CPU cache r of CPU `cpu`, which was found outside, as the thread's area was
 * (rseq_area_key). False: not this way, perhaps because the caller runs on another CPU by now. */
static inline bool rseq_pop_at(int64_t key, struct cpu_cache *r, size_t cpu, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(RSEQ_AT_START RSEQ_AT RSEQ_POP RSEQ_END
                 : [v] "=&r"(v)
                 : RSEQ_AREA_BY(key), RSEQ_CPU_CACHE_OF(r, cpu)
                 : "memory", "cc", RSEQ_AT_SCRATCH
                 : slow, again);
    *round = v;
    return true;
slow:
again:
    return false;
}

/* Push a round likewise. */
static inline bool rseq_push_at(int64_t key, struct cpu_cache *r, size_t cpu, uint64_t round)
{
    __asm__ goto(RSEQ_AT_START RSEQ_AT RSEQ_PUSH RSEQ_END
                 :
                 : RSEQ_AREA_BY(key), RSEQ_CPU_CACHE_OF(r, cpu), [round] "r"(round)
                 : "memory", "cc", RSEQ_AT_SCRATCH
                 : slow, again);
    return true;
slow:
again:
    return false;
}

/* Push a round of two words (kernel-port/heap). */
static inline __attribute__((always_inline)) bool rseq_push_two_at(const struct quire_cache *c,
                                                                   struct cpu_cache *r,
                                                                   uint32_t cpu, uint64_t first,
                                                                   uint64_t second)
{
    __asm__ goto(
        RSEQ_START RSEQ_PUSH_TWO RSEQ_END
        :
        : RSEQ_AREA(c), [cpu_cache] "r"(r), [cpu] "r"(cpu), [first] "r"(first), [second] "r"(second)
        : "memory", "cc", RSEQ_PUSH_TWO_SCRATCH
        : slow, again);
    return true;
slow:
again:
    return false;
}

/* Push a round to this CPU's cache of a class. False: not this way. */
static inline bool rseq_push(const struct quire_cache *c, enum cache_class cls, uint64_t round)
{
    __asm__ goto(RSEQ_START RSEQ_FIND RSEQ_PUSH RSEQ_END
                 :
                 : RSEQ_AREA(c), RSEQ_CPU_CACHE(c, cls), [round] "r"(round)
                 : "memory", "cc", RSEQ_SCRATCH
                 : slow, again);
    return true;
slow:
again:
    return false;
}

/* The same to the outgoing magazine: of half the size, behind the loaded one. */
static inline bool rseq_push_out(const struct quire_cache *c, enum cache_class cls, uint64_t round)
{
    __asm__ goto(RSEQ_START RSEQ_FIND RSEQ_PUSH_OUT RSEQ_END
                 :
                 : RSEQ_AREA(c), RSEQ_CPU_CACHE(c, cls), [round] "r"(round)
                 : "memory", "cc", RSEQ_SCRATCH
                 : slow, again);
    return true;
slow:
again:
    return false;
}

/* Take the CPU cache r of CPU `cpu`. */
static inline int rseq_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    __asm__ goto(RSEQ_START RSEQ_TAKE RSEQ_END
                 :
                 : RSEQ_AREA(c), [cpu] "r"(cpu), [cpu_cache] "r"(r)
                 : "memory", "cc", RSEQ_SCRATCH
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_BUSY;
again:
    return RSEQ_AGAIN;
}

#endif /* QUIRE_RSEQ_MODEL */

/* The number of the CPU: byte 4 of the thread's area. */
static inline uint32_t rseq_cpu(const char *area)
{
    const void *cpu = area + 4;

    return *(const volatile uint32_t *)cpu; /* the kernel changes it under the thread */
}

/* The CPU that the caller runs on, of a cache in rseq mode. */
static inline uint32_t rseq_cache_cpu(const struct quire_cache *c)
{
    return rseq_cpu(rseq_area()) - c->first_cpu;
}

#endif /* QUIRE_RSEQ */

#endif /* QUIRE_PERCPU_ARCH_RSEQ_H */
