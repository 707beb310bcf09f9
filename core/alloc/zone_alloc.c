/* SPDX-License-Identifier: MIT
 *
 * zone_alloc.c - the public allocation of single frames and power-of-two runs.
 *
 * An allocation below order 9: debit the count, take from the home block, else search
 * (find_block.c), else credit back and refuse. From order 9 on the order is turned round: look
 * first (read-only), debit only when there is a candidate, and refund at once, so that a hopeless
 * request for 4 GiB does not starve all others meanwhile.
 *
 * A refusal is true (the contract): either the count could not be debited, or every candidate was
 * seen taken at some moment by a last pass that ignores ownership, and hints but for the hole byte
 * (H4). Frames, blocks and credit that another thread's unfinished operation holds count as taken:
 * no thread waits for another thread; everything is tried a bounded number of times, then answered.
 *
 * Lock-free, any context; a slot may be re-entered at any instruction.
 */
#include "core/fastpath.h"

enum {
    HOME_TRIES = 4, /* home blocks tried that turn out not to have a fitting run; then it is looked
                     * for elsewhere */
    /* One last pass makes a refusal true: it saw each candidate taken. More of them are for what
     * rivals freed behind it, and take none that is gone: the first one asked for each of these. */
    SMALL_TRIES = 4, /* last passes for a single frame: its debit says that one is free somewhere */
    RUN_TRIES = 2,   /* last passes for a run, if one appeared during the first */
};

/* A new home block that has a fitting run; it becomes the slot's. */
static bool take_from_new_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                               unsigned order, uint64_t *frame)
{
    /* It could be endless: each turn lost the run that was seen to a rival. As long as that goes on
     * it is better to look elsewhere. */
    for (unsigned i = 0; i < HOME_TRIES; i++) {
        uint32_t b = qi_find_home(z, slot, home_class, order);

        if (b == NO_BLOCK)
            return false;
        if (qi_block_take(z, b, order, frame)) {
            qi_home_install(z, slot, home_class, b);
            return true;
        }
        (void)qi_home_leave(z, desc_owner(slot), b);
        stat_count(z, slot, QUIRE_COUNT_RETRY);
    }
    return false;
}

/* Find a run below order 9 whose frames are debited. NO_MEMORY: no place was free.
 *
 * That a run is had nowhere is known (watch.c) only of a pass that passed by no block that is gone.
 * Nor is it while one does not come, as its release is a free like any other: what is outside may
 * come back at any time, and nobody tells. */
int qi_take_small(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                  uint64_t *frame)
{
    unsigned home_class = home_class_of(z, order, flags);
    unsigned tries = order == 0 ? SMALL_TRIES : RUN_TRIES;

    qi_assert(order < BLOCK_ORDER && slot.n < z->slots);
    if (order > 0 && qi_watch_is_known(z, order))
        return QUIRE_ERR_NO_MEMORY;
    if ((order > 0 && qi_take_recent(z, slot, home_class, order, frame)) ||
        take_from_new_home(z, slot, home_class, order, frame))
        return QUIRE_OK;
    for (unsigned i = 0; i < tries; i++) {
        bool here = i > 0 && has_gone(z), knows = order > 0 && !here;
        uint64_t armed = 0;

        if (qi_take_from_hinted(z, slot, order, frame)) {
            stat_count(z, slot, QUIRE_COUNT_STEAL);
            return QUIRE_OK;
        }
        if (knows)
            armed = qi_watch_arm(z, order);
        if (qi_take_from_any(z, slot, order, here, frame))
            return QUIRE_OK;
        if (knows && qi_watch_know(z, order, armed))
            break;
        stat_count(z, slot, QUIRE_COUNT_RETRY);
    }
    return QUIRE_ERR_NO_MEMORY;
}

static int alloc_small(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                       uint64_t *frame)
{
    int error = qi_count_debit(z, slot, 1ull << order, flags);
    uint32_t home;

    if (error)
        return error;
    /* relaxed: a preference; taking from the block decides */
    home = qa_load(&slot_of(z, slot)->home[home_class_of(z, order, flags)], relaxed);
    if (home && qi_block_take(z, home - 1, order, frame))
        return QUIRE_OK;
    error = qi_take_small(z, slot, order, flags, frame);
    if (error)
        qi_count_credit(z, slot, 1ull << order, flags);
    return error;
}

