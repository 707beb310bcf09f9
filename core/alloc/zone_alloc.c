/* SPDX-License-Identifier: MIT
 *
 * zone_alloc.c - the public allocation and free of single frames and power-of-two runs.
 *
 * An allocation below order 9: debit the count, take from the home block, else search
 * (find_block.c), else credit back and refuse. From order 9 on the order is turned round: look
 * first (read-only), debit only when there is a candidate, and refund at once, so that a hopeless
 * request for 4 GiB does not starve everybody meanwhile.
 *
 * A refusal is true (the contract): either the count could not be debited, or every candidate was
 * seen taken at some moment by a last pass that ignores hints and ownership. Frames, blocks and
 * credit that another thread's unfinished operation holds count as taken: nobody waits for another
 * thread; everything is tried a bounded number of times, then answered.
 *
 * Lock-free, any context; a slot may be re-entered at any instruction.
 */
#include "core/fastpath.h"

enum {
    HOME_TRIES = 4,  /* homes tried that turn out not to have a fitting run */
    SMALL_TRIES = 4, /* last passes for a single frame: its debit says that one is free somewhere */
    WORDS_TRIES = 2, /* last passes for orders 7 and 8, whose claims may fail because of a rival */
};

/* Count an error and hand it on. */
int qi_zone_count_error(const struct quire_zone *z, quire_slot slot, int error)
{
    if (slot.n < z->slots && error < 0)
        qa_add(&slot_of(z, slot)->errors[-error], 1, relaxed); /* relaxed: a statistic */
    return error;
}

/* The same for a refused free, which is also reported. */
int qi_zone_report_bad_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, int error)
{
    if (z->port.report)
        z->port.report(z->port.ctx, z, QUIRE_REPORT_BAD_FREE, pfn, error);
    return qi_zone_count_error(z, slot, error);
}

/* A home that has a fitting run; it becomes the slot's. */
static bool take_from_new_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                               unsigned order, uint64_t *frame)
{
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

/* Find a run below order 9 whose frames are debited. NO_MEMORY: no place was free. */
int qi_take_small(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                  uint64_t *frame)
{
    unsigned home_class = home_class_of(order, flags);
    unsigned tries = order == 0 ? SMALL_TRIES : order > WORD_ORDER ? WORDS_TRIES : 1;

    if (take_from_new_home(z, slot, home_class, order, frame))
        return QUIRE_OK;
    for (unsigned i = 0; i < tries; i++) {
        if (qi_take_from_hinted(z, slot, order, frame)) {
            stat_count(z, slot, QUIRE_COUNT_STEAL);
            return QUIRE_OK;
        }
        if (qi_take_from_any(z, slot, order, frame))
            return QUIRE_OK;
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
    home = qa_load(&slot_of(z, slot)->home[home_class_of(order, flags)], relaxed);
    if (home && qi_block_take(z, home - 1, order, frame))
        return QUIRE_OK;
    error = qi_take_small(z, slot, order, flags, frame);
    if (error)
        qi_count_credit(z, slot, 1ull << order, flags);
    return error;
}

/* The idle homes of all slots, if they are wholly free, become whole blocks. */
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

/* A free aligned run of blocks: by the hints; then with everybody's idle homes made whole; then by
 * a last pass that ignores the hints, after every split block that is wholly free was made whole
 * (a freer may have stopped before its look). */
static uint32_t find_large(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags)
{
    unsigned blocks_order = order - BLOCK_ORDER;
    uint32_t b = qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);

    if (b != NO_BLOCK || too_few_free(z, slot, 1ull << order, flags))
        return b;
    revoke_homes(z, slot);
    b = qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);
    if (b != NO_BLOCK)
        return b;
    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    qi_zone_force_whole(z, slot);
    for (uint32_t s = 0; s < z->sections && b == NO_BLOCK && order <= SECTION_ORDER; s++)
        b = qi_section_find(z, s, blocks_order, 0);
    return order <= SECTION_ORDER ? b : qi_find_whole(z, slot, NEAR_WHOLE, blocks_order);
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
    qi_block_run_publish(z, b, order);
    /* relaxed: where the next search starts */
    qa_store(&slot_of(z, slot)->near[NEAR_WHOLE], b, relaxed);
    *frame = frame_at(b, 0);
    return true;
}

