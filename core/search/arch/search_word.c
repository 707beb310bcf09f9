/* SPDX-License-Identifier: MIT
 *
 * search_word.c - the portable search kernel: 64-bit words, no vector register, no libc.
 *
 * Called through qi_search_word, by everyone in freestanding builds, and by the vector kernels
 * for the ends of arrays. No state; wait-free, any context. All loads are relaxed atomics that pair
 * with nothing: the result is a hint for a compare-and-swap elsewhere.
 *
 * Eight bytes are compared at once inside a word ("lanes"). The high bit of each lane is kept aside
 * during the subtraction, so that no borrow crosses into the next lane and every lane is exact.
 */
#include "core/search/search_racy.h"

#define LANES(byte) (UINT64_C(0x0101010101010101) * (byte))

static const uint64_t LANES_HIGH = LANES(0x80);

/* A few bytes next to each other: eight where they are an aligned word, otherwise one. */
struct lane_group {
    uint64_t lanes; /* the first byte lowest */
    uint64_t valid; /* the high bit of every lane that holds a byte */
    size_t count;
};

static inline struct lane_group lane_group_at(const uint8_t *bytes, size_t i, size_t n)
{
    if ((uintptr_t)&bytes[i] % 8 != 0 || n - i < 8) {
        return (struct lane_group){racy_load_byte(&bytes[i]), 0x80, 1};
    }
    uint64_t lanes = racy_load(&bytes[i]);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    lanes = __builtin_bswap64(lanes);
#endif
    return (struct lane_group){lanes, LANES_HIGH, 8};
}

/* The high bit of each lane in which a >= b, unsigned: decided by the high bits where they differ,
 * by the difference of the low seven where they do not. */
static inline uint64_t at_least(uint64_t a, uint64_t b)
{
    uint64_t low_at_least = (a | LANES_HIGH) - (b & ~LANES_HIGH);
    return ((a & ~b) | (~(a ^ b) & low_at_least)) & LANES_HIGH;
}

static inline size_t lane_of(uint64_t hits)
{
    return (size_t)word_first(hits) / 8;
}

static size_t next_byte_word(const uint8_t *bytes, size_t n, size_t from, uint8_t least)
{
    struct lane_group g;

    for (size_t i = from; i < n; i += g.count) {
        g = lane_group_at(bytes, i, n);
        uint64_t hits = at_least(g.lanes, LANES(least)) & g.valid;
        if (hits != 0) {
            return i + lane_of(hits);
        }
    }
    return n;
}

/* The high bit of each of the lanes whose partner fits; the partners lie as the bytes do. */
static inline uint64_t lanes_that_fit(const struct search_fit *fit, size_t i, size_t n,
                                      const struct lane_group *g)
{
    uint64_t lanes = 0;

    if (g->count == 8 && (uintptr_t)&fit->fits[i] % 8 == 0) {
        lanes = lane_group_at(fit->fits, i, n).lanes;
    } else {
        for (size_t k = 0; k < g->count; k++) {
            lanes |= (uint64_t)racy_load_byte(&fit->fits[i + k]) << k * 8;
        }
    }
    lanes &= LANES(fit->mask);
    return at_least(lanes, LANES(fit->low)) & at_least(LANES(fit->high), lanes);
}

void qi_search_narrow_word(const uint8_t *bytes, size_t from, size_t to, uint8_t floor,
                           const struct search_fit *fit, struct search_least *best)
{
    struct lane_group g;

    for (size_t i = from; i < to; i += g.count) {
        g = lane_group_at(bytes, i, to);
        uint64_t hits = at_least(g.lanes, LANES(floor)) & at_least(LANES(best->top), g.lanes);
        if (fit != NULL && hits != 0) {
            hits &= lanes_that_fit(fit, i, to, &g);
        }
        for (hits &= g.valid; hits != 0; hits &= hits - 1) { /* at most eight turns */
            size_t lane = lane_of(hits);
            uint8_t byte = (uint8_t)(g.lanes >> (lane * 8));
            if (byte > best->top) {
                continue; /* an earlier lane of this word was better */
            }
            best->at = i + lane;
            best->top = (uint8_t)(byte - 1);
            if (byte == floor) {
                return;
            }
        }
    }
}

/* search_bit looks at every word anyhow. */
static inline size_t skip_nothing(const uint64_t *words, size_t i, size_t count, uint64_t usual)
{
    (void)words;
    (void)count;
    (void)usual;
    return i;
}

static size_t next_zero_word(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, ~UINT64_C(0), skip_nothing);
}

static size_t next_one_word(const uint64_t *words, size_t bits, size_t from)
{
    return search_bit(words, bits, from, 0, skip_nothing);
}

static size_t least_byte_word(const uint8_t *bytes, size_t n, uint8_t value, size_t index)
{
    return search_least_byte(bytes, n, value, index, NULL, qi_search_narrow_word);
}

static size_t least_fit_word(const uint8_t *bytes, size_t n, uint8_t value, size_t index,
                             const struct search_fit *fit)
{
    return search_least_byte(bytes, n, value, index, fit, qi_search_narrow_word);
}

/* A lane of 16 bits is 0 if neither its high bit is set nor one of the others, which a sum carries
 * into it. The product moves the four answers next to each other. */
static inline uint32_t zero_quarters_word(const uint64_t *words)
{
    const uint64_t low = UINT64_C(0x7fff7fff7fff7fff);
    uint32_t quarters = 0;

    for (unsigned i = SEARCH_QUARTERS / 4; i-- > 0;) {
        uint64_t v = racy_load(&words[i]);
        uint64_t zero = ~(((v & low) + low) | v | low) >> 15;

        quarters = quarters << 4 | (uint32_t)(zero * UINT64_C(0x0001000200040008) >> 48);
    }
    return quarters;
}

/* A byte is large enough if a sum carries into its highest bit. The product moves eight of these
 * next to each other. */
static uint64_t bytes_from_word(const uint8_t *bytes, uint8_t mask, uint8_t least)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t from = 0;

    for (unsigned i = 8; i-- > 0;) {
        uint64_t v = racy_load(bytes + (size_t)i * 8) & mask * ones;
        uint64_t large = (v + (128u - least) * ones) >> 7 & ones;

        from = from << 8 | large * UINT64_C(0x0102040810204080) >> 56;
    }
    return from;
}

static unsigned next_row_word(const struct search_maps *maps, uint64_t which)
{
    const unsigned wanted = maps->wanted;

    /* Once for all lengths: the code is a kernel's. */
    return search_row_by(maps, which, wanted > 1, wanted < 4 ? wanted / 3 : 2, zero_quarters_word);
}

const struct search_kernel qi_search_word = {
    "word",         next_zero_word,     next_one_word,   next_byte_word, least_byte_word,
    least_fit_word, zero_quarters_word, bytes_from_word, next_row_word};
