/* SPDX-License-Identifier: MIT
 *
 * figures.c - what a heap has, counted where it is: in the maps of the slabs. So no call pays for
 * figures but those that are refused, and those about runs.
 */
#include "state.h"

static bool node_meant(quire_node node, uint32_t n)
{
    return node.n == QUIRE_NO_NODE || node.n == n;
}

static void slab_count_in(const struct size_class *c, const struct slab *s,
                          struct quire_heap_stats *stats)
{
    if (qa_load(&s->place, relaxed) & SLAB_DEAD) /* relaxed: a figure */
        return;
    stats->slabs++;
    stats->frames += (uint64_t)1 << c->order;
    stats->objects += c->objects;
    for (uint32_t w = 0; w < c->words; w++)
        /* relaxed: a figure */
        stats->used += word_count(qa_load(&s->map[w], relaxed) & ~c->empty[w]);
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
            slab_count_in(c, s, stats);
    }
    for (uint32_t n = 0; n < h->nodes; n++)
        if (node_meant(node, n))
            /* relaxed: a statistic */
            stats->refusals += qa_load(&h->bins[bin_index(h, class_number, n)].refusals, relaxed);
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
    *stats = sum;
    return 0;
}
