/* SPDX-License-Identifier: MIT
 *
 * calls.h - sequences of calls on a heap, whose numbers come from anywhere, against a naive model:
 * a list of the objects in use, each with its bytes, its class or length, and a pattern of its own
 * from its first byte to its last. After every call the answer is what the model says; an object
 * that overlaps another, or that a call moved or changed, has lost its pattern. Some calls are
 * wrong on purpose, with pointers from anywhere and requests that cannot be served: each is refused
 * with its error. Some times the machine refuses. Now and then the figures are compared with the
 * list.
 */
#ifndef QUIRE_STRESS_HEAP_MODEL_CALLS_H
#define QUIRE_STRESS_HEAP_MODEL_CALLS_H

#include <stdint.h>

/* The heap: one without more; one with tags, the first of which has a quota; one that looks for
 * bugs, where each call also has to leave red zones, poison and the quarantine in order, as nothing
 * is to be found: a finding is a failure. */
enum calls_watch { CALLS_PLAIN = 0, CALLS_TAGGED = 1, CALLS_ALL = 2, CALLS_WATCHES = 3 };
enum { CALLS_TAGS = 3 };

/* Below `bound`, which is not 0. */
typedef uint64_t draw_number(void *ctx, uint64_t bound);

/* Calls on a heap of the rig's mode, as long as `more` says. Fails the cmocka test, or what takes
 * its place, if an answer is wrong. */
void calls_run(enum calls_watch watch, draw_number *draw, int (*more)(void *ctx), void *ctx);

#endif /* QUIRE_STRESS_HEAP_MODEL_CALLS_H */
