/* SPDX-License-Identifier: MIT
 *
 * console.h - text on the first serial port, and how the machine is left.
 *
 * One CPU prints: the first one, or, while programs run, the one that has their lock
 * (user/fault.c), or, once there is a panic, the one that panicked. So there is no lock here, and a
 * panic's print never waits for another CPU.
 */
#ifndef KERNEL_PORT_KERNEL_CONSOLE_H
#define KERNEL_PORT_KERNEL_CONSOLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

void console_init(void);
void console_write(const char *text, size_t length);

/* A character that came in, typed or sent by whoever started the machine. False: there is none now.
 * Does not wait; one caller at a time. */
bool console_read(char *c);

/* The usual conversions: d u x c s p %, with l, z, a width (a star too), a zero or a minus before
 * it, and a precision for s. No float. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* The same into a buffer, cut where it is full; always ends in a zero byte. Returns the length. */
size_t print_into(char *buffer, size_t bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The verdict, as the isa-debug-exit device is told; QEMU ends with 2 * verdict + 1. On a machine
 * without the device the CPU stops. */
enum verdict { VERDICT_PASS = 0x10, VERDICT_FAIL = 0x11, VERDICT_PANIC = 0x12 };
_Noreturn void machine_exit(enum verdict verdict);

#endif /* KERNEL_PORT_KERNEL_CONSOLE_H */
