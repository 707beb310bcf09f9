/* SPDX-License-Identifier: MIT
 *
 * program.h - what every program here is made of: system calls as functions, and a few checks.
 */
#ifndef KERNEL_PORT_PROGRAMS_PROGRAM_H
#define KERNEL_PORT_PROGRAMS_PROGRAM_H

#include "calls.h"

#include <quire/space.h>

#include <stdbool.h>
#include <stddef.h>

enum { PAGE = 4096, READ_WRITE = QUIRE_READ | QUIRE_WRITE };

/* What a program does; its result is its status. */
int64_t program(uint64_t argument);

/* A call with three arguments. */
int64_t call(enum user_call number, uint64_t a, uint64_t b, uint64_t c);

_Noreturn void exit(int64_t status);
void say(const char *text);
void yield(void);
int64_t map(uint64_t address, uint64_t bytes, uint32_t access, uint32_t flags);
int64_t map_file(uint32_t file, uint64_t bytes, uint32_t access, uint32_t flags);
int64_t unmap(uint64_t address, uint64_t bytes);
int64_t protect(uint64_t address, uint64_t bytes, uint32_t access);
int64_t advise(uint64_t address, uint64_t bytes, enum quire_advice advice);
int64_t fork(void);
int64_t wait(struct call_end *end);
uint32_t cpu(void);

/* A thread that runs what(argument) and leaves, on this stack; `top` is a multiple of 16. */
int64_t thread(void (*what)(uint64_t argument), uint64_t argument, uint64_t top);

/* The program ends with the line as its status if this does not hold; and says what did not. */
#define REQUIRE(condition) ((condition) ? (void)0 : required(#condition, __LINE__))
void required(const char *condition, int line);

static inline volatile uint64_t *word(uint64_t address)
{
    return (volatile uint64_t *)address;
}

#endif /* KERNEL_PORT_PROGRAMS_PROGRAM_H */
