/* SPDX-License-Identifier: MIT
 *
 * reclaim.c - the thread of reclaim.h.
 */
#include "reclaim.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { PAUSE_MS = 20, CARE_MS = 1000, CALL_FRAMES = 512 };

void quire_reclaimer_wake(struct reclaimer *reclaimer)
{
    int error = errno;

    if (reclaimer->started)
        (void)sem_post(&reclaimer->wake);
    errno = error;
}

/* Sleep for so long at most; true if it was woken. */
static bool sleep_for(struct reclaimer *reclaimer, unsigned milliseconds)
{
    struct timespec until;
    bool woken;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)milliseconds * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    woken = sem_clockwait(&reclaimer->wake, CLOCK_MONOTONIC, &until) == 0;
    while (woken && sem_trywait(&reclaimer->wake) == 0)
        ; /* one waking serves all who asked for it */
    return woken;
}

static bool stopped(struct reclaimer *reclaimer)
{
    /* E-reclaim-stop acquire */
    return qa_load(&reclaimer->stop, acquire) != 0;
}

static uint32_t zones_of(const struct reclaimer *reclaimer)
{
    return qa_load(&reclaimer->zone_count, acquire); /* E-host-arena acquire: they are made */
}

/* Does the reclaimer treat them as one? */
static bool is_one(const struct reclaimer_zone *a, const struct reclaimer_zone *b)
{
    return a->node.n == b->node.n && a->type == b->type;
}

/* Frames that the zones of this one's node and type are short of, together: one that was used up is
 * no matter as long as another has enough. */
static uint64_t missing(const struct reclaimer *reclaimer, const struct reclaimer_zone *one)
{
    uint64_t free = 0, high = 0;

    for (uint32_t i = 0; i < zones_of(reclaimer); i++) {
        const struct reclaimer_zone *zone = &reclaimer->zones[i];

        if (!is_one(zone, one))
            continue;
        free += quire_zone_free_frames(zone->zone);
        high += zone->high;
    }
    return high > free ? high - free : 0;
}

/* True if these zones are at their high watermark. What is freed goes into caches first, and they
 * may be able to hold a good part of a small zone: so they are drained before more is asked for. */
static bool refill(struct reclaimer *reclaimer, const struct reclaimer_zone *one)
{
    while (!stopped(reclaimer)) {
        uint64_t wanted = missing(reclaimer, one);
        uint64_t got;

        if (wanted > 0) {
            (void)quire_machine_drain_node(reclaimer->machine, one->node);
            wanted = missing(reclaimer, one);
        }
        if (wanted == 0)
            return true;
        got = reclaimer->reclaim(reclaimer->ctx, one->node,
                                 wanted < CALL_FRAMES ? wanted : CALL_FRAMES);
        qa_add(&reclaimer->calls, 1, relaxed);    /* relaxed: a figure */
        qa_add(&reclaimer->frames, got, relaxed); /* relaxed: a figure */
        if (got == 0)
            break;
    }
    return false;
}

static bool refill_all(struct reclaimer *reclaimer)
{
    bool done = true;

    for (uint32_t i = 0; i < zones_of(reclaimer) && reclaimer->reclaim; i++) {
        uint32_t first = 0;

        while (!is_one(&reclaimer->zones[first], &reclaimer->zones[i]))
            first++;
        if (first == i)
            done = refill(reclaimer, &reclaimer->zones[i]) && done;
    }
    return done;
}

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void *thread_main(void *argument)
{
    struct reclaimer *reclaimer = argument;
    uint64_t cared = milliseconds();
    bool short_of = false; /* some zone is below high, and nothing was to be had */

    quire_host_thread_enter();
    for (;;) {
        bool woken = sleep_for(reclaimer, short_of ? PAUSE_MS : CARE_MS);

        if (stopped(reclaimer))
            break;
        if (woken)
            qa_add(&reclaimer->wakeups, 1, relaxed); /* relaxed: a figure */
        if (woken || short_of)
            short_of = !refill_all(reclaimer);
        if (milliseconds() - cared >= CARE_MS) {
            (void)quire_machine_maintain(reclaimer->machine);
            cared = milliseconds();
        }
    }
    (void)quire_host_thread_leave();
    return NULL;
}

int quire_reclaimer_start(struct reclaimer *reclaimer)
{
    sigset_t all, before;
    int refused;

    if (sem_init(&reclaimer->wake, 0, 0))
        return QUIRE_ERR_NO_MEMORY;
    /* The program's signals are none of this thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    refused = pthread_create(&reclaimer->thread, NULL, thread_main, reclaimer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (refused) {
        sem_destroy(&reclaimer->wake);
        errno = refused;
        return QUIRE_ERR_NO_MEMORY;
    }
    reclaimer->started = true;
    return QUIRE_OK;
}

void quire_reclaimer_stop(struct reclaimer *reclaimer)
{
    /* E-reclaim-stop release */
    qa_store(&reclaimer->stop, 1, release);
    (void)sem_post(&reclaimer->wake);
    pthread_join(reclaimer->thread, NULL);
    reclaimer->started = false;
    sem_destroy(&reclaimer->wake);
}
