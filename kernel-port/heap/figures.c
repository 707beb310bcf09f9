/* SPDX-License-Identifier: MIT
 *
 * figures.c - what a heap has, counted where it is: in the slabs' maps and marks. So no call pays
 * for figures but those that are refused, and those about runs.
 */
#include "who/watch.h"

static bool node_meant(quire_node node, uint32_t n)
{
    return node.n == QUIRE_NO_NODE || node.n == n;
}

/* Objects of a slab that are callers' (G1 of magazine.h). */
static uint64_t marks_count(const struct heap *h, const struct size_class *c, const struct slab *s)
{
    const qa8 *marks = mark_of(h, s->node.number, 0);
    uint64_t n = 0;

    for (uint32_t i = 0; i < c->objects; i++)
        n += qa_load(&marks[i], relaxed) != BYTE_NONE; /* relaxed: a figure */
    return n;
}

static void slab_count_in(const struct heap *h, const struct size_class *c, const struct slab *s,
                          struct quire_heap_stats *stats)
{
    uint64_t taken = 0, used;

    /* E-slab-dead acquire: whoever emptied it had taken his magazine before, for the end of an
     * object cache (cache.c) */
    if (qa_load(&s->place, acquire) & SLAB_DEAD)
        return;
    stats->slabs++;
    stats->frames += (uint64_t)1 << c->order;
    stats->objects += c->objects;
    for (uint32_t w = 0; w < c->words; w++)
        /* E-object acquire: whoever put objects had taken his magazine before, as above */
        taken += word_count(qa_load(&s->map[w], acquire) & ~c->empty[w]);
    used = marks_count(h, c, s);
    stats->used += used;
    stats->cached += taken > used ? taken - used : 0; /* G2; they are read one by one */
}

void qi_class_count(const struct heap *h, uint32_t class_number, quire_node node,
                    struct quire_heap_stats *stats)
{
    const struct size_class *c = &h->classes[class_number];
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: a figure */

    stats->name = c->name;
    stats->bytes = c->size;
    for (uint32_t number = 1; number <= count; number++) {
        const struct slab *s = slab_of(h, number);
        uint32_t owner = qa_load(&s->owner, acquire); /* E-slab-owner acquire: its map */

        if (owner && owner_class(owner) == class_number && node_meant(node, owner_node(owner)))
            slab_count_in(h, c, s, stats);
    }
    for (uint32_t n = 0; n < h->nodes; n++)
        if (node_meant(node, n))
            /* relaxed: a statistic */
            stats->refusals += qa_load(&h->bins[bin_index(h, class_number, n)].refusals, relaxed);
}

void qi_class_figures_begin(struct heap *h, uint32_t class_number)
{
    for (uint32_t n = 0; n < h->nodes; n++)
        /* relaxed: the caller's; E-object-cache has it */
        qa_store(&h->bins[bin_index(h, class_number, n)].refusals, 0, relaxed);
    if (h->watch)
        /* relaxed: the caller's; E-object-cache has it */
        qa_store(&h->watch->accounts[class_number].peak, 0, relaxed);
}

/* What follows from the rest, and what a heap that is watched knows besides, of all nodes. */
static void account_read(const struct heap *h, uint32_t account, struct quire_heap_stats *stats)
{
    stats->free = (stats->frames << QUIRE_FRAME_SHIFT) - stats->used * stats->bytes;
    if (!h->watch)
        return;
    stats->asked = qa_load(&h->watch->accounts[account].asked, relaxed); /* relaxed: a figure */
    stats->peak = qa_load(&h->watch->accounts[account].peak, relaxed);   /* relaxed: a figure */
}

int quire_heap_stats(struct quire_heap *heap, uint32_t number, quire_node node,
                     struct quire_heap_stats *stats)
{
    struct quire_heap_stats sum = {0};
    struct heap *h = heap->state;

    if (!h)
        return QUIRE_ERR_STATE;
    if (number >= h->class_count)
        return QUIRE_ERR_SIZE;
    if (node.n != QUIRE_NO_NODE && node.n >= h->nodes)
        return QUIRE_ERR_NODE;
    if (qi_class_visit(h, number)) {
        qi_class_count(h, number, node, &sum);
        account_read(h, number, &sum);
        qi_class_leave(h, number);
    }
    *stats = sum;
    return 0;
}

int quire_heap_run_stats(struct quire_heap *heap, quire_node node, struct quire_heap_stats *stats)
{
    struct quire_heap_stats sum = {0};
    const struct heap *h = heap->state;

    if (!h)
        return QUIRE_ERR_STATE;
    if (node.n != QUIRE_NO_NODE && node.n >= h->nodes)
        return QUIRE_ERR_NODE;
    for (uint32_t n = 0; n < h->nodes; n++) {
        const struct run_figures *run = &h->run[n];

        if (!node_meant(node, n))
            continue;
        sum.used += qa_load(&run->runs, relaxed);         /* relaxed: a figure */
        sum.frames += qa_load(&run->frames, relaxed);     /* relaxed: a figure */
        sum.refusals += qa_load(&run->refusals, relaxed); /* relaxed: a statistic */
    }
    sum.objects = sum.slabs = sum.used;
    account_read(h, h->class_count, &sum);
    sum.free = 0; /* a run is all its owner's */
    *stats = sum;
    return 0;
}

/* Frames in slabs and runs, counted there. */
static uint64_t frames_count(struct heap *h)
{
    uint32_t count = qa_load(&h->slab_count, relaxed); /* relaxed: a figure */
    uint64_t frames = 0;

    for (uint32_t number = 1; number <= count; number++) {
        const struct slab *s = slab_of(h, number);
        uint32_t owner = qa_load(&s->owner, acquire); /* E-slab-owner acquire: its map */

        if (!owner || !qi_class_visit(h, owner_class(owner)))
            continue;
        if (!(qa_load(&s->place, relaxed) & SLAB_DEAD)) /* relaxed: a figure */
            frames += (uint64_t)1 << h->classes[owner_class(owner)].order;
        qi_class_leave(h, owner_class(owner));
    }
    for (uint32_t node = 0; node < h->nodes; node++)
        frames += qa_load(&h->run[node].frames, relaxed); /* relaxed: a figure */
    return frames;
}

int quire_heap_totals(struct quire_heap *heap, struct quire_heap_totals *totals)
{
    struct quire_heap_totals sum = {0};
    struct heap *h = heap->state;

    if (!h)
        return QUIRE_ERR_STATE;
    for (uint32_t i = 0; i < h->reserve_runs; i++)
        sum.reserve += qa_load(&h->reserve[i], relaxed) != 0; /* relaxed: a figure */
    sum.frames = h->share ? qa_load(&h->granted, relaxed)     /* relaxed: a figure */
                          : frames_count(h) + (sum.reserve << RESERVE_ORDER);
    sum.peak = qa_load(&h->granted_most, relaxed);       /* relaxed: a figure */
    sum.refusals = qa_load(&h->share_refusals, relaxed); /* relaxed: a statistic */
    sum.classes = h->class_count;
    *totals = sum;
    return 0;
}
