/* SPDX-License-Identifier: MIT
 *
 * check_bits.c - next_zero and next_one against a search that looks at every bit in turn. Every
 * number of words up to three cache lines and one is used at both ends of the arena.
 */
#include "check.h"

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
