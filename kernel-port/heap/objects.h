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
    uint32_t number; /* of the slab */
    uint32_t class_number;
    unsigned index;
};

/* What a request asks for: of which class, or a run of how many bytes, and where. */
struct wanted {
    uint32_t class_number; /* QUIRE_HEAP_CLASSES: a run */
    uint32_t node, flags;
    size_t bytes, run_bytes;
};

/* objects.c */

int qi_request_read(const struct heap *h, const struct quire_heap_request *request,
                    struct wanted *want);
int qi_request_serve(struct heap *h, const struct wanted *want, void **object);
/* Give back what was found, in a slab or a run. */
int qi_object_give(struct heap *h, const struct place_of_object *place, void *object);
/* The same, past the magazines; frames that went. */
uint64_t qi_object_give_past(struct heap *h, const struct place_of_object *place);
/* As it is, whoever has what of it: the bytes of an object. */
size_t qi_usable_bytes(const struct heap *h, const struct place_of_object *place);
/* The bytes of the run that such a request gets; QUIRE_ERR_SIZE: there is none. */
int qi_run_bytes(size_t bytes, unsigned *order, uint64_t *run_bytes);

/* Why the frame has no word of an object: it is inside a run, or not the heap's. */
int qi_frame_error(const struct heap *h, uint64_t pfn);

/* The place of an object by its first byte. QUIRE_ERR_ALIGN: it is inside of one.
 * QUIRE_ERR_FRAME: it is not the heap's. */
static inline __attribute__((always_inline)) int object_find(const struct heap *h,
                                                             const void *object,
                                                             struct place_of_object *place)
{
    uint64_t pfn = pfn_of_address(h, object), index;
    uint32_t offset;
    const qa32 *word = frame_word(h, pfn);
    uint32_t v = word ? qa_load(word, relaxed) : 0; /* relaxed: the caller's, or a bad pointer */
    const struct size_class *c;

    place->pfn = pfn;
    place->run = 0;
    place->slab = NULL;
    place->class_number = place->index = place->number = 0;
    if (__builtin_expect(!v, 0))
        return qi_frame_error(h, pfn);
    place->run = frame_kind(v) == FRAME_RUN ? v : 0;
    if (__builtin_expect(place->run != 0, 0))
        return (uintptr_t)object % QUIRE_FRAME_SIZE ? QUIRE_ERR_ALIGN : 0;
    place->number = frame_slab(v);
    place->slab = slab_of(h, place->number);
    place->class_number = frame_kind(v) - FRAME_CLASS;
    if (__builtin_expect(place->class_number == QUIRE_HEAP_CLASSES, 0)) {
        /* relaxed: constant, by HE2 */
        place->class_number = owner_class(qa_load(&place->slab->owner, relaxed));
        if (place->class_number >= h->class_count)
            return QUIRE_ERR_FRAME; /* a bad pointer, into an object cache that is just ending */
    }
    c = &h->classes[place->class_number];
    offset = (uint32_t)((uintptr_t)object - h->base) & c->mask;
    index = (uint64_t)offset * c->reciprocal >> 32;
    if (__builtin_expect(index >= c->objects || index * c->size != offset, 0))
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
