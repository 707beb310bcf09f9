/* SPDX-License-Identifier: MIT
 *
 * depot.c - see depot.h.
 */
#include "percpu/depot.h"
#include "percpu/stack.h"

struct depot_half {
    struct stack_node node;
    uint32_t shard; /* D1: by its CPU; only who has the node reads or writes it */
    uint32_t count;
    quire_pfn rounds[];
};

/* A class's part of a shard, half a line: a CPU that exchanges with this one moves the line that
 * the two mobilities of an order share, and that of the empty nodes. */
struct depot_class {
    struct stack full_ones;
    qa32 full;  /* D2 */
    qa32 least; /* D3 */
    qa32 dry;   /* D4 */
} __attribute__((aligned(32)));

struct depot_shard {
    struct depot_class of_class[DEPOT_CLASSES];
    struct stack empty_ones __attribute__((aligned(64)));
    qa32 refused; /* D5 */
} __attribute__((aligned(64)));

struct depot {
    struct stack_nodes nodes;
    uint32_t shards; /* a CPU each */
    uint32_t half;
    uint32_t patience; /* D4 */
    struct depot_shard of_cpu[];
};

static size_t depot_half_bytes(uint32_t half)
{
    return (sizeof(struct depot_half) + half * sizeof(quire_pfn) + 63) / 64 * 64;
}

/* How many bytes a depot of so many nodes takes. */
size_t qi_depot_bytes(uint32_t cpus, uint32_t nodes, uint32_t half)
{
    return sizeof(struct depot) + cpus * sizeof(struct depot_shard) +
           nodes * depot_half_bytes(half);
}

static struct depot_class *class_of(struct depot *depot, uint32_t cpu, unsigned cls)
{
    return &depot->of_cpu[cpu].of_class[cls];
}

static struct depot_half *depot_pop(const struct depot *depot, struct stack *stack)
{
    void *node = stack_pop(stack, &depot->nodes); /* the first member */

    return (struct depot_half *)node;
}

static void push_empty(struct depot *depot, struct depot_half *half)
{
    stack_push(&depot->of_cpu[half->shard].empty_ones, &half->node);
}

/* Take a full node of a shard; the caller empties it. NULL: it has none, and is not written. */
static struct depot_half *take_full(struct depot *depot, uint32_t cpu, unsigned cls)
{
    struct depot_class *k = class_of(depot, cpu, cls);
    struct depot_half *half = depot_pop(depot, &k->full_ones);
    uint32_t full;

    if (!half)
        return NULL;
    full = qa_sub(&k->full, 1, relaxed) - 1;                  /* relaxed: a hint */
    if ((int32_t)full < (int32_t)qa_load(&k->least, relaxed)) /* relaxed: a hint */
        qa_store(&k->least, full, relaxed);                   /* relaxed: a hint */
    return half;
}

/* The shard to ask after that of `cpu`: in a ring, so back at one's own all were asked. */
static uint32_t next_shard(const struct depot *depot, uint32_t cpu)
{
    return cpu + 1 < depot->shards ? cpu + 1 : 0;
}

/* Make a depot in zeroed memory. */
void qi_depot_init(struct depot *depot, uint32_t cpus, uint32_t nodes, uint32_t half,
                   uint32_t patience)
{
    depot->shards = cpus;
    depot->half = half;
    depot->patience = patience;
    depot->nodes.first = (unsigned char *)(depot->of_cpu + cpus);
    depot->nodes.stride = depot_half_bytes(half);
    for (uint32_t i = 0; i < nodes; i++) {
        void *p = depot->nodes.first + i * depot->nodes.stride;
        struct depot_half *node = (struct depot_half *)p;

        node->node.number = i + 1;
        node->shard = i % cpus;
        push_empty(depot, node);
    }
}

/* An empty node for a CPU, of its shard from now on. NULL: there is none for it (D5). */
static struct depot_half *take_empty(struct depot *depot, uint32_t cpu)
{
    struct depot_shard *shard = &depot->of_cpu[cpu];
    struct depot_half *half = depot_pop(depot, &shard->empty_ones);
    uint32_t refused;

    if (half)
        return half;
    refused = qa_load(&shard->refused, relaxed) + 1; /* relaxed: a hint */
    qa_store(&shard->refused, refused, relaxed);     /* relaxed: a hint */
    if (refused % DEPOT_EMPTY_PERIOD != 0)
        return NULL;
    for (uint32_t i = next_shard(depot, cpu); i != cpu && !half; i = next_shard(depot, i))
        half = depot_pop(depot, &depot->of_cpu[i].empty_ones);
    if (half)
        half->shard = cpu;
    return half;
}

/* Put n rounds, at most half a magazine of frames, into a CPU's shard. False: the depot is full,
 * for this CPU. */
