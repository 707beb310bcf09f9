/* SPDX-License-Identifier: MIT
 *
 * stress.c - threads allocate and free through one cache while a shadow keeps the books, the kernel
 * is told to move them from CPU to CPU, and one more thread drains, retires and maintains at
 * random, as if CPUs went away and came back. In rounds: all work, all rest, everything is checked,
 * and a child that is forked off works on its own copy of zone and cache for a while.
 *
 *   percpu_stress MODE SCENARIO [FACTOR]
 *
 *   random   1, 2, 8 and 64 threads
 *   lies     the same, and the port's `cpu` answers at random: every call may find its CPU changed
 *            and its CPU caches in use (exchange mode)
 *   thrift   the zone runs short of memory and recovers all the time, so that the caches are
 *            drained and shut, and opened again
 *   exhaust  threads hold all frames but those that calls are moving: no call is refused
 *
 * In local mode each thread keeps to a CPU, and so do main and the one who disturbs. A CPU is asked
 * by a signal to a thread of it, which answers in the handler; the asker waits for that, but not
 * under a sanitizer, which may hold signals back. So a signal may come late, and who rests takes
 * none.
 *
 * FACTOR multiplies the number of operations. Exit status 0: nothing was wrong.
 */
#include "stress/common/random.h"
#include "stress/percpu/cache_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_THREADS = 64,
    ROUNDS = 4,
    OPERATIONS = SANITIZED ? 100000 : 800000, /* of all threads together, per round */
    HELD_BLOCKS = 24,                         /* blocks, see load_hold */
};

struct stress {
    struct rig rig;
    struct shadow shadow;
    struct load loads[MOST_THREADS], holder;
    _Atomic pid_t tids[MOST_THREADS];
    unsigned threads;
    uint64_t operations;                 /* per thread and round */
    pthread_barrier_t start, done, rest; /* all; workers and main; all */
    pthread_barrier_t still;             /* workers and main: no signal is answered any more */
    bool over;
    _Atomic bool resting; /* no disturbance any more */
};

static struct stress stress;

static uint32_t real_cpu(void)
{
    return (uint32_t)sched_getcpu();
}

/* Any of the simulated CPUs, another one each time. */
static uint32_t lying_cpu(void)
{
    static _Thread_local uint32_t state;

    state = state * 1664525 + 1013904223;
    return state >> 16 & 3;
}

/* ---- Local mode ----------------------------------------------------------------------------- */

/* A thread's answers: those it began and those it ended (KP1 of kernel-port/kernel/port.c). */
static _Atomic uint64_t begun[MOST_THREADS], ended[MOST_THREADS];
static _Thread_local uint32_t me; /* the number of a thread that works, + 1 */

/* The place of a CPU among those that the process may run on; real_cpu() of the i-th. */
static uint32_t place_of(uint32_t cpu)
{
    for (uint32_t i = 0; i < cpus_allowed(); i++)
        if (cpu_allowed(i) == cpu)
            return i;
    die("CPU %" PRIu32 " is none of this process's", cpu);
}

static void keep_to_cpu(uint32_t i)
{
    if (mode == QUIRE_CACHE_LOCAL)
        keep_to(cpu_allowed(i % cpus_allowed()));
}

