/* SPDX-License-Identifier: MIT
 *
 * alloc_contig.c - the search for a contiguous run under a device's constraints, lowest address
 * first.
 *
 * Read-only: the search walks free stretches of frames in ascending order (walk.c) and looks for
 * the first place in a stretch that satisfies alignment, boundary and limits. Blocks whose hole
 * byte shows none are passed by: it shows what calls that have returned have freed (H4). What the
 * search finds is debited and claimed (claim.c); if a rival was faster, the search goes on behind
 * the place that was lost, however often: only a pass that came to the end may refuse. When it lost
 * a race, a further pass starts at the beginning, a bounded number of times; and before a refusal
 * one that looks at each block by itself (walk.c).
 *
 * No state. Lock-free, any context; one pass is bounded by the frames between the limits, and goes
 * back over words only after a rival's step.
 */
#include "core/fastpath.h"

enum { CONTIG_PASSES = 4 };

/* The request in frames: first <= place, place + frames <= end, all as pfns. */
struct contig_wanted {
    uint64_t frames, align, boundary, first, end;
    bool by_block; /* the pass is one that may refuse */
};

static int contig_in_frames(const struct quire_contig *want, struct contig_wanted *w)
{
    uint64_t high = want->high ? want->high : UINT64_MAX;
    uint64_t mask = QUIRE_FRAME_SIZE - 1;

    if (want->align & (want->align - 1) || want->boundary & (want->boundary - 1) ||
        (want->boundary && want->boundary < QUIRE_FRAME_SIZE))
        return QUIRE_ERR_ALIGN;
    w->frames = want->frames;
    w->align = want->align > QUIRE_FRAME_SIZE ? want->align >> QUIRE_FRAME_SHIFT : 1;
    w->boundary = want->boundary >> QUIRE_FRAME_SHIFT;
    w->by_block = false;
    w->first = (want->low >> QUIRE_FRAME_SHIFT) + ((want->low & mask) != 0);
    w->end = (high >> QUIRE_FRAME_SHIFT) + ((high & mask) == mask);
    if (want->frames == 0 || want->frames >> QUIRE_PFN_BITS || want->low > high ||
        (w->boundary && w->frames > w->boundary))
        return QUIRE_ERR_SIZE;
    return QUIRE_OK;
}

/* The first place in the free stretch [from, to), pfns, that fits; `to` if none does. At most two
 * moves: an aligned place behind a boundary is behind none other, unless the length exceeds it. */
static uint64_t contig_place_in(const struct contig_wanted *w, uint64_t from, uint64_t to)
{
    uint64_t at = (from + w->align - 1) & ~(w->align - 1);

    if (w->boundary && (at & ~(w->boundary - 1)) != ((at + w->frames - 1) & ~(w->boundary - 1))) {
        at = (at + w->boundary - 1) & ~(w->boundary - 1);
        at = (at + w->align - 1) & ~(w->align - 1);
    }
    return at >= from && at < to && to - at >= w->frames ? at : to;
}

/* The extent's part that lies within the request's limits, as frames. */
static bool contig_clip_extent(const struct quire_zone *z, const struct contig_wanted *w,
                               uint32_t extent, uint64_t *first, uint64_t *end, uint64_t *shift)
{
    qi_extent_frames(z, extent, first, end);
    *shift = pfn_of_frame(z, *first).n - *first;
    if (w->first > *shift + *first)
        *first = w->first - *shift;
    if (w->end <= *shift)
        return false;
    if (w->end - *shift < *end)
        *end = w->end - *shift;
    return *first < *end;
}

