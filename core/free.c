/* SPDX-License-Identifier: MIT
 *
 * free.c - protocol 2, the half without the run map: frames back into their block.
 *
 * To free a frame is one read-modify-write of the frame map: clear the bit, and look at the word
 * that was there. The word says whether the free was good (the bit was set), whether the block's
 * hints must be set (the word was all ones, so nobody announced this word's frames), and whether
 * the block may have become whole (the word is 0 now).
 *
 * Bad frees. A frame's bit decides who of several frees is the good one. The checks before it are
 * read-only; with the run map they see frames that are part of a run. What cannot be seen: a
 * second free after the frame was handed out again, and one that falls into the instants in which
 * settle.c holds an empty block's words; the latter is seen when the block is split.
 *
 * Callers: the public functions, batches, undos of claims. Lock-free, any context.
 */
#include "core/block.h"

/* The error for freeing a frame of a block in the state of `desc`, which is not SPLIT. */
int quire_state_error(uint32_t desc)
{
    switch (desc_state(desc)) {
    case D_FREE:
        return QUIRE_ERR_DOUBLE_FREE;
    case D_WHOLE:
    case D_TAIL:
    case D_MOVING:
        return QUIRE_ERR_ORDER;
    default:
        return QUIRE_ERR_FRAME;
    }
}

/* Bit 0 says whether the frame after the last one of word `word` of block b continues a run. */
static uint64_t next_continues(const struct quire_zone *z, uint32_t b, unsigned word)
{
    if (++word == LINE_WORDS) {
        word = 0;
        if (!has_map(z, ++b) || (b % SECTION_BLOCKS == 0 && !section_follows(z, b / SECTION_BLOCKS)))
            return 0;
    }
    return qa_load(&run_map(z, b)->w[word], relaxed) & 1; /* relaxed: the owner's run, or a look */
}

/* May the frames `mask` of one word be freed one by one, as far as descriptor, pins and run map
 * know? Whether they are allocated is left to the clearing itself. */
int quire_frame_check(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask)
{
    /* relaxed: a caller who owns the frames knows of SPLIT by having been given them */
    uint32_t d = qa_load(desc_of(z, b), relaxed);
    uint64_t c;

    if ((d & (D_STATE | D_PINS)) != D_SPLIT) {
        if (desc_state(d) != D_SPLIT)
            return quire_state_error(d);
        if (quire_pinned(z, b, word) & mask)
            return QUIRE_ERR_FRAME;
    }
    if (!has_run_map(z))
        return QUIRE_OK;
    c = qa_load(&run_map(z, b)->w[word], relaxed); /* relaxed: the bits are the caller's */
    if ((c | c >> 1) & mask)
        return QUIRE_ERR_ORDER;
    if (mask >> (WORD_BITS - 1) && next_continues(z, b, word))
        return QUIRE_ERR_ORDER;
    return QUIRE_OK;
}

/* Clear the frames `mask` of one word and do what the word asks for. Returns those that were
 * allocated: they are free now. */
uint64_t quire_frame_put(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask)
{
    /* R1 release: pairs A1: what the holder did with the frames comes before the next holder. */
    uint64_t old = qa_and(&frame_map(z, b)->w[word], ~mask, release);

    if (!(old & ~mask))
        quire_block_settle(z, b);
    if (old == WORD_FULL)
        quire_hint_free(z, b);
    else if (mask & 0x0001000100010001u)
        quire_hint_measure(z, b); /* one in sixteen: often enough for a hint, cheap enough */
    return old & mask;
}

/* Clear the bits of n frames from `frame`, all in SPLIT blocks, in whatever words; the undo of a
 * claim, or the end of a run. False: some were not set. */
bool quire_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    bool good = true;

    while (n > 0) {
        uint64_t mask;
        unsigned some = word_part(frame, n, &mask);

        if (quire_frame_put(z, block_of(frame), place_of(frame) / WORD_BITS, mask) != mask)
            good = false;
        frame += some;
        n -= some;
    }
    return good;
}
