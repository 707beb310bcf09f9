/* SPDX-License-Identifier: MIT
 *
 * picture.c - from frames to cells: what each block of the zone is, or each stretch of blocks if
 * there are more than a picture has room for; and figures of all blocks.
 *
 * State and invariants: frag.h. Main thread.
 */
#include "frag.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BLOCK_FRAMES = 1 << QUIRE_BLOCK_ORDER, SECTION_ORDER = 18 };

const struct frag_look frag_looks[FRAG_CELLS] = {
    [CELL_HOLE] = {' ', 0, "none", "no memory"},
    [CELL_WHOLE] = {'.', 78, "#8fd694", "free as a whole"},
    [CELL_USED] = {'#', 67, "#4a7fb5", "used as a whole"},
    [CELL_DENSE] = {'=', 172, "#c9762b", "dense: at least half used, movable"},
    [CELL_SPARSE] = {'-', 222, "#f2d16b", "sparse: less than half used, movable"},
    [CELL_UNMOVABLE] = {'u', 161, "#b3224d", "with unmovable runs"},
    [CELL_CACHED] = {'c', 146, "#a9a3cf", "in caches alone"},
    [CELL_RESERVED] = {'r', 243, "#8a8a8a", "reserved"},
};

/* What a stretch with these frames is, and so many unmovable runs. */
static enum frag_cell cell_of(const struct quire_range_stats *s, uint32_t unmovable)
{
    uint64_t memory = s->frames - s->holes - s->reserved;
    uint64_t divided = s->used[QUIRE_RANGE_MOVABLE] + s->used[QUIRE_RANGE_UNMOVABLE];
    uint64_t used = divided + s->used[QUIRE_RANGE_WHOLE];

    if (s->frames == s->holes)
        return CELL_HOLE;
    if (memory == 0)
        return CELL_RESERVED;
    if (unmovable)
        return CELL_UNMOVABLE;
    if (used == 0)
        return s->cached ? CELL_CACHED : CELL_WHOLE;
    if (divided == 0 && 2 * used >= memory)
        return CELL_USED;
    return 2 * used >= memory ? CELL_DENSE : CELL_SPARSE;
}

/* The frames of a stretch; those that the zone does not know are holes. */
static struct quire_range_stats stats_of(const struct frag *f, uint64_t pfn, uint64_t frames)
{
    struct quire_range_stats stats;

    if (quire_zone_range_stats(&f->zone->zone, (struct quire_run){quire_pfn_of(pfn), frames},
                               &stats))
        stats = (struct quire_range_stats){.frames = frames, .holes = frames};
    return stats;
}

/* So many frames that a picture has room for all, a power of two of blocks; a section's if there is
 * no room for more. */
static uint64_t frames_of_cell(const struct frag *f)
{
    uint64_t cells = (uint64_t)f->options.columns * FRAG_ROWS, frames = BLOCK_FRAMES;

    while (f->frames / frames > cells && frames < UINT64_C(1) << SECTION_ORDER)
        frames *= 2;
    return frames;
}

/* How many unmovable runs each block has, by the books: the class of a block says only for what it
 * was taken. NULL without memory. */
static uint32_t *count_unmovable(const struct frag *f, size_t blocks)
{
    uint32_t *runs = calloc(blocks, sizeof(*runs));

    for (size_t i = 0; runs && i < f->run_count; i++)
        if (!f->runs[i].movable)
            runs[(f->runs[i].pfn - f->first) / BLOCK_FRAMES]++;
    return runs;
}

/* Sections of the zone's memory alone: those where nothing is unmovable, and those that are free.
 */
static void count_sections(const struct frag *f, const uint32_t *unmovable,
                           struct frag_picture *picture)
{
    const uint64_t frames = UINT64_C(1) << SECTION_ORDER;

    for (uint64_t pfn = f->first; pfn < f->first + f->frames; pfn = (pfn | (frames - 1)) + 1) {
        struct quire_range_stats s;
        uint32_t runs = 0;

        if (pfn % frames || f->first + f->frames - pfn < frames)
            continue;
        s = stats_of(f, pfn, frames);
        if (s.holes)
            continue;
        for (size_t b = 0; b < frames / BLOCK_FRAMES; b++)
            runs += unmovable[(pfn - f->first) / BLOCK_FRAMES + b];
        picture->sections++;
        picture->clean += runs == 0;
        picture->free_sections += s.free[QUIRE_RANGE_WHOLE] == frames;
    }
}

/* A cell, and the figures of its blocks. */
static enum frag_cell draw_cell(const struct frag *f, size_t first, const uint32_t *unmovable,
                                struct frag_picture *picture, struct quire_range_stats *sum)
{
    struct quire_range_stats cell = {0};
    uint32_t runs = 0;

    for (size_t b = first; b < first + f->cell_frames / BLOCK_FRAMES; b++) {
        struct quire_range_stats block = stats_of(f, f->first + b * BLOCK_FRAMES, BLOCK_FRAMES);

        picture->blocks[cell_of(&block, unmovable[b])]++;
        picture->whole += block.free[QUIRE_RANGE_WHOLE] == BLOCK_FRAMES;
        picture->unmovable += unmovable[b] > 0;
        runs += unmovable[b];
        quire_range_stats_add(&cell, &block);
    }
    quire_range_stats_add(sum, &cell);
    return cell_of(&cell, runs);
}

bool frag_picture_take(struct frag *f, const char *name, struct frag_picture *picture)
{
    struct quire_range_stats all = {0};
    uint32_t *unmovable;

    f->cell_frames = frames_of_cell(f);
    *picture = (struct frag_picture){
        .name = name, .count = (size_t)((f->frames + f->cell_frames - 1) / f->cell_frames)};
    picture->cells = calloc(picture->count, 1);
    unmovable = count_unmovable(f, picture->count * (f->cell_frames / BLOCK_FRAMES));
    if (!picture->cells || !unmovable) {
        free(unmovable);
        return false;
    }
    for (size_t i = 0; i < picture->count; i++)
        picture->cells[i] = (unsigned char)draw_cell(f, i * (f->cell_frames / BLOCK_FRAMES),
                                                     unmovable, picture, &all);
    picture->managed = all.frames - all.holes - all.reserved;
    for (unsigned i = 0; i < QUIRE_RANGE_CLASSES; i++)
        picture->free += all.free[i];
    picture->possible = picture->free / BLOCK_FRAMES;
    picture->possible_sections = picture->free >> SECTION_ORDER;
    count_sections(f, unmovable, picture);
    free(unmovable);
    return true;
}

const char *frag_picture_line(const struct frag_picture *picture, char *text, size_t size)
{
    uint64_t thousandths = 1000 - picture->free * 1000 / (picture->managed ? picture->managed : 1);
    uint64_t whole = picture->possible ? picture->whole * 1000 / picture->possible : 1000;

    (void)snprintf(text, size,
                   "%s: %" PRIu64 ".%" PRIu64 " %% used; %" PRIu64 " blocks are whole of %" PRIu64
                   " that the free frames could make (%" PRIu64 ".%" PRIu64 " %%); %" PRIu64
                   " with unmovable runs",
                   picture->name, thousandths / 10, thousandths % 10, picture->whole,
                   picture->possible, whole / 10, whole % 10, picture->unmovable);
    return text;
}
