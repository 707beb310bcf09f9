/* SPDX-License-Identifier: MIT
 *
 * machine_load.h - what each thread of the stress runs does to the machine, and the books: who
 * holds which frame, in a shadow for each zone (stress/common/shadow.h). Everything here may be
 * called by any thread, and by signal handlers and the zones' callbacks with a holder of their own.
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H
#define QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H

#include "stress/common/random.h"
#include "stress/common/shadow.h"
#include "stress/numa/machine/machine_rig.h"

enum {
    HOLD = 2500,   /* runs a thread holds at most: more than a small machine has */
    STOCK = 64,    /* frames of a mempool at most */
    NOBODY = 1000, /* holds what is offline */
    NO_ZONE = 1 << 20,
};

/* A mempool of a thread, from which its signal handler and its callbacks take too. */
struct stock {
    uint32_t who; /* holds what is left */
    _Atomic bool open;
    struct quire_mempool pool;
    quire_pfn pfns[STOCK];
};

/* What somebody holds. */
struct holder {
    uint32_t who; /* not 0, one for each holder */
    uint64_t random;
    uint32_t count, most;
    uint64_t calls, refused, given; /* given: as the machine counts, runs and frames of batches */
    struct stock *stock;            /* to take from, or NULL */
    bool fills;                     /* it is the one that fills the stock */
    struct {
        struct quire_run run;
        bool contig; /* to be freed by its length */
    } held[HOLD];
};

extern struct rig rig;
extern _Atomic uint32_t leaving; /* everybody gives back what he has of this zone, or NO_ZONE */

/* Begin and end the books of a machine that is described and full. */
void books_open(void);
void books_close(void);
/* Frames that somebody holds, of zones in service or not. */
uint64_t books_held(void);
uint64_t draw(struct holder *h, uint64_t below);
/* `who` got the frames of a run, or is about to give them up. */
void book(struct quire_run run, uint32_t who);
void unbook(struct quire_run run, uint32_t who);
void give_back(struct holder *h, uint32_t i);
void give_all_back(struct holder *h);
/* One call, or a few. */
void act(struct holder *h);

#endif /* QUIRE_STRESS_NUMA_MACHINE_CONCURRENT_MACHINE_LOAD_H */
