/* SPDX-License-Identifier: MIT
 *
 * mixed.c - `churn-mixed`: does memory stay in whole blocks, or heal, where runs of several orders
 * come and go?
 *
 * The orders are 0 up to the variant's, drawn at random so that each has the same share of the
 * frames. `compact`: an empty arena is filled with such runs to `fill` percent. `peppered`: it is
 * filled with single frames and thinned at random to `fill` percent. Then come rounds; in each,
 * every thread picks a tenth of its runs at random and replaces them: it frees one, and allocates
 * runs of drawn orders while it holds less than its share of the frames. A request that is refused
 * is counted, and the next one waits for the next free. After each round one thread calls the
 * allocator's maintenance. Timed are the frees, the allocations, the refusals, the drawing of
 * orders and the maintenance, not the picking; an operation is one free and one request, each half
 * of it. Each sample starts from a new arena and has random numbers of its own, the same ones for
 * all allocators. Reported besides, as in churn.c: settled_ns, whole_share, shares; and `refusals`,
 * of all threads.
 */
#include "cases.h"

enum { ROUNDS = 100, PART = 10 /* one run in so many is replaced in a round */ };

static unsigned rounds(const struct run *run)
{
    unsigned divisor = run->effort->mixed_divisor;

    return ROUNDS / divisor > 0 ? ROUNDS / divisor : 1;
}

/* Frames that a thread is to hold. */
static uint64_t wanted(const struct run *run)
{
    return run->arena_frames / 100 * run->variant->fill / run->threads;
}

static void plan(struct run *run)
{
    run->arena_frames = run->effort->mixed_frames;
    run->units_per_lane = run->arena_frames / run->threads;
    if (run->allocator->whole_blocks) {
        run->share_count = rounds(run) + 1;
        run->shares =
            bench_memory(run->effort->heavy_rounds * run->share_count, sizeof(run->shares[0]));
    }
}

/* Order k with a probability proportional to 1 / 2^k. */
static unsigned draw_order(const struct run *run, struct lane *lane)
{
    unsigned most = run->variant->order;
    unsigned one_of = (unsigned)random_below(lane, (2u << most) - 1) + 1;

    return most - (31 - (unsigned)__builtin_clz(one_of));
}

/* Ask for a run of a drawn order; it goes to `place`. */
static bool ask(struct run *run, struct lane *lane, size_t place)
{
    unsigned order = draw_order(run, lane);

    if (run->allocator->alloc(run->arena, lane->index, order, &lane->units[place])) {
        lane->refusals++;
        return false;
    }
    lane->orders[place] = (uint8_t)order;
    lane->held += UINT64_C(1) << order;
    return true;
}

static void give(struct run *run, struct lane *lane, size_t place)
{
    unsigned order = lane->orders[place];

    check(run, "free", run->allocator->free(run->arena, lane->index, lane->units[place], order));
    lane->held -= UINT64_C(1) << order;
}

static void fill_compact(struct run *run, struct lane *lane)
{
    while (lane->held < wanted(run)) {
        if (!ask(run, lane, lane->count)) {
            bench_fail(run, "alloc before the first round", 0);
        }
        lane->count++;
    }
}

static void fill_peppered(struct run *run, struct lane *lane)
{
    lane_fill(run, lane, 0, run->units_per_lane);
    lanes_meet(run);
    lane_thin(run, lane, 0, wanted(run));
    for (size_t i = 0; i < lane->count; i++) {
        lane->orders[i] = 0;
    }
    lane->held = lane->count;
}

/* Replace units[0 .. n-1]. New runs go to the places that are free by then, then to the end; what
 * is left of the places, [*left .. n-1], is closed afterwards. The number of requests. */
static uint64_t replace(struct run *run, struct lane *lane, size_t n, size_t *left)
{
    uint64_t most = wanted(run), asked = 0;
    size_t next = 0;

    for (size_t i = 0; i < n; i++) {
        give(run, lane, i);
        while (lane->held < most) {
            bool here = next <= i;

            asked++;
            if (!ask(run, lane, here ? next : lane->count)) {
                break;
            }
            next += here ? 1 : 0;
            lane->count += here ? 0 : 1;
        }
    }
    *left = next;
    return asked;
}

