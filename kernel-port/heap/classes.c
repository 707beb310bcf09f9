/* SPDX-License-Identifier: MIT
 *
 * classes.c - which sizes there are, and how many objects of each a slab has.
 *
 * A slab has nothing but objects, so it is as large as to waste at most an eighth behind the last
 * of them and to have eight, or as large as slabs may be. Sizes of which a slab has equally many
 * are one class, the largest of them; and that has what would be left behind the last object, as
 * far as its sizes stay multiples of 64, so that it is as well aligned. So the class of so many
 * bytes may be the one before that of their step.
 */
#include "state.h"

enum { WIDE_UNIT = 64 };

static bool fits_well(uint32_t size, uint32_t bytes)
{
    uint32_t objects = bytes / size;

    return objects >= 8 && (bytes - objects * size) * 8 <= bytes;
}

void qi_class_map(struct size_class *c)
{
    for (uint32_t w = 0; w < SLAB_WORDS; w++) {
        uint32_t rest = c->objects > w * WORD_BITS ? c->objects - w * WORD_BITS : 0;

        c->empty[w] = rest >= WORD_BITS ? 0 : rest > 0 ? ~word_mask(0, rest) : WORD_FULL;
    }
}

void qi_class_fit(struct size_class *c, uint32_t size)
{
    uint32_t order = 0;

    while (order < SLAB_ORDER_MOST && !fits_well(size, (uint32_t)QUIRE_FRAME_SIZE << order))
        order++;
    c->size = size;
    c->order = order;
    c->mask = ((uint32_t)QUIRE_FRAME_SIZE << order) - 1;
    c->objects = ((uint32_t)QUIRE_FRAME_SIZE << order) / size;
    c->words = (c->objects + WORD_BITS - 1) / WORD_BITS;
    c->reciprocal = (uint32_t)(UINT32_MAX / size + 1);
    c->usable = size;
    qi_class_map(c);
}

/* All that a slab has for each of its objects; `next` is the next larger class, or NULL. */
static void class_widen(struct size_class *c, const struct size_class *next)
{
    uint32_t unit = c->size & -c->size, wide;

    if (unit > WIDE_UNIT)
        unit = WIDE_UNIT;
    wide = (c->mask + 1) / c->objects & ~(unit - 1);
    if (wide == c->size || (next && wide >= next->size))
        return;
    c->size = c->usable = wide;
    c->reciprocal = UINT32_MAX / wide + 1;
}

uint32_t qi_step_bytes(unsigned step)
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

        qi_class_fit(c, qi_step_bytes(step));
        h->steps[step] = (uint8_t)step;
        next = step + 1 < QUIRE_HEAP_CLASSES ? &h->classes[h->steps[step + 1]] : NULL;
        if (next && next->order == c->order && next->objects == c->objects)
            h->steps[step] = h->steps[step + 1];
        else
            class_widen(c, next);
    }
    for (unsigned i = 0; i < SMALL_MOST / OBJECT_LEAST; i++)
        h->small[i] =
            h->magazine_offsets[FRAME_CLASS + h->steps[step_of(h, (size_t)(i + 1) * OBJECT_LEAST)]];
}
