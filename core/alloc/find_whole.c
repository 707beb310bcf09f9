/* SPDX-License-Identifier: MIT
 *
 * find_whole.c - where to look for free blocks, to be split or to be handed out whole.
 *
 * Runs that may not be moved are kept together: their blocks are split in few sections, so that
 * the others can become free as a whole. And slots keep apart: a slot goes on in its own word of 64
 * blocks, then in one that is all free, and has the lines of hints and descriptors there to itself
 * (blocks/tenant.h).
 *
 * Nothing is written but hints: which sections have unmovable blocks, and those that were found
 * wrong (H3). What is found is a candidate, which the caller's claim takes or does not: a refusal
 * rests on the callers' last pass, not on this. All may run beside each other and beside everything
 * else. Lock-free, any context, O(sections).
 */
#include "core/blocks/tenant.h"
#include "core/search/search.h"

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

/* Sections where unmovable runs may be, a bit for one, or for as many as make the zone fit: blocks
 * for unmovable runs are split there first, and all others there last, so that few sections have
 * any, and the others can become free as a whole. A hint: set by who splits such a block, cleared
 * by who finds a section all free. */
enum section_kind { SECTIONS_ANY, SECTIONS_MOVABLE, SECTIONS_UNMOVABLE };

static qa64 *unmovable_word(const struct quire_zone *z, uint32_t s, uint64_t *bit)
{
    uint32_t bits = UNMOVABLE_WORDS * WORD_BITS;
    uint32_t place = z->sections < bits ? s : s / (z->sections / bits + 1);

    qi_assert(place < UNMOVABLE_WORDS * WORD_BITS);
    *bit = 1ull << place % WORD_BITS;
    return &z->head->unmovable[place / WORD_BITS];
}

static bool section_is(const struct quire_zone *z, uint32_t s, enum section_kind kind)
{
    uint64_t bit;
    qa64 *word = unmovable_word(z, s, &bit);

    return kind == SECTIONS_ANY ||
           !(qa_load(word, relaxed) & bit) == (kind == SECTIONS_MOVABLE); /* relaxed: a hint */
}

/* Section s is not one for unmovable blocks any more, if it is all free. */
static void forget_unmovable(const struct quire_zone *z, uint32_t s)
{
    uint64_t bit;
    qa64 *word = unmovable_word(z, s, &bit);

    /* relaxed: a hint */
    if (qa_load(word, relaxed) & bit && qi_section_find(z, s, BLOCK_ORDER, 0) != NO_BLOCK)
        (void)qa_and(word, ~bit, relaxed); /* relaxed: a hint */
}

/* A free aligned run of 2^blocks_order blocks of the sections `first` .. `end` - 1 of a kind; of
 * the section of block `from` one behind it, if there is one; `here`: none of its blocks is gone.
 * NO_BLOCK: none was seen. */
static uint32_t find_whole_between(const struct quire_zone *z, uint32_t first, uint32_t end,
                                   enum section_kind kind, uint32_t from, unsigned blocks_order,
                                   bool here)
{
    const struct search_kernel *k = qi_search_best();
    uint8_t least = (uint8_t)(blocks_order + 1);

    for (uint32_t s = first; (s = (uint32_t)k->next_byte(z->wholes, end, s, least)) < end; s++) {
        uint32_t start = s == from / SECTION_BLOCKS ? from : 0, b;

        if (!section_is(z, s, kind))
            continue;
        if (kind == SECTIONS_ANY)
            forget_unmovable(z, s);
        b = here ? qi_section_find_here(z, s, blocks_order, start)
                 : qi_section_find(z, s, blocks_order, start);
        if (b == NO_BLOCK && !here)
            b = hint_section_no_whole(z, s, blocks_order);
        if (b != NO_BLOCK)
            return b;
    }
    return NO_BLOCK;
}

/* Block b is one for this class now. */
void qi_section_note_class(const struct quire_zone *z, uint32_t b, unsigned home_class)
{
    uint64_t bit;
    qa64 *word = unmovable_word(z, b / SECTION_BLOCKS, &bit);

    /* relaxed: a hint */
    if (!(home_class & CLASS_MOVABLE) && !(qa_load(word, relaxed) & bit))
        (void)qa_or(word, bit, relaxed); /* relaxed: a hint */
}

/* Two or four neighbouring sections, all free: orders 19 and 20. */
static uint32_t find_whole_sections(const struct quire_zone *z, uint32_t count, bool here)
{
    for (uint32_t s = 0; s + count <= z->sections; s++) {
        uint32_t n = 0;

        if (pfn_of_frame(z, frame_at(s * SECTION_BLOCKS, 0)).n >> SECTION_ORDER & (count - 1))
            continue;
        while (n < count && (n == 0 || section_follows(z, s + n)) &&
               (here ? qi_section_find_here(z, s + n, BLOCK_ORDER, 0)
                     : qi_section_find(z, s + n, BLOCK_ORDER, 0)) != NO_BLOCK)
            n++;
        if (n == count)
            return s * SECTION_BLOCKS;
    }
    return NO_BLOCK;
}

