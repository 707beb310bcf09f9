/* SPDX-License-Identifier: MIT
 *
 * tap.c - see tap.h.
 */
#include "tap.h"

#include "kernel-port/kernel/console.h"

static uint32_t results, failures;

static void result(bool good)
{
    results++;
    failures += !good;
    print("%sok %u - ", good ? "" : "not ", results);
}

bool tap(bool good, const char *format, ...)
{
    va_list args;

    result(good);
    va_start(args, format);
    vprint(format, args);
    va_end(args);
    print("\n");
    return good;
}

bool tap_equal(uint64_t found, uint64_t expected, const char *what)
{
    if (found == expected)
        return tap(true, "%s: %lu", what, found);
    return tap(false, "%s: found %lu (%lx), expected %lu (%lx)", what, found, found, expected,
               expected);
}

void tap_skip(const char *what, const char *why)
{
    result(true);
    print("%s # SKIP %s\n", what, why);
}

void tap_note(const char *format, ...)
{
    va_list args;

    print("# ");
    va_start(args, format);
    vprint(format, args);
    va_end(args);
    print("\n");
}

bool tap_end(void)
{
    print("1..%u\n", results);
    print("# %u of %u good\n", results - failures, results);
    return results > 0 && failures == 0;
}
