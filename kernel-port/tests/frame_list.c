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

static void push(struct frame_list *list, quire_pfn pfn)
{
    shadow_take(pfn, 1, list->tag, SHADOW_LIGHT);
    *link_of(pfn) = list->first.n;
    list->first = pfn;
    list->count++;
}

void frame_list_take(struct frame_list *list, struct quire_zone *zone, uint32_t flags,
                     uint64_t most)
{
    quire_pfn pfns[BATCH];
    size_t got;

    while (list->count < most) {
        uint64_t want = most - list->count < BATCH ? most - list->count : BATCH;
        int error =
            quire_zone_alloc_batch(zone, memory_slot(), flags | QUIRE_PARTIAL, want, pfns, &got);

        if (error == QUIRE_ERR_NO_MEMORY)
            return;
        if (error) {
            shadow_wrong("a batch failed oddly", quire_pfn_of(0), (uint64_t)error, 0);
            return;
        }
        for (size_t i = 0; i < got; i++)
            push(list, pfns[i]);
    }
}

static void give_back(quire_pfn pfns[], size_t n)
{
    size_t bad = 0;
    int error = quire_zone_free_batch(memory_zone(pfns[0]), memory_slot(), pfns, n, &bad);

    if (error)
        shadow_wrong("a batch was not freed", pfns[bad], (uint64_t)error, 0);
}

void frame_list_free(struct frame_list *list)
{
    quire_pfn pfns[BATCH];
    size_t n = 0;

    while (list->first.n) {
        quire_pfn pfn = list->first;

        if (n == BATCH || (n && memory_zone(pfn) != memory_zone(pfns[0]))) {
            give_back(pfns, n);
            n = 0;
        }
        list->first.n = *link_of(pfn);
        list->count--;
        shadow_give(pfn, 1, list->tag, SHADOW_LIGHT);
        if (!memory_zone(pfn))
            return; /* told by shadow_give; there is no way on */
        pfns[n++] = pfn;
    }
    if (n)
        give_back(pfns, n);
}
