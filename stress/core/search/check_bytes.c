/* SPDX-License-Identifier: MIT
 *
 * check_bytes.c - next_byte, least_byte, least_fit and bytes_from against searches that look at one
 * byte after the other. Every length from 0 to 600 is used at both ends of the arena, so that all
 * alignments occur and a read before or behind the array is fatal.
 */
#include "check.h"

#include "stress/common/random.h"
#include "stress/common/sanitized.h"

enum { LONGEST = ONE_THREAD(600, 100), VALUES = UINT8_MAX + 1 };

typedef bool array_check(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                         uint64_t *state);

/* Every length, at the low and at the high end, with two of the patterns in turn: enough, and fast
 * enough under the sanitizers and under emulation. */
static bool for_arrays(const struct search_kernel *search, array_check *check)
{
    struct arena arena = arena_map(LONGEST);
    uint64_t state = 2;
    bool good = true;

    for (size_t n = 0; good && n <= LONGEST; n++) {
        for (size_t pattern = n % 4; good && pattern < PATTERNS; pattern += 4) {
            fill(arena.low, n, (enum pattern)pattern, &state);
            good = check(search, arena.low, n, &state);
            fill(arena.high - n, n, (enum pattern)pattern, &state);
            good = good && check(search, arena.high - n, n, &state);
        }
    }
    arena_unmap(arena);
    return good;
}

/* ---- next_byte ----------------------------------------------------------------------------- */

/* From every place, to the first and the last byte value, the ones in the middle and a random one.
 */
static bool every_from(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                       uint64_t *state)
{
    const uint8_t bounds[] = {0, 1, 0x7f, 0x80, 0xff, (uint8_t)random_next(state)};

    for (size_t i = 0; i < sizeof bounds; i++) {
        size_t expected = n;
        for (size_t from = n + 2; from-- > 0;) {
            if (from < n && bytes[from] >= bounds[i]) {
                expected = from;
            }
            if (!expect(search, "next_byte", bytes, n, from, bounds[i], expected,
                        search->next_byte(bytes, n, from, bounds[i]))) {
                return false;
            }
        }
    }
    return expect(search, "next_byte", bytes, n, SIZE_MAX, 0, n,
                  search->next_byte(bytes, n, SIZE_MAX, 0));
}

static bool every_least(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                        uint64_t *state)
{
    size_t from = random_next(state) % (n + 1);
    size_t expected = from;

    for (unsigned least = 0; least < VALUES; least++) {
        while (expected < n && bytes[expected] < least) {
            expected++;
        }
        if (!expect(search, "next_byte", bytes, n, from, least, expected,
                    search->next_byte(bytes, n, from, (uint8_t)least))) {
            return false;
        }
    }
    return true;
}

bool check_next_byte(const struct search_kernel *search)
{
    return for_arrays(search, every_from) && for_arrays(search, every_least);
}

/* ---- least_byte ---------------------------------------------------------------------------- */

/* greater[v] becomes the first place of the smallest byte above v; n if none. */
static void find_greater(const uint8_t *bytes, size_t n, size_t greater[VALUES])
{
    size_t first[VALUES];
    size_t next = n;

    for (size_t v = 0; v < VALUES; v++) {
        first[v] = n;
    }
    for (size_t i = n; i-- > 0;) {
        first[bytes[i]] = i;
    }
    for (size_t v = VALUES; v-- > 0;) {
        greater[v] = next;
        next = first[v] < n ? first[v] : next;
    }
}

static size_t naive_least(const uint8_t *bytes, size_t n, const size_t greater[VALUES],
                          uint8_t value, size_t index)
{
    for (size_t i = index; i < n; i++) {
        if (i != index && bytes[i] == value) {
            return i;
        }
    }
    return greater[value];
}

static bool ask_least(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                      const size_t greater[VALUES], uint8_t value, size_t index)
{
    return expect(search, "least_byte", bytes, n, value, index,
                  naive_least(bytes, n, greater, value, index),
                  search->least_byte(bytes, n, value, index));
}

/* Values and indices on an edge. */
static bool edges(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                  const size_t greater[VALUES])
{
    const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    const size_t indices[] = {0, n / 2, n - 1, n, SIZE_MAX};

    for (size_t v = 0; v < sizeof values; v++) {
        for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
            if (!ask_least(search, bytes, n, greater, values[v], indices[i])) {
                return false;
            }
        }
    }
    return true;
}

