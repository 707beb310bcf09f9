/* SPDX-License-Identifier: MIT
 *
 * zone_free.c - protocol 2: frames back into their block. The public frees, and what all frees do
 * with the frame map; what a free of a run does with the run map is in run_map.c.
 *
 * To free a frame is one read-modify-write of the frame map: clear the bit, and look at the word
 * that was there. That word says
 *
 *   the bit was set       the free was good; of several frees of a frame one sees this
 *   all ones              the hints must be set: no free frame of this word was announced
 *   the neighbour free    so must the hole byte: a longer run than before may be free
 *   0 but for the bit     the block may have become whole (block_whole.c)
 *
 *   free of a run, order < 9   check; qi_run_unmark, which decides; clear the bits
 *   of a single frame          check; clear the bit, which decides
 *   of a run, order >= 9       check; qi_block_run_put (section.c), which decides
 *
 * The check is the frame byte of the run's first frame (frame_byte.h), in a zone without them the
 * maps, read only. Bad frees are refused by it, or by the exchange that decides between frees that
 * race. What cannot be seen: a second free after the frame was handed out again; and, without frame
 * bytes, one that falls into the instants in which block_whole.c holds an empty block's words,
 * which is seen when the block is opened again.
 *
 * May run beside everything, on one word too. Lock-free, any context.
 */
#include "core/fastpath.h"

/* The error for freeing a run of whole blocks, of which one is in the state of `desc`; or a frame
 * of a block that is not divided. */
int qi_desc_free_error(uint32_t desc)
{
    switch (desc_state(desc)) {
    case D_FREE:
    case D_ISOLATED:
        return QUIRE_ERR_DOUBLE_FREE;
    case D_WHOLE:
    case D_TAIL:
    case D_MOVING:
        return QUIRE_ERR_ORDER;
    default:
        return QUIRE_ERR_FRAME;
    }
}

/* Block b is not SPLIT without pins: may the frames be freed all the same? Those of an ISOLATED
 * block may, but not what its isolation holds. */
int qi_frames_check_desc(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                         uint32_t desc)
{
    qi_assert((desc & (D_STATE | D_PINS)) != D_SPLIT);
    if (!desc_divided(desc))
        return qi_desc_free_error(desc);
    if (desc_swept(desc, word))
        return QUIRE_ERR_DOUBLE_FREE;
    return desc & D_PINS && qi_pinned_frames(z, b, word) & mask ? QUIRE_ERR_FRAME : QUIRE_OK;
}

/* One more than the order of the longest run of words that were freed of: `hole`, or of those that
 * are 0 since, `empty`, what the words beside add to it. */
static unsigned longest_hole(const struct quire_zone *z, uint32_t b, unsigned hole, unsigned empty)
{
    while (empty) {
        unsigned word = word_first(empty), at = qi_map_hole_at(frame_map(z, b), word);
        unsigned words = 1u << (at - WORD_ORDER - 1);

        hole = at > hole ? at : hole;
        empty &= ~(((1u << words) - 1) << (word & ~(words - 1)));
    }
    return hole;
}

/* Frames of block b were cleared, the caller has stored nothing since, and *freed says what their
 * words ask for; or, if it was one word, `now` is what that reads. Not in a home block: when its
 * owner gives it up, that looks and announces. */
