/* SPDX-License-Identifier: MIT
 *
 * half.c - `half-full`: keep half of the arena allocated; free a random run, allocate one. Orders
 * 0, 2, 4 and 9.
 *
 * The arena is filled with runs of the order and a random half of them is freed, so that at the
 * start almost no two free runs lie side by side. Then as many operations as twice the held runs
 * are done untimed, and the state is carried from sample to sample: what is timed is the settled
 * state of each allocator, which is its own doing. Choosing the random run is part of the loop;
 * `null` shows what it costs.
 */
#include "cases.h"

static size_t held(const struct run *run)
{
    return run->units_per_lane / 2;
}

static void plan(struct run *run)
{
    unsigned order = run->variant->order;

    run->arena_frames = run->effort->frames * (order > 4 ? 16 : 2);
    run->units_per_lane = (run->arena_frames >> order) / run->threads;
    run->ops = run->effort->frames >> (order > 0 ? 2 : 0);
}

static void exchange(struct run *run, struct lane *lane, uint64_t n)
{
    const struct allocator *a = run->allocator;
    unsigned order = run->variant->order;

    for (uint64_t i = 0; i < n; i++) {
        quire_pfn *unit = &lane->units[random_below(lane, lane->count)];

        check(run, "free", a->free(run->arena, lane->index, *unit, order));
        check(run, "alloc", a->alloc(run->arena, lane->index, order, unit));
    }
}

static void setup(struct run *run, struct lane *lane)
{
    lane_fill(run, lane, run->variant->order, run->units_per_lane);
    lanes_meet(run);
    lane_thin(run, lane, run->variant->order, held(run));
    lanes_meet(run);
    exchange(run, lane, 2 * held(run));
}

static void sample(struct run *run, struct lane *lane)
{
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    exchange(run, lane, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

/* A malloc gives memory back and faults it in again here, microseconds a time: all would wait. */
static bool applies(const struct allocator *allocator)
{
    return !allocator->heap && applies_unless_bound(allocator);
}

static const struct variant variants[] = {
    {.order = 0, .batch = 1},
    {.order = 2, .batch = 1},
    {.order = 4, .batch = 1},
    {.order = 9, .batch = 1},
};

const struct bench_case case_half_full = {
    .name = "half-full",
    .what = "one free of a random run and one alloc, half of the arena being held",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .applies = applies,
    .plan = plan,
    .setup = setup,
    .sample = sample,
    .teardown = lane_empty,
};