/* Move the last runs into the places [from .. to-1], which are empty. */
static void close_places(struct lane *lane, size_t from, size_t to)
{
    while (from < to && lane->count > to) {
        lane->count--;
        lane->units[from] = lane->units[lane->count];
        lane->orders[from] = lane->orders[lane->count];
        from++;
    }
    if (from < to) {
        lane->count = from;
    }
}

/* All lanes are here, and stay until the share after so many rounds is noted. */
static void note_share(struct run *run, const struct lane *lane, unsigned done)
{
    lanes_meet(run);
    if (run->shares && lane->index == 0) {
        uint64_t held = 0;

        for (unsigned i = 0; i < run->threads; i++) {
            held += run->lanes[i].held;
        }
        uint64_t possible = (run->arena_frames - held) / BENCH_BLOCK;

        run->shares[run->sample_count * run->share_count + done] =
            (double)run->allocator->whole_blocks(run->arena) / (double)possible;
    }
    lanes_meet(run);
}

static void one_round(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    size_t n = lane->count / PART, left;

    random_pick(lane, n);
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    uint64_t asked = replace(run, lane, n, &left);

    stopwatch_stop(&lane->watch, (n + asked + 1) / 2);
    close_places(lane, left, n);
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

    random_seed(lane, run->sample_count);
    lane->refusals = lane->held = 0;
    if (run->variant->start == START_COMPACT) {
        fill_compact(run, lane);
    } else {
        fill_peppered(run, lane);
    }
    note_share(run, lane, 0);
    for (unsigned round = 0; round < total; round++) {
        struct stopwatch before = lane->watch;

        one_round(run, lane);
        note_share(run, lane, round + 1);
        if (round >= last) {
            lane->settled.ns += lane->watch.ns - before.ns;
            lane->settled.ops += lane->watch.ops - before.ops;
        }
    }
}

static void extras(struct run *run, struct sample *into)
{
    double ns = 0, refusals = 0;

    for (unsigned i = 0; i < run->threads; i++) {
        const struct stopwatch *settled = &run->lanes[i].settled;

        ns += (double)settled->ns / (double)settled->ops;
        refusals += (double)run->lanes[i].refusals;
    }
    into->figure[SETTLED_NS] = ns / run->threads;
    into->figure[REFUSALS] = refusals;
    if (run->shares) {
        into->figure[WHOLE_SHARE] = run->shares[(run->sample_count + 1) * run->share_count - 1];
    }
}

static void teardown(struct run *run, struct lane *lane)
{
    for (size_t i = 0; i < lane->count; i++) {
        give(run, lane, i);
    }
    lane->count = 0;
}

static bool applies(const struct allocator *allocator)
{
    return !allocator->same_places && !allocator->heap && !allocator->bound;
}

#define FROM_0_TO(most)                                                     \
    {.order = (most), .batch = 1, .fill = 50, .start = START_COMPACT},      \
        {.order = (most), .batch = 1, .fill = 80, .start = START_COMPACT},  \
        {.order = (most), .batch = 1, .fill = 50, .start = START_PEPPERED}, \
    {                                                                       \
        .order = (most), .batch = 1, .fill = 80, .start = START_PEPPERED    \
    }

static const struct variant variants[] = {FROM_0_TO(1), FROM_0_TO(3), FROM_0_TO(8)};

const struct bench_case case_churn_mixed = {
    .name = "churn-mixed",
    .what = "one free of a random run and one alloc of a random order, in rounds",
    .variants = variants,
    .variant_count = sizeof(variants) / sizeof(variants[0]),
    .heavy = true,
    .fresh = true,
    .uncounted = true,
    .applies = applies,
    .plan = plan,
    .sample = sample,
    .extras = extras,
    .teardown = teardown,
};