bool qi_depot_put(struct depot *depot, uint32_t cpu, unsigned cls, const quire_pfn pfns[],
                  uint32_t n)
{
    struct depot_class *k = class_of(depot, cpu, cls);
    struct depot_half *half = take_empty(depot, cpu);

    qi_assert(n <= depot->half);
    if (qa_load(&k->dry, relaxed) != 0) /* relaxed: a hint */
        qa_store(&k->dry, 0, relaxed);  /* relaxed: a hint */
    if (!half)
        return false;
    half->count = n;
    for (uint32_t i = 0; i < n; i++)
        half->rounds[i] = pfns[i];
    stack_push(&k->full_ones, &half->node);
    (void)qa_add(&k->full, 1, relaxed); /* relaxed: a hint */
    return true;
}

/* The rounds of a full node, which the caller took, or of none; it is empty afterwards. */
static uint32_t empty_into(struct depot *depot, struct depot_half *half, quire_pfn pfns[])
{
    uint32_t n;

    if (!half)
        return 0;
    n = half->count;
    for (uint32_t i = 0; i < n; i++)
        pfns[i] = half->rounds[i];
    push_empty(depot, half);
    return n;
}

/* Half a magazine for a CPU, of any shard but its own; how many rounds they are, 0 if there is
 * none. */
static uint32_t get_of_others(struct depot *depot, uint32_t cpu, unsigned cls, quire_pfn pfns[])
{
    struct depot_half *half = NULL;

    for (uint32_t i = next_shard(depot, cpu); i != cpu && !half; i = next_shard(depot, i))
        half = take_full(depot, i, cls);
    return empty_into(depot, half, pfns);
}

/* Get half a magazine for a CPU, of its own shard, or of any after enough gets in vain (D4); how
 * many rounds they are, 0 if there is none for it. */
uint32_t qi_depot_get(struct depot *depot, uint32_t cpu, unsigned cls, quire_pfn pfns[])
{
    qa32 *dry_word = &class_of(depot, cpu, cls)->dry;
    uint32_t n = empty_into(depot, take_full(depot, cpu, cls), pfns), dry, paid;

    if (n > 0)
        return n;
    dry = qa_load(dry_word, relaxed); /* relaxed: a hint */
    if (dry < depot->patience) {
        qa_store(dry_word, dry + 1, relaxed); /* relaxed: a hint */
        return 0;
    }
    n = get_of_others(depot, cpu, cls, pfns);
    paid = depot->shards / DEPOT_SHARDS_A_GET;
    if (n == 0 && paid > 0)
        qa_store(dry_word, dry > paid ? dry - paid : 0, relaxed); /* relaxed: a hint */
    return n;
}

/* The same, of any shard, for a caller that has nothing else (D6). */
uint32_t qi_depot_get_any(struct depot *depot, uint32_t cpu, unsigned cls, quire_pfn pfns[])
{
    uint32_t n = empty_into(depot, take_full(depot, cpu, cls), pfns);

    return n > 0 ? n : get_of_others(depot, cpu, cls, pfns);
}

/* Half a magazine of a CPU's shard, to be looked at where it is until it is given back, which
 * empties the node. NULL: the shard has none. */
const quire_pfn *qi_depot_hold(struct depot *depot, uint32_t cpu, unsigned cls, uint32_t *n)
{
    struct depot_half *half = take_full(depot, cpu, cls);

    if (!half)
        return NULL;
    *n = half->count;
    return half->rounds;
}

void qi_depot_emptied(struct depot *depot, const quire_pfn *rounds)
{
    uintptr_t half = (uintptr_t)rounds - offsetof(struct depot_half, rounds);

    push_empty(depot, (struct depot_half *)half);
}

/* How many full nodes of a CPU's shard were never needed since the last call. Starts the next
 * interval. */
uint32_t qi_depot_unused(struct depot *depot, uint32_t cpu, unsigned cls)
{
    struct depot_class *k = class_of(depot, cpu, cls);
    uint32_t full = qa_load(&k->full, relaxed);         /* relaxed: a hint */
    uint32_t least = qa_xchg(&k->least, full, relaxed); /* relaxed: a hint */

    if ((int32_t)full < 0 || (int32_t)least < 0)
        return 0;
    return least < full ? least : full;
}

/* About how many full nodes of a class the depot holds: of half a magazine each. */
uint32_t qi_depot_full(const struct depot *depot, unsigned cls)
{
    uint32_t sum = 0;

    for (uint32_t cpu = 0; cpu < depot->shards; cpu++) {
        const struct depot_class *k = &depot->of_cpu[cpu].of_class[cls];
        int32_t full = (int32_t)qa_load(&k->full, relaxed); /* relaxed: a figure */

        sum += full > 0 ? (uint32_t)full : 0;
    }
    return sum;
}
