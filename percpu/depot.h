/* SPDX-License-Identifier: MIT
 *
 * depot.h - a zone's stock of half magazines, full ones and empty ones, a shard of it for each CPU.
 * Private to percpu.
 *
 * A half that overflows is what the next refill of that CPU wants, and runs of order 1 to 3 come
 * and go without touching a bitmap. The danger of one stock for all is that the frames of busy CPUs
 * mix in it: each line of maps, bytes and nodes then goes to and fro between them. So each CPU has
 * a shard, and meets another one only where it has to: if it only allocates what others free, if
 * others lie idle, or before a request goes without.
 *
 *   D1  A node belongs to a shard. It is on the stack of empty ones there, on a class's stack of
 *       full ones there, or taken by one caller. Who takes an empty one may move it to another.
 *   D2  `full` is the number of full nodes of a shard, as a hint; it may lag by what is taken.
 *   D3  `least` is the least value of `full` since the last maintenance: what was not needed
 *       (Bonwick's working set, kept here and nowhere nearer to the hit path).
 *   D4  Gets: `dry` counts those of a class that found the own shard without one, since the last
 *       put. From `patience` on they ask the other shards, so a CPU that allocates what another one
 *       frees has its halves. After all n shards were asked in vain the next n / DEPOT_SHARDS_A_GET
 *       gets do not ask, but no more than `patience`.
 *   D5  Puts: `refused` counts those that found no empty node in the own shard. Each
 *       DEPOT_EMPTY_PERIOD-th takes one of another shard, so nodes of idle CPUs come to busy ones,
 *       and two busy ones do not fight for them.
 *   D6  A refill does not go without while a half of its class lies in one shard all along
 *       (qi_depot_get_any, which no hint can stop: an empty stack says so itself). Requests that go
 *       by the magazines have it after a drain.
 *
 * `dry` and `refused` are hints of who runs on that CPU. Other CPUs read a shard's stacks when they
 * ask it, and write only to one that has what they want.
 *
 * The nodes live as long as the cache and are on lock-free stacks, see stack.h. A cache's CPUs are
 * counted from its first one (cpu_cache.h); each function is bounded by its arguments or by the
 * shards, and lock-free.
 */
#ifndef QUIRE_PERCPU_DEPOT_H
#define QUIRE_PERCPU_DEPOT_H

#include "percpu/cpu_cache.h"

struct depot_half;

enum {
    DEPOT_CLASSES = CACHE_LARGE + 2, /* frames, and runs of order 1 to 3 */
    DEPOT_PATIENCE = 64,             /* gets in a row: a few bursts of what magazines do not hold */
    DEPOT_SHARDS_A_GET = 8,          /* asking so many costs about what a get of the zone costs */
    DEPOT_EMPTY_PERIOD = 16,         /* puts that the zone serves for one node from elsewhere */
};

/* Do half magazines of a class go through the depot? If they hold no more frames than those of
 * single frames: a node then holds no more, whichever class has it. */
static inline bool depot_takes(const struct quire_cache *c, enum cache_class cls)
{
    return (unsigned)cls < DEPOT_CLASSES &&
           c->capacity[cls] * frames_per_round(cls) <= c->capacity[CACHE_UNMOVABLE];
}

size_t qi_depot_bytes(uint32_t cpus, uint32_t nodes, uint32_t half);
void qi_depot_init(struct depot *depot, uint32_t cpus, uint32_t nodes, uint32_t half,
                   uint32_t patience);
bool qi_depot_put(struct depot *depot, uint32_t cpu, unsigned cls, const quire_pfn pfns[],
                  uint32_t n);
uint32_t qi_depot_get(struct depot *depot, uint32_t cpu, unsigned cls, quire_pfn pfns[]);
uint32_t qi_depot_get_any(struct depot *depot, uint32_t cpu, unsigned cls, quire_pfn pfns[]);
const quire_pfn *qi_depot_hold(struct depot *depot, uint32_t cpu, unsigned cls, uint32_t *n);
void qi_depot_emptied(struct depot *depot, const quire_pfn *rounds);
uint32_t qi_depot_full(const struct depot *depot, unsigned cls);
uint32_t qi_depot_unused(struct depot *depot, uint32_t cpu, unsigned cls);

#endif /* QUIRE_PERCPU_DEPOT_H */
