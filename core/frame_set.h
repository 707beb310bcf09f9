/* SPDX-License-Identifier: MIT
 *
 * frame_set.h - the frames of a batch, grouped by the word of the maps that they lie in: a hash
 * table on the stack, over the caller's own array of pfns.
 *
 * Frames that come in any order are so handled with one step a word, and one that is named twice
 * is noticed. A group has the place in the array of a frame that is in its word, and a bit for each
 * of its frames; groups stay in the order in which they were made. The array must not change while
 * the set is in use.
 *
 * State: the caller's; one thread's. Wait-free, any context; below a KiB of stack.
 */
#ifndef QUIRE_CORE_FRAME_SET_H
#define QUIRE_CORE_FRAME_SET_H

#include "core/word.h"

#include <quire/types.h>

enum {
    FRAME_SET_WORDS = 64,      /* groups that a set has room for */
    FRAME_SET_PLACES = 128,    /* places to hash to; twice as many, so that probing ends soon */
    FRAME_SET_PLACE_SHIFT = 57 /* a hash's upper bits that say the place */
};

struct frame_set {
    unsigned count;                   /* groups */
    uint8_t place[FRAME_SET_PLACES];  /* group + 1; 0 is an empty place */
    uint16_t member[FRAME_SET_WORDS]; /* the place in the array of a frame of the group */
    uint64_t mask[FRAME_SET_WORDS];   /* the group's frames, by their bits in the word */
};

static inline void frame_set_clear(struct frame_set *s)
{
    s->count = 0;
    __builtin_memset(s->place, 0, sizeof(s->place));
}

/* Add the frames `mask` of the word that pfns[i] lies in. False: one of them is in the set already,
 * or there is no room for another word (not while FRAME_SET_WORDS or fewer were added). */
static inline bool frame_set_add(struct frame_set *s, const quire_pfn pfns[], size_t i,
                                 uint64_t mask)
{
    uint64_t word = pfns[i].n / WORD_BITS;
    /* Fibonacci hashing: 2^64 divided by the golden ratio. */
    unsigned at = (unsigned)((word * 0x9e3779b97f4a7c15u) >> FRAME_SET_PLACE_SHIFT);

    /* Ends: at most half of the places are in use. */
    for (; s->place[at]; at = (at + 1) % FRAME_SET_PLACES) {
        unsigned group = s->place[at] - 1u;

        if (pfns[s->member[group]].n / WORD_BITS == word) {
            bool again = s->mask[group] & mask;

            s->mask[group] |= mask;
            return !again;
        }
    }
    if (s->count == FRAME_SET_WORDS)
        return false;
    s->member[s->count] = (uint16_t)i;
    s->mask[s->count] = mask;
    s->place[at] = (uint8_t)++s->count;
    return true;
}

#endif /* QUIRE_CORE_FRAME_SET_H */
