/* SPDX-License-Identifier: MIT
 *
 * range_stats.c - what the frames of a range are: free or used, of which class, reserved, cached.
 *
 * Of a used frame the maps do not tell whether its owner is a user, or a cache in front of the
 * zone: its frame byte does (frame_byte.h), or that of the first frame of its run. A frame in the
 * hands of a call that is not over counts as cached; so would, in a block that is isolated, what
 * the isolation holds of words that are in use in part: it counts as isolated.
 *
 * Only reads. While others use the zone the figures are estimates: each word was true when it was
 * read, and so was each byte. Wait-free, any context; O(frames).
 */
#include "core/frame_byte.h"
#include "core/internal.h"

/* A stretch of a block's frames: from `first` on, n of them. */
struct stretch {
    uint32_t block;
    unsigned first, n;
};

/* The frames of one word: which are used, continue a run, are reserved, are holes. */
struct word_states {
    uint64_t used, inside, reserved, hole;
};

static struct word_states read_word(const struct quire_zone *z, uint32_t b, unsigned word,
                                    uint32_t d, const struct quire_pin *pin)
{
    struct word_states s = {0, 0, 0, 0};

    /* relaxed: a figure, as all of these */
    s.used = qa_load(&frame_map(z, b)->w[word], relaxed);
    if (has_run_map(z))
        s.inside = qa_load(&run_map(z, b)->w[word], relaxed); /* relaxed: as above */
    if (pin) {
        s.reserved = qa_load(&pin->pinned.w[word], relaxed); /* relaxed: as above */
        s.hole = qa_load(&pin->hole.w[word], relaxed);       /* relaxed: as above */
        s.reserved &= ~s.hole;
    }
    s.used = desc_swept(d, word) ? 0 : s.used & ~(s.reserved | s.hole);
    return s;
}

/* Which of the frames `used` were handed out to nobody. `*kept` is so of the run that the word
 * before ended in, and becomes so of this word's last one. */
static uint64_t kept_of(const struct quire_zone *z, uint64_t base, uint64_t used, uint64_t inside,
                        bool *kept)
{
    uint64_t found = 0;

    for (uint64_t left = used; left; left &= left - 1) {
        unsigned bit = word_first(left);

        if (!(inside >> bit & 1))
            /* relaxed: a figure */
            *kept = byte_is_none(qa_load(byte_of_frame(z, base + bit), relaxed));
        found |= (uint64_t)*kept << bit;
    }
    return found;
}

/* Of word i of a block the frames of a stretch. */
static uint64_t part_of_word(struct stretch at, unsigned i)
{
    unsigned from = at.first > i * WORD_BITS ? at.first - i * WORD_BITS : 0;
    unsigned to = at.first + at.n > i * WORD_BITS ? at.first + at.n - i * WORD_BITS : 0;

    if (to > WORD_BITS)
        to = WORD_BITS;
    return from < to ? word_mask(from, to - from) : 0;
}

/* Frames of a block that is handed out frame by frame. Its words are read from the first one on, as
 * a run may begin before the stretch. */
static void add_divided(const struct quire_zone *z, struct stretch at, uint32_t d,
                        struct quire_range_stats *stats)
{
    const struct quire_pin *pin = d & D_PINS ? qi_pin_find(z, at.block) : NULL;
    unsigned kind = desc_class(d) & CLASS_MOVABLE ? QUIRE_RANGE_MOVABLE : QUIRE_RANGE_UNMOVABLE;
    bool isolated = desc_state(d) == D_ISOLATED;
    uint64_t *free = isolated ? &stats->isolated : &stats->free[kind];
    uint64_t *nobodys =
        isolated ? &stats->isolated : &stats->cached; /* allocated, not handed out */
    bool run_is_kept = false;

    for (unsigned i = 0; i < MAP_WORDS; i++) {
        struct word_states s = read_word(z, at.block, i, d, pin);
        uint64_t frames = part_of_word(at, i), kept = 0;

        if (z->has_frame_bytes)
            kept = kept_of(z, frame_at(at.block, i * WORD_BITS), s.used, s.inside, &run_is_kept);
        stats->holes += word_count(s.hole & frames);
        stats->reserved += word_count(s.reserved & frames);
        *nobodys += word_count(kept & frames);
        stats->used[kind] += word_count(s.used & ~kept & frames);
        *free += word_count(~(s.used | s.reserved | s.hole) & frames);
    }
}

/* Frames of a block of a run of whole blocks. Caches have runs of one block alone. */
static void add_whole(const struct quire_zone *z, struct stretch at, uint32_t d,
                      struct quire_range_stats *stats)
{
    bool cached = d == desc_whole(BLOCK_ORDER) && z->has_frame_bytes &&
                  /* relaxed: a figure */
                  byte_is_none(qa_load(byte_of_frame(z, frame_at(at.block, 0)), relaxed));

    *(cached ? &stats->cached : &stats->used[QUIRE_RANGE_WHOLE]) += at.n;
}

static void add_range_stretch(const struct quire_zone *z, struct stretch at,
                              struct quire_range_stats *stats)
{
    uint32_t d = qa_load(desc_of(z, at.block), acquire); /* E-desc acquire */

    switch (desc_state(d)) {
    case D_FREE:
        stats->free[QUIRE_RANGE_WHOLE] += at.n;
        stats->gone += qi_blocks_have_gone(z, at.block, 1) ? at.n : 0;
        break;
    case D_SPLIT:
    case D_ISOLATED:
        add_divided(z, at, d, stats);
        break;
    case D_RESERVED:
        *(d & D_HOLE ? &stats->holes : &stats->reserved) += at.n;
        break;
    case D_WITHDRAWN:
        stats->reserved += at.n;
        break;
    default:
        add_whole(z, at, d, stats);
        break;
    }
}

int quire_zone_range_stats(const struct quire_zone *z, struct quire_run range,
                           struct quire_range_stats *stats)
{
    uint64_t frame, left = range.frames;

    if (left == 0 || left >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    frame = qi_frame_of_range(z, range.pfn, left);
    if (frame == NO_FRAME)
        return QUIRE_ERR_FRAME;
    __builtin_memset(stats, 0, sizeof *stats);
    stats->frames = left;
    while (left > 0) {
        unsigned some =
            BLOCK_FRAMES - place_of(frame) < left ? BLOCK_FRAMES - place_of(frame) : (unsigned)left;

        add_range_stretch(z, (struct stretch){block_of(frame), place_of(frame), some}, stats);
        frame += some;
        left -= some;
    }
    return QUIRE_OK;
}
