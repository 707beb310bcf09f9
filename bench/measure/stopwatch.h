/* SPDX-License-Identifier: MIT
 *
 * stopwatch.h - the timed section of a sample.
 *
 * start and stop surround a loop of many operations; what lies outside is not measured. A watch
 * may be started and stopped several times, its sections add up. In counting mode (--count-only,
 * under valgrind --tool=callgrind) the same two calls switch the collection of instructions on and
 * off instead, so the time and the count are of the same loop.
 */
#ifndef QUIRE_BENCH_MEASURE_STOPWATCH_H
#define QUIRE_BENCH_MEASURE_STOPWATCH_H

#include "bench/bench.h"

/* Can this build count? (valgrind's header was there.) Is valgrind running us now? */
bool stopwatch_can_count(void);
bool stopwatch_under_valgrind(void);

/* Switch to counting; before any thread is started. */
void stopwatch_count_mode(void);

void stopwatch_start(struct stopwatch *watch);
void stopwatch_stop(struct stopwatch *watch, uint64_t ops);

/* Counting mode: write out what all threads counted since the last time, under a label. */
void stopwatch_count_dump(const char *label);

/* The clock, nanoseconds from some start. */
uint64_t stopwatch_now_ns(void);

/* What reading the clock costs, nanoseconds: about how much a section is too long by. */
double stopwatch_overhead_ns(void);

#endif /* QUIRE_BENCH_MEASURE_STOPWATCH_H */
