/* SPDX-License-Identifier: MIT
 *
 * machine_rig.c - see machine_rig.h.
 */
#include "stress/numa/machine/machine_rig.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Thread_local uint32_t rig_cpu;

/* ---- The port ------------------------------------------------------------------------------- */

static uint32_t tell_cpu(void *ctx)
{
    (void)ctx;
    return rig_cpu;
}

static void *give_memory(void *ctx, size_t bytes, quire_node node)
{
    struct rig *r = ctx;
    void *p;

    if (r->refuse_memory && r->piece_count >= r->refuse_memory)
        return NULL;
    if (bytes % 4096 != 0 || node.n >= QUIRE_NODES || r->piece_count == RIG_MEMORY)
        die("the port was asked for %zu bytes on node %" PRIu32, bytes, node.n);
    p = aligned_alloc(4096, bytes);
    if (!p)
        die("no heap for %zu bytes", bytes);
    memset(p, 0, bytes);
    r->pieces[r->piece_count].at = p;
    r->pieces[r->piece_count].bytes = bytes;
    r->pieces[r->piece_count++].node = node.n;
    r->memory_bytes += bytes;
    return p;
}

static void take_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    struct rig *r = ctx;

    for (uint32_t i = 0; i < r->piece_count; i++)
        if (r->pieces[i].at == memory) {
            if (r->pieces[i].bytes != bytes || r->pieces[i].node != node.n)
                die("a piece of memory came back with another size or node");
            r->memory_bytes -= bytes;
            free(memory);
            r->pieces[i] = r->pieces[--r->piece_count];
            return;
        }
    die("memory came back that the port did not give");
}

void rig_pause(void)
{
    struct timespec time = {0, 50000};

    (void)nanosleep(&time, NULL);
}

static void let_others_run(void *ctx)
{
    (void)ctx;
    rig_pause();
}

static uint64_t hear_reclaim(void *ctx, quire_node node, uint64_t frames)
{
    struct rig *r = ctx;

    atomic_fetch_add(&r->reclaims, 1);
    return r->reclaim ? r->reclaim(r, node, frames) : 0;
}

static void hear_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                        int error)
{
    struct rig *r = ctx;
    bool known = false;

    for (uint32_t i = 0; i < r->zone_count; i++)
        known |= zone == &r->zones[i].zone;
    if (!known)
        die("the port was told of a zone that is not the caller's");
    heard_report(&r->heard, what, pfn, error);
}

static void hear_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct rig *r = ctx;

    (void)zone;
    heard_event(&r->heard, event);
    if (r->event)
        r->event(r);
}

static int hear_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct rig *r = ctx;

    (void)pfn;
    if (r->event)
        r->event(r);
    return heard_zero(&r->heard, frames);
}

/* ---- Describing ----------------------------------------------------------------------------- */

uint64_t rig_base(uint32_t node)
{
    return (uint64_t)(node + 1) << RIG_SHIFT;
}

void rig_begin(struct rig *r, uint32_t nodes, uint32_t cpus)
{
    quire_node node;

    memset(r, 0, sizeof *r);
    quire_topology_init(&r->topology);
    for (uint32_t n = 0; n < nodes; n++) {
        must(quire_topology_add_node(&r->topology, n, &node), "add_node");
        for (uint32_t cpu = 0; cpu < cpus; cpu++)
            must(quire_topology_add_cpu(&r->topology, n * cpus + cpu, node), "add_cpu");
        must(quire_topology_add_memory(&r->topology, rig_base(n) * QUIRE_FRAME_SIZE, 1 << 30, node,
                                       QUIRE_MEMORY_ORDINARY),
             "add_memory");
    }
    r->slots = cpus + 2;
    rig_cpu = 0;
    r->config = (struct quire_machine_config){.topology = &r->topology,
                                              .zones = r->given,
                                              .spans = r->spans,
                                              .mode = QUIRE_CACHE_EXCHANGE,
                                              .rounds = 32,
                                              .huge_rounds = 2,
                                              .port = {.ctx = r,
                                                       .cpu = tell_cpu,
                                                       .memory = give_memory,
                                                       .give_back = take_back,
                                                       .relax = let_others_run,
                                                       .reclaim = hear_reclaim}};
}

