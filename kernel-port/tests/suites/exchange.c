/* SPDX-License-Identifier: MIT
 *
 * exchange.c - one CPU allocates, another one, on another node, frees: all pairs at once.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "x86.h"

#include <ck_ring.h>

enum { RING = 256 };

struct pair {
    uint32_t producer, consumer; /* CPUs */
    bool over;                   /* the producer will bring no more; atomic */
    uint64_t passed;
    ck_ring_t ring;
    ck_ring_buffer_t buffer[RING];
} __attribute__((aligned(64)));

static struct pair pairs[CPUS_MAX / 2];
static uint32_t pair_count;
static uint64_t duration;

/* CPUs by node; then the first half with the second half: as many on different nodes as can be. */
static void make_pairs(void)
{
    uint32_t order[CPUS_MAX], n = 0;

    for (uint32_t node = 0; node < memory.topology.node_count; node++)
        for (uint32_t i = 0; i < cpu_count; i++)
            if (cpus[i]->node == node)
                order[n++] = i;
    pair_count = n / 2;
    for (uint32_t i = 0; i < pair_count; i++) {
        pairs[i] = (struct pair){.producer = order[i], .consumer = order[i + n / 2]};
        ck_ring_init(&pairs[i].ring, RING);
    }
}

/* A frame's address names it in the ring; it is never 0. */
static void produce(struct pair *p)
{
    uint64_t tag = p->producer, start = rdtsc();
    quire_pfn pfn;

    while (rdtsc() - start < duration) {
        if (quire_machine_alloc(memory.up.machine, 0, QUIRE_MOVABLE, &pfn)) {
            pause();
            continue;
        }
        shadow_take(pfn, 1, tag, SHADOW_USUAL);
        while (!ck_ring_enqueue_spsc(&p->ring, p->buffer, (void *)quire_phys(pfn)))
            pause();
        work_quiet();
    }
    __atomic_store_n(&p->over, true, __ATOMIC_RELEASE); /* pairs with consume */
}

static bool consume_one(struct pair *p)
{
    quire_pfn pfn;
    void *phys;

    if (!ck_ring_dequeue_spsc(&p->ring, p->buffer, &phys))
        return false;
    pfn = quire_pfn_of_phys((uint64_t)phys);
    shadow_give(pfn, 1, p->producer, SHADOW_USUAL);
    if (quire_machine_free(memory.up.machine, pfn, 0))
        shadow_wrong("a free was refused", pfn, 0, 0);
    p->passed++;
    return true;
}

static void consume(struct pair *p)
{
    bool over;

    do {
        over = __atomic_load_n(&p->over, __ATOMIC_ACQUIRE); /* before the last look */
        while (consume_one(p))
            work_quiet();
        pause();
    } while (!over);
}

static void exchange(void *argument)
{
    (void)argument;
    work_meet();
    for (uint32_t i = 0; i < pair_count; i++) {
        if (pairs[i].producer == cpu_id())
            produce(&pairs[i]);
        if (pairs[i].consumer == cpu_id())
            consume(&pairs[i]);
    }
}

void suite_exchange(const struct options *options)
{
    uint64_t passed = 0;
    uint32_t across = 0, idle = 0;

    if (cpu_count < 2) {
        tap_skip("exchange", "one CPU has nobody to exchange frames with");
        return;
    }
    shadow_begin();
    make_pairs();
    zone_audit_begin();
    duration = options->seconds * clock_tsc_hz();
    work_on_all(exchange, NULL);
    for (uint32_t i = 0; i < pair_count; i++) {
        passed += pairs[i].passed;
        idle += pairs[i].passed == 0;
        across += cpus[pairs[i].producer]->node != cpus[pairs[i].consumer]->node;
    }
    tap_note("%lu frames passed in %lu s by %u pairs, %u of them across nodes", passed,
             options->seconds, pair_count, across);
    tap_equal(idle, 0, "pairs that passed nothing");
    shadow_end("exchange");
    zone_audit_end("exchange");
}
