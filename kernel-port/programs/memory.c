/* SPDX-License-Identifier: MIT
 *
 * memory.c - one program alone with its memory: pages of zeros, what they are given back as, access
 * taken and given, a large page of which a part goes, a stack that grows; and calls with arguments
 * that make no sense, which are errors and change nothing.
 */
#include "program.h"

enum { PAGES = 40, MANY = 4096 };

#define KERNEL      0xffff800000000000ul
#define IN_HOLE     0x0000900000000000ul
#define HIGHEST     0x00007ffffffff000ul
#define LARGE_BYTES (2 * QUIRE_PAGE_2M)

static char line[CALL_LINE + 1];

/* The first has bytes in the file, and the second begins in the same page: what else is there in
 * the file must not be seen. */
static volatile uint64_t initial = 7;
static volatile uint8_t zeros[PAGE];

static void test_zeros(void)
{
    uint64_t at = (uint64_t)map(0, PAGES * PAGE, READ_WRITE, CALL_MAP_ANYWHERE);

    for (uint64_t i = 0; i < PAGES; i++)
        REQUIRE(*word(at + i * PAGE) == 0 && *word(at + (i + 1) * PAGE - 8) == 0);
    for (uint64_t i = 0; i < PAGES; i++)
        *word(at + i * PAGE + 8) = i + 1;
    for (uint64_t i = 0; i < PAGES; i++)
        REQUIRE(*word(at + i * PAGE + 8) == i + 1);
    REQUIRE(advise(at, PAGES / 2 * PAGE, QUIRE_ADVISE_RELEASE) == 0);
    for (uint64_t i = 0; i < PAGES; i++)
        REQUIRE(*word(at + i * PAGE + 8) == (i < PAGES / 2 ? 0 : i + 1));
    REQUIRE(protect(at, PAGE, QUIRE_READ) == 0);
    REQUIRE(call(CALL_WAIT, at, 0, 0) == QUIRE_ERR_STATE); /* no child: nothing is written there */
    REQUIRE(protect(at, PAGE, READ_WRITE) == 0);
    *word(at) = 1;
    REQUIRE(unmap(at + PAGE, PAGE) == 0 && call(CALL_WRITE, at + PAGE, 1, 0) == QUIRE_ERR_AREA);
    REQUIRE(*word(at) == 1 && unmap(at, PAGE) == 0 &&
            unmap(at + 2 * PAGE, (PAGES - 2) * PAGE) == 0);
    REQUIRE(call(CALL_WRITE, at, 1, 0) == QUIRE_ERR_AREA);
}

static void test_large(void)
{
    uint64_t at = (uint64_t)map(0, LARGE_BYTES, READ_WRITE, CALL_MAP_ANYWHERE | CALL_MAP_LARGE);

    REQUIRE(at % QUIRE_PAGE_2M == 0);
    for (uint64_t i = 0; i < LARGE_BYTES; i += PAGE)
        *word(at + i) = i + 1;
    REQUIRE(unmap(at + 5 * PAGE, PAGE) == 0);
    REQUIRE(protect(at + 7 * PAGE, PAGE, QUIRE_READ) == 0);
    REQUIRE(unmap(at + QUIRE_PAGE_2M - PAGE, 2 * PAGE) == 0); /* of both */
    for (uint64_t i = 0; i < LARGE_BYTES; i += PAGE) {
        bool gone = i == 5 * PAGE || i == QUIRE_PAGE_2M - PAGE || i == QUIRE_PAGE_2M;

        if (gone)
            REQUIRE(call(CALL_WRITE, at + i, 1, 0) == QUIRE_ERR_AREA);
        else
            REQUIRE(*word(at + i) == i + 1);
    }
    REQUIRE(unmap(at + 5 * PAGE, PAGE) == QUIRE_ERR_AREA);
}

/* Uses a page of its stack at each depth. NOLINTNEXTLINE(misc-no-recursion): that is the point */
static __attribute__((noinline)) uint64_t grow(uint64_t depth)
{
    volatile uint64_t here[PAGE / 8];

    here[0] = depth;
    return depth ? grow(depth - 1) + here[0] : 0;
}

