/* SPDX-License-Identifier: MIT
 *
 * verdict.c - the verdict of `quire run`: the first violation while its threads run, and what is
 * found after they have ended. Is anything lost?
 *
 *   1. Everything that threads and hand-over table still hold is freed, then what was set aside;
 *      slots are retired.
 *   2. The shadow model must be empty, each zone consistent, and all its frames free: by its count
 *      and by its maps.
 *   3. Each zone must have told the port as many crossings as it counted.
 *   4. Each zone must be able to hand out every frame once more, exactly once.
 *
 * State: `violated` and `text` of the load; see load.h. Runs in the main thread, but for
 * load_violation and load_violated, which any thread may call.
 */
#include "calls.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void load_violation(struct load *load, const char *format, ...)
{
    uint32_t none = 0;
    va_list arguments;

    /* relaxed: the text is read after its writer has ended, joining orders it */
    if (qa_cas(&load->violated, &none, 1, relaxed)) {
        va_start(arguments, format);
        (void)vsnprintf(load->text, sizeof(load->text), format, arguments);
        va_end(arguments);
    }
    /* relaxed: a thread that sees it late ends one operation later */
    qa_store(&load->stop, 1, relaxed);
}

bool load_violated(struct load *load)
{
    /* relaxed: nothing is read on the strength of it */
    return qa_load(&load->violated, relaxed) != 0;
}

/* ---- Giving back ----------------------------------------------------------------------------- */

static void note_loaded(struct load *load, size_t z)
{
    struct load_zone *zone = &load->zones[z];

    quire_zone_stats(zone->zone, &zone->loaded);
    zone->loaded_pressure = quire_zone_pressure(zone->zone);
}

static void free_held(struct load *load)
{
    for (uint32_t t = 0; t < load->options.threads; t++) {
        struct worker *w = &load->workers[t];

        for (uint32_t i = 0; i < load->list_count; i++) {
            struct held_list *held = &w->held[i];

            while (held->count > 0 && !load_violated(load)) {
                held->count--;
                call_free(w, i, &held->runs[held->count], held->count);
            }
        }
    }
}

static void free_handed_over(struct load *load)
{
    const struct handover_run nothing = {0};

    for (size_t i = 0; i < load->handover.count && !load_violated(load); i++)
        call_free_handed_over(&load->workers[0], handover_exchange(&load->handover, i, nothing), i);
}

static void free_runs(struct load *load, struct quire_zone *zone, const struct quire_run runs[],
                      size_t count)
{
    for (size_t i = 0; i < count && !load_violated(load); i++) {
        int error = quire_zone_free(zone, quire_slot_of(0), runs[i].pfn,
                                    (unsigned)__builtin_ctzll(runs[i].frames));

        if (error)
            load_violation(load,
                           "free at the end of %" PRIu64 " frames at %" PRIu64 ": answered \"%s\"",
                           runs[i].frames, runs[i].pfn.n, quire_strerror(error));
    }
}

static void retire_slots(struct load *load, struct quire_zone *zone)
{
    for (uint32_t i = 0; i < load->slots; i++) {
        int error = quire_zone_retire_slot(zone, quire_slot_of(i));

        if (error)
            load_violation(load, "retiring slot %u: answered \"%s\"", i, quire_strerror(error));
    }
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* Frames that the zone's maps show as free. */
static uint64_t free_in_maps(const struct quire_zone_stats *stats)
{
    uint64_t frames = 0;

    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++)
        frames += stats->free_runs[order] << order;
    return frames;
}

static void check_none_lost(struct load *load, size_t z, const struct quire_zone_stats *stats)
{
    const struct load_zone *zone = &load->zones[z];
    uint64_t in_maps = free_in_maps(stats);
    uint64_t managed = zone->before.managed;
    uint64_t pfn;

    if (stats->managed != managed)
        load_violation(load, "zone %zu manages %" PRIu64 " frames at the end, not %" PRIu64, z,
                       stats->managed, managed);
    if (in_maps != managed && shadow_find_lost(&load->shadow, &load->machine, &pfn))
        load_violation(load,
                       "zone %zu lost %" PRId64 " frames: frame %" PRIu64 " was freed, but "
                       "is not free",
                       z, (int64_t)(managed - in_maps), pfn);
    if (in_maps != managed)
        load_violation(load,
                       "zone %zu lost %" PRId64 " frames: of %" PRIu64 " its maps show %" PRIu64
                       " as free",
                       z, (int64_t)(managed - in_maps), managed, in_maps);
    if (stats->free != managed || quire_zone_free_frames(zone->zone) != managed)
        load_violation(load, "zone %zu counts %" PRIu64 " free frames when all %" PRIu64 " are", z,
                       stats->free, managed);
}

static void check_zone_consistent(struct load *load, size_t z)
{
    struct quire_fault found;

    if (quire_zone_check(load->zones[z].zone, &found))
        load_violation(load,
                       "zone %zu, frame %" PRIu64 ": %s (expected %" PRIu64 ", found %" PRIu64 ")",
                       z, found.where, found.what, found.expected, found.found);
}

