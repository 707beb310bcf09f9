/* SPDX-License-Identifier: MIT
 *
 * drain.c - caches that are drained by another CPU all the time, while their owners use them.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/random.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "x86.h"

enum { HELD = 4 };

static uint64_t duration, seed, pairs[CPUS_MAX], drains;

/* A few frames out, and back: hits, as long as nobody drains. */
static void use(void)
{
    uint64_t tag = cpu_id(), start = rdtsc();
    quire_pfn held[HELD];

    for (pairs[tag] = 0; rdtsc() - start < duration; pairs[tag]++) {
        unsigned n = 0;

        while (n < HELD && !quire_machine_alloc(memory.up.machine, 0, 0, &held[n]))
            shadow_take(held[n++], 1, tag, SHADOW_LIGHT);
        while (n) {
            shadow_give(held[--n], 1, tag, SHADOW_LIGHT);
            if (quire_machine_free(memory.up.machine, held[n], 0))
                shadow_wrong("a free was refused", held[n], 0, 0);
        }
    }
}

static void drain(void)
{
    random r = random_from(seed, 0);
    uint64_t start = rdtsc();

    for (drains = 0; rdtsc() - start < duration; drains++)
        (void)quire_machine_drain_cpu(memory.up.machine, random_below(&r, cpu_count));
}

static void use_or_drain(void *argument)
{
    (void)argument;
    work_meet();
    if (cpu_id() == 0)
        drain();
    else
        use();
}

void suite_drain(const struct options *options)
{
    uint64_t sum = 0;

    if (cpu_count < 2) {
        tap_skip("drain", "one CPU has no other one's caches to drain");
        return;
    }
    shadow_begin();
    zone_audit_begin();
    duration = options->seconds * clock_tsc_hz();
    seed = options->seed;
    work_on_all(use_or_drain, NULL);
    for (uint32_t i = 1; i < cpu_count; i++)
        sum += pairs[i];
    tap_note("%lu times %u frames out and back on %u CPUs, drained %lu times", sum, (unsigned)HELD,
             cpu_count - 1, drains);
    tap(sum > 0 && drains > 0, "users and drainer had their turn");
    shadow_end("drain");
    zone_audit_end("drain");
}
