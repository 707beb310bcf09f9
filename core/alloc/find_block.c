/* SPDX-License-Identifier: MIT
 *
 * find_block.c - where to look for frames when the slot's home block has none, in the order of
 * preference:
 *
 *   1. a new home block: the fullest split block near the last one, of the same class, that is
 *      worth it and has a hole of the order; filling it up leaves the emptier ones to become whole
 *      again;
 *   2. a new home block: a whole block near by, which is split;
 *   3. a new home block: as 1, but of any class; it is of this one from then on;
 *   4. stray runs: any split block that the hints show, then other slots' home blocks;
 *   5. the last pass: every block of the zone, ownership and hints ignored but for the hole byte,
 *      which is never too low for a run (H4). "Out of memory" rests on this pass alone, so nothing
 *      that a stale hint says can make it false.
 *
 * The danger is a search that hints lead astray, for ever or to a wrong refusal. So 1 to 4 read
 * hints (with the kernels of search.h, many bytes at a time; the bytes may be old by any amount)
 * and look at a bounded number of places; what they find is a candidate, which the exchange of
 * another file takes or does not. A hint that is found wrong is cleared by hint.c's protocol.
 *
 * Bounds: 1 and 3 look at NEAR_SECTIONS sections and NEAR_TRIES candidates, each of which fitted
 * when its hole byte was written; the others pass each section or block once, and repeat only what
 * a rival's success spoiled. All may run beside each other and beside everything else. Lock-free,
 * any context.
 */
#include "core/internal.h"
#include "core/search/search.h"

enum {
    NEAR_SECTIONS = 8,
    NEAR_TRIES = 16,
    FRAMES_MIN_FULLNESS =
        4,               /* fullness byte: 7 or 8 free frames. With fewer, it is full at once. */
    HOME_MAX_DENSE = 16, /* fullness byte: at most 32 frames of the block are free */
    ANY_CLASS = CLASSES,
    WORDS_A_SLOT = 4, /* words of blocks that a zone needs for each slot, that they keep apart */
};

static const uint8_t *hints_at(const unsigned char *hints, uint32_t first)
{
    return hints + first;
}

/* Blocks whose hole byte shows a run of the order: of any class, or (a byte for each) of one. */
static struct search_fit fit_any(const struct quire_zone *z, uint32_t first, unsigned order)
{
    return (struct search_fit){hints_at(z->holes, first), HOLE_MASK, (uint8_t)(order + 1),
                               HOLE_MASK};
}

static struct search_fit fit_class(const struct quire_zone *z, uint32_t first, unsigned order,
                                   unsigned home_class)
{
    uint8_t base = (uint8_t)(home_class << HOLE_CLASS_SHIFT);

    return (struct search_fit){hints_at(z->holes, first), UINT8_MAX, (uint8_t)(base + order + 1),
                               (uint8_t)(base | HOLE_MASK)};
}

/* Does a block of section s show a free run of the order? */
static bool section_shows(const struct quire_zone *z, uint32_t s, unsigned order)
{
    struct search_fit fit = fit_any(z, s * SECTION_BLOCKS, order);

    return qi_search_best()->least_fit(hints_at(z->fulls, s * SECTION_BLOCKS), SECTION_BLOCKS, 0,
                                       SECTION_BLOCKS, &fit) < SECTION_BLOCKS;
}

/* No block of section s shows a free run of the order: say so, unless that changed just now (H2).
 */
static void hint_section_lower(const struct quire_zone *z, uint32_t s, unsigned order)
{
    qa_store(sparse_of(z, s), (uint8_t)order, relaxed); /* relaxed: a hint */
    qa_fence_seq_cst(); /* E-hint fence: the hint before the second look */
    if (section_shows(z, s, order))
        qa_store(sparse_of(z, s), HOLE_MOST, relaxed); /* relaxed: a hint */
}

/* Has split block b, as currently read (advisory), a free run of the order? */
static bool has_run(const struct quire_zone *z, uint32_t b, unsigned order)
{
    unsigned free;

    if (order == 0)
        return !qi_map_words_equal(frame_map(z, b), WORD_FULL);
    return qi_map_hole(frame_map(z, b), &free) > order;
}

/* Would block b, as currently read (advisory), make a home block for this order, and for this class
 * unless that is ANY_CLASS? Hints that promised it wrongly are corrected on the way. */
static bool suits_as_home(const struct quire_zone *z, uint32_t b, unsigned home_class,
                          unsigned order)
{
    uint32_t d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */

    if (desc_state(d) != D_SPLIT)
        qi_hint_block_full(z, b);
    if (desc_state(d) != D_SPLIT || d & D_OWNER)
        return false;
    if ((home_class == ANY_CLASS || desc_class(d) == home_class) && has_run(z, b, order))
        return true;
    qi_hint_hole_lower(z, b);
    return false;
}

