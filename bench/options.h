/* SPDX-License-Identifier: MIT
 *
 * options.h - the command line of quire-bench. Main thread, before anything else runs.
 */
#ifndef QUIRE_BENCH_OPTIONS_H
#define QUIRE_BENCH_OPTIONS_H

#include "bench.h"

enum { OPTIONS_THREAD_COUNTS = 8 };

struct options {
    bool quick;
    bool count_only;
    unsigned rounds;      /* 0: as quick or full say */
    unsigned scale;       /* one scale-th of the work */
    uint64_t cases;       /* bit i: bench_cases[i] */
    uint64_t allocators;  /* bit i: bench_allocators[i] */
    const char *variants; /* words of their names, comma-separated; NULL: all */
    unsigned threads[OPTIONS_THREAD_COUNTS];
    unsigned thread_counts;
    const char *json;         /* NULL: none; "-": standard output */
    const char *instructions; /* NULL: none; "-": standard input */
};

/* Read the command line. Bad options end the program with one line on stderr and status 2, --help
 * and --version with what they ask for on stdout and status 0. */
void options_read(struct options *options, int argc, char **argv);

/* How much work that means. */
struct effort options_effort(const struct options *options);

#endif /* QUIRE_BENCH_OPTIONS_H */
