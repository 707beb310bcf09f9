/* SPDX-License-Identifier: MIT
 *
 * walk.c - going through a zone's free memory in ascending order, for searches and for figures.
 *
 * Whole blocks are seen by the words of their sections' lines, where the kernels of search.h pass
 * by what is all free; frames of split blocks by their maps. Read-only: what is seen may
 * change at once, and a stretch that is reported was free word by word, not all at one moment.
 *
 * No state. Wait-free, any context, bounded by the words between the limits.
 */
#include "core/internal.h"
#include "core/search/search.h"

/* The frames of an extent that have maps. */
void qi_extent_frames(const struct quire_zone *z, uint32_t extent, uint64_t *first, uint64_t *end)
{
    const struct quire_extent *e = &z->extents[extent];

    *first = frame_at(e->index * SECTION_BLOCKS, 0);
    *end = *first + ((uint64_t)e->count << SECTION_ORDER);
    if (*first < z->first_block * BLOCK_FRAMES)
        *first = z->first_block * BLOCK_FRAMES;
    if (*end > z->end_block * BLOCK_FRAMES)
        *end = z->end_block * BLOCK_FRAMES;
}

/* The first place at or after `place` of split block b where (word ^ flip) has a 0; BLOCK_FRAMES
 * if none. Flip 0 looks for free frames, all ones for taken ones. */
static unsigned block_next_zero(const struct quire_zone *z, uint32_t b, unsigned place,
                                uint64_t flip)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t below = (1ull << place % WORD_BITS) - 1;

    for (unsigned i = place / WORD_BITS; i < MAP_WORDS; i++, below = 0) {
        uint64_t v = (qa_load(&map->w[i], relaxed) ^ flip) | below; /* relaxed: advisory */

        if (v != WORD_FULL)
            return i * WORD_BITS + word_first(~v);
    }
    return BLOCK_FRAMES;
}

static bool is_block_taken(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: advisory */
    return qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
}

/* The first frame of the first block at or after b that was seen taken, by the words of the
 * sections' lines; something at or behind `end` if none is before it. */
static uint64_t next_taken_block(const struct quire_zone *z, uint32_t b, uint64_t end)
{
    const void *section_maps = z->section_maps;
    size_t blocks = (size_t)block_of(end - 1) / WORD_BITS * WORD_BITS + WORD_BITS;

    return frame_at((uint32_t)qi_search_best()->next_one((const uint64_t *)section_maps, blocks, b),
                    0);
}

/* The first frame at or after `frame` that was seen free; `end` if none before it. */
uint64_t qi_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    while (frame < end) {
        uint32_t b = block_of(frame);
        uint32_t d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */
        unsigned place = BLOCK_FRAMES;

        if (!is_block_taken(z, b))
            return frame;
        if (desc_state(d) == D_SPLIT)
            place = block_next_zero(z, b, place_of(frame), 0);
        if (place < BLOCK_FRAMES) {
            frame = frame_at(b, place);
            return frame < end ? frame : end;
        }
        /* A whole run is passed by in one step. */
        if (desc_state(d) == D_WHOLE && place_of(frame) == 0)
            frame += 1ull << desc_order(d);
        else
            frame = frame_at(b + 1, 0);
    }
    return end;
}

/* The first frame behind `frame`, which the caller saw free, that was seen taken; `end` if none
 * before it. Always behind, so that a walk goes on although `frame` was taken since. */
uint64_t qi_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    for (frame++; frame < end;) {
        uint32_t b = block_of(frame);
        unsigned place;

        if (!is_block_taken(z, b)) {
            /* From the next block on: this one may be taken by now, and the walk goes forward. */
            frame = next_taken_block(z, b + 1, end);
            continue;
        }
        /* E-desc acquire */
        if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
            return frame;
        place = block_next_zero(z, b, place_of(frame), WORD_FULL);
        frame = frame_at(b, 0) + place;
        if (place < BLOCK_FRAMES)
            break;
    }
    return frame < end ? frame : end;
}

/* The first n free bits in a row of word v, n <= 64; WORD_BITS if there are none. */
static unsigned word_find_free(uint64_t v, uint64_t n)
{
    uint64_t free = ~v;

    /* After each step a bit says that the `have` bits from it on are free; at most 6 steps. */
    for (unsigned have = 1, more; free && have < n; have += more) {
        more = have < n - have ? have : (unsigned)n - have;
        free &= free >> more;
    }
    return free ? word_first(free) : WORD_BITS;
}

