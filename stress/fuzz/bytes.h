/* SPDX-License-Identifier: MIT
 *
 * bytes.h - an input as a stream of numbers, little-endian, as many bytes each as its bound needs;
 * when it is used up, all further ones are 0.
 */
#ifndef QUIRE_STRESS_FUZZ_BYTES_H
#define QUIRE_STRESS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *next;
    size_t left;
};

/* The next number, below `bound`; `ctx`: a struct bytes. */
static uint64_t take_number(void *ctx, uint64_t bound)
{
    struct bytes *b = ctx;
    uint64_t n = 0;
    unsigned size = bound <= 256 ? 1 : bound <= 65536 ? 2 : 5;

    for (unsigned i = 0; i < size && b->left > 0; i++, b->left--)
        n |= (uint64_t)*b->next++ << 8 * i;
    return n % bound;
}

static int is_left(void *ctx)
{
    const struct bytes *b = ctx;

    return b->left > 0;
}

#endif /* QUIRE_STRESS_FUZZ_BYTES_H */
