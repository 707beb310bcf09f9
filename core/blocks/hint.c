/* SPDX-License-Identifier: MIT
 *
 * hint.c - the hints H1 to H4 of layout.h: where a search is worth while.
 *
 * A hint may lag, but it may not stay wrong for good: a frame that no hint shows would only be
 * found by the last pass of a search. The danger is a clearer that looked at the map before a free,
 * and writes "nothing here" after the freer wrote "something here". So both sides put a full fence
 * between the map and the hint (E-hint): a setter changes the map, fences, then writes the hint; a
 * clearer writes the hint, fences, then looks at the map again and sets the hint if it was wrong.
 * Whichever fence comes second, its side sees what the other did.
 *
 *   setter:   map &= ~bit;   E-hint;  hint = some
 *   clearer:  hint = none;   E-hint;  if the map has something: hint = some
 *
 * With fences on both sides a setter may skip the write when it reads that the hint is set: the
 * clearer, if there is one, comes later and looks again. The setter that changed a block's bytes
 * sees to the section's byte, so only that one pays for the second fence.
 *
 * A hole byte is more than a hint: what it does not show is refused (the last pass of a search,
 * find_block.c), so not for an instant may it show less than there is. A setter raises it by
 * compare-and-swap: by a store, of two setters the one with the shorter run could have the last
 * word. And a clearer says first that it is about to look, which is read as "any run may be free":
 *
 *   clearer:  byte = LOOKED;   E-hint;  look at the map;  LOOKED -> what was seen
 *             failed: byte = the longest hole, whatever the map has
 *   setter:   map &= ~bits;    E-hint;  byte shows it: nothing;  less: raise it;
 *             LOOKED -> DOUBTED;  DOUBTED: nothing
 *
 * Of the two fences one comes second. If it is the clearer's, the look sees the bits. If it is the
 * setter's, that reads LOOKED, and the clearer's compare-and-swap fails; or something later, which
 * is raised if it is less. Only who wrote LOOKED ends it, or the DOUBTED that it became: so no
 * second clearer can write LOOKED while the first one looks, and undo a setter's DOUBTED. A
 * clearer that stops for ever leaves a byte that shows any run: its block is looked at by each last
 * pass. Home blocks keep theirs, as their frames count as well. A block that is not split has no
 * free run; who splits it is a setter, behind the descriptor.
 *
 * Who completes a run answers for it: the byte shows it before that call returns. For runs of a
 * word that is who cleared the last bit, and sees so in the word; for longer ones who fences last
 * and finds all words 0. A single frame is nobody's: the free of one beside a free frame whose free
 * has not returned sets nothing. So the byte decides no refusal of single frames.
 *
 * These must set: a free whose word was all ones before (otherwise the free bits beside its own
 * were announced, or are about to be, by the frees that cleared them); one that completed a pair of
 * free frames, the hole byte alone (a longer run appears only by the free that completes it); every
 * undo; and every thread that gives up a home block or opens a block with free frames.
 *
 * Lock-free, any context. The map read here may be stale only in the ways argued above.
 */
#include "core/internal.h"
#include "core/search/search.h"

/* The fullness byte for `n` free frames: half of it, rounded up, 255 at most, never 0 for n > 0. */
static uint8_t fullness(unsigned n)
{
    unsigned half = (n + 1) / 2;

    qi_assert(n > 0 && n <= MAP_BITS);
    return (uint8_t)(half > UINT8_MAX ? UINT8_MAX : half);
}

/* The fullness byte of block b with n free frames. By exchange, and only from a value that shows
 * some already: turning 0 into something is qi_hint_block_free's, which also sees to the section's
 * byte. */
static void full_refresh(const struct quire_zone *z, uint32_t b, unsigned n)
{
    uint8_t old = qa_load(full_of(z, b), relaxed); /* relaxed: a hint */

    if (old != 0 && n > 0 && fullness(n) != old)
        (void)qa_cas(full_of(z, b), &old, fullness(n), relaxed); /* relaxed: a hint */
}

/* Block b's section shows its hole, if the block shows free frames; the caller's last access was a
 * full fence, behind the block's bytes. */
static void section_raise(const struct quire_zone *z, uint32_t b)
{
    uint32_t s = b / SECTION_BLOCKS;
    uint8_t hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK; /* relaxed: ordered by E-hint */
    uint8_t v = qa_load(sparse_of(z, s), relaxed);              /* relaxed: ordered by E-hint */

    hole = hole > HOLE_MOST ? HOLE_MOST : hole;
    if (v >= hole || qa_load(full_of(z, b), relaxed) == 0) /* relaxed: ordered by E-hint */
        return;
    /* relaxed: a hint. Retries when another setter raised it, or a clearer looked. */
    while (v < hole && !qa_cas(sparse_of(z, s), &v, hole, relaxed))
        ;
}

