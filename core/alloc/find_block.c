/* SPDX-License-Identifier: MIT
 *
 * find_block.c - where to look for frames when the slot's home block has none, in the order of
 * preference:
 *
 *   1. a new home block: the fullest split block near the last one, of the same class, that is
 *      worth it; filling it up leaves the emptier ones to become whole again;
 *   2. a new home block: a whole block near by, which is split;
 *   3. stray frames: any split block that the hints show, then other slots' home blocks;
 *   4. the last pass: every block of the zone, hints and ownership ignored. "Out of memory" rests
 *      on this pass alone, so nothing that a stale hint says can make it false.
 *
 * The danger is a search that hints lead astray, for ever or to a wrong refusal. So 1 to 3 read
 * hints (with the kernels of search.h, many bytes at a time; the bytes may be old by any amount)
 * and look at a bounded number of places; what they find is a candidate, which the exchange of
 * another file takes or does not. A hint that is found wrong is cleared by hint.c's protocol.
 *
 * Bounds: 1 looks at NEAR_SECTIONS sections and NEAR_TRIES candidates; the others pass each section
 * or block once, and repeat only what a rival's success spoiled. All may run beside each other and
 * beside everything else. Lock-free, any context.
 */
#include "core/internal.h"
#include "core/search/search.h"

enum {
    NEAR_SECTIONS = 8,
    NEAR_TRIES = 16,
    HOME_MIN_FULLNESS = 4, /* fullness byte: 7 or 8 free frames. With fewer, it is full at once. */
    HOME_MAX_DENSE = 16,   /* fullness byte: at most 32 frames of the block are free */
    WORDS_A_SLOT = 4, /* words of blocks that a zone needs for each slot, that they keep apart */
};

static const uint8_t *hints_at(const unsigned char *hints, uint32_t first)
{
    return hints + first;
}

/* No block of section s shows free frames: say so, unless that changed just now (H2). */
static void hint_section_full(const struct quire_zone *z, uint32_t s)
{
    const struct search_kernel *k = qi_search_best();

    qa_store(sparse_of(z, s), 0, relaxed); /* relaxed: a hint */
    qa_fence_seq_cst();                    /* E-hint fence: the hint before the second look */
    if (k->next_byte(hints_at(z->fulls, s * SECTION_BLOCKS), SECTION_BLOCKS, 0, 1) < SECTION_BLOCKS)
        qa_store(sparse_of(z, s), 1, relaxed); /* relaxed: a hint */
}

/* Would block b, as currently read (advisory), make a home block for this class and order? A byte
 * that a late freer left on a block that is not split any more is cleared on the way. */
static bool suits_as_home(const struct quire_zone *z, uint32_t b, unsigned home_class,
                          unsigned order)
{
    uint32_t d = qa_load(desc_of(z, b), acquire); /* E-desc acquire */

    if (desc_state(d) != D_SPLIT)
        qi_hint_block_full(z, b);
    if (desc_state(d) != D_SPLIT || d & D_OWNER || desc_class(d) != home_class)
        return false;
    for (unsigned i = 0, zeros = 0; i < MAP_WORDS; i++) {
        uint64_t v = qa_load(&frame_map(z, b)->w[i], relaxed); /* relaxed: advisory */

        if (word_find_run(v, order < WORD_ORDER ? order : WORD_ORDER) == WORD_BITS)
            zeros = 0;
        else if (++zeros << WORD_ORDER >= 1u << order)
            return true;
    }
    return false;
}

/* The fullness byte from which a block is worth being a home block for runs of this order. */
static uint8_t home_min_fullness(unsigned order)
{
    unsigned need = (1u << order) / 2;

    return (uint8_t)(need < HOME_MIN_FULLNESS ? HOME_MIN_FULLNESS : need);
}

/* The candidate for a home block among `count` blocks: the fullest one not rejected yet. */
struct home_candidate {
    uint32_t first, count;
    size_t i; /* behind `first`; `count` when there is none */
    uint8_t value;
};

static void candidate_next(const struct quire_zone *z, struct home_candidate *c)
{
    c->i = qi_search_best()->least_byte(hints_at(z->fulls, c->first), c->count, c->value, c->i);
    if (c->i < c->count) {
        /* relaxed: a hint, perhaps newer than what was found: a rival that made it a home block
         * meanwhile wrote 0, and going on from 0 would be to try all that are full. */
        uint8_t value = qa_load(full_of(z, c->first + (uint32_t)c->i), relaxed);

        c->value = value > c->value ? value : c->value;
    }
}

/* The first candidates of sections near `s` that show free frames. Returns how many sections. */
static unsigned home_candidates(const struct quire_zone *z, uint32_t s, uint8_t worth,
                                struct home_candidate *c)
{
    const struct search_kernel *k = qi_search_best();
    uint32_t start = s;
    unsigned n = 0;

