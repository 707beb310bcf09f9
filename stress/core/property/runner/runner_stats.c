/* SPDX-License-Identifier: MIT
 *
 * runner_stats.c - checks what quire_zone_stats says against the model, and the order in which
 * watermark events came. See runner.h.
 */
#include "runner.h"

#include <inttypes.h>

/* ---- Events ------------------------------------------------------------------------------ */

static bool check_event(struct runner *r, enum quire_event event)
{
    const struct model *m = &r->model;
    switch (event) {
    case QUIRE_EVENT_LOW:
        if (r->told_low || r->lowest >= m->low) {
            return runner_fail(r, "event LOW: %s", r->told_low ? "told twice" : "not below low");
        }
        r->told_low = true;
        break;
    case QUIRE_EVENT_MIN:
        if (!r->told_low || r->told_min || r->lowest >= m->min) {
            return runner_fail(r, "event MIN: %s",
                               r->told_min   ? "told twice"
                               : r->told_low ? "not below min"
                                             : "before LOW");
        }
        r->told_min = true;
        break;
    case QUIRE_EVENT_RECOVERED:
        if (!r->told_low || m->free < m->high) {
            return runner_fail(r, "event RECOVERED: %s", r->told_low ? "below high" : "before LOW");
        }
        r->told_low = false;
        r->told_min = false;
        r->lowest = m->free;
        break;
    }
    r->told[event]++;
    return true;
}

/* After an operation that may call and that changed the count, everything due has been told. */
bool runner_check_events(struct runner *r, bool may_call, bool changed)
{
    const struct model *m = &r->model;
    r->lowest = m->free < r->lowest ? m->free : r->lowest;
    if (!may_call && r->event_count != 0) {
        return runner_fail(r, "an event was told in spite of QUIRE_NO_CALLBACK");
    }
    for (unsigned i = 0; i < r->event_count; i++) {
        if (!check_event(r, r->events[i])) {
            return false;
        }
    }
    if (m->free >= m->high && !r->told_low) {
        r->lowest = m->free; /* a crossing back and forth that nobody could be told of is over */
    }
    if (!may_call || !changed) {
        return true;
    }
    if (m->free >= m->low && r->told_min) {
        r->told_min = false; /* another fall below min is another crossing */
        r->lowest = m->free;
    }
    if ((m->free < m->low && !r->told_low) || (m->free < m->min && !r->told_min) ||
        (m->free >= m->high && r->told_low)) {
        return runner_fail(r, "%" PRIu64 " frames free and nothing was told (told: low %d, min %d)",
                           m->free, r->told_low, r->told_min);
    }
    return true;
}

/* ---- Statistics -------------------------------------------------------------------------- */

static bool same(struct runner *r, const char *what, unsigned index, uint64_t got,
                 uint64_t expected)
{
    if (got != expected) {
        return runner_fail(r, "statistics: %s[%u] is %" PRIu64 ", expected %" PRIu64, what, index,
                           got, expected);
    }
    return true;
}

/* Cut a stretch into the largest aligned runs, as a buddy allocator would hold it. */
static void cut(const struct quire_run *stretch, uint64_t runs[QUIRE_MAX_ORDER + 1])
{
    uint64_t pfn = stretch->pfn.n;
    uint64_t end = pfn + stretch->frames;
    while (pfn < end) {
        unsigned order = QUIRE_MAX_ORDER;
        while (pfn % (UINT64_C(1) << order) != 0 || pfn + (UINT64_C(1) << order) > end) {
            order--;
        }
        runs[order]++;
        pfn += UINT64_C(1) << order;
    }
}

static bool check_runs(struct runner *r, const struct quire_zone_stats *s)
{
    uint64_t runs[QUIRE_MAX_ORDER + 1] = {0};
    uint64_t largest = 0;
    uint64_t below = 0;
    struct quire_run stretch;
    for (size_t cursor = 0; model_next_stretch(&r->model, &cursor, &stretch);) {
        cut(&stretch, runs);
        largest = stretch.frames > largest ? stretch.frames : largest;
    }
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        uint64_t unusable = r->model.free == 0 ? 0 : below * 1000 / r->model.free;
        bool near = s->unusable[order] == unusable || s->unusable[order] == unusable + 1;
        if (!same(r, "free_runs", order, s->free_runs[order], runs[order]) ||
            (!near && !same(r, "unusable", order, s->unusable[order], unusable))) {
            return false;
        }
        below += runs[order] << order;
    }
    return same(r, "largest_run", 0, s->largest_run, largest);
}

/* Whether a block that is wholly free is whole or split is the zone's own business. */
static bool check_blocks(struct runner *r, const struct quire_zone_stats *s)
{
    const struct model *m = &r->model;
    uint64_t free_blocks = 0;
    uint64_t partial_blocks = 0;
    for (unsigned i = 0; i < m->extent_count; i++) {
        size_t end = m->extents[i].at + (size_t)m->extents[i].frames;
        for (size_t at = m->extents[i].at; at < end; at += BLOCK) {
            struct model_tally t = model_tally_of(m, at, BLOCK);
            uint64_t n = t.of[QUIRE_FRAME_FREE];
            free_blocks += n == BLOCK ? 1 : 0;
            partial_blocks += n != 0 && n != BLOCK ? 1 : 0;
        }
    }
    if (s->whole_free_blocks > free_blocks || s->split_blocks < partial_blocks ||
        s->whole_free_blocks + s->split_blocks < free_blocks + partial_blocks) {
        return runner_fail(r,
                           "statistics: %" PRIu64 " whole and %" PRIu64
                           " split blocks, with %" PRIu64 " wholly and %" PRIu64 " partly free",
                           s->whole_free_blocks, s->split_blocks, free_blocks, partial_blocks);
    }
    return true;
}

bool runner_check_stats(struct runner *r)
{
    struct quire_zone_stats s;
    const struct model *m = &r->model;
    int error = quire_zone_stats(&r->zone, &s);
    if (error != 0) {
        return runner_fail(r, "quire_zone_stats gave %d", error);
    }
    for (unsigned e = 1; e < QUIRE_ERRORS; e++) {
        if (!same(r, "errors", e, s.errors[e], r->errors[e])) {
            return false;
        }
    }
    for (unsigned e = 0; e < QUIRE_EVENTS; e++) {
        if (!same(r, "events", e, s.events[e], r->told[e])) {
            return false;
        }
    }
    return same(r, "managed", 0, s.managed, m->managed) &&
           same(r, "managed, asked for alone", 0, quire_zone_managed(&r->zone), m->managed) &&
           same(r, "metadata_bytes, asked for alone", 0, quire_zone_metadata_bytes(&r->zone),
                r->bytes) &&
           same(r, "reserved", 0, s.reserved, m->reserved) && same(r, "free", 0, s.free, m->free) &&
           same(r, "lowmem_reserve", 0, s.lowmem_reserve, m->lowmem_reserve) &&
           same(r, "min", 0, s.min, m->min) && same(r, "low", 0, s.low, m->low) &&
           same(r, "high", 0, s.high, m->high) &&
           same(r, "metadata_bytes", 0, s.metadata_bytes, r->bytes) &&
           same(r, "counts, withdrawn", QUIRE_COUNT_WITHDRAWN, s.counts[QUIRE_COUNT_WITHDRAWN],
                0) &&
           check_runs(r, &s) && check_blocks(r, &s);
}
