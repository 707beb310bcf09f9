/* SPDX-License-Identifier: MIT
 *
 * die.h - how a test ends that is no cmocka test, or that is in a thread or a signal handler of
 * one; and memory that is not what it was.
 */
#ifndef QUIRE_STRESS_COMMON_DIE_H
#define QUIRE_STRESS_COMMON_DIE_H

#include <stddef.h>

enum { SKIPPED = 77 }; /* exit status: not applicable here, and said so */

/* Say what is wrong, in one line that begins with FAILED, and abort. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* Say why the test cannot be run here, and exit with SKIPPED. */
__attribute__((format(printf, 1, 2), noreturn)) void skip_all(const char *format, ...);

/* Die, naming the call, unless `error` is QUIRE_OK. */
void must(int error, const char *call);

/* Memory from the heap, a multiple of `align` bytes long, full of rubbish. Dies if there is none.
 */
void *rubbish(size_t align, size_t bytes);

#endif /* QUIRE_STRESS_COMMON_DIE_H */