/* A walk over free frames, in search of n in a row. */
struct free_walk {
    uint64_t n;
    uint64_t start; /* of the free frames that end where the walk is; NO_FRAME if none do */
    uint64_t stop;  /* of a stretch that was found */
};

/* The free frames that end at `at`, if any, are followed by a taken one: are they enough? */
static inline bool free_walk_stop(struct free_walk *w, uint64_t at)
{
    w->stop = at;
    return w->start != NO_FRAME && at - w->start >= w->n;
}

/* Go through one word of a split block's map, v, whose first frame is `base`, for n <= 62. True: a
 * stretch of n frames has ended in it. */
static inline bool free_walk_word(struct free_walk *w, uint64_t v, uint64_t base)
{
    unsigned bit, top;

    if (v == 0) {
        w->start = w->start == NO_FRAME ? base : w->start;
        return false;
    }
    bit = word_first(v);
    if (bit > 0 && w->start == NO_FRAME)
        w->start = base;
    if (free_walk_stop(w, base + bit))
        return true;
    top = 63 - word_last(v);
    w->start = top > 0 ? base + WORD_BITS - top : NO_FRAME;
    bit = word_find_free(v, w->n);
    if (bit >= WORD_BITS - top) /* none, or it goes on in the next word */
        return false;
    w->start = base + bit;
    w->stop = w->start + word_first(v >> bit);
    return true;
}

/* The rest of block b, from `frame` on, for stretches that have no room between two taken frames of
 * a word: only the free frames at either end of a word count. True: a stretch has ended in it. */
static bool free_walk_block_long(const struct quire_zone *z, struct free_walk *w, uint32_t b,
                                 uint64_t frame)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t run = w->start == NO_FRAME ? 0 : frame - w->start; /* free frames behind us */
    unsigned i = place_of(frame) / WORD_BITS;
    uint64_t v = qa_load(&map->w[i], relaxed); /* relaxed: advisory */

    /* relaxed: advisory */
    for (v |= (1ull << frame % WORD_BITS) - 1;; v = qa_load(&map->w[i], relaxed)) {
        if (v == 0) {
            run += WORD_BITS;
        } else {
            run += word_first(v);
            if (run >= w->n) {
                w->stop = frame_at(b, i * WORD_BITS + word_first(v));
                w->start = w->stop - run;
                return true;
            }
            run = 63 - word_last(v);
        }
        if (++i == MAP_WORDS)
            break;
    }
    w->start = run > 0 ? frame_at(b + 1, 0) - run : NO_FRAME;
    return false;
}

/* The rest of block b, from `frame` on. True: a stretch has ended in it. */
static bool free_walk_block(const struct quire_zone *z, struct free_walk *w, uint32_t b,
                            uint64_t frame)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t below = (1ull << frame % WORD_BITS) - 1;

    for (unsigned i = place_of(frame) / WORD_BITS; i < MAP_WORDS; i++, below = 0) {
        uint64_t v = qa_load(&map->w[i], relaxed) | below; /* relaxed: advisory */

        if (free_walk_word(w, v, frame_at(b, i * WORD_BITS)))
            return true;
    }
    return false;
}

/* The first stretch of at least n free frames that was seen at or after `frame`, before `end`: its
 * first frame, its end in *stop. `end` if there is none. */
uint64_t qi_next_free_stretch(const struct quire_zone *z, uint64_t frame, uint64_t end, uint64_t n,
                              uint64_t *stop)
{
    struct free_walk w = {n, NO_FRAME, 0};
    bool found = false;

    while (frame < end && !found) {
        uint32_t b = block_of(frame), d;

        if (!is_block_taken(z, b)) {
            w.start = w.start == NO_FRAME ? frame : w.start;
            frame = next_taken_block(z, b + 1, end);
            continue;
        }
        d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */
        if (desc_state(d) == D_SPLIT) {
            found = n > WORD_BITS - 2 ? free_walk_block_long(z, &w, b, frame)
                                      : free_walk_block(z, &w, b, frame);
            frame = frame_at(b + 1, 0);
        } else {
            found = free_walk_stop(&w, frame);
            w.start = found ? w.start : NO_FRAME;
            /* A whole run is passed by in one step. */
            frame = desc_state(d) == D_WHOLE && place_of(frame) == 0
                        ? frame + (1ull << desc_order(d))
                        : frame_at(b + 1, 0);
        }
    }
    if (!found)
        w.stop = end;
    *stop = w.stop < end ? w.stop : end;
    return w.start < end && *stop - w.start >= n ? w.start : end;
}
