/* SPDX-License-Identifier: MIT
 *
 * cpu.h - what each CPU has of its own, found through its GS base.
 *
 * A struct cpu lies on its CPU's node. It is written by the CPU that starts the others until
 * `online` is set (release; read with acquire), and by its own CPU afterwards. Others read its
 * counters, which may lag.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_CPU_H
#define KERNEL_PORT_ARCH_X86_64_CPU_H

#include "layout.h"
#include "this_cpu.h"

#include <stdbool.h>
#include <stdint.h>

enum { CPUS_MAX = 255, APIC_IDS = 255 };

/* Each CPU has three stacks: the usual one; one for NMIs; one for faults that may come from a bad
 * stack. */
enum cpu_stack { STACK_USUAL = 0, STACK_NMI = 1, STACK_FAULT = 2, STACKS_PER_CPU = 3 };

struct task_state { /* the processor's: nothing but stacks is used of it */
    uint32_t unused0;
    uint64_t rsp[3];
    uint64_t unused1;
    uint64_t ist[7];
    uint64_t unused2;
    uint16_t unused3, io_map;
} __attribute__((packed));

struct cpu {
    struct cpu *self;   /* offset 0: gs:0 */
    uint64_t recover;   /* offset 8: the stack pointer of fault_probe, or 0 */
    uint64_t stack_top; /* offset 16: of the usual stack */
    uint32_t id;        /* offset 24: 0 .. cpu_count - 1 */
    uint32_t apic_id;
    uint32_t node; /* place in the machine's nodes, not the firmware's number */
    uint32_t online;
    uint64_t user_return; /* offset 40: the stack pointer of user_enter */
    uint64_t gdt[7];
    struct task_state tss;
    uint64_t fault_address; /* of the last fault that fault_probe caught */
    uint64_t fault_error;
    uint64_t timer_ticks, nmis, wakes;     /* interrupts taken */
    uint64_t quiet;                        /* moments without a reader, see work.c */
    uint64_t answers_begun, answers_ended; /* to what other CPUs ask, see port.c */
    uint32_t job_seen, place;
    bool asleep;
} __attribute__((aligned(64)));

/* The first CPU's until its node is known, then copied: addresses in it are not to be kept. */
extern struct cpu boot_cpu;

extern struct cpu *cpus[CPUS_MAX]; /* by id */
extern uint32_t cpu_count;

static inline struct cpu *this_cpu(void)
{
    struct cpu *c;

    __asm__("movq %%gs:0, %0" : "=r"(c));
    return c;
}

static inline uint32_t cpu_id(void)
{
    return quire_this_cpu();
}

/* Make `c` the CPU that runs this: descriptor table, task state, GS. */
void cpu_become(struct cpu *c);

/* The address behind the last byte of a stack. */
static inline uint64_t cpu_stack_end(uint32_t cpu, enum cpu_stack which)
{
    return STACKS_BASE + ((uint64_t)cpu * STACKS_PER_CPU + which + 1) * 2 * STACK_BYTES;
}

/* Is `address` in the unmapped page range below a stack of this kernel? */
bool cpu_stack_guard(uint64_t address);

/* May two words at `address` be read as a frame of a stack? */
bool cpu_stack_holds(uint64_t address);

#endif /* KERNEL_PORT_ARCH_X86_64_CPU_H */
