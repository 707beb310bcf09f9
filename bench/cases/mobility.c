/* SPDX-License-Identifier: MIT
 *
 * mobility.c - `mobility`: as `pair`, with runs that are movable or not: each drawn at random, or
 * in streaks of 64 of one kind. An allocator that keeps the two apart is told, the others are
 * called as ever.
 */
#include "cases.h"

enum { STREAK = 64 };

static void plan(struct run *run)
{
    run->arena_frames = run->effort->arena * run->threads;
    run->ops = run->effort->pairs;
}

/* Bit i % 64 of the word says whether run i is movable. */
static uint64_t next_word(const struct run *run, struct lane *lane, uint64_t last)
{
    if (run->variant->mobility == MOBILITY_STREAKS) {
        return ~last;
    }
    return (uint64_t)random_below(lane, UINT32_MAX) << 32 | random_below(lane, UINT32_MAX);
}

static void pairs(struct run *run, struct lane *lane, uint64_t n)
{
    const struct allocator *a = run->allocator;
    unsigned order = run->variant->order;
    uint64_t word = 0;

    for (uint64_t i = 0; i < n; i++) {
        quire_pfn frame = {0};

        if (i % STREAK == 0) {
            word = next_word(run, lane, word);
        }
        bool movable = a->alloc_movable && (word >> i % STREAK & 1);

        check(run, "alloc",
              (movable ? a->alloc_movable : a->alloc)(run->arena, lane->index, order, &frame));
        check(run, "free", a->free(run->arena, lane->index, frame, order));
    }
}

static void sample(struct run *run, struct lane *lane)
{
    pairs(run, lane, run->ops / 8);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    pairs(run, lane, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

static const struct variant variants[] = {
    {.order = 0, .batch = 1, .mobility = MOBILITY_RANDOM},
    {.order = 0, .batch = 1, .mobility = MOBILITY_STREAKS},
    {.order = 3, .batch = 1, .mobility = MOBILITY_RANDOM},
    {.order = 3, .batch = 1, .mobility = MOBILITY_STREAKS},
};

const struct bench_case case_mobility = {
    .name = "mobility",
    .what = "one alloc and one free of a run that is movable or not",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .applies = applies_unless_bound,
    .plan = plan,
    .sample = sample,
};
