/* SPDX-License-Identifier: MIT
 *
 * split_join.c - runs that change shape in place, for their owner.
 *
 * Splitting is an explicit operation of the owner, and freeing a part of a run that was not split
 * is an error; so no run is split while a half of it is freed.
 *
 *   split, order < 9   the run leaves the run map, decided like a free by the compare-and-swap of
 *                      its first continuation word.
 *   split, order >= 9  the first descriptor goes from WHOLE(order) to MOVING by compare-and-swap,
 *                      so that a racing free fails; each block's map becomes all ones, then its
 *                      descriptor SPLIT (release); the first block comes last.
 *   into blocks        likewise, but each block's descriptor becomes WHOLE(9), and no map changes.
 *   join               all 512 bits set, none a run's, none pinned; then the descriptor goes from
 *                      the value seen, a slot's home block or not, to WHOLE(9), and the map is
 *                      looked at once more: a frame that was freed meanwhile undoes it.
 *
 * The frame bytes follow: of a run that is split the first frame's is cleared before the step that
 * decides, and all are set when it is over; of a block that is joined all are cleared before the
 * step that decides, so of one of which a frame lies in a cache, or is freed meanwhile, it is
 * refused.
 *
 * No frame becomes free here, so no count and no hint changes. Lock-free, any context.
 */
#include "core/fastpath.h"

/* `desc`: SPLIT, with the class that the block is to have. */
static void fill_and_split(const struct quire_zone *z, uint32_t b, uint32_t desc)
{
    /* relaxed: the caller's */
    qi_assert_held(desc_may_become(qa_load(desc_of(z, b), relaxed), D_SPLIT));
    for (unsigned i = 0; i < MAP_WORDS; i++)
        qa_store(&frame_map(z, b)->w[i], WORD_FULL, relaxed); /* relaxed: E-desc publishes it */
    qa_store(desc_of(z, b), desc, release);                   /* E-desc release */
    qi_block_follow_isolations(z, b);
}

/* Block b, of a run that is the caller's, becomes a run of its own. */
static void publish_single_block(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: the caller's */
    qi_assert_held(desc_may_become(qa_load(desc_of(z, b), relaxed), desc_whole(BLOCK_ORDER)));
    /* relaxed: a run of one block has no other descriptors, and no map of it was written */
    qa_store(desc_of(z, b), desc_whole(BLOCK_ORDER), relaxed);
}

/* Is `frame` the first one of a run of whole blocks, of this order? */
static int split_whole_check(const struct quire_zone *z, uint64_t frame, unsigned order)
{
    uint32_t d = qa_load(desc_of(z, block_of(frame)), relaxed); /* relaxed: the caller's block */

    if (order <= QUIRE_MAX_ORDER && d == desc_whole(order) && place_of(frame) == 0)
        return QUIRE_OK;
    return desc_state(d) == D_WHOLE ? QUIRE_ERR_ORDER : qi_desc_free_error(d);
}

/* Each block becomes what `desc` says: SPLIT, with the class that it is to have, or WHOLE(9). */
static int split_whole(const struct quire_zone *z, uint32_t b, unsigned order, uint32_t desc)
{
    uint32_t d = desc_whole(order), n = 1u << (order - BLOCK_ORDER);

    /* E-run-head acquire. Decides between a split and a free that race. */
    if (!qa_cas(desc_of(z, b), &d, D_MOVING, acquire))
        return desc_state(d) == D_WHOLE ? QUIRE_ERR_ORDER : qi_desc_free_error(d);
    qi_assert(desc_may_become(d, D_MOVING) && b % (n < SECTION_BLOCKS ? n : SECTION_BLOCKS) == 0);
    for (uint32_t i = n; i > 0; i--) {
        /* relaxed: the run is the caller's now */
        qi_assert(i == 1 || desc_state(qa_load(desc_of(z, b + i - 1), relaxed)) == D_TAIL);
        if (desc_state(desc) == D_WHOLE) {
            publish_single_block(z, b + i - 1);
            continue;
        }
        fill_and_split(z, b + i - 1, desc);
        qi_section_note_class(z, b + i - 1, desc_class(desc));
    }
    return QUIRE_OK;
}

