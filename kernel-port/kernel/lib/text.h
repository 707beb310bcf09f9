/* SPDX-License-Identifier: MIT
 *
 * text.h - the little of a C library's string functions that this kernel needs.
 */
#ifndef KERNEL_PORT_KERNEL_LIB_TEXT_H
#define KERNEL_PORT_KERNEL_LIB_TEXT_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);

size_t text_length(const char *text);

/* Are these `length` bytes, none of them zero, the word? */
bool text_equal(const char *text, size_t length, const char *word);

#endif /* KERNEL_PORT_KERNEL_LIB_TEXT_H */
