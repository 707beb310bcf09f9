/* SPDX-License-Identifier: MIT
 *
 * signals.c - allocation in signal handlers, of threads that the host knows and of one that it has
 * never seen, while one thread publishes one topology after another and waits for readers.
 *
 * A timer of the process sends signals at short intervals; whoever gets one allocates and frees in
 * its handler, runs that no magazine serves among them and now and then a bad free, in the middle
 * of whatever it was doing: an allocation, a wait for readers, or registering itself. At the end
 * nothing may be lost.
 */
#include "host_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 3, THREADS = 3, PERIOD_US = 300 };

static struct quire_host *host;
static atomic_bool stop;
static atomic_ulong handled, refused, wrong;
static atomic_ulong published, bad, reported;
static void *const nobodys = (void *)(uintptr_t)QUIRE_FRAME_SIZE;

static void allocate(unsigned order, unsigned char mark)
{
    void *got;
    volatile unsigned char *memory;
    int error = quire_host_alloc(host, order, QUIRE_MOVABLE, &got);

    if (error) {
        atomic_fetch_add(&refused, 1);
        if (error != QUIRE_ERR_NO_MEMORY && error != QUIRE_ERR_ZONE)
            atomic_fetch_add(&wrong, 1);
        return;
    }
    memory = got;
    memory[0] = memory[((size_t)QUIRE_FRAME_SIZE << order) - 1] = mark;
    if (memory[0] != mark || quire_host_free(host, got, order))
        atomic_fetch_add(&wrong, 1);
}

static void on_signal(int number)
{
    unsigned long turn = atomic_fetch_add(&handled, 1);

    (void)number;
    allocate((unsigned)(turn % 4), (unsigned char)turn);
    if (turn % 4 == 0) {
        atomic_fetch_add(&bad, 1);
        if (quire_host_free(host, nobodys, 0) != QUIRE_ERR_FRAME)
            atomic_fetch_add(&wrong, 1);
    }
}

/* Of nothing else but what is bad on purpose, in the middle of a good free too. */
static void report(void *ctx, void *memory, unsigned order, int error)
{
    (void)ctx;
    atomic_fetch_add(&reported, 1);
    if (memory != nobodys || order != 0 || error != QUIRE_ERR_FRAME)
        atomic_fetch_add(&wrong, 1);
}

static void block(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    assert_int_equal(pthread_sigmask(how, &set, NULL), 0);
}

/* Never tells the host that it exists. */
static void *unknown(void *unused)
{
    block(SIG_UNBLOCK);
    for (unsigned i = 0; !atomic_load(&stop); i++)
        allocate(i % 3, (unsigned char)i);
    return unused;
}

/* Comes and goes. */
static void *known(void *unused)
{
    block(SIG_UNBLOCK);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        quire_host_thread_enter();
        for (unsigned k = 0; k < 50; k++)
            allocate(k % 3, (unsigned char)k);
        if (quire_host_thread_leave())
            atomic_fetch_add(&wrong, 1);
    }
    return unused;
}

/* Changes distances to and fro: each time a new snapshot, and a wait for who reads the old one. */
static void *plug(void *unused)
{
    static struct quire_topology topology;

    block(SIG_UNBLOCK);
    quire_machine_topology(quire_host_machine(host), &topology);
    while (!atomic_load(&stop)) {
        if (quire_machine_set_topology(quire_host_machine(host), &topology))
            atomic_fetch_add(&wrong, 1);
        atomic_fetch_add(&published, 1);
    }
    return unused;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    const struct itimerval period = {{0, PERIOD_US}, {0, PERIOD_US}}, never = {{0, 0}, {0, 0}};
    void *(*const lives[THREADS])(void *) = {unknown, known, plug};
    const struct quire_host_options options = {.bytes = 16 * MIB, .report = report};
    pthread_t threads[THREADS];
    struct quire_machine_stats stats;

    assert_int_equal(quire_host_create(&options, &host), QUIRE_OK);
    block(SIG_BLOCK);
    sigaction(SIGALRM, &action, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, lives[i], NULL), 0);
    setitimer(ITIMER_REAL, &period, NULL);
    sleep(SECONDS);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    quire_machine_stats(quire_host_machine(host), &stats);
    printf("%lu signals handled, %lu topologies published, %lu requests refused, %lu bad frees of "
           "%lu reported, %lu wrong\n",
           handled, published, refused, reported, bad, wrong);
    if (wrong || reported != bad || handled < 100 || published < 10 ||
        host_free_frames(host) != stats.managed) {
        printf("%llu of %llu frames are free at the end\n",
               (unsigned long long)host_free_frames(host), (unsigned long long)stats.managed);
        return 1;
    }
    quire_host_destroy(host);
    return 0;
}
