/* SPDX-License-Identifier: MIT
 *
 * check.c - walk everything and say the first thing that is wrong.
 *
 * For a zone that nobody uses at the moment: then the invariants of layout.h hold without their
 * "unfinished operations", the hints' promises too, and the count is exact. Reads only; wait-free,
 * O(blocks), any context.
 */
#include "core/fastpath.h"
#include "core/fault.h"
#include "core/frame_byte.h"

struct zone_walk {
    const struct quire_zone *z;
    struct quire_fault *fault; /* or NULL */
    uint64_t free;             /* frames seen free */
    uint64_t managed;          /* frames seen that can be handed out */
    uint64_t reserved;         /* frames seen that can be unreserved */
    uint64_t gone;             /* blocks seen gone */
    uint32_t tails;            /* TAIL blocks still to come */
    bool run_open;             /* the last frame seen was allocated: a run may go on */
};

static bool set_violation(struct zone_walk *w, const char *what, uint64_t frame, uint64_t expected,
                          uint64_t found)
{
    fault_set(w->fault, QUIRE_ERR_DAMAGED, what, pfn_of_frame(w->z, frame).n, found, expected);
    return false;
}

/* Frame map, run map and pins of one word of a SPLIT or ISOLATED block. */
static bool check_word(struct zone_walk *w, uint32_t b, unsigned i, const struct quire_pin *pin)
{
    const struct quire_zone *z = w->z;
    uint64_t v = qa_load(&frame_map(z, b)->w[i], relaxed); /* relaxed: nobody else is here */
    /* relaxed: as above, all three */
    uint64_t c = has_run_map(z) ? qa_load(&run_map(z, b)->w[i], relaxed) : 0;
    uint64_t pinned = pin ? qa_load(&pin->pinned.w[i], relaxed) : 0;
    uint64_t hole = pin ? qa_load(&pin->hole.w[i], relaxed) : 0;
    uint64_t before = v << 1 | w->run_open;

    w->free += WORD_BITS - word_count(v);
    w->managed += WORD_BITS - word_count(pinned);
    w->reserved += word_count(pinned & ~hole);
    w->run_open = v >> (WORD_BITS - 1);
    if (c & ~v)
        return set_violation(w, "a free frame continues a run", frame_at(b, i * WORD_BITS), 0,
                             c & ~v);
    if (c & ~before)
        return set_violation(w, "a run goes on behind a free frame", frame_at(b, i * WORD_BITS), 0,
                             c & ~before);
    if (pinned & (~v | c))
        return set_violation(w, "a reserved frame is free or in a run", frame_at(b, i * WORD_BITS),
                             0, pinned & (~v | c));
    if (hole & ~pinned)
        return set_violation(w, "a hole is not pinned", frame_at(b, i * WORD_BITS), 0,
                             hole & ~pinned);
    return true;
}

/* A home's owner is a slot whose home word says the same. (The reverse need not be, see I5.) */
static bool check_owner(struct zone_walk *w, uint32_t b, uint32_t d)
{
    const struct quire_zone *z = w->z;
    uint32_t owner = (d & D_OWNER) >> D_OWNER_SHIFT;
    uint32_t home;

    if (owner > z->slots)
        return set_violation(w, "a home's owner is no slot", frame_at(b, 0), z->slots, owner);
    home = qa_load(&z->slot_states[owner - 1].home[desc_class(d)], relaxed); /* relaxed: as above */
    return home == b + 1 || set_violation(w, "a home that its slot does not know", frame_at(b, 0),
                                          (uint64_t)b + 1, home);
}

/* An ISOLATED block: the words that it says to be held have no free frame. */
static bool check_isolated(struct zone_walk *w, uint32_t b, uint32_t d)
{
    const struct quire_zone *z = w->z;

    for (unsigned i = 0; i < MAP_WORDS; i++)
        /* relaxed: as above */
        if (desc_swept(d, i) && qa_load(&frame_map(z, b)->w[i], relaxed) != WORD_FULL)
            return set_violation(w, "a frame that an isolation holds is free",
                                 frame_at(b, i * WORD_BITS), 0, i);
    return true;
}

/* W1 of watch.c: no order is known to be had nowhere of which block b has a free run. `hole` is one
 * more than the longest one's order. */