    for (unsigned around = 0; n < NEAR_SECTIONS; s++) {
        s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), around ? start : z->sections, s, 1);
        if (s >= (around ? start : z->sections)) {
            if (around++)
                break;
            s = UINT32_MAX; /* go on at 0 */
            continue;
        }
        if (k->next_byte(hints_at(z->fulls, s * SECTION_BLOCKS), SECTION_BLOCKS, 0, 1) >=
            SECTION_BLOCKS)
            hint_section_full(z, s);
        c[n] = (struct home_candidate){s * SECTION_BLOCKS, SECTION_BLOCKS, SECTION_BLOCKS,
                                       (uint8_t)(worth - 1)};
        candidate_next(z, &c[n++]);
    }
    return n;
}

/* A dense block of the word of 64 blocks that holds block `near`, worth it, that can be made the
 * slot's home block. */
static uint32_t find_home_same_word(const struct quire_zone *z, quire_slot slot,
                                    unsigned home_class, unsigned order, uint32_t near)
{
    struct home_candidate c = {near / WORD_BITS * WORD_BITS, WORD_BITS, WORD_BITS,
                               (uint8_t)(home_min_fullness(order) - 1)};

    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        uint32_t b;

        candidate_next(z, &c);
        if (c.i == c.count || c.value > HOME_MAX_DENSE)
            break;
        b = c.first + (uint32_t)c.i;
        if (suits_as_home(z, b, home_class, order) && qi_home_take(z, slot, home_class, b))
            return b;
    }
    return NO_BLOCK;
}

/* The fullest block near `s`, worth it, that can be made the slot's home block. */
static uint32_t find_home_near(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                               unsigned order, uint32_t s)
{
    struct home_candidate c[NEAR_SECTIONS];
    unsigned n = home_candidates(z, s, home_min_fullness(order), c);

    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        struct home_candidate *best = NULL;
        uint32_t b;

        for (unsigned i = 0; i < n; i++)
            if (c[i].i < c[i].count && (!best || c[i].value < best->value))
                best = &c[i];
        if (!best)
            break;
        b = best->first + (uint32_t)best->i;
        if (suits_as_home(z, b, home_class, order) && qi_home_take(z, slot, home_class, b))
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
        b = find_home_near(z, slot, home_class, order, near / SECTION_BLOCKS);
    return b != NO_BLOCK ? b : split_whole_near(z, slot, home_class);
}

/* From any split block of section s that shows free frames. */
static bool take_from_section(const struct quire_zone *z, uint32_t s, unsigned order,
                              uint64_t *frame)
{
    const struct search_kernel *k = qi_search_best();
    const uint8_t *fulls = hints_at(z->fulls, s * SECTION_BLOCKS);
    bool any = false;

    qi_assert(s < z->sections && order < BLOCK_ORDER);
    for (size_t i = 0; (i = k->next_byte(fulls, SECTION_BLOCKS, i, 1)) < SECTION_BLOCKS; i++) {
        uint32_t b = s * SECTION_BLOCKS + (uint32_t)i;

        if (qi_block_take(z, b, order, frame))
            return true;
        any = true;
        if (qi_map_count_free(frame_map(z, b)) == 0)
            qi_hint_block_full(z, b);
    }
    if (!any)
        hint_section_full(z, s);
    return false;
}

/* From any split block that hints or home words show. */
bool qi_take_from_hinted(const struct quire_zone *z, quire_slot slot, unsigned order,
                         uint64_t *frame)
{
    const struct search_kernel *k = qi_search_best();
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[0], relaxed) / SECTION_BLOCKS;

    for (unsigned around = 0; around < 2; around++) {
        uint32_t s = around ? 0 : near, end = around ? near : z->sections;

        for (; (s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), end, s, 1)) < end; s++)
            if (take_from_section(z, s, order, frame))
                return true;
    }
    for (uint32_t i = 0; i < z->slots; i++)
        for (unsigned c = 0; c < CLASSES; c++) {
            uint32_t b = qa_load(&z->slot_states[i].home[c], relaxed); /* relaxed: a hint */

            if (b && qi_block_take(z, b - 1, order, frame))
                return true;
        }
    return false;
}

/* From any block at all: the last pass. O(blocks). */
bool qi_take_from_any(const struct quire_zone *z, quire_slot slot, unsigned order, uint64_t *frame)
{
    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    for (uint64_t b64 = z->first_block; b64 < z->end_block; b64++) {
        uint32_t b = (uint32_t)b64;
        /* relaxed: advisory, both; claim and take decide */
        uint32_t d = qa_load(desc_of(z, b), relaxed);
        uint64_t v = qa_load(block_word(z, b / WORD_BITS), relaxed); /* relaxed: advisory */

        if (desc_state(d) == D_WHOLE) { /* seen taken, and its other blocks with it */
            b64 += (1u << (desc_order(d) - BLOCK_ORDER)) - 1;
            continue;
        }
        if (!(v >> b % WORD_BITS & 1) && qi_blocks_claim(z, b, 0) &&
            qi_block_split(z, slot, b, D_SPLIT)) {
            qa_fence_seq_cst(); /* E-hint fence: the split before the announcement */
            qi_hint_block_free(z, b);
        }
        if (qi_block_take(z, b, order, frame)) {
            qi_hint_block_free(z, b);
            return true;
        }
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
