/* SPDX-License-Identifier: MIT
 *
 * words.h - the atomic words of a space, by name. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_WORDS_H
#define QUIRE_VM_WORDS_H

#include "core/atomic.h"

#include <quire/space.h>

/* Frames that are counted against the limit: see file/limit.c. */
static inline qa64 *frames_of(struct quire_space *space)
{
    return (qa64 *)&space->frames;
}

/* So many faults still come again before one ends the promotion. */
static inline qa64 *patience_of(struct quire_space *space)
{
    return (qa64 *)&space->large.patience;
}

#endif /* QUIRE_VM_WORDS_H */
