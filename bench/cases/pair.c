/* SPDX-License-Identifier: MIT
 *
 * pair.c - `pair`: allocate one run, free it, again and again, in an arena that is otherwise
 * empty. Orders 0 to 10. The simplest case: everything is in the first-level cache. Note
 * what it asks of a buddy: in an empty arena every allocation splits the largest run down to the
 * order and every free merges it back; `half-full` shows it where it need not.
 */
#include "cases.h"

static void plan(struct run *run)
{
    run->arena_frames = run->effort->arena * run->threads;
    run->ops = run->effort->pairs;
}

static void pairs(struct run *run, struct lane *lane, uint64_t n)
{
    const struct allocator *a = run->allocator;
    unsigned order = run->variant->order;

    for (uint64_t i = 0; i < n; i++) {
        quire_pfn frame;

        check(run, "alloc", a->alloc(run->arena, lane->index, order, &frame));
        check(run, "free", a->free(run->arena, lane->index, frame, order));
    }
}

void pair_sample(struct run *run, struct lane *lane)
{
    pairs(run, lane, run->ops / 8);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    pairs(run, lane, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

static const struct variant variants[] = {
    {.order = 0, .batch = 1}, {.order = 1, .batch = 1},  {.order = 2, .batch = 1},
    {.order = 3, .batch = 1}, {.order = 4, .batch = 1},  {.order = 5, .batch = 1},
    {.order = 6, .batch = 1}, {.order = 7, .batch = 1},  {.order = 8, .batch = 1},
    {.order = 9, .batch = 1}, {.order = 10, .batch = 1},
};

const struct bench_case case_pair = {
    .name = "pair",
    .what = "one alloc and one free of the same run",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .applies = applies_always,
    .plan = plan,
    .sample = pair_sample,
};
