/* SPDX-License-Identifier: MIT
 *
 * calls.c - the checked calls of calls.h that need no place or shape: runs of an order,
 * batches, few runs; and the injected faults, by which the checks are tested.
 */
#include "calls.h"

#include "check.h"

#include <time.h>

enum { FAULT_CALLS = 1000 }; /* calls before a fault is injected */

uint64_t call_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t call_begin(struct worker *w)
{
    /* relaxed: one call more or less that is timed */
    return w->calls++ % w->run->sample == 0 && qa_load(&w->run->timing, relaxed) ? call_clock() : 0;
}

void call_end(struct worker *w, enum run_call call, uint64_t begun)
{
    if (begun)
        hist_add(&w->latency[call], call_clock() - begun);
}

/* Let an allocation of one frame seem to return one that the thread has already. */
static void inject_double(struct worker *w, uint32_t z, struct record *record)
{
    const struct bag *bag = &w->bags[z];

    if (w->run->options.fault != FAULT_DOUBLE_HAND_OUT || w->number != 0 || w->fault_done ||
        w->calls < FAULT_CALLS || bag->count == 0 || record->frames != 1)
        return;
    quire_zone_free(check_zone(w, z), check_slot(w), quire_pfn_of(record->pfn), 0);
    record->pfn = bag->records[0].pfn;
    w->fault_done = true;
}

bool call_alloc(struct worker *w, uint32_t z, unsigned order, uint32_t flags, struct record *record)
{
    uint64_t before = check_free_count(w, z);
    quire_pfn pfn = {0};
    uint64_t begun = call_begin(w);
    int error = quire_zone_alloc(check_zone(w, z), check_slot(w), order, flags, &pfn);

    call_end(w, order ? CALL_ALLOC_ORDER : CALL_ALLOC, begun);
    if (order == 0 || !error) /* larger ones may be refused because memory is in pieces */
        check_floor(w, z, before, 1ULL << order, flags, error);
    if (!check_answer(w, z, "alloc", error, CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY), pfn.n))
        return false;
    *record = (struct record){pfn.n, 1u << order, check_tag(w), false};
    inject_double(w, z, record);
    if (pfn.n & (record->frames - 1)) {
        check_accuse(w, z, pfn.n, "is not aligned to the order that was asked for");
        return false;
    }
    return check_take(w, z, record, flags);
}

/* The library knows how long the run is. */
static void check_length(struct worker *w, uint32_t z, const struct record *record)
{
    uint64_t frames = 0;
    int error = quire_zone_run_length(check_zone(w, z), quire_pfn_of(record->pfn), &frames);

    w->checks.answers++;
    if (error || frames != record->frames)
        check_accuse(w, z, record->pfn, "starts a run whose length was forgotten");
}

static bool inject_lost(struct worker *w)
{
    if (w->run->options.fault != FAULT_LOST_FRAME || w->number != 0 || w->fault_done ||
        w->calls < FAULT_CALLS)
        return false;
    w->fault_done = true;
    return true;
}

void call_free(struct worker *w, uint32_t z, const struct record *record, uint64_t bits)
{
    struct quire_zone *zone = check_zone(w, z);
    quire_pfn pfn = quire_pfn_of(record->pfn);
    unsigned order = (unsigned)__builtin_ctz(record->frames);
    enum run_call call = order ? CALL_FREE_ORDER : CALL_FREE;
    uint64_t begun;
    int error;

    if ((bits & 15) == 0)
        check_length(w, z, record);
    if (!check_give(w, z, record) || inject_lost(w))
        return;
    begun = call_begin(w);
    if ((bits >> 4 & 3) == 0)
        error = quire_zone_free_any(zone, check_slot(w), pfn);
    else if (record->contig)
        error = quire_zone_free_contig(zone, check_slot(w), pfn, record->frames);
    else
        error = quire_zone_free(zone, check_slot(w), pfn, order);
    call_end(w, record->contig ? CALL_FREE_CONTIG : call, begun);
    check_answer(w, z, "free of a held run", error, 0, pfn.n);
}

uint32_t call_alloc_batch(struct worker *w, uint32_t z, uint32_t flags,
                          struct record records[RUN_BATCH])
{
    uint64_t before = check_free_count(w, z);
    quire_pfn pfns[RUN_BATCH];
    size_t got = 0;
    uint32_t tag = check_tag(w);
    uint64_t begun = call_begin(w);
    int error =
        quire_zone_alloc_batch(check_zone(w, z), check_slot(w), flags, RUN_BATCH, pfns, &got);

    call_end(w, CALL_ALLOC_BATCH, begun);
    if (error)
        check_floor(w, z, before, flags & QUIRE_PARTIAL ? 1 : RUN_BATCH, flags, error);
    else
        check_floor(w, z, before, got, flags, error);
    if (!check_answer(w, z, "alloc_batch", error, CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY), got))
        return 0;
    if (got == 0 || got > RUN_BATCH || (got < RUN_BATCH && !(flags & QUIRE_PARTIAL))) {
        run_violation(w->run, "alloc_batch in zone %u gave %zu frames", z, got);
        return 0;
    }
    for (uint32_t i = 0; i < got; i++) {
        records[i] = (struct record){pfns[i].n, 1, tag, false};
        if (!check_take(w, z, &records[i], flags))
            return 0;
    }
    return (uint32_t)got;
}

void call_free_batch(struct worker *w, uint32_t z, const struct record records[], uint32_t n)
{
    quire_pfn pfns[RUN_BATCH];
    uint64_t begun;
    int error;

    for (uint32_t i = 0; i < n; i++) {
        pfns[i] = quire_pfn_of(records[i].pfn);
        if (!check_give(w, z, &records[i]))
            return;
    }
    begun = call_begin(w);
    error = quire_zone_free_batch(check_zone(w, z), check_slot(w), pfns, n, NULL);
    call_end(w, CALL_FREE_BATCH, begun);
    check_answer(w, z, "free_batch of held frames", error, 0, records[0].pfn);
}

uint32_t call_alloc_runs(struct worker *w, uint32_t z, uint32_t flags, uint64_t frames,
                         struct record records[CALLS_RUNS])
{
    uint64_t before = check_free_count(w, z);
    struct quire_run runs[CALLS_RUNS];
    size_t count = 0;
    uint64_t sum = 0;
    uint64_t begun = call_begin(w);
    int error = quire_zone_alloc_runs(check_zone(w, z), check_slot(w), flags, frames, runs,
                                      CALLS_RUNS, &count);

    call_end(w, CALL_ALLOC_RUNS, begun);
    if (!check_answer(w, z, "alloc_runs", error, CHECK_ALLOWED(QUIRE_ERR_NO_MEMORY), count))
        return 0;
    check_floor(w, z, before, frames, flags, error);
    for (uint32_t i = 0; i < count && i < CALLS_RUNS; i++) {
        sum += runs[i].frames;
        if (runs[i].frames == 0 || sum > frames)
            break;
        records[i] = (struct record){runs[i].pfn.n, (uint32_t)runs[i].frames, check_tag(w), true};
        if (!check_take(w, z, &records[i], flags))
            return 0;
    }
    if (sum != frames || count > CALLS_RUNS) {
        run_violation(w->run, "alloc_runs in zone %u gave %zu runs of %llu frames, not %llu", z,
                      count, (unsigned long long)sum, (unsigned long long)frames);
        return 0;
    }
    return (uint32_t)count;
}
