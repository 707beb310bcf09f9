/* SPDX-License-Identifier: MIT
 *
 * end.c - the verdict of `quire run` after its threads have ended: is anything lost?
 *
 *   1. Everything that threads and board still hold is freed, and the ballast; slots are retired.
 *   2. The shadow model must be empty, each zone consistent, and all its frames free: by its count
 *      and by its maps.
 *   3. Each zone must have told the port as many crossings as it counted.
 *   4. Each zone must be able to hand out every frame once more, exactly once.
 *
 * Runs in the main thread; state: see run.h.
 */
#include "calls.h"

#include <inttypes.h>
#include <stdlib.h>

/* A zone handed out once more. */
struct redraw {
    struct quire_run *runs;
    size_t count, room;
    uint64_t frames;
};

static void note_loaded(struct run *run, size_t z)
{
    struct run_zone *zone = &run->zones[z];

    quire_zone_stats(zone->zone, &zone->loaded);
    zone->loaded_pressure = quire_zone_pressure(zone->zone);
}

static void free_bags(struct run *run)
{
    for (uint32_t t = 0; t < run->options.threads; t++) {
        struct worker *w = &run->workers[t];

        for (uint32_t z = 0; z < run->machine.zone_count && !run_violated(run); z++) {
            struct bag *bag = &w->bags[z];

            while (bag->count > 0 && !run_violated(run)) {
                bag->count--;
                call_free(w, z, &bag->records[bag->count], bag->count);
            }
        }
    }
}

static void free_board(struct run *run)
{
    const struct board_run nothing = {0};

    for (size_t i = 0; i < run->board.count && !run_violated(run); i++) {
        struct board_run got = board_exchange(&run->board, i, nothing);
        struct record record = {got.pfn, got.frames, 0, got.contig};

        if (got.frames > 0)
            call_free(&run->workers[0],
                      (uint32_t)(simulated_zone_of(&run->machine, quire_pfn_of(got.pfn)) -
                                 run->machine.zones),
                      &record, i);
    }
}

static void free_runs(struct run *run, struct quire_zone *zone, const struct quire_run runs[],
                      size_t count)
{
    for (size_t i = 0; i < count && !run_violated(run); i++) {
        int error = quire_zone_free(zone, quire_slot_of(0), runs[i].pfn,
                                    (unsigned)__builtin_ctzll(runs[i].frames));

        if (error)
            run_violation(run,
                          "free at the end of %" PRIu64 " frames at %" PRIu64 ": answered \"%s\"",
                          runs[i].frames, runs[i].pfn.n, quire_strerror(error));
    }
}

static void retire_slots(struct run *run, struct quire_zone *zone)
{
    for (uint32_t i = 0; i < run->slots; i++) {
        int error = quire_zone_retire_slot(zone, quire_slot_of(i));

        if (error)
            run_violation(run, "retiring slot %u: answered \"%s\"", i, quire_strerror(error));
    }
}

/* Frames that the zone's maps show as free. */
static uint64_t free_in_maps(const struct quire_zone_stats *stats)
{
    uint64_t frames = 0;

    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++)
        frames += stats->free_runs[order] << order;
    return frames;
}

static void check_none_lost(struct run *run, size_t z, const struct quire_zone_stats *stats)
{
    const struct run_zone *zone = &run->zones[z];
    uint64_t in_maps = free_in_maps(stats);
    uint64_t managed = zone->before.managed;
    uint64_t pfn;

    if (stats->managed != managed)
        run_violation(run, "zone %zu manages %" PRIu64 " frames at the end, not %" PRIu64, z,
                      stats->managed, managed);
    if (in_maps != managed && shadow_find_lost(&run->shadow, &run->machine, &pfn))
        run_violation(run,
                      "zone %zu lost %" PRId64 " frames: frame %" PRIu64 " was freed, but "
                      "is not free",
                      z, (int64_t)(managed - in_maps), pfn);
    if (in_maps != managed)
        run_violation(run,
                      "zone %zu lost %" PRId64 " frames: of %" PRIu64 " its maps show %" PRIu64
                      " as free",
                      z, (int64_t)(managed - in_maps), managed, in_maps);
    if (stats->free != managed || quire_zone_free_frames(zone->zone) != managed)
        run_violation(run, "zone %zu counts %" PRIu64 " free frames when all %" PRIu64 " are", z,
                      stats->free, managed);
}

static void check_zone_consistent(struct run *run, size_t z)
{
    struct quire_violation found;

    if (quire_zone_check(run->zones[z].zone, &found))
        run_violation(run,
                      "zone %zu, frame %" PRIu64 ": %s (expected %" PRIu64 ", found %" PRIu64 ")",
                      z, found.pfn.n, found.what, found.expected, found.found);
}

