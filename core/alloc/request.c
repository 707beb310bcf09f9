/* SPDX-License-Identifier: MIT
 *
 * request.c - what the public calls have in common at their start: are the frames that a request
 * names the zone's? And what a refusal leaves behind: a count, and for a bad free a report.
 *
 * State: the slots' error counts. Wait-free, any context (but for the port's report, which is the
 * caller's own).
 */
#include "core/internal.h"

/* Count an error and hand it on. */
int qi_zone_count_error(const struct quire_zone *z, quire_slot slot, int error)
{
    /* A port's `zero` may answer whatever it likes. */
    if (slot.n < z->slots && error < 0 && error > -QUIRE_ERRORS)
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

/* The frames `mask` of the word of frame `frame` could not be freed, because of `error`. */
void qi_zone_report_bad_frames(struct quire_zone *z, quire_slot slot, uint64_t frame, uint64_t mask,
                               int error)
{
    uint64_t first = frame / WORD_BITS * WORD_BITS;

    for (; mask; mask &= mask - 1)
        (void)qi_zone_report_bad_free(z, slot, pfn_of_frame(z, first + word_first(mask)), error);
}

/* The frames' number in the zone, if the zone's index space holds all n in a row. */
uint64_t qi_frame_of_range(const struct quire_zone *z, quire_pfn pfn, uint64_t n)
{
    uint64_t frame = frame_of_pfn(z, pfn), last = pfn.n + n - 1;

    if (frame == NO_FRAME || last < pfn.n)
        return NO_FRAME;
    if ((pfn.n ^ last) >> SECTION_ORDER == 0)
        return has_map(z, (frame + n - 1) / BLOCK_FRAMES) ? frame : NO_FRAME;
    return frame_of_pfn(z, quire_pfn_of(last)) == frame + n - 1 ? frame : NO_FRAME;
}

/* Is this a run of whole blocks, all of them the zone's? *frame is the first one's number then. */
int qi_block_range_check(const struct quire_zone *z, quire_slot slot, struct quire_run run,
                         uint64_t *frame)
{
    if (slot.n >= z->slots || run.frames == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    if ((run.pfn.n | run.frames) % BLOCK_FRAMES)
        return QUIRE_ERR_ALIGN;
    *frame = qi_frame_of_range(z, run.pfn, run.frames);
    return *frame == NO_FRAME ? QUIRE_ERR_FRAME : QUIRE_OK;
}
