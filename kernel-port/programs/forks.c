/* SPDX-License-Identifier: MIT
 *
 * forks.c - as many threads as the argument says write to the same pages and fork, all at once. A
 * child has what its own thread wrote, keeps what it writes itself, and what it writes is not seen
 * by the others. Its status is the number of CPUs that ran it, threads and children, as bits.
 */
#include "program.h"

enum { THREADS = 8, PAGES = 2, ROUNDS = 2, STACK = 4 * PAGE, WORDS = PAGE / 8 };

static volatile uint64_t pages[PAGES][WORDS] __attribute__((aligned(PAGE)));
static uint64_t threads, arrived, left, cpus; /* atomic */

static void note_cpu(void)
{
    (void)__atomic_fetch_or(&cpus, 1ul << (cpu() & 63), __ATOMIC_RELAXED);
}

static void write_mine(uint64_t me, uint64_t value)
{
    for (unsigned i = 0; i < PAGES; i++)
        pages[i][me] = value;
}

static bool mine_are(uint64_t me, uint64_t value)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i][me] != value)
            return false;
    return true;
}

static _Noreturn void be_child(uint64_t me, uint64_t value)
{
    if (!mine_are(me, value))
        exit(-1);
    for (unsigned i = 0; i < PAGES; i++)
        for (uint64_t w = 0; w < threads; w++)
            pages[i][w] = 1000 + me;
    yield();
    for (unsigned i = 0; i < PAGES; i++)
        for (uint64_t w = 0; w < threads; w++)
            if (pages[i][w] != 1000 + me)
                exit(-2);
    exit((int64_t)cpu() & 63);
}

/* One that ended, whoever of us forked it. */
static void wait_for_one(void)
{
    struct call_end end = {.id = 0};
    int64_t result;

    do {
        result = wait(&end);
        if (result == QUIRE_ERR_BUSY)
            yield();
    } while (result == QUIRE_ERR_BUSY);
    REQUIRE(result > 0 && end.id == (uint64_t)result && end.kind == END_EXIT && end.status >= 0);
    (void)__atomic_fetch_or(&cpus, 1ul << end.status, __ATOMIC_RELAXED);
}

static void work(uint64_t me)
{
    (void)__atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < threads)
        yield();
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        int64_t child;

        write_mine(me, round);
        child = fork();
        if (child == 0)
            be_child(me, round);
        REQUIRE(child > 0 && mine_are(me, round));
        write_mine(me, round + 100);
        REQUIRE(mine_are(me, round + 100));
        note_cpu();
        wait_for_one();
        REQUIRE(mine_are(me, round + 100));
    }
    (void)__atomic_fetch_add(&left, 1, __ATOMIC_RELAXED);
}

int64_t program(uint64_t argument)
{
    uint64_t stacks = (uint64_t)map(0, THREADS * STACK, READ_WRITE, CALL_MAP_ANYWHERE);

    threads = argument < THREADS ? argument : THREADS;
    for (uint64_t i = 1; i < threads; i++)
        REQUIRE(thread(work, i, stacks + i * STACK) == 0);
    work(0);
    while (__atomic_load_n(&left, __ATOMIC_RELAXED) < threads)
        yield();
    return (int64_t)cpus;
}
