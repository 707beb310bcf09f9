/* SPDX-License-Identifier: MIT
 *
 * files.c - a file that a process and its children map: shared, what one writes all read, and it
 * is the file's; private, it is the writer's alone. The argument is how many children.
 */
#include "program.h"

enum { PAGES = 8, MOST = 16 };

static uint64_t shared, own;

static _Noreturn void be_child(uint64_t me)
{
    for (uint64_t i = 0; i < PAGES; i++) {
        REQUIRE(*word(own + i * PAGE) == 7); /* the parent's, from before the fork */
        *word(own + i * PAGE) = me;
        *word(shared + i * PAGE + 8 * me) = me;
    }
    yield();
    for (uint64_t i = 0; i < PAGES; i++)
        REQUIRE(*word(own + i * PAGE) == me && *word(shared + i * PAGE + 8 * me) == me);
    exit(0);
}

int64_t program(uint64_t argument)
{
    uint64_t children = argument < MOST ? argument : MOST;
    struct call_end end = {.id = 0};

    REQUIRE(call(CALL_FILE, 1, 0, 0) >= PAGES * PAGE);
    shared = (uint64_t)map_file(1, PAGES * PAGE, READ_WRITE, CALL_MAP_SHARED);
    own = (uint64_t)map_file(1, PAGES * PAGE, READ_WRITE, 0);
    for (uint64_t i = 0; i < PAGES; i++)
        *word(own + i * PAGE) = 7;
    for (uint64_t i = 1; i <= children; i++) {
        int64_t child = fork();

        if (child == 0)
            be_child(i);
        REQUIRE(child > 0);
    }
    for (uint64_t i = 1; i <= children; i++)
        REQUIRE(wait(&end) > 0 && end.kind == END_EXIT && end.status == 0);
    for (uint64_t i = 0; i < PAGES; i++) {
        REQUIRE(*word(shared + i * PAGE) == 0 && *word(own + i * PAGE) == 7);
        for (uint64_t c = 1; c <= children; c++)
            REQUIRE(*word(shared + i * PAGE + 8 * c) == c);
    }
    REQUIRE(call(CALL_SYNC, shared, PAGES * PAGE, 0) == 0);
    return 0;
}
