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

/* The frames `mask` of a word of block b were cleared by the caller's last access, and the word
 * before, `old`, asks for something. Not in a home block: when its owner gives it up, that looks
 * and announces. */
void qi_frames_freed(const struct quire_zone *z, uint32_t b, unsigned word, uint64_t mask,
                     uint64_t old)
{
    uint32_t d;
    unsigned hole;

    qi_assert(mask != 0);
    /* E-look fence. E-hint fence. E-watch fence: the map before the descriptor and the watch */
    qa_fence_after_rmw();
    d = qa_load(desc_of(z, b), relaxed); /* relaxed: ordered by E-look and E-hint */
    /* relaxed: ordered by E-hint */
    hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK;
    if (d & D_OWNER && (hole == HOLE_MOST || hole == HOLE_DOUBTED)) {
        qa_fence_after_rmw(); /* E-watch fence: the hint before the watch, as in hole_grows */
        if (!watch_is_on(z))
            return;
    }
    hole = word_hole(old & ~mask);
    if (hole > WORD_ORDER)
        hole = qi_map_hole_at(frame_map(z, b), word);
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
    if (old == WORD_FULL && qa_load(full_of(z, b), relaxed) == 0)
        qi_hint_block_free(z, b);
    else if (old == WORD_FULL || mask & HINT_REFRESH_BITS)
        qi_hint_block_refresh(z, b);
    if (!(old & ~mask))
        qi_block_make_whole(z, b);
}

/* Clear the bits of n frames from `frame`, all in divided blocks: the undo of a claim, or the end
 * of a run. Returns how many were set: they are free now. */
uint64_t qi_frames_clear(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t freed = 0;

    while (n > 0) {
        uint32_t b = block_of(frame);
        uint64_t mask, done;
        unsigned some = word_part(frame, n, &mask);

        done = frames_put(z, b, place_of(frame) / WORD_BITS, mask);
        qi_assert(!(done & ~mask));
        freed += done == mask ? some : word_count(done);
        frame += some;
        n -= some;
    }
    return freed;
}

/* ---- The public calls ----------------------------------------------------------------------- */

/* Who frees a run: its owner, whose frame byte says what it was given; or a cache, which took it
 * back from its owner, byte and all. */
enum freed_by { BY_OWNER, BY_CACHE };

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

/* Free n frames from `frame`, a run of split blocks that passed the check. Without a run map a
 * racing free of the same run may have had a part of it: what this call freed is credited all the
 * same. */
static int free_split(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n)
{
    uint64_t freed;

    if (!qi_run_unmark(z, frame, n))
        return QUIRE_ERR_DOUBLE_FREE;
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
    if (!frames_put(z, block_of(frame), place_of(frame) / WORD_BITS, 1ull << frame % WORD_BITS))
        return QUIRE_ERR_DOUBLE_FREE;
    qi_count_credit(z, slot, 1, 0);
    return QUIRE_OK;
}

/* Free the run of n frames at `frame`, 2^order if n is a power of two, else order is 0. */
static int free_run(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                    unsigned order, enum freed_by by)
{
    int error;

    if (n == 1)
        return free_one(z, slot, frame, by);
    error = check_free(z, frame, n, order, by);
    if (error)
        return error;
    /* relaxed: the caller's own block */
    if (desc_divided(qa_load(desc_of(z, block_of(frame)), relaxed)))
        return free_split(z, slot, frame, n);
    error = qi_block_run_put(z, block_of(frame), order);
    if (!error)
        qi_count_credit(z, slot, n, 0);
    return error;
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

int quire_zone_free(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    uint64_t frame;
    int error;

    if (order != 0 || slot.n >= z->slots || (frame = frame_of_pfn(z, pfn)) == NO_FRAME)
        return free_checked(z, slot, pfn, order, BY_OWNER);
    error = free_one(z, slot, frame, BY_OWNER);
    return error ? qi_zone_report_bad_free(z, slot, pfn, error) : QUIRE_OK;
}

/* For the caches: free a run that its owner gave back before (BY_CACHE). */
int qi_zone_free_cached(struct quire_zone *z, quire_slot slot, quire_pfn pfn, unsigned order)
{
    return free_checked(z, slot, pfn, order, BY_CACHE);
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
        error = free_run(z, slot, frame, frames, order, BY_OWNER);
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
