/* SPDX-License-Identifier: MIT
 *
 * host.c - make and unmake a host: arenas, zones over them, the machine, its port.
 *
 * Everything is taken in order (topology, arenas, zones, machine, thread) and given back in the
 * opposite one; quire_host_destroy does that from whatever state a failed create left, as all is
 * zero before it is taken. State and invariants: parts.h.
 */
#include "parts.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- The port ------------------------------------------------------------------------------- */

static uint32_t port_cpu(void *ctx)
{
    int cpu = sched_getcpu(); /* glibc: out of the thread's rseq area, no call of the system */

    (void)ctx;
    return cpu < 0 ? 0 : (uint32_t)cpu;
}

static void *port_memory(void *ctx, size_t bytes, quire_node node)
{
    struct quire_host *host = ctx;
    void *memory = quire_host_arena_near(bytes, host->topology.node_id[node.n], host->bind);

    if (memory)
        qa_add(&host->port_bytes, bytes, relaxed); /* relaxed: a figure */
    return memory;
}

static void port_give_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    struct quire_host *host = ctx;

    (void)node;
    munmap(memory, bytes);
    qa_sub(&host->port_bytes, bytes, relaxed); /* relaxed: a figure */
}

static uint32_t port_enter(void *ctx)
{
    struct quire_host *host = ctx;

    return quire_guard_enter(&host->guard, port_cpu(ctx));
}

static void port_leave(void *ctx, uint32_t entered)
{
    struct quire_host *host = ctx;

    quire_guard_leave(&host->guard, entered);
}

static void port_wait(void *ctx)
{
    struct quire_host *host = ctx;

    quire_guard_wait(&host->guard);
}

static void port_relax(void *ctx)
{
    (void)ctx;
    sched_yield();
}

static uint64_t port_reclaim(void *ctx, quire_node node, uint64_t frames)
{
    struct quire_host *host = ctx;
    uint64_t got = host->options.last_resort(host->options.ctx, node, frames);

    qa_add(&host->last_resorts, 1, relaxed);         /* relaxed: a figure */
    qa_add(&host->last_resort_frames, got, relaxed); /* relaxed: a figure */
    return got;
}

static int port_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    memset((void *)(uintptr_t)quire_phys(pfn), 0, frames << QUIRE_FRAME_SHIFT);
    return QUIRE_OK;
}

static void port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct quire_host *host = ctx;

    (void)zone;
    if (event == QUIRE_EVENT_LOW)
        quire_reclaimer_wake(&host->reclaimer);
}

/* ---- Create --------------------------------------------------------------------------------- */

static int option_fault(const struct quire_host_options *options, int error, const char *what,
                        uint64_t where, uint64_t found, uint64_t expected)
{
    if (options->fault)
        *options->fault = (struct quire_fault){.what = what,
                                               .where = where,
                                               .other = where,
                                               .found = found,
                                               .expected = expected,
                                               .error = error};
    return error;
}

/* The bytes that the options want of a node. */
static int wanted_bytes(const struct quire_host *host, quire_node node, uint64_t *bytes)
{
    const struct quire_host_options *options = &host->options;
    uint64_t there = quire_host_topology_bytes(&host->topology, node);

    if (options->node_bytes) {
        *bytes = node.n < options->node_bytes_count ? options->node_bytes[node.n] : 0;
        if (*bytes > 0 && there == 0)
            return option_fault(options, QUIRE_ERR_NODE, "bytes for a node without memory", node.n,
                                *bytes, 0);
    } else {
        *bytes = there > 0 ? options->bytes : 0;
    }
    if (*bytes % HOST_HUGE)
        return option_fault(options, QUIRE_ERR_SIZE, "bytes are not a multiple of 2 MiB", node.n,
                            *bytes, *bytes / HOST_HUGE * HOST_HUGE);
    if (*bytes > there)
        return option_fault(options, QUIRE_ERR_SIZE, "more bytes than the node has", node.n, *bytes,
                            there);
    return QUIRE_OK;
}

static int check_weights(const struct quire_host_options *options)
{
    const struct quire_policy *policy = &options->policy;

    for (uint32_t n = 0; n < QUIRE_NODES && policy->mode == QUIRE_POLICY_WEIGHTED; n++) {
        if (policy->nodes.bits & quire_nodemask_of(quire_node_of(n)).bits && !policy->weight[n])
            return option_fault(options, QUIRE_ERR_SIZE, "a node of the policy's without weight", n,
                                0, 1);
    }
    return QUIRE_OK;
}

