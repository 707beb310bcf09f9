/* SPDX-License-Identifier: MIT
 *
 * hint.c - the hints H1 to H3 of layout.h: where a search is worth while.
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
 * clearer, if there is one, comes later and looks again. The setter that turned a fullness byte
 * from 0 into something sees to the section's byte, so only that one pays for the second fence.
 *
 * These must set: a free whose word was all ones before (otherwise the free bits beside its own
 * were announced, or are about to be, by the frees that cleared them); every undo; and every thread
 * that gives up a home block or opens a block with free frames.
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

/* Block b has free frames now; the caller's last access was a read-modify-write of its map or of
 * its descriptor. Home blocks stay hidden: they are announced when their owner gives
 * them up. */
void qi_hint_block_free(const struct quire_zone *z, uint32_t b)
{
    uint32_t s = b / SECTION_BLOCKS;
    uint32_t d;
    unsigned n;

    qi_assert(has_map(z, b));
    qa_fence_after_rmw();                /* E-hint fence: the map before the hint */
    d = qa_load(desc_of(z, b), relaxed); /* relaxed: ordered by E-hint */
    if (desc_state(d) != D_SPLIT || d & D_OWNER)
        return;
    if (qa_load(full_of(z, b), relaxed) != 0) { /* relaxed: ordered by E-hint */
        qi_hint_block_refresh(z, b);
        return;
    }
    n = qi_map_count_free(frame_map(z, b));
    if (n == 0)
        return;
    qa_store(full_of(z, b), fullness(n), relaxed); /* relaxed: a hint */
    qa_fence_seq_cst(); /* E-hint fence: the byte before the section's byte */
    if (qa_load(sparse_of(z, s), relaxed) == 0) /* relaxed: ordered by E-hint */
        qa_store(sparse_of(z, s), 1, relaxed);  /* relaxed: a hint */
}

/* The caller found no free frame in block b. */
void qi_hint_block_full(const struct quire_zone *z, uint32_t b)
{
    if (qa_load(full_of(z, b), relaxed) == 0) /* relaxed: a hint */
        return;
    qa_store(full_of(z, b), 0, relaxed); /* relaxed: a hint */
    qa_fence_seq_cst();                  /* E-hint fence: the hint before the second look */
    if (qi_map_count_free(frame_map(z, b)) > 0)
        qi_hint_block_free(z, b);
}

/* Refresh the byte of a block that had free frames before and after a free. By exchange, and only
 * from a value that shows it already: turning 0 into something is qi_hint_block_free's, which also
 * sees to the section's byte. */
void qi_hint_block_refresh(const struct quire_zone *z, uint32_t b)
{
    uint8_t old = qa_load(full_of(z, b), relaxed); /* relaxed: a hint */
    unsigned n;

    if (old == 0)
        return;
    n = qi_map_count_free(frame_map(z, b));
    if (n > 0 && fullness(n) != old)
        (void)qa_cas(full_of(z, b), &old, fullness(n), relaxed); /* relaxed: a hint */
}

/* A block of section s was freed; the caller's last access was the read-modify-write of its bit. */
void qi_hint_section_whole(const struct quire_zone *z, uint32_t s)
{
    qi_assert(s < z->sections);
    qa_fence_after_rmw();                                /* E-hint fence: the map before the hint */
    if (qa_load(wholes_of(z, s), relaxed) != WHOLES_TOP) /* relaxed: ordered by E-hint */
        qa_store(wholes_of(z, s), WHOLES_TOP, relaxed);  /* relaxed: a hint */
}
