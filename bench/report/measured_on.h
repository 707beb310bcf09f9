/* SPDX-License-Identifier: MIT
 *
 * measured_on.h - what the figures were measured on. Main thread.
 */
#ifndef QUIRE_BENCH_REPORT_MEASURED_ON_H
#define QUIRE_BENCH_REPORT_MEASURED_ON_H

#include "bench/bench.h"

struct bench_machine {
    char cpu[128];
    char kernel[160];
    const char *compiler;
    unsigned cpus;   /* that this process may use */
    double load;     /* running tasks, mean of the last minute, before the first sample */
    double clock_ns; /* what one reading of the clock costs */
};

void machine_read(struct bench_machine *machine);

#endif /* QUIRE_BENCH_REPORT_MEASURED_ON_H */
