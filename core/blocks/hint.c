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
 * A hole byte has several values, and a setter raises it by compare-and-swap: by a store, of two
 * setters the one with the shorter run could have the last word. A clearer stores what it saw.
 *
 * These must set: a free whose word was all ones before (otherwise the free bits beside its own
 * were announced, or are about to be, by the frees that cleared them); one that completed a pair of
 * free frames, the hole byte alone (a longer run appears only by the free that completes it); every
 * undo; and every thread that gives up a home block or opens a block with free frames.
 *
 * Lock-free, any context. The map read here may be stale only in the ways argued above.
 */
#include "core/internal.h"

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

/* Block b's section shows its hole; the caller's last access was a full fence, behind the block's
 * bytes. */
static void section_raise(const struct quire_zone *z, uint32_t b)
{
    uint32_t s = b / SECTION_BLOCKS;
    uint8_t hole = qa_load(hole_of(z, b), relaxed) & HOLE_MASK; /* relaxed: ordered by E-hint */
    uint8_t v = qa_load(sparse_of(z, s), relaxed);              /* relaxed: ordered by E-hint */

    /* relaxed: a hint. Retries when another setter raised it, or a clearer looked. */
    while (v < hole && !qa_cas(sparse_of(z, s), &v, hole, relaxed))
        ;
}

/* Raise the hole of block b, of descriptor `desc`, to `hole`; the caller saw so long a run behind a
 * full fence. True: the byte changed. */
static bool hole_raise(const struct quire_zone *z, uint32_t b, uint32_t desc, unsigned hole)
{
    uint8_t v = qa_load(hole_of(z, b), relaxed), next; /* relaxed: ordered by E-hint */

    do {
        unsigned more = v & HOLE_MASK;

        next = hole_byte(desc, more < hole ? hole : more);
        if (next == v)
            return false;
        /* relaxed: a hint. Retries when another setter raised it, or a clearer looked. */
    } while (!qa_cas(hole_of(z, b), &v, next, relaxed));
    return true;
}

/* A free in block b, which was then of descriptor `desc`, split and nobody's home, completed a run
 * of the order `hole` - 1; the caller's last access was a full fence, behind the free. */
void qi_hint_hole_raise(const struct quire_zone *z, uint32_t b, uint32_t desc, unsigned hole)
{
    if (!hole_raise(z, b, desc, hole))
        return;
    qa_fence_after_rmw(); /* E-hint fence: the block's byte before the section's */
    section_raise(z, b);
}

/* Block b has free frames now; the caller's last access was a read-modify-write of its map or of
 * its descriptor. Home blocks stay hidden: they are announced when their owner gives them up. */
void qi_hint_block_free(const struct quire_zone *z, uint32_t b)
{
    uint32_t d;
    unsigned n, hole;
    bool shown;

    qi_assert(has_map(z, b));
    qa_fence_after_rmw(); /* E-hint fence. E-watch fence: the map before the hint and the look */
    d = qa_load(desc_of(z, b), relaxed); /* relaxed: ordered by E-hint */
    if (desc_state(d) != D_SPLIT || d & D_OWNER) {
        /* How long they are does not matter: this is rare. An undo may have hidden from the last
         * free of a home block that it is empty. */
        qi_watch_blocks(z);
        return;
    }
    hole = qi_map_hole(frame_map(z, b), &n);
    if (watch_is_on(z))
        qi_watch_runs(z, hole);
    if (n == 0)
        return;
    shown = !hole_raise(z, b, d, hole);
    if (qa_load(full_of(z, b), relaxed) != 0) { /* relaxed: ordered by E-hint */
        full_refresh(z, b, n);
    } else {
        qa_store(full_of(z, b), fullness(n), relaxed); /* relaxed: a hint */
        shown = false;
    }
    if (shown)
        return;
    qa_fence_seq_cst(); /* E-hint fence: the block's bytes before the section's */
    section_raise(z, b);
}

/* The caller found no free frame in block b. */
void qi_hint_block_full(const struct quire_zone *z, uint32_t b)
{
    if (qa_load(full_of(z, b), relaxed) == 0 && /* relaxed: a hint */
        qa_load(hole_of(z, b), relaxed) == 0)   /* relaxed: a hint */
        return;
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint */
    qa_store(hole_of(z, b), 0, relaxed); /* relaxed: a hint */
    qa_fence_seq_cst();                  /* E-hint fence: the hints before the second look */
    if (qi_map_count_free(frame_map(z, b)) > 0)
        qi_hint_block_free(z, b);
}

/* The caller found no run in split block b, which is nobody's home, that is as long as its hole
 * byte promises; or the byte names another class than the block's. */
void qi_hint_hole_lower(const struct quire_zone *z, uint32_t b)
{
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: a hint is made of it */
    unsigned free, hole = qi_map_hole(frame_map(z, b), &free);

    qa_store(hole_of(z, b), hole_byte(d, hole), relaxed); /* relaxed: a hint */
    qa_fence_seq_cst();       /* E-hint fence: the hint before the second look */
    qi_hint_block_free(z, b); /* which is this */
}

/* Refresh the fullness byte of a block that had free frames before and after a free. */
void qi_hint_block_refresh(const struct quire_zone *z, uint32_t b)
{
    if (qa_load(full_of(z, b), relaxed) != 0) /* relaxed: a hint */
        full_refresh(z, b, qi_map_count_free(frame_map(z, b)));
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
