/* SPDX-License-Identifier: MIT
 *
 * alloc_at.c - a power-of-two run at a given place.
 *
 * The run is debited, then claimed where it is: from order 9 on by the bits of its section, below
 * by its block's map (claim.c). Nothing is searched, so there is nothing to retry: a rival that
 * holds a frame of it at that moment makes it busy.
 *
 * No state. Lock-free, any context, bounded by the length.
 */
#include "core/internal.h"

/* Split blocks that lie wholly in the range and are wholly free may be idle home blocks. */
void qi_range_force_whole(const struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n)
{
    uint32_t b = block_of(frame + BLOCK_FRAMES - 1), end = block_of(frame + n);

    for (; b < end; b++)
        qi_block_force_whole(z, slot, b);
}

/* Hold the run of 2^order frames and make it the caller's. */
static int take_at(struct quire_zone *z, quire_slot slot, uint64_t frame, unsigned order)
{
    uint64_t n = 1ull << order;
    int error;

    if (order < BLOCK_ORDER) {
        error = qi_range_claim(z, slot, frame, n);
        if (!error)
            qi_range_publish(z, frame, n, true);
        return error;
    }
    qi_range_force_whole(z, slot, frame, n);
    if (qi_blocks_claim(z, block_of(frame), order - BLOCK_ORDER)) {
        qi_block_run_publish(z, block_of(frame), order);
        return QUIRE_OK;
    }
    return qi_blocks_have_gone(z, block_of(frame), 1u << (order - BLOCK_ORDER))
               ? QUIRE_ERR_NO_MEMORY
               : qi_range_claim_error(z, frame, n);
}

/* Were all n frames seen free? */
static bool is_range_free(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    return qi_next_free(z, frame, frame + 1) == frame &&
           qi_next_used(z, frame, frame + n) == frame + n;
}

int quire_zone_alloc_at(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order,
                        uint32_t flags)
{
    int error = alloc_precheck(z, slot, flags, 0);
    uint64_t frame;

    if (!error && order > QUIRE_MAX_ORDER)
        error = QUIRE_ERR_SIZE;
    if (!error && pfn.n & ((1ull << order) - 1))
        error = QUIRE_ERR_ALIGN;
    if (error)
        return qi_zone_count_error(z, slot, error);
    frame = qi_frame_of_range(z, pfn, 1ull << order);
    if (frame == NO_FRAME)
        return qi_zone_count_error(z, slot, QUIRE_ERR_FRAME);
    error = qi_count_debit(z, slot, 1ull << order, flags);
    if (error && !is_range_free(z, frame, 1ull << order))
        error = qi_range_claim_error(z, frame, 1ull << order);
    if (!error) {
        error = take_at(z, slot, frame, order);
        if (error)
            qi_count_credit(z, slot, 1ull << order, flags);
    }
    return error ? qi_zone_count_error(z, slot, error)
                 : qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, &pfn);
}
