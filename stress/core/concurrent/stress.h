/* SPDX-License-Identifier: MIT
 *
 * stress.h - one worker of the stress test: what it holds and what it may do. actions.c does it;
 * stress.c starts the threads and checks the zone while they rest. A worker is used by one
 * thread or by its signal handler; while all rest, by the main thread.
 */
#ifndef QUIRE_STRESS_CORE_CONCURRENT_STRESS_H
#define QUIRE_STRESS_CORE_CONCURRENT_STRESS_H

#include "mode.h"
#include "stress/common/die.h"
#include "stress/common/shadow.h"
#include "stress/common/sizes.h"

#include <quire/zone.h>

enum {
    HOLDINGS = 300, /* runs that one thread holds at most */
    ISOLATED = 3,   /* blocks that one isolation has at most */
};

enum kind {
    HELD_ORDER,    /* a run with an order */
    HELD_LENGTH,   /* a run of any length */
    HELD_SINGLES,  /* single frames side by side */
    HELD_RESERVED, /* taken out of use */
};

struct holding {
    enum kind kind;
    uint64_t pfn, frames;
};

struct worker {
    struct quire_zone *zone;
    struct shadow *shadow;
    uint32_t who; /* not 0 */
    quire_slot slot;
    uint64_t random;
    struct holding held[HOLDINGS];
    unsigned count;
    uint64_t frames; /* held */
    struct quire_isolation isolation;
    struct quire_isolated_frames isolated[ISOLATED]; /* what it holds, */
    struct quire_isolated_frames known[ISOLATED];    /* and what of it stands in the shadow */
    uint64_t done, refused;
    uint64_t due; /* a handler's: what its thread must have done before it acts again */
};

/* One operation, drawn at random. Aborts when the zone answers what it must not. */
void worker_act(struct worker *w);
/* Give up everything. */
void worker_empty(struct worker *w);
/* Begin an isolation, or go on with the one that the worker has (isolating.c). */
void worker_isolate(struct worker *w);
/* End it. */
void worker_give_back(struct worker *w);

#endif /* QUIRE_STRESS_CORE_CONCURRENT_STRESS_H */
