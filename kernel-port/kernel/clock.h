/* SPDX-License-Identifier: MIT
 *
 * clock.h - time: the time stamp counter and the APIC timer, both measured against the PIT.
 */
#ifndef KERNEL_PORT_KERNEL_CLOCK_H
#define KERNEL_PORT_KERNEL_CLOCK_H

#include <stdint.h>

/* Measure, once, on the first CPU, with interrupts off. */
void clock_calibrate(void);

/* Counts a second. */
uint64_t clock_tsc_hz(void);
uint64_t clock_timer_hz(void);

/* Nanoseconds in `counts` of the time stamp counter. */
uint64_t clock_ns(uint64_t counts);

/* Wait, busily. */
void clock_wait_us(uint64_t us);

/* Timer interrupts on this CPU, this many a second; and none any more. */
void clock_tick(uint32_t hz);
void clock_quiet(void);

#endif /* KERNEL_PORT_KERNEL_CLOCK_H */
