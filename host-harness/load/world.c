/* SPDX-License-Identifier: MIT
 *
 * world.c - the machine of `quire run`: its zones as the threads see them, the port behind
 * them, the ballast, and the verdict.
 *
 * Ballast. Every frame that is handed out costs 8 bytes of shadow and an exchange, so a zone of
 * many GiB could neither be filled nor watched within a short run. The main thread therefore takes
 * large runs out of zones that have more than run->window frames above their watermarks, in random
 * places, and keeps them until the threads have ended: what is left is full of action, and its
 * watermarks can be reached.
 *
 * State and invariants: see run.h. Everything here runs in the main thread, but for run_violation
 * and the functions of the port, which any thread may be in.
 */
#include "run.h"

#include "random.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROBE_FRAMES = 64, PROBES = 1 << 14 };

void run_violation(struct run *run, const char *format, ...)
{
    uint32_t nobody = 0;
    va_list arguments;

    /* relaxed: the text is read after its writer has ended, joining orders it */
    if (qa_cas(&run->claimed, &nobody, 1, relaxed)) {
        va_start(arguments, format);
        (void)vsnprintf(run->text, sizeof(run->text), format, arguments);
        va_end(arguments);
    }
    /* relaxed: a thread that sees it late ends one operation later */
    qa_store(&run->stop, 1, relaxed);
}

bool run_violated(struct run *run)
{
    /* relaxed: nothing is read on the strength of it */
    return qa_load(&run->claimed, relaxed) != 0;
}

int run_port_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct run *run = ctx;

    shadow_zero(&run->shadow, pfn.n, frames);
    return QUIRE_OK;
}

/* The type of the port's function is given. cppcheck-suppress constParameter */
void run_port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct run *run = ctx;

    for (size_t z = 0; z < run->machine.zone_count; z++) {
        if (run->zones[z].zone == zone) {
            /* relaxed: a statistic, read after all threads have ended */
            qa_add(&run->zones[z].events[event], 1, relaxed);
        }
    }
}

void run_port_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                     int error)
{
    struct run *run = ctx;

    (void)zone;
    (void)error;
    if (what == QUIRE_REPORT_BAD_FREE) {
        /* relaxed: a statistic, read after all threads have ended */
        qa_add(&run->bad_reports, 1, relaxed);
    } else {
        run_violation(run, "frame %llu: its block was withdrawn, though no two bad frees raced",
                      (unsigned long long)pfn.n);
    }
}

uint64_t run_random_pfn(const struct run_zone *zone, uint64_t bits)
{
    uint64_t at = bits % zone->extent_frames;
    uint32_t i = 0;

    while (at >= zone->extents[i].frames)
        at -= zone->extents[i++].frames;
    return zone->extents[i].pfn.n + at;
}

/* A frame of the state, looked for at both ends of each extent. */
static uint64_t find_frame(const struct run_zone *zone, enum quire_frame_state wanted)
{
    for (uint32_t e = 0; e < zone->extent_count; e++) {
        const struct quire_run *run = &zone->extents[e];

        for (uint64_t i = 0; i < PROBES && i * PROBE_FRAMES < run->frames; i++) {
            uint64_t up = run->pfn.n + i * PROBE_FRAMES;
            uint64_t down = run->pfn.n + run->frames - 1 - i * PROBE_FRAMES;
            enum quire_frame_state state;

            if (!quire_zone_frame_state(zone->zone, quire_pfn_of(up), &state) && state == wanted)
                return up;
            if (!quire_zone_frame_state(zone->zone, quire_pfn_of(down), &state) && state == wanted)
                return down;
        }
    }
    return UINT64_MAX;
}

void run_each_zone(struct run *run, const char *what, void (*visit)(struct run *run, size_t z))
{
    bool terminal = isatty(STDERR_FILENO);

    for (size_t z = 0; z < run->machine.zone_count; z++) {
        if (terminal) {
            (void)fprintf(stderr, "\r\033[K%s zone %zu of %zu ", what, z + 1,
                          run->machine.zone_count);
            (void)fflush(stderr);
        }
        visit(run, z);
    }
    if (terminal)
        (void)fprintf(stderr, "\r\033[K");
}

static void look_at_zone(struct run *run, size_t z)
{
    struct run_zone *zone = &run->zones[z];
    const struct simulated_zone *from = &run->machine.zones[z];

    zone->zone = &run->machine.zones[z].zone;
    while (zone->extent_count < QUIRE_ZONE_EXTENTS &&
           !quire_zone_extent(zone->zone, zone->extent_count, &zone->extents[zone->extent_count]))
        zone->extent_frames += zone->extents[zone->extent_count++].frames;
    zone->movable = from->type == QUIRE_ZONE_HUGE ? QUIRE_MOVABLE : 0;
    zone->reserved_pfn = find_frame(zone, QUIRE_FRAME_RESERVED);
    zone->hole_pfn = find_frame(zone, QUIRE_FRAME_HOLE);
    quire_zone_stats(zone->zone, &zone->before);
}