/* As qi_find_whole; `here`: none of the blocks is gone. */
static inline __attribute__((always_inline)) uint32_t find_whole_of(const struct quire_zone *z,
                                                                    quire_slot slot, unsigned near,
                                                                    unsigned blocks_order,
                                                                    bool here)
{
    uint32_t from = qa_load(&slot_of(z, slot)->near[near], relaxed); /* relaxed: where to start */
    uint32_t first = from / SECTION_BLOCKS, b = NO_BLOCK;

    qi_assert(near <= NEAR_WHOLE && blocks_order <= QUIRE_MAX_ORDER - BLOCK_ORDER);
    if (blocks_order > BLOCK_ORDER)
        return find_whole_sections(z, 1u << (blocks_order - BLOCK_ORDER), here);
    /* Mostly it is where the last one was. relaxed: a hint */
    if (!here && qa_load(wholes_of(z, first), relaxed) > blocks_order &&
        section_is(z, first, SECTIONS_MOVABLE))
        b = qi_section_find(z, first, blocks_order, from);
    for (unsigned i = 0; i < 4 && b == NO_BLOCK; i++)
        b = find_whole_between(z, i % 2 ? 0 : first, i % 2 ? first : z->sections,
                               i < 2 ? SECTIONS_MOVABLE : SECTIONS_ANY, from, blocks_order, here);
    return b;
}

static uint32_t find_whole(const struct quire_zone *z, quire_slot slot, unsigned near,
                           unsigned blocks_order, bool here)
{
    return find_whole_of(z, slot, near, blocks_order, here);
}

/* ---- A block to split ------------------------------------------------------------------------ */

/* A whole block of a word in which the slot works, in a section where unmovable runs may be. */
static uint32_t find_block_own(const struct quire_zone *z, quire_slot slot, bool here)
{
    const struct search_kernel *k = qi_search_best();

    for (uint32_t s = 0; (s = (uint32_t)k->next_byte(z->wholes, z->sections, s, 1)) < z->sections;
         s++) {
        bool full = true;

        if (!section_is(z, s, SECTIONS_UNMOVABLE))
            continue;
        for (uint32_t g = s * MAP_WORDS; g < (s + 1) * MAP_WORDS; g++) {
            uint64_t v = blocks_in_use(z, g, here);

            if (v != WORD_FULL && word_is_own(z, g, tenant_of_slot(slot)))
                return g * WORD_BITS + word_first(~v);
            full = full && v == WORD_FULL;
        }
        if (full && !here)
            (void)hint_section_no_whole(z, s, 0);
    }
    return NO_BLOCK;
}

/* May slots that split blocks for unmovable runs open sections, to keep apart? One is enough for
 * eight words. */
static bool slots_have_sections(const struct quire_zone *z)
{
    return z->slots <= z->sections && slots_keep_apart(z) && memory_is_ample(z);
}

/* A whole block for unmovable runs: where there are some, of a word that is all free if there is
 * one; then of a section that is all free. Where slots have sections it is the slot's own word and
 * a section that is all free, rather than a word where others work. */
static uint32_t find_block_unmovable(const struct quire_zone *z, quire_slot slot, bool here)
{
    uint32_t b = find_whole_between(z, 0, z->sections, SECTIONS_UNMOVABLE, 0, WORD_ORDER, here);
    bool open = slots_have_sections(z);

    if (b == NO_BLOCK && open)
        b = find_block_own(z, slot, here);
    if (b == NO_BLOCK && open)
        b = find_whole_between(z, 0, z->sections, SECTIONS_MOVABLE, 0, BLOCK_ORDER, here);
    if (b == NO_BLOCK)
        b = find_whole_between(z, 0, z->sections, SECTIONS_UNMOVABLE, 0, 0, here);
    if (b == NO_BLOCK && !open)
        b = find_whole_between(z, 0, z->sections, SECTIONS_MOVABLE, 0, BLOCK_ORDER, here);
    return b;
}

/* Which all free word a slot would rather split blocks of. */
enum word_rank {
    WORD_OF_OTHERS,
    WORD_BESIDE_OTHERS, /* nobody's; processors fetch lines by pairs */
    WORD_OF_NOBODY,
    WORD_OF_ITS_OWN,
};

