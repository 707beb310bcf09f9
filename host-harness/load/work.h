/* SPDX-License-Identifier: MIT
 *
 * work.h - what the files that carry out operations share.
 *
 * Called by the thread that `w` belongs to. A zone's frames that a thread keeps are in its bag;
 * every operation leaves the bag within its budget, or with a single record.
 */
#ifndef HOST_HARNESS_LOAD_WORK_H
#define HOST_HARNESS_LOAD_WORK_H

#include "calls.h"
#include "mix.h"

/* Free runs of the bag until `frames` more frames in `records` more records fit, or none is left;
 * `bits` choose which and how. */
void work_make_room(struct worker *w, uint32_t z, uint64_t frames, uint32_t records, uint64_t bits);

/* Put a run into the bag; there must be room for the record. */
void work_keep(struct worker *w, uint32_t z, const struct record *record);

/* Fill a zone up to a watermark or a limit, then free it all (burst.c). */
void work_burst(struct worker *w, const struct operation *op);

/* Do something wrong, and see it refused (refuse.c). */
void work_refuse(struct worker *w, const struct operation *op);

#endif /* HOST_HARNESS_LOAD_WORK_H */
