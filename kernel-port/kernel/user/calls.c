/* SPDX-License-Identifier: MIT
 *
 * calls.c - what programs ask for: calls.h of the programs. Arguments may be anything.
 *
 * A call that has to wait does not: its thread is put away as it was before the call, and makes it
 * again when there is something to tell.
 */
#include "process.h"

#include "kernel-port/kernel/lib/text.h"

enum { CALL_BYTES = 2 /* of the instruction */ };

/* ---- Memory --------------------------------------------------------------------------------- */

static uint32_t reserve_flags(uint32_t flags)
{
    return (flags & CALL_MAP_ANYWHERE ? (uint32_t)QUIRE_RESERVE_ANYWHERE : 0) |
           (flags & CALL_MAP_LARGE ? (uint32_t)QUIRE_RESERVE_LARGE : 0) |
           (flags & CALL_MAP_STACK ? (uint32_t)QUIRE_RESERVE_STACK : 0);
}

static bool access_is_known(uint64_t access)
{
    const uint64_t all = QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE;

    return !(access & ~all) && !((access & QUIRE_WRITE) && (access & QUIRE_EXECUTE));
}

static int64_t map(struct process *process, uint64_t argument)
{
    const uint32_t flags = CALL_MAP_ANYWHERE | CALL_MAP_LARGE | CALL_MAP_STACK | CALL_MAP_SHARED;
    struct quire_area area = {.kind = QUIRE_AREA_ANONYMOUS};
    struct call_map want;
    quire_vaddr at;
    int error = user_copy_in(&want, argument, sizeof want);

    if (error)
        return error;
    if (!access_is_known(want.access))
        return QUIRE_ERR_ACCESS;
    if (want.flags & ~flags || want.unused || (!want.file && (want.flags & CALL_MAP_SHARED)))
        return QUIRE_ERR_UNSUPPORTED;
    area.range = quire_vrange_of(want.address, want.bytes);
    area.access = want.access ? want.access | QUIRE_USER : 0;
    area.offset = want.offset;
    area.file = want.file ? program_file(want.file) : NULL;
    if (want.file && !area.file)
        return QUIRE_ERR_SIZE;
    if (area.file)
        area.kind = want.flags & CALL_MAP_SHARED ? QUIRE_AREA_SHARED : QUIRE_AREA_PRIVATE;
    else if (!want.access)
        area.kind = QUIRE_AREA_GUARD;
    lock_take(&process->lock);
    error = quire_space_reserve(&process->space, &area, reserve_flags(want.flags), &at);
    lock_give(&process->lock);
    return error ? error : (int64_t)at.n;
}

/* Looks into all areas of the files, of whatever process. */
static int sync(struct process *process, struct quire_vrange range)
{
    int error;

    tables_enter();
    error = quire_space_sync(&process->space, range);
    tables_leave();
    return error;
}

/* The calls about a range that there is. */
static int64_t change(struct process *process, const struct trap_frame *f)
{
    struct quire_vrange range = quire_vrange_of(f->rdi, f->rsi);
    int error = QUIRE_ERR_UNSUPPORTED;

    if (f->rax == CALL_PROTECT && !access_is_known(f->rdx))
        return QUIRE_ERR_ACCESS;
    if (f->rdx > UINT32_MAX && f->rax == CALL_ADVISE)
        return QUIRE_ERR_UNSUPPORTED;
    lock_take(&process->lock);
    if (f->rax == CALL_UNMAP)
        error = quire_space_unmap(&process->space, range);
    else if (f->rax == CALL_PROTECT)
        error = quire_space_protect(&process->space, range, (uint32_t)f->rdx | QUIRE_USER);
    else if (f->rax == CALL_ADVISE)
        error = quire_space_advise(&process->space, range, (enum quire_advice)f->rdx);
    else if (f->rax == CALL_SYNC)
        error = sync(process, range);
    lock_give(&process->lock);
    return error;
}

static int64_t file_bytes(uint64_t number)
{
    struct quire_file *file = number <= UINT32_MAX ? program_file((uint32_t)number) : NULL;

    return file ? (int64_t)quire_file_size(file) : QUIRE_ERR_SIZE;
}

