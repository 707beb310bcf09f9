/* SPDX-License-Identifier: MIT
 *
 * sequence.h - the operation sequence of `quire run`: what is done how often, and the published
 * distribution of orders.
 *
 * Every operation is made of four random numbers of its thread, whatever it is and whatever came
 * of the operations before, so a seed repeats the sequence exactly. Its kind is drawn from
 * those of the target, which also completes the request (target.h).
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
 * sequence_orders is that, per 100,000 allocations. An allocation has 1.67 frames in the mean.
 *
 * No state but the table and the worker's random number and digest; wait-free.
 */
#ifndef HOST_HARNESS_LOAD_SEQUENCE_H
#define HOST_HARNESS_LOAD_SEQUENCE_H

#include "target.h"

enum {
    SEQUENCE_KIND_SUM = 1000, /* what the weights of a target's kinds add up to */
    SEQUENCE_ORDER_SUM = 100000,
    SEQUENCE_FLOOD_PERIOD =
        1 << 17, /* on zones: operations from one flood of a thread to its next */
    SEQUENCE_FLOOD_FIRST = 1 << 10, /* operations before its first, and more for higher threads */
};

extern const uint32_t sequence_orders[LOAD_ORDERS]; /* of SEQUENCE_ORDER_SUM */

/* The state before a thread's first operation. */
uint64_t sequence_seed(uint64_t seed, uint32_t thread);

/* Draw operation number `index` of thread w, and add it to the digest of its sequence. */
struct operation sequence_draw(struct worker *w, uint64_t index);

#endif /* HOST_HARNESS_LOAD_SEQUENCE_H */