static int alloc_large(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                       uint64_t *frame)
{
    bool one_word = order <= BLOCK_ORDER + WORD_ORDER;

    /* Where one exchange decides, a claim is lost only to a rival whose claim succeeded, so the
     * loop needs no bound, and a bound would refuse while memory is free. A claim of several words
     * may be lost to one that was undone, again and again at one place while another is free; so
     * after the first loss every place is tried once, and each was seen taken before a refusal. */
    for (bool lost = false;; lost = true) {
        bool anywhere = lost && !one_word;
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
    }
}

/* Hand out the run of n frames that was taken: zeroed if the request says so, watermarks told. */
int qi_alloc_hand_out(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                      uint32_t flags, quire_pfn *pfn)
{
    int error;

    *pfn = pfn_of_frame(z, frame);
    if (flags & QUIRE_ZEROED) {
        error = z->port.zero(z->port.ctx, *pfn, n);
        if (error) {
            (void)quire_zone_free_contig(z, slot, *pfn, n);
            return qi_zone_count_error(z, slot, error);
        }
    }
    qi_count_check_watermarks(z, slot, flags);
    return QUIRE_OK;
}

/* Whatever the request, with all checks. */
static __attribute__((__noinline__)) int alloc_checked(struct quire_zone *z, quire_slot slot,
                                                       unsigned order, uint32_t flags,
                                                       quire_pfn *pfn)
{
    int error = alloc_precheck(z, slot, flags, 0);
    uint64_t frame;

    if (!error && order > QUIRE_MAX_ORDER)
        error = QUIRE_ERR_SIZE;
    if (!error)
        error = order < BLOCK_ORDER ? alloc_small(z, slot, order, flags, &frame)
                                    : alloc_large(z, slot, order, flags, &frame);
    if (error)
        return qi_zone_count_error(z, slot, error);
    return qi_alloc_hand_out(z, slot, frame, 1ull << order, flags, pfn);
}

/* One frame from the home block, on credit: far from the watermarks, nothing to tell. */
static inline bool alloc_hit(struct quire_zone *z, quire_slot slot, uint32_t flags, quire_pfn *pfn)
{
    /* relaxed: a preference; taking from the block decides */
    uint32_t home = qa_load(&slot_of(z, slot)->home[home_class_of(0, flags)], relaxed);
    uint64_t frame;

    if (!home || !credit_take(z, slot, 1))
        return false;
    if (!block_take_one(z, home - 1, &frame)) {
        /* E-count release: nothing was taken. */
        (void)qa_add(&slot_of(z, slot)->credit, 1, release);
        return false;
    }
    *pfn = pfn_of_frame(z, frame);
    return true;
}

int quire_zone_alloc(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                     quire_pfn *pfn)
{
    if (order == 0 && !(flags & ~(uint32_t)QUIRE_MOVABLE) && slot.n < z->slots &&
        alloc_hit(z, slot, flags, pfn))
        return QUIRE_OK;
    return alloc_checked(z, slot, order, flags, pfn);
}

/* Free n frames from `frame`, a run of split blocks. Without a run map a racing free of the same
 * run may have had a part of it: what this call freed is credited all the same. */
static int free_split(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n)
{
    int error = qi_run_check(z, frame, n);
    uint64_t freed;

    if (error)
        return error;
    if (!qi_run_unmark(z, frame, n))
        return QUIRE_ERR_DOUBLE_FREE;
    freed = qi_frames_clear(z, frame, n);
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    return freed == n ? QUIRE_OK : QUIRE_ERR_DOUBLE_FREE;
}

/* Free one frame. */
static inline int free_one(struct quire_zone *z, quire_slot slot, uint64_t frame)
{
    uint32_t b = block_of(frame);
    unsigned word = place_of(frame) / WORD_BITS;
    uint64_t mask = 1ull << frame % WORD_BITS;
    int error = frames_check(z, b, word, mask);

    if (error)
        return error;
    if (!frames_put(z, b, word, mask))
        return QUIRE_ERR_DOUBLE_FREE;
    qi_count_credit(z, slot, 1, 0);
    return QUIRE_OK;
}