/* The idle home blocks of all slots, if they are wholly free, become whole blocks. */
static void revoke_homes(const struct quire_zone *z, quire_slot slot)
{
    for (uint32_t i = 0; i < z->slots; i++)
        for (unsigned c = 0; c < CLASSES; c++) {
            uint32_t home = qa_load(&z->slot_states[i].home[c], relaxed); /* relaxed: a hint */

            if (home)
                qi_block_force_whole(z, slot, home - 1);
        }
}

/* Are there too few frames, wherever they are? The sum over the slots is not of one moment, so a
 * debit that fails has the last word. */
static bool too_few_free(struct quire_zone *z, quire_slot slot, uint64_t n, uint32_t flags)
{
    if (quire_zone_free_frames(z) >= n)
        return false;
    if (qi_count_debit(z, slot, n, flags))
        return true;
    qi_count_credit(z, slot, n, flags);
    return false;
}

/* A free aligned run of blocks: by the hints; then with all idle home blocks made whole; then by
 * a last pass that ignores the hints, after every split block that is wholly free was made whole
 * (a freer may have stopped before its look). */
static uint32_t find_large(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags)
{
    unsigned blocks_order = order - BLOCK_ORDER;
    uint64_t armed;
    uint32_t b;

    if (qi_watch_is_known(z, order))
        return NO_BLOCK;
    b = qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);
    if (b != NO_BLOCK || too_few_free(z, slot, 1ull << order, flags))
        return b;
    revoke_homes(z, slot);
    b = qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);
    if (b != NO_BLOCK)
        return b;
    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    armed = qi_watch_arm(z, order);
    qi_zone_force_whole(z, slot);
    if (order > SECTION_ORDER)
        return qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);
    for (uint32_t s = 0; s < z->sections && b == NO_BLOCK; s++)
        b = qi_section_find(z, s, blocks_order, 0);
    if (b == NO_BLOCK)
        (void)qi_watch_know(z, order, armed);
    return b;
}

/* The claimed blocks from b become a run of 2^order frames. */
static inline void make_run(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t b,
                            uint64_t *frame)
{
    qi_assert((pfn_of_frame(z, frame_at(b, 0)).n & ((1ull << order) - 1)) == 0);
    qi_block_run_publish(z, b, order);
    /* relaxed: where the next search starts */
    qa_store(&slot_of(z, slot)->near[NEAR_WHOLE], b, relaxed);
    *frame = frame_at(b, 0);
}

/* Claim a run of 2^order frames: at block b, where it was seen free, or (NO_BLOCK) anywhere. False:
 * a rival was in the way. */
static bool claim_large(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t b,
                        uint64_t *frame)
{
    if (b == NO_BLOCK)
        b = qi_blocks_claim_any(z, order - BLOCK_ORDER);
    else if (!qi_blocks_claim(z, b, order - BLOCK_ORDER))
        b = NO_BLOCK;
    if (b == NO_BLOCK)
        return false;
    make_run(z, slot, order, b, frame);
    return true;
}

static int alloc_large(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                       uint64_t *frame)
{
    bool all = order > BLOCK_ORDER + WORD_ORDER; /* after a loss every place is tried */

    /* Where one exchange decides, a claim is lost only to a rival whose claim succeeded, so the
     * loop needs no bound, and a bound would refuse while memory is free. A claim of several words
     * may be lost to one that was undone, again and again at one place while another is free; so
     * after the first loss every place is tried once, and each was seen taken before a refusal. So
     * it is after the loss of a block that is gone and cannot be installed. */
    for (bool lost = false;; lost = true) {
        bool anywhere = lost && all;
        uint32_t b = anywhere ? NO_BLOCK : find_large(z, slot, order, flags);
        int error;

        if (b == NO_BLOCK && !anywhere)
            return QUIRE_ERR_NO_MEMORY;
        error = qi_count_debit(z, slot, 1ull << order, flags);
        if (error)
            return error;
        if (claim_large(z, slot, order, b, frame))
            return QUIRE_OK;
        qi_count_credit(z, slot, 1ull << order, flags);
        stat_count(z, slot, QUIRE_COUNT_RETRY);
        if (anywhere)
            return QUIRE_ERR_NO_MEMORY;
        all = all || qi_blocks_have_gone(z, b, 1u << (order - BLOCK_ORDER));
    }
}

