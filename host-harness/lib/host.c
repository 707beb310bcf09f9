/* SPDX-License-Identifier: MIT
 *
 * host.c - make and unmake a host: arenas with their zones, the machine, its port.
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

    return quire_guard_enter(&host->guard, quire_host_port_cpu(ctx));
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

/* ---- Create --------------------------------------------------------------------------------- */

int quire_host_option_fault(const struct quire_host_options *options, int error, const char *what,
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
            return quire_host_option_fault(options, QUIRE_ERR_NODE,
                                           "bytes for a node without memory", node.n, *bytes, 0);
    } else {
        *bytes = there > 0 ? options->bytes : 0;
    }
    if (*bytes % HOST_HUGE)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "bytes are not a multiple of 2 MiB",
                                       node.n, *bytes, *bytes / HOST_HUGE * HOST_HUGE);
    if (*bytes > there)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "more bytes than the node has",
                                       node.n, *bytes, there);
    return QUIRE_OK;
}

static int check_weights(const struct quire_host_options *options)
{
    const struct quire_policy *policy = &options->policy;

    for (uint32_t n = 0; n < QUIRE_NODES && policy->mode == QUIRE_POLICY_WEIGHTED; n++) {
        if (policy->nodes.bits & quire_nodemask_of(quire_node_of(n)).bits && !policy->weight[n])
            return quire_host_option_fault(options, QUIRE_ERR_SIZE,
                                           "a node of the policy's without weight", n, 0, 1);
    }
    return QUIRE_OK;
}

/* A name for files, what is to be kept, and by whom. */
static int check_share_and_keep(const struct quire_host_options *options)
{
    const struct quire_keep *keep = &options->keep;
    const bool keeps = keep->blocks > 0 || keep->sections > 0;
    const size_t length = options->share_name ? strnlen(options->share_name, 4096) : 1;

    if (length == 0 || length > QUIRE_HOST_NAME)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "share_name is empty or too long",
                                       0, length, QUIRE_HOST_NAME);
    if (options->mover && !options->mover->move)
        return quire_host_option_fault(options, QUIRE_ERR_UNSUPPORTED, "a mover without move", 0, 0,
                                       1);
    if (keeps && !options->mover)
        return quire_host_option_fault(options, QUIRE_ERR_UNSUPPORTED, "keep, and no mover", 0, 0,
                                       1);
    if (keeps != (keep->budget > 0))
        return quire_host_option_fault(options, QUIRE_ERR_SIZE,
                                       keeps ? "keep, and no budget" : "a budget to keep nothing",
                                       0, keep->budget, keeps);
    return check_weights(options);
}

static int check_options(const struct quire_host_options *options)
{
    const uint64_t given = options->min | options->low | options->high;

    if ((unsigned)options->pages > QUIRE_HOST_PAGES_HUGE)
        return quire_host_option_fault(options, QUIRE_ERR_UNSUPPORTED, "no such kind of pages", 0,
                                       options->pages, QUIRE_HOST_PAGES_HUGE);
    if ((unsigned)options->policy.mode > QUIRE_POLICY_WEIGHTED)
        return quire_host_option_fault(options, QUIRE_ERR_UNSUPPORTED, "no such policy", 0,
                                       options->policy.mode, QUIRE_POLICY_WEIGHTED);
    if (!options->node_bytes && !options->bytes)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "no bytes", 0, 0, HOST_HUGE);
    if (options->min > options->low)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "min is above low", 0, options->min,
                                       options->low);
    if (options->low > options->high)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "low is above high", 0,
                                       options->low, options->high);
    if (options->keep_nothing && given)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE, "watermarks beside keep_nothing", 0,
                                       given, 0);
    if (options->give_back_after > UINT16_MAX && options->give_back_after != QUIRE_HOST_NEVER)
        return quire_host_option_fault(options, QUIRE_ERR_SIZE,
                                       "give_back_after is above 65535 seconds", 0,
                                       options->give_back_after, UINT16_MAX);
    if ((options->no_thread || options->keep_nothing) && options->reclaim)
        return quire_host_option_fault(options, QUIRE_ERR_UNSUPPORTED,
                                       "reclaim, which nobody would call", 0, 1, 0);
    return check_share_and_keep(options);
}

/* Are there only nodes that exist among those that bytes are wanted of? */
static int check_nodes(const struct quire_host *host)
{
    const struct quire_host_options *options = &host->options;

    for (uint32_t n = host->topology.node_count; n < options->node_bytes_count; n++) {
        if (options->node_bytes && options->node_bytes[n] > 0)
            return quire_host_option_fault(options, QUIRE_ERR_NODE,
                                           "bytes for a node that does not exist", n,
                                           options->node_bytes[n], 0);
    }
    return QUIRE_OK;
}

