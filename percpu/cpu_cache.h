/* SPDX-License-Identifier: MIT
 *
 * cpu_cache.h - what a cache's memory is made of, and who may touch it. Private to percpu.
 *
 * A CPU cache belongs to one CPU and one class: a loaded magazine, which serves allocations and is
 * refilled, and an outgoing one of half its size, for frames that are flushed to their zone. Its
 * first eight bytes say whether it may be used: `present` is 1 in place and 0 while it is taken;
 * `detached` is how many other CPUs are about to drain it (rseq mode).
 *
 * The danger is two at once in one magazine: a frame is handed out twice, or lost. The protocol: to
 * take a CPU cache is to turn `present` from 1 to 0, to put it back is to store 1. Nothing waits
 * for a CPU cache: a call that finds it taken goes to the zone.
 *
 *   K1  Who turned `present` from 1 to 0 owns the magazines until it stores 1. Nothing else stores
 *       1. So a CPU cache may be put back from any CPU.
 *   K2  exchange mode: nothing of a CPU cache but hints is touched without owning it.
 *   K3  rseq mode: restartable sections on the CPU cache's own CPU may also push and pop while the
 *       eight bytes read 1, 0; they commit by storing a count, or by storing 0 to `present`. Any
 *       other CPU sets `detached` of those that it wants, makes the kernel restart the sections of
 *       that CPU, and then takes them as in exchange mode; sections that start later see
 *       `detached` and give up.
 *   K4  count <= capacity and out <= half, at every instant. A frame is in one place only: its
 *       byte says whether somebody may put it here (core/frame_byte.h).
 *   K5  `limit` is capacity, or 0 while `short_of_memory` is 1, the zone being short of memory:
 *       then nothing is pushed. Both are hints for a push; at rest they agree.
 *   K6  Hits are counted where they commit: the word that has the count has the number of pops
 *       above it, so one store moves both, and the figure costs nothing and is exact. It wraps
 *       after 2^48 pops. Of the slow paths the cache's own counts there what a magazine had; those
 *       of the layer above count by node what they were given. Pops of rounds of two words are not
 *       counted: there the word is the number of words.
 *   K7  Whoever takes a CPU cache of a closed cache finds it empty, with a limit of 0, as closing
 *       left it (E-cpu-cache). Then no owner stores the count: a hit pops nothing and pushes
 *       nothing, a drain flushes nothing, and nobody refills (lifecycle.c). So the pops may be
 *       started at 0 by a load and a store without owning it, by who closed it, though drains may
 *       have it in their hands.
 *   K8  local mode: `present` is written on the CPU cache's own CPU alone, by who stays there until
 *       it is put back, or by who retires that CPU. So nothing but interrupts of that CPU, and its
 *       other tasks, come between two accesses, and one instruction without a lock takes it.
 *       Other CPUs ask the owner for its rounds (ask.c). Otherwise K2.
 *   K9  1 <= refill <= half (1 where the class has no magazines). Half at first; a drain of both
 *       magazines starts it at one again, and each refill doubles it. So who is refused often, and
 *       drained each time, does not fetch from the zone, run by run, what the next drain takes
 *       back.
 *
 * Who may work on one CPU cache beside whom (X: both go on; -: the second finds it taken and goes
 * to the zone; r: the kernel restarts the hit, which finds it changed or taken; in local mode `-`
 * is between an interrupt, or another task of the CPU, and what that came into):
 *
 *                      hit, exchange   hit, rseq   owner   stats, limits, ask (local)
 *   hit, exchange            -                       -          X
 *    or local
 *   hit, rseq                              r         r          X
 *   owner (refill,           -             r         -          X
 *    flush, drain)
 *   stats, limits, ask       X             X         X          X
 *
 * Inside this layer a cache's CPUs are counted from its first one: `cpu` is below `cpus`, or is a
 * CPU without CPU caches. Only cache.h, the kernel and the functions for the layer above speak of
 * CPUs as the machine counts them.
 */
#ifndef QUIRE_PERCPU_CPU_CACHE_H
#define QUIRE_PERCPU_CPU_CACHE_H

#include "core/assert.h"
#include "core/atomic.h"

#include <quire/cache.h>

/* The classes: each order below 9 by mobility, then order 9. A small zone does not tell blocks of
 * order 3 and more apart by mobility (core/layout.h): there these orders have the class of
 * unmovable runs alone (run_mobility of struct quire_cache is 0). */
