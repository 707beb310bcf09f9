/* SPDX-License-Identifier: MIT
 *
 * machine_load.h - what each thread of the stress run does to the machine, and the books: who holds
 * which frame, in a shadow for each node (stress/common/shadow.h). Everything here may be called by
 * any thread, and by signal handlers with a holder of their own.
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H
#define QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H

#include "stress/common/random.h"
#include "stress/common/shadow.h"
#include "stress/numa/machine/machine_rig.h"

enum {
    NODES = 3,
    CPUS = 2, /* a node */
    FRAMES = 8 * BLOCK,
    HOLD = 2500,   /* runs a thread holds at most: more than there are without a node */
    NOBODY = 1000, /* holds what is offline */
};

/* What somebody holds. */
struct holder {
    uint32_t who; /* not 0, one for each holder */
    uint64_t random;
    uint32_t count, most;
    uint64_t calls, refused, given; /* given: as the machine counts, runs and frames of batches */
    struct quire_run held[HOLD];
};

extern struct rig rig;
extern _Atomic uint32_t leaving; /* everybody gives back what he has of this node */

/* Begin and end the books of a machine that is described and full. */
void books_open(void);
void books_close(void);
uint64_t draw(struct holder *h, uint64_t below);
/* `who` got the frames of a run, or is about to give them up. */
void book(struct quire_run run, uint32_t who);
void unbook(struct quire_run run, uint32_t who);
void give_back(struct holder *h, uint32_t i);
/* One call, or a few. */
void act(struct holder *h);

#endif /* QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H */
