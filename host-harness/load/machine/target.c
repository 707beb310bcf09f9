/* SPDX-License-Identifier: MIT
 *
 * target.c - a machine of nodes as a target: over the zones that boot memory makes of a topology,
 * or over a host's arenas, where memory is real.
 *
 * State and invariants: machine.h. The main thread builds and tears down; the functions of the
 * ports are called by any thread.
 */
#include "machine.h"

#include "host-harness/load/sequence.h"
#include "host-harness/machines/topo/topo.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    FRAMES_IN_USE = 1 << 17, /* of all zones together, about */
    SMALLEST_WINDOW = 1 << 12,
    CONTIG_EXP = 10, /* contiguous runs are up to 2^10 frames */
};

_Thread_local struct worker *machine_self;

/* ---- Operations ------------------------------------------------------------------------------ */

static const struct operation_kind kinds[] = {
    {"allocate a run", 330, operation_alloc},
    {"free a run", 270, operation_free},
    {"allocate a batch of 64", 50, operation_alloc_batch},
    {"free a batch of 64", 50, operation_free_batch},
    {"put a batch of pages into the page cache", 90, machine_read_file},
    {"have another thread free a run", 140, operation_hand_over},
    {"allocate contiguous, constrained", 20, operation_alloc_contig},
    {"fill a mempool, use a part", 14, machine_mempool},
    {"take a block offline and back", 4, machine_offline},
    {"drain the caches of a CPU or a node", 2, machine_drain},
    {"a call that must be refused", 30, machine_bad_call},
};

static uint32_t draw_flags(uint32_t bits)
{
    uint32_t flags = bits & 1 ? QUIRE_MOVABLE : 0;

    if ((bits >> 1 & 31) == 0)
        flags |= QUIRE_ZEROED;
    if ((bits >> 6 & 63) == 0)
        flags |= QUIRE_NO_CALLBACK;
    if ((bits >> 12 & 63) == 0)
        flags |= QUIRE_HIGH;
    return flags;
}

/* Half of the requests say nothing, the others have a policy; one in 16 is asked as if from
 * another node. */
static uint64_t draw(const struct worker *w, uint64_t index, uint64_t bits, struct operation *op)
{
    const struct machine_thread *thread = machine_thread(w);
    const struct quire_policy *policy = &thread->policies[(bits >> 1 & 255) % MACHINE_POLICIES];
    struct request *r = &op->request;

    (void)index;
    r->call.flags = draw_flags((uint32_t)(bits >> 24));
    r->origin = thread->node;
    if (bits & 1 && (policy->mode != QUIRE_POLICY_LOCAL || policy->strict))
        r->call.policy = policy;
    if ((bits >> 9 & 15) == 0) {
        r->origin =
            quire_node_of((uint32_t)(bits >> 13 & 2047) % w->load->on_machine->topology.node_count);
        r->call.near_node = quire_near_of(r->origin);
    }
    return bits;
}

static struct quire_contig draw_contig(const struct worker *w, const struct operation *op)
{
    struct quire_contig want = {
        .frames = 1 + (op->a >> 8) % (1ull << (op->a & 255) % (CONTIG_EXP + 1)),
    };

