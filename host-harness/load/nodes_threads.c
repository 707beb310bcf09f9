/* SPDX-License-Identifier: MIT
 *
 * nodes_threads.c - the CPUs of the threads of `quire run --topology`, and the policies that
 * they draw from.
 *
 * State and invariants: nodes.h. Main thread, before the threads start and after they ended.
 */
#include "mix.h"
#include "nodes.h"
#include "random.h"

#include <sched.h>
#include <stdlib.h>

static bool may_run_on(const struct run *run, uint32_t cpu)
{
    cpu_set_t set;

    return !run->options.real || sched_getaffinity(0, sizeof(set), &set) ||
           CPU_ISSET(run->nodes->topology.cpu_id[cpu], &set);
}

/* The number-th CPU, counted from 0 and round again, that is on the node. UINT32_MAX: none is. */
static uint32_t cpu_of_node(const struct run *run, uint32_t node, uint32_t number)
{
    const struct quire_topology *topology = &run->nodes->topology;
    uint32_t found = 0, last = UINT32_MAX;

    for (;;) {
        for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++) {
            if (topology->cpu_node[cpu] != node || !may_run_on(run, cpu))
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
static bool place_threads(struct run *run)
{
    struct nodes *nodes = run->nodes;
    uint32_t next[QUIRE_NODES] = {0};
    uint32_t node = 0, failures = 0;

    for (uint32_t t = 0; t <= run->options.threads;
         node = (node + 1) % nodes->topology.node_count) {
        uint32_t cpu = cpu_of_node(run, node, next[node]);

        if (cpu == UINT32_MAX) {
            if (++failures > nodes->topology.node_count)
                return false;
            continue;
        }
        failures = 0;
        next[node]++;
        nodes->threads[t].cpu = cpu;
        nodes->threads[t].node = quire_node_of(node);
        t++;
    }
    return true;
}

/* Each mode twice, every second time strict, with sets and weights drawn from the seed. */
static void draw_policies(struct run *run, struct node_thread *thread, uint64_t seed)
{
    const struct nodes *nodes = run->nodes;
    uint64_t all = nodes->with_memory.bits;

    for (unsigned i = 0; i < NODES_POLICIES; i++) {
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

bool nodes_build_threads(struct run *run)
{
    struct nodes *nodes = run->nodes;

    nodes->threads = calloc(run->options.threads + 1, sizeof(*nodes->threads));
    if (!nodes->threads || !place_threads(run))
        return false;
    for (uint32_t t = 0; t <= run->options.threads; t++) {
        nodes->threads[t].alloc = calloc(QUIRE_NODES, sizeof(struct hist));
        if (!nodes->threads[t].alloc)
            return false;
        draw_policies(run, &nodes->threads[t], mix_seed(run->options.seed, t));
    }
    nodes->helper = (struct worker){.run = run,
                                    .number = run->options.threads,
                                    .latency = calloc(RUN_CALLS, sizeof(struct hist))};
    return nodes->helper.latency != NULL;
}

void nodes_teardown_threads(struct run *run)
{
    struct nodes *nodes = run->nodes;

    for (uint32_t t = 0; nodes->threads && t <= run->options.threads; t++)
        free(nodes->threads[t].alloc);
    free(nodes->threads);
    free(nodes->helper.latency);
}