/* Free the run of n frames at `frame`, 2^order if n is a power of two, else order is 0. */
static int free_run(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                    unsigned order)
{
    int error;
    uint32_t d;

    if (n == 1)
        return free_one(z, slot, frame);
    d = qa_load(desc_of(z, block_of(frame)), relaxed); /* relaxed: the caller's own block */
    if (desc_divided(d))
        return free_split(z, slot, frame, n);
    if (order < BLOCK_ORDER || place_of(frame))
        return qi_desc_free_error(d);
    error = qi_block_run_put(z, block_of(frame), order);
    if (!error)
        qi_count_credit(z, slot, n, 0);
    return error;
}

/* The frames' number in the zone, if the zone's index space holds all n in a row. */
uint64_t qi_frame_of_range(const struct quire_zone *z, quire_pfn pfn, uint64_t n)
{
    uint64_t frame = frame_of_pfn(z, pfn);

    if (frame == NO_FRAME || n - 1 > UINT64_MAX - pfn.n ||
        frame_of_pfn(z, quire_pfn_of(pfn.n + n - 1)) != frame + n - 1)
        return NO_FRAME;
    return frame;
}

/* Whatever the run, with all checks. */
static __attribute__((__noinline__)) int free_checked(struct quire_zone *z, quire_slot slot,
                                                      quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    int error = QUIRE_ERR_FRAME;

    if (slot.n >= z->slots || order > QUIRE_MAX_ORDER)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (pfn.n & ((1ull << order) - 1))
        return qi_zone_report_bad_free(z, slot, pfn, QUIRE_ERR_ALIGN);
    frame = qi_frame_of_range(z, pfn, 1ull << order);
    if (frame != NO_FRAME)
        error = free_run(z, slot, frame, 1ull << order, order);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

int quire_zone_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    int error;

    if (order != 0 || slot.n >= z->slots || (frame = frame_of_pfn(z, pfn)) == NO_FRAME)
        return free_checked(z, slot, pfn, order);
    error = free_one(z, slot, frame);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

int quire_zone_free_contig(struct quire_zone *z, quire_slot slot, quire_pfn pfn, uint64_t frames)
{
    bool power = frames && !(frames & (frames - 1));
    unsigned order = power ? word_first(frames) : 0;
    uint64_t frame;
    int error = QUIRE_ERR_FRAME;

    if (slot.n >= z->slots || frames == 0 || frames >> QUIRE_PFN_BITS)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    frame = qi_frame_of_range(z, pfn, frames);
    if (frame != NO_FRAME)
        error = free_run(z, slot, frame, frames, order);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

int quire_zone_run_length(const struct quire_zone *z, quire_pfn pfn, uint64_t *frames)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    uint32_t d;

    if (frame == NO_FRAME)
        return QUIRE_ERR_FRAME;
    /* E-run-head acquire: a run's other descriptors */
    d = qa_load(desc_of(z, block_of(frame)), acquire);
    if (desc_state(d) == D_WHOLE && place_of(frame) == 0) {
        *frames = 1ull << desc_order(d);
        return QUIRE_OK;
    }
    if (!desc_divided(d))
        return qi_desc_free_error(d);
    if (d & D_PINS &&
        qi_pinned_frames(z, block_of(frame), place_of(frame) / WORD_BITS) >> frame % WORD_BITS & 1)
        return QUIRE_ERR_FRAME;
    if (!has_run_map(z))
        return QUIRE_ERR_UNSUPPORTED;
    return qi_run_measure(z, frame, frames);
}

int quire_zone_free_any(struct quire_zone *z, quire_slot slot, quire_pfn pfn)
{
    uint64_t frames = 0;
    int error;

    if (slot.n >= z->slots)
        return QUIRE_ERR_SIZE;
    error = quire_zone_run_length(z, pfn, &frames);
    if (error)
        return qi_zone_report_bad_free(z, slot, pfn, error);
    return quire_zone_free_contig(z, slot, pfn, frames);
}
