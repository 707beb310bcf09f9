/* SPDX-License-Identifier: MIT
 *
 * linear.h - is a history of real concurrent calls one that a zone used by a single thread could
 * have given? A checker after Wing and Gong, with Lowe's memory of what was tried. Freestanding.
 *
 * The zone is one block, one frame of which somebody holds all the time, so that the block is never
 * whole. A call says when it began and when it was over, by a clock that all share. The history is
 * right if each call can be given a moment between the two, such that what it answered is what
 * zone.h allows at that moment, with the effects of all calls before it and of no others:
 *   - frames that it got were free, those that it freed were allocated as that run;
 *   - a refusal (QUIRE_ERR_NO_MEMORY, QUIRE_ERR_BUSY of an allocation at a given place) was true,
 *     but for what other calls that were not over had in their hands: for each as many frames as it
 *     allocates or frees, whichever they were.
 * Nothing else is forgiven.
 *
 * One thread uses it at a time. A history has up to LINEAR_CALLS calls: longer ones are cut where
 * all threads rest, and the state goes on from there.
 */
#ifndef QUIRE_STRESS_CORE_LINEAR_H
#define QUIRE_STRESS_CORE_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LINEAR_CALLS = 32,
    LINEAR_FRAMES = 512,
    LINEAR_BATCH = 8,        /* frames of one batch */
    LINEAR_TRIED = 1u << 13, /* states that are remembered; more are tried again */
};

enum linear_kind {
    LINEAR_ALLOC, /* of an order */
    LINEAR_AT,    /* at frame[0], of an order */
    LINEAR_BATCH_ALLOC,
    LINEAR_FREE, /* at frame[0], of an order */
    LINEAR_BATCH_FREE,
};

struct linear_call {
    uint64_t begin, end; /* all of a history differ; begin < end */
    enum linear_kind kind;
    int result;                   /* of the call */
    unsigned order, n;            /* n: frames of a batch */
    uint16_t frame[LINEAR_BATCH]; /* from the zone's first */
};

/* Which frames are used, and which of them go on with the run of the frame before. */
struct linear_state {
    uint64_t used[LINEAR_FRAMES / 64], inside[LINEAR_FRAMES / 64];
};

/* What a search remembers; the caller's, of any content. */
struct linear_memory {
    uint64_t tried[LINEAR_TRIED];
    uint32_t stamp[LINEAR_TRIED];
    uint32_t search;
};

/* Is there such an order? Then *state, which is what the history began with, is what it ends with.
 * If not, `*stuck` is how many calls could be ordered at most, and *state is as it was. */
bool linear_check(struct linear_state *state, const struct linear_call calls[], unsigned n,
                  struct linear_memory *memory, unsigned *stuck);

#endif /* QUIRE_STRESS_CORE_LINEAR_H */
