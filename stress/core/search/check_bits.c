/* SPDX-License-Identifier: MIT
 *
 * check_bits.c - next_zero, next_one, zero_quarters and next_row against a search that looks at
 * every bit in turn. Every number of words up to three cache lines and one is used at both ends of
 * the arena; quarters are those of one line, and rows those of 64.
 */
#include "check.h"

#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <string.h>

enum { MOST_WORDS = ONE_THREAD(25, 9) };

static bool bit(const uint64_t *words, size_t i)
{
    return (words[i / 64] >> i % 64 & 1) != 0;
}

static size_t next(const struct search_kernel *search, bool one, const uint64_t *words, size_t bits,
                   size_t from)
{
    return one ? search->next_one(words, bits, from) : search->next_zero(words, bits, from);
}

static bool ask(const struct search_kernel *search, bool one, const uint64_t *words, size_t bits,
                size_t from, size_t expected)
{
    return expect(search, one ? "next_one" : "next_zero", words, bits, from, 0, expected,
                  next(search, one, words, bits, from));
}

static bool every_from(const struct search_kernel *search, bool one, const uint64_t *words,
                       size_t bits)
{
    size_t expected = bits;

    for (size_t from = bits + 66; from-- > 0;) {
        if (from < bits && bit(words, from) == one) {
            expected = from;
        }
        if (!ask(search, one, words, bits, from, expected)) {
            return false;
        }
    }
    return ask(search, one, words, bits, SIZE_MAX, bits);
}

/* One bit that is different, at every place. */
static bool every_place(const struct search_kernel *search, bool one, uint64_t *words, size_t bits)
{
    memset(words, one ? 0 : 0xff, bits / 8);
    for (size_t place = 0; place < bits; place++) {
        words[place / 64] ^= UINT64_C(1) << place % 64;
        if (!ask(search, one, words, bits, 0, place) ||
            !ask(search, one, words, bits, place / 2, place) ||
            !ask(search, one, words, bits, place, place) ||
            !ask(search, one, words, bits, place + 1, bits)) {
            return false;
        }
        words[place / 64] ^= UINT64_C(1) << place % 64;
    }
    return true;
}

static bool check_array(const struct search_kernel *search, uint8_t *bytes, size_t bits,
                        uint64_t *state)
{
    uint64_t *words = (uint64_t *)(void *)bytes;

    for (unsigned pattern = 0; pattern < PATTERNS; pattern++) {
        fill(bytes, bits / 8, (enum pattern)pattern, state);
        if (!every_from(search, false, words, bits) || !every_from(search, true, words, bits)) {
            return false;
        }
    }
    return every_place(search, false, words, bits) && every_place(search, true, words, bits);
}

bool check_bits(const struct search_kernel *search)
{
    struct arena arena = arena_map(MOST_WORDS * 8);
    uint64_t state = 3;
    bool good = true;

    for (size_t count = 0; good && count <= MOST_WORDS; count++) {
        good = check_array(search, arena.low, count * 64, &state) &&
               check_array(search, arena.high - count * 8, count * 64, &state);
    }
    arena_unmap(arena);
    return good;
}

/* ---- Quarters ---------------------------------------------------------------------------------
 */

enum { LINE_WORDS = 8, LINE_BITS = 64 * LINE_WORDS };

static bool ask_quarters(const struct search_kernel *search, const uint64_t *words)
{
    uint32_t expected = 0;

    for (size_t i = LINE_BITS; i-- > 0;) {
        bool zero = !bit(words, i) && (i % SEARCH_QUARTER == SEARCH_QUARTER - 1 ||
                                       expected >> i / SEARCH_QUARTER & 1);

        expected &= ~(1u << i / SEARCH_QUARTER);
        expected |= (uint32_t)zero << i / SEARCH_QUARTER;
    }
    return expect(search, "zero_quarters", words, LINE_BITS, 0, 0, expected,
                  search->zero_quarters(words));
}

static void clear_quarter(uint64_t *words, size_t quarter)
{
    words[quarter / 4] &= ~(UINT64_C(0xffff) << quarter % 4 * 16);
}

/* Each pattern with quarters cleared at random; one bit at every place; one quarter at every place.
 */