static inline __attribute__((always_inline)) void announce_freed(const struct quire_zone *z,
                                                                 uint32_t b,
                                                                 const struct freed_words *freed,
                                                                 uint64_t now)
{
    uint32_t d;
    unsigned hole;

    /* E-look fence. E-hint fence. E-watch fence: the map before the descriptor and the watch */
    qa_fence_after_rmw();
    d = qa_load(desc_of(z, b), relaxed); /* relaxed: ordered by E-look and E-hint */
    /* relaxed: ordered by E-hint */
    hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK;
    /* It could be skipped: the short way out of what would find nothing to do below. */
    if (d & D_OWNER && (hole == HOLE_MOST || hole == HOLE_DOUBTED)) {
        qa_fence_after_rmw(); /* E-watch fence: the hint before the watch, as in hole_grows */
        /* It could be skipped: likewise. */
        if (!watch_is_on(z))
            return;
    }
    hole = longest_hole(z, b, now ? word_hole(now) : freed->hole, freed->empty);
    if (desc_state(d) == D_SPLIT)
        qi_hint_hole_raise(z, b, d, hole);
    qa_fence_after_rmw(); /* E-watch fence: the hint before the watch; nothing was stored since */
    if (watch_is_on(z)) {
        qi_watch_runs(z, hole);
        if (d & D_OWNER && hole == HOLE_MOST && qi_map_words_equal(frame_map(z, b), 0))
            qi_watch_blocks(z); /* a request for blocks may revoke it now */
    }
    if (d & D_OWNER)
        return;
    /* relaxed: ordered by E-hint */
    if (freed->was_full && qa_load(full_of(z, b), relaxed) == 0)
        qi_hint_block_free(z, b);
    else if (freed->was_full || freed->refreshes)
        qi_hint_block_refresh(z, b);
    if (freed->empty)
        qi_block_make_whole(z, b);
}

/* The frames `mask` of a word of block b were cleared by the caller's last access, and the word
 * before, `old`, asks for something. */
void qi_frames_freed(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                     uint64_t old)
{
    struct freed_words freed = {old == WORD_FULL, (mask & HINT_REFRESH_BITS) != 0,
                                (uint8_t)(!(old & ~mask) << word), 0};

    qi_assert(mask != 0);
    announce_freed(z, b, &freed, old & ~mask);
}

/* Do what the words of a block ask for that the caller has cleared (qi_word_clear). */
void qi_block_freed(const struct quire_zone *z, uint32_t b, const struct freed_words *freed)
{
    if (freed->was_full || freed->refreshes || freed->empty || freed->hole > 0)
        announce_freed(z, b, freed, 0);
}

/* As frames_put, but what the word asks for is noted: the caller clears other words of the block
 * first, and then does it once for all of them (qi_block_freed). Returns the frames that were
 * allocated. */
static inline uint64_t word_clear(const struct quire_zone *z, uint32_t b, unsigned word,
                                  uint64_t mask, struct freed_words *freed)
{
    /* E-frame release: what the holder did with the frames comes before the next holder. */
    uint64_t old = qa_and(&frame_map(z, b)->w[word], ~mask, release);

    if (word_asks(z, b, mask, old)) {
        unsigned hole = old & ~mask ? word_hole(old & ~mask) : 0;

        freed->was_full |= old == WORD_FULL;
        freed->refreshes |= (mask & HINT_REFRESH_BITS) != 0;
        freed->empty |= (uint8_t)(!(old & ~mask) << word);
        freed->hole = hole > freed->hole ? hole : freed->hole;
    }
    return old & mask;
}

/* The same for other files. */
uint64_t qi_word_clear(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                       struct freed_words *freed)
{
    return word_clear(z, b, word, mask, freed);
}

/* Clear n frames of one block that lie in more than one word. Returns how many were set. */
static uint64_t clear_words(const struct quire_zone *z, uint64_t frame, unsigned n)
{
    struct freed_words freed = {false, false, 0, 0};
    uint32_t b = block_of(frame);
    uint64_t count = 0;

    while (n > 0) {
        uint64_t mask, done;
        unsigned some = word_part(frame, n, &mask);

        done = word_clear(z, b, place_of(frame) / WORD_BITS, mask, &freed);
        count += done == mask ? some : word_count(done);
        frame += some;
        n -= some;
    }
    qi_block_freed(z, b, &freed);
    return count;
}

/* Clear the bits of n frames from `frame`, all in divided blocks: the undo of a claim, or the end
 * of a run. Returns how many were set: they are free now. */
uint64_t qi_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t freed = 0;

    while (n > 0) {
        unsigned some = block_part(frame, n);

        if (frame % WORD_BITS + some <= WORD_BITS) {
            unsigned word = place_of(frame) / WORD_BITS;
            uint64_t mask = word_mask((unsigned)(frame % WORD_BITS), some);
            uint64_t done = frames_put(z, block_of(frame), word, mask);

            freed += done == mask ? some : word_count(done);
        } else {
            freed += clear_words(z, frame, some);
        }
        frame += some;
        n -= some;
    }
    return freed;
}

