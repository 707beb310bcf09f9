/* SPDX-License-Identifier: MIT
 *
 * main.c - quire-bench: times page-frame allocators side by side, in one process, in turns. See
 * bench.h for what is measured and what is not, README.md for how to read the output.
 *
 * Exit status: 0 if everything ran, 1 if an operation failed, an allocator lost a frame or a file
 * could not be written, 2 for a bad command line. Never because a figure is bad.
 */
#include "bench/allocators/allocators.h"
#include "bench/measure/counts.h"
#include "bench/measure/measure.h"
#include "bench/measure/pool.h"
#include "bench/measure/stopwatch.h"
#include "bench/report/figures.h"
#include "bench/report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Workers may be in the middle of anything, so leave without running exit handlers. */
void bench_die(const char *what, const char *detail)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "quire-bench: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    _exit(1);
}

void bench_fail(const struct run *run, const char *operation, int error)
{
    char where[256];

    (void)snprintf(where, sizeof(where),
                   "%s (error %d), allocator %s, case %s, %u threads, order %u, batch %u",
                   operation, error, run->allocator->name, run->bench->name, run->threads,
                   run->variant->order, run->variant->batch);
    bench_die("FAILED", where);
}

void *bench_memory(size_t count, size_t size)
{
    size_t bytes = count * size > 0 ? count * size : 1;
    void *memory = malloc(bytes);

    if (!memory) {
        bench_die("out of memory", NULL);
    }
    return memset(memory, 0, bytes);
}

/* Allocators that this machine lacks are left out, and said to be. */
static void leave_out_missing(struct options *options)
{
    for (size_t i = 0; i < bench_allocator_count; i++) {
        const struct allocator *allocator = bench_allocators[i];
        const char *why =
            allocator->missing && options->allocators >> i & 1 ? allocator->missing() : NULL;

        if (why) {
            (void)fprintf(stderr, "quire-bench: left out: %s: %s\n", allocator->name, why);
            options->allocators &= ~(UINT64_C(1) << i);
        }
    }
}

static unsigned most_threads(const struct options *options)
{
    unsigned most = 0;

    for (unsigned i = 0; i < options->thread_counts; i++) {
        most = options->threads[i] > most ? options->threads[i] : most;
    }
    return most;
}

static void count_instructions(const struct options *options)
{
    struct results none = {0};

    stopwatch_count_mode();
    pool_start(1);
    measure_all(options, &none, report_rows);
    pool_stop();
    results_release(&none);
}

/* Measure everything and report it, as JSON too if there is a file; the exit status. */
static int measure_and_report(const struct options *options, FILE *json)
{
    struct bench_machine machine;
    struct results results = {0};
    int status = 0;

    machine_read(&machine);
    report_head(&machine, options);
    pool_start(most_threads(options));
    measure_all(options, &results, report_rows);
    pool_stop();
    if (results.count == 0) {
        (void)fprintf(stderr,
                      "quire-bench: nothing to run: spsc needs 2 threads, init 1, and not every "
                      "allocator has every case, nor every case every variant\n");
        return 2;
    }
    report_tail(&results, options);
    if (json && !report_json(json, &machine, options, &results)) {
        (void)fprintf(stderr, "quire-bench: --json %s: could not be written\n", options->json);
        status = 1;
    }
    results_release(&results);
    return status;
}

/* Where the JSON goes. "-" is standard output, and everything else that is printed goes to standard
 * error from then on. NULL with errno set. */
static FILE *open_json(const char *path)
{
    int out;

    if (strcmp(path, "-") != 0) {
        return fopen(path, "w");
    }
    out = dup(STDOUT_FILENO);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        return NULL;
    }
    return fdopen(out, "w");
}

int main(int argc, char **argv)
{
    struct options options;
    FILE *json = NULL;

    heap_prepare(argv);
    options_read(&options, argc, argv);
    leave_out_missing(&options);
    if (options.count_only) {
        count_instructions(&options);
        return 0;
    }
    if (options.instructions && !counts_load(options.instructions)) {
        return 1;
    }
    if (options.json) {
        json = open_json(options.json);
        if (!json) {
            (void)fprintf(stderr,
                          "quire-bench: --json %s: %s: expected a file that can be written\n",
                          options.json, strerror(errno));
            return 1;
        }
    }
    int status = measure_and_report(&options, json);

    if (json) {
        (void)fclose(json);
    }
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        (void)fprintf(stderr, "quire-bench: the tables could not be written: %s\n",
                      strerror(errno));
        status = 1;
    }
    return status;
}
