/* SPDX-License-Identifier: MIT
 *
 * policy.c - the CPUs of the threads of a load on a machine, the policies that they draw from, and
 * whether the machine keeps what a policy promises.
 *
 * State: on_machine->threads; see machine.h. The main thread builds and tears down; the others are
 * called by the worker's thread, and are wait-free.
 */
#include "machine.h"

#include "host-harness/load/random.h"
#include "host-harness/load/sequence.h"

#include <sched.h>
#include <stdlib.h>

/* ---- Threads --------------------------------------------------------------------------------- */

static bool may_run_on(const struct load *load, uint32_t cpu)
{
    cpu_set_t set;

    return !load->options.real || sched_getaffinity(0, sizeof(set), &set) ||
           CPU_ISSET(load->on_machine->topology.cpu_id[cpu], &set);
}

/* The number-th CPU, counted from 0 and round again, that is on the node. UINT32_MAX: none is. */
static uint32_t cpu_of_node(const struct load *load, uint32_t node, uint32_t number)
{
    const struct quire_topology *topology = &load->on_machine->topology;
    uint32_t found = 0, last = UINT32_MAX;

    for (;;) {
        for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++) {
            if (topology->cpu_node[cpu] != node || !may_run_on(load, cpu))
                continue;
            last = cpu;
            if (found++ == number)
                return cpu;
        }
        if (last == UINT32_MAX)
            return last;
    }
}

/* Nodes take turns, and each thread gets the next CPU of its node. */
static bool place_threads(struct load *load)
{
    struct machine_target *on = load->on_machine;
    uint32_t next[QUIRE_NODES] = {0};
    uint32_t node = 0, failures = 0;

    for (uint32_t t = 0; t <= load->options.threads; node = (node + 1) % on->topology.node_count) {
        uint32_t cpu = cpu_of_node(load, node, next[node]);

        if (cpu == UINT32_MAX) {
            if (++failures > on->topology.node_count)
                return false;
            continue;
        }
        failures = 0;
        next[node]++;
        on->threads[t].cpu = cpu;
        on->threads[t].node = quire_node_of(node);
        t++;
    }
    return true;
}

/* Each mode twice, every second time strict, with sets and weights drawn from the seed. */
static void draw_policies(const struct machine_target *on, struct machine_thread *thread,
                          uint64_t seed)
{
    uint64_t all = on->with_memory.bits;

    for (unsigned i = 0; i < MACHINE_POLICIES; i++) {
        struct quire_policy *policy = &thread->policies[i];

        policy->mode = (enum quire_policy_mode)(i / 2);
        policy->strict = i % 2;
        if (policy->mode == QUIRE_POLICY_LOCAL || policy->mode == QUIRE_POLICY_NEAREST)
            continue;
        policy->nodes.bits = random_next(&seed) & all;
        if (!policy->nodes.bits)
            policy->nodes.bits = all;
        for (unsigned n = 0; n < QUIRE_NODES && policy->mode == QUIRE_POLICY_WEIGHTED; n++)
            policy->weight[n] = (uint8_t)(1 + random_next(&seed) % 9);
    }
}

bool machine_build_threads(struct load *load)
{
    struct machine_target *on = load->on_machine;

    on->threads = calloc(load->options.threads + 1, sizeof(*on->threads));
    if (!on->threads || !place_threads(load))
        return false;
    for (uint32_t t = 0; t <= load->options.threads; t++) {
        on->threads[t].alloc = calloc(QUIRE_NODES, sizeof(struct hist));
        if (!on->threads[t].alloc)
            return false;
        draw_policies(on, &on->threads[t], sequence_seed(load->options.seed, t));
    }
    on->helper = (struct worker){.load = load,
                                 .number = load->options.threads,
                                 .latency = calloc(CALL_KINDS, sizeof(struct hist))};
    return on->helper.latency != NULL;
}

void machine_teardown_threads(struct load *load)
{
    struct machine_target *on = load->on_machine;

    for (uint32_t t = 0; on->threads && t <= load->options.threads; t++)
        free(on->threads[t].alloc);
    free(on->threads);
    free(on->helper.latency);
}

/* ---- What was promised ----------------------------------------------------------------------- */

static bool in_set(quire_nodemask set, quire_node node)
{
    return (set.bits & quire_nodemask_of(node).bits) != 0;
}

static const struct quire_policy *policy_of(const struct request *r)
{
    static const struct quire_policy local = {.mode = QUIRE_POLICY_LOCAL};

    return r->call.policy ? r->call.policy : &local;
}

/* The first node that the request names in the order of its origin. QUIRE_NO_NODE: none. */
static quire_node wanted(const struct machine_target *on, const struct request *r)
{
    const struct quire_policy *policy = policy_of(r);
    quire_node order[QUIRE_NODES];
    quire_nodemask set = on->with_memory;
    uint32_t count;

    if (policy->mode == QUIRE_POLICY_LOCAL)
        return r->origin;
    if (policy->mode != QUIRE_POLICY_NEAREST)
        set.bits &= policy->nodes.bits;
    count = quire_topology_order(&on->topology, r->origin, order);
    for (uint32_t i = 0; i < count; i++) {
        if (in_set(set, order[i]))
            return order[i];
    }
    return quire_node_of(QUIRE_NO_NODE);
}

