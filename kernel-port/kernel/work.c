/* SPDX-License-Identifier: MIT
 *
 * work.c - see work.h.
 *
 * State: the present job, written by the first CPU while nobody works.
 *  KW1  `number` changes (release) after the job is written, and every CPU adds 1 to `done`
 *      (release) once per number, when it has read the job and done its part, if it has one.
 *  KW2  A CPU's `quiet` grows only at a moment when no code on that CPU holds anything of a
 *      snapshot: between two pieces of work, on the way to sleep, or in the wake-up interrupt of a
 *      sleeping CPU. (Interrupts do not nest, and an NMI ends before what it interrupted goes on,
 *      so a handler that reads a snapshot is over when the next wake-up comes.) It grows by a
 *      locked addition, a full fence: what is read later is at least what was published before a
 *      waiter that sees the new value took the old one.
 * Spinning here is waiting for a CPU that was told to come, and never happens in the allocator.
 */
#include "work.h"

#include "apic.h"
#include "cpu.h"
#include "trap.h"
#include "x86.h"

#define EVERY_NODE UINT32_MAX

static struct {
    work *what;
    void *argument;
    uint32_t node, members;
    uint32_t number, done; /* atomic */
    uint32_t met;          /* atomic: arrivals at work_meet */
} job;

static bool takes_part(const struct cpu *c)
{
    return job.node == EVERY_NODE || c->node == job.node;
}

static void wake(uint32_t cpu)
{
    apic_send(cpus[cpu]->apic_id, VECTOR_WAKE);
}

static void woken(struct trap_frame *frame)
{
    struct cpu *c = this_cpu();

    (void)frame;
    c->wakes++;
    if (c->asleep)
        work_quiet();
    apic_acknowledge();
}

void work_init(void)
{
    trap_handle(VECTOR_WAKE, woken);
}

void work_quiet(void)
{
    (void)__atomic_fetch_add(&this_cpu()->quiet, 1, __ATOMIC_SEQ_CST);
}

static void take_part(void)
{
    interrupts_on();
    job.what(job.argument);
    work_quiet();
    interrupts_off();
}

void work_wait(void)
{
    struct cpu *c = this_cpu();

    for (;;) {
        uint32_t number = __atomic_load_n(&job.number, __ATOMIC_ACQUIRE); /* pairs with start */

        if (number == c->job_seen) {
            c->asleep = true;
            work_quiet();
            sleep_until_interrupt();
            c->asleep = false;
            continue;
        }
        c->job_seen = number;
        if (takes_part(c))
            take_part();
        (void)__atomic_fetch_add(&job.done, 1, __ATOMIC_RELEASE); /* pairs with run */
    }
}

static void run(uint32_t node, work *what, void *argument)
{
    struct cpu *c = this_cpu();

    job.what = what;
    job.argument = argument;
    job.node = node;
    job.members = 0;
    job.met = 0;
    job.done = 0;
    for (uint32_t i = 0; i < cpu_count; i++)
        if (takes_part(cpus[i]))
            cpus[i]->place = job.members++;
    (void)__atomic_fetch_add(&job.number, 1, __ATOMIC_RELEASE); /* pairs with work_wait */
    for (uint32_t i = 1; i < cpu_count; i++)
        wake(i);
    if (takes_part(c))
        take_part();
    while (__atomic_load_n(&job.done, __ATOMIC_ACQUIRE) < cpu_count - 1)
        pause();
}

void work_on_all(work *what, void *argument)
{
    run(EVERY_NODE, what, argument);
}

void work_on_node(uint32_t node, work *what, void *argument)
{
    run(node, what, argument);
}

uint32_t work_place(void)
{
    return this_cpu()->place;
}

uint32_t work_crew(void)
{
    return job.members;
}

void work_meet(void)
{
    uint32_t arrival = __atomic_fetch_add(&job.met, 1, __ATOMIC_ACQ_REL);
    uint32_t all = arrival - arrival % job.members + job.members;

    while (__atomic_load_n(&job.met, __ATOMIC_ACQUIRE) < all) {
        work_quiet();
        pause();
    }
}

void work_wait_for_readers(void)
{
    uint64_t before[CPUS_MAX] = {0};

    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the new version is out before we look */
    for (uint32_t i = 0; i < cpu_count; i++)
        before[i] = __atomic_load_n(&cpus[i]->quiet, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < cpu_count; i++) {
        if (i == cpu_id())
            continue;
        wake(i);
        while (__atomic_load_n(&cpus[i]->quiet, __ATOMIC_ACQUIRE) == before[i])
            pause();
    }
}