enum cache_class {
    CACHE_UNMOVABLE = 0, /* single frames */
    CACHE_MOVABLE = 1,
    CACHE_RUNS = 2,  /* order 1, the first of those with more than a frame a round, which are
                      * allocated and freed one by one */
    CACHE_LARGE = 6, /* order 3, the first of those that a small zone does not tell apart */
    CACHE_HUGE = 18, /* order 9 */
    CACHE_NONE = QUIRE_CACHE_CLASSES,
};
enum {
    FIRST_LARGE_ORDER = 3, /* of class CACHE_LARGE */
    HUGE_ORDER = 9,
};

struct cpu_cache {
    qa32 present;
    qa32 detached;
    qa64 count; /* low 16 bits: rounds in the loaded magazine; above: pops so far, see K6 */
    qa32 out;   /* rounds in the outgoing one */
    qa32 limit;
    uint16_t half;   /* half of the capacity: refills, flushes, the outgoing magazine's size */
    uint16_t of_hit; /* the bits D_OF_HIT of the descriptors of blocks whose frames a hit pushes
                      * here; UINT16_MAX: no block has them */
    qa16 seen;       /* what every use changes, as the last maintenance saw it: cpu_cache_is_idle */
    uint16_t refill; /* rounds that the next refill fetches, see K9 */
    qa64 underflows, overflows, refills, flushes; /* a heap's magazine uses these and `seen` for
                                                   * other things (kernel-port/heap/magazine.h) */
    quire_pfn rounds[]; /* capacity of the loaded one, then half of the outgoing one */
};

/* One pop: a round less, a pop more. The sections say it as a number. QUIRE_UNCOUNTED is how the
 * benchmark measures what the statistics cost: nothing is counted then, all else is the same. */
#ifdef QUIRE_UNCOUNTED
#define CPU_CACHE_POP_NUMBER 0xffffffffffffffff
#else
#define CPU_CACHE_POP_NUMBER 0xffff
#endif
#define CPU_CACHE_POP (uint64_t)(CPU_CACHE_POP_NUMBER)
enum { CPU_CACHE_COUNT_MASK = 0xffff };

/* Rounds in the loaded magazine. */
static inline uint32_t cpu_cache_count(const struct cpu_cache *r)
{
    return qa_load(&r->count, relaxed) & CPU_CACHE_COUNT_MASK; /* relaxed: K1, or a hint */
}

/* Allocations that the loaded magazine served as hits. */
static inline uint64_t cpu_cache_pops(const struct cpu_cache *r)
{
    return qa_load(&r->count, relaxed) >> 16; /* relaxed: a figure */
}

/* Start counting pops again: the owner, or of a closed cache who closed it (K7). Returns how many
 * there were. */
static inline uint64_t cpu_cache_reset_pops(struct cpu_cache *r)
{
    uint64_t word = qa_load(&r->count, relaxed); /* relaxed: the only writer */

    qi_assert(qa_load(&r->present, relaxed) == 0 ||                           /* relaxed: K1 */
              (cpu_cache_count(r) == 0 && qa_load(&r->limit, relaxed) == 0)); /* relaxed: K7 */
    qa_store(&r->count, word & CPU_CACHE_COUNT_MASK, relaxed); /* relaxed: the only writer */
    return word >> 16;
}

/* For the owner (K1). */
static inline void cpu_cache_set_count(struct cpu_cache *r, uint32_t n)
{
    uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

    qi_assert(n <= 2 * r->half); /* K4 */
    qa_store(&r->count, (word & ~(uint64_t)CPU_CACHE_COUNT_MASK) | n,
             relaxed); /* relaxed: E-cpu-cache publishes it */
}

/* A round less, served as a hit (K6). For the owner. */
static inline void cpu_cache_pop(struct cpu_cache *r)
{
    uint64_t word = qa_load(&r->count, relaxed); /* relaxed: K1 */

    qi_assert((word & CPU_CACHE_COUNT_MASK) > 0);
    qa_store(&r->count, word + CPU_CACHE_POP, relaxed); /* relaxed: E-cpu-cache publishes it */
}