    (void)w;
    if (op->b & 1)
        want.align = (uint64_t)QUIRE_FRAME_SIZE << (op->b >> 1 & 15) % 10;
    if (op->b & 32)
        want.boundary = (uint64_t)QUIRE_FRAME_SIZE << (64 - __builtin_clzll(want.frames));
    return want;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static bool is_plain(const struct quire_request *call)
{
    return !call->policy && call->near_node.n == 0 && call->purpose == QUIRE_FOR_NORMAL;
}

static int alloc(struct worker *w, const struct request *r, quire_pfn *pfn)
{
    struct quire_machine *machine = w->load->on_machine->machine;
    struct quire_refusal why = {0};
    int error;

    if (is_plain(&r->call))
        return quire_machine_alloc(machine, r->call.order, r->call.flags, pfn);
    error = quire_machine_request(machine, &r->call, pfn, &why);
    return machine_check_reason(w, error, &why);
}

static int free_run(struct worker *w, uint32_t list, const struct held_run *run, uint64_t bits)
{
    struct quire_machine *machine = w->load->on_machine->machine;
    quire_pfn pfn = quire_pfn_of(run->pfn);

    (void)list;
    (void)bits;
    if (run->contig)
        return quire_machine_free_contig(machine, pfn, run->frames);
    return quire_machine_free(machine, pfn, (unsigned)__builtin_ctz(run->frames));
}

static int alloc_batch(struct worker *w, const struct request *r, quire_pfn pfns[LOAD_BATCH],
                       size_t *got)
{
    struct quire_request call = r->call;
    struct quire_refusal why = {0};
    int error;

    call.order = 0;
    error =
        quire_machine_alloc_batch(w->load->on_machine->machine, &call, LOAD_BATCH, pfns, got, &why);
    return machine_check_reason(w, error, &why);
}

static int free_batch(struct worker *w, uint32_t list, const quire_pfn pfns[], uint32_t n)
{
    (void)list;
    return quire_machine_free_batch(w->load->on_machine->machine, pfns, n, NULL);
}

static int alloc_contig(struct worker *w, const struct request *r, const struct quire_contig *want,
                        quire_pfn *pfn)
{
    struct quire_refusal why = {0};
    int error = quire_machine_alloc_contig(w->load->on_machine->machine, &r->call, want, pfn, &why);

    return machine_check_reason(w, error, &why);
}

/* A run that is freed by a CPU of another node is counted. */
static bool giving(struct worker *w, uint32_t z, const struct held_run *run)
{
    struct machine_thread *thread = machine_thread(w);

    if (w->load->machine.zones[z].node != thread->node.n)
        thread->counts[COUNT_REMOTE] += run->frames;
    return true;
}

static bool giving_on_host(struct worker *w, uint32_t z, const struct held_run *run)
{
    return host_check_pages(w, z, run) && giving(w, z, run);
}

/* ---- The ports of a simulated machine -------------------------------------------------------- */

/* A thread is the CPU that it was given; the main thread is CPU 0. */
static uint32_t port_cpu(void *ctx)
{
    (void)ctx;
    return machine_self ? machine_thread(machine_self)->cpu : 0;
}

static void *port_memory(void *ctx, size_t bytes, quire_node node)
{
    struct load *load = ctx;
    void *memory = simulated_pages(bytes);

    (void)node;
    if (memory)
        qa_add(&load->on_machine->port_bytes, bytes, relaxed); /* relaxed: a figure */
    return memory;
}

static void port_give_back(void *ctx, void *memory, size_t bytes, quire_node node)
{
    struct load *load = ctx;

    (void)node;
    munmap(memory, bytes);
    qa_sub(&load->on_machine->port_bytes, bytes, relaxed); /* relaxed: a figure */
}

static void port_relax(void *ctx)
{
    (void)ctx;
    sched_yield();
}

static void port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    struct load *load = ctx;

    load_port_event(ctx, zone, event);
    if (event == QUIRE_EVENT_LOW)
        quire_reclaimer_wake(&load->on_machine->reclaimer);
}

/* ---- A simulated machine --------------------------------------------------------------------- */

static int start_reclaimer(struct load *load)
{
    struct machine_target *on = load->on_machine;

    on->reclaimer_zones = calloc(load->machine.zone_count + 1, sizeof(*on->reclaimer_zones));
    if (!on->reclaimer_zones)
        return QUIRE_ERR_NO_MEMORY;
    for (size_t z = 0; z < load->machine.zone_count; z++)
        on->reclaimer_zones[z] = (struct reclaimer_zone){
            &load->machine.zones[z].zone, quire_node_of(load->machine.zones[z].node),
            load->zones[z].before.high, load->machine.zones[z].type};
    on->reclaimer.machine = on->machine;
    on->reclaimer.zones = on->reclaimer_zones;
    /* relaxed: the thread is started behind it */
    qa_store(&on->reclaimer.zone_count, (uint32_t)load->machine.zone_count, relaxed);
    on->reclaimer.reclaim = page_cache_reclaim;
    on->reclaimer.ctx = load;
    return quire_reclaimer_start(&on->reclaimer);
}

