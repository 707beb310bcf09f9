/* SPDX-License-Identifier: MIT
 *
 * die.c - see die.h.
 */
#include "die.h"

#include <quire/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *verdict, const char *format, va_list args)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: ", verdict);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n");
}

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say("FAILED", format, args);
    va_end(args);
    abort();
}

void skip_all(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say("SKIPPED", format, args);
    va_end(args);
    exit(SKIPPED);
}

void must(int error, const char *call)
{
    if (error != QUIRE_OK)
        die("%s: %s", call, quire_strerror(error));
}

void *rubbish(size_t align, size_t bytes)
{
    size_t whole = (bytes + align - 1) / align * align;
    void *p = aligned_alloc(align, whole);

    if (!p)
        die("no heap for %zu bytes", bytes);
    return memset(p, 0x5a, whole);
}
