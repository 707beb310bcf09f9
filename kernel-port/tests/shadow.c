/* SPDX-License-Identifier: MIT
 *
 * shadow.c - see shadow.h.
 *
 * State: a map per zone, one bit per frame of what the zone's blocks span; and the first fault.
 *  KS1  A bit is set by who got the frame from the allocator, after it did, and cleared by him
 *      before he gives it back: a locked or that finds it set has found two owners.
 *  KS2  fault.what is written last (release), by the one who took `fault.taken`.
 */
#include "shadow.h"

#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/memory.h"
#include "paging.h"
#include "tap.h"

enum { BITS = 64 };

static struct {
    uint64_t *words; /* NULL: none yet */
    uint64_t first, frames;
} maps[ZONES_MAX];

static struct {
    const char *what;
    quire_pfn pfn;
    uint64_t found, expected;
    uint64_t taken, count;
} fault;

/* From the zone's first block to its last one. */
static void span(const struct quire_zone *zone, uint64_t *first, uint64_t *end)
{
    struct quire_run extent;

    *first = UINT64_MAX;
    *end = 0;
    for (uint32_t i = 0; !quire_zone_extent(zone, i, &extent); i++) {
        if (extent.pfn.n < *first)
            *first = extent.pfn.n;
        if (extent.pfn.n + extent.frames > *end)
            *end = extent.pfn.n + extent.frames;
    }
}

void shadow_begin(void)
{
    for (uint32_t i = 0; i < memory_zone_count(); i++) {
        uint64_t end;

        if (maps[i].words)
            continue;
        span(&memory.up.zones[i], &maps[i].first, &end);
        maps[i].frames = end - maps[i].first;
        maps[i].words = heap_take((maps[i].frames + BITS - 1) / BITS * 8,
                                  quire_node_of(memory.up.plan.zones[i].node), HEAP_SHADOWS);
    }
    fault.what = NULL;
    fault.taken = fault.count = 0;
}

void shadow_wrong(const char *what, quire_pfn pfn, uint64_t found, uint64_t expected)
{
    (void)__atomic_fetch_add(&fault.count, 1, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&fault.taken, 1, __ATOMIC_RELAXED))
        return;
    fault.pfn = pfn;
    fault.found = found;
    fault.expected = expected;
    __atomic_store_n(&fault.what, what, __ATOMIC_RELEASE);
}

/* The pattern of a word: no two words of memory have the same, and none is likely to be met. */
static uint64_t pattern(uint64_t phys, uint64_t tag)
{
    return (phys ^ tag << 40) * 0x9e3779b97f4a7c15 + tag;
}

/* Set or clear the bits of a run, a word of bits at a time. */
static void mark(uint32_t zone, uint64_t first, uint64_t frames, bool set)
{
    uint64_t end = first + frames;

    for (uint64_t at = first; at < end;) {
        uint64_t bit = at % BITS, n = BITS - bit < end - at ? BITS - bit : end - at;
        uint64_t mask = (n == BITS ? UINT64_MAX : (1ul << n) - 1) << bit;
        uint64_t *word = &maps[zone].words[at / BITS];
        uint64_t old = set ? __atomic_fetch_or(word, mask, __ATOMIC_ACQ_REL)
                           : __atomic_fetch_and(word, ~mask, __ATOMIC_ACQ_REL);

        if (set && old & mask)
            shadow_wrong("a frame was handed out twice", quire_pfn_of(maps[zone].first + at),
                         old & mask, 0);
        if (!set && (old & mask) != mask)
            shadow_wrong("a frame lost its owner", quire_pfn_of(maps[zone].first + at), old & mask,
                         mask);
        at += n;
    }
}

static void mark_run(quire_pfn pfn, uint64_t frames, bool set)
{
    uint32_t zone = quire_pfnmap_zone(&memory.up.pfnmap, pfn);

    if (zone == QUIRE_PFNMAP_NONE || pfn.n < maps[zone].first ||
        pfn.n + frames > maps[zone].first + maps[zone].frames)
        shadow_wrong("a frame outside every zone", pfn, zone, 0);
    else
        mark(zone, pfn.n - maps[zone].first, frames, set);
}

void shadow_take(quire_pfn pfn, uint64_t frames, uint64_t tag, unsigned words)
{
    uint64_t phys = quire_phys(pfn), step = QUIRE_FRAME_SIZE / words;

    mark_run(pfn, frames, true);
    for (uint64_t at = phys; at < phys + (frames << QUIRE_FRAME_SHIFT); at += step)
        __atomic_store_n((uint64_t *)direct(at), pattern(at, tag), __ATOMIC_RELAXED);
}

void shadow_give(quire_pfn pfn, uint64_t frames, uint64_t tag, unsigned words)
{
    uint64_t phys = quire_phys(pfn), step = QUIRE_FRAME_SIZE / words;

    for (uint64_t at = phys; at < phys + (frames << QUIRE_FRAME_SHIFT); at += step) {
        uint64_t found = __atomic_load_n((uint64_t *)direct(at), __ATOMIC_RELAXED);

        if (found != pattern(at, tag))
            shadow_wrong("a frame was written by somebody else", quire_pfn_of_phys(at), found,
                         pattern(at, tag));
    }
    mark_run(pfn, frames, false);
}

void shadow_own(quire_pfn pfn, uint64_t frames)
{
    mark_run(pfn, frames, true);
}

void shadow_disown(quire_pfn pfn, uint64_t frames)
{
    mark_run(pfn, frames, false);
}

uint64_t shadow_owned(void)
{
    uint64_t owned = 0;

    for (uint32_t i = 0; i < memory_zone_count(); i++)
        for (uint64_t w = 0; w < (maps[i].frames + BITS - 1) / BITS; w++)
            for (uint64_t v = maps[i].words[w]; v; v &= v - 1)
                owned++;
    return owned;
}

bool shadow_end(const char *what)
{
    const char *wrong = __atomic_load_n(&fault.what, __ATOMIC_ACQUIRE);
    uint64_t owned = shadow_owned();

    if (wrong)
        tap_note("%s: frame %lx, found %lx, expected %lx (%lu such things)", wrong, fault.pfn.n,
                 fault.found, fault.expected, fault.count);
    if (owned)
        tap_note("%lu frames are still owned", owned);
    return tap(!wrong && !owned, "%s: no frame has two owners, each keeps its pattern", what);
}
