/* SPDX-License-Identifier: MIT
 *
 * calls.h - checked calls of the allocator: timed (one in load->sample), the answer checked against
 * the shadow model and against what is known for sure, counted. And what such calls are made of,
 * for the calls that only one target has.
 *
 * Answers that a sound allocator may give to a sound request (no memory, busy) are counted as
 * refusals and make the functions return false or 0; every other error is a violation. A violation
 * is told by load_violation, after which the frames in question are left alone; callers go on until
 * they see `stop`.
 *
 * State: the worker's figures, and the shadow model. `w` is the calling thread's worker; the main
 * thread may call for any worker whose thread has ended. Progress and context are those of the
 * call that is made; what makes no call is wait-free.
 */
#ifndef HOST_HARNESS_LOAD_CHECK_CALLS_H
#define HOST_HARNESS_LOAD_CHECK_CALLS_H

#include "host-harness/load/target.h"

bool call_alloc(struct worker *w, const struct request *r, struct held_run *run);

/* Free a run that the thread holds; `bits` choose by which of the calls that can do it. */
void call_free(struct worker *w, uint32_t list, const struct held_run *run, uint64_t bits);

/* Free what came off the hand-over table, if it is a run. */
void call_free_handed_over(struct worker *w, struct handover_run got, uint64_t bits);

/* LOAD_BATCH single frames, all or (QUIRE_PARTIAL) some, whatever order the request has. How many
 * came. */
uint32_t call_alloc_batch(struct worker *w, const struct request *r,
                          struct held_run runs[LOAD_BATCH]);

/* Free n <= LOAD_BATCH single frames. */
void call_free_batch(struct worker *w, uint32_t list, const struct held_run runs[], uint32_t n);

bool call_alloc_contig(struct worker *w, const struct request *r, const struct quire_contig *want,
                       struct held_run *run);

/* ---- What they are made of ------------------------------------------------------------------- */

enum { CALL_STAMP_BITS = 20 }; /* of a tag; above it the thread's number + 1, at most 4095 */

/* The bit that allows an error in call_answer. */
#define CALL_ALLOWED(error) (1u << -(error))

/* Count a call, and read the clock before it if it is to be timed. */
uint64_t call_begin(struct worker *w);
/* Note how long it took: nanoseconds, or 0 if it was not timed. */
uint64_t call_end(struct worker *w, enum call_kind call, uint64_t begun);

/* A tag for the next allocation. Not 0. */
uint32_t call_tag(struct worker *w);

/* Judge an answer and count it; `pfn`, which is what the call gave or was about, goes into the
 * digest. True for success; an error that is not in `allowed` is a violation. */
bool call_answer(struct worker *w, uint32_t list, const char *what, int error, uint32_t allowed,
                 uint64_t pfn);

/* Compare the answer of a call that must be refused with the error it must give. */
void call_refused(struct worker *w, uint32_t list, const char *what, int got, int wanted);

/* A violation that concerns a frame of zone z; `what` is a phrase that follows its name. */
void call_accuse(struct worker *w, uint32_t z, uint64_t pfn, const char *what);

/* The zone of a frame that was in the list or is about to be. UINT32_MAX: none, after a violation.
 */
uint32_t call_find_zone(struct worker *w, uint64_t pfn);
static inline uint32_t call_zone(struct worker *w, uint32_t list, uint64_t pfn)
{
    return w->load->target->list_per_zone ? list : call_find_zone(w, pfn);
}

/* Note a run as handed out, or as about to be freed. False after a violation. */
bool call_take(struct worker *w, uint32_t list, const struct held_run *run, uint32_t flags);
bool call_give(struct worker *w, uint32_t list, const struct held_run *run);

/* With one thread the free count may be known exactly, and with it whether a request had to be
 * granted: read the count before the call, compare after it. Otherwise they do nothing. */
uint64_t call_free_count(const struct worker *w, uint32_t list);
void call_floor(struct worker *w, uint32_t list, uint64_t before, uint64_t frames, uint32_t flags,
                int error);

/* ---- faults.c: mistakes on purpose, by which the checks are tested -----------------------------
 */

/* Let an allocation of one frame seem to have given one that the thread has already. */
void fault_double_hand_out(struct worker *w, uint32_t list, struct held_run *run);
/* Is this the free that does not reach the allocator? */
bool fault_lost_frame(struct worker *w);
/* Is this a frame that seems to lie on another node? */
bool fault_wrong_node(const struct worker *w);

#endif /* HOST_HARNESS_LOAD_CHECK_CALLS_H */
