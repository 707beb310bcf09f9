/* SPDX-License-Identifier: MIT
 *
 * give_back.c - `give-back`: free memory goes back to the system. A zone of 8 GiB of address space
 * that nobody has touched is given back as a whole: by one call of the zone's, whose port calls
 * madvise for up to 64 neighbouring blocks (variant 32768 frames); and beside it by one madvise for
 * each block of 512 frames, and by one for each frame, as who keeps no account of blocks has to. An
 * operation is a block given. Opening the zone is outside the timed section.
 */
#include "cases.h"

#include <quire/zone.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK = 1 << QUIRE_BLOCK_ORDER, BLOCKS = 4096, BY_ZONE = 64 * BLOCK };

static const size_t bytes = (size_t)BLOCKS * BLOCK * QUIRE_FRAME_SIZE;

static int discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    return madvise((void *)(uintptr_t)quire_phys(pfn), frames << QUIRE_FRAME_SHIFT, MADV_DONTNEED)
               ? QUIRE_ERR_UNSUPPORTED
               : QUIRE_OK;
}

static void plan(struct run *run)
{
    run->arena_frames = 0;
    run->ops = BLOCKS;
}

/* The zone gives all of it. */
static void give_by_zone(const struct run *run, struct lane *lane, void *memory)
{
    const struct quire_run usable = {quire_pfn_of_phys((uintptr_t)memory),
                                     (uint64_t)BLOCKS * BLOCK};
    struct quire_zone_config config = {.type = QUIRE_ZONE_NORMAL,
                                       .slots = 1,
                                       .usable = &usable,
                                       .usable_count = 1,
                                       .port = {.discard = discard}};
    const struct quire_give_back how = {.keep = 0};
    struct quire_zone zone = {.head = NULL};
    size_t metadata_bytes;
    void *metadata;
    uint64_t frames;

    check(run, "size of the metadata", quire_zone_metadata_size(&config, &metadata_bytes));
    metadata = aligned_alloc(QUIRE_METADATA_ALIGN, metadata_bytes);
    if (!metadata) {
        bench_fail(run, "memory for the metadata", 0);
    }
    check(run, "building a zone", quire_zone_init(&zone, &config, metadata, metadata_bytes));
    stopwatch_start(&lane->watch);
    check(run, "giving back", quire_zone_give_back(&zone, quire_slot_of(0), &how, &frames));
    stopwatch_stop(&lane->watch, BLOCKS);
    if (frames != (uint64_t)BLOCKS * BLOCK) {
        bench_fail(run, "giving all of it back", 0);
    }
    free(metadata);
}

/* The same memory, `frames` of it at a time. */
static void give_piecemeal(const struct run *run, struct lane *lane, void *memory, unsigned frames)
{
    const quire_pfn first = quire_pfn_of_phys((uintptr_t)memory);

    stopwatch_start(&lane->watch);
    for (uint64_t i = 0; i < (uint64_t)BLOCKS * BLOCK; i += frames) {
        check(run, "giving back", discard(NULL, quire_pfn_of(first.n + i), frames));
    }
    stopwatch_stop(&lane->watch, BLOCKS);
}

static void sample(struct run *run, struct lane *lane)
{
    const size_t align = (size_t)BLOCK * QUIRE_FRAME_SIZE;
    void *all = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *memory = (void *)(((uintptr_t)all + align - 1) & ~(uintptr_t)(align - 1));

    if (all == MAP_FAILED) {
        bench_fail(run, "address space", 0);
    }
    if (run->variant->frames == BY_ZONE) {
        give_by_zone(run, lane, memory);
    } else {
        give_piecemeal(run, lane, memory, run->variant->frames);
    }
    munmap(all, bytes + align);
}

/* Once is enough: the allocators have no part in it. */
static bool applies(const struct allocator *allocator)
{
    return strcmp(allocator->name, "quire-zone") == 0;
}

static const struct variant variants[] = {
    {.batch = 1, .frames = BY_ZONE},
    {.batch = 1, .frames = BLOCK},
    {.batch = 1, .frames = 1},
};

const struct bench_case case_give_back = {
    .name = "give-back",
    .what = "giving 2 MiB of free, untouched memory back to the system",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .exact_threads = 1,
    .heavy = true,
    .uncounted = true,
    .applies = applies,
    .plan = plan,
    .sample = sample,
};
