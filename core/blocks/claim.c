/* SPDX-License-Identifier: MIT
 *
 * claim.c - protocol 5: a given range of frames, of any length, across blocks.
 *
 * The danger: while a long range is being claimed, a rival takes a frame of it; or, when it is
 * published, a taker that saw an older SPLIT of one of its blocks gets frames of it. So it has two
 * halves, and between them nothing can fail:
 *
 *   claim     block by block, in ascending order: of a FREE block its section's bit, even if only a
 *             part of the block is wanted; of a SPLIT block the wanted frames, by compare-and-swap
 *             of each word. If anything is taken, all that was claimed is undone.
 *   publish   a SPLIT block is done already. A FREE one is opened (qi_block_publish_split) with the
 *             range's frames taken; SPLIT, never WHOLE, so that the run's length can be read back
 *             from the run map, whose bits are set before.
 *
 * A block of which something is held keeps its state until then, FREE or divided (SPLIT, or
 * ISOLATED if its range is listed meanwhile). So the descriptor tells publish and undo what is
 * held:
 *
 *   block    held by claim             undo                      publish
 *   FREE     its bit in the section    qi_blocks_release         qi_block_publish_split
 *   SPLIT    bits of its frame map     qi_frames_clear (a free)  nothing
 *
 * The caller has debited n frames. Claims beside claims: of two that overlap one fails, or both.
 * Lock-free, any context; bounded by n.
 */
#include "core/frame_byte.h"
#include "core/internal.h"

/* Take the frames `mask` of one word, all or none. */
static bool word_take_mask(qa64 *w, uint64_t mask)
{
    uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange decides */

    qi_assert(mask != 0);
    do {
        if (v & mask)
            return false;
        /* E-frame acquire. Retries only when other frames of the word were taken or freed. */
    } while (!qa_cas(w, &v, v | mask, acquire));
    return true;
}

/* Take n frames of split block b, all or none. */
static bool claim_in_split(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t at = frame, left = n, mask;

    qi_assert(block_of(frame) == block_of(frame + n - 1));
    while (left > 0) {
        unsigned some = word_part(at, left, &mask);

        if (!word_take_mask(&frame_map(z, block_of(at))->w[place_of(at) / WORD_BITS], mask)) {
            if (at > frame)
                (void)qi_frames_clear(z, frame, at - frame);
            return false;
        }
        at += some;
        left -= some;
    }
    return true;
}

/* Claim what of the range lies in one block. */
static bool claim_in_block(struct quire_zone *z, quire_slot slot, uint64_t frame, unsigned n)
{
    uint32_t b = block_of(frame);
    unsigned state = desc_state(qa_load(desc_of(z, b), acquire)); /* E-desc acquire */

    if (state == D_SPLIT)
        return claim_in_split(z, frame, n);
    return state == D_FREE && qi_blocks_claim(z, b, 0) && qi_block_verify_map(z, slot, b);
}

/* Why n frames from `frame` cannot be had: FRAME if one of them is reserved or a hole, else BUSY.
 */
int qi_range_claim_error(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    for (unsigned some; n > 0; frame += some, n -= some) {
        uint32_t b = block_of(frame);
        /* relaxed: advisory: which of two errors it is */
        uint32_t d = qa_load(desc_of(z, b), relaxed);
        uint64_t mask;

        some = word_part(frame, n, &mask);
        if (desc_state(d) == D_RESERVED || desc_state(d) == D_WITHDRAWN ||
            (d & D_PINS && qi_pinned_frames(z, b, place_of(frame) / WORD_BITS) & mask))
            return QUIRE_ERR_FRAME;
    }
    return QUIRE_ERR_BUSY;
}

/* Let go of n frames from `frame` that qi_range_claim holds, nothing of them published. */
void qi_range_undo_claim(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    while (n > 0) {
        unsigned some = block_part(frame, n);
        uint32_t b = block_of(frame);

        /* relaxed: a block that is held stays FREE or divided */
        uint32_t d = qa_load(desc_of(z, b), relaxed);

        qi_assert(desc_state(d) == D_FREE || desc_divided(d));
        if (desc_state(d) == D_FREE)
            qi_blocks_release(z, b, 1);
        else
            (void)qi_frames_clear(z, frame, some);
        frame += some;
        n -= some;
    }
}

/* Hold n frames from `frame`. BUSY: one is in use. FRAME: one is reserved. NO_MEMORY: one is of a
 * block that is gone and could not be installed. */
int qi_range_claim(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n)
{
    uint64_t at = frame, left = n;

    while (left > 0) {
        unsigned some = block_part(at, left);

        qi_assert(has_map(z, block_of(at)) && at + left == frame + n);
        if (!claim_in_block(z, slot, at, some)) {
            bool gone = qi_blocks_have_gone(z, block_of(at), 1);

            qi_range_undo_claim(z, frame, at - frame);
            if (at > frame)
                stat_count(z, slot, QUIRE_COUNT_ROLLBACK);
            return gone ? QUIRE_ERR_NO_MEMORY : qi_range_claim_error(z, frame, n);
        }
        at += some;
        left -= some;
    }
    return QUIRE_OK;
}

/* A FREE block that is held becomes SPLIT with the frames of the range allocated. */
static void open_free_block(const struct quire_zone *z, uint32_t b, uint64_t frame, uint64_t n)
{
    qi_block_publish_split(z, b, D_SPLIT, frame, n);
    /* E-hint fence: the map before the hint. It could be left out: the publication has one behind
     * the map, and stores nothing since that is looked at here. */
    qa_fence_seq_cst();
    qi_hint_block_free(z, b);
}

/* Do the n frames from `frame`, held and of one block that is not opened yet, read as zeros? */
static bool held_reads_zero(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    /* relaxed: a block that is held keeps its state */
    if (desc_state(qa_load(desc_of(z, block_of(frame)), relaxed)) == D_FREE)
        return block_reads_zero(z, block_of(frame));
    while (n > 0 && frame_reads_zero(z, frame + n - 1))
        n--;
    return n == 0;
}

/* Make the held range allocated: as one run, whose first byte says then whether all of it reads as
 * zeros, or (`run` false) as single frames. */
void qi_range_publish(const struct quire_zone *z, uint64_t frame, uint64_t n, bool run)
{
    uint64_t at = frame, left = n;
    bool zero = run && has_zeros(z);

    while (left > 0) {
        unsigned some = block_part(at, left);
        uint32_t b = block_of(at);

        qi_assert(has_map(z, b) && (at == frame || place_of(at) == 0));
        zero = zero && held_reads_zero(z, at, some);
        if (run && has_run_map(z) && n > 1)
            qi_run_mark(z, b, place_of(at), some, at == frame);
        /* relaxed: a block that is held keeps its state */
        if (desc_state(qa_load(desc_of(z, b), relaxed)) == D_FREE)
            open_free_block(z, b, frame, n);
        else if (n > 1 && has_zeros(z))
            bytes_fill(z, at, some, BYTE_NONE);
        at += some;
        left -= some;
    }
    if (zero)
        bytes_fill(z, frame, 1, BYTE_ZERO);
}
