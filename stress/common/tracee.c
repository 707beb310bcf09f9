/* SPDX-License-Identifier: MIT
 *
 * tracee.c - see tracee.h: the parent's side, by ptrace.
 */
#include "tracee.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS = 100000, TRIES = 10 };

#if defined(__aarch64__)
#define IP(regs)                     ((regs).pc)
#define RETURN_ADDRESS(t, registers) ((void)(t), (registers).regs[30])
static const uint64_t trap = 0xd4200000, trap_mask = 0xffffffff, trap_length = 0; /* brk #0 */
#else
#define IP(regs)                     ((regs).rip)
#define RETURN_ADDRESS(t, registers) peek(t, (registers).rsp)
static const uint64_t trap = 0xcc, trap_mask = 0xff, trap_length = 1; /* int3 */
#endif

static void traced(const struct tracee *t, long result, const char *what)
{
    if (result == -1)
        die("%s: %s: %s", t->scene->name, what, strerror(errno));
}

static enum stop wait_for(const struct tracee *t)
{
    int status;

    traced(t, waitpid(t->pid, &status, 0), "waitpid");
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP)
        return STOP_TRAP;
    if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)
        return STOP_PAUSE;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("%s: the child ended with status 0x%x", t->scene->name, (unsigned)status);
    return STOP_END;
}

struct tracee tracee_start(const struct scene *scene)
{
    struct tracee t = {.pid = fork(), .scene = scene};

    if (t.pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(SKIPPED);
        scene_play(scene);
    }
    traced(&t, t.pid, "fork");
    if (wait_for(&t) != STOP_PAUSE)
        die("%s: the child did not pause", scene->name);
    /* A parent that dies takes the child along. */
    traced(&t, ptrace(PTRACE_SETOPTIONS, t.pid, NULL, PTRACE_O_EXITKILL), "SETOPTIONS");
    return t;
}

enum stop tracee_step(const struct tracee *t, int signal)
{
    traced(t, ptrace(PTRACE_SINGLESTEP, t->pid, NULL, signal), "SINGLESTEP");
    return wait_for(t);
}

enum stop tracee_run(const struct tracee *t, int signal)
{
    traced(t, ptrace(PTRACE_CONT, t->pid, NULL, signal), "CONT");
    return wait_for(t);
}

void tracee_finish(const struct tracee *t)
{
    enum stop stop;

    do {
        stop = tracee_run(t, 0);
        if (stop == STOP_TRAP)
            die("%s: an unexpected trap at 0x%" PRIx64, t->scene->name, tracee_ip(t));
    } while (stop != STOP_END);
}

static struct user_regs_struct registers(const struct tracee *t)
{
    struct user_regs_struct regs;
    struct iovec io = {&regs, sizeof regs};

    traced(t, ptrace(PTRACE_GETREGSET, t->pid, NT_PRSTATUS, &io), "GETREGSET");
    return regs;
}

uint64_t tracee_ip(const struct tracee *t)
{
    struct user_regs_struct regs = registers(t);

    return IP(regs);
}

bool tracee_in_program(uint64_t ip)
{
    /* The linker's names for the ends of the program's code. */
    extern const char text_begin[] __asm__("__executable_start"), text_end[] __asm__("etext");

    return ip >= (uintptr_t)text_begin && ip < (uintptr_t)text_end;
}

static uint64_t peek(const struct tracee *t, uint64_t address)
{
    uint64_t word;

    errno = 0;
    word = (uint64_t)ptrace(PTRACE_PEEKDATA, t->pid, address, NULL);
    traced(t, errno ? -1 : 0, "PEEKDATA");
    return word;
}

void tracee_poke(const struct tracee *t, uint64_t address, uint64_t value)
{
    traced(t, ptrace(PTRACE_POKEDATA, t->pid, address, value), "POKEDATA");
}

