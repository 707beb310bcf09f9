/* SPDX-License-Identifier: MIT
 *
 * rseq.h - the restartable sequences of rseq mode: push, pop and take of a CPU cache's magazines,
 * without a locked instruction. Linux, x86-64 and aarch64, in a process with glibc; elsewhere
 * QUIRE_RSEQ is 0.
 *
 * The kernel restarts a section at its abort label when the thread was preempted, migrated or got a
 * signal between the section's start and its last store, which is the commit. So a section sees and
 * changes its CPU's cache as if nothing could come between, on that CPU; what other CPUs do to the
 * CPU cache is ordered by `detached` and by membarrier, which restarts running sections (K3 of
 * cpu_cache.h). glibc (2.35 and later) registers the thread's area; where it did not, the size is
 * 0.
 *
 * Push and pop find their CPU cache by the CPU number that they read inside the section, so it is
 * the number of the CPU that they run on. All check `present` and `detached` as one eight-byte word
 * that must read 1; on aarch64 by a load-acquire, as the CPU cache may have been put back from
 * another CPU (on x86 every load is one: the other end of E-cpu-cache is in cpu_cache_put). A
 * section that lets go leaves the thread's area pointing at it, which means nothing to the kernel
 * once the thread is elsewhere.
 */
#ifndef QUIRE_PERCPU_ARCH_RSEQ_H
#define QUIRE_PERCPU_ARCH_RSEQ_H

#include "percpu/cpu_cache.h"

#if defined(QUIRE_HOSTED) && defined(__linux__) && !defined(QUIRE_TSAN) && \
    (defined(__x86_64__) || defined(__aarch64__)) && __has_include(<sys/rseq.h>)
#define QUIRE_RSEQ 1
#else
#define QUIRE_RSEQ 0
#endif

/* What a take comes to: taken; it is somebody's already; restarted, or on another CPU by now. */
enum { RSEQ_DONE = 0, RSEQ_BUSY = 1, RSEQ_AGAIN = 2 };

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

#define RSEQ_TEXT(number)  #number
#define RSEQ_NUMBER(macro) RSEQ_TEXT(macro)
#define RSEQ_POP_TEXT      RSEQ_NUMBER(CPU_CACHE_POP_NUMBER)

/* The sections say these as numbers. */
_Static_assert(offsetof(struct cpu_cache, count) == 8, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, out) == 16, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, limit) == 20, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, half) == 24, "used by the sections");
_Static_assert(offsetof(struct cpu_cache, rounds) == 64, "used by the sections");

/* clang-format off */
#if defined(__x86_64__)

#define RSEQ_SECTION_START                                                                         \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n\t"                                                                               \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    "leaq 3b(%%rip), %%rax\n\t"                                                                    \
    "movq %%rax, %%fs:8(%[offset])\n\t"                                                            \
    "1:\n\t"
/* rax = this CPU's cache, in place */
#define RSEQ_SECTION_FIND                                                                          \
    "movl %%fs:4(%[offset]), %%eax\n\t"                                                            \
    "subl %[first], %%eax\n\t"                                                                     \
    "cmpl %[cpus], %%eax\n\t"                                                                      \
    "jae %l[slow]\n\t"                                                                             \
    "imulq %[stride], %%rax\n\t"                                                                   \
    "addq %[cpu_caches], %%rax\n\t"                                                                \
    "cmpq $1, (%%rax)\n\t"                                                                         \
    "jne %l[slow]\n\t"
#define RSEQ_SECTION_END                                                                           \
    "2:\n\t"                                                                                       \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                                      \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long 0x53053053\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "jmp %l[again]\n\t"                                                                            \
    ".popsection\n\t"
#define RSEQ_SECTION_INPUTS                                                                        \
    [offset] "r"(c->rseq_offset), [first] "m"(c->first_cpu), [cpus] "m"(c->cpus),                  \
        [stride] "m"(c->cpu_stride), [cpu_caches] "m"(c->cpu_caches[cls])

