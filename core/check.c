/* SPDX-License-Identifier: MIT
 *
 * check.c - walk everything and say the first thing that is wrong.
 *
 * For a zone that nobody uses at the moment: then the invariants of layout.h hold without their
 * "unfinished operations", the hints' promises too, and the count is exact. Reads only; wait-free,
 * O(blocks), any context.
 */
#include "core/block.h"

struct walk {
    const struct quire_zone *z;
    struct quire_violation *found;
    uint64_t free;  /* frames seen free */
    uint32_t tails; /* TAIL blocks still to come */
    bool run_open;  /* the last frame seen was allocated: a run may go on */
};

static bool wrong(struct walk *w, const char *what, uint64_t frame, uint64_t expected,
                  uint64_t found)
{
    w->found->what = what;
    w->found->pfn = pfn_of_frame(w->z, frame);
    w->found->expected = expected;
    w->found->found = found;
    return false;
}

/* Frame map, run map and pins of one word of a SPLIT or ISOLATED block. */
static bool check_word(struct walk *w, uint32_t b, unsigned i, const struct quire_pin *pin)
{
    const struct quire_zone *z = w->z;
    uint64_t v = qa_load(&frame_map(z, b)->w[i], relaxed); /* relaxed: nobody else is here */
    /* relaxed: as above, all three */
    uint64_t c = has_run_map(z) ? qa_load(&run_map(z, b)->w[i], relaxed) : 0;
    uint64_t pinned = pin ? qa_load(&pin->pinned.w[i], relaxed) : 0;
    uint64_t hole = pin ? qa_load(&pin->hole.w[i], relaxed) : 0;
    uint64_t before = v << 1 | w->run_open;

    w->free += WORD_BITS - word_count(v);
    w->run_open = v >> (WORD_BITS - 1);
    if (c & ~v)
        return wrong(w, "a free frame continues a run", frame_at(b, i * WORD_BITS), 0, c & ~v);
    if (c & ~before)
        return wrong(w, "a run goes on behind a free frame", frame_at(b, i * WORD_BITS), 0,
                     c & ~before);
    if (pinned & (~v | c))
        return wrong(w, "a reserved frame is free or in a run", frame_at(b, i * WORD_BITS), 0,
                     pinned & (~v | c));
    if (hole & ~pinned)
        return wrong(w, "a hole is not pinned", frame_at(b, i * WORD_BITS), 0, hole & ~pinned);
    return true;
}

/* A SPLIT or ISOLATED block. */
static bool check_split(struct walk *w, uint32_t b, uint32_t d)
{
    const struct quire_zone *z = w->z;
    const struct quire_pin *pin = d & D_PINS ? quire_pin_find(z, b) : NULL;
    uint8_t full = qa_load(full_of(z, b), relaxed); /* relaxed: nobody else is here */
    unsigned free = quire_line_free(frame_map(z, b));

    if (d & D_PINS && !pin)
        return wrong(w, "a block with pins has no entry", frame_at(b, 0), 1, 0);
    for (unsigned i = 0; i < LINE_WORDS; i++)
        if (!check_word(w, b, i, pin))
            return false;
    if ((desc_state(d) == D_ISOLATED) != quire_block_listed(z, b))
        return wrong(w, "a block and the list of isolated ranges disagree", frame_at(b, 0),
                     quire_block_listed(z, b), d);
    if (desc_state(d) == D_ISOLATED)
        return true;
    if (d & D_OWNER)
        return (d & D_OWNER) >> D_OWNER_SHIFT <= z->slots ||
               wrong(w, "a home's owner is no slot", frame_at(b, 0), z->slots, d >> D_OWNER_SHIFT);
    if (free == BLOCK_FRAMES)
        return wrong(w, "a wholly free block was not made whole", frame_at(b, 0), D_FREE, d);
    if (free > 0 && full == 0)
        return wrong(w, "no hint shows a block's free frames", frame_at(b, 0), 1, 0);
    /* relaxed: nobody else is here */
    if (full > 0 && !qa_load(sparse_of(z, b / SECTION_BLOCKS), relaxed))
        return wrong(w, "no hint shows a section's free frames", frame_at(b, 0), 1, 0);
    return true;
}

