/* SPDX-License-Identifier: MIT
 *
 * reserve.c - memory that is taken out of use, and put into use.
 *
 * Reserved memory is of two kinds: whole blocks (descriptor RESERVED) and frames of blocks that
 * are otherwise in use (pins, pin.c). Reserving claims the frames like an allocation at exactly
 * that place (claim.c), so it cannot race a free or an allocation into a double use: it gets all
 * frames or none. Then they leave `managed`. Unreserving is decided, for each block, by the
 * compare-and-swap of its descriptor, for pinned frames by clearing the pins: of two threads that
 * unreserve the same frames at once, one frees each of them (and the other is told FRAME).
 *
 * A pin entry that was made for a call that then fails stays, empty: it is the block's for good.
 *
 * Who unreserves frames knows that they are reserved from who reserved them. So descriptor and pins
 * that say so carry nothing from one to the other: they only decide between two that unreserve.
 *
 * Lock-free, any context, bounded by the length.
 */
#include "core/fastpath.h"

/* What of the n frames from `frame` lies in its block, all of it? */
static bool covers_whole_block(uint64_t frame, unsigned n)
{
    return place_of(frame) == 0 && n == BLOCK_FRAMES;
}

/* May the held range be reserved: is there a pin entry for each block that needs one? */
static bool make_pins(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    for (unsigned some; n > 0; frame += some, n -= some) {
        uint32_t b = block_of(frame);

        some = block_part(frame, n);
        /* relaxed: a block that is held keeps its state */
        if (desc_state(qa_load(desc_of(z, b), relaxed)) == D_FREE &&
            covers_whole_block(frame, some))
            continue;
        if (!qi_pin_make(z, b))
            return false;
    }
    return true;
}

/* The held frames of one block become pins. */
static void pin_part(const struct quire_zone *z, uint64_t frame, unsigned n)
{
    struct map512 *pinned = &qi_pin_find(z, block_of(frame))->pinned;
    uint64_t mask, old;

    qi_range_publish(z, frame, n, false);
    (void)qa_or(desc_of(z, block_of(frame)), D_PINS, relaxed); /* relaxed: see the head */
    for (unsigned some; n > 0; frame += some, n -= some) {
        some = word_part(frame, n, &mask);
        /* relaxed: see the head */
        old = qa_or(&pinned->w[place_of(frame) / WORD_BITS], mask, relaxed);
        qi_assert(!(old & mask)); /* N2: what was claimed was not pinned */
    }
}

int quire_zone_reserve(struct quire_zone *z, quire_slot slot, quire_pfn pfn, uint64_t frames)
{
    uint64_t frame = NO_FRAME, at, left;
    int error;

    if (slot.n >= z->slots || frames == 0 || frames >> QUIRE_PFN_BITS)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    frame = qi_frame_of_range(z, pfn, frames);
    if (frame == NO_FRAME)
        return qi_zone_count_error(z, slot, QUIRE_ERR_FRAME);
    qi_range_force_whole(z, slot, frame, frames);
    error = qi_count_debit(z, slot, frames, QUIRE_EMERGENCY);
    if (error) /* fewer are free than are to be reserved */
        return qi_zone_count_error(z, slot, qi_range_claim_error(z, frame, frames));
    error = qi_range_claim(z, slot, frame, frames);
    if (!error && !make_pins(z, frame, frames)) {
        qi_range_undo_claim(z, frame, frames);
        error = QUIRE_ERR_FULL;
    }
    if (error) {
        qi_count_credit(z, slot, frames, 0);
        return qi_zone_count_error(z, slot, error);
    }
    for (at = frame, left = frames; left > 0;) {
        unsigned some = block_part(at, left);
        qa32 *desc = desc_of(z, block_of(at));
        /* relaxed: a block that is held stays FREE or divided */
        uint32_t d = qa_load(desc, relaxed);

        qi_assert(desc_state(d) == D_FREE || desc_divided(d));
        if (desc_state(d) == D_FREE && covers_whole_block(at, some))
            qa_store(desc, D_RESERVED, relaxed); /* relaxed: see the head */
        else
            pin_part(z, at, some);
        at += some;
        left -= some;
    }
    (void)qa_sub(&z->head->managed, frames, relaxed);  /* relaxed: a figure */
    (void)qa_add(&z->head->reserved, frames, relaxed); /* relaxed: a figure */
    qi_count_check_watermarks(z, slot, 0);
    return QUIRE_OK;
}

/* A RESERVED block of which a part is to be unreserved becomes SPLIT with all frames pinned: the
 * same reserved frames in another form. BUSY: another call is doing so. */
static int split_reserved(const struct quire_zone *z, uint32_t b)
{
    struct quire_pin *pin = qi_pin_make(z, b);
    uint32_t d = D_RESERVED;

    if (!pin)
        return QUIRE_ERR_FULL;
    if (!qa_cas(desc_of(z, b), &d, D_MOVING, relaxed)) /* relaxed: see the head */
        return desc_divided(d) ? QUIRE_OK : QUIRE_ERR_BUSY;
    qi_assert(desc_may_become(d, D_MOVING) && desc_may_become(D_MOVING, D_SPLIT));
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        qa_store(&frame_map(z, b)->w[i], WORD_FULL, relaxed); /* relaxed: E-desc publishes it */
        qa_store(&pin->pinned.w[i], WORD_FULL, relaxed);      /* relaxed: as above */
    }
    qa_store(desc_of(z, b), D_SPLIT | D_PINS, release); /* E-desc release */
    qi_block_follow_isolations(z, b);
    /* Another unreserve may have passed its checks before, and freed while it read MOVING. */
    /* E-look fence. E-hint fence: the descriptor before the look. It could be left out: following
     * the isolations begins with one, behind the descriptor. */
    qa_fence_seq_cst();
    qi_block_make_whole(z, b);
    qi_hint_block_free(z, b);
    return QUIRE_OK;
}

