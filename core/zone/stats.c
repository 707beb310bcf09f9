/* SPDX-License-Identifier: MIT
 *
 * stats.c - figures about a zone, and questions about its frames and extents; and what is counted
 * at a block.
 *
 * All else here only reads. While others use the zone the figures are estimates: each word was
 * true when it was read. Wait-free, any context.
 */
#include "core/blocks/tenant.h"
#include "core/internal.h"

_Static_assert(QUIRE_ERRORS <= QUIRE_ERRORS_ROOM && QUIRE_COUNTS <= QUIRE_COUNTS_ROOM &&
                   QUIRE_EVENTS <= QUIRE_EVENTS_ROOM,
               "a counter more than there is room for: another ZONE_VERSION");

/* In the line of the slot that works there, by the hint, as that is at hand; where the hint says
 * nobody, or has no room for all slots, in any's, by the place. */
void qi_stat_add_at(const struct quire_zone *z, uint32_t b, enum quire_count what, uint64_t n)
{
    uint32_t tenant = qa_load(tenant_of(z, b / WORD_BITS), relaxed); /* relaxed: a hint */
    uint32_t s = b / WORD_BITS % z->slots;

    if (tenant != TENANT_NOBODY && tenant <= z->slots && z->slots <= UINT8_MAX)
        s = tenant - 1;
    (void)qa_add(&slot_of(z, quire_slot_of(s))->counts[what], n,
                 relaxed); /* relaxed: a statistic */
}

/* The free stretch [from, to), pfns, as the fewest naturally aligned runs. */
static void add_stretch(uint64_t from, uint64_t to, struct quire_zone_stats *stats)
{
    if (to - from > stats->largest_run)
        stats->largest_run = to - from;
    while (from < to) {
        unsigned order = from ? word_first(from) : QUIRE_MAX_ORDER;

        if (order > QUIRE_MAX_ORDER)
            order = QUIRE_MAX_ORDER;
        while (1ull << order > to - from)
            order--;
        stats->free_runs[order]++;
        from += 1ull << order;
    }
}

static void count_runs(const struct quire_zone *z, struct quire_zone_stats *stats)
{
    uint64_t seen = 0, small = 0;

    for (uint32_t i = 0; i < z->extent_count; i++) {
        uint64_t at, end;

        qi_extent_frames(z, i, &at, &end);
        while ((at = qi_next_free(z, at, end)) < end) {
            uint64_t stop = qi_next_used(z, at, end);
            uint64_t pfn = pfn_of_frame(z, at).n;

            add_stretch(pfn, pfn + (stop - at), stats);
            seen += stop - at;
            at = stop;
        }
    }
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        stats->unusable[order] = seen ? (uint32_t)word_divide(small * 1000, seen) : 0;
        small += stats->free_runs[order] << order;
    }
}

static void count_blocks(const struct quire_zone *z, struct quire_zone_stats *stats)
{
    for (uint64_t b = z->first_block; b < z->end_block; b++) {
        uint64_t v = qa_load(block_word(z, b / WORD_BITS), relaxed); /* relaxed: a figure */

        if (!(v >> b % WORD_BITS & 1))
            stats->whole_free_blocks++;
        else {
            /* relaxed: a figure */
            unsigned state = desc_state(qa_load(desc_of(z, (uint32_t)b), relaxed));

            stats->split_blocks += state == D_SPLIT;
            stats->isolated_blocks += state == D_ISOLATED;
        }
    }
}

