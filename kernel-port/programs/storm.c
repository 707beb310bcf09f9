/* SPDX-License-Identifier: MIT
 *
 * storm.c - as many threads as the argument says: one gives pages back that all others read, and
 * has their frames again in another place at once, with a secret; half of the others map, write and
 * unmap pages of their own in between, a few times. Nobody ever reads the secret where it is not.
 */
#include "program.h"

enum { THREADS = 8, PAGES = 4, ROUNDS = 3, STACK = 4 * PAGE, PUBLIC = 1, SECRET = 2, MAPS = 6 };

static uint64_t shared, threads;
static uint64_t left, over, turns[THREADS]; /* atomic */

static void read_all(void)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        uint64_t found = *word(shared + i * PAGE);

        REQUIRE(found == 0 || found == PUBLIC);
    }
}

static void map_one(uint64_t me)
{
    uint64_t own = (uint64_t)map(0, 2 * PAGE, READ_WRITE, CALL_MAP_ANYWHERE);

    *word(own + PAGE) = me;
    read_all();
    REQUIRE(*word(own) == 0 && *word(own + PAGE) == me);
    REQUIRE(unmap(own, 2 * PAGE) == 0);
}

static void read_and_map(uint64_t me)
{
    for (unsigned i = 0; !__atomic_load_n(&over, __ATOMIC_RELAXED); i++) {
        read_all();
        (void)__atomic_fetch_add(&turns[me], 1, __ATOMIC_RELAXED);
        if (me % 2 == 0 && i < MAPS)
            map_one(me);
    }
    (void)__atomic_fetch_add(&left, 1, __ATOMIC_RELAXED);
}

/* Each of the others has read all pages since. */
static void let_read(void)
{
    uint64_t before[THREADS] = {0};

    for (uint64_t i = 1; i < threads; i++)
        before[i] = __atomic_load_n(&turns[i], __ATOMIC_RELAXED);
    for (uint64_t i = 1; i < threads; i++)
        while (__atomic_load_n(&turns[i], __ATOMIC_RELAXED) < before[i] + 2)
            yield();
}

static void give_back(void)
{
    uint64_t other = (uint64_t)map(0, PAGES * PAGE, READ_WRITE, CALL_MAP_ANYWHERE);

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < PAGES; i++)
            *word(shared + i * PAGE) = PUBLIC;
        let_read();
        REQUIRE(advise(shared, PAGES * PAGE, QUIRE_ADVISE_RELEASE) == 0);
        for (uint64_t i = 0; i < PAGES; i++)
            *word(other + i * PAGE) = SECRET;
        let_read();
        REQUIRE(advise(other, PAGES * PAGE, QUIRE_ADVISE_RELEASE) == 0);
    }
}

static int64_t storm(void)
{
    uint64_t stacks = (uint64_t)map(0, THREADS * STACK, READ_WRITE, CALL_MAP_ANYWHERE);

    shared = (uint64_t)map(0, PAGES * PAGE, READ_WRITE, CALL_MAP_ANYWHERE);
    for (uint64_t i = 1; i < threads; i++)
        REQUIRE(thread(read_and_map, i, stacks + i * STACK) == 0);
    give_back();
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&left, __ATOMIC_RELAXED) + 1 < threads)
        yield();
    return 0;
}

/* In a child: its CPUs are to be asked, not its parent's. */
int64_t program(uint64_t argument)
{
    struct call_end end = {.id = 0};
    int64_t child;

    threads = argument < THREADS ? argument : THREADS;
    child = fork();
    if (child == 0)
        return storm();
    REQUIRE(child > 0 && wait(&end) == child);
    return end.kind == END_EXIT ? end.status : -1;
}