static int init_machine(struct machine_target *on, const struct quire_machine_config *config)
{
    int result = quire_machine_size(config, &on->memory_bytes);

    if (result)
        return result;
    on->memory = simulated_pages(on->memory_bytes);
    if (!on->memory)
        return QUIRE_ERR_NO_MEMORY;
    return quire_machine_init(config, on->memory, on->memory_bytes, &on->machine);
}

static int build_machine(struct load *load)
{
    struct machine_target *on = load->on_machine;
    const struct simulated_plan *own = load->machine.plan;
    struct quire_machine_zone *zones = calloc(load->machine.zone_count, sizeof(*zones));
    const struct quire_machine_config config = {
        .topology = &on->topology,
        .zones = zones,
        .zone_count = load->machine.zone_count,
        .spans = own->plan.spans,
        .span_count = own->plan.span_count,
        .mode = QUIRE_CACHE_EXCHANGE, /* the CPUs are not this machine's */
        .rounds = QUIRE_CACHE_SIZE_AUTO,
        .huge_rounds = QUIRE_CACHE_SIZE_AUTO,
        .port = {.ctx = load,
                 .cpu = port_cpu,
                 .memory = port_memory,
                 .give_back = port_give_back,
                 .relax = port_relax,
                 .reclaim = page_cache_last_resort},
    };
    int result = QUIRE_ERR_NO_MEMORY;

    for (size_t z = 0; zones && z < load->machine.zone_count; z++)
        zones[z] = (struct quire_machine_zone){&load->machine.zones[z].zone,
                                               quire_node_of(load->machine.zones[z].node)};
    if (zones)
        result = init_machine(on, &config);
    free(zones);
    return result;
}

static int build_simulated(struct load *load)
{
    const struct simulated_options options = {
        .slots = load->slots,
        .port = {.ctx = load,
                 .zero = load_port_zero,
                 .event = port_event,
                 .report = load_port_report,
                 .cpu = port_cpu},
    };
    struct map_error error;
    int status, result;

    if (simulated_build(&load->machine, &load->map, &options, &error))
        return cli_fail("run", "%s", error.text);
    status = load_build_zones(load);
    if (status != CLI_OK)
        return status;
    result = build_machine(load);
    if (!result)
        return CLI_OK;
    cli_fail("run", "%s: the machine cannot be built: %s", load->map.source,
             quire_strerror(result));
    return CLI_FAILED;
}

/* ---- Either ---------------------------------------------------------------------------------- */

static void note_memory(struct load *load)
{
    for (size_t z = 0; z < load->machine.zone_count; z++) {
        if (load->machine.zones[z].type != QUIRE_ZONE_DEVICE)
            load->on_machine->with_memory.bits |=
                quire_nodemask_of(quire_node_of(load->machine.zones[z].node)).bits;
    }
}

static void choose_window(struct load *load, uint32_t nodes)
{
    load->window = FRAMES_IN_USE / (nodes ? nodes : 1);
    if (load->window < SMALLEST_WINDOW)
        load->window = SMALLEST_WINDOW;
}

