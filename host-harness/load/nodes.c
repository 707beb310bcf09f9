/* SPDX-License-Identifier: MIT
 *
 * nodes.c - the world of `quire run --topology`: a machine over the zones that boot memory
 * makes of a topology, or over a host's arenas, where memory is real.
 *
 * State and invariants: nodes.h. Everything here runs in the main thread, but for the functions
 * of the ports.
 */
#include "nodes.h"

#include "host-harness/machines/topo/topo.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    FRAMES_IN_GAME = 1 << 17, /* of all zones together, about */
    SMALLEST_WINDOW = 1 << 12,
};

/* ---- The ports of a simulated machine -------------------------------------------------------- */

/* A thread is the CPU that it was given; the main thread is CPU 0. */
static uint32_t port_cpu(void *ctx)
{
    (void)ctx;
    return nodes_self ? nodes_thread(nodes_self)->cpu : 0;
}

static void *port_memory(void *ctx, size_t bytes, quire_node node)
{
    struct run *run = ctx;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)node;
    if (memory == MAP_FAILED)
        return NULL;
    qa_add(&run->nodes->port_bytes, bytes, relaxed); /* relaxed: a figure */
    return memory;
}

static void port_give_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    struct run *run = ctx;

    (void)node;
    munmap(memory, bytes);
    qa_sub(&run->nodes->port_bytes, bytes, relaxed); /* relaxed: a figure */
}

static void port_relax(void *ctx)
{
    (void)ctx;
    sched_yield();
}

static void port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct run *run = ctx;

    run_port_event(ctx, zone, event);
    if (event == QUIRE_EVENT_LOW)
        quire_reclaimer_wake(&run->nodes->reclaimer);
}

/* ---- A simulated machine --------------------------------------------------------------------- */

static int fail_machine(const struct run *run, int result)
{
    cli_fail("run", "%s: the machine cannot be built: %s", run->map.source, quire_strerror(result));
    return CLI_FAILED;
}

static int start_reclaimer(struct run *run)
{
    struct nodes *nodes = run->nodes;
    int result;

    nodes->reclaimer_zones = calloc(run->machine.zone_count + 1, sizeof(*nodes->reclaimer_zones));
    if (!nodes->reclaimer_zones)
        return QUIRE_ERR_NO_MEMORY;
    for (size_t z = 0; z < run->machine.zone_count; z++)
        nodes->reclaimer_zones[z] = (struct reclaimer_zone){
            &run->machine.zones[z].zone, quire_node_of(run->machine.zones[z].node),
            run->zones[z].before.high};
    nodes->reclaimer.machine = nodes->machine;
    nodes->reclaimer.zones = nodes->reclaimer_zones;
    nodes->reclaimer.zone_count = run->machine.zone_count;
    nodes->reclaimer.reclaim = shelf_reclaim;
    nodes->reclaimer.ctx = run;
    result = quire_reclaimer_start(&nodes->reclaimer);
    return result;
}

static int init_machine(struct run *run, const struct quire_machine_config *config)
{
    struct nodes *nodes = run->nodes;
    int result = quire_machine_size(config, &nodes->memory_bytes);

    if (result)
        return result;
    nodes->memory = mmap(NULL, nodes->memory_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (nodes->memory == MAP_FAILED) {
        nodes->memory = NULL;
        return QUIRE_ERR_NO_MEMORY;
    }
    return quire_machine_init(config, nodes->memory, nodes->memory_bytes, &nodes->machine);
}

static int build_machine(struct run *run)
{
    struct nodes *nodes = run->nodes;
    const struct machine_plan *own = run->machine.plan;
    struct quire_machine_zone *zones = calloc(run->machine.zone_count, sizeof(*zones));
    const struct quire_machine_config config = {
        .topology = &nodes->topology,
        .zones = zones,
        .zone_count = run->machine.zone_count,
        .spans = own->plan.spans,
        .span_count = own->plan.span_count,
        .mode = QUIRE_CACHE_EXCHANGE, /* the CPUs are not this machine's */
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.ctx = run,
                 .cpu = port_cpu,
                 .memory = port_memory,
                 .give_back = port_give_back,
                 .relax = port_relax,
                 .reclaim = shelf_last_resort},
    };
    int result = QUIRE_ERR_NO_MEMORY;

    for (size_t z = 0; zones && z < run->machine.zone_count; z++)
        zones[z] = (struct quire_machine_zone){&run->machine.zones[z].zone,
                                               quire_node_of(run->machine.zones[z].node)};
    if (zones)
        result = init_machine(run, &config);
    free(zones);
    return result;
}

static int build_simulated(struct run *run)
{
    const struct machine_options options = {
        .slots = run->slots,
        .port = {.ctx = run,
                 .zero = run_port_zero,
                 .event = port_event,
                 .report = run_port_report,
                 .cpu = port_cpu},
    };
    struct map_error error;
    int status, result;

    if (machine_build(&run->machine, &run->map, &options, &error))
        return cli_fail("run", "%s", error.text);
    status = run_world_look(run);
    if (status != CLI_OK)
        return status;
    result = build_machine(run);
    return result ? fail_machine(run, result) : CLI_OK;
}

/* ---- This machine ---------------------------------------------------------------------------- */

