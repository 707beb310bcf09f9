/* SPDX-License-Identifier: MIT
 *
 * map_words.c - claims of several whole words of a map, the same for frames and for blocks.
 *
 * No state of its own. A claim turns words from 0 to all ones in ascending order; when it meets a
 * word that is not 0 it undoes what it claimed, in the same call. To a thread that looked meanwhile
 * and saw the words taken, an undo is a free: so the caller of a failed claim must set the hints
 * and look whether the block became whole (protocol 3), or no search finds the frames again.
 *
 * Callers: take.c, block_whole.c (frames of a block), section.c (blocks). Lock-free, any context.
 * What the readers here see may be stale; a claim decides.
 */
#include "core/internal.h"

/* Claim words first .. first + n - 1. False: nothing is held, but the words may have been held for
 * a moment. Wait-free, n steps. */
bool qi_map_words_claim(struct map512 *maps, uint64_t first, unsigned n)
{
    qi_assert(n > 0);
    qi_assert(!(first & ((n < MAP_WORDS ? n : MAP_WORDS) - 1)));
    for (unsigned i = 0; i < n; i++) {
        uint64_t v = 0;

        /* E-frame acquire. E-blocks acquire: the last holders are done with the word. */
        if (!qa_cas(word_of(maps, first + i), &v, WORD_FULL, acquire)) {
            qi_map_words_release(maps, first, i);
            return false;
        }
    }
    return true;
}

/* Give back words that are held as a whole. The last access is a read-modify-write, so a caller
 * may go on with qa_fence_after_rmw. Wait-free. */
void qi_map_words_release(struct map512 *maps, uint64_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        /* E-frame release. E-blocks release. It could be relaxed: this is an undo, and what the
         * last holders released goes on with the words. */
        (void)qa_xchg(word_of(maps, first + i), 0, release);
}

/* Did every word read `value` when it was looked at? Wait-free. */
bool qi_map_words_equal(const struct map512 *map, uint64_t value)
{
    for (unsigned i = 0; i < MAP_WORDS; i++)
        if (qa_load(&map->w[i], relaxed) != value) /* relaxed: advisory; a claim decides */
            return false;
    return true;
}

/* How many bits of a map's words are 1. */
static unsigned count_ones(const uint64_t w[])
{
    const uint64_t bytes = 0x00ff00ff00ff00ffu;
    uint64_t sum = 0;

    for (unsigned i = 0; i < MAP_WORDS; i += 2) { /* of two words, by fours: at most 8 */
        uint64_t a = w[i] - (w[i] >> 1 & 0x5555555555555555u);
        uint64_t b = w[i + 1] - (w[i + 1] >> 1 & 0x5555555555555555u);

        a = (a & 0x3333333333333333u) + (a >> 2 & 0x3333333333333333u);
        a += (b & 0x3333333333333333u) + (b >> 2 & 0x3333333333333333u);
        sum += (a & 0x0f0f0f0f0f0f0f0fu) + (a >> 4 & 0x0f0f0f0f0f0f0f0fu);
    }
    sum = (sum & bytes) + (sum >> 8 & bytes);
    return (unsigned)((sum * 0x0001000100010001u) >> 48);
}

/* The free bits of a map, a word each. */
static void read_free(const struct map512 *map, uint64_t free[])
{
    for (unsigned i = 0; i < MAP_WORDS; i++)
        free[i] = ~qa_load(&map->w[i], relaxed); /* relaxed: an estimate */
}

/* About how long the longest aligned run of 0 bits is: one more than its order, 0 if there is none.
 * In *free about how many bits are 0. Wait-free. */
unsigned qi_map_hole(const struct map512 *map, unsigned *free)
{
    static const uint8_t starts[] = {0x55, 0x11}; /* of pairs of words, and of fours */
    uint64_t runs[MAP_WORDS], any = 0;
    unsigned hole = 0, empty = 0;

    read_free(map, runs);
    for (unsigned i = 0; i < MAP_WORDS; i++) {
        any |= runs[i];
        empty |= (unsigned)(runs[i] == WORD_FULL) << i;
    }
    *free = any ? count_ones(runs) : 0;
    /* At each turn `runs` has the starts of the free runs of order `hole`, which is less than 6. */
    while (any && !empty && ++hole <= WORD_ORDER) {
        any = 0;
        for (unsigned i = 0; i < MAP_WORDS; i++)
            any |= runs[i] &= runs[i] >> (1u << (hole - 1)) & word_starts(hole);
    }
    hole = empty ? WORD_ORDER + 1 : hole;
    for (unsigned i = 0; hole == WORD_ORDER + 1 + i && hole < HOLE_MOST; i++) {
        empty &= empty >> (1u << i) & starts[i];
        hole += empty != 0;
    }
    return hole;
}

/* The same for the aligned run that holds word `word`, which is all 0. */
unsigned qi_map_hole_at(const struct map512 *map, unsigned word)
{
    unsigned hole = WORD_ORDER + 1;

    for (unsigned n = 1; hole < HOLE_MOST; n *= 2, hole++) {
        unsigned other = (word ^ n) & ~(n - 1); /* the words that make a run twice as long */

        for (unsigned i = other; i < other + n; i++)
            if (qa_load(&map->w[i], relaxed) != 0) /* relaxed: an estimate */
                return hole;
    }
    return hole;
}

/* About how many bits are 0. Wait-free. */
unsigned qi_map_count_free(const struct map512 *map)
{
    uint64_t free[MAP_WORDS];

    read_free(map, free);
    return count_ones(free);
}
