/* SPDX-License-Identifier: MIT
 *
 * hand_over.c - a producer allocates on one CPU, a consumer frees on another: frames flow in one
 * direction for ever, and what the caches hold stays within their bound.
 *
 *   percpu_hand_over MODE [HANDOVERS]
 *
 * In exchange mode the two CPUs may be simulated ones, so that one real CPU is enough.
 */
#include "stress/percpu/cache_load.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RING = 256,
    FRAMES = 16 * BLOCK,
    HANDOVERS = SANITIZED ? 100000 : 1000000, /* each RING costs a switch where CPUs are busy */
    LOOK = 4096,                              /* hand-overs between two looks at the bound */
};

static struct rig rig;
static struct shadow shadow;
static uint64_t ring[RING];
static _Atomic uint64_t produced, consumed; /* release: the slot is written, or read */
static uint64_t total = HANDOVERS;
static _Thread_local uint32_t my_cpu;

static uint32_t thread_cpu(void)
{
    return my_cpu;
}

static void move_to(uint32_t i)
{
    if (mode == QUIRE_CACHE_RSEQ)
        run_on(&rig, i % cpu_count());
    my_cpu = cpu_name(i % cpu_count());
}

static void *produce(void *unused)
{
    (void)unused;
    move_to(0);
    for (uint64_t i = 0; i < total; i++) {
        quire_pfn pfn;
        int error = quire_cache_alloc(&rig.cache, 0, 0, &pfn);

        if (error != QUIRE_OK)
            die("hand-over %" PRIu64 ": %s", i, quire_strerror(error));
        shadow_take(&shadow, 1, pfn.n, 1);
        while (i - atomic_load_explicit(&consumed, memory_order_acquire) >= RING)
            (void)sched_yield();
        ring[i % RING] = pfn.n;
        atomic_store_explicit(&produced, i + 1, memory_order_release);
    }
    return NULL;
}

/* What is out of the zone is in the ring or in a cache, up to what the two have in their hands. */
static void look(void)
{
    uint64_t slack = 2 * (uint64_t)(RING + QUIRE_CACHE_MAX_ROUNDS);
    uint64_t out = quire_zone_managed(&rig.zone) - quire_zone_free_frames(&rig.zone);

    if (out > quire_cache_bound(&rig.cache) + slack)
        die("%" PRIu64 " frames are out of the zone, the caches' bound is %" PRIu64, out,
            quire_cache_bound(&rig.cache));
}

static void *consume(void *unused)
{
    (void)unused;
    move_to(1);
    for (uint64_t i = 0; i < total; i++) {
        uint64_t pfn;
        int error;

        while (atomic_load_explicit(&produced, memory_order_acquire) == i)
            (void)sched_yield();
        pfn = ring[i % RING];
        atomic_store_explicit(&consumed, i + 1, memory_order_release);
        shadow_give(&shadow, 1, pfn, 1);
        error = quire_cache_free(&rig.cache, quire_pfn_of(pfn), 0);
        if (error != QUIRE_OK)
            die("free of 0x%" PRIx64 ": %s", pfn, quire_strerror(error));
        if (i % LOOK == 0)
            look();
    }
    return NULL;
}

int main(int argc, char *argv[])
{
    struct quire_cache_stats stats;
    pthread_t producer, consumer;

    select_mode(argc, argv);
    if (argc > 2)
        total = strtoull(argv[2], NULL, 0);
    rig_begin(&rig, FRAMES);
    rig.cpu_now = thread_cpu;
    rig_open(&rig);
    shadow_open(&shadow, rig.usable[0].pfn.n, FRAMES, FRAMES);
    if (pthread_create(&producer, NULL, produce, NULL) != 0 ||
        pthread_create(&consumer, NULL, consume, NULL) != 0)
        die("cannot start a thread");
    (void)pthread_join(producer, NULL);
    (void)pthread_join(consumer, NULL);
    check_books(&rig, &shadow);
    if (quire_cache_stats(&rig.cache, &stats) != QUIRE_OK || stats.bad_frees != 0)
        die("good frees were taken for bad ones");
    printf("%" PRIu64 " hand-overs, %" PRIu64 " refills, %" PRIu64 " flushes, %" PRIu64
           " overflows, %" PRIu64 " bypasses, at most %" PRIu64 " frames in the caches: clean\n",
           total, stats.refills, stats.flushes, stats.overflows, stats.bypasses,
           quire_cache_bound(&rig.cache));
    rig_close(&rig, 0);
    shadow_close(&shadow);
    return 0;
}
