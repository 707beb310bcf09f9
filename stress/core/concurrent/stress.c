/* SPDX-License-Identifier: MIT
 *
 * stress.c - threads fight over a small zone while a shadow keeps the books (shadow.h). In rounds:
 * all work, all rest, the zone is checked frame by frame against the shadow. At the end everything
 * is given back, and every whole block must be there again.
 *
 *   stress_<mode> [SEED [FACTOR]]
 *
 * Meanwhile timers interrupt the threads. A handler is a worker of its own on the slot of the
 * thread that it interrupts; so it re-enters the slot at any instruction, and parks the thread
 * there while the others go on.
 *
 * The seed decides what each thread draws, not how they interleave; FACTOR multiplies the number
 * of operations. The mode is compiled in (mode.h). Exit status 0: nothing was wrong.
 */
#define _GNU_SOURCE /* gettid, timers for one thread */
#include "stress.h"
#include "stress/common/random.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* Linux documents the name, not every C library has it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    WORKERS = 2 * MODE_THREADS, /* thread i is worker i, its handler is worker MODE_THREADS + i */
    NESTED = 3,                 /* operations in one handler */
};

struct stress {
    struct quire_zone zone;
    struct shadow shadow;
    struct worker workers[WORKERS];
    pthread_barrier_t start, stop;
    uint64_t operations;
    bool over;
};

static struct stress stress;

/* This thread's handler, while it may act. */
static _Thread_local struct worker *volatile nested;

/* A thread that has done little since the last time is left alone: handlers on the heels of each
 * other would leave it no time at all on a busy machine. */
static void on_signal(int signal)
{
    struct worker *w = nested;
    (void)signal;
    if (w == NULL || (w - MODE_THREADS)->done < w->due) {
        return;
    }
    for (int i = 0; i < NESTED; i++) {
        worker_act(w);
    }
    w->due = (w - MODE_THREADS)->done + NESTED;
    (void)sched_yield();
}

/* A timer that interrupts the calling thread again and again. */
static timer_t disturb(void)
{
    const struct itimerspec often = {{0, MODE_SIGNAL_NS}, {0, MODE_SIGNAL_NS}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    timer_t timer;
    event.sigev_notify_thread_id = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &often, NULL) != 0) {
        die("cannot set a timer");
    }
    return timer;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    timer_t timer = disturb();
    for (;;) {
        (void)pthread_barrier_wait(&stress.start);
        if (stress.over) {
            (void)timer_delete(timer);
            return NULL;
        }
        nested = w + MODE_THREADS;
        for (uint64_t i = 0; i < stress.operations; i++) {
            worker_act(w);
        }
        nested = NULL;
        (void)pthread_barrier_wait(&stress.stop);
    }
}

/* ---- Checks while all threads rest ------------------------------------------------------- */

static void check_zone(void)
{
    struct quire_fault v;
    struct shadow *s = &stress.shadow;
    if (quire_zone_check(&stress.zone, &v) != 0) {
        die("quire_zone_check: %s at 0x%" PRIx64 ": expected %" PRIu64 ", found %" PRIu64, v.what,
            v.where, v.expected, v.found);
    }
    uint64_t held = atomic_load(&s->held);
    uint64_t free_frames = quire_zone_free_frames(&stress.zone);
    if (free_frames + held != MODE_FRAMES) {
        die("%" PRIu64 " frames free and %d - %" PRIu64 " expected", free_frames, MODE_FRAMES,
            held);
    }
    for (uint64_t n = MODE_FIRST; n < MODE_FIRST + MODE_FRAMES; n++) {
        enum quire_frame_state state;
        int error = quire_zone_frame_state(&stress.zone, quire_pfn_of(n), &state);
        uint32_t owner = shadow_owner(s, n);
        if (error != 0 || (state == QUIRE_FRAME_FREE) != (owner == 0)) {
            die("frame 0x%" PRIx64 ": state %d, owner %" PRIu32, n, (int)state, owner);
        }
    }
}

