/* SPDX-License-Identifier: MIT
 *
 * traps.c - do page rights hold, do stacks have their guards, do interrupts arrive?
 *
 * Each forbidden access is tried for real, and must end in a page fault at that very address.
 */
#include "suite.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/tap.h"
#include "paging.h"
#include "trap.h"

enum { TICK_HZ = 200, PATIENCE_MS = 5000 };

extern char text_start[], constants_start[], data_start[];

static const uint64_t constant = 1;
static uint64_t variable = 1;

static void try_read(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

static void try_write(uint64_t address)
{
    *(volatile uint64_t *)address = *(volatile uint64_t *)address;
}

static void try_call(uint64_t address)
{
    ((void (*)(void))address)();
}

static void refused(void (*attempt)(uint64_t), uint64_t address, const char *what)
{
    bool faulted = fault_probe(attempt, address);

    tap(faulted && this_cpu()->fault_address == address, "%s is refused", what);
}

static void test_rights(void)
{
    uint64_t text = (uint64_t)text_start;

    tap(!fault_probe(try_write, (uint64_t)&variable), "a variable is written");
    tap(!fault_probe(try_read, (uint64_t)direct(text - IMAGE_BASE)),
        "code is read through the direct map");
    refused(try_read, 0, "reading address 0");
    refused(try_call, 0, "calling address 0");
    refused(try_write, text, "writing code");
    refused(try_write, (uint64_t)&constant, "writing a constant");
    refused(try_call, (uint64_t)&constant, "executing a constant");
    refused(try_call, (uint64_t)&variable, "executing a variable");
    refused(try_write, (uint64_t)direct(text - IMAGE_BASE), "writing code in the direct map");
    refused(try_call, (uint64_t)direct(text - IMAGE_BASE), "executing the direct map");
    refused(try_call, (uint64_t)__builtin_frame_address(0), "executing the stack");
    refused(try_read, TRAMPOLINE, "reading the trampoline, which is no longer mapped,");
}

static void test_guards(void)
{
    uint32_t good = 0;

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        for (unsigned s = 0; s < STACKS_PER_CPU; s++) {
            uint64_t lowest = cpu_stack_end(cpu, (enum cpu_stack)s) - STACK_BYTES;

            good += !fault_probe(try_read, lowest) && fault_probe(try_read, lowest - 8);
        }
    tap_equal(good, cpu_count * STACKS_PER_CPU, "stacks with a guard page below");
}

/* The node of a physical address, by the firmware's table; QUIRE_NO_NODE if it names none. */
static uint32_t node_of(uint64_t phys)
{
    const struct quire_topology *t = &memory.topology;

    for (uint32_t i = 0; i < t->range_count; i++)
        if (phys - t->ranges[i].phys < t->ranges[i].bytes)
            return t->ranges[i].node.n;
    return QUIRE_NO_NODE;
}

static void test_local_memory(void)
{
    quire_nodemask with = quire_topology_with_memory(&memory.topology);
    uint32_t areas = 0, zones = 0;

    for (uint32_t i = 0; i < cpu_count; i++)
        areas += !(with.bits >> cpus[i]->node & 1) ||
                 node_of((uint64_t)cpus[i] - DIRECT_BASE) == cpus[i]->node;
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        zones += node_of(memory.up.plan.zones[i].metadata_phys) == memory.up.plan.zones[i].node;
    tap_equal(areas, cpu_count, "CPUs whose area is on their own node, if that has memory");
    tap_equal(zones + memory.up.plan.remote_metadata, memory_zone_count(),
              "zones whose metadata is on their own node, where that has room");
}

/* Until there was one; an emulated CPU may have to wait for its turn. */
static void tick_a_while(void *argument)
{
    uint64_t before = __atomic_load_n(&this_cpu()->timer_ticks, __ATOMIC_RELAXED);

    (void)argument;
    clock_tick(TICK_HZ);
    for (unsigned ms = 0;
         ms < PATIENCE_MS && __atomic_load_n(&this_cpu()->timer_ticks, __ATOMIC_RELAXED) == before;
         ms++)
        clock_wait_us(1000);
    clock_quiet();
}

static void test_interrupts(void)
{
    uint64_t before[CPUS_MAX] = {0};
    uint32_t ticked = 0, hit = 0;

    for (uint32_t i = 0; i < cpu_count; i++)
        before[i] = cpus[i]->timer_ticks;
    work_on_all(tick_a_while, NULL);
    for (uint32_t i = 0; i < cpu_count; i++)
        ticked += cpus[i]->timer_ticks > before[i];
    tap_equal(ticked, cpu_count, "CPUs with timer interrupts");

    for (uint32_t i = 0; i < cpu_count; i++) {
        uint64_t nmis = __atomic_load_n(&cpus[i]->nmis, __ATOMIC_ACQUIRE);

        apic_nmi(cpus[i]->apic_id);
        for (unsigned ms = 0;
             ms < PATIENCE_MS && __atomic_load_n(&cpus[i]->nmis, __ATOMIC_ACQUIRE) == nmis; ms++)
            clock_wait_us(1000);
        hit += __atomic_load_n(&cpus[i]->nmis, __ATOMIC_ACQUIRE) != nmis;
    }
    tap_equal(hit, cpu_count, "CPUs that took an NMI");
    work_wait_for_readers();
    tap(true, "a grace period ends");
}

void suite_traps(const struct options *options)
{
    (void)options;
    test_rights();
    test_guards();
    test_local_memory();
    test_interrupts();
}

/* Far more frames than the stack holds. NOLINTNEXTLINE(misc-no-recursion): that is the point */
static uint64_t __attribute__((noinline)) deeper(uint64_t depth)
{
    volatile uint64_t here[64] = {depth};

    return depth ? deeper(depth - 1) + here[0] : 0;
}

void suite_overflow(const struct options *options)
{
    (void)options;
    tap_equal(deeper(STACK_BYTES), 0, "a stack that does not end");
}
