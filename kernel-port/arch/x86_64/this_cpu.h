/* SPDX-License-Identifier: MIT
 *
 * this_cpu.h - the CPU's number for Quire's short ways, inline: what port.c's port_cpu answers.
 */
#ifndef KERNEL_PORT_ARCH_X86_64_THIS_CPU_H
#define KERNEL_PORT_ARCH_X86_64_THIS_CPU_H

#include "cpu.h"

static inline uint32_t quire_this_cpu(void)
{
    return cpu_id();
}

#endif /* KERNEL_PORT_ARCH_X86_64_THIS_CPU_H */
