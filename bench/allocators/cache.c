/* SPDX-License-Identifier: MIT
 *
 * cache.c - the per-CPU caches without the machine above them (`quire-cache`): a zone behind one
 * cache, in the mode that the library chooses. The difference to `quire` is what the way through
 * the machine costs. Sizes are the library's own.
 *
 * The cache has no batch call: batches are single calls. Contiguous runs go to the zone. The
 * functions only pass on. State: struct cached, which nobody changes after open.
 */
#include "zone.h"

#include <quire/cache.h>
#include <stdlib.h>
#include <unistd.h>

struct cached {
    struct quire_cache cache;
    void *arena; /* the zone's */
    void *memory;
    size_t bytes;
};

static void cached_close(void *opened)
{
    struct cached *c = opened;

    if (c->memory) {
        metadata_unmap(c->memory, c->bytes);
    }
    if (c->arena) {
        allocator_quire_zone.close(c->arena);
    }
    free(c);
}

static void *cached_open(uint64_t frames, unsigned threads)
{
    uint32_t cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
    uint32_t slots = cpus > threads ? cpus : threads;
    struct cached *c = calloc(1, sizeof(*c));

    if (!c) {
        return NULL;
    }
    c->arena = zone_arena_open(frames, slots, false);
    if (c->arena) {
        struct quire_cache_config config = {
            .zone = zone_of(c->arena),
            .mode = QUIRE_CACHE_AUTO,
            .cpus = cpus,
            .rounds = QUIRE_CACHE_SIZE_AUTO,
            .run_rounds = QUIRE_CACHE_SIZE_AUTO,
            .large_rounds = QUIRE_CACHE_SIZE_AUTO,
            .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
            .depot = QUIRE_CACHE_SIZE_AUTO,
        };

        if (quire_cache_size(&config, &c->bytes) == QUIRE_OK) {
            c->memory = metadata_map(c->bytes);
        }
        if (c->memory && quire_cache_init(&c->cache, &config, c->memory, c->bytes) == QUIRE_OK) {
            return c;
        }
    }
    cached_close(c);
    return NULL;
}

static struct quire_cache *cache_of(void *arena)
{
    return &((struct cached *)arena)->cache;
}

static int cached_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)thread;
    return quire_cache_alloc(cache_of(arena), order, 0, frame);
}

static int cached_alloc_movable(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    (void)thread;
    return quire_cache_alloc(cache_of(arena), order, QUIRE_MOVABLE, frame);
}

static int cached_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    (void)thread;
    return quire_cache_free(cache_of(arena), frame, order);
}

static int cached_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                               quire_pfn *frame)
{
    return allocator_quire_zone.alloc_contig(((struct cached *)arena)->arena, thread, frames, align,
                                             frame);
}

static int cached_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    return allocator_quire_zone.free_contig(((struct cached *)arena)->arena, thread, frame, frames);
}

static void cached_maintain(void *arena)
{
    (void)quire_cache_maintain(cache_of(arena));
}

static uint64_t cached_whole_blocks(void *arena)
{
    return allocator_quire_zone.whole_blocks(((struct cached *)arena)->arena);
}

static const char *cached_check(void *arena)
{
    struct quire_cache_stats stats;

    if (quire_cache_drain_all(cache_of(arena)) || quire_cache_stats(cache_of(arena), &stats)) {
        return "the cache cannot be drained";
    }
    if (stats.bad_frees) {
        return "the zone refused frames that the cache took";
    }
    return allocator_quire_zone.check(((struct cached *)arena)->arena);
}

static uint64_t cached_metadata_bytes(void *arena)
{
    const struct cached *c = arena;

    return c->bytes + allocator_quire_zone.metadata_bytes(c->arena);
}

const struct allocator allocator_quire_cache = {
    .name = "quire-cache",
    .what = "the zone behind per-CPU caches, without the machine above them",
    .open = cached_open,
    .close = cached_close,
    .alloc = cached_alloc,
    .alloc_movable = cached_alloc_movable,
    .free = cached_free,
    .alloc_contig = cached_alloc_contig,
    .free_contig = cached_free_contig,
    .maintain = cached_maintain,
    .whole_blocks = cached_whole_blocks,
    .check = cached_check,
    .metadata_bytes = cached_metadata_bytes,
};
