/* SPDX-License-Identifier: MIT
 *
 * block_whole.c - protocol 3: a block that became wholly free goes back to its section; and its way
 * out again, when a block is split.
 *
 * Nobody counts the free frames of a block. Whoever clears the last bit of a word looks at the
 * other words; if all are 0 and the block is nobody's home, he claims the words one after the
 * other, moves the descriptor SPLIT -> FREE by compare-and-swap from exactly the value he saw, and
 * clears the block's bit in the section, leaving the map at all ones (I2).
 *
 * Why no last free is missed. Two threads that clear the last bits of two words at once both
 * fence and then look: the second of the two fences sees both words 0 (E-look). A rival may hold a
 * word for a moment, be it by a claim of this file, by one of orders 7 and 8, or of a contiguous
 * range; then the one who sees it may give up, because the rival's undo is followed by a look of
 * his own. Likewise whoever gives up a home looks after his fence. So each turn of the loop below
 * follows a step of another thread: an undo here means that somebody took a frame or made the
 * block his home in between. No bound is needed, and none would be right: a bounded number of
 * looks loses the block.
 *
 * The look includes the descriptor, or an idle home that is wholly free would spin the loop.
 *
 * Lock-free, any context.
 */
#include "core/internal.h"

/* Block b may have become wholly free; the caller's last access was a read-modify-write of its
 * map or descriptor. */
void qi_block_make_whole(const struct quire_zone *z, uint32_t b)
{
    struct map512 *map = frame_map(z, b);
    qa32 *desc = desc_of(z, b);

    for (;;) {
        uint32_t d;

        qa_fence_after_rmw();       /* E-look fence: my change before my look */
        d = qa_load(desc, relaxed); /* relaxed: ordered by E-look */
        if (desc_state(d) != D_SPLIT || d & D_OWNER || !qi_map_words_equal(map, 0))
            return;
        if (qi_map_words_claim(map, 0, MAP_WORDS)) {
            /* E-desc acq_rel. E-desc acq_rel. Fails if somebody made it his home. */
            if (qa_cas(desc, &d, D_FREE, acq_rel))
                break;
            qi_map_words_release(map, 0, MAP_WORDS);
        }
        qi_hint_block_free(z, b); /* an undo is a free: announce it, and look again */
    }
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint; nobody announces a FREE block */
    qi_blocks_release(z, b, 1);
    stat_count_at(z, b, QUIRE_COUNT_WHOLE);
}

/* A block whose map is neither untouched nor all ones was damaged by racing bad frees. Keep it
 * out of use: its section bit stays set, its frames leave the count, and so does the credit that
 * each bad free got for the bit that it cleared. */
static void withdraw_block(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    struct quire_zone *zone = (struct quire_zone *)(uintptr_t)z;
    uint64_t lost = BLOCK_FRAMES + qi_map_count_free(frame_map(z, b));

    qa_store(desc_of(z, b), D_WITHDRAWN, release); /* E-desc release */
    /* E-count acq_rel. E-count acq_rel. The frames cannot be found any more. */
    (void)qa_sub(&z->head->total, lost, acq_rel);
    (void)qa_sub(&z->head->managed, BLOCK_FRAMES, relaxed); /* relaxed: a statistic */
    stat_count(z, slot, QUIRE_COUNT_WITHDRAWN);
    if (z->port.report)
        z->port.report(z->port.ctx, zone, QUIRE_REPORT_WITHDRAWN, pfn_of_frame(z, frame_at(b, 0)),
                       QUIRE_ERR_DOUBLE_FREE);
}

/* Is the map of block b, which the caller holds by its section's bit, as I2 says? If not, the
 * block is withdrawn. */
bool qi_block_verify_map(const struct quire_zone *z, quire_slot slot, uint32_t b, bool *fresh)
{
    struct map512 *map = frame_map(z, b);

    *fresh = qi_map_words_equal(map, 0);
    if (*fresh || qi_map_words_equal(map, WORD_FULL))
        return true;
    withdraw_block(z, slot, b);
    return false;
}

/* Split block b, whose section bit the caller has claimed: publish `desc`, a SPLIT one, then clear
 * the map. A stale taker who saw an earlier SPLIT may take frames from the first cleared word on;
 * they are free. What was all zeros before is left alone: he may have taken from it already.
 * False: the block is damaged, and withdrawn. */
bool qi_block_split(const struct quire_zone *z, quire_slot slot, uint32_t b, uint32_t desc)
{
    struct map512 *map = frame_map(z, b);
    bool fresh;

    if (!qi_block_verify_map(z, slot, b, &fresh))
        return false;
    qa_store(desc_of(z, b), desc, release); /* E-desc release */
    for (unsigned i = 0; i < MAP_WORDS && !fresh; i++)
        qa_store(&map->w[i], 0, release); /* E-frame release */
    qi_block_follow_isolations(z, b);     /* with a fence, after the map */
    /* relaxed: ordered by that fence. An isolation may have come, taken the home from its owner,
     * and gone before the map was clear: then nobody else makes the look that ends a home. */
    if (qa_load(desc_of(z, b), relaxed) != desc) {
        qi_block_make_whole(z, b);
        qi_hint_block_free(z, b);
    }
    stat_count(z, slot, QUIRE_COUNT_SPLIT);
    return true;
}

/* If block b is split and wholly free, make it whole: take it from whoever keeps it as his home,
 * or do the look that a freer has not come to yet. */
void qi_block_force_whole(const struct quire_zone *z, quire_slot slot, uint32_t b)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: a look */

    if (desc_state(d) != D_SPLIT || !qi_map_words_equal(frame_map(z, b), 0))
        return;
    if (!(d & D_OWNER)) {
        qa_fence_seq_cst(); /* E-look fence: settle wants one before its look */
        qi_block_make_whole(z, b);
    } else if (qi_home_leave(z, d & D_OWNER, b)) {
        stat_count(z, slot, QUIRE_COUNT_REVOKED);
    }
}

/* The same for every block of the zone; the last resort of large requests. O(blocks in use). */
void qi_zone_force_whole(const struct quire_zone *z, quire_slot slot)
{
    for (uint64_t g = z->first_block / WORD_BITS; g * WORD_BITS < z->end_block; g++) {
        uint64_t v = qa_load(block_word(z, g), relaxed); /* relaxed: a look */

        for (; v; v &= v - 1) {
            uint32_t b = (uint32_t)(g * WORD_BITS) + word_first(v);

            if (has_map(z, b))
                qi_block_force_whole(z, slot, b);
        }
    }
}
