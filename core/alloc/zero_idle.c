/* SPDX-License-Identifier: MIT
 *
 * zero_idle.c - free memory is zeroed ahead of need, within a budget, so that QUIRE_ZEROED has no
 * work with it.
 *
 * The danger is a frame that is said to read as zeros and was somebody's since. So what is zeroed
 * is held as by an allocation: a block by its section's bit, frames of a divided block by their
 * bits in its map, after a debit; it is zeroed, said to be so (the block's descriptor, the frame's
 * byte), and freed. At most a block, or the free frames of a word, are held at a time: what an
 * unfinished operation holds (I4).
 *
 * Blocks that are free come first, as large requests have most to zero; then free frames of blocks
 * that are split. What is gone is left there, and what an isolation holds as well.
 *
 * May run beside everything, itself too. Lock-free but for what the port's `zero` does; O(blocks)
 * beside what is zeroed; in any context in which `zero` may be called.
 */
#include "core/fastpath.h"

/* A call's budget and what it did, in frames. */
struct zeroing {
    uint64_t left, done;
    int error;
};

/* Zero block b, whose section's bit is held, and release it. */
static void zero_block(struct quire_zone *z, uint32_t b, struct zeroing *work)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: the caller's */

    work->error = z->port.zero(z->port.ctx, pfn_of_frame(z, frame_at(b, 0)), BLOCK_FRAMES);
    if (!work->error) {
        note_zeros(z);
        d = (d & ~(uint32_t)D_CHANGED) | (desc_free(z, true) & D_CHANGED); /* its age stays */
        qa_store(desc_of(z, b), d, relaxed); /* relaxed: the caller's; E-blocks carries it on */
        work->left -= BLOCK_FRAMES;
        work->done += BLOCK_FRAMES;
    }
    qi_blocks_release(z, b, 1);
}

/* The free blocks of word g that are here and not known to read as zeros, as long as the budget
 * lasts. */
static void zero_blocks(struct quire_zone *z, quire_slot slot, uint64_t g, struct zeroing *work)
{
    for (uint64_t left = ~blocks_in_use(z, g, true); left && !work->error; left &= left - 1) {
        uint32_t b = (uint32_t)g * WORD_BITS + word_first(left);

        if (work->left < BLOCK_FRAMES)
            return;
        if (block_reads_zero(z, b) || !qi_blocks_claim_some(z, g, left & -left))
            continue;
        /* A rival may have zeroed it, or given it away. */
        if (block_reads_zero(z, b) || qi_blocks_have_gone(z, b, 1))
            qi_blocks_release(z, b, 1);
        else if (qi_block_verify_map(z, slot, b))
            zero_block(z, b, work);
    }
}

/* Of the frames `mask` of a word whose first one is `base`: those of which it is known. Exact for
 * frames that the caller holds, else advisory. */
static uint64_t known_zeros(const struct quire_zone *z, uint64_t base, uint64_t mask)
{
    uint64_t known = 0;

    for (; mask; mask &= mask - 1)
        /* relaxed: of frames that are not the caller's, advisory */
        if (qa_load(byte_of_frame(z, base + word_first(mask)), relaxed) == BYTE_ZERO)
            known |= mask & -mask;
    return known;
}

/* Zero the frames `mask` of a word, which the caller holds. Returns those that were. */
static uint64_t zero_held(struct quire_zone *z, uint64_t base, uint64_t mask, struct zeroing *work)
{
    uint64_t zeroed = 0;

    while (mask && !work->error) {
        unsigned first = word_first(mask);
        uint64_t rest = ~(mask >> first);
        unsigned n = rest ? word_first(rest) : WORD_BITS;

        work->error = z->port.zero(z->port.ctx, pfn_of_frame(z, base + first), n);
        if (!work->error) {
            bytes_fill(z, base + first, n, BYTE_ZERO);
            zeroed |= word_mask(first, n);
        }
        mask &= ~word_mask(first, n);
    }
    return zeroed;
}

/* The free frames of a word of split block b that are not known to read as zeros. */
static void zero_word(struct quire_zone *z, quire_slot slot, uint32_t b, unsigned word,
                      struct zeroing *work)
{
    qa64 *w = &frame_map(z, b)->w[word];
    uint64_t base = frame_at(b, word * WORD_BITS);
    uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange decides */
    uint64_t want = ~v & ~known_zeros(z, base, ~v), taken, n;

    want = word_lowest(want, work->left < WORD_BITS ? (unsigned)work->left : WORD_BITS);
    n = word_count(want);
    if (!want || qi_count_debit(z, slot, n, QUIRE_NO_CALLBACK))
        return;
    do {
        taken = want & ~v;
        /* E-frame acquire. Retries only when another thread changed this word. */
    } while (taken && !qa_cas(w, &v, v | taken, acquire));
    if (taken) {
        n = word_count(zero_held(z, base, taken & ~known_zeros(z, base, taken), work));
        work->left -= n;
        work->done += n;
        (void)frames_put(z, b, word, taken);
    }
    qi_count_credit(z, slot, word_count(want), QUIRE_NO_CALLBACK);
}

/* The free frames of the split blocks of word g. */
static void zero_frames(struct quire_zone *z, quire_slot slot, uint64_t g, struct zeroing *work)
{
    for (unsigned i = 0; i < WORD_BITS; i++) {
        uint32_t b = (uint32_t)g * WORD_BITS + i;

        for (unsigned word = 0; word < MAP_WORDS && has_map(z, b); word++) {
            if (work->left == 0 || work->error)
                return;
            /* E-desc acquire, as in qi_block_take. */
            if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
                break;
            zero_word(z, slot, b, word, work);
        }
    }
}

int quire_zone_zero_idle(struct quire_zone *z, quire_slot slot, uint64_t most, uint64_t *frames)
{
    struct zeroing work = {most, 0, QUIRE_OK};
    uint64_t words = (uint64_t)z->sections * MAP_WORDS;

    *frames = 0;
    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    if (!z->port.zero || !z->has_frame_bytes)
        return qi_zone_count_error(z, slot, QUIRE_ERR_UNSUPPORTED);
    note_zeros(z);
    for (uint64_t g = 0; g < words && work.left >= BLOCK_FRAMES && !work.error; g++)
        zero_blocks(z, slot, g, &work);
    for (uint64_t g = 0; g < words && work.left > 0 && !work.error; g++)
        zero_frames(z, slot, g, &work);
    *frames = work.done;
    return work.error && work.done == 0 ? qi_zone_count_error(z, slot, work.error) : QUIRE_OK;
}
