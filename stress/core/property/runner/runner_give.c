/* SPDX-License-Identifier: MIT
 *
 * runner_give.c - the operations that give frames back, change the shape of runs, or ask. See
 * runner.h.
 */
#include "runner.h"

#include <inttypes.h>
#include <string.h>

static uint32_t expected_here(const struct runner *r, const struct op *op, uint32_t expected)
{
    bool slot = op->slot < r->model.slots;
    return slot ? expected : (expected & ~RESULT(QUIRE_OK)) | RESULT(QUIRE_ERR_SIZE);
}

/* ---- Frees ------------------------------------------------------------------------------- */

static bool give_order(struct runner *r, const struct op *op, quire_pfn pfn, unsigned order)
{
    uint32_t expected = expected_here(r, op, expect_free(&r->model, pfn.n, order));
    int got = quire_zone_free(&r->zone, quire_slot_of(op->slot), pfn, order);
    if (!runner_result(r, op, "free", got, expected)) {
        return false;
    }
    if (got == 0) {
        uint64_t frames = UINT64_C(1) << order;
        model_give(&r->model, model_place(&r->model, pfn.n, frames), frames);
    }
    return true;
}

static bool give_contig(struct runner *r, const struct op *op, quire_pfn pfn, uint64_t frames)
{
    uint32_t expected = expected_here(r, op, expect_free_contig(&r->model, pfn.n, frames));
    int got = quire_zone_free_contig(&r->zone, quire_slot_of(op->slot), pfn, frames);
    if (!runner_result(r, op, "free_contig", got, expected)) {
        return false;
    }
    if (got == 0) {
        model_give(&r->model, model_place(&r->model, pfn.n, frames), frames);
    }
    return true;
}

static bool give_any(struct runner *r, const struct op *op, quire_pfn pfn)
{
    uint32_t expected = expected_here(r, op, expect_free_any(&r->model, pfn.n));
    int got = quire_zone_free_any(&r->zone, quire_slot_of(op->slot), pfn);
    if (!runner_result(r, op, "free_any", got, expected)) {
        return false;
    }
    if (got == 0) {
        size_t at = model_place(&r->model, pfn.n, 1);
        model_give(&r->model, at, r->model.length[at]);
    }
    return true;
}

/* The order with which a run can be freed; one above the largest if it has none. */
static unsigned order_of(const struct model *m, size_t at)
{
    uint64_t frames = m->length[at];
    unsigned order = 0;
    while (order <= QUIRE_MAX_ORDER && UINT64_C(1) << order < frames) {
        order++;
    }
    bool fits = UINT64_C(1) << order == frames && model_pfn(m, at) % frames == 0;
    return fits ? order : QUIRE_MAX_ORDER + 1;
}

static bool give_near(struct runner *r, const struct op *op)
{
    size_t at = model_run_near(&r->model, (size_t)op->arg[0]);
    if (at == MODEL_NOWHERE) {
        return true;
    }
    quire_pfn pfn = runner_pfn(r, at);
    unsigned order = order_of(&r->model, at);
    if (op->kind == OP_FREE_ANY) {
        return give_any(r, op, pfn);
    }
    if (op->kind == OP_FREE && order <= QUIRE_MAX_ORDER) {
        return give_order(r, op, pfn, order);
    }
    return give_contig(r, op, pfn, r->model.length[at]);
}

/* ---- Batches ----------------------------------------------------------------------------- */

/* Up to n single frames from a place on, then the twist. */
static size_t gather(const struct runner *r, const struct op *op, quire_pfn pfns[RUNNER_BATCH])
{
    const struct model *m = &r->model;
    uint64_t n = op->arg[1] % RUNNER_BATCH;
    size_t count = 0;
    for (size_t at = (size_t)op->arg[0]; at < m->frames && count < n; at++) {
        if (m->length[at] == 1) {
            pfns[count++] = runner_pfn(r, at);
        }
    }
    if (count > 0 && op->arg[2] == OP_TWICE) {
        pfns[count] = pfns[0];
        count++;
    } else if (count > 0 && op->arg[2] == OP_ASTRAY) {
        pfns[count / 2] = runner_pfn(r, op->arg[0] + n);
    } else if (op->arg[2] == OP_BACKWARDS) {
        for (size_t i = 0; i < count / 2; i++) {
            quire_pfn swap = pfns[i];
            pfns[i] = pfns[count - 1 - i];
            pfns[count - 1 - i] = swap;
        }
    }
    return count;
}

/* The first place of the batch that cannot be freed, and what is wrong there. n: none. */
static size_t first_bad(const struct runner *r, const quire_pfn pfns[], size_t n, uint32_t *wrong,
                        bool *late)
{
    for (size_t i = 0; i < n; i++) {
        *wrong = expect_free(&r->model, pfns[i].n, 0);
        if (*wrong != RESULT(QUIRE_OK)) {
            return i;
        }
        for (size_t j = 0; j < i; j++) {
            if (pfns[j].n == pfns[i].n) {
                *wrong = RESULT(QUIRE_ERR_DOUBLE_FREE);
                *late = !r->zone.has_frame_bytes && i / 64 != j / 64;
                return i;
            }
        }
    }
    *wrong = RESULT(QUIRE_OK);
    return n;
}

