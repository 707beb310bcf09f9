/* SPDX-License-Identifier: MIT
 *
 * runner.c - a zone and its model side by side: opening, comparing, finishing. See runner.h.
 */
#include "runner.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool runner_fail(struct runner *r, const char *format, ...)
{
    if (r->why[0] == '\0') {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(r->why, sizeof r->why, format, args);
        va_end(args);
    }
    return false;
}

bool runner_result(struct runner *r, const struct op *op, const char *call, int got,
                   uint32_t expected)
{
    if (got > 0 || got <= -QUIRE_ERRORS || (expected & RESULT(got)) == 0) {
        return runner_fail(r, "%s gave %d, %s; expected %s", call, got, expect_name(got),
                           expect_text(expected));
    }
    r->errors[-got] += op->slot < r->model.slots ? 1 : 0;
    return true;
}

quire_pfn runner_pfn(const struct runner *r, uint64_t place)
{
    return quire_pfn_of(model_pfn(&r->model, (size_t)place));
}

size_t runner_place(struct runner *r, const char *call, uint64_t pfn, uint64_t frames)
{
    size_t at = model_place(&r->model, pfn, frames);
    if (at == MODEL_NOWHERE) {
        (void)runner_fail(
            r, "%s gave %" PRIu64 " frames at pfn 0x%" PRIx64 ", which are not all in one extent",
            call, frames, pfn);
        return at;
    }
    if (model_tally_of(&r->model, at, frames).of[QUIRE_FRAME_FREE] != frames) {
        (void)runner_fail(r,
                          "%s gave %" PRIu64 " frames at pfn 0x%" PRIx64 ", which are not all free",
                          call, frames, pfn);
        return MODEL_NOWHERE;
    }
    return at;
}

/* ---- The port ---------------------------------------------------------------------------- */

static int hear_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct runner *r = ctx;
    if (model_place(&r->model, pfn.n, frames) == MODEL_NOWHERE) {
        (void)runner_fail(r, "port asked to zero %" PRIu64 " frames at pfn 0x%" PRIx64, frames,
                          pfn.n);
    }
    r->zeroed += frames;
    return 0;
}

static void hear_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct runner *r = ctx;
    (void)zone;
    if (r->event_count < RUNNER_EVENTS) {
        r->events[r->event_count++] = event;
    }
}

/* ---- Opening and closing ----------------------------------------------------------------- */

bool runner_open(struct runner *r, const struct shape *shape)
{
    *r = (struct runner){.shape = shape, .stepwise = !shape->large};
    struct quire_zone_config config = shape_config(shape);
    config.port = (struct quire_port){.ctx = r, .zero = hear_zero, .event = hear_event};
    int error = quire_zone_metadata_size(&config, &r->bytes);
    if (error != 0) {
        return runner_fail(r, "quire_zone_metadata_size gave %d", error);
    }
    size_t rounded = (r->bytes + QUIRE_METADATA_ALIGN - 1) / QUIRE_METADATA_ALIGN;
    r->metadata = aligned_alloc(QUIRE_METADATA_ALIGN, rounded * QUIRE_METADATA_ALIGN);
    if (r->metadata == NULL) {
        return runner_fail(r, "no heap for %zu bytes of metadata", r->bytes);
    }
    memset(r->metadata, 0xa5,
           r->bytes); /* the zone must not rely on zeros that it was not told of */
    error = quire_zone_init(&r->zone, &config, r->metadata, r->bytes);
    if (error != 0) {
        return runner_fail(r, "quire_zone_init gave %d", error);
    }
    if (!model_open(&r->model, &config, &r->zone)) {
        return runner_fail(r, "the extents do not fit the configuration");
    }
    r->lowest = r->model.free;
    return true;
}

void runner_close(struct runner *r)
{
    model_close(&r->model);
    r->model = (struct model){.frames = 0};
    free(r->metadata);
}

