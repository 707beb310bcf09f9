/* SPDX-License-Identifier: MIT
 *
 * rseq_aarch64.h - the instructions of the sections on aarch64. For rseq.h alone, which says what
 * they are. The section's CPU cache is in x9, read by a load-acquire.
 */
#ifndef QUIRE_PERCPU_ARCH_RSEQ_AARCH64_H
#define QUIRE_PERCPU_ARCH_RSEQ_AARCH64_H

/* The thread's area: cpu_id at byte 4, rseq_cs at byte 8. */
static inline char *rseq_area(void)
{
    return (char *)__builtin_thread_pointer() + __rseq_offset;
}

/* The number of the CPU that the caller runs on, of a cache in rseq mode. */
static inline uint32_t rseq_cpu_here(const struct quire_cache *c)
{
    const void *cpu = rseq_area() + 4;

    (void)c;
    return *(const volatile uint32_t *)cpu; /* the kernel changes it under the thread */
}

static inline size_t rseq_cpu_wide(const struct quire_cache *c)
{
    return rseq_cpu_here(c);
}

/* What finds the thread's area in a section: its address. */
static inline int64_t rseq_area_key(void)
{
    return (int64_t)(uintptr_t)rseq_area();
}

/* The number of the CPU by that. */
static inline size_t rseq_cpu_by(int64_t key)
{
    return *(const volatile uint32_t *)(uintptr_t)(key + 4); /* the kernel changes it */
}

/* clang-format off */
#define RSEQ_SCRATCH "x9", "x10", "x11", "x12"
#define RSEQ_AREA(c) [area] "r"((void)(c), rseq_area())
#define RSEQ_AREA_BY(key) [area] "r"(key)
#define RSEQ_CPU_CACHE(c, cls)                                                                     \
    [first] "r"((c)->first_cpu), [cpus] "r"((c)->cpus), [stride] "r"((c)->cpu_stride),             \
        [cpu_caches] "r"((c)->cpu_caches[cls])

#define RSEQ_START                                                                                 \
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
#define RSEQ_FIND                                                                                  \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "sub w9, w9, %w[first]\n\t"                                                                    \
    "cmp w9, %w[cpus]\n\t"                                                                         \
    "b.hs %l[slow]\n\t"                                                                            \
    "madd x9, x9, %[stride], %[cpu_caches]\n\t"                                                    \
    "ldar x10, [x9]\n\t"                                                                           \
    "cmp x10, #1\n\t"                                                                              \
    "b.ne %l[slow]\n\t"
#define RSEQ_AT_SCRATCH RSEQ_SCRATCH
#define RSEQ_AT_START   RSEQ_START
#define RSEQ_CPU_CACHE_OF(r, number) [cpu_cache] "r"(r), [cpu] "r"(number)
#define RSEQ_AT                                                                                    \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "cmp w9, %w[cpu]\n\t"                                                                          \
    "b.ne %l[slow]\n\t"                                                                            \
    "mov x9, %[cpu_cache]\n\t"                                                                     \
    "ldar x10, [x9]\n\t"                                                                           \
    "cmp x10, #1\n\t"                                                                              \
    "b.ne %l[slow]\n\t"
/* The abort is preceded by the signature that the kernel asks for. */
#define RSEQ_END                                                                                   \
    "2:\n\t"                                                                                       \
    "b 5f\n\t"                                                                                     \
    ".inst 0xd428bc00\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "b %l[again]\n\t"                                                                              \
    "5:\n\t"

#define RSEQ_POP                                                                                   \
    "ldr x10, [x9, #8]\n\t"                                                                        \
    "ands w11, w10, #0xffff\n\t"                                                                   \
    "b.eq %l[slow]\n\t"                                                                            \
    "sub w11, w11, #1\n\t"                                                                         \
    "add x12, x9, #64\n\t"                                                                         \
    "ldr %[v], [x12, w11, uxtw #3]\n\t"                                                            \
    "mov x11, #" RSEQ_POP_TEXT "\n\t"                                                              \
    "add x10, x10, x11\n\t"                                                                        \
    "str x10, [x9, #8]\n\t"