static bool check_known(struct zone_walk *w, uint32_t b, unsigned hole)
{
    for (unsigned order = 1; order < hole; order++)
        if (qi_watch_is_known(w->z, order))
            return set_violation(w, "an order is refused of which a run is free", frame_at(b, 0), 0,
                                 order);
    return true;
}

/* H4 of a split block, which a call that stopped may have left as any run; and H2 if the block
 * shows its frames. */
static bool check_hole(struct zone_walk *w, uint32_t b, bool shows)
{
    const struct quire_zone *z = w->z;
    unsigned hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK; /* relaxed: nobody else is here */
    unsigned free, longest = qi_map_hole(frame_map(z, b), &free);
    unsigned shown = qa_load(sparse_of(z, b / SECTION_BLOCKS), relaxed); /* relaxed: as above */

    if (hole > HOLE_MOST && hole != HOLE_LOOKED && hole != HOLE_DOUBTED)
        return set_violation(w, "a block's hint of free runs", frame_at(b, 0), HOLE_MOST, hole);
    if (hole < longest)
        return set_violation(w, "no hint shows a block's free run", frame_at(b, 0), longest, hole);
    if (shows && shown < (hole > HOLE_MOST ? longest : hole))
        return set_violation(w, "no hint shows a section's free run", frame_at(b, 0), hole, shown);
    return true;
}

/* A SPLIT or ISOLATED block. */
static bool check_split(struct zone_walk *w, uint32_t b, uint32_t d)
{
    const struct quire_zone *z = w->z;
    const struct quire_pin *pin = d & D_PINS ? qi_pin_find(z, b) : NULL;
    uint8_t full = qa_load(full_of(z, b), relaxed); /* relaxed: nobody else is here */
    unsigned free, longest = qi_map_hole(frame_map(z, b), &free);

    if (d & D_PINS && !pin)
        return set_violation(w, "a block with pins has no entry", frame_at(b, 0), 1, 0);
    for (unsigned i = 0; i < MAP_WORDS; i++)
        if (!check_word(w, b, i, pin))
            return false;
    if ((desc_state(d) == D_ISOLATED) != qi_block_in_isolated_range(z, b))
        return set_violation(w, "a block and the list of isolated ranges disagree", frame_at(b, 0),
                             qi_block_in_isolated_range(z, b), d);
    if (desc_state(d) == D_ISOLATED)
        return check_isolated(w, b, d);
    /* A home block that is wholly free can be revoked for a whole one. */
    if (!check_known(w, b, free == BLOCK_FRAMES ? BLOCK_ORDER + 1 : longest))
        return false;
    if (d & D_OWNER)
        return check_hole(w, b, false) && check_owner(w, b, d);
    if (free == BLOCK_FRAMES)
        return set_violation(w, "a wholly free block was not made whole", frame_at(b, 0), D_FREE,
                             d);
    if (free > 0 && full == 0)
        return set_violation(w, "no hint shows a block's free frames", frame_at(b, 0), 1, 0);
    return check_hole(w, b, full > 0);
}

/* A block that is not SPLIT: its map is untouched or all ones, its run map is clear. */
static bool check_closed(struct zone_walk *w, uint32_t b)
{
    const struct quire_zone *z = w->z;
    const struct map512 *map = frame_map(z, b);

    w->run_open = false;
    if (!qi_map_words_equal(map, 0) && !qi_map_words_equal(map, WORD_FULL))
        return set_violation(w, "the map of a block that is not split", frame_at(b, 0), 0,
                             qi_map_count_free(map));
    if (has_run_map(z) && !qi_map_words_equal(run_map(z, b), 0))
        return set_violation(w, "the run map of a block that is not split", frame_at(b, 0), 0, 1);
    return true;
}

/* The bits that a descriptor of d's state may have set. */
static uint32_t legal_bits(uint32_t d)
{
    switch (desc_state(d)) {
    case D_SPLIT:
        return D_STATE | D_PINS | D_CLASS | D_OWNER;
    case D_ISOLATED:
        return D_STATE | D_PINS | D_CLASS | ((1u << MAP_WORDS) - 1) << D_SWEPT_SHIFT;
    case D_WHOLE:
        return D_STATE | D_ORDER;
    case D_RESERVED:
        return D_STATE | D_HOLE;
    case D_FREE:
        return D_STATE | D_CHANGED | (uint32_t)UINT16_MAX << D_AGE_SHIFT;
    default:
        return D_STATE;
    }
}