/* May the request be served from this node? */
static bool is_kept(const struct machine_target *on, const struct request *r, quire_node got)
{
    const struct quire_policy *policy = policy_of(r);

    switch (policy->mode) {
    case QUIRE_POLICY_NEAREST:
        return got.n == wanted(on, r).n;
    case QUIRE_POLICY_BIND:
        return in_set(policy->nodes, got) && (!policy->strict || got.n == wanted(on, r).n);
    case QUIRE_POLICY_INTERLEAVE:
    case QUIRE_POLICY_WEIGHTED:
        return !policy->strict || in_set(policy->nodes, got);
    default: /* LOCAL, PREFERRED */
        return !policy->strict || got.n == wanted(on, r).n;
    }
}

bool machine_check_place(struct worker *w, const struct request *r, const struct held_run *run)
{
    static const char *const modes[] = {"local",   "preferred",  "bind",
                                        "nearest", "interleave", "weighted"};
    const struct machine_target *on = w->load->on_machine;
    const struct quire_policy *policy = policy_of(r);
    quire_node got = machine_node_of(w, run->pfn);

    if (got.n == QUIRE_NO_NODE)
        return false;
    if (fault_wrong_node(w))
        got = quire_node_of((got.n + 1) % on->topology.node_count);
    if (is_kept(on, r, got)) {
        machine_thread(w)->counts[COUNT_KEPT]++;
        return true;
    }
    load_violation(w->load,
                   "frame %llu is on node %u, which the policy %s%s, set %#llx, asked from node "
                   "%u, does not allow; thread %u, its call %llu",
                   (unsigned long long)run->pfn, got.n, policy->strict ? "strict " : "",
                   modes[policy->mode], (unsigned long long)policy->nodes.bits, r->origin.n,
                   w->number, (unsigned long long)w->calls);
    return false;
}

void machine_count(struct worker *w, uint64_t pfn)
{
    struct machine_thread *thread = machine_thread(w);
    quire_node node = machine_node_of(w, pfn);

    if (node.n == QUIRE_NO_NODE)
        return;
    if (node.n == thread->node.n)
        thread->local[node.n]++;
    else
        thread->other[node.n]++;
}

bool machine_placed(struct worker *w, const struct request *r, const struct held_run *run,
                    uint64_t ns)
{
    machine_count(w, run->pfn);
    if (ns && !load_violated(w->load))
        hist_add(&machine_thread(w)->alloc[machine_node_of(w, run->pfn).n], ns);
    return machine_check_place(w, r, run);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

/* May all zones of a node, where a contiguous run is looked for, have fewer frames than it wants?
 * While a block is offline a zone has so many fewer. */
static bool is_short(const struct load *load, quire_node node, const struct request *r,
                     const struct quire_contig *want)
{
    bool no_huge = want->frames < MACHINE_BLOCK_FRAMES && !(r->call.flags & QUIRE_MOVABLE);

    for (size_t z = 0; z < load->machine.zone_count; z++) {
        const struct simulated_zone *zone = &load->machine.zones[z];

        if (zone->node == node.n && zone->type != QUIRE_ZONE_DEVICE &&
            !(no_huge && zone->type == QUIRE_ZONE_HUGE) &&
            load->zones[z].before.managed >= want->frames + MACHINE_BLOCK_FRAMES)
            return false;
    }
    return true;
}

/* May all nodes that the request asks be short? A strict interleaving policy asks the one whose
 * turn it is. */
static bool are_short(const struct load *load, const struct request *r,
                      const struct quire_contig *want)
{
    const struct machine_target *on = load->on_machine;
    const struct quire_policy *policy = policy_of(r);
    bool in_turn = policy->strict && policy->mode >= QUIRE_POLICY_INTERLEAVE;
    quire_node order[QUIRE_NODES];
    uint32_t count = quire_topology_order(&on->topology, r->origin, order);

    for (uint32_t i = 0; i < count; i++) {
        if (!in_set(on->with_memory, order[i]) || !is_kept(on, r, order[i]))
            continue;
        if (is_short(load, order[i], r, want) == in_turn)
            return in_turn;
    }
    return !in_turn;
}

/* A set without memory is known beforehand, and whether zones are too short. */
uint32_t machine_refusals(const struct worker *w, const struct request *r,
                          const struct quire_contig *want)
{
    uint32_t allowed = CALL_ALLOWED(QUIRE_ERR_NO_MEMORY) | CALL_ALLOWED(QUIRE_ERR_ZONE);
    const struct machine_target *on = w->load->on_machine;
    quire_node node = wanted(on, r);

    if (want && are_short(w->load, r, want))
        allowed |= CALL_ALLOWED(QUIRE_ERR_SIZE);
    if (node.n == QUIRE_NO_NODE || !in_set(on->with_memory, node))
        allowed |= CALL_ALLOWED(QUIRE_ERR_NODE);
    return allowed;
}

int machine_check_reason(struct worker *w, int error, const struct quire_refusal *why)
{
    if (!error)
        return error;
    w->checks[CHECK_ANSWERS]++;
    if (why->error != error)
        load_violation(w->load,
                       "a call answered \"%s\" and its reason \"%s\"; thread %u, call %llu",
                       quire_strerror(error), quire_strerror(why->error), w->number,
                       (unsigned long long)w->calls);
    return error;
}
