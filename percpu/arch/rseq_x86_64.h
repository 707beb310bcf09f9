/* SPDX-License-Identifier: MIT
 *
 * rseq_x86_64.h - the instructions of the sections on x86-64. For rseq.h alone, which says what
 * they are. The thread's area is at %fs plus its offset; the section's CPU cache is in rax.
 */
#ifndef QUIRE_PERCPU_ARCH_RSEQ_X86_64_H
#define QUIRE_PERCPU_ARCH_RSEQ_X86_64_H

/* The thread's area: cpu_id at byte 4, rseq_cs at byte 8. */
static inline char *rseq_area(void)
{
    char *thread;

    __asm__("movq %%fs:0, %0" : "=r"(thread));
    return thread + __rseq_offset;
}

/* The number of the CPU that the caller runs on, of a cache in rseq mode. */
static inline uint32_t rseq_cpu_here(const struct quire_cache *c)
{
    uint32_t cpu;

    __asm__ volatile("movl %%fs:4(%1), %0" : "=r"(cpu) : "r"(c->rseq_offset));
    return cpu;
}

/* What finds the thread's area in a section: its offset from the thread pointer. */
static inline int64_t rseq_area_key(void)
{
    return __rseq_offset;
}

/* The number of the CPU by that, as wide as an address, for which no instruction is needed. */
static inline size_t rseq_cpu_by(int64_t key)
{
    size_t cpu;

    __asm__ volatile("movl %%fs:4(%1), %k0" : "=r"(cpu) : "r"(key));
    return cpu;
}

/* The same, of a cache in rseq mode. */
static inline size_t rseq_cpu_wide(const struct quire_cache *c)
{
    return rseq_cpu_by(c->rseq_offset);
}

/* clang-format off */
#define RSEQ_SCRATCH "rax", "r8", "r9"
#define RSEQ_AREA(c) [offset] "r"((c)->rseq_offset)
#define RSEQ_AREA_BY(key) [offset] "r"(key)
#define RSEQ_CPU_CACHE(c, cls)                                                                     \
    [first] "m"((c)->first_cpu), [cpus] "m"((c)->cpus), [stride] "m"((c)->cpu_stride),             \
        [cpu_caches] "m"((c)->cpu_caches[cls])

#define RSEQ_START RSEQ_START_WITH("rax")
#define RSEQ_START_WITH(scratch)                                                                   \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                                           \
    ".balign 32\n\t"                                                                               \
    "3:\n\t"                                                                                       \
    ".long 0, 0\n\t"                                                                               \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                                    \
    ".popsection\n\t"                                                                              \
    "leaq 3b(%%rip), %%" scratch "\n\t"                                                            \
    "movq %%" scratch ", %%fs:8(%[offset])\n\t"                                                    \
    "1:\n\t"
#define RSEQ_FIND                                                                                  \
    "movl %%fs:4(%[offset]), %%eax\n\t"                                                            \
    "subl %[first], %%eax\n\t"                                                                     \
    "cmpl %[cpus], %%eax\n\t"                                                                      \
    "jae %l[slow]\n\t"                                                                             \
    "imulq %[stride], %%rax\n\t"                                                                   \
    "addq %[cpu_caches], %%rax\n\t"                                                                \
    "cmpq $1, (%%rax)\n\t"                                                                         \
    "jne %l[slow]\n\t"
/* The CPU cache that was found is in rax from the beginning. */
#define RSEQ_AT_SCRATCH "r8"
#define RSEQ_AT_START   RSEQ_START_WITH("r8")
#define RSEQ_CPU_CACHE_OF(r, number) "a"(r), [cpu] "r"(number)
#define RSEQ_AT                                                                                    \
    "cmpl %k[cpu], %%fs:4(%[offset])\n\t"                                                          \
    "jne %l[slow]\n\t"                                                                             \
    "cmpq $1, (%%rax)\n\t"                                                                         \
    "jne %l[slow]\n\t"
/* The abort is preceded by the signature that the kernel asks for. */
#define RSEQ_END                                                                                   \
    "2:\n\t"                                                                                       \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                                      \
    ".byte 0x0f, 0xb9, 0x3d\n\t"                                                                   \
    ".long 0x53053053\n\t"                                                                         \
    "4:\n\t"                                                                                       \
    "jmp %l[again]\n\t"                                                                            \
    ".popsection\n\t"

