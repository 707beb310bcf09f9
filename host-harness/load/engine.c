/* SPDX-License-Identifier: MIT
 *
 * engine.c - the threads of `quire run` and their main loop, the clock, and the waiting.
 *
 * State: load->workers and load->gate, and what signal handlers note: that there was one, and when
 * the first one came.
 * The threads wait at the gate, a mutex, until all of them exist; afterwards no thread waits for
 * another until the main thread joins them. Everything here runs in the main thread, but for
 * worker_main, which is a thread's life, and load_clock.
 */
#include "target.h"

#include "sequence.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ONE_WISH_NS UINT64_C(1000000000)

enum {
    POLL_MS = 20,
    PROGRESS_POLLS = 10,
    TIMER_READINGS = 1001,
    TIMER_SHARE_NS = 10, /* timing may add so much to a call in the mean */
    MAX_SAMPLE = 64,
};

/* ---- Signals --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;
static qa64 first_signal; /* by load_clock; 0: none yet */

/* One wish may come as two signals: timeout(1) signals the program and then its process group. What
 * comes more than a second later is another wish: to be rid of the program, report or not. */
static void on_signal(int number)
{
    uint64_t now = load_clock();
    /* relaxed: two signals at the same instant may both be the first */
    uint64_t first = qa_load(&first_signal, relaxed);

    interrupted = 1;
    if (first == 0) {
        qa_store(&first_signal, now, relaxed); /* relaxed: as above */
    } else if (now - first > ONE_WISH_NS) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
}

void load_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    interrupted = 0;
    qa_store(&first_signal, 0, relaxed); /* relaxed: nobody else runs */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- The clock ------------------------------------------------------------------------------- */

uint64_t load_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* What a timed call shows too much: the median of readings with nothing between them. */
static void measure_timer(struct load *load)
{
    uint64_t readings[TIMER_READINGS];
    uint64_t sample;

    for (unsigned i = 0; i < TIMER_READINGS; i++) {
        uint64_t begun = load_clock();

        readings[i] = load_clock() - begun;
    }
    qsort(readings, TIMER_READINGS, sizeof(readings[0]), by_value);
    load->timer_ns = readings[TIMER_READINGS / 2];
    sample = (2 * load->timer_ns + TIMER_SHARE_NS - 1) / TIMER_SHARE_NS;
    qa_store(&load->timing, 1, relaxed); /* relaxed: no thread has been started */
    load->sample = sample < 1 ? 1 : sample > MAX_SAMPLE ? MAX_SAMPLE : (uint32_t)sample;
}

/* ---- Workers --------------------------------------------------------------------------------- */

static bool build_worker(struct load *load, uint32_t number)
{
    struct worker *w = &load->workers[number];

    *w = (struct worker){
        .load = load,
        .number = number,
        .random = sequence_seed(load->options.seed, number),
        .held = calloc(load->list_count, sizeof(*w->held)),
        .burst = calloc(LOAD_BURST_RUNS, sizeof(*w->burst)),
        .latency = calloc(CALL_KINDS, sizeof(*w->latency)),
    };
    if (!w->held || !w->burst || !w->latency)
        return false;
    for (size_t i = 0; i < load->list_count; i++) {
        w->held[i].runs = calloc(LOAD_HELD_RUNS, sizeof(struct held_run));
        if (!w->held[i].runs)
            return false;
    }
    return true;
}

static bool build_workers(struct load *load)
{
    size_t bytes = load->options.threads * sizeof(struct worker);

    load->workers = aligned_alloc(_Alignof(struct worker), bytes);
    if (!load->workers)
        return false;
    memset(load->workers, 0, bytes);
    for (uint32_t t = 0; t < load->options.threads; t++) {
        if (!build_worker(load, t))
            return false;
    }
    return true;
}

void load_teardown_workers(struct load *load)
{
    for (uint32_t t = 0; load->workers && t < load->options.threads; t++) {
        struct worker *w = &load->workers[t];

        for (size_t i = 0; w->held && i < load->list_count; i++)
            free(w->held[i].runs);
        free(w->held);
        free(w->burst);
        free(w->latency);
    }
    free(load->workers);
}

