/* SPDX-License-Identifier: MIT
 *
 * machine.h - what the files of a machine of nodes as a target share (targets load_on_machine and
 * load_on_host).
 *
 *   target.c      the machine over a topology's zones; how operations are drawn; its calls
 *   policy.c      which CPU a thread is; policies, drawn and checked
 *   operations.c  operations that a machine alone has: page cache, claims, hot-plug, drains, bad
 *                 calls
 *   page_cache.c  pages that can be dropped, and who drops them
 *   host.c        this machine's memory: arenas, what is written into pages, speed, where pages lie
 *   ended.c       the checks after the threads have ended
 *
 * Each thread is one CPU of the topology, spread over the nodes that have CPUs; on real memory it
 * is bound to that CPU. It keeps all its runs in one list.
 *
 * The page cache. A thread that reads a file puts its pages into the page cache of their node: into
 * the cell that belongs to the frame, so that a page can be found by its number. Memory is always
 * full of them, as it is under a kernel, and the zones' low watermarks are reached again and again.
 * The reclaimer drops pages of a node; so does a request that would be refused otherwise, and so
 * does offlining.
 *
 * State: one struct machine_target, as struct load. Invariants:
 *   N1 a cell of a page cache holds 0 or a frame, plus 1, that no thread holds; the one
 *      that exchanges it out has it.
 *   N2 a thread's struct machine_thread is written by itself alone; the last one is the
 *      reclaimer's.
 *   N3 `machine_self` is the worker of the calling thread, or NULL in the main thread.
 */
#ifndef HOST_HARNESS_LOAD_MACHINE_MACHINE_H
#define HOST_HARNESS_LOAD_MACHINE_MACHINE_H

#include "host-harness/lib/reclaim.h"
#include "host-harness/load/check/calls.h"

#include <quire/host.h>

enum {
    MACHINE_POLICIES = 12,      /* that a thread draws from */
    MACHINE_BLOCK_FRAMES = 512, /* of a block, and so of what is offline at a time */
};

/* What threads count; frames, but for the first. */
enum machine_count {
    COUNT_KEPT,    /* policies that were found kept */
    COUNT_REMOTE,  /* freed by a CPU of another node */
    COUNT_CACHED,  /* put into the page cache, */
    COUNT_DROPPED, /* and dropped from it */
    COUNT_OFFLINED,
    COUNT_MOVED,   /* dropped because they blocked a block that goes offline */
    COUNT_MEMPOOL, /* filled into mempools */
};
enum { MACHINE_COUNTS = 7 };

extern _Thread_local struct worker *machine_self;

/* The page cache of a node. */
struct page_cache {
    qa64 *cells;
    uint64_t count;
    qa64 next; /* the cell that is looked at next when pages are dropped */
};

/* What a thread has and counts besides its struct worker. */
struct machine_thread {
    uint32_t cpu;
    quire_node node;
    struct quire_policy policies[MACHINE_POLICIES];
    uint64_t local[QUIRE_NODES], other[QUIRE_NODES]; /* runs that were had of a node */
    uint64_t counts[MACHINE_COUNTS];
    struct hist *alloc; /* order 0, by the node that gave */
};

struct machine_target {
    struct quire_topology topology;
    quire_nodemask with_memory; /* nodes that have a zone, devices' aside */
    struct quire_machine *machine;
    void *memory; /* of the machine; NULL if it is the host's */
    size_t memory_bytes;
    qa64 port_bytes;
    struct quire_host *host; /* on real memory */
    struct reclaimer reclaimer;
    struct reclaimer_zone *reclaimer_zones;
    struct page_cache page_caches[QUIRE_NODES];
    struct machine_thread *threads; /* one more than there are workers: the reclaimer's */
    struct worker helper;           /* the reclaimer's */
    pthread_mutex_t reclaiming;     /* held by the reclaimer while it uses `helper`; */
    bool closed;                    /* under it: nothing is reclaimed any more */
    pthread_mutex_t plugging;       /* held by who takes memory out of use and back */
    qa64 last_resorts, last_resort_frames;
    uint64_t wakeups, reclaims, reclaimed;          /* noted at the end */
    struct quire_node_stats loaded[QUIRE_NODES];    /* likewise */
    struct quire_machine_stats machine_loaded;      /* likewise */
    uint64_t pages_right, pages_wrong, pages_empty; /* where pages lie */
    uint32_t access[QUIRE_NODES][QUIRE_NODES];      /* tenths of ns, from, to; 0: not measured */
};

