/* SPDX-License-Identifier: MIT
 *
 * metadata.c - the metadata's share of an arena of 64 GiB. No state.
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
