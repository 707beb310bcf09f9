/* SPDX-License-Identifier: MIT
 *
 * handover.h - how runs get from one thread to another: a board of cells, each empty or with one
 * run on it. Whoever wants somebody else to free his run exchanges it for whatever a cell shows,
 * and frees that. One atomic exchange, so passing is wait-free and a run is never on the board
 * twice nor lost.
 *
 * State: cells, 64 bytes apart. Invariant: a cell is 0 or a run that nobody holds, packed.
 * The exchange releases what the giver did with the run (its payload) and acquires it for the
 * taker. A reader sees nothing stale, as all accesses are exchanges.
 */
#ifndef HOST_HARNESS_LOAD_HANDOVER_H
#define HOST_HARNESS_LOAD_HANDOVER_H

#include "core/atomic.h"

#include <stddef.h>

enum {
    BOARD_CELLS_PER_THREAD = 16,
    BOARD_FRAME_BITS = 11, /* runs of up to 2^11 - 1 frames fit */
};

struct board_cell {
    _Alignas(64) qa64 run;
};

struct board {
    struct board_cell *cells;
    size_t count;
};

/* A run on the board; frames == 0 is none. */
struct board_run {
    uint64_t pfn;
    uint32_t frames;
    bool contig;
};

/* 0, or -1 without memory. */
int board_build(struct board *board, uint32_t threads);
void board_teardown(struct board *board);

/* Put `run` (or nothing) into cell `at` and return what was there. Wait-free. */
struct board_run board_exchange(struct board *board, size_t at, struct board_run run);

#endif /* HOST_HARNESS_LOAD_HANDOVER_H */
