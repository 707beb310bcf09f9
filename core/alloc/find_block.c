/* SPDX-License-Identifier: MIT
 *
 * find_block.c - where to look for frames when the slot's home block has none, in the order of
 * preference:
 *
 *   1. a new home block: the fullest split block near the last one, of the same class, that is
 *      worth it and has a hole of the order, in the slot's own words before those of other tenants,
 *      or in its own alone (blocks/tenant.h); filling it up leaves the emptier ones to become whole
 *      again;
 *   2. a new home block: as 1, but of another class of the same mobility, and only one of which
 *      half is free: the class that it was for has shrunk, and to fill it up costs no whole block.
 *      It is of this class from then on;
 *   3. a new home block: a whole block near by (find_whole.c), which is split;
 *   4. a new home block: as 1, but of any class;
 *   5. stray runs: any split block that the hints show, then other slots' home blocks;
 *   6. the last pass: every block of the zone, ownership and hints ignored but for the hole byte,
 *      which is never too low for a run (H4). "Out of memory" rests on this pass alone, so nothing
 *      that a stale hint says can make it false.
 *
 * The danger is a search that hints lead astray, for ever or to a wrong refusal. So 1 to 5 read
 * hints (with the kernels of search.h, many bytes at a time; the bytes may be old by any amount)
 * and look at a bounded number of places; what they find is a candidate, which the exchange of
 * another file takes or does not. A hint that is found wrong is cleared by hint.c's protocol.
 *
 * Bounds: a look for a home block, of which 1 to 4 are ten at most, is at NEAR_LOOKS sections that
 * show a hole of the order, of whatever class, and at the candidates of the first NEAR_SECTIONS
 * (or of the slot's own words) that have any: NEAR_TRIES, each of which fitted when its hole byte
 * was written; NEAR_PASSED sections without own words are passed by. The others pass each section
 * or block once, and repeat only what a rival's success spoiled. All may run beside each other and
 * beside everything else. Lock-free, any context.
 */
#include "core/blocks/tenant.h"
#include "core/search/search.h"

enum {
    NEAR_SECTIONS = 8,
    NEAR_LOOKS = 64,
    NEAR_TRIES = 16,
    NEAR_PASSED = 64,        /* sections without own words, where these alone are looked at */
    FRAMES_MIN_FULLNESS = 4, /* fullness byte: 7 or 8 free frames. With fewer, it is full at once */
    SCARCE_EIGHTHS = 2,      /* where fewer eighths are free, what lies unused in dense blocks */
    SCARCE_MIN_FULLNESS = 2, /* counts more: 3 or 4 free frames */
    SPARSE_FULLNESS = MAP_BITS / 4, /* fullness byte: half of the block is free */
    HOME_MAX_DENSE = 16,            /* fullness byte: at most 32 frames of the block are free */
    /* How far a block's class must be the one looked for, as a mask. */
    SAME_CLASS = HOLE_CLASSES - 1,
    SAME_MOBILITY = CLASS_MOVABLE,
    ANY_CLASS = 0,
};

static const uint8_t *hints_at(const unsigned char *hints, uint32_t first)
{
    return hints + first;
}

/* Blocks whose hole byte shows a run of the order, and whose class is as much `home_class` as
 * `same` says: a byte for each. */
static struct search_fit fit_class(const struct quire_zone *z, uint32_t first, unsigned order,
                                   unsigned home_class, unsigned same)
{
    uint8_t base = (uint8_t)((home_class & same) << HOLE_CLASS_SHIFT);

    return (struct search_fit){hints_at(z->holes, first),
                               (uint8_t)(same << HOLE_CLASS_SHIFT | HOLE_MASK),
                               (uint8_t)(base + order + 1), (uint8_t)(base | HOLE_MASK)};
}

