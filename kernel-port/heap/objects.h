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

/* The place of an object by its first byte. QUIRE_ERR_ALIGN: it is inside of one.
 * QUIRE_ERR_FRAME: it is not the heap's. */
int qi_object_find(const struct heap *h, const void *object, struct place_of_object *place);

/* The node that is meant. QUIRE_ERR_NODE: it does not exist. */
int qi_node_find(const struct heap *h, quire_near near_node, uint32_t *node);

#endif /* QUIRE_HEAP_OBJECTS_H */