static bool check_line(const struct search_kernel *search, uint64_t *words, uint64_t *state)
{
    for (unsigned i = 0; i < 64 * PATTERNS; i++) {
        uint64_t cleared = random_next(state);

        cleared &= random_next(state); /* a quarter of the bits: most quarters stay */
        fill((uint8_t *)words, LINE_WORDS * 8, (enum pattern)(i % PATTERNS), state);
        for (size_t quarter = 0; quarter < SEARCH_QUARTERS; quarter++) {
            if (cleared >> quarter & 1) {
                clear_quarter(words, quarter);
            }
        }
        if (!ask_quarters(search, words)) {
            return false;
        }
    }
    for (size_t place = 0; place < LINE_BITS; place++) {
        memset(words, 0, LINE_WORDS * 8);
        words[place / 64] = UINT64_C(1) << place % 64;
        if (!ask_quarters(search, words)) {
            return false;
        }
    }
    for (size_t quarter = 0; quarter < SEARCH_QUARTERS; quarter++) {
        memset(words, 0xff, LINE_WORDS * 8);
        clear_quarter(words, quarter);
        if (!ask_quarters(search, words)) {
            return false;
        }
    }
    return true;
}

bool check_quarters(const struct search_kernel *search)
{
    struct arena arena = arena_map(LINE_WORDS * 8);
    uint64_t state = 5;
    void *low = arena.low, *high = arena.high - LINE_WORDS * 8;
    bool good =
        check_line(search, (uint64_t *)low, &state) && check_line(search, (uint64_t *)high, &state);

    arena_unmap(arena);
    return good;
}

/* ---- next_row ------------------------------------------------------------------------------- */

enum { MAPS = 64 };

/* Has `before`, with `here` above it, so many bits in a row, some of them in `here`? */
static bool has_row(uint32_t before, uint32_t here, unsigned wanted)
{
    uint64_t two = (uint64_t)here << 32 | before;

    for (unsigned first = 33 - wanted; first + wanted <= 64; first++) {
        unsigned i = 0;

        while (i < wanted && two >> (first + i) & 1) {
            i++;
        }
        if (i == wanted) {
            return true;
        }
    }
    return false;
}

static bool ask_row(const struct search_kernel *search, const struct search_maps *maps,
                    uint64_t which)
{
    uint32_t before = UINT32_MAX;
    size_t expected = MAPS;

    for (size_t i = 0; i < MAPS && expected == MAPS; i++) {
        uintptr_t map = maps->first + i * maps->stride;
        uint32_t here = search->zero_quarters((const uint64_t *)map);

        if (which >> i & 1 && has_row(before, here, maps->wanted)) {
            expected = i;
        }
        before = which >> i & 1 ? here : maps->tail;
    }
    return expect(search, "next_row", (const uint8_t *)maps->first, MAPS, which != 0, maps->wanted,
                  expected, search->next_row(maps, which));
}

/* Rows of every length, in maps of which few to most quarters are zero, side by side or with
 * something in between, of which one, some or all are asked for. What a map may have at its end is
 * shorter than a row. */
bool check_rows(const struct search_kernel *search)
{
    struct arena arena = arena_map(MAPS * 2 * LINE_WORDS * 8);
    uint64_t state = 6;
    bool good = true;

    for (unsigned round = 0; good && round < ONE_THREAD(64, 8) * SEARCH_QUARTERS; round++) {
        uint64_t random = random_next(&state), which = random_next(&state);
        size_t stride = LINE_WORDS * 8 * (1 + (random & 1));
        struct search_maps maps = {(uintptr_t)(arena.high - MAPS * stride), stride,
                                   1 + round % SEARCH_QUARTERS, 0};
        void *words = arena.low;

        memset(arena.low, 0xff, (size_t)(arena.high - arena.low));
        for (size_t quarter = 0; quarter < MAPS * 2 * SEARCH_QUARTERS;) {
            uint64_t r = random_next(&state);
            size_t length = 1 + (r >> 8) % (round / SEARCH_QUARTERS % 2 ? 8 : 48);

            for (; length > 0 && quarter < MAPS * 2 * SEARCH_QUARTERS; length--, quarter++) {
                if (r & 1) {
                    clear_quarter((uint64_t *)words, quarter);
                }
            }
        }
        maps.tail = ~(UINT32_MAX >> (random >> 8) % maps.wanted);
        which = random & 2 ? which : random & 4 ? UINT64_MAX : which & random_next(&state);
        good = ask_row(search, &maps, which) && ask_row(search, &maps, which & -which) &&
               ask_row(search, &maps, which & ~(which - 1) << 1) && ask_row(search, &maps, 0);
    }
    arena_unmap(arena);
    return good;
}