static void test_calls(void)
{
    const struct {
        enum user_call number;
        uint64_t a, b, c;
        int64_t expected;
    } calls[] = {
        {(enum user_call)99, 0, 0, 0, QUIRE_ERR_UNSUPPORTED},
        {CALL_WRITE, 0, 1, 0, QUIRE_ERR_ADDRESS},
        {CALL_WRITE, KERNEL, 1, 0, QUIRE_ERR_ADDRESS},
        {CALL_WRITE, IN_HOLE, 1, 0, QUIRE_ERR_ADDRESS},
        {CALL_WRITE, HIGHEST - 1, 2, 0, QUIRE_ERR_ADDRESS},
        {CALL_WRITE, (uint64_t)line, CALL_LINE + 1, 0, QUIRE_ERR_SIZE},
        {CALL_WRITE, (uint64_t)line, UINT64_MAX, 0, QUIRE_ERR_SIZE},
        {CALL_MAP, KERNEL, 0, 0, QUIRE_ERR_ADDRESS},
        {CALL_UNMAP, 0, PAGE, 0, QUIRE_ERR_ADDRESS},
        {CALL_UNMAP, KERNEL, PAGE, 0, QUIRE_ERR_ADDRESS},
        {CALL_UNMAP, PAGE * 32, 0, 0, QUIRE_ERR_SIZE},
        {CALL_UNMAP, PAGE * 32 + 1, PAGE, 0, QUIRE_ERR_ALIGN},
        {CALL_UNMAP, PAGE * 32, UINT64_MAX - PAGE + 1, 0, QUIRE_ERR_ADDRESS},
        {CALL_UNMAP, PAGE * 32, 1ul << 63, 0, QUIRE_ERR_ADDRESS},
        {CALL_UNMAP, PAGE * 32, PAGE, 0, QUIRE_ERR_AREA},
        {CALL_PROTECT, PAGE * 32, PAGE, QUIRE_READ, QUIRE_ERR_AREA},
        {CALL_PROTECT, PAGE * 32, PAGE, QUIRE_WRITE | QUIRE_EXECUTE, QUIRE_ERR_ACCESS},
        {CALL_PROTECT, PAGE * 32, PAGE, QUIRE_READ | QUIRE_USER, QUIRE_ERR_ACCESS},
        {CALL_ADVISE, PAGE * 32, PAGE, 77, QUIRE_ERR_UNSUPPORTED},
        {CALL_WAIT, (uint64_t)line, 0, 0, QUIRE_ERR_STATE},
        {CALL_THREAD, KERNEL, PAGE * 32, 0, QUIRE_ERR_ADDRESS},
        {CALL_THREAD, PAGE * 32, KERNEL, 0, QUIRE_ERR_ADDRESS},
        {CALL_FILE, 0, 0, 0, QUIRE_ERR_SIZE},
        {CALL_FILE, MANY, 0, 0, QUIRE_ERR_SIZE},
    };

    for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (call(calls[i].number, calls[i].a, calls[i].b, calls[i].c) != calls[i].expected)
            exit(1000 + (int64_t)i);
}

static void test_maps(void)
{
    const struct {
        struct call_map want;
        int64_t expected;
    } maps[] = {
        {{.address = KERNEL, .bytes = PAGE, .access = READ_WRITE}, QUIRE_ERR_ADDRESS},
        {{.address = HIGHEST, .bytes = PAGE, .access = READ_WRITE}, QUIRE_ERR_ADDRESS},
        {{.address = 0, .bytes = PAGE, .access = READ_WRITE}, QUIRE_ERR_ADDRESS},
        {{.address = 32 * PAGE, .bytes = 0, .access = READ_WRITE}, QUIRE_ERR_SIZE},
        {{.address = 32 * PAGE, .bytes = 1, .access = READ_WRITE}, QUIRE_ERR_ALIGN},
        {{.address = 32 * PAGE, .bytes = 1ul << 63, .access = READ_WRITE}, QUIRE_ERR_ADDRESS},
        {{.address = (uint64_t)line / PAGE * PAGE, .bytes = PAGE, .access = READ_WRITE},
         QUIRE_ERR_MAPPED},
        {{.bytes = 1ul << 46, .access = READ_WRITE, .flags = 0x100}, QUIRE_ERR_UNSUPPORTED},
        {{.bytes = 1ul << 47, .access = READ_WRITE, .flags = CALL_MAP_ANYWHERE}, QUIRE_ERR_FULL},
        {{.address = 32 * PAGE, .bytes = PAGE, .access = QUIRE_WRITE | QUIRE_EXECUTE},
         QUIRE_ERR_ACCESS},
        {{.address = 32 * PAGE, .bytes = PAGE, .access = 1u << 20}, QUIRE_ERR_ACCESS},
        {{.address = 32 * PAGE, .bytes = PAGE, .access = READ_WRITE, .file = MANY}, QUIRE_ERR_SIZE},
        {{.address = 32 * PAGE, .bytes = PAGE, .access = READ_WRITE, .flags = CALL_MAP_SHARED},
         QUIRE_ERR_UNSUPPORTED},
    };

    for (unsigned i = 0; i < sizeof maps / sizeof maps[0]; i++)
        if (call(CALL_MAP, (uint64_t)&maps[i].want, 0, 0) != maps[i].expected)
            exit(2000 + (int64_t)i);
}

static void test_start(void)
{
    REQUIRE(initial == 7);
    for (unsigned i = 0; i < PAGE; i++)
        REQUIRE(zeros[i] == 0);
}

int64_t program(uint64_t argument)
{
    (void)argument;
    test_start();
    test_zeros();
    test_large();
    REQUIRE(grow(12) == 78);
    test_calls();
    test_maps();
    return 0;
}
