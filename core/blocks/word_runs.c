/* SPDX-License-Identifier: MIT
 *
 * word_runs.c - protocols 1 and 2 for several runs of one order at once, word by word: one
 * compare-and-swap of a frame map's word takes them, one of a run map's word decides that they are
 * freed. For the caches, which move half magazines.
 *
 * The arguments are those of take.c and run_map.c, as a word is changed by one exchange, whatever
 * the number of runs in it. What differs: the free needs all continuation bits of all its runs, or
 * changes nothing; so one run that is not as it should be leaves all of them to a free of each by
 * itself, which names it. For runs of more than a frame, up to a word: order 1 to 6.
 *
 *                       take, free of other    free of one of     look, claim (3)
 *                       frames of the word     these runs
 *   take                X: retries             -                  X: finds no bit, or is looked at
 *   free                X: retries             X: one of the two  X: as one free
 *
 * (X: side by side; -: nobody has these runs yet.) A compare-and-swap fails only because another
 * thread changed the word. Lock-free, any context.
 */
#include "core/fastpath.h"

/* Take up to `want` aligned runs of 2^order frames from block b, as many from each word as it has.
 * Returns how many, their numbers in pfns[]. */
unsigned qi_block_take_runs(const struct quire_zone *z, uint32_t b, unsigned order, unsigned want,
                            quire_pfn pfns[])
{
    unsigned got = 0;
    uint64_t base;

    qi_assert(want > 0 && order > 0 && order <= WORD_ORDER);
    /* E-desc acquire, as in qi_block_take. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
        return 0;
    base = pfn_of_frame(z, frame_at(b, 0)).n;
    for (unsigned i = 0; i < MAP_WORDS && got < want; i++) {
        qa64 *w = &frame_map(z, b)->w[i];
        uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange below decides */
        uint64_t starts, some;

        if (v == WORD_FULL)
            continue;
        do {
            starts = word_free_runs(v, order);
            if (starts & (starts - 1)) /* mostly, of long ones, it is one or none */
                starts = word_lowest(starts, want - got);
            some = word_runs(starts, order);
            /* E-frame acquire. Retries as in word_take_run. */
        } while (some && !qa_cas(w, &v, v | some, acquire));
        if (some && has_run_map(z)) {
            /* relaxed: the frames are the caller's; E-frame carries it when they are freed */
            uint64_t old = qa_or(&run_map(z, b)->w[i], some & ~starts, relaxed);

            qi_assert(!(old & some)); /* I3 */
        }
        for (; starts; starts &= starts - 1) {
            bytes_take_run(z, frame_at(b, i * WORD_BITS + word_first(starts)), 1ull << order);
            pfns[got++].n = base + (uint64_t)i * WORD_BITS + word_first(starts);
        }
    }
    return got;
}

/* Is each of these allocated runs of a word of block b just one run, as the maps have it? */
static bool are_runs(const struct quire_zone *z, uint32_t b, unsigned word, unsigned order,
                     uint64_t starts)
{
    uint64_t mask = word_runs(starts, order);
    uint64_t v = qa_load(&frame_map(z, b)->w[word], relaxed); /* relaxed: the caller's frames */
    uint64_t c = qa_load(&run_map(z, b)->w[word], relaxed);   /* relaxed: likewise */
    uint64_t behind = starts << ((1u << order) - 1) << 1;

    if ((v & mask) != mask || (c & (mask | behind)) != (mask & ~starts))
        return false;
    return !(mask >> (WORD_BITS - 1)) ||
           !qi_run_continues(z, frame_at(b, 0) + (uint64_t)(word + 1) * WORD_BITS);
}

/* Free runs of 2^order frames of the word that begins with `frame`, whose first frames are
 * `starts`. False: not this way, and nothing has changed. *freed: the frames that were allocated
 * still. What is left to do for the block, which the caller does behind its last word, is noted in
 * *left. */
bool qi_word_free_runs(const struct quire_zone *z, uint64_t frame, unsigned order, uint64_t starts,
                       struct freed_words *left, uint64_t *freed)
{
    uint64_t mask = word_runs(starts, order), more = mask & ~starts, c;
    unsigned word = place_of(frame) / WORD_BITS;
    uint32_t b = block_of(frame);
    qa64 *w;

    qi_assert(starts != 0 && order > 0 && order <= WORD_ORDER);
    /* relaxed: the caller's block */
    if (!has_run_map(z) ||
        (qa_load(desc_of(z, b), relaxed) & (D_STATE | D_PINS)) != D_SPLIT || /* relaxed: as above */
        !are_runs(z, b, word, order, starts))
        return false;
    w = &run_map(z, b)->w[word];
    c = qa_load(w, relaxed); /* relaxed: the exchange below decides */
    do {
        if ((c & more) != more)
            return false;
        /* relaxed: as in qi_run_unmark */
    } while (!qa_cas(w, &c, c & ~more, relaxed));
    *freed = qi_word_clear(z, b, word, mask, left);
    return true;
}
