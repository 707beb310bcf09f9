/* SPDX-License-Identifier: MIT
 *
 * counts.h - instructions per operation, counted beforehand by bench/instructions.sh. Main thread.
 */
#ifndef QUIRE_BENCH_MEASURE_COUNTS_H
#define QUIRE_BENCH_MEASURE_COUNTS_H

#include "bench/bench.h"

/* Read the file; false, after one line on stderr, if it cannot be read or is no such file. */
bool counts_load(const char *path);

/* The count that belongs to a result of one thread; NAN if there is none. */
double counts_find(const struct result *result);

#endif /* QUIRE_BENCH_MEASURE_COUNTS_H */