/* Whether this thread takes the signals of those who ask. */
static void take_signals(bool on)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)pthread_sigmask(on ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

static void answer(int signal)
{
    (void)signal;
    if (me == 0)
        return;
    atomic_fetch_add(&begun[me - 1], 1);
    quire_cache_answer(&stress.rig.cache);
    atomic_store(&ended[me - 1], atomic_load(&begun[me - 1]));
}

static bool ask(uint32_t cpu)
{
    uint32_t i = cpu < CPU_SETSIZE && cpu_is_allowed(cpu) ? place_of(cpu) : MOST_THREADS;
    uint64_t before;

    if (cpu == real_cpu()) {
        quire_cache_answer(&stress.rig.cache);
        return true;
    }
    if (i >= stress.threads || atomic_load(&stress.tids[i]) == 0)
        return false; /* nobody is there */
    before = atomic_load(&begun[i]);
    if (tgkill(getpid(), atomic_load(&stress.tids[i]), SIGUSR1) != 0)
        return false;
    while (!SANITIZED && atomic_load(&ended[i]) <= before)
        (void)sched_yield();
    return true;
}

/* ---- Those who work ----------------------------------------------------------------------- */

static void *work(void *arg)
{
    struct load *l = arg;

    me = l->who;
    keep_to_cpu(me - 1);
    atomic_store(&stress.tids[me - 1], (pid_t)gettid());
    for (;;) {
        (void)pthread_barrier_wait(&stress.start);
        if (stress.over)
            return NULL;
        take_signals(true);
        for (uint64_t i = 0; i < stress.operations; i++)
            load_act(l);
        (void)pthread_barrier_wait(&stress.done);
        (void)pthread_barrier_wait(&stress.rest); /* answering, until nobody asks */
        take_signals(false);
        (void)pthread_barrier_wait(&stress.still);
    }
}

/* ---- The one who disturbs ------------------------------------------------------------------ */

static void move_somebody(struct load *l)
{
    pid_t tid = atomic_load(&stress.tids[random_below(&l->random, stress.threads)]);
    cpu_set_t all, set;

    if (tid == 0 || sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    CPU_ZERO(&set);
    while (CPU_COUNT(&set) == 0) {
        size_t cpu = random_below(&l->random, CPU_SETSIZE);

        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &set);
    }
    if (sched_setaffinity(tid, sizeof set, random_below(&l->random, 4) ? &set : &all) != 0)
        die("sched_setaffinity");
}

static void disturb_once(struct load *l)
{
    struct quire_cache *c = &stress.rig.cache;
    uint32_t cpu = (uint32_t)random_below(&l->random, c->cpus);
    struct quire_cache_stats s;
    int error = QUIRE_OK;

    switch (random_below(&l->random, 8)) {
    case 0:
        error = quire_cache_drain(c, cpu);
        break;
    case 1:
        error = quire_cache_drain_all(c);
        break;
    case 2:
        if (mode != QUIRE_CACHE_LOCAL) /* nobody may be there then */
            error = quire_cache_retire_cpu(c, cpu);
        break;
    case 3:
        (void)quire_cache_maintain(c);
        break;
    case 4:
        error = quire_cache_stats(c, &s);
        break;
    default:
        if (mode != QUIRE_CACHE_LOCAL)
            move_somebody(l);
        break;
    }
    if (error != QUIRE_OK)
        die("a drain, retirement or look: %s", quire_strerror(error));
}

static void *disturb(void *arg)
{
    struct load *l = arg;

    keep_to_cpu(0);
    for (;;) {
        (void)pthread_barrier_wait(&stress.start);
        if (stress.over)
            return NULL;
        while (!atomic_load(&stress.resting)) {
            struct timespec pause = {0, (long)random_below(&l->random, 200000)};

            disturb_once(l);
            (void)nanosleep(&pause, NULL);
        }
        (void)pthread_barrier_wait(&stress.rest);
    }
}

/* ---- The child ------------------------------------------------------------------------------ */

/* Work on, with the parent's holdings, until everything is allocated; then give all back. */
static void live_as_child(void)
{
    struct load *l = &stress.loads[0];
    struct rig *r = &stress.rig;
    quire_pfn pfn;

    r->ask = NULL; /* nobody else is there: the others are played */
    r->cpu = real_cpu();
    r->cpu_now = mode == QUIRE_CACHE_LOCAL ? NULL : r->cpu_now;
    for (int i = 0; i < 2000; i++)
        load_act(l);
    check_books(r, &stress.shadow);
    while (quire_cache_alloc(&r->cache, 0, QUIRE_EMERGENCY, &pfn) == QUIRE_OK)
        shadow_take(&stress.shadow, MOST_THREADS + 1, pfn.n, 1);
    if (atomic_load(&stress.shadow.held) != quire_zone_managed(&r->zone))
        die("a child could allocate only up to %" PRIu64 " frames",
            atomic_load(&stress.shadow.held));
    check_books(r, &stress.shadow);
    _exit(0);
}

static void fork_at_rest(void)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        live_as_child();
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("fork or waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the child ended with status 0x%x", (unsigned)status);
}

/* ---- Start and end -------------------------------------------------------------------------- */

static void open_all(const char *scenario, unsigned threads)
{
    bool exhaust = strcmp(scenario, "exhaust") == 0;
    /* In flight: what somebody who drains, refills or flushes has in his hands, a CPU cache at
     * most. */
    uint32_t rounds = 64, hold = exhaust ? 40 : 200, cls = rounds + rounds / 2;
    uint64_t held = HELD_BLOCKS * BLOCK;
    uint64_t frames = exhaust ? threads * (hold + cls) + cls : 8ull * BLOCK + threads * 100;
    struct rig *r = &stress.rig;

    rig_begin(r, frames + held);
    r->cache_config.rounds = rounds;
    r->cache_config.run_rounds = exhaust ? 0 : 16;
    r->cache_config.huge_rounds = exhaust ? 0 : 2;
    r->cache_config.depot = 4;
    if (strcmp(scenario, "thrift") == 0) {
        r->zone_config.min = frames / 16;
        r->zone_config.low = frames * 5 / 16;
        r->zone_config.high = frames * 6 / 16;
    }
    r->cpu_now = strcmp(scenario, "lies") == 0 ? lying_cpu : real_cpu;
    r->ask = ask;
    rig_open(r);
    shadow_open(&stress.shadow, r->usable[0].pfn.n, frames + held, frames + held);
    stress.holder = (struct load){.rig = r, .shadow = &stress.shadow, .who = MOST_THREADS + 2};
    load_hold(&stress.holder, HELD_BLOCKS);
    for (uint32_t i = 0; i < threads; i++)
        stress.loads[i] = (struct load){.rig = r,
                                        .shadow = &stress.shadow,
                                        .who = i + 1,
                                        .most = hold,
                                        .only_frames = exhaust,
                                        .full = exhaust,
                                        .never_refused = exhaust,
                                        .random = 0x9e3779b97f4a7c15u * (i + 1)};
    stress.over = false;
    stress.threads = threads;
    memset(stress.tids, 0, sizeof stress.tids);
}

