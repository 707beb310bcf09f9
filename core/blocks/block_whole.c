/* SPDX-License-Identifier: MIT
 *
 * block_whole.c - a block between its section and its frames: protocol 3, a block that became
 * wholly free goes back to its section; and its way out again, when a claimed block is opened.
 *
 * Going back. Nobody counts the free frames of a block: a freer that cleared the last bit of a word
 * looks at the other words. The danger is a last free that is missed: two threads clear the last
 * bits of two words, each sees the other word as it was before, and 512 frames that are free can
 * never be had as a block. So both put a full fence between the change and the look (E-look):
 *
 *   clear the bit; E-look; if all words are 0, and the descriptor is SPLIT without owner:
 *       claim the words, 0 to all ones, one after the other;
 *       SPLIT -> FREE by compare-and-swap from exactly the descriptor seen;
 *       clear the block's bit in the section. The map stays all ones (I2).
 *   when a word or the descriptor was lost: give the words back, announce them; E-look; again
 *
 * Of two fences one comes second, and its thread sees both words 0. A thread that finds a word held
 * may stop: the holder (a claim of this file, of orders 7 and 8, of a contiguous range) makes the
 * look itself when it gives the word back. So does a thread that gives up a home block, behind its
 * own fence. Each turn of the loop therefore follows a step of another thread, and the loop needs
 * no bound; a bounded number of looks would lose the block. The look takes in the descriptor, or a
 * wholly free home block, which stays split, would keep the loop turning.
 *
 * Going out. qi_block_publish_split has the order and its argument.
 *
 * Who may be at work beside whom on one block (X: yes; -: cannot be, the block is held; names
 * without their qi_block_):
 *
 *                            make_whole,    take, free,   home blocks   verify_map,
 *                            force_whole    claim         isolation     publish_split
 *   make_whole, force_whole       X              X             X             -
 *   publish_split, verify_map     -        stale takers        X (list)      -
 *     and once SPLIT is published X              X             X             -
 *
 * Stale takers saw an earlier SPLIT of the block. Lock-free, any context.
 */
#include "core/frame_byte.h"
#include "core/internal.h"

/* Make block b whole if it is wholly free. The caller's last access was a read-modify-write of its
 * map or descriptor, or a full fence. */
void qi_block_make_whole(const struct quire_zone *z, uint32_t b)
{
    struct map512 *map = frame_map(z, b);
    qa32 *desc = desc_of(z, b);

    for (;;) {
        uint32_t d;

        qa_fence_after_rmw();       /* E-look fence: the caller's change before this look */
        d = qa_load(desc, relaxed); /* relaxed: ordered by E-look */
        if (desc_state(d) != D_SPLIT || d & D_OWNER || !qi_map_words_equal(map, 0))
            return;
        if (qi_map_words_claim(map, 0, MAP_WORDS)) {
            qi_assert(desc_may_become(d, D_FREE) && !(d & D_OWNER));
            /* E-desc acq_rel. Fails if it was made a home block. */
            if (qa_cas(desc, &d, desc_free(z, false), acq_rel))
                break;
            qi_map_words_release(map, 0, MAP_WORDS);
        }
        qi_hint_block_free(z, b); /* an undo is a free: announce it, and look again */
    }
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint; FREE blocks are announced by H3 */
    qi_hint_hole_closed(z, b);
    qi_blocks_release(z, b, 1);
    qi_stat_add_at(z, b, QUIRE_COUNT_WHOLE, 1);
}

/* A block whose map is neither untouched nor all ones was damaged by racing bad frees. Keep it
 * out of use: its section bit stays set, its frames leave the count, and so does the credit that
 * each bad free got for the bit that it cleared. */
static void withdraw_block(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    struct quire_zone *zone = (struct quire_zone *)(uintptr_t)z;
    uint64_t lost = BLOCK_FRAMES + qi_map_count_free(frame_map(z, b));

    /* relaxed: the caller's */
    qi_assert_held(desc_may_become(qa_load(desc_of(z, b), relaxed), D_WITHDRAWN));
    /* relaxed: nobody looks behind it */
    qa_store(desc_of(z, b), D_WITHDRAWN, relaxed);
    /* relaxed: the frames cannot be found any more; it looks for none of others' */
    (void)qa_sub(&z->head->total, lost, relaxed);
    (void)qa_sub(&z->head->managed, BLOCK_FRAMES, relaxed); /* relaxed: a statistic */
    stat_count(z, slot, QUIRE_COUNT_WITHDRAWN);
    if (z->port.report)
        z->port.report(z->port.ctx, zone, QUIRE_REPORT_WITHDRAWN, pfn_of_frame(z, frame_at(b, 0)),
                       QUIRE_ERR_DOUBLE_FREE);
}

/* Is the map of block b, which the caller holds by its section's bit, as I2 says? If not, the
 * block is withdrawn. */
bool qi_block_verify_map(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    const struct map512 *map = frame_map(z, b);

    if (qi_map_words_equal(map, 0) || qi_map_words_equal(map, WORD_FULL))
        return true;
    withdraw_block(z, slot, b);
    return false;
}

/* The bits of word `word` of block b that lie in the n frames from `frame`. */
static uint64_t range_bits_in_word(uint32_t b, unsigned word, uint64_t frame, uint64_t n)
{
    uint64_t first = frame_at(b, word * WORD_BITS);
    uint64_t low = frame > first ? frame - first : 0;
    uint64_t high = frame + n > first ? frame + n - first : 0;

    if (high > WORD_BITS)
        high = WORD_BITS;
    return low < high ? word_mask((unsigned)low, (unsigned)(high - low)) : 0;
}

