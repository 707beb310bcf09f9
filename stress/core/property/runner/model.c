/* SPDX-License-Identifier: MIT
 *
 * model.c - the naive zone: building it, finding things by walking, changing it. See model.h.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

/* ---- Places ------------------------------------------------------------------------------ */

size_t model_place(const struct model *m, uint64_t pfn, uint64_t frames)
{
    for (unsigned i = 0; i < m->extent_count; i++) {
        const struct model_extent *e = &m->extents[i];
        if (pfn >= e->first && pfn - e->first < e->frames) {
            bool inside = frames <= e->frames - (pfn - e->first);
            return inside ? e->at + (size_t)(pfn - e->first) : MODEL_NOWHERE;
        }
    }
    return MODEL_NOWHERE;
}

static const struct model_extent *extent_of(const struct model *m, size_t at)
{
    const struct model_extent *e = &m->extents[m->extent_count - 1];
    while (at < e->at) {
        e--;
    }
    return e;
}

uint64_t model_pfn(const struct model *m, size_t at)
{
    const struct model_extent *e = extent_of(m, at);
    return e->first + (at - e->at);
}

/* ---- Finding ----------------------------------------------------------------------------- */

bool model_next_stretch(const struct model *m, size_t *cursor, struct quire_run *stretch)
{
    size_t at = *cursor;
    if (at >= m->frames) {
        return false;
    }
    const uint8_t *free = memchr(m->state + at, QUIRE_FRAME_FREE, m->frames - at);
    if (free == NULL) {
        return false;
    }
    at = (size_t)(free - m->state);
    const struct model_extent *e = extent_of(m, at);
    size_t end = at;
    while (end < e->at + e->frames && m->state[end] == QUIRE_FRAME_FREE) {
        end++;
    }
    stretch->pfn = quire_pfn_of(e->first + (at - e->at));
    stretch->frames = end - at;
    *cursor = end;
    return true;
}

size_t model_run_near(const struct model *m, size_t near)
{
    near %= m->frames;
    const uint8_t *run = memchr(m->state + near, QUIRE_FRAME_USED, m->frames - near);
    if (run == NULL) {
        run = memchr(m->state, QUIRE_FRAME_USED, near);
    }
    return run == NULL ? MODEL_NOWHERE : (size_t)(run - m->state);
}

struct model_tally model_tally_of(const struct model *m, size_t at, uint64_t frames)
{
    struct model_tally tally = {{0}};
    for (uint64_t i = 0; i < frames; i++) {
        tally.of[m->state[at + i]]++;
    }
    return tally;
}

bool model_fits(const struct model *m, unsigned order)
{
    uint64_t frames = UINT64_C(1) << order;
    struct quire_run stretch;
    for (size_t cursor = 0; model_next_stretch(m, &cursor, &stretch);) {
        uint64_t start = (stretch.pfn.n + frames - 1) / frames * frames;
        if (start + frames <= stretch.pfn.n + stretch.frames) {
            return true;
        }
    }
    return false;
}

/* Step through every aligned start of a stretch. Naive on purpose. */
static bool lowest_in(const struct quire_run *stretch, const struct quire_contig *want,
                      uint64_t *pfn)
{
    uint64_t step = want->align > QUIRE_FRAME_SIZE ? want->align / QUIRE_FRAME_SIZE : 1;
    uint64_t end = stretch->pfn.n + stretch->frames;
    for (uint64_t n = (stretch->pfn.n + step - 1) / step * step; n + want->frames <= end;
         n += step) {
        uint64_t first = n * QUIRE_FRAME_SIZE;
        uint64_t last = (n + want->frames) * QUIRE_FRAME_SIZE - 1;
        bool crosses = want->boundary != 0 && first / want->boundary != last / want->boundary;
        if (first >= want->low && (want->high == 0 || last <= want->high) && !crosses) {
            *pfn = n;
            return true;
        }
    }
    return false;
}

bool model_lowest(const struct model *m, const struct quire_contig *want, uint64_t *pfn)
{
    struct quire_run stretch;
    for (size_t cursor = 0; model_next_stretch(m, &cursor, &stretch);) {
        if (lowest_in(&stretch, want, pfn)) {
            return true;
        }
    }
    return false;
}

static int longest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

uint64_t model_fewest_runs(const struct model *m, uint64_t frames)
{
    uint64_t *lengths = calloc(m->frames / 2 + 1 + QUIRE_ZONE_EXTENTS, sizeof *lengths);
    size_t n = 0;
    struct quire_run stretch;
    for (size_t cursor = 0; model_next_stretch(m, &cursor, &stretch);) {
        lengths[n++] = stretch.frames;
    }
    qsort(lengths, n, sizeof *lengths, longest_first);
    uint64_t runs = 0;
    while (frames != 0 && runs < n) {
        frames -= lengths[runs] < frames ? lengths[runs] : frames;
        runs++;
    }
    free(lengths);
    return frames == 0 ? runs : UINT64_MAX;
}

/* ---- Changing ---------------------------------------------------------------------------- */

void model_singles(struct model *m, size_t at, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++) {
        m->state[at + i] = QUIRE_FRAME_USED;
        m->length[at + i] = 1;
    }
}

