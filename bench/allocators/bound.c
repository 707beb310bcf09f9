/* SPDX-License-Identifier: MIT
 *
 * bound.c - a lower bound: the locked instructions of the zone's design, and nothing else.
 *
 * A bitmap that all share and a count that is exact make it two read-modify-writes to take a frame
 * (debit, claim) and two to free it (clear, credit); a batch pays the count once, and the bitmap
 * once a word. This does just these, on the same kind of lines: a map of one bit a frame, a count a
 * thread. No search (a cursor instead, which is why frames must all come back before it starts
 * over), no run map, no hints, no watermarks. What it costs on a machine, the zone costs at least;
 * so its figures say which targets are within the design's reach there.
 *
 * State: struct bound. AB1: bit i of `map` is set while frame i is held. AB2: credit + held frames
 * of a thread's share is `share`. AB3: frames at or above a thread's cursor are free. Only a
 * frame's own thread frees it. Callers: the benchmark's worker threads. Wait-free but for the loop
 * that fetch_and is on x86.
 */
#include "allocators.h"

#include <stdlib.h>

struct lane_share {
    _Alignas(128) uint64_t credit;
    uint64_t cursor; /* the next frame, counted from the share's first; the thread's alone */
};

struct bound {
    uint64_t *map;
    uint64_t frames, share;
    unsigned threads;
    struct lane_share shares[BENCH_MAX_THREADS];
};

static void *bound_open(uint64_t frames, unsigned threads)
{
    struct bound *b = aligned_alloc(_Alignof(struct bound), sizeof(*b));

    if (!b) {
        return NULL;
    }
    b->frames = frames;
    b->threads = threads;
    b->share = frames / threads / BENCH_BLOCK * BENCH_BLOCK;
    b->map = metadata_map(frames / 8);
    for (unsigned i = 0; i < threads; i++) {
        b->shares[i].credit = b->share;
        b->shares[i].cursor = 0;
    }
    if (!b->map) {
        free(b);
        return NULL;
    }
    return b;
}

static void bound_close(void *arena)
{
    struct bound *b = arena;

    metadata_unmap(b->map, b->frames / 8);
    free(b);
}

/* Set the bits `mask` of the word of frame `i`. False: one was set. */
static inline bool claim(struct bound *b, uint64_t i, uint64_t mask)
{
    return !(__atomic_fetch_or(&b->map[i / 64], mask, __ATOMIC_ACQUIRE) & mask);
}

/* Clear them. False: one was clear. */
static inline bool clear(struct bound *b, uint64_t i, uint64_t mask)
{
    return (__atomic_fetch_and(&b->map[i / 64], ~mask, __ATOMIC_RELEASE) & mask) == mask;
}

static int bound_alloc_batch(void *arena, unsigned thread, quire_pfn *frames, size_t n)
{
    struct bound *b = arena;
    struct lane_share *own = &b->shares[thread];
    bool good = __atomic_fetch_sub(&own->credit, n, __ATOMIC_ACQUIRE) >= n;

    for (size_t done = 0; good && done < n;) {
        uint64_t i = thread * b->share + own->cursor, mask = 0;

        do {
            mask |= UINT64_C(1) << i % 64;
            frames[done++] = quire_pfn_of(i++);
        } while (done < n && i % 64 != 0);
        good = claim(b, i - 1, mask);
        own->cursor = i - thread * b->share;
    }
    return good ? 0 : -1;
}

static int bound_free_batch(void *arena, unsigned thread, const quire_pfn *frames, size_t n)
{
    struct bound *b = arena;
    struct lane_share *own = &b->shares[thread];
    bool good = true;

    for (size_t done = 0; done < n;) {
        uint64_t i = frames[done].n, mask = 0;

        do {
            mask |= UINT64_C(1) << frames[done].n % 64;
            done++;
        } while (done < n && frames[done].n / 64 == i / 64);
        good &= clear(b, i, mask);
    }
    if (__atomic_fetch_add(&own->credit, n, __ATOMIC_ACQ_REL) + n == b->share) {
        own->cursor = 0;
    }
    return good ? 0 : -1;
}

static int bound_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    struct bound *b = arena;
    struct lane_share *own = &b->shares[thread];
    bool good = order == 0 && __atomic_fetch_sub(&own->credit, 1, __ATOMIC_ACQUIRE) >= 1;

    frame->n = thread * b->share + own->cursor++;
    return good && claim(b, frame->n, UINT64_C(1) << frame->n % 64) ? 0 : -1;
}

static int bound_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    struct bound *b = arena;
    struct lane_share *own = &b->shares[thread];
    bool good = order == 0 && clear(b, frame.n, UINT64_C(1) << frame.n % 64);

    if (__atomic_fetch_add(&own->credit, 1, __ATOMIC_ACQ_REL) + 1 == b->share) {
        own->cursor = 0;
    }
    return good ? 0 : -1;
}

static const char *bound_check(void *arena)
{
    const struct bound *b = arena;

    for (unsigned i = 0; i < b->threads; i++) {
        if (b->shares[i].credit != b->share) {
            return "free and managed frames differ";
        }
    }
    for (uint64_t i = 0; i < b->frames / 64; i++) {
        if (b->map[i]) {
            return "a frame is held";
        }
    }
    return NULL;
}

const struct allocator allocator_bound = {
    .name = "bound",
    .what = "no allocator: the locked instructions of the zone's design alone",
    .open = bound_open,
    .close = bound_close,
    .alloc = bound_alloc,
    .free = bound_free,
    .alloc_batch = bound_alloc_batch,
    .free_batch = bound_free_batch,
    .check = bound_check,
    .bound = true,
};
