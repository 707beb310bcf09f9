/* SPDX-License-Identifier: MIT
 *
 * random.h - repeatable random numbers: SplitMix64. The state is one word, any value will do, and
 * states that differ by little give unrelated numbers. No state of its own: threads and signal
 * handlers keep a word each.
 */
#ifndef QUIRE_STRESS_COMMON_RANDOM_H
#define QUIRE_STRESS_COMMON_RANDOM_H

#include <stdint.h>

/* The next number, all 64 bits of it. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A number below `bound`, which is not 0. */
static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return (random_next(state) >> 8) % bound;
}

/* The state of the i-th of several that are drawn from side by side, for one seed. */
static inline uint64_t random_seed(uint64_t seed, uint64_t i)
{
    uint64_t state = seed ^ i << 32;

    return random_next(&state);
}

#endif /* QUIRE_STRESS_COMMON_RANDOM_H */