void model_take(struct model *m, size_t at, uint64_t frames, bool contig)
{
    m->free -= frames;
    model_singles(m, at, frames);
    if (frames > 1 && (m->run_map || (frames >= BLOCK && !contig))) {
        memset(m->state + at + 1, QUIRE_FRAME_INSIDE, (size_t)frames - 1);
        memset(m->length + at + 1, 0, ((size_t)frames - 1) * sizeof *m->length);
        m->length[at] = (uint32_t)frames;
    }
}

void model_give(struct model *m, size_t at, uint64_t frames)
{
    m->free += frames;
    memset(m->state + at, QUIRE_FRAME_FREE, (size_t)frames);
    memset(m->length + at, 0, (size_t)frames * sizeof *m->length);
}

/* The places of the blocks that a run touches, one by one: the part of a block that is in the index
 * space. Extents begin and end with whole blocks, so that is all of it. */
static size_t block_start(const struct model *m, size_t at)
{
    return at - (size_t)(model_pfn(m, at) % BLOCK);
}

static bool partly_reserved(const struct model *m, size_t block)
{
    struct model_tally t = model_tally_of(m, block, BLOCK);
    uint64_t whole = t.of[QUIRE_FRAME_RESERVED];
    uint64_t holes = t.of[QUIRE_FRAME_HOLE];
    return whole + holes != 0 && whole != BLOCK && holes != BLOCK;
}

static void pin_blocks(struct model *m, size_t at, uint64_t frames, bool spare)
{
    for (size_t b = block_start(m, at); b < at + frames; b += BLOCK) {
        if (!m->pinned[b] && partly_reserved(m, b)) {
            m->pinned[b] = true;
            m->spare_pins -= spare && m->spare_pins > 0 ? 1 : 0;
        }
    }
}

uint64_t model_pins_needed(const struct model *m, size_t at, uint64_t frames)
{
    uint64_t needed = 0;
    for (size_t b = block_start(m, at); b < at + frames; b += BLOCK) {
        bool covered = b >= at && b + BLOCK <= at + frames;
        needed += !m->pinned[b] && !covered ? 1 : 0;
    }
    return needed;
}

void model_reserve(struct model *m, size_t at, uint64_t frames)
{
    memset(m->state + at, QUIRE_FRAME_RESERVED, (size_t)frames);
    m->free -= frames;
    m->managed -= frames;
    m->reserved += frames;
    pin_blocks(m, at, frames, true);
}

void model_unreserve(struct model *m, size_t at, uint64_t frames)
{
    memset(m->state + at, QUIRE_FRAME_FREE, (size_t)frames);
    m->free += frames;
    m->managed += frames;
    m->reserved -= frames;
    pin_blocks(m, at, frames, true);
}

/* ---- Building ---------------------------------------------------------------------------- */

static bool mark(struct model *m, const struct quire_run *runs, size_t n, uint8_t state,
                 uint64_t *count)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = model_place(m, runs[i].pfn.n, runs[i].frames);
        if (at == MODEL_NOWHERE) {
            return false;
        }
        memset(m->state + at, state, (size_t)runs[i].frames);
        *count += runs[i].frames;
    }
    return true;
}

static bool take_extents(struct model *m, const struct quire_zone *zone)
{
    struct quire_run e;
    uint64_t behind = 0;
    while (quire_zone_extent(zone, m->extent_count, &e) == 0) {
        struct model_extent *mine = &m->extents[m->extent_count++];
        *mine = (struct model_extent){e.pfn.n, e.frames, m->frames};
        m->frames += (size_t)e.frames;
        bool blocks = e.frames != 0 && e.pfn.n % BLOCK == 0 && e.frames % BLOCK == 0;
        if (!blocks || e.pfn.n < behind) {
            return false;
        }
        behind = e.pfn.n + e.frames + 1;
    }
    return m->extent_count != 0;
}

bool model_open(struct model *m, const struct quire_zone_config *config,
                const struct quire_zone *zone)
{
    *m = (struct model){.lowmem_reserve = config->lowmem_reserve,
                        .min = config->min,
                        .low = config->low,
                        .high = config->high,
                        .slots = config->slots,
                        .spare_pins = config->spare_pins == 0 ? 64 : config->spare_pins,
                        .run_map = !config->no_run_map};
    if (!take_extents(m, zone)) {
        return false;
    }
    m->state = malloc(m->frames);
    m->length = calloc(m->frames, sizeof *m->length);
    m->pinned = calloc(m->frames, sizeof *m->pinned);
    if (m->state == NULL || m->length == NULL || m->pinned == NULL) {
        return false;
    }
    memset(m->state, QUIRE_FRAME_HOLE, m->frames);
    bool fits =
        mark(m, config->reserved, config->reserved_count, QUIRE_FRAME_RESERVED, &m->reserved) &&
        mark(m, config->usable, config->usable_count, QUIRE_FRAME_FREE, &m->managed);
    m->free = m->managed;
    if (fits) {
        for (unsigned i = 0; i < m->extent_count; i++) {
            pin_blocks(m, m->extents[i].at, m->extents[i].frames, false);
        }
    }
    return fits;
}

void model_close(struct model *m)
{
    free(m->state);
    free(m->length);
    free(m->pinned);
}
