/* SPDX-License-Identifier: MIT
 *
 * op_cost.c - see op_cost.h. State: the frames of the bulk operations; one CPU at a time.
 */
#include "op_cost.h"

#include "kernel-port/kernel/memory.h"

static quire_pfn frames[OPS_FRAMES];

void op_pairs(struct op *op)
{
    quire_pfn pfn;

    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_machine_alloc(memory.up.machine, op->request.order, 0, &pfn) ||
                      quire_machine_free(memory.up.machine, pfn, op->request.order);
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
