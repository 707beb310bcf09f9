/* SPDX-License-Identifier: MIT
 *
 * pin.c - the pin table: which frames of a block that is otherwise in use are not to be had.
 *
 * A block that lies wholly in reserved memory or in a hole says so in its descriptor. One that has
 * some such frames is SPLIT, has their bits set in its map like allocated ones, has D_PINS in its
 * descriptor, and an entry here: so that a free of such a frame is refused, and unreserving gives
 * back only what was reserved.
 *
 *   N1  An entry belongs to its block for good: its key is set once, so a look-up needs no lock. It
 *       is as the zone was built until then, so the key carries nothing. Who has pinned frames of a
 *       block knows of its key from who pinned them; to others what is pinned is advisory.
 *   N2  A pinned bit is set after, and cleared before, the frame map's bit is another owner's.
 *
 * The table has at least a quarter of its entries empty (metadata.c sizes it, qi_pin_make refuses
 * the rest), so that probing ends. Wait-free but for the claim of an entry, which is lock-free.
 */
#include "core/internal.h"

static uint32_t pin_hash(uint32_t b)
{
    return (b * 2654435761u) >> 7; /* Knuth's multiplicative hash */
}

/* The entry of block b, or NULL. */
struct quire_pin *qi_pin_find(const struct quire_zone *z, uint32_t b)
{
    for (uint32_t i = 0; i <= z->pin_mask; i++) {
        struct quire_pin *pin = &z->pins[(pin_hash(b) + i) & z->pin_mask];
        uint32_t key = qa_load(&pin->key, relaxed); /* relaxed: N1 */

        if (key == b + 1)
            return pin;
        if (key == 0)
            return NULL;
    }
    return NULL;
}

/* The pinned frames of a word of block b, whose descriptor says D_PINS. */
uint64_t qi_pinned_frames(const struct quire_zone *z, uint32_t b, unsigned word)
{
    const struct quire_pin *pin = qi_pin_find(z, b);

    qi_assert(word < MAP_WORDS);
    /* relaxed: pins of frames that have an owner do not change; others are advisory */
    return pin ? qa_load(&pin->pinned.w[word], relaxed) : 0;
}

/* The entries that may be used. */
static uint32_t pin_limit(const struct quire_zone *z)
{
    return z->pin_mask - z->pin_mask / 4;
}

/* The entry of block b, made if need be. NULL: the table is full. */
struct quire_pin *qi_pin_make(const struct quire_zone *z, uint32_t b)
{
    uint32_t limit = pin_limit(z);

    qi_assert(has_map(z, b));
    for (uint32_t i = 0; i <= z->pin_mask; i++) {
        struct quire_pin *pin = &z->pins[(pin_hash(b) + i) & z->pin_mask];
        uint32_t key = qa_load(&pin->key, relaxed); /* relaxed: N1 */

        if (key == 0) {
            if (qa_add(&z->head->pins_used, 1, relaxed) >= limit) { /* relaxed: only a number */
                (void)qa_sub(&z->head->pins_used, 1, relaxed);      /* relaxed: only a number */
                return NULL;
            }
            if (qa_cas(&pin->key, &key, b + 1, relaxed)) /* relaxed: N1 */
                return pin;
            (void)qa_sub(&z->head->pins_used, 1, relaxed); /* relaxed: only a number */
        }
        if (key == b + 1)
            return pin;
    }
    return NULL;
}

uint32_t quire_zone_spare_pins(const struct quire_zone *z)
{
    uint32_t used = qa_load(&z->head->pins_used, relaxed); /* relaxed: a figure */

    return used < pin_limit(z) ? pin_limit(z) - used : 0; /* a call that is refused counts beyond */
}
