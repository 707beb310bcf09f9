/* SPDX-License-Identifier: MIT
 *
 * machine.h - what a machine is made of. Private to numa; the interface is <quire/machine.h>.
 *
 * There are two kinds of state. What lives as long as the machine: a struct machine_cpu for each
 * CPU, the zones' handles, the zones' caches with the CPUs' views of them. A hit in a magazine
 * touches nothing else. And what comes and goes: the snapshot, reached by one pointer, read between
 * qi_machine_enter and qi_machine_leave.
 *
 * A CPU is local in the zones whose caches serve it (snapshot.c says which these are). The zone
 * that its NORMAL requests ask first by the default policy is the one that its view is of.
 *
 *   M1  A snapshot never changes between its publication and its end. The end comes after all
 *       readers that could have found it have left.
 *   M2  A zone of the snapshot in force has metadata. A zone that left may still be used by readers
 *       of an older snapshot, and on behalf of its frames by their owners; while there are any of
 *       either, its metadata stays.
 *   M3  A CPU's `cpu_views` word is the view of the CPU at the cache of the zone that its NORMAL
 *       requests ask first by the default policy, or qi_no_view. A CPU may use a view arbitrarily
 *       late: percpu's hits allow for it.
 *   M4  A zone's longest span holds frames of that zone only. The views of its caches are for
 *       frames of this span.
 *   M5  Only the holder of `writer` builds, publishes or ends anything.
 *   M6  A remote magazine's `remote_zone` and `serving_zone` each name a zone of another node where
 *       the CPU is not local, or qi_no_zone. Frees of frames of `remote_zone` go there; requests
 *       that name the node of `serving_zone` ask that zone first, if the machine's policy begins
 *       with the node that asks. That node is in reach of the CPU's. A reader sets them by the
 *       snapshot that it reads. After a change the writer clears them, when all readers of the old
 *       snapshot have left. So outside of a change they agree with the snapshot in force; during
 *       one, and in a reader that has read them already, they may be of the old one.
 */
#ifndef QUIRE_NUMA_MACHINE_MACHINE_H
#define QUIRE_NUMA_MACHINE_MACHINE_H

#include "core/assert.h"
#include "core/layout.h"
#include "percpu/fastpath.h"

#include <quire/machine.h>

enum {
    MACHINE_ZONES = 4096, /* zones of a machine */
    /* A CPU's remote magazines: of single frames one for each node modulo REMOTE_NODES; of runs one
     * for each order of those up to REMOTE_RUN_ORDER, and one for blocks. */
    REMOTE_NODES = 4,
    REMOTE_RUN_ORDER = 3,
    REMOTE_BLOCKS = REMOTE_NODES + REMOTE_RUN_ORDER, /* the place of the last one, for blocks */
    REMOTE_MAGAZINES = REMOTE_BLOCKS + 1,
    REMOTE_ROUNDS = 16,  /* single frames in one: what a call that stands still keeps back */
    MACHINE_PAGE = 4096, /* what the port's memory is aligned to */
    NO_ENTRY = UINT16_MAX,
    COMPACT_MARKS_ORDER = 8, /* 2^8 blocks that were refused to compactions */
};

/* A remote magazine, see remote.c. */
struct remote_magazine {
    unsigned char magazine[sizeof(struct cpu_cache) + REMOTE_ROUNDS * sizeof(quire_pfn)];
    qa64 remote_zone, serving_zone; /* const struct machine_zone *; M6 */
    qa32 pops_node;                 /* whose frames the magazine's pops were, see V2 */
    uint32_t order, cpu;            /* of its runs; whose it is: constant */
} __attribute__((aligned(64)));

/* One CPU's own. Parts that different callers write lie on different lines. */
struct machine_cpu {
    struct remote_magazine remote[REMOTE_MAGAZINES];
    qa32 last_push; /* which of them took a single frame last: a hint */
    uint32_t cpu;   /* its number; constant */
    /* Readers that entered and left, by phase, see guard.c. */
    qa64 enters[2] __attribute__((aligned(64)));
    qa64 leaves[2];
    qa64 turn; /* of the interleaving policies */
    /* QUIRE_NODE_LOCAL is not counted: what was given and is not OTHER is LOCAL (stats.c). */
    qa64 counts[QUIRE_NODES][QUIRE_NODE_COUNTS] __attribute__((aligned(64)));
};

