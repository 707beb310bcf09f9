/* SPDX-License-Identifier: MIT
 *
 * zone.h - the zone arena, for the allocators that put something in front of it.
 */
#ifndef QUIRE_BENCH_ALLOCATORS_ZONE_H
#define QUIRE_BENCH_ALLOCATORS_ZONE_H

#include "allocators.h"

#include <quire/zone.h>

/* The zone of an arena that zone_arena_open or one of the zone's allocators opened. */
struct quire_zone *zone_of(void *arena);

/* The machine of an arena that one of the `quire` allocators opened. */
struct quire_machine *quire_arena_machine(void *arena);

/* An arena with a given number of slots; NULL if there is no memory. */
void *zone_arena_open(uint64_t frames, unsigned slots, bool no_run_map);

#endif /* QUIRE_BENCH_ALLOCATORS_ZONE_H */
