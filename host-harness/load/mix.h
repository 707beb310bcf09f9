/* SPDX-License-Identifier: MIT
 *
 * mix.h - the operation sequence of `quire run`: what is done how often, and the published
 * distribution of orders.
 *
 * Every operation is made of four random numbers of its thread, whatever it is and whatever came
 * of the operations before, so a seed repeats the sequence exactly.
 *
 * Orders. The base are two traces of Linux 6 (tracepoints of the page allocator): a kernel build
 * on a desktop with 2 CPUs (1,241,072 allocations) and the same on a machine of 8 CPUs and 4
 * nodes (566,988). Together, per order 0 .. 10:
 *
 *     1789130  2320  487  15243  637  8  1  1  1  232  0
 *
 * that is 98.95 %, 0.13 %, 0.03 %, 0.84 %, 0.04 % ... On its own this would hardly reach the paths
 * of orders 5 to 8 and 10. So one allocation in eight comes from a second distribution in which
 * all orders take the same amount of memory (order k has the weight 2^-k):
 *
 *     share(k) = 7/8 * trace(k) / sum(trace) + 1/8 * 2^-k / sum(2^-j, j = 0 .. 10)
 *
 * mix_orders is that, per 100,000 allocations. An allocation has 1.67 frames in the mean.
 *
 * No state but the tables; pure functions, wait-free.
 */
#ifndef HOST_HARNESS_LOAD_MIX_H
#define HOST_HARNESS_LOAD_MIX_H

#include "run.h"

enum mix_kind {
    MIX_ALLOC,       /* one run of an order drawn from mix_orders */
    MIX_FREE,        /* one run that the thread holds */
    MIX_ALLOC_BATCH, /* 64 single frames */
    MIX_FREE_BATCH,
    MIX_ALLOC_RUNS,   /* up to 1024 frames in few runs */
    MIX_ALLOC_CONTIG, /* up to 2048 frames, with alignment, boundary and limits */
    MIX_PASS,         /* leave a run to another thread, free one of another thread */
    MIX_ALLOC_AT,     /* a given place */
    MIX_SHAPE,        /* split a run, join single frames */
    MIX_RESERVE,      /* take free frames out of use for a moment */
    MIX_BURST,        /* fill, then empty */
    MIX_REFUSE,       /* something wrong, which must be refused */
};
enum { MIX_KINDS = 12 };

enum {
    MIX_KIND_SUM = 1000,
    MIX_ORDER_SUM = 100000,
    MIX_FLOOD_PERIOD = 1 << 17, /* operations from one flood of a thread to its next */
    MIX_FLOOD_FIRST = 1 << 10,  /* operations before its first, and more for higher threads */
};

struct mix_kind_row {
    const char *name;
    uint32_t weight; /* of MIX_KIND_SUM */
};
extern const struct mix_kind_row mix_kinds[MIX_KINDS];
extern const uint32_t mix_orders[RUN_ORDERS]; /* of MIX_ORDER_SUM */

struct operation {
    enum mix_kind kind;
    uint32_t zone;
    unsigned order;
    uint32_t flags; /* of enum quire_flags */
    bool flood;     /* a burst without a limit but the watermark's */
    uint64_t a, b;  /* for whatever else has to be chosen */
};

/* An order by mix_orders, from 32 random bits. */
unsigned mix_draw_order(uint32_t bits);

/* The state before a thread's first operation. */
uint64_t mix_seed(uint64_t seed, uint32_t thread);

/* Draw operation number `index` of thread w, and add it to the digest of its sequence. */
struct operation mix_draw(struct worker *w, uint64_t index);

#endif /* HOST_HARNESS_LOAD_MIX_H */
