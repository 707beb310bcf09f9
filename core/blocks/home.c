/* SPDX-License-Identifier: MIT
 *
 * home.c - protocol 6: home blocks.
 *
 * A slot takes small requests from a block that others leave alone, one per class of requests: an
 * order and a mobility. So slots do not meet in one cache line, what lives long is not mixed with
 * what moves, and runs do not cut the holes that other orders need.
 *
 * A home block is a preference, not a lock. The owner's number stands in the descriptor; the slot's
 * home word says where the block is. Other slots may still take frames from it when there is
 * nothing better, and one that is wholly free may be revoked for a larger request. The slot's word
 * may therefore name a block that it has lost; taking from it is sound all the same (take.c).
 * Ownership ends only by a compare-and-swap that carries the owner's number: a blind clear could
 * take the block from the next owner.
 *
 * Hysteresis: a home block whose frames all came back stays split, so that a pair of calls at the
 * edge of a block does not split and merge for ever. The price is at most one wholly free block per
 * slot and class, which qi_block_force_whole takes back as soon as it is wanted.
 *
 * A slot may be re-entered at any instruction, so its words are atomics, and the call that replaces
 * a block in the home word gives the old one up. May run beside everything. Lock-free, any context.
 */
#include "core/internal.h"

/* Make the split block b, which has no owner, the slot's home block. The home word is not touched
 * yet. */
bool qi_home_take(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b)
{
    qa32 *desc = desc_of(z, b);
    uint32_t d = qa_load(desc, relaxed); /* relaxed: the exchange decides */

    qi_assert(home_class < CLASSES && has_map(z, b));
    if (desc_state(d) != D_SPLIT || d & D_OWNER)
        return false;
    /* relaxed: what the split published goes on with it, and this thread adds nothing; who takes
     * from the block acquires */
    if (!qa_cas(desc, &d, (d & ~(uint32_t)D_CLASS) | desc_home(slot, home_class), relaxed))
        return false;
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint: searches pass home blocks by */
    qa_fence_seq_cst(); /* E-hint fence: the hint before the look at the descriptor */
    if ((qa_load(desc, relaxed) & D_OWNER) != desc_owner(slot)) /* relaxed: ordered by E-hint */
        qi_hint_block_free(z, b); /* revoked already, and its hint overwritten just now */
    stat_count(z, slot, QUIRE_COUNT_HOME);
    return true;
}

/* End the ownership of `owner` (a descriptor's owner field) of block b. False: it was not
 * the owner's. */
bool qi_home_leave(const struct quire_zone *z, uint32_t owner, uint32_t b)
{
    qa32 *desc = desc_of(z, b);
    uint32_t d = qa_load(desc, relaxed); /* relaxed: the exchange decides */

    qi_assert(owner != 0 && !(owner & ~D_OWNER));
    do {
        if (desc_state(d) != D_SPLIT || (d & D_OWNER) != owner)
            return false;
        /* relaxed: as in qi_home_take. Retries only when pins or class changed. */
    } while (!qa_cas(desc, &d, d & ~D_OWNER, relaxed));
    qi_block_make_whole(z, b);
    qi_hint_block_left(z, b);
    return true;
}

/* Block b, taken by qi_home_take or published as the slot's, becomes its home; the one before
 * is given up. */
void qi_home_install(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b)
{
    /* E-home acq_rel. E-home acq_rel: without it the owner field of the old home could
     * be read older than its installation, and the block would stay the home of a slot that does
     * not know it. */
    uint32_t old = qa_xchg(&slot_of(z, slot)->home[home_class], b + 1, acq_rel);

    qi_assert(home_class < CLASSES && has_map(z, b));
    qi_assert(old == 0 || has_map(z, old - 1)); /* I5: old, perhaps, but a block of the zone */
    if (old && old != b + 1)
        (void)qi_home_leave(z, desc_owner(slot), old - 1);
}
