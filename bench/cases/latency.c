/* SPDX-License-Identifier: MIT
 *
 * latency.c - `latency`: how long does one allocation take, in the worst of ten thousand cases
 * and at worst? Each thread allocates 262,144 single frames one by one, with a reading of the clock
 * between any two; then it frees them in random order, untimed. So a cache's refills are among the
 * allocations, and so is every block that runs out.
 *
 * Reported are the median, the 99.99th percentile and the worst, of all threads together, less what
 * reading the clock costs. Times of SLOWEST and above count as SLOWEST in the percentiles. What
 * interrupts the program, the machine's clock tick or another program, is part of the figures.
 */
#include "cases.h"

#include <stdlib.h>

enum { SLOWEST = 1 << 16 }; /* ns; the histogram has a place for each below, and one for the rest */

static void plan(struct run *run)
{
    run->arena_frames = run->effort->arena * run->threads;
    run->units_per_lane = run->effort->frames;
    run->ops = run->effort->frames;
}

static void setup(struct run *run, struct lane *lane)
{
    (void)run;
    lane->histogram = bench_memory(SLOWEST + 1, sizeof(lane->histogram[0]));
}

static void sample(struct run *run, struct lane *lane)
{
    const struct allocator *a = run->allocator;
    uint64_t before, now;

    for (size_t i = 0; i <= SLOWEST; i++) {
        lane->histogram[i] = 0;
    }
    lane->worst_ns = 0;
    lanes_meet(run);
    stopwatch_start(&lane->watch);
    now = stopwatch_now_ns();
    for (size_t i = 0; i < run->ops; i++) {
        before = now;
        check(run, "alloc", a->alloc(run->arena, lane->index, 0, &lane->units[i]));
        now = stopwatch_now_ns();
        lane->histogram[now - before < SLOWEST ? now - before : SLOWEST]++;
        lane->worst_ns = now - before > lane->worst_ns ? now - before : lane->worst_ns;
    }
    stopwatch_stop(&lane->watch, run->ops);
    lane->count = run->ops;
    random_pick(lane, lane->count);
    lane_empty(run, lane);
}

/* The time that all but `rest` operations of all threads stay within. */
static double percentile(const struct run *run, uint64_t rest)
{
    uint64_t seen = 0;

    for (size_t ns = SLOWEST;; ns--) {
        for (unsigned i = 0; i < run->threads; i++) {
            seen += run->lanes[i].histogram[ns];
        }
        if (seen > rest || ns == 0) {
            return (double)ns;
        }
    }
}

static double net(double ns, double clock_ns)
{
    return ns > clock_ns ? ns - clock_ns : 0;
}

static void extras(struct run *run, struct sample *into)
{
    double clock_ns = stopwatch_overhead_ns();
    uint64_t ops = run->ops * run->threads, worst = 0;

    for (unsigned i = 0; i < run->threads; i++) {
        worst = run->lanes[i].worst_ns > worst ? run->lanes[i].worst_ns : worst;
    }
    into->figure[P50_NS] = net(percentile(run, ops / 2), clock_ns);
    into->figure[P9999_NS] = net(percentile(run, ops / 10000), clock_ns);
    into->figure[WORST_NS] = net((double)worst, clock_ns);
}

static void teardown(struct run *run, struct lane *lane)
{
    (void)run;
    free(lane->histogram);
    lane->histogram = NULL;
}

static const struct variant variant = {.batch = 1};

const struct bench_case case_latency = {
    .name = "latency",
    .what = "one frame allocated and the clock read: median, 99.99th percentile, worst",
    .variants = &variant,
    .variant_count = 1,
    .uncounted = true,
    .applies = applies_unless_bound,
    .plan = plan,
    .setup = setup,
    .sample = sample,
    .extras = extras,
    .teardown = teardown,
};
