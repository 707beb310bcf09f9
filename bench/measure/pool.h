/* SPDX-License-Identifier: MIT
 *
 * pool.h - the worker threads: one per lane, each pinned to a CPU of its own, started once and
 * asleep between jobs. Thread context, blocking; used by the main thread only.
 */
#ifndef QUIRE_BENCH_MEASURE_POOL_H
#define QUIRE_BENCH_MEASURE_POOL_H

#include "bench/bench.h"

/* CPUs that this process may run on. */
unsigned pool_cpus(void);

/* Start workers 0 .. threads-1; worker i runs on the (i modulo CPUs)-th CPU that we may use. */
void pool_start(unsigned threads);
void pool_stop(void);

/* Run `body` in workers 0 .. run->threads-1, each with its lane, and wait for all. */
void pool_run(struct run *run, void (*body)(struct run *run, struct lane *lane));

#endif /* QUIRE_BENCH_MEASURE_POOL_H */
