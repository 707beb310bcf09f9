/* SPDX-License-Identifier: MIT
 *
 * hello.c - writes a line and exits; its status is its argument and one.
 */
#include "program.h"

int64_t program(uint64_t argument)
{
    say("hello from user mode");
    return (int64_t)argument + 1;
}
