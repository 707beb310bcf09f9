/* SPDX-License-Identifier: MIT
 *
 * zone.c - Quire's zone behind the table, without a cache: one zone from frame 0, one slot
 * per thread, metadata on pages that read as zeros, watermarks at 0 so that an arena can be filled
 * to the last frame. With the run map (`quire-zone`) and without (`quire-norunmap`), so that the
 * difference is what the run map costs.
 *
 * The functions only pass on, so that what is measured is the library's own entry points. State:
 * struct arena, which nobody changes after open.
 */
#include "zone.h"

#include <sched.h>
#include <stdlib.h>

struct arena {
    struct quire_zone zone;
    void *metadata;
    size_t bytes;
};

static uint32_t current_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

void *zone_arena_open(uint64_t frames, unsigned slots, bool no_run_map)
{
    struct quire_run usable = {quire_pfn_of(0), frames};
    struct quire_zone_config config = {
        .type = QUIRE_ZONE_NORMAL,
        .slots = slots,
        .usable = &usable,
        .usable_count = 1,
        .no_run_map = no_run_map,
        .metadata_zeroed = true,
        .port = {.cpu = current_cpu},
    };
    struct arena *arena = calloc(1, sizeof(*arena));

    if (!arena || quire_zone_metadata_size(&config, &arena->bytes)) {
        free(arena);
        return NULL;
    }
    arena->metadata = metadata_map(arena->bytes);
    if (arena->metadata &&
        quire_zone_init(&arena->zone, &config, arena->metadata, arena->bytes) == QUIRE_OK) {
        return arena;
    }
    if (arena->metadata) {
        metadata_unmap(arena->metadata, arena->bytes);
    }
    free(arena);
    return NULL;
}

static void *zone_open(uint64_t frames, unsigned threads)
{
    return zone_arena_open(frames, threads, false);
}

static void *zone_open_norunmap(uint64_t frames, unsigned threads)
{
    return zone_arena_open(frames, threads, true);
}

static void zone_close(void *opened)
{
    struct arena *arena = opened;

    metadata_unmap(arena->metadata, arena->bytes);
    free(arena);
}

struct quire_zone *zone_of(void *arena)
{
    return &((struct arena *)arena)->zone;
}

static int zone_alloc(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    return quire_zone_alloc(zone_of(arena), quire_slot_of(thread), order, 0, frame);
}

static int zone_alloc_movable(void *arena, unsigned thread, unsigned order, quire_pfn *frame)
{
    return quire_zone_alloc(zone_of(arena), quire_slot_of(thread), order, QUIRE_MOVABLE, frame);
}

static int zone_free(void *arena, unsigned thread, quire_pfn frame, unsigned order)
{
    return quire_zone_free(zone_of(arena), quire_slot_of(thread), frame, order);
}

static int zone_alloc_batch(void *arena, unsigned thread, quire_pfn *frames, size_t n)
{
    size_t got;

    return quire_zone_alloc_batch(zone_of(arena), quire_slot_of(thread), 0, n, frames, &got);
}

static int zone_free_batch(void *arena, unsigned thread, const quire_pfn *frames, size_t n)
{
    return quire_zone_free_batch(zone_of(arena), quire_slot_of(thread), frames, n, NULL);
}

static int zone_alloc_contig(void *arena, unsigned thread, uint64_t frames, uint64_t align,
                             quire_pfn *frame)
{
    struct quire_contig want = {.frames = frames, .align = align << QUIRE_FRAME_SHIFT};

    return quire_zone_alloc_contig(zone_of(arena), quire_slot_of(thread), &want, 0, frame);
}

static int zone_free_contig(void *arena, unsigned thread, quire_pfn frame, uint64_t frames)
{
    return quire_zone_free_contig(zone_of(arena), quire_slot_of(thread), frame, frames);
}

/* Home blocks that are wholly free count: they are whole blocks to whoever asks for one. */
static uint64_t zone_whole_blocks(void *arena)
{
    struct quire_zone_stats stats;
    uint64_t blocks = 0;

    if (quire_zone_stats(zone_of(arena), &stats)) {
        return 0;
    }
    for (unsigned order = 9; order <= QUIRE_MAX_ORDER; order++) {
        blocks += stats.free_runs[order] << (order - 9);
    }
    return blocks;
}

static const char *zone_check(void *arena)
{
    struct quire_zone_stats stats;
    struct quire_fault violation = {0};

    if (quire_zone_check(zone_of(arena), &violation)) {
        return violation.what;
    }
    if (quire_zone_stats(zone_of(arena), &stats) || stats.free != stats.managed) {
        return "free and managed frames differ";
    }
    return NULL;
}

static uint64_t zone_metadata_bytes(void *arena)
{
    return quire_zone_metadata_bytes(zone_of(arena));
}

#define ZONE_FUNCTIONS                                                                             \
    .close = zone_close, .alloc = zone_alloc, .alloc_movable = zone_alloc_movable,                 \
    .free = zone_free, .alloc_batch = zone_alloc_batch, .free_batch = zone_free_batch,             \
    .alloc_contig = zone_alloc_contig, .free_contig = zone_free_contig,                            \
    .whole_blocks = zone_whole_blocks, .check = zone_check, .metadata_bytes = zone_metadata_bytes, \
    .sparse = true

const struct allocator allocator_quire_zone = {
    .name = "quire-zone",
    .what = "one zone without a cache, a slot per thread, run map on",
    .open = zone_open,
    ZONE_FUNCTIONS,
};

const struct allocator allocator_quire_norunmap = {
    .name = "quire-norunmap",
    .what = "the same without the run map",
    .open = zone_open_norunmap,
    .same_places = true,
    ZONE_FUNCTIONS,
};