#define RSEQ_PUSH                                                                                  \
    "ldr x10, [x9, #8]\n\t"                                                                        \
    "and w12, w10, #0xffff\n\t"                                                                    \
    "ldr w11, [x9, #20]\n\t"                                                                       \
    "cmp w12, w11\n\t"                                                                             \
    "b.hs %l[slow]\n\t"                                                                            \
    "add x11, x9, #64\n\t"                                                                         \
    "str %[round], [x11, w12, uxtw #3]\n\t"                                                        \
    "add x10, x10, #1\n\t"                                                                         \
    "str x10, [x9, #8]\n\t"
#define RSEQ_TABLE(p, offset, number)                                                              \
    [table] "r"((const unsigned char *)(p) + (offset)), [cpus] "r"(number)
#define RSEQ_POP_TWO_SCRATCH  RSEQ_SCRATCH
#define RSEQ_PUSH_TWO_SCRATCH RSEQ_SCRATCH
#define RSEQ_POP_TWO                                                                               \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "cmp x9, %[cpus]\n\t"                                                                          \
    "b.hs %l[slow]\n\t"                                                                            \
    "ldr %[cpu_cache], [%[table], x9, lsl #3]\n\t"                                                 \
    "add %[cpu_cache], %[cpu_cache], %[at]\n\t"                                                    \
    "ldar x10, [%[cpu_cache]]\n\t"                                                                 \
    "cmp x10, #1\n\t"                                                                              \
    "b.ne %l[slow]\n\t"                                                                            \
    "ldr x10, [%[cpu_cache], #8]\n\t"                                                              \
    "cbz x10, %l[slow]\n\t"                                                                        \
    "add x9, %[cpu_cache], x10, lsl #3\n\t"                                                        \
    "ldp %[first], %[second], [x9, #48]\n\t"                                                       \
    "sub x10, x10, #2\n\t"                                                                         \
    "str x10, [%[cpu_cache], #8]\n\t"
#define RSEQ_PUSH_TWO                                                                              \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "cmp w9, %w[cpu]\n\t"                                                                          \
    "b.ne %l[slow]\n\t"                                                                            \
    "ldar x10, [%[cpu_cache]]\n\t"                                                                 \
    "cmp x10, #1\n\t"                                                                              \
    "b.ne %l[slow]\n\t"                                                                            \
    "ldr x10, [%[cpu_cache], #8]\n\t"                                                              \
    "ldr w11, [%[cpu_cache], #20]\n\t"                                                             \
    "cmp w10, w11\n\t"                                                                             \
    "b.hs %l[slow]\n\t"                                                                            \
    "add x9, %[cpu_cache], x10, lsl #3\n\t"                                                        \
    "stp %[first], %[second], [x9, #64]\n\t"                                                       \
    "add x10, x10, #2\n\t"                                                                         \
    "str x10, [%[cpu_cache], #8]\n\t"
#define RSEQ_PUSH_OUT                                                                              \
    "ldr w10, [x9, #16]\n\t"                                                                       \
    "ldr w11, [x9, #20]\n\t"                                                                       \
    "cmp w11, w10, lsl #1\n\t"                                                                     \
    "b.ls %l[slow]\n\t"                                                                            \
    "ldrh w11, [x9, #24]\n\t"                                                                      \
    "add w11, w10, w11, lsl #1\n\t"                                                                \
    "add x12, x9, #64\n\t"                                                                         \
    "str %[round], [x12, w11, uxtw #3]\n\t"                                                        \
    "add w10, w10, #1\n\t"                                                                         \
    "str w10, [x9, #16]\n\t"
#define RSEQ_TAKE                                                                                  \
    "ldr w9, [%[area], #4]\n\t"                                                                    \
    "cmp w9, %w[cpu]\n\t"                                                                          \
    "b.ne %l[again]\n\t"                                                                           \
    "ldar x9, [%[cpu_cache]]\n\t"                                                                  \
    "cmp x9, #1\n\t"                                                                               \
    "b.ne %l[slow]\n\t"                                                                            \
    "str wzr, [%[cpu_cache]]\n\t"
/* clang-format on */

#endif /* QUIRE_PERCPU_ARCH_RSEQ_AARCH64_H */
