/* SPDX-License-Identifier: MIT
 *
 * tree.c - a tree of forks: each process forks two, as deep as the argument says, and writes to
 * pages that it shares with its ancestors. The status is how many processes there are below, with
 * itself; or, with 256 added to the argument, nobody waits for anybody, and it is 0.
 */
#include "program.h"

enum { PAGES = 4, ALONE = 256 };

static volatile uint64_t pages[PAGES][PAGE / 8] __attribute__((aligned(PAGE)));

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tree */
static int64_t grow(uint64_t depth, bool alone)
{
    int64_t below = 1;

    for (unsigned i = 0; i < PAGES; i++)
        pages[i][depth] = depth + 1;
    for (unsigned branch = 0; branch < 2 && depth > 0; branch++) {
        int64_t child = fork();

        if (child == 0)
            exit(grow(depth - 1, alone));
        REQUIRE(child > 0);
    }
    for (unsigned branch = 0; branch < 2 && depth > 0 && !alone; branch++) {
        struct call_end end = {.id = 0};

        REQUIRE(wait(&end) > 0 && end.kind == END_EXIT);
        below += end.status;
    }
    for (unsigned i = 0; i < PAGES; i++)
        REQUIRE(pages[i][depth] == depth + 1 && (depth == 0 || pages[i][depth - 1] == 0));
    return alone ? 0 : below;
}

int64_t program(uint64_t argument)
{
    return grow(argument % ALONE, argument >= ALONE);
}
