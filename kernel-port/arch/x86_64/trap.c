/* SPDX-License-Identifier: MIT
 *
 * trap.c - see trap.h.
 *
 * State: the interrupt descriptor table and who handles what, both written before the second CPU
 * starts and constant afterwards; and what NMIs and timer interrupts do besides being counted, and
 * who serves page faults, written by the first CPU while none of them comes.
 */
#include "trap.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/port.h"
#include "user_mode.h"
#include "x86.h"

struct gate {
    uint16_t low, segment;
    uint8_t stack, type;
    uint16_t middle;
    uint32_t high, unused;
};

enum {
    INTERRUPT_GATE = 0x8e,
    GATE_FOR_USERS = 0x60, /* the instruction `int` in user mode may use it */
    STUB_BYTES = 16,
    ERROR_PRESENT = 1,
    ERROR_WRITE = 2,
    ERROR_FETCH = 16
};

extern char trap_stubs[], fault_resume[];

static struct gate gates[VECTORS] __attribute__((aligned(16)));
static trap_handler *handlers[VECTORS];
static void (*nmi_action)(void), (*timer_action)(void);
static fault_server *page_fault_server;

static const char *const names[] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range",
    "invalid opcode",
    "no floating point unit",
    "double fault",
    "vector 9",
    "invalid task state",
    "segment not present",
    "stack segment fault",
    "general protection fault",
    "page fault",
    "vector 15",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
};

static void page_fault(struct trap_frame *f)
{
    struct cpu *c = this_cpu();
    uint64_t address = read_cr2();
    const char *what = f->error & ERROR_FETCH   ? "execution"
                       : f->error & ERROR_WRITE ? "write"
                                                : "read";

    if (page_fault_server && page_fault_server(address, f->error))
        return;
    if (c->recover) {
        c->fault_address = address;
        c->fault_error = f->error;
        f->rip = (uint64_t)fault_resume;
        f->rsp = c->recover;
        c->recover = 0;
        return;
    }
    panic_at(f, "page fault: %s at %016lx, %s", what, address,
             f->error & ERROR_PRESENT ? "which is forbidden" : "where nothing is mapped");
}

static void double_fault(struct trap_frame *f)
{
    if (cpu_stack_guard(read_cr2()))
        panic_at(f, "stack overflow at %016lx", read_cr2());
    panic_at(f, "double fault");
}

static void nmi(struct trap_frame *frame)
{
    (void)frame;
    panic_check();
    port_answer();
    this_cpu()->nmis++;
    if (nmi_action)
        nmi_action();
}

static void timer(struct trap_frame *frame)
{
    (void)frame;
    apic_acknowledge();
    this_cpu()->timer_ticks++;
    if (timer_action)
        timer_action();
}

void trap_on_page_fault(fault_server *server)
{
    page_fault_server = server;
}

void trap_on_nmi(void (*action)(void))
{
    nmi_action = action;
}

void trap_on_timer(void (*action)(void))
{
    timer_action = action;
}

const char *trap_name(uint64_t vector)
{
    return vector < sizeof names / sizeof names[0] ? names[vector] : "an interrupt";
}

void trap(struct trap_frame *f)
{
    if (handlers[f->vector])
        handlers[f->vector](f);
    else if (f->vector < sizeof names / sizeof names[0])
        panic_at(f, "%s", names[f->vector]);
    else
        panic_at(f, "interrupt %lu, which nobody asked for", f->vector);
}

void trap_handle(enum vector vector, trap_handler *handler)
{
    handlers[vector] = handler;
}

/* Before the stacks of an interrupt stack table exist, every vector uses the current one. */
void trap_init(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        uint64_t stub = (uint64_t)trap_stubs + i * STUB_BYTES;

        gates[i] = (struct gate){.low = (uint16_t)stub,
                                 .segment = CODE_SEGMENT,
                                 .type = INTERRUPT_GATE,
                                 .middle = (uint16_t)(stub >> 16),
                                 .high = (uint32_t)(stub >> 32)};
    }
    gates[VECTOR_CALL].type |= GATE_FOR_USERS;
    trap_handle(VECTOR_PAGE_FAULT, page_fault);
    trap_handle(VECTOR_DOUBLE_FAULT, double_fault);
    trap_handle(VECTOR_NMI, nmi);
    trap_handle(VECTOR_TIMER, timer);
    trap_load();
}

void trap_load(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof gates - 1, (uint64_t)gates};

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void trap_use_stacks(void)
{
    gates[VECTOR_NMI].stack = STACK_NMI;
    gates[VECTOR_DOUBLE_FAULT].stack = STACK_FAULT;
    gates[VECTOR_MACHINE_CHECK].stack = STACK_FAULT;
}