/* ---- The public calls ----------------------------------------------------------------------- */

/* Who frees a run: its owner, whose frame byte says what it was given, and who may have zeroed it;
 * or a cache, which took it back from its owner, byte and all. */
enum freed_by { BY_OWNER, BY_ZEROER, BY_CACHE };

/* Why a run of n frames, 2^order if that is a power of two, cannot be freed, as the maps have it.
 * OK: they know no reason. */
static int maps_free_error(const struct quire_zone *z, uint64_t frame, uint64_t n, unsigned order)
{
    uint32_t b = block_of(frame), d = qa_load(desc_of(z, b), relaxed); /* relaxed: the caller's */

    if (n == 1)
        return frames_check(z, b, place_of(frame) / WORD_BITS, 1ull << frame % WORD_BITS);
    if (desc_divided(d))
        return qi_run_check(z, frame, n);
    if (order < BLOCK_ORDER || place_of(frame) || desc_state(d) != D_WHOLE)
        return qi_desc_free_error(d);
    return desc_order(d) == order ? QUIRE_OK : QUIRE_ERR_ORDER;
}

/* The frame byte of a run is not what its owner would find: why. If the maps show just this run,
 * it is in a cache. */
static __attribute__((__noinline__)) int bytes_free_error(const struct quire_zone *z,
                                                          uint64_t frame, uint64_t n,
                                                          unsigned order)
{
    int error = maps_free_error(z, frame, n, order);

    return error ? error : QUIRE_ERR_DOUBLE_FREE;
}

/* May the run be freed? If so, and if its owner frees it, it is not the owner's any more. With
 * frame bytes these decide alone (B1 of frame_byte.h), but for a length that they do not have;
 * otherwise the maps. */
static inline int check_free(const struct quire_zone *z, uint64_t frame, uint64_t n, unsigned order,
                             enum freed_by by)
{
    uint8_t value = byte_of_run(frame, n);
    int error = QUIRE_OK;

    if (by == BY_CACHE || !z->has_frame_bytes)
        return maps_free_error(z, frame, n, order);
    if (value == BYTE_CONTIG)
        error = maps_free_error(z, frame, n, order);
    if (!error && !byte_clear(byte_of_frame(z, frame), value))
        error = bytes_free_error(z, frame, n, order);
    return error;
}

/* Does a run of blocks that is freed read as zeros? The zeroer says so, or its first frame's byte,
 * which is cleared. */
static __attribute__((__noinline__)) bool blocks_freed_zero(const struct quire_zone *z,
                                                            uint64_t frame, enum freed_by by)
{
    bool zero = by == BY_ZEROER || frame_reads_zero(z, frame);

    if (by == BY_CACHE && zero)
        bytes_fill(z, frame, 1, BYTE_NONE);
    return zero;
}

/* Free n frames from `frame`, a run of split blocks that passed the check. Without a run map a
 * racing free of the same run may have had a part of it: what this call freed is credited all the
 * same. */
static int free_split(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                      enum freed_by by)
{
    uint64_t freed;

    if (!qi_run_unmark(z, frame, n))
        return QUIRE_ERR_DOUBLE_FREE;
    if (by == BY_ZEROER && z->has_frame_bytes)
        bytes_fill(z, frame, n, BYTE_ZERO);
    freed = qi_frames_clear(z, frame, n);
    qi_assert(freed <= n);
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    return freed == n ? QUIRE_OK : QUIRE_ERR_DOUBLE_FREE;
}

/* Free one frame. */
static inline int free_one(struct quire_zone *z, quire_slot slot, uint64_t frame, enum freed_by by)
{
    int error = check_free(z, frame, 1, 0, by);

    if (error)
        return error;
    if (by == BY_ZEROER && z->has_frame_bytes)
        bytes_fill(z, frame, 1, BYTE_ZERO);
    if (!frames_put(z, block_of(frame), place_of(frame) / WORD_BITS, 1ull << frame % WORD_BITS))
        return QUIRE_ERR_DOUBLE_FREE;
    qi_count_credit(z, slot, 1, 0);
    return QUIRE_OK;
}

