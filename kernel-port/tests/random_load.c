/* SPDX-License-Identifier: MIT
 *
 * random_load.c - see random_load.h.
 */
#include "random_load.h"

#include "cpu.h"
#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/memory.h"
#include "shadow.h"

enum { LARGE_ORDER = 9, CONTIG_MOST = 200, BATCH = 24, PERCENT = 100 };

/* Of 100 allocations: how many are of which sort. */
enum sort { SINGLE = 50, SMALL = 75, MEDIUM = 85, LARGE = 92, CONTIG = 96 /* else a batch */ };

static size_t random_load_bytes(uint32_t capacity)
{
    return sizeof(struct random_load) + capacity * sizeof(struct random_load_run);
}

struct random_load *random_load_make(uint32_t capacity, uint32_t flags, uint64_t seed, uint32_t who,
                                     uint32_t node)
{
    struct random_load *m = heap_take(random_load_bytes(capacity), quire_node_of(node), HEAP_LOADS);

    *m = (struct random_load){.random = random_from(seed, who),
                              .next_tag = (uint64_t)who << 32,
                              .flags = flags,
                              .capacity = capacity,
                              .runs = (struct random_load_run *)(m + 1)};
    return m;
}

void random_load_unmake(struct random_load *m)
{
    heap_give_back(m);
}

static void keep(struct random_load *m, struct random_load_run run)
{
    run.tag = m->next_tag++;
    shadow_take(run.pfn, run.frames, run.tag, SHADOW_USUAL);
    m->runs[m->held++] = run;
}

static uint32_t flags_of(struct random_load *m)
{
    return m->flags | (random_next(&m->random) & 1 ? QUIRE_MOVABLE : QUIRE_UNMOVABLE);
}

/* A run of this order, from a node chosen at random in a quarter of the cases. */
static void allocate(struct random_load *m, unsigned order)
{
    struct quire_request want = {
        .order = order,
        .flags = flags_of(m),
    };
    quire_pfn pfn;
    int error;

    if (random_below(&m->random, 4) == 0)
        want.near_node =
            quire_near_of(quire_node_of(random_below(&m->random, memory.topology.node_count)));
    m->calls++;
    error = quire_machine_request(memory.up.machine, &want, &pfn, NULL);
    if (error) {
        if (error != QUIRE_ERR_NO_MEMORY)
            shadow_wrong("an allocation failed oddly", quire_pfn_of(0), (uint64_t)error, 0);
        m->refused++;
        return;
    }
    if (pfn.n & ((1ul << order) - 1))
        shadow_wrong("a run is not aligned", pfn, order, 0);
    keep(m, (struct random_load_run){.pfn = pfn, .frames = 1ul << order, .order = order});
}

static void allocate_contig(struct random_load *m)
{
    uint32_t zone = random_below(&m->random, memory_zone_count());
    struct quire_contig want = {.frames = 1 + random_below(&m->random, CONTIG_MOST),
                                .align = 1ul << (12 + random_below(&m->random, 6))};
    quire_pfn pfn;

    if (memory.up.plan.zones[zone].config.type == QUIRE_ZONE_DEVICE)
        return;
    m->calls++;
    if (quire_zone_alloc_contig(&memory.up.zones[zone], memory_slot(), &want, m->flags, &pfn)) {
        m->refused++;
        return;
    }
    if (quire_phys(pfn) & (want.align - 1))
        shadow_wrong("a contiguous run is not aligned", pfn, want.align, 0);
    keep(m, (struct random_load_run){.pfn = pfn, .frames = want.frames, .contiguous = true});
}

static void allocate_batch(struct random_load *m)
{
    struct quire_zone *zone = &memory.up.zones[random_below(&m->random, memory_zone_count())];
    quire_pfn pfns[BATCH];
    size_t got;

    if (m->capacity - m->held < BATCH ||
        memory.up.plan.zones[zone - memory.up.zones].config.type >= QUIRE_ZONE_HUGE)
        return;
    m->calls++;
    if (quire_zone_alloc_batch(zone, memory_slot(), flags_of(m) | QUIRE_PARTIAL, BATCH, pfns,
                               &got)) {
        m->refused++;
        return;
    }
    for (size_t i = 0; i < got; i++)
        keep(m, (struct random_load_run){.pfn = pfns[i], .frames = 1});
}

static void release(struct random_load *m, uint32_t which)
{
    struct random_load_run run = m->runs[which];
    int error;

    shadow_give(run.pfn, run.frames, run.tag, SHADOW_USUAL);
    m->runs[which] = m->runs[--m->held];
    m->calls++;
    if (run.contiguous)
        error = quire_zone_free_contig(memory_zone(run.pfn), memory_slot(), run.pfn, run.frames);
    else
        error = quire_machine_free(memory.up.machine, run.pfn, run.order);
    if (error)
        shadow_wrong("a free was refused", run.pfn, (uint64_t)error, 0);
}

/* The fuller the table, the more is freed: it wanders between empty and full. */
static bool frees(struct random_load *m)
{
    return random_below(&m->random, m->capacity) < m->held;
}

void random_load_step(struct random_load *m)
{
    uint32_t sort = random_below(&m->random, PERCENT);

    if (frees(m)) {
        release(m, random_below(&m->random, m->held));
        return;
    }
    if (sort < SINGLE)
        allocate(m, 0);
    else if (sort < SMALL)
        allocate(m, 1 + random_below(&m->random, 3));
    else if (sort < MEDIUM)
        allocate(m, 4 + random_below(&m->random, LARGE_ORDER - 4));
    else if (sort < LARGE)
        allocate(m, LARGE_ORDER);
    else if (sort < CONTIG)
        allocate_contig(m);
    else
        allocate_batch(m);
}

void random_load_small_step(struct random_load *m)
{
    if (frees(m))
        release(m, random_below(&m->random, m->held));
    else
        allocate(m, random_below(&m->random, 8) ? 0 : 1 + random_below(&m->random, 3));
}

void random_load_empty(struct random_load *m)
{
    while (m->held)
        release(m, m->held - 1);
}
