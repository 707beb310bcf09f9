/* SPDX-License-Identifier: MIT
 *
 * runner.h - runs operations on a real zone and on the model, and compares.
 *
 * Files: runner.c opens, compares and finishes; runner_take.c and runner_give.c run the operations
 * that take frames out of the free ones and those that bring them back; runner_stats.c checks
 * quire_zone_stats and the order of events. One runner is used by one thread; it holds one zone
 * with its metadata. The first thing that is wrong ends up in `why`, and stays.
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_RUNNER_H
#define QUIRE_STRESS_CORE_PROPERTY_RUNNER_H

#include "expect.h"
#include "model.h"
#include "op.h"
#include "shape.h"

enum { RUNNER_WHY = 320, RUNNER_EVENTS = 8, RUNNER_BATCH = 1024 };

struct runner {
    const struct shape *shape;
    struct quire_zone zone;
    void *metadata;
    size_t bytes;
    struct model model;
    bool stepwise; /* compare all frames after every step, not only in runner_compare */

    /* What the port heard during the present operation. */
    enum quire_event events[RUNNER_EVENTS];
    unsigned event_count;
    uint64_t zeroed; /* frames */

    /* Watermarks: what was told since the last recovery, and what the count has been since. */
    bool told_low, told_min;
    uint64_t lowest;

    uint64_t errors[QUIRE_ERRORS]; /* refusals, as stats should show them */
    uint64_t told[QUIRE_EVENTS];   /* events, likewise */
    uint64_t steps;
    char why[RUNNER_WHY];
};

/* Every function returns false when something is wrong, and has said what in `why`. */
bool runner_open(struct runner *r, const struct shape *shape);
bool runner_step(struct runner *r, const struct op *op);
/* Compare every frame, the statistics, and let the zone check itself. */
bool runner_compare(struct runner *r);
/* Free all that is allocated, compare, and allocate the largest runs that fit. */
bool runner_finish(struct runner *r);
void runner_close(struct runner *r);

/* ---- Between the files of the runner ----------------------------------------------------- */

__attribute__((format(printf, 2, 3))) bool runner_fail(struct runner *r, const char *format, ...);
/* Is `got` one of the expected results? Counts a refusal, if the zone has a slot to count it in. */
bool runner_result(struct runner *r, const struct op *op, const char *call, int got,
                   uint32_t expected);
/* The place of a run that the zone handed out, after checking that it was free; else NOWHERE. */
size_t runner_place(struct runner *r, const char *call, uint64_t pfn, uint64_t frames);
/* The pfn at a place; places behind the zone give pfns behind the last extent. */
quire_pfn runner_pfn(const struct runner *r, uint64_t place);

bool runner_take(struct runner *r, const struct op *op); /* OP_ALLOC .. OP_AT, OP_RESERVE */
bool runner_give(struct runner *r, const struct op *op); /* the others */
bool runner_check_events(struct runner *r, bool may_call, bool changed);
bool runner_check_stats(struct runner *r);

#endif /* QUIRE_STRESS_CORE_PROPERTY_RUNNER_H */
