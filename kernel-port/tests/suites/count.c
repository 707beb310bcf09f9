/* SPDX-License-Identifier: MIT
 *
 * count.c - how many instructions the common operations take, and how many locked ones.
 *
 * Counted by single steps, so the same in every run and on every machine; the calls and the loop
 * around them are in, but where only the calls are counted. Each has a limit. What Linux 6.1 takes
 * is printed beside: its alloc_pages and free, or kmalloc and kfree, counted in the same emulator
 * with init_on_alloc=0 and mitigations=off.
 *
 * At first frames come from blocks that are partly the kernel's own, which are filled up first;
 * then some memory is taken, as it is on a machine that has been up for a while: those blocks are
 * full.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/frame_list.h"
#include "kernel-port/tests/op_cost.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/spaces/spaces.h"
#include "kernel-port/tests/tap.h"
#include "layout.h"

#include <quire/heap.h>

enum { WARM = 600, BATCH = 64, USED = 1536, PAIRS = 16 };

static bool local; /* the caches' mode */

struct goal {
    struct op_goal goal; /* per operation; in local mode: */
    uint32_t claims;     /* of CPU caches: so many locked ones less */
    uint32_t most_local; /* instructions; 0: as many */
};

/* `aside`: instructions that are not the operation's. */
static void count(const struct goal *g, struct op *op, uint32_t per, uint64_t aside)
{
    struct op_goal goal = g->goal;

    if (local) {
        goal.most = g->most_local ? g->most_local : goal.most;
        goal.most_locked -= g->claims;
    }
    op_count(&goal, op, per, aside);
}

/* The calls of a pair without the loop around them. */
static void count_calls(const struct goal *g, struct op op)
{
    struct op none = {.how = op_no_pairs, .n = PAIRS};

    op.n = PAIRS;
    count(g, &op, PAIRS, op_instructions(&none) - (uint64_t)2 * OP_NOTHING * PAIRS);
}

static void count_pair(const struct goal *g, struct op op)
{
    op.n = WARM;
    op.how(&op);
    op.n = PAIRS;
    count(g, &op, PAIRS, 0);
}

static void count_batch(uint32_t node)
{
    struct op op = {.request = {.near_node = quire_near_of(quire_node_of(node))}, .n = BATCH};

    for (unsigned i = 0; i < 3; i++) {
        op_batch_allocate(&op);
        op_batch_free(&op);
    }
    op.how = op_batch_allocate;
    count(&(struct goal){{"batch of 64, alloc, per frame", 12, 1, 68}, 1, 0}, &op, BATCH, 0);
    op.how = op_batch_free;
    count(&(struct goal){{"batch of 64, free, per frame", 12, 1, 261}, 1, 0}, &op, BATCH, 0);
}

/* Bursts of runs: their magazines are smaller than that, so halves come and go. */
static void count_burst(const struct goal *g, unsigned order)
{
    struct op op = {.how = op_burst, .request = {.order = order}, .n = BATCH};

    for (unsigned i = 0; i < 3; i++)
        op_burst(&op);
    count(g, &op, BATCH, 0);
}

/* The nearest other node with memory, or QUIRE_NO_NODE. */
static uint32_t other_node(uint32_t node)
{
    quire_node order[QUIRE_NODES];
    uint32_t n = quire_topology_order(&memory.topology, quire_node_of(node), order);
    uint64_t with = quire_topology_with_memory(&memory.topology).bits;

    for (uint32_t i = 0; i < n; i++)
        if (order[i].n != node && with >> order[i].n & 1)
            return order[i].n;
    return QUIRE_NO_NODE;
}

/* ---- Objects ------------------------------------------------------------------------------- */

static struct quire_heap heap;

static uint32_t heap_cpu(void *ctx)
{
    (void)ctx;
    return this_cpu()->id;
}

static quire_node heap_node(void *ctx)
{
    (void)ctx;
    return quire_node_of(this_cpu()->node);
}

/* A heap over all memory that there is. */
static void heap_open(void)
{
    struct quire_run all = {{0}, 0};
    struct quire_heap_config config = {
        .machine = memory.up.machine,
        .runs = &all,
        .run_count = 1,
        .cpus = cpu_count,
        .nodes = QUIRE_NODES,
        .port = {.reach = {.base = DIRECT_BASE}, .cpu = heap_cpu, .node = heap_node},
    };
    struct quire_boot_region r;
    size_t bytes = 0;

    for (size_t i = 0; !quire_boot_region(&memory.boot, i, &r); i++)
        if (r.kind == QUIRE_BOOT_USABLE)
            all.frames = r.run.pfn.n + r.run.frames;
    if (quire_heap_size(&config, &bytes) ||
        quire_heap_init(&heap, &config, memory_take(bytes, quire_node_of(this_cpu()->node)), bytes))
        panic("no heap");
}

