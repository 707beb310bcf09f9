/* SPDX-License-Identifier: MIT
 *
 * sizes.h - sizes that tests count in, in frames (BLOCK, SECTION) and in bytes (all others).
 */
#ifndef QUIRE_STRESS_COMMON_SIZES_H
#define QUIRE_STRESS_COMMON_SIZES_H

#include <quire/types.h>

enum {
    BLOCK = 1 << QUIRE_BLOCK_ORDER, /* frames */
    SECTION = BLOCK * BLOCK,        /* frames */
    FRAME_BYTES = QUIRE_FRAME_SIZE,
};

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

#endif /* QUIRE_STRESS_COMMON_SIZES_H */
