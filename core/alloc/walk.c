/* SPDX-License-Identifier: MIT
 *
 * walk.c - going through a zone's free memory in ascending order, for searches and for figures.
 *
 * Whole blocks are seen by the words of their sections' lines, where the kernels of search.h pass
 * by what is all free; frames of split blocks by their maps. A search for a stretch of some length
 * tells at once which 32nds of a block are free, and reads nothing of one whose hole byte shows
 * that none is; one for a shorter stretch reads two words of such a block. Read-only: what is seen
 * may change at once, and a stretch that is reported was free word by word, not all at one moment.
 *
 * No state. Wait-free, any context, bounded by the words between the limits.
 */
#include "core/internal.h"
#include "core/search/search.h"

/* The frames of an extent that have maps. */
void qi_extent_frames(const struct quire_zone *z, uint32_t extent, uint64_t *first, uint64_t *end)
{
    const struct quire_extent *e = &z->extents[extent];

    *first = frame_at(e->index * SECTION_BLOCKS, 0);
    *end = *first + ((uint64_t)e->count << SECTION_ORDER);
    if (*first < z->first_block * BLOCK_FRAMES)
        *first = z->first_block * BLOCK_FRAMES;
    if (*end > z->end_block * BLOCK_FRAMES)
        *end = z->end_block * BLOCK_FRAMES;
}

/* The first place at or after `place` of split block b where (word ^ flip) has a 0; BLOCK_FRAMES
 * if none. Flip 0 looks for free frames, all ones for taken ones. */
static unsigned block_next_zero(const struct quire_zone *z, uint32_t b, unsigned place,
                                uint64_t flip)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t below = (1ull << place % WORD_BITS) - 1;

    for (unsigned i = place / WORD_BITS; i < MAP_WORDS; i++, below = 0) {
        uint64_t v = (qa_load(&map->w[i], relaxed) ^ flip) | below; /* relaxed: advisory */

        if (v != WORD_FULL)
            return i * WORD_BITS + word_first(~v);
    }
    return BLOCK_FRAMES;
}

static bool is_block_taken(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: advisory */
    return qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
}

/* The first frame of the first block at or after b that was seen taken, by the words of the
 * sections' lines; something at or behind `end` if none is before it. */
static uint64_t next_taken_block(const struct quire_zone *z, uint32_t b, uint64_t end)
{
    const void *section_maps = z->section_maps;
    size_t blocks = (size_t)block_of(end - 1) / WORD_BITS * WORD_BITS + WORD_BITS;

    return frame_at((uint32_t)qi_search_best()->next_one((const uint64_t *)section_maps, blocks, b),
                    0);
}

/* The first frame at or after `frame` that was seen free; `end` if none before it. */
uint64_t qi_next_free(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    while (frame < end) {
        uint32_t b = block_of(frame);
        uint32_t d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */
        unsigned place = BLOCK_FRAMES;

        if (!is_block_taken(z, b))
            return frame;
        if (desc_state(d) == D_SPLIT)
            place = block_next_zero(z, b, place_of(frame), 0);
        if (place < BLOCK_FRAMES) {
            frame = frame_at(b, place);
            return frame < end ? frame : end;
        }
        /* A whole run is passed by in one step. */
        if (desc_state(d) == D_WHOLE && place_of(frame) == 0)
            frame += 1ull << desc_order(d);
        else
            frame = frame_at(b + 1, 0);
    }
    return end;
}

/* The first frame behind `frame`, which the caller saw free, that was seen taken; `end` if none
 * before it. Always behind, so that a walk goes on although `frame` was taken since. */
uint64_t qi_next_used(const struct quire_zone *z, uint64_t frame, uint64_t end)
{
    for (frame++; frame < end;) {
        uint32_t b = block_of(frame);
        unsigned place;

        if (!is_block_taken(z, b)) {
            /* From the next block on: this one may be taken by now, and the walk goes forward. */
            frame = next_taken_block(z, b + 1, end);
            continue;
        }
        /* E-desc acquire */
        if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
            return frame;
        place = block_next_zero(z, b, place_of(frame), WORD_FULL);
        frame = frame_at(b, 0) + place;
        if (place < BLOCK_FRAMES)
            break;
    }
    return frame < end ? frame : end;
}

