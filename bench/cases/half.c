/* SPDX-License-Identifier: MIT
 *
 * half.c - `half-full`: keep half of the arena allocated; free a random frame, allocate one.
 *
 * The arena is filled with single frames and a random half of them is freed, so that at the start
 * almost no two free frames lie side by side. Then as many operations as twice the held frames are
 * done untimed, and the state is carried from sample to sample: what is timed is the settled state
 * of each allocator, which is its own doing. Choosing the random frame is part of the loop; `null`
 * shows what it costs.
 */
#include "cases.h"

static size_t held(const struct run *run)
{
    return run->arena_frames / 2 / run->threads;
}

static void plan(struct run *run)
{
    run->arena_frames = run->effort->frames * 2;
    run->units_per_lane = run->arena_frames / run->threads;
    run->ops = run->effort->frames;
}

static void exchange(struct run *run, struct lane *lane, uint64_t n)
{
    const struct allocator *a = run->allocator;

    for (uint64_t i = 0; i < n; i++) {
        quire_pfn *unit = &lane->units[random_below(lane, lane->count)];

        check(run, "free", a->free(run->arena, lane->index, *unit, 0));
        check(run, "alloc", a->alloc(run->arena, lane->index, 0, unit));
    }
}

static void setup(struct run *run, struct lane *lane)
{
    lane_fill(run, lane, run->units_per_lane);
    lanes_meet(run);
    lane_thin(run, lane, held(run));
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

static const struct variant variant = {.batch = 1, .target_ns = NS_SMALL};

const struct bench_case case_half_full = {
    .name = "half-full",
    .what = "one free of a random frame and one alloc, half of the arena being held",
    .variants = &variant,
    .variant_count = 1,
    .applies = applies,
    .plan = plan,
    .setup = setup,
    .sample = sample,
    .teardown = lane_empty,
};