/* The topology, and the map of its memory. CLI_OK, or CLI_BAD_INPUT after a line on stderr. */
static int load_topology(struct load *load)
{
    struct topo *topo = malloc(sizeof(*topo));
    const unsigned flags =
        (load->options.asymmetric ? TOPO_ASYMMETRIC : 0) | (load->options.strict ? TOPO_STRICT : 0);
    struct map_error error;

    if (!topo)
        return cli_fail("run", "no memory for a topology");
    if (topo_load(topo, load->options.topology, flags, &error) ||
        topo_map(topo, &load->map, &error)) {
        free(topo);
        return cli_fail("run", "%s", error.text);
    }
    load->on_machine->topology = topo->topology;
    load->map.format = topo->format;
    memcpy(load->map.source, topo->source, sizeof(topo->source));
    memcpy(load->map.note, topo->note, sizeof(topo->note));
    free(topo);
    return CLI_OK;
}

static int build(struct load *load)
{
    struct machine_target *on = calloc(1, sizeof(*on));
    int status;

    load->on_machine = on;
    load->list_count = 1;
    if (!on) {
        cli_fail("run", "no memory for a machine");
        return CLI_FAILED;
    }
    pthread_mutex_init(&on->reclaiming, NULL);
    pthread_mutex_init(&on->plugging, NULL);
    status = load_topology(load);
    if (status != CLI_OK)
        return status;
    choose_window(load, on->topology.node_count);
    load->slots = on->topology.cpu_count;
    status = load->options.real ? host_build(load) : build_simulated(load);
    if (status != CLI_OK)
        return status;
    note_memory(load);
    if (!machine_build_threads(load) || page_cache_build(load)) {
        cli_fail("run", "no memory for %u threads: expected fewer --threads",
                 load->options.threads);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static bool prepare(struct load *load)
{
    uint64_t frames = 0, budget;

    if (!load_set_aside(load))
        return false;
    for (size_t z = 0; z < load->machine.zone_count; z++)
        frames += quire_zone_free_frames(load->zones[z].zone);
    budget = frames / (4 * (uint64_t)load->options.threads);
    for (uint32_t t = 0; t < load->options.threads; t++)
        load->workers[t].held[0].budget = budget < LOAD_HELD_FRAMES ? budget : LOAD_HELD_FRAMES;
    if (!load->on_machine->host && start_reclaimer(load))
        load_violation(load, "the reclaimer's thread could not be started: %s", strerror(errno));
    return !load_violated(load);
}

static void enter(struct worker *w)
{
    machine_self = w;
    quire_host_thread_enter();
    if (w->load->on_machine->host)
        host_bind_thread(w);
}

static void leave(struct worker *w)
{
    (void)w;
    (void)quire_host_thread_leave();
}

static void teardown(struct load *load)
{
    struct machine_target *on = load->on_machine;

    if (!on)
        return;
    if (on->reclaimer.started)
        quire_reclaimer_stop(&on->reclaimer);
    if (!on->host && on->machine)
        quire_machine_fini(on->machine);
    if (on->memory)
        munmap(on->memory, on->memory_bytes);
    load_teardown_zones(load);
    quire_host_destroy(on->host);
    machine_teardown_threads(load);
    free(on->reclaimer_zones);
    page_cache_teardown(load);
    pthread_mutex_destroy(&on->reclaiming);
    pthread_mutex_destroy(&on->plugging);
    free(on);
}

/* What a simulated and a real machine have in common. */
#define MACHINE_TARGET                                                                          \
    .source_name = "topology", .kinds = kinds, .kind_count = sizeof(kinds) / sizeof(kinds[0]),  \
    .build = build, .prepare = prepare, .enter = enter, .leave = leave, .ended = machine_ended, \
    .emptied = machine_emptied, .teardown = teardown, .draw = draw, .draw_contig = draw_contig, \
    .alloc = alloc, .free = free_run, .alloc_batch = alloc_batch, .free_batch = free_batch,     \
    .alloc_contig = alloc_contig, .refusals = machine_refusals, .placed = machine_placed

const struct target load_on_machine = {MACHINE_TARGET, .hears_events = true, .giving = giving};

/* A host keeps its zones' ports to itself. */
const struct target load_on_host = {MACHINE_TARGET, .taken = host_taken, .giving = giving_on_host};
