/* SPDX-License-Identifier: MIT
 *
 * apic.c - see apic.h.
 *
 * State: where the registers are, written once before the second CPU starts. What they mean is in
 * the processor's manual, volume 3, chapter "advanced programmable interrupt controller".
 */
#include "apic.h"

#include "kernel-port/kernel/lib/panic.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

enum {
    APIC_ID = 0x20,
    APIC_PRIORITY = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_TO = 0x310,
    APIC_TIMER = 0x320,
    APIC_LINT0 = 0x350,
    APIC_LINT1 = 0x360,
    APIC_ERROR = 0x370,
    APIC_TIMER_START = 0x380,
    APIC_TIMER_LEFT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    DIVIDE_BY_16 = 3,
    MASKED = 1 << 16,
    PERIODIC = 1 << 17,
    ENABLED = 1 << 8,
    BASE_X2APIC = 1 << 10,
    BASE_ENABLED = 1 << 11,
    COMMAND_NMI = 4 << 8,
    COMMAND_INIT = 5 << 8,
    COMMAND_STARTUP = 6 << 8,
    COMMAND_ASSERT = 1 << 14,
    COMMAND_PENDING = 1 << 12,
    PIC_MASTER = 0x20,
    PIC_SLAVE = 0xa0,
};

static volatile uint32_t *registers; /* NULL: not mapped yet */

static uint32_t get(unsigned offset)
{
    return registers[offset / 4];
}

static void set(unsigned offset, uint32_t value)
{
    registers[offset / 4] = value;
}

/* The old controller: vectors of its own, and then all of it masked. */
static void silence_pic(void)
{
    outb(PIC_MASTER, 0x11);
    outb(PIC_SLAVE, 0x11);
    outb(PIC_MASTER + 1, VECTOR_PIC);
    outb(PIC_SLAVE + 1, VECTOR_PIC + 8);
    outb(PIC_MASTER + 1, 4);
    outb(PIC_SLAVE + 1, 2);
    outb(PIC_MASTER + 1, 1);
    outb(PIC_SLAVE + 1, 1);
    outb(PIC_MASTER + 1, 0xff);
    outb(PIC_SLAVE + 1, 0xff);
}

void apic_map(struct quire_boot *boot)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);
    uint64_t phys = base & 0x000ffffffffff000;

    if (base & BASE_X2APIC)
        panic("the firmware has turned on x2APIC mode; this kernel needs xAPIC");
    if (!(base & BASE_ENABLED))
        panic("there is no local APIC, or the firmware has turned it off");
    silence_pic();
    paging_map(boot, (uint64_t)direct(phys), phys, PAGE_BYTES, MAP_WRITE | MAP_DEVICE);
    registers = direct(phys);
}

static void ignore(struct trap_frame *frame)
{
    (void)frame;
}

void apic_enable(void)
{
    trap_handle(VECTOR_SPURIOUS, ignore);
    set(APIC_PRIORITY, 0);
    set(APIC_LINT0, MASKED);
    set(APIC_LINT1, COMMAND_NMI);
    set(APIC_ERROR, MASKED);
    set(APIC_TIMER, MASKED | VECTOR_TIMER);
    set(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    set(APIC_SPURIOUS, ENABLED | VECTOR_SPURIOUS);
}

uint32_t apic_id(void)
{
    return get(APIC_ID) >> 24;
}

void apic_acknowledge(void)
{
    set(APIC_EOI, 0);
}

static void command(uint32_t to, uint32_t what)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    set(APIC_COMMAND_TO, to << 24);
    set(APIC_COMMAND, what | COMMAND_ASSERT);
    while (get(APIC_COMMAND) & COMMAND_PENDING)
        pause();
    if (flags & RFLAGS_IF)
        interrupts_on();
}

void apic_send(uint32_t id, uint8_t vector)
{
    command(id, vector);
}

void apic_nmi(uint32_t id)
{
    command(id, COMMAND_NMI);
}

void apic_init(uint32_t id)
{
    command(id, COMMAND_INIT);
}

void apic_startup(uint32_t id, uint8_t page)
{
    command(id, COMMAND_STARTUP | page);
}

void apic_timer_count(uint32_t count)
{
    set(APIC_TIMER, MASKED | VECTOR_TIMER);
    set(APIC_TIMER_START, count);
}

uint32_t apic_timer_left(void)
{
    return get(APIC_TIMER_LEFT);
}

void apic_timer_start(uint32_t period)
{
    set(APIC_TIMER, PERIODIC | VECTOR_TIMER);
    set(APIC_TIMER_START, period);
}

void apic_timer_stop(void)
{
    set(APIC_TIMER, MASKED | VECTOR_TIMER);
    set(APIC_TIMER_START, 0);
}