/* (Re)build a zone that is described. */
static void build_zone(struct rig *r, uint32_t i)
{
    struct quire_port port = {
        .ctx = r, .zero = hear_zero, .event = hear_event, .report = hear_report};
    struct rig_zone *z = &r->zones[i];
    struct quire_zone_config config = {.id = i,
                                       .type = z->type,
                                       .slots = r->slots,
                                       .low = r->low,
                                       .high = r->low,
                                       .usable = &z->run,
                                       .usable_count = 1,
                                       .port = port};
    size_t bytes;

    must(quire_zone_metadata_size(&config, &bytes), "metadata_size");
    z->metadata = rubbish(QUIRE_METADATA_ALIGN, bytes);
    must(quire_zone_init(&z->zone, &config, z->metadata, bytes), "zone_init");
}

void rig_rebuild_zone(struct rig *r, uint32_t zone)
{
    struct rig_zone *z = &r->zones[zone];

    memset(z->metadata, 0xa5, quire_zone_metadata_bytes(&z->zone));
    free(z->metadata);
    memset(&z->zone, 0, sizeof z->zone);
    build_zone(r, zone);
}

uint32_t rig_spare_zone(struct rig *r, uint32_t node, enum quire_zone_type type, uint64_t at,
                        uint64_t frames)
{
    uint32_t i = r->zone_count++;
    struct rig_zone *z = &r->zones[i];

    z->type = type;
    z->run = (struct quire_run){quire_pfn_of(rig_base(node) + at), frames};
    build_zone(r, i);
    r->given[i] = (struct quire_machine_zone){&z->zone, quire_node_of(node)};
    r->spans[i] = (struct quire_pfnmap_span){z->run, i};
    return i;
}

uint32_t rig_zone(struct rig *r, uint32_t node, enum quire_zone_type type, uint64_t at,
                  uint64_t frames)
{
    uint32_t i = rig_spare_zone(r, node, type, at, frames);

    r->config.zone_count = r->config.span_count = i + 1;
    return i;
}

/* ---- Building and checking ------------------------------------------------------------------ */

int rig_try(struct rig *r)
{
    size_t bytes;
    int error = quire_machine_size(&r->config, &bytes);

    if (error)
        return error;
    r->memory = rubbish(64, bytes);
    error = quire_machine_init(&r->config, r->memory, bytes, &r->machine);
    if (error) {
        if (r->piece_count != 0)
            die("a failed init kept memory of the port");
        free(r->memory);
    }
    return error;
}

void rig_open(struct rig *r)
{
    must(rig_try(r), "machine_init");
}

struct quire_node_stats rig_stats(struct rig *r, uint32_t node)
{
    struct quire_node_stats stats;

    must(quire_machine_node_stats(r->machine, quire_node_of(node), &stats), "node_stats");
    return stats;
}

void rig_check(struct rig *r, uint64_t used)
{
    struct quire_machine_stats s;
    struct quire_fault v;

    for (uint32_t i = 0; i < r->zone_count; i++)
        if (r->zones[i].metadata && quire_zone_check(&r->zones[i].zone, &v))
            die("zone %" PRIu32 ": %s at 0x%" PRIx64 ": %" PRIu64 ", not %" PRIu64, i, v.what,
                v.where, v.found, v.expected);
    must(quire_machine_stats(r->machine, &s), "machine_stats");
    if (s.free + s.cached + s.remote + used != s.managed)
        die("%" PRIu64 " free, %" PRIu64 " cached, %" PRIu64 " remote, %" PRIu64
            " used: not the %" PRIu64 " managed",
            s.free, s.cached, s.remote, used, s.managed);
}

void rig_free_zones(struct rig *r)
{
    for (uint32_t i = 0; i < r->zone_count; i++)
        free(r->zones[i].metadata);
}

void rig_close(struct rig *r)
{
    struct quire_machine_stats s;

    rig_check(r, 0);
    must(quire_machine_drain(r->machine), "drain");
    must(quire_machine_stats(r->machine, &s), "machine_stats");
    if (s.cached + s.remote != 0)
        die("%" PRIu64 " cached, %" PRIu64 " remote after a drain", s.cached, s.remote);
    rig_check(r, 0);
    quire_machine_fini(r->machine);
    if (r->piece_count != 0 || r->memory_bytes != 0)
        die("%" PRIu32 " pieces of memory did not come back", r->piece_count);
    free(r->memory);
    rig_free_zones(r);
}

uint32_t rig_node_of_memory(const struct rig *r, const void *at)
{
    for (uint32_t i = 0; i < r->piece_count; i++) {
        uintptr_t start = (uintptr_t)r->pieces[i].at;

        if ((uintptr_t)at - start < r->pieces[i].bytes)
            return r->pieces[i].node;
    }
    die("an address that is not the port's");
}
