/* SPDX-License-Identifier: MIT
 *
 * zone.h - what the files of the zones as a target share (target load_on_zones).
 *
 *   target.c      the zones of a memory map; how operations are drawn; the plain calls of a zone
 *   operations.c  operations that zones alone have: few runs, given places, shapes, reservations,
 *                 bursts
 *   bad_calls.c   calls that must be refused
 *
 * State: the zones of struct load. The number of a list is the number of its zone. Functions with a
 * worker are called by its thread.
 */
#ifndef HOST_HARNESS_LOAD_ZONE_ZONE_H
#define HOST_HARNESS_LOAD_ZONE_ZONE_H

#include "host-harness/load/check/calls.h"

enum { RESERVE_FRAMES = 16 }; /* reserved by a thread at a time, at most */

static inline struct quire_zone *zone_of(const struct worker *w, uint32_t z)
{
    return w->load->zones[z].zone;
}

static inline quire_slot zone_slot(const struct worker *w)
{
    return quire_slot_of(w->number);
}

/* operations.c */
void zone_alloc_runs(struct worker *w, const struct operation *op);
void zone_alloc_at(struct worker *w, const struct operation *op);
void zone_shape(struct worker *w, const struct operation *op);
void zone_reserve(struct worker *w, const struct operation *op);
void zone_burst(struct worker *w, const struct operation *op);
/* Split a run that the thread holds into single frames of the same tag. */
void zone_split(struct worker *w, uint32_t z, const struct held_run *run);

/* bad_calls.c: do something wrong, and see it refused. */
void zone_bad_call(struct worker *w, const struct operation *op);

#endif /* HOST_HARNESS_LOAD_ZONE_ZONE_H */
