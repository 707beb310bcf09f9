/* SPDX-License-Identifier: MIT
 *
 * page_cache.c - the page cache of machine.h, and what drops pages from it.
 *
 * A frame's cell is found by scrambling its number, so two frames may want one cell: the later one
 * has it, and the thread that puts it there frees the earlier one. All accesses are exchanges or
 * compare-and-swaps of one cell, so a page is never in two hands.
 *
 * State: the page caches of all nodes; invariant N1 of machine.h. May run beside itself in any
 * thread, but for building and tearing down. Lock-free; page_cache_reclaim holds `reclaiming`, so
 * that the main thread can end it.
 */
#include "machine.h"

#include "host-harness/load/random.h"

#include <stdlib.h>

int page_cache_build(struct load *load)
{
    struct page_cache *caches = load->on_machine->page_caches;

    for (size_t z = 0; z < load->machine.zone_count; z++) {
        uint64_t managed = quire_zone_managed(&load->machine.zones[z].zone);

        caches[load->machine.zones[z].node].count +=
            managed < load->window ? managed : load->window;
    }
    for (unsigned n = 0; n < QUIRE_NODES; n++) {
        caches[n].count *= 2; /* cells: half of them stay empty or are fought for */
        caches[n].cells = calloc(caches[n].count ? caches[n].count : 1, sizeof(*caches[n].cells));
        if (!caches[n].cells)
            return -1;
    }
    return 0;
}

void page_cache_teardown(struct load *load)
{
    for (unsigned n = 0; n < QUIRE_NODES; n++)
        free(load->on_machine->page_caches[n].cells);
}

/* The cell of a frame; NULL after a violation. */
static qa64 *cell_of(struct worker *w, uint64_t pfn)
{
    quire_node node = machine_node_of(w, pfn);
    struct page_cache *cache;

    if (node.n == QUIRE_NO_NODE)
        return NULL;
    cache = &w->load->on_machine->page_caches[node.n];
    return &cache->cells[random_scramble(pfn) % cache->count];
}

static void drop(struct worker *w, uint64_t pfn)
{
    const struct held_run page = {pfn, 1, 0, false};

    call_free(w, 0, &page, 0);
    machine_thread(w)->counts[COUNT_DROPPED]++;
}

void page_cache_put(struct worker *w, uint64_t pfn)
{
    qa64 *cell = cell_of(w, pfn);
    uint64_t old;

    if (!cell)
        return;
    machine_thread(w)->counts[COUNT_CACHED]++;
    /* E-page-cache acq_rel: what was written into the page, by whichever thread put it there. */
    old = qa_xchg(cell, pfn + 1, acq_rel);
    if (old)
        drop(w, old - 1);
}

bool page_cache_drop_one(struct worker *w, uint64_t pfn)
{
    qa64 *cell = cell_of(w, pfn);
    uint64_t expected = pfn + 1;

    /* E-page-cache acq_rel: as above */
    if (!cell || !qa_cas(cell, &expected, 0, acq_rel))
        return false;
    drop(w, pfn);
    return true;
}

uint64_t page_cache_drop(struct worker *w, quire_node node, uint64_t frames)
{
    struct page_cache *cache = &w->load->on_machine->page_caches[node.n];
    struct held_run pages[LOAD_BATCH];
    uint64_t dropped = 0;
    uint32_t n = 0;

    for (uint64_t i = 0; i < cache->count && dropped + n < frames; i++) {
        uint64_t at =
            qa_add(&cache->next, 1, relaxed) % cache->count; /* relaxed: any cell will do */
        uint64_t got = 0;

        if (qa_load(&cache->cells[at], relaxed))          /* relaxed: the exchange decides */
            got = qa_xchg(&cache->cells[at], 0, acq_rel); /* E-page-cache acq_rel: as above */
        if (got)
            pages[n++] = (struct held_run){got - 1, 1, 0, false};
        if (n == LOAD_BATCH) {
            call_free_batch(w, 0, pages, n);
            dropped += n;
            n = 0;
        }
    }
    if (n > 0)
        call_free_batch(w, 0, pages, n);
    machine_thread(w)->counts[COUNT_DROPPED] += dropped + n;
    return dropped + n;
}

uint64_t page_cache_reclaim(void *ctx, quire_node node, uint64_t frames)
{
    struct load *load = ctx;
    struct machine_target *on = load->on_machine;
    uint64_t got = 0;

    machine_self = &on->helper;
    pthread_mutex_lock(&on->reclaiming);
    if (!on->closed && !load_violated(load))
        got = page_cache_drop(machine_self, node, frames);
    pthread_mutex_unlock(&on->reclaiming);
    return got;
}

uint64_t page_cache_last_resort(void *ctx, quire_node node, uint64_t frames)
{
    struct load *load = ctx;
    struct worker *w = machine_self ? machine_self : &load->workers[0];
    uint64_t got = load_violated(load) ? 0 : page_cache_drop(w, node, frames);

    /* relaxed: figures */
    qa_add(&load->on_machine->last_resorts, 1, relaxed);
    qa_add(&load->on_machine->last_resort_frames, got, relaxed);
    return got;
}
