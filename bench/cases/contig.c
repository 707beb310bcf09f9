/* SPDX-License-Identifier: MIT
 *
 * contig.c - `contig`: contiguous runs for devices out of fragmented memory.
 *
 * Each thread fills its share of the arena, all but a 32nd, with runs of random orders 0 to 7 and
 * frees a random half of them. Then it holds 64 contiguous runs, aligned to 16 frames; an operation
 * frees a random one of them and allocates another. Lengths: 64 frames, where a buddy's power of
 * two fits, and 80, where it has to spend 128.
 */
#include "cases.h"

enum { RUNS = 64, ALIGN = 16, ORDERS = 8 };

static void plan(struct run *run)
{
    run->arena_frames = run->effort->arena;
    run->units_per_lane = run->arena_frames / run->threads;
    run->ops = run->effort->pairs / 4;
}

/* units[0 .. RUNS-1] are the contiguous runs, the rest is the litter around them. */
static void setup(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    /* not to the last frame: then a run of order 7 need not be found where 128 frames are free */
    uint64_t budget = (run->arena_frames - run->arena_frames / 32) / run->threads;
    uint64_t used = 0;

    while (used + (1u << (ORDERS - 1)) <= budget) {
        unsigned order = (unsigned)random_below(lane, ORDERS);

        check(run, "alloc of litter",
              a->alloc(run->arena, lane->index, order, &lane->units[lane->count]));
        lane->orders[lane->count++] = (uint8_t)order;
        used += 1u << order;
    }
    lanes_meet(run);
    random_pick(lane, lane->count / 2);
    for (size_t i = 0; i < lane->count / 2; i++) {
        check(run, "free of litter",
              a->free(run->arena, lane->index, lane->units[i], lane->orders[i]));
    }
    lanes_meet(run);
    for (size_t i = 0; i < RUNS; i++) {
        check(
            run, "contiguous alloc",
            a->alloc_contig(run->arena, lane->index, run->variant->frames, ALIGN, &lane->units[i]));
    }
}

static void sample(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    unsigned frames = run->variant->frames;

    lanes_meet(run);
    stopwatch_start(&lane->watch);
    for (uint64_t i = 0; i < run->ops; i++) {
        quire_pfn *unit = &lane->units[random_below(lane, RUNS)];

        check(run, "contiguous free", a->free_contig(run->arena, lane->index, *unit, frames));
        check(run, "contiguous alloc",
              a->alloc_contig(run->arena, lane->index, frames, ALIGN, unit));
    }
    stopwatch_stop(&lane->watch, run->ops);
}

static void teardown(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;

    for (size_t i = 0; i < RUNS; i++) {
        check(run, "contiguous free",
              a->free_contig(run->arena, lane->index, lane->units[i], run->variant->frames));
    }
    for (size_t i = lane->count / 2; i < lane->count; i++) {
        check(run, "free of litter",
              a->free(run->arena, lane->index, lane->units[i], lane->orders[i]));
    }
    lane->count = 0;
}

static bool applies(const struct allocator *allocator)
{
    return allocator->alloc_contig != NULL;
}

static const struct variant variants[] = {
    {.batch = 1, .frames = 64},
    {.batch = 1, .frames = 80},
};

const struct bench_case case_contig = {
    .name = "contig",
    .what = "one free and one alloc of a contiguous run aligned to 16 frames",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .applies = applies,
    .plan = plan,
    .setup = setup,
    .sample = sample,
    .teardown = teardown,
};
