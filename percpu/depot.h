/* SPDX-License-Identifier: MIT
 *
 * depot.h - a zone's stock of half magazines, full ones and empty ones. Private to percpu.
 *
 * A producer CPU and a consumer CPU exchange frames here, and runs of order 1 to 3, without
 * touching a bitmap. The nodes live as long as the cache and are on lock-free stacks, see stack.h.
 *
 *   D1  A node is on the stack of empty ones, on a class's stack of full ones, or taken by one
 *       caller.
 *   D2  `full` is the number of full nodes, as a hint; it may lag by what is taken.
 *   D3  `least` is the least value of `full` since the last maintenance: what was not needed
 *       (Bonwick's working set, kept here and nowhere nearer to the hit path).
 */
#ifndef QUIRE_PERCPU_DEPOT_H
#define QUIRE_PERCPU_DEPOT_H

#include "percpu/cpu_cache.h"

struct depot_half;

enum { DEPOT_CLASSES = CACHE_LARGE + 2 }; /* frames, and runs of order 1 to 3 */

/* Do half magazines of a class go through the depot? If they hold no more frames than those of
 * single frames: a node then holds no more, whichever class has it. */
static inline bool depot_takes(const struct quire_cache *c, enum cache_class cls)
{
    return (unsigned)cls < DEPOT_CLASSES &&
           c->capacity[cls] * frames_per_round(cls) <= c->capacity[CACHE_UNMOVABLE];
}

size_t qi_depot_bytes(uint32_t nodes, uint32_t half);
void qi_depot_init(struct depot *depot, uint32_t nodes, uint32_t half);
bool qi_depot_put(struct depot *depot, unsigned cls, const quire_pfn pfns[], uint32_t n);
uint32_t qi_depot_get(struct depot *depot, unsigned cls, quire_pfn pfns[]);
const quire_pfn *qi_depot_hold(struct depot *depot, unsigned cls, uint32_t *n);
void qi_depot_emptied(struct depot *depot, const quire_pfn *rounds);
uint32_t qi_depot_full(const struct depot *depot, unsigned cls);
uint32_t qi_depot_unused(struct depot *depot, unsigned cls);

#endif /* QUIRE_PERCPU_DEPOT_H */
