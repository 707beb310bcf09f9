/* SPDX-License-Identifier: MIT
 *
 * runs.c - a number of frames in as few runs as can be found, for scatter-gather lists and the
 * like.
 *
 * Greedy: ask for all that is missing as one contiguous run; when there is none, for the largest
 * power of two below what was refused, and so on down to single frames. A length that was refused
 * is not asked for again, so there are at most 41 refusals. No state; lock-free, any context.
 */
#include "core/block.h"

int quire_zone_alloc_runs(struct quire_zone *z, quire_slot slot, uint32_t flags, uint64_t frames,
                          struct quire_run runs[], size_t capacity, size_t *count)
{
    uint64_t missing = frames, length = frames;
    int error = quire_precheck(z, slot, flags, 0);

    *count = 0;
    if (!error && (frames == 0 || frames >> QUIRE_PFN_BITS || capacity == 0))
        error = QUIRE_ERR_SIZE;
    if (!error && quire_zone_free_frames(z) < frames)
        error = QUIRE_ERR_NO_MEMORY;
    while (!error && missing > 0) {
        struct quire_contig want = {length, 0, 0, 0, 0};
        struct quire_run *run = &runs[*count];

        if (*count == capacity) {
            error = QUIRE_ERR_NO_MEMORY;
            break;
        }
        error = quire_zone_alloc_contig(z, slot, &want, flags, &run->pfn);
        if (error == QUIRE_OK) {
            run->frames = length;
            ++*count;
            missing -= length;
            if (length > missing)
                length = missing;
        } else if ((error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_SIZE) && length > 1) {
            error = QUIRE_OK;
            length = 1ull << (63 - (unsigned)__builtin_clzll(length - 1));
        }
    }
    if (!error)
        return QUIRE_OK;
    while (*count > 0) {
        --*count;
        (void)quire_zone_free_contig(z, slot, runs[*count].pfn, runs[*count].frames);
    }
    return quire_fail(z, slot, error);
}