/* A zone in service. */
struct machine_zone {
    struct quire_zone zone;   /* a copy of the caller's handle, but for the port */
    struct quire_zone *given; /* the caller's */
    struct quire_port port;   /* the zone's own, which ours forwards to */
    struct quire_machine *machine;
    quire_node node;
    enum quire_zone_type type;
    uint64_t managed;           /* frames, when it came into service */
    struct block_window window; /* its longest span, M4 */
    qa64 sparse_limit_at;       /* const qa32 *: blocks with a larger fullness byte are sparse */
    qa32 no_sparse_limit;
    /* Writer only: the cache in service; all that were made, of which the others are closed; the
     * next zone in quire_machine.gone. */
    struct zone_cache *zone_cache, *zone_caches;
    struct machine_zone *next;
};

/* A cache of a zone, for the CPUs that are local there. */
struct zone_cache {
    struct quire_cache cache; /* counts hits, by CPU, for as long as it serves */
    struct machine_zone *zone;
    struct zone_cache *next; /* in zone->zone_caches */
} __attribute__((aligned(64)));

/* A zone as a snapshot has it. */
struct machine_entry {
    struct machine_zone *zone;
    struct zone_cache *zone_cache; /* or NULL */
    struct zone_cache *previous;   /* which it replaces, or NULL; see Y1 */
    bool closing;                  /* the zone is leaving: it takes frees only, past the caches */
};

/* A node's zonelists, in memory of that node. */
struct node_zonelists {
    uint32_t first[QUIRE_ZONE_TYPES], count[QUIRE_ZONE_TYPES];
    size_t bytes;
    uint16_t entries[];
};

struct machine_snapshot {
    struct quire_topology topology;
    struct quire_pfnmap map; /* frame to place in entries[] */
    struct node_zonelists *lists[QUIRE_NODES];
    struct quire_pfnmap_span *spans;
    size_t span_count;
    uint32_t entry_count;
    size_t bytes;
    struct machine_entry entries[];
};

/* A block of which the mover refused a run: it is left alone for a while. */
struct compact_mark {
    uint32_t block; /* its physical number + 1; 0: none */
    uint32_t until; /* a number of compactions */
};

/* What is kept whole of a node, see numa/compact/keep.c. */
struct machine_keep {
    qa32 blocks, sections;  /* wanted */
    qa64 budget;            /* frames moved by a call, at most */
    qa32 pause, last_pause; /* calls to leave it alone still, and the last time */
    qa64 won_blocks, won_sections, moves, most_moves, calls, short_calls; /* figures */
};

/* A piece of the port's memory: this much in front of what its user sees. */
struct port_chunk {
    struct port_chunk *next;
    size_t bytes;
    quire_node node;
} __attribute__((aligned(64)));

struct quire_machine {
    qa64 cpu_views[QUIRE_CPUS]; /* const struct cpu_view *: M3; a hit begins here */
    qa64 cpus[QUIRE_CPUS];      /* struct machine_cpu *, or 0 */
    qa64 snapshot;              /* struct machine_snapshot * */
    qa32 cpu_end;               /* no CPU from here on has a struct machine_cpu */
    qa32 mode;                  /* of the caches: enum quire_cache_mode, not AUTO */
    struct quire_machine_port port;
    struct quire_policy policy;
    bool local; /* the policy: nearest first, whatever the node */
    uint32_t rounds, huge_rounds;
    enum quire_cache_mode wanted_mode;
    uint32_t give_back_after;                /* ages, or 0 */
    qa32 phase __attribute__((aligned(64))); /* of the readers, see guard.c */
    qa32 writer;                             /* 1: the machine is being changed, M5 */
    qa64 leaving; /* const struct machine_zone *: what is being removed, or 0; see Y2 */
    qa64 emptied; /* what is being taken offline: first block << 32 | blocks; 0: nothing. OF1 */
    qa64 closing_cache; /* const struct zone_cache *: what hot-plug is closing, or 0; kept */
    qa64 snapshots, reclaims;
    struct port_chunk *chunks;            /* M5 */
    struct machine_zone *gone;            /* M5: zones out of service, Y3, Y6 */
    struct offline_range *offline_ranges; /* M5: what is offline */
    qa64 chunk_bytes;
    qa64 compact_ranges[2]; /* the first frames of the last ranges, in turns, see hold.h */
    qa64 compact_work;      /* struct compact_work *, or 0: M5, and who took the isolation */
    uint32_t compact_calls; /* M5: compactions that were no dry runs */
    qa32 hold;              /* whose the compaction's isolation is, see numa/compact/hold.h */
    struct compact_mark compact_marks[1 << COMPACT_MARKS_ORDER]; /* M5 */
    struct machine_keep keeps[QUIRE_NODES];
};

