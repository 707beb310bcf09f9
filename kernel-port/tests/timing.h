/* SPDX-License-Identifier: MIT
 *
 * timing.h - how long an operation takes on a CPU of one's choice, while all others sleep.
 */
#ifndef KERNEL_PORT_TESTS_TIMING_H
#define KERNEL_PORT_TESTS_TIMING_H

#include "op_cost.h"

#include <stdint.h>

/* Per operation, in tenths of timing_unit(). */
struct timing {
    uint64_t first, second;
    uint64_t failed; /* calls that were refused */
};

/* Find out what the clock counts: nanoseconds, or instructions (-icount). First CPU, once. */
void timing_init(void);
const char *timing_unit(void);

/* The middle one of several runs of first(op), and of second(op), if there is one, after it. */
struct timing timing_of(uint32_t cpu, const struct op *op, void (*first)(struct op *),
                        void (*second)(struct op *));

#endif /* KERNEL_PORT_TESTS_TIMING_H */
