/* SPDX-License-Identifier: MIT
 *
 * nodes_page_cache.c - the page cache of nodes.h, and what reclaims from it.
 *
 * A frame's cell is found by scrambling its number, so two frames may want one cell: the later one
 * has it, and whoever puts it there frees the earlier one. All accesses are exchanges or
 * compare-and-swaps of one cell: a page is never in two hands. Lock-free.
 */
#include "check.h"
#include "nodes.h"
#include "random.h"

#include <stdlib.h>

_Thread_local struct worker *nodes_self;

int shelf_build(struct nodes *nodes, const struct run *run)
{
    for (size_t z = 0; z < run->machine.zone_count; z++) {
        uint64_t managed = quire_zone_managed(&run->machine.zones[z].zone);

        nodes->shelves[run->machine.zones[z].node].count +=
            managed < run->window ? managed : run->window;
    }
    for (unsigned n = 0; n < QUIRE_NODES; n++) {
        struct shelf *shelf = &nodes->shelves[n];

        shelf->count *= 2; /* cells: half of them stay empty or are fought for */
        shelf->cells = calloc(shelf->count ? shelf->count : 1, sizeof(*shelf->cells));
        if (!shelf->cells)
            return -1;
    }
    return 0;
}

void shelf_teardown(struct nodes *nodes)
{
    for (unsigned n = 0; n < QUIRE_NODES; n++)
        free(nodes->shelves[n].cells);
}

/* The shelf and cell of a frame; NULL after a violation. */
static qa64 *cell_of(struct worker *w, uint64_t pfn)
{
    quire_node node = node_of(w, pfn);
    struct shelf *shelf;

    if (node.n == QUIRE_NO_NODE)
        return NULL;
    shelf = &w->run->nodes->shelves[node.n];
    return &shelf->cells[random_mix(pfn) % shelf->count];
}

static void drop(struct worker *w, uint64_t pfn)
{
    const struct record record = {pfn, 1, 0, false};

    node_free(w, &record);
    nodes_thread(w)->dropped++;
}

void shelf_put(struct worker *w, uint64_t pfn)
{
    qa64 *cell = cell_of(w, pfn);
    uint64_t old;

    if (!cell)
        return;
    nodes_thread(w)->shelved++;
    /* E-page-cache acq_rel: what was written into the page, by whoever put it there. */
    old = qa_xchg(cell, pfn + 1, acq_rel);
    if (old)
        drop(w, old - 1);
}

bool shelf_drop_one(struct worker *w, uint64_t pfn)
{
    qa64 *cell = cell_of(w, pfn);
    uint64_t expected = pfn + 1;

    /* E-page-cache acq_rel: as above */
    if (!cell || !qa_cas(cell, &expected, 0, acq_rel))
        return false;
    drop(w, pfn);
    return true;
}

uint64_t shelf_drop(struct worker *w, quire_node node, uint64_t frames)
{
    struct shelf *shelf = &w->run->nodes->shelves[node.n];
    struct record records[NODES_BATCH];
    uint64_t dropped = 0;
    uint32_t n = 0;

    for (uint64_t i = 0; i < shelf->count && dropped + n < frames; i++) {
        uint64_t at =
            qa_add(&shelf->hand, 1, relaxed) % shelf->count; /* relaxed: any cell will do */
        uint64_t got = 0;

        if (qa_load(&shelf->cells[at], relaxed))          /* relaxed: the exchange decides */
            got = qa_xchg(&shelf->cells[at], 0, acq_rel); /* E-page-cache acq_rel: as above */
        if (got)
            records[n++] = (struct record){got - 1, 1, 0, false};
        if (n == NODES_BATCH) {
            node_free_batch(w, records, n);
            dropped += n;
            n = 0;
        }
    }
    if (n > 0)
        node_free_batch(w, records, n);
    nodes_thread(w)->dropped += dropped + n;
    return dropped + n;
}

uint64_t shelf_reclaim(void *ctx, quire_node node, uint64_t frames)
{
    struct run *run = ctx;
    struct nodes *nodes = run->nodes;
    uint64_t got = 0;

    nodes_self = &nodes->helper;
    pthread_mutex_lock(&nodes->reclaiming);
    if (!nodes->closed && !run_violated(run))
        got = shelf_drop(nodes_self, node, frames);
    pthread_mutex_unlock(&nodes->reclaiming);
    return got;
}

uint64_t shelf_last_resort(void *ctx, quire_node node, uint64_t frames)
{
    struct run *run = ctx;
    struct worker *w = nodes_self ? nodes_self : &run->workers[0];
    uint64_t got = run_violated(run) ? 0 : shelf_drop(w, node, frames);

    /* relaxed: figures */
    qa_add(&run->nodes->last_resorts, 1, relaxed);
    qa_add(&run->nodes->last_resort_frames, got, relaxed);
    return got;
}