/* Free the run of n frames at `frame`, more than one, 2^order if n is a power of two, else order is
 * 0. It passed the check. */
static inline int give_run(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                           unsigned order, enum freed_by by)
{
    int error;

    /* relaxed: the caller's own block */
    if (desc_divided(qa_load(desc_of(z, block_of(frame)), relaxed))) {
        error = free_split(z, slot, frame, n, by);
        if (!error && order > 0 && order < BLOCK_ORDER) /* for the slot's next request */
            /* relaxed: a hint */
            qa_store(&slot_of(z, slot)->recent[order], block_of(frame) + 1, relaxed);
        return error;
    }
    error = qi_block_run_put(z, block_of(frame), order,
                             by != BY_OWNER && blocks_freed_zero(z, frame, by));
    if (!error)
        qi_count_credit(z, slot, n, 0);
    return error;
}

/* The same of any length, with the check. */
static int free_run(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                    unsigned order, enum freed_by by)
{
    int error;

    if (n == 1)
        return free_one(z, slot, frame, by);
    error = check_free(z, frame, n, order, by);
    return error ? error : give_run(z, slot, frame, n, order, by);
}

/* Whatever the run, with all checks. */
static __attribute__((__noinline__)) int free_checked(struct quire_zone *z, quire_slot slot,
                                                      quire_pfn pfn, unsigned order,
                                                      enum freed_by by)
{
    uint64_t frame;
    int error = QUIRE_ERR_FRAME;

    if (slot.n >= z->slots || order > QUIRE_MAX_ORDER)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (pfn.n & ((1ull << order) - 1))
        return qi_zone_report_bad_free(z, slot, pfn, QUIRE_ERR_ALIGN);
    frame = qi_frame_of_range(z, pfn, 1ull << order);
    if (frame != NO_FRAME)
        error = free_run(z, slot, frame, 1ull << order, order, by);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

/* A run of more than a frame, where its byte decides, which is a look. */
static __attribute__((__noinline__)) int free_owned_run(struct quire_zone *z, quire_slot slot,
                                                        quire_pfn pfn, unsigned order)
{
    uint64_t frame = frame_of_pfn(z, pfn), n = 1ull << order % WORD_BITS;
    int error;

    if (frame == NO_FRAME || slot.n >= z->slots || order > QUIRE_MAX_ORDER || pfn.n & (n - 1) ||
        !z->has_frame_bytes || !byte_clear(byte_of_frame(z, frame), byte_of_order(order)))
        return free_checked(z, slot, pfn, order, BY_OWNER);
    error = give_run(z, slot, frame, n, order, BY_OWNER); /* all of it is the zone's: B1 */
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

int quire_zone_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    int error;

    if (order != 0)
        return free_owned_run(z, slot, pfn, order);
    if (slot.n >= z->slots || (frame = frame_of_pfn(z, pfn)) == NO_FRAME)
        return free_checked(z, slot, pfn, 0, BY_OWNER);
    error = free_one(z, slot, frame, BY_OWNER);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

/* For the caches: free a run that its owner gave back before (BY_CACHE). */
int qi_zone_free_cached(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    return free_checked(z, slot, pfn, order, BY_CACHE);
}

int quire_zone_free_zeroed(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    note_zeros(z);
    return free_checked(z, slot, pfn, order, BY_ZEROER);
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
    if (frame != NO_FRAME) {
        run_lines_fetch(z, frame, frames);
        error = free_run(z, slot, frame, frames, order, BY_OWNER);
    }
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

int quire_zone_run_length(const struct quire_zone *z, quire_pfn pfn, uint64_t *frames)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    uint32_t d;

    if (frame == NO_FRAME)
        return QUIRE_ERR_FRAME;
    /* E-desc acquire: the map of a block that was split */
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
