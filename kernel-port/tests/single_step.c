/* SPDX-License-Identifier: MIT
 *
 * single_step.c - see single_step.h.
 *
 * With the trap flag set the processor comes to the debug exception after each instruction. The
 * handler looks at the next one. State: the count, of the one CPU that counts.
 */
#include "single_step.h"

#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "tap.h"
#include "trap.h"
#include "x86.h"

#include <stdbool.h>

enum { LOCK = 0xf0, XCHG_BYTE = 0x86, XCHG = 0x87, REGISTERS = 3 };

enum { PLACES = 64 };

static struct instruction_count count;
static void (*hook)(void);

/* How many instructions each function took; the last place is for all that found none. */
static struct {
    const char *name;
    uint64_t instructions;
} places[PLACES];

static bool is_prefix(uint8_t byte)
{
    return byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e ||
           byte == 0x36 || byte == 0x3e || byte == 0x26 || byte == 0x64 || byte == 0x65 ||
           (byte & 0xf0) == 0x40;
}

static bool is_locked(const uint8_t *code)
{
    while (is_prefix(*code))
        code++;
    return code[0] == LOCK ||
           ((code[0] == XCHG || code[0] == XCHG_BYTE) && code[1] >> 6 != REGISTERS);
}

static void note_place(uint64_t rip)
{
    uint64_t offset;
    const char *name = symbol_of(rip, &offset);
    unsigned i = 0;

    while (i < PLACES - 1 && places[i].name && places[i].name != name)
        i++;
    places[i].name = i < PLACES - 1 ? name : "elsewhere";
    places[i].instructions++;
}

static void stepped(struct trap_frame *frame)
{
    if (hook)
        hook();
    else
        note_place(frame->rip);
    count.instructions++;
    count.locked += is_locked((const uint8_t *)frame->rip);
}

struct instruction_count single_step_call(void (*call)(void *argument), void *argument,
                                          void (*between)(void))
{
    uint64_t flags = 0;

    trap_handle(VECTOR_DEBUG, stepped);
    count = (struct instruction_count){0};
    hook = between;
    memset(places, 0, sizeof places);
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    __asm__ volatile("pushq %0; popfq" : : "r"(flags | RFLAGS_TF) : "memory", "cc");
    call(argument);
    __asm__ volatile("pushq %0; popfq" : : "r"(flags & ~(uint64_t)RFLAGS_TF) : "memory", "cc");
    return count;
}

void single_step_print_functions(void)
{
    for (unsigned i = 0; i < PLACES && places[i].name; i++)
        tap_note("%6lu in %s", places[i].instructions, places[i].name);
}
