/* SPDX-License-Identifier: MIT
 *
 * trap_entry.S - the way into trap() and back, the same for every vector.
 *
 * The kernel runs nothing but itself, so GS is always its own. One stub per vector, 16 bytes each,
 * pushes the vector, and a zero where the processor pushes no error code.
 */
#include "layout.h"

        .text
        .balign 16
        .globl trap_stubs
        .type trap_stubs, @function
trap_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        /* 8, 10 to 14, 17, 21, 29 and 30 come with an error code. */
        .if vector < 32 && (0x60227d00 >> (vector & 31)) & 1
        .else
        pushq $0
        .endif
        pushq $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
        .size trap_stubs, . - trap_stubs

        .balign 16
        .type trap_common, @function
trap_common:
        pushq %rax
        pushq %rbx
        pushq %rcx
        pushq %rdx
        pushq %rsi
        pushq %rdi
        pushq %rbp
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        cld
        movq %rsp, %rdi
        call trap
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rbp
        popq %rdi
        popq %rsi
        popq %rdx
        popq %rcx
        popq %rbx
        popq %rax
        addq $16, %rsp
        iretq
        .size trap_common, . - trap_common

        /* bool fault_probe(void (*attempt)(uint64_t), uint64_t argument) */
        .balign 16
        .globl fault_probe
        .type fault_probe, @function
fault_probe:
        pushq %rbp
        movq %rsp, %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        subq $8, %rsp
        movq %rsp, %gs:8                /* struct cpu.recover */
        movq %rdi, %rax
        movq %rsi, %rdi
        call *%rax
        xorl %eax, %eax
        jmp 1f
        /* The handler of a fault comes back here, with the stack pointer of above. */
        .globl fault_resume
fault_resume:
        movl $1, %eax
1:      movq $0, %gs:8
        addq $8, %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .size fault_probe, . - fault_probe

        /* void stack_switch(uint64_t top, void (*next)(void)): does not come back */
        .globl stack_switch
        .type stack_switch, @function
stack_switch:
        movq %rdi, %rsp
        xorl %ebp, %ebp
        call *%rsi
        ud2
        .size stack_switch, . - stack_switch

        .section .note.GNU-stack, "", @progbits
