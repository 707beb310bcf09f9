/* SPDX-License-Identifier: MIT
 *
 * this_cpu.h - the CPU's number for the layers' short ways, as test_this_cpu.c sets it.
 */
#ifndef STRESS_PERCPU_SMALLEST_THIS_CPU_H
#define STRESS_PERCPU_SMALLEST_THIS_CPU_H

#include <stdint.h>

extern uint32_t cpu_now;

static inline uint32_t quire_this_cpu(void)
{
    return cpu_now;
}

#endif /* STRESS_PERCPU_SMALLEST_THIS_CPU_H */
