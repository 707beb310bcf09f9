/* SPDX-License-Identifier: MIT
 *
 * burst.c - `burst`: allocate 64 or 512 runs of one order, free them in the same order, again and
 * again, in an arena that is otherwise empty: what a cache's first level does not hold. Orders 0 to
 * 10. An operation is one run allocated and freed.
 */
#include "cases.h"

static void plan(struct run *run)
{
    uint64_t needed = (uint64_t)2 * run->variant->burst << run->variant->order;

    run->arena_frames = (needed > run->effort->arena ? needed : run->effort->arena) * run->threads;
    run->units_per_lane = run->variant->burst;
    run->ops = run->effort->pairs / 2 / run->variant->burst * run->variant->burst;
}

static void bursts(struct run *run, struct lane *lane, uint64_t n)
{
    const struct allocator *a = run->allocator;
    unsigned order = run->variant->order;
    size_t burst = run->variant->burst;

    for (uint64_t done = 0; done < n; done += burst) {
        for (size_t i = 0; i < burst; i++) {
            check(run, "alloc", a->alloc(run->arena, lane->index, order, &lane->units[i]));
        }
        for (size_t i = 0; i < burst; i++) {
            check(run, "free", a->free(run->arena, lane->index, lane->units[i], order));
        }
    }
}

static void sample(struct run *run, struct lane *lane)
{
    bursts(run, lane, run->ops / 8);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    bursts(run, lane, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

#define ORDERS(size)                                                                    \
    BURST(0, size), BURST(1, size), BURST(2, size), BURST(3, size), BURST(4, size),     \
        BURST(5, size), BURST(6, size), BURST(7, size), BURST(8, size), BURST(9, size), \
        BURST(10, size)
#define BURST(the_order, the_size)                            \
    {                                                         \
        .order = (the_order), .batch = 1, .burst = (the_size) \
    }

static const struct variant variants[] = {ORDERS(64), ORDERS(512)};

const struct bench_case case_burst = {
    .name = "burst",
    .what = "one alloc and one free of a run, 64 or 512 allocated before they are freed",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .applies = applies_unless_bound,
    .plan = plan,
    .sample = sample,
};
