/* SPDX-License-Identifier: MIT
 *
 * heap.c - objects of any size, by Quire's heap and the mallocs that are installed. Each writes the
 * first word of what it gets, as any user would.
 *
 * `heap-pair`: one object of 64 bytes, allocated and freed. `heap-mixed`: free a random one of some
 * thousand objects, allocate one of 16 to 4096 bytes, small ones more often. `heap-larson`: the
 * same with 16 to 512 bytes, and four times a sample each thread goes on with the objects of the
 * next one, as servers do whose threads come and go. `heap-spsc`: one thread allocates 64 bytes and
 * puts them into a ring, the other one takes them out and frees them.
 */
#include "cases.h"

#include <stdlib.h>

enum { PAIR_BYTES = 64, HELD = 4096, LARSON_HELD = 1024, TURNS = 4, FRAMES = 32768 };

static void *object_alloc(const struct run *run, const struct lane *lane, size_t bytes)
{
    void *object;

    check(run, "alloc", run->allocator->object_alloc(run->arena, lane->index, bytes, &object));
    *(volatile uint64_t *)object = bytes;
    return object;
}

static void object_free(const struct run *run, const struct lane *lane, void *object)
{
    check(run, "free", run->allocator->object_free(run->arena, lane->index, object));
}

static void plan(struct run *run)
{
    run->arena_frames = (uint64_t)FRAMES * (run->threads + 1);
    run->ops = run->effort->pairs;
}

/* ---- One size ------------------------------------------------------------------------------ */

static void pairs(const struct run *run, const struct lane *lane, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        object_free(run, lane, object_alloc(run, lane, PAIR_BYTES));
    }
}

static void pair_objects(struct run *run, struct lane *lane)
{
    pairs(run, lane, run->ops / 8);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    pairs(run, lane, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

/* ---- Many sizes ---------------------------------------------------------------------------- */

/* Up to 16 << steps bytes: each power of two as often as the one before it. */
static size_t draw_bytes(struct lane *lane, unsigned steps)
{
    size_t below = (size_t)16 << random_below(lane, steps);

    return below + 1 + random_below(lane, below);
}

static void *object_of(quire_pfn unit)
{
    return (void *)(uintptr_t)unit.n;
}

static void fill_objects(struct run *run, struct lane *lane, unsigned steps)
{
    for (; lane->count < run->units_per_lane; lane->count++) {
        void *object = object_alloc(run, lane, draw_bytes(lane, steps));

        lane->units[lane->count] = quire_pfn_of((uintptr_t)object);
    }
}

static void replace(struct run *run, struct lane *lane, quire_pfn *units, unsigned steps,
                    uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        quire_pfn *unit = &units[random_below(lane, lane->count)];

        object_free(run, lane, object_of(*unit));
        *unit = quire_pfn_of((uintptr_t)object_alloc(run, lane, draw_bytes(lane, steps)));
    }
}

static void empty_objects(struct run *run, struct lane *lane)
{
    for (size_t i = 0; i < lane->count; i++) {
        object_free(run, lane, object_of(lane->units[i]));
    }
    lane->count = 0;
}

enum { MIXED_STEPS = 8, LARSON_STEPS = 5 };

static void plan_mixed(struct run *run)
{
    plan(run);
    run->units_per_lane = HELD;
}

static void setup_mixed(struct run *run, struct lane *lane)
{
    fill_objects(run, lane, MIXED_STEPS);
    replace(run, lane, lane->units, MIXED_STEPS, run->ops);
}

static void sample_mixed(struct run *run, struct lane *lane)
{
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    replace(run, lane, lane->units, MIXED_STEPS, run->ops);
    stopwatch_stop(&lane->watch, run->ops);
}

static void plan_larson(struct run *run)
{
    plan(run);
    run->units_per_lane = LARSON_HELD;
}

static void setup_larson(struct run *run, struct lane *lane)
{
    fill_objects(run, lane, LARSON_STEPS);
}

static void sample_larson(struct run *run, struct lane *lane)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct lane *theirs = &run->lanes[(lane->index + turn) % run->threads];

        lanes_meet(run);
        stopwatch_start(&lane->watch);
        replace(run, lane, theirs->units, LARSON_STEPS, run->ops / TURNS);
        stopwatch_stop(&lane->watch, run->ops / TURNS);
    }
    lanes_meet(run);
}

/* ---- From hand to hand --------------------------------------------------------------------- */

static void setup_ring(struct run *run, struct lane *lane)
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

static void hand_over(struct run *run, struct lane *lane)
{
    struct ring *ring = run->state;
    quire_pfn unit;

    lanes_meet(run);
    stopwatch_start(&lane->watch);
    for (uint64_t i = 0; i < run->ops; i++) {
        if (lane->index == 0) {
            unit = quire_pfn_of((uintptr_t)object_alloc(run, lane, PAIR_BYTES));
            while (!ring_put(ring, unit)) {
                cpu_relax();
            }
        } else {
            while (!ring_get(ring, &unit)) {
                cpu_relax();
            }
            object_free(run, lane, object_of(unit));
        }
    }
    stopwatch_stop(&lane->watch, run->ops);
}

static void teardown_ring(struct run *run, struct lane *lane)
{
    if (lane->index == 0) {
        free(run->state);
        run->state = NULL;
    }
}

/* ---- The table ----------------------------------------------------------------------------- */

static const struct variant variant = {.batch = 1};

const struct bench_case case_heap_pair = {
    .name = "heap-pair",
    .what = "an object of 64 bytes, one alloc and one free",
    .variants = &variant,
    .variant_count = 1,
    .objects = true,
    .applies = applies_always,
    .plan = plan,
    .sample = pair_objects,
};
const struct bench_case case_heap_mixed = {
    .name = "heap-mixed",
    .what = "one free of a random object and one alloc of 16 to 4096 bytes",
    .variants = &variant,
    .variant_count = 1,
    .objects = true,
    .applies = applies_always,
    .plan = plan_mixed,
    .setup = setup_mixed,
    .sample = sample_mixed,
    .teardown = empty_objects,
};
const struct bench_case case_heap_larson = {
    .name = "heap-larson",
    .what = "the same of 16 to 512 bytes, with the next thread's objects now and then",
    .variants = &variant,
    .variant_count = 1,
    .objects = true,
    .applies = applies_always,
    .plan = plan_larson,
    .setup = setup_larson,
    .sample = sample_larson,
    .teardown = empty_objects,
};
const struct bench_case case_heap_spsc = {
    .name = "heap-spsc",
    .what = "64 bytes allocated by one thread, handed over a ring, freed by the other",
    .variants = &variant,
    .variant_count = 1,
    .exact_threads = 2,
    .objects = true,
    .applies = applies_always,
    .plan = plan,
    .setup = setup_ring,
    .sample = hand_over,
    .teardown = teardown_ring,
};
