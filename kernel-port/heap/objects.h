/* SPDX-License-Identifier: MIT
 *
 * objects.h - where an object is: what the calls about objects and object caches share. Private to
 * kernel-port/heap.
 */
#ifndef QUIRE_HEAP_OBJECTS_H
#define QUIRE_HEAP_OBJECTS_H

#include "state.h"

struct place_of_object {
    uint64_t pfn;
    uint32_t run; /* its word of the frame table, or 0: then it is in a slab */
    struct slab *slab;
    uint32_t class_number;
    unsigned index;
};

/* Why the frame has no word of an object: it is inside a run, or not the heap's. */
int qi_frame_error(const struct heap *h, uint64_t pfn);

/* The place of an object by its first byte. QUIRE_ERR_ALIGN: it is inside of one.
 * QUIRE_ERR_FRAME: it is not the heap's. */
static inline int object_find(const struct heap *h, const void *object,
                              struct place_of_object *place)
{
    uint64_t pfn = pfn_of_address(h, object), offset, index;
    const qa32 *word = frame_word(h, pfn);
    uint32_t v = word ? qa_load(word, relaxed) : 0; /* relaxed: the caller's, or a bad pointer */
    const struct size_class *c;

    place->pfn = pfn;
    place->run = v & FRAME_RUN ? v : 0;
    place->slab = NULL;
    place->class_number = place->index = 0;
    if (!v)
        return qi_frame_error(h, pfn);
    if (v & FRAME_RUN)
        return (uintptr_t)object % QUIRE_FRAME_SIZE ? QUIRE_ERR_ALIGN : 0;
    place->slab = slab_of(h, v);
    /* relaxed: constant, by HE2 */
    place->class_number = owner_class(qa_load(&place->slab->owner, relaxed));
    if (place->class_number >= h->class_count)
        return QUIRE_ERR_FRAME; /* a bad pointer, into an object cache that is just ending */
    c = &h->classes[place->class_number];
    offset = (uintptr_t)object - (uintptr_t)place->slab->at;
    index = offset * c->reciprocal >> 32;
    if (index >= c->objects || index * c->size != offset)
        return QUIRE_ERR_ALIGN;
    place->index = (unsigned)index;
    return 0;
}

/* The node that the caller is on. */
static inline uint32_t node_now(const struct heap *h)
{
    uint32_t node = h->port.node ? h->port.node(h->port.ctx).n : 0;

    return node < h->nodes ? node : 0;
}

/* The node that is meant. QUIRE_ERR_NODE: it does not exist. */
static inline int node_find(const struct heap *h, quire_near near_node, uint32_t *node)
{
    *node = near_node.n ? near_node.n - 1 : node_now(h);
    return *node < h->nodes ? 0 : QUIRE_ERR_NODE;
}

#endif /* QUIRE_HEAP_OBJECTS_H */
