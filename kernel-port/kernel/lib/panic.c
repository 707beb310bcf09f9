/* SPDX-License-Identifier: MIT
 *
 * panic.c - see panic.h.
 *
 * State: who panicked first. `speaker` goes once from NOBODY to a CPU's number + 1; whoever loses
 * that race, and whoever is told by NMI, stops.
 */
#include "panic.h"

#include "apic.h"
#include "cpu.h"
#include "kernel-port/kernel/console.h"
#include "layout.h"
#include "symbols.h"
#include "trap.h"
#include "x86.h"

enum { NOBODY = 0, MAX_DEPTH = 32, PATIENCE = 1 << 22 };

static uint32_t speaker, stopped;

const char *symbol_of(uint64_t address, uint64_t *offset)
{
    uint32_t low = 0, high = symbol_count;

    while (low < high) { /* the first one above the address */
        uint32_t middle = low + (high - low) / 2;

        if (symbols[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address < IMAGE_BASE)
        return "?";
    *offset = address - symbols[low - 1].address;
    return symbols[low - 1].name;
}

static void print_place(uint64_t address)
{
    uint64_t offset = 0;
    const char *name = symbol_of(address, &offset);

    print("    %016lx  %s+0x%lx\n", address, name, offset);
}

/* Callers, from the list of frame pointers. It may be damaged: it must stay within the pages that
 * are known to be there, and go upwards. */
static void backtrace(uint64_t rip, uint64_t rbp)
{
    print("backtrace:\n");
    if (rip)
        print_place(rip);
    for (unsigned i = 0; i < MAX_DEPTH && cpu_stack_holds(rbp); i++) {
        const uint64_t *frame = (const uint64_t *)rbp;

        if (!frame[1])
            return;
        print_place(frame[1] - 1); /* the call, not what follows it */
        if (frame[0] <= rbp)
            return;
        rbp = frame[0];
    }
}

static void print_registers(const struct trap_frame *f)
{
    print("rip %016lx rsp %016lx rflags %08lx cs %lx error %lx\n", f->rip, f->rsp, f->rflags, f->cs,
          f->error);
    print("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    print("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    print("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    print("r13 %016lx r14 %016lx r15 %016lx cr2 %016lx\n", f->r13, f->r14, f->r15, read_cr2());
    print("cr3 %016lx cr4 %08lx\n", read_cr3(), read_cr4());
}

/* A CPU that did not start yet has no handler for an NMI. Wait a while for the others; how many
 * were told is in *told. */
static void stop_others(uint32_t *told)
{
    for (uint32_t i = 0; i < cpu_count; i++)
        if (i != cpu_id() && __atomic_load_n(&cpus[i]->online, __ATOMIC_ACQUIRE)) {
            apic_nmi(cpus[i]->apic_id);
            ++*told;
        }
    for (unsigned i = 0; i < PATIENCE && __atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < *told; i++)
        pause();
}

/* Become the one who speaks, or stop. Returns how many others were told to. A second panic on the
 * speaking CPU ends the machine. */
static uint32_t take_the_word(void)
{
    uint32_t nobody = NOBODY, me = cpu_id() + 1, told = 0;

    interrupts_off();
    if (__atomic_compare_exchange_n(&speaker, &nobody, me, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
        stop_others(&told);
        return told;
    }
    if (nobody == me) {
        print("\npanic: again, while telling the first one\n");
        machine_exit(VERDICT_PANIC);
    }
    stop();
}

void panic_check(void)
{
    uint32_t who = __atomic_load_n(&speaker, __ATOMIC_ACQUIRE);

    if (who != NOBODY && who != cpu_id() + 1) {
        (void)__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE); /* pairs with stop_others */
        stop();
    }
}

static void say(uint32_t told, const char *format, va_list args)
{
    print("\npanic: ");
    vprint(format, args);
    print("\non CPU %u, %u of %u others are stopped\n", cpu_id(),
          __atomic_load_n(&stopped, __ATOMIC_ACQUIRE), told);
}

void panic(const char *format, ...)
{
    uint32_t told = take_the_word();
    va_list args;

    va_start(args, format);
    say(told, format, args);
    va_end(args);
    backtrace(0, (uint64_t)__builtin_frame_address(0));
    machine_exit(VERDICT_PANIC);
}

void panic_at(const struct trap_frame *frame, const char *format, ...)
{
    uint32_t told = take_the_word();
    va_list args;

    va_start(args, format);
    say(told, format, args);
    va_end(args);
    print_registers(frame);
    backtrace(frame->rip, frame->rbp);
    machine_exit(VERDICT_PANIC);
}