/* The run of n frames that was taken is to read as zeros: zero it, unless it does. */
static __attribute__((__noinline__)) int hand_out_zeroed(struct quire_zone *z, quire_slot slot,
                                                         uint64_t frame, uint64_t n, quire_pfn pfn)
{
    bool zero = frame_reads_zero(z, frame);
    int error = QUIRE_OK;

    qi_stat_add_at(z, block_of(frame), zero ? QUIRE_COUNT_KNOWN_ZERO : QUIRE_COUNT_ZEROED, n);
    frame_hand_out(z, frame, byte_of_run(frame, n));
    if (!zero)
        error = z->port.zero(z->port.ctx, pfn, n);
    if (error) {
        (void)quire_zone_free_contig(z, slot, pfn, n);
        (void)qi_zone_count_error(z, slot, error);
    }
    return error;
}

/* Hand out the run of n frames that was taken: zeroed if the request says so, watermarks told. */
int qi_alloc_hand_out(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                      uint32_t flags, quire_pfn *pfn)
{
    int error = QUIRE_OK;

    qi_assert(n > 0 && frame != NO_FRAME);
    *pfn = pfn_of_frame(z, frame);
    if (flags & QUIRE_ZEROED)
        error = hand_out_zeroed(z, slot, frame, n, *pfn);
    else
        frame_hand_out(z, frame, byte_of_run(frame, n));
    if (!error)
        qi_count_check_watermarks(z, slot, flags);
    return error;
}

/* A run below order 9 from the fullest block of its class that is nobody's home: no whole block is
 * split for it, and none of the ranges `but` is touched. The block is looked for anew each time, as
 * the fullest one is used up by a few runs. Repeats only what a rival's success spoiled. */
int qi_zone_alloc_dense(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                        const struct block_ranges *but, quire_pfn *pfn)
{
    int error = qi_count_debit(z, slot, 1ull << order, flags);
    uint64_t frame;
    uint32_t b;

    qi_assert(order < BLOCK_ORDER);
    if (error)
        return error;
    while ((b = qi_find_dense(z, home_class_of(z, order, flags), order, but)) != NO_BLOCK)
        if (qi_block_take(z, b, order, &frame)) {
            qi_hint_block_refresh(z, b);
            return qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
        }
    qi_count_credit(z, slot, 1ull << order, flags);
    return QUIRE_ERR_NO_MEMORY;
}

/* The same from block b, which is whole and is split for it, as nobody's home block.
 * QUIRE_ERR_NO_MEMORY: the floor. QUIRE_ERR_BUSY: somebody was faster. */
int qi_zone_alloc_opened(struct quire_zone *z, quire_slot slot, uint32_t b, unsigned order,
                         uint32_t flags, quire_pfn *pfn)
{
    int error = qi_count_debit(z, slot, 1ull << order, flags);
    uint64_t frame;

    qi_assert(order < BLOCK_ORDER);
    if (error)
        return error;
    if (qi_blocks_claim(z, b, 0) &&
        qi_block_split(z, slot, b,
                       D_SPLIT | (uint32_t)home_class_of(z, order, flags) << D_CLASS_SHIFT)) {
        qi_section_note_class(z, b, home_class_of(z, order, flags));
        /* E-hint fence: the split before the announcement. It could be left out: as in
         * take_from_block. */
        qa_fence_seq_cst();
        qi_hint_block_free(z, b);
        if (qi_block_take(z, b, order, &frame)) {
            qi_hint_block_refresh(z, b);
            return qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
        }
    }
    qi_count_credit(z, slot, 1ull << order, flags);
    return QUIRE_ERR_BUSY;
}

/* Whatever the request, with all checks: take a run, which is not handed out yet. */
static int take_checked(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                        uint64_t *frame)
{
    int error = alloc_precheck(z, slot, flags, 0);

    if (!error && order > QUIRE_MAX_ORDER)
        error = QUIRE_ERR_SIZE;
    if (!error)
        error = order < BLOCK_ORDER ? alloc_small(z, slot, order, flags, frame)
                                    : alloc_large(z, slot, order, flags, frame);
    if (error)
        (void)qi_zone_count_error(z, slot, error);
    return error;
}

/* The same, and hand it out. */
static __attribute__((__noinline__)) int alloc_checked(struct quire_zone *z, quire_slot slot,
                                                       unsigned order, uint32_t flags,
                                                       quire_pfn *pfn)
{
    uint64_t frame;
    int error = take_checked(z, slot, order, flags, &frame);

    return error ? error : qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
}

/* For the caches: a run that is handed out, and not zeroed. *zero: it reads as zeros. */
int qi_zone_alloc_unzeroed(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                           quire_pfn *pfn, bool *zero)
{
    uint64_t frame;
    int error = take_checked(z, slot, order, flags, &frame);

    qi_assert(!(flags & QUIRE_ZEROED));
    if (error)
        return error;
    *zero = frame_reads_zero(z, frame);
    return qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
}

