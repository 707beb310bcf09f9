/* SPDX-License-Identifier: MIT
 *
 * cmd_run.c - `quire run`: load the zones of a memory map with many threads, verify, report.
 *
 * State: one struct run (see run.h), and a flag that signal handlers
 * set. The threads wait at the gate, a mutex, until all of them exist; afterwards nobody waits for
 * anybody until the main thread joins them.
 */
#include "host-harness/load/run.h"

#include "host-harness/load/calls.h"
#include "host-harness/load/mix.h"
#include "host-harness/load/nodes.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    POLL_MS = 20,
    PROGRESS_POLLS = 10,
    TIMER_READINGS = 1001,
    TIMER_SHARE_NS = 10, /* timing may add so much to a call in the mean */
    MAX_SAMPLE = 64,
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* The first signal ends the run with a verdict, the second one the program. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* What a timed call shows too much: the median of readings with nothing between them. */
static void measure_timer(struct run *run)
{
    uint64_t readings[TIMER_READINGS];
    uint64_t sample;

    for (unsigned i = 0; i < TIMER_READINGS; i++) {
        uint64_t begun = call_clock();

        readings[i] = call_clock() - begun;
    }
    qsort(readings, TIMER_READINGS, sizeof(readings[0]), by_value);
    run->timer_ns = readings[TIMER_READINGS / 2];
    sample = (2 * run->timer_ns + TIMER_SHARE_NS - 1) / TIMER_SHARE_NS;
    qa_store(&run->timing, 1, relaxed); /* relaxed: no thread has been started */
    run->sample = sample < 1 ? 1 : sample > MAX_SAMPLE ? MAX_SAMPLE : (uint32_t)sample;
}

static bool build_worker(struct run *run, uint32_t number)
{
    struct worker *w = &run->workers[number];

    *w = (struct worker){
        .run = run,
        .number = number,
        .random = mix_seed(run->options.seed, number),
        .bags = calloc(run->bag_count, sizeof(*w->bags)),
        .burst = calloc(RUN_BURST_RECORDS, sizeof(*w->burst)),
        .latency = calloc(RUN_CALLS, sizeof(*w->latency)),
    };
    if (!w->bags || !w->burst || !w->latency)
        return false;
    for (size_t z = 0; z < run->bag_count; z++) {
        w->bags[z].records = calloc(RUN_BAG, sizeof(struct record));
        if (!w->bags[z].records)
            return false;
    }
    return true;
}

static bool build_workers(struct run *run)
{
    size_t bytes = run->options.threads * sizeof(struct worker);

    run->workers = aligned_alloc(_Alignof(struct worker), bytes);
    if (!run->workers)
        return false;
    memset(run->workers, 0, bytes);
    for (uint32_t t = 0; t < run->options.threads; t++) {
        if (!build_worker(run, t))
            return false;
    }
    return true;
}

static void teardown_workers(struct run *run)
{
    for (uint32_t t = 0; run->workers && t < run->options.threads; t++) {
        struct worker *w = &run->workers[t];

        for (size_t z = 0; w->bags && z < run->bag_count; z++)
            free(w->bags[z].records);
        free(w->bags);
        free(w->burst);
        free(w->latency);
    }
    free(run->workers);
}

static void print_progress(struct run *run, uint64_t elapsed_ns)
{
    uint64_t operations = 0;
    uint64_t calls = 0;
    double seconds = (double)elapsed_ns / 1e9;

    for (uint32_t t = 0; t < run->options.threads; t++) {
        /* relaxed: approximate is enough for a progress line */
        operations += qa_load(&run->workers[t].operations, relaxed);
        calls += qa_load(&run->workers[t].published_calls, relaxed); /* relaxed: as above */
    }
    (void)fprintf(stderr,
                  "\r%.1f s: %" PRIu64 " operations, %" PRIu64 " calls, %.0f calls per second ",
                  seconds, operations, calls, (double)calls / seconds);
    if (run->options.milliseconds)
        (void)fprintf(stderr, "(of %.1f s) ", (double)run->options.milliseconds / 1000);
    (void)fflush(stderr);
}