static uint64_t window_of(const struct run *run, const struct run_zone *zone)
{
    return zone->before.managed < run->window ? zone->before.managed : run->window;
}

/* A quarter of the operations goes to all zones alike, so that small ones are not forgotten, the
 * rest by the frames that are in the game. */
static void share_operations(struct run *run)
{
    uint64_t total = 0;

    for (size_t z = 0; z < run->machine.zone_count; z++)
        total += window_of(run, &run->zones[z]);
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        run->weight_total +=
            window_of(run, &run->zones[z]) + total / (3 * run->machine.zone_count) + 1;
        run->zones[z].weight_end = run->weight_total;
    }
}

int run_world_build(struct run *run)
{
    struct machine_options options = {
        .slots = run->options.threads,
        .port = {.ctx = run,
                 .zero = run_port_zero,
                 .event = run_port_event,
                 .report = run_port_report},
    };
    struct map_error error;

    run->slots = run->options.threads;
    run->window = RUN_WINDOW;
    if (map_load(&run->map, run->options.map, &error))
        return cli_fail("run", "%s", error.text);
    if (machine_build(&run->machine, &run->map, &options, &error))
        return cli_fail("run", "%s", error.text);
    run->bag_count = run->machine.zone_count;
    return run_world_look(run);
}

int run_world_look(struct run *run)
{
    run->zones = calloc(run->machine.zone_count, sizeof(*run->zones));
    if (!run->zones || shadow_build(&run->shadow, &run->machine) ||
        board_build(&run->board, run->options.threads)) {
        cli_fail("run", "no memory for the shadow model of %s: %s", run->map.source,
                 strerror(errno));
        return CLI_FAILED;
    }
    run_each_zone(run, "looking at", look_at_zone);
    share_operations(run);
    return CLI_OK;
}

void run_world_teardown(struct run *run)
{
    for (size_t z = 0; run->zones && z < run->machine.zone_count; z++)
        free(run->zones[z].ballast);
    free(run->zones);
    shadow_teardown(&run->shadow);
    board_teardown(&run->board);
    machine_teardown(&run->machine);
    map_free(&run->map);
}

/* A zone is divided into 512 to 1024 pieces, of 4 MiB to 1 GiB. */
static unsigned ballast_order(uint64_t managed)
{
    unsigned order = 63u - (unsigned)__builtin_clzll(managed);

    order = order > 9 + 10 ? order - 9 : 10;
    return order < 18 ? order : 18;
}

/* Take all the runs of the order that there are. */
static bool take_ballast(struct run *run, struct run_zone *zone, unsigned order)
{
    size_t room = (size_t)(zone->before.managed >> order);
    int error = QUIRE_OK;

    zone->ballast = malloc(room * sizeof(*zone->ballast));
    while (zone->ballast && zone->ballast_count < room) {
        struct quire_run *piece = &zone->ballast[zone->ballast_count];

        piece->frames = 1ULL << order;
        error = quire_zone_alloc(zone->zone, quire_slot_of(0), order, QUIRE_MOVABLE, &piece->pfn);
        if (error)
            break;
        zone->ballast_count++;
        zone->ballast_frames += piece->frames;
    }
    if (!zone->ballast || (error && error != QUIRE_ERR_NO_MEMORY))
        run_violation(run, "taking ballast of order %u failed: %s", order,
                      zone->ballast ? quire_strerror(error) : "the host has no memory");
    return !run_violated(run);
}

static bool load_zone(struct run *run, struct run_zone *zone, uint64_t seed)
{
    unsigned order = ballast_order(zone->before.managed);
    uint64_t in_game = zone->before.high + run->window;

    if (zone->before.managed <= in_game)
        return true;
    if (!take_ballast(run, zone, order))
        return false;
    while (zone->ballast_count > 0 && quire_zone_free_frames(zone->zone) < in_game) {
        size_t at = random_next(&seed) % zone->ballast_count;
        struct quire_run piece = zone->ballast[at];
        int error = quire_zone_free(zone->zone, quire_slot_of(0), piece.pfn, order);

        if (error) {
            run_violation(run, "freeing ballast at frame %llu, order %u, failed: %s",
                          (unsigned long long)piece.pfn.n, order, quire_strerror(error));
            return false;
        }
        zone->ballast[at] = zone->ballast[--zone->ballast_count];
        zone->ballast_frames -= piece.frames;
    }
    return true;
}

bool run_world_load(struct run *run)
{
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        struct run_zone *zone = &run->zones[z];
        uint64_t share;

        if (!load_zone(run, zone, run->options.seed + z))
            return false;
        share = quire_zone_free_frames(zone->zone) / (2 * (uint64_t)run->options.threads);
        zone->budget = share < RUN_HOLD ? share : RUN_HOLD;
    }
    return true;
}
