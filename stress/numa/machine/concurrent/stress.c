/* SPDX-License-Identifier: MIT
 *
 * stress.c - threads as virtual CPUs of one machine, while its zones come and go, its topology
 * changes, ranges go offline, caches are drained, and signals allocate in threads that the machine
 * never heard of. A shadow keeps the books: who holds which frame.
 *
 *   numa_stress exchange|rseq [MILLISECONDS]
 *
 * In exchange mode each thread says which CPU it runs on, and now and then another one, in the
 * middle of whatever others do with that CPU. In rseq mode the kernel says so. A zone that has left
 * is overwritten and its metadata freed, so that a late look is seen by AddressSanitizer, or finds
 * rubbish; then it is built anew and comes back. The last node's zone is the one.
 */
#include "machine_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 4,
    INSIDE = 40,     /* runs that a signal handler holds at most */
    MOST_TIMES = 15, /* on a busy machine it goes on until there was some of everything */
};

struct worker {
    struct holder outside, inside;
    pthread_t thread;
    uint64_t signals;
};

static struct worker workers[THREADS];
static _Atomic bool over;
static bool rseq;
static _Thread_local struct worker *self;

static void handle(int signal)
{
    (void)signal;
    if (!self)
        return;
    self->signals++;
    for (int i = 0; i < 4; i++)
        act(&self->inside);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    self = w;
    rig_cpu = (uint32_t)(w - workers) % (NODES * CPUS);
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        act(&w->outside);
    return NULL;
}

/* ---- Hot-plug ------------------------------------------------------------------------------- */

static struct {
    _Atomic uint32_t added, removed, busy, topologies, offlined, in_use;
} done;

/* Was there some of everything? */
static bool is_test(void)
{
    return done.removed > 0 && done.topologies > 0 && done.offlined > 0;
}

static void poke(struct holder *h)
{
    (void)pthread_kill(workers[draw(h, THREADS)].thread, SIGUSR1);
    rig_pause();
}

/* The last node's zone leaves, is taken apart, and comes back. */
static void unplug(struct holder *h)
{
    struct rig_zone *z = &rig.zones[NODES - 1];
    struct quire_fault v;
    int error;

    atomic_store(&leaving, NODES - 1);
    do {
        error = quire_machine_remove_zone(rig.machine, &z->zone);
        if (error == QUIRE_ERR_BUSY) {
            done.busy++;
            poke(h);
        }
    } while (error == QUIRE_ERR_BUSY && !atomic_load_explicit(&over, memory_order_relaxed));
    atomic_store(&leaving, QUIRE_NO_NODE);
    if (error == QUIRE_ERR_BUSY)
        return;
    must(error, "remove_zone");
    done.removed++;
    if (quire_zone_check(&z->zone, &v) ||
        quire_zone_free_frames(&z->zone) != quire_zone_managed(&z->zone))
        die("a zone that left: %s", v.what);
    rig_rebuild_zone(&rig, NODES - 1);
    must(quire_machine_add_zone(rig.machine, &rig.given[NODES - 1], &rig.spans[NODES - 1], 1),
         "add_zone");
    done.added++;
}

static void move_cpus(struct holder *h)
{
    static struct quire_topology t;

    t = rig.topology;
    if (draw(h, 2))
        t.cpu_node[draw(h, t.cpu_count)] = (uint32_t)draw(h, NODES);
    must(quire_machine_set_topology(rig.machine, &t), "set_topology");
    done.topologies++;
}

/* A frame is in the way: its holder gives it back, as it was told to, if he comes to run. */
static int wait_for_owner(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)pfn;
    (void)frames;
    if (draw(ctx, 200) == 0)
        poke(ctx);
    return -1;
}

static void offline_some(struct holder *h)
{
    uint32_t node = (uint32_t)draw(h, NODES - 1);
    struct quire_run run = {quire_pfn_of(rig_base(node) + draw(h, 7) * BLOCK),
                            (1 + draw(h, 2)) * BLOCK};
    size_t count;
    int error;

    atomic_store(&leaving, node);
    error = quire_machine_offline(rig.machine, run, wait_for_owner, h, NULL, 0, &count);
    atomic_store(&leaving, QUIRE_NO_NODE);
    if (error == QUIRE_ERR_BUSY) {
        done.in_use++;
        return;
    }
    must(error, "offline");
    done.offlined++;
    book(run, NOBODY); /* nobody may have a frame of it */
    rig_pause();
    unbook(run, NOBODY);
    must(quire_machine_online(rig.machine, run), "online");
}

