/* SPDX-License-Identifier: MIT
 *
 * measure.h - running the configurations and collecting the results. Main thread only.
 */
#ifndef QUIRE_BENCH_MEASURE_MEASURE_H
#define QUIRE_BENCH_MEASURE_MEASURE_H

#include "bench/options.h"

/* Run everything that the options select. `done` is called after each configuration with the
 * results that it added, while more are to come. The list is allocated; results_release. */
void measure_all(const struct options *options, struct results *results,
                 void (*done)(const struct result *first, size_t count));

#endif /* QUIRE_BENCH_MEASURE_MEASURE_H */
