/* SPDX-License-Identifier: MIT
 *
 * check.h - what the checked calls of `quire run` are made of: the shadow model asked and told,
 * answers judged and counted, violations put into words.
 *
 * All are called by the thread that `w` belongs to, and wait-free.
 */
#ifndef HOST_HARNESS_LOAD_CHECK_H
#define HOST_HARNESS_LOAD_CHECK_H

#include "run.h"

enum { CHECK_STAMP_BITS = 20 }; /* of a tag; above it the thread's number + 1, at most 4095 */

/* The bit that allows an error in check_answer. */
#define CHECK_ALLOWED(error) (1u << -(error))

static inline struct quire_zone *check_zone(const struct worker *w, uint32_t z)
{
    return w->run->zones[z].zone;
}

static inline quire_slot check_slot(const struct worker *w)
{
    return quire_slot_of(w->number);
}

/* A tag for the next allocation. Not 0. */
uint32_t check_tag(struct worker *w);

/* A violation that concerns a frame; `what` is a phrase that follows its name. */
void check_accuse(struct worker *w, uint32_t z, uint64_t pfn, const char *what);

/* Count an answer; `pfn`, which is what the call gave or was about, goes into the digest. True for
 * success; an error that is not in `allowed` is a violation. */
bool check_answer(struct worker *w, uint32_t z, const char *what, int error, uint32_t allowed,
                  uint64_t pfn);

/* Note a run as handed out, or as about to be freed. False after a violation. */
bool check_take(struct worker *w, uint32_t z, const struct record *record, uint32_t flags);
bool check_give(struct worker *w, uint32_t z, const struct record *record);

/* With one thread the free count is known exactly, and with it whether a request had to be
 * granted: read the count before the call, compare after it. Does nothing with more threads. */
uint64_t check_free_count(const struct worker *w, uint32_t z);
void check_floor(struct worker *w, uint32_t z, uint64_t before, uint64_t frames, uint32_t flags,
                 int error);

#endif /* HOST_HARNESS_LOAD_CHECK_H */
