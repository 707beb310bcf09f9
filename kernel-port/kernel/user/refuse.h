/* SPDX-License-Identifier: MIT
 *
 * refuse.h - how a reader of files says why it refuses one. Private to this folder.
 */
#ifndef KERNEL_PORT_KERNEL_USER_REFUSE_H
#define KERNEL_PORT_KERNEL_USER_REFUSE_H

#include <quire/types.h>

/* Fill in *fault, and return `error`. */
static inline int refuse(struct quire_fault *fault, int error, const char *what, uint64_t where,
                         uint64_t found, uint64_t expected)
{
    *fault = (struct quire_fault){.what = what,
                                  .where = where,
                                  .other = where,
                                  .found = found,
                                  .expected = expected,
                                  .error = error};
    return error;
}

#endif /* KERNEL_PORT_KERNEL_USER_REFUSE_H */
