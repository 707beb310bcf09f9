/* SPDX-License-Identifier: MIT
 *
 * books.h - who owns which run of a machine, and what lies in its frames; and a mover for them.
 *
 * A run is a place in runs[]. Each frame has a cell with its owner's place, which is exchanged, and
 * a plain word that stands for what the owner keeps there: for ThreadSanitizer to see whether the
 * allocator and the mover order who writes it. Threads use places of their own; the mover, any.
 */
#ifndef QUIRE_STRESS_NUMA_COMPACT_BOOKS_H
#define QUIRE_STRESS_NUMA_COMPACT_BOOKS_H

#include "stress/numa/machine/machine_rig.h"

#include <quire/compact.h>

enum books_state { BOOKS_FREE, BOOKS_USED, BOOKS_TAKEN };

struct books_run {
    _Atomic uint32_t state; /* enum books_state; TAKEN: being freed or moved */
    unsigned order;
    uint32_t flags;
    enum quire_move_answer answer; /* to who wants to move it */
    uint64_t pfn, value;
};

struct books {
    struct rig *rig;
    uint64_t base, frames;
    struct books_run *runs; /* place 0 is not used */
    uint32_t places;
    _Atomic uint32_t *cells;
    uint64_t *words;
    struct quire_mover mover;
    uint64_t asked, moved; /* by the mover, which is one at a time */
    /* Called before a move; NULL: nothing is. */
    void (*before_move)(struct books *b, uint64_t pfn);
};

/* For all frames of the rig's zones of node 0. */
void books_open(struct books *b, struct rig *r, uint64_t frames, uint32_t places);
void books_close(struct books *b);
/* Allocate for an empty place; what the allocation says. */
int books_alloc(struct books *b, uint32_t place, unsigned order, uint32_t flags);
void books_free(struct books *b, uint32_t place);
/* Free the run if it is there, and nobody moves it just now. */
bool books_try_free(struct books *b, uint32_t place);
/* Frames that are owned. */
uint64_t books_used(const struct books *b);
/* All frames of all runs are as their owners left them. */
void books_check(const struct books *b);
/* The place of the run that begins at the frame, or 0. */
uint32_t books_place(const struct books *b, uint64_t pfn);

#endif /* QUIRE_STRESS_NUMA_COMPACT_BOOKS_H */
