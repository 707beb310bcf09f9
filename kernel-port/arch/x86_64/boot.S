/* SPDX-License-Identifier: MIT
 *
 * boot.S - from the loader's 32-bit protected mode to 64-bit C in the higher half.
 *
 * Two ways in, both with paging off, flat segments and the address of the loader's structure in
 * ebx: the PVH entry, named by an ELF note, and the Multiboot2 entry, named by a header. The page
 * tables made here map the first 4 GiB three times, at 0, in the direct map, and (1 GiB of it) at
 * the image's place; paging.c replaces them by ones with proper rights.
 */
#include "layout.h"

#define PHYS(symbol) (symbol - IMAGE_BASE)
#define COM1 0x3f8

#define PTE_PRESENT 0x001
#define PTE_WRITE   0x002
#define PTE_LARGE   0x080

        .section .note.pvh, "a", @note
        .balign 4
        .long 4                         /* length of the name */
        .long 4                         /* length of the content */
        .long 18                        /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long PHYS(pvh_entry)

#define MB2_MAGIC  0xe85250d6
#define MB2_LENGTH (mb2_end - mb2_header)

        .section .multiboot2, "a"
        .balign 8
mb2_header:
        .long MB2_MAGIC
        .long 0                         /* i386 */
        .long MB2_LENGTH
        .long -(MB2_MAGIC + MB2_LENGTH)
        .balign 8
        .short 1, 0                     /* what we ask for: */
        .long 5 * 4 - 4
        .long 1, 6                      /* command line and memory map */
        .balign 8
        .short 3, 0                     /* where we start */
        .long 12
        .long PHYS(mb2_entry)
        .balign 8
        .short 6, 0                     /* modules on pages: no wish, but loaders like to know */
        .long 8
        .balign 8
        .short 0, 0
        .long 8
mb2_end:

        .bss
        .balign PAGE_BYTES
boot_pml4:
        .skip PAGE_BYTES
boot_pdpt:                              /* first 4 GiB */
        .skip PAGE_BYTES
boot_pdpt_image:                        /* last 2 GiB */
        .skip PAGE_BYTES
boot_pd:                                /* 4 GiB in pages of 2 MiB */
        .skip 4 * PAGE_BYTES
        .globl boot_stack, boot_stack_top
boot_stack:
        .skip STACK_BYTES
boot_stack_top:

        .section .rodata
        .balign 8
boot_gdt:
        .quad 0
        .quad 0x00af9a000000ffff        /* CODE_SEGMENT: 64-bit code */
        .quad 0x00cf92000000ffff        /* DATA_SEGMENT */
boot_gdt_end:
boot_gdt_pointer:
        .short boot_gdt_end - boot_gdt - 1
        .quad PHYS(boot_gdt)
no_long_mode:
        .asciz "panic: this CPU has no 64-bit mode with no-execute pages\n"

        .section .text.boot, "ax"
        .code32
        .globl mb2_entry
pvh_entry:
        movl $BOOT_PVH, %edi
        jmp 1f
mb2_entry:
        movl $BOOT_MULTIBOOT2, %edi
1:      cli
        cld
        movl $PHYS(boot_stack_top), %esp
        movl %ebx, %esi

        /* Long mode (bit 29) and no-execute (bit 20)? */
        movl $0x80000000, %eax
        cpuid
        cmpl $0x80000001, %eax
        jb 2f
        movl $0x80000001, %eax
        cpuid
        andl $0x20100000, %edx
        cmpl $0x20100000, %edx
        je 4f

        /* No. Say so on the serial port as the firmware left it. */
2:      movl $PHYS(no_long_mode), %esi
3:      lodsb
        testb %al, %al
        jz 9f
        movw $COM1, %dx
        outb %al, %dx
        jmp 3b
9:      movw $0xf4, %dx                 /* the exit port of console.c */
        movl $0x12, %eax
        outl %eax, %dx
        hlt
        jmp 9b

        /* The page directories, from the first to the last large page. */
4:      xorl %ecx, %ecx
5:      movl %ecx, %eax
        shll $21, %eax
        orl $(PTE_PRESENT | PTE_WRITE | PTE_LARGE), %eax
        movl %eax, PHYS(boot_pd)(, %ecx, 8)
        incl %ecx
        cmpl $(4 * 512), %ecx
        jne 5b

        movl $PHYS(boot_pd), %eax
        orl $(PTE_PRESENT | PTE_WRITE), %eax
        movl %eax, PHYS(boot_pdpt_image) + 8 * 510
        xorl %ecx, %ecx
6:      movl %eax, PHYS(boot_pdpt)(, %ecx, 8)
        addl $PAGE_BYTES, %eax
        incl %ecx
        cmpl $4, %ecx
        jne 6b

        movl $(PHYS(boot_pdpt) + PTE_PRESENT + PTE_WRITE), %eax
        movl %eax, PHYS(boot_pml4)                      /* address 0 */
        movl %eax, PHYS(boot_pml4) + 8 * 256            /* DIRECT_BASE */
        movl $(PHYS(boot_pdpt_image) + PTE_PRESENT + PTE_WRITE), %eax
        movl %eax, PHYS(boot_pml4) + 8 * 511            /* IMAGE_BASE */

        movl $PHYS(boot_pml4), %eax
        call enter_long_mode
        lgdt PHYS(boot_gdt_pointer)
        ljmp $CODE_SEGMENT, $PHYS(7f)

        .code64
7:      movabsq $8f, %rax
        jmp *%rax
8:      movl $DATA_SEGMENT, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movq $boot_stack_top, %rsp
        xorl %ebp, %ebp                 /* the end of every backtrace */
        movl %edi, %edi                 /* the upper halves were never written */
        movl %esi, %esi
        call kernel_main
        ud2

        /* Page tables in eax; long mode, no-execute and write protection on. */
        .code32
enter_long_mode:
        movl %eax, %cr3
        movl %cr4, %eax
        orl $0xa0, %eax                 /* PAE, PGE */
        movl %eax, %cr4
        movl $0xc0000080, %ecx          /* EFER */
        rdmsr
        orl $0x900, %eax                /* LME, NXE */
        wrmsr
        movl %cr0, %eax
        orl $0x80010001, %eax           /* PG, WP, PE */
        andl $0x9fffffff, %eax          /* caches on: not CD, not NW */
        movl %eax, %cr0
        ret

        .section .note.GNU-stack, "", @progbits
