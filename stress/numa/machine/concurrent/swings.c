/* SPDX-License-Identifier: MIT
 *
 * swings.c - two topologies in turns, and a zone that leaves and comes back, for thousands of times
 * while threads and signal handlers allocate and free: the memory that the machine has from its
 * port stays what it was after the first few.
 *
 *   numa_swings exchange|rseq [TURNS]
 */
#include "machine_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NODES = 3,
    CPUS = 2, /* a node */
    FRAMES = 8 * BLOCK,
    THREADS = 2,
    INSIDE = 40,   /* runs that a signal handler holds at most */
    LEAVE_AT = 16, /* turns from one departure of the zone to the next */
    SETTLED = 40,  /* turns after which nothing may grow */
};

static struct worker {
    struct holder outside, inside;
    pthread_t thread;
} workers[THREADS];
static _Atomic bool over;
static _Thread_local struct worker *self;

static void handle(int signal)
{
    (void)signal;
    if (self)
        act(&self->inside);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    self = w;
    rig_cpu = (uint32_t)(w - workers);
    while (!atomic_load_explicit(&over, memory_order_relaxed))
        act(&w->outside);
    return NULL;
}

static uint32_t real_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

/* The last node's zone leaves, if it can be had back in time, and returns. */
static bool leave_and_return(void)
{
    struct quire_zone *zone = &rig.zones[NODES - 1].zone;
    int error = QUIRE_ERR_BUSY;

    atomic_store(&leaving, NODES - 1);
    for (unsigned i = 0; i < 200 && error == QUIRE_ERR_BUSY; i++) {
        for (unsigned k = 0; k < THREADS; k++)
            (void)pthread_kill(workers[k].thread, SIGUSR1);
        rig_pause();
        error = quire_machine_remove_zone(rig.machine, zone);
    }
    atomic_store(&leaving, NO_ZONE);
    if (error == QUIRE_ERR_BUSY)
        return false;
    must(error, "remove_zone");
    rig_rebuild_zone(&rig, NODES - 1);
    must(quire_machine_add_zone(rig.machine, &rig.given[NODES - 1], &rig.spans[NODES - 1], 1),
         "add_zone");
    return true;
}

static void swing(unsigned long turns)
{
    static struct quire_topology t;
    uint64_t bytes = 0;
    unsigned long left = 0;

    for (unsigned long i = 0; i < turns; i++) {
        t = rig.topology;
        if (i % 2 == 0) {
            t.cpu_node[0] = 1;
            t.cpu_node[CPUS] = 0;
        }
        must(quire_machine_set_topology(rig.machine, &t), "set_topology");
        if (i % LEAVE_AT == LEAVE_AT - 1)
            left += leave_and_return();
        (void)pthread_kill(workers[i % THREADS].thread, SIGUSR1);
        if (i == SETTLED)
            bytes = rig.memory_bytes;
        if (i > SETTLED && rig.memory_bytes > bytes)
            die("turn %lu: %" PRIu64 " bytes of the port's memory, not %" PRIu64, i,
                rig.memory_bytes, bytes);
    }
    printf("%lu turns, %lu departures, %" PRIu64 " bytes all the time\n", turns, left, bytes);
    if (left == 0 && turns > 1000)
        die("this was no test");
}

int main(int argc, char *argv[])
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    unsigned long turns = argc > 2 ? strtoul(argv[2], NULL, 0) : 10000;

    rig_begin(&rig, NODES, CPUS);
    if (argc > 1 && strcmp(argv[1], "rseq") == 0) {
        rig.config.mode = QUIRE_CACHE_RSEQ;
        rig.config.port.cpu = real_cpu;
    }
    for (uint32_t n = 0; n < NODES; n++)
        (void)rig_zone(&rig, n, QUIRE_ZONE_NORMAL, 0, FRAMES);
    if (rig_try(&rig) != QUIRE_OK)
        skip_all("restartable sequences do not work here");
    books_open();
    (void)sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].outside.random = workers[i].outside.who = 2 * i + 1;
        workers[i].outside.most = HOLD;
        workers[i].inside.random = workers[i].inside.who = 2 * i + 2;
        workers[i].inside.most = INSIDE;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            die("cannot start a thread");
    }
    swing(turns);
    atomic_store(&over, true);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        give_all_back(&workers[i].outside);
        give_all_back(&workers[i].inside);
    }
    if (rig.heard.reports != 0)
        die("good frees were taken for bad ones");
    rig_close(&rig);
    books_close();
    return 0;
}
