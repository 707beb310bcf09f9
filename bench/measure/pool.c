/* SPDX-License-Identifier: MIT
 *
 * pool.c - pinned worker threads.
 *
 * State, all behind `mutex`: the job (run and body), its number, how many workers it wants and how
 * many have not finished it. A worker sleeps until the job's number differs from the last one that
 * it saw; one that the job does not want goes back to sleep at once.
 */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    pthread_t threads[BENCH_MAX_THREADS];
    unsigned count;
    uint64_t job;
    unsigned wanted; /* workers of the job; 0 once it is done */
    unsigned unfinished;
    bool stop;
    struct run *run;
    void (*body)(struct run *run, struct lane *lane);
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

/* Read before any worker is pinned; pinning a worker does not change the process's own. */
static cpu_set_t allowed_cpus(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set)) {
        bench_die("cannot read the CPUs that this process may use", NULL);
    }
    return set;
}

unsigned pool_cpus(void)
{
    cpu_set_t set = allowed_cpus();

    return (unsigned)CPU_COUNT(&set);
}

static void pin(pthread_t thread, unsigned index)
{
    cpu_set_t allowed = allowed_cpus(), one;
    unsigned skip = index % (unsigned)CPU_COUNT(&allowed);
    size_t cpu = 0;

    while (!CPU_ISSET(cpu, &allowed) || skip > 0) {
        skip -= CPU_ISSET(cpu, &allowed) ? 1 : 0;
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (pthread_setaffinity_np(thread, sizeof(one), &one)) {
        bench_die("cannot pin a worker to its CPU", NULL);
    }
}

static void *worker(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    uint64_t seen = 0;

    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (!pool.stop && pool.job == seen) {
            pthread_cond_wait(&pool.wake, &pool.mutex);
        }
        if (pool.stop) {
            break;
        }
        seen = pool.job;
        struct run *run = pool.run;

        if (index >= pool.wanted) {
            continue; /* not needed, or woken so late that the job is over and its run gone */
        }
        pthread_mutex_unlock(&pool.mutex);
        pool.body(run, &run->lanes[index]);
        pthread_mutex_lock(&pool.mutex);
        pool.unfinished--;
        if (pool.unfinished == 0) {
            pthread_cond_signal(&pool.done);
        }
    }
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

void pool_start(unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        int error = pthread_create(&pool.threads[i], NULL, worker, (void *)(uintptr_t)i);

        if (error) {
            bench_die("cannot start a worker", strerror(error));
        }
        pin(pool.threads[i], i);
    }
    pool.count = threads;
}

void pool_stop(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.stop = true;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.mutex);
    for (unsigned i = 0; i < pool.count; i++) {
        pthread_join(pool.threads[i], NULL);
    }
}

void pool_run(struct run *run, void (*body)(struct run *run, struct lane *lane))
{
    pthread_mutex_lock(&pool.mutex);
    pool.run = run;
    pool.body = body;
    pool.wanted = run->threads;
    pool.unfinished = run->threads;
    pool.job++;
    pthread_cond_broadcast(&pool.wake);
    while (pool.unfinished > 0) {
        pthread_cond_wait(&pool.done, &pool.mutex);
    }
    pool.wanted = 0;
    pthread_mutex_unlock(&pool.mutex);
}
