/* SPDX-License-Identifier: MIT
 *
 * handover.c - the table of handover.h. A packed run is, from the highest bit down: contig, pfn,
 * number of frames. Never 0, as a run has a frame.
 */
#include "handover.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t contig_bit = 1ULL << 63;
static const uint64_t frame_mask = (1ULL << HANDOVER_FRAME_BITS) - 1;

int handover_build(struct handover *handover, uint32_t threads)
{
    handover->count = (size_t)threads * HANDOVER_CELLS_PER_THREAD;
    handover->cells =
        aligned_alloc(sizeof(struct handover_cell), handover->count * sizeof(struct handover_cell));
    if (!handover->cells)
        return -1;
    memset(handover->cells, 0, handover->count * sizeof(struct handover_cell));
    return 0;
}

void handover_teardown(struct handover *handover)
{
    free(handover->cells);
    *handover = (struct handover){0};
}

struct handover_run handover_exchange(struct handover *handover, size_t at, struct handover_run run)
{
    uint64_t given = run.pfn << HANDOVER_FRAME_BITS | run.frames | (run.contig ? contig_bit : 0);
    /* E-handover acq_rel: the giver's writes to the frames. */
    uint64_t got = qa_xchg(&handover->cells[at].run, run.frames ? given : 0, acq_rel);
    struct handover_run taken = {
        .pfn = (got & ~contig_bit) >> HANDOVER_FRAME_BITS,
        .frames = (uint32_t)(got & frame_mask),
        .contig = (got & contig_bit) != 0,
    };

    return taken;
}
