/* SPDX-License-Identifier: MIT
 *
 * handover.h - the hand-over table: how runs of frames get from one thread to another. A cell is
 * empty or has one run. A thread that wants another to free its run exchanges it for whatever a
 * cell has, and frees that. One atomic exchange, so handing over is wait-free and a run is never in
 * the table twice nor lost.
 *
 * State: cells, 64 bytes apart. Invariant: a cell is 0 or a run that no thread holds, packed.
 * The exchange releases what the giver did with the run (its payload) and acquires it for the
 * taker. A reader sees nothing stale, as all accesses are exchanges.
 */
#ifndef HOST_HARNESS_LOAD_HANDOVER_H
#define HOST_HARNESS_LOAD_HANDOVER_H

#include "core/atomic.h"

#include <stddef.h>

enum {
    HANDOVER_CELLS_PER_THREAD = 16,
    HANDOVER_FRAME_BITS = 11, /* runs of up to 2^11 - 1 frames fit */
};

struct handover_cell {
    _Alignas(64) qa64 run;
};

struct handover {
    struct handover_cell *cells;
    size_t count;
};

/* A run in the table; frames == 0 is none. */
struct handover_run {
    uint64_t pfn;
    uint32_t frames;
    bool contig;
};

/* 0, or -1 without memory. */
int handover_build(struct handover *handover, uint32_t threads);
void handover_teardown(struct handover *handover);

/* Put `run` (or nothing) into cell `at` and return what was there. Wait-free. */
struct handover_run handover_exchange(struct handover *handover, size_t at,
                                      struct handover_run run);

#endif /* HOST_HARNESS_LOAD_HANDOVER_H */
