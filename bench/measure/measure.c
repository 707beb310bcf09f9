/* SPDX-License-Identifier: MIT
 *
 * measure.c - one configuration at a time: all its allocators side by side, sample by sample.
 *
 * The allocators take turns: round 0 of each, round 1 of each, and so on, starting with another
 * one each round, so that whatever the machine does meanwhile hits all alike. Round 0 warms up and
 * is thrown away. After the last round every allocator must have all its frames back and be sound;
 * otherwise its figures are worth nothing and the program fails.
 */
#include "measure.h"

#include "bench/report/figures.h"
#include "counts.h"
#include "pool.h"
#include "random.h"
#include "stopwatch.h"
#include "variant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void make_lanes(struct run *run)
{
    size_t bytes = run->threads * sizeof(struct lane);

    run->lanes = aligned_alloc(_Alignof(struct lane), bytes);
    if (!run->lanes) {
        bench_die("no memory for the lanes", NULL);
    }
    for (unsigned i = 0; i < run->threads; i++) {
        struct lane *lane = &run->lanes[i];

        *lane = (struct lane){.index = i};
        lane->units = bench_memory(run->units_per_lane, sizeof(lane->units[0]));
        lane->orders = bench_memory(run->units_per_lane, sizeof(lane->orders[0]));
        random_seed(lane, 0);
    }
}

static void open_arena(struct run *run)
{
    if (run->arena_frames == 0) {
        return;
    }
    run->arena = run->allocator->open(run->arena_frames, run->threads);
    if (!run->arena) {
        bench_fail(run, "opening an arena", 0);
    }
}

static void close_arena(struct run *run)
{
    if (!run->arena) {
        return;
    }
    const char *wrong = run->allocator->check(run->arena);

    if (wrong) {
        bench_fail(run, wrong, 0);
    }
    run->allocator->close(run->arena);
    run->arena = NULL;
}

static void begin(struct run *run)
{
    run->bench->plan(run);
    make_lanes(run);
    if (!run->bench->fresh) {
        open_arena(run);
        if (run->bench->setup) {
            pool_run(run, run->bench->setup);
        }
    }
}

static void finish(struct run *run)
{
    if (!run->bench->fresh && run->bench->teardown) {
        pool_run(run, run->bench->teardown);
    }
    close_arena(run);
    for (unsigned i = 0; i < run->threads; i++) {
        free(run->lanes[i].units);
        free(run->lanes[i].orders);
    }
    free(run->lanes);
}

/* Time per operation as a thread sees it: the mean over the threads. */
static struct sample read_watches(struct run *run)
{
    double ns = 0;

    for (unsigned i = 0; i < run->threads; i++) {
        ns += (double)run->lanes[i].watch.ns / (double)run->lanes[i].watch.ops;
    }
    run->sample_ops = run->lanes[0].watch.ops;
    struct sample sample;

    for (enum figure i = 0; i < FIGURES; i++) {
        sample.figure[i] = NAN;
    }
    sample.figure[NS_PER_OP] = ns / run->threads;
    return sample;
}

static struct sample take_sample(struct run *run)
{
    const struct bench_case *bench = run->bench;

    if (bench->fresh) {
        open_arena(run);
    }
    for (unsigned i = 0; i < run->threads; i++) {
        run->lanes[i].watch = run->lanes[i].settled = (struct stopwatch){0};
    }
    pool_run(run, bench->sample);
    struct sample sample = read_watches(run);

    if (bench->extras) {
        bench->extras(run, &sample);
    }
    if (bench->fresh) {
        if (bench->teardown) {
            pool_run(run, bench->teardown);
        }
        close_arena(run);
    }
    return sample;
}

/* Under callgrind: the instructions of the timed section go out under a label that
 * instructions.sh reads. */
static void take_count(struct run *run)
{
    char label[160], variant[VARIANT_TEXT];

    stopwatch_count_dump("what came before");
    take_sample(run);
    variant_word(run->variant, variant);
    (void)snprintf(label, sizeof(label), "bench %s %s %s %llu", run->bench->name,
                   run->allocator->name, variant, (unsigned long long)run->sample_ops);
    stopwatch_count_dump(label);
}

/* ---- All configurations ------------------------------------------------------------------ */

static size_t select_runs(const struct options *options, const struct run *pattern,
                          struct run *runs)
{
    size_t count = 0;

