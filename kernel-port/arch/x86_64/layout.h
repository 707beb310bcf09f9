/* SPDX-License-Identifier: MIT
 *
 * layout.h - where things are in memory. For C, for the assembler and for the linker script, so it
 * holds nothing but numbers.
 *
 *   0x0000000000010000  user mode, to a page below the end of the lower half (USER_END)
 *   0xffff800000000000  the direct map: physical address 0 and up, writable, never executable,
 *                       but for the kernel's own text and constants, which are read-only here too
 *   0xffffff0000000000  stacks, each above a page that is not mapped
 *   0xffffffff80000000  the kernel's image, from physical address IMAGE_PHYS
 */
#ifndef KERNEL_PORT_ARCH_X86_64_LAYOUT_H
#define KERNEL_PORT_ARCH_X86_64_LAYOUT_H

#ifdef __ASSEMBLER__
#define LAYOUT(n) n
#else
#define LAYOUT(n) n##ul
#endif

/* Nothing is ever mapped at the first 64 KiB, so that a small offset from NULL faults; nor in the
 * last page of the lower half, as a system call at its end would return to a non-canonical address.
 */
#define USER_START   LAYOUT(0x10000)
#define USER_END     LAYOUT(0x00007ffffffff000)

#define DIRECT_BASE  LAYOUT(0xffff800000000000)
#define STACKS_BASE  LAYOUT(0xffffff0000000000)
#define IMAGE_BASE   LAYOUT(0xffffffff80000000)
#define IMAGE_PHYS   0x200000
#define WINDOW_BYTES LAYOUT(0x100000000) /* mapped by boot.S: the first 4 GiB */

/* The page below 1 MiB at which a further CPU starts, in real mode. */
#define TRAMPOLINE 0x8000

/* Segments of every CPU's descriptor table. */
#define CODE_SEGMENT      0x08
#define DATA_SEGMENT      0x10
#define STATE_SEGMENT     0x18
#define USER_DATA_SEGMENT 0x2b /* with the privilege level, 3 */
#define USER_CODE_SEGMENT 0x33

/* What boot.S hands to kernel_main: who started us. */
#define BOOT_PVH        1
#define BOOT_MULTIBOOT2 2

#define STACK_BYTES     0x4000
#define PAGE_BYTES      4096

#endif /* KERNEL_PORT_ARCH_X86_64_LAYOUT_H */