/* The fullness byte from which a block is worth being a home block for runs of this order: one run
 * of more than a frame is. */
static uint8_t home_min_fullness(unsigned order)
{
    return (uint8_t)(order == 0 ? FRAMES_MIN_FULLNESS : (1u << order) / 2);
}

/* The candidate for a home block among `count` blocks: the fullest one that fits and was not
 * rejected yet. */
struct home_candidate {
    uint32_t first, count;
    size_t i; /* behind `first`; `count` when there is none */
    uint8_t value;
    struct search_fit fit;
};

static void candidate_next(const struct quire_zone *z, struct home_candidate *c)
{
    c->i = qi_search_best()->least_fit(hints_at(z->fulls, c->first), c->count, c->value, c->i,
                                       &c->fit);
    if (c->i < c->count) {
        /* relaxed: a hint, perhaps newer than what was found: a rival that made it a home block
         * meanwhile wrote 0, and going on from 0 would be to try all that are full, which
         * least_fit does not allow. */
        uint8_t value = qa_load(full_of(z, c->first + (uint32_t)c->i), relaxed);

        c->value = value > c->value ? value : c->value;
        c->value = c->value ? c->value : 1;
    }
}

/* The first candidate among `count` blocks from `first`. */
static struct home_candidate candidate_first(const struct quire_zone *z, uint32_t first,
                                             uint32_t count, unsigned home_class, unsigned order)
{
    struct home_candidate c = {first, count, count, (uint8_t)(home_min_fullness(order) - 1),
                               home_class == ANY_CLASS ? fit_any(z, first, order)
                                                       : fit_class(z, first, order, home_class)};

    candidate_next(z, &c);
    return c;
}

/* The first candidates of sections near `s` that show a run of the order. Returns how many
 * sections. */
static unsigned home_candidates(const struct quire_zone *z, uint32_t s, unsigned home_class,
                                unsigned order, struct home_candidate *c)
{
    const struct search_kernel *k = qi_search_best();
    uint8_t least = (uint8_t)(order + 1);
    uint32_t start = s;
    unsigned n = 0;

    for (unsigned around = 0; n < NEAR_SECTIONS; s++) {
        s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), around ? start : z->sections, s, least);
        if (s >= (around ? start : z->sections)) {
            if (around++)
                break;
            s = UINT32_MAX; /* go on at 0 */
            continue;
        }
        c[n++] = candidate_first(z, s * SECTION_BLOCKS, SECTION_BLOCKS, home_class, order);
        if (c[n - 1].i == SECTION_BLOCKS && !section_shows(z, s, order))
            hint_section_lower(z, s, order);
    }
    return n;
}

/* A dense block of the word of 64 blocks that holds block `near`, worth it, that can be made the
 * slot's home block. */
static uint32_t find_home_same_word(const struct quire_zone *z, quire_slot slot,
                                    unsigned home_class, unsigned order, uint32_t near)
{
    struct home_candidate c =
        candidate_first(z, near / WORD_BITS * WORD_BITS, WORD_BITS, home_class, order);

    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        uint32_t b = c.first + (uint32_t)c.i;

        if (c.i == c.count || c.value > HOME_MAX_DENSE)
            break;
        if (suits_as_home(z, b, home_class, order) && qi_home_take(z, slot, home_class, b))
            return b;
        candidate_next(z, &c);
    }
    return NO_BLOCK;
}

/* The fullest block near `s`, worth it, of the class or (`of` is ANY_CLASS) of any, that can be
 * made the slot's home block. */
static uint32_t find_home_near(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                               unsigned of, unsigned order, uint32_t s)
{
    struct home_candidate c[NEAR_SECTIONS];
    unsigned n = home_candidates(z, s, of, order, c);

    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        struct home_candidate *best = NULL;
        uint32_t b;

        for (unsigned i = 0; i < n; i++)
            if (c[i].i < c[i].count && (!best || c[i].value < best->value))
                best = &c[i];
        if (!best)
            break;
        b = best->first + (uint32_t)best->i;
        if (suits_as_home(z, b, of, order) && qi_home_take(z, slot, home_class, b))
            return b;
        candidate_next(z, best);
    }
    return NO_BLOCK;
}

/* A whole block to split: of the word of 64 blocks in which the slot's last home block is; then of
 * a word that is all free; then any. So slots keep apart while there is room: the blocks of a word
 * have lines of descriptors and of fullness bytes to themselves, and a slot that fills block after
 * block does not drag the lines of another one's along. */
