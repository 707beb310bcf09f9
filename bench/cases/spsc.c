/* SPDX-License-Identifier: MIT
 *
 * spsc.c - `spsc`: thread 0 allocates single frames and puts them into a ring, thread 1 takes
 * them out and frees them. An operation is one frame's way; `null` shows what the ring costs.
 */
#include "cases.h"

#include <stdlib.h>

static void plan(struct run *run)
{
    run->arena_frames = run->effort->arena * run->threads;
    run->ops = run->effort->pairs;
}

static void setup(struct run *run, struct lane *lane)
{
    if (lane->index == 0) {
        struct ring *ring = aligned_alloc(_Alignof(struct ring), sizeof(*ring));

        if (!ring) {
            bench_die("no memory for the ring", NULL);
        }
        *ring = (struct ring){0};
        run->state = ring;
    }
}

static void produce(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    struct ring *ring = run->state;

    for (uint64_t i = 0; i < run->ops; i++) {
        quire_pfn frame;

        check(run, "alloc", a->alloc(run->arena, lane->index, 0, &frame));
        while (!ring_put(ring, frame)) {
            cpu_relax();
        }
    }
}

static void consume(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    struct ring *ring = run->state;

    for (uint64_t i = 0; i < run->ops; i++) {
        quire_pfn frame;

        while (!ring_get(ring, &frame)) {
            cpu_relax();
        }
        check(run, "free", a->free(run->arena, lane->index, frame, 0));
    }
}

static void sample(struct run *run, struct lane *lane)
{
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    if (lane->index == 0) {
        produce(run, lane);
    } else {
        consume(run, lane);
    }
    stopwatch_stop(&lane->watch, run->ops);
}

static void teardown(struct run *run, struct lane *lane)
{
    if (lane->index == 0) {
        free(run->state);
        run->state = NULL;
    }
}

static const struct variant variant = {.batch = 1};

const struct bench_case case_spsc = {
    .name = "spsc",
    .what = "one frame allocated by one thread, handed over a ring, freed by the other",
    .variants = &variant,
    .variant_count = 1,
    .exact_threads = 2,
    .applies = applies_unless_bound,
    .plan = plan,
    .setup = setup,
    .sample = sample,
    .teardown = teardown,
};