/* What all CPUs share, apart from the depot. */
struct quire_cache_state {
    qa32 sparse_limit; /* a block with a larger fullness byte is sparse: its frames are flushed */
    qa32 short_of_memory; /* 1 while the zone is short of memory, see K5 */
    qa32 drain_pending; /* 1: a drain was due in a call that makes no system call, see pressure.c */
    qa64 bypasses __attribute__((aligned(64)));
    qa64 drains, bad_frees;
    qa32 mean, samples; /* see density.c */
    struct depot *depot;
};

static inline struct cpu_cache *cpu_cache_of(const struct quire_cache *c, uint32_t cpu,
                                             enum cache_class cls)
{
    void *p = c->cpu_caches[cls] + cpu * c->cpu_stride;

    return (struct cpu_cache *)p;
}

static inline quire_pfn *outgoing_rounds(struct cpu_cache *r)
{
    return r->rounds + 2 * r->half;
}

/* The order of a class. */
static inline unsigned class_order(enum cache_class cls)
{
    return cls / 2;
}

/* The class of an order that has one, up to HUGE_ORDER, and a mobility (QUIRE_MOVABLE or 0). */
static inline enum cache_class cached_class_of(unsigned order, unsigned movable)
{
    return (enum cache_class)(order < HUGE_ORDER ? 2 * order + movable : (unsigned)CACHE_HUGE);
}

/* The same of any order: CACHE_NONE if there is none. */
static inline enum cache_class cache_class_of(unsigned order, unsigned movable)
{
    return order <= HUGE_ORDER ? cached_class_of(order, movable) : CACHE_NONE;
}

/* The class that a request is served from. */
static inline enum cache_class request_class(const struct quire_cache *c, unsigned order,
                                             uint32_t flags)
{
    uint32_t movable = flags & QUIRE_MOVABLE;

    return cache_class_of(order, order < FIRST_LARGE_ORDER ? movable : movable & c->run_mobility);
}

/* How many frames a round of a class stands for. */
static inline uint64_t frames_per_round(enum cache_class cls)
{
    return 1ull << class_order(cls);
}

/* The zone slot that a CPU uses: one of its own if it has CPU caches and there are enough; the CPUs
 * without CPU caches share the rest. */
static inline quire_slot slot_of_cpu(const struct quire_cache *c, uint32_t cpu)
{
    uint32_t slots = c->zone->slots;

    if (slots < 2)
        return quire_slot_of(0);
    if (cpu < c->cpus || slots <= c->cpus)
        return quire_slot_of(cpu % slots);
    return quire_slot_of(c->cpus + cpu % (slots - c->cpus));
}

/* K5, of a limit that may be changed meanwhile. */
static inline bool cpu_cache_limit_valid(const struct cpu_cache *r)
{
    uint32_t limit = qa_load(&r->limit, relaxed); /* relaxed: a hint */

    return limit == 0 || limit == 2 * r->half;
}

/* K9, for the owner. */
static inline bool cpu_cache_refill_valid(const struct cpu_cache *r)
{
    return r->refill >= 1 && (r->refill <= r->half || r->half == 0);
}

/* Was the CPU cache not used since the last time this was asked? What every use changes, in 16
 * bits: if they agree by chance a CPU cache in use is drained and pays a refill. */
static inline bool cpu_cache_is_idle(struct cpu_cache *r)
{
    const uint64_t odd = 0x9e3779b97f4a7c15u;
    /* relaxed: hints, all of them */
    uint64_t slow = qa_load(&r->underflows, relaxed) + qa_load(&r->overflows, relaxed);
    uint64_t used = qa_load(&r->count, relaxed); /* relaxed: a hint; the pops too, see K6 */
    uint16_t now;
    bool idle;

    used = (used * odd + slow) * odd + qa_load(&r->out, relaxed); /* relaxed: a hint */
    now = (uint16_t)(used * odd >> 48);
    /* relaxed: a hint, as what follows; not every machine exchanges 16 bits */
    idle = qa_load(&r->seen, relaxed) == now;
    qa_store(&r->seen, now, relaxed); /* relaxed: a hint */
    return idle;
}

/* A set of classes: a bit each. */
#define ALL_CLASSES (((uint64_t)1 << QUIRE_CACHE_CLASSES) - 1)

static inline uint64_t class_bit(unsigned cls)
{
    return 1ull << cls;
}

/* What can be asked of a CPU in local mode (`asked` of struct cpu_view): the bits for both
 * magazines of a class, or for the outgoing one; for all classes. */
#define ASK_DRAIN_ALL ALL_CLASSES
#define ASK_NOBODY    ((uint64_t)1 << 63) /* in other modes nobody asks */

