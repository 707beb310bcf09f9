/* SPDX-License-Identifier: MIT
 *
 * machine.c - whole machines. `machine`: allocate a frame and free it, local hits of
 * quire_machine_alloc and _free, on a machine of one node and on the largest one side by side: what
 * a hit costs must not depend on how many nodes there are. Each thread holds some blocks full of
 * frames, so that the one that it frees is used again at once.
 *
 * `machine-init`: from nothing to a usable machine. Timed: describing it, the zones on memory that
 * reads as zeros, zonelists and caches. One operation per sample.
 */
#include "cases.h"

enum { HELD = 8 * BENCH_BLOCK - 40 }; /* frames a thread */

static void plan(struct run *run)
{
    run->arena_frames = 2 * run->threads * HELD;
    run->units_per_lane = HELD;
    run->ops = run->effort->pairs;
}

static void setup(struct run *run, struct lane *lane)
{
    lane_fill(run, lane, 0, HELD);
}

static const struct variant variant = {.batch = 1};

const struct bench_case case_machine = {
    .name = "machine",
    .what = "one alloc and one free of a frame, on whole machines",
    .variants = &variant,
    .variant_count = 1,
    .machines = true,
    .applies = applies_always,
    .plan = plan,
    .setup = setup,
    .sample = pair_sample,
    .teardown = lane_empty,
};

static void plan_init(struct run *run)
{
    run->arena_frames = 0;
    run->ops = 1;
}

static void sample_init(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;

    stopwatch_start(&lane->watch);
    void *arena = a->open(0, 1);
    stopwatch_stop(&lane->watch, 1);
    if (!arena) {
        bench_fail(run, "building a machine", 0);
    }
    a->close(arena);
}

static const struct variant variant_init = {.batch = 1};

const struct bench_case case_machine_init = {
    .name = "machine-init",
    .what = "building a whole machine on memory that reads as zeros",
    .variants = &variant_init,
    .variant_count = 1,
    .exact_threads = 1,
    .machines = true,
    .applies = applies_always,
    .plan = plan_init,
    .sample = sample_init,
};
