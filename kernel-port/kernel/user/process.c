/* SPDX-License-Identifier: MIT
 *
 * process.c - processes begin and end, and who waits for whom.
 *
 * State: the tree, in the processes themselves, and the number of the last process. All of the tree
 * is written and read under its one lock.
 *  U6  A process that is not dead has a thread. A dead one is in its parent's list until the parent
 *      has been told how it ended, or ends itself.
 *  U7  A waiter is made ready by whoever takes it out of its process, under the lock.
 */
#include "process.h"

#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/heap.h"

static struct lock tree;
static uint32_t last_id; /* atomic */

/* ---- Memory --------------------------------------------------------------------------------- */

static void *take(uint64_t bytes)
{
    struct quire_heap_request want = {
        .bytes = bytes, .align = 64, .flags = QUIRE_ZEROED | quire_heap_tag_flag(HEAP_PROCESSES)};
    void *object;

    return quire_heap_request(&kernel_heap, &want, &object) ? NULL : object;
}

struct process *process_new(const char *name)
{
    struct process *process = take(sizeof *process);

    if (!process)
        return NULL;
    process->end.id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    (void)print_into(process->name, sizeof process->name, "%s", name);
    return process;
}

void process_drop(struct process *process)
{
    heap_give_back(process);
}

struct thread *thread_new(struct process *process)
{
    struct thread *thread = take(sizeof *thread);

    if (!thread)
        return NULL;
    thread->process = process;
    (void)__atomic_fetch_add(&process->threads, 1, __ATOMIC_RELAXED);
    return thread;
}

void thread_drop(struct thread *thread)
{
    (void)__atomic_fetch_sub(&thread->process->threads, 1, __ATOMIC_RELAXED);
    heap_give_back(thread);
}

/* ---- The tree ------------------------------------------------------------------------------- */

void process_enter(struct process *process, struct process *parent)
{
    lock_take(&tree);
    process->parent = parent;
    if (parent) {
        process->sibling = parent->children;
        parent->children = process;
    }
    lock_give(&tree);
    schedule_alive(1);
}

static void wake_waiter(struct process *process)
{
    struct thread *waiter = process->waiter;

    process->waiter = NULL;
    if (waiter)
        thread_ready(waiter);
}

bool process_stop(struct process *process, const struct call_end *end)
{
    bool first;

    lock_take(&tree);
    first = !process->ending;
    if (first) {
        uint32_t id = process->end.id;

        process->end = *end;
        process->end.id = id;
        __atomic_store_n(&process->ending, 1, __ATOMIC_RELEASE);
    }
    wake_waiter(process);
    lock_give(&tree);
    return first;
}

/* Take the first dead child out of the list. NULL: none is dead. */
static struct process *unlink_dead(struct process *process)
{
    struct process **at = &process->children;

    while (*at && !(*at)->dead)
        at = &(*at)->sibling;
    if (*at) {
        struct process *child = *at;

        *at = child->sibling;
        return child;
    }
    return NULL;
}

/* Children go on without a parent. Those that are dead are told of to nobody. */
static void leave_children(struct process *process)
{
    struct process *child;

    while ((child = unlink_dead(process)) != NULL)
        process_drop(child);
    while ((child = process->children) != NULL) {
        process->children = child->sibling;
        child->parent = NULL;
    }
}

/* The last thread is gone, and no CPU has the space loaded (U3). */
static void process_finish(struct process *process)
{
    bool drop;

    quire_space_destroy(&process->space);
    lock_take(&tree);
    leave_children(process);
    process->dead = true;
    drop = process->parent == NULL;
    if (process->program)
        process->program->end = process->end;
    if (process->parent)
        wake_waiter(process->parent);
    lock_give(&tree);
    if (drop)
        process_drop(process);
    schedule_alive(-1);
}

void thread_end(struct thread *thread)
{
    struct process *process = thread->process;

    heap_give_back(thread);
    if (__atomic_sub_fetch(&process->threads, 1, __ATOMIC_ACQ_REL) == 0)
        process_finish(process);
}

int process_reap(struct process *process, struct call_end *end)
{
    struct process *child;
    int error = QUIRE_ERR_BUSY;

    lock_take(&tree);
    child = unlink_dead(process);
    if (!child && !process->children)
        error = QUIRE_ERR_STATE;
    lock_give(&tree);
    if (!child)
        return error;
    *end = child->end;
    process_drop(child);
    return QUIRE_OK;
}

bool process_has_waiter(struct process *process)
{
    bool has;

    lock_take(&tree);
    has = process->waiter != NULL;
    lock_give(&tree);
    return has;
}

void process_await(struct thread *thread)
{
    struct process *process = thread->process, *child;
    bool ended;

    lock_take(&tree);
    ended = process->ending || process->waiter || !process->children;
    for (child = process->children; child && !ended; child = child->sibling)
        ended = child->dead;
    if (!ended)
        process->waiter = thread;
    lock_give(&tree);
    if (ended)
        thread_ready(thread);
}
