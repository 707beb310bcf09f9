/* SPDX-License-Identifier: MIT
 *
 * nodes.h - `quire run --topology`: the load on a machine of nodes in place of zones.
 *
 *   nodes.c         build: the topology's zones, or a host's arenas, and the machine over them
 *   nodes_threads.c which CPU a thread is, and the policies that it draws from
 *   nodes_work.c    a thread: draws operations and carries them out
 *   nodes_calls.c   one call of the machine each: timed, checked, counted
 *   nodes_plug.c    memory taken out of use and put back while all goes on
 *   nodes_check.c   what calls are checked against
 *   nodes_page_cache.c   the page cache that the demonstration reclaimer drops from
 *   nodes_end.c     the checks after the threads have ended
 *   nodes_speed.c   how long an access takes, from each node to each; where pages lie
 *   nodes_report.c  the tables; nodes_json.c the same as JSON
 *
 * Each thread is one CPU of the topology, spread over the nodes that have CPUs; on real memory it
 * is bound to that CPU. The zones' parts (model, ballast, verdict) are those of run.h.
 *
 * The page cache. A thread that reads a file keeps its pages on the shelf of the node: in the cell
 * that belongs to the frame, so that it can be found by its number. Memory is always full of them,
 * as it is under a kernel, and the zones' low watermarks are reached again and again. The reclaimer
 * takes pages off a shelf; so does a request that would be refused otherwise, and so does
 * offlining.
 *
 * State: one struct nodes, as struct run. Invariants: N1 a cell holds 0 or a frame, plus 1, that
 * nobody else holds; whoever exchanges it out has it. N2 a thread's struct node_thread is written
 * by itself alone. N3 `nodes_self` is the worker of the calling thread, or NULL in the main thread.
 */
#ifndef HOST_HARNESS_LOAD_NODES_H
#define HOST_HARNESS_LOAD_NODES_H

#include "host-harness/lib/reclaim.h"
#include "run.h"

#include <quire/host.h>

enum {
    NODES_POLICIES = 12, /* that a thread draws from */
    NODES_BATCH = RUN_BATCH,
    NODES_CLAIM = 256,
};

extern const struct run_way nodes_way;
extern _Thread_local struct worker *nodes_self;

/* The page cache of a node. */
struct shelf {
    qa64 *cells; /* by frame: see shelf_cell */
    uint64_t count;
    qa64 hand; /* where the reclaimer looks next */
};

/* What a thread has and counts besides its struct worker. */
struct node_thread {
    uint32_t cpu;
    quire_node node;
    struct quire_policy policies[NODES_POLICIES];
    uint64_t local[QUIRE_NODES], other[QUIRE_NODES]; /* runs that were had of a node */
    uint64_t promises;                               /* policies that were found kept */
    uint64_t remote_frees;
    uint64_t shelved, dropped, offlined, moved, claimed; /* frames */
    struct hist *alloc;                                  /* order 0, by the node that gave */
};

struct nodes {
    struct quire_topology topology;
    quire_nodemask with_memory; /* nodes that have a zone, devices' aside */
    struct quire_machine *machine;
    void *memory; /* of the machine; NULL if it is the host's */
    size_t memory_bytes;
    qa64 port_bytes;
    struct quire_host *host; /* on real memory */
    struct reclaimer reclaimer;
    struct reclaimer_zone *reclaimer_zones;
    uint64_t budget; /* frames that one thread keeps at most */
    struct shelf shelves[QUIRE_NODES];
    struct node_thread *threads; /* one more than there are workers: the reclaimer's */
    struct worker helper;        /* the reclaimer's */
    pthread_mutex_t reclaiming;  /* held by the reclaimer while it uses `helper`; */
    bool closed;                 /* under it: nothing is reclaimed any more */
    pthread_mutex_t plugging;    /* held by who takes memory out of use and back */
    qa64 last_resorts, last_resort_frames;
    uint64_t wakeups, reclaims, reclaimed;          /* noted at the end */
    struct quire_node_stats loaded[QUIRE_NODES];    /* likewise */
    struct quire_machine_stats machine_loaded;      /* likewise */
    uint64_t pages_right, pages_wrong, pages_empty; /* where pages lie */
    uint32_t access[QUIRE_NODES][QUIRE_NODES];      /* tenths of ns, from, to; 0: not measured */
};