/* Split the run of n frames at `frame`; its blocks, if it was a run of whole ones, are of the class
 * that the flags say then. */
int qi_run_split(const struct quire_zone *z, uint64_t frame, uint64_t n, uint32_t flags)
{
    uint32_t split_class = flags & QUIRE_MOVABLE ? CLASS_MOVABLE : CLASS_UNMOVABLE;
    /* relaxed: the caller's own block */
    bool whole = n >= BLOCK_FRAMES && !(n & (n - 1)) &&
                 !desc_divided(qa_load(desc_of(z, block_of(frame)), relaxed));
    int error = whole ? split_whole_check(z, frame, word_first(n)) : qi_run_check(z, frame, n);

    if (!error)
        error = frame_take_back(z, frame, byte_of_run(frame, n));
    if (!error && whole)
        error =
            split_whole(z, block_of(frame), word_first(n), D_SPLIT | split_class << D_CLASS_SHIFT);
    else if (!error && !qi_run_unmark(z, frame, n))
        error = QUIRE_ERR_DOUBLE_FREE;
    if (error)
        return error;
    for (uint64_t i = 0; i < n; i++)
        frame_hand_out(z, frame + i, BYTE_SINGLE);
    return QUIRE_OK;
}

int quire_zone_split(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    if (order > QUIRE_MAX_ORDER)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (slot.n < z->slots && pfn.n & ((1ull << order) - 1))
        return qi_zone_count_error(z, slot, QUIRE_ERR_ALIGN);
    return quire_zone_split_contig(z, slot, pfn, 1ull << order, 0);
}

int quire_zone_split_contig(struct quire_zone *z, quire_slot slot, quire_pfn pfn, uint64_t frames,
                            uint32_t flags)
{
    uint64_t frame;
    int error = QUIRE_ERR_FRAME;

    if (flags & ~(uint32_t)QUIRE_MOVABLE)
        return qi_zone_count_error(z, slot, QUIRE_ERR_UNSUPPORTED);
    if (slot.n >= z->slots || frames == 0 || frames >> QUIRE_PFN_BITS)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    frame = qi_frame_of_range(z, pfn, frames);
    if (frame != NO_FRAME)
        error = qi_run_split(z, frame, frames, flags);
    return error ? qi_zone_count_error(z, slot, error) : QUIRE_OK;
}

/* Split the run of whole blocks at `frame` into these. */
static int split_into_blocks(const struct quire_zone *z, uint64_t frame, unsigned order)
{
    uint64_t n = 1ull << order;
    int error;

    /* relaxed: the caller's own block */
    if (desc_divided(qa_load(desc_of(z, block_of(frame)), relaxed))) {
        error = qi_run_check(z, frame, n);
        return error ? error : QUIRE_ERR_ORDER; /* contiguous, but not of whole blocks */
    }
    error = split_whole_check(z, frame, order);
    if (!error)
        error = frame_take_back(z, frame, byte_of_order(order));
    if (!error)
        error = split_whole(z, block_of(frame), order, desc_whole(BLOCK_ORDER));
    if (error)
        return error;
    for (uint64_t i = 0; i < n; i += BLOCK_FRAMES)
        frame_hand_out(z, frame + i, byte_of_order(BLOCK_ORDER));
    return QUIRE_OK;
}

int quire_zone_split_blocks(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    int error = QUIRE_ERR_FRAME;

    if (slot.n >= z->slots || order <= BLOCK_ORDER || order > QUIRE_MAX_ORDER)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (pfn.n & ((1ull << order) - 1))
        return qi_zone_count_error(z, slot, QUIRE_ERR_ALIGN);
    frame = qi_frame_of_range(z, pfn, 1ull << order);
    if (frame != NO_FRAME)
        error = split_into_blocks(z, frame, order);
    return error ? qi_zone_count_error(z, slot, error) : QUIRE_OK;
}

