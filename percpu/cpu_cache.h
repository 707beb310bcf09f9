/* SPDX-License-Identifier: MIT
 *
 * cpu_cache.h - what a cache's memory is made of, and who may touch it. Private to percpu.
 *
 * A rack is one CPU's for one class: the loaded magazine and the outgoing one. Its first eight
 * bytes say whether it may be used: `present` is 1 in place and 0 in somebody's hands; `detached`
 * is how many other CPUs are about to drain it (rseq mode).
 *
 *   K1  Whoever turned `present` from 1 to 0 owns the rack's magazines until he stores 1. Nobody
 *       else stores 1. So putting it back is sound from any CPU.
 *   K2  exchange mode: nothing of a rack is touched without owning it.
 *   K3  rseq mode: restartable sections on the rack's own CPU may also push and pop while the eight
 *       bytes read 1, 0; they commit by storing a count, or by storing 0 to `present`. Everybody
 *       else sets `detached`, makes the kernel restart the sections of that CPU, and then takes the
 *       rack like anybody; sections that start later see `detached` and let go.
 *   K4  count <= capacity and out <= half, at every instant. A frame is in one place only.
 *   K5  `limit` is capacity, or 0 while `tight` is 1, the zone being short of memory: then nothing
 *       is pushed. Both are hints to those who push; at rest they agree.
 *   K6  Hits are counted where they commit: the word that has the count has the number of pops
 *       above it, so one store moves both, and the figure costs nothing and is exact. It wraps
 *       after 2^48 pops. What is allocated in other ways is not counted there.
 *
 * Inside this layer a cache's CPUs are counted from its first one: `cpu` is below `cpus`, or is a
 * CPU without racks. Only cache.h and the kernel speak of CPUs as the machine counts them.
 */
#ifndef QUIRE_PERCPU_CPU_CACHE_H
#define QUIRE_PERCPU_CPU_CACHE_H

#include "core/atomic.h"

#include <quire/cache.h>

/* The classes: order 0, 1 and 2 by mobility, order 3 (whose blocks the zone does not tell apart by
 * mobility), order 9. */
enum {
    RACK_UNMOVABLE = 0,
    RACK_MOVABLE = 1,
    RACK_RUNS = 2, /* from here on more than a frame a round, freed one by one */
    RACK_LARGE = 6,
    RACK_HUGE = 7,
    RUN_ORDER = 3, /* the largest below HUGE_ORDER */
    HUGE_ORDER = 9,
};

struct quire_rack {
    qa32 present;
    qa32 detached;
    qa64 count; /* low 16 bits: rounds in the loaded magazine; above: pops so far, see K6 */
    qa32 out;   /* rounds in the outgoing one */
    qa32 limit;
    uint32_t half; /* half of the capacity: refills, flushes, the outgoing magazine's size */
    qa32 seen;     /* what every use changes, as the last maintenance saw it, see is_idle */
    qa64 underflows, overflows, refills, flushes;
    quire_pfn rounds[]; /* capacity of the loaded one, then half of the outgoing one */
};

/* One pop: a round less, a pop more. The sections say it as a number. QUIRE_UNCOUNTED is how the
 * benchmark measures what the statistics cost: nothing is counted then, all else is the same. */
#ifdef QUIRE_UNCOUNTED
#define RACK_POP_NUMBER 0xffffffffffffffff
#else
#define RACK_POP_NUMBER 0xffff
#endif
#define RACK_POP (uint64_t)(RACK_POP_NUMBER)
enum { RACK_COUNT = 0xffff };

/* Rounds in the loaded magazine. */
static inline uint32_t rack_count(const struct quire_rack *r)
{
    return qa_load(&r->count, relaxed) & RACK_COUNT; /* relaxed: K1, or a look */
}

/* Allocations that the loaded magazine served as hits. */
static inline uint64_t rack_pops(const struct quire_rack *r)
{
    return qa_load(&r->count, relaxed) >> 16; /* relaxed: a figure */
}

/* Start counting pops again, in a rack that nobody pops from any more. Returns how many there were.
 */
static inline uint64_t rack_forget_pops(struct quire_rack *r)
{
    uint64_t word = qa_load(&r->count, relaxed); /* relaxed: nobody else writes */

    qa_store(&r->count, word & RACK_COUNT, relaxed); /* relaxed: nobody else writes */
    return word >> 16;
}

/* For who has the rack in his hands. */
static inline void rack_set_count(struct quire_rack *r, uint32_t n)
{
    uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

    qa_store(&r->count, (word & ~(uint64_t)RACK_COUNT) | n, relaxed); /* relaxed: P1 publishes it */
}