/* Blocks that are offline, or were and are back. */
struct offline_range {
    struct offline_range *next;
    const struct machine_zone *zone;
    struct quire_run run;
    uint64_t left;                       /* blocks that are offline still */
    struct quire_isolated_frames held[]; /* a block each: the frames that offlining took;
                                          * followed by a byte each: 1 while it is offline */
};

/* A reader of the snapshot. */
struct machine_reader {
    struct quire_machine *machine;
    const struct machine_snapshot *snapshot;
    struct machine_cpu *mcpu;
    uint32_t cpu;
    uint32_t entered;
};

/* The zones that a request may use, in order, as policy.c made them out. */
struct zonelist_walk {
    const uint16_t *list;
    uint32_t count;
    uint64_t first; /* nodes that are asked first */
    bool others;    /* then the others */
    bool no_huge;   /* not zones of type HUGE */
    bool interleaved;
    quire_node wanted;
    uint32_t at, pass; /* where the walk is */
};

/* A request on the ladder of slowpath.c, and how it asks a zone. */
struct machine_attempt {
    /* QUIRE_OK: the request is served. QUIRE_ERR_NO_MEMORY: the zone has none, QUIRE_ERR_SIZE: it
     * is too short; ask the next one. Others end it. `first`: nothing is drained yet, and caches
     * may serve. */
    int (*ask)(const struct machine_reader *r, const struct machine_entry *e, bool first,
               struct machine_attempt *a);
    uint32_t cpu; /* on which the call began */
    const struct quire_request *request;
    uint64_t frames; /* how many it is about, for reclaim */
    uint64_t turn;   /* of an interleaving policy */
    quire_pfn *pfns;
    const struct quire_contig *contig;  /* or NULL */
    const struct machine_zone *refused; /* it has been asked already; or NULL */
    int refusal;                        /* what it said: as `ask` */
    size_t n, got;                      /* batches: frames wanted and had; else 0 */
    quire_node wanted;                  /* out */
    bool interleaved;                   /* out */
};

/* The struct of a CPU below QUIRE_CPUS, or NULL. */
static inline struct machine_cpu *machine_cpu_at(const struct quire_machine *m, uint32_t cpu)
{
    uintptr_t p =
        (uintptr_t)qa_load(&m->cpus[cpu], acquire); /* E-machine-cpu acquire: it is made */

    return (struct machine_cpu *)p;
}

/* The same, of any number. */
static inline struct machine_cpu *machine_cpu_of(const struct quire_machine *m, uint32_t cpu)
{
    return cpu < QUIRE_CPUS ? machine_cpu_at(m, cpu) : NULL;
}

/* The fullness byte above which a block of the zone counts as sparse: of its newest cache. */
static inline const qa32 *zone_sparse_limit(const struct machine_zone *z)
{
    uintptr_t p = (uintptr_t)qa_load(&z->sparse_limit_at, acquire); /* E-zone-cache acquire */

    return (const qa32 *)p;
}

static inline const struct machine_zone *zone_of_word(uint64_t word)
{
    uintptr_t zone = (uintptr_t)word;

    return (const struct machine_zone *)zone;
}

/* The zone of whose frames a remote magazine serves requests. */
static inline const struct machine_zone *serving_zone_of(const struct remote_magazine *remote)
{
    return zone_of_word(qa_load(&remote->serving_zone, acquire)); /* E-remote-zone acquire */
}

/* The zone whose frames it takes. */
static inline const struct machine_zone *remote_zone_of(const struct remote_magazine *remote)
{
    return zone_of_word(qa_load(&remote->remote_zone, acquire)); /* E-remote-zone acquire */
}

/* What a remote magazine has: a CPU cache without an outgoing magazine. */
static inline struct cpu_cache *remote_cache(struct remote_magazine *remote)
{
    void *p = remote->magazine;

    return (struct cpu_cache *)p;
}