static uint32_t find_block_spread(const struct quire_zone *z, quire_slot slot, unsigned home_class)
{
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[home_class], relaxed);
    uint64_t v = qa_load(block_word(z, near / WORD_BITS), relaxed); /* relaxed: advisory */
    uint32_t b = NO_BLOCK;

    if (v != WORD_FULL)
        return near / WORD_BITS * WORD_BITS + word_first(~v);
    if (z->slots <= (uint64_t)z->sections * MAP_WORDS / WORDS_A_SLOT)
        b = qi_find_whole(z, slot, home_class, WORD_ORDER);
    return b != NO_BLOCK ? b : qi_find_whole(z, slot, home_class, 0);
}

/* Claim and split a whole block near by, as the slot's. */
static uint32_t split_whole_near(const struct quire_zone *z, quire_slot slot, unsigned home_class)
{
    uint32_t b;

    /* Repeats only when a rival claimed the block that was seen free. */
    while ((b = find_block_spread(z, slot, home_class)) != NO_BLOCK) {
        if (!qi_blocks_claim(z, b, 0)) {
            stat_count(z, slot, QUIRE_COUNT_RETRY);
            continue;
        }
        if (qi_block_split(z, slot, b, desc_home(slot, home_class)))
            return b;
    }
    return NO_BLOCK;
}

/* A block that is the slot's now, with free frames unless they are taken before: to be tried, then
 * installed or left. NO_BLOCK: there is none worth it, and no whole block. */
uint32_t qi_find_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                      unsigned order)
{
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[home_class], relaxed);
    uint32_t b = find_home_same_word(z, slot, home_class, order, near);

    if (b == NO_BLOCK)
        b = find_home_near(z, slot, home_class, home_class, order, near / SECTION_BLOCKS);
    if (b == NO_BLOCK)
        b = split_whole_near(z, slot, home_class);
    if (b == NO_BLOCK)
        b = find_home_near(z, slot, home_class, ANY_CLASS, order, near / SECTION_BLOCKS);
    return b;
}

/* The fullest split block of the class that is nobody's home and has a run of the order; not one of
 * the ranges `but`. NO_BLOCK: none was seen. O(sections). */
uint32_t qi_find_dense(const struct quire_zone *z, unsigned home_class, unsigned order,
                       const struct block_ranges *but)
{
    const struct search_kernel *k = qi_search_best();
    uint32_t s = 0, best = NO_BLOCK;
    unsigned least = UINT8_MAX + 1;

    while ((s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), z->sections, s,
                                       (uint8_t)(order + 1))) < z->sections) {
        struct home_candidate c = {s * SECTION_BLOCKS, SECTION_BLOCKS, SECTION_BLOCKS, 0,
                                   fit_class(z, s * SECTION_BLOCKS, order, home_class)};

        for (candidate_next(z, &c); c.i < c.count && c.value < least; candidate_next(z, &c)) {
            uint32_t b = c.first + (uint32_t)c.i;

            if (block_is_of(but, b) || !suits_as_home(z, b, home_class, order))
                continue;
            best = b;
            least = c.value;
        }
        s++;
    }
    return best;
}

/* From any split block of section s that shows a free run of the order, the fullest first. */
static bool take_from_section(const struct quire_zone *z, uint32_t s, unsigned order,
                              uint64_t *frame)
{
    struct home_candidate c = {s * SECTION_BLOCKS, SECTION_BLOCKS, SECTION_BLOCKS, 0,
                               fit_any(z, s * SECTION_BLOCKS, order)};
    bool any = false;

    qi_assert(s < z->sections && order < BLOCK_ORDER);
    for (candidate_next(z, &c); c.i < c.count; candidate_next(z, &c)) {
        uint32_t b = c.first + (uint32_t)c.i;
        unsigned free;

        if (qi_block_take(z, b, order, frame))
            return true;
        any = true;
        if (qi_map_hole(frame_map(z, b), &free) > order)
            continue;
        if (free == 0)
            qi_hint_block_full(z, b);
        else
            qi_hint_hole_lower(z, b);
    }
    if (!any)
        hint_section_lower(z, s, order);
    return false;
}

/* From any split block that hints or home words show. */
bool qi_take_from_hinted(const struct quire_zone *z, quire_slot slot, unsigned order,
                         uint64_t *frame)
{
    const struct search_kernel *k = qi_search_best();
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[0], relaxed) / SECTION_BLOCKS;
    uint8_t least = (uint8_t)(order + 1);

    for (unsigned around = 0; around < 2; around++) {
        uint32_t s = around ? 0 : near, end = around ? near : z->sections;

        for (; (s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), end, s, least)) < end; s++)
            if (take_from_section(z, s, order, frame))
                return true;
    }
    for (uint32_t i = 0; i < z->slots; i++)
        for (unsigned c = 0; c < CLASSES; c++) {
            uint32_t b = qa_load(&z->slot_states[i].home[c], relaxed); /* relaxed: a hint */

            /* relaxed: a hint */
            if (b && (order == 0 || (qa_load(hole_of(z, b - 1), relaxed) & HOLE_MASK) > order) &&
                qi_block_take(z, b - 1, order, frame))
                return true;
        }
    return false;
}

