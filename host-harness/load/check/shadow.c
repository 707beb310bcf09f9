/* SPDX-License-Identifier: MIT
 *
 * shadow.c - the model of shadow.h, where state, invariants and memory orders are stated.
 */
#include "shadow.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { BLOCK_SHIFT = 9, BLOCK_CELLS = 1 << BLOCK_SHIFT };

static int by_pfn(const void *a, const void *b)
{
    const struct shadow_stretch *x = a, *y = b;

    return (x->pfn > y->pfn) - (x->pfn < y->pfn);
}

/* Zones may share sections, so their extents may overlap: sort, join, number the cells. */
static void join_stretches(struct shadow *shadow)
{
    struct shadow_stretch *s = shadow->stretches;
    size_t last = 0;

    qsort(s, shadow->stretch_count, sizeof(*s), by_pfn);
    for (size_t i = 1; i < shadow->stretch_count; i++) {
        uint64_t end = s[last].pfn + s[last].frames;

        if (s[i].pfn > end)
            s[++last] = s[i];
        else if (s[i].pfn + s[i].frames > end)
            s[last].frames = s[i].pfn + s[i].frames - s[last].pfn;
    }
    shadow->stretch_count = last + 1;
    for (size_t i = 0; i <= last; i++) {
        s[i].index = shadow->frames;
        shadow->frames += s[i].frames;
    }
}

int shadow_build(struct shadow *shadow, const struct simulated_machine *machine)
{
    *shadow = (struct shadow){0};
    shadow->stretches =
        calloc(machine->zone_count * QUIRE_ZONE_EXTENTS, sizeof(*shadow->stretches));
    if (!shadow->stretches)
        return -1;
    for (size_t z = 0; z < machine->zone_count; z++) {
        struct quire_run extent;

        for (uint32_t i = 0; !quire_zone_extent(&machine->zones[z].zone, i, &extent); i++) {
            struct shadow_stretch stretch = {extent.pfn.n, extent.frames, 0};

            shadow->stretches[shadow->stretch_count++] = stretch;
        }
    }
    join_stretches(shadow);
    shadow->cells = simulated_pages(shadow->frames * sizeof(*shadow->cells));
    shadow->touched = simulated_pages((shadow->frames >> BLOCK_SHIFT) + 1);
    if (shadow->cells && shadow->touched)
        return 0;
    shadow_teardown(shadow);
    return -1;
}

void shadow_teardown(struct shadow *shadow)
{
    if (shadow->cells)
        munmap(shadow->cells, shadow->frames * sizeof(*shadow->cells));
    if (shadow->touched)
        munmap(shadow->touched, (shadow->frames >> BLOCK_SHIFT) + 1);
    free(shadow->stretches);
    *shadow = (struct shadow){0};
}

/* The first cell of a run, or NULL if not all of it is in the model. */
static struct shadow_cell *cells_of(const struct shadow *shadow, uint64_t pfn, uint64_t frames)
{
    const struct shadow_stretch *s = shadow->stretches;
    size_t low = 0, high = shadow->stretch_count;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (s[middle].pfn <= pfn)
            low = middle;
        else
            high = middle;
    }
    if (pfn < s[low].pfn || pfn - s[low].pfn >= s[low].frames ||
        frames > s[low].frames - (pfn - s[low].pfn))
        return NULL;
    return &shadow->cells[s[low].index + (pfn - s[low].pfn)];
}

static uint32_t payload_of(uint32_t tag, uint64_t pfn)
{
    return (uint32_t)((pfn ^ tag) * 0x9e3779b97f4a7c15u >> 32);
}

/* Objections to an owner, and to a payload. */
static bool object(struct shadow_finding *finding, const char *what, uint64_t pfn,
                   uint32_t expected, uint32_t found)
{
    *finding = (struct shadow_finding){what, pfn, true, expected, found};
    return false;
}

static bool object_payload(struct shadow_finding *finding, const char *what, uint64_t pfn,
                           uint32_t expected, uint32_t found)
{
    *finding = (struct shadow_finding){what, pfn, false, expected, found};
    return false;
}

static void touch(struct shadow *shadow, const struct shadow_cell *first, uint64_t frames)
{
    uint64_t from = (uint64_t)(first - shadow->cells) >> BLOCK_SHIFT;
    uint64_t to = ((uint64_t)(first - shadow->cells) + frames - 1) >> BLOCK_SHIFT;

    /* relaxed: read after all threads have ended; only ever set */
    for (uint64_t i = from; i <= to; i++) {
        if (!qa_load(&shadow->touched[i], relaxed))
            qa_store(&shadow->touched[i], 1, relaxed);
    }
}

bool shadow_take(struct shadow *shadow, uint64_t pfn, uint64_t frames, uint32_t tag, bool zeroed,
                 struct shadow_finding *finding)
{
    struct shadow_cell *cell = cells_of(shadow, pfn, frames);

