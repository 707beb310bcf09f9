/* SPDX-License-Identifier: MIT
 *
 * reclaim.h - the thread that reclaims in the background and looks after the caches.
 *
 * It sleeps on a semaphore that is posted when a zone falls below its low watermark
 * (async-signal-safe, so that an allocation in a signal handler can wake it). Awake, it calls
 * the program's `reclaim` for every node whose zones together are below their high watermarks,
 * until all nodes are there. If the program has nothing to give for now, it tries again after 20
 * ms: a zone tells its low watermark once, and again only after it was back at high. Once a second
 * it drains idle caches.
 *
 * State: a struct reclaimer, its caller's. What stands first is set before quire_reclaimer_start
 * and constant until quire_reclaimer_stop has returned, but for zones that are added; the figures
 * are atomic. Invariant: the semaphore and the thread exist iff `started` is set.
 */
#ifndef HOST_HARNESS_LIB_RECLAIM_H
#define HOST_HARNESS_LIB_RECLAIM_H

#include "core/atomic.h"

#include <quire/host.h>

#include <pthread.h>
#include <semaphore.h>

struct reclaimer_zone {
    struct quire_zone *zone;
    quire_node node;
    uint64_t high; /* its watermark, frames */
    enum quire_zone_type type;
};

struct reclaimer {
    struct quire_machine *machine;
    const struct reclaimer_zone *zones;
    qa32 zone_count;             /* zones may be added meanwhile */
    quire_host_reclaim *reclaim; /* NULL: only look after the caches */
    void *ctx;

    bool started;
    pthread_t thread;
    sem_t wake;
    qa32 stop;
    qa64 wakeups, calls, frames; /* figures: times woken, calls of reclaim, frames it freed */
};

/* Start and end the thread. A quire_error, errno set. Thread only; stopping blocks. */
int quire_reclaimer_start(struct reclaimer *reclaimer);
void quire_reclaimer_stop(struct reclaimer *reclaimer);

/* A zone is low. Any context, wait-free, leaves errno alone. Nothing happens before the start. */
void quire_reclaimer_wake(struct reclaimer *reclaimer);

#endif /* HOST_HARNESS_LIB_RECLAIM_H */
