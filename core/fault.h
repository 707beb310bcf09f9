/* SPDX-License-Identifier: MIT
 *
 * fault.h - how whoever validates something says what is wrong with it, in one call. Private to
 * core and numa.
 *
 * No state. Wait-free, any context.
 */
#ifndef QUIRE_CORE_FAULT_H
#define QUIRE_CORE_FAULT_H

#include <quire/types.h>

/* Fill in *fault, if there is one, and return `error`. */
static inline int fault_set(struct quire_fault *fault, int error, const char *what, uint64_t where,
                            uint64_t found, uint64_t expected)
{
    if (fault)
        *fault = (struct quire_fault){.what = what,
                                      .where = where,
                                      .found = found,
                                      .expected = expected,
                                      .other = where,
                                      .error = error};
    return error;
}

/* The same of two things, `where` and `other`. */
static inline int fault_set_pair(struct quire_fault *fault, int error, const char *what,
                                 uint64_t where, uint64_t other, uint64_t found, uint64_t expected)
{
    fault_set(fault, error, what, where, found, expected);
    if (fault)
        fault->other = other;
    return error;
}

#endif /* QUIRE_CORE_FAULT_H */
