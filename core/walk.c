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
#include "core/block.h"
#include "core/search.h"

/* The frames of an extent that have maps. */
void quire_extent_frames(const struct quire_zone *z, uint32_t extent, uint64_t *first,
                         uint64_t *end)
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
static unsigned scan_block(const struct quire_zone *z, uint32_t b, unsigned place, uint64_t flip)
{
    const struct quire_line *map = frame_map(z, b);
    uint64_t below = (1ull << place % WORD_BITS) - 1;

    for (unsigned i = place / WORD_BITS; i < LINE_WORDS; i++, below = 0) {
        uint64_t v = (qa_load(&map->w[i], relaxed) ^ flip) | below; /* relaxed: a look */

        if (v != WORD_FULL)
            return i * WORD_BITS + (unsigned)__builtin_ctzll(~v);
    }
    return BLOCK_FRAMES;
}

static bool is_taken(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: a look */
    return qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
}

/* The first frame at or after `frame` that was seen free; `end` if none before it. */
uint64_t quire_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    while (frame < end) {
        uint32_t b = block_of(frame);
        uint32_t d = qa_load(desc_of(z, b), acquire); /* A2 acquire: pairs R2 */
        unsigned place = BLOCK_FRAMES;

        if (!is_taken(z, b))
            return frame;
        if (desc_state(d) == D_SPLIT)
            place = scan_block(z, b, place_of(frame), 0);
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
uint64_t quire_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    for (frame++; frame < end;) {
        uint32_t b = block_of(frame);
        unsigned place;

        if (!is_taken(z, b)) {
            const void *lines = z->lines;
            size_t blocks = (size_t)block_of(end - 1) / WORD_BITS * WORD_BITS + WORD_BITS;

            /* From the next block on: this one may be taken by now, and the walk goes forward. */
            frame = frame_at(
                (uint32_t)quire_search_best()->next_one((const uint64_t *)lines, blocks, b + 1), 0);
            continue;
        }
        /* A2 acquire: pairs R2 */
        if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
            return frame;
        place = scan_block(z, b, place_of(frame), WORD_FULL);
        frame = frame_at(b, 0) + place;
        if (place < BLOCK_FRAMES)
            break;
    }
    return frame < end ? frame : end;
}
