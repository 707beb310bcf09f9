/* SPDX-License-Identifier: MIT
 *
 * test_smallest.c - the kernel around the smallest port of docs/porting.md: 32 MiB with the kernel
 * and a hole of the firmware's in it, all of which is taken, written, looked at and given back.
 */
#include "kernel.h"
#include "stress/common/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, MEMORY = 32 * MIB, PAGE = 4096, PAGES = MEMORY / PAGE };

struct firmware_range firmware_map[] = {
    {0, MEMORY, true},
    {9 * MIB + 100, 3 * MIB, false}, /* in the middle, and not at a page */
    {(uint64_t)1 << 60, MIB, true},  /* absurd */
};
size_t firmware_ranges = sizeof firmware_map / sizeof firmware_map[0];
uint64_t kernel_start = 4 * MIB, kernel_end = 5 * MIB + 1;

static unsigned char *memory;

void *direct(uint64_t phys)
{
    return memory + phys;
}

uint64_t physical(const void *address)
{
    return (uint64_t)((const unsigned char *)address - memory);
}

_Noreturn void panic(const char *why)
{
    (void)fprintf(stderr, "panic: %s\n", why);
    abort();
}

static bool may_be_given(uint64_t phys, uint64_t bytes)
{
    bool kernel = phys < kernel_end && phys + bytes > kernel_start;
    bool firmware = phys < 12 * MIB + 100 && phys + bytes > 9 * MIB + 100;

    return phys >= 2 * MIB && phys + bytes <= MEMORY && !kernel && !firmware;
}

static void all_of_it(void **unused)
{
    static uint64_t *pages[PAGES];
    size_t count[2] = {0, 0};

    (void)unused;
    memory = aligned_alloc(2 * MIB, MEMORY);
    assert_non_null(memory);
    memset(memory, 0xa5, MEMORY);
    memory_init();
    for (unsigned turn = 0; turn < 2; turn++) {
        size_t n = 0;

        while ((pages[n] = kalloc(0))) {
            assert_true(may_be_given(physical(pages[n]), PAGE));
            *pages[n] = n;
            n++;
        }
        count[turn] = n;
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(*pages[i], i);
            kfree(pages[i], 0);
        }
    }
    assert_int_equal(count[0], count[1]);
    assert_in_range(count[0], PAGES * 3 / 4, PAGES - 2 * MIB / PAGE);
    pages[0] = kalloc(9);
    assert_true(may_be_given(physical(pages[0]), 2 * MIB));
    kfree(pages[0], 9);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_of_it)};

    return cmocka_run_group_tests_name("smallest port", tests, NULL, NULL);
}