/* Has a CPU a remote magazine for this order? */
static inline bool is_remote_order(unsigned order)
{
    return order <= REMOTE_RUN_ORDER || order == HUGE_ORDER;
}

/* The CPU's remote magazine for runs of an order that has one, of this node. */
static inline struct remote_magazine *remote_magazine(struct machine_cpu *mcpu, unsigned order,
                                                      quire_node node)
{
    qi_assert(is_remote_order(order));
    if (order == 0)
        return &mcpu->remote[node.n % REMOTE_NODES];
    return &mcpu->remote[order == HUGE_ORDER ? REMOTE_BLOCKS : REMOTE_NODES + order - 1];
}

static inline uint32_t machine_cpu_end(const struct quire_machine *m)
{
    return qa_load(&m->cpu_end, relaxed); /* relaxed: E-machine-cpu says which are there */
}

/* Are the caches in rseq mode? */
static inline bool machine_uses_rseq(const struct quire_machine *m)
{
    /* relaxed: a hint; rseq decides */
    return QUIRE_RSEQ && qa_load(&m->mode, relaxed) == QUIRE_CACHE_RSEQ;
}

/* The number of the CPU that the caller runs on. */
static inline uint32_t machine_cpu_now(const struct quire_machine *m)
{
#ifdef QUIRE_CPU_HEADER
    (void)m;
    return quire_this_cpu();
#else
#if QUIRE_RSEQ
    if (machine_uses_rseq(m))
        return rseq_cpu(rseq_area());
#endif
    return m->port.cpu(m->port.ctx);
#endif
}

/* The view of a CPU that has none: its window is empty and its kind none that hits, so that most
 * need not ask for it; but it has no cache. */
extern const struct cpu_view qi_no_view;

/* The view of a CPU, or qi_no_view. */
static inline const struct cpu_view *machine_view_of(const struct quire_machine *m, size_t cpu)
{
    uintptr_t view = (uintptr_t)&qi_no_view;

    if (cpu < QUIRE_CPUS)
        view = (uintptr_t)qa_load(&m->cpu_views[cpu],
                                  acquire); /* E-zone-cache acquire: the cache is made */
    return (const struct cpu_view *)view;
}

/* The flags that a request for a run may have; QUIRE_FALLBACK is added where a zone is asked. */
#define MACHINE_ALLOC_FLAGS ((uint32_t)QUIRE_ALLOC_FLAGS & ~(uint32_t)QUIRE_FALLBACK)

/* Has a cache magazines of this order? */
static inline bool is_cached_order(unsigned order)
{
    return cache_class_of(order, 0) < CACHE_NONE;
}

/* The node that a request names, or QUIRE_NO_NODE: the caller's. */
static inline quire_node request_node(const struct quire_request *request)
{
    return quire_node_of(request->near_node.n - 1);
}

/* The type of zone that a request's purpose, which is one, begins with. */
static inline enum quire_zone_type request_type(const struct quire_request *request)
{
    unsigned purpose = (unsigned)request->purpose;

    if (purpose == QUIRE_FOR_NORMAL)
        return QUIRE_ZONE_NORMAL;
    return (enum quire_zone_type)(purpose < QUIRE_FOR_HUGE ? purpose - 1 : purpose);
}

/* May a magazine of the CPU serve the request, but for its order and flags? */
static inline bool view_serves_request(const struct cpu_view *view,
                                       const struct quire_request *request)
{
    return view != &qi_no_view && !request->policy && request->purpose == QUIRE_FOR_NORMAL &&
           (request->near_node.n == 0 ||
            request_node(request).n == qa_load(&view->node, relaxed)); /* relaxed: a hint */
}

/* Let other threads run, between two looks at what they are to do. */
static inline void machine_relax(const struct quire_machine *m)
{
    if (m->port.relax)
        m->port.relax(m->port.ctx);
#if defined(__x86_64__)
    else
        __builtin_ia32_pause();
#endif
}

/* Is the machine being built, changed or taken down (M5)? */
static inline bool writer_is_held(const struct quire_machine *m)
{
    return qa_load(&m->writer, relaxed) == 1; /* relaxed: the asker is the writer */
}

