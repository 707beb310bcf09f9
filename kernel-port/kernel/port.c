/* SPDX-License-Identifier: MIT
 *
 * port.c - see port.h. All of it is lock-free but for the two functions that may block.
 *
 * There is no reader's section to enter: code reads a snapshot between two quiet moments of its
 * CPU, and work_wait_for_readers waits until each CPU had one (see work.c).
 *
 * Local mode (option mode=local): nothing here preempts, so whoever allocates keeps to its CPU. A
 * CPU is asked by an NMI, which comes whatever it does, interrupts off included, so that to wait
 * for it ends: NMIs' own requests have QUIRE_NO_CALLBACK and ask nobody.
 *  KP1  A CPU counts the answers that it begins, by a locked addition, a full fence: before it
 *       looks at what is asked; and those that it ends. They do not nest. So an answer that begins
 *       after an asker read the count sees what was asked before, and has ended when the other
 *       count is larger.
 */
#include "port.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/devices/balloon.h"
#include "kernel-port/kernel/lib/text.h"
#include "memory.h"
#include "paging.h"
#include "work.h"
#include "x86.h"

static uint32_t port_cpu(void *ctx)
{
    (void)ctx;
    return cpu_id();
}

static int port_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    memset(direct(quire_phys(pfn)), 0, frames << QUIRE_FRAME_SHIFT);
    return QUIRE_OK;
}

static void port_event(void *ctx, struct quire_zone *zone, enum quire_event event)
{
    (void)ctx;
    (void)__atomic_fetch_add(&memory.events[zone - memory.up.zones][event], 1, __ATOMIC_RELAXED);
}

static void port_report(void *ctx, struct quire_zone *zone, enum quire_report what, quire_pfn pfn,
                        int error)
{
    (void)ctx;
    (void)zone;
    (void)what;
    (void)pfn;
    (void)__atomic_fetch_add(&memory.reports[-error], 1, __ATOMIC_RELAXED);
}

/* There is no `install`: the hypervisor has a frame there again when it is touched. And nothing is
 * known of what it reads. */
int port_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    return balloon_report(pfn, frames);
}

static void *port_memory(void *ctx, size_t bytes, quire_node node)
{
    (void)ctx;
    return memory_take(bytes, node);
}

static void port_give_back(void *ctx, void *address, size_t bytes, quire_node node)
{
    (void)ctx;
    (void)node;
    memory_give_back(address, bytes);
}

static uint32_t port_enter(void *ctx)
{
    (void)ctx;
    return 0;
}

static void port_leave(void *ctx, uint32_t entered)
{
    (void)ctx;
    (void)entered;
}

static void port_wait_for_readers(void *ctx)
{
    (void)ctx;
    work_wait_for_readers();
}

void port_answer(void)
{
    struct cpu *c = this_cpu();
    uint64_t begun = __atomic_add_fetch(&c->answers_begun, 1, __ATOMIC_SEQ_CST);

    if (memory.up.machine)
        quire_machine_answer(memory.up.machine);
    __atomic_store_n(&c->answers_ended, begun, __ATOMIC_RELEASE); /* pairs with port_ask_drain */
}

static bool port_ask_drain(void *ctx, uint32_t cpu)
{
    uint64_t begun;

    (void)ctx;
    if (cpu >= cpu_count || !__atomic_load_n(&cpus[cpu]->online, __ATOMIC_ACQUIRE))
        return false;
    if (cpu == cpu_id()) {
        quire_machine_answer(memory.up.machine);
        return true;
    }
    begun = __atomic_load_n(&cpus[cpu]->answers_begun, __ATOMIC_SEQ_CST);
    apic_nmi(cpus[cpu]->apic_id);
    while (__atomic_load_n(&cpus[cpu]->answers_ended, __ATOMIC_ACQUIRE) <= begun)
        pause();
    return true;
}

static void port_relax(void *ctx)
{
    (void)ctx;
    pause();
}

const struct quire_port zone_port = {
    .zero = port_zero,
    .event = port_event,
    .report = port_report,
    .cpu = port_cpu,
};

const struct quire_machine_port machine_port = {
    .cpu = port_cpu,
    .memory = port_memory,
    .give_back = port_give_back,
    .enter = port_enter,
    .leave = port_leave,
    .wait_for_readers = port_wait_for_readers,
    .relax = port_relax,
    .ask_drain = port_ask_drain,
};