/* From block b, which may be free as a whole: then it is split. */
static bool take_from_block(const struct quire_zone *z, quire_slot slot, uint32_t b, unsigned order,
                            uint64_t *frame)
{
    uint64_t v = qa_load(block_word(z, b / WORD_BITS), relaxed); /* relaxed: advisory */

    if (!(v >> b % WORD_BITS & 1)) {
        if (qi_blocks_claim(z, b, 0) && qi_block_split(z, slot, b, D_SPLIT)) {
            qa_fence_seq_cst(); /* E-hint fence: the split before the announcement */
            qi_hint_block_free(z, b);
        }
    } else if (order > 0) {
        /* relaxed: ordered by the caller's E-watch */
        if ((qa_load(hole_of(z, b), relaxed) & HOLE_MASK) <= order)
            return false;
    }
    if (qi_block_take(z, b, order, frame)) {
        qi_hint_block_free(z, b);
        return true;
    }
    if (order > 0)
        qi_hint_hole_lower(z, b);
    return false;
}

/* From any block at all: the last pass. For a run it looks into the blocks whose hole byte shows
 * one (H4); for a single frame into all. O(blocks), a byte each but for those. */
bool qi_take_from_any(const struct quire_zone *z, quire_slot slot, unsigned order, uint64_t *frame)
{
    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    for (uint32_t s = 0; s < z->sections; s++) {
        uint32_t b = s * SECTION_BLOCKS, end = b + SECTION_BLOCKS;

        if (order > 0 && !qi_hint_section_has(z, s, order + 1) &&
            qi_section_find(z, s, 0, 0) == NO_BLOCK)
            continue;
        for (; b < end; b++)
            if (has_map(z, b) && take_from_block(z, slot, b, order, frame))
                return true;
    }
    return false;
}

/* No free run of 2^blocks_order blocks is in section s: say so, unless that changed (H3). */
static uint32_t hint_section_no_whole(const struct quire_zone *z, uint32_t s, unsigned blocks_order)
{
    uint32_t b;

    qa_store(wholes_of(z, s), (uint8_t)blocks_order, relaxed); /* relaxed: a hint */
    qa_fence_seq_cst(); /* E-hint fence: the hint before the second look */
    b = qi_section_find(z, s, blocks_order, 0);
    if (b != NO_BLOCK)
        qa_store(wholes_of(z, s), WHOLES_TOP, relaxed); /* relaxed: a hint */
    return b;
}

/* Two or four neighbouring sections, all free: orders 19 and 20. */
static uint32_t find_whole_sections(const struct quire_zone *z, uint32_t count)
{
    for (uint32_t s = 0; s + count <= z->sections; s++) {
        uint32_t n = 0;

        if (pfn_of_frame(z, frame_at(s * SECTION_BLOCKS, 0)).n >> SECTION_ORDER & (count - 1))
            continue;
        while (n < count && (n == 0 || section_follows(z, s + n)) &&
               qi_section_find(z, s + n, BLOCK_ORDER, 0) != NO_BLOCK)
            n++;
        if (n == count)
            return s * SECTION_BLOCKS;
    }
    return NO_BLOCK;
}

/* A free aligned run of 2^blocks_order blocks, to be claimed. NO_BLOCK: none was seen. The search
 * starts near the last one of the kind `near` (a class, or NEAR_WHOLE). */
uint32_t qi_find_whole(const struct quire_zone *z, quire_slot slot, unsigned near,
                       unsigned blocks_order)
{
    const struct search_kernel *k = qi_search_best();
    uint32_t from = qa_load(&slot_of(z, slot)->near[near], relaxed); /* relaxed: where to start */
    uint8_t least = (uint8_t)(blocks_order + 1);

    qi_assert(near <= NEAR_WHOLE && blocks_order <= QUIRE_MAX_ORDER - BLOCK_ORDER);
    if (blocks_order > BLOCK_ORDER)
        return find_whole_sections(z, 1u << (blocks_order - BLOCK_ORDER));
    for (unsigned around = 0; around < 2; around++) {
        uint32_t first = from / SECTION_BLOCKS;
        uint32_t s = around ? 0 : first, end = around ? first : z->sections;

        for (; (s = (uint32_t)k->next_byte(hints_at(z->wholes, 0), end, s, least)) < end; s++) {
            uint32_t b = qi_section_find(z, s, blocks_order, s == first ? from : 0);

            if (b == NO_BLOCK)
                b = hint_section_no_whole(z, s, blocks_order);
            if (b != NO_BLOCK)
                return b;
        }
    }
    return NO_BLOCK;
}
