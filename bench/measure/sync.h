/* SPDX-License-Identifier: MIT
 *
 * sync.h - what the benchmark's threads share: a spinlock, a barrier, a ring.
 *
 * Part of the benchmark, not of the product: the spinlock is what the locked buddy is measured
 * with, the barrier starts the timed sections together, the ring carries frames from the producer
 * to the consumer. Context: thread. Blocking: all but the ring's two functions, which are
 * wait-free.
 */
#ifndef QUIRE_BENCH_MEASURE_SYNC_H
#define QUIRE_BENCH_MEASURE_SYNC_H

#include "bench/bench.h"

#include <sched.h>

/* Tell the processor that this is a spin. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Test and test-and-set. The unlock is a plain store, so a pair costs one locked instruction; a
 * waiter spins on a shared copy of the line and not on the exchange. */
struct spinlock {
    unsigned held;
};

static inline void spin_lock(struct spinlock *lock)
{
    while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED)) {
            cpu_relax();
        }
    }
}

static inline void spin_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

/* Wait until `threads` threads are here. Spins, so that all leave within nanoseconds; gives the
 * processor away now and then for machines that have fewer of them than threads. */
static inline void barrier_wait(struct barrier *barrier, unsigned threads)
{
    unsigned generation = __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE);

    if (__atomic_add_fetch(&barrier->waiting, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->waiting, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->generation, generation + 1, __ATOMIC_RELEASE);
        return;
    }
    for (unsigned spins = 1; __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE) == generation;
         spins++) {
        cpu_relax();
        if (spins % 4096 == 0) {
            sched_yield();
        }
    }
}

/* A ring of frames from one producer to one consumer. Both keep a copy of the other's index and
 * look at the real one only when the copy says full or empty, so most hand-overs move no line but
 * the entry's.
 *
 * RG1  tail - head is the number of frames inside, 0 .. RING_SIZE; both only grow.
 * RG2  entry i % RING_SIZE belongs to the producer while i - head >= RING_SIZE or i >= tail, to
 *     the consumer otherwise; the index stores (release, acquire) hand it over. */
enum { RING_SIZE = 1024 };

struct ring {
    _Alignas(128) uint64_t tail; /* written by the producer */
    uint64_t head_seen;          /* the producer's copy of head */
    _Alignas(128) uint64_t head; /* written by the consumer */
    uint64_t tail_seen;          /* the consumer's copy of tail */
    _Alignas(128) quire_pfn entries[RING_SIZE];
};

static inline bool ring_put(struct ring *ring, quire_pfn frame)
{
    uint64_t tail = ring->tail;

    if (tail - ring->head_seen == RING_SIZE) {
        ring->head_seen = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        if (tail - ring->head_seen == RING_SIZE) {
            return false;
        }
    }
    ring->entries[tail % RING_SIZE] = frame;
    __atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
    return true;
}

static inline bool ring_get(struct ring *ring, quire_pfn *frame)
{
    uint64_t head = ring->head;

    if (head == ring->tail_seen) {
        ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        if (head == ring->tail_seen) {
            return false;
        }
    }
    *frame = ring->entries[head % RING_SIZE];
    __atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
    return true;
}

#endif /* QUIRE_BENCH_MEASURE_SYNC_H */