static int look_at_arenas(struct run *run)
{
    struct nodes *nodes = run->nodes;
    struct quire_host_arena arena;
    struct quire_host_stats stats;
    size_t count = 0;

    while (!quire_host_arena(nodes->host, (uint32_t)count, &arena))
        count++;
    run->machine.zones = calloc(count + 1, sizeof(*run->machine.zones));
    if (!run->machine.zones) {
        cli_fail("run", "no memory for %zu zones", count);
        return CLI_FAILED;
    }
    run->machine.zone_count = count;
    for (size_t z = 0; z < count; z++) {
        (void)quire_host_arena(nodes->host, (uint32_t)z, &arena);
        run->machine.zones[z] = (struct simulated_zone){
            .zone = *arena.zone, /* a handle may be copied */
            .type = QUIRE_ZONE_NORMAL,
            .node = arena.node.n,
            .metadata_bytes = quire_zone_metadata_bytes(arena.zone),
        };
    }
    (void)quire_host_stats(nodes->host, &stats);
    run->machine.metadata_bytes = stats.metadata_bytes;
    return run_world_look(run);
}

static int build_real(struct run *run)
{
    struct nodes *nodes = run->nodes;
    const struct quire_host_options options = {
        .bytes = run->options.memory,
        .ctx = run,
        .reclaim = shelf_reclaim,
        .last_resort = shelf_last_resort,
    };
    int result;

    errno = 0;
    result = quire_host_create(&options, &nodes->host);
    if (result)
        return cli_fail("run",
                        "cannot take %llu bytes of each node: %s%s%s: expected a multiple of 2M "
                        "that every node has",
                        (unsigned long long)run->options.memory, quire_strerror(result),
                        errno ? ", " : "", errno ? strerror(errno) : "");
    nodes->machine = quire_host_machine(nodes->host);
    quire_machine_topology(nodes->machine, &nodes->topology);
    run->slots = nodes->topology.cpu_count;
    return look_at_arenas(run);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void note_memory(struct run *run)
{
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        if (run->machine.zones[z].type != QUIRE_ZONE_DEVICE)
            run->nodes->with_memory.bits |=
                quire_nodemask_of(quire_node_of(run->machine.zones[z].node)).bits;
    }
}

static void choose_window(struct run *run, uint32_t zones)
{
    run->window = FRAMES_IN_GAME / (zones ? zones : 1);
    if (run->window < SMALLEST_WINDOW)
        run->window = SMALLEST_WINDOW;
}

/* The topology, and the map of its memory. CLI_OK, or CLI_BAD_INPUT after a line on stderr. */
static int load_topology(struct run *run)
{
    struct topo *topo = malloc(sizeof(*topo));
    const unsigned flags = run->options.asymmetric ? TOPO_ASYMMETRIC : 0;
    struct map_error error;

    if (!topo)
        return cli_fail("run", "no memory for a topology");
    if (topo_load(topo, run->options.topology, flags, &error) ||
        topo_map(topo, &run->map, &error)) {
        free(topo);
        return cli_fail("run", "%s", error.text);
    }
    run->nodes->topology = topo->topology;
    run->map.format = topo->format;
    memcpy(run->map.source, topo->source, sizeof(topo->source));
    memcpy(run->map.note, topo->note, sizeof(topo->note));
    free(topo);
    return CLI_OK;
}

static int build(struct run *run)
{
    struct nodes *nodes = calloc(1, sizeof(*nodes));
    int status;

    run->nodes = nodes;
    run->bag_count = 1;
    if (!nodes) {
        cli_fail("run", "no memory for a machine");
        return CLI_FAILED;
    }
    pthread_mutex_init(&nodes->reclaiming, NULL);
    pthread_mutex_init(&nodes->plugging, NULL);
    status = load_topology(run);
    if (status != CLI_OK)
        return status;
    choose_window(run, nodes->topology.node_count);
    run->slots = nodes->topology.cpu_count;
    status = run->options.real ? build_real(run) : build_simulated(run);
    if (status != CLI_OK)
        return status;
    note_memory(run);
    if (!nodes_build_threads(run) || shelf_build(nodes, run)) {
        cli_fail("run", "no memory for %u threads: expected fewer --threads", run->options.threads);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static bool load(struct run *run)
{
    uint64_t in_game = 0;

    if (!run_world_load(run))
        return false;
    for (size_t z = 0; z < run->machine.zone_count; z++)
        in_game += quire_zone_free_frames(run->zones[z].zone);
    run->nodes->budget = in_game / (4 * (uint64_t)run->options.threads);
    if (run->nodes->budget > RUN_HOLD)
        run->nodes->budget = RUN_HOLD;
    if (!run->options.real && start_reclaimer(run))
        run_violation(run, "the reclaimer's thread could not be started: %s", strerror(errno));
    return !run_violated(run);
}

static void teardown(struct run *run)
{
    struct nodes *nodes = run->nodes;

    if (!nodes)
        return;
    if (nodes->reclaimer.started)
        quire_reclaimer_stop(&nodes->reclaimer);
    if (!nodes->host && nodes->machine)
        quire_machine_fini(nodes->machine);
    if (nodes->memory)
        munmap(nodes->memory, nodes->memory_bytes);
    run_world_teardown(run);
    quire_host_destroy(nodes->host);
    nodes_teardown_threads(run);
    free(nodes->reclaimer_zones);
    shelf_teardown(nodes);
    pthread_mutex_destroy(&nodes->reclaiming);
    pthread_mutex_destroy(&nodes->plugging);
    free(nodes);
}

const struct run_way nodes_way = {
    .build = build,
    .load = load,
    .work = nodes_work,
    .give_back = nodes_give_back,
    .print = nodes_print,
    .json = nodes_json,
    .teardown = teardown,
};
