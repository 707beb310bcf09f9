/* SPDX-License-Identifier: MIT
 *
 * calls.h - one allocator call each, as the threads of `quire run` make it: timed (one in
 * run->sample), its answer checked against the shadow model and against what is known for sure,
 * counted. A violation is told by run_violation, after which the frames in question are left
 * alone; callers just go on until they see `stop`.
 *
 * Answers that a sound allocator may give to a sound request (no memory, busy) are counted as
 * failures and make the functions return false or 0; every other error is a violation.
 *
 * `z` is a zone's number, `w` the calling thread's worker: no function may be called for another
 * thread's worker while that runs. Progress and context are those of the call that is made.
 */
#ifndef HOST_HARNESS_LOAD_CALLS_H
#define HOST_HARNESS_LOAD_CALLS_H

#include "run.h"

enum { CALLS_RUNS = 16 }; /* as many runs as call_alloc_runs asks for at most */

/* Read the clock before and after a call, if it is to be timed. */
uint64_t call_begin(struct worker *w);
void call_end(struct worker *w, enum run_call call, uint64_t begun);

/* Nanoseconds of the monotonic clock. */
uint64_t call_clock(void);

bool call_alloc(struct worker *w, uint32_t z, unsigned order, uint32_t flags,
                struct record *record);

/* Free a run that the thread holds (tag 0: that it took from the board); `bits` choose by which
 * of the calls that can do it. */
void call_free(struct worker *w, uint32_t z, const struct record *record, uint64_t bits);

/* RUN_BATCH single frames, all or (QUIRE_PARTIAL) some. How many came. */
uint32_t call_alloc_batch(struct worker *w, uint32_t z, uint32_t flags,
                          struct record records[RUN_BATCH]);

/* Free n <= RUN_BATCH single frames. */
void call_free_batch(struct worker *w, uint32_t z, const struct record records[], uint32_t n);

uint32_t call_alloc_runs(struct worker *w, uint32_t z, uint32_t flags, uint64_t frames,
                         struct record records[CALLS_RUNS]);

bool call_alloc_contig(struct worker *w, uint32_t z, const struct quire_contig *want,
                       uint32_t flags, struct record *record);

bool call_alloc_at(struct worker *w, uint32_t z, uint64_t pfn, unsigned order, uint32_t flags,
                   struct record *record);

/* Take free frames out of use and put them back at once. */
void call_reserve(struct worker *w, uint32_t z, uint64_t pfn, uint64_t frames);

/* Split a run into single frames of the same tag; join them again. */
void call_split(struct worker *w, uint32_t z, const struct record *record);
void call_join(struct worker *w, uint32_t z, const struct record *record);

/* Compare the answer of a call that must be refused with the error it must give. */
void call_refused(struct worker *w, uint32_t z, const char *what, int got, int wanted);

#endif /* HOST_HARNESS_LOAD_CALLS_H */
