/* SPDX-License-Identifier: MIT
 *
 * history.h - calls of several threads on one zone, written down for linear.h. Freestanding: the
 * host's threads and the kernel's CPUs run the same.
 *
 * The zone has one block; frame LINEAR_FRAMES - 1 is held all the time, and of the others all but
 * the first `arena`, so that requests are refused often. In windows: all threads make a few calls
 * each, all rest, and the window is checked. Who is interrupted may make calls in the handler too,
 * as a worker of its own.
 *
 *   LH1  while all rest, `state` is the zone: which frames are used, and as which runs.
 *   LH2  a run is had by one worker, or lies on the table, from where any worker may free it.
 */
#ifndef QUIRE_STRESS_CORE_HISTORY_H
#define QUIRE_STRESS_CORE_HISTORY_H

#include "linear.h"

#include <quire/zone.h>

enum {
    HISTORY_WORKERS = 8,
    HISTORY_HELD = 48, /* runs that a worker has at most */
    HISTORY_TABLE = 4, /* runs on the table */
};

struct history_worker {
    struct history *history;
    quire_slot slot;
    uint64_t random;
    unsigned count, most; /* calls of this window */
    unsigned held;
    struct linear_call *call; /* [most] */
    uint32_t run[HISTORY_HELD];
};

struct history {
    struct quire_zone *zone;
    uint64_t first; /* pfn of the block */
    unsigned arena, workers;
    uint64_t clock;                /* the next moment; counted by all */
    uint32_t table[HISTORY_TABLE]; /* runs to be freed by anybody, or 0 */
    struct linear_state state;
    struct linear_memory memory;
    struct linear_call calls[LINEAR_CALLS]; /* of the window, worker by worker */
    struct history_worker worker[HISTORY_WORKERS];
    uint64_t windows, done, refused, met; /* met: pairs of calls that were under way together */
};

/* Begin with a zone of one wholly free block at pfn `first`: what is not in the arena is taken. The
 * i-th worker may make most[i] calls in a window, in all up to LINEAR_CALLS. False: the zone
 * refused. The history is zeroed before. */
bool history_begin(struct history *h, struct quire_zone *zone, uint64_t first, unsigned arena,
                   const unsigned most[], unsigned workers, uint32_t slots, uint64_t seed);

/* One call by this worker, if it has any left in this window. Any context. */
void history_act(struct history_worker *w);

/* While all rest: check the window, and begin the next one. False: it is not linearizable, and its
 * calls, *n of them, are the first in `calls`; *stuck of them could be ordered. */
bool history_window(struct history *h, unsigned *n, unsigned *stuck);

/* Give up everything that workers have. */
void history_end(struct history *h);

#endif /* QUIRE_STRESS_CORE_HISTORY_H */
