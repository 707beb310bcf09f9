/* SPDX-License-Identifier: MIT
 *
 * wrong.c - does what a program may not, in the way that the argument says. Those that are refused
 * something and go on exit with 0.
 */
#include "program.h"

#define KERNEL        0xffff800000200000ul
#define NOT_CANONICAL 0x8000000000000000ul

static const uint64_t constant = 1;
static uint64_t data[2];

/* NOLINTNEXTLINE(misc-no-recursion): that is the point */
static __attribute__((noinline)) uint64_t deeper(uint64_t depth)
{
    volatile uint64_t here[64] = {depth};

    return depth ? deeper(depth - 1) + here[0] : 0;
}

/* The compiler, which knows better, must not know where. */
static void read(uint64_t address)
{
    __asm__ volatile("" : "+r"(address));
    (void)*word(address);
}

/* Flags that the kernel must not be led astray by: the nested task, the direction, single step, the
 * check of alignment (in the kernel: may it touch user pages?). */
static void set_flags(uint64_t flags)
{
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "r"(flags) : "memory", "cc");
}

static void load_segments(void)
{
    __asm__ volatile("movl $0x2b, %%eax\n\t"
                     "movl %%eax, %%gs\n\t"
                     "movl %%eax, %%fs\n\t"
                     "movl %%eax, %%ds\n\t"
                     "xorl %%eax, %%eax\n\t"
                     "movl %%eax, %%gs"
                     :
                     :
                     : "eax", "memory");
}

/* A call from a stack that there is not: the kernel does not use it. */
static void call_without_stack(void)
{
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %1, %%rsp\n\t"
                     "movl %0, %%eax\n\t"
                     "int $0x80\n\t"
                     "movq %%rbx, %%rsp"
                     :
                     : "i"(CALL_YIELD), "r"(NOT_CANONICAL)
                     : "rax", "rbx", "memory");
}

/* Accesses. */
static int64_t touch(uint64_t what)
{
    uint64_t at;

    switch (what) {
    case 0:
        read(8);
        break;
    case 1:
        read(0x123456789000);
        break;
    case 2:
        *(volatile uint8_t *)(uint64_t)program = 0;
        break;
    case 3:
        *(volatile uint64_t *)(uint64_t)&constant = 2;
        break;
    case 4:
        ((void (*)(void))(uint64_t)data)();
        break;
    case 5:
        return (int64_t)deeper(1000000);
    case 6:
        read(KERNEL);
        break;
    case 7:
        read(NOT_CANONICAL);
        break;
    case 14: /* behind the end of a file */
        at = (uint64_t)map_file(1, (uint64_t)call(CALL_FILE, 1, 0, 0) + PAGE, QUIRE_READ, 0);
        read(at + (uint64_t)call(CALL_FILE, 1, 0, 0));
        break;
    default:
        break;
    }
    return 0;
}

/* Instructions. */
static void execute(uint64_t what)
{
    uint64_t zero = 0;

    switch (what) {
    case 8:
        __asm__ volatile("hlt");
        break;
    case 9:
        __asm__ volatile("divq %0" : : "r"(zero) : "rax", "rdx");
        break;
    case 10:
        __asm__ volatile("int $0x40");
        break;
    case 11:
        __asm__ volatile("fninit");
        break;
    case 12:
        __asm__ volatile("ud2");
        break;
    case 13:
        set_flags(0x100);
        break;
    case 18:
        __asm__ volatile("movl %0, %%eax\n\t"
                         "pushfq; orq $0x100, (%%rsp); popfq\n\t"
                         "int $0x80"
                         :
                         : "i"(CALL_YIELD)
                         : "rax", "memory", "cc");
        break;
    default:
        break;
    }
}

int64_t program(uint64_t argument)
{
    switch (argument) {
    case 15:
        load_segments();
        yield();
        return 0;
    case 16:
        call_without_stack();
        return 0;
    case 17:
        set_flags(0x4400);
        yield();
        __asm__ volatile("cld");
        return 0;
    case 19:
        set_flags(0x40000);
        data[0] = 1;
        *word((uint64_t)map(0x200000000, PAGE, READ_WRITE, 0)) = 0;
        /* The kernel reads what to map where nothing is yet, and that is no bytes. */
        return call(CALL_MAP, (uint64_t)map(0x300000000, PAGE, READ_WRITE, 0), 0, 0) < 0 ? 0 : -1;
    default:
        execute(argument);
        (void)touch(argument);
        return -1; /* it should not have come here */
    }
}