/* Are the frames of one block reserved, and can they be unreserved? */
static int check_reserved(const struct quire_zone *z, uint64_t frame, unsigned n)
{
    uint32_t b = block_of(frame);
    uint32_t d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */
    const struct quire_pin *p;
    uint64_t mask;

    if (desc_state(d) == D_RESERVED && !(d & D_HOLE))
        return covers_whole_block(frame, n) ? QUIRE_OK : split_reserved(z, b);
    if (desc_state(d) == D_MOVING)
        return QUIRE_ERR_BUSY;
    if (!desc_divided(d) || !(d & D_PINS) || !(p = qi_pin_find(z, b)))
        return QUIRE_ERR_FRAME;
    for (unsigned some; n > 0; frame += some, n -= some) {
        unsigned word = place_of(frame) / WORD_BITS;

        some = word_part(frame, n, &mask);
        /* relaxed: constant; and of what is pinned clearing decides */
        if (qa_load(&p->hole.w[word], relaxed) & mask ||
            (qa_load(&p->pinned.w[word], relaxed) & mask) != mask)
            return QUIRE_ERR_FRAME;
    }
    return QUIRE_OK;
}

/* Unreserve the frames of one block; how many of them this call freed. */
static uint64_t unreserve_part(const struct quire_zone *z, uint64_t frame, unsigned n)
{
    uint32_t b = block_of(frame), d = D_RESERVED;
    struct quire_pin *pin;
    uint64_t freed = 0, mask, old;

    /* relaxed: see the head */
    if (covers_whole_block(frame, n) && qa_cas(desc_of(z, b), &d, desc_free(z, false), relaxed)) {
        qi_blocks_release(z, b, 1);
        return BLOCK_FRAMES;
    }
    pin = qi_pin_find(z, b);
    for (unsigned some; pin && n > 0; frame += some, n -= some) {
        unsigned word = place_of(frame) / WORD_BITS;

        some = word_part(frame, n, &mask);
        /* relaxed: see the head; E-frame carries it on (N2) */
        old = qa_and(&pin->pinned.w[word], ~mask, relaxed) & mask;
        /* Whoever had them as reserved ones may have written them. */
        for (uint64_t left = has_zeros(z) ? old : 0; left; left &= left - 1)
            bytes_fill(z, frame_at(b, word * WORD_BITS + word_first(left)), 1, BYTE_NONE);
        if (old)
            freed += word_count(frames_put(z, b, word, old));
    }
    return freed;
}

/* Of n frames that were to be unreserved this call freed `freed`. */
static int count_unreserved(struct quire_zone *z, quire_slot slot, uint64_t n, uint64_t freed)
{
    (void)qa_add(&z->head->managed, freed, relaxed);  /* relaxed: a figure */
    (void)qa_sub(&z->head->reserved, freed, relaxed); /* relaxed: a figure */
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    return freed == n ? QUIRE_OK : qi_zone_count_error(z, slot, QUIRE_ERR_FRAME);
}

int quire_zone_unreserve(struct quire_zone *z, quire_slot slot, quire_pfn pfn, uint64_t frames)
{
    uint64_t frame = NO_FRAME, freed = 0, at, left;

    if (slot.n >= z->slots || frames == 0 || frames >> QUIRE_PFN_BITS)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    frame = qi_frame_of_range(z, pfn, frames);
    if (frame == NO_FRAME)
        return qi_zone_count_error(z, slot, QUIRE_ERR_FRAME);
    for (at = frame, left = frames; left > 0;) {
        unsigned some = block_part(at, left);
        int error = check_reserved(z, at, some);

        if (error)
            return qi_zone_count_error(z, slot, error);
        at += some;
        left -= some;
    }
    for (at = frame, left = frames; left > 0;) {
        unsigned some = block_part(at, left);

        freed += unreserve_part(z, at, some);
        at += some;
        left -= some;
    }
    return count_unreserved(z, slot, frames, freed);
}

/* The next stretch of held frames of a block, from place *at on: its length, and in *at where it
 * begins. 0: there is none. */
static unsigned next_isolated_stretch(const struct quire_isolated_frames *held, unsigned *at)
{
    unsigned n = 0;

    while (*at < BLOCK_FRAMES && !(held->frames[*at / WORD_BITS] >> *at % WORD_BITS & 1))
        ++*at;
    while (*at + n < BLOCK_FRAMES &&
           held->frames[(*at + n) / WORD_BITS] >> (*at + n) % WORD_BITS & 1)
        n++;
    return n;
}

int quire_zone_unreserve_isolated(struct quire_zone *z, quire_slot slot, struct quire_run run,
                                  const struct quire_isolated_frames held[])
{
    uint64_t frame, blocks = run.frames / BLOCK_FRAMES, wanted = 0, freed = 0;
    int error = qi_block_range_check(z, slot, run, &frame);

    if (error)
        return qi_zone_count_error(z, slot, error);
    for (uint64_t i = 0; i < blocks; i++)
        for (unsigned at = 0, n; (n = next_isolated_stretch(&held[i], &at)) > 0;
             at += n, wanted += n) {
            error = check_reserved(z, frame + i * BLOCK_FRAMES + at, n);
            if (error)
                return qi_zone_count_error(z, slot, error);
        }
    for (uint64_t i = 0; i < blocks; i++)
        for (unsigned at = 0, n; (n = next_isolated_stretch(&held[i], &at)) > 0; at += n)
            freed += unreserve_part(z, frame + i * BLOCK_FRAMES + at, n);
    return count_unreserved(z, slot, wanted, freed);
}