/* (A host keeps its zones' ports to itself.) */
static void check_events(struct run *run, size_t z, const struct quire_zone_stats *stats)
{
    if (run->options.real)
        return;
    for (unsigned e = 0; e < QUIRE_EVENTS; e++) {
        /* relaxed: nobody else runs */
        uint64_t heard = qa_load(&run->zones[z].events[e], relaxed);

        if (heard != stats->events[e])
            run_violation(run,
                          "zone %zu counted %" PRIu64 " watermark events of kind %u, its "
                          "port heard %" PRIu64,
                          z, stats->events[e], e, heard);
    }
}

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

static void check_redraw(struct run *run, size_t z, struct redraw *redraw)
{
    uint64_t managed = run->zones[z].before.managed;

    if (redraw->count > 0)
        qsort(redraw->runs, redraw->count, sizeof(*redraw->runs), by_pfn);
    for (size_t i = 1; i < redraw->count; i++) {
        const struct quire_run *last = &redraw->runs[i - 1];

        if (last->pfn.n + last->frames > redraw->runs[i].pfn.n)
            run_violation(run,
                          "frame %" PRIu64 " of zone %zu was handed out twice, after all "
                          "had been freed",
                          redraw->runs[i].pfn.n, z);
    }
    if (redraw->frames != managed)
        run_violation(run,
                      "zone %zu hands out %" PRIu64 " of its %" PRIu64 " frames after all "
                      "had been freed",
                      z, redraw->frames, managed);
}

/* Hand out the whole zone, the largest runs first, and take it back. */
static void redraw_zone(struct run *run, size_t z)
{
    struct quire_zone *zone = run->zones[z].zone;
    struct redraw redraw = {0};
    const uint32_t flags = QUIRE_EMERGENCY | QUIRE_MOVABLE | QUIRE_NO_CALLBACK;

    for (int order = QUIRE_MAX_ORDER; order >= 0 && !run_violated(run); order--) {
        quire_pfn pfn = {0};
        int error = 0;

        while (!run_violated(run) && redraw.frames < run->zones[z].before.managed) {
            error = quire_zone_alloc(zone, quire_slot_of(0), (unsigned)order, flags, &pfn);
            if (error)
                break;
            if (!redraw_add(&redraw, pfn, 1ULL << order))
                run_violation(run, "the host has no memory for the list of zone %zu's runs", z);
        }
        if (error && error != QUIRE_ERR_NO_MEMORY)
            run_violation(run, "alloc of order %d in the empty zone %zu: answered \"%s\"", order, z,
                          quire_strerror(error));
    }
    if (!run_violated(run))
        check_redraw(run, z, &redraw);
    free_runs(run, zone, redraw.runs, redraw.count);
    run->redrawn += redraw.frames;
    free(redraw.runs);
}

static void judge_zone(struct run *run, size_t z)
{
    struct quire_zone_stats stats;

    if (run_violated(run))
        return;
    quire_zone_stats(run->zones[z].zone, &stats);
    check_none_lost(run, z, &stats);
    check_zone_consistent(run, z);
    check_events(run, z, &stats);
    if (run_violated(run))
        return;
    redraw_zone(run, z);
    retire_slots(run, run->zones[z].zone);
    quire_zone_stats(run->zones[z].zone, &stats);
    check_none_lost(run, z, &stats);
    check_zone_consistent(run, z);
}

static void free_ballast(struct run *run, size_t z)
{
    struct run_zone *zone = &run->zones[z];

    if (run_violated(run))
        return;
    free_runs(run, zone->zone, zone->ballast, zone->ballast_count);
    retire_slots(run, zone->zone);
}

void run_end_give_back(struct run *run)
{
    free_bags(run);
    if (!run_violated(run))
        free_board(run);
}

void run_end(struct run *run)
{
    struct shadow_finding finding;

    /* What is freed from here on is not part of the load. relaxed: the reclaimer's thread still
     * runs, and may time a call more. */
    qa_store(&run->timing, 0, relaxed);
    run_each_zone(run, "looking at", note_loaded);
    if (!run_violated(run))
        run->way->give_back(run);
    run_each_zone(run, "giving back", free_ballast);
    if (!run_violated(run) && !shadow_is_empty(&run->shadow, &finding))
        run_violation(run, "frame %" PRIu64 " %s", finding.pfn, finding.what);
    run_each_zone(run, "checking", judge_zone);
}
