/* SPDX-License-Identifier: MIT
 *
 * init.c - `init`: from nothing to a usable zone of 16 TiB. Timed: asking for the size of the
 * metadata, mapping it (pages that read as zeros), building the zone, the page faults on what is
 * touched of it. One operation per sample. Only for allocators whose metadata is lazily touched;
 * the buddy's array of 4 billion frames would be 48 GiB.
 */
#include "cases.h"

#define INIT_FRAMES (UINT64_C(1) << 32)

static void plan(struct run *run)
{
    run->arena_frames = 0;
    run->ops = 1;
}

static void sample(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;

    stopwatch_start(&lane->watch);
    void *arena = a->open(INIT_FRAMES, 2);
    stopwatch_stop(&lane->watch, 1);
    if (!arena) {
        bench_fail(run, "building a zone of 16 TiB", 0);
    }
    a->close(arena);
}

static bool applies(const struct allocator *allocator)
{
    return allocator->sparse;
}

static const struct variant variant = {.batch = 1};

const struct bench_case case_init = {
    .name = "init",
    .what = "building a zone of 16 TiB on memory that reads as zeros",
    .variants = &variant,
    .variant_count = 1,
    .exact_threads = 1,
    .applies = applies,
    .plan = plan,
    .sample = sample,
};
