/* SPDX-License-Identifier: MIT
 *
 * tables.c - as many threads as the argument says, each with places of its own, a gigabyte apart
 * and others in each round: it maps a page in each, writes to it, and unmaps it. So each place
 * needs two tables of its own, which run empty, while other threads fault beside them. If they did
 * not come back it would have four times as many in the end as it needs at once.
 */
#include "program.h"

enum { THREADS = 8, PLACES = 4, ROUNDS = 4, STACK = 4 * PAGE };

#define GIB ((uint64_t)1 << 30)
#define FAR ((uint64_t)1 << 40)

static uint64_t left; /* atomic */

static uint64_t place(uint64_t me, uint64_t round, uint64_t i)
{
    return FAR + ((round * THREADS + me) * PLACES + i) * GIB;
}

static void use_places(uint64_t me)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < PLACES; i++) {
            uint64_t at = place(me, round, i);

            REQUIRE(map(at, PAGE, READ_WRITE, 0) == (int64_t)at);
            REQUIRE(*word(at) == 0);
            *word(at) = me + round + 1;
        }
        for (unsigned i = 0; i < PLACES; i++) {
            uint64_t at = place(me, round, i);

            REQUIRE(*word(at) == me + round + 1);
            REQUIRE(unmap(at, PAGE) == 0);
        }
    }
    (void)__atomic_fetch_add(&left, 1, __ATOMIC_RELAXED);
}

int64_t program(uint64_t argument)
{
    uint64_t threads = argument < THREADS ? argument : THREADS;
    uint64_t stacks = (uint64_t)map(0, THREADS * STACK, READ_WRITE, CALL_MAP_ANYWHERE);

    for (uint64_t i = 1; i < threads; i++)
        REQUIRE(thread(use_places, i, stacks + i * STACK) == 0);
    use_places(0);
    while (__atomic_load_n(&left, __ATOMIC_RELAXED) < threads)
        yield();
    return 0;
}