static void *disturb(void *arg)
{
    struct holder *h = arg;

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        switch (draw(h, 6)) {
        case 0:
            unplug(h);
            break;
        case 1:
            move_cpus(h);
            break;
        case 2:
        case 3:
            offline_some(h);
            break;
        case 4:
            (void)quire_machine_maintain(rig.machine);
            break;
        default:
            (void)quire_machine_drain_cpu(rig.machine, (uint32_t)draw(h, NODES * CPUS));
        }
        poke(h);
    }
    return NULL;
}

/* ---- All of it ------------------------------------------------------------------------------ */

static uint32_t real_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

static void open_machine(void)
{
    rig_begin(&rig, NODES, CPUS);
    if (rseq) {
        rig.config.mode = QUIRE_CACHE_RSEQ;
        rig.config.port.cpu = real_cpu;
    }
    for (uint32_t n = 0; n < NODES; n++)
        (void)rig_zone(&rig, n, QUIRE_ZONE_NORMAL, 0, FRAMES);
    if (rig_try(&rig) != QUIRE_OK)
        skip_all("restartable sequences do not work here");
    books_open();
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
    if (pthread_create(thread, NULL, body, arg) != 0)
        die("cannot start a thread");
}

static void finish(void)
{
    uint64_t calls = 0, refused = 0, signals = 0, given = 0, sums[2] = {0};

    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *w = &workers[i];

        calls += w->outside.calls + w->inside.calls;
        refused += w->outside.refused + w->inside.refused;
        signals += w->signals;
        given += w->outside.given + w->inside.given;
        while (w->outside.count > 0)
            give_back(&w->outside, 0);
        while (w->inside.count > 0)
            give_back(&w->inside, 0);
    }
    for (uint32_t n = 0; n < NODES; n++) {
        struct quire_node_stats s = rig_stats(&rig, n);

        sums[0] += s.counts[QUIRE_NODE_HIT] + s.counts[QUIRE_NODE_MISS];
        sums[1] += s.counts[QUIRE_NODE_LOCAL] + s.counts[QUIRE_NODE_OTHER];
    }
    if (sums[0] != given || sums[1] != given)
        die("%" PRIu64 " given, but %" PRIu64 " hits and misses, %" PRIu64 " local and other",
            given, sums[0], sums[1]);
    printf("%" PRIu64 " calls, %" PRIu64 " refused, %" PRIu64 " signals; %u zones removed (%u "
           "times busy), %u topologies, %u ranges offline (%u in use): clean\n",
           calls, refused, signals, done.removed, done.busy, done.topologies, done.offlined,
           done.in_use);
    if (!is_test() || signals < 5)
        die("this was no test");
    if (rig.heard.reports != 0)
        die("good frees were taken for bad ones");
    rig_close(&rig);
    books_close();
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    static struct holder disturber = {.random = 4711};
    long ms = argc > 2 ? strtol(argv[2], NULL, 0) : 3000;
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    pthread_t other;

    if (argc < 2 || (strcmp(argv[1], "rseq") != 0 && strcmp(argv[1], "exchange") != 0))
        die("%s: the first argument is the mode: exchange or rseq", argv[0]);
    rseq = strcmp(argv[1], "rseq") == 0;
    open_machine();
    (void)sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].outside.random = workers[i].outside.who = 2 * i + 1;
        workers[i].outside.most = HOLD;
        workers[i].inside.random = workers[i].inside.who = 2 * i + 2;
        workers[i].inside.most = INSIDE;
        start(&workers[i].thread, work, &workers[i]);
    }
    start(&other, disturb, &disturber);
    for (unsigned i = 0; i < MOST_TIMES && (i == 0 || !is_test()); i++)
        (void)nanosleep(&time, NULL);
    atomic_store(&over, true);
    (void)pthread_join(other, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    finish();
    return 0;
}