/* Does a block of section s show a free run of the order? */
static bool section_shows(const struct quire_zone *z, uint32_t s, unsigned order)
{
    struct search_fit fit = fit_class(z, s * SECTION_BLOCKS, order, 0, ANY_CLASS);

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

/* The home block that is looked for. */
struct home_wanted {
    unsigned home_class, same, order;
    uint8_t least;  /* fullness byte */
    uint8_t tenant; /* whose words come first; TENANT_NOBODY: all are alike */
    bool own_words; /* only in the tenant's own */
};

/* Would block b, as currently read (advisory), make this home block? Hints that promised it wrongly
 * are corrected on the way. */
static bool suits_as_home(const struct quire_zone *z, uint32_t b, const struct home_wanted *want)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory; the exchange decides */

    if (desc_state(d) != D_SPLIT)
        qi_hint_block_full(z, b);
    if (desc_state(d) != D_SPLIT || d & D_OWNER)
        return false;
    if (!((desc_class(d) ^ want->home_class) & want->same) && has_run(z, b, want->order))
        return true;
    qi_hint_hole_lower(z, b);
    return false;
}

/* Is little memory free? */
static bool is_scarce(const struct quire_zone *z)
{
    return is_fuller(z, SCARCE_EIGHTHS);
}

/* A home block of the class, with a run of the order; of more than a frame, one is worth it. */
static struct home_wanted home_wanted_of(const struct quire_zone *z, unsigned home_class,
                                         unsigned order)
{
    uint8_t least = (uint8_t)(order > 0      ? (1u << order) / 2
                              : is_scarce(z) ? SCARCE_MIN_FULLNESS
                                             : FRAMES_MIN_FULLNESS);

    return (struct home_wanted){home_class, SAME_CLASS, order, least, TENANT_NOBODY, false};
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
                                             uint32_t count, const struct home_wanted *want)
{
    struct home_candidate c = {first, count, count, (uint8_t)(want->least - 1),
                               fit_class(z, first, want->order, want->home_class, want->same)};

    candidate_next(z, &c);
    return c;
}

/* The first candidates of section s, at most `most`, but for whole sections one alone; how many
 * there are. *own: the slot works there, or it is all the same. */
static unsigned section_candidates(const struct quire_zone *z, uint32_t s,
                                   const struct home_wanted *want, struct home_candidate c[],
                                   unsigned most, bool *own)
{
    unsigned n = 0;

    *own = !want->own_words;
    if (!want->own_words) {
        c[0] = candidate_first(z, s * SECTION_BLOCKS, SECTION_BLOCKS, want);
        return c[0].i < SECTION_BLOCKS;
    }
    for (uint32_t g = s * MAP_WORDS; g < (s + 1) * MAP_WORDS && n < most; g++) {
        if (!word_is_own(z, g, want->tenant))
            continue;
        *own = true;
        c[n] = candidate_first(z, g * WORD_BITS, WORD_BITS, want);
        n += c[n].i < WORD_BITS;
    }
    return n;
}

/* Section s has no candidate: lower its hint if it is wrong. Where others work, too, theirs would
 * have to be read: only if the section is one of so many (`last`) that they hide the rest. */
static void correct_section_hint(const struct quire_zone *z, uint32_t s,
                                 const struct home_wanted *want, bool last)
{
    for (uint32_t g = s * MAP_WORDS; want->own_words && !last && g < (s + 1) * MAP_WORDS; g++)
        if (word_is_others(z, g, want->tenant))
            return;
    if (!section_shows(z, s, want->order))
        hint_section_lower(z, s, want->order);
}

/* The first candidates of sections near `s`; of the tenant's own words, if these alone are looked
 * at, and up to NEAR_PASSED sections without one are passed by. A section's hint has no class: one
 * that shows a run of the order and has no candidate costs a look, but takes no other's place. In a
 * large zone most of them are so, and else a whole block would be split. Returns how many there
 * are. */