static enum word_rank word_rank_of(const struct quire_zone *z, uint32_t g, uint8_t own)
{
    if (word_is_others(z, g, own))
        return WORD_OF_OTHERS;
    if (word_is_own(z, g, own))
        return WORD_OF_ITS_OWN;
    return word_is_others(z, g ^ 1, own) ? WORD_BESIDE_OTHERS : WORD_OF_NOBODY;
}

/* The all free word of block b's section that ranks highest; b's, which is one, if several do. Of
 * that section alone, so that few sections are begun. */
static uint32_t find_word_apart(const struct quire_zone *z, quire_slot slot, uint32_t b, bool here)
{
    uint32_t first = b / SECTION_BLOCKS * MAP_WORDS;
    uint8_t own = tenant_of_slot(slot);
    enum word_rank best = word_rank_of(z, b / WORD_BITS, own);

    for (uint32_t g = first; g < first + MAP_WORDS; g++) {
        enum word_rank rank = word_rank_of(z, g, own);

        if (rank > best && !blocks_in_use(z, g, here)) {
            best = rank;
            b = g * WORD_BITS;
        }
    }
    return b;
}

/* A whole block to split: of the word of 64 blocks in which the slot's last home block is; then of
 * a word that is all free, rather of its own than of others; then any. So slots keep apart while
 * there is room: the blocks of a word have lines of descriptors and of fullness bytes to
 * themselves, and a slot that fills block after block does not drag the lines of another one's
 * along. `here`: none that is gone. */
uint32_t qi_find_block_to_split(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                                bool here)
{
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[home_class], relaxed);
    uint64_t v = blocks_in_use(z, near / WORD_BITS, here);
    bool movable = home_class & CLASS_MOVABLE;
    uint32_t b = NO_BLOCK;

    if (block_is_others(z, slot, near))
        v = WORD_FULL; /* another slot came to stay there */
    if (v != WORD_FULL &&
        section_is(z, near / SECTION_BLOCKS, movable ? SECTIONS_MOVABLE : SECTIONS_UNMOVABLE))
        return near / WORD_BITS * WORD_BITS + word_first(~v);
    if (!movable)
        b = find_block_unmovable(z, slot, here);
    if (!movable && b == NO_BLOCK && v != WORD_FULL)
        return near / WORD_BITS * WORD_BITS + word_first(~v);
    if (b == NO_BLOCK && slots_have_words(z))
        b = find_whole(z, slot, home_class, WORD_ORDER, here);
    if (b != NO_BLOCK && slots_keep_apart(z) && !blocks_in_use(z, b / WORD_BITS, here))
        b = find_word_apart(z, slot, b, here);
    return b != NO_BLOCK ? b : find_whole(z, slot, home_class, 0, here);
}

/* ---- Blocks to hand out whole --------------------------------------------------------------- */

/* What qi_find_whole comes to first for whole blocks, a run of up to 64: the word of the last one.
 * NO_BLOCK: that does not tell. */
uint32_t qi_find_near_last(const struct quire_zone *z, quire_slot slot, unsigned blocks_order)
{
    /* relaxed: where to start */
    uint32_t from = qa_load(&slot_of(z, slot)->near[NEAR_WHOLE], relaxed);
    uint32_t first = from / SECTION_BLOCKS;
    unsigned bit;

    qi_assert(blocks_order <= WORD_ORDER);
    /* relaxed: a hint */
    if (has_gone(z) || qa_load(wholes_of(z, first), relaxed) <= blocks_order ||
        !section_is(z, first, SECTIONS_MOVABLE))
        return NO_BLOCK;
    bit = word_find_run(blocks_in_use(z, from / WORD_BITS, false), blocks_order);
    return bit < WORD_BITS ? from / WORD_BITS * WORD_BITS + bit : NO_BLOCK;
}

/* The same where some blocks are gone: of those that are here first. */
static __attribute__((__noinline__)) uint32_t find_whole_here_first(const struct quire_zone *z,
                                                                    quire_slot slot, unsigned near,
                                                                    unsigned blocks_order)
{
    uint32_t b = find_whole(z, slot, near, blocks_order, true);

    return b != NO_BLOCK ? b : find_whole(z, slot, near, blocks_order, false);
}

/* A free aligned run of 2^blocks_order blocks, to be claimed; one that is here if there is one.
 * NO_BLOCK: none was seen. The search starts near the last one of the kind `near` (a class, or
 * NEAR_WHOLE), and comes to sections with unmovable blocks last. */
uint32_t qi_find_whole(const struct quire_zone *z, quire_slot slot, unsigned near,
                       unsigned blocks_order)
{
    return __builtin_expect(has_gone(z), 0) ? find_whole_here_first(z, slot, near, blocks_order)
                                            : find_whole_of(z, slot, near, blocks_order, false);
}