static void op_objects(struct op *op)
{
    void *object;

    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_heap_alloc(&heap, op->request.order, 0, &object) ||
                      quire_heap_free(&heap, object);
}

/* `request.order` is the number of bytes. */
static void count_objects(void)
{
    heap_open();
    count_pair(&(struct goal){{"an object of 64 bytes, alloc and free", 104, 2, 247}, 0, 0},
               (struct op){.how = op_objects, .request = {.order = 64}});
    count_pair(&(struct goal){{"an object of 3000 bytes, alloc and free", 104, 2, 247}, 0, 0},
               (struct op){.how = op_objects, .request = {.order = 3000}});
    (void)quire_heap_trim(&heap);
}

void suite_count(const struct options *options)
{
    uint32_t here = this_cpu()->node, other = other_node(here);
    struct frame_list used = {0};
    struct op remote = {.how = op_request_pairs,
                        .request = {.near_node = quire_near_of(quire_node_of(other))}};

    local = options->mode == QUIRE_CACHE_LOCAL;
    shadow_begin();
    count_pair(
        &(struct goal){{"a frame beside the kernel's own, alloc and free", 91, 2, 690}, 2, 79},
        (struct op){.how = op_pairs});
    (void)quire_machine_drain(memory.up.machine);
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        if (memory.up.plan.zones[i].config.type <= QUIRE_ZONE_NORMAL)
            frame_list_take(&used, &memory.up.zones[i], 0, used.count + USED);
    count_pair(&(struct goal){{"one frame, alloc and free", 89, 2, 690}, 2, 77},
               (struct op){.how = op_pairs});
    count_pair(&(struct goal){{"one frame, alloc and free, counted by kind", 95, 2, 690}, 2, 83},
               (struct op){.how = op_counted_pairs});
    count_calls(&(struct goal){{"one frame, the two calls alone", 72, 2, 690}, 2, 60},
                (struct op){.how = op_pairs});
    count_pair(&(struct goal){{"order 2, alloc and free", 150, 2, 0}, 2, 144},
               (struct op){.how = op_pairs, .request = {.order = 2}});
    count_pair(&(struct goal){{"order 4, alloc and free", 150, 2, 1475}, 2, 144},
               (struct op){.how = op_pairs, .request = {.order = 4}});
    count_pair(&(struct goal){{"order 8, alloc and free", 165, 2, 9624}, 2, 160},
               (struct op){.how = op_pairs, .request = {.order = 8}});
    count_pair(&(struct goal){{"order 9, alloc and free", 122, 2, 9959}, 2, 118},
               (struct op){.how = op_pairs, .request = {.order = 9}});
    count_pair(&(struct goal){{"order 10, alloc and free", 800, 6, 0}, 0, 0},
               (struct op){.how = op_pairs, .request = {.order = 10}});
    if (other == QUIRE_NO_NODE) {
        tap_skip("another node's frame", "only one node has memory");
        tap_skip("another node's order 3", "only one node has memory");
        tap_skip("another node's order 9", "only one node has memory");
    } else {
        count_pair(&(struct goal){{"another node's frame, alloc and free", 150, 4, 601}, 0, 0},
                   remote);
        remote.request.order = 3;
        count_pair(&(struct goal){{"another node's order 3, alloc and free", 275, 2, 0}, 0, 0},
                   remote);
        remote.request.order = 9;
        count_pair(&(struct goal){{"another node's order 9, alloc and free", 270, 2, 0}, 0, 0},
                   remote);
    }
    count_burst(&(struct goal){{"burst of 64 of order 2, alloc and free", 200, 3, 0}, 2, 195}, 2);
    count_burst(&(struct goal){{"burst of 64 of order 3, alloc and free", 370, 3, 916}, 2, 0}, 3);
    count_burst(&(struct goal){{"burst of 64 of order 6, alloc and free", 2150, 11, 0}, 2, 0}, 6);
    count_burst(&(struct goal){{"burst of 64 of order 7, alloc and free", 2900, 18, 0}, 1, 0}, 7);
    count_batch(here);
    count_objects();
    spaces_count_large();
    if (!local) /* the mode changes nothing there but the hits of frames, which were counted */
        spaces_count();
    frame_list_free(&used);
}