/* A thread's life, for pthread_create: argument and result are its struct worker. */
static void *worker_main(void *argument)
{
    struct worker *w = argument;
    struct load *load = w->load;
    const struct target *target = load->target;
    uint64_t limit = load->options.operations ? load->options.operations : UINT64_MAX;
    uint64_t done = 0;

    if (target->enter)
        target->enter(w);
    pthread_mutex_lock(&load->gate);
    pthread_mutex_unlock(&load->gate);
    /* relaxed: a thread that sees the stop late ends one operation later */
    while (done < limit && !qa_load(&load->stop, relaxed)) {
        struct operation op = sequence_draw(w, done++);

        target->kinds[op.kind].carry_out(w, &op);
        /* relaxed: for the progress line only */
        qa_store(&w->operations, done, relaxed);
        qa_store(&w->published_calls, w->calls, relaxed); /* relaxed: as above */
    }
    qa_add(&load->finished, 1, relaxed); /* relaxed: the main thread joins before it reads */
    if (target->leave)
        target->leave(w);
    return w;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void print_progress(struct load *load, uint64_t elapsed_ns)
{
    uint64_t operations = 0;
    uint64_t calls = 0;
    double seconds = (double)elapsed_ns / 1e9;

    for (uint32_t t = 0; t < load->options.threads; t++) {
        /* relaxed: approximate is enough for a progress line */
        operations += qa_load(&load->workers[t].operations, relaxed);
        calls += qa_load(&load->workers[t].published_calls, relaxed); /* relaxed: as above */
    }
    (void)fprintf(stderr,
                  "\r%.1f s: %" PRIu64 " operations, %" PRIu64 " calls, %.0f calls per second ",
                  seconds, operations, calls, (double)calls / seconds);
    if (load->options.milliseconds)
        (void)fprintf(stderr, "(of %.1f s) ", (double)load->options.milliseconds / 1000);
    (void)fflush(stderr);
}

/* Until the time is over, the threads are done, there is a violation or a signal. */
static void wait_for_end(struct load *load, uint64_t begun)
{
    const struct timespec poll = {0, POLL_MS * 1000000L};
    uint64_t limit =
        load->options.milliseconds ? load->options.milliseconds * 1000000u : UINT64_MAX;
    bool terminal = isatty(STDERR_FILENO);
    unsigned polls = 0;

    for (;;) {
        uint64_t elapsed = load_clock() - begun;

        /* relaxed: only asked whether to go on waiting */
        if (elapsed >= limit || qa_load(&load->stop, relaxed) ||
            qa_load(&load->finished, relaxed) == load->options.threads) /* relaxed: as above */
            break;
        if (interrupted) {
            load->interrupted = true;
            break;
        }
        if (terminal && ++polls % PROGRESS_POLLS == 0)
            print_progress(load, elapsed);
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
    qa_store(&load->stop, 1, relaxed);
}

/* CLI_OK, or CLI_FAILED if the system gives no more threads. */
static int run_threads(struct load *load)
{
    uint32_t started = 0;
    int refused = 0;
    uint64_t begun;

    pthread_mutex_init(&load->gate, NULL);
    pthread_mutex_lock(&load->gate);
    while (started < load->options.threads && !refused) {
        struct worker *w = &load->workers[started];

        refused = pthread_create(&w->thread, NULL, worker_main, w);
        started += !refused;
    }
    if (refused)
        qa_store(&load->stop, 1, relaxed); /* relaxed: the gate's mutex publishes it */
    begun = load_clock();
    pthread_mutex_unlock(&load->gate);
    if (!refused)
        wait_for_end(load, begun);
    for (uint32_t t = 0; t < started; t++)
        pthread_join(load->workers[t].thread, NULL);
    load->seconds = (double)(load_clock() - begun) / 1e9;
    pthread_mutex_destroy(&load->gate);
    for (uint32_t t = 0; t < started; t++)
        load->calls += load->workers[t].calls;
    if (!refused)
        return CLI_OK;
    cli_fail("run", "thread %u of %u could not be started: %s: expected fewer --threads", started,
             load->options.threads, strerror(refused));
    return CLI_FAILED;
}

int load_run(struct load *load)
{
    if (!build_workers(load)) {
        cli_fail("run", "no memory for %u threads: expected fewer --threads",
                 load->options.threads);
        return CLI_FAILED;
    }
    measure_timer(load);
    if (load->target->prepare(load)) {
        int status = run_threads(load);

        if (status != CLI_OK)
            return status;
    }
    load_end(load);
    return CLI_OK;
}
