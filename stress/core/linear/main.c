/* SPDX-License-Identifier: MIT
 *
 * main.c - histories of real threads, checked against a zone of one thread's (linear.h).
 *
 *   linear [SEED [FACTOR]]
 *
 * In each window a timer interrupts each thread, and the handler makes calls too: so a thread
 * stands at any instruction of a call while others begin and end theirs. The seed decides what each
 * thread draws, not how they interleave. Exit status 0: every window is linearizable. Else its
 * calls are printed.
 */
#define _GNU_SOURCE /* gettid, timers for one thread */
#include "history.h"

#include "stress/common/die.h"
#include "stress/common/random.h"
#include "stress/common/sanitized.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* Linux documents the name, not every C library has it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    THREADS = 3,
    CALLS = 8,  /* of a thread in a window */
    NESTED = 2, /* of its handler */
    WINDOWS = SANITIZED ? 150 : 1000,
    INTERRUPTED_NS = SANITIZED ? 40000 : 8000, /* after the window's begin, at most */
    FIRST = 1024,                              /* pfn */
};

static struct history history;
static _Thread_local struct history_worker *volatile nested; /* this thread's handler's */
static unsigned arrived, departed;                           /* threads, of all windows; atomic */
static unsigned allowed;                                     /* windows that may begin; atomic */

static void on_signal(int signal)
{
    struct history_worker *w = nested;
    (void)signal;
    for (int i = 0; i < NESTED && w != NULL; i++) {
        history_act(w);
        (void)sched_yield();
    }
}

static timer_t own_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    timer_t timer;
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        die("cannot make a timer");
    }
    return timer;
}

static void interrupt_soon(timer_t timer, uint64_t *random)
{
    struct itimerspec soon = {{0, 0}, {0, 1 + (long)random_below(random, INTERRUPTED_NS)}};
    if (timer_settime(timer, 0, &soon, NULL) != 0) {
        die("cannot set a timer");
    }
}

static void wait_for(const unsigned *word, unsigned least)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < least) {
        (void)sched_yield();
    }
}

static void *work(void *argument)
{
    struct history_worker *w = argument;
    timer_t timer = own_timer();
    uint64_t random = w->random;
    for (unsigned window = 1; window <= WINDOWS; window++) {
        wait_for(&allowed, window);
        /* All begin together, as far as there are CPUs. */
        (void)__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
        wait_for(&arrived, window * THREADS);
        nested = w + THREADS;
        interrupt_soon(timer, &random);
        for (unsigned i = 0; i < CALLS; i++) {
            history_act(w);
        }
        nested = NULL;
        (void)__atomic_add_fetch(&departed, 1, __ATOMIC_ACQ_REL);
    }
    (void)timer_delete(timer);
    return NULL;
}

static void print_window(unsigned n, unsigned stuck)
{
    static const char *const names[] = {"alloc", "alloc_at", "alloc_batch", "free", "free_batch"};
    (void)printf("not linearizable: of %u calls %u can be ordered\n", n, stuck);
    for (unsigned i = 0; i < n; i++) {
        const struct linear_call *c = &history.calls[i];
        (void)printf("%6" PRIu64 " to %6" PRIu64 "  %s order %u: %d, frames", c->begin, c->end,
                     names[c->kind], c->order, c->result);
        for (unsigned k = 0; k < (c->n ? c->n : 1); k++) {
            (void)printf(" %u", c->frame[k]);
        }
        (void)printf("\n");
    }
    (void)fflush(stdout);
    _exit(1);
}

static void run(unsigned arena, uint64_t seed)
{
    struct quire_run usable = {{FIRST}, LINEAR_FRAMES};
    struct quire_zone_config config = {
        .slots = THREADS, .type = QUIRE_ZONE_NORMAL, .usable = &usable, .usable_count = 1};
    struct quire_zone zone = {.head = NULL};
    struct quire_fault fault;
    const unsigned most[] = {CALLS, CALLS, CALLS, NESTED, NESTED, NESTED};
    pthread_t threads[THREADS];
    unsigned n = 0;
    unsigned stuck = 0;
    size_t bytes;

    must(quire_zone_metadata_size(&config, &bytes), "metadata_size");
    void *metadata = rubbish(QUIRE_METADATA_ALIGN, bytes);
    must(quire_zone_init(&zone, &config, metadata, bytes), "zone_init");
    (void)memset(&history, 0, sizeof history);
    if (!history_begin(&history, &zone, FIRST, arena, most, 2 * THREADS, THREADS, seed)) {
        die("the zone does not give what it has");
    }
    arrived = departed = allowed = 0;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, &history.worker[i]) != 0) {
            die("cannot start thread %d", i);
        }
    }
    for (unsigned window = 1; window <= WINDOWS; window++) {
        (void)__atomic_add_fetch(&allowed, 1, __ATOMIC_RELEASE);
        wait_for(&departed, window * THREADS);
        if (!history_window(&history, &n, &stuck)) {
            print_window(n, stuck);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    history_end(&history);
    if (quire_zone_check(&zone, &fault) != 0 || quire_zone_free_frames(&zone) != arena) {
        die("the zone is not what it was: %s", fault.what);
    }
    (void)printf("%3u frames: %" PRIu64 " calls in %" PRIu64 " windows, %" PRIu64
                 " refused, %" PRIu64 " pairs under way together: linearizable\n",
                 arena, history.done, history.windows, history.refused, history.met);
    (void)fflush(stdout);
    free(metadata);
}

int main(int argc, char *argv[])
{
    static const unsigned arenas[] = {1, 5, 16, 64, 130, LINEAR_FRAMES - 1};
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t factor = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

    (void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    for (uint64_t round = 0; round < factor; round++) {
        for (unsigned i = 0; i < sizeof arenas / sizeof arenas[0]; i++) {
            run(arenas[i], seed + round);
        }
    }
    return 0;
}
