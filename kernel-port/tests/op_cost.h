/* SPDX-License-Identifier: MIT
 *
 * op_cost.h - the operations that are counted and timed.
 */
#ifndef KERNEL_PORT_TESTS_OP_COST_H
#define KERNEL_PORT_TESTS_OP_COST_H

#include <quire/machine.h>

enum { OPS_FRAMES = 10000, OPS_BATCH = 512 };

/* What to do; `how` says which of these are read. */
struct op {
    void (*how)(struct op *op);
    struct quire_request request;
    struct quire_zone *zone;
    uint32_t n;      /* pairs, or frames in a batch */
    uint64_t failed; /* calls that were refused */
};

/* `n` pairs of an allocation and a free: by quire_machine_alloc; of whatever `request` says; of
 * `zone` itself, without caches. */
void op_pairs(struct op *op);
void op_request_pairs(struct op *op);
void op_zone_pairs(struct op *op);

/* `n` runs of the request's order, at most OPS_FRAMES: all allocated one by one; all freed, in the
 * same order. */
void op_allocate(struct op *op);
void op_free(struct op *op);
void op_burst(struct op *op); /* both */

/* `n` frames, at most OPS_BATCH, by one call; and back. */
void op_batch_allocate(struct op *op);
void op_batch_free(struct op *op);

#endif /* KERNEL_PORT_TESTS_OP_COST_H */
