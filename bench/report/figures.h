/* SPDX-License-Identifier: MIT
 *
 * figures.h - from the samples of a run to its result, and finding a result. Main thread only.
 */
#ifndef QUIRE_BENCH_REPORT_FIGURES_H
#define QUIRE_BENCH_REPORT_FIGURES_H

#include "bench/bench.h"

/* The result of a run that has taken its samples, at least one. Its shares are allocated;
 * results_release gives them back with the list. */
struct result figures_result(const struct run *run);

void results_append(struct results *results, struct result result);
void results_release(struct results *results);

/* The result of a configuration, or NULL. `fill` and `start` are 0 but for churn. Of several
 * variants the first one with this order. */
const struct result *results_find(const struct results *results, const char *bench,
                                  const char *allocator, unsigned threads, unsigned order,
                                  unsigned fill, enum start start);

#endif /* QUIRE_BENCH_REPORT_FIGURES_H */
