/* SPDX-License-Identifier: MIT
 *
 * hist.c - the histogram of hist.h. A value's bucket is its highest HIST_SUB_BITS + 1 bits,
 * read as a number, plus 2^HIST_SUB_BITS for every bit that was shifted out.
 */
#include "hist.h"

static unsigned bucket_of(uint64_t ns)
{
    unsigned top, shift;

    if (ns >> HIST_SUB_BITS == 0)
        return (unsigned)ns;
    top = 63u - (unsigned)__builtin_clzll(ns);
    if (top > HIST_TOP_BIT)
        return HIST_BUCKETS - 1;
    shift = top - HIST_SUB_BITS;
    return (shift << HIST_SUB_BITS) + (unsigned)(ns >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2u << HIST_SUB_BITS)
        return bucket;
    shift = (bucket >> HIST_SUB_BITS) - 1;
    return (((uint64_t)bucket - (shift << HIST_SUB_BITS) + 1) << shift) - 1;
}

void hist_add(struct hist *hist, uint64_t ns)
{
    hist->buckets[bucket_of(ns)]++;
    hist->count++;
    if (ns > hist->max)
        hist->max = ns;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t hist_percentile(const struct hist *hist, double part)
{
    double wanted = part * (double)hist->count;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HIST_BUCKETS && hist->count > 0; i++) {
        seen += hist->buckets[i];
        if (hist->buckets[i] > 0 && (double)seen >= wanted)
            return bucket_end(i) < hist->max ? bucket_end(i) : hist->max;
    }
    return hist->max;
}
