/* SPDX-License-Identifier: MIT
 *
 * copy.c - bytes to and from the memory of the loaded process, at addresses that it names.
 *
 * The addresses are checked to be user memory, and then simply used: a page that is not there yet
 * is brought by the fault handler, as for the program itself, and what cannot be served ends the
 * copy. (To look the page up first, and copy then, would be a race against an unmap.) Nothing else
 * in the kernel touches user memory: where the processor has SMAP, it could not (each trap takes
 * away what a program, or a copy, had allowed: trap_entry.S).
 *
 * State: for each CPU, whether it copies, and what the fault that ended a copy answered.
 */
#include "process.h"

#include "kernel-port/kernel/lib/text.h"
#include "x86.h"

struct copy {
    void *to;
    const void *from;
    uint64_t bytes;
};

static struct {
    bool copying;
    int error;
    uint32_t reclaims; /* in this copy: others may take away again what one gave */
} copies[CPUS_MAX];

static void copy(uint64_t argument)
{
    const struct copy *c = (const struct copy *)argument;

    memcpy(c->to, c->from, c->bytes);
}

/* What trap_on_page_fault is told: a fault in the kernel. */
static bool serve(uint64_t address, uint64_t code)
{
    struct process *process = process_loaded();
    uint32_t cpu = cpu_id(), access = code & 2 ? QUIRE_WRITE : QUIRE_READ;
    bool reclaimed;

    if (!copies[cpu].copying || address >= USER_END)
        return false;
    copies[cpu].error = process_fault(process, address, access | QUIRE_USER, &reclaimed);
    copies[cpu].reclaims += reclaimed;
    if (copies[cpu].error == QUIRE_OK && copies[cpu].reclaims > FAULTS_AGAIN)
        copies[cpu].error = QUIRE_ERR_NO_MEMORY;
    return copies[cpu].error == QUIRE_OK;
}

void copies_begin(void)
{
    trap_on_page_fault(serve);
}

void copies_end(void)
{
    trap_on_page_fault(NULL);
}

static int copy_user(const struct copy *c, uint64_t user)
{
    uint32_t cpu = cpu_id();
    bool guarded = read_cr4() & CR4_SMAP, failed;

    if (user < USER_START || user >= USER_END || c->bytes > USER_END - user)
        return QUIRE_ERR_ADDRESS;
    copies[cpu].reclaims = 0;
    copies[cpu].copying = true;
    if (guarded)
        user_access_allow();
    failed = fault_probe(copy, (uint64_t)c);
    if (guarded)
        user_access_forbid();
    copies[cpu].copying = false;
    return failed ? copies[cpu].error : QUIRE_OK;
}

int user_copy_in(void *to, uint64_t from, uint64_t bytes)
{
    struct copy c = {to, (const void *)from, bytes};

    return copy_user(&c, from);
}

int user_copy_out(uint64_t to, const void *from, uint64_t bytes)
{
    struct copy c = {(void *)to, from, bytes};

    return copy_user(&c, to);
}
