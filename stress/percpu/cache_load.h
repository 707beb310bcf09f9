/* SPDX-License-Identifier: MIT
 *
 * cache_load.h - somebody who allocates and frees through a cache, at random, and keeps the books
 * in a shadow (stress/common/shadow.h). A thread has one, its signal handler another one. Used by
 * one of them at a time; safe in a signal handler.
 */
#ifndef QUIRE_STRESS_PERCPU_CACHE_LOAD_H
#define QUIRE_STRESS_PERCPU_CACHE_LOAD_H

#include "stress/common/shadow.h"
#include "stress/percpu/cache_rig.h"

enum { LOAD_MOST = 1024 };

struct load {
    struct rig *rig;
    struct shadow *shadow;
    uint32_t who;       /* not 0, one for each load */
    uint32_t most;      /* runs held at most, up to LOAD_MOST */
    bool only_frames;   /* no orders but 0 */
    bool full;          /* always near `most`: give a few, take as many */
    bool never_refused; /* a refusal is a failure */
    uint64_t random;

    uint64_t pfns[LOAD_MOST];
    uint8_t orders[LOAD_MOST];
    uint32_t count;
    uint32_t giving; /* frees to come, if `full` */
    uint64_t calls, refused;
};

/* One allocation or one free. Often many of a kind, so that magazines run empty and full. */
void load_act(struct load *l);
/* Hold n whole blocks, taken around the cache, so that a zone large enough for its cache's bound is
 * short of memory all the same. */
void load_hold(struct load *l, unsigned n);
/* Free everything. */
void load_empty(struct load *l);

/* At a quiescent moment: check_rest, and the zone's view of each frame against the shadow's: what
 * is held is allocated, and what is allocated and not held is cached. */
void check_books(const struct rig *r, struct shadow *s);

#endif /* QUIRE_STRESS_PERCPU_CACHE_LOAD_H */