/* Until the time is over, the threads are done, there is a violation or a signal. */
static void wait_for_end(struct run *run, uint64_t begun)
{
    const struct timespec poll = {0, POLL_MS * 1000000L};
    uint64_t limit = run->options.milliseconds ? run->options.milliseconds * 1000000u : UINT64_MAX;
    bool terminal = isatty(STDERR_FILENO);
    unsigned polls = 0;

    for (;;) {
        uint64_t elapsed = call_clock() - begun;

        /* relaxed: only asked whether to go on waiting */
        if (elapsed >= limit || qa_load(&run->stop, relaxed) ||
            qa_load(&run->finished, relaxed) == run->options.threads) /* relaxed: as above */
            break;
        if (interrupted) {
            run->interrupted = true;
            break;
        }
        if (terminal && ++polls % PROGRESS_POLLS == 0)
            print_progress(run, elapsed);
        if (limit - elapsed < POLL_MS * 1000000u) {
            const struct timespec rest = {0, (long)(limit - elapsed)};

            nanosleep(&rest, NULL);
        } else {
            nanosleep(&poll, NULL);
        }
    }
    if (terminal && polls >= PROGRESS_POLLS)
        (void)fprintf(stderr, "\r\033[K");
    /* relaxed: a thread that sees it late ends one operation later */
    qa_store(&run->stop, 1, relaxed);
}

/* CLI_OK, or CLI_FAILED if the system gives no more threads. */
static int run_threads(struct run *run)
{
    uint32_t started = 0;
    int refused = 0;
    uint64_t begun;

    pthread_mutex_init(&run->gate, NULL);
    pthread_mutex_lock(&run->gate);
    while (started < run->options.threads && !refused) {
        struct worker *w = &run->workers[started];

        refused = pthread_create(&w->thread, NULL, run->way->work, w);
        started += !refused;
    }
    if (refused)
        qa_store(&run->stop, 1, relaxed); /* relaxed: the gate's mutex publishes it */
    begun = call_clock();
    pthread_mutex_unlock(&run->gate);
    if (!refused)
        wait_for_end(run, begun);
    for (uint32_t t = 0; t < started; t++)
        pthread_join(run->workers[t].thread, NULL);
    run->seconds = (double)(call_clock() - begun) / 1e9;
    pthread_mutex_destroy(&run->gate);
    for (uint32_t t = 0; t < started; t++)
        run->calls += run->workers[t].calls;
    if (!refused)
        return CLI_OK;
    cli_fail("run", "thread %u of %u could not be started: %s: expected fewer --threads", started,
             run->options.threads, strerror(refused));
    return CLI_FAILED;
}

/* The table and the JSON file. CLI_OK, or CLI_FAILED after a line on stderr. */
static int report_sums(struct run *run, const struct run_sums *sums)
{
    struct cJSON *json = NULL;
    int status = CLI_OK;

    if (run_report_print(run, sums)) {
        cli_fail("run", "cannot write the table: expected a usable output; verdict: %s",
                 run_verdict(run));
        status = CLI_FAILED;
    }
    if (!run->options.json)
        return status;
    json = run_json(run, sums);
    if (json && cli_write_json("run", run->options.json, json) == CLI_OK) {
        cJSON_Delete(json);
        return status;
    }
    if (!json)
        cli_fail("run", "no memory for the JSON of %s", run->options.json);
    cJSON_Delete(json);
    return CLI_FAILED;
}

static int report(struct run *run)
{
    struct run_sums *sums = malloc(sizeof(*sums));
    int status;

    if (!sums) {
        cli_fail("run", "no memory for the report; verdict: %s", run_verdict(run));
        return CLI_FAILED;
    }
    run_report_sum(run, sums);
    status = report_sums(run, sums);
    free(sums);
    return run_violated(run) ? CLI_FAILED : status;
}

/* Everything between building the world and tearing it down. */
static int run_world(struct run *run)
{
    int status = cli_check_json("run", run->options.json);

    if (status != CLI_OK)
        return status;
    if (!build_workers(run)) {
        cli_fail("run", "no memory for %u threads: expected fewer --threads", run->options.threads);
        return CLI_FAILED;
    }
    measure_timer(run);
    if (run->way->load(run)) {
        status = run_threads(run);
        if (status != CLI_OK)
            return status;
    }
    run_end(run);
    return report(run);
}

static const struct run_way zones_way = {
    .build = run_world_build,
    .load = run_world_load,
    .work = work_main,
    .give_back = run_end_give_back,
    .print = run_print_zones,
    .json = run_json_zones,
    .teardown = run_world_teardown,
};

int cmd_run(int argc, char **argv)
{
    static struct run run;
    bool help;
    int status;

    run = (struct run){0};
    status = run_options_parse(&run.options, argc, argv, &help);
    if (status != CLI_OK || help)
        return status;
    catch_signals();
    run.way = run.options.topology ? &nodes_way : &zones_way;
    status = run.way->build(&run);
    if (status == CLI_OK)
        status = run_world(&run);
    teardown_workers(&run);
    run.way->teardown(&run);
    return status;
}