/* The first place at or behind frame `from` that fits; NO_FRAME if none was seen. */
static uint64_t contig_find(const struct quire_zone *z, const struct contig_wanted *w,
                            uint64_t from)
{
    const struct stretch_wanted stretch = {w->frames, w->align, w->by_block};

    for (uint32_t i = 0; i < z->extent_count; i++) {
        uint64_t at, end, stop, shift;

        if (!contig_clip_extent(z, w, i, &at, &end, &shift))
            continue;
        if (at < from)
            at = from;
        while ((at = qi_next_free_stretch(z, at, end, &stretch, &stop)) < end) {
            uint64_t place = contig_place_in(w, at + shift, stop + shift);

            if (place != stop + shift)
                return place - shift;
            at = stop;
        }
    }
    return NO_FRAME;
}

/* A block of the n frames from `frame` could not be installed: the first one that is gone still, as
 * those before it are here now. Its last frame: no place before it is tried again. If none is gone
 * any more a rival installed it since, and the place was lost to him. */
static uint64_t skip_gone(const struct quire_zone *z, uint64_t frame, uint64_t n, bool *lost)
{
    uint32_t b = block_of(frame), last = block_of(frame + n - 1);

    while (b <= last && !qi_blocks_have_gone(z, b, 1))
        b++;
    if (b <= last)
        return frame_at(b, BLOCK_FRAMES - 1);
    *lost = true;
    return frame;
}

/* One pass from the lowest address: find, debit, claim, and on a lost race go on behind the place.
 * *lost: a race was lost; so each place was seen taken or lost to a rival when the pass ends. */
static int contig_pass(struct quire_zone *z, quire_slot slot, const struct contig_wanted *w,
                       uint32_t flags, uint64_t *frame, bool *lost)
{
    for (uint64_t from = 0; (*frame = contig_find(z, w, from)) != NO_FRAME; from = *frame + 1) {
        int error;

        run_lines_fetch(z, *frame, w->frames);
        error = qi_count_debit(z, slot, w->frames, flags);
        if (error)
            return error;
        error = qi_range_claim(z, slot, *frame, w->frames);
        if (!error) {
            qi_range_publish(z, *frame, w->frames, true);
            return QUIRE_OK;
        }
        qi_count_credit(z, slot, w->frames, flags);
        stat_count(z, slot, QUIRE_COUNT_RETRY);
        if (error == QUIRE_ERR_NO_MEMORY)
            *frame = skip_gone(z, *frame, w->frames, lost);
        else
            *lost = true;
    }
    return QUIRE_ERR_NO_MEMORY;
}

/* Passes, until one finds no place at all. The last one makes a refusal true; those before it are
 * for what rivals gave back behind them. */
static int contig_try_passes(struct quire_zone *z, quire_slot slot, struct contig_wanted *w,
                             uint32_t flags, uint64_t *frame)
{
    int error = QUIRE_ERR_NO_MEMORY;
    bool lost = true;

    for (unsigned i = 0; i < CONTIG_PASSES && error && lost; i++) {
        lost = false;
        error = contig_pass(z, slot, w, flags, frame, &lost);
    }
    if (!error)
        return QUIRE_OK;
    w->by_block = true;
    return contig_pass(z, slot, w, flags, frame, &lost);
}

/* The allocation without its statistics. */
int qi_contig_take(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                   uint32_t flags, uint64_t *frame)
{
    struct contig_wanted w;
    int error = contig_in_frames(want, &w);

    /* relaxed: a figure; what is being reserved or unreserved counts either way */
    if (!error && w.frames > qa_load(&z->head->managed, relaxed))
        error = QUIRE_ERR_SIZE;
    return error ? error : contig_try_passes(z, slot, &w, flags, frame);
}

int quire_zone_alloc_contig(struct quire_zone *z, quire_slot slot, const struct quire_contig *want,
                            uint32_t flags, quire_pfn *pfn)
{
    int error = alloc_precheck(z, slot, flags, 0);
    uint64_t frame;

    if (!error)
        error = qi_contig_take(z, slot, want, flags, &frame);
    if (error)
        return qi_zone_count_error(z, slot, error);
    return qi_alloc_hand_out(z, slot, frame, want->frames, flags, pfn);
}
