/* SPDX-License-Identifier: MIT
 *
 * single_step.h - count the instructions of a call, exactly, by single steps.
 */
#ifndef KERNEL_PORT_TESTS_SINGLE_STEP_H
#define KERNEL_PORT_TESTS_SINGLE_STEP_H

#include <stdint.h>

struct instruction_count {
    uint64_t instructions;
    uint64_t locked; /* with a lock prefix, and exchanges with memory, which lock without one */
};

/* Run call(argument) step by step, interrupts off, on this CPU. What the call itself takes, and
 * what brings it about, is in the count: about a dozen. After each instruction between() is called,
 * if there is one, as an interrupt would be. First CPU only. */
struct instruction_count single_step_call(void (*call)(void *argument), void *argument,
                                          void (*between)(void));

/* Where the last count's instructions were, by function, in the order of their first one. */
void single_step_print_functions(void);

#endif /* KERNEL_PORT_TESTS_SINGLE_STEP_H */
