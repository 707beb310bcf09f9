/* SPDX-License-Identifier: MIT
 *
 * interrupts.c - allocation in timer interrupts and NMIs that come in the middle of others.
 *
 * Every CPU works as in stress.c, and has a timer whose interrupt allocates and frees too.
 * The first CPU sends NMIs to CPUs at random; their handler does the same with no callbacks. Each
 * context has a load of its own. A flag says whether a CPU is inside the allocator as seen from
 * outside, so that it can be told that some came there.
 */
#include "suite.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/random_load.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "trap.h"
#include "x86.h"

enum {
    THREAD_RUNS = 256,
    TIMER_RUNS = 64,
    NMI_RUNS = 64,
    TIMER_HZ = 2000,
    STEPS = 4,
    LATE_US = 100000
};
enum context { THREAD = 0, TIMER = 1, NMI = 2, CONTEXTS = 3 };

/* One CPU's; written by its own contexts, and read by the first CPU when all is over. */
struct state {
    struct random_load *loads[CONTEXTS];
    uint32_t depth; /* contexts that are inside the allocator just now */
    uint64_t inside[CONTEXTS];
} __attribute__((aligned(64)));

static struct state states[CPUS_MAX];
static uint64_t duration;

/* Relaxed: read by handlers on the same CPU only. */
static void enter(struct state *s)
{
    __atomic_store_n(&s->depth, s->depth + 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void leave(struct state *s)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&s->depth, s->depth - 1, __ATOMIC_RELAXED);
}

static void handler(enum context context)
{
    struct state *s = &states[cpu_id()];

    s->inside[context] += __atomic_load_n(&s->depth, __ATOMIC_RELAXED) > 0;
    enter(s);
    for (unsigned i = 0; i < STEPS; i++)
        random_load_small_step(s->loads[context]);
    leave(s);
}

/* Every other time an NMI is sent to this very CPU first, and comes while the timer's interrupt is
 * being served: that makes three contexts, one in the middle of the other. */
static void on_timer(void)
{
    if (this_cpu()->timer_ticks % 2)
        apic_nmi(this_cpu()->apic_id);
    handler(TIMER);
}

static void on_nmi(void)
{
    handler(NMI);
}

static void work_under_fire(void *argument)
{
    struct state *s = &states[cpu_id()];
    bool sender = cpu_id() == 0;
    random aim = random_from(1, cpu_id());
    uint64_t start;

    (void)argument;
    work_meet();
    start = rdtsc();
    clock_tick(TIMER_HZ);
    while (rdtsc() - start < duration) {
        for (unsigned i = 0; i < STEPS; i++) {
            enter(s);
            random_load_step(s->loads[THREAD]);
            leave(s);
        }
        if (sender)
            apic_nmi(cpus[random_below(&aim, cpu_count)]->apic_id);
    }
    clock_quiet();
    random_load_empty(s->loads[THREAD]);
}

static void make(const struct options *options)
{
    static const struct {
        uint32_t runs, flags;
    } kinds[CONTEXTS] = {{THREAD_RUNS, 0}, {TIMER_RUNS, 0}, {NMI_RUNS, QUIRE_NO_CALLBACK}};

    for (uint32_t i = 0; i < cpu_count; i++)
        for (unsigned k = 0; k < CONTEXTS; k++)
            states[i].loads[k] = random_load_make(kinds[k].runs, kinds[k].flags, options->seed,
                                                  i * CONTEXTS + k, cpus[i]->node);
}

static void report(void)
{
    static const char *const names[CONTEXTS] = {"threads", "timer interrupts", "NMIs"};

    for (unsigned k = 0; k < CONTEXTS; k++) {
        uint64_t calls = 0, inside = 0;

        for (uint32_t i = 0; i < cpu_count; i++) {
            calls += states[i].loads[k]->calls;
            inside += states[i].inside[k];
        }
        tap_note("%s: %lu calls; %lu came inside the allocator", names[k], calls, inside);
        tap(calls > 0 && (k == THREAD || inside > 0), "%s allocate%s", names[k],
            k == THREAD ? "" : ", in the middle of an allocation too");
    }
}

void suite_interrupts(const struct options *options)
{
    shadow_begin();
    make(options);
    zone_audit_begin();
    trap_on_timer(on_timer);
    trap_on_nmi(on_nmi);
    duration = options->seconds * clock_tsc_hz();
    work_on_all(work_under_fire, NULL);
    clock_wait_us(LATE_US); /* a last one may still be on its way */
    trap_on_timer(NULL);
    trap_on_nmi(NULL);
    for (uint32_t i = 0; i < cpu_count; i++) {
        random_load_empty(states[i].loads[TIMER]);
        random_load_empty(states[i].loads[NMI]);
    }
    report();
    shadow_end("interrupts");
    zone_audit_end("interrupts");
    for (uint32_t i = 0; i < cpu_count; i++)
        for (unsigned k = 0; k < CONTEXTS; k++)
            random_load_unmake(states[i].loads[k]);
}