/* Write the frame bytes of block b, FREE and held, which is about to be opened: those of the n
 * frames from `frame` are of what is taken. A block that was never split has none to be cleared. */
static void write_bytes(const struct quire_zone *z, uint32_t b, bool fresh, uint64_t frame,
                        uint64_t n)
{
    uint64_t first = frame_at(b, 0), end = first + BLOCK_FRAMES;
    bool zero = block_reads_zero(z, b);

    if (!has_zeros(z))
        return;
    if (zero || !fresh)
        bytes_fill(z, first, BLOCK_FRAMES, zero ? BYTE_ZERO : BYTE_NONE);
    first = frame > first ? frame : first;
    end = frame + n < end ? frame + n : end;
    if (zero && first < end)
        bytes_fill(z, first, end - first, BYTE_NONE);
}

/* Open block b, FREE and held by its section's bit, with a map as I2 says: it becomes `desc`, SPLIT
 * or ISOLATED, with the n frames from `frame` taken as far as they lie in it, and all others free.
 *
 * The one place where a map is written by stores while others may exchange its words: takers that
 * saw an earlier SPLIT of the block (stale takers). What they can do decides the order.
 *
 *   map all ones   They find nothing to take until a word is stored. So first the descriptor, then
 *                  word by word: what they take from a word that is stored is free, of a SPLIT
 *                  block. Stored before the descriptor, a word would give them frames of a block
 *                  that is not SPLIT. And each word is stored once, as it will be: cleared first
 *                  and set afterwards, it would give them frames of the range.
 *   map all zeros  The block was never split, so there are no stale takers yet; there will be as
 *                  soon as the descriptor says SPLIT. So the range's bits are set before it, and
 *                  after it the map is left alone: they may have taken from it already. */
void qi_block_publish_split(const struct quire_zone *z, uint32_t b, uint32_t desc, uint64_t frame,
                            uint64_t n)
{
    struct map512 *map = frame_map(z, b);
    bool fresh = qi_map_words_equal(map, 0);

    qi_assert(desc_divided(desc));
    /* relaxed: the caller's, both */
    qi_assert_held(desc_may_become(qa_load(desc_of(z, b), relaxed), desc));
    qi_assert_held(qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1);
    write_bytes(z, b, fresh, frame, n);
    for (unsigned i = 0; i < MAP_WORDS && fresh; i++) {
        uint64_t taken = range_bits_in_word(b, i, frame, n);

        if (taken)
            qa_store(&map->w[i], taken, relaxed); /* relaxed: E-desc publishes it */
    }
    qa_store(desc_of(z, b), desc, release); /* E-desc release: the map before the descriptor */
    for (unsigned i = 0; i < MAP_WORDS && !fresh; i++)
        /* E-frame release: what the last holders did with the free frames */
        qa_store(&map->w[i], range_bits_in_word(b, i, frame, n), release);
    qi_block_follow_isolations(z, b); /* E-hint: it begins with a fence, after the map */
    if (desc_state(desc) == D_SPLIT)
        qi_hint_hole_raise(z, b, desc, HOLE_MOST);
    qa_fence_after_rmw(); /* E-watch fence: map and hint before the watch */
    if (watch_is_on(z))
        qi_watch_runs(z, HOLE_MOST);
}

/* Split block b, whose section bit the caller has claimed: it becomes `desc`, a SPLIT one, with all
 * frames free. False: the block is damaged, and withdrawn. */
bool qi_block_split(const struct quire_zone *z, quire_slot slot, uint32_t b, uint32_t desc)
{
    qi_assert(desc_state(desc) == D_SPLIT);
    if (!qi_block_verify_map(z, slot, b))
        return false;
    qi_block_publish_split(z, b, desc, 0, 0);
    /* relaxed: ordered by its fence. An isolation may have come, taken the home block from its
     * owner, and gone, all before the map was clear: then this is the only look. */
    if (qa_load(desc_of(z, b), relaxed) != desc) {
        qi_block_make_whole(z, b);
        qi_hint_block_free(z, b);
    }
    stat_count(z, slot, QUIRE_COUNT_SPLIT);
    return true;
}

/* If block b is split and wholly free, make it whole: revoke it as a home block, or make the look
 * that a freer has not come to yet. */
void qi_block_force_whole(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory */

    if (desc_state(d) != D_SPLIT || !qi_map_words_equal(frame_map(z, b), 0))
        return;
    if (!(d & D_OWNER)) {
        /* E-look fence: as make_whole asks. It could be left out: nothing was changed here, and who
         * frees the last frame looks himself. */
        qa_fence_seq_cst();
        qi_block_make_whole(z, b);
    } else if (qi_home_leave(z, d & D_OWNER, b)) {
        stat_count(z, slot, QUIRE_COUNT_REVOKED);
    }
}

/* The same for every block of the zone; the last resort of large requests. The hole byte of a
 * wholly free block shows that (H4). O(blocks), a byte each. */
void qi_zone_force_whole(const struct quire_zone *z, quire_slot slot)
{
    for (uint32_t s = 0; s < z->sections; s++) {
        uint32_t b = s * SECTION_BLOCKS, end = b + SECTION_BLOCKS;

        for (b = qi_hint_section_has(z, s, HOLE_MOST) ? b : end; b < end; b++)
            /* relaxed: ordered by the caller's E-watch */
            if (has_map(z, b) && (qa_load(hole_of(z, b), relaxed) & HOLE_MASK) >= HOLE_MOST)
                qi_block_force_whole(z, slot, b);
    }
}
