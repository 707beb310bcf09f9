/* SPDX-License-Identifier: MIT
 *
 * process.h - processes and threads: private to this folder.
 *
 * A process is a space and what shares it. A thread is the registers of one, in a frame that the
 * processor itself fills at each trap (user_mode.h of the architecture). The kernel has no thread
 * of its own and is never preempted: a CPU runs a thread until it traps, does what it asked for,
 * and goes on with it or with the next one, on the CPU's one stack, interrupts off.
 *
 * Invariants
 *  U1  A thread is in one place: run by a CPU, in the queue of ready ones, or its process's waiter.
 *      Who takes it out of one puts it into the next, and does not look at it again.
 *  U2  A CPU that loads a space sets its bit in `loaded` first, and clears it after it has loaded
 *      the kernel's tables. So a CPU without the bit remembers nothing of the space's pages, and
 *      one whose bit is set too late to be asked walks tables that were changed before.
 *  U3  A thread that is not run is of a process that this CPU has not loaded: it unloads first, and
 *      then puts the thread away. So a process without threads is loaded nowhere, and its space can
 *      be destroyed.
 *  U4  `lock` is held for calls that change the space, one at a time (space.h). Faults take no
 *      lock; see U9.
 *
 * Locks, in this order: a process's, that of the tree of processes, that of the queue. A holder has
 * interrupts off and can be asked to forget pages meanwhile, by NMI: so nobody who waits for a lock
 * keeps anybody waiting for an answer.
 */
#ifndef KERNEL_PORT_KERNEL_USER_PROCESS_H
#define KERNEL_PORT_KERNEL_USER_PROCESS_H

#include "cpu.h"
#include "ramdisk.h"
#include "user.h"
#include "user_mode.h"

enum {
    CPU_WORDS = (CPUS_MAX + 63) / 64,
    FAULT_PAGES = 8,  /* that an instruction needs at once, at most: itself, and what it touches */
    FAULTS_AGAIN = 16 /* times that it is served one that it had already */
};

struct lock {
    uint32_t taken; /* atomic */
};

struct process {
    struct quire_space space;
    struct lock lock;
    uint64_t loaded[CPU_WORDS]; /* atomic: a bit for each CPU, U2 */
    uint32_t threads;           /* atomic: those that have not ended */
    uint32_t ending;            /* atomic: all threads are to end */
    char name[RAMDISK_NAME];
    uint64_t stack;      /* the lowest byte of the first thread's */
    struct call_end end; /* written by who sets `ending`, and by the last thread */
    /* The tree; all under its lock. */
    struct process *parent, *children, *sibling;
    struct user_program *program; /* who wants to know how it ended, if there is no parent */
    struct thread *waiter;
    bool dead;
};

struct thread {
    struct trap_frame frame __attribute__((aligned(16)));
    struct process *process;
    struct thread *next; /* in the queue */
    struct {             /* faults of one instruction that took reclaims: see fault.c */
        uint64_t rip, pages[FAULT_PAGES];
        uint32_t count, again;
    } short_of_memory;
};

/* ---- lock.c --------------------------------------------------------------------------------- */

void lock_take(struct lock *lock);
void lock_give(struct lock *lock);

/* ---- spaces.c: what a space needs; which CPU has which loaded -------------------------------- */

void spaces_of_users_begin(const struct user_config *config);
void spaces_of_users_end(void);

/* Make the space of a process, empty or as that of `from`. 0 or an error. */
int process_space_create(struct process *process);
int process_space_fork(struct process *from, struct process *child);

/* This CPU uses the process's space; none. */
void process_load(struct process *process);
void process_unload(void);
struct process *process_loaded(void);

/* Around what reads the tables of spaces without the lock of their process: not nested, and nobody
 * takes a lock of this folder in between. */
void tables_enter(void);
void tables_leave(void);

/* ---- copy.c: memory of the loaded process ---------------------------------------------------- */

/* 0, or what a fault at the first byte that cannot be copied answered. */
int user_copy_in(void *to, uint64_t from, uint64_t bytes);
int user_copy_out(uint64_t to, const void *from, uint64_t bytes);
void copies_begin(void);
void copies_end(void);

/* ---- fault.c -------------------------------------------------------------------------------- */

/* An access of the process, by itself or by the kernel for it. Reclaims if there is no memory, and
 * says in *reclaimed whether it did. */
int process_fault(struct process *process, uint64_t address, uint32_t access, bool *reclaimed);

/* A line on the console. */
void console_line(const struct process *process, const char *text);

/* The thread trapped by something other than an interrupt or a call: serve it, or end the process.
 */
void thread_fault(struct thread *thread, uint64_t address);

/* ---- program.c ------------------------------------------------------------------------------ */

bool programs_begin(const struct user_config *config, uint64_t phys, uint64_t bytes);
void programs_end(void);

/* File number 1 .. count of struct call_map; NULL: there is none. */
struct quire_file *program_file(uint32_t number);

/* Give frames of page caches back, and what the heap has without need: how many. */
uint64_t programs_reclaim(uint64_t frames);

/* A process with one thread, ready to run the program. */
int program_start(struct user_program *program);

/* ---- process.c ------------------------------------------------------------------------------ */

/* A process without threads; a thread of it, which counts. NULL: no memory. */
struct process *process_new(const char *name);
struct thread *thread_new(struct process *process);
void thread_drop(struct thread *thread);    /* a new one that was never ready */
void process_drop(struct process *process); /* a new one, without a space */

/* It is a child of `parent`, if not NULL, and counts as alive. */
void process_enter(struct process *process, struct process *parent);

/* All threads of the process are to end; it ended so, if this is the first reason: then true. */
bool process_stop(struct process *process, const struct call_end *end);

/* The thread, which no CPU runs, is over. Ends its process, if it was the last one. */
void thread_end(struct thread *thread);

/* A child that ended is taken out of the list. QUIRE_ERR_STATE: there are no children.
 * QUIRE_ERR_BUSY: none has ended yet. */
int process_reap(struct process *process, struct call_end *end);

/* The thread, which no CPU runs, waits for a child of its process to end; it is made ready. */
void process_await(struct thread *thread);
bool process_has_waiter(struct process *process);

/* ---- schedule.c ----------------------------------------------------------------------------- */

void schedule_begin(void);
void thread_ready(struct thread *thread);
void schedule_alive(int64_t change); /* so many processes more */
void schedule_run(void);             /* on all CPUs, until no process is alive */

/* ---- calls.c -------------------------------------------------------------------------------- */

/* What becomes of a thread after a trap. */
enum next { NEXT_GOES_ON, NEXT_LATER, NEXT_AWAITS, NEXT_ENDS };

enum next thread_call(struct thread *thread);

#endif /* KERNEL_PORT_KERNEL_USER_PROCESS_H */