static unsigned home_candidates(const struct quire_zone *z, uint32_t s,
                                const struct home_wanted *want, struct home_candidate *c)
{
    const struct search_kernel *k = qi_search_best();
    uint8_t least = (uint8_t)(want->order + 1);
    uint32_t start = s;
    unsigned n = 0, some;
    bool own;

    for (unsigned around = 0, looks = 0, passed = 0;
         n < NEAR_SECTIONS && looks < NEAR_LOOKS && passed < NEAR_PASSED; s++) {
        s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), around ? start : z->sections, s, least);
        if (s >= (around ? start : z->sections)) {
            if (around++)
                break;
            s = UINT32_MAX; /* go on at 0 */
            continue;
        }
        some = section_candidates(z, s, want, c + n, NEAR_SECTIONS - n, &own);
        looks += own;
        passed += !own;
        if (own && some == 0)
            correct_section_hint(z, s, want, n == 0 && looks == NEAR_LOOKS);
        n += some;
    }
    return n;
}

/* Make block b the slot's home block, if it is as wanted as it was when its hints were written. */
static bool take_home(const struct quire_zone *z, quire_slot slot, const struct home_wanted *want,
                      uint32_t b)
{
    return suits_as_home(z, b, want) && qi_home_take(z, slot, want->home_class, b);
}

/* A dense block of the word of 64 blocks that holds block `near`, worth it, that can be made the
 * slot's home block. */
static uint32_t find_home_same_word(const struct quire_zone *z, quire_slot slot,
                                    const struct home_wanted *want, uint32_t near)
{
    struct home_candidate c;

    if (want->own_words && !word_is_own(z, near / WORD_BITS, want->tenant))
        return NO_BLOCK;
    c = candidate_first(z, near / WORD_BITS * WORD_BITS, WORD_BITS, want);
    /* It could be endless: each turn passes one of 64 blocks by. The bound is for the time. */
    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        uint32_t b = c.first + (uint32_t)c.i;

        if (c.i == c.count || c.value > HOME_MAX_DENSE)
            break;
        if (take_home(z, slot, want, b))
            return b;
        candidate_next(z, &c);
    }
    return NO_BLOCK;
}

/* The fullest of some candidates; NULL: there is none. */
static struct home_candidate *candidate_best(struct home_candidate c[], unsigned n)
{
    struct home_candidate *best = NULL;

    for (unsigned i = 0; i < n; i++)
        if (c[i].i < c[i].count && (!best || c[i].value < best->value))
            best = &c[i];
    return best;
}

/* The fullest block near `s` that is wanted and can be made the slot's home block, if it has no
 * other tenant. *others: the fullest one that has, and may be taken, for the caller to try next. */
static uint32_t find_home_but_others(const struct quire_zone *z, quire_slot slot,
                                     const struct home_wanted *want, uint32_t s, uint32_t *others)
{
    struct home_candidate c[NEAR_SECTIONS];
    unsigned n = home_candidates(z, s, want, c);

    *others = NO_BLOCK;
    /* It could be endless: each turn passes a block of these sections by. As above. */
    for (unsigned tries = 0; tries < NEAR_TRIES; tries++) {
        struct home_candidate *best = candidate_best(c, n);
        uint32_t b;

        if (!best)
            break;
        b = best->first + (uint32_t)best->i;
        if (want->tenant == TENANT_NOBODY || !word_is_others(z, b / WORD_BITS, want->tenant)) {
            if (take_home(z, slot, want, b))
                return b;
        } else if (*others == NO_BLOCK) {
            *others = b;
        }
        candidate_next(z, best);
    }
    return NO_BLOCK;
}

/* The fullest block near `s` that is wanted and can be made the slot's home block: its own or
 * nobody's, else one of another tenant. */
static uint32_t find_home_near(const struct quire_zone *z, quire_slot slot, struct home_wanted want,
                               uint32_t s)
{
    uint32_t others, b = find_home_but_others(z, slot, &want, s, &others);

    if (b != NO_BLOCK || others == NO_BLOCK)
        return b;
    if (take_home(z, slot, &want, others))
        return others;
    want.tenant = TENANT_NOBODY; /* that one was stale, or a rival's: sparse ones will do, too */
    return find_home_but_others(z, slot, &want, s, &others);
}

/* Claim and split a whole block near by, as the slot's; `others`: only where no other works, and
 * *others says whether there was one where others do; `here`: none that is gone. */