static void check_events(struct load *load, size_t z, const struct quire_zone_stats *stats)
{
    if (!load->target->hears_events)
        return;
    for (unsigned e = 0; e < QUIRE_EVENTS; e++) {
        /* relaxed: no other thread runs */
        uint64_t heard = qa_load(&load->zones[z].events[e], relaxed);

        if (heard != stats->events[e])
            load_violation(load,
                           "zone %zu counted %" PRIu64 " watermark events of kind %u, its "
                           "port heard %" PRIu64,
                           z, stats->events[e], e, heard);
    }
}

/* ---- Handing out once more ------------------------------------------------------------------- */

/* A zone handed out once more. */
struct redraw {
    struct quire_run *runs;
    size_t count, room;
    uint64_t frames;
};

static bool redraw_add(struct redraw *redraw, quire_pfn pfn, uint64_t frames)
{
    if (redraw->count == redraw->room) {
        size_t room = redraw->room ? 2 * redraw->room : 1024;
        struct quire_run *runs = realloc(redraw->runs, room * sizeof(*runs));

        if (!runs)
            return false;
        redraw->runs = runs;
        redraw->room = room;
    }
    redraw->runs[redraw->count++] = (struct quire_run){pfn, frames};
    redraw->frames += frames;
    return true;
}

static int by_pfn(const void *a, const void *b)
{
    uint64_t x = ((const struct quire_run *)a)->pfn.n;
    uint64_t y = ((const struct quire_run *)b)->pfn.n;

    return (x > y) - (x < y);
}

static void check_redraw(struct load *load, size_t z, struct redraw *redraw)
{
    uint64_t managed = load->zones[z].before.managed;

    if (redraw->count > 0)
        qsort(redraw->runs, redraw->count, sizeof(*redraw->runs), by_pfn);
    for (size_t i = 1; i < redraw->count; i++) {
        const struct quire_run *last = &redraw->runs[i - 1];

        if (last->pfn.n + last->frames > redraw->runs[i].pfn.n)
            load_violation(load,
                           "frame %" PRIu64 " of zone %zu was handed out twice, after all "
                           "had been freed",
                           redraw->runs[i].pfn.n, z);
    }
    if (redraw->frames != managed)
        load_violation(load,
                       "zone %zu hands out %" PRIu64 " of its %" PRIu64 " frames after all "
                       "had been freed",
                       z, redraw->frames, managed);
}

/* Hand out the whole zone, the largest runs first, and take it back. */
static void redraw_zone(struct load *load, size_t z)
{
    struct quire_zone *zone = load->zones[z].zone;
    struct redraw redraw = {0};
    const uint32_t flags = QUIRE_EMERGENCY | QUIRE_MOVABLE | QUIRE_NO_CALLBACK;

    for (int order = QUIRE_MAX_ORDER; order >= 0 && !load_violated(load); order--) {
        quire_pfn pfn = {0};
        int error = 0;

        while (!load_violated(load) && redraw.frames < load->zones[z].before.managed) {
            error = quire_zone_alloc(zone, quire_slot_of(0), (unsigned)order, flags, &pfn);
            if (error)
                break;
            if (!redraw_add(&redraw, pfn, 1ULL << order))
                load_violation(load, "the host has no memory for the list of zone %zu's runs", z);
        }
        if (error && error != QUIRE_ERR_NO_MEMORY)
            load_violation(load, "alloc of order %d in the empty zone %zu: answered \"%s\"", order,
                           z, quire_strerror(error));
    }
    if (!load_violated(load))
        check_redraw(load, z, &redraw);
    free_runs(load, zone, redraw.runs, redraw.count);
    load->redrawn += redraw.frames;
    free(redraw.runs);
}

static void judge_zone(struct load *load, size_t z)
{
    struct quire_zone_stats stats;

    if (load_violated(load))
        return;
    quire_zone_stats(load->zones[z].zone, &stats);
    check_none_lost(load, z, &stats);
    check_zone_consistent(load, z);
    check_events(load, z, &stats);
    if (load_violated(load))
        return;
    redraw_zone(load, z);
    retire_slots(load, load->zones[z].zone);
    quire_zone_stats(load->zones[z].zone, &stats);
    check_none_lost(load, z, &stats);
    check_zone_consistent(load, z);
}

static void free_set_aside(struct load *load, size_t z)
{
    struct load_zone *zone = &load->zones[z];

    if (load_violated(load))
        return;
    free_runs(load, zone->zone, zone->set_aside, zone->set_aside_count);
    retire_slots(load, zone->zone);
}

void load_end(struct load *load)
{
    const struct target *target = load->target;
    struct shadow_finding finding;

    /* What is freed from here on is not part of the load. relaxed: the reclaimer's thread still
     * runs, and may time a call more. */
    qa_store(&load->timing, 0, relaxed);
    load_each_zone(load, "looking at", note_loaded);
    if (!load_violated(load)) {
        if (target->ended)
            target->ended(load);
        free_held(load);
        free_handed_over(load);
        if (target->emptied)
            target->emptied(load);
    }
    load_each_zone(load, "giving back", free_set_aside);
    if (!load_violated(load) && !shadow_is_empty(&load->shadow, &finding))
        load_violation(load, "frame %" PRIu64 " %s", finding.pfn, finding.what);
    load_each_zone(load, "checking", judge_zone);
}
