/* SPDX-License-Identifier: MIT
 *
 * word.h - arithmetic on one 64-bit word of a map. A set bit is taken, a clear bit is free.
 *
 * Pure functions: no state, wait-free, any context. Nothing here needs an instruction beyond the
 * baseline, nor the compiler's library (a popcount builtin would call it).
 */
#ifndef QUIRE_CORE_WORD_H
#define QUIRE_CORE_WORD_H

#include <stdbool.h>
#include <stdint.h>

enum { WORD_BITS = 64, WORD_ORDER = 6 };

#define WORD_FULL UINT64_MAX

/* `n` ones from bit `first` upwards; n 1 .. 64 - first. (The remainder costs nothing: the shift
 * takes it by itself; it shows to checkers that no shift is too long.) */
static inline uint64_t word_mask(unsigned first, unsigned n)
{
    return (WORD_FULL >> (WORD_BITS - n) % WORD_BITS) << first % WORD_BITS;
}

/* `n` up to the next multiple of `to`, a power of two. */
static inline uint64_t rounded_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static inline unsigned word_count(uint64_t v)
{
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)((v * 0x0101010101010101u) >> 56);
}

/* The lowest and the highest set bit of a word that is not 0. The builtin is an instruction or two;
 * where it would be a call of the compiler's library, this is as good. */
static inline unsigned word_first(uint64_t v)
{
#if defined(__riscv) && !defined(__riscv_zbb)
    return word_count((v - 1) & ~v);
#elif __SIZEOF_LONG__ == 4
    uint32_t low = (uint32_t)v;

    return low ? (unsigned)__builtin_ctz(low) : 32 + (unsigned)__builtin_ctz((uint32_t)(v >> 32));
#else
    return (unsigned)__builtin_ctzll(v);
#endif
}

static inline unsigned word_last(uint64_t v)
{
#if defined(__riscv) && !defined(__riscv_zbb)
    for (unsigned shift = 1; shift < WORD_BITS; shift *= 2)
        v |= v >> shift;
    return word_count(v) - 1;
#elif __SIZEOF_LONG__ == 4
    uint32_t high = (uint32_t)(v >> 32);

    return high ? 63 - (unsigned)__builtin_clz(high) : 31 - (unsigned)__builtin_clz((uint32_t)v);
#else
    return 63 - (unsigned)__builtin_clzll(v);
#endif
}

/* n / d, for whom a call of the compiler's library may not come of it: bit by bit on a machine of
 * 32 bits. For figures and for what is read once, not for hits. */
static inline uint64_t word_divide(uint64_t n, uint64_t d)
{
#if __SIZEOF_LONG__ == 4
    uint64_t quotient = 0, rest = 0;

    if ((n | d) >> 32 == 0)
        return (uint32_t)n / (uint32_t)d;
    for (unsigned i = WORD_BITS; i-- > 0;) {
        bool carry = rest >> (WORD_BITS - 1);

        rest = rest << 1 | (n >> i & 1);
        if (carry || rest >= d) {
            rest -= d;
            quotient |= (uint64_t)1 << i;
        }
    }
    return quotient;
#else
    return n / d;
#endif
}

/* Where an aligned run of 2^order bits may start, order 0 .. 6. */
static inline uint64_t word_starts(unsigned order)
{
    static const uint64_t starts[WORD_ORDER + 1] = {
        0xffffffffffffffffu, 0x5555555555555555u, 0x1111111111111111u, 0x0101010101010101u,
        0x0001000100010001u, 0x0000000100000001u, 0x0000000000000001u,
    };

    return starts[order];
}

/* The lowest bits of all aligned runs of 2^order free bits, order 0 .. 6. */
static inline uint64_t word_free_runs(uint64_t v, unsigned order)
{
    uint64_t free = ~v;

    for (unsigned i = 0; i < order && free; i++)
        free &= free >> (1u << i);
    return free & word_starts(order);
}

/* The lowest bit of an aligned run of 2^order free bits, order 0 .. 6, that is part of the shortest
 * longer one, so that long runs stay whole; the first of these; 64 if none. */
static inline unsigned word_find_run(uint64_t v, unsigned order)
{
    uint64_t fits;

    if (v == 0)
        return 0;
    fits = v == WORD_FULL ? 0 : word_free_runs(v, order);
    if (!fits)
        return WORD_BITS;
    /* The starts of runs of the next order, and so on, as long as some others remain. */
    for (; order < WORD_ORDER; order++) {
        uint64_t longer = fits & fits >> (1u << order) & word_starts(order + 1);
        uint64_t rest = fits & ~(longer | longer << (1u << order));

        if (rest)
            return word_first(rest);
        fits = longer;
    }
    return word_first(fits);
}

/* Where n set bits in a row begin, n <= 64. */
static inline uint64_t word_rows(uint64_t v, unsigned n)
{
    /* At each step a bit says that so many bits from it on are set: a power of two, up to half of
     * n; in the end n. At most 6 steps. */
    unsigned have = 1;

    for (; v && 2 * have <= n; have *= 2)
        v &= v >> have;
    return v & v >> (n - have) % WORD_BITS;
}

/* One more than the order of the longest aligned run of free bits; 0 if none is free. */
static inline unsigned word_hole(uint64_t v)
{
    uint64_t free = ~v;
    unsigned hole = 0;

    /* At each turn `free` has the starts of the free runs of order `hole`. */
    while (free && ++hole <= WORD_ORDER)
        free &= free >> (1u << (hole - 1)) & word_starts(hole);
    return hole <= WORD_ORDER ? hole : WORD_ORDER + 1;
}

/* Did a free that left the free bits `free` complete a pair of them with one of `mask`? */
static inline bool word_has_pair(uint64_t free, uint64_t mask)
{
    uint64_t pairs = free & free >> 1 & word_starts(1);

    return (pairs | pairs << 1) & mask;
}

/* The lowest `n` set bits of `v`, or all of them if there are fewer. */
static inline uint64_t word_lowest(uint64_t v, unsigned n)
{
    unsigned have = word_count(v);
    uint64_t high = v, low;

    if (have <= n)
        return v;
    /* Mostly they follow one another. */
    low = ((1ull << n % WORD_BITS) - 1) << word_first(v);
    if ((v & low) == low)
        return low;
    if (have - n < n) {
        for (unsigned i = have - n; i > 0; i--)
            v &= ~(uint64_t)0 >> (63 - word_last(v)) >> 1;
        return v;
    }
    for (unsigned i = n; i > 0; i--)
        high &= high - 1;
    return v & ~high;
}

#endif /* QUIRE_CORE_WORD_H */
