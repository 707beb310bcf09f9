/* SPDX-License-Identifier: MIT
 *
 * take.c - protocol 1: frames out of one block.
 *
 * Frames are taken only from a block that was seen SPLIT. It may have changed since; then its map
 * reads all ones (I2), and the compare-and-swap finds nothing to take. It may even have become
 * whole and have been split again: then the frame is as free as any other of a SPLIT block. That
 * is why a slot may use a home block that it has lost (I5).
 *
 *   order 0 .. 6    lies in one word: one compare-and-swap.
 *   order 7 and 8   two and four words, in ascending order; what is held is undone when a rival is
 *                   met. An undo is a free: it announces the frames and looks at the block.
 *
 * After a run is taken its continuation bits are set in the run map. They are the taker's, as its
 * frames are, but the word is shared with the neighbours.
 *
 * The caller has debited the count. May run beside everything; a compare-and-swap fails only
 * because another thread took or freed frames of the same word. Lock-free, any context.
 */
#include "core/fastpath.h"

/* Set the run map's bits of the n frames from `first`, all in block b; but not the first one's if
 * the run starts here (`head`). The bits are the owner's until it frees the run. */
void qi_run_mark(const struct quire_zone *z, uint32_t b, unsigned first, unsigned n, bool head)
{
    unsigned end = first + n;

    qi_assert(n > 0 && end <= MAP_BITS);
    if (head)
        first++;
    while (first < end) {
        unsigned bit = first % WORD_BITS;
        unsigned some = end - first < WORD_BITS - bit ? end - first : WORD_BITS - bit;
        uint64_t mask = word_mask(bit, some);
        /* relaxed: the frames are the caller's; E-frame carries it when they are freed */
        uint64_t old = qa_or(&run_map(z, b)->w[first / WORD_BITS], mask, relaxed);

        qi_assert(!(old & mask)); /* I3 */
        first += some;
    }
}

/* An aligned run of 2^order frames, order <= 6, from word w of the map. 64 if there is none. */
static unsigned word_take_run(qa64 *w, unsigned order)
{
    uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange below decides */
    unsigned bit;

    qi_assert(order <= WORD_ORDER);
    while ((bit = word_find_run(v, order)) < WORD_BITS)
        /* E-frame acquire: the last holder of the frames is done with them. Retries only
         * when another thread changed this word, which is that thread's progress. */
        if (qa_cas(w, &v, v | word_mask(bit, 1u << order), acquire))
            break;
    return bit;
}

/* A run of 2^order frames, order > 6: whole words. A rival makes the attempt at one place fail. */
static bool block_take_words(const struct quire_zone *z, uint32_t b, unsigned order,
                             unsigned *place)
{
    struct map512 *map = frame_map(z, b);
    unsigned n = 1u << (order - WORD_ORDER);

    qi_assert(order > WORD_ORDER && order < BLOCK_ORDER);
    for (unsigned first = 0; first + n <= MAP_WORDS; first += n) {
        uint64_t taken = 0;

        for (unsigned i = first; i < first + n; i++)
            taken |= qa_load(&map->w[i], relaxed); /* relaxed: advisory; the claim decides */
        if (taken)
            continue;
        if (qi_map_words_claim(map, first, n)) {
            *place = first * WORD_BITS;
            return true;
        }
        qi_hint_block_free(z, b); /* the undo was a free */
        qi_block_make_whole(z, b);
        qi_stat_add_at(z, b, QUIRE_COUNT_ROLLBACK, 1);
    }
    return false;
}

/* Take an aligned run of 2^order frames, order < 9, from block b. False: there is none, or the
 * block is not SPLIT, or a rival was in the way. */
bool qi_block_take(const struct quire_zone *z, uint32_t b, unsigned order, uint64_t *frame)
{
    unsigned place = MAP_BITS;

    qi_assert(order < BLOCK_ORDER);
    if (order == 0)
        return block_take_one(z, b, frame);
    /* E-desc acquire: the map was cleared after SPLIT was published, not before. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
        return false;
    if (order > WORD_ORDER) {
        if (!block_take_words(z, b, order, &place))
            return false;
    } else {
        for (unsigned i = 0; i < MAP_WORDS; i++) {
            unsigned bit = word_take_run(&frame_map(z, b)->w[i], order);

            if (bit < WORD_BITS) {
                place = i * WORD_BITS + bit;
                break;
            }
        }
        if (place == MAP_BITS)
            return false;
    }
    qi_assert(place % (1u << order) == 0 && place + (1u << order) <= MAP_BITS);
    if (has_run_map(z))
        qi_run_mark(z, b, place, 1u << order, true);
    *frame = frame_at(b, place);
    bytes_take_run(z, *frame, 1ull << order);
    return true;
}

/* The numbers of a word's set bits, of which the first bit's is `base`, into pfns[]. Returns how
 * many. */
static inline unsigned list_word(uint64_t bits, uint64_t base, quire_pfn pfns[])
{
    quire_pfn *at = pfns;

    while (bits) {
        unsigned first = word_first(bits);
        uint64_t pfn = base + first, above = ~(bits >> first);
        /* Those that follow one another. */
        const quire_pfn *end = at + (above ? word_first(above) : WORD_BITS);

        for (; end - at >= 4; at += 4, pfn += 4) {
            at[0].n = pfn;
            at[1].n = pfn + 1;
            at[2].n = pfn + 2;
            at[3].n = pfn + 3;
        }
        while (at < end)
            (at++)->n = pfn++;
        bits &= bits + (bits & -bits);
    }
    return (unsigned)(at - pfns);
}

/* Take up to `want` single frames from block b, as many from each word as it has, with one
 * compare-and-swap a word. Returns how many, their numbers in pfns[]. */
unsigned qi_block_take_many(const struct quire_zone *z, uint32_t b, unsigned want, quire_pfn pfns[])
{
    unsigned got = 0;
    uint64_t base;

    qi_assert(want > 0);
    /* E-desc acquire, as in qi_block_take. */
    if (desc_state(qa_load(desc_of(z, b), acquire)) != D_SPLIT)
        return 0;
    base = pfn_of_frame(z, frame_at(b, 0)).n;
    for (unsigned i = 0; i < MAP_WORDS && got < want; i++) {
        qa64 *w = &frame_map(z, b)->w[i];
        uint64_t v = qa_load(w, relaxed); /* relaxed: the exchange below decides */
        uint64_t some;

        do {
            some = word_lowest(~v, want - got);
            /* E-frame acquire. Retries as in word_take_run. */
        } while (some && !qa_cas(w, &v, v | some, acquire));
        qi_assert(word_count(some) <= want - got);
        got += list_word(some, base + (uint64_t)i * WORD_BITS, pfns + got);
    }
    return got;
}