/* Can the frames of block b, SPLIT by its descriptor d, be one run? */
static int check_join(const struct quire_zone *z, uint32_t b, uint32_t d)
{
    if (desc_state(d) == D_ISOLATED)
        return QUIRE_ERR_BUSY;
    if (desc_state(d) != D_SPLIT)
        return qi_desc_free_error(d);
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        if (d & D_PINS && qi_pinned_frames(z, b, i))
            return QUIRE_ERR_FRAME;
        /* relaxed: the frames and their run map are the caller's */
        if (qa_load(&frame_map(z, b)->w[i], relaxed) != WORD_FULL)
            return QUIRE_ERR_DOUBLE_FREE;
        /* relaxed: as above */
        if (has_run_map(z) && qa_load(&run_map(z, b)->w[i], relaxed))
            return QUIRE_ERR_ORDER;
    }
    /* The last frame may be the first one of a run that goes on in the next block. */
    return frames_check(z, b, MAP_WORDS - 1, 1ull << (WORD_BITS - 1));
}

/* The first n frames of block b are single ones of the caller's still, but for one that a free at
 * the same instant had. */
static void give_back_singles(const struct quire_zone *z, uint32_t b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        /* relaxed: the caller's */
        if (qa_load(&frame_map(z, b)->w[i / WORD_BITS], relaxed) >> i % WORD_BITS & 1)
            frame_hand_out(z, frame_at(b, i), BYTE_SINGLE);
}

/* Take all frames of block b back, as single ones, or none: one lies in a cache, or is freed at
 * this instant. */
static int take_back_block(const struct quire_zone *z, uint32_t b)
{
    for (unsigned i = 0; i < BLOCK_FRAMES; i++)
        if (frame_take_back(z, frame_at(b, i), BYTE_SINGLE)) {
            give_back_singles(z, b, i);
            return QUIRE_ERR_DOUBLE_FREE;
        }
    return QUIRE_OK;
}

int quire_zone_join(struct quire_zone *z, quire_slot slot, quire_pfn pfn)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    uint32_t b = block_of(frame), d;
    int error;

    if (slot.n >= z->slots)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (pfn.n & (BLOCK_FRAMES - 1))
        return qi_zone_count_error(z, slot, QUIRE_ERR_ALIGN);
    if (frame == NO_FRAME)
        return qi_zone_count_error(z, slot, QUIRE_ERR_FRAME);
    d = qa_load(desc_of(z, b), relaxed); /* relaxed: the caller's frames; an exchange decides */
    error = check_join(z, b, d);
    if (!error)
        error = take_back_block(z, b);
    if (!error) {
        uint32_t whole = d;

        qi_assert(desc_may_become(d, desc_whole(BLOCK_ORDER)));
        /* relaxed: all frames are the caller's. It could be a store: others only make such a block
         * a home or isolate it, and find out when they go on with it. */
        if (!qa_cas(desc_of(z, b), &whole, desc_whole(BLOCK_ORDER), relaxed)) {
            error = QUIRE_ERR_BUSY;
        } else if (!qi_map_words_equal(frame_map(z, b), WORD_FULL)) {
            /* E-desc release. It could be relaxed: what is free now was freed in error. */
            qa_store(desc_of(z, b), d & ~D_OWNER, release);
            qi_block_follow_isolations(z, b);
            /* E-look fence: the free that did it saw WHOLE. It could be left out: following the
             * isolations ends with one. */
            qa_fence_seq_cst();
            qi_block_make_whole(z, b);
            qi_hint_block_free(z, b);
            error = QUIRE_ERR_BUSY;
        }
        if (error)
            give_back_singles(z, b, BLOCK_FRAMES);
    }
    if (error)
        return qi_zone_count_error(z, slot, error);
    frame_hand_out(z, frame_at(b, 0), byte_of_order(BLOCK_ORDER));
    return QUIRE_OK;
}

int quire_zone_retire_slot(struct quire_zone *z, quire_slot slot)
{
    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    for (unsigned c = 0; c < CLASSES; c++) {
        uint32_t home = qa_xchg(&slot_of(z, slot)->home[c], 0, acquire); /* E-home acquire */

        if (home)
            (void)qi_home_leave(z, desc_owner(slot), home - 1);
    }
    qi_count_retire_slot(z, slot);
    return QUIRE_OK;
}
