/* SPDX-License-Identifier: MIT
 *
 * op_cost.c - see op_cost.h. State: the frames of the bulk operations; one CPU at a time.
 */
#include "op_cost.h"

#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/memory.h"
#include "single_step.h"
#include "tap.h"

static quire_pfn frames[OPS_FRAMES];

typedef int allocate_function(struct quire_machine *m, unsigned order, uint32_t flags,
                              quire_pfn *pfn);
typedef int free_function(struct quire_machine *m, quire_pfn pfn, unsigned order);

/* The loop of pairs, which keeps all that it needs in registers. */
static inline __attribute__((always_inline)) void pairs(struct op *op, allocate_function *allocate,
                                                        free_function *free)
{
    struct quire_machine *m = memory.up.machine;
    unsigned order = op->request.order;
    quire_pfn pfn;

    for (uint32_t n = op->n; n > 0; n--)
        if (__builtin_expect(allocate(m, order, 0, &pfn) || free(m, pfn, order), 0))
            op->failed++;
}

void op_pairs(struct op *op)
{
    pairs(op, quire_machine_alloc, quire_machine_free);
}

/* Weak, so that the compiler believes that they may be others, and calls them as it does those. */
allocate_function allocate_nothing __attribute__((weak));
free_function free_nothing __attribute__((weak));

int allocate_nothing(struct quire_machine *m, unsigned order, uint32_t flags, quire_pfn *pfn)
{
    (void)m;
    (void)order;
    (void)flags;
    (void)pfn;
    return 0;
}

int free_nothing(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    (void)m;
    (void)pfn;
    (void)order;
    return 0;
}

void op_no_pairs(struct op *op)
{
    pairs(op, allocate_nothing, free_nothing);
}

static inline int allocate_counted(struct quire_machine *m, unsigned order, uint32_t flags,
                                   quire_pfn *pfn)
{
    int error = quire_machine_alloc(m, order, flags, pfn);

    if (!error)
        quire_kinds_count_here(&memory_kinds, cpu_id(), QUIRE_KIND_BUFFER, 1);
    return error;
}

static inline int free_counted(struct quire_machine *m, quire_pfn pfn, unsigned order)
{
    int error = quire_machine_free(m, pfn, order);

    if (!error)
        quire_kinds_count_here(&memory_kinds, cpu_id(), QUIRE_KIND_BUFFER, -1);
    return error;
}

void op_counted_pairs(struct op *op)
{
    pairs(op, allocate_counted, free_counted);
}

void op_request_pairs(struct op *op)
{
    quire_pfn pfn;

    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_machine_request(memory.up.machine, &op->request, &pfn, NULL) ||
                      quire_machine_free(memory.up.machine, pfn, op->request.order);
}

void op_zone_pairs(struct op *op)
{
    quire_slot slot = memory_slot();
    quire_pfn pfn;

    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_zone_alloc(op->zone, slot, op->request.order, 0, &pfn) ||
                      quire_zone_free(op->zone, slot, pfn, op->request.order);
}

void op_allocate(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_machine_alloc(memory.up.machine, op->request.order, 0, &frames[i]) != 0;
}

void op_free(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_machine_free(memory.up.machine, frames[i], op->request.order) != 0;
}

void op_burst(struct op *op)
{
    op_allocate(op);
    op_free(op);
}

void op_batch_allocate(struct op *op)
{
    size_t got;

    op->failed +=
        quire_machine_alloc_batch(memory.up.machine, &op->request, op->n, frames, &got, NULL) != 0;
}

void op_batch_free(struct op *op)
{
    op->failed += quire_machine_free_batch(memory.up.machine, frames, op->n, NULL) != 0;
}

static void call(void *argument)
{
    struct op *op = argument;

    op->how(op);
}

uint64_t op_instructions(struct op *op)
{
    return single_step_call(call, op, NULL).instructions;
}

void op_count(const struct op_goal *goal, struct op *op, uint32_t per, uint64_t aside)
{
    struct instruction_count c;
    uint64_t each, locked;
    bool good;

    op->failed = 0;
    c = single_step_call(call, op, NULL);
    each = (c.instructions - aside + per - 1) / per;
    locked = (c.locked + per - 1) / per;
    print("@json {\"case\": \"%s\", \"value\": %lu, \"unit\": \"instructions\", "
          "\"locked\": %lu, \"linux\": %u}\n",
          goal->name, each, locked, goal->linux_takes);
    good = !op->failed && each <= goal->most && locked <= goal->most_locked;
    if (goal->linux_takes)
        tap(good, "%s: %lu instructions, %lu locked (limits %u, %u; Linux takes %u)%s", goal->name,
            each, locked, goal->most, goal->most_locked, goal->linux_takes,
            op->failed ? ", and was refused" : "");
    else
        tap(good, "%s: %lu instructions, %lu locked (limits %u, %u)%s", goal->name, each, locked,
            goal->most, goal->most_locked, op->failed ? ", and was refused" : "");
    if (!good)
        single_step_print_functions();
}
