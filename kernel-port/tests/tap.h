/* SPDX-License-Identifier: MIT
 *
 * tap.h - results, in the Test Anything Protocol, version 13, on the console. First CPU only.
 */
#ifndef KERNEL_PORT_TESTS_TAP_H
#define KERNEL_PORT_TESTS_TAP_H

#include <stdbool.h>
#include <stdint.h>

/* One result. The text says what holds if `good`. Returns `good`. */
bool tap(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One result: the two are equal. Prints both if not. */
bool tap_equal(uint64_t found, uint64_t expected, const char *what);

/* What cannot be tested here, and why: a result that is good, and says so. */
void tap_skip(const char *what, const char *why);

/* A line that explains. */
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The plan, after everything. True if there were results and all were good. */
bool tap_end(void);

#endif /* KERNEL_PORT_TESTS_TAP_H */
