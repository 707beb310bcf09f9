/* SPDX-License-Identifier: MIT
 *
 * gone.c - protocol 10: memory of free blocks is given back to whoever is outside, and comes back
 * before it is used.
 *
 * A free block is here or gone. A gone one is free as any other: it is counted, found by searches,
 * and claimed by its section's bit; but before its frames are anybody's it is installed by the port
 * (struct quire_port). A bit of the section's gone map tells (I7). The danger is memory that is
 * taken away while it is somebody's, or handed out while it is away. Both are one argument: the
 * gone map, the port's `discard` and its `install` are in the hands of who holds the block by its
 * section's bit, as every other change of a free block is:
 *
 *   give      claim, FREE and here;  discard;  gone bit 1;  release
 *   use       claim;  gone bit 1?  install;  gone bit 0;  split, publish, reserve ..
 *                                  failed: release, the bit is 1 still
 *
 * The claim's acquire and the release (E-blocks) order what the port did, and the bit, between one
 * holder and the next. So nothing here waits, and no user ever meets the giver: he finds the block
 * taken, and a request that is refused meanwhile is refused because of what an unfinished operation
 * holds: GIVE_MOST blocks at most, and an eighth of what is free and here.
 *
 * All that claims blocks comes through qi_blocks_claim, so there is one place where they are
 * brought back. When a block cannot be installed the claim is undone, and the caller sees it lost
 * as to a rival. But a rival's claim is progress and a failed install is none: who would try the
 * same block again asks qi_blocks_have_gone, and goes on elsewhere. The blocks that were installed
 * before the one that failed are here then.
 *
 * The gone map is also where searches look, so that what is here is preferred: advisory.
 *
 * What the block reads is in its descriptor while it is free (D_CHANGED). A block that is given
 * loses it, an install tells it anew.
 *
 * Lock-free but for what the port's functions do; `install` in any context.
 */
#include "core/frame_byte.h"
#include "core/internal.h"

/* The blocks of the n from b that lie in the word of b: how many, and their bits. */
static uint32_t blocks_in_word(uint32_t b, uint32_t n, uint64_t *mask)
{
    uint32_t room = WORD_BITS - b % WORD_BITS, some = n < room ? n : room;

    *mask = word_mask(b % WORD_BITS, some);
    return some;
}

/* The first stretch of ones of `bits`, which has some. */
static uint64_t first_stretch(uint64_t bits, unsigned *first, unsigned *n)
{
    uint64_t rest = ~(bits >> (*first = word_first(bits)));

    *n = rest ? word_first(rest) : WORD_BITS;
    return word_mask(*first, *n);
}

/* Are some of the n blocks from b gone? Exact for who holds them, else advisory. */
bool qi_blocks_have_gone(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    for (uint32_t some; n > 0 && has_gone(z); b += some, n -= some) {
        uint64_t mask;

        some = blocks_in_word(b, n, &mask);
        if (qa_load(gone_word(z, b / WORD_BITS), relaxed) & mask) /* relaxed: E-blocks */
            return true;
    }
    return false;
}

/* Bring back n blocks from b, of one word, which are gone and the caller's. */
static bool install(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    uint64_t mask = word_mask(b % WORD_BITS, n);
    bool zeroed = false;

    if (z->port.install && z->port.install(z->port.ctx, pfn_of_frame(z, frame_at(b, 0)),
                                           (uint64_t)n * BLOCK_FRAMES, &zeroed)) {
        qi_stat_add_at(z, b, QUIRE_COUNT_NOT_INSTALLED, 1);
        return false;
    }
    if (zeroed)
        note_zeros(z);
    for (uint32_t i = 0; i < n; i++)
        /* relaxed: the caller's; E-blocks carries it on */
        qa_store(desc_of(z, b + i), desc_free(z, zeroed), relaxed);
    /* relaxed: the bits are the caller's; E-blocks carries them on. A figure. */
    (void)qa_and(gone_word(z, b / WORD_BITS), ~mask, relaxed);
    (void)qa_sub(&z->head->gone, n, relaxed); /* relaxed: as above */
    qi_stat_add_at(z, b, QUIRE_COUNT_INSTALLED, n);
    return true;
}

/* Bring back those that are gone of n blocks from b, which the caller claimed. False: one could not
 * be installed; the claim is the caller's still. */
