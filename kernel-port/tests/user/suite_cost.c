/* SPDX-License-Identifier: MIT
 *
 * suite_cost.c - what system calls and faults cost a program. In instructions (-icount) each has a
 * limit, which is not a goal: what it took when it was written, and a little more. Else they are
 * figures of the emulated machine, and no tests. Beside them what Linux 6.1 takes for the same in
 * the same emulator, as its distribution starts it. The emulator counts each step of filling or
 * copying a page: filling takes 4096 in both, but copying 512 here, by words, and 4096 in Linux, so
 * that of the first write after a fork 3,584 fewer are no merit. (Fork has a part that does not
 * depend on the pages: some 90,000 instructions here; Linux's is a share of 10,000 pages.)
 */
#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/user/user.h"
#include "kernel-port/programs/cost.h"
#include "kernel-port/tests/spaces/disk.h"
#include "kernel-port/tests/suites/suite.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/timing.h"

#include "cpu.h"

static const struct {
    const char *what;
    uint32_t most, linux_takes;
} costs[USER_COSTS] = {
    [COST_CALL] = {"a call", 130, 327},
    [COST_TOUCH] = {"the first write to a page", 5400, 6741},
    [COST_FORK] = {"fork, a page of 500", 235, 157},
    [COST_COPY] = {"the first write after a fork", 2400, 11737},
    [COST_LAST_OWNER] = {"the same, the child gone", 700, 1395},
    [COST_PROTECT] = {"protect, a page of many", 140, 133},
    [COST_UNMAP] = {"unmap, a page of many", 465, 1312},
    [COST_MAP] = {"map and unmap of a page", 3150, 23137},
    [COST_MAP_TOUCHED] = {"the same, written to", 9000, 37250},
};

static struct disk disk;

static void report(void)
{
    const char *unit = timing_unit();
    bool counted = unit[0] == 'i';

    for (unsigned i = 0; i < USER_COSTS; i++) {
        uint64_t found = disk_word(&disk, 0, i);

        print("@json {\"case\": \"user: %s\", \"value\": %lu, \"unit\": \"%s\", \"linux\": %u}\n",
              costs[i].what, found, counted ? unit : "counts", costs[i].linux_takes);
        tap_note("%-30s %6lu (Linux: %u)", costs[i].what, found, costs[i].linux_takes);
        if (counted)
            tap(found <= costs[i].most, "%s: at most %u instructions", costs[i].what,
                costs[i].most);
    }
}

void suite_user_cost(const struct options *options)
{
    struct user_config config = {.tables = memory_tables(),
                                 .frames = memory_frames(QUIRE_KIND_USER),
                                 .cached = memory_frames(QUIRE_KIND_PAGE_CACHE),
                                 .files = {&disk.file},
                                 .file_count = 1};
    struct user_program program = {.name = "cost"};
    struct quire_space_config space;

    (void)options;
    timing_init();
    user_space_config(&config, &space);
    space.port.frames = config.cached;
    disk_begin(&disk, &space);
    if (!user_begin(&config, memory.ramdisk.phys, memory.ramdisk.bytes)) {
        tap(false, "there is a ramdisk");
        return;
    }
    user_run(&program, 1);
    if (tap(program.end.kind == END_EXIT && program.end.status == 0, "the program has measured"))
        report();
    user_end();
    tap(disk_end(&disk), "the file is closed");
}
