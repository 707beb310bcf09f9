/* SPDX-License-Identifier: MIT
 *
 * step.c - see step.h.
 *
 * With the trap flag set the processor comes to the debug exception after each instruction. The
 * handler looks at the next one. State: the count, of the one CPU that counts.
 */
#include "step.h"

#include "trap.h"
#include "x86.h"

#include <stdbool.h>

enum { LOCK = 0xf0, XCHG_BYTE = 0x86, XCHG = 0x87, REGISTERS = 3 };

static struct step_count count;

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

static void stepped(struct trap_frame *frame)
{
    count.instructions++;
    count.locked += is_locked((const uint8_t *)frame->rip);
}

struct step_count step_through(void (*call)(void *argument), void *argument)
{
    uint64_t flags = 0;

    trap_handle(VECTOR_DEBUG, stepped);
    count = (struct step_count){0};
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    __asm__ volatile("pushq %0; popfq" : : "r"(flags | RFLAGS_TF) : "memory", "cc");
    call(argument);
    __asm__ volatile("pushq %0; popfq" : : "r"(flags & ~(uint64_t)RFLAGS_TF) : "memory", "cc");
    return count;
}