/* With nothing held, as many blocks can be had as lie wholly in the zone. */
static void check_blocks(void)
{
    uint64_t first = (MODE_FIRST + BLOCK - 1) / BLOCK;
    uint64_t end = (MODE_FIRST + MODE_FRAMES) / BLOCK;
    uint64_t got = 0;
    quire_pfn pfn;
    while (quire_zone_alloc(&stress.zone, quire_slot_of(0), 9, QUIRE_EMERGENCY, &pfn) == 0) {
        got++;
    }
    if (got != (end > first ? end - first : 0)) {
        die("%" PRIu64 " whole blocks at the end, expected %" PRIu64, got, end - first);
    }
}

static void check_counts(void)
{
    struct quire_zone_stats stats;
    if (quire_zone_stats(&stress.zone, &stats) != 0 || stats.reserved != 0 ||
        stats.managed != MODE_FRAMES || stats.counts[QUIRE_COUNT_WITHDRAWN] != 0) {
        die("%" PRIu64 " managed, %" PRIu64 " reserved, %" PRIu64 " withdrawn at the end",
            stats.managed, stats.reserved, stats.counts[QUIRE_COUNT_WITHDRAWN]);
    }
}

/* ---- Start and end ----------------------------------------------------------------------- */

static void *open_zone(uint64_t seed)
{
    struct quire_run usable = {{MODE_FIRST}, MODE_FRAMES};
    struct quire_zone_config config = {.slots = MODE_ONE_SLOT ? 1 : MODE_THREADS,
                                       .type = QUIRE_ZONE_NORMAL,
                                       .usable = &usable,
                                       .usable_count = 1,
                                       .min = MODE_MIN,
                                       .low = MODE_MIN,
                                       .high = MODE_MIN,
                                       .no_run_map = !MODE_RUN_MAP};
    size_t bytes;
    must(quire_zone_metadata_size(&config, &bytes), "metadata_size");
    void *metadata = rubbish(QUIRE_METADATA_ALIGN, bytes);
    must(quire_zone_init(&stress.zone, &config, metadata, bytes), "zone_init");
    shadow_open(&stress.shadow, MODE_FIRST, MODE_FRAMES, MODE_FRAMES - MODE_MIN);
    for (uint32_t i = 0; i < WORKERS; i++) {
        stress.workers[i] =
            (struct worker){.zone = &stress.zone,
                            .shadow = &stress.shadow,
                            .who = i + 1,
                            .slot = quire_slot_of(MODE_ONE_SLOT ? 0 : i % MODE_THREADS),
                            .random = random_seed(seed, i)};
    }
    return metadata;
}

int main(int argc, char *argv[])
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t factor = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    pthread_t threads[MODE_THREADS];
    uint64_t done = 0;
    uint64_t refused = 0;

    void *metadata = open_zone(seed);
    (void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    stress.operations = MODE_OPERATIONS * factor;
    (void)pthread_barrier_init(&stress.start, NULL, MODE_THREADS + 1);
    (void)pthread_barrier_init(&stress.stop, NULL, MODE_THREADS + 1);
    for (int i = 0; i < MODE_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, &stress.workers[i]) != 0) {
            die("cannot start thread %d", i);
        }
    }
    for (int round = 0; round < MODE_ROUNDS; round++) {
        (void)pthread_barrier_wait(&stress.start);
        (void)pthread_barrier_wait(&stress.stop);
        check_zone();
    }
    stress.over = true;
    (void)pthread_barrier_wait(&stress.start);
    for (int i = 0; i < MODE_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        done += stress.workers[i].done;
        refused += stress.workers[i].refused;
        worker_empty(&stress.workers[i]);
    }
    check_zone();
    check_counts();
    check_blocks();
    (void)printf("%d threads, %" PRIu64 " operations, %" PRIu64 " refused: clean\n", MODE_THREADS,
                 done, refused);
    shadow_close(&stress.shadow);
    free(metadata);
    return 0;
}
