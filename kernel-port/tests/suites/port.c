/* SPDX-License-Identifier: MIT
 *
 * port.c - this kernel's port, by the check that every port can run.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/port.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/port_check.h"
#include "kernel-port/tests/tap.h"
#include "paging.h"

static void *reach(quire_pfn pfn)
{
    return direct(quire_phys(pfn));
}

static void result(bool good, const char *what)
{
    tap(good, "%s", what);
}

void suite_port(const struct options *options)
{
    quire_node node = quire_node_of(cpus[0]->node);
    void *frames = memory_take((size_t)PORT_CHECK_FRAMES << QUIRE_FRAME_SHIFT, node);
    void *metadata = memory_take(PORT_CHECK_MEMORY, node);
    struct port_check check = {
        .zone_port = &zone_port,
        .machine_port = &machine_port,
        .cpus = cpu_count,
        .frames = {quire_pfn_of_phys((uint64_t)frames - DIRECT_BASE), PORT_CHECK_FRAMES},
        .memory = metadata,
        .reach = reach,
        .on_all = work_on_all,
        .quiet = work_quiet,
        .result = result,
    };

    (void)options;
    port_check(&check);
    memory_give_back(metadata, PORT_CHECK_MEMORY);
    memory_give_back(frames, (size_t)PORT_CHECK_FRAMES << QUIRE_FRAME_SHIFT);
}