static int check_options(const struct quire_host_options *options)
{
    const uint64_t given = options->min | options->low | options->high;

    if ((unsigned)options->pages > QUIRE_HOST_PAGES_HUGE)
        return option_fault(options, QUIRE_ERR_UNSUPPORTED, "no such kind of pages", 0,
                            options->pages, QUIRE_HOST_PAGES_HUGE);
    if ((unsigned)options->policy.mode > QUIRE_POLICY_WEIGHTED)
        return option_fault(options, QUIRE_ERR_UNSUPPORTED, "no such policy", 0,
                            options->policy.mode, QUIRE_POLICY_WEIGHTED);
    if (!options->node_bytes && !options->bytes)
        return option_fault(options, QUIRE_ERR_SIZE, "no bytes", 0, 0, HOST_HUGE);
    if (options->min > options->low)
        return option_fault(options, QUIRE_ERR_SIZE, "min is above low", 0, options->min,
                            options->low);
    if (options->low > options->high)
        return option_fault(options, QUIRE_ERR_SIZE, "low is above high", 0, options->low,
                            options->high);
    if (options->keep_nothing && given)
        return option_fault(options, QUIRE_ERR_SIZE, "watermarks beside keep_nothing", 0, given, 0);
    if ((options->no_thread || options->keep_nothing) && options->reclaim)
        return option_fault(options, QUIRE_ERR_UNSUPPORTED, "reclaim, which nobody would call", 0,
                            1, 0);
    return check_weights(options);
}

/* Are there only nodes that exist among those that bytes are wanted of? */
static int check_nodes(const struct quire_host *host)
{
    const struct quire_host_options *options = &host->options;

    for (uint32_t n = host->topology.node_count; n < options->node_bytes_count; n++) {
        if (options->node_bytes && options->node_bytes[n] > 0)
            return option_fault(options, QUIRE_ERR_NODE, "bytes for a node that does not exist", n,
                                options->node_bytes[n], 0);
    }
    return QUIRE_OK;
}

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
        return option_fault(options, QUIRE_ERR_SIZE, "high is above what a node is given", node.n,
                            options->high, frames);
    return QUIRE_OK;
}

static int build_zone(struct quire_host *host, struct host_arena *arena, uint32_t index)
{
    const struct quire_run usable = {quire_pfn_of_phys((uintptr_t)arena->memory),
                                     arena->bytes >> QUIRE_FRAME_SHIFT};
    struct quire_zone_config config = {
        .id = index,
        .type = QUIRE_ZONE_NORMAL,
        .slots = host->topology.cpu_count,
        .usable = &usable,
        .usable_count = 1,
        .metadata_zeroed = true,
        .port = {.ctx = host,
                 .zero = port_zero,
                 .event = port_event,
                 .report = host->options.report ? quire_host_port_report : NULL,
                 .cpu = port_cpu},
    };
    int result = set_watermarks(&host->options, arena->node, usable.frames, &config);

    if (!result)
        result = quire_zone_metadata_size(&config, &arena->metadata_bytes);
    if (result)
        return result;
    arena->metadata = quire_host_arena_near(arena->metadata_bytes,
                                            host->topology.node_id[arena->node.n], host->bind);
    if (!arena->metadata)
        return QUIRE_ERR_NO_MEMORY;
    return quire_zone_init(&arena->zone, &config, arena->metadata, arena->metadata_bytes);
}

static int build_arena(struct quire_host *host, quire_node node, uint64_t bytes)
{
    struct host_arena *arena = &host->arenas[host->arena_count];
    int result = quire_host_arena_map(&arena->memory, bytes, host->topology.node_id[node.n],
                                      host->bind, host->options.pages);

    if (result)
        return result;
    host->arena_count++;
    arena->bytes = bytes;
    arena->node = node;
    if ((uintptr_t)arena->memory + bytes > (uint64_t)1 << (QUIRE_PFN_BITS + QUIRE_FRAME_SHIFT))
        return QUIRE_ERR_UNSUPPORTED;
    result = build_zone(host, arena, host->arena_count - 1);
    return result ? result
                  : quire_topology_add_memory(&host->topology, (uintptr_t)arena->memory, bytes,
                                              node, QUIRE_MEMORY_ORDINARY);
}

/* Does the default policy name a node that has memory, if it names any? */
static int check_policy(const struct quire_host *host)
{
    const struct quire_policy *policy = &host->options.policy;

    if (policy->mode == QUIRE_POLICY_LOCAL || policy->mode == QUIRE_POLICY_NEAREST)
        return QUIRE_OK;
    for (uint32_t i = 0; i < host->arena_count; i++) {
        if (policy->nodes.bits & quire_nodemask_of(host->arenas[i].node).bits)
            return QUIRE_OK;
    }
    return option_fault(&host->options, QUIRE_ERR_NODE, "the policy names no node with memory", 0,
                        0, 1);
}

