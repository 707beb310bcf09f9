/* SPDX-License-Identifier: MIT
 *
 * cases.c - the table of cases, in the order in which they run, and what they share. A new case is
 * a file, a line in cases.h and a line here. No state.
 */
#include "cases.h"

const struct bench_case *const bench_cases[] = {
    &case_pair,
    &case_burst,
    &case_mobility,
    &case_bulk_alloc,
    &case_bulk_free,
    &case_random_free,
    &case_bulk_alloc_single,
    &case_bulk_free_single,
    &case_random_free_single,
    &case_half_full,
    &case_spsc,
    &case_latency,
    &case_churn,
    &case_churn_mixed,
    &case_refusal,
    &case_contig,
    &case_init,
    &case_give_back,
    &case_heap_pair,
    &case_heap_mixed,
    &case_heap_larson,
    &case_heap_spsc,
    &case_machine,
    &case_machine_init,
};
const size_t bench_case_count = sizeof(bench_cases) / sizeof(bench_cases[0]);

bool applies_always(const struct allocator *allocator)
{
    (void)allocator;
    return true;
}

bool applies_unless_bound(const struct allocator *allocator)
{
    return !allocator->bound;
}

void lanes_meet(struct run *run)
{
    barrier_wait(&run->barrier, run->threads);
}

void lane_fill(struct run *run, struct lane *lane, unsigned order, size_t count)
{
    while (lane->count < count) {
        size_t n = count - lane->count < BENCH_BATCH ? count - lane->count : BENCH_BATCH;

        batch_alloc(run, lane->index, order, &lane->units[lane->count], n);
        lane->count += n;
    }
}

static void free_front(struct run *run, struct lane *lane, unsigned order, size_t count)
{
    for (size_t i = 0; i < count; i += BENCH_BATCH) {
        size_t n = count - i < BENCH_BATCH ? count - i : BENCH_BATCH;

        batch_free(run, lane->index, order, &lane->units[i], n);
    }
}

void lane_thin(struct run *run, struct lane *lane, unsigned order, size_t keep)
{
    size_t gone = lane->count - keep;

    random_pick(lane, gone);
    free_front(run, lane, order, gone);
    for (size_t i = 0; i < keep; i++) {
        lane->units[i] = lane->units[gone + i];
    }
    lane->count = keep;
}

void lane_empty(struct run *run, struct lane *lane)
{
    free_front(run, lane, run->variant->order, lane->count);
    lane->count = 0;
}