int quire_zone_stats(const struct quire_zone *z, struct quire_zone_stats *stats)
{
    struct quire_zone_head *h = z->head;

    __builtin_memset(stats, 0, sizeof *stats);
    stats->managed = qa_load(&h->managed, relaxed);   /* relaxed: a figure */
    stats->reserved = qa_load(&h->reserved, relaxed); /* relaxed: a figure */
    stats->free = quire_zone_free_frames(z);
    stats->gone = quire_zone_gone_frames(z);
    stats->min = h->min;
    stats->low = h->low;
    stats->high = h->high;
    stats->lowmem_reserve = h->lowmem_reserve;
    count_runs(z, stats);
    count_blocks(z, stats);
    for (uint32_t s = 0; s < z->slots; s++) {
        for (unsigned i = 0; i < QUIRE_ERRORS; i++)
            stats->errors[i] +=
                qa_load(&z->slot_states[s].errors[i], relaxed); /* relaxed: a figure */
        for (unsigned i = 0; i < QUIRE_COUNTS; i++)
            stats->counts[i] +=
                qa_load(&z->slot_states[s].counts[i], relaxed); /* relaxed: a figure */
    }
    for (unsigned i = 0; i < QUIRE_EVENTS; i++)
        stats->events[i] = qa_load(&h->events[i], relaxed); /* relaxed: a figure */
    stats->metadata_bytes = h->bytes;
    return QUIRE_OK;
}

uint64_t quire_zone_managed(const struct quire_zone *z)
{
    return qa_load(&z->head->managed, relaxed); /* relaxed: a figure */
}

uint64_t quire_zone_gone_frames(const struct quire_zone *z)
{
    return qa_load(&z->head->gone, relaxed) * BLOCK_FRAMES; /* relaxed: a figure */
}

size_t quire_zone_metadata_bytes(const struct quire_zone *z)
{
    return (size_t)z->head->bytes;
}

int quire_zone_extent(const struct quire_zone *z, uint32_t index, struct quire_run *extent)
{
    uint64_t first, end;

    if (index >= z->extent_count)
        return QUIRE_ERR_SIZE;
    qi_extent_frames(z, index, &first, &end);
    extent->pfn = pfn_of_frame(z, first);
    extent->frames = end - first;
    return QUIRE_OK;
}

bool quire_zone_holds(const struct quire_zone *z, quire_pfn pfn)
{
    return frame_of_pfn(z, pfn) != NO_FRAME;
}

/* The state of a frame of a SPLIT or ISOLATED block with descriptor d. */
static enum quire_frame_state split_state(const struct quire_zone *z, uint64_t frame, uint32_t d)
{
    uint32_t b = block_of(frame);
    unsigned word = place_of(frame) / WORD_BITS, bit = frame % WORD_BITS;
    const struct quire_pin *pin = d & D_PINS ? qi_pin_find(z, b) : NULL;

    if (desc_swept(d, word))
        return QUIRE_FRAME_ISOLATED;
    /* relaxed: advisory, all four */
    if (pin && qa_load(&pin->pinned.w[word], relaxed) >> bit & 1)
        return qa_load(&pin->hole.w[word], relaxed) >> bit & 1 ? QUIRE_FRAME_HOLE
                                                               : QUIRE_FRAME_RESERVED;
    if (!(qa_load(&frame_map(z, b)->w[word], relaxed) >> bit & 1)) /* relaxed: advisory */
        return QUIRE_FRAME_FREE;
    if (has_run_map(z) &&
        qa_load(&run_map(z, b)->w[word], relaxed) >> bit & 1) /* relaxed: advisory */
        return QUIRE_FRAME_INSIDE;
    return QUIRE_FRAME_USED;
}

int quire_zone_frame_state(const struct quire_zone *z, quire_pfn pfn, enum quire_frame_state *state)
{
    uint64_t frame = frame_of_pfn(z, pfn);
    uint32_t d;

    if (frame == NO_FRAME)
        return QUIRE_ERR_FRAME;
    d = qa_load(desc_of(z, block_of(frame)), acquire); /* E-desc acquire */
    switch (desc_state(d)) {
    case D_FREE:
        *state = QUIRE_FRAME_FREE;
        break;
    case D_SPLIT:
    case D_ISOLATED:
        *state = split_state(z, frame, d);
        break;
    case D_RESERVED:
        *state = d & D_HOLE ? QUIRE_FRAME_HOLE : QUIRE_FRAME_RESERVED;
        break;
    case D_WHOLE:
        *state = place_of(frame) == 0 ? QUIRE_FRAME_USED : QUIRE_FRAME_INSIDE;
        break;
    default:
        *state = QUIRE_FRAME_INSIDE;
        break;
    }
    return QUIRE_OK;
}
