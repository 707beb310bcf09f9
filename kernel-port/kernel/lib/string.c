/* SPDX-License-Identifier: MIT
 *
 * string.c - the two functions that the compiler may call by itself, and a comparison.
 */
#include "text.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
    return to;
}

size_t text_length(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

bool text_equal(const char *text, size_t length, const char *word)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != word[i]) /* ends at word's zero byte at the latest: text has none */
            return false;
    return word[length] == '\0';
}