/* A block that is not SPLIT: its map is untouched or all ones, its run map is clear. */
static bool check_closed(struct walk *w, uint32_t b)
{
    const struct quire_zone *z = w->z;
    const struct quire_line *map = frame_map(z, b);

    w->run_open = false;
    if (!quire_line_is(map, 0) && !quire_line_is(map, WORD_FULL))
        return wrong(w, "the map of a block that is not split", frame_at(b, 0), 0,
                     quire_line_free(map));
    if (has_run_map(z) && !quire_line_is(run_map(z, b), 0))
        return wrong(w, "the run map of a block that is not split", frame_at(b, 0), 0, 1);
    return true;
}

static bool check_block(struct walk *w, uint32_t b)
{
    const struct quire_zone *z = w->z;
    /* relaxed: nobody else is here, both */
    uint32_t d = qa_load(desc_of(z, b), relaxed);
    bool taken = qa_load(block_word(z, b / WORD_BITS), relaxed) >> b % WORD_BITS & 1;
    uint32_t tails = w->tails;

    w->tails = tails ? tails - 1 : 0;
    if (taken == (desc_state(d) == D_FREE))
        return wrong(w, "descriptor and section disagree", frame_at(b, 0), taken, d);
    if ((desc_state(d) == D_TAIL) != (tails > 0))
        return wrong(w, "a run of blocks has the wrong length", frame_at(b, 0), tails, d);
    switch (desc_state(d)) {
    case D_SPLIT:
    case D_ISOLATED:
        return check_split(w, b, d);
    case D_FREE:
        w->free += BLOCK_FRAMES;
        /* relaxed: nobody else is here */
        if (!qa_load(wholes_of(z, b / SECTION_BLOCKS), relaxed))
            return wrong(w, "no hint shows a section's free blocks", frame_at(b, 0), 1, 0);
        break;
    case D_WHOLE:
        if (desc_order(d) < BLOCK_ORDER || desc_order(d) > QUIRE_MAX_ORDER)
            return wrong(w, "the order of a run of blocks", frame_at(b, 0), BLOCK_ORDER,
                         desc_order(d));
        w->tails = (1u << (desc_order(d) - BLOCK_ORDER)) - 1;
        break;
    case D_MOVING:
        return wrong(w, "a block is left half changed", frame_at(b, 0), 0, d);
    case D_WITHDRAWN:
        w->run_open = false;
        return true;
    default:
        break;
    }
    return check_closed(w, b);
}

/* A home word may name a block that is not the slot's any more (I5), but not one out of range. */
static bool check_slots(struct walk *w)
{
    const struct quire_zone *z = w->z;

    for (uint32_t s = 0; s < z->slots; s++) {
        int64_t credit =
            (int64_t)qa_load(&z->slot_states[s].credit, relaxed); /* relaxed: as above */

        if (credit < 0)
            return wrong(w, "a slot's credit is negative", 0, 0, s);
        for (unsigned c = 0; c < CLASSES; c++) {
            uint32_t home = qa_load(&z->slot_states[s].home[c], relaxed); /* relaxed: as above */

            if (home && !has_map(z, home - 1))
                return wrong(w, "a slot's home is out of range", 0, 0, s);
        }
    }
    return true;
}

int quire_zone_check(const struct quire_zone *z, struct quire_violation *found)
{
    struct walk w = {z, found, 0, 0, false};
    int64_t total = (int64_t)qa_load(&z->head->total, relaxed); /* relaxed: nobody else is here */

    for (uint32_t s = 0; s < z->slots; s++)
        total += (int64_t)qa_load(&z->slot_states[s].credit, relaxed); /* relaxed: as above */
    for (uint64_t b = z->first_block; b < z->end_block; b++) {
        if (b % SECTION_BLOCKS == 0 && !section_follows(z, (uint32_t)(b / SECTION_BLOCKS)))
            w.run_open = false;
        if (!check_block(&w, (uint32_t)b))
            return QUIRE_ERR_BUSY;
    }
    if (!check_slots(&w))
        return QUIRE_ERR_BUSY;
    if (total < 0 || (uint64_t)total != w.free) {
        (void)wrong(&w, "free frames counted and found", frame_at((uint32_t)z->first_block, 0),
                    (uint64_t)total, w.free);
        return QUIRE_ERR_BUSY;
    }
    return QUIRE_OK;
}
