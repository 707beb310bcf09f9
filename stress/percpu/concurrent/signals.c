/* SPDX-License-Identifier: MIT
 *
 * signals.c - signals at random moments, whose handlers allocate and free through the cache that
 * the interrupted call uses, on the same CPU. A shadow keeps the books of both.
 *
 *   percpu_signals MODE [MILLISECONDS]
 *
 *   first    a thread's first call is made by its signal handler
 *   timer    each thread is interrupted by a timer of its own
 *   killer   a thread sends the others signals, by pthread_kill
 *   one CPU  both again, all threads on the same CPU; in local mode all of it
 *
 * ThreadSanitizer delivers a signal at the next call into the C library, so there it is a weaker
 * test; step.c is the one that leaves no instruction out.
 */
#include "stress/common/random.h"
#include "stress/common/sanitized.h"
#include "stress/percpu/cache_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 3,
    INTERVAL = 50000, /* ns */
    FIRST_TIMERS = 100,
    LEAST_SIGNALS = 20,
    LONGER = 50,      /* times what was asked for, at most */
    HELD_BLOCKS = 24, /* blocks, see load_hold */
    FRAMES = (8 + HELD_BLOCKS) * BLOCK,
};

/* What one thread and its handler do. */
struct worker {
    struct load outside, inside;
    pthread_t thread;
    _Atomic uint64_t handled;
    bool timer;
};

static struct rig rig;
static struct shadow shadow;
static struct load holder = {.rig = &rig, .shadow = &shadow, .who = 2 * THREADS + 1};
static struct worker workers[THREADS];
static _Atomic bool over;
static _Thread_local struct worker *self;

static uint32_t real_cpu(void)
{
    return (uint32_t)sched_getcpu();
}

static void handle(int signal)
{
    struct worker *w = self;

    (void)signal;
    if (!w)
        return;
    w->handled++;
    for (uint64_t n = 1 + random_below(&w->inside.random, 6); n > 0; n--)
        load_act(&w->inside);
}

static void prepare(struct worker *w, uint32_t i)
{
    *w = (struct worker){0};
    w->outside = (struct load){.rig = &rig,
                               .shadow = &shadow,
                               .who = 2 * i + 1,
                               .most = 150,
                               .random = 0x9e3779b97f4a7c15u * (2 * i + 1)};
    w->inside = w->outside;
    w->inside.who++;
    w->inside.most = 50;
    w->inside.random++;
}

static void start(struct worker *w, void *(*body)(void *))
{
    if (pthread_create(&w->thread, NULL, body, w) != 0)
        die("cannot start a thread");
}

static void *interrupted_first(void *arg)
{
    struct worker *w = arg;

    self = w;
    (void)pthread_kill(pthread_self(), SIGUSR1);
    for (int i = 0; i < 50; i++)
        load_act(&w->outside);
    (void)pthread_kill(pthread_self(), SIGUSR1);
    return NULL;
}

static void first_call(void)
{
    for (int i = 0; i < FIRST_TIMERS; i++) {
        prepare(&workers[0], 0);
        start(&workers[0], interrupted_first);
        (void)pthread_join(workers[0].thread, NULL);
        if (atomic_load(&workers[0].handled) != 2)
            die("%" PRIu64 " signals handled instead of 2", atomic_load(&workers[0].handled));
        load_empty(&workers[0].outside);
        load_empty(&workers[0].inside);
        check_books(&rig, &shadow);
    }
    printf("first call from a handler, %d threads: clean\n", FIRST_TIMERS);
}

/* ---- Storms --------------------------------------------------------------------------------- */

static timer_t timer_for_me(void)
{
    struct itimerspec every = {{0, INTERVAL}, {0, INTERVAL}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    timer_t timer;

#ifndef sigev_notify_thread_id
    event._sigev_un._tid = gettid();
#else
    event.sigev_notify_thread_id = gettid();
#endif
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &every, NULL) != 0)
        die("no timer");
    return timer;
}

static void *storm(void *arg)
{
    struct worker *w = arg;
    timer_t timer = NULL;

    self = w;
    if (w->timer)
        timer = timer_for_me();
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        load_act(&w->outside);
    if (w->timer)
        (void)timer_delete(timer);
    return NULL;
}

static void pause_for(long ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};

    (void)nanosleep(&t, NULL);
}

static void kill_at_random(long ms)
{
    struct load random = {.random = 4711};
    struct timespec start_time, now;

    (void)clock_gettime(CLOCK_MONOTONIC, &start_time);
    do {
        (void)pthread_kill(workers[random_below(&random.random, THREADS)].thread, SIGUSR1);
        if (random_below(&random.random, 4) == 0)
            pause_for((long)random_below(&random.random, INTERVAL));
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start_time.tv_sec) * 1000 +
                 (now.tv_nsec - start_time.tv_nsec) / 1000000 <
             ms);
}

static uint64_t signals_handled(void)
{
    uint64_t handled = 0;

    for (uint32_t i = 0; i < THREADS; i++)
        handled += atomic_load(&workers[i].handled);
    return handled;
}

static void run_storm(const char *name, bool timer, long ms)
{
    uint64_t calls = 0, handled;
    struct quire_cache_stats stats;

    atomic_store(&over, false);
    for (uint32_t i = 0; i < THREADS; i++) {
        prepare(&workers[i], i);
        workers[i].timer = timer;
        start(&workers[i], storm);
    }
    /* On a busy machine signals come late: then longer, but not for ever. */
    for (unsigned i = 0; i < LONGER && (i == 0 || signals_handled() < LEAST_SIGNALS); i++) {
        if (timer)
            pause_for(ms * 1000000);
        else
            kill_at_random(ms);
    }
    atomic_store(&over, true);
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        calls += workers[i].outside.calls;
    }
    handled = signals_handled();
    check_books(&rig, &shadow);
    for (uint32_t i = 0; i < THREADS; i++) {
        load_empty(&workers[i].outside);
        load_empty(&workers[i].inside);
    }
    check_books(&rig, &shadow);
    if (quire_cache_stats(&rig.cache, &stats) != QUIRE_OK || stats.bad_frees != 0)
        die("good frees were taken for bad ones");
    if (handled < LEAST_SIGNALS)
        die("only %" PRIu64 " signals came: this was no test", handled);
    printf("%s: %" PRIu64 " calls, %" PRIu64 " signals, %" PRIu64 " bypasses so far: clean\n", name,
           calls, handled, stats.bypasses);
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    long ms = argc > 2 ? strtol(argv[2], NULL, 0) : 600;

    select_mode(argc, argv);
    if (SANITIZED && mode == QUIRE_CACHE_LOCAL)
        skip_all("one thread plays the other CPUs' answers, which is a race to a sanitizer");
    if (mode == QUIRE_CACHE_LOCAL) /* who calls keeps to its CPU */
        stay_here();
    (void)sigaction(SIGUSR1, &action, NULL);
    rig_begin(&rig, FRAMES);
    rig.cache_config.rounds = 32;
    rig.cache_config.run_rounds = 8;
    rig.cache_config.huge_rounds = 2;
    rig.cache_config.depot = 4;
    rig.cpu_now = real_cpu;
    rig_open(&rig);
    shadow_open(&shadow, rig.usable[0].pfn.n, FRAMES, FRAMES);
    load_hold(&holder, HELD_BLOCKS);
    first_call();
    run_storm("timer", true, ms);
    run_storm("killer", false, ms);
    stay_here();
    run_storm("timer, one CPU", true, ms);
    run_storm("killer, one CPU", false, ms);
    load_empty(&holder);
    rig_close(&rig, 0);
    shadow_close(&shadow);
    return 0;
}
