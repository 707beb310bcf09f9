/* SPDX-License-Identifier: MIT
 *
 * bulk.c - many frames: `bulk-alloc`, `bulk-free`, `random-free`.
 *
 * Each thread takes 262,144 frames (1 GiB) into an array and frees them: in the order in which it
 * got them, or shuffled. One of the two halves is timed, per frame. Frames move in batches of 64,
 * by the allocator's batch call if it has one; the cases that end in `-single` do the same by one
 * call a frame, and with runs of orders 2, 4 and 9: as many as make up the same 1 GiB, but not less
 * than a 128th of the pairs of `pair`.
 * The array is read or written in turn by all allocators alike; what that costs, `null` shows.
 */
#include "cases.h"

static void plan(struct run *run)
{
    unsigned order = run->variant->order;
    uint64_t runs = run->effort->frames >> order, least = run->effort->pairs / 128;

    run->ops = runs > least ? runs : least;
    run->units_per_lane = run->ops;
    run->arena_frames = order > 0 ? (2 * run->ops << order) + BENCH_BLOCK * 2 : run->effort->arena;
    run->arena_frames = (run->arena_frames * run->threads) & ~UINT64_C(1023);
}

static void take_all(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    size_t batch = run->variant->batch;
    unsigned order = run->variant->order;

    if (batch == 1) {
        for (size_t i = 0; i < run->ops; i++) {
            check(run, "alloc", a->alloc(run->arena, lane->index, order, &lane->units[i]));
        }
    } else {
        for (size_t i = 0; i < run->ops; i += batch) {
            batch_alloc(run, lane->index, 0, &lane->units[i], batch);
        }
    }
    lane->count = run->ops;
}

static void free_all(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    size_t batch = run->variant->batch;
    unsigned order = run->variant->order;

    if (batch == 1) {
        for (size_t i = 0; i < run->ops; i++) {
            check(run, "free", a->free(run->arena, lane->index, lane->units[i], order));
        }
    } else {
        for (size_t i = 0; i < run->ops; i += batch) {
            batch_free(run, lane->index, 0, &lane->units[i], batch);
        }
    }
    lane->count = 0;
}

static void sample_alloc(struct run *run, struct lane *lane)
{
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    take_all(run, lane);
    stopwatch_stop(&lane->watch, run->ops);
    lanes_meet(run);
    free_all(run, lane);
}

static void sample_free(struct run *run, struct lane *lane)
{
    take_all(run, lane);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    free_all(run, lane);
    stopwatch_stop(&lane->watch, run->ops);
}

static void sample_random_free(struct run *run, struct lane *lane)
{
    take_all(run, lane);
    random_pick(lane, lane->count);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    free_all(run, lane);
    stopwatch_stop(&lane->watch, run->ops);
}

static const struct variant batches[] = {{.batch = BENCH_BATCH}};
static const struct variant singles[] = {
    {.order = 0, .batch = 1},
    {.order = 2, .batch = 1},
    {.order = 4, .batch = 1},
    {.order = 9, .batch = 1},
};

#define BULK_CASE(identifier, the_name, the_what, the_variants, the_sample) \
    const struct bench_case identifier = {                                  \
        .name = (the_name),                                                 \
        .what = (the_what),                                                 \
        .variants = (the_variants),                                         \
        .variant_count = sizeof(the_variants) / sizeof((the_variants)[0]),  \
        .applies = applies_always,                                          \
        .plan = plan,                                                       \
        .sample = (the_sample),                                             \
    }

BULK_CASE(case_bulk_alloc, "bulk-alloc", "one frame allocated, in batches of 64", batches,
          sample_alloc);
BULK_CASE(case_bulk_free, "bulk-free", "one frame freed, in allocation order, in batches of 64",
          batches, sample_free);
BULK_CASE(case_random_free, "random-free", "one frame freed, in random order, in batches of 64",
          batches, sample_random_free);
BULK_CASE(case_bulk_alloc_single, "bulk-alloc-single", "one run allocated, one by one", singles,
          sample_alloc);
BULK_CASE(case_bulk_free_single, "bulk-free-single",
          "one run freed, in allocation order, one by one", singles, sample_free);
BULK_CASE(case_random_free_single, "random-free-single",
          "one run freed, in random order, one by one", singles, sample_random_free);
