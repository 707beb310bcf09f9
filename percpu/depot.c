/* SPDX-License-Identifier: MIT
 *
 * depot.c - see depot.h.
 */
#include "percpu/depot.h"
#include "percpu/stack.h"

struct depot_half {
    struct stack_node node;
    uint32_t count;
    quire_pfn rounds[];
};

struct depot_stack {
    struct stack stack;
    qa32 full;  /* D2 */
    qa32 least; /* D3 */
} __attribute__((aligned(64)));

struct depot {
    struct depot_stack full[DEPOT_CLASSES];
    struct depot_stack empty;
    struct stack_nodes nodes;
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

static void depot_push(struct depot_stack *depot_stack, struct depot_half *half)
{
    stack_push(&depot_stack->stack, &half->node);
}

static struct depot_half *depot_pop(const struct depot *depot, struct depot_stack *depot_stack)
{
    /* The node is the first member. */
    void *node = stack_pop(&depot_stack->stack, &depot->nodes);

    return (struct depot_half *)node;
}

/* Take a full node; the caller empties it. */
static struct depot_half *take_full(struct depot *depot, unsigned cls)
{
    struct depot_stack *depot_stack = &depot->full[cls];
    struct depot_half *node = depot_pop(depot, depot_stack);
    uint32_t full;

    if (!node)
        return NULL;
    full = qa_sub(&depot_stack->full, 1, relaxed) - 1;                  /* relaxed: a hint */
    if ((int32_t)full < (int32_t)qa_load(&depot_stack->least, relaxed)) /* relaxed: a hint */
        qa_store(&depot_stack->least, full, relaxed);                   /* relaxed: a hint */
    return node;
}

/* Make a depot in zeroed memory. */
void qi_depot_init(struct depot *depot, uint32_t nodes, uint32_t half)
{
    depot->half = half;
    depot->nodes.first = (unsigned char *)(depot + 1);
    depot->nodes.stride = depot_half_bytes(half);
    for (uint32_t i = 0; i < nodes; i++) {
        void *p = depot->nodes.first + i * depot->nodes.stride;
        struct depot_half *node = (struct depot_half *)p;

        node->node.number = i + 1;
        depot_push(&depot->empty, node);
    }
}

/* Put n rounds, at most half a magazine of frames, into the depot. False: it is full. Lock-free. */
bool qi_depot_put(struct depot *depot, unsigned cls, const quire_pfn pfns[], uint32_t n)
{
    struct depot_half *node = depot_pop(depot, &depot->empty);

    qi_assert(n <= depot->half);
    if (!node)
        return false;
    node->count = n;
    for (uint32_t i = 0; i < n; i++)
        node->rounds[i] = pfns[i];
    depot_push(&depot->full[cls], node);
    (void)qa_add(&depot->full[cls].full, 1, relaxed); /* relaxed: a hint */
    return true;
}

/* Get half a magazine; how many rounds they are, 0 if the depot has none. Lock-free. */
uint32_t qi_depot_get(struct depot *depot, unsigned cls, quire_pfn pfns[])
{
    struct depot_half *node = take_full(depot, cls);
    uint32_t n;

    if (!node)
        return 0;
    n = node->count;
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = node->rounds[i];
    depot_push(&depot->empty, node);
    return n;
}

/* The same, to be looked at where they are until they are given back, which empties the node. NULL:
 * the depot has none. Lock-free. */
const quire_pfn *qi_depot_hold(struct depot *depot, unsigned cls, uint32_t *n)
{
    struct depot_half *node = take_full(depot, cls);

    if (!node)
        return NULL;
    *n = node->count;
    return node->rounds;
}

void qi_depot_emptied(struct depot *depot, const quire_pfn *rounds)
{
    uintptr_t node = (uintptr_t)rounds - offsetof(struct depot_half, rounds);

    depot_push(&depot->empty, (struct depot_half *)node);
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

/* About how many full nodes of a class the depot holds: of half a magazine each. */
uint32_t qi_depot_full(const struct depot *depot, unsigned cls)
{
    int32_t full = (int32_t)qa_load(&depot->full[cls].full, relaxed); /* relaxed: a figure */

    return full > 0 ? (uint32_t)full : 0;
}
