/* SPDX-License-Identifier: MIT
 *
 * workers.h - WORKERS threads that begin at once, each with a number, and count what went wrong;
 * and a grace period, for tables that are retired while others are in a call.
 *
 * State: the barrier where they begin, and who is in a call. One set of workers runs at a time.
 */
#ifndef QUIRE_STRESS_VM_THREADS_WORKERS_H
#define QUIRE_STRESS_VM_THREADS_WORKERS_H

#include "stress/common/assert.h"
#include "stress/vm/space_rig.h"

#include <pthread.h>
#include <sched.h>

enum { WORKERS = 4 };

struct worker {
    unsigned number;   /* 0 .. WORKERS-1 */
    unsigned failures; /* of calls that should have succeeded */
    void (*work)(struct worker *worker);
};

static pthread_barrier_t workers_start;

static void *worker_run(void *argument)
{
    struct worker *worker = argument;

    (void)pthread_barrier_wait(&workers_start);
    worker->work(worker);
    return NULL;
}

/* All do this; none of them may fail. */
static void workers_run(void (*work)(struct worker *worker))
{
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];

    assert_int_equal(pthread_barrier_init(&workers_start, NULL, WORKERS), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.number = i, .work = work};
        assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&workers_start);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(workers[i].failures, 0);
}

/* ---- Tables that leave ---------------------------------------------------------------------- */

static qa64 workers_calls[WORKERS]; /* odd: the worker is in a call */

/* Around each call of a worker beside which another one retires tables. */
static inline void worker_enters_call(const struct worker *worker)
{
    (void)qa_add(&workers_calls[worker->number], 1, acq_rel);
    qa_fence_seq_cst();
}

static inline void worker_leaves_call(const struct worker *worker)
{
    (void)qa_add(&workers_calls[worker->number], 1, release);
}

/* port.paging.retire of a space_rig, after a grace period: each that is in a call comes out of it.
 */
static inline void workers_retire(void *ctx, const quire_pfn *tables, uint32_t count)
{
    const struct space_rig *ours = ctx;
    const struct quire_table_source *source = &ours->config.port.paging.tables;

    qa_fence_seq_cst();
    for (unsigned t = 0; t < WORKERS; t++) {
        uint64_t seen = qa_load(&workers_calls[t], acquire);

        while ((seen & 1) && qa_load(&workers_calls[t], acquire) == seen)
            (void)sched_yield();
    }
    for (uint32_t i = 0; i < count; i++)
        source->free(source->ctx, tables[i]);
}

/* test##_test, for cmocka: the test by on_some of the file, on some formats. */
#define ON_SOME(test)                   \
    static void test##_test(void **ctx) \
    {                                   \
        (void)ctx;                      \
        on_some(test);                  \
    }

#endif /* QUIRE_STRESS_VM_THREADS_WORKERS_H */
