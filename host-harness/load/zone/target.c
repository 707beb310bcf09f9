/* SPDX-License-Identifier: MIT
 *
 * target.c - zones of a memory map as a target: built from the map, asked directly, each thread in
 * a slot of its own.
 *
 * State: the zones of struct load; their weights and the frames for bad calls are set here before
 * the threads start and constant afterwards.
 */
#include "zone.h"

#include "host-harness/load/random.h"
#include "host-harness/load/sequence.h"

enum { PROBE_FRAMES = 64, PROBES = 1 << 14, CONTIG_EXP = 11 /* runs are up to 2^11 frames */ };

/* ---- Operations ------------------------------------------------------------------------------ */

enum { KIND_BURST = 10 };

static const struct operation_kind kinds[] = {
    {"allocate a run", 370, operation_alloc},
    {"free a run", 350, operation_free},
    {"allocate a batch of 64", 30, operation_alloc_batch},
    {"free a batch of 64", 30, operation_free_batch},
    {"allocate up to 1024 frames in few runs", 15, zone_alloc_runs},
    {"allocate contiguous, constrained", 20, operation_alloc_contig},
    {"have another thread free a run", 100, operation_hand_over},
    {"allocate at a given place", 20, zone_alloc_at},
    {"split a run, join frames", 10, zone_shape},
    {"reserve and unreserve", 5, zone_reserve},
    [KIND_BURST] = {"burst: fill, then empty", 20, zone_burst},
    {"a call that must be refused", 30, zone_bad_call},
};

/* In the traces 95 to 98 % of the pages were movable; a quarter of unmovable ones lets the
 * blocks of both kinds compete. The rarer flags come often enough to be met in a short load. */
static uint32_t draw_flags(uint32_t bits)
{
    uint32_t flags = (bits & 3) ? QUIRE_MOVABLE : QUIRE_UNMOVABLE;

    if ((bits >> 2 & 31) == 0)
        flags |= QUIRE_NO_CALLBACK;
    if ((bits >> 7 & 31) == 0)
        flags |= QUIRE_ZEROED;
    if ((bits >> 12 & 63) == 0)
        flags |= QUIRE_HIGH;
    if ((bits >> 18 & 255) == 0)
        flags |= QUIRE_EMERGENCY;
    return flags;
}

static uint32_t draw_zone(const struct load *load, uint32_t bits)
{
    uint64_t at = random_below(bits, load->weight_total);
    uint32_t z = 0;

    while (at >= load->zones[z].weight_end)
        z++;
    return z;
}

/* Is it this thread's turn to fill a zone? Threads take turns. */
static bool is_flood(uint32_t thread, uint64_t index)
{
    uint64_t turn = (uint64_t)(thread % 32 + 1) * SEQUENCE_FLOOD_FIRST;

    return index % SEQUENCE_FLOOD_PERIOD == turn % SEQUENCE_FLOOD_PERIOD;
}

static uint64_t draw(const struct worker *w, uint64_t index, uint64_t bits, struct operation *op)
{
    struct request *r = &op->request;

    r->list = draw_zone(w->load, (uint32_t)bits);
    r->call.flags = draw_flags((uint32_t)(bits >> 32)) | w->load->zones[r->list].movable;
    if (is_flood(w->number, index)) {
        op->kind = KIND_BURST;
        op->flood = true;
    }
    return (uint64_t)r->call.order << 48 ^ (uint64_t)r->list << 32 ^ r->call.flags;
}

/* As devices ask: a third each without limits, below a limit, between two. */
static struct quire_contig draw_contig(const struct worker *w, const struct operation *op)
{
    const struct load_zone *zone = &w->load->zones[op->request.list];
    struct quire_contig want = {
        .frames = 1 + (op->a >> 8) % (1ULL << (op->a & 255) % (CONTIG_EXP + 1)),
    };
    unsigned shape = (unsigned)(op->b >> 8) & 3;
    unsigned limits = (unsigned)(op->b >> 10 & 255) % 3;
    uint64_t one = load_random_pfn(zone, op->b >> 18) << QUIRE_FRAME_SHIFT;
    uint64_t other = load_random_pfn(zone, random_scramble(op->b)) << QUIRE_FRAME_SHIFT;
    unsigned width = 64u - (unsigned)__builtin_clzll(want.frames); /* 2^width > frames */

