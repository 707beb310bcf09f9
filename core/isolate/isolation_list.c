/* SPDX-License-Identifier: MIT
 *
 * isolation_list.c - protocol 8, the half that the other protocols see: which ranges of blocks are
 * isolated, and blocks that enter and leave such a range. The essay is in isolate.c.
 *
 * State: head->isolations[], a range of blocks in each word, and head->isolating, how many there
 * are. An entry is written by compare-and-swap from 0 and belongs to the isolation until it stores
 * 0. Invariants:
 *   L1  Entries in use do not overlap, but for a moment in which both are being entered.
 *   L2  Who publishes a block as SPLIT, or as ISOLATED, or changes the list for it, calls
 *       qi_block_follow_isolations afterwards. So of a publisher and an isolation that begins or
 *       ends, one at least sees what the other did (E-isolate), and the descriptor follows the
 *       list.
 *   L3  A claim of blocks that was not seen by the isolation (it saw the section's bit 0) sees the
 *       list, and leaves the block ISOLATED instead of taking it.
 *
 * A reader may see an entry that is gone, or not see one that is new; L2 and L3 allow for it.
 * Lock-free, any context.
 */
#include "core/internal.h"

static uint64_t isolation_entry_make(uint32_t first, uint32_t count)
{
    return (uint64_t)first << 32 | count;
}

static uint64_t isolation_entry(const struct quire_zone *z, uint32_t entry)
{
    return qa_load(&z->head->isolations[entry], relaxed); /* relaxed: ordered by E-isolate */
}

/* Does block b lie in an isolated range? */
bool qi_block_in_isolated_range(const struct quire_zone *z, uint32_t b)
{
    if (!has_isolations(z)) /* ordered as the entries are, by the callers' E-isolate */
        return false;
    for (uint32_t i = 0; i < QUIRE_ISOLATIONS; i++) {
        uint64_t range = isolation_entry(z, i);

        if (b - (uint32_t)(range >> 32) < (uint32_t)range)
            return true;
    }
    return false;
}

/* Does an entry other than `mine` share a block with the range? */
static bool isolation_overlaps(const struct quire_zone *z, uint32_t first, uint32_t count,
                               uint32_t mine)
{
    for (uint32_t i = 0; i < QUIRE_ISOLATIONS; i++) {
        uint64_t range = isolation_entry(z, i);
        uint32_t other = (uint32_t)(range >> 32), others = (uint32_t)range;

        if (i != mine && others && (other - first < count || first - other < others))
            return true;
    }
    return false;
}

/* Put a range into the list. BUSY: a block of it is in the list. SIZE: the list is full. */
int qi_isolation_list_add(const struct quire_zone *z, uint32_t first, uint32_t count,
                          uint32_t *entry)
{
    struct quire_zone_head *h = z->head;
    uint64_t empty;

    if (isolation_overlaps(z, first, count, QUIRE_ISOLATIONS))
        return QUIRE_ERR_BUSY;
    for (*entry = 0; *entry < QUIRE_ISOLATIONS; ++*entry) {
        empty = 0;
        /* relaxed: ordered by E-isolate */
        if (qa_cas(&h->isolations[*entry], &empty, isolation_entry_make(first, count), relaxed))
            break;
    }
    if (*entry == QUIRE_ISOLATIONS)
        return QUIRE_ERR_SIZE;
    (void)qa_add(&h->isolating, 1, relaxed); /* relaxed: ordered by E-isolate */
    qa_fence_seq_cst(); /* E-isolate fence: the list before the other entries and the blocks */
    if (!isolation_overlaps(z, first, count, *entry))
        return QUIRE_OK;
    qi_isolation_list_remove(z, *entry); /* two at once: both may have to go */
    for (uint32_t b = first; b < first + count; b++)
        qi_block_follow_isolations(z, b);
    return QUIRE_ERR_BUSY;
}

/* Take the entry out of the list. The caller makes the range's blocks agree. */
void qi_isolation_list_remove(const struct quire_zone *z, uint32_t entry)
{
    /* relaxed: ordered by the fence of qi_block_follow_isolations, both */
    qa_store(&z->head->isolations[entry], 0, relaxed);
    (void)qa_sub(&z->head->isolating, 1, relaxed); /* relaxed: as above */
}

/* Block b was published, or the list was changed for it: make its descriptor follow the list.
 * Whoever loses a compare-and-swap here lost it to another's step, and each turn follows a change
 * of the descriptor or of the list. A block that was its owner's home loses its owner, who finds
 * out when he takes from it. */
void qi_block_follow_isolations(const struct quire_zone *z, uint32_t b)
{
    qa32 *desc = desc_of(z, b);

    for (;;) {
        bool listed;
        uint32_t d;

        qa_fence_seq_cst(); /* E-isolate fence: block and list before the look at the other */
        listed = qi_block_in_isolated_range(z, b);
        d = qa_load(desc, relaxed); /* relaxed: ordered by E-isolate */
        if (desc_state(d) != (listed ? D_SPLIT : D_ISOLATED))
            return;
        if (listed) {
            /* E-desc acq_rel. E-desc acq_rel. */
            if (qa_cas(desc, &d, (d & (D_PINS | D_CLASS)) | D_ISOLATED, acq_rel))
                qi_hint_block_full(z, b); /* searches pass it by */
            continue;
        }
        /* E-desc acq_rel. E-desc acq_rel. */
        if (qa_cas(desc, &d, (d & (D_PINS | D_CLASS)) | D_SPLIT, acq_rel)) {
            qi_block_make_whole(z, b); /* who freed into it saw ISOLATED and left the look to us */
            qi_hint_block_free(z, b);
        }
    }
}

/* Block b, FREE and held by its section's bit, becomes ISOLATED with all frames free. */
static void open_isolated_block(const struct quire_zone *z, uint32_t b)
{
    struct map512 *map = frame_map(z, b);
    bool fresh;

    if (!qi_block_verify_map(z, quire_slot_of(0), b, &fresh))
        return;
    qa_store(desc_of(z, b), D_ISOLATED, release); /* E-desc release */
    for (unsigned i = 0; i < MAP_WORDS && !fresh; i++)
        qa_store(&map->w[i], 0, release); /* E-frame release */
    qi_block_follow_isolations(z, b);
    /* The isolation may have ended, and found the map not clear yet. Agreeing was the fence. */
    qi_block_make_whole(z, b);
    qi_hint_block_free(z, b);
}

/* The caller claimed n blocks from b while ranges are isolated. True: some of them lie in one; they
 * are ISOLATED now and the others given back. */
bool qi_blocks_isolate_claimed(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    bool any = false;

    for (uint32_t i = 0; i < n && !any; i++)
        any = qi_block_in_isolated_range(z, b + i);
    for (uint32_t i = 0; i < n && any; i++)
        if (qi_block_in_isolated_range(z, b + i))
            open_isolated_block(z, b + i);
        else
            qi_blocks_release(z, b + i, 1);
    return any;
}
