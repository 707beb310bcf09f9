/* SPDX-License-Identifier: MIT
 *
 * cost.c - how long system calls and faults take, as a program sees them: the time stamp counter
 * around each kind, divided by how many there were. What it finds it writes to file 1, a word for
 * each of enum user_cost.
 */
#include "cost.h"

#include "program.h"

enum { PAGES = 500, CALLS = 200 };

static uint64_t now(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static uint64_t results;

static void note(enum user_cost what, uint64_t since, uint64_t count)
{
    *word(results + 8 * (uint64_t)what) = (now() - since) / count;
}

static void write_pages(uint64_t at)
{
    for (uint64_t i = 0; i < PAGES; i++)
        *word(at + i * PAGE) = i;
}

static void measure_forks(uint64_t at)
{
    struct call_end end = {.id = 0};
    uint64_t start = now();
    int64_t child = fork();

    if (child == 0) {
        start = now();
        write_pages(at);
        note(COST_COPY, start, PAGES);
        exit(0);
    }
    note(COST_FORK, start, PAGES);
    REQUIRE(child > 0 && wait(&end) > 0 && end.kind == END_EXIT);
    start = now();
    write_pages(at);
    note(COST_LAST_OWNER, start, PAGES);
}

static void measure_small(void)
{
    uint64_t start = now();

    for (unsigned i = 0; i < CALLS; i++)
        (void)cpu();
    note(COST_CALL, start, CALLS);
    start = now();
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t at = (uint64_t)map(0, PAGE, READ_WRITE, CALL_MAP_ANYWHERE);

        REQUIRE(unmap(at, PAGE) == 0);
    }
    note(COST_MAP, start, CALLS);
    start = now();
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t at = (uint64_t)map(0, PAGE, READ_WRITE, CALL_MAP_ANYWHERE);

        *word(at) = 1;
        REQUIRE(unmap(at, PAGE) == 0);
    }
    note(COST_MAP_TOUCHED, start, CALLS);
}

int64_t program(uint64_t argument)
{
    uint64_t at = (uint64_t)map(0, PAGES * PAGE, READ_WRITE, CALL_MAP_ANYWHERE), start;

    (void)argument;
    results = (uint64_t)map_file(1, PAGE, READ_WRITE, CALL_MAP_SHARED);
    *word(results) = 0;
    measure_small();
    start = now();
    write_pages(at);
    note(COST_TOUCH, start, PAGES);
    measure_forks(at);
    start = now();
    REQUIRE(protect(at, PAGES * PAGE, QUIRE_READ) == 0);
    note(COST_PROTECT, start, PAGES);
    start = now();
    REQUIRE(unmap(at, PAGES * PAGE) == 0);
    note(COST_UNMAP, start, PAGES);
    REQUIRE(call(CALL_SYNC, results, PAGE, 0) == 0);
    return 0;
}
