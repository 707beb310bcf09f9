/* SPDX-License-Identifier: MIT
 *
 * trampoline.S - where a further CPU starts: real mode, at TRAMPOLINE, to 64-bit C.
 *
 * smp.c copies what is between trampoline_start and trampoline_end there and writes the root of
 * the page tables into it; the page is mapped at its own address, executable and read-only, until
 * all CPUs are up. CPUs may come all at once: which one this is, and so its stack, is found by its
 * APIC id.
 */
#include "layout.h"

#define HERE(symbol) (symbol - trampoline_start + TRAMPOLINE)

        .section .rodata
        .balign 16
        .globl trampoline_start, trampoline_root, trampoline_end
        .code16
trampoline_start:
        cli
        cld
        xorw %ax, %ax
        movw %ax, %ds
        lgdtl HERE(gdt_pointer)
        movl %cr0, %eax
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $0x18, $HERE(protected)

        .code32
protected:
        movl $DATA_SEGMENT, %eax
        movl %eax, %ds
        movl %eax, %ss
        movl %cr4, %eax
        orl $0xa0, %eax                 /* PAE, PGE */
        movl %eax, %cr4
        movl HERE(trampoline_root), %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx          /* EFER: LME, NXE */
        rdmsr
        orl $0x900, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80010001, %eax           /* PG, WP, PE */
        andl $0x9fffffff, %eax          /* caches on */
        movl %eax, %cr0
        ljmp $CODE_SEGMENT, $HERE(long)

        .code64
long:
        movabsq $ap_entry, %rax
        jmp *%rax

        .balign 8
gdt:
        .quad 0
        .quad 0x00af9a000000ffff        /* CODE_SEGMENT: 64-bit code */
        .quad 0x00cf92000000ffff        /* DATA_SEGMENT */
        .quad 0x00cf9a000000ffff        /* 32-bit code */
gdt_pointer:
        .short gdt_pointer - gdt - 1
        .long HERE(gdt)
        .balign 4
trampoline_root:
        .long 0
trampoline_end:

        .text
        .type ap_entry, @function
ap_entry:
        movl $1, %eax
        cpuid
        shrl $24, %ebx                  /* the APIC id that it started with */
        movq cpu_by_apic_id(, %rbx, 8), %rdi
        testq %rdi, %rdi
        jz 1f
        movq 16(%rdi), %rsp             /* struct cpu.stack_top */
        xorl %ebp, %ebp
        call ap_main
1:      cli
        hlt
        jmp 1b
        .size ap_entry, . - ap_entry

        .section .note.GNU-stack, "", @progbits
