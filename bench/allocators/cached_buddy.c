/* SPDX-License-Identifier: MIT
 *
 * cached_buddy.c - the spinlock buddy behind an array of 64 single frames per thread, last
 * in, first out: what Linux's per-CPU lists do, without their zones and migrate types. An empty
 * array is filled half from the buddy, a full one gives its older half back, each under one lock;
 * larger orders go to the buddy at once.
 *
 * State: an array per thread, touched by its thread only, and the buddy. A frame is in one place.
 */
#include "allocators.h"

#include <stdlib.h>
#include <string.h>

enum { CACHED = 64, HALF = CACHED / 2 };

struct cache {
    _Alignas(128) size_t count;
    quire_pfn frames[CACHED];
};

struct cached_buddy {
    void *buddy;
    unsigned threads;
    struct cache caches[];
};

#define BUDDY allocator_batched_buddy

static void *cached_open(uint64_t frames, unsigned threads)
{
    size_t bytes = sizeof(struct cached_buddy) + threads * sizeof(struct cache);
    struct cached_buddy *b = aligned_alloc(_Alignof(struct cached_buddy), bytes);

    if (!b) {
        return NULL;
    }
    memset(b, 0, bytes);
    b->threads = threads;
    b->buddy = BUDDY.open(frames, threads);
    if (!b->buddy) {
        free(b);
        return NULL;
    }
    return b;
}

static void cached_close(void *arena)
{
    struct cached_buddy *b = arena;

    BUDDY.close(b->buddy);
    free(b);
}

static int cached_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    struct cached_buddy *b = arena;
    struct cache *cache = &b->caches[thread];

    if (order > 0) {
        return BUDDY.alloc(b->buddy, thread, order, frame);
    }
    if (cache->count == 0) {
        if (BUDDY.alloc_batch(b->buddy, thread, cache->frames, HALF)) {
            return BUDDY.alloc(b->buddy, thread, 0, frame);
        }
        cache->count = HALF;
    }
    *frame = cache->frames[--cache->count];
    return 0;
}

static int cached_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    struct cached_buddy *b = arena;
    struct cache *cache = &b->caches[thread];
    int error = 0;

    if (order > 0) {
        return BUDDY.free(b->buddy, thread, frame, order);
    }
    if (cache->count == CACHED) {
        error = BUDDY.free_batch(b->buddy, thread, cache->frames, HALF);
        memcpy(cache->frames, cache->frames + HALF, HALF * sizeof(cache->frames[0]));
        cache->count = HALF;
    }
    cache->frames[cache->count++] = frame;
    return error;
}

static int cached_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                               quire_pfn *frame)
{
    return BUDDY.alloc_contig(((struct cached_buddy *)arena)->buddy, thread, frames, align, frame);
}

static int cached_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    return BUDDY.free_contig(((struct cached_buddy *)arena)->buddy, thread, frame, frames);
}

static uint64_t cached_whole_blocks(void *arena)
{
    return BUDDY.whole_blocks(((struct cached_buddy *)arena)->buddy);
}

static const char *cached_check(void *arena)
{
    struct cached_buddy *b = arena;

    for (unsigned i = 0; i < b->threads; i++) {
        struct cache *cache = &b->caches[i];

        if (BUDDY.free_batch(b->buddy, i, cache->frames, cache->count)) {
            return "a thread's array holds a frame that the buddy refuses";
        }
        cache->count = 0;
    }
    return BUDDY.check(b->buddy);
}

static uint64_t cached_metadata_bytes(void *arena)
{
    const struct cached_buddy *b = arena;

    return sizeof(*b) + b->threads * sizeof(struct cache) + BUDDY.metadata_bytes(b->buddy);
}

const struct allocator allocator_cached_buddy = {
    .name = "cached-buddy",
    .what = "the same buddy behind an array of 64 frames per thread",
    .open = cached_open,
    .close = cached_close,
    .alloc = cached_alloc,
    .free = cached_free,
    .alloc_contig = cached_alloc_contig,
    .free_contig = cached_free_contig,
    .whole_blocks = cached_whole_blocks,
    .check = cached_check,
    .metadata_bytes = cached_metadata_bytes,
};
