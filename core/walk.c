/* SPDX-License-Identifier: MIT
 *
 * walk.c - going through a zone's free memory in ascending order, for searches and for figures.
 *
 * Whole blocks are seen by the words of their sections' lines, frames of split blocks by their
 * maps; words that say nothing are skipped by the kernels of search.h. Read-only: what is seen may
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

/* The first frame at or after `frame` that was seen free; `end` if none before it. */
uint64_t quire_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    const struct quire_search *k = quire_search_best();

    while (frame < end) {
        uint32_t b = block_of(frame);
        const void *map = frame_map(z, b);
        size_t place;
        uint32_t d = qa_load(desc_of(z, b), acquire); /* A2 acquire: pairs R2 */

        /* relaxed: a look; the claim decides */
        if (!(qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1))
            return frame;
        if (desc_state(d) == D_SPLIT) {
            place = k->next_zero((const uint64_t *)map, BLOCK_FRAMES, place_of(frame));
            if (place < BLOCK_FRAMES)
                return frame_at(b, 0) + place < end ? frame_at(b, 0) + place : end;
            frame = frame_at(b + 1, 0);
        } else if (desc_state(d) == D_WHOLE && place_of(frame) == 0) {
            frame += 1ull << desc_order(d);
        } else {
            frame = frame_at(b + 1, 0);
        }
    }
    return end;
}

/* The first frame behind `frame`, which the caller saw free, that was seen taken; `end` if none
 * before it. Always behind, so that a walk goes on although `frame` was taken since. */
uint64_t quire_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    const struct quire_search *k = quire_search_best();

    for (frame++; frame < end;) {
        uint32_t b = block_of(frame);
        const void *map = frame_map(z, b), *lines = z->lines;
        size_t place, blocks = (size_t)block_of(end - 1) / WORD_BITS * WORD_BITS + WORD_BITS;

        /* relaxed: a look; the claim decides */
        if (!(qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1)) {
            place = k->next_one((const uint64_t *)lines, blocks, b);
            frame = frame_at((uint32_t)place, 0);
            continue;
        }
        /* A2 acquire: pairs R2 */
        if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
            return frame;
        place = k->next_one((const uint64_t *)map, BLOCK_FRAMES, place_of(frame));
        if (place < BLOCK_FRAMES)
            return frame_at(b, 0) + place < end ? frame_at(b, 0) + place : end;
        frame = frame_at(b + 1, 0);
    }
    return end;
}
