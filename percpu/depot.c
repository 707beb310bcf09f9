/* SPDX-License-Identifier: MIT
 *
 * depot.c - see depot.h. The only file that sees Concurrency Kit.
 *
 * ThreadSanitizer does not see the inline assembly of the stacks, so they are declared to it: a
 * node is released before the push and acquired after the pop, and the stacks themselves, which
 * read links speculatively, are not instrumented. Nor are they for clang's check of pointer
 * arithmetic: their version count is a pointer that starts at NULL and is added to.
 *
 * On machines other than x86 the push orders earlier stores, but not earlier loads, of the node:
 * the release fence before it does.
 */
#include <ck_cc.h>

#include "percpu/depot.h"

#ifdef QUIRE_TSAN
#include <sanitizer/tsan_interface.h>
#define STACK_SANITIZED "thread"
#else
#define __tsan_release(p) ((void)(p))
#define __tsan_acquire(p) ((void)(p))
#ifdef __clang__
#define STACK_SANITIZED "pointer-overflow"
#endif
#endif
#ifdef STACK_SANITIZED
#undef CK_CC_INLINE
#undef CK_CC_FORCE_INLINE
#define CK_CC_INLINE       CK_CC_UNUSED inline __attribute__((no_sanitize(STACK_SANITIZED)))
#define CK_CC_FORCE_INLINE CK_CC_INLINE
#endif
#include <ck_stack.h>

struct depot_half {
    ck_stack_entry_t link;
    uint32_t count;
    quire_pfn rounds[];
};

struct depot_stack {
    ck_stack_t stack __attribute__((aligned(16)));
    qa32 full;  /* D2 */
    qa32 least; /* D3 */
} __attribute__((aligned(64)));

struct depot {
    struct depot_stack full[DEPOT_CLASSES];
    struct depot_stack empty;
    uint32_t half;
};

static size_t depot_half_bytes(uint32_t half)
{
    return (sizeof(struct depot_half) + half * sizeof(quire_pfn) + 63) / 64 * 64;
}

/* How many bytes a depot of so many nodes takes. */
size_t qi_depot_bytes(uint32_t nodes, uint32_t half)
{
    return sizeof(struct depot) + nodes * depot_half_bytes(half);
}

static void depot_push(struct depot_stack *depot_stack, struct depot_half *node)
{
#if !defined(__x86_64__)
    qa_fence_seq_cst(); /* E-cpu-cache fence: earlier loads of the node before its next owner */
#endif
    __tsan_release(node);
    ck_stack_push_mpmc(&depot_stack->stack, &node->link);
}

static struct depot_half *depot_pop(struct depot_stack *depot_stack)
{
    /* The link is the first member. */
    void *node = ck_stack_pop_mpmc(&depot_stack->stack);

    if (node)
        __tsan_acquire(node);
    return (struct depot_half *)node;
}

/* Make a depot in zeroed memory. */
void qi_depot_init(struct depot *depot, uint32_t nodes, uint32_t half)
{
    unsigned char *at = (unsigned char *)(depot + 1);

    depot->half = half;
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        ck_stack_init(&depot->full[i].stack);
    ck_stack_init(&depot->empty.stack);
    for (uint32_t i = 0; i < nodes; i++) {
        void *node = at + i * depot_half_bytes(half);

        depot_push(&depot->empty, (struct depot_half *)node);
    }
}

/* Put n frames, at most half a magazine, into the depot. False: it is full. Lock-free. */
bool qi_depot_put(struct depot *depot, unsigned cls, const quire_pfn pfns[], uint32_t n)
{
    struct depot_half *node = depot_pop(&depot->empty);

    if (!node)
        return false;
    node->count = n;
    for (uint32_t i = 0; i < n; i++)
        node->rounds[i] = pfns[i];
    depot_push(&depot->full[cls], node);
    (void)qa_add(&depot->full[cls].full, 1, relaxed); /* relaxed: a hint */
    return true;
}

/* Get half a magazine of frames; how many they are, 0 if the depot has none. Lock-free. */
uint32_t qi_depot_get(struct depot *depot, unsigned cls, quire_pfn pfns[])
{
    struct depot_stack *depot_stack = &depot->full[cls];
    struct depot_half *node = depot_pop(depot_stack);
    uint32_t n, full;

    if (!node)
        return 0;
    full = qa_sub(&depot_stack->full, 1, relaxed) - 1;                  /* relaxed: a hint */
    if ((int32_t)full < (int32_t)qa_load(&depot_stack->least, relaxed)) /* relaxed: a hint */
        qa_store(&depot_stack->least, full, relaxed);                   /* relaxed: a hint */
    n = node->count;
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = node->rounds[i];
    depot_push(&depot->empty, node);
    return n;
}

/* How many full nodes were never needed since the last call. Starts the next interval. */
uint32_t qi_depot_unused(struct depot *depot, unsigned cls)
{
    struct depot_stack *depot_stack = &depot->full[cls];
    uint32_t full = qa_load(&depot_stack->full, relaxed);         /* relaxed: a hint */
    uint32_t least = qa_xchg(&depot_stack->least, full, relaxed); /* relaxed: a hint */

    if ((int32_t)full < 0 || (int32_t)least < 0)
        return 0;
    return least < full ? least : full;
}

/* About how many frames of a class the depot holds: full nodes hold `half` frames each. */
uint64_t qi_depot_frames(const struct depot *depot, unsigned cls)
{
    int32_t full = (int32_t)qa_load(&depot->full[cls].full, relaxed); /* relaxed: a figure */

    return full > 0 ? (uint32_t)full * (uint64_t)depot->half : 0;
}