static inline struct machine_thread *machine_thread(const struct worker *w)
{
    return &w->load->on_machine->threads[w->number];
}

/* The node of a frame. QUIRE_NO_NODE: none, after a violation. */
static inline quire_node machine_node_of(struct worker *w, uint64_t pfn)
{
    uint32_t z = call_zone(w, 0, pfn);

    return quire_node_of(z == UINT32_MAX ? QUIRE_NO_NODE : w->load->machine.zones[z].node);
}

/* ---- policy.c -------------------------------------------------------------------------------- */

/* False without memory, or without a CPU to run on. Main thread. */
bool machine_build_threads(struct load *load);
void machine_teardown_threads(struct load *load);

/* For struct target. */
uint32_t machine_refusals(const struct worker *w, const struct request *r,
                          const struct quire_contig *want);
bool machine_placed(struct worker *w, const struct request *r, const struct held_run *run,
                    uint64_t ns);
/* Its two halves: a run that starts at `pfn` was had, by whatever call; it lies where the policy
 * allows, or there is a violation. */
void machine_count(struct worker *w, uint64_t pfn);
bool machine_check_place(struct worker *w, const struct request *r, const struct held_run *run);
/* A refusal must have the right reason; `error` is passed on. */
int machine_check_reason(struct worker *w, int error, const struct quire_refusal *why);

/* ---- operations.c ---------------------------------------------------------------------------- */

void machine_read_file(struct worker *w, const struct operation *op);
void machine_mempool(struct worker *w, const struct operation *op);
void machine_offline(struct worker *w, const struct operation *op);
void machine_drain(struct worker *w, const struct operation *op);
void machine_bad_call(struct worker *w, const struct operation *op);

/* ---- page_cache.c: lock-free but for page_cache_reclaim ---------------------------------------
 */

/* 0, or -1 without memory. Main thread. */
int page_cache_build(struct load *load);
void page_cache_teardown(struct load *load);
/* Keep a page; what had its cell is freed. */
void page_cache_put(struct worker *w, uint64_t pfn);
/* Free about `frames` pages of a node. How many were freed. */
uint64_t page_cache_drop(struct worker *w, quire_node node, uint64_t frames);
/* Free the page if it is there. */
bool page_cache_drop_one(struct worker *w, uint64_t pfn);
/* The reclaimer's and the requester's way to it: `ctx` is the load. */
uint64_t page_cache_reclaim(void *ctx, quire_node node, uint64_t frames);
uint64_t page_cache_last_resort(void *ctx, quire_node node, uint64_t frames);

/* ---- host.c: on this machine's memory ---------------------------------------------------------
 */

/* The host and its arenas as zones. CLI_OK, or the exit status after a line on stderr. */
int host_build(struct load *load);
/* The thread stays on its CPU. */
void host_bind_thread(struct worker *w);
/* For struct target: write the pages; check what was written. */
bool host_taken(struct worker *w, uint32_t z, const struct held_run *run, bool zeroed);
bool host_check_pages(struct worker *w, uint32_t z, const struct held_run *run);
/* Measure how long an access takes from each node to each, and look where pages lie. */
void host_measure(struct load *load);

/* ---- ended.c: main thread, after the threads have ended ------------------------------
 */

void machine_ended(struct load *load);
void machine_emptied(struct load *load);

#endif /* HOST_HARNESS_LOAD_MACHINE_MACHINE_H */
