/* SPDX-License-Identifier: MIT
 *
 * random.h - sequences that can be repeated: one per CPU and purpose.
 */
#ifndef KERNEL_PORT_KERNEL_LIB_RANDOM_H
#define KERNEL_PORT_KERNEL_LIB_RANDOM_H

#include <stdint.h>

/* Never 0. */
typedef struct random {
    uint64_t state;
} random;

static inline random random_from(uint64_t seed, uint64_t which)
{
    random r = {(seed + 1) * 0x9e3779b97f4a7c15 ^ (which + 1) * 0xbf58476d1ce4e5b9};

    if (!r.state)
        r.state = 1;
    return r;
}

/* Marsaglia's xorshift64*, upper half. */
static inline uint32_t random_next(random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)(r->state * 0x2545f4914f6cdd1d >> 32);
}

/* 0 .. n-1, near enough to even. */
static inline uint32_t random_below(random *r, uint32_t n)
{
    return (uint32_t)((uint64_t)random_next(r) * n >> 32);
}

#endif /* KERNEL_PORT_KERNEL_LIB_RANDOM_H */