/* The first n free bits in a row of word v, n <= 64; WORD_BITS if there are none. */
static unsigned word_find_free(uint64_t v, uint64_t n)
{
    uint64_t rows = word_rows(~v, (unsigned)n);

    return rows ? word_first(rows) : WORD_BITS;
}

/* A walk over free frames, word by word, in search of n in a row, at most 62. */
struct free_walk {
    uint64_t n;
    uint64_t start; /* of the free frames that end where the walk is; NO_FRAME if none do */
    uint64_t stop;  /* of a stretch that was found */
};

/* The free frames that end at `at`, if any, are followed by a taken one: are they enough? */
static inline bool free_walk_stop(struct free_walk *w, uint64_t at)
{
    w->stop = at;
    return w->start != NO_FRAME && at - w->start >= w->n;
}

/* Go through one word of a split block's map, v, whose first frame is `base`. True: a stretch of n
 * frames has ended in it. */
static inline bool free_walk_word(struct free_walk *w, uint64_t v, uint64_t base)
{
    unsigned bit, top;

    if (v == 0) {
        w->start = w->start == NO_FRAME ? base : w->start;
        return false;
    }
    bit = word_first(v);
    if (bit > 0 && w->start == NO_FRAME)
        w->start = base;
    if (free_walk_stop(w, base + bit))
        return true;
    top = 63 - word_last(v);
    w->start = top > 0 ? base + WORD_BITS - top : NO_FRAME;
    bit = word_find_free(v, w->n);
    if (bit >= WORD_BITS - top) /* none, or it goes on in the next word */
        return false;
    w->start = base + bit;
    w->stop = w->start + word_first(v >> bit);
    return true;
}

/* The rest of block b, from `frame` on. True: a stretch has ended in it. */
static bool free_walk_block(const struct quire_zone *z, struct free_walk *w, uint32_t b,
                            uint64_t frame)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t below = (1ull << frame % WORD_BITS) - 1;

    for (unsigned i = place_of(frame) / WORD_BITS; i < MAP_WORDS; i++, below = 0) {
        uint64_t v = qa_load(&map->w[i], relaxed) | below; /* relaxed: advisory */

        if (free_walk_word(w, v, frame_at(b, i * WORD_BITS)))
            return true;
    }
    return false;
}

/* Block b, of which no n frames in a row lie inside, as its hole byte has it: only the free frames
 * at either end count. False: not told by the first and the last word. */
static bool free_walk_past(const struct quire_zone *z, struct free_walk *w, uint32_t b, bool *found)
{
    const struct map512 *map = frame_map(z, b);
    uint64_t first = qa_load(&map->w[0], relaxed);            /* relaxed: advisory */
    uint64_t last = qa_load(&map->w[MAP_WORDS - 1], relaxed); /* relaxed: advisory */
    unsigned top;

    if (first == 0 || last == 0)
        return false;
    *found = free_walk_stop(w, frame_at(b, word_first(first)));
    if (!*found) {
        top = 63 - word_last(last);
        w->start = top > 0 ? frame_at(b + 1, 0) - top : NO_FRAME;
    }
    return true;
}

/* The order of an aligned run that lies in any n frames in a row of a block: a split block that
 * does not show one has no such stretch inside (H4). 0: the byte tells nothing. */
static unsigned order_within(uint64_t n)
{
    return word_last((n + 1) / 2);
}

/* The first stretch of at least n free frames that was seen at or after `frame`, before `end`, n so
 * small that it may have no free quarter: its first frame, its end in *stop. `end` if there is
 * none. */