/* ---- Comparing --------------------------------------------------------------------------- */

static bool compare_frames(struct runner *r)
{
    for (size_t at = 0; at < r->model.frames; at++) {
        enum quire_frame_state state;
        quire_pfn pfn = runner_pfn(r, at);
        int error = quire_zone_frame_state(&r->zone, pfn, &state);
        if (error != 0 || !quire_zone_holds(&r->zone, pfn) ||
            (uint8_t)state != r->model.state[at]) {
            return runner_fail(r,
                               "frame 0x%" PRIx64 ": quire_zone_frame_state gave %d, state %d; "
                               "expected 0, %d",
                               pfn.n, error, (int)state, r->model.state[at]);
        }
    }
    return true;
}

static bool compare_count(struct runner *r)
{
    uint64_t free_frames = quire_zone_free_frames(&r->zone);
    if (free_frames != r->model.free) {
        return runner_fail(r, "quire_zone_free_frames gave %" PRIu64 ", expected %" PRIu64,
                           free_frames, r->model.free);
    }
    return true;
}

static bool compare_pressure(struct runner *r)
{
    const struct model *m = &r->model;
    unsigned got = quire_zone_pressure(&r->zone);
    /* Where min and high are one, both ends of the scale are right. Between them the rounding is
     * the zone's own business. */
    uint64_t least = 0;
    uint64_t most = m->free <= m->min ? 100 : 0;
    if (m->free < m->high) {
        uint64_t linear = m->free <= m->min ? 100 : (m->high - m->free) * 100 / (m->high - m->min);
        least = linear;
        most = linear < 100 ? linear + 1 : 100;
    }
    if (got < least || got > most) {
        return runner_fail(r, "quire_zone_pressure gave %u, expected %" PRIu64 " to %" PRIu64, got,
                           least, most);
    }
    return true;
}

bool runner_compare(struct runner *r)
{
    struct quire_fault v;
    if (quire_zone_check(&r->zone, &v) != 0) {
        return runner_fail(
            r, "quire_zone_check: %s at 0x%" PRIx64 ": expected %" PRIu64 ", found %" PRIu64,
            v.what, v.where, v.expected, v.found);
    }
    return compare_count(r) && compare_pressure(r) && compare_frames(r) && runner_check_stats(r);
}

/* ---- Stepping ---------------------------------------------------------------------------- */

static bool is_take(enum op_kind kind)
{
    return kind <= OP_AT || kind == OP_RESERVE;
}

bool runner_step(struct runner *r, const struct op *op)
{
    uint64_t before = r->model.free;
    bool flagged = op->kind <= OP_AT;
    r->event_count = 0;
    r->steps++;
    bool right = is_take(op->kind) ? runner_take(r, op) : runner_give(r, op);
    if (!right || r->why[0] != '\0') {
        return false;
    }
    bool may_call = !flagged || (op->flags & QUIRE_NO_CALLBACK) == 0;
    return compare_count(r) && runner_check_events(r, may_call, before != r->model.free) &&
           (!r->stepwise || compare_frames(r));
}

/* ---- Finishing --------------------------------------------------------------------------- */

bool runner_finish(struct runner *r)
{
    size_t at = 0;
    r->stepwise = false;
    while ((at = model_run_near(&r->model, at)) != MODEL_NOWHERE) {
        struct op give = {.kind = OP_FREE, .arg = {at}};
        if (!runner_step(r, &give)) {
            return false;
        }
    }
    if (!runner_compare(r)) {
        return false;
    }
    for (uint64_t order = QUIRE_MAX_ORDER + 1; order-- > 0;) {
        struct op take = {.kind = OP_ALLOC, .flags = QUIRE_EMERGENCY, .arg = {order}};
        for (int twice = 0; twice < 2; twice++) {
            if (!runner_step(r, &take)) {
                return false;
            }
        }
    }
    return runner_compare(r);
}
