/* SPDX-License-Identifier: MIT
 *
 * op_cost.h - the operations that are counted and timed.
 */
#ifndef KERNEL_PORT_TESTS_OP_COST_H
#define KERNEL_PORT_TESTS_OP_COST_H

#include <quire/machine.h>

enum { OPS_FRAMES = 10000, OPS_BATCH = 512, OP_NOTHING = 2 };

/* What to do; `how` says which of these are read. */
struct op {
    void (*how)(struct op *op);
    struct quire_request request;
    struct quire_zone *zone;
    uint32_t n;      /* pairs, or frames in a batch */
    bool writes;     /* to what it reserves */
    uint64_t failed; /* calls that were refused */
};

/* `n` pairs of an allocation and a free: by quire_machine_alloc; of whatever `request` says; of
 * `zone` itself, without caches; or as op_pairs, but of functions of OP_NOTHING instructions, for
 * what its loop takes. */
void op_pairs(struct op *op);
void op_request_pairs(struct op *op);
void op_zone_pairs(struct op *op);
void op_no_pairs(struct op *op);

/* The same of single frames, by quire_machine_alloc, that are counted by kind. */
void op_counted_pairs(struct op *op);

/* `n` runs of the request's order, at most OPS_FRAMES: all allocated one by one; all freed, in the
 * same order. */
void op_allocate(struct op *op);
void op_free(struct op *op);
void op_burst(struct op *op); /* both */

/* `n` frames, at most OPS_BATCH, by one call; and back. */
void op_batch_allocate(struct op *op);
void op_batch_free(struct op *op);

/* How many instructions op->how(op) takes, by single steps. */
uint64_t op_instructions(struct op *op);

/* What an operation may take; what Linux 6.1 takes, or 0: not counted. */
struct op_goal {
    const char *name;
    uint32_t most, most_locked;
    uint32_t linux_takes;
};

/* Count the instructions of op->how(op), which does `per` operations, by single steps, and tell
 * them: for each, rounded up. `aside` instructions of all are not counted. */
void op_count(const struct op_goal *goal, struct op *op, uint32_t per, uint64_t aside);

#endif /* KERNEL_PORT_TESTS_OP_COST_H */