static inline quire_node node_of_cpu(const struct machine_snapshot *s, uint32_t cpu)
{
    return quire_node_of(cpu < s->topology.cpu_count ? s->topology.cpu_node[cpu] : 0);
}

/* The entry that NORMAL requests of a node ask first. */
static inline uint32_t first_normal_entry(const struct machine_snapshot *s, quire_node node)
{
    const struct node_zonelists *l = s->lists[node.n];

    return l->count[QUIRE_ZONE_NORMAL] ? l->entries[l->first[QUIRE_ZONE_NORMAL]] : NO_ENTRY;
}

/* Is it this entry? */
static inline bool is_first_of(const struct machine_snapshot *s, quire_node node,
                               const struct machine_entry *e)
{
    return first_normal_entry(s, node) == (uint32_t)(e - s->entries);
}

/* Is a CPU one of the topology? */
static inline bool cpu_is_known(const struct machine_snapshot *s, uint32_t cpu)
{
    return cpu < s->topology.cpu_count;
}

/* The zone's slot that a CPU uses: local CPUs have slots of their own where there are enough. */
static inline quire_slot entry_slot(const struct machine_entry *e, uint32_t cpu)
{
    qi_assert(e->zone->zone.slots > 0);
    if (e->zone_cache)
        return slot_of_cpu(&e->zone_cache->cache, cpu - e->zone_cache->cache.first_cpu);
    return quire_slot_of(cpu % e->zone->zone.slots);
}

/* The zone that NORMAL requests which name this node ask first by the default policy, if that is
 * nearest first. NULL: it takes the walk to tell. */
static inline const struct machine_entry *first_of_walk(const struct machine_reader *r,
                                                        quire_node node)
{
    const struct machine_snapshot *s = r->snapshot;
    const struct machine_entry *e;
    uint32_t first;

    if (!r->machine->local || r->machine->policy.strict || node.n >= s->topology.node_count)
        return NULL;
    first = first_normal_entry(s, node);
    if (first == NO_ENTRY)
        return NULL;
    e = &s->entries[first];
    return e->zone->type == QUIRE_ZONE_HUGE ? NULL : e;
}

/* n frames, or one run, of a node were given to a request that wanted them there. */
static inline void count_hit(const struct machine_reader *r, quire_node node, bool local,
                             uint64_t n)
{
    qa64 *counts = r->mcpu->counts[node.n];

    (void)qa_add(&counts[QUIRE_NODE_HIT], n, relaxed); /* relaxed: a figure */
    if (!local)
        (void)qa_add(&counts[QUIRE_NODE_OTHER], n, relaxed); /* relaxed: a figure */
}

/* machine.c */
void *qi_port_alloc(struct quire_machine *m, size_t bytes, quire_node node);
void qi_port_give_back(struct quire_machine *m, void *memory);
int qi_machine_make_cpus(struct quire_machine *m, const struct quire_topology *topology);
void qi_machine_zone_set(struct machine_zone *zone, const struct quire_machine_zone *given);
int qi_machine_zone_make(struct quire_machine *m, const struct quire_machine_zone *given,
                         struct machine_zone **zone);

/* hotplug.c */
bool qi_machine_lock(struct quire_machine *m);
void qi_machine_unlock(struct quire_machine *m);
struct machine_snapshot *qi_machine_snapshot(const struct quire_machine *m);

/* guard.c */
void qi_machine_enter_on(struct quire_machine *m, uint32_t cpu, struct machine_reader *r);
void qi_machine_leave(struct machine_reader *r);
void qi_machine_wait_for_readers(struct quire_machine *m);

/* guard.c says how: begin to read, on CPU `cpu` or, if the machine does not know that one, as if on
 * CPU 0. Wait-free, any context. */
static inline void machine_enter_on(struct quire_machine *m, uint32_t cpu, struct machine_reader *r)
{
    uintptr_t snapshot;

    r->machine = m;
    r->cpu = cpu;
    r->mcpu = machine_cpu_of(m, cpu);
    if (!r->mcpu) {
        r->cpu = 0;
        r->mcpu = machine_cpu_of(m, 0);
    }
    if (m->port.enter) {
        r->entered = m->port.enter(m->port.ctx);
    } else {
        r->entered = qa_load(&m->phase, relaxed) & 1;           /* relaxed: either will do (G3) */
        (void)qa_add(&r->mcpu->enters[r->entered], 1, relaxed); /* relaxed: ordered by G1 */
        qa_fence_after_rmw(); /* E-enter fence: the entry before the look */
    }
    snapshot = (uintptr_t)qa_load(&m->snapshot, acquire); /* E-snapshot acquire: all of it */
    qi_assert(snapshot);
    r->snapshot = (const struct machine_snapshot *)snapshot;
}

