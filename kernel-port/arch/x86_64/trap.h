/* SPDX-License-Identifier: MIT
 *
 * trap.h - exceptions and interrupts.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_TRAP_H
#define KERNEL_PORT_ARCH_X86_64_TRAP_H

#include <stdbool.h>
#include <stdint.h>

enum vector {
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_PIC = 0x20, /* the old interrupt controller's sixteen, all masked */
    VECTOR_TIMER = 0x40,
    VECTOR_WAKE = 0x41,
    VECTOR_CALL = 0x80, /* of a program: a system call */
    VECTOR_SPURIOUS = 0xff,
    VECTORS = 256,
};

/* What is on the stack when trap() is called; trap_entry.S pushes it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void trap_handler(struct trap_frame *frame);

/* Build the descriptor table, once, and load it, on each CPU. */
void trap_init(void);
void trap_load(void);

/* From now on NMIs and the faults of a bad stack come on stacks of their own. Before the second CPU
 * starts; each CPU that takes them has them in its task state. */
void trap_use_stacks(void);

/* Who handles a vector; without a handler it is a panic. A handler of an interrupt of the APIC
 * acknowledges it itself. */
void trap_handle(enum vector vector, trap_handler *handler);

/* Call attempt(argument). True if it caused a page fault, which then ended it; the address and the
 * error code are in this CPU's struct cpu. Not re-entrant on one CPU. */
bool fault_probe(void (*attempt)(uint64_t argument), uint64_t argument);

/* Who is asked first what a page fault is about, if anybody: true, it is served, and the access is
 * repeated. `error` is the processor's code. */
typedef bool fault_server(uint64_t address, uint64_t error);
void trap_on_page_fault(fault_server *server);

/* What an NMI does: stop if another CPU panicked, else answer what is asked of this one (port.h),
 * and then what trap_on_nmi says, if anything. */
void trap_on_nmi(void (*action)(void));

/* What a timer interrupt does besides being counted, if anything. */
void trap_on_timer(void (*action)(void));

/* Go on in next(), which does not return, on another stack. */
_Noreturn void stack_switch(uint64_t top, void (*next)(void));

#endif /* KERNEL_PORT_ARCH_X86_64_TRAP_H */