/* Going from each byte to the next greater pair meets all bytes but zeros, each once, in order. */
static bool walk(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                 const size_t greater[VALUES])
{
    size_t index = n;
    uint8_t value = 0;

    do {
        if (!ask_least(search, bytes, n, greater, value, index)) {
            return false;
        }
        index = naive_least(bytes, n, greater, value, index);
        value = index < n ? bytes[index] : value;
    } while (index < n);
    return true;
}

/* Every value, after all places and after one at random; then the above. */
static bool every_value(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                        uint64_t *state)
{
    size_t greater[VALUES];

    find_greater(bytes, n, greater);
    for (size_t value = 0; value < VALUES; value++) {
        size_t index = random_next(state) % (n + 1);
        if (!ask_least(search, bytes, n, greater, (uint8_t)value, n) ||
            !ask_least(search, bytes, n, greater, (uint8_t)value, index)) {
            return false;
        }
    }
    return edges(search, bytes, n, greater) && walk(search, bytes, n, greater);
}

bool check_least_byte(const struct search_kernel *search)
{
    return for_arrays(search, every_value);
}

/* ---- least_fit ----------------------------------------------------------------------------- */

static size_t naive_fit(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                        const struct search_fit *fit)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        uint8_t part = fit->fits[i] & fit->mask;

        if ((bytes[i] > value || (bytes[i] == value && i > index)) && part >= fit->low &&
            part <= fit->high && (best == n || bytes[i] < bytes[best])) {
            best = i;
        }
    }
    return best;
}

static bool ask_fit(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                    uint8_t value, size_t index, const struct search_fit *fit)
{
    return expect(search, "least_fit", bytes, n, value, index,
                  naive_fit(bytes, n, value, index, fit),
                  search->least_fit(bytes, n, value, index, fit));
}

/* The bytes as their own partners, at the same place or moved by one (so that the two arrays are
 * aligned differently), with bounds on edges and at random: what fits is none, some or all. */
static bool every_fit(const struct search_kernel *search, const uint8_t *bytes, size_t n,
                      uint64_t *state)
{
    const uint8_t masks[] = {UINT8_MAX, 15};
    size_t shift = n > 1 ? random_next(state) % 2 : 0;

    for (unsigned i = 0; n > 0 && i < 64; i++) {
        uint64_t random = random_next(state);
        uint8_t a = (uint8_t)(random >> 8), b = (uint8_t)(random >> 16), value = (uint8_t)random;
        struct search_fit fit = {bytes + shift, masks[i % 2], i % 4 ? a : 0, i % 8 ? b : UINT8_MAX};

        if (!ask_fit(search, bytes, n - shift, 0, n - shift, &fit) ||
            !ask_fit(search, bytes, n - shift, value | 1, (random >> 24) % (n + 1), &fit) ||
            !ask_fit(search, bytes, n - shift, bytes[0] | 1, n / 2, &fit)) {
            return false;
        }
    }
    return true;
}

bool check_least_fit(const struct search_kernel *search)
{
    return for_arrays(search, every_fit);
}

/* ---- bytes_from ----------------------------------------------------------------------------- */

enum { SIXTY_FOUR = 64 };

static bool ask_from(const struct search_kernel *search, const uint8_t *bytes, uint8_t mask,
                     uint8_t least)
{
    uint64_t expected = 0, got = search->bytes_from(bytes, mask, least);

    for (size_t i = SIXTY_FOUR; i-- > 0;) {
        expected = expected << 1 | ((bytes[i] & mask) >= least);
    }
    return expect(search, "bytes_from", bytes, SIXTY_FOUR, mask, least, (size_t)(expected >> 32),
                  (size_t)(got >> 32)) &&
           expect(search, "bytes_from", bytes, SIXTY_FOUR, mask, least, (uint32_t)expected,
                  (uint32_t)got);
}

/* Each pattern, at both ends of the arena, with each bound and masks of both sizes. */
bool check_bytes_from(const struct search_kernel *search)
{
    static const uint8_t masks[] = {15, 127, 7, 1};
    struct arena arena = arena_map(SIXTY_FOUR);
    uint64_t state = 7;
    bool good = true;

    for (unsigned i = 0; good && i < 4 * PATTERNS; i++) {
        fill(arena.low, SIXTY_FOUR, (enum pattern)(i % PATTERNS), &state);
        fill(arena.high - SIXTY_FOUR, SIXTY_FOUR, (enum pattern)(i % PATTERNS), &state);
        for (unsigned least = 0; good && least < 128; least++) {
            good = ask_from(search, arena.low, masks[i / PATTERNS], (uint8_t)least) &&
                   ask_from(search, arena.high - SIXTY_FOUR, masks[i / PATTERNS], (uint8_t)least);
        }
    }
    arena_unmap(arena);
    return good;
}
