/* SPDX-License-Identifier: MIT
 *
 * frame_list.c - see frame_list.h.
 */
#include "frame_list.h"

#include "kernel-port/kernel/memory.h"
#include "paging.h"
#include "shadow.h"

enum { BATCH = 64 };

static uint64_t *link_of(quire_pfn pfn)
{
    return (uint64_t *)direct(quire_phys(pfn)) + 1;
}

static void push(struct chain *chain, quire_pfn pfn)
{
    shadow_take(pfn, 1, chain->tag, SHADOW_LIGHT);
    *link_of(pfn) = chain->first.n;
    chain->first = pfn;
    chain->count++;
}

void chain_take(struct chain *chain, struct quire_zone *zone, uint32_t flags, uint64_t most)
{
    quire_pfn pfns[BATCH];
    size_t got;

    while (chain->count < most) {
        uint64_t want = most - chain->count < BATCH ? most - chain->count : BATCH;
        int error =
            quire_zone_alloc_batch(zone, memory_slot(), flags | QUIRE_PARTIAL, want, pfns, &got);

        if (error == QUIRE_ERR_NO_MEMORY)
            return;
        if (error) {
            shadow_wrong("a batch failed oddly", quire_pfn_of(0), (uint64_t)error, 0);
            return;
        }
        for (size_t i = 0; i < got; i++)
            push(chain, pfns[i]);
    }
}

static void give_back(quire_pfn pfns[], size_t n)
{
    size_t bad = 0;
    int error = quire_zone_free_batch(memory_zone(pfns[0]), memory_slot(), pfns, n, &bad);

    if (error)
        shadow_wrong("a batch was not freed", pfns[bad], (uint64_t)error, 0);
}

void chain_free(struct chain *chain)
{
    quire_pfn pfns[BATCH];
    size_t n = 0;

    while (chain->first.n) {
        quire_pfn pfn = chain->first;

        if (n == BATCH || (n && memory_zone(pfn) != memory_zone(pfns[0]))) {
            give_back(pfns, n);
            n = 0;
        }
        chain->first.n = *link_of(pfn);
        chain->count--;
        shadow_give(pfn, 1, chain->tag, SHADOW_LIGHT);
        if (!memory_zone(pfn))
            return; /* told by shadow_give; there is no way on */
        pfns[n++] = pfn;
    }
    if (n)
        give_back(pfns, n);
}
