/* SPDX-License-Identifier: MIT
 *
 * zones.c - an arena with its zone: made, unmade, and added to a host that is in use; the zones'
 * port.
 *
 * An arena is written before it is published, and constant then. Who adds one has `growing`. The
 * machine hands out its memory before it is among the arenas of the host: to be there first, it
 * would have to be taken back where the machine refuses it, from readers who found it (HP1). So
 * meanwhile calls learn of it from the machine (calls.c), and the reclaimer not at all: it is woken
 * when it can see the zone, whose low watermark may have been told and slept over. State and
 * invariants: parts.h.
 */
#include "parts.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- The zones' port; ctx is the arena ------------------------------------------------------- */

uint32_t quire_host_port_cpu(void *ctx)
{
    int cpu = sched_getcpu(); /* glibc: out of the thread's rseq area, no call of the system */

    (void)ctx;
    return cpu < 0 ? 0 : (uint32_t)cpu;
}

static void port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    const struct host_arena *arena = ctx;

    (void)zone;
    if (event == QUIRE_EVENT_LOW)
        quire_reclaimer_wake(&arena->host->reclaimer);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* What the options say of a zone's watermarks. QUIRE_ERR_SIZE: more than it has. */
static int set_watermarks(const struct quire_host_options *options, quire_node node,
                          uint64_t frames, struct quire_zone_config *config)
{
    if (!options->keep_nothing && options->high == 0) {
        config->min = config->low = config->high = QUIRE_WATERMARK_AUTO;
        return QUIRE_OK;
    }
    config->min = options->min;
    config->low = options->low;
    config->high = options->high;
    if (options->high > frames)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "high is above what an arena has",
                                       node.n, options->high, frames);
    return QUIRE_OK;
}

static int build_zone(struct host_arena *arena)
{
    const struct quire_host *host = arena->host;
    const struct quire_run usable = {quire_pfn_of_phys((uintptr_t)arena->memory),
                                     arena->bytes >> QUIRE_FRAME_SHIFT};
    struct quire_zone_config config = {
        .id = (uint32_t)(arena - host->arenas),
        .type = QUIRE_ZONE_NORMAL,
        .slots = host->topology.cpu_count,
        .usable = &usable,
        .usable_count = 1,
        .metadata_zeroed = true,
        .memory_zeroed = arena->fd < 0,
        .port = {.ctx = arena,
                 .zero = quire_host_port_zero,
                 .event = port_event,
                 .report = host->options.report ? quire_host_port_report : NULL,
                 .cpu = quire_host_port_cpu,
                 .discard = quire_host_port_discard,
                 .install = quire_host_port_install},
    };
    int result = set_watermarks(&host->options, arena->node, usable.frames, &config);
    size_t zone_bytes, map_bytes = quire_host_no_huge_bytes(arena);

    if (!result)
        result = quire_zone_metadata_size(&config, &zone_bytes);
    if (result)
        return result;
    zone_bytes = (zone_bytes + sizeof(qa64) - 1) & ~(sizeof(qa64) - 1);
    arena->metadata_bytes = zone_bytes + map_bytes;
    arena->metadata = quire_host_arena_near(arena->metadata_bytes,
                                            host->topology.node_id[arena->node.n], host->bind);
    if (!arena->metadata)
        return QUIRE_ERR_NO_MEMORY;
    if (map_bytes > 0)
        arena->no_huge = (void *)((unsigned char *)arena->metadata + zone_bytes);
    return quire_zone_init(&arena->zone, &config, arena->metadata, zone_bytes);
}

int quire_host_arena_make(struct quire_host *host, quire_node node, uint64_t bytes)
{
    struct host_arena *arena = &host->arenas[quire_host_arenas(host)];
    int result, error;

    *arena = (struct host_arena){.host = host, .bytes = bytes, .node = node};
    result = quire_host_arena_map(host, arena);
    if (result)
        return result;
    if ((uintptr_t)arena->memory + bytes > (uint64_t)1 << (QUIRE_PFN_BITS + QUIRE_FRAME_SHIFT))
        result = QUIRE_ERR_UNSUPPORTED;
    if (!result)
        result = build_zone(arena);
    if (!result)
        return QUIRE_OK;
    error = errno;
    quire_host_arena_drop(arena);
    errno = error;
    return result;
}

void quire_host_arena_drop(struct host_arena *arena)
{
    if (arena->metadata)
        munmap(arena->metadata, arena->metadata_bytes);
    quire_host_arena_unmap(arena);
}

void quire_host_arena_publish(struct quire_host *host)
{
    uint32_t n = quire_host_arenas(host);
    struct host_arena *arena = &host->arenas[n];
    struct quire_zone_stats stats;

    (void)quire_zone_stats(&arena->zone, &stats);
    host->reclaimer_zones[n] =
        (struct reclaimer_zone){&arena->zone, arena->node, stats.high, QUIRE_ZONE_NORMAL};
    qa_store(&host->reclaimer.zone_count, n + 1, release); /* E-host-arena release: the zone */
    qa_store(&host->arena_count, n + 1, release);          /* E-host-arena release: the arena */
}

/* ---- Growing --------------------------------------------------------------------------------- */

/* May so many bytes of the node be added? A quire_error. */
static int check_growth(const struct quire_host *host, quire_node node, uint64_t bytes)
{
    uint64_t there, taken = 0;

    if (node.n >= host->topology.node_count)
        return QUIRE_ERR_NODE;
    there = quire_host_topology_bytes(&host->topology, node);
    if (there == 0)
        return QUIRE_ERR_NODE;
    for (uint32_t i = 0; i < quire_host_arenas(host); i++)
        taken += host->arenas[i].node.n == node.n ? host->arenas[i].bytes : 0;
    if (bytes == 0 || bytes % HOST_HUGE || taken > there || bytes > there - taken ||
        quire_host_arenas(host) == QUIRE_HOST_ARENAS)
        return QUIRE_ERR_SIZE;
    return QUIRE_OK;
}

/* The caller has `growing`. */
static int grow(struct quire_host *host, quire_node node, uint64_t bytes)
{
    struct host_arena *arena = &host->arenas[quire_host_arenas(host)];
    int result = check_growth(host, node, bytes), error;
    struct quire_machine_zone zone;
    struct quire_pfnmap_span span;

    if (!result)
        result = quire_host_arena_make(host, node, bytes);
    if (result)
        return result;
    zone = (struct quire_machine_zone){&arena->zone, node};
    span = (struct quire_pfnmap_span){
        {quire_pfn_of_phys((uintptr_t)arena->memory), bytes >> QUIRE_FRAME_SHIFT}, 0};
    result = quire_machine_add_zone(host->machine, &zone, &span, 1);
    if (!result) {
        quire_host_arena_publish(host);
        quire_reclaimer_wake(&host->reclaimer); /* LOW is told once, and perhaps was */
        return QUIRE_OK;
    }
    error = errno;
    quire_host_arena_drop(arena);
    errno = error;
    return result;
}

int quire_host_grow(struct quire_host *host, quire_node node, uint64_t bytes)
{
    int result;

    if (host->creator != getpid())
        return QUIRE_ERR_STATE;
    if (qa_xchg(&host->growing, 1, acquire)) /* E-host-grow acquire: what the last one wrote */
        return QUIRE_ERR_BUSY;
    result = grow(host, node, bytes);
    qa_store(&host->growing, 0, release); /* E-host-grow release: all of it */
    return result;
}
