/* SPDX-License-Identifier: MIT
 *
 * main.c - the order in which the machine comes up.
 */
#include "apic.h"
#include "boot_info.h"
#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "kernel-port/kernel/devices/balloon.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/tests/suites/suite.h"
#include "memory.h"
#include "options.h"
#include "paging.h"
#include "smp.h"
#include "trap.h"
#include "work.h"
#include "x86.h"

void kernel_main(uint32_t protocol, uint64_t info); /* called by boot.S */

static struct boot_info boot_info;
static struct options options;

static void check_processor(void)
{
    if (!(cpuid(1, 0).ecx & 1 << 13))
        panic("this CPU has no cmpxchg16b, which the depots' stacks need");
}

static void print_cpus(void)
{
    print("cpus: %u, time stamp counter %lu MHz, timer %lu kHz\n", cpu_count,
          clock_tsc_hz() / 1000000, clock_timer_hz() / 1000);
}

/* On a stack with a guard page: the rest of the kernel's life. */
static void run_on_guarded_stack(void)
{
    clock_calibrate();
    (void)balloon_begin(BALLOON_PATIENCE_US);
    memory_build(&options);
    smp_start();
    print_cpus();
    memory_print();
    machine_exit(suites_run(&options) ? VERDICT_PASS : VERDICT_FAIL);
}

void kernel_main(uint32_t protocol, uint64_t info)
{
    console_init();
    cpu_become(&boot_cpu);
    trap_init();
    boot_info_read(&boot_info, protocol, info);
    print("quire kernel: booted by %s, command line \"%s\"\n", boot_info.protocol,
          boot_info.command_line);
    check_processor();
    options_parse(&options, boot_info.command_line);
    memory_find(&boot_info, &options);
    paging_init(&memory.boot);
    apic_map(&memory.boot);
    apic_enable();
    work_init();
    smp_prepare(&memory.boot, &memory.topology);
    stack_switch(cpus[0]->stack_top, run_on_guarded_stack);
}