static int build_arenas(struct quire_host *host)
{
    int result = check_nodes(host);

    if (result)
        return result;
    host->bind = host->topology.node_count > 1;
    host->arenas = calloc(host->topology.node_count, sizeof(*host->arenas));
    if (!host->arenas)
        return QUIRE_ERR_NO_MEMORY;
    for (uint32_t n = 0; n < host->topology.node_count && !result; n++) {
        uint64_t bytes;

        result = wanted_bytes(host, quire_node_of(n), &bytes);
        if (!result && bytes > 0)
            result = build_arena(host, quire_node_of(n), bytes);
    }
    if (!result && host->arena_count == 0)
        return option_fault(&host->options, QUIRE_ERR_SIZE, "no bytes", 0, 0, HOST_HUGE);
    if (!result)
        result = check_policy(host);
    return result ? result : quire_topology_check(&host->topology, host->options.fault);
}

static int by_pfn(const void *a, const void *b)
{
    const struct quire_pfnmap_span *x = a, *y = b;

    return (x->run.pfn.n > y->run.pfn.n) - (x->run.pfn.n < y->run.pfn.n);
}

static int init_machine(struct quire_host *host, struct quire_machine_config *config)
{
    int result = quire_machine_size(config, &host->machine_bytes);

    if (result)
        return result;
    host->machine_memory = quire_host_arena_near(host->machine_bytes, 0, false);
    if (!host->machine_memory)
        return QUIRE_ERR_NO_MEMORY;
    return quire_machine_init(config, host->machine_memory, host->machine_bytes, &host->machine);
}

static int build_machine(struct quire_host *host)
{
    struct quire_machine_zone zones[QUIRE_NODES];
    struct quire_pfnmap_span spans[QUIRE_NODES] = {{{{0}, 0}, 0}};
    struct quire_machine_config config = {
        .topology = &host->topology,
        .zones = zones,
        .zone_count = host->arena_count,
        .spans = spans,
        .span_count = host->arena_count,
        .policy = host->options.policy,
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.ctx = host,
                 .cpu = port_cpu,
                 .memory = port_memory,
                 .give_back = port_give_back,
                 .enter = port_enter,
                 .leave = port_leave,
                 .wait_for_readers = port_wait,
                 .relax = port_relax,
                 .reclaim = host->options.last_resort ? port_reclaim : NULL},
    };

    for (uint32_t i = 0; i < host->arena_count; i++) {
        struct host_arena *arena = &host->arenas[i];

        /* cppcheck-suppress unreadVariable ; read by way of `config` */
        zones[i] = (struct quire_machine_zone){&arena->zone, arena->node};
        spans[i] = (struct quire_pfnmap_span){
            {quire_pfn_of_phys((uintptr_t)arena->memory), arena->bytes >> QUIRE_FRAME_SHIFT}, i};
    }
    qsort(spans, host->arena_count, sizeof(spans[0]), by_pfn);
    return init_machine(host, &config);
}

static int start_thread(struct quire_host *host)
{
    struct reclaimer *reclaimer = &host->reclaimer;

    reclaimer->machine = host->machine;
    reclaimer->zones = host->reclaimer_zones;
    reclaimer->zone_count = host->arena_count;
    reclaimer->reclaim = host->options.reclaim;
    reclaimer->ctx = host->options.ctx;
    for (uint32_t i = 0; i < host->arena_count; i++) {
        struct host_arena *arena = &host->arenas[i];
        struct quire_zone_stats stats;

        (void)quire_zone_stats(&arena->zone, &stats);
        reclaimer->zones[i] = (struct reclaimer_zone){&arena->zone, arena->node, stats.high};
    }
    return quire_reclaimer_start(reclaimer);
}

static int build(struct quire_host *host)
{
    int result = quire_host_topology_read(&host->topology);

    if (!result)
        result = build_arenas(host);
    if (!result)
        result = build_machine(host);
    if (!result && !host->options.no_thread)
        result = start_thread(host);
    return result;
}

int quire_host_create(const struct quire_host_options *options, struct quire_host **host)
{
    struct quire_host *made;
    int result = check_options(options);
    int error;

    if (result)
        return result;
    made = aligned_alloc(_Alignof(struct quire_host), sizeof(*made));
    if (!made)
        return QUIRE_ERR_NO_MEMORY;
    memset(made, 0, sizeof(*made));
    made->options = *options;
    made->creator = getpid();
    result = build(made);
    if (result) {
        error = errno;
        quire_host_destroy(made);
        errno = error;
        return result;
    }
    made->options.node_bytes = NULL; /* the caller's, and used up */
    *host = made;
    return QUIRE_OK;
}

void quire_host_destroy(struct quire_host *host)
{
    if (!host)
        return;
    if (host->reclaimer.started && host->creator == getpid())
        quire_reclaimer_stop(&host->reclaimer);
    if (host->machine)
        quire_machine_fini(host->machine);
    if (host->machine_memory)
        munmap(host->machine_memory, host->machine_bytes);
    for (uint32_t i = 0; i < host->arena_count; i++) {
        if (host->arenas[i].metadata)
            munmap(host->arenas[i].metadata, host->arenas[i].metadata_bytes);
        munmap(host->arenas[i].memory, host->arenas[i].bytes);
    }
    free(host->arenas);
    free(host);
}