static inline struct node_thread *nodes_thread(const struct worker *w)
{
    return &w->run->nodes->threads[w->number];
}

/* ---- nodes_calls.c: as calls.h ------------------------------------------------------ */

/* A request, and what is known of it. */
struct node_request {
    struct quire_request request;
    struct quire_policy policy;
    quire_node origin; /* the node that it is asked from */
};

bool node_alloc(struct worker *w, const struct node_request *r, struct record *record);
uint32_t node_alloc_batch(struct worker *w, const struct node_request *r, bool partial,
                          struct record records[NODES_BATCH]);
bool node_alloc_contig(struct worker *w, const struct node_request *r,
                       const struct quire_contig *want, struct record *record);
/* Claim n <= NODES_CLAIM frames, take `take` of them into records[], give the others back. */
bool node_mempool(struct worker *w, const struct node_request *r, uint32_t n, uint32_t take,
                  struct record records[]);
void node_free(struct worker *w, const struct record *record);
void node_free_batch(struct worker *w, const struct record records[], uint32_t n);
/* Take a range out of use and put it back. */
void node_offline(struct worker *w, struct quire_run range);

/* ---- nodes_check.c: what they are checked against ---------------------------------------- */

/* Judge an answer: it must be one of `allowed` (bits by CHECK_ALLOWED; bit 0 is success). True for
 * success. */
bool node_answer(struct worker *w, const char *what, int error, uint32_t allowed, uint64_t pfn);
/* What a refusal of the request may be called; and see that it has the right reason. */
uint32_t node_refusals(const struct worker *w, const struct node_request *r);
void node_check_refusal(struct worker *w, int error, const struct quire_refusal *why);
/* The node of a frame. QUIRE_NO_NODE: none, after a violation. */
quire_node node_of(struct worker *w, uint64_t pfn);
/* The first node that `r` names in the order of its origin. QUIRE_NO_NODE: none. */
quire_node node_wanted(const struct nodes *nodes, const struct node_request *r);
/* Does the request's policy allow the frames? False after a violation. */
bool node_check_place(struct worker *w, const struct node_request *r, const struct record *record);
/* The record's frames were handed out; are about to be freed. False after a violation. */
bool node_take(struct worker *w, const struct record *record, uint32_t flags);
bool node_give(struct worker *w, const struct record *record);
/* A run that starts at `pfn` was had, by whatever call. */
void node_count_call(struct worker *w, uint64_t pfn);

/* ---- nodes_page_cache.c -----------------------------------------------------------------------
 */

int shelf_build(struct nodes *nodes, const struct run *run);
void shelf_teardown(struct nodes *nodes);
/* Keep a page; what had its place is freed. */
void shelf_put(struct worker *w, uint64_t pfn);
/* Free about `frames` pages of a node. How many were freed. Lock-free. */
uint64_t shelf_drop(struct worker *w, quire_node node, uint64_t frames);
/* Free the page if it is there. */
bool shelf_drop_one(struct worker *w, uint64_t pfn);
/* The reclaimer's and the requester's way to it: `ctx` is the run. */
uint64_t shelf_reclaim(void *ctx, quire_node node, uint64_t frames);
uint64_t shelf_last_resort(void *ctx, quire_node node, uint64_t frames);

/* ---- The other files ------------------------------------------------------------------------- */

/* False without memory, or without a CPU to run on. */
bool nodes_build_threads(struct run *run);
void nodes_teardown_threads(struct run *run);
void *nodes_work(void *argument);
void nodes_give_back(struct run *run);
void nodes_measure(struct run *run);
void nodes_look_where(struct run *run);
/* Add up the latency of single frames that CPUs of `from` got of `to`. */
void nodes_pair(const struct run *run, uint32_t from, uint32_t to, struct hist *hist);
void nodes_print(FILE *out, struct run *run, const struct run_sums *sums);
bool nodes_json(struct cJSON *root, struct run *run, const struct run_sums *sums);

/* A memory of the real arena that can be written. */
static inline void *nodes_memory(uint64_t pfn)
{
    return (void *)(uintptr_t)(pfn << QUIRE_FRAME_SHIFT);
}

#endif /* HOST_HARNESS_LOAD_NODES_H */
