/* SPDX-License-Identifier: MIT
 *
 * handover.c - the board of handover.h. A packed run is, from the highest bit down: contig, pfn,
 * number of frames. Never 0, as a run has a frame.
 */
#include "handover.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t contig_bit = 1ULL << 63;
static const uint64_t frame_mask = (1ULL << BOARD_FRAME_BITS) - 1;

int board_build(struct board *board, uint32_t threads)
{
    board->count = (size_t)threads * BOARD_CELLS_PER_THREAD;
    board->cells =
        aligned_alloc(sizeof(struct board_cell), board->count * sizeof(struct board_cell));
    if (!board->cells)
        return -1;
    memset(board->cells, 0, board->count * sizeof(struct board_cell));
    return 0;
}

void board_teardown(struct board *board)
{
    free(board->cells);
    *board = (struct board){0};
}

struct board_run board_exchange(struct board *board, size_t at, struct board_run run)
{
    uint64_t given = run.pfn << BOARD_FRAME_BITS | run.frames | (run.contig ? contig_bit : 0);
    /* E-handover acq_rel: the giver's writes to the frames. */
    uint64_t got = qa_xchg(&board->cells[at].run, run.frames ? given : 0, acq_rel);
    struct board_run taken = {
        .pfn = (got & ~contig_bit) >> BOARD_FRAME_BITS,
        .frames = (uint32_t)(got & frame_mask),
        .contig = (got & contig_bit) != 0,
    };

    return taken;
}