    if (!cell)
        return object(finding, "was handed out, but is in no zone", pfn, 0, 0);
    touch(shadow, cell, frames);
    for (uint64_t i = 0; i < frames; i++) {
        /* relaxed: on purpose, see shadow.h */
        uint32_t old = qa_xchg(&cell[i].owner, tag, relaxed);

        if (old)
            return object(finding, "was handed out while it was held", pfn + i, 0, old);
        if (zeroed && cell[i].payload)
            return object_payload(finding, "was handed out as zeroed, but is not", pfn + i, 0,
                                  cell[i].payload);
        cell[i].payload = payload_of(tag, pfn + i);
    }
    return true;
}

bool shadow_give(struct shadow *shadow, uint64_t pfn, uint64_t frames, uint32_t tag,
                 struct shadow_finding *finding)
{
    struct shadow_cell *cell = cells_of(shadow, pfn, frames);

    if (!cell)
        return object(finding, "was held, but is in no zone", pfn, tag, 0);
    if (!tag)
        tag = qa_load(&cell[0].owner, relaxed); /* relaxed: it is exchanged below */
    for (uint64_t i = 0; i < frames; i++) {
        uint32_t payload = cell[i].payload;
        uint32_t old;

        if (payload != payload_of(tag, pfn + i))
            return object_payload(finding, "was written by another than its holder", pfn + i,
                                  payload_of(tag, pfn + i), payload);
        /* relaxed: on purpose, see shadow.h */
        old = qa_xchg(&cell[i].owner, 0, relaxed);
        if (old != tag || !tag)
            return object(finding, "was taken over while it was held", pfn + i, tag, old);
    }
    return true;
}

void shadow_zero(struct shadow *shadow, uint64_t pfn, uint64_t frames)
{
    struct shadow_cell *cell = cells_of(shadow, pfn, frames);

    for (uint64_t i = 0; cell && i < frames; i++)
        cell[i].payload = 0;
}

/* The frame of a cell, for findings: the stretch that holds it is the last that starts before. */
static uint64_t pfn_of(const struct shadow *shadow, uint64_t index)
{
    const struct shadow_stretch *s = &shadow->stretches[shadow->stretch_count - 1];

    while (s->index > index)
        s--;
    return s->pfn + (index - s->index);
}

/* The end of the block of cells that starts at `first`. */
static uint64_t block_end(const struct shadow *shadow, uint64_t first)
{
    return first + BLOCK_CELLS < shadow->frames ? first + BLOCK_CELLS : shadow->frames;
}

bool shadow_is_empty(const struct shadow *shadow, struct shadow_finding *finding)
{
    for (uint64_t first = 0; first < shadow->frames; first += BLOCK_CELLS) {
        /* relaxed: no other thread runs */
        if (!qa_load(&shadow->touched[first >> BLOCK_SHIFT], relaxed))
            continue;
        for (uint64_t i = first; i < block_end(shadow, first); i++) {
            uint32_t owner = qa_load(&shadow->cells[i].owner, relaxed); /* relaxed: as above */

            if (owner)
                return object(finding, "is still held after all was freed", pfn_of(shadow, i), 0,
                              owner);
        }
    }
    return true;
}

/* No zone at all knows the frame as free or reserved, or as a hole. */
static bool is_lost(const struct simulated_machine *machine, uint64_t pfn)
{
    const struct simulated_zone *zone = simulated_zone_of(machine, quire_pfn_of(pfn));
    enum quire_frame_state state;

    return zone && !quire_zone_frame_state(&zone->zone, quire_pfn_of(pfn), &state) &&
           (state == QUIRE_FRAME_USED || state == QUIRE_FRAME_INSIDE);
}

bool shadow_find_lost(const struct shadow *shadow, const struct simulated_machine *machine,
                      uint64_t *pfn)
{
    for (uint64_t first = 0; first < shadow->frames; first += BLOCK_CELLS) {
        /* relaxed: no other thread runs */
        if (!qa_load(&shadow->touched[first >> BLOCK_SHIFT], relaxed))
            continue;
        for (uint64_t i = first; i < block_end(shadow, first); i++) {
            *pfn = pfn_of(shadow, i);
            /* relaxed: as above */
            if (!qa_load(&shadow->cells[i].owner, relaxed) && is_lost(machine, *pfn))
                return true;
        }
    }
    return false;
}

uint64_t shadow_touched_bytes(const struct shadow *shadow)
{
    uint64_t blocks = 0;

    for (uint64_t i = 0; i < (shadow->frames + BLOCK_CELLS - 1) >> BLOCK_SHIFT; i++)
        blocks += qa_load(&shadow->touched[i], relaxed); /* relaxed: no other thread runs */
    return blocks * BLOCK_CELLS * sizeof(struct shadow_cell);
}
