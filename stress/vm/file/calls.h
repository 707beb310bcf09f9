/* SPDX-License-Identifier: MIT
 *
 * calls.h - sequences of calls on spaces and files, whose numbers come from anywhere, against naive
 * maps: an array for each space with a cell for each page, and one for each file with the word of
 * each page. Two processors read and write by TLBs that forget what the port was told to
 * invalidate. Frames are refused, and the pager fails, now and then: then all is as it was. Some
 * arguments are hostile: each is refused with its error.
 */
#ifndef QUIRE_STRESS_VM_FILE_CALLS_H
#define QUIRE_STRESS_VM_FILE_CALLS_H

#include <stdint.h>

/* Below `bound`, which is not 0. */
typedef uint64_t draw_number(void *ctx, uint64_t bound);

/* So many calls, or as long as `more` says. Fails the cmocka test, or what takes its place, if an
 * answer is wrong. */
void calls_run(draw_number *draw, int (*more)(void *ctx), void *ctx);

#endif /* QUIRE_STRESS_VM_FILE_CALLS_H */