/* End. Wait-free, any context, any CPU. */
static inline void machine_leave(struct machine_reader *r)
{
    if (r->machine->port.leave)
        r->machine->port.leave(r->machine->port.ctx, r->entered);
    else
        (void)qa_add(&r->mcpu->leaves[r->entered], 1, release); /* E-leave release */
}

/* Begin to read, on the CPU that the caller runs on. */
static inline void qi_machine_enter(struct quire_machine *m, struct machine_reader *r)
{
    qi_machine_enter_on(m, machine_cpu_now(m), r);
}

/* snapshot.c */
int qi_snapshot_make(struct quire_machine *m, const struct quire_topology *topology,
                     const struct machine_entry entries[], uint32_t count,
                     const struct quire_pfnmap_span spans[], size_t span_count,
                     struct machine_snapshot **made);
void qi_snapshot_discard(struct quire_machine *m, struct machine_snapshot *s);
void qi_snapshot_publish(struct quire_machine *m, struct machine_snapshot *s);
void qi_snapshot_release(struct quire_machine *m, struct machine_snapshot *s);
const struct machine_entry *qi_snapshot_find(const struct machine_snapshot *s, quire_pfn pfn);
const struct machine_entry *qi_snapshot_find_run(const struct machine_snapshot *s,
                                                 struct quire_run run);
const struct machine_entry *qi_snapshot_entry(const struct machine_snapshot *s,
                                              const struct machine_zone *zone);
size_t qi_snapshot_row(const struct machine_snapshot *s, const struct machine_entry *e,
                       const quire_pfn pfns[], size_t n);
struct zone_cache *qi_snapshot_zone_cache(const struct machine_snapshot *s,
                                          const struct machine_zone *zone);
bool qi_node_is_local(const struct machine_snapshot *s, quire_node node,
                      const struct machine_entry *e);
bool qi_cpu_is_local(const struct machine_snapshot *s, uint32_t cpu, const struct machine_entry *e);
bool qi_entry_is_first(const struct machine_snapshot *s, const struct machine_entry *e);
bool qi_entry_is_near(const struct machine_reader *r, const struct machine_entry *e,
                      const struct quire_request *request);
uint32_t qi_entry_flags(const struct machine_reader *r, const struct machine_entry *e,
                        const struct quire_request *request);

/* Begin to read, and find the zone of a frame. NULL: none has it; the caller leaves all the same.
 */
static inline const struct machine_entry *machine_enter_at(struct quire_machine *m, quire_pfn pfn,
                                                           struct machine_reader *r)
{
    qi_machine_enter(m, r);
    return qi_snapshot_find(r->snapshot, pfn);
}

/* zone_caches.c */
struct quire_run qi_longest_span(const struct quire_pfnmap_span spans[], size_t count,
                                 uint32_t entry);
int qi_zone_cache_choose(struct quire_machine *m, struct machine_snapshot *s, uint32_t entry);
void qi_zone_cache_register(struct zone_cache *h);
bool qi_zone_cache_is_registered(const struct zone_cache *h);
struct machine_zone *qi_machine_zone_bring_back(struct quire_machine *m,
                                                const struct quire_machine_zone *given,
                                                struct quire_run longest);
void qi_machine_zone_set_gone(struct quire_machine *m, struct machine_zone *z);

/* policy.c */
bool qi_policy_valid(const struct quire_policy *policy);
int qi_policy_walk(const struct machine_reader *r, const struct quire_request *request,
                   uint64_t turn, struct zonelist_walk *walk);
uint64_t qi_policy_draw(struct quire_machine *m, uint32_t cpu, const struct quire_request *request,
                        uint64_t n);
bool qi_policy_confines(const struct quire_machine *m, const struct quire_request *request);
bool qi_policy_strict(const struct quire_machine *m, const struct quire_request *request);
bool qi_policy_interleaves(const struct quire_machine *m, const struct quire_request *request);
uint64_t qi_policy_share(const struct machine_reader *r, const struct quire_request *request,
                         uint64_t turn, uint64_t n, quire_node node, uint64_t *first);