/* For the caches: a run that is not handed out as far as its frame byte tells; not zeroed. */
int qi_zone_alloc_cached(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                         quire_pfn *pfn)
{
    uint64_t frame;
    int error = take_checked(z, slot, order, flags, &frame);

    if (error)
        return error;
    *pfn = pfn_of_frame(z, frame);
    qi_count_check_watermarks(z, slot, flags);
    return QUIRE_OK;
}

/* A run of whole blocks, on the slot's credit, in the word of the last one: where a search begins.
 */
static bool take_near_last(struct quire_zone *z, quire_slot slot, unsigned order, uint64_t *frame)
{
    uint32_t b = qi_find_near_last(z, slot, order - BLOCK_ORDER);

    if (b == NO_BLOCK || !credit_take(z, slot, 1ull << order))
        return false;
    if (qi_blocks_claim(z, b, order - BLOCK_ORDER)) {
        make_run(z, slot, order, b, frame);
        return true;
    }
    qi_count_credit(z, slot, 1ull << order, 0);
    return false;
}

/* An allocation of order 9 or more. On credit there is nothing to tell, as below. */
static __attribute__((__noinline__)) int alloc_blocks(struct quire_zone *z, quire_slot slot,
                                                      unsigned order, uint32_t flags,
                                                      quire_pfn *pfn)
{
    uint64_t frame;

    if (flags & ~(uint32_t)QUIRE_MOVABLE || slot.n >= z->slots ||
        order > BLOCK_ORDER + WORD_ORDER || !take_near_last(z, slot, order, &frame))
        return alloc_checked(z, slot, order, flags, pfn);
    frame_hand_out(z, frame, byte_of_order(order));
    *pfn = pfn_of_frame(z, frame);
    return QUIRE_OK;
}

/* A run below order 9, on the slot's credit, that the home block has not. */
static __attribute__((__noinline__)) int alloc_beyond_home(struct quire_zone *z, quire_slot slot,
                                                           unsigned order, uint32_t flags,
                                                           quire_pfn *pfn)
{
    uint64_t frame;
    int error = qi_take_small(z, slot, order, flags, &frame);

    if (!error)
        return qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
    qi_count_credit(z, slot, 1ull << order, flags);
    return qi_zone_count_error(z, slot, error);
}

/* An allocation of order 1 to 8, as that of a frame below. */
static __attribute__((__noinline__)) int alloc_run(struct quire_zone *z, quire_slot slot,
                                                   unsigned order, uint32_t flags, quire_pfn *pfn)
{
    uint32_t home;
    uint64_t frame;

    if (flags & ~(uint32_t)QUIRE_MOVABLE || slot.n >= z->slots)
        return alloc_checked(z, slot, order, flags, pfn);
    /* relaxed: a preference; taking from the block decides */
    home = qa_load(&slot_of(z, slot)->home[home_class_of(z, order, flags)], relaxed);
    if (!home || !credit_take(z, slot, 1ull << order))
        return alloc_checked(z, slot, order, flags, pfn);
    if (!qi_block_take(z, home - 1, order, &frame))
        return alloc_beyond_home(z, slot, order, flags, pfn);
    frame_hand_out(z, frame, byte_of_order(order));
    *pfn = pfn_of_frame(z, frame);
    return QUIRE_OK;
}

int quire_zone_alloc(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                     quire_pfn *pfn)
{
    uint32_t home;
    uint64_t frame;

    if (order != 0)
        return order < BLOCK_ORDER ? alloc_run(z, slot, order, flags, pfn)
                                   : alloc_blocks(z, slot, order, flags, pfn);
    if (flags & ~(uint32_t)QUIRE_MOVABLE || slot.n >= z->slots)
        return alloc_checked(z, slot, 0, flags, pfn);
    /* relaxed: a preference; taking from the block decides */
    home = qa_load(&slot_of(z, slot)->home[home_class_of(z, 0, flags)], relaxed);
    /* On credit one is far from the watermarks, and there is nothing to tell. */
    if (!home || !credit_take(z, slot, 1))
        return alloc_checked(z, slot, 0, flags, pfn);
    if (!block_take_one(z, home - 1, &frame))
        return alloc_beyond_home(z, slot, 0, flags, pfn);
    frame_hand_out(z, frame, BYTE_SINGLE);
    *pfn = pfn_of_frame(z, frame);
    return QUIRE_OK;
}