static uint64_t next_short_stretch(const struct quire_zone *z, uint64_t frame, uint64_t end,
                                   uint64_t n, uint64_t *stop)
{
    struct free_walk w = {n, NO_FRAME, 0};
    unsigned order = order_within(n);
    bool found = false;

    qi_assert(n <= WORD_BITS - 2);
    while (frame < end && !found) {
        uint32_t b = block_of(frame), d;

        if (!is_block_taken(z, b)) {
            w.start = w.start == NO_FRAME ? frame : w.start;
            frame = next_taken_block(z, b + 1, end);
            continue;
        }
        d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */
        if (desc_state(d) == D_SPLIT) {
            bool past = order > 0 && place_of(frame) == 0;

            /* relaxed: H4 holds of what any load finds that comes after a free's return */
            past = past && (qa_load(hole_of(z, b), relaxed) & HOLE_MASK) <= order &&
                   free_walk_past(z, &w, b, &found);
            if (!past)
                found = free_walk_block(z, &w, b, frame);
            frame = frame_at(b + 1, 0);
        } else {
            found = free_walk_stop(&w, frame);
            w.start = found ? w.start : NO_FRAME;
            /* A whole run is passed by in one step. */
            frame = desc_state(d) == D_WHOLE && place_of(frame) == 0
                        ? frame + (1ull << desc_order(d))
                        : frame_at(b + 1, 0);
        }
    }
    if (!found)
        w.stop = end;
    *stop = w.stop < end ? w.stop : end;
    return w.start < end && *stop - w.start >= n ? w.start : end;
}

/* ---- Stretches that have free quarters --------------------------------------------------------
 *
 * A quarter is that of a word: 16 frames, aligned. One instruction or a few tell which of a block's
 * 32 quarters are free, and what is looked for first is as many of them in a row as a stretch must
 * have.
 *
 * Each place that is long enough has an aligned run of some order inside of one block, its inner
 * run. So of a word of 64 blocks those are candidates whose hole byte shows such a run, or that are
 * free; and a row of quarters that begins or ends outside of the candidate is in a block beside it.
 * That one is read only if its rows can be long enough: of one that is no candidate itself fewer
 * than an inner run's quarters are free at either end.
 *
 * The danger is a refusal by what was never so at one moment: which of the 64 blocks are free as a
 * whole is one look, what their hole bytes show another, and between the two a rival may make one
 * split block after the other whole, or open it. So a search that is to refuse looks at each block
 * by itself; there nothing is missed but what one call has in its hands.
 */
enum {
    QUARTER_FRAMES = SEARCH_QUARTER,
    QUARTER_ORDER = 4,
    BLOCK_QUARTERS = MAP_BITS / QUARTER_FRAMES,
};

/* A search for quarters in a row. */
struct quarter_walk {
    const struct search_kernel *search;
    uint32_t first, last; /* blocks */
    unsigned before;      /* quarters of the first one that do not count */
    unsigned wanted;      /* quarters in a row */
    unsigned hole;        /* of a candidate: one more than the order of the inner run */
};

/* How many quarters in a row lie in any n frames, or in any that begin with one (`aligned`). No
 * more than a block's, which lie in two blocks at most. */
static unsigned quarters_within(uint64_t n, bool aligned)
{
    uint64_t quarters = aligned ? n / QUARTER_FRAMES : (n + 1) / QUARTER_FRAMES;

    if (!aligned && quarters > 0)
        quarters--;
    return quarters < BLOCK_QUARTERS ? (unsigned)quarters : BLOCK_QUARTERS;
}

/* The order of an aligned run, below a block's, that lies in any n frames which begin at a multiple
 * of `align`: up to `align` each multiple begins one, and of longer ones as in order_within. */
static unsigned inner_order(uint64_t n, uint64_t align)
{
    unsigned order =
        n < align ? word_last(n) : word_first(align) + order_within(n >> word_first(align));

    return order < BLOCK_ORDER ? order : BLOCK_ORDER - 1;
}

