/* SPDX-License-Identifier: MIT
 *
 * run_map.c - protocol 2, runs: the run map of divided blocks.
 *
 * A run's first frame has its run map bit clear, each further one has it set. So the length can be
 * read back, and a free that names another length, or a frame inside, is an error instead of
 * damage. A run may cross words and, if it came from a contiguous allocation, blocks.
 *
 * Two dangers: two frees of one run that both succeed, and a free that wipes the run map bits of
 * the frames' next owner. So the order of a free is:
 *
 *   check, reads only;
 *   clear the continuation bits of the first word that has any: a compare-and-swap that needs all
 *       of them decides which of several racing frees frees the run;
 *   clear the others;
 *   clear the frames' bits, release: from then on the next owner may set its own.
 *
 * Without a run map, or for a single frame, the frame map's bits decide. Callers: free,
 * free_contig, split. May run beside everything. Lock-free, any context. The checks may read old
 * words only of frames that the caller does not own.
 */
#include "core/internal.h"

/* One word of qi_run_check. `head`: the run starts in it. */
static int run_check_word(const struct quire_zone *z, uint64_t frame, uint64_t mask, bool head)
{
    uint32_t b = block_of(frame);
    unsigned word = place_of(frame) / WORD_BITS;
    uint64_t first = head ? mask & -mask : 0;
    uint32_t d = has_map(z, b) ? qa_load(desc_of(z, b), relaxed) /* relaxed: the caller's block */
                               : (uint32_t)D_RESERVED;
    uint64_t v, c;

    qi_assert(mask != 0);
    if (!desc_divided(d))
        return qi_desc_free_error(d);
    if (desc_swept(d, word))
        return QUIRE_ERR_DOUBLE_FREE;
    if (d & D_PINS && qi_pinned_frames(z, b, word) & mask)
        return QUIRE_ERR_FRAME;
    v = qa_load(&frame_map(z, b)->w[word], relaxed); /* relaxed: the bits are the caller's */
    if (head && !(v & first))
        return QUIRE_ERR_DOUBLE_FREE;
    if ((v & mask) != mask)
        return QUIRE_ERR_ORDER;
    if (!has_run_map(z))
        return QUIRE_OK;
    c = qa_load(&run_map(z, b)->w[word], relaxed); /* relaxed: the bits are the caller's */
    return (c & mask) == (mask & ~first) ? QUIRE_OK : QUIRE_ERR_ORDER;
}

/* Does the frame continue a run? False for one that the zone has no map for, and for the first one
 * behind an interruption of physical memory. */
bool qi_run_continues(const struct quire_zone *z, uint64_t frame)
{
    uint32_t b = block_of(frame);

    qi_assert(has_run_map(z));
    if (!has_map(z, b) ||
        (frame % (1ull << SECTION_ORDER) == 0 && !section_follows(z, b / SECTION_BLOCKS)))
        return false;
    /* relaxed: advisory of a neighbour of the caller's run */
    return qa_load(&run_map(z, b)->w[place_of(frame) / WORD_BITS], relaxed) >> frame % WORD_BITS &
           1;
}

/* Is this exactly one allocated run (without a run map: are these allocated frames)? */
int qi_run_check(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t at = frame, left = n, mask;

    qi_assert(n > 0);
    while (left > 0) {
        unsigned some = word_part(at, left, &mask);
        int error = run_check_word(z, at, mask, at == frame);

        if (error == QUIRE_ERR_DOUBLE_FREE && at != frame)
            error = QUIRE_ERR_ORDER; /* a shorter run ends before it */
        if (error)
            return error;
        at += some;
        left -= some;
    }
    return has_run_map(z) && qi_run_continues(z, at) ? QUIRE_ERR_ORDER : QUIRE_OK;
}

/* Take the run out of the run map; of several callers for the same run one gets true. */
bool qi_run_unmark(const struct quire_zone *z, uint64_t frame, uint64_t n)
{
    uint64_t mask, c;
    unsigned some;
    qa64 *w;

    if (!has_run_map(z) || n == 1)
        return true;
    frame++;
    n--;
    some = word_part(frame, n, &mask);
    w = &run_map(z, block_of(frame))->w[place_of(frame) / WORD_BITS];
    c = qa_load(w, relaxed); /* relaxed: the exchange below decides */
    do {
        if ((c & mask) != mask)
            return false;
        /* relaxed: only the bits decide; E-frame publishes. Retries only when a neighbour's run in
         * the same word came or went. */
    } while (!qa_cas(w, &c, c & ~mask, relaxed));
    for (frame += some, n -= some; n > 0; frame += some, n -= some) {
        some = word_part(frame, n, &mask);
        w = &run_map(z, block_of(frame))->w[place_of(frame) / WORD_BITS];
        c = qa_and(w, ~mask, relaxed); /* relaxed: E-frame publishes it with the frames */
        qi_assert((c & mask) == mask); /* the first word decided for all of the run */
    }
    return true;
}

/* The length of the allocated run that starts at `frame`, in a SPLIT block. */
int qi_run_measure(const struct quire_zone *z, uint64_t frame, uint64_t *n)
{
    unsigned word = place_of(frame) / WORD_BITS;
    uint64_t bit = 1ull << frame % WORD_BITS;
    uint64_t end = frame;
    /* relaxed: the run is the caller's, or this is advisory */
    uint64_t v = qa_load(&frame_map(z, block_of(frame))->w[word], relaxed);

    if (!(v & bit))
        return QUIRE_ERR_DOUBLE_FREE;
    if (qi_run_continues(z, frame))
        return QUIRE_ERR_ORDER;
    do {
        uint64_t c, left;

        end++;
        if (!qi_run_continues(z, end))
            break;
        /* relaxed: as above; skip the rest of the word at once */
        c = qa_load(&run_map(z, block_of(end))->w[place_of(end) / WORD_BITS], relaxed);
        left = ~(c >> end % WORD_BITS);
        end += left ? word_first(left) - 1 : WORD_BITS - 1;
    } while (true);
    *n = end - frame;
    return QUIRE_OK;
}
