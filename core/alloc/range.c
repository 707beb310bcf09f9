/* SPDX-License-Identifier: MIT
 *
 * range.c - frames in a row: a range of single frames is freed, a part of a run is freed.
 *
 * As a batch of single frames (batch.c), without a list of them: all words are checked, then all
 * frames are taken back from their owner, by their bytes, or none; then the words are cleared, and
 * the count is credited once. What the checks read may be stale only for frames that the caller
 * does not own.
 *
 * A part of a run is freed in two steps, each of which is protocol 2's: the run is split, which
 * decides against a racing free of the run; then frames of the part are single ones and the
 * caller's. So if the first step is refused nothing has changed, and only a bad free of a single
 * frame in between can make the second one fail.
 *
 * No state. Lock-free, any context; O(frames).
 */
#include "core/fastpath.h"

/* May the frames `mask` of one word be freed one by one? */
static int range_check_word(const struct quire_zone *z, uint64_t frame, uint64_t mask)
{
    uint32_t b = block_of(frame);
    unsigned word = place_of(frame) / WORD_BITS;
    int error = frames_check(z, b, word, mask);

    if (error)
        return error;
    /* relaxed: the frames are the caller's */
    return mask & ~qa_load(&frame_map(z, b)->w[word], relaxed) ? QUIRE_ERR_DOUBLE_FREE : QUIRE_OK;
}

/* The first frame of the range that may not be freed, if there is one, and why. */
static int range_check(const struct quire_zone *z, uint64_t frame, uint64_t n, uint64_t *bad)
{
    for (uint64_t at = frame, left = n, mask; left > 0;) {
        unsigned some = word_part(at, left, &mask);

        if (range_check_word(z, at, mask))
            for (*bad = at; *bad < at + some; ++*bad) {
                int error = range_check_word(z, *bad, 1ull << *bad % WORD_BITS);

                if (error)
                    return error;
            }
        at += some;
        left -= some;
    }
    return QUIRE_OK;
}

/* Take all frames of the range back from their owner, or none and *bad is the first that is not
 * his. */
static bool range_take_back(const struct quire_zone *z, uint64_t frame, uint64_t n, uint64_t *bad)
{
    for (uint64_t i = 0; i < n && z->has_frame_bytes; i++)
        if (!byte_clear(byte_of_frame(z, frame + i), BYTE_SINGLE)) {
            *bad = frame + i;
            while (i-- > 0)
                byte_restore(byte_of_frame(z, frame + i), BYTE_SINGLE);
            return false;
        }
    return true;
}

/* Free the range: all, or none and *bad is the first frame that is wrong. */
static int free_range(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t n,
                      uint64_t *bad)
{
    int error = range_check(z, frame, n, bad);
    uint64_t freed;

    if (error)
        return error;
    if (!range_take_back(z, frame, n, bad))
        return QUIRE_ERR_DOUBLE_FREE;
    freed = qi_frames_clear(z, frame, n);
    if (freed)
        qi_count_credit(z, slot, freed, 0);
    *bad = frame;
    return freed == n ? QUIRE_OK : QUIRE_ERR_DOUBLE_FREE;
}

int quire_zone_free_range(struct quire_zone *z, quire_slot slot, quire_pfn pfn, uint64_t frames)
{
    uint64_t frame, bad;
    int error;

    if (slot.n >= z->slots || frames == 0 || frames >> QUIRE_PFN_BITS)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    frame = qi_frame_of_range(z, pfn, frames);
    if (frame == NO_FRAME)
        return qi_zone_report_bad_free(z, slot, pfn, QUIRE_ERR_FRAME);
    error = free_range(z, slot, frame, frames, &bad);
    return error ? qi_zone_report_bad_free(z, slot, pfn_of_frame(z, bad), error) : QUIRE_OK;
}

int quire_zone_free_part(struct quire_zone *z, quire_slot slot, struct quire_run run,
                         struct quire_run part, uint32_t flags)
{
    uint64_t frame, bad;
    int error;

    if (flags & ~(uint32_t)QUIRE_MOVABLE)
        return qi_zone_count_error(z, slot, QUIRE_ERR_UNSUPPORTED);
    if (slot.n >= z->slots || part.frames == 0 || part.frames > run.frames ||
        run.frames >> QUIRE_PFN_BITS || part.pfn.n < run.pfn.n ||
        part.pfn.n - run.pfn.n > run.frames - part.frames)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (part.frames == run.frames)
        return quire_zone_free_contig(z, slot, run.pfn, run.frames);
    bad = frame = qi_frame_of_range(z, run.pfn, run.frames);
    if (frame == NO_FRAME)
        return qi_zone_report_bad_free(z, slot, run.pfn, QUIRE_ERR_FRAME);
    error = qi_run_split(z, frame, run.frames, flags);
    if (!error)
        error = free_range(z, slot, frame + (part.pfn.n - run.pfn.n), part.frames, &bad);
    return error ? qi_zone_report_bad_free(z, slot, pfn_of_frame(z, bad), error) : QUIRE_OK;
}
