/* SPDX-License-Identifier: MIT
 *
 * refusal.c - `refusal`: what does it cost to be told that there is no run of this order?
 *
 * One thread takes every frame of the arena and gives every second one back, so that half of the
 * memory is free and no two free frames lie side by side. Then it asks for a run of the order, once
 * (`first_ns`) and again and again, for 20 ms or so many times as effort says, whichever ends
 * sooner. With more threads, all but that one free and allocate single frames meanwhile, which
 * never completes a run; with one, nothing happens between any two requests. The clock is read
 * between any two; what that costs is taken off. Also told: `worst_ns`, an interrupt of the machine
 * included.
 *
 * A request that is served ends the program. Each sample starts from a new arena: of 4 GiB, or of
 * the size in the variant's name, which must be asked for by --variant. The memory itself is not
 * there, but all metadata of frames is touched.
 */
#include "cases.h"

enum { HELD = 256 /* frames that each of the other threads frees and allocates */ };

struct refusals {
    uint64_t first_frame;
    unsigned over; /* set by the thread that asks, read by the others */
};

static void plan(struct run *run)
{
    uint64_t gib = UINT64_C(1) << 30 >> QUIRE_FRAME_SHIFT;

    run->arena_frames = run->variant->gib ? run->variant->gib * gib : run->effort->refusal_frames;
    run->units_per_lane = HELD;
}

/* Take all frames, remembering the lowest number alone: they are one behind the other. */
static uint64_t take_all(const struct run *run)
{
    uint64_t least = UINT64_MAX, most = 0;
    quire_pfn frames[BENCH_BATCH];

    for (uint64_t taken = 0; taken < run->arena_frames; taken += BENCH_BATCH) {
        batch_alloc(run, 0, 0, frames, BENCH_BATCH);
        for (size_t i = 0; i < BENCH_BATCH; i++) {
            least = frames[i].n < least ? frames[i].n : least;
            most = frames[i].n > most ? frames[i].n : most;
        }
    }
    if (most - least + 1 != run->arena_frames) {
        bench_fail(run, "taking all frames of an arena, which are to lie in a row", 0);
    }
    return least;
}

/* Free the frames first, first + 2, and so on to the end of the arena. */
static void free_every_second(const struct run *run, uint64_t first)
{
    quire_pfn frames[BENCH_BATCH];

    for (uint64_t done = 0; done < run->arena_frames / 2; done += BENCH_BATCH) {
        for (size_t i = 0; i < BENCH_BATCH; i++) {
            frames[i] = quire_pfn_of(first + 2 * (done + i));
        }
        batch_free(run, 0, 0, frames, BENCH_BATCH);
    }
}

/* The time that one refusal takes, between two readings of the clock. */
static uint64_t one_refusal(const struct run *run, uint64_t before, uint64_t *after)
{
    quire_pfn frame;

    if (!run->allocator->alloc(run->arena, 0, run->variant->order, &frame)) {
        bench_fail(run, "a request for what is not there is served: alloc", 0);
    }
    *after = stopwatch_now_ns();
    return *after - before;
}

static void ask(struct run *run, struct lane *lane)
{
    uint64_t begin = stopwatch_now_ns(), now, asked = 0;

    lane->first_ns = one_refusal(run, begin, &now);
    lane->worst_ns = 0;
    begin = now;
    while (asked < run->effort->refusals && now - begin < run->effort->refusal_ns) {
        uint64_t ns = one_refusal(run, now, &now);

        lane->worst_ns = ns > lane->worst_ns ? ns : lane->worst_ns;
        asked++;
    }
    lane->watch.ns = now - begin;
    lane->watch.ops = asked;
}

/* Frees meet free frames at random; the neighbours of what was taken here are in use. */
static void use_singles(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    const struct refusals *shared = run->state;

    while (!__atomic_load_n(&shared->over, __ATOMIC_RELAXED)) {
        quire_pfn *unit = &lane->units[random_below(lane, lane->count)];

        check(run, "free", a->free(run->arena, lane->index, *unit, 0));
        check(run, "alloc", a->alloc(run->arena, lane->index, 0, unit));
    }
}

static void sample(struct run *run, struct lane *lane)
{
    static struct refusals shared; /* lane 0 sets it up */

    if (lane->index == 0) {
        shared = (struct refusals){0};
        shared.first_frame = take_all(run);
        free_every_second(run, shared.first_frame + 1);
        run->state = &shared;
    }
    lanes_meet(run);
    if (lane->index > 0) {
        lane_fill(run, lane, 0, HELD);
    }
    lanes_meet(run);
    if (lane->index > 0) {
        use_singles(run, lane);
        lane_thin(run, lane, 0, 0);
    } else {
        ask(run, lane);
        __atomic_store_n(&shared.over, 1, __ATOMIC_RELAXED);
    }
    lanes_meet(run);
    if (lane->index == 0) {
        free_every_second(run, shared.first_frame);
        run->state = NULL;
    }
}

static double net(double ns, double clock_ns)
{
    return ns > clock_ns + 1 ? ns - clock_ns : 1;
}

static void extras(struct run *run, struct sample *into)
{
    const struct lane *lane = &run->lanes[0];
    double clock_ns = stopwatch_overhead_ns();

    into->figure[NS_PER_OP] = net((double)lane->watch.ns / (double)lane->watch.ops, clock_ns);
    into->figure[FIRST_NS] = net((double)lane->first_ns, clock_ns);
    into->figure[WORST_NS] = net((double)lane->worst_ns, clock_ns);
}

/* Who counts whole blocks has blocks and orders; null never refuses. */
static bool applies(const struct allocator *allocator)
{
    return allocator->whole_blocks && !allocator->same_places && !allocator->heap &&
           !allocator->bound;
}

#define ORDERS(gib)                                                                      \
    REFUSAL(1, gib), REFUSAL(2, gib), REFUSAL(3, gib), REFUSAL(4, gib), REFUSAL(5, gib), \
        REFUSAL(6, gib), REFUSAL(7, gib), REFUSAL(8, gib), REFUSAL(9, gib)
#define REFUSAL(the_order, the_gib)                        \
    {                                                      \
        .order = (the_order), .batch = 1, .gib = (the_gib) \
    }

static const struct variant variants[] = {ORDERS(0), ORDERS(64), ORDERS(1024)};

const struct bench_case case_refusal = {
    .name = "refusal",
    .what = "one request for a run that is not there, every second frame being in use",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .heavy = true,
    .fresh = true,
    .uncounted = true,
    .applies = applies,
    .plan = plan,
    .sample = sample,
    .extras = extras,
};
