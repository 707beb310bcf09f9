/* SPDX-License-Identifier: MIT
 *
 * clock.c - see clock.h.
 *
 * State: two frequencies, constant after clock_calibrate. The PIT's third channel counts down
 * without an interrupt, and its output can be read: that is all that is used of it.
 */
#include "kernel-port/kernel/clock.h"

#include "apic.h"
#include "kernel-port/kernel/lib/panic.h"
#include "x86.h"

enum {
    PIT_HZ = 1193182,
    PIT_CHANNEL2 = 0x42,
    PIT_COMMAND = 0x43,
    PIT_CONTROL = 0x61,
    CONTROL_GATE = 1,
    CONTROL_SPEAKER = 2,
    CONTROL_OUTPUT = 0x20,
    SAMPLE_HZ = 50, /* measured over a fiftieth of a second */
    PATIENCE = 1 << 26,
};

static uint64_t tsc_hz, timer_hz;

static void start_pit(uint32_t count)
{
    uint8_t control = (uint8_t)((inb(PIT_CONTROL) & ~CONTROL_SPEAKER) | CONTROL_GATE);

    outb(PIT_CONTROL, control & (uint8_t)~CONTROL_GATE);
    outb(PIT_COMMAND, 0xb0); /* channel 2, low byte then high byte, mode 0: output up at zero */
    outb(PIT_CHANNEL2, (uint8_t)count);
    outb(PIT_CHANNEL2, (uint8_t)(count >> 8));
    outb(PIT_CONTROL, control);
}

void clock_calibrate(void)
{
    uint64_t start, end;
    uint32_t looks = 0;

    apic_timer_count(UINT32_MAX);
    start_pit(PIT_HZ / SAMPLE_HZ);
    start = rdtsc();
    while (!(inb(PIT_CONTROL) & CONTROL_OUTPUT) && looks++ < PATIENCE)
        pause();
    end = rdtsc();
    timer_hz = (uint64_t)(UINT32_MAX - apic_timer_left()) * SAMPLE_HZ;
    tsc_hz = (end - start) * SAMPLE_HZ;
    apic_timer_stop();
    if (looks >= PATIENCE || tsc_hz == 0 || timer_hz == 0)
        panic("no interval timer to measure the clocks with");
}

uint64_t clock_tsc_hz(void)
{
    return tsc_hz;
}

uint64_t clock_timer_hz(void)
{
    return timer_hz;
}

uint64_t clock_ns(uint64_t counts)
{
    return counts / tsc_hz * 1000000000 + counts % tsc_hz * 1000000000 / tsc_hz;
}

void clock_wait_us(uint64_t us)
{
    uint64_t start = rdtsc(), counts = us * tsc_hz / 1000000;

    while (rdtsc() - start < counts)
        pause();
}

void clock_tick(uint32_t hz)
{
    uint64_t period = timer_hz / hz;

    apic_timer_start(period ? (uint32_t)period : 1);
}

void clock_quiet(void)
{
    apic_timer_stop();
}
