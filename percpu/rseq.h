/* SPDX-License-Identifier: MIT
 *
 * rseq.h - the restartable sequences of rseq mode: push, pop and take of a rack's magazines, without
 * a locked instruction. Linux, x86-64 and aarch64, in a process; elsewhere QUIRE_RSEQ is 0.
 *
 * The kernel restarts a section at its abort label when the thread was preempted, migrated or got a
 * signal between the section's start and its last store, which is the commit. So a section sees and
 * changes its CPU's rack as if nothing could come between, on that CPU; what other CPUs do to the
 * rack is ordered by `detached` and by membarrier, which restarts running sections (K3 of rack.h).
 * glibc (2.35 and later) registers the thread's area; where it did not, the size is 0.
 *
 * Each section checks the CPU, then `present` and `detached` as one eight-byte word that must read
 * 1; on aarch64 by a load-acquire, as the rack may have been put back from another CPU (on x86
 * every load is one: pairs P1 in quire_rack_put).
 *
 * Results: RSEQ_DONE, RSEQ_SLOW (the rack is taken, empty or full), RSEQ_AGAIN (restarted, or on
 * another CPU by now).
 */
#ifndef QUIRE_PERCPU_RSEQ_H
#define QUIRE_PERCPU_RSEQ_H

#include "percpu/rack.h"

#if defined(QUIRE_HOSTED) && defined(__linux__) && !defined(QUIRE_TSAN) &&                         \
    (defined(__x86_64__) || defined(__aarch64__))
#define QUIRE_RSEQ 1
#else
#define QUIRE_RSEQ 0
#endif

enum { RSEQ_DONE = 0, RSEQ_SLOW = 1, RSEQ_AGAIN = 2 };

#if QUIRE_RSEQ

#include <sys/rseq.h>

/* The thread's area: cpu_id at byte 4, rseq_cs at byte 8. */
static inline char *rseq_area(void)
{
    char *thread;

#if defined(__x86_64__)
    __asm__("movq %%fs:0, %0" : "=r"(thread));
#else
    thread = (char *)__builtin_thread_pointer();
#endif
    return thread + __rseq_offset;
}

static inline uint32_t rseq_cpu(const char *area)
{
    const void *cpu = area + 4;

    return *(const volatile uint32_t *)cpu; /* the kernel changes it under the thread */
}

/* Offsets of struct quire_rack that the sections use. */
#define RACK_COUNT  8
#define RACK_LIMIT  16
#define RACK_ROUNDS 64
_Static_assert(offsetof(struct quire_rack, count) == RACK_COUNT, "used by the sections");
_Static_assert(offsetof(struct quire_rack, limit) == RACK_LIMIT, "used by the sections");
_Static_assert(offsetof(struct quire_rack, rounds) == RACK_ROUNDS, "used by the sections");

#if defined(__x86_64__)

/* clang-format off */
#define SECTION_START                                                                              \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n\t"                                                                               \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    "leaq 3b(%%rip), %%rax\n\t"                                                                    \
    "movq %%rax, 8(%[area])\n\t"                                                                   \
    "1:\n\t"                                                                                       \
    "cmpl %[cpu], 4(%[area])\n\t"                                                                  \
    "jne %l[again]\n\t"                                                                            \
    "cmpq $1, (%[rack])\n\t"                                                                       \
    "jne %l[slow]\n\t"
#define SECTION_END                                                                                \
    "2:\n\t"                                                                                       \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                                      \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long 0x53053053\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "jmp %l[again]\n\t"                                                                            \
    ".popsection\n\t"
/* clang-format on */

static inline int rseq_pop(struct quire_rack *r, char *area, uint32_t cpu, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(SECTION_START
                 "movl 8(%[rack]), %%ecx\n\t"
                 "subl $1, %%ecx\n\t"
                 "jb %l[slow]\n\t"
                 "movq 64(%[rack],%%rcx,8), %[v]\n\t"
                 "movl %%ecx, 8(%[rack])\n\t"
                 SECTION_END
                 : [v] "=&r"(v)
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r)
                 : "memory", "cc", "rax", "rcx"
                 : slow, again);
    *round = v;
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

