/* SPDX-License-Identifier: MIT
 *
 * shadow.h - a second opinion on who owns which frame: a bit per frame, and a pattern in it.
 *
 * The allocator is believed in nothing. Whoever gets frames sets their bits here (a set one was
 * handed out twice), and writes a pattern into each of them, made of the frame's address and the
 * owner's tag; before he frees them he looks whether the pattern is still there (if not, somebody
 * else was told that the frame is his) and clears the bits. All calls are lock-free and of any
 * context, NMIs included. Nothing is printed: the first thing that went wrong is kept.
 */
#ifndef KERNEL_PORT_TESTS_SHADOW_H
#define KERNEL_PORT_TESTS_SHADOW_H

#include <quire/types.h>

#include <stdbool.h>
#include <stdint.h>

/* Words that are written per frame, spread over it. */
enum { SHADOW_LIGHT = 1, SHADOW_USUAL = 8 };

/* Make the bits for all zones, once; forget what went wrong before. First CPU, nobody else. */
void shadow_begin(void);

/* These frames are mine now; and: they are not any more. */
void shadow_take(quire_pfn pfn, uint64_t frames, uint64_t tag, unsigned words);
void shadow_give(quire_pfn pfn, uint64_t frames, uint64_t tag, unsigned words);

/* The same without a pattern: the owner writes what it likes. */
void shadow_own(quire_pfn pfn, uint64_t frames);
void shadow_disown(quire_pfn pfn, uint64_t frames);

/* Something else is wrong with a frame. */
void shadow_wrong(const char *what, quire_pfn pfn, uint64_t found, uint64_t expected);

/* How many frames are marked as owned, by a walk. */
uint64_t shadow_owned(void);

/* One result: nothing went wrong since shadow_begin, and no frame is owned. Returns whether. */
bool shadow_end(const char *what);

#endif /* KERNEL_PORT_TESTS_SHADOW_H */