/* Pop a round of this CPU's cache of a class. False: not this way. */
static inline bool rseq_pop(const struct quire_cache *c, unsigned cls, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "movzwl 8(%%rax), %%ecx\n\t"
                 "subl $1, %%ecx\n\t"
                 "jb %l[slow]\n\t"
                 "movq 64(%%rax,%%rcx,8), %[v]\n\t"
                 "addq $" RSEQ_POP_TEXT ", 8(%%rax)\n\t"
                 RSEQ_SECTION_END
                 : [v] "=&r"(v)
                 : RSEQ_SECTION_INPUTS
                 : "memory", "cc", "rax", "rcx"
                 : slow, again);
    *round = v;
    return true;
slow:
again:
    return false;
}

/* Push a round to this CPU's cache of a class. False: not this way. */
static inline bool rseq_push(const struct quire_cache *c, unsigned cls, uint64_t round)
{
    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "movzwl 8(%%rax), %%ecx\n\t"
                 "cmpl 20(%%rax), %%ecx\n\t"
                 "jae %l[slow]\n\t"
                 "movq %[round], 64(%%rax,%%rcx,8)\n\t"
                 "addq $1, 8(%%rax)\n\t"
                 RSEQ_SECTION_END
                 :
                 : RSEQ_SECTION_INPUTS, [round] "r"(round)
                 : "memory", "cc", "rax", "rcx"
                 : slow, again);
    return true;
slow:
again:
    return false;
}

/* The same to the outgoing magazine: of half the size, behind the loaded one. */
static inline bool rseq_push_out(const struct quire_cache *c, unsigned cls, uint64_t round)
{
    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "movl 16(%%rax), %%edx\n\t"
                 "leal (%%rdx,%%rdx), %%ecx\n\t"
                 "cmpl 20(%%rax), %%ecx\n\t"
                 "jae %l[slow]\n\t"
                 "movl 24(%%rax), %%ecx\n\t"
                 "leal (%%rdx,%%rcx,2), %%ecx\n\t"
                 "movq %[round], 64(%%rax,%%rcx,8)\n\t"
                 "addl $1, %%edx\n\t"
                 "movl %%edx, 16(%%rax)\n\t"
                 RSEQ_SECTION_END
                 :
                 : RSEQ_SECTION_INPUTS, [round] "r"(round)
                 : "memory", "cc", "rax", "rcx", "rdx"
                 : slow, again);
    return true;
slow:
again:
    return false;
}

/* Take the CPU cache r of CPU `cpu`. */
static inline int rseq_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    __asm__ goto(RSEQ_SECTION_START
                 "cmpl %[cpu], %%fs:4(%[offset])\n\t"
                 "jne %l[again]\n\t"
                 "cmpq $1, (%[cls])\n\t"
                 "jne %l[slow]\n\t"
                 "movl $0, (%[cls])\n\t"
                 RSEQ_SECTION_END
                 :
                 : [offset] "r"(c->rseq_offset), [cpu] "r"(cpu), [cls] "r"(r)
                 : "memory", "cc", "rax"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_BUSY;
again:
    return RSEQ_AGAIN;
}

#else /* aarch64 */

#define RSEQ_SECTION_START                                                                         \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n\t"                                                                               \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    "adrp x9, 3b\n\t"                                                                              \
    "add x9, x9, :lo12:3b\n\t"                                                                     \
    "str x9, [%[area], #8]\n\t"                                                                    \
    "1:\n\t"
/* x9 = this CPU's cache, in place */
#define RSEQ_SECTION_FIND                                                                          \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "sub w9, w9, %w[first]\n\t"                                                                    \
    "cmp w9, %w[cpus]\n\t"                                                                         \
    "b.hs %l[slow]\n\t"                                                                            \
    "madd x9, x9, %[stride], %[cpu_caches]\n\t"                                                    \
    "ldar x10, [x9]\n\t"                                                                           \
    "cmp x10, #1\n\t"                                                                              \
    "b.ne %l[slow]\n\t"
#define RSEQ_SECTION_END                                                                           \
    "2:\n\t"                                                                                       \
    "b 5f\n\t"                                                                                     \
    ".inst 0xd428bc00\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "b %l[again]\n\t"                                                                              \
    "5:\n\t"
