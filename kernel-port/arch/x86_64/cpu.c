/* SPDX-License-Identifier: MIT
 *
 * cpu.c - see cpu.h: descriptor table, task state and stacks of one CPU.
 */
#include "cpu.h"

#include "x86.h"

_Static_assert(__builtin_offsetof(struct cpu, recover) == 8, "trap_entry.S");
_Static_assert(__builtin_offsetof(struct cpu, stack_top) == 16, "trampoline.S");
_Static_assert(__builtin_offsetof(struct cpu, id) == 24, "cpu_id");

extern char boot_stack[], boot_stack_top[];

struct cpu boot_cpu = {.self = &boot_cpu};
struct cpu *cpus[CPUS_MAX] = {&boot_cpu};
uint32_t cpu_count = 1;

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

/* The task state segment's descriptor, two words. */
static void describe_state(struct cpu *c)
{
    uint64_t base = (uint64_t)&c->tss, limit = sizeof c->tss - 1;

    c->gdt[3] = limit | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24 & 0xff) << 56;
    c->gdt[4] = base >> 32;
}

void cpu_become(struct cpu *c)
{
    struct table_pointer gdt = {sizeof c->gdt - 1, (uint64_t)c->gdt};

    c->self = c;
    c->gdt[1] = 0x00af9a000000ffff; /* CODE_SEGMENT */
    c->gdt[2] = 0x00cf92000000ffff; /* DATA_SEGMENT */
    describe_state(c);
    c->gdt[5] = 0x00cff2000000ffff; /* USER_DATA_SEGMENT */
    c->gdt[6] = 0x00affa000000ffff; /* USER_CODE_SEGMENT */
    c->tss.io_map = sizeof c->tss;
    __asm__ volatile("lgdt %0\n\t"
                     "movl %1, %%eax\n\t"
                     "movl %%eax, %%ds\n\t"
                     "movl %%eax, %%es\n\t"
                     "movl %%eax, %%ss\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%gs\n\t"
                     "pushq %2\n\t" /* and the code segment, by a far return */
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %3, %%eax\n\t"
                     "ltr %%ax"
                     :
                     : "m"(gdt), "i"(DATA_SEGMENT), "i"(CODE_SEGMENT), "i"(STATE_SEGMENT)
                     : "rax", "memory");
    wrmsr(MSR_GS_BASE, (uint64_t)c);
}

static bool in_stacks(uint64_t address)
{
    return address >= STACKS_BASE && address < cpu_stack_end(cpu_count - 1, STACK_FAULT);
}

bool cpu_stack_guard(uint64_t address)
{
    return in_stacks(address) && (address - STACKS_BASE) % (2 * STACK_BYTES) < STACK_BYTES;
}

bool cpu_stack_holds(uint64_t address)
{
    uint64_t boot = (uint64_t)boot_stack;

    if (address % 8)
        return false;
    if (address >= boot && address + 16 <= (uint64_t)boot_stack_top)
        return true;
    return in_stacks(address) && !cpu_stack_guard(address) &&
           (address + 8) % (2 * STACK_BYTES) != 0;
}