/* Raise the hole of block b, of descriptor `desc`, to `hole`; the caller saw so long a run behind a
 * full fence. True: the block's hole or class is another one now. */
static bool hole_raise(const struct quire_zone *z, uint32_t b, uint32_t desc, unsigned hole)
{
    uint8_t v = qa_load(hole_of(z, b), relaxed), next; /* relaxed: ordered by E-hint */

    do {
        unsigned shown = v & HOLE_MASK;

        if (shown == HOLE_LOOKED)
            next = v - HOLE_LOOKED + HOLE_DOUBTED;
        else
            next = shown > HOLE_MOST ? v : hole_byte(desc, shown < hole ? hole : shown);
        if (next == v)
            return false;
        /* relaxed: E-hint orders it. Retries when another setter raised it, or a clearer looks. */
    } while (!qa_cas(hole_of(z, b), &v, next, relaxed));
    return (next & HOLE_MASK) <= HOLE_MOST;
}

/* A block as a call saw it behind a full fence: its descriptor, and if it is split, how many frames
 * are free and the longest run of them. */
struct block_look {
    uint32_t desc;
    unsigned free, hole;
};

static struct block_look look_at(const struct quire_zone *z, uint32_t b)
{
    struct block_look look = {qa_load(desc_of(z, b), relaxed), 0, 0}; /* relaxed: see E-hint */

    if (desc_state(look.desc) == D_SPLIT)
        look.hole = qi_map_hole(frame_map(z, b), &look.free);
    return look;
}

/* The hole byte of block b becomes what its descriptor and map show, which is in *look then; unless
 * a run comes meanwhile. Ends with a full fence. False: another call is about to do that. */
static bool hole_lower(const struct quire_zone *z, uint32_t b, struct block_look *look)
{
    uint8_t v = qa_load(hole_of(z, b), relaxed), looked = v | HOLE_LOOKED; /* relaxed: as below */

    /* relaxed: E-hint orders it */
    if ((v & HOLE_MASK) > HOLE_MOST || !qa_cas(hole_of(z, b), &v, looked, relaxed))
        return false;
    qa_fence_after_rmw(); /* E-hint fence: the byte before the look */
    *look = look_at(z, b);
    /* relaxed: only the byte counts */
    if (qa_cas(hole_of(z, b), &looked, hole_byte(look->desc, look->hole), relaxed)) {
        /* E-hint fence. E-watch fence: the hint before what comes next. It could be left out: who
         * does not see the hint yet sees HOLE_LOOKED, which has a fence behind it and promises
         * more. */
        qa_fence_after_rmw();
        if (look->hole > (v & HOLE_MASK)) /* a setter found it raised, by this call */
            section_raise(z, b);
        return true;
    }
    qi_assert((looked & HOLE_MASK) == HOLE_DOUBTED);
    /* relaxed: this call's to end */
    qa_store(hole_of(z, b), hole_byte(look->desc, HOLE_MOST), relaxed);
    qa_fence_seq_cst(); /* E-hint fence. E-watch fence: as above, and the section's byte */
    section_raise(z, b);
    return true;
}

/* A free in block b, which was then of descriptor `desc`, a split one, completed a run of the order
 * `hole` - 1; the caller's last access was a full fence, behind the free. */
void qi_hint_hole_raise(const struct quire_zone *z, uint32_t b, uint32_t desc, unsigned hole)
{
    if (!hole_raise(z, b, desc, hole))
        return;
    qa_fence_after_rmw(); /* E-hint fence: the block's byte before the section's */
    section_raise(z, b);
}

/* Block b is FREE and held by its section's bit, so nobody can split it now. */
void qi_hint_hole_closed(const struct quire_zone *z, uint32_t b)
{
    uint8_t v = qa_load(hole_of(z, b), relaxed); /* relaxed: the exchange decides */

    /* relaxed: a block that is not split has no run. If it fails the byte shows too much. */
    if ((v & HOLE_MASK) <= HOLE_MOST)
        (void)qa_cas(hole_of(z, b), &v, 0, relaxed); /* relaxed: as above */
}

/* Block b's hole byte shows what `look` found; the caller's last access was a full fence, or a load
 * behind it. `shown`: so does its section's. Watch and fullness follow. */
