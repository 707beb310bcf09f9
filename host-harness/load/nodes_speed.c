/* SPDX-License-Identifier: MIT
 *
 * nodes_speed.c - what real memory says: how long an access takes from the CPUs of each node to
 * the memory of each, and whether every page lies where it was promised.
 *
 * An access is timed by following a chain through a run of pages in an order that no prefetcher
 * guesses: each line names the next. Runs are 16 MiB where the node has them in one piece, so they
 * do not fit a core's own caches, but may fit a shared one: the figure is what a program of such a
 * working set would see.
 * Main thread, after the load; it goes from node to node and comes back.
 */
#include "calls.h"
#include "nodes.h"
#include "random.h"

#include <sched.h>
#include <stdlib.h>

enum {
    CHAIN_ORDER = 12,
    SMALLEST_ORDER = 6,
    LINE = 64, /* bytes */
    STEPS = 1 << 17,
    PAGES_AT_ONCE = 512,
};

/* Make each line of the memory name the next one of a single cycle over all of them. */
static void make_chain(void **memory, size_t lines, uint64_t seed)
{
    const size_t step = LINE / sizeof(void *);

    for (size_t i = 0; i < lines; i++)
        memory[i * step] = &memory[i * step];
    /* Sattolo: exchanging with an earlier one only leaves one cycle. */
    for (size_t i = lines - 1; i > 0; i--) {
        size_t other = (size_t)(random_next(&seed) % i);
        void *next = memory[i * step];

        memory[i * step] = memory[other * step];
        memory[other * step] = next;
    }
}

static uint64_t follow(void **at)
{
    uint64_t begun = call_clock();

    for (unsigned i = 0; i < STEPS; i++)
        at = *(void **volatile *)at;
    return call_clock() - begun;
}

/* Tenths of a nanosecond per access to the node; 0: there is no memory for the test. */
static uint32_t access_time(struct nodes *nodes, quire_node node)
{
    const struct quire_policy policy = {
        .mode = QUIRE_POLICY_BIND, .strict = true, .nodes = quire_nodemask_of(node)};
    struct quire_request request = {.order = CHAIN_ORDER,
                                    .flags = QUIRE_MOVABLE,
                                    .zone = QUIRE_ZONE_NORMAL,
                                    .node = quire_node_of(QUIRE_NO_NODE),
                                    .policy = &policy};
    void *memory = NULL;
    uint64_t ns;

    while (quire_host_request(nodes->host, &request, &memory, NULL)) {
        if (request.order-- <= SMALLEST_ORDER)
            return 0;
    }
    make_chain(memory, (size_t)QUIRE_FRAME_SIZE / LINE << request.order, node.n);
    (void)follow(memory); /* so that translations and shared caches are warm */
    ns = follow(memory);
    (void)quire_host_free(nodes->host, memory, request.order);
    return (uint32_t)(10 * ns / STEPS) + 1;
}

void nodes_measure(struct run *run)
{
    struct nodes *nodes = run->nodes;
    cpu_set_t before;

    if (sched_getaffinity(0, sizeof(before), &before))
        return;
    for (uint32_t t = 0; t < run->options.threads; t++) {
        uint32_t from = nodes->threads[t].node.n;
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(nodes->topology.cpu_id[nodes->threads[t].cpu], &set);
        if (nodes->access[from][from] || sched_setaffinity(0, sizeof(set), &set))
            continue; /* measured already, by an earlier thread of the node */
        for (uint32_t to = 0; to < nodes->topology.node_count; to++) {
            if (nodes->with_memory.bits & quire_nodemask_of(quire_node_of(to)).bits)
                nodes->access[from][to] = access_time(nodes, quire_node_of(to));
        }
    }
    (void)sched_setaffinity(0, sizeof(before), &before);
}

void nodes_look_where(struct run *run)
{
    struct nodes *nodes = run->nodes;
    struct quire_host_arena arena;
    quire_node found[PAGES_AT_ONCE];

    for (uint32_t i = 0; !quire_host_arena(nodes->host, i, &arena); i++) {
        for (uint64_t done = 0; done < arena.bytes;
             done += sizeof(found) / sizeof(found[0]) << QUIRE_FRAME_SHIFT) {
            char *memory = (char *)arena.memory + done;
            int error = quire_host_where(nodes->host, memory, PAGES_AT_ONCE, found);

            if (error) {
                run_violation(run, "the kernel does not tell where pages are: %s",
                              quire_strerror(error));
                return;
            }
            for (unsigned p = 0; p < PAGES_AT_ONCE; p++) {
                if (found[p].n == QUIRE_NO_NODE)
                    nodes->pages_empty++;
                else if (found[p].n == arena.node.n)
                    nodes->pages_right++;
                else if (nodes->pages_wrong++ == 0)
                    run_violation(run, "page %p was promised on node %u and lies on node %u",
                                  (void *)(memory + ((size_t)p << QUIRE_FRAME_SHIFT)), arena.node.n,
                                  found[p].n);
            }
        }
    }
}
