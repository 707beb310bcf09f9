/* SPDX-License-Identifier: MIT
 *
 * port.c - see port.h. All of it is lock-free but for the two functions that may block.
 *
 * There is no reader's section to enter: code reads a snapshot between two quiet moments of its
 * CPU, and work_wait_for_readers waits until each CPU had one (see work.c).
 */
#include "port.h"

#include "cpu.h"
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
};
