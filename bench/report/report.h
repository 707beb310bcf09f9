/* SPDX-License-Identifier: MIT
 *
 * report.h - the results as a table on stdout, and as JSON in a file. Main thread.
 */
#ifndef QUIRE_BENCH_REPORT_REPORT_H
#define QUIRE_BENCH_REPORT_REPORT_H

#include "bench/options.h"
#include "measured_on.h"

void report_head(const struct bench_machine *machine, const struct options *options);
void report_rows(const struct result *first, size_t count);
void report_tail(const struct results *results, const struct options *options);

/* Write everything to `file`; false if that failed. */
bool report_json(FILE *file, const struct bench_machine *machine, const struct options *options,
                 const struct results *results);

#endif /* QUIRE_BENCH_REPORT_REPORT_H */
