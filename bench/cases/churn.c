/* SPDX-License-Identifier: MIT
 *
 * churn.c - `churn`: does fragmented memory heal in use?
 *
 * The arena is filled with single frames and thinned at random to `fill` percent. Then come rounds;
 * in each, every thread replaces a random share of its frames: it frees one and allocates one, in
 * turns. After each round one thread calls the allocator's maintenance, as a machine would every
 * second. Timed are the frees, the allocations and the maintenance, not the choosing. Each sample
 * starts from a new arena. Besides the mean over all rounds it reports
 *   settled_ns    the mean over the last tenth of the rounds,
 *   whole_share   after the last round, free whole 2 MiB blocks over those that the free frames
 *                 could make up if they lay together,
 *   shares        the same before the first round and after each.
 * At 50 % a round is a tenth of the held frames, 100 rounds; above that, a twentieth of all frames,
 * 300 rounds. --quick does the same on a smaller arena.
 */
#include "cases.h"

static unsigned rounds(const struct run *run)
{
    unsigned full = run->variant->fill <= 50 ? 100 : 300;

    return full / run->effort->churn_divisor > 0 ? full / run->effort->churn_divisor : 1;
}

static size_t held(const struct run *run)
{
    return run->arena_frames / 100 * run->variant->fill / run->threads;
}

static size_t share(const struct run *run)
{
    return run->variant->fill <= 50 ? held(run) / 10 : run->arena_frames / 20 / run->threads;
}

static void plan(struct run *run)
{
    run->arena_frames = run->effort->churn_frames;
    run->units_per_lane = run->arena_frames / run->threads;
    if (run->allocator->whole_blocks) {
        run->share_count = rounds(run) + 1;
        run->shares =
            bench_memory(run->effort->heavy_rounds * run->share_count, sizeof(run->shares[0]));
    }
}

/* The shares of the sample that is being taken. */
static double *shares(const struct run *run)
{
    return run->shares + run->sample_count * run->share_count;
}

/* Note the share after so many rounds. The other lanes wait for this one, or have ended. */
static void note_share(const struct run *run, const struct lane *lane, unsigned done)
{
    uint64_t free_frames = run->arena_frames - (uint64_t)held(run) * run->threads;
    uint64_t possible = free_frames / BENCH_BLOCK;

    if (run->shares && lane->index == 0) {
        shares(run)[done] = (double)run->allocator->whole_blocks(run->arena) / (double)possible;
    }
}

static void one_round(struct run *run, struct lane *lane, size_t n)
{
    const struct allocator *a = run->allocator;

    for (size_t i = 0; i < n; i++) {
        check(run, "free", a->free(run->arena, lane->index, lane->units[i], 0));
        check(run, "alloc", a->alloc(run->arena, lane->index, 0, &lane->units[i]));
    }
}

/* All lanes have done their round. */
static void maintain(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;

    lanes_meet(run);
    if (a->maintain && lane->index == 0) {
        stopwatch_start(&lane->watch);
        a->maintain(run->arena);
        stopwatch_stop(&lane->watch, 0);
    }
}

static void sample(struct run *run, struct lane *lane)
{
    unsigned total = rounds(run), last = total - (total + 9) / 10;
    size_t n = share(run);

    lane_fill(run, lane, 0, run->units_per_lane);
    lanes_meet(run);
    lane_thin(run, lane, 0, held(run));
    lanes_meet(run);
    note_share(run, lane, 0);
    for (unsigned round = 0; round < total; round++) {
        struct stopwatch before = lane->watch;

        random_pick(lane, n);
        lanes_meet(run);
        stopwatch_start(&lane->watch);
        one_round(run, lane, n);
        stopwatch_stop(&lane->watch, n);
        maintain(run, lane);
        note_share(run, lane, round + 1);
        if (round >= last) {
            lane->settled.ns += lane->watch.ns - before.ns;
            lane->settled.ops += n;
        }
    }
}

static void extras(struct run *run, struct sample *into)
{
    double ns = 0;

    for (unsigned i = 0; i < run->threads; i++) {
        const struct stopwatch *settled = &run->lanes[i].settled;

        ns += (double)settled->ns / (double)settled->ops;
    }
    into->figure[SETTLED_NS] = ns / run->threads;
    if (run->shares) {
        into->figure[WHOLE_SHARE] = shares(run)[run->share_count - 1];
    }
}

static bool applies(const struct allocator *allocator)
{
    return !allocator->heap && !allocator->bound;
}

static const struct variant variants[] = {
    {.batch = 1, .fill = 50},
    {.batch = 1, .fill = 80},
    {.batch = 1, .fill = 90},
    {.batch = 1, .fill = 95},
};

const struct bench_case case_churn = {
    .name = "churn",
    .what = "one free of a random frame and one alloc, in rounds, from peppered memory",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .heavy = true,
    .fresh = true,
    .applies = applies,
    .plan = plan,
    .sample = sample,
    .extras = extras,
    .teardown = lane_empty,
};