bool qi_blocks_bring_back(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    /* A block that is gone is counted, before the release that the claim acquired. */
    for (uint32_t some; n > 0 && has_gone(z); b += some, n -= some) {
        uint64_t mask, gone;

        some = blocks_in_word(b, n, &mask);
        /* relaxed: ordered by the claim's E-blocks */
        gone = qa_load(gone_word(z, b / WORD_BITS), relaxed) & mask;
        while (gone) {
            unsigned first, count;
            uint64_t stretch = first_stretch(gone, &first, &count);

            if (!install(z, b / WORD_BITS * WORD_BITS + first, count))
                return false;
            gone &= ~stretch;
        }
    }
    return true;
}

/* The FREE blocks of word g that are here and have been so for `idle` ages, as currently read. */
static uint64_t idle_blocks(const struct quire_zone *z, uint64_t g, uint64_t among, uint32_t idle)
{
    uint32_t now = desc_free(z, false);
    uint64_t found = idle ? 0 : among;

    for (; idle && among; among &= among - 1) {
        unsigned bit = word_first(among);
        /* relaxed: advisory, but of blocks that the caller holds */
        uint32_t d = qa_load(desc_of(z, (uint32_t)g * WORD_BITS + bit), relaxed);

        if (desc_state(d) == D_FREE && desc_idle(d, now) >= idle)
            found |= 1ull << bit;
    }
    return found;
}

/* Discard n blocks from b, of one word, which are the caller's and here; then they are free again,
 * and gone unless the port says no. */
static int discard(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    uint64_t mask = word_mask(b % WORD_BITS, n);
    int error =
        z->port.discard(z->port.ctx, pfn_of_frame(z, frame_at(b, 0)), (uint64_t)n * BLOCK_FRAMES);

    if (!error) {
        for (uint32_t i = 0; i < n; i++)
            /* relaxed: the caller's; E-blocks carries it on */
            qa_store(desc_of(z, b + i), desc_free(z, false), relaxed);
        (void)qa_add(&z->head->gone, n, relaxed); /* relaxed: E-blocks carries it on, both */
        (void)qa_or(gone_word(z, b / WORD_BITS), mask, relaxed); /* relaxed: as above */
        qi_stat_add_at(z, b, QUIRE_COUNT_GIVEN, n);
    }
    qi_blocks_release(z, b, n);
    return error;
}

/* Give up to `most` blocks of word g, those that were free for `idle` ages: neighbours by one call
 * of the port. *given says how many. The port's error ends it; 0 else. */
int qi_blocks_give(const struct quire_zone *z, quire_slot slot, uint64_t g, uint32_t idle,
                   uint32_t most, uint32_t *given)
{
    /* relaxed: advisory; the claim decides */
    uint64_t here = ~(qa_load(block_word(z, g), relaxed) | qa_load(gone_word(z, g), relaxed));
    uint64_t held, young;
    int error = QUIRE_OK;

    qi_assert(most > 0 && most <= GIVE_MOST);
    *given = 0;
    held = word_lowest(idle_blocks(z, g, here, idle), most);
    held = held ? qi_blocks_claim_some(z, g, held) : 0;
    /* Another giver may have been faster, or a user who freed his block since. */
    young = held & ~idle_blocks(z, g, held, idle);
    young |= held & qa_load(gone_word(z, g), relaxed); /* relaxed: ordered by the claim */
    for (uint64_t left = held & ~young; left; left &= left - 1)
        if (!qi_block_verify_map(z, slot, (uint32_t)g * WORD_BITS + word_first(left)))
            held &= ~(1ull << word_first(left)); /* it is withdrawn, and stays claimed */
    for (uint64_t left = held & ~young; left;) {
        unsigned first, n;
        uint64_t stretch = first_stretch(left, &first, &n);

        if (!error) {
            error = discard(z, (uint32_t)g * WORD_BITS + first, n);
            *given += error ? 0 : n;
        } else {
            qi_blocks_release(z, (uint32_t)g * WORD_BITS + first, n);
        }
        left &= ~stretch;
    }
    for (held &= young; held; held &= held - 1)
        qi_blocks_release(z, (uint32_t)g * WORD_BITS + word_first(held), 1);
    return error;
}
