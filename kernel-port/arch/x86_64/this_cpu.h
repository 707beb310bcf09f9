/* SPDX-License-Identifier: MIT
 *
 * this_cpu.h - the CPU's number for Quire's short ways, inline: what port.c's port_cpu answers. It
 * is included by Quire's layers, and so has no other names.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_THIS_CPU_H
#define KERNEL_PORT_ARCH_X86_64_THIS_CPU_H

#include <stdint.h>

/* `id` of struct cpu, see cpu.h. */
static inline uint32_t quire_this_cpu(void)
{
    uint64_t id;

    __asm__ volatile("movl %%gs:24, %k0" : "=r"(id));
    if (id >= 255) /* CPUS_MAX of cpu.h: so the compiler need not extend it, nor look whether the
                    * machine can have it */
        __builtin_unreachable();
    return (uint32_t)id;
}

#endif /* KERNEL_PORT_ARCH_X86_64_THIS_CPU_H */