const struct machine_entry *qi_walk_next(const struct machine_snapshot *s,
                                         struct zonelist_walk *walk);

/* stats.c */
uint64_t qi_zone_cache_hits(const struct zone_cache *h, uint32_t cpu);
void qi_zone_cache_save_hits(struct quire_machine *m, const struct machine_snapshot *s,
                             const struct zone_cache *h);

/* slowpath.c */
int qi_machine_serve(struct quire_machine *m, struct machine_attempt *a, struct quire_refusal *why);
void qi_machine_count_served(const struct machine_reader *r, const struct machine_attempt *a,
                             quire_node given, uint64_t n);
int qi_machine_refuse(int error, struct quire_refusal *why);
int qi_machine_request_slowpath(struct quire_machine *m, const struct quire_request *request,
                                quire_pfn *pfn, struct quire_refusal *why, uint32_t cpu);
int qi_machine_alloc_slowpath(struct quire_machine *m, unsigned order, uint32_t flags,
                              quire_pfn *pfn, uint32_t cpu);
int qi_machine_free_slowpath(struct quire_machine *m, quire_pfn pfn, unsigned order, uint32_t cpu);

/* Did the ladder refuse for want of memory? */
static inline bool is_depleted(int error)
{
    return error == QUIRE_ERR_NO_MEMORY || error == QUIRE_ERR_ZONE;
}

/* offline.c */
void qi_offline_forget(struct quire_machine *m, const struct machine_zone *z);

/* numa/compact/ */
int qi_compact_make_work(struct quire_machine *m);
bool qi_compact_for_request(struct quire_machine *m, const struct quire_request *request,
                            quire_node node);
bool qi_keep_makes_sense(const struct quire_keep *keep);
void qi_keep_set(struct machine_keep *k, const struct quire_keep *keep);
uint64_t qi_keep_short(const struct machine_reader *r);
void qi_machine_keep_whole(struct quire_machine *m, uint64_t nodes);
uint32_t qi_compact_look(const struct quire_machine *m);
bool qi_compact_give_back(const struct machine_reader *r, struct zonelist_walk *w,
                          const struct machine_attempt *a, uint32_t seen);

/* fastpath.c */
int qi_machine_request_by_policy(struct quire_machine *m, const struct quire_request *request,
                                 quire_pfn *pfn, struct quire_refusal *why, uint32_t cpu);

/* drain.c */
void qi_entry_drain(const struct machine_entry *e, bool no_syscall);
void qi_machine_drain_zone(struct quire_machine *m, const struct machine_entry *e);

/* zone_give_back.c */
void qi_machine_give_idle(const struct machine_reader *r);

/* remote.c */
int qi_remote_free(const struct machine_reader *r, const struct machine_entry *e, quire_pfn pfn,
                   unsigned order);
void qi_remote_init(struct machine_cpu *mcpu);
extern const struct machine_zone qi_no_zone;
bool qi_remote_pop_by_policy(const struct quire_machine *m, const struct quire_request *request,
                             quire_pfn *pfn, uint32_t cpu);
int qi_remote_request(struct quire_machine *m, const struct quire_request *request, quire_pfn *pfn,
                      struct quire_refusal *why);
int qi_remote_push(struct quire_machine *m, quire_pfn pfn, uint32_t cpu);
int qi_remote_push_run(struct quire_machine *m, quire_pfn pfn, unsigned order, uint32_t cpu);
void qi_remote_retarget(const struct machine_reader *r, const struct machine_entry *e,
                        unsigned order);
void qi_remote_forget_zones(struct quire_machine *m);
uint64_t qi_remote_drain(const struct machine_reader *r, uint32_t cpu, bool idle_only);
uint64_t qi_remote_drain_all(const struct machine_reader *r, bool idle_only);
uint64_t qi_remote_frames(const struct machine_snapshot *s, struct machine_cpu *mcpu,
                          uint32_t node);
uint64_t qi_remote_frames_about(struct machine_cpu *mcpu);
uint64_t qi_remote_pops(struct machine_cpu *mcpu, uint32_t node);

#endif /* QUIRE_NUMA_MACHINE_MACHINE_H */
