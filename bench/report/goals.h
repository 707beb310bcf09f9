/* SPDX-License-Identifier: MIT
 *
 * goals.h - what the figures are to reach: mostly ratios between two figures of the same run, so
 * that they mean the same on a fast machine and on a slow one. They inform; they never decide an
 * exit status, because a benchmark on a busy machine proves nothing. Pure functions of the results.
 */
#ifndef QUIRE_BENCH_REPORT_GOALS_H
#define QUIRE_BENCH_REPORT_GOALS_H

#include "bench/bench.h"

struct goal_report {
    char what[128];
    double measured;
    double target; /* NAN: told for information */
    bool at_least; /* the target is; otherwise it is "at most" */
    bool reached;
    const char *unit; /* "x" for a ratio, "ns" */
};

/* The next goal from *index on that the results can answer; false after the last. */
bool goals_next(const struct results *results, size_t *index, struct goal_report *report);

#endif /* QUIRE_BENCH_REPORT_GOALS_H */