static bool give_batch(struct runner *r, const struct op *op)
{
    static quire_pfn pfns[RUNNER_BATCH];
    size_t n = gather(r, op, pfns);
    if (n == 0) {
        return true;
    }
    bool late = false;
    uint32_t wrong;
    size_t bad = SIZE_MAX;
    size_t expected_bad = first_bad(r, pfns, n, &wrong, &late);
    int got = quire_zone_free_batch(&r->zone, quire_slot_of(op->slot), pfns, n, &bad);
    if (!runner_result(r, op, "free_batch", got, expected_here(r, op, wrong))) {
        return false;
    }
    bool slot = op->slot < r->model.slots;
    if (got != 0 && slot && bad != expected_bad) {
        return runner_fail(r, "free_batch: first bad one at %zu, expected %zu", bad, expected_bad);
    }
    for (size_t i = 0; i < n && slot && (got == 0 || late); i++) {
        size_t at = model_place(&r->model, pfns[i].n, 1);
        if (r->model.length[at] == 1) {
            model_give(&r->model, at, 1);
        }
    }
    return true;
}

/* ---- Reserved frames --------------------------------------------------------------------- */

static bool give_unreserve(struct runner *r, const struct op *op)
{
    const struct model *m = &r->model;
    size_t at = (size_t)op->arg[0];
    uint64_t frames = op->arg[1];
    if (op->kind == OP_UNRESERVE) {
        at %= m->frames;
        const uint8_t *hit = memchr(m->state + at, QUIRE_FRAME_RESERVED, m->frames - at);
        at = hit == NULL ? 0 : (size_t)(hit - m->state);
        uint64_t n = 0;
        while (n < frames && at + n < m->frames && m->state[at + n] == QUIRE_FRAME_RESERVED &&
               model_place(m, model_pfn(m, at), n + 1) != MODEL_NOWHERE) {
            n++;
        }
        frames = n;
    }
    quire_pfn pfn = runner_pfn(r, at);
    uint32_t expected = expected_here(r, op, expect_unreserve(m, pfn.n, frames));
    int got = quire_zone_unreserve(&r->zone, quire_slot_of(op->slot), pfn, frames);
    if (!runner_result(r, op, "unreserve", got, expected)) {
        return false;
    }
    if (got == 0) {
        model_unreserve(&r->model, model_place(m, pfn.n, frames), frames);
    }
    return true;
}

/* ---- Shapes ------------------------------------------------------------------------------ */

static bool give_split(struct runner *r, const struct op *op)
{
    size_t at = (size_t)op->arg[0];
    unsigned order = (unsigned)op->arg[1];
    if (op->kind == OP_SPLIT) {
        at = model_run_near(&r->model, at);
        order = at == MODEL_NOWHERE ? QUIRE_MAX_ORDER + 1 : order_of(&r->model, at);
        if (order > QUIRE_MAX_ORDER) {
            return true;
        }
    }
    quire_pfn pfn = runner_pfn(r, at);
    uint32_t expected = expected_here(r, op, expect_free(&r->model, pfn.n, order));
    int got = quire_zone_split(&r->zone, quire_slot_of(op->slot), pfn, order);
    if (!runner_result(r, op, "split", got, expected)) {
        return false;
    }
    if (got == 0) {
        uint64_t frames = UINT64_C(1) << order;
        model_singles(&r->model, model_place(&r->model, pfn.n, frames), frames);
    }
    return true;
}

static bool give_join(struct runner *r, const struct op *op)
{
    quire_pfn pfn = runner_pfn(r, op->arg[0]);
    uint32_t expected = expected_here(r, op, expect_join(&r->model, pfn.n));
    int got = quire_zone_join(&r->zone, quire_slot_of(op->slot), pfn);
    if (!runner_result(r, op, "join", got, expected)) {
        return false;
    }
    if (got == 0) {
        size_t at = model_place(&r->model, pfn.n, BLOCK);
        model_give(&r->model, at, BLOCK);
        model_take(&r->model, at, BLOCK, false);
    }
    return true;
}

static bool give_length(struct runner *r, const struct op *op)
{
    quire_pfn pfn = runner_pfn(r, op->arg[0]);
    uint64_t frames = 0;
    uint32_t expected = expect_free_any(&r->model, pfn.n);
    int got = quire_zone_run_length(&r->zone, pfn, &frames);
    if (!runner_result(r, op, "run_length", got, expected)) {
        return false;
    }
    r->errors[-got] -= op->slot < r->model.slots ? 1 : 0; /* a question is not a refusal */
    if (got == 0) {
        uint32_t length = r->model.length[model_place(&r->model, pfn.n, 1)];
        if (frames != length) {
            return runner_fail(r, "run_length gave %" PRIu64 ", expected %" PRIu32, frames, length);
        }
    }
    return true;
}

bool runner_give(struct runner *r, const struct op *op)
{
    switch (op->kind) {
    case OP_FREE_AT:
        return give_order(r, op, runner_pfn(r, op->arg[0]), (unsigned)op->arg[1]);
    case OP_FREE_CONTIG_AT:
        return give_contig(r, op, runner_pfn(r, op->arg[0]), op->arg[1]);
    case OP_FREE_ANY_AT:
        return give_any(r, op, runner_pfn(r, op->arg[0]));
    case OP_FREE_BATCH:
        return give_batch(r, op);
    case OP_LENGTH:
        return give_length(r, op);
    case OP_UNRESERVE:
    case OP_UNRESERVE_AT:
        return give_unreserve(r, op);
    case OP_SPLIT:
    case OP_SPLIT_AT:
        return give_split(r, op);
    case OP_JOIN:
        return give_join(r, op);
    case OP_RETIRE:
        return runner_result(r, op, "retire_slot",
                             quire_zone_retire_slot(&r->zone, quire_slot_of(op->slot)),
                             expected_here(r, op, RESULT(QUIRE_OK)));
    default:
        return give_near(r, op);
    }
}
