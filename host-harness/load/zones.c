/* SPDX-License-Identifier: MIT
 *
 * zones.c - what every target does with its zones: look at them, listen to them, and set so much of
 * large ones aside that a short load is felt by all of the rest.
 *
 * Setting aside. Every frame that is handed out costs 8 bytes of shadow and an exchange, so a zone
 * of many GiB could neither be filled nor watched within a short run. The main thread therefore
 * takes large runs out of zones that have more than load->window frames above their watermarks, in
 * random places, and keeps them until the threads have ended: what is left is used all the time,
 * and its watermarks can be reached. (The report has it as set aside.)
 *
 * State: load->zones, the shadow model and the hand-over table, made here. Everything here runs in
 * the main thread, but for the functions of the port, which any thread may be in.
 */
#include "load.h"

#include "random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The port -------------------------------------------------------------------------------- */

int load_port_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct load *load = ctx;

    shadow_zero(&load->shadow, pfn.n, frames);
    return QUIRE_OK;
}

/* The type of the port's function is given. cppcheck-suppress constParameter */
void load_port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct load *load = ctx;

    for (size_t z = 0; z < load->machine.zone_count; z++) {
        if (load->zones[z].zone == zone) {
            /* relaxed: a statistic, read after all threads have ended */
            qa_add(&load->zones[z].events[event], 1, relaxed);
        }
    }
}

void load_port_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                      int error)
{
    struct load *load = ctx;

    (void)zone;
    (void)error;
    if (what == QUIRE_REPORT_BAD_FREE) {
        /* relaxed: a statistic, read after all threads have ended */
        qa_add(&load->bad_reports, 1, relaxed);
    } else {
        load_violation(load, "frame %llu: its block was withdrawn, though no two bad frees raced",
                       (unsigned long long)pfn.n);
    }
}

/* ---- Looking at zones ------------------------------------------------------------------------ */

uint64_t load_random_pfn(const struct load_zone *zone, uint64_t bits)
{
    uint64_t at = bits % zone->extent_frames;
    uint32_t i = 0;

    while (at >= zone->extents[i].frames)
        at -= zone->extents[i++].frames;
    return zone->extents[i].pfn.n + at;
}

void load_each_zone(struct load *load, const char *what, void (*visit)(struct load *load, size_t z))
{
    bool terminal = isatty(STDERR_FILENO);

    for (size_t z = 0; z < load->machine.zone_count; z++) {
        if (terminal) {
            (void)fprintf(stderr, "\r\033[K%s zone %zu of %zu ", what, z + 1,
                          load->machine.zone_count);
            (void)fflush(stderr);
        }
        visit(load, z);
    }
    if (terminal)
        (void)fprintf(stderr, "\r\033[K");
}

static void look_at_zone(struct load *load, size_t z)
{
    struct load_zone *zone = &load->zones[z];

    zone->zone = &load->machine.zones[z].zone;
    while (zone->extent_count < QUIRE_ZONE_EXTENTS &&
           !quire_zone_extent(zone->zone, zone->extent_count, &zone->extents[zone->extent_count]))
        zone->extent_frames += zone->extents[zone->extent_count++].frames;
    quire_zone_stats(zone->zone, &zone->before);
}

int load_build_zones(struct load *load)
{
    load->zones = calloc(load->machine.zone_count, sizeof(*load->zones));
    if (!load->zones || shadow_build(&load->shadow, &load->machine) ||
        handover_build(&load->handover, load->options.threads)) {
        cli_fail("run", "no memory for the shadow model of %s: %s", load->map.source,
                 strerror(errno));
        return CLI_FAILED;
    }
    load_each_zone(load, "looking at", look_at_zone);
    return CLI_OK;
}

void load_teardown_zones(struct load *load)
{
    for (size_t z = 0; load->zones && z < load->machine.zone_count; z++)
        free(load->zones[z].set_aside);
    free(load->zones);
    shadow_teardown(&load->shadow);
    handover_teardown(&load->handover);
    simulated_teardown(&load->machine);
    map_free(&load->map);
}

/* ---- Setting aside --------------------------------------------------------------------------- */

/* A zone is divided into 512 to 1024 pieces, of 4 MiB to 1 GiB. */
static unsigned piece_order(uint64_t managed)
{
    unsigned order = 63u - (unsigned)__builtin_clzll(managed);

    order = order > 9 + 10 ? order - 9 : 10;
    return order < 18 ? order : 18;
}

/* Take all the runs of the order that there are. */
static bool take_all(struct load *load, struct load_zone *zone, unsigned order)
{
    size_t room = (size_t)(zone->before.managed >> order);
    int error = QUIRE_OK;

    zone->set_aside = malloc(room * sizeof(*zone->set_aside));
    while (zone->set_aside && zone->set_aside_count < room) {
        struct quire_run *piece = &zone->set_aside[zone->set_aside_count];

        piece->frames = 1ULL << order;
        error = quire_zone_alloc(zone->zone, quire_slot_of(0), order, QUIRE_MOVABLE, &piece->pfn);
        if (error)
            break;
        zone->set_aside_count++;
        zone->set_aside_frames += piece->frames;
    }
    if (!zone->set_aside || (error && error != QUIRE_ERR_NO_MEMORY))
        load_violation(load, "setting runs of order %u aside failed: %s", order,
                       zone->set_aside ? quire_strerror(error) : "the host has no memory");
    return !load_violated(load);
}

static bool set_aside(struct load *load, struct load_zone *zone, uint64_t seed)
{
    unsigned order = piece_order(zone->before.managed);
    uint64_t wanted = zone->before.high + load->window;

    if (zone->before.managed <= wanted)
        return true;
    if (!take_all(load, zone, order))
        return false;
    while (zone->set_aside_count > 0 && quire_zone_free_frames(zone->zone) < wanted) {
        size_t at = random_next(&seed) % zone->set_aside_count;
        struct quire_run piece = zone->set_aside[at];
        int error = quire_zone_free(zone->zone, quire_slot_of(0), piece.pfn, order);

        if (error) {
            load_violation(load, "freeing what was set aside at frame %llu, order %u, failed: %s",
                           (unsigned long long)piece.pfn.n, order, quire_strerror(error));
            return false;
        }
        zone->set_aside[at] = zone->set_aside[--zone->set_aside_count];
        zone->set_aside_frames -= piece.frames;
    }
    return true;
}

bool load_set_aside(struct load *load)
{
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        if (!set_aside(load, &load->zones[z], load->options.seed + z))
            return false;
    }
    return true;
}
