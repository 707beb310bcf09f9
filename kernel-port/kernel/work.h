/* SPDX-License-Identifier: MIT
 *
 * work.h - one piece of work for many CPUs, and grace periods.
 *
 * The first CPU hands out work, takes part in it, and waits for the others. All others sleep until
 * there is some. A CPU that sleeps, or says work_quiet, reads nothing that was published: when each
 * CPU has done so, whoever waited for readers may give the old version back.
 */
#ifndef KERNEL_PORT_KERNEL_WORK_H
#define KERNEL_PORT_KERNEL_WORK_H

#include <stdbool.h>
#include <stdint.h>

typedef void work(void *argument);

/* Once, on the first CPU, before the others start. */
void work_init(void);

/* Run what(argument) on every CPU, or on those of a node, this one included if it is one of them;
 * return when all are done. First CPU only. */
void work_on_all(work *what, void *argument);
void work_on_node(uint32_t node, work *what, void *argument);

/* Wait for work, for good: what a further CPU does. */
_Noreturn void work_wait(void);

/* All CPUs that take part in the present work wait here for each other. */
void work_meet(void);

/* Index of this CPU among those that take part, and how many they are. */
uint32_t work_place(void);
uint32_t work_crew(void);

/* This CPU holds nothing that it read from a snapshot. */
void work_quiet(void);

/* Return when every CPU was quiet, or asleep, at some moment since the call. Thread only. */
void work_wait_for_readers(void);

#endif /* KERNEL_PORT_KERNEL_WORK_H */
