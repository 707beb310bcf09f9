/* SPDX-License-Identifier: MIT
 *
 * schedule.c - which thread runs where: one queue for all CPUs, first come, first served.
 *
 * State: the queue, the CPUs that found it empty and sleep, and how many processes are alive. All
 * of it is read and written under the queue's lock, but the number, which others may look at.
 *  U8  A CPU sets its bit in `idle` under the lock, when the queue is empty, and sleeps by an
 *      instruction that lets interrupts in and waits for one at once. Who adds a thread takes a bit
 *      out, under the lock, and sends that CPU an interrupt afterwards. So none is missed. (A CPU
 *      that is woken by something else looks at the queue, and takes its own bit out.)
 */
#include "process.h"

#include "apic.h"
#include "kernel-port/kernel/clock.h"
#include "x86.h"

enum { TICK_HZ = 100 };

static struct {
    struct lock lock;
    struct thread *first, **end;
    uint64_t idle[CPU_WORDS];
    uint64_t alive; /* atomic */
} queue;

void schedule_begin(void)
{
    queue.first = NULL;
    queue.end = &queue.first;
}

static void wake(uint32_t cpu)
{
    apic_send(cpus[cpu]->apic_id, VECTOR_WAKE);
}

/* Take a CPU out of the idle ones; CPUS_MAX if there is none. */
static uint32_t take_idle(void)
{
    for (uint32_t w = 0; w < CPU_WORDS; w++)
        if (queue.idle[w]) {
            uint32_t bit = (uint32_t)__builtin_ctzll(queue.idle[w]);

            queue.idle[w] &= queue.idle[w] - 1;
            return w * 64 + bit;
        }
    return CPUS_MAX;
}

void thread_ready(struct thread *thread)
{
    uint32_t cpu;

    lock_take(&queue.lock);
    thread->next = NULL;
    *queue.end = thread;
    queue.end = &thread->next;
    cpu = take_idle();
    lock_give(&queue.lock);
    if (cpu != CPUS_MAX)
        wake(cpu);
}

void schedule_alive(int64_t change)
{
    uint64_t alive = __atomic_add_fetch(&queue.alive, (uint64_t)change, __ATOMIC_ACQ_REL);
    uint32_t cpu = 0;

    while (alive == 0 && cpu != CPUS_MAX) { /* all are woken */
        lock_take(&queue.lock);
        cpu = take_idle();
        lock_give(&queue.lock);
        if (cpu != CPUS_MAX)
            wake(cpu);
    }
}

/* The next thread. NULL: no process is alive. */
static struct thread *next_thread(void)
{
    uint64_t *word = &queue.idle[cpu_id() / 64], bit = 1ul << cpu_id() % 64;

    for (;;) {
        struct thread *thread;
        bool over;

        lock_take(&queue.lock);
        thread = queue.first;
        over = __atomic_load_n(&queue.alive, __ATOMIC_ACQUIRE) == 0;
        *word &= ~bit;
        if (thread) {
            queue.first = thread->next;
            if (!queue.first)
                queue.end = &queue.first;
        } else if (!over) {
            *word |= bit;
        }
        lock_give(&queue.lock);
        if (thread || over)
            return thread;
        sleep_until_interrupt();
    }
}

/* Run the thread until it traps, and do what that asks for. */
static enum next step(struct thread *thread)
{
    uint64_t address;

    if (__atomic_load_n(&thread->process->ending, __ATOMIC_ACQUIRE))
        return NEXT_ENDS;
    user_mode_run(&thread->frame);
    address = read_cr2(); /* before another fault */
    if (thread->frame.vector == VECTOR_CALL)
        return thread_call(thread);
    if (thread->frame.vector < VECTOR_PIC) {
        thread_fault(thread, address);
        return NEXT_GOES_ON;
    }
    trap(&thread->frame);
    return thread->frame.vector == VECTOR_TIMER ? NEXT_LATER : NEXT_GOES_ON;
}

static void run(struct thread *thread)
{
    enum next next;

    process_load(thread->process);
    do
        next = step(thread);
    while (next == NEXT_GOES_ON);
    process_unload(); /* U3 */
    if (next == NEXT_LATER)
        thread_ready(thread);
    else if (next == NEXT_AWAITS)
        process_await(thread);
    else
        thread_end(thread);
}

void schedule_run(void)
{
    struct thread *thread;

    interrupts_off();
    user_mode_init();
    clock_tick(TICK_HZ);
    while ((thread = next_thread()) != NULL)
        run(thread);
    clock_quiet();
    interrupts_on();
}
