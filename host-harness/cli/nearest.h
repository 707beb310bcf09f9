/* SPDX-License-Identifier: MIT
 *
 * nearest.h - the word that was probably meant. Shared by `quire` and `quire-bench`.
 *
 * No state. Any thread, uses no memory but the stack.
 */
#ifndef HOST_HARNESS_CLI_NEAREST_H
#define HOST_HARNESS_CLI_NEAREST_H

#include <stddef.h>

struct option; /* <getopt.h> */

/* Of the first `length` bytes of `typed`: the number of letters to add, drop, change or exchange
 * with their neighbour until it is `word`; or more than NEAREST_FAR if that is more, or if it is
 * more than a third of the word. */
enum { NEAREST_FAR = 3 };
unsigned nearest_distance(const char *typed, size_t length, const char *word);

/* " (did you mean WORD?)" in `text`, of the words up to NULL; empty if none is near, or two are
 * equally so. Returns `text`. */
enum { NEAREST_TEXT = 64 };
const char *nearest_word(char text[NEAREST_TEXT], const char *typed, const char *const words[]);

/* What is wrong with the option `typed`, with or without a value behind '=', of which getopt_long
 * said '?', in `text`: it is unknown, and which one may be meant; or it takes no value; or it
 * begins several. Options of getopt_long up to the empty one. Returns `text`. */
enum { NEAREST_FAULT = 256 };
const char *nearest_fault(char text[NEAREST_FAULT], const char *typed,
                          const struct option *options);

#endif /* HOST_HARNESS_CLI_NEAREST_H */
