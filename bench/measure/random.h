/* SPDX-License-Identifier: MIT
 *
 * random.h - random numbers for the cases: xorshift, a few instructions each, seeded per lane, so
 * that all allocators see the same sequence. State: lane->random, never 0. Wait-free.
 */
#ifndef QUIRE_BENCH_MEASURE_RANDOM_H
#define QUIRE_BENCH_MEASURE_RANDOM_H

#include "bench/bench.h"

/* Of each seed and lane a sequence of its own. */
static inline void random_seed(struct lane *lane, unsigned seed)
{
    lane->random = 0x9E3779B97F4A7C15u * (uint64_t)(lane->index + 1 + seed * BENCH_MAX_THREADS);
}

/* A number below n, 1 <= n < 2^32. */
static inline size_t random_below(struct lane *lane, size_t n)
{
    uint64_t x = lane->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    lane->random = x;
    return (size_t)(((x >> 32) * n) >> 32);
}

/* Move a random choice of `some` of the lane's units (and their orders, where there are any) to
 * the front, in random order. */
static inline void random_pick(struct lane *lane, size_t some)
{
    for (size_t i = 0; i < some; i++) {
        size_t j = i + random_below(lane, lane->count - i);
        quire_pfn unit = lane->units[i];
        uint8_t order = lane->orders[i];

        lane->units[i] = lane->units[j];
        lane->units[j] = unit;
        lane->orders[i] = lane->orders[j];
        lane->orders[j] = order;
    }
}

#endif /* QUIRE_BENCH_MEASURE_RANDOM_H */
