/* SPDX-License-Identifier: MIT
 *
 * hungry.c - touches ever new pages, as long as it lives; and, if the argument says so, has some
 * that it shares with a child that does the same.
 */
#include "program.h"

#define BYTES QUIRE_PAGE_1G

int64_t program(uint64_t argument)
{
    uint64_t at = (uint64_t)map(0, BYTES, READ_WRITE, CALL_MAP_ANYWHERE);

    if ((int64_t)at < 0)
        return (int64_t)at;
    for (uint64_t i = 0; i < argument; i++)
        *word(at + i * PAGE) = i;
    if (argument)
        (void)fork(); /* or there is no memory for it already */
    for (uint64_t i = 0; i < BYTES; i += PAGE)
        *word(at + i) = i;
    return 0;
}
