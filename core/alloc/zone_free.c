/* SPDX-License-Identifier: MIT
 *
 * zone_free.c - protocol 2, the half without the run map: frames back into their block.
 *
 * To free a frame is one read-modify-write of the frame map: clear the bit, and look at the word
 * that was there. The word says whether the free was good (the bit was set), whether the block's
 * hints must be set (the word was all ones, so nobody announced this word's frames), and whether
 * the block may have become whole (the word is 0 now).
 *
 * Bad frees. A frame's bit decides who of several frees is the good one. The checks before it are
 * read-only; with the run map they see frames that are part of a run. What cannot be seen: a
 * second free after the frame was handed out again, and one that falls into the instants in which
 * block_whole.c holds an empty block's words; the latter is seen when the block is split.
 *
 * Callers: the public functions, batches, undos of claims. Lock-free, any context.
 */
#include "core/fastpath.h"

/* The error for freeing a run of whole blocks, of which one is in the state of `desc`; or a frame
 * of a block that is not divided. */
int qi_desc_free_error(uint32_t desc)
{
    switch (desc_state(desc)) {
    case D_FREE:
    case D_ISOLATED:
        return QUIRE_ERR_DOUBLE_FREE;
    case D_WHOLE:
    case D_TAIL:
    case D_MOVING:
        return QUIRE_ERR_ORDER;
    default:
        return QUIRE_ERR_FRAME;
    }
}

/* Does the frame after the last one of word `word` of block b continue a run? */
bool qi_run_crosses_word_end(const struct quire_zone *z, uint32_t b, unsigned word)
{
    if (++word == MAP_WORDS) {
        word = 0;
        if (!has_map(z, ++b) ||
            (b % SECTION_BLOCKS == 0 && !section_follows(z, b / SECTION_BLOCKS)))
            return false;
    }
    return qa_load(&run_map(z, b)->w[word], relaxed) & 1; /* relaxed: the owner's run, or a look */
}

/* Block b is not SPLIT without pins: may the frames be freed all the same? Those of an ISOLATED
 * block may, but not what its isolation holds. */
int qi_frames_check_desc(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                         uint32_t desc)
{
    if (!desc_divided(desc))
        return qi_desc_free_error(desc);
    if (desc_swept(desc, word))
        return QUIRE_ERR_DOUBLE_FREE;
    return desc & D_PINS && qi_pinned_frames(z, b, word) & mask ? QUIRE_ERR_FRAME : QUIRE_OK;
}

/* The frames `mask` of a word of block b were cleared by the caller's last access, and the word
 * before, `old`, asks for something. Not in a home: its owner looks and announces when he leaves.
 */
void qi_frames_freed(const struct quire_zone *z, uint32_t b, uint64_t mask, uint64_t old)
{
    qa_fence_after_rmw(); /* E-look fence. E-hint fence: the map before the descriptor
                           */
    if (qa_load(desc_of(z, b), relaxed) & D_OWNER) /* relaxed: ordered by E-look and E-hint */
        return;
    if (!(old & ~mask))
        qi_block_make_whole(z, b);
    if (old == WORD_FULL)
        qi_hint_block_free(z, b);
    else
        qi_hint_block_refresh(z, b);
}

/* Clear the bits of n frames from `frame`, all in SPLIT blocks, in whatever words; the undo of a
 * claim, or the end of a run. Returns how many were set: they are free now. */
uint64_t qi_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t freed = 0;

    while (n > 0) {
        uint32_t b = block_of(frame);
        uint64_t mask, done;
        unsigned some = word_part(frame, n, &mask);

        done = frames_put(z, b, place_of(frame) / WORD_BITS, mask);
        freed += done == mask ? some : word_count(done);
        frame += some;
        n -= some;
    }
    return freed;
}
