/* SPDX-License-Identifier: MIT
 *
 * cases.h - what the cases share: taking and giving back many frames outside the timed sections.
 * Called by workers on their own lane. Any operation that fails ends the program.
 */
#ifndef QUIRE_BENCH_CASES_CASES_H
#define QUIRE_BENCH_CASES_CASES_H

#include "bench/bench.h"
#include "bench/measure/random.h"
#include "bench/measure/stopwatch.h"
#include "bench/measure/sync.h"

extern const struct bench_case case_pair;
extern const struct bench_case case_burst;
extern const struct bench_case case_mobility;
extern const struct bench_case case_bulk_alloc;
extern const struct bench_case case_bulk_free;
extern const struct bench_case case_random_free;
extern const struct bench_case case_bulk_alloc_single;
extern const struct bench_case case_bulk_free_single;
extern const struct bench_case case_random_free_single;
extern const struct bench_case case_half_full;
extern const struct bench_case case_spsc;
extern const struct bench_case case_latency;
extern const struct bench_case case_churn;
extern const struct bench_case case_churn_mixed;
extern const struct bench_case case_refusal;
extern const struct bench_case case_contig;
extern const struct bench_case case_init;
extern const struct bench_case case_give_back;
extern const struct bench_case case_heap_pair;
extern const struct bench_case case_heap_mixed;
extern const struct bench_case case_heap_larson;
extern const struct bench_case case_heap_spsc;
extern const struct bench_case case_machine;
extern const struct bench_case case_machine_init;

/* In pair.c: the sample of `pair`, in the order of the variant. */
void pair_sample(struct run *run, struct lane *lane);

static inline void check(const struct run *run, const char *operation, int error)
{
    if (__builtin_expect(error != 0, 0)) {
        bench_fail(run, operation, error);
    }
}

/* One batch of runs of an order, by the allocator's own batch call or, where it has none for them,
 * by n calls. */
static inline void batch_alloc(const struct run *run, unsigned thread, unsigned order,
                               quire_pfn *frames, size_t n)
{
    const struct allocator *a = run->allocator;

    if (a->alloc_batch && order == 0) {
        check(run, "batch alloc", a->alloc_batch(run->arena, thread, frames, n));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        check(run, "alloc", a->alloc(run->arena, thread, order, &frames[i]));
    }
}

static inline void batch_free(const struct run *run, unsigned thread, unsigned order,
                              const quire_pfn *frames, size_t n)
{
    const struct allocator *a = run->allocator;

    if (a->free_batch && order == 0) {
        check(run, "batch free", a->free_batch(run->arena, thread, frames, n));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        check(run, "free", a->free(run->arena, thread, frames[i], order));
    }
}

/* The allocator can do this: for bench_case.applies. */
bool applies_always(const struct allocator *allocator);
bool applies_unless_bound(const struct allocator *allocator);

/* All threads of the run are here. */
void lanes_meet(struct run *run);

/* Take runs of the order until the lane holds `count`. */
void lane_fill(struct run *run, struct lane *lane, unsigned order, size_t count);

/* Free a random choice of the lane's runs, which are of the order, until it holds `keep`. */
void lane_thin(struct run *run, struct lane *lane, unsigned order, size_t keep);

/* Free all runs of the lane, of the variant's order, as it holds them: a teardown(). */
void lane_empty(struct run *run, struct lane *lane);

#endif /* QUIRE_BENCH_CASES_CASES_H */
