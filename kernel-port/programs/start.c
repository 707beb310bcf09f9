/* SPDX-License-Identifier: MIT
 *
 * start.c - where a program begins, and program.h.
 */
#include "program.h"

_Noreturn void program_start(uint64_t argument);

int64_t call(enum user_call number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"((uint64_t)number), "D"(a), "S"(b), "d"(c)
                     : "memory");
    return result;
}

void exit(int64_t status)
{
    for (;;)
        (void)call(CALL_EXIT, (uint64_t)status, 0, 0);
}

/* The kernel starts it with a stack that is a multiple of 16, as after a call it is not. */
__attribute__((force_align_arg_pointer)) void program_start(uint64_t argument)
{
    exit(program(argument));
}

static size_t length(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

void say(const char *text)
{
    (void)call(CALL_WRITE, (uint64_t)text, length(text), 0);
}

void yield(void)
{
    (void)call(CALL_YIELD, 0, 0, 0);
}

int64_t map(uint64_t address, uint64_t bytes, uint32_t access, uint32_t flags)
{
    struct call_map want = {.address = address, .bytes = bytes, .access = access, .flags = flags};

    return call(CALL_MAP, (uint64_t)&want, 0, 0);
}

int64_t map_file(uint32_t file, uint64_t bytes, uint32_t access, uint32_t flags)
{
    struct call_map want = {
        .bytes = bytes, .access = access, .flags = flags | CALL_MAP_ANYWHERE, .file = file};

    return call(CALL_MAP, (uint64_t)&want, 0, 0);
}

int64_t unmap(uint64_t address, uint64_t bytes)
{
    return call(CALL_UNMAP, address, bytes, 0);
}

int64_t protect(uint64_t address, uint64_t bytes, uint32_t access)
{
    return call(CALL_PROTECT, address, bytes, access);
}

int64_t advise(uint64_t address, uint64_t bytes, enum quire_advice advice)
{
    return call(CALL_ADVISE, address, bytes, advice);
}

int64_t fork(void)
{
    return call(CALL_FORK, 0, 0, 0);
}

int64_t wait(struct call_end *end)
{
    return call(CALL_WAIT, (uint64_t)end, 0, 0);
}

uint32_t cpu(void)
{
    return (uint32_t)call(CALL_CPU, 0, 0, 0);
}

/* What a thread begins with lies on its stack. */
struct beginning {
    void (*what)(uint64_t argument);
    uint64_t argument;
};

__attribute__((force_align_arg_pointer)) static void begin(const struct beginning *beginning)
{
    beginning->what(beginning->argument);
    for (;;)
        (void)call(CALL_LEAVE, 0, 0, 0);
}

int64_t thread(void (*what)(uint64_t argument), uint64_t argument, uint64_t top)
{
    struct beginning *beginning = (struct beginning *)(top - sizeof *beginning);

    *beginning = (struct beginning){what, argument};
    return call(CALL_THREAD, (uint64_t)begin, (uint64_t)beginning, (uint64_t)beginning);
}

void required(const char *condition, int line)
{
    say("this does not hold:");
    say(condition);
    exit(line);
}