#define RSEQ_POP                                                                                   \
    "movzwl 8(%%rax), %%r8d\n\t"                                                                   \
    "subl $1, %%r8d\n\t"                                                                           \
    "jb %l[slow]\n\t"                                                                              \
    "movq 64(%%rax,%%r8,8), %[v]\n\t"                                                              \
    "addq $" RSEQ_POP_TEXT ", 8(%%rax)\n\t"
#define RSEQ_PUSH                                                                                  \
    "movzwl 8(%%rax), %%r8d\n\t"                                                                   \
    "cmpl 20(%%rax), %%r8d\n\t"                                                                    \
    "jae %l[slow]\n\t"                                                                             \
    "movq %[round], 64(%%rax,%%r8,8)\n\t"                                                          \
    "addq $1, 8(%%rax)\n\t"
/* With few registers, so that a function that is no more than this need not save any. The count is
 * loaded as wide as it is stored, and stored from where it was loaded to: what waits for that
 * store is the next section. */
#define RSEQ_TABLE(p, offset, number) [base] "r"(p), [table] "i"(offset), [cpus] "m"(number)
#define RSEQ_POP_TWO_SCRATCH  "rax"
#define RSEQ_PUSH_TWO_SCRATCH "rax"
#define RSEQ_POP_TWO                                                                               \
    "movl %%fs:4(%[offset]), %%eax\n\t"                                                            \
    "cmpq %[cpus], %%rax\n\t"                                                                      \
    "jae %l[slow]\n\t"                                                                             \
    "movq %c[table](%[base],%%rax,8), %[cpu_cache]\n\t"                                            \
    "addq %[at], %[cpu_cache]\n\t"                                                                 \
    "cmpq $1, (%[cpu_cache])\n\t"                                                                  \
    "jne %l[slow]\n\t"                                                                             \
    "movq 8(%[cpu_cache]), %%rax\n\t"                                                              \
    "subq $2, %%rax\n\t"                                                                           \
    "jb %l[slow]\n\t"                                                                              \
    "movq 64(%[cpu_cache],%%rax,8), %[first]\n\t"                                                  \
    "movq 72(%[cpu_cache],%%rax,8), %[second]\n\t"                                                 \
    "movq %%rax, 8(%[cpu_cache])\n\t"
#define RSEQ_PUSH_TWO                                                                              \
    "cmpl %[cpu], %%fs:4(%[offset])\n\t"                                                           \
    "jne %l[slow]\n\t"                                                                             \
    "cmpq $1, (%[cpu_cache])\n\t"                                                                  \
    "jne %l[slow]\n\t"                                                                             \
    "movq 8(%[cpu_cache]), %%rax\n\t"                                                              \
    "cmpl 20(%[cpu_cache]), %%eax\n\t"                                                             \
    "jae %l[slow]\n\t"                                                                             \
    "movq %[first], 64(%[cpu_cache],%%rax,8)\n\t"                                                  \
    "movq %[second], 72(%[cpu_cache],%%rax,8)\n\t"                                                 \
    "addq $2, %%rax\n\t"                                                                           \
    "movq %%rax, 8(%[cpu_cache])\n\t"
#define RSEQ_PUSH_OUT                                                                              \
    "movl 16(%%rax), %%r9d\n\t"                                                                    \
    "leal (%%r9,%%r9), %%r8d\n\t"                                                                  \
    "cmpl 20(%%rax), %%r8d\n\t"                                                                    \
    "jae %l[slow]\n\t"                                                                             \
    "movzwl 24(%%rax), %%r8d\n\t"                                                                  \
    "leal (%%r9,%%r8,2), %%r8d\n\t"                                                                \
    "movq %[round], 64(%%rax,%%r8,8)\n\t"                                                          \
    "addl $1, %%r9d\n\t"                                                                           \
    "movl %%r9d, 16(%%rax)\n\t"
#define RSEQ_TAKE                                                                                  \
    "cmpl %[cpu], %%fs:4(%[offset])\n\t"                                                           \
    "jne %l[again]\n\t"                                                                            \
    "cmpq $1, (%[cpu_cache])\n\t"                                                                  \
    "jne %l[slow]\n\t"                                                                             \
    "movl $0, (%[cpu_cache])\n\t"
/* clang-format on */

#endif /* QUIRE_PERCPU_ARCH_RSEQ_X86_64_H */
