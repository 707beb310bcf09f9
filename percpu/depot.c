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

struct quire_half {
    ck_stack_entry_t link;
    uint32_t count;
    quire_pfn rounds[];
};

struct side {
    ck_stack_t stack __attribute__((aligned(16)));
    qa32 full;  /* D2 */
    qa32 least; /* D3 */
} __attribute__((aligned(64)));

struct quire_depot {
    struct side full[DEPOT_CLASSES];
    struct side empty;
    uint32_t half;
};

static size_t node_bytes(uint32_t half)
{
    return (sizeof(struct quire_half) + half * sizeof(quire_pfn) + 63) / 64 * 64;
}

/* How many bytes a depot of so many nodes takes. */
size_t quire_depot_bytes(uint32_t nodes, uint32_t half)
{
    return sizeof(struct quire_depot) + nodes * node_bytes(half);
}

static void push(struct side *side, struct quire_half *node)
{
#if !defined(__x86_64__)
    qa_fence_seq_cst(); /* S1 fence: pairs S1: earlier loads of the node before its next owner */
#endif
    __tsan_release(node);
    ck_stack_push_mpmc(&side->stack, &node->link);
}

static struct quire_half *pop(struct side *side)
{
    /* The link is the first member. */
    void *node = ck_stack_pop_mpmc(&side->stack);

    if (node)
        __tsan_acquire(node);
    return (struct quire_half *)node;
}

/* Make a depot in zeroed memory. */
void quire_depot_init(struct quire_depot *depot, uint32_t nodes, uint32_t half)
{
    unsigned char *at = (unsigned char *)(depot + 1);

    depot->half = half;
    for (unsigned i = 0; i < DEPOT_CLASSES; i++)
        ck_stack_init(&depot->full[i].stack);
    ck_stack_init(&depot->empty.stack);
    for (uint32_t i = 0; i < nodes; i++) {
        void *node = at + i * node_bytes(half);

        push(&depot->empty, (struct quire_half *)node);
    }
}

/* Put n frames, at most half a magazine, into the depot. False: it is full. Lock-free. */
bool quire_depot_give(struct quire_depot *depot, unsigned rack, const quire_pfn pfns[], uint32_t n)
{
    struct quire_half *node = pop(&depot->empty);

    if (!node)
        return false;
    node->count = n;
    for (uint32_t i = 0; i < n; i++)
        node->rounds[i] = pfns[i];
    push(&depot->full[rack], node);
    (void)qa_add(&depot->full[rack].full, 1, relaxed); /* relaxed: a hint */
    return true;
}

/* Get half a magazine of frames; how many they are, 0 if the depot has none. Lock-free. */
uint32_t quire_depot_get(struct quire_depot *depot, unsigned rack, quire_pfn pfns[])
{
    struct side *side = &depot->full[rack];
    struct quire_half *node = pop(side);
    uint32_t n, full;

    if (!node)
        return 0;
    full = qa_sub(&side->full, 1, relaxed) - 1;                  /* relaxed: a hint */
    if ((int32_t)full < (int32_t)qa_load(&side->least, relaxed)) /* relaxed: a hint */
        qa_store(&side->least, full, relaxed);                   /* relaxed: a hint */
    n = node->count;
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = node->rounds[i];
    push(&depot->empty, node);
    return n;
}

/* How many full nodes were never needed since the last call. Starts the next interval. */
uint32_t quire_depot_unused(struct quire_depot *depot, unsigned rack)
{
    struct side *side = &depot->full[rack];
    uint32_t full = qa_load(&side->full, relaxed);         /* relaxed: a hint */
    uint32_t least = qa_xchg(&side->least, full, relaxed); /* relaxed: a hint */

    if ((int32_t)full < 0 || (int32_t)least < 0)
        return 0;
    return least < full ? least : full;
}

/* About how many frames of a class the depot holds: full nodes hold `half` frames each. */
uint64_t quire_depot_frames(const struct quire_depot *depot, unsigned rack)
{
    int32_t full = (int32_t)qa_load(&depot->full[rack].full, relaxed); /* relaxed: a figure */

    return full > 0 ? (uint32_t)full * (uint64_t)depot->half : 0;
}
