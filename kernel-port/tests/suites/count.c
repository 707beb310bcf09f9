/* SPDX-License-Identifier: MIT
 *
 * count.c - how many instructions the common operations take, and how many locked ones.
 *
 * Counted by single steps, so the same in every run and on every machine; the calls and the loop
 * around them are in. Each has a limit. What Linux 6.1 takes is printed beside: its alloc_pages and
 * free, counted in the same emulator with init_on_alloc=0 and mitigations=off.
 *
 * At first frames come from blocks that are partly the kernel's own, which are filled up first;
 * then some memory is taken, as it is on a machine that has been up for a while: those blocks are
 * full.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/frame_list.h"
#include "kernel-port/tests/op_cost.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/single_step.h"
#include "kernel-port/tests/tap.h"

enum { WARM = 600, BATCH = 64, USED = 1536, PAIRS = 16 };

struct goal {
    const char *name;
    uint32_t most, most_locked; /* per operation */
    uint32_t linux_takes;       /* 0: not counted */
};

static void call(void *argument)
{
    struct op *op = argument;

    op->how(op);
}

/* Per `per` operations; a division that rounds up, so that a limit is never met by rounding. */
static void count(const struct goal *g, struct op *op, uint32_t per)
{
    struct instruction_count c;
    uint64_t each, locked;
    bool good;

    op->failed = 0;
    c = single_step_call(call, op, NULL);
    each = (c.instructions + per - 1) / per;
    locked = (c.locked + per - 1) / per;
    print("@json {\"case\": \"%s\", \"value\": %lu, \"unit\": \"instructions\", "
          "\"locked\": %lu, \"linux\": %u}\n",
          g->name, each, locked, g->linux_takes);
    good = !op->failed && each <= g->most && locked <= g->most_locked;
    if (g->linux_takes)
        tap(good, "%s: %lu instructions, %lu locked (limits %u, %u; Linux takes %u)%s", g->name,
            each, locked, g->most, g->most_locked, g->linux_takes,
            op->failed ? ", and was refused" : "");
    else
        tap(good, "%s: %lu instructions, %lu locked (limits %u, %u)%s", g->name, each, locked,
            g->most, g->most_locked, op->failed ? ", and was refused" : "");
    if (!good)
        single_step_print_functions();
}

static void count_pair(const struct goal *g, struct op op)
{
    op.n = WARM;
    op.how(&op);
    op.n = PAIRS;
    count(g, &op, PAIRS);
}

static void count_batch(uint32_t node)
{
    struct op op = {.request = {.near_node = quire_near_of(quire_node_of(node))}, .n = BATCH};

    for (unsigned i = 0; i < 3; i++) {
        op_batch_allocate(&op);
        op_batch_free(&op);
    }
    op.how = op_batch_allocate;
    count(&(struct goal){"batch of 64, alloc, per frame", 12, 1, 68}, &op, BATCH);
    op.how = op_batch_free;
    count(&(struct goal){"batch of 64, free, per frame", 12, 1, 261}, &op, BATCH);
}

/* Bursts of runs: their magazines are smaller than that, so halves come and go. */
static void count_burst(const struct goal *g, unsigned order)
{
    struct op op = {.how = op_burst, .request = {.order = order}, .n = BATCH};

    for (unsigned i = 0; i < 3; i++)
        op_burst(&op);
    count(g, &op, BATCH);
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

void suite_count(const struct options *options)
{
    uint32_t here = this_cpu()->node, other = other_node(here);
    struct frame_list used = {0};
    struct op remote = {.how = op_request_pairs,
                        .request = {.near_node = quire_near_of(quire_node_of(other))}};

    (void)options;
    shadow_begin();
    count_pair(&(struct goal){"a frame beside the kernel's own, alloc and free", 200, 2, 690},
               (struct op){.how = op_pairs});
    (void)quire_machine_drain(memory.up.machine);
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        if (memory.up.plan.zones[i].config.type <= QUIRE_ZONE_NORMAL)
            frame_list_take(&used, &memory.up.zones[i], 0, used.count + USED);
    count_pair(&(struct goal){"one frame, alloc and free", 100, 2, 690},
               (struct op){.how = op_pairs});
    count_pair(&(struct goal){"order 2, alloc and free", 180, 2, 0},
               (struct op){.how = op_pairs, .request = {.order = 2}});
    count_pair(&(struct goal){"order 4, alloc and free", 180, 2, 1475},
               (struct op){.how = op_pairs, .request = {.order = 4}});
    count_pair(&(struct goal){"order 8, alloc and free", 180, 2, 9624},
               (struct op){.how = op_pairs, .request = {.order = 8}});
    count_pair(&(struct goal){"order 9, alloc and free", 150, 2, 9959},
               (struct op){.how = op_pairs, .request = {.order = 9}});
    count_pair(&(struct goal){"order 10, alloc and free", 1250, 8, 0},
               (struct op){.how = op_pairs, .request = {.order = 10}});
    if (other == QUIRE_NO_NODE) {
        tap_skip("another node's frame", "only one node has memory");
        tap_skip("another node's order 3", "only one node has memory");
        tap_skip("another node's order 9", "only one node has memory");
    } else {
        count_pair(&(struct goal){"another node's frame, alloc and free", 150, 4, 601}, remote);
        remote.request.order = 3;
        count_pair(&(struct goal){"another node's order 3, alloc and free", 300, 2, 0}, remote);
        remote.request.order = 9;
        count_pair(&(struct goal){"another node's order 9, alloc and free", 300, 2, 0}, remote);
    }
    count_burst(&(struct goal){"burst of 64 of order 2, alloc and free", 290, 3, 0}, 2);
    count_burst(&(struct goal){"burst of 64 of order 3, alloc and free", 430, 3, 916}, 3);
    count_batch(here);
    frame_list_free(&used);
}
