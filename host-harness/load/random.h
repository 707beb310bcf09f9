/* SPDX-License-Identifier: MIT
 *
 * random.h - a small repeatable source of random numbers: a counter in steps of an odd number,
 * scrambled by two multiplications (the SplitMix64 construction). The same state gives the same
 * numbers on every machine, which is all that `quire run` asks of it.
 *
 * State: one word, owned by one thread. Wait-free.
 */
#ifndef HOST_HARNESS_LOAD_RANDOM_H
#define HOST_HARNESS_LOAD_RANDOM_H

#include <stdint.h>

/* Scramble: neighbouring inputs give unrelated outputs, different inputs different ones. */
static inline uint64_t random_scramble(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return random_scramble(*state);
}

/* A number below `limit` (1 .. 2^32) from 32 random bits. */
static inline uint64_t random_below(uint32_t bits, uint64_t limit)
{
    return ((uint64_t)bits * limit) >> 32;
}

#endif /* HOST_HARNESS_LOAD_RANDOM_H */