/* Push to the magazine whose count is at `count` and whose rounds are at `rounds`. */
static inline int rseq_push(struct quire_rack *r, char *area, uint32_t cpu, void *count,
                            uint32_t limit, void *rounds, uint64_t round)
{
    __asm__ goto(SECTION_START
                 "movl (%[count]), %%ecx\n\t"
                 "cmpl %[limit], %%ecx\n\t"
                 "jae %l[slow]\n\t"
                 "movq %[round], (%[rounds],%%rcx,8)\n\t"
                 "addl $1, %%ecx\n\t"
                 "movl %%ecx, (%[count])\n\t"
                 SECTION_END
                 :
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r), [count] "r"(count),
                   [limit] "r"(limit), [rounds] "r"(rounds), [round] "r"(round)
                 : "memory", "cc", "rax", "rcx"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

static inline int rseq_take(struct quire_rack *r, char *area, uint32_t cpu)
{
    __asm__ goto(SECTION_START
                 "movl $0, (%[rack])\n\t"
                 SECTION_END
                 :
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r)
                 : "memory", "cc", "rax"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

#else /* aarch64 */

/* clang-format off */
#define SECTION_START                                                                              \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n\t"                                                                               \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    "adrp x9, 3b\n\t"                                                                              \
    "add x9, x9, :lo12:3b\n\t"                                                                     \
    "str x9, [%[area], #8]\n\t"                                                                    \
    "1:\n\t"                                                                                       \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "cmp w9, %w[cpu]\n\t"                                                                          \
    "b.ne %l[again]\n\t"                                                                           \
    "ldar x9, [%[rack]]\n\t"                                                                       \
    "cmp x9, #1\n\t"                                                                               \
    "b.ne %l[slow]\n\t"
#define SECTION_END                                                                                \
    "2:\n\t"                                                                                       \
    "b 5f\n\t"                                                                                     \
    ".inst 0xd428bc00\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "b %l[again]\n\t"                                                                              \
    "5:\n\t"
/* clang-format on */

static inline int rseq_pop(struct quire_rack *r, char *area, uint32_t cpu, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(SECTION_START
                 "ldr w9, [%[rack], #8]\n\t"
                 "cbz w9, %l[slow]\n\t"
                 "sub w9, w9, #1\n\t"
                 "add x10, %[rack], #64\n\t"
                 "ldr %[v], [x10, w9, uxtw #3]\n\t"
                 "str w9, [%[rack], #8]\n\t"
                 SECTION_END
                 : [v] "=&r"(v)
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r)
                 : "memory", "cc", "x9", "x10"
                 : slow, again);
    *round = v;
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

static inline int rseq_push(struct quire_rack *r, char *area, uint32_t cpu, void *count,
                            uint32_t limit, void *rounds, uint64_t round)
{
    __asm__ goto(SECTION_START
                 "ldr w9, [%[count]]\n\t"
                 "cmp w9, %w[limit]\n\t"
                 "b.hs %l[slow]\n\t"
                 "str %[round], [%[rounds], w9, uxtw #3]\n\t"
                 "add w9, w9, #1\n\t"
                 "str w9, [%[count]]\n\t"
                 SECTION_END
                 :
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r), [count] "r"(count),
                   [limit] "r"(limit), [rounds] "r"(rounds), [round] "r"(round)
                 : "memory", "cc", "x9"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

static inline int rseq_take(struct quire_rack *r, char *area, uint32_t cpu)
{
    __asm__ goto(SECTION_START
                 "str wzr, [%[rack]]\n\t"
                 SECTION_END
                 :
                 : [area] "r"(area), [cpu] "r"(cpu), [rack] "r"(r)
                 : "memory", "cc", "x9"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_SLOW;
again:
    return RSEQ_AGAIN;
}

#endif /* aarch64 */
#endif /* QUIRE_RSEQ */

#endif /* QUIRE_PERCPU_RSEQ_H */