uint64_t tracee_break(const struct tracee *t, uint64_t address)
{
    uint64_t was = peek(t, address);

    tracee_poke(t, address, (was & ~trap_mask) | trap);
    return was;
}

bool tracee_at(const struct tracee *t, uint64_t address)
{
    struct user_regs_struct regs = registers(t);
    struct iovec io = {&regs, sizeof regs};

    if (IP(regs) != address + trap_length)
        return false;
    IP(regs) = address;
    traced(t, ptrace(PTRACE_SETREGSET, t->pid, NT_PRSTATUS, &io), "SETREGSET");
    return true;
}

enum stop tracee_leave_library(const struct tracee *t)
{
    struct user_regs_struct regs = registers(t);
    uint64_t address = RETURN_ADDRESS(t, regs), was;
    enum stop stop;

    if (!tracee_in_program(address))
        return tracee_step(t, 0);
    was = tracee_break(t, address);
    stop = tracee_run(t, 0);
    if (stop == STOP_TRAP && !tracee_at(t, address))
        die("%s: an unexpected trap at 0x%" PRIx64, t->scene->name, tracee_ip(t));
    if (stop != STOP_END)
        tracee_poke(t, address, was);
    return stop;
}

/* One try of it. False: the child has ended, or was about to, without. */
static bool try_stop_at(struct tracee *t, const struct scene *scene, uint64_t address, unsigned n)
{
    *t = tracee_start(scene);
    for (;;) {
        uint64_t was = tracee_break(t, address);
        enum stop stop = tracee_run(t, 0);

        if (stop == STOP_END)
            return false;
        if (stop == STOP_TRAP && !tracee_at(t, address))
            die("%s: an unexpected trap at 0x%" PRIx64, scene->name, tracee_ip(t));
        tracee_poke(t, address, was);
        if (stop == STOP_PAUSE) {
            tracee_finish(t);
            return false;
        }
        if (--n == 0)
            return true;
        stop = tracee_step(t, 0);
        if (stop == STOP_END)
            return false;
        if (stop != STOP_TRAP)
            die("%s: ended at 0x%" PRIx64, scene->name, address);
    }
}

/* On a busy machine the scheduler may preempt a child within a restartable sequence, which then
 * goes another way: that child is not counted. */
struct tracee tracee_stop_at(const struct scene *scene, uint64_t address, unsigned n)
{
    struct tracee t;

    for (int i = 0; i < TRIES; i++)
        if (try_stop_at(&t, scene, address, n))
            return t;
    die("%s: does not come to 0x%" PRIx64 " again", scene->name, address);
}

bool tracee_next_instruction(const struct tracee *t)
{
    for (int i = 0; i < STEPS; i++) {
        if (tracee_step(t, 0) != STOP_TRAP)
            return false;
        if (tracee_in_program(tracee_ip(t)))
            return true;
    }
    die("%s: does not end in %d steps", t->scene->name, STEPS);
}

unsigned tracee_note_instructions(const struct scene *scene, uint64_t ips[], unsigned capacity)
{
    struct tracee t = tracee_start(scene);
    unsigned n = 0;

    while (tracee_next_instruction(&t)) {
        if (n == capacity)
            die("%s: more than %u instructions", scene->name, capacity);
        ips[n++] = tracee_ip(&t);
    }
    tracee_finish(&t);
    return n;
}

unsigned tracee_times(const uint64_t ips[], unsigned k)
{
    unsigned times = 0;

    for (unsigned i = 0; i <= k; i++)
        times += ips[i] == ips[k];
    return times;
}

struct tracee tracee_interrupt_at(const struct scene *scene, const uint64_t ips[], unsigned k,
                                  int signal)
{
    struct tracee t = tracee_stop_at(scene, ips[k], tracee_times(ips, k));

    if (tracee_run(&t, signal) != STOP_PAUSE)
        die("%s, instruction %u: the handler did not run there", scene->name, k);
    return t;
}