static void one_round(void)
{
    atomic_store(&stress.resting, false);
    (void)pthread_barrier_wait(&stress.start);
    (void)pthread_barrier_wait(&stress.done);
    atomic_store(&stress.resting, true);
    (void)pthread_barrier_wait(&stress.rest);
    (void)pthread_barrier_wait(&stress.still);
    check_books(&stress.rig, &stress.shadow);
    fork_at_rest();
    check_books(&stress.rig, &stress.shadow);
}

static void start(pthread_t *thread, void *(*body)(void *), struct load *l)
{
    if (pthread_create(thread, NULL, body, l) != 0)
        die("cannot start a thread");
}

static void run(const char *scenario, unsigned threads, uint64_t factor)
{
    struct load disturber = {.random = 77};
    pthread_t workers[MOST_THREADS], other;
    struct quire_cache_stats stats;
    uint64_t calls = 0, refused = 0;

    open_all(scenario, threads);
    stress.operations = OPERATIONS * factor / threads;
    (void)pthread_barrier_init(&stress.start, NULL, threads + 2);
    (void)pthread_barrier_init(&stress.done, NULL, threads + 1);
    (void)pthread_barrier_init(&stress.rest, NULL, threads + 2);
    (void)pthread_barrier_init(&stress.still, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++)
        start(&workers[i], work, &stress.loads[i]);
    start(&other, disturb, &disturber);
    for (int round = 0; round < ROUNDS; round++)
        one_round();
    stress.over = true;
    (void)pthread_barrier_wait(&stress.start);
    (void)pthread_join(other, NULL);
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(workers[i], NULL);
        atomic_store(&stress.tids[i], 0);
        load_empty(&stress.loads[i]);
        calls += stress.loads[i].calls;
        refused += stress.loads[i].refused;
    }
    stress.rig.ask = NULL;
    stress.rig.cpu = real_cpu();
    stress.rig.cpu_now = mode == QUIRE_CACHE_LOCAL ? NULL : stress.rig.cpu_now;
    load_empty(&stress.holder);
    check_books(&stress.rig, &stress.shadow);
    if (quire_cache_stats(&stress.rig.cache, &stats) != QUIRE_OK || stats.bad_frees != 0 ||
        stress.rig.heard.reports != 0 || stress.rig.heard.withdrawn != 0)
        die("good frees were taken for bad ones");
    printf("%s, %u threads: %" PRIu64 " calls, %" PRIu64 " refused, %" PRIu64 " refills, %" PRIu64
           " bypasses, %" PRIu64 " drains, %u shortages: clean\n",
           scenario, threads, calls, refused, stats.refills, stats.bypasses, stats.drains,
           stress.rig.heard.lows);
    rig_close(&stress.rig, 0);
    shadow_close(&stress.shadow);
}

int main(int argc, char *argv[])
{
    static const unsigned threads[] = {1, 2, 8, MOST_THREADS};
    const char *scenario = argc > 2 ? argv[2] : "";
    uint64_t factor = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;

    select_mode(argc, argv);
    if (strcmp(scenario, "random") != 0 && strcmp(scenario, "lies") != 0 &&
        strcmp(scenario, "thrift") != 0 && strcmp(scenario, "exhaust") != 0)
        die("%s: the second argument is the scenario: random, lies, thrift or exhaust", argv[0]);
    if (strcmp(scenario, "lies") == 0 && mode == QUIRE_CACHE_RSEQ)
        skip_all("in rseq mode the kernel says where a thread runs, and does not lie");
    if (SANITIZED && mode == QUIRE_CACHE_LOCAL && strcmp(scenario, "exhaust") == 0)
        skip_all("a sanitizer may hold signals back, so that nobody waits for answers");
    if (mode == QUIRE_CACHE_LOCAL) {
        struct sigaction action = {.sa_handler = answer, .sa_flags = SA_RESTART};

        if (sigaction(SIGUSR1, &action, NULL) != 0)
            die("no handler");
    }
    keep_to_cpu(0);
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        run(scenario, threads[i], factor);
    return 0;
}
