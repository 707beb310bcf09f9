/* SPDX-License-Identifier: MIT
 *
 * load.h - what each thread of the stress run does to the machine, and the books: who holds which
 * frame. Everything here may be called by any thread, and by signal handlers with a holder of their
 * own.
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_LOAD_H
#define QUIRE_STRESS_NUMA_MACHINE_LOAD_H

#include "rig.h"

enum {
    NODES = 3,
    CPUS = 2, /* a node */
    FRAMES = 8 * BLOCK,
    HOLD = 2500, /* runs a thread holds at most: more than there are without a node */
};

/* What somebody holds. */
struct holder {
    uint64_t random;
    uint32_t count, most;
    uint64_t calls, refused, given; /* given: as the machine counts, runs and frames of batches */
    struct quire_run held[HOLD];
};

extern struct rig rig;
extern _Atomic uint32_t leaving; /* everybody gives back what he has of this node */

uint64_t draw(struct holder *h, uint64_t below);
/* The frames of a run change hands: 0 is the allocator's. */
void book(struct quire_run run, uint8_t from, uint8_t to);
void give_back(struct holder *h, uint32_t i);
/* One call, or a few. */
void act(struct holder *h);

#endif /* QUIRE_STRESS_NUMA_MACHINE_LOAD_H */
