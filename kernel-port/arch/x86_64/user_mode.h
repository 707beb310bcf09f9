/* SPDX-License-Identifier: MIT
 *
 * user_mode.h - in and out of user mode.
 *
 * A trap in user mode is the return of a function: user_enter goes to user mode with the registers
 * of a frame, and returns when the program traps, with its registers in that same frame: the
 * processor pushes them there, as the task state says that the stack for traps ends where the frame
 * does. So what a program did is handled by plain code on the CPU's usual stack, and a CPU has no
 * stack for each task. Interrupts are off in the kernel all the while.
 *
 * NMIs, double faults and machine checks are not returns: they have stacks of their own, are
 * handled there, and the program goes on, or the kernel where it was.
 *
 * GS is the kernel's own in the kernel, and 0 in user mode (a program can load a selector, whose
 * descriptor has the base 0, but not set a base, as CR4.FSGSBASE is off). The two are exchanged at
 * the last instruction before user mode and at the first after it. An NMI may come between, and
 * looks which of the two there is: the kernel's is negative.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_USER_MODE_H
#define KERNEL_PORT_ARCH_X86_64_USER_MODE_H

#include "trap.h"

/* A program starts with these registers, all others 0. */
void user_frame_init(struct trap_frame *frame, uint64_t rip, uint64_t rsp, uint64_t rdi);

/* Each CPU, once, before user_enter: no floating point unit in user mode. */
void user_mode_init(void);

/* Run the program until it traps; frame->vector says why. The frame is aligned to 16 bytes. With
 * interrupts off. */
void user_mode_run(struct trap_frame *frame);

/* Handle the interrupt that the frame is about, as if it had come in the kernel. */
void trap(struct trap_frame *frame);

/* What the processor says of a fault in user mode. */
const char *trap_name(uint64_t vector);

#endif /* KERNEL_PORT_ARCH_X86_64_USER_MODE_H */
