/* SPDX-License-Identifier: MIT
 *
 * classes.c - which sizes there are, and how many objects of each a slab has.
 *
 * A slab has nothing but objects, so it is as large as to waste at most an eighth behind the last
 * of them and to have eight, or as large as slabs may be. Sizes of which a slab has equally many
 * are one class, the largest of them.
 */
#include "state.h"

static bool fits_well(uint32_t size, uint32_t bytes)
{
    uint32_t objects = bytes / size;

    return objects >= 8 && (bytes - objects * size) * 8 <= bytes;
}

void qi_class_fit(struct size_class *c, uint32_t size)
{
    uint32_t order = 0, rest;

    while (order < SLAB_ORDER_MOST && !fits_well(size, (uint32_t)QUIRE_FRAME_SIZE << order))
        order++;
    c->size = size;
    c->order = order;
    c->objects = ((uint32_t)QUIRE_FRAME_SIZE << order) / size;
    c->words = (c->objects + WORD_BITS - 1) / WORD_BITS;
    c->reciprocal = (uint32_t)(UINT32_MAX / size + 1);
    for (uint32_t w = 0; w < SLAB_WORDS; w++) {
        rest = c->objects > w * WORD_BITS ? c->objects - w * WORD_BITS : 0;
        c->empty[w] = rest >= WORD_BITS ? 0 : rest > 0 ? ~word_mask(0, rest) : WORD_FULL;
    }
}

static uint32_t step_size(unsigned step)
{
    unsigned high = 6 + step / 8;

    if (step < 8)
        return (step + 1) * OBJECT_LEAST;
    return (uint32_t)(step % 8 + 9) << (high - 3);
}

void qi_classes_build(struct heap *h)
{
    for (unsigned step = QUIRE_HEAP_CLASSES; step-- > 0;) {
        struct size_class *c = &h->classes[step];
        const struct size_class *next;

        qi_class_fit(c, step_size(step));
        h->steps[step] = (uint8_t)step;
        if (step + 1 == QUIRE_HEAP_CLASSES)
            continue;
        next = &h->classes[h->steps[step + 1]];
        if (next->order == c->order && next->objects == c->objects)
            h->steps[step] = h->steps[step + 1];
    }
}
