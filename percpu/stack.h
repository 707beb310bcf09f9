/* SPDX-License-Identifier: MIT
 *
 * stack.h - a lock-free stack of nodes that live as long as it does. For the depot and the heap's
 * slabs.
 *
 * The danger is a pop that is late: it has read the top node and the node's link, and before it
 * exchanges the top for the link others pop that node, change the stack, and push the same node
 * again. The top is the same, the link is not (ABA). So the top has a version beside it, which
 * every pop moves, and both are exchanged at once.
 *
 * There are two of them, with one interface:
 *   - Concurrency Kit's, on x86-64: a pointer and a version, by the exchange of 16 bytes that every
 *     processor of today has.
 *   - our own, on all other machines, and wherever a tool has to see the accesses (ThreadSanitizer,
 *     Relacy and clang's analyzer know no inline assembly): a node's number and a version in
 *     one 64-bit word. There is no exchange of two words on riscv64 or i386, and on aarch64
 *     Concurrency Kit's push orders stores alone.
 *
 * E-depot: from a push (release) to the pop (acquire): what was written into the node, and that the
 * one who had the node before has read it.
 *
 * Any number may push and pop at once, from any context. A pop that reads a link which is stale
 * reads a node all the same; its exchange then fails. A late pop would have to be interrupted for
 * a multiple of 2^40 pops (2^64 with Concurrency Kit) to be deceived. Lock-free.
 */
#ifndef QUIRE_PERCPU_STACK_H
#define QUIRE_PERCPU_STACK_H

#include "core/atomic.h"

#include <stddef.h>

#if defined(__x86_64__) && !defined(QUIRE_TSAN) && !defined(QUIRE_RELACY) && \
    !defined(__clang_analyzer__)
#define QUIRE_STACK_CK 1
#endif

/* Where the nodes are: number n, from 1, begins at `first` + (n - 1) * `stride`. Each node's
 * `number` is set before it is pushed for the first time. A stack of zeros is empty. */
struct stack_nodes {
    unsigned char *first;
    size_t stride;
};

#ifdef QUIRE_STACK_CK

#include <ck_cc.h>

/* clang's check of pointer arithmetic does not suit it: its version is a pointer that starts at
 * NULL and is added to. */
#ifdef __clang__
#undef CK_CC_INLINE
#undef CK_CC_FORCE_INLINE
#define CK_CC_INLINE       CK_CC_UNUSED inline __attribute__((no_sanitize("pointer-overflow")))
#define CK_CC_FORCE_INLINE CK_CC_INLINE
#endif
#include <ck_stack.h>

#ifndef CK_F_STACK_POP_MPMC
#error "this ck_stack.h has no ck_stack_pop_mpmc (a pop that counts versions) for this machine"
#endif

struct stack_node {
    ck_stack_entry_t link;
    uint32_t number;
    uint32_t extra; /* for whoever has the nodes: stacks do not look at it */
};

struct stack {
    ck_stack_t top __attribute__((aligned(16))); /* cmpxchg16b faults on less */
};

/* Put a node there that is the caller's. */
static inline void stack_push(struct stack *stack, struct stack_node *node)
{
    ck_stack_push_mpmc(&stack->top, &node->link);
}

/* Take the node that was put there last. NULL: none. */
static inline struct stack_node *stack_pop(struct stack *stack, const struct stack_nodes *nodes)
{
    void *link = ck_stack_pop_mpmc(&stack->top); /* the first member */

    (void)nodes;
    return (struct stack_node *)link;
}

#else

struct stack_node {
    qa32 below; /* the number of the next node */
    uint32_t number;
    uint32_t extra; /* for whoever has the nodes: stacks do not look at it */
};

/* The top node's number in the low bits, 0 if there is none, and the version above. */
struct stack {
    qa64 top;
};

enum { STACK_NUMBER_BITS = 24 };

#define STACK_NUMBER  (((uint64_t)1 << STACK_NUMBER_BITS) - 1)
#define STACK_VERSION ((uint64_t)1 << STACK_NUMBER_BITS)

/* Put a node there that is the caller's. */
static inline void stack_push(struct stack *stack, struct stack_node *node)
{
    uint64_t top = qa_load(&stack->top, relaxed); /* relaxed: the exchange decides */

    do {
        /* relaxed: E-depot publishes it */
        qa_store(&node->below, (uint32_t)(top & STACK_NUMBER), relaxed);
        /* E-depot release: the node's content, and that it was read. Retries only when another
         * pushed or popped. */
    } while (!qa_cas(&stack->top, &top, (top & ~STACK_NUMBER) | node->number, release));
}

/* Take the node that was put there last. NULL: none. */
static inline struct stack_node *stack_pop(struct stack *stack, const struct stack_nodes *nodes)
{
    for (;;) {
        /* E-depot acquire: the node's link and content. */
        uint64_t top = qa_load(&stack->top, acquire), next;
        size_t number = (size_t)(top & STACK_NUMBER);
        struct stack_node *node;
        void *p;

        if (number == 0)
            return NULL;
        p = nodes->first + (number - 1) * nodes->stride;
        node = (struct stack_node *)p;
        /* relaxed: E-depot; another link than that of this version is not used, as the exchange
         * fails */
        next = ((top & ~STACK_NUMBER) + STACK_VERSION) | qa_load(&node->below, relaxed);
        /* relaxed: E-depot has what comes with this top; retries only when another pushed or popped
         */
        if (qa_cas(&stack->top, &top, next, relaxed))
            return node;
    }
}

#endif

#endif /* QUIRE_PERCPU_STACK_H */
