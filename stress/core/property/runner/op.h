/* SPDX-License-Identifier: MIT
 *
 * op.h - one operation on a zone as plain numbers, so that it can be drawn, printed, read back and
 * left out of a sequence without changing what the others mean.
 *
 * Frames are named by places (model.h). An operation that says *near* works on the first run at or
 * after its place, so it finds one in most states. As text an operation is one line: the name, then
 * slot, flags and the arguments that the kind has, as in
 *
 *     alloc slot=1 flags=0x3 order=4
 */
#ifndef QUIRE_STRESS_CORE_PROPERTY_OP_H
#define QUIRE_STRESS_CORE_PROPERTY_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum op_kind {
    OP_ALLOC = 0,      /* order */
    OP_BATCH,          /* n: a batch of single frames */
    OP_RUNS,           /* frames, capacity */
    OP_CONTIG,         /* frames, align, boundary, low, high: bytes, from the zone's first byte */
    OP_AT,             /* place, order */
    OP_FREE,           /* near: by its order if it has one, else by its length */
    OP_FREE_ANY,       /* near: without an order */
    OP_FREE_CONTIG,    /* near: by its length */
    OP_FREE_BATCH,     /* near, n, twist: single frames from there on; see enum op_twist */
    OP_FREE_AT,        /* place, order: usually wrong */
    OP_FREE_CONTIG_AT, /* place, frames */
    OP_FREE_ANY_AT,    /* place */
    OP_LENGTH,         /* place */
    OP_RESERVE,        /* place, frames */
    OP_UNRESERVE,      /* near, frames: of the first reserved stretch, as many as there are */
    OP_UNRESERVE_AT,   /* place, frames */
    OP_SPLIT,          /* near */
    OP_SPLIT_AT,       /* place, order */
    OP_JOIN,           /* place */
    OP_RETIRE,         /* the slot */
    OP_KINDS
};

/* What is wrong with a batch of frees. */
enum op_twist {
    OP_STRAIGHT = 0, /* nothing */
    OP_TWICE,        /* the last frame is the first one again */
    OP_ASTRAY,       /* the middle frame is the one at place near + n */
    OP_BACKWARDS,    /* nothing, but from the last frame to the first */
    OP_TWISTS
};

enum { OP_ARGUMENTS = 5 };

struct op {
    enum op_kind kind;
    uint32_t slot;
    uint32_t flags;
    uint64_t arg[OP_ARGUMENTS];
};

/* ---- Text -------------------------------------------------------------------------------- */

enum { OP_TEXT = 200 };
void op_print(const struct op *op, char text[OP_TEXT]);
/* False: not an operation. */
bool op_parse(const char *text, struct op *op);

/* ---- Drawing ----------------------------------------------------------------------------- */

/* Where numbers come from: a generator, or a fuzzer's bytes. */
struct source {
    uint64_t (*below)(struct source *source, uint64_t bound); /* 0 .. bound - 1; bound >= 1 */
    unsigned mood;                                            /* drawn now and then */
};

/* stress/common/random.h, for tests that must be repeatable. */
struct random_source {
    struct source source;
    uint64_t state;
};
void random_open(struct random_source *r, uint64_t seed);

/* What there is to draw from. */
struct op_limits {
    uint64_t frames;
    uint32_t slots;
};
struct op op_draw(struct source *source, const struct op_limits *limits);

#endif /* QUIRE_STRESS_CORE_PROPERTY_OP_H */
