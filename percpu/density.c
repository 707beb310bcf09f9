/* SPDX-License-Identifier: MIT
 *
 * density.c - density-aware recycling: which blocks are sparse.
 *
 * A plain last-in-first-out cache hands the frame just freed to the next caller for ever: fast, but
 * fragmented memory stays as it is. So a free reads the fullness byte of the frame's block (half
 * the number of its free frames). A frame of a dense block goes into the loaded magazine and is
 * used again at once. One of a sparse block goes into the outgoing magazine and from there to the
 * zone, while refills take what the fullest blocks have. So sparse blocks run empty and become
 * whole, dense ones fill up, and what is left to do gets less until nothing moves any more.
 *
 * A block is sparse if its byte is above a limit: half of the mean byte of the split blocks. The
 * mean falls as memory heals, and the limit with it, so there are always blocks above it that give
 * up their frames; but not below DENSE_ALWAYS, where a block is as good as full and draining it
 * would move frames without end. The bytes are written where frames leave and reach the zone, so a
 * hit only compares.
 *
 * The mean is estimated, as a machine has too many blocks to count: a sample takes SAMPLE_BLOCKS
 * blocks, from another place each time, and moves the mean by a part of the difference. Samples are
 * taken every DENSITY_PERIOD refills (a fraction of a ns a frame) and, many, in
 * quire_cache_maintain. That is the call that matters in the end: once memory has almost healed no
 * magazine meets the zone any more, the limit would stay where it is, and the last frames of a
 * sparse block would lie in an outgoing magazine that never fills; so maintenance flushes those
 * too.
 *
 * What comes of it: share of the possible whole blocks, 2 and 8 GiB, one and two threads, free a
 * random frame and allocate one, a maintenance per round. After 100 rounds of a tenth at half full,
 * 98 to 99 %; after 300 rounds of a twentieth at 80 %, 99 %, at 90 %, 98 to 99 %, at 95 %, 97 to
 * 99 % (the zone without a cache: 84 %). Without maintenance: 30 to 95 %, whatever the limit.
 *
 * State: `mean`, `samples` and `sparse_limit` of struct quire_cache_state, hints:
 *
 *             sample   push
 *   sample      X       X      (two samples at once: one may be lost; a push may use the old limit)
 *
 * Callers: refills and maintenance, any context. Wait-free. The bytes and descriptors read may be
 * stale by any amount.
 */
#include "core/layout.h"
#include "percpu/cpu_cache.h"

enum {
    SAMPLE_BLOCKS = 64, /* blocks a sample: one line of bytes, four of descriptors */
    MEAN_ONE = 256,     /* the mean's unit: one 256th */
    MEAN_WEIGHT = 16,   /* a sample counts one part in so many */
    DENSE_ALWAYS = 4,   /* bytes up to this one are dense: at most 8 free frames */
};
/* Odd and near 2^32 over the golden ratio, so that samples that follow each other lie far apart. */
#define SAMPLE_SCATTER 0x9e3779b1u

/* The mean byte of the split blocks among SAMPLE_BLOCKS, in MEAN_ONEs; `none` if none is split. */
static uint32_t mean_fullness(const struct quire_zone *z, uint32_t first, uint32_t none)
{
    uint32_t sum = 0, blocks = 0;

    for (uint32_t b = first; b < first + SAMPLE_BLOCKS; b++) {
        sum += qa_load(full_of(z, b), relaxed);                           /* relaxed: a hint */
        blocks += desc_state(qa_load(desc_of(z, b), relaxed)) == D_SPLIT; /* relaxed: a hint */
    }
    return blocks ? sum * MEAN_ONE / blocks : none;
}

/* Sample the density in `times` places and set the limit by it. */
void qi_density_sample(struct quire_cache *c, unsigned times)
{
    struct quire_cache_state *s = c->state;
    uint32_t pieces = c->zone->sections * (SECTION_BLOCKS / SAMPLE_BLOCKS);
    uint32_t mean = qa_load(&s->mean, relaxed); /* relaxed: a hint */
    uint32_t limit;

    for (unsigned i = 0; i < times; i++) {
        uint32_t sample = qa_add(&s->samples, 1, relaxed); /* relaxed: any place will do */
        uint32_t piece = (uint32_t)((uint64_t)(sample * SAMPLE_SCATTER) * pieces >> 32);

        mean -= mean / MEAN_WEIGHT;
        mean += mean_fullness(c->zone, piece * SAMPLE_BLOCKS, mean) / MEAN_WEIGHT;
    }
    qa_store(&s->mean, mean, relaxed); /* relaxed: a hint */
    limit = mean / MEAN_ONE / 2;
    if (limit < DENSE_ALWAYS)
        limit = DENSE_ALWAYS;
    if (qa_load(&s->sparse_limit, relaxed) != limit) /* relaxed: a hint */
        qa_store(&s->sparse_limit, limit, relaxed);  /* relaxed: a hint; every free reads it */
}