static __attribute__((__noinline__)) uint32_t split_whole_of(const struct quire_zone *z,
                                                             quire_slot slot, unsigned home_class,
                                                             bool *others, bool here)
{
    uint32_t b;

    /* Repeats only when a rival claimed the block that was seen free: one that is gone, and cannot
     * be installed, is not tried again. */
    while ((b = qi_find_block_to_split(z, slot, home_class, here)) != NO_BLOCK) {
        if (others && !block_is_apart(z, b, tenant_of_slot(slot))) {
            *others = true;
            break;
        }
        if (!qi_blocks_claim(z, b, 0)) {
            stat_count(z, slot, QUIRE_COUNT_RETRY);
            if (qi_blocks_have_gone(z, b, 1))
                break;
            continue;
        }
        if (qi_block_split(z, slot, b, desc_home(slot, home_class))) {
            qi_section_note_class(z, b, home_class);
            tenant_note(z, slot, b / WORD_BITS);
            return b;
        }
    }
    return NO_BLOCK;
}

/* The same, of those that are here first. */
static uint32_t split_whole_near(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                                 bool *others)
{
    uint32_t b = has_gone(z) ? split_whole_of(z, slot, home_class, others, true) : NO_BLOCK;

    return b != NO_BLOCK ? b : split_whole_of(z, slot, home_class, others, false);
}

/* From the block in which the slot freed a run of the order last, if it is of the class, nobody's
 * home, and dense: then hardly any block is fuller, and a new home block would be used up at once.
 */
bool qi_take_recent(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                    unsigned order, uint64_t *frame)
{
    /* relaxed: a hint */
    uint32_t b = qa_load(&slot_of(z, slot)->recent[order], relaxed) - 1, d;
    struct home_wanted want = home_wanted_of(z, home_class, order);
    uint8_t full;

    if (b == NO_BLOCK)
        return false;
    qi_assert(has_map(z, b));
    d = qa_load(desc_of(z, b), relaxed);    /* relaxed: advisory; taking looks again */
    full = qa_load(full_of(z, b), relaxed); /* relaxed: a hint */
    if (desc_state(d) != D_SPLIT || d & D_OWNER || desc_class(d) != home_class || full == 0 ||
        full > (want.least < HOME_MAX_DENSE ? HOME_MAX_DENSE : want.least) ||
        !qi_block_take(z, b, order, frame))
        return false;
    if (qi_map_words_equal(frame_map(z, b), WORD_FULL))
        qi_hint_block_full(z, b);
    else
        qi_hint_block_refresh(z, b);
    return true;
}

/* A dense block near by that is wanted, or else a sparse one of another class of the mobility. */
static uint32_t find_home_of_mobility(const struct quire_zone *z, quire_slot slot,
                                      struct home_wanted want, uint32_t near)
{
    uint32_t b = find_home_same_word(z, slot, &want, near);

    if (b == NO_BLOCK)
        b = find_home_near(z, slot, want, near / SECTION_BLOCKS);
    if (b == NO_BLOCK && z->order_classes) {
        want.same = SAME_MOBILITY;
        want.least = SPARSE_FULLNESS;
        b = find_home_near(z, slot, want, near / SECTION_BLOCKS);
    }
    return b;
}

/* A block of any class that shows enough free frames. */
static uint32_t find_home_of_any_class(const struct quire_zone *z, quire_slot slot,
                                       struct home_wanted want, uint32_t near)
{
    uint32_t b;

    want.same = ANY_CLASS;
    b = find_home_near(z, slot, want, near / SECTION_BLOCKS);
    if (b != NO_BLOCK)
        qi_section_note_class(z, b, want.home_class);
    return b;
}

/* Where the slot's next search starts, if this one found block b; the slot does not follow others
 * to where they work while there is memory elsewhere. */
static void note_near(const struct quire_zone *z, quire_slot slot, unsigned home_class, uint32_t b)
{
    if (!block_is_others(z, slot, b) || is_scarce(z))
        qa_store(&slot_of(z, slot)->near[home_class], b, relaxed); /* relaxed: where to start */
}