static inline uint64_t ask_drain_bit(unsigned cls)
{
    return class_bit(cls);
}

static inline uint64_t ask_flush_bit(unsigned cls)
{
    return 1ull << (QUIRE_CACHE_CLASSES + cls);
}

/* Take a CPU cache in exchange mode, or in local mode on its own CPU. False: it is taken. */
static inline bool cpu_cache_claim(struct cpu_cache *r, bool local)
{
    if (local) /* E-cpu-cache: of this CPU alone (K8) */
        return qa_clear_local(&r->present);
    return qa_xchg(&r->present, 0, acquire) == 1; /* E-cpu-cache acquire */
}

/* Put back what was taken. From any CPU. */
static inline void cpu_cache_put(struct cpu_cache *r)
{
    qi_assert(qa_load(&r->present, relaxed) == 0);   /* K1; relaxed: the owner's */
    qi_assert(cpu_cache_count(r) <= 2 * r->half);    /* K4 */
    qi_assert(qa_load(&r->out, relaxed) <= r->half); /* K4; relaxed: the owner's */
    qi_assert(cpu_cache_limit_valid(r));             /* K5 */
    qi_assert(cpu_cache_refill_valid(r));            /* K9 */
    qa_store(&r->present, 1, release);               /* E-cpu-cache release */
}

/* A statistic of a CPU cache. Only the owner counts, so a load and a store will do. */
static inline void count_as_owner(qa64 *counter)
{
    if (CPU_CACHE_POP != CPU_CACHE_COUNT_MASK)
        return;                                                /* QUIRE_UNCOUNTED */
    qa_store(counter, qa_load(counter, relaxed) + 1, relaxed); /* relaxed: K1; a statistic */
}

/* build.c: does rseq mode work here? */
bool qi_rseq_works(void);

/* view.c; all but the first for the layer above */
void qi_views_build(struct quire_cache *c);
void qi_views_narrow(struct quire_cache *c, uint64_t first_block, uint64_t blocks);
void qi_view_set_node(struct quire_cache *c, uint32_t cpu, uint32_t node);
bool qi_views_fit(const struct quire_cache *c, const struct quire_zone *zone);
void qi_cache_rebind(struct quire_cache *c);

/* lifecycle.c, for the layer above */
void qi_cache_forbid_push(struct quire_cache *c);
bool qi_cache_close(struct quire_cache *c);
void qi_cache_open(struct quire_cache *c);

/* ask.c: local mode */
void qi_cpu_caches_ask(const struct quire_cache *c, uint32_t cpu, uint64_t wanted);
uint64_t qi_cpu_caches_answer(const struct quire_cache *c, uint32_t cpu);
uint64_t qi_cpu_caches_have_answered(const struct quire_cache *c, uint32_t cpu, bool quiet);
bool qi_cpu_caches_ask_to_empty(const struct quire_cache *c, uint32_t cpu);

/* ownership.c */
bool qi_cpu_cache_take(const struct quire_cache *c, struct cpu_cache *r, uint32_t cpu);
bool qi_cpu_cache_steal(struct cpu_cache *r);
bool qi_cpu_restart(const struct quire_cache *c, uint32_t cpu);
bool qi_cpu_caches_detach(const struct quire_cache *c, uint32_t cpu, uint64_t classes);
void qi_cpu_caches_attach(const struct quire_cache *c, uint32_t cpu, uint64_t classes);

/* drain.c */
void qi_cache_drain_whole(struct quire_cache *c, bool no_syscall);
int qi_cache_drain_retiring(struct quire_cache *c, uint32_t cpu);

/* pressure.c */
bool qi_cache_set_limits(const struct quire_cache *c);
void qi_cache_follow_pressure(struct quire_cache *c, uint32_t flags);

/* density.c */
void qi_density_sample(struct quire_cache *c, unsigned times);

/* slowpath.c: frames back to the zone */
uint64_t qi_depot_flush(struct quire_cache *c, quire_slot slot, uint32_t cpu, unsigned cls,
                        uint32_t nodes);
void qi_depot_drain(struct quire_cache *c, quire_slot slot);
uint64_t qi_cpu_cache_flush(const struct quire_cache *c, quire_slot slot, enum cache_class cls,
                            struct cpu_cache *r, bool out_only);

#endif /* QUIRE_PERCPU_CPU_CACHE_H */