/* What all CPUs share, apart from the depot. */
struct quire_cache_state {
    qa32 sparse_over; /* a block with a larger fullness byte is sparse: its frames go home */
    qa32 tight;       /* 1 while the zone is short of memory, see K5 */
    qa32 owed;        /* 1: a drain was due in a call that makes no system call, see pressure.c */
    qa64 bypasses __attribute__((aligned(64)));
    qa64 drains, bad_frees;
    qa32 mean, looks; /* see density.c */
    struct quire_depot *depot;
    unsigned char *cached; /* hardened build: a bit per frame of the zone's index space */
};

static inline struct quire_rack *rack_of(const struct quire_cache *c, uint32_t cpu, unsigned rack)
{
    void *p = c->racks[rack] + cpu * c->cpu_stride;

    return (struct quire_rack *)p;
}

static inline quire_pfn *outgoing(struct quire_rack *r)
{
    return r->rounds + 2 * r->half;
}

/* The order of a class. */
static inline unsigned rack_order(unsigned rack)
{
    return rack == RACK_HUGE ? (unsigned)HUGE_ORDER : rack / 2;
}

/* The class of an order and a mobility (QUIRE_MOVABLE or 0), QUIRE_CACHE_CLASSES if there is none.
 */
static inline unsigned rack_class(unsigned order, unsigned movable)
{
    if (order < RUN_ORDER)
        return 2 * order + movable;
    if (order == RUN_ORDER)
        return RACK_LARGE;
    return order == HUGE_ORDER ? (unsigned)RACK_HUGE : (unsigned)QUIRE_CACHE_CLASSES;
}

/* frames a round of this class stands for */
static inline uint64_t round_frames(unsigned rack)
{
    return 1ull << rack_order(rack);
}

/* The zone slot that a CPU uses: one of its own if it has racks and there are enough; the CPUs
 * without racks share the rest. */
static inline quire_slot slot_of_cpu(const struct quire_cache *c, uint32_t cpu)
{
    uint32_t slots = c->zone->slots;

    if (slots < 2)
        return quire_slot_of(0);
    if (cpu < c->cpus || slots <= c->cpus)
        return quire_slot_of(cpu % slots);
    return quire_slot_of(c->cpus + cpu % (slots - c->cpus));
}

/* Put back what was taken. From any CPU. */
static inline void rack_put(struct quire_rack *r)
{
    qa_store(&r->present, 1, release); /* P1 release: pairs P2 */
}

/* A statistic of a rack. Only who has it in his hands counts, so a load and a store will do. */
static inline void count_up(qa64 *counter)
{
    if (RACK_POP != RACK_COUNT)
        return;                                                /* QUIRE_UNCOUNTED */
    qa_store(counter, qa_load(counter, relaxed) + 1, relaxed); /* relaxed: K1; a statistic */
}

/* fastpath.c, for the layer above */
int quire_cache_alloc_missed(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn);

/* view.c; all but the first for the layer above */
void quire_seats_build(struct quire_cache *c);
void quire_seats_limit(struct quire_cache *c, uint64_t first_block, uint64_t blocks);
void quire_seat_tag(struct quire_cache *c, uint32_t cpu, uint32_t tag);
bool quire_seats_fit(const struct quire_cache *c, const struct quire_zone *zone);
void quire_cache_rebind(struct quire_cache *c);

/* lifecycle.c, for the layer above */
void quire_cache_shut(struct quire_cache *c);
bool quire_cache_close(struct quire_cache *c);
void quire_cache_open(struct quire_cache *c);

/* ownership.c */
uint32_t quire_rack_cpu(const struct quire_cache *c);
bool quire_rack_take(const struct quire_cache *c, struct quire_rack *r, uint32_t cpu);
bool quire_rack_steal(struct quire_rack *r);
bool quire_racks_detach(const struct quire_cache *c, uint32_t cpu);
void quire_racks_attach(const struct quire_cache *c, uint32_t cpu);

/* flush.c */
uint64_t quire_flush(struct quire_cache *c, quire_slot slot, unsigned rack, const quire_pfn pfns[],
                     uint32_t n);
uint64_t quire_depot_drain(struct quire_cache *c, quire_slot slot, unsigned rack, uint32_t nodes);
uint64_t quire_flush_rack(struct quire_cache *c, quire_slot slot, unsigned rack,
                          struct quire_rack *r, bool out_only);

/* drain.c */
void quire_caches_drain(struct quire_cache *c, bool calm);
int quire_alloc_around(struct quire_cache *c, unsigned order, uint32_t flags, quire_pfn *pfn);
int quire_refuse(struct quire_cache *c, quire_pfn pfn, int error);

/* pressure.c */
bool quire_cache_limits(const struct quire_cache *c);
void quire_cache_ease(struct quire_cache *c, uint32_t flags);

/* density.c */
void quire_density_look(struct quire_cache *c, unsigned times);

/* slowpath.c */
int quire_alloc_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, uint32_t flags,
                       quire_pfn *pfn);
int quire_free_slowly(struct quire_cache *c, uint32_t cpu, unsigned rack, quire_pfn pfn,
                      bool sparse);

#endif /* QUIRE_PERCPU_CPU_CACHE_H */