#define RSEQ_SECTION_INPUTS                                                                        \
    [area] "r"(rseq_area()), [first] "r"(c->first_cpu), [cpus] "r"(c->cpus),                       \
        [stride] "r"(c->cpu_stride), [cpu_caches] "r"(c->cpu_caches[cls])

static inline bool rseq_pop(const struct quire_cache *c, unsigned cls, uint64_t *round)
{
    uint64_t v;

    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "ldr x10, [x9, #8]\n\t"
                 "ands w11, w10, #0xffff\n\t"
                 "b.eq %l[slow]\n\t"
                 "sub w11, w11, #1\n\t"
                 "add x12, x9, #64\n\t"
                 "ldr %[v], [x12, w11, uxtw #3]\n\t"
                 "mov x11, #" RSEQ_POP_TEXT "\n\t"
                 "add x10, x10, x11\n\t"
                 "str x10, [x9, #8]\n\t"
                 RSEQ_SECTION_END
                 : [v] "=&r"(v)
                 : RSEQ_SECTION_INPUTS
                 : "memory", "cc", "x9", "x10", "x11", "x12"
                 : slow, again);
    *round = v;
    return true;
slow:
again:
    return false;
}

static inline bool rseq_push(const struct quire_cache *c, unsigned cls, uint64_t round)
{
    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "ldr x10, [x9, #8]\n\t"
                 "and w12, w10, #0xffff\n\t"
                 "ldr w11, [x9, #20]\n\t"
                 "cmp w12, w11\n\t"
                 "b.hs %l[slow]\n\t"
                 "add x11, x9, #64\n\t"
                 "str %[round], [x11, w12, uxtw #3]\n\t"
                 "add x10, x10, #1\n\t"
                 "str x10, [x9, #8]\n\t"
                 RSEQ_SECTION_END
                 :
                 : RSEQ_SECTION_INPUTS, [round] "r"(round)
                 : "memory", "cc", "x9", "x10", "x11", "x12"
                 : slow, again);
    return true;
slow:
again:
    return false;
}

static inline bool rseq_push_out(const struct quire_cache *c, unsigned cls, uint64_t round)
{
    __asm__ goto(RSEQ_SECTION_START
                 RSEQ_SECTION_FIND
                 "ldr w10, [x9, #16]\n\t"
                 "ldr w11, [x9, #20]\n\t"
                 "cmp w11, w10, lsl #1\n\t"
                 "b.ls %l[slow]\n\t"
                 "ldr w11, [x9, #24]\n\t"
                 "add w11, w10, w11, lsl #1\n\t"
                 "add x12, x9, #64\n\t"
                 "str %[round], [x12, w11, uxtw #3]\n\t"
                 "add w10, w10, #1\n\t"
                 "str w10, [x9, #16]\n\t"
                 RSEQ_SECTION_END
                 :
                 : RSEQ_SECTION_INPUTS, [round] "r"(round)
                 : "memory", "cc", "x9", "x10", "x11", "x12"
                 : slow, again);
    return true;
slow:
again:
    return false;
}

static inline int rseq_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu)
{
    (void)c;
    __asm__ goto(RSEQ_SECTION_START
                 "ldr w9, [%[area], #4]\n\t"
                 "cmp w9, %w[cpu]\n\t"
                 "b.ne %l[again]\n\t"
                 "ldar x9, [%[cls]]\n\t"
                 "cmp x9, #1\n\t"
                 "b.ne %l[slow]\n\t"
                 "str wzr, [%[cls]]\n\t"
                 RSEQ_SECTION_END
                 :
                 : [area] "r"(rseq_area()), [cpu] "r"(cpu), [cls] "r"(r)
                 : "memory", "cc", "x9"
                 : slow, again);
    return RSEQ_DONE;
slow:
    return RSEQ_BUSY;
again:
    return RSEQ_AGAIN;
}

#endif /* aarch64 */
/* clang-format on */
#endif /* QUIRE_RSEQ */

#endif /* QUIRE_PERCPU_ARCH_RSEQ_H */
