/* SPDX-License-Identifier: MIT
 *
 * runner_take.c - the operations that take frames out of the free ones. See runner.h.
 */
#include "runner.h"

#include <inttypes.h>

/* Argument errors, if there are any; else what the state of the zone asks for. */
static uint32_t expected_or(uint32_t wrong, uint32_t otherwise)
{
    return wrong != 0 ? wrong | (otherwise & ~RESULT(QUIRE_OK)) : otherwise;
}

static uint32_t wrong_flags(const struct runner *r, const struct op *op, uint32_t known)
{
    return expect_arguments(&r->model, op->slot, op->flags, known);
}

/* The zone said yes: the run must have been free, and zeroed if asked for. */
static bool take_run(struct runner *r, const char *call, const struct op *op, uint64_t pfn,
                     uint64_t frames, bool contig)
{
    size_t at = runner_place(r, call, pfn, frames);
    if (at == MODEL_NOWHERE) {
        return false;
    }
    model_take(&r->model, at, frames, contig);
    uint64_t due = op->flags & QUIRE_ZEROED ? frames : 0;
    if (r->zeroed < due) {
        return runner_fail(r, "%s: %" PRIu64 " frames zeroed, expected %" PRIu64, call, r->zeroed,
                           due);
    }
    r->zeroed -= due;
    return true;
}

static bool take_alloc(struct runner *r, const struct op *op)
{
    unsigned order = (unsigned)op->arg[0];
    quire_pfn pfn = {UINT64_MAX};
    uint32_t expected = expected_or(wrong_flags(r, op, expect_common_flags),
                                    expect_alloc(&r->model, order, op->flags));
    int got = quire_zone_alloc(&r->zone, quire_slot_of(op->slot), order, op->flags, &pfn);
    if (!runner_result(r, op, "alloc", got, expected)) {
        return false;
    }
    if (got != 0) {
        return true;
    }
    if (pfn.n % (UINT64_C(1) << order) != 0) {
        return runner_fail(r, "alloc gave pfn 0x%" PRIx64 ", not aligned to order %u", pfn.n,
                           order);
    }
    return take_run(r, "alloc", op, pfn.n, UINT64_C(1) << order, false);
}

static bool take_batch(struct runner *r, const struct op *op)
{
    static quire_pfn pfns[RUNNER_BATCH];
    uint64_t n = op->arg[0] % (RUNNER_BATCH + 1);
    size_t count = 0;
    uint32_t expected = expected_or(wrong_flags(r, op, expect_common_flags | QUIRE_PARTIAL),
                                    expect_batch(&r->model, n, op->flags));
    uint64_t above = expect_above_floor(&r->model, op->flags);
    int got = quire_zone_alloc_batch(&r->zone, quire_slot_of(op->slot), op->flags, (size_t)n, pfns,
                                     &count);
    if (!runner_result(r, op, "alloc_batch", got, expected)) {
        return false;
    }
    if (got != 0) {
        return true;
    }
    if (count != (above < n ? above : n)) {
        return runner_fail(
            r, "alloc_batch gave %zu of %" PRIu64 " frames, %" PRIu64 " above the floor", count, n,
            above);
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_run(r, "alloc_batch", op, pfns[i].n, 1, false)) {
            return false;
        }
    }
    return true;
}

static bool take_runs(struct runner *r, const struct op *op)
{
    static struct quire_run runs[RUNNER_BATCH];
    uint64_t frames = op->arg[0];
    uint64_t capacity = op->arg[1] % (RUNNER_BATCH + 1);
    size_t count = 0;
    uint32_t expected = expected_or(wrong_flags(r, op, expect_common_flags),
                                    expect_runs(&r->model, frames, capacity, op->flags));
    int got = quire_zone_alloc_runs(&r->zone, quire_slot_of(op->slot), op->flags, frames, runs,
                                    (size_t)capacity, &count);
    if (!runner_result(r, op, "alloc_runs", got, expected)) {
        return false;
    }
    if (got != 0) {
        return true;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < count && i < capacity; i++) {
        sum += runs[i].frames;
        if (!take_run(r, "alloc_runs", op, runs[i].pfn.n, runs[i].frames, true)) {
            return false;
        }
    }
    if (count > capacity || sum != frames) {
        return runner_fail(r, "alloc_runs gave %" PRIu64 " of %" PRIu64 " frames in %zu runs", sum,
                           frames, count);
    }
    return true;
}

static bool take_contig(struct runner *r, const struct op *op)
{
    uint64_t base = r->model.extents[0].first * QUIRE_FRAME_SIZE;
    struct quire_contig want = {.frames = op->arg[0],
                                .align = op->arg[1],
                                .boundary = op->arg[2],
                                .low = op->arg[3] == 0 ? 0 : base + op->arg[3],
                                .high = op->arg[4] == 0 ? 0 : base + op->arg[4]};
    quire_pfn pfn = {UINT64_MAX};
    uint64_t lowest;
    uint32_t expected = expected_or(wrong_flags(r, op, expect_common_flags),
                                    expect_contig(&r->model, &want, op->flags));
    int got = quire_zone_alloc_contig(&r->zone, quire_slot_of(op->slot), &want, op->flags, &pfn);
    if (!runner_result(r, op, "alloc_contig", got, expected)) {
        return false;
    }
    if (got != 0) {
        return true;
    }
    if (!model_lowest(&r->model, &want, &lowest) || pfn.n != lowest) {
        return runner_fail(
            r, "alloc_contig gave pfn 0x%" PRIx64 ", but 0x%" PRIx64 " is the lowest that fits",
            pfn.n, lowest);
    }
    return take_run(r, "alloc_contig", op, pfn.n, want.frames, true);
}

static bool take_at(struct runner *r, const struct op *op)
{
    quire_pfn pfn = runner_pfn(r, op->arg[0]);
    unsigned order = (unsigned)op->arg[1];
    uint32_t expected = expected_or(wrong_flags(r, op, expect_common_flags),
                                    expect_at(&r->model, pfn.n, order, op->flags));
    int got = quire_zone_alloc_at(&r->zone, quire_slot_of(op->slot), pfn, order, op->flags);
    return runner_result(r, op, "alloc_at", got, expected) &&
           (got != 0 || take_run(r, "alloc_at", op, pfn.n, UINT64_C(1) << order, false));
}

static bool take_reserve(struct runner *r, const struct op *op)
{
    quire_pfn pfn = runner_pfn(r, op->arg[0]);
    uint64_t frames = op->arg[1];
    uint32_t expected =
        expected_or(wrong_flags(r, op, UINT32_MAX), expect_reserve(&r->model, pfn.n, frames));
    int got = quire_zone_reserve(&r->zone, quire_slot_of(op->slot), pfn, frames);
    if (!runner_result(r, op, "reserve", got, expected)) {
        return false;
    }
    if (got == 0) {
        model_reserve(&r->model, model_place(&r->model, pfn.n, frames), frames);
    }
    return true;
}

bool runner_take(struct runner *r, const struct op *op)
{
    r->zeroed = 0;
    switch (op->kind) {
    case OP_ALLOC:
        return take_alloc(r, op);
    case OP_BATCH:
        return take_batch(r, op);
    case OP_RUNS:
        return take_runs(r, op);
    case OP_CONTIG:
        return take_contig(r, op);
    case OP_AT:
        return take_at(r, op);
    default:
        return take_reserve(r, op);
    }
}
