/* SPDX-License-Identifier: MIT
 *
 * fault.c - a program touched what is not there, or did what it may not: serve it, or end it with
 * a line that says where and why.
 *
 * Without memory page caches are asked to give some back, a few times: a clean page of a program
 * can be read again. What is gained may be gone to another CPU before the fault is repeated, so
 * there is a bound; then the program that asked ends. Nothing is held meanwhile.
 *
 * Danger: an instruction needs two pages of files, and there is one frame. Each fault takes back
 * what the one before was served, for ever. So the pages that one instruction was served by
 * reclaims are remembered, and if it asks for such a one FAULTS_AGAIN times, there is no memory.
 */
#include "process.h"

#include "kernel-port/kernel/console.h"
#include "x86.h"

enum { RECLAIMS = 4, RECLAIM_FRAMES = 16, CODE_WRITE = 2, CODE_FETCH = 16 };

static uint64_t reclaims; /* atomic */
static struct lock console_lock;

uint64_t user_reclaims(void)
{
    return __atomic_load_n(&reclaims, __ATOMIC_RELAXED);
}

int process_fault(struct process *process, uint64_t address, uint32_t access, bool *reclaimed)
{
    int error;

    tables_enter();
    error = quire_space_fault(&process->space, quire_vaddr_of(address), access);
    *reclaimed = false;
    for (unsigned i = 0; i < RECLAIMS && error == QUIRE_ERR_NO_MEMORY; i++) {
        if (programs_reclaim(RECLAIM_FRAMES) == 0)
            break;
        *reclaimed = true;
        (void)__atomic_fetch_add(&reclaims, 1, __ATOMIC_RELAXED);
        error = quire_space_fault(&process->space, quire_vaddr_of(address), access);
    }
    tables_leave();
    return error;
}

void console_line(const struct process *process, const char *text)
{
    lock_take(&console_lock);
    print("%s (%u): %s\n", process->name, process->end.id, text);
    lock_give(&console_lock);
}

static const char *access_name(uint64_t code)
{
    return code & CODE_FETCH ? "execution" : code & CODE_WRITE ? "write" : "read";
}

/* Why an access was not served. */
static const char *reason(const struct process *process, uint64_t address, int error)
{
    if (error == QUIRE_ERR_ACCESS && address < process->stack &&
        process->stack - address <= PAGE_BYTES)
        return "the guard below its stack";
    switch (error) {
    case QUIRE_ERR_AREA:
        return "nothing is mapped there";
    case QUIRE_ERR_ACCESS:
        return "it is not allowed there";
    default:
        return quire_strerror(error);
    }
}

static void end_by_fault(struct thread *thread, uint64_t address, int error)
{
    struct process *process = thread->process;
    struct call_end end = {
        .kind = END_FAULT, .status = error, .rip = thread->frame.rip, .address = address};
    char text[CALL_LINE];

    (void)print_into(text, sizeof text, "ended: %s of %016lx at rip %016lx: %s",
                     access_name(thread->frame.error), address, thread->frame.rip,
                     reason(process, address, error));
    if (process_stop(process, &end))
        console_line(process, text);
}

static void end_by_trap(struct thread *thread)
{
    struct call_end end = {
        .kind = END_TRAP, .status = (int64_t)thread->frame.vector, .rip = thread->frame.rip};
    char text[CALL_LINE];

    (void)print_into(text, sizeof text, "ended: %s at rip %016lx", trap_name(thread->frame.vector),
                     thread->frame.rip);
    if (process_stop(thread->process, &end))
        console_line(thread->process, text);
}

/* The instruction was served this page, by a reclaim. Does it go round in circles? */
static bool is_in_circles(struct thread *thread, uint64_t address)
{
    uint64_t page = address / PAGE_BYTES, rip = thread->frame.rip;
    uint32_t known;

    if (thread->short_of_memory.rip != rip)
        thread->short_of_memory.count = thread->short_of_memory.again = 0;
    thread->short_of_memory.rip = rip;
    known = thread->short_of_memory.count < FAULT_PAGES ? thread->short_of_memory.count
                                                        : (uint32_t)FAULT_PAGES;
    for (uint32_t i = 0; i < known; i++)
        if (thread->short_of_memory.pages[i] == page)
            return ++thread->short_of_memory.again > FAULTS_AGAIN;
    thread->short_of_memory.pages[thread->short_of_memory.count++ % FAULT_PAGES] = page;
    return false;
}

void thread_fault(struct thread *thread, uint64_t address)
{
    uint64_t code = thread->frame.error;
    uint32_t access = code & CODE_FETCH   ? QUIRE_EXECUTE
                      : code & CODE_WRITE ? QUIRE_WRITE
                                          : QUIRE_READ;
    bool reclaimed;
    int error;

    if (thread->frame.vector != VECTOR_PAGE_FAULT) {
        end_by_trap(thread);
        return;
    }
    error = process_fault(thread->process, address, access | QUIRE_USER, &reclaimed);
    if (error == 0 && reclaimed && is_in_circles(thread, address))
        error = QUIRE_ERR_NO_MEMORY;
    if (error)
        end_by_fault(thread, address, error);
}
