/* SPDX-License-Identifier: MIT
 *
 * batch_runs.c - half magazines of runs, below order 9, from the zone and back to it: one debit or
 * credit for all, and for those of one word one exchange of each of its maps (word_runs.c).
 *
 * A refill takes what there is: fewer runs than asked for if the count or the search says so. A
 * flush frees all that can be freed and reports the others, as its callers were told long ago that
 * these runs are free; what one word refuses is freed run by run, so that the right one is named.
 * What the words of a block ask for is done once, behind the last one that is next to the others.
 * Credit comes behind the clears, so between them a flush has what it freed in its hands: half a
 * magazine, which the headers allow for.
 *
 * State: none. Lock-free, any context.
 */
#include "core/fastpath.h"

/* Find runs for a debit of n of them; returns how many there were. */
static size_t take_debited_runs(struct quire_zone *z, quire_slot slot, unsigned order,
                                uint32_t flags, size_t n, quire_pfn pfns[])
{
    size_t got = 0;

    while (got < n) {
        /* relaxed: a preference; taking from the block decides */
        uint32_t home = qa_load(&slot_of(z, slot)->home[home_class_of(z, order, flags)], relaxed);
        uint64_t frame;

        if (home && order <= WORD_ORDER)
            got += qi_block_take_runs(z, home - 1, order, (unsigned)(n - got), pfns + got);
        if (got == n)
            break;
        if (!(home && order > WORD_ORDER && qi_block_take(z, home - 1, order, &frame)) &&
            qi_take_small(z, slot, order, flags, &frame)) /* a new home block, if there is one */
            break;
        pfns[got++] = pfn_of_frame(z, frame);
    }
    return got;
}

/* For the caches: up to n runs of 2^order frames, below order 9, not handed out yet as far as their
 * frame bytes tell. Returns how many. */
size_t qi_runs_refill(struct quire_zone *z, quire_slot slot, unsigned order, uint32_t flags,
                      size_t n, quire_pfn pfns[])
{
    uint64_t debited;
    size_t got = 0;

    qi_assert(n > 0 && n <= BLOCK_FRAMES && order > 0 && order < BLOCK_ORDER);
    if (alloc_precheck(z, slot, flags, 0))
        return 0;
    debited = qi_count_debit_up_to(z, slot, (uint64_t)n << order, flags);
    n = (size_t)(debited >> order);
    if (n > 0)
        got = take_debited_runs(z, slot, order, flags, n, pfns);
    if (debited > (uint64_t)got << order)
        qi_count_credit(z, slot, debited - ((uint64_t)got << order), flags);
    if (got == 0)
        (void)qi_zone_count_error(z, slot, QUIRE_ERR_NO_MEMORY);
    else
        qi_count_check_watermarks(z, slot, flags);
    return got;
}

/* How many of the first ones of n runs begin in the word of 64 frames that begins at `first`, each
 * at a place of its own: these places. */
static size_t runs_of_word(const quire_pfn pfns[], size_t n, uint64_t first, uint64_t *starts)
{
    size_t i = 0;
    uint64_t bit;

    for (*starts = 0; i < n && pfns[i].n - first < WORD_BITS &&
                      !(*starts & (bit = 1ull << pfns[i].n % WORD_BITS));
         i++)
        *starts |= bit;
    return i;
}

/* Of the runs that begin at `starts`, of the word of frame `frame`, a bad free has had some frames
 * before, as only `freed` were allocated still: reported. Returns how many are whole. */
static __attribute__((__noinline__)) unsigned report_damaged(struct quire_zone *z, quire_slot slot,
                                                             uint64_t frame, unsigned order,
                                                             uint64_t starts, uint64_t freed)
{
    uint64_t damaged = 0;

    for (uint64_t left = starts; left; left &= left - 1)
        if (word_runs(left & -left, order) & ~freed)
            damaged |= left & -left;
    qi_zone_report_bad_frames(z, slot, frame, damaged, QUIRE_ERR_DOUBLE_FREE);
    return word_count(starts) - word_count(damaged);
}

/* The words of one block that a flush has cleared frames of, one behind the other. */
struct block_flush {
    struct freed_words left;
    uint32_t b; /* NO_BLOCK: none */
};

/* Do what these words ask for. */
static void block_flush_end(const struct quire_zone *z, struct block_flush *f)
{
    if (f->b != NO_BLOCK)
        qi_block_freed(z, f->b, &f->left);
    *f = (struct block_flush){{false, false, 0, 0}, NO_BLOCK};
}

/* Free n runs of 2^order frames, below order 9, which the caches took back from their owners; all
 * that can be freed. Returns how many were. */
uint64_t qi_runs_flush(struct quire_zone *z, quire_slot slot, unsigned order,
                       const quire_pfn pfns[], size_t n)
{
    struct block_flush f = {{false, false, 0, 0}, NO_BLOCK};
    uint64_t runs = 0, frames = 0;

    qi_assert(order > 0 && order < BLOCK_ORDER);
    for (size_t i = 0, some; i < n; i += some) {
        uint64_t first = pfns[i].n / WORD_BITS * WORD_BITS, starts, freed;
        uint64_t frame = order <= WORD_ORDER ? frame_of_pfn(z, quire_pfn_of(first)) : NO_FRAME;

        some = runs_of_word(pfns + i, n - i, first, &starts);
        if (frame == NO_FRAME || block_of(frame) != f.b)
            block_flush_end(z, &f);
        if (frame != NO_FRAME && qi_word_free_runs(z, frame, order, starts, &f.left, &freed)) {
            bool whole = freed == word_runs(starts, order);

            f.b = block_of(frame);
            frames += whole ? (uint64_t)some << order : word_count(freed);
            runs += whole ? some : report_damaged(z, slot, frame, order, starts, freed);
            continue;
        }
        block_flush_end(z, &f);
        for (size_t k = i; k < i + some; k++)
            runs += qi_zone_free_cached(z, slot, pfns[k], order) == QUIRE_OK;
    }
    block_flush_end(z, &f);
    if (frames)
        qi_count_credit(z, slot, frames, 0);
    return runs;
}
