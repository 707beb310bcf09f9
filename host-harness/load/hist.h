/* SPDX-License-Identifier: MIT
 *
 * hist.h - a log-linear histogram of durations: 32 buckets to every power of two, so that each
 * recorded value is known to within a thirty-second of itself, from 1 ns to 36 minutes.
 *
 * State: a struct hist has one writer at a time; it is merged after its writer has ended.
 * Invariants: I1 count is the sum of the buckets. I2 max is the largest value seen, exactly.
 * I3 values below 32 have a bucket each.
 */
#ifndef HOST_HARNESS_LOAD_HIST_H
#define HOST_HARNESS_LOAD_HIST_H

#include <stdint.h>

enum {
    HIST_SUB_BITS = 5, /* 2^5 buckets to a power of two */
    HIST_TOP_BIT = 40, /* values from 2^41 ns on share the last bucket */
    HIST_BUCKETS = (HIST_TOP_BIT - HIST_SUB_BITS + 2) << HIST_SUB_BITS,
};

struct hist {
    uint64_t count, max;
    uint64_t buckets[HIST_BUCKETS];
};

/* Record `ns` nanoseconds. Wait-free, the owner only. */
void hist_add(struct hist *hist, uint64_t ns);

/* Add what `from` holds to `into`. Wait-free, no thread may write either meanwhile. */
void hist_merge(struct hist *into, const struct hist *from);

/* The smallest duration, in ns and rounded up to its bucket's end, that at least `part` (0 .. 1)
 * of the values do not exceed. 0 for an empty histogram. Wait-free. */
uint64_t hist_percentile(const struct hist *hist, double part);

#endif /* HOST_HARNESS_LOAD_HIST_H */
