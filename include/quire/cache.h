/* SPDX-License-Identifier: MIT
 *
 * cache.h - per-CPU magazines in front of a zone: the common allocation and free touch only memory
 * of their own CPU.
 *
 * A cache consists of memory that the caller supplies (private to one address space; it may hold
 * pointers) and of a handle, `struct quire_cache`, constant once it is built. Each CPU has a CPU
 * cache per class of requests (each order below 9 by mobility, and blocks of order 9; in a zone of
 * fewer than 64 blocks a slot, orders 3 to 8 have one class each): a magazine that serves
 * allocations, and an outgoing one for what is to be flushed to the zone. Larger orders, and every
 * call that finds its CPU cache taken, go to the zone at once; so does a run that finds no room in
 * a magazine of two rounds, or none of them filled, as there half a magazine would be that one run.
 *
 * Ownership, chosen when the cache is built:
 *   exchange  a CPU cache is taken out of its place by an atomic exchange and put back by a store.
 *             The portable way; drained from anywhere without disturbing the owner.
 *   rseq      a hit is a restartable sequence of plain instructions (Linux, x86-64 and aarch64). A
 *             drain of another CPU costs it one restart, and the caller one membarrier call.
 *   local     for kernels: a CPU cache is taken by one instruction of its own CPU, on x86 without
 *             the lock prefix, which interrupts and NMIs do not come in the middle of, and put back
 *             by a store. Whoever calls stays on its CPU until the call returns: with
 *             preemption or migration off, or interrupts. What else runs on that CPU meanwhile, an
 *             interrupt or another task, may call, too. No other CPU touches a CPU cache: a drain
 *             asks its owner, which answers at its next free, refill, overflow or batch, or when
 *             the port has it call quire_cache_answer (`ask_drain` of port.h). On other machines
 *             than x86 it works with the compare-and-swap that they have, and saves nothing.
 *
 * Frames in a cache count as allocated in the zone. They are bounded (quire_cache_bound), are
 * given back under memory pressure and before a request is refused, decay when idle, and can be
 * drained from any CPU.
 *
 * What a call that is not over, and may be stopped for ever, keeps from a request that is to be
 * refused is that of zone.h and at most one of
 *   - a CPU cache: 3/2 of its magazine's rounds, of 2^order frames each. In exchange mode a hit has
 *     it, too, for some instructions; in rseq mode hits have nothing in their hands;
 *   - in rseq mode, if it drains another CPU: all CPU caches of that CPU;
 *   - half a magazine of the depot.
 * In local mode also what other CPUs that were asked have not answered: at most the CPU caches of
 * each, that is (quire_cache_bound less the depot) / cpus. With a port whose `ask_drain` waits for
 * the answer that is nothing but what a call of theirs that is not over has, as above; with
 * QUIRE_NO_CALLBACK nobody is made to answer.
 *
 * Unless a function says otherwise it is lock-free and callable from any context, an interrupt or
 * a signal handler in the middle of another call on the same CPU included; it returns 0 or one of
 * enum quire_error. Pointers must not be NULL.
 */
#ifndef QUIRE_CACHE_H
#define QUIRE_CACHE_H

#include <quire/zone.h>