/* The free quarters of block b that count, a bit for each. */
static uint64_t free_quarters(const struct quire_zone *z, const struct quarter_walk *w, uint32_t b)
{
    uint64_t quarters = 0;

    /* E-desc acquire. It could be relaxed: what is found here is looked at again (qi_next_used). */
    if (desc_state(qa_load(desc_of(z, b), acquire)) == D_SPLIT) {
        const void *map = frame_map(z, b);

        quarters = w->search->zero_quarters((const uint64_t *)map);
    } else if (!is_block_taken(z, b)) {
        quarters = word_mask(0, BLOCK_QUARTERS);
    }
    return b == w->first ? quarters & ~((1ull << w->before) - 1) : quarters;
}

/* The first row that has quarters of block b: its first frame; NO_FRAME if there is none. */
static uint64_t row_about(const struct quire_zone *z, const struct quarter_walk *w, uint32_t b)
{
    uint64_t here = free_quarters(z, w, b), two = here << BLOCK_QUARTERS, rows;

    if (here & 1 && b > w->first)
        two |= free_quarters(z, w, b - 1);
    rows = word_rows(two, w->wanted);
    if (rows)
        return frame_at(b, 0) + (uint64_t)word_first(rows) * QUARTER_FRAMES - BLOCK_FRAMES;
    if (!(here >> (BLOCK_QUARTERS - 1)) || b == w->last)
        return NO_FRAME;
    two = here | free_quarters(z, w, b + 1) << BLOCK_QUARTERS;
    rows = word_rows(two, w->wanted);
    return rows ? frame_at(b, 0) + (uint64_t)word_first(rows) * QUARTER_FRAMES : NO_FRAME;
}

/* Of the 64 blocks from 64 g on those of the walk, a bit each. */
static uint64_t blocks_of_word(const struct quarter_walk *w, uint64_t g)
{
    uint64_t b = g * WORD_BITS, some = WORD_FULL;

    if (w->first > b)
        some <<= w->first - b;
    if (w->last - b < WORD_BITS - 1)
        some &= word_mask(0, (unsigned)(w->last - b) + 1);
    return some;
}

/* Did block b show at one moment that it may have an inner run? */
static bool is_candidate(const struct quire_zone *z, const struct quarter_walk *w, uint32_t b)
{
    /* E-desc acquire. It could be relaxed: a byte older than the split is what a look amid the
     * opening finds too, and row_about looks at what is found again. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
        return !is_block_taken(z, b);
    return (qa_load(hole_of(z, b), relaxed) & HOLE_MASK) >= w->hole; /* relaxed: H4 */
}

/* The first row that has quarters of one of these blocks of word g, each looked at by itself. */
static uint64_t row_by_block(const struct quire_zone *z, const struct quarter_walk *w, uint64_t g,
                             uint64_t blocks)
{
    uint64_t at = NO_FRAME;

    for (; blocks && at == NO_FRAME; blocks &= blocks - 1) {
        uint32_t b = (uint32_t)(g * WORD_BITS) + word_first(blocks);

        if (is_candidate(z, w, b))
            at = row_about(z, w, b);
    }
    return at;
}

/* The first row that has quarters of one of the 64 blocks from 64 g on, and whose inner run lies
 * there or in the block before them. */
