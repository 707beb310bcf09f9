/* SPDX-License-Identifier: MIT
 *
 * panic.h - the end: say why, with a backtrace, stop every CPU, leave the machine.
 */
#ifndef KERNEL_PORT_KERNEL_LIB_PANIC_H
#define KERNEL_PORT_KERNEL_LIB_PANIC_H

#include <stdint.h>

struct trap_frame;

/* Of any context. The first CPU that comes here speaks, all others stop. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for an exception: its registers too. */
_Noreturn void panic_at(const struct trap_frame *frame, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is this CPU asked to stop because another one panicked? Stops it if so. Any context. */
void panic_check(void);

/* The function that holds `address`, and how far into it; "?" if none does. */
const char *symbol_of(uint64_t address, uint64_t *offset);

#endif /* KERNEL_PORT_KERNEL_LIB_PANIC_H */