/* ---- Others --------------------------------------------------------------------------------- */

static int64_t write(const struct process *process, uint64_t text, uint64_t bytes)
{
    char line[CALL_LINE + 1] = "";
    int error;

    if (bytes > CALL_LINE)
        return QUIRE_ERR_SIZE;
    error = user_copy_in(line, text, bytes);
    if (error)
        return error;
    for (uint64_t i = 0; i < bytes; i++)
        if (line[i] < ' ' || line[i] > '~') /* a line, and no control of a terminal */
            line[i] = '?';
    line[bytes] = '\0';
    console_line(process, line);
    return (int64_t)bytes;
}

static int64_t fork(struct thread *thread)
{
    struct process *process = thread->process, *child = process_new(process->name);
    struct thread *copy = child ? thread_new(child) : NULL;
    uint32_t id;
    int error = copy ? QUIRE_OK : QUIRE_ERR_NO_MEMORY;

    if (copy) {
        lock_take(&process->lock);
        error = process_space_fork(process, child);
        lock_give(&process->lock);
    }
    if (error) {
        if (copy)
            thread_drop(copy);
        if (child)
            process_drop(child);
        return error;
    }
    copy->frame = thread->frame;
    copy->frame.rax = 0;
    child->stack = process->stack;
    id = child->end.id;
    process_enter(child, process);
    thread_ready(copy); /* and may have ended by now, and the child with it */
    return id;
}

static int64_t new_thread(struct process *process, const struct trap_frame *f)
{
    struct thread *thread;

    if (f->rdi < USER_START || f->rdi >= USER_END || f->rsi < USER_START || f->rsi > USER_END)
        return QUIRE_ERR_ADDRESS;
    thread = thread_new(process);
    if (!thread)
        return QUIRE_ERR_NO_MEMORY;
    user_frame_init(&thread->frame, f->rdi, f->rsi, f->rdx);
    thread_ready(thread);
    return QUIRE_OK;
}

/* Tell of a child that ended; or wait for one, and make the call again. */
static enum next await(struct thread *thread)
{
    struct trap_frame *f = &thread->frame;
    struct call_end end;
    int error = process_reap(thread->process, &end), copied;

    if (error == QUIRE_ERR_BUSY && !process_has_waiter(thread->process)) {
        f->rip -= CALL_BYTES;
        return NEXT_AWAITS;
    }
    if (error == 0) {
        copied = user_copy_out(f->rdi, &end, sizeof end);
        f->rax = copied ? (uint64_t)(int64_t)copied : end.id;
    } else {
        f->rax = (uint64_t)(int64_t)error;
    }
    return NEXT_GOES_ON;
}

static enum next end(struct thread *thread, uint64_t status)
{
    struct call_end how = {.kind = END_EXIT, .status = (int64_t)status};

    (void)process_stop(thread->process, &how);
    return NEXT_ENDS;
}

enum next thread_call(struct thread *thread)
{
    struct trap_frame *f = &thread->frame;
    struct process *process = thread->process;
    int64_t result = QUIRE_OK;
    enum next next = NEXT_GOES_ON;

    switch (f->rax) {
    case CALL_EXIT:
        return end(thread, f->rdi);
    case CALL_LEAVE:
        return NEXT_ENDS;
    case CALL_WAIT:
        return await(thread);
    case CALL_YIELD:
        next = NEXT_LATER;
        break;
    case CALL_WRITE:
        result = write(process, f->rdi, f->rsi);
        break;
    case CALL_MAP:
        result = map(process, f->rdi);
        break;
    case CALL_UNMAP:
    case CALL_PROTECT:
    case CALL_ADVISE:
    case CALL_SYNC:
        result = change(process, f);
        break;
    case CALL_FORK:
        result = fork(thread);
        break;
    case CALL_THREAD:
        result = new_thread(process, f);
        break;
    case CALL_CPU:
        result = cpu_id();
        break;
    case CALL_FILE:
        result = file_bytes(f->rdi);
        break;
    default:
        result = QUIRE_ERR_UNSUPPORTED;
        break;
    }
    f->rax = (uint64_t)result;
    return next;
}
