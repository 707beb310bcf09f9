/* SPDX-License-Identifier: MIT
 *
 * guard.h - who reads a snapshot just now: what a host's machine waits for before it gives an
 * old one back (struct quire_machine_port: enter, leave, wait_for_readers).
 *
 * Two kinds of readers. Threads that called quire_host_thread_enter are readers of liburcu (memb):
 * no locked operation, no shared line. All others, signal handlers of unknown threads among them,
 * are counted: registering takes a lock, which a signal handler may not. Which kind a reader is
 * is decided by a thread-local word whose place is fixed when the thread starts (initial-exec: no
 * allocation in a handler).
 *
 * Counting. Readers of a phase, on one of 64 lines by CPU: two locked operations on a line that
 * other CPUs seldom touch. The waiter publishes, fences, and waits until each counter of both
 * phases was seen 0 once; a reader adds, fences, and reads what is published. So either the waiter
 * sees the reader, or the reader sees what was published (E-guard-enter). The phase in which new
 * readers count is flipped between the two waits, so that a steady flow of readers ends: the first
 * wait is for what is left of the phase in which nobody new counts, but for those that read the
 * phase long ago and were held up.
 *
 * Invariants: HG1 a counter is the number of its readers that are inside, and never below 0: a
 * reader takes off where it added (its token says where). HG2 one waiter at a time. Entering and
 * leaving are wait-free and async-signal-safe; waiting blocks.
 */
#ifndef HOST_HARNESS_LIB_GUARD_H
#define HOST_HARNESS_LIB_GUARD_H

#include "core/atomic.h"

enum { GUARD_LINES = 64 };

struct guard_line {
    _Alignas(64) qa32 readers[2]; /* by phase */
};

/* All zero is one without readers. */
struct guard {
    struct guard_line lines[GUARD_LINES];
    _Alignas(64) qa32 phase; /* its lowest bit: where new readers count */
};

/* Begin to read; `cpu` is any number, best that of the caller's CPU. Returns a token for leave. */
uint32_t quire_guard_enter(struct guard *guard, uint32_t cpu);
void quire_guard_leave(struct guard *guard, uint32_t token);

/* Wait until all who were inside have left. One caller at a time, itself not inside. */
void quire_guard_wait(struct guard *guard);

/* The calling thread, as quire_host_thread_enter and _leave tell. False: it had not entered. */
void quire_guard_thread_enter(void);
bool quire_guard_thread_leave(void);

/* Threads that have entered. */
uint32_t quire_guard_threads(void);

#endif /* HOST_HARNESS_LIB_GUARD_H */
