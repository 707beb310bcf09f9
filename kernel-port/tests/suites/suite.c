/* SPDX-License-Identifier: MIT
 *
 * suite.c - see suite.h.
 */
#include "suite.h"

#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/tap.h"

static const struct {
    const char *name, *what;
    suite *run;
    bool of_all; /* part of `all` */
} suites[] = {
    {"traps", "page rights, guard pages, interrupts", suite_traps, true},
    {"port", "what the allocator asks of a kernel", suite_port, true},
    {"zone", "every function of a zone, on real memory", suite_zone, true},
    {"map", "pages mapped, written, protected and unmapped by all CPUs", suite_map, true},
    {"space", "a space whose pages all CPUs fault in, fork, copy and unmap", suite_space, true},
    {"files", "a file that all CPUs map, sync, cut, and whose frames are given back", suite_files,
     true},
    {"user", "programs in user mode: forks, faults, threads, ends", suite_user, true},
    {"heap", "objects: storms, interrupts, exhaustion, quotas, leaks", suite_heap, true},
    {"touch", "all memory taken, written, checked and freed by all CPUs", suite_touch, true},
    {"stress", "everything at random on all CPUs, with a shadow model", suite_stress, true},
    {"crowd", "all CPUs at a few blocks, without caches", suite_crowd, true},
    {"history", "all CPUs' calls at one block, in an order that explains them", suite_history,
     true},
    {"drain", "caches drained by another CPU all the time", suite_drain, true},
    {"boundaries", "a call at every instruction of a call", suite_boundaries, true},
    {"interrupts", "allocation in timer interrupts and NMIs", suite_interrupts, true},
    {"exchange", "frames allocated on one node and freed on another", suite_exchange, true},
    {"hotplug", "topologies and blocks change while all CPUs allocate", suite_hotplug, true},
    {"exhaust", "the end of memory, watermarks, remote drain", suite_exhaust, true},
    {"reporting", "free memory goes to the hypervisor and comes back", suite_reporting, false},
    {"count", "instructions per operation, and their limits", suite_count, false},
    {"user-cost", "what system calls and faults cost a program", suite_user_cost, false},
    {"bench", "figures", suite_bench, false},
    {"overflow", "runs out of its stack, to see the panic", suite_overflow, false},
};

enum { SUITES = sizeof suites / sizeof suites[0] };

static void run(unsigned i, const struct options *options)
{
    tap_note("suite %s: %s", suites[i].name, suites[i].what);
    suites[i].run(options);
}

static void run_named(const char *name, size_t length, const struct options *options)
{
    bool all = text_equal(name, length, "all"), found = all;

    for (unsigned i = 0; i < SUITES; i++)
        if (text_equal(name, length, suites[i].name) || (all && suites[i].of_all)) {
            found = true;
            run(i, options);
        }
    if (!found) {
        for (unsigned i = 0; i < SUITES; i++)
            print("suite %-10s %s\n", suites[i].name, suites[i].what);
        panic("there is no suite \"%.*s\"; those above and `all` exist", (int)length, name);
    }
}

bool suites_run(const struct options *options)
{
    const char *at = options->suites;

    print("TAP version 13\n");
    while (*at) {
        size_t length = 0;

        while (at[length] && at[length] != ',')
            length++;
        run_named(at, length, options);
        at += at[length] ? length + 1 : length;
    }
    memory_print_kinds();
    return tap_end();
}
