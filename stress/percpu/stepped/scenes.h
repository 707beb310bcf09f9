/* SPDX-License-Identifier: MIT
 *
 * scenes.h - the calls into a cache that are watched (stress/common/tracee.h), and what the child
 * tells its parent.
 *
 * There is one CPU. The handler of SIGUSR1 allocates and frees through the same cache (scenes.c),
 * and pauses at its end.
 */
#ifndef QUIRE_STRESS_PERCPU_STEPPED_SCENES_H
#define QUIRE_STRESS_PERCPU_STEPPED_SCENES_H

#include "stress/common/tracee.h"

extern const struct scene scenes[];
extern const unsigned scene_count;

/* What the child tells its parent. */
struct shared {
    _Atomic uint64_t handled;    /* signals */
    _Atomic uint64_t handler_ip; /* what the last one interrupted */
    _Atomic uint64_t bypasses;   /* of the cache, by the call */
};
extern struct shared *shared;

/* Take the mode from the program's arguments, and make what the children inherit. Skips the program
 * where it cannot work. */
void scenes_open(int argc, char *const argv[]);

#endif /* QUIRE_STRESS_PERCPU_STEPPED_SCENES_H */