    for (size_t i = 0; i < bench_allocator_count; i++) {
        const struct allocator *allocator = bench_allocators[i];

        if ((options->allocators >> i & 1) && pattern->bench->applies(allocator) &&
            pattern->bench->machines == (allocator->whole != NULL) &&
            (pattern->bench->objects ? allocator->object_alloc != NULL
                                     : allocator->alloc != NULL) &&
            (pattern->variant->batch > 1 || !allocator->batches_only) &&
            (pattern->variant->order == 0 || (!allocator->heap && !allocator->bound))) {
            runs[count] = *pattern;
            runs[count].allocator = allocator;
            count++;
        }
    }
    return count;
}

/* When to stop taking samples. Each configuration may use three times its even share of what is
 * left of the budget: most need far less. Every one gets a sample all the same. */
struct schedule {
    uint64_t end;  /* 0: no limit */
    size_t remain; /* configurations that have not started */
};

static uint64_t next_deadline(struct schedule *schedule)
{
    uint64_t now = stopwatch_now_ns();
    uint64_t left = schedule->end > now ? schedule->end - now : 0;

    return schedule->end ? now + 3 * left / schedule->remain-- : UINT64_MAX;
}

static void take_round(const struct options *options, struct run *runs, size_t count,
                       unsigned round)
{
    for (size_t i = 0; i < count; i++) {
        struct run *run = &runs[(i + round) % count];

        if (options->count_only && round > 0) {
            take_count(run);
            continue;
        }
        struct sample sample = take_sample(run);

        if (round > 0) {
            run->samples[run->sample_count++] = sample;
        }
    }
}

static void measure(const struct options *options, const struct run *pattern, uint64_t deadline,
                    struct results *results)
{
    struct run *runs = bench_memory(bench_allocator_count, sizeof(*runs));
    size_t count = select_runs(options, pattern, runs);
    bool heavy = pattern->bench->heavy;
    unsigned rounds = heavy ? pattern->effort->heavy_rounds : pattern->effort->rounds;

    for (size_t i = 0; i < count; i++) {
        begin(&runs[i]);
    }
    for (unsigned round = heavy ? 1 : 0; round <= rounds; round++) {
        take_round(options, runs, count, round);
        if (round > 0 && stopwatch_now_ns() > deadline) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        finish(&runs[i]);
        if (!options->count_only) {
            struct result result = figures_result(&runs[i]);

            result.instructions = counts_find(&result);
            results_append(results, result);
        }
        free(runs[i].shares);
    }
    free(runs);
}

static bool selected(const struct options *options, size_t bench, unsigned threads)
{
    unsigned exact = bench_cases[bench]->exact_threads;

    return (options->cases >> bench & 1) && (exact == 0 || exact == threads) &&
           !(options->count_only && bench_cases[bench]->uncounted);
}

static size_t listed_variants(const struct options *options, const struct bench_case *bench)
{
    size_t count = 0;

    for (size_t i = 0; i < bench->variant_count; i++) {
        count += variant_listed(&bench->variants[i], options->variants) ? 1 : 0;
    }
    return count;
}

static void measure_case(const struct options *options, const struct effort *effort,
                         const struct bench_case *bench, unsigned threads,
                         struct schedule *schedule, struct results *results,
                         void (*done)(const struct result *, size_t))
{
    for (size_t i = 0; i < bench->variant_count; i++) {
        if (!variant_listed(&bench->variants[i], options->variants)) {
            continue;
        }
        struct run pattern = {
            .bench = bench, .variant = &bench->variants[i], .effort = effort, .threads = threads};
        size_t before = results->count;

        measure(options, &pattern, next_deadline(schedule), results);
        if (results->count > before) {
            done(results->list + before, results->count - before);
        }
    }
}

void measure_all(const struct options *options, struct results *results,
                 void (*done)(const struct result *first, size_t count))
{
    struct effort effort = options_effort(options);
    struct schedule schedule = {
        .end = effort.budget_ns ? stopwatch_now_ns() + effort.budget_ns : 0,
    };

    for (size_t i = 0; i < bench_case_count; i++) {
        for (unsigned t = 0; t < options->thread_counts; t++) {
            schedule.remain += selected(options, i, options->threads[t])
                                   ? listed_variants(options, bench_cases[i])
                                   : 0;
        }
    }
    for (size_t i = 0; i < bench_case_count; i++) {
        for (unsigned t = 0; t < options->thread_counts; t++) {
            if (selected(options, i, options->threads[t])) {
                measure_case(options, &effort, bench_cases[i], options->threads[t], &schedule,
                             results, done);
            }
        }
    }
}
