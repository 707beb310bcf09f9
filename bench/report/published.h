/* SPDX-License-Identifier: MIT
 *
 * published.h - figures of other allocators that were measured by others, on other machines, to be
 * read beside those of this run. Pure functions of the results.
 */
#ifndef QUIRE_BENCH_REPORT_PUBLISHED_H
#define QUIRE_BENCH_REPORT_PUBLISHED_H

#include "bench/bench.h"

/* What all of them share: who published them, and of what machine. */
extern const char *const published_source;

/* A published figure, and what `quire` took in the case of this run that comes nearest to it. */
struct published {
    const char *allocator; /* "LLFree", "Linux 6.0" */
    const char *bench;     /* the case that comes nearest */
    unsigned order, threads;
    double ns; /* an operation of that case, as one thread saw it */
};

/* The next figure from *index on whose case and order this run has of `quire`, with as many threads
 * or, where the run has not, with one; false after the last. */
bool published_next(const struct results *results, size_t *index, struct published *published,
                    const struct result **ours);

#endif /* QUIRE_BENCH_REPORT_PUBLISHED_H */
