/* SPDX-License-Identifier: MIT
 *
 * metadata.c - the metadata's share of an arena of 64 GiB, and what whole machines need. No state.
 */
#include "metadata.h"

#include <math.h>

double metadata_share(const struct options *options, size_t index)
{
    const struct allocator *allocator = bench_allocators[index];

    if (!(options->allocators >> index & 1) || !allocator->metadata_bytes) {
        return NAN;
    }
    void *arena = allocator->open(METADATA_FRAMES, 2);

    if (!arena) {
        return NAN;
    }
    double bytes = (double)allocator->metadata_bytes(arena);

    allocator->close(arena);
    return bytes / ((double)METADATA_FRAMES * QUIRE_FRAME_SIZE);
}

bool metadata_whole(const struct options *options, size_t index, struct whole *whole)
{
    const struct allocator *allocator = bench_allocators[index];
    void *arena;

    if (!(options->allocators >> index & 1) || !allocator->whole) {
        return false;
    }
    arena = allocator->open(0, 1);
    if (!arena) {
        return false;
    }
    allocator->whole(arena, whole);
    allocator->close(arena);
    return true;
}
