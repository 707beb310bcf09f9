/* SPDX-License-Identifier: MIT
 *
 * crowd.c - all CPUs in each other's way: one slot, so one home block, in a zone of a few
 * blocks without caches, where nearly every claim meets a rival.
 *
 * The zone lies over frames that are lent by the machine, so that the shadow knows them.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/random.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "paging.h"
#include "x86.h"

enum { FRAMES = 1024, METADATA = 1 << 18, HELD = 16, LARGEST = 7, BATCH = 8 };

struct held {
    quire_pfn pfn;
    unsigned order;
};

static struct quire_zone crowded;
static const struct options *options;
static uint64_t duration, calls[CPUS_MAX];

static void keep(struct held held[], uint32_t *n, quire_pfn pfn, unsigned order)
{
    shadow_take(pfn, 1ul << order, cpu_id(), SHADOW_LIGHT);
    held[(*n)++] = (struct held){pfn, order};
}

static void take_some(random *r, struct held held[], uint32_t *n)
{
    unsigned order = random_below(r, 2) ? 0 : random_below(r, LARGEST + 1);
    quire_pfn pfns[BATCH];
    size_t got = 0;

    if (random_below(r, 2) == 0 && HELD - *n >= BATCH) {
        (void)quire_zone_alloc_batch(&crowded, quire_slot_of(0), QUIRE_PARTIAL, BATCH, pfns, &got);
        for (size_t i = 0; i < got; i++)
            keep(held, n, pfns[i], 0);
    } else if (!quire_zone_alloc(&crowded, quire_slot_of(0), order, QUIRE_EMERGENCY, &pfns[0])) {
        keep(held, n, pfns[0], order);
    }
}

static void give_one(struct held held[], uint32_t *n, uint32_t which)
{
    struct held h = held[which];
    int error;

    held[which] = held[--*n];
    shadow_give(h.pfn, 1ul << h.order, cpu_id(), SHADOW_LIGHT);
    error = quire_zone_free(&crowded, quire_slot_of(0), h.pfn, h.order);
    if (error)
        shadow_wrong("a free was refused", h.pfn, (uint64_t)error, 0);
}

static void crowd(void *argument)
{
    random r = random_from(options->seed, cpu_id());
    struct held held[HELD];
    uint64_t start;
    uint32_t n = 0;

    (void)argument;
    work_meet();
    start = rdtsc();
    for (calls[cpu_id()] = 0; rdtsc() - start < duration; calls[cpu_id()]++)
        if (n == HELD || random_below(&r, HELD) < n)
            give_one(held, &n, random_below(&r, n));
        else
            take_some(&r, held, &n);
    while (n)
        give_one(held, &n, n - 1);
}

static void build(quire_pfn first, void *metadata)
{
    struct quire_run run = {first, FRAMES};
    struct quire_zone_config config = {
        .type = QUIRE_ZONE_NORMAL, .slots = 1, .usable = &run, .usable_count = 1};
    int error;

    crowded = (struct quire_zone){0};
    error = quire_zone_init(&crowded, &config, metadata, METADATA);
    if (error)
        panic("crowd: the zone cannot be built: %s", quire_strerror(error));
}

void suite_crowd(const struct options *o)
{
    quire_node node = quire_node_of(cpus[0]->node);
    void *metadata = memory_take(METADATA, node), *frames = memory_take(FRAMES << 12, node);
    struct quire_fault v = {0};
    uint64_t sum = 0;

    options = o;
    build(quire_pfn_of_phys((uint64_t)frames - DIRECT_BASE), metadata);
    shadow_begin();
    duration = o->seconds * clock_tsc_hz();
    work_on_all(crowd, NULL);
    for (uint32_t i = 0; i < cpu_count; i++)
        sum += calls[i];
    tap_note("%lu calls on %u frames by %u CPUs", sum, (unsigned)FRAMES, cpu_count);
    shadow_end("crowd");
    if (quire_zone_check(&crowded, &v))
        tap_note("%s at frame %lx: found %lu, expected %lu", v.what, v.where, v.found, v.expected);
    tap(!v.what && quire_zone_free_frames(&crowded) == FRAMES,
        "crowd: the zone is consistent and has all its frames back");
    memory_give_back(frames, FRAMES << 12);
    memory_give_back(metadata, METADATA);
}