static int build_arena(struct quire_host *host, quire_node node, uint64_t bytes)
{
    const struct host_arena *arena = &host->arenas[quire_host_arenas(host)];
    int result = quire_host_arena_make(host, node, bytes);

    if (result)
        return result;
    quire_host_arena_publish(host);
    return quire_topology_add_memory(&host->topology, (uintptr_t)arena->memory, bytes, node,
                                     QUIRE_MEMORY_ORDINARY);
}

/* Does the default policy name a node that has memory, if it names any? */
static int check_policy(const struct quire_host *host)
{
    const struct quire_policy *policy = &host->options.policy;

    if (policy->mode == QUIRE_POLICY_LOCAL || policy->mode == QUIRE_POLICY_NEAREST)
        return QUIRE_OK;
    for (uint32_t i = 0; i < quire_host_arenas(host); i++) {
        if (policy->nodes.bits & quire_nodemask_of(host->arenas[i].node).bits)
            return QUIRE_OK;
    }
    return quire_host_option_fault(&host->options, QUIRE_ERR_NODE,
                                   "the policy names no node with memory", 0, 0, 1);
}

static int build_arenas(struct quire_host *host)
{
    int result = check_nodes(host);

    if (result)
        return result;
    host->bind = host->topology.node_count > 1;
    host->arenas = calloc(QUIRE_HOST_ARENAS, sizeof(*host->arenas));
    if (!host->arenas)
        return QUIRE_ERR_NO_MEMORY;
    for (uint32_t n = 0; n < host->topology.node_count && !result; n++) {
        uint64_t bytes;

        result = wanted_bytes(host, quire_node_of(n), &bytes);
        if (!result && bytes > 0)
            result = build_arena(host, quire_node_of(n), bytes);
    }
    if (!result && quire_host_arenas(host) == 0)
        return quire_host_option_fault(&host->options, QUIRE_ERR_SIZE, "no bytes", 0, 0, HOST_HUGE);
    if (!result)
        result = check_policy(host);
    return result ? result : quire_topology_check(&host->topology, host->options.fault);
}

static int by_pfn(const void *a, const void *b)
{
    const struct quire_pfnmap_span *x = a, *y = b;

    return (x->run.pfn.n > y->run.pfn.n) - (x->run.pfn.n < y->run.pfn.n);
}

/* Seconds, for the machine; it is maintained once a second. */
static uint32_t give_back_after(const struct quire_host_options *options)
{
    enum { DEFAULT_SECONDS = 10 };

    if (options->give_back_after == 0)
        return options->pages == QUIRE_HOST_PAGES_HUGE ? 0 : DEFAULT_SECONDS;
    if (options->give_back_after == QUIRE_HOST_NEVER)
        return 0;
    return options->give_back_after;
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
        .zone_count = quire_host_arenas(host),
        .spans = spans,
        .span_count = quire_host_arenas(host),
        .policy = host->options.policy,
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .give_back_after = give_back_after(&host->options),
        .keep = host->options.keep,
        .port = {.ctx = host,
                 .cpu = quire_host_port_cpu,
                 .memory = port_memory,
                 .give_back = port_give_back,
                 .enter = port_enter,
                 .leave = port_leave,
                 .wait_for_readers = port_wait,
                 .relax = port_relax,
                 .reclaim = host->options.last_resort ? port_reclaim : NULL,
                 .mover = host->options.mover},
    };

    for (uint32_t i = 0; i < quire_host_arenas(host); i++) {
        struct host_arena *arena = &host->arenas[i];

        /* cppcheck-suppress unreadVariable ; read by way of `config` */
        zones[i] = (struct quire_machine_zone){&arena->zone, arena->node};
        spans[i] = (struct quire_pfnmap_span){
            {quire_pfn_of_phys((uintptr_t)arena->memory), arena->bytes >> QUIRE_FRAME_SHIFT}, i};
    }
    qsort(spans, quire_host_arenas(host), sizeof(spans[0]), by_pfn);
    return init_machine(host, &config);
}

static int start_thread(struct quire_host *host)
{
    struct reclaimer *reclaimer = &host->reclaimer;

    reclaimer->machine = host->machine;
    reclaimer->zones = host->reclaimer_zones;
    reclaimer->reclaim = host->options.reclaim;
    reclaimer->ctx = host->options.ctx;
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
    if (options->share_name)
        memcpy(made->share_name, options->share_name, strlen(options->share_name));
    made->creator = getpid();
    result = build(made);
    if (result) {
        error = errno;
        quire_host_destroy(made);
        errno = error;
        return result;
    }
    made->options.node_bytes = NULL; /* the caller's, and used up */
    made->options.share_name = NULL;
    made->options.fault = NULL;
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
    for (uint32_t i = 0; i < quire_host_arenas(host); i++)
        quire_host_arena_drop(&host->arenas[i]);
    free(host->arenas);
    free(host);
}