    if (shape & 1)
        want.align = (uint64_t)QUIRE_FRAME_SIZE << (op->b & 15) % 11;
    if (shape & 2)
        want.boundary = (uint64_t)QUIRE_FRAME_SIZE << (width + (op->b >> 4 & 3));
    if (limits > 0)
        want.high = (one > other ? one : other) | (QUIRE_FRAME_SIZE - 1);
    if (limits > 1)
        want.low = one > other ? other : one;
    return want;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static int alloc(struct worker *w, const struct request *r, quire_pfn *pfn)
{
    return quire_zone_alloc(zone_of(w, r->list), zone_slot(w), r->call.order, r->call.flags, pfn);
}

static int free_run(struct worker *w, uint32_t list, const struct held_run *run, uint64_t bits)
{
    struct quire_zone *zone = zone_of(w, list);
    quire_pfn pfn = quire_pfn_of(run->pfn);

    if ((bits >> 4 & 3) == 0)
        return quire_zone_free_any(zone, zone_slot(w), pfn);
    if (run->contig)
        return quire_zone_free_contig(zone, zone_slot(w), pfn, run->frames);
    return quire_zone_free(zone, zone_slot(w), pfn, (unsigned)__builtin_ctz(run->frames));
}

static int alloc_batch(struct worker *w, const struct request *r, quire_pfn pfns[LOAD_BATCH],
                       size_t *got)
{
    return quire_zone_alloc_batch(zone_of(w, r->list), zone_slot(w), r->call.flags, LOAD_BATCH,
                                  pfns, got);
}

static int free_batch(struct worker *w, uint32_t list, const quire_pfn pfns[], uint32_t n)
{
    return quire_zone_free_batch(zone_of(w, list), zone_slot(w), pfns, n, NULL);
}

static int alloc_contig(struct worker *w, const struct request *r, const struct quire_contig *want,
                        quire_pfn *pfn)
{
    return quire_zone_alloc_contig(zone_of(w, r->list), zone_slot(w), want, r->call.flags, pfn);
}

static int run_length(struct worker *w, uint32_t list, quire_pfn pfn, uint64_t *frames)
{
    return quire_zone_run_length(zone_of(w, list), pfn, frames);
}

static uint32_t refusals(const struct worker *w, const struct request *r,
                         const struct quire_contig *want)
{
    uint32_t allowed = CALL_ALLOWED(QUIRE_ERR_NO_MEMORY);

    /* What threads have reserved just now the zone has not. */
    if (want && want->frames + (uint64_t)RESERVE_FRAMES * w->load->options.threads >
                    w->load->zones[r->list].before.managed)
        allowed |= CALL_ALLOWED(QUIRE_ERR_SIZE);
    return allowed;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* A frame of the state, looked for at both ends of each extent. */
static uint64_t find_frame(const struct load_zone *zone, enum quire_frame_state wanted)
{
    for (uint32_t e = 0; e < zone->extent_count; e++) {
        const struct quire_run *extent = &zone->extents[e];

        for (uint64_t i = 0; i < PROBES && i * PROBE_FRAMES < extent->frames; i++) {
            uint64_t up = extent->pfn.n + i * PROBE_FRAMES;
            uint64_t down = extent->pfn.n + extent->frames - 1 - i * PROBE_FRAMES;
            enum quire_frame_state state;

            if (!quire_zone_frame_state(zone->zone, quire_pfn_of(up), &state) && state == wanted)
                return up;
            if (!quire_zone_frame_state(zone->zone, quire_pfn_of(down), &state) && state == wanted)
                return down;
        }
    }
    return UINT64_MAX;
}

static uint64_t window_of(const struct load *load, const struct load_zone *zone)
{
    return zone->before.managed < load->window ? zone->before.managed : load->window;
}

/* A quarter of the operations goes to all zones alike, so that small ones are not forgotten, the
 * rest by the frames that are in use. */
static void share_operations(struct load *load)
{
    uint64_t total = 0;

    for (size_t z = 0; z < load->machine.zone_count; z++)
        total += window_of(load, &load->zones[z]);
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        load->weight_total +=
            window_of(load, &load->zones[z]) + total / (3 * load->machine.zone_count) + 1;
        load->zones[z].weight_end = load->weight_total;
    }
}

static int build(struct load *load)
{
    struct simulated_options options = {
        .slots = load->options.threads,
        .port = {.ctx = load,
                 .zero = load_port_zero,
                 .event = load_port_event,
                 .report = load_port_report},
    };
    struct map_error error;
    int status;

    load->slots = load->options.threads;
    load->window = LOAD_WINDOW;
    if (map_load(&load->map, load->options.map, load->options.strict ? MAP_STRICT : 0, &error))
        return cli_fail("run", "%s", error.text);
    if (simulated_build(&load->machine, &load->map, &options, &error))
        return cli_fail("run", "%s", error.text);
    load->list_count = load->machine.zone_count;
    status = load_build_zones(load);
    if (status != CLI_OK)
        return status;
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        struct load_zone *zone = &load->zones[z];

        zone->movable = load->machine.zones[z].type == QUIRE_ZONE_HUGE ? QUIRE_MOVABLE : 0;
        zone->reserved_pfn = find_frame(zone, QUIRE_FRAME_RESERVED);
        zone->hole_pfn = find_frame(zone, QUIRE_FRAME_HOLE);
    }
    share_operations(load);
    return CLI_OK;
}

static bool prepare(struct load *load)
{
    if (!load_set_aside(load))
        return false;
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        uint64_t share =
            quire_zone_free_frames(load->zones[z].zone) / (2 * (uint64_t)load->options.threads);

        for (uint32_t t = 0; t < load->options.threads; t++)
            load->workers[t].held[z].budget = share < LOAD_HELD_FRAMES ? share : LOAD_HELD_FRAMES;
    }
    return true;
}

const struct target load_on_zones = {
    .source_name = "map",
    .kinds = kinds,
    .kind_count = sizeof(kinds) / sizeof(kinds[0]),
    .list_per_zone = true,
    .exact_count = true,
    .hears_events = true,
    .build = build,
    .prepare = prepare,
    .teardown = load_teardown_zones,
    .draw = draw,
    .draw_contig = draw_contig,
    .alloc = alloc,
    .free = free_run,
    .alloc_batch = alloc_batch,
    .free_batch = free_batch,
    .alloc_contig = alloc_contig,
    .run_length = run_length,
    .refusals = refusals,
};