/* The first block of a run of order >= 9: the order, and that the run has that place to itself. */
static bool check_whole(struct zone_walk *w, uint32_t b, uint32_t d)
{
    unsigned order = desc_order(d);

    if (order < BLOCK_ORDER || order > QUIRE_MAX_ORDER)
        return set_violation(w, "the order of a run of blocks", frame_at(b, 0), BLOCK_ORDER, order);
    if (pfn_of_frame(w->z, frame_at(b, 0)).n & ((1ull << order) - 1))
        return set_violation(w, "a run of blocks is not aligned", frame_at(b, 0), order, d);
    w->tails = (1u << (order - BLOCK_ORDER)) - 1;
    w->managed += BLOCK_FRAMES;
    return check_closed(w, b);
}

static bool is_gone(const struct quire_zone *z, uint32_t b)
{
    /* relaxed: nobody else is here */
    return qa_load(gone_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
}

/* Section bit and descriptor, and what hangs on the state. */
static bool check_block(struct zone_walk *w, uint32_t b)
{
    const struct quire_zone *z = w->z;
    /* relaxed: nobody else is here, both */
    uint32_t d = qa_load(desc_of(z, b), relaxed), tails = w->tails;
    bool taken = qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
    bool gone = is_gone(z, b);

    w->tails = tails ? tails - 1 : 0;
    w->gone += gone;
    if (gone && desc_state(d) != D_FREE)
        return set_violation(w, "a block that is gone is not free", frame_at(b, 0), 0, d);
    if (d & ~legal_bits(d))
        return set_violation(w, "a descriptor with bits that its state has not", frame_at(b, 0),
                             d & legal_bits(d), d);
    if (taken == (desc_state(d) == D_FREE))
        return set_violation(w, "descriptor and section disagree", frame_at(b, 0), taken, d);
    if ((desc_state(d) == D_TAIL) != (tails > 0))
        return set_violation(w, "a run of blocks has the wrong length", frame_at(b, 0), tails, d);
    switch (desc_state(d)) {
    case D_SPLIT:
    case D_ISOLATED:
        return check_split(w, b, d);
    case D_FREE:
        w->free += BLOCK_FRAMES;
        w->managed += BLOCK_FRAMES;
        return check_closed(w, b);
    case D_WHOLE:
        return check_whole(w, b, d);
    case D_TAIL:
        w->managed += BLOCK_FRAMES;
        return check_closed(w, b);
    case D_RESERVED:
        w->reserved += d & D_HOLE ? 0 : BLOCK_FRAMES;
        return check_closed(w, b);
    case D_WITHDRAWN:
        w->run_open = false;
        return true;
    default:
        return set_violation(w, "a block is left half changed", frame_at(b, 0), 0, d);
    }
}

/* Section s: H3, and that its blocks without a map are not to be had. */
static bool check_section(struct zone_walk *w, uint32_t s)
{
    const struct quire_zone *z = w->z;
    uint8_t hint = qa_load(wholes_of(z, s), relaxed); /* relaxed: nobody else is here */
    uint32_t b = hint > BLOCK_ORDER ? NO_BLOCK : qi_section_find(z, s, hint, 0);

    if (hint > WHOLES_TOP)
        return set_violation(w, "a section's hint of free blocks", frame_at(s * SECTION_BLOCKS, 0),
                             WHOLES_TOP, hint);
    if (b != NO_BLOCK)
        return set_violation(w, "no hint shows a section's free blocks", frame_at(b, 0), hint + 1u,
                             hint);
    for (unsigned i = 0; i <= BLOCK_ORDER; i++) {
        b = qi_section_find(z, s, i, 0);
        if (b != NO_BLOCK && !check_known(w, b, BLOCK_ORDER + i + 1))
            return false;
    }
    for (uint32_t i = 0; i < SECTION_BLOCKS; i++) {
        b = s * SECTION_BLOCKS + i;
        /* relaxed: nobody else is here */
        if (!has_map(z, b) &&
            !(qa_load(block_word(z, b / WORD_BITS), relaxed) >> i % WORD_BITS & 1))
            return set_violation(w, "a block without a map is free", frame_at(b, 0), 1, 0);
        if (!has_map(z, b) && is_gone(z, b))
            return set_violation(w, "a block without a map is gone", frame_at(b, 0), 0, 1);
    }
    return true;
}

/* All sections and blocks. Runs end where physical memory is interrupted. */
static bool check_maps(struct zone_walk *w)
{
    const struct quire_zone *z = w->z;

    for (uint32_t s = 0; s < z->sections; s++) {
        uint64_t b = (uint64_t)s * SECTION_BLOCKS, end = b + SECTION_BLOCKS;

        if (!section_follows(z, s)) {
            if (w->tails)
                break;
            w->run_open = false;
        }
        if (!check_section(w, s))
            return false;
        for (b = b < z->first_block ? z->first_block : b; b < end && b < z->end_block; b++)
            if (!check_block(w, (uint32_t)b))
                return false;
    }
    return w->tails == 0 || set_violation(w, "a run of blocks goes on behind the end of its memory",
                                          frame_at((uint32_t)z->first_block, 0), 0, w->tails);
}

/* B1: where a frame byte says that something was handed out, the maps show just that. The block is
 * whole, by its first frame; or divided; or nothing of it was handed out. Of reserved blocks, and
 * of free ones that were never split, the bytes are not read: in a zone of terabytes most of that
 * memory was never touched. */
static bool check_bytes_of_block(struct zone_walk *w, uint32_t b)
{
    const struct quire_zone *z = w->z;
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: nobody else is here */

    if (desc_state(d) == D_RESERVED ||
        (desc_state(d) == D_FREE && qi_map_words_equal(frame_map(z, b), 0)))
        return true;
    for (unsigned i = 0; i < BLOCK_FRAMES; i++) {
        uint8_t byte = byte_read(byte_of_frame(z, frame_at(b, i)));
        uint64_t n = 0;

        /* relaxed: nobody else is here */
        if (byte == BYTE_ZERO && desc_divided(d) &&
            qa_load(&run_map(z, b)->w[i / WORD_BITS], relaxed) >> i % WORD_BITS & 1)
            return set_violation(w, "a frame inside a run is said to read as zeros", frame_at(b, i),
                                 BYTE_NONE, byte);
        if (byte_is_none(byte))
            continue;
        if (desc_state(d) == D_WHOLE && i == 0)
            n = 1ull << desc_order(d);
        else if (!desc_divided(d) || qi_run_measure(z, frame_at(b, i), &n))
            return set_violation(w, "a frame byte tells of what was not handed out", frame_at(b, i),
                                 BYTE_NONE, byte);
        if (byte != byte_of_run(frame_at(b, i), n))
            return set_violation(w, "a frame byte tells of another length", frame_at(b, i),
                                 byte_of_run(frame_at(b, i), n), byte);
    }
    return true;
}

static bool check_frame_bytes(struct zone_walk *w)
{
    const struct quire_zone *z = w->z;

    for (uint64_t b = z->first_block; b < z->end_block && z->has_frame_bytes; b++)
        if (!check_bytes_of_block(w, (uint32_t)b))
            return false;
    return true;
}

/* Every pin belongs to a block that says so; no block has two entries. */
static bool check_pins(struct zone_walk *w)
{
    const struct quire_zone *z = w->z;
    uint32_t used = 0;

    for (uint32_t i = 0; i <= z->pin_mask; i++) {
        struct quire_pin *pin = &z->pins[i];
        uint32_t key = qa_load(&pin->key, relaxed); /* relaxed: nobody else is here */

        used += key != 0;
        if (key && (!has_map(z, key - 1) || qi_pin_find(z, key - 1) != pin))
            return set_violation(w, "an entry of the pin table that no look-up finds", 0, 0, key);
        /* relaxed: nobody else is here */
        if ((!key || !(qa_load(desc_of(z, key - 1), relaxed) & D_PINS)) &&
            (!qi_map_words_equal(&pin->pinned, 0) || !qi_map_words_equal(&pin->hole, 0)))
            return set_violation(w, "pins of a block that does not tell of them",
                                 key ? frame_at(key - 1, 0) : 0, 0, 1);
    }
    /* relaxed: nobody else is here */
    return used == qa_load(&z->head->pins_used, relaxed) ||
           set_violation(w, "entries of the pin table counted and found", 0,
                         qa_load(&z->head->pins_used, relaxed), used);
}

/* Home words, last frees and starting points may be old (I5), but not out of range. */
static bool check_slots(struct zone_walk *w)
{
    const struct quire_zone *z = w->z;

    for (uint32_t s = 0; s < z->slots; s++) {
        /* relaxed: as above */
        int32_t credit = (int32_t)qa_load(&z->slot_states[s].credit, relaxed);

        if (credit < 0)
            return set_violation(w, "a slot's credit is negative", 0, 0, s);
        for (unsigned c = 0; c < CLASSES; c++) {
            uint32_t home = qa_load(&z->slot_states[s].home[c], relaxed); /* relaxed: as above */

            if (home && !has_map(z, home - 1))
                return set_violation(w, "a slot's home is out of range", 0, 0, s);
        }
        for (unsigned k = 0; k < BLOCK_ORDER; k++) {
            uint32_t recent =
                qa_load(&z->slot_states[s].recent[k], relaxed); /* relaxed: as above */

            if (recent && !has_map(z, recent - 1))
                return set_violation(w, "a slot's last free is out of range", 0, 0, s);
        }
        for (unsigned c = 0; c <= CLASSES; c++) {
            uint32_t near = qa_load(&z->slot_states[s].near[c], relaxed); /* relaxed: as above */

            if (near / SECTION_BLOCKS >= z->sections)
                return set_violation(w, "a slot starts to look out of range", 0, 0, s);
        }
    }
    return true;
}

/* The list of isolated ranges has as many entries as it is said to have. */
static bool check_isolations(struct zone_walk *w)
{
    const struct quire_zone_head *h = w->z->head;
    uint32_t used = 0;

    for (uint32_t i = 0; i < QUIRE_ISOLATIONS; i++)
        used += qa_load(&h->isolations[i], relaxed) != 0; /* relaxed: nobody else is here */
    /* relaxed: as above */
    return used == qa_load(&h->isolating, relaxed) ||
           set_violation(w, "isolated ranges counted and found", 0, qa_load(&h->isolating, relaxed),
                         used);
}

static bool check_equal(struct zone_walk *w, const char *what, uint64_t counted, uint64_t found)
{
    return counted == found ||
           set_violation(w, what, frame_at((uint32_t)w->z->first_block, 0), counted, found);
}

static bool check_figures(struct zone_walk *w)
{
    const struct quire_zone_head *h = w->z->head;
    /* relaxed: nobody else is here, all four */
    uint64_t total = qa_load(&h->total, relaxed), managed = qa_load(&h->managed, relaxed);
    uint64_t reserved = qa_load(&h->reserved, relaxed);
    uint32_t level = qa_load(&h->level, relaxed); /* relaxed: as above */

    for (uint32_t s = 0; s < w->z->slots; s++)
        /* relaxed: as above */
        total += credit_frames(qa_load(&w->z->slot_states[s].credit, relaxed));
    return check_equal(w, "free frames counted and found", total, w->free) &&
           check_equal(w, "managed frames counted and found", managed, w->managed) &&
           check_equal(w, "reserved frames counted and found", reserved, w->reserved) &&
           /* relaxed: nobody else is here */
           check_equal(w, "gone blocks counted and found", qa_load(&h->gone, relaxed), w->gone) &&
           (level <= 2 || set_violation(w, "the level of the watermarks", 0, 2, level));
}

int quire_zone_check(const struct quire_zone *z, struct quire_fault *fault)
{
    struct zone_walk w = {z, fault, 0, 0, 0, 0, 0, false};

    return check_maps(&w) && check_frame_bytes(&w) && check_pins(&w) && check_slots(&w) &&
                   check_isolations(&w) && check_figures(&w)
               ? QUIRE_OK
               : QUIRE_ERR_DAMAGED;
}