static void block_announce(const struct quire_zone *z, uint32_t b, const struct block_look *look,
                           bool shown)
{
    if (desc_state(look->desc) != D_SPLIT || look->desc & D_OWNER) {
        /* How long they are does not matter: this is rare. An undo may have hidden from the last
         * free of a home block that it is empty. */
        qi_watch_blocks(z);
        return;
    }
    if (watch_is_on(z))
        qi_watch_runs(z, look->hole);
    if (look->free == 0)
        return;
    if (qa_load(full_of(z, b), relaxed) != 0) { /* relaxed: ordered by E-hint */
        full_refresh(z, b, look->free);
    } else {
        qa_store(full_of(z, b), fullness(look->free), relaxed); /* relaxed: a hint */
        shown = false;
    }
    if (shown)
        return;
    qa_fence_seq_cst(); /* E-hint fence: the block's bytes before the section's */
    section_raise(z, b);
}

/* Block b has free frames now; the caller's last access was a read-modify-write of its map or of
 * its descriptor. Home blocks show no frames: they are announced when their owner gives them up. */
void qi_hint_block_free(const struct quire_zone *z, uint32_t b)
{
    struct block_look look;
    bool shown;

    qi_assert(has_map(z, b));
    qa_fence_after_rmw(); /* E-hint fence: the map before the hint */
    look = look_at(z, b);
    shown = look.free == 0 || !hole_raise(z, b, look.desc, look.hole);
    qa_fence_after_rmw(); /* E-watch fence: the hint before the watch; nothing was stored since */
    block_announce(z, b, &look, shown);
}

/* Block b was given up as a home block; the caller's last access was a read-modify-write of its map
 * or of its descriptor. */
void qi_hint_block_left(const struct quire_zone *z, uint32_t b)
{
    struct block_look look;

    if (hole_lower(z, b, &look))
        block_announce(z, b, &look, true);
    else
        qi_hint_block_free(z, b);
}

/* The caller found no free frame in block b. */
void qi_hint_block_full(const struct quire_zone *z, uint32_t b)
{
    struct block_look look;

    if (qa_load(full_of(z, b), relaxed) == 0 &&             /* relaxed: a hint */
        (qa_load(hole_of(z, b), relaxed) & HOLE_MASK) == 0) /* relaxed: a hint */
        return;
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint */
    if (!hole_lower(z, b, &look))
        qa_fence_seq_cst(); /* E-hint fence: the hint before the second look */
    if (qi_map_count_free(frame_map(z, b)) > 0)
        qi_hint_block_free(z, b);
}

/* The caller found no run in block b that is as long as its hole byte promises; or the byte may
 * name another class than the block's. */
void qi_hint_hole_lower(const struct quire_zone *z, uint32_t b)
{
    struct block_look look;

    if (qa_load(hole_of(z, b), relaxed) & HOLE_MASK && /* relaxed: a hint */
        hole_lower(z, b, &look))
        full_refresh(z, b, look.free);
}

/* Refresh the fullness byte of a block that had free frames before and after a free. */
void qi_hint_block_refresh(const struct quire_zone *z, uint32_t b)
{
    if (qa_load(full_of(z, b), relaxed) != 0) /* relaxed: a hint */
        full_refresh(z, b, qi_map_count_free(frame_map(z, b)));
}

/* Does a block of section s show a hole of this length or a longer one? */
bool qi_hint_section_has(const struct quire_zone *z, uint32_t s, unsigned hole)
{
    const uint8_t *holes = z->holes + (size_t)s * SECTION_BLOCKS;
    struct search_fit fit = {holes, HOLE_MASK, (uint8_t)hole, HOLE_MASK};

    qi_assert(s < z->sections && hole > 0 && hole <= HOLE_MOST);
    return qi_search_best()->least_fit(holes, SECTION_BLOCKS, 0, SECTION_BLOCKS, &fit) <
           SECTION_BLOCKS;
}

/* A block of section s was freed; the caller's last access was the read-modify-write of its bit. */
void qi_hint_section_whole(const struct quire_zone *z, uint32_t s)
{
    qi_assert(s < z->sections);
    qa_fence_after_rmw(); /* E-hint fence. E-watch fence: the map before the hint and the look */
    if (watch_is_on(z))
        qi_watch_blocks(z);
    if (qa_load(wholes_of(z, s), relaxed) != WHOLES_TOP) /* relaxed: ordered by E-hint */
        qa_store(wholes_of(z, s), WHOLES_TOP, relaxed);  /* relaxed: a hint */
}