/* A block that is the slot's now, with free frames unless they are taken before: to be tried, then
 * installed or left. NO_BLOCK: there is none worth it, and no whole block. */
uint32_t qi_find_home(const struct quire_zone *z, quire_slot slot, unsigned home_class,
                      unsigned order)
{
    /* relaxed: where to start */
    uint32_t near = qa_load(&slot_of(z, slot)->near[home_class], relaxed);
    struct home_wanted want = home_wanted_of(z, home_class, order);
    bool others = true; /* there may be a block to split where others work */
    uint32_t b;

    if (slots_keep_apart(z)) {
        want.tenant = tenant_of_slot(slot);
        want.own_words = memory_is_ample(z);
    }
    b = find_home_of_mobility(z, slot, want, near);
    if (b == NO_BLOCK && want.own_words) {
        want.own_words = others = false;
        b = split_whole_near(z, slot, home_class, &others);
        if (b == NO_BLOCK)
            b = find_home_of_mobility(z, slot, want, near);
    }
    if (b == NO_BLOCK && others)
        b = split_whole_near(z, slot, home_class, NULL);
    if (b == NO_BLOCK)
        b = find_home_of_any_class(z, slot, want, near);
    if (b != NO_BLOCK)
        note_near(z, slot, home_class, b);
    return b;
}

/* The fullest split block of the class that is nobody's home and has a run of the order; not one of
 * the ranges `but`. NO_BLOCK: none was seen. O(sections). */
uint32_t qi_find_dense(const struct quire_zone *z, unsigned home_class, unsigned order,
                       const struct block_ranges *but)
{
    const struct search_kernel *k = qi_search_best();
    struct home_wanted want = home_wanted_of(z, home_class, order);
    uint32_t s = 0, best = NO_BLOCK;
    unsigned least = UINT8_MAX + 1;

    while ((s = (uint32_t)k->next_byte(hints_at(z->sparse, 0), z->sections, s,
                                       (uint8_t)(order + 1))) < z->sections) {
        struct home_candidate c = {s * SECTION_BLOCKS, SECTION_BLOCKS, SECTION_BLOCKS, 0,
                                   fit_class(z, s * SECTION_BLOCKS, order, home_class, SAME_CLASS)};

        for (candidate_next(z, &c); c.i < c.count && c.value < least; candidate_next(z, &c)) {
            uint32_t b = c.first + (uint32_t)c.i;

            if (block_is_of(but, b) || !suits_as_home(z, b, &want))
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
                               fit_class(z, s * SECTION_BLOCKS, order, 0, ANY_CLASS)};
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

/* From block b, which may be free as a whole: then it is split. `here`: not if it is gone. */
static bool take_from_block(const struct quire_zone *z, quire_slot slot, uint32_t b, unsigned order,
                            bool here, uint64_t *frame)
{
    uint64_t v = blocks_in_use(z, b / WORD_BITS, here);

    if (!(v >> b % WORD_BITS & 1)) {
        if (qi_blocks_claim(z, b, 0) && qi_block_split(z, slot, b, D_SPLIT)) {
            /* E-hint fence: the split before the announcement. It could be left out: in the split
             * there is one, and since then nothing was stored that is looked at here. */
            qa_fence_seq_cst();
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

/* From any block at all, or (`here`) from any that is not gone: the last pass. For a run it looks
 * into the blocks whose hole byte shows one (H4); for a single frame into all. O(blocks), a byte
 * each but for those. */
bool qi_take_from_any(const struct quire_zone *z, quire_slot slot, unsigned order, bool here,
                      uint64_t *frame)
{
    stat_count(z, slot, QUIRE_COUNT_LAST_PASS);
    for (uint32_t s = 0; s < z->sections; s++) {
        uint32_t b = s * SECTION_BLOCKS, end = b + SECTION_BLOCKS;

        if (order > 0 && !qi_hint_section_has(z, s, order + 1) &&
            qi_section_find(z, s, 0, 0) == NO_BLOCK)
            continue;
        for (; b < end; b++)
            if (has_map(z, b) && take_from_block(z, slot, b, order, here, frame))
                return true;
    }
    return false;
}