static uint64_t row_in_word(const struct quire_zone *z, const struct quarter_walk *w, uint64_t g)
{
    uint32_t b = (uint32_t)(g * WORD_BITS);
    /* The word may begin before the zone's first map. */
    uintptr_t first = (uintptr_t)z->maps + (uintptr_t)(b - z->first_block) * z->map_stride;
    /* Fewer than an inner run's quarters are free at the end of a block that is no candidate. */
    const uint32_t tail = ~(UINT32_MAX >> ((1u << (w->hole - 1 - QUARTER_ORDER)) - 1));
    const struct search_maps maps = {first, z->map_stride, w->wanted, tail};
    uint64_t left = blocks_of_word(w, g);
    /* relaxed: advisory. It is read before the hole bytes: a block that is taken here, and whose
     * byte shows no inner run, was being opened or closed, and nothing of it was to be had then. */
    uint64_t free = left & ~qa_load(block_word(z, g), relaxed);
    /* Relaxed loads: H4 holds of what any load finds that comes after a free's return. */
    uint64_t some =
        free | (left & w->search->bytes_from(z->holes + b, HOLE_MASK, (uint8_t)w->hole));

    /* A row that begins in a candidate may have its end in the block behind it. */
    for (some |= (some << 1 | 1) & left; some; some &= left) {
        uint64_t whole = free & -free, at;
        unsigned i = w->search->next_row(&maps, some & (whole - 1));

        if (i == WORD_BITS) {
            if (!whole)
                break;
            i = word_first(whole);
        }
        at = row_about(z, w, b + i);
        if (at != NO_FRAME)
            return at;
        left &= WORD_FULL << i << 1;
        free &= left;
    }
    return NO_FRAME;
}

/* The first of `wanted` free quarters in a row that were seen at or after `frame`, before `end`:
 * its first frame; NO_FRAME if there are none. Each place that is wanted has an aligned run of the
 * order `inner` inside of a block. */
static uint64_t next_quarters(const struct quire_zone *z, uint64_t frame, uint64_t end,
                              unsigned wanted, unsigned inner, bool by_block)
{
    struct quarter_walk w = {.search = qi_search_best(),
                             .first = block_of(frame),
                             .last = block_of(end - 1),
                             .before = (place_of(frame) + QUARTER_FRAMES - 1) / QUARTER_FRAMES,
                             .wanted = wanted,
                             .hole = inner + 1};
    uint64_t at = NO_FRAME;

    qi_assert(inner >= QUARTER_ORDER);
    for (uint64_t g = w.first / WORD_BITS; at == NO_FRAME && g <= w.last / WORD_BITS; g++)
        at = by_block ? row_by_block(z, &w, g, blocks_of_word(&w, g)) : row_in_word(z, &w, g);
    return at;
}

/* The first frame of the free ones that end with `at`, the first one of a free quarter: the quarter
 * before is not free. But not before `first`. */
static uint64_t stretch_begin(const struct quire_zone *z, uint64_t at, uint64_t first)
{
    uint32_t b = block_of(at - 1);
    uint64_t v, begin = at;
    unsigned bit;

    if (at == first)
        return at;
    if (!is_block_taken(z, b)) {
        begin = frame_at(b, 0);
    } else if (desc_state(qa_load(desc_of(z, b), acquire)) == D_SPLIT) { /* E-desc acquire */
        bit = (unsigned)((at - 1) % WORD_BITS);
        /* relaxed: advisory */
        v = qa_load(&frame_map(z, b)->w[place_of(at - 1) / WORD_BITS], relaxed);
        v <<= WORD_BITS - 1 - bit;
        begin -= v ? WORD_BITS - 1 - word_last(v) : bit + 1;
    }
    return begin > first ? begin : first;
}

/* The first stretch of as many free frames that was seen at or after `frame`, before `end`: its
 * first frame, its end in *stop. `end` if there is none. None is passed by that has room for them
 * at a multiple of want->align; it may have none, or too little behind such a multiple. */
uint64_t qi_next_free_stretch(const struct quire_zone *z, uint64_t frame, uint64_t end,
                              const struct stretch_wanted *want, uint64_t *stop)
{
    unsigned wanted = quarters_within(want->frames, want->align >= QUARTER_FRAMES), inner;

    if (wanted == 0)
        return next_short_stretch(z, frame, end, want->frames, stop);
    inner = inner_order(want->frames, want->align);
    for (; frame < end; frame = *stop) {
        uint64_t at = next_quarters(z, frame, end, wanted, inner, want->by_block);

        if (at >= end)
            break;
        frame = stretch_begin(z, at, frame);
        *stop = qi_next_used(z, at + (uint64_t)wanted * QUARTER_FRAMES - 1, end);
        if (*stop - frame >= want->frames)
            return frame;
    }
    *stop = end;
    return end;
}
