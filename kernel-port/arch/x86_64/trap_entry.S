/* SPDX-License-Identifier: MIT
 *
 * trap_entry.S - the way into trap() and back, into user mode and out of it.
 *
 * One stub per vector, 16 bytes each, pushes the vector, and a zero where the processor pushes no
 * error code. What GS is: user_mode.h.
 *
 * RFLAGS.AC, with which the kernel may touch user pages where the processor has SMAP, is a
 * program's to set, and stays as it is when a trap comes: so each entry takes it away, also in the
 * middle of a copy from or to user memory, which has it again by the iretq.
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
        .if vector == 2 || vector == 8 || vector == 18 /* those with stacks of their own */
        jmp trap_anywhere
        .else
        jmp trap_common
        .endif
        .set vector, vector + 1
        .endr
        .size trap_stubs, . - trap_stubs

        .macro push_registers
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
        testb $1, paging_guards_user(%rip)
        jz .Lno_smap\@                  /* there is no clac, either */
        clac
.Lno_smap\@:
        .endm

        .macro pop_registers
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
        addq $16, %rsp                  /* vector and error code */
        .endm

        .balign 16
        .type trap_common, @function
trap_common:
        testb $3, 24(%rsp)              /* the code segment's privilege level */
        jnz from_user
        push_registers
        movq %rsp, %rdi
        call trap
        pop_registers
        iretq
        .size trap_common, . - trap_common

        /* The registers go to the frame that user_enter was given, and it returns. */
        .type from_user, @function
from_user:
        swapgs
        push_registers
        movq %gs:40, %rsp               /* struct cpu.user_return */
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .size from_user, . - from_user

        /* void user_enter(struct trap_frame *frame) */
        .balign 16
        .globl user_enter
        .type user_enter, @function
user_enter:
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, %gs:40
        movq %rdi, %rsp
        pop_registers
        swapgs
        iretq
        .size user_enter, . - user_enter

        /* A trap with a stack of its own: it may have come at any instruction, also between user
         * mode and a swapgs, where the code segment is the kernel's and GS is not. */
        .balign 16
        .type trap_anywhere, @function
trap_anywhere:
        push_registers
        xorl %ebx, %ebx                 /* kept by trap() */
        movl $0xc0000101, %ecx          /* GS base */
        rdmsr
        testl %edx, %edx
        js 1f
        swapgs
        incl %ebx
1:      movq %rsp, %rdi
        call trap
        testl %ebx, %ebx
        jz 2f
        swapgs
2:      pop_registers
        iretq
        .size trap_anywhere, . - trap_anywhere

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
