/* SPDX-License-Identifier: MIT
 *
 * touch.c - all CPUs take all memory of all nodes, to the last frame, write into each, look
 * at each, and free it all.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/frame_list.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "x86.h"

static struct frame_list lists[CPUS_MAX];

/* Zones of the CPU's own node first. */
static void take_all(struct frame_list *list)
{
    for (unsigned remote = 0; remote < 2; remote++)
        for (uint32_t i = 0; i < memory_zone_count(); i++)
            if ((memory.up.plan.zones[i].node != this_cpu()->node) == remote)
                frame_list_take(list, &memory.up.zones[i], QUIRE_EMERGENCY | QUIRE_MOVABLE,
                                UINT64_MAX);
}

static void touch(void *argument)
{
    struct frame_list *list = &lists[cpu_id()];

    (void)argument;
    *list = (struct frame_list){.tag = cpu_id()};
    work_meet();
    take_all(list);
    work_meet(); /* now nobody undoes anything: the last frames, if one was taken */
    take_all(list);
}

static void release(void *argument)
{
    (void)argument;
    frame_list_free(&lists[cpu_id()]);
}

void suite_touch(const struct options *options)
{
    uint64_t managed = 0, free = 0, taken = 0, left = 0, start;

    (void)options;
    shadow_begin();
    zone_audit_begin();
    for (uint32_t i = 0; i < memory_zone_count(); i++) {
        managed += quire_zone_managed(&memory.up.zones[i]);
        free += quire_zone_free_frames(&memory.up.zones[i]);
    }
    start = rdtsc();
    work_on_all(touch, NULL);
    for (uint32_t i = 0; i < cpu_count; i++)
        taken += lists[i].count;
    for (uint32_t i = 0; i < memory_zone_count(); i++)
        left += quire_zone_free_frames(&memory.up.zones[i]);
    tap_equal(taken, free, "frames that were free are taken, each once");
    tap_equal(left, 0, "frames left");
    tap_equal(shadow_owned(), free, "frames that the shadow knows as taken");
    work_on_all(release, NULL);
    tap_note("%lu of %lu MiB written and checked by %u CPUs in %lu ms", taken >> 8, managed >> 8,
             cpu_count, clock_ns(rdtsc() - start) / 1000000);
    shadow_end("touch");
    zone_audit_end("touch");
}