#ifdef __cplusplus
extern "C" {
#endif

enum quire_cache_mode {
    QUIRE_CACHE_AUTO = 0, /* rseq where it works, else exchange */
    QUIRE_CACHE_EXCHANGE = 1,
    QUIRE_CACHE_RSEQ = 2,
    QUIRE_CACHE_LOCAL = 3, /* never chosen by AUTO: the caller must keep to its CPU */
};

enum {
    QUIRE_CACHE_CLASSES = 19,
    QUIRE_CACHE_MAX_ROUNDS = 512,
    QUIRE_CACHE_SHARE = 2, /* all that a cache can hold is at most 1 / this of the frames that its
                            * zone manages when it is built; sizes that come to more are refused */
};

/* Ask for a size computed from the zone's: such sizes are made smaller, down to none, until all
 * that the caches can hold is at most an eighth of the zone. A size asked for by number is taken as
 * it is, or refused; quire_cache_bound says what it comes to. Where all are computed and the zone
 * is large, a CPU holds back at most 9216 frames (36 MiB): 384 each of orders 0 to 3, 768 each of
 * orders 4 to 7, 1536 of order 8, 3072 of order 9; and half
 * magazines in the depot 128 frames a CPU. Orders 4 to 8 get what the others leave of the eighth.
 */
#define QUIRE_CACHE_SIZE_AUTO UINT32_MAX

struct quire_cache_config {
    struct quire_zone *zone; /* its port's `cpu` is asked in exchange and local mode */
    enum quire_cache_mode mode;
    uint32_t cpus;   /* so many CPUs have CPU caches; they share the zone's slots if it has fewer */
    uint32_t rounds; /* frames of order 0 in a magazine: even, up to 512, 0 for none, or
                      * QUIRE_CACHE_SIZE_AUTO: 128, less in small zones */
    uint32_t run_rounds;  /* runs of order 1; a magazine of order 2 has half as many, of order 3 a
                           * quarter, rounded down to an even number. AUTO: half of `rounds` */
    uint32_t huge_rounds; /* blocks of order 9 in a magazine, or QUIRE_CACHE_SIZE_AUTO: 4 */
    uint32_t depot;       /* half magazines in the depot, of orders 0 to 3, or
                           * QUIRE_CACHE_SIZE_AUTO: 2 a CPU. They are spread evenly over the CPUs,
                           * of which some begin with none if they are fewer; empty ones come to
                           * CPUs that lack them, one in 16 overflows */
    uint32_t first_cpu; /* the CPUs are first_cpu .. first_cpu+cpus-1; all others go to the zone */
    uint32_t large_rounds; /* runs of order 4 in a magazine, halved for each order up to 8 and made
                            * even, a 1 to 2: 6 makes 6, 4, 2, 0, 0. AUTO: an eighth of `rounds`,
                            * less in small zones, down to none */
    uint64_t room[4];      /* zero, see version.h */
};

struct quire_cache_state;

/* The handle. Private: use the functions below. What a hit in rseq mode reads comes first. */
struct quire_cache {
    uint32_t without_rseq; /* 0 in rseq mode, else all ones */
    uint32_t mode;         /* enum quire_cache_mode, not AUTO */
    uint32_t first_cpu;    /* first_cpu .. first_cpu+cpus-1 have CPU caches */
    uint32_t cpus;
    int64_t rseq_offset;      /* of the thread's rseq area */
    uintptr_t frame_bytes;    /* the zone's, as frames are numbered; if it is of one stretch */
    bool one_stretch;         /* of sections */
    uint32_t run_mobility;    /* QUIRE_MOVABLE if classes of order 3 and more have a mobility */
    uint64_t cpu_stride;      /* bytes from a CPU's caches to the next one's */
    unsigned char *cpu_views; /* what hits read, by CPU */
    struct quire_cache_state *state;
    struct quire_zone *zone;
    unsigned char *cpu_caches[QUIRE_CACHE_CLASSES]; /* the first CPU's */
    uint32_t capacity[QUIRE_CACHE_CLASSES]; /* rounds of a magazine; 0 if the class is not cached */
    uint32_t depot_nodes;
    uint64_t bound;   /* frames */
    uint64_t room[8]; /* zero, see version.h */
};

/* How many bytes of memory, aligned to 64, the cache needs. QUIRE_ERR_SIZE: no CPU, an unknown
 * mode, a CPU's number beyond 2^31, rounds odd or too many, or sizes asked for by number with which
 * the CPU caches and the depot could hold more than the zone's managed frames / QUIRE_CACHE_SHARE.
 * QUIRE_ERR_UNSUPPORTED: rseq was asked for and does not work here, or the zone has no frame bytes.
 * Wait-free. */
int quire_cache_size(const struct quire_cache_config *config, size_t *bytes);

/* Build a cache. Errors as above; QUIRE_ERR_INITIALISED: the handle is in use; QUIRE_ERR_ALIGN:
 * `memory` is not aligned. Nobody may use it meanwhile. */
int quire_cache_init(struct quire_cache *cache, const struct quire_cache_config *config,
                     void *memory, size_t bytes);

/* As quire_zone_alloc and quire_zone_free, through the calling CPU's cache. Before a request is
 * refused, all caches are drained and the zone is asked once more. With QUIRE_NO_CALLBACK, in
 * rseq and local mode, the CPU caches of other CPUs are not, as that takes a system call, or a
 * call of the port: their frames count as taken, and the next call that may make one drains
 * them. A wrong free is refused at once, as by the zone, wherever the frame lies:
 * QUIRE_ERR_DOUBLE_FREE if it is free or in a cache, QUIRE_ERR_ORDER if it is a part of a run or
 * was allocated with another order. Of two frees of one run at the same instant both may be
 * taken for good: then the port's `report` hears of it, at the latest when the frames are
 * flushed or when the second of two owners frees them; in the hardened build one of the two is
 * refused. */
int quire_cache_alloc(struct quire_cache *cache, unsigned order, uint32_t flags, quire_pfn *pfn);
int quire_cache_free(struct quire_cache *cache, quire_pfn pfn, unsigned order);

/* As quire_zone_alloc_contig, but that before a refusal the caches are drained. Freed with
 * quire_zone_free_contig. */
int quire_cache_alloc_contig(struct quire_cache *cache, const struct quire_contig *want,
                             uint32_t flags, quire_pfn *pfn);

/* Give back what one CPU's caches hold, or what all and the depot hold. A CPU cache that is
 * taken is passed by. In rseq mode one membarrier call for each other CPU that holds anything; its
 * CPU caches are out of its reach until their frames are flushed, one CPU after the other. Bounded
 * by the CPUs' rounds. In local mode CPUs are asked, by one call of the port's `ask_drain` for each
 * CPU that holds anything, the caller's own too; without that function the caller's own is drained
 * and the others have been asked. QUIRE_ERR_SIZE: no such CPU. */
int quire_cache_drain(struct quire_cache *cache, uint32_t cpu);
int quire_cache_drain_all(struct quire_cache *cache);

/* A CPU goes away: drain it, and give up its slot's home blocks and credit. It may come back. In
 * local mode its CPU caches are taken by the caller: the CPU runs nothing that allocates or frees
 * meanwhile, but for the caller if it retires its own. */
int quire_cache_retire_cpu(struct quire_cache *cache, uint32_t cpu);

/* In local mode: give back what other CPUs have asked of the CPU that this runs on, the caller
 * staying there. From an interrupt that asks for it, an NMI, a timer's tick; nothing is done if
 * nobody asked, or in another mode. What a call that this interrupted has taken stays asked for. */
void quire_cache_answer(struct quire_cache *cache);

/* To be called now and then, say every second, by anybody: what a CPU did not touch since the last
 * call, what waits to be flushed, and what the depot did not need goes back to the zone. So a cache
 * that is idle is empty after two calls. It also measures how dense memory is, by which the caches
 * tell what is flushed: memory heals without it too, but not to the end. Costs a look at each CPU
 * cache, and at 4096 blocks if any was used. In local mode a CPU that used nothing and holds
 * something is made to answer, one in use is asked. Returns the number of frames given back, in
 * local mode as far as they are already. */
uint64_t quire_cache_maintain(struct quire_cache *cache);

struct quire_cache_stats {
    uint64_t
        cached[QUIRE_CACHE_CLASSES]; /* frames in CPU caches, by class: unmovable and movable ones
                                      * of order 0, of order 1, and so on up to 8; order 9 */
    uint64_t depot[QUIRE_CACHE_CLASSES]; /* frames in the depot, by class: it has orders 0 to 3 */
    uint64_t hits;                       /* allocations that a magazine served at once, zeroed
                                          * afterwards or not */
    uint64_t underflows;                 /* allocations that found a magazine empty, */
    uint64_t overflows;                  /* and frees that found one full; not of two rounds */
    uint64_t refills;                    /* magazines filled from the zone: by a half,
                                          * or less after a drain */
    uint64_t flushes;                    /* half magazines flushed to the zone */
    uint64_t bypasses;  /* calls that found the CPU cache taken and used the zone */
    uint64_t drains;    /* CPU caches drained, by whatever cause */
    uint64_t bad_frees; /* wrong frees refused, at once or when the frames reached the zone */
    uint64_t room[8];   /* zero, see version.h */
};

/* Exact while nobody uses the cache: then the zone's free frames, those cached and in the depot, of
 * all classes, and those that users hold are the zone's managed frames. While calls are under way,
 * the sum is off, at any instant, by what they have in their hands, too little or too much. For
 * each call that is at most the run that it was made for and one CPU cache: 3/2 of a magazine's
 * rounds of 2^order frames if it drains, half of a magazine's if it refills, flushes, or meets the
 * depot; and in a zone large enough to leave its slots credit, that of one slot, on its way into or
 * out of the total: an eighth of the zone over the number of its slots. A call made by an interrupt
 * in the middle of another one counts beside it. The figures are read one after the other: what
 * moves meanwhile comes on top. Wait-free. */
int quire_cache_stats(const struct quire_cache *cache, struct quire_cache_stats *stats);

/* The most frames that all CPU caches and the depot together can hold. Wait-free. */
uint64_t quire_cache_bound(const struct quire_cache *cache);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_CACHE_H */
