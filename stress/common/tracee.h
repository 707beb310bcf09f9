/* SPDX-License-Identifier: MIT
 *
 * tracee.h - a child that makes one call under the eyes of its parent, which may stop it at any
 * instruction, send it a signal there, or have a restartable sequence restarted there.
 *
 * The child is forked off for each call, so it starts from the same state each time, and its code
 * and data are at the same addresses as the parent's. It prepares a scene, pauses (SIGSTOP), makes
 * the call, pauses again, checks everything, and ends; what it finds wrong it says, and aborts. Its
 * other threads, if it starts any, run on while it is stopped.
 *
 * x86-64 and aarch64, no sanitizers: they have code and handlers of their own.
 */
#ifndef QUIRE_STRESS_COMMON_TRACEE_H
#define QUIRE_STRESS_COMMON_TRACEE_H

#include "stress/common/die.h"
#include "stress/common/sanitized.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A call, and how to get into the state that it starts from. */
struct scene {
    const char *name;
    void (*prepare)(void);
    void (*act)(void);
    void (*interrupt)(void); /* what the handler does; NULL for the usual */
};

/* A child's life after it asked to be traced: the program's. */
__attribute__((noreturn)) void scene_play(const struct scene *scene);

/* Skip the program where calls cannot be watched. */
static inline void skip_unless_watchable(void)
{
    if (SANITIZED)
        skip_all("a sanitizer's own code cannot be interrupted everywhere");
#if !defined(__x86_64__) && !defined(__aarch64__)
    skip_all("written for x86-64 and aarch64");
#endif
}

/* Why a child stopped. */
enum stop {
    STOP_TRAP,  /* after a single step, or at a breakpoint */
    STOP_PAUSE, /* it paused */
    STOP_END,   /* it has ended well */
};

struct tracee {
    pid_t pid;
    const struct scene *scene;
};

/* Fork a child, up to its first pause. */
struct tracee tracee_start(const struct scene *scene);
/* Go on with a signal, or 0: for one instruction, or until something stops it. */
enum stop tracee_step(const struct tracee *t, int signal);
enum stop tracee_run(const struct tracee *t, int signal);
/* Let it run through its pauses to its end; it must end well and meet no trap. */
void tracee_finish(const struct tracee *t);

uint64_t tracee_ip(const struct tracee *t);
/* Is this address in this program, not in a library? */
bool tracee_in_program(uint64_t ip);
/* It has just entered a library: go on to where it comes back, or one step if that cannot be told.
 */
enum stop tracee_leave_library(const struct tracee *t);
/* Step to the next instruction of the program, over what is done in libraries. False: the call is
 * over. */
bool tracee_next_instruction(const struct tracee *t);
/* Step through a call that nobody disturbs, and note its instructions. Returns how many. */
unsigned tracee_note_instructions(const struct scene *scene, uint64_t ips[], unsigned capacity);
/* How often the instruction that was noted at place k was executed so far, this time included. */
unsigned tracee_times(const uint64_t ips[], unsigned k);
/* Fork a child, up to the instruction that was noted at place k, where the handler of the signal
 * runs up to its pause. */
struct tracee tracee_interrupt_at(const struct scene *scene, const uint64_t ips[], unsigned k,
                                  int signal);
/* Eight bytes of its memory. */
void tracee_poke(const struct tracee *t, uint64_t address, uint64_t value);
/* Set a breakpoint; returns what was there, for tracee_poke. */
uint64_t tracee_break(const struct tracee *t, uint64_t address);
/* Is the trap that stopped it the breakpoint at `address`? Then the ip is set back to it. */
bool tracee_at(const struct tracee *t, uint64_t address);
/* Fork a child, up to the moment before it executes this instruction for the n-th time, n >= 1. */
struct tracee tracee_stop_at(const struct scene *scene, uint64_t address, unsigned n);

#endif /* QUIRE_STRESS_COMMON_TRACEE_H */
