/* SPDX-License-Identifier: MIT
 *
 * machine.h - all memory of a machine: nodes, their zones and caches, and who may be served where.
 *
 * This is the interface that a kernel or a program calls. A machine knows which CPU is on which
 * node, which zones a node has and in which order to try them (a zonelist per node and purpose,
 * nearest first). The common allocation and free stay in the magazines of the calling CPU; what a
 * CPU frees of another node's memory serves its next request for that node, or is flushed to its
 * zone in batches.
 *
 * Snapshots. Nodes, zones and zonelists are one immutable snapshot. Hot-plug builds a new one,
 * publishes it, waits until nobody reads the old one, and gives that back. Reading takes no lock
 * and is allowed in every context, a signal handler of a thread that nobody knows included.
 *
 * Callbacks. The zones' ports (port.h) are called, for all but `cpu`, by a reader of
 * the snapshot. They may allocate and free, but a hot-plug call or quire_machine_fini in them would
 * wait for its own caller, for ever: hand such work to another thread. Other hot-plug waits until
 * they return. This machine's own `reclaim` is called by nobody who reads; `migrate` is called by
 * who changes the machine, so that hot-plug calls in it are refused with QUIRE_ERR_BUSY.
 *
 * Bad frees. A free of a frame that the caller does not own is refused, or found out later, as
 * everywhere; but if the frame's zone is removed at the same time, then the free may look at the
 * zone's metadata after quire_machine_remove_zone has returned: it reads there, no more. (A free
 * that hits a magazine counts as no reader: what keeps the zone is that somebody owns the frame.)
 *
 * What a call that is not over, and may be stopped for ever, keeps from a request that is to be
 * refused is that of cache.h, or else one remote magazine, in which a CPU's frees of other nodes'
 * memory wait: 16 frames, 8 runs of order 1, 4 of order 2 or 3, or 2 blocks of order 9. A CPU has
 * four for frames and one for each of these orders, 4.5 MiB in all; runs and blocks wait only if
 * what all CPUs' magazines for their order hold is at most a sixteenth of their zone, and while the
 * zone is far from its watermarks. For a compaction see compact.h.
 *
 * Unless a function says otherwise it is lock-free and callable from any context; it returns 0 or
 * one of enum quire_error, and a failed call changes nothing. A pointer must not be NULL unless the
 * function says that it may be (`why` may always be); nobody looks.
 */
#ifndef QUIRE_MACHINE_H
#define QUIRE_MACHINE_H

#include <quire/cache.h>
#include <quire/compact.h>
#include <quire/pfnmap.h>
#include <quire/topology.h>
#include <quire/zone.h>

#ifdef QUIRE_CPU_HEADER /* see docs/porting.md: the CPU's number, inline */
#include QUIRE_CPU_HEADER
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct quire_machine;

/* ---- What the environment supplies --------------------------------------------------------- */

/* Besides each zone's own port. Functions that may be NULL say what that means. */
struct quire_machine_port {
    void *ctx; /* handed back to every function below */
    /* The number, 0 .. cpu_count-1 of the topology, of the CPU that the caller runs on; it may
     * run on another one the instant after. Any context. NULL: everybody is CPU 0, as is who runs
     * on a CPU that the topology does not know. With QUIRE_CACHE_RSEQ the kernel's number is
     * taken, so the topology must count as the kernel does. */
    uint32_t (*cpu)(void *ctx);
    /* Memory for caches and snapshots on `node` (nearby, if there is none), aligned to 4096, read
     * as zeros; NULL if there is none. Called by init and hot-plug alone. Must not be NULL. A zone
     * out of which it comes cannot be removed before it is given back. */
    void *(*memory)(void *ctx, size_t bytes, quire_node node);
    void (*give_back)(void *ctx, void *memory, size_t bytes, quire_node node);
    /* Readers of snapshots: between enter and leave (which gets what enter returned) nothing that
     * was published is given back. Any context, may nest. wait_for_readers returns when all that
     * were inside have left; thread context, may block. All three or none: then the machine counts
     * readers itself, with two locked operations around what does not hit a magazine. */
    uint32_t (*enter)(void *ctx);
    void (*leave)(void *ctx, uint32_t entered);
    void (*wait_for_readers)(void *ctx);
    /* Called again and again while hot-plug waits for readers, or for a magazine that is
     * taken: let others run. NULL: it spins. */
    void (*relax)(void *ctx);
    /* Free memory on `node` at once, say by writing back or dropping what can be had again: the
     * last resort of a request that would be refused. Called once per request at most, never with
     * QUIRE_NO_CALLBACK, in the requester's context; may allocate with QUIRE_EMERGENCY |
     * QUIRE_NO_CALLBACK. Returns frames freed. NULL: there is no last resort. */
    uint64_t (*reclaim)(void *ctx, quire_node node, uint64_t frames);
    /* Who moves runs for requests with QUIRE_COMPACT, in their context, and for
     * quire_machine_compact unless that names another; stays valid. NULL: nobody. */
    const struct quire_mover *mover;
    /* With QUIRE_CACHE_LOCAL, which needs it: as `ask_drain` of port.h, for the whole machine; the
     * CPU is to call quire_machine_answer. Called by hot-plug, too, which waits for all CPUs of a
     * zone that leaves: false for those that do not run. */
    bool (*ask_drain)(void *ctx, uint32_t cpu);
    uint64_t room[2]; /* zero, see version.h */
};

/* A zone that is already built, and the stretches (of whole blocks) that belong to it. */
struct quire_machine_zone {
    struct quire_zone *zone; /* the handle stays the caller's and must stay valid */
    quire_node node;
};

enum quire_policy_mode {
    QUIRE_POLICY_LOCAL = 0,     /* the CPU's node, then by distance */
    QUIRE_POLICY_PREFERRED = 1, /* the set's nodes, nearest first, then the others */
    QUIRE_POLICY_BIND = 2,      /* the set's nodes alone, nearest first */
    QUIRE_POLICY_NEAREST = 3,   /* the nearest node with memory alone */
    QUIRE_POLICY_INTERLEAVE =
        4,                     /* the set's nodes in turn; if one has none, the next by distance */
    QUIRE_POLICY_WEIGHTED = 5, /* likewise, weight[i] times node i before the next */
};

struct quire_policy {
    enum quire_policy_mode mode;
    bool strict;          /* no second choice: the first node that the mode names, or a refusal */
    quire_nodemask nodes; /* PREFERRED, BIND, INTERLEAVE, WEIGHTED */
    uint8_t weight[QUIRE_NODES]; /* WEIGHTED: 1 .. 255 for each node of the set */
    uint64_t room[2];            /* zero, see version.h */
};

struct quire_machine_config {
    const struct quire_topology *topology; /* copied, then checked by quire_topology_check */
    const struct quire_machine_zone *zones;
    size_t zone_count;
    const struct quire_pfnmap_span *spans; /* which frames belong to which of zones[]; copied */
    size_t span_count;
    struct quire_policy policy; /* the default one; all zero is LOCAL */
    enum quire_cache_mode mode; /* of the caches. With QUIRE_CACHE_LOCAL who calls keeps to its CPU
                                 * (cache.h), but in hot-plug calls, which leave that to the port's
                                 * `ask_drain` */
    uint32_t rounds, huge_rounds; /* of a magazine, see cache.h, QUIRE_CACHE_SIZE_AUTO; where they
                                   * come to more than QUIRE_CACHE_SHARE of a zone, for the CPUs
                                   * that it serves, its magazines get automatic sizes */
    struct quire_machine_port port;
    uint32_t give_back_after; /* blocks that were free for so many calls of quire_machine_maintain,
                               * 1 .. 65535, are given back, if their zone's port can; 0: none */
    struct quire_keep keep;   /* of each node, see compact.h; quire_machine_keep for others */
    uint64_t room[6];         /* zero, see version.h */
};

/* The bytes, aligned to 64, that quire_machine_init needs besides what it asks the port for.
 * QUIRE_ERR_NODE: a zone on a node that the topology does not have. QUIRE_ERR_SIZE: no zone, too
 * many, a span of none of them, a zone without a span (what it gives could not be freed), rounds
 * odd or too many, give_back_after above 65535, something to keep and no budget, or a budget for
 * nothing. QUIRE_ERR_UNSUPPORTED: an unknown mode, a policy that makes no sense, a port without
 * `memory`, with some of the three functions for readers, or whose mover has no `move`; something
 * to keep and a port without mover; QUIRE_CACHE_LOCAL and a port without `cpu` or `ask_drain`.
 * Wait-free. */
int quire_machine_size(const struct quire_machine_config *config, size_t *bytes);

/* Build a machine in `memory`. Thread only, blocking in what the port's `memory` blocks. Errors as
 * above; QUIRE_ERR_NO_MEMORY: the port gave none; QUIRE_ERR_ALIGN: spans or `memory`;
 * QUIRE_ERR_UNSUPPORTED: a zone without frame bytes (struct quire_zone_config); or what
 * quire_topology_check, quire_pfnmap_size and quire_cache_size say. */
int quire_machine_init(const struct quire_machine_config *config, void *memory, size_t bytes,
                       struct quire_machine **machine);

/* Give all caches back to the zones and the port's memory back to the port. The zones stay. Nobody
 * may use the machine any more. Thread only, blocking. */
void quire_machine_fini(struct quire_machine *machine);

/* ---- Frames -------------------------------------------------------------------------------- */

/* What memory is for: the least scarce zones that may give it. NORMAL may fall back to DMA32 and
 * DMA, HUGE to NORMAL and so on; DEVICE to none. Requests below order 9 enter HUGE only if they are
 * movable. */
enum quire_purpose {
    QUIRE_FOR_NORMAL = 0,
    QUIRE_FOR_DMA = 1,
    QUIRE_FOR_DMA32 = 2,
    QUIRE_FOR_HUGE = 3,
    QUIRE_FOR_DEVICE = 4,
};

/* The purpose that begins with this type of zone. */
static inline enum quire_purpose quire_purpose_of(enum quire_zone_type type)
{
    if (type == QUIRE_ZONE_NORMAL)
        return QUIRE_FOR_NORMAL;
    return (enum quire_purpose)(type < QUIRE_ZONE_NORMAL ? (unsigned)type + 1 : (unsigned)type);
}

/* Near whom memory is wanted: as if a CPU of that node asked. All zero: the caller's. */
typedef struct quire_near {
    uint32_t n; /* the node's number + 1 */
} quire_near;

/* Near `node`; QUIRE_NO_NODE: near the caller. */
static inline quire_near quire_near_of(quire_node node)
{
    quire_near near_node = {node.n + 1};
    return near_node;
}

/* Everything that a request can say. All zero is an order-0 request of QUIRE_FOR_NORMAL, near the
 * caller, by the machine's policy: what quire_machine_alloc asks. */
struct quire_request {
    unsigned order;
    uint32_t flags; /* enum quire_flags */
    enum quire_purpose purpose;
    quire_near near_node;
    const struct quire_policy *policy; /* NULL: the machine's */
    uint64_t room[2];                  /* zero, see version.h */
};

/* A request of this order with these flags, all else zero. */
static inline struct quire_request quire_request_of(unsigned order, uint32_t flags)
{
    struct quire_request request = {order, flags, QUIRE_FOR_NORMAL, {0}, NULL, {0}};
    return request;
}

/* Why a request was refused. */
struct quire_refusal {
    int error;
    quire_node node;           /* the first node that was asked and had none */
    enum quire_zone_type zone; /* its zone */
    uint32_t tried;            /* zones that were asked */
    uint64_t room[2];          /* zero, see version.h */
};

/* Allocate 2^order frames, QUIRE_FOR_NORMAL, by the default policy. QUIRE_ERR_SIZE: order.
 * QUIRE_ERR_NO_MEMORY: all zones of the list refused, after caches were drained and the port's
 * reclaim was asked. QUIRE_ERR_UNSUPPORTED: flags; QUIRE_COMPACT where the port has no mover, of
 * an order that is not 9 to QUIRE_COMPACT_MAX_ORDER, or with QUIRE_NO_CALLBACK. QUIRE_ERR_ZONE,
 * QUIRE_ERR_NODE: as for quire_machine_request, by the default policy. With QUIRE_ZEROED: what the
 * zone's `zero` returned. */
int quire_machine_alloc(struct quire_machine *machine, unsigned order, uint32_t flags,
                        quire_pfn *pfn);

/* The same for whatever a request says. QUIRE_ERR_UNSUPPORTED: also an unknown purpose or policy.
 * QUIRE_ERR_NODE: a node that does not exist, a set without any node that is in reach of the asking
 * one (topology.h) and has memory for this purpose.
 * Out of memory has two names, and which it is the caller can tell beforehand. QUIRE_ERR_ZONE: the
 * request confines itself, by a purpose of DMA, DMA32 or DEVICE, or by its policy (else the
 * machine's): one that is strict, or of mode BIND or NEAREST. The zones that it left are depleted,
 * others may not be: it may ask again without that. QUIRE_ERR_NO_MEMORY: all others; every zone
 * below its purpose was asked. *why, if not NULL, is filled after an error. */
int quire_machine_request(struct quire_machine *machine, const struct quire_request *request,
                          quire_pfn *pfn, struct quire_refusal *why);

/* Free what any of these functions allocated. Errors as quire_zone_free, at once wherever the frame
 * lies: QUIRE_ERR_DOUBLE_FREE also if it is in a cache or a remote magazine. What two frees of one
 * run at the same instant come to: see quire_cache_free. QUIRE_ERR_FRAME of a frame that is in no
 * zone's spans is told to the caller alone. */
int quire_machine_free(struct quire_machine *machine, quire_pfn pfn, unsigned order);

/* The same, of frames that the caller has zeroed: see quire_zone_free_zeroed. They go by the caches
 * to their zone. */
int quire_machine_free_zeroed(struct quire_machine *machine, quire_pfn pfn, unsigned order);

/* n single frames; request->order must be 0. As quire_zone_alloc_batch: all from zones of the
 * request's list, all or nothing unless QUIRE_PARTIAL: then a strict interleaving policy leaves out
 * what was a depleted node's turn, as single requests would, and a refusal means that each zone of
 * the list had not one frame for it at some moment of the call. */
int quire_machine_alloc_batch(struct quire_machine *machine, const struct quire_request *request,
                              size_t n, quire_pfn pfns[], size_t *got, struct quire_refusal *why);

/* Free n single frames of any nodes, all or none: an error means that nothing changed. *bad, if not
 * NULL, is the place of the first bad one: of what is named twice, the second. Errors as
 * quire_machine_free, at once wherever a frame lies; QUIRE_ERR_SIZE: n is 0. */
int quire_machine_free_batch(struct quire_machine *machine, const quire_pfn pfns[], size_t n,
                             size_t *bad);

/* A run under constraints, see quire_zone_alloc_contig; request->order is not read. */
int quire_machine_alloc_contig(struct quire_machine *machine, const struct quire_request *request,
                               const struct quire_contig *want, quire_pfn *pfn,
                               struct quire_refusal *why);

/* Free such a run, by its exact length. Errors as quire_zone_free_contig; QUIRE_ERR_FRAME: in no
 * zone. */
int quire_machine_free_contig(struct quire_machine *machine, quire_pfn pfn, uint64_t frames);

/* Turn the caller's run of exactly `frames` frames, however it was allocated, into single frames of
 * its; with the flag QUIRE_MOVABLE they may be moved (compact.h). Errors as
 * quire_zone_split_contig; QUIRE_ERR_FRAME: in no zone. O(frames). */
int quire_machine_split(struct quire_machine *machine, quire_pfn pfn, uint64_t frames,
                        uint32_t flags);

/* Turn the caller's run of 2^order frames, order 10 or more, into runs of order 9. Errors as
 * quire_zone_split_blocks; QUIRE_ERR_FRAME: in no zone. */
int quire_machine_split_blocks(struct quire_machine *machine, quire_pfn pfn, unsigned order);

/* Turn the caller's 512 single frames at `pfn` into one run of order 9. Errors as quire_zone_join;
 * QUIRE_ERR_FRAME: in no zone. */
int quire_machine_join(struct quire_machine *machine, quire_pfn pfn);

/* Free single frames in a row, all or none, as a batch is freed, but of one zone and without a list
 * of them. Errors as quire_zone_free_range; QUIRE_ERR_FRAME: in no zone, or in two. O(frames). */
int quire_machine_free_range(struct quire_machine *machine, quire_pfn pfn, uint64_t frames);

/* Free a part of the caller's run, which was allocated as one; what is left of it are single frames
 * of the caller's, for quire_machine_free_range, say. Flags as quire_machine_split, for those.
 * Errors as quire_zone_free_part; QUIRE_ERR_FRAME: in no zone. O(frames of the run). */
int quire_machine_free_part(struct quire_machine *machine, struct quire_run run,
                            struct quire_run part, uint32_t flags);

/* Where a frame is. QUIRE_ERR_FRAME: nowhere. Wait-free. The zone stays valid while the caller
 * holds a frame of it, or keeps hot-plug away. */
int quire_machine_find(struct quire_machine *machine, quire_pfn pfn, quire_node *node,
                       struct quire_zone **zone);

/* ---- Mempools: frames set aside ahead of need ----------------------------------------------- */

/* A private pool of single frames. The structure and the array are the caller's. */
struct quire_mempool {
    quire_pfn *pfns;
    uint64_t left __attribute__((aligned(8))); /* atomic: use the functions */
    uint64_t room[2];                          /* zero, see version.h */
};

/* Move n single frames into a mempool, at once or not at all. Errors as quire_machine_alloc_batch.
 */
int quire_mempool_fill(struct quire_machine *machine, const struct quire_request *request, size_t n,
                       quire_pfn pfns[], struct quire_mempool *mempool, struct quire_refusal *why);

/* Take one: never fails while the mempool has any. QUIRE_ERR_NO_MEMORY: it is empty. Any number of
 * callers at once. */
int quire_mempool_take(struct quire_mempool *mempool, quire_pfn *pfn);

/* Free what is left. Nobody may take meanwhile. Errors as quire_machine_free_batch. */
int quire_mempool_release(struct quire_machine *machine, struct quire_mempool *mempool);

/* ---- Caches -------------------------------------------------------------------------------- */

/* Give back what caches hold: of one CPU, of a node's zones, of all. Blocking only where rseq
 * needs the kernel, or in local mode where the port's `ask_drain` waits (cache.h). QUIRE_ERR_SIZE:
 * no such CPU. QUIRE_ERR_NODE: no such node. */
int quire_machine_drain_cpu(struct quire_machine *machine, uint32_t cpu);
int quire_machine_drain_node(struct quire_machine *machine, quire_node node);
int quire_machine_drain(struct quire_machine *machine);

/* A CPU goes away, and gives up what it holds. It may come back. With QUIRE_CACHE_LOCAL: it runs
 * nothing by now that allocates or frees, but for the caller if it is its own
 * (quire_cache_retire_cpu). QUIRE_ERR_SIZE: no such CPU. */
int quire_machine_retire_cpu(struct quire_machine *machine, uint32_t cpu);

/* With QUIRE_CACHE_LOCAL: quire_cache_answer for all caches of the machine. Who calls stays on its
 * CPU until it returns. Any context. */
void quire_machine_answer(struct quire_machine *machine);

/* To be called now and then, say every second, by anybody: see quire_cache_maintain; idle remote
 * magazines are flushed too. Returns frames that caches gave back to their zones. It also begins
 * another age in each zone (zone.h), and gives back what was free for `give_back_after` of them: so
 * it calls the `discard` of zones, where the machine was built to. Then, if a node is to keep whole
 * blocks (`keep`, compact.h) and has fewer, it compacts that node, within the budget: as
 * quire_machine_compact, in whose context it is then, and beside a change of the machine not at
 * all. A node where nothing could be won is left alone for the next 1, 2, 4, 8, then 16 calls. */
uint64_t quire_machine_maintain(struct quire_machine *machine);

/* Give back free blocks of a node's zones, or of all zones (QUIRE_NO_NODE), to whoever is outside,
 * as quire_zone_give_back; `keep` is of all these zones together. Their caches are drained before.
 * *frames says how many frames went. QUIRE_ERR_UNSUPPORTED: none of these zones' ports has a
 * `discard`. QUIRE_ERR_NODE: no such node. QUIRE_ERR_SIZE: idle. What a `discard` answered, if not
 * one block went. Thread only if a `discard` is. */
int quire_machine_give_back(struct quire_machine *machine, quire_node node,
                            const struct quire_give_back *how, uint64_t *frames);

/* Zero up to `most` free frames of a node's zones, or of all (QUIRE_NO_NODE), ahead of need: see
 * quire_zone_zero_idle. *frames says how many. QUIRE_ERR_UNSUPPORTED: no zone of these can be
 * zeroed. QUIRE_ERR_NODE: no such node. What a `zero` answered, if nothing was zeroed. */
int quire_machine_zero_idle(struct quire_machine *machine, quire_node node, uint64_t most,
                            uint64_t *frames);

/* ---- Hot-plug. Thread only, blocking: each waits for readers. One at a time: QUIRE_ERR_BUSY. - */

/* Put another zone into service: `spans` are its frames, and their zone numbers are not read.
 * QUIRE_ERR_BUSY: frames that another zone has, or the zone is in service already. QUIRE_ERR_NODE:
 * no such node in the topology. Others as quire_machine_init. */
int quire_machine_add_zone(struct quire_machine *machine, const struct quire_machine_zone *zone,
                           const struct quire_pfnmap_span spans[], size_t count);

/* Take a zone out of service, so that its metadata can be given back. The memory of its caches, and
 * a page for its name, stay the machine's until the end, as late hits may look at them, and serve
 * again if a zone of the same node, type, size and longest span is added. QUIRE_ERR_BUSY: a frame
 * of it is still allocated, to the port's `memory` say (bringup.h: zones that may leave).
 * QUIRE_ERR_FRAME: it is not in service. QUIRE_ERR_NO_MEMORY: the port gave none; the zone may then
 * take frees alone, until it is removed after all. */
int quire_machine_remove_zone(struct quire_machine *machine, struct quire_zone *zone);

/* Another topology: nodes may be added, CPUs may move, distances change; nodes that have zones must
 * stay. What the port gives for caches is kept for topologies to come: at most 16 caches a zone.
 * QUIRE_ERR_NODE: one would not. Others as quire_machine_init. */
int quire_machine_set_topology(struct quire_machine *machine,
                               const struct quire_topology *topology);

/* The owner of a frame is asked to move its contents elsewhere and to free it: 0 if it did. */
typedef int quire_migrate(void *ctx, quire_pfn pfn, uint64_t frames);

/* What stood in the way of offlining. */
struct quire_blocker {
    quire_pfn pfn;
    uint64_t frames;
};

/* Take frames out of use, whether free or not: used ones are offered to `migrate`, if not NULL, up
 * to three times each. QUIRE_ERR_BUSY: some are still used; nothing has changed but what was
 * migrated, and blockers[0 .. *count-1] say which (as many as there is room for; *count may be
 * larger). Allocation goes on meanwhile, and what is freed in the range is not handed out again.
 * The run must be whole blocks of one zone and of holes in it: errors as quire_zone_isolate.
 * QUIRE_ERR_FRAME: also if all of it is holes, if blocks of it are of two zones, or if one is
 * offline already. QUIRE_ERR_NO_MEMORY: the port gave none for the lists, of which a record of 65
 * bytes a block stays until the range is online again. QUIRE_ERR_BUSY: also if these lists lie in
 * the range, as a `memory` of the port's own may have it (that of bringup.h gives other frames).
 * `count` may be NULL, and `blockers` if `room` is 0. */
int quire_machine_offline(struct quire_machine *machine, struct quire_run run,
                          quire_migrate *migrate, void *ctx, struct quire_blocker blockers[],
                          size_t room, size_t *count);

/* Put back into use what offlining took: frames of the range that were reserved before stay so. The
 * run may be a part of what was offlined by one call, in whole blocks. QUIRE_ERR_FRAME: not all of
 * it is, or somebody has unreserved a frame of it in the zone. QUIRE_ERR_ALIGN: not whole blocks.
 * QUIRE_ERR_SIZE: no frames. When a zone is removed what is offline of it is forgotten. */
int quire_machine_online(struct quire_machine *machine, struct quire_run run);

/* ---- Figures -------------------------------------------------------------------------------- */

/* As Linux's numastat counts them, in calls that got memory. */
enum quire_node_count {
    QUIRE_NODE_HIT = 0,        /* wanted here, given here */
    QUIRE_NODE_MISS = 1,       /* wanted elsewhere, given here */
    QUIRE_NODE_FOREIGN = 2,    /* wanted here, given elsewhere */
    QUIRE_NODE_INTERLEAVE = 3, /* of the hits, by an interleaving policy */
    QUIRE_NODE_LOCAL = 4,      /* given here to a CPU of this node */
    QUIRE_NODE_OTHER = 5,      /* given here to a CPU of another node */
};
enum { QUIRE_NODE_COUNTS = 6, QUIRE_NODE_COUNTS_ROOM = 8 };

struct quire_node_stats {
    uint64_t managed, free, cached; /* frames; cached ones are not among the free */
    uint64_t remote;                /* frames of this node in other nodes' CPUs' remote magazines */
    uint64_t counts[QUIRE_NODE_COUNTS_ROOM];
    unsigned pressure; /* the worst of its zones, 0 .. 100 */
    uint32_t zones;
    uint64_t gone;    /* of the free frames: given back (quire_machine_give_back) */
    uint64_t room[7]; /* zero, see version.h */
};

/* Exact while nobody uses the machine. O(CPUs + zones). QUIRE_ERR_NODE: no such node. Wait-free. */
int quire_machine_node_stats(struct quire_machine *machine, quire_node node,
                             struct quire_node_stats *stats);

struct quire_machine_stats {
    uint64_t managed, free, cached, remote;
    uint64_t metadata_bytes; /* zones, caches, snapshot, per-CPU */
    uint64_t zonelist_bytes;
    uint64_t snapshots; /* published since the machine was built */
    uint64_t reclaims;  /* last resorts taken */
    uint64_t gone;      /* of the free frames: given back */
    uint64_t room[7];   /* zero, see version.h */
};
int quire_machine_stats(struct quire_machine *machine, struct quire_machine_stats *stats);

/* What the frames of a range are, of all zones that have some of it: as quire_zone_range_stats, but
 * that `frames` are those that zones have. QUIRE_ERR_FRAME: no zone has any. QUIRE_ERR_SIZE: no
 * frames, or beyond the last pfn. Wait-free, O(frames). */
int quire_machine_range_stats(struct quire_machine *machine, struct quire_run range,
                              struct quire_range_stats *stats);

/* The zonelist of a node for a purpose: node and type of each zone, in order. *count may be larger
 * than `room`; `entries` may be NULL if that is 0. QUIRE_ERR_NODE, QUIRE_ERR_UNSUPPORTED: no such
 * node, type. Wait-free. */
struct quire_zonelist_entry {
    quire_node node;
    enum quire_zone_type type;
    uint32_t zone; /* the zone's id */
};
int quire_machine_zonelist(struct quire_machine *machine, quire_node node,
                           enum quire_zone_type type, struct quire_zonelist_entry entries[],
                           size_t room, size_t *count);

/* Copy the topology in force. */
void quire_machine_topology(struct quire_machine *machine, struct quire_topology *topology);

/* ---- Frames by kind of owner ---------------------------------------------------------------- */

/* How many frames are page tables, slabs, user memory and so on: counts, which may always be on.
 * All of it is inline, around the calls above.
 *
 * Who asks for frames says what they are for, and says it again when it frees them, as it says the
 * order. So no frame has to remember its kind, and a hit of the machine pays for the count alone:
 * one addition to a line of the CPU's own. Where callers keep to their CPU, interrupts and NMIs
 * excepted, which come back to where they came from, it is no locked one, and a call takes three or
 * four instructions more (quire_kinds_count_here). struct quire_owners of heap.h finds the kind by
 * itself, and tells callers and times too; that costs some 50 instructions a call, and memory for
 * each frame.
 *
 * A frame that becomes another kind's is counted down there and up here. A free that says another
 * kind than the allocation did is the caller's mistake: it shows as a kind that has fewer frames
 * than none, which quire_kinds_report names.
 *
 * Wait-free besides what is asked of the machine, and callable from any context. */

/* Kinds of owners, 4 bits. From QUIRE_KIND_KERNEL on they are the kernel's own. */
enum quire_kind {
    QUIRE_KIND_NONE = 0, /* not said: not counted */
    QUIRE_KIND_TABLE = 1,
    QUIRE_KIND_SLAB = 2,
    QUIRE_KIND_USER = 3,
    QUIRE_KIND_PAGE_CACHE = 4,
    QUIRE_KIND_BUFFER = 5,
    QUIRE_KIND_STACK = 6,
    QUIRE_KIND_KERNEL = 8,
};
enum { QUIRE_KINDS = 16 };

/* What a CPU counted, by kind. One that frees what another allocated goes below 0, and wraps
 * around; the sum is right. Private, atomic. */
struct quire_kinds_line {
    size_t frames[QUIRE_KINDS];
} __attribute__((aligned(64)));

/* The counts of a machine. The caller fills it, before the first call. */
struct quire_kinds {
    struct quire_kinds_line *lines; /* `cpus` of them, all zero; the caller's */
    uint32_t cpus;                  /* at least 1 */
    bool local; /* who counts keeps to its CPU until the call is over, as with QUIRE_CACHE_LOCAL,
                 * and all CPUs' numbers are below `cpus`. Else a count is a locked instruction */
    uint32_t (*cpu)(void *ctx); /* the caller's CPU. NULL: 0. Not asked with QUIRE_CPU_HEADER */
    void *ctx;
    uint64_t room[2]; /* zero, see version.h */
};

/* Frames of one kind, as a source of them is made of (paging.h, file.h). */
struct quire_kind_source {
    struct quire_machine *machine;
    const struct quire_kinds *kinds;
    enum quire_kind kind;
    uint64_t room[2]; /* zero, see version.h */
};

/* A lower-case name for what has this kind, "page tables"; NULL: it has none, as the kernel's own.
 */
static inline const char *quire_kind_name(enum quire_kind kind)
{
    static const char *const kind_names[QUIRE_KIND_KERNEL] = {
        "others", "page tables", "slabs", "user pages", "page cache", "buffers", "stacks", NULL,
    };

    return (unsigned)kind < QUIRE_KIND_KERNEL ? kind_names[kind] : NULL;
}

/* An addition that nothing on this CPU comes in the middle of; other CPUs do not write the line. On
 * x86 one instruction without the lock prefix. */
static inline void quire_kinds_add_local(struct quire_kinds_line *line, enum quire_kind kind,
                                         ptrdiff_t frames)
{
    unsigned at = (unsigned)kind % QUIRE_KINDS;

#if defined(__x86_64__) && defined(__LP64__)
    __asm__ volatile("addq %1, %0" : "+m"(line->frames[at]) : "er"(frames) : "cc");
#elif defined(__i386__)
    __asm__ volatile("addl %1, %0" : "+m"(line->frames[at]) : "ri"(frames) : "cc");
#else
    (void)__atomic_fetch_add(&line->frames[at], (size_t)frames, __ATOMIC_RELAXED); /* a figure */
#endif
}

/* So many frames more, or less, of this kind: by a caller who is on this CPU, below `cpus`, and
 * stays there until the call is over, and all who count do so. */
static inline void quire_kinds_count_here(const struct quire_kinds *kinds, uint32_t cpu,
                                          enum quire_kind kind, ptrdiff_t frames)
{
    quire_kinds_add_local(&kinds->lines[cpu], kind, frames);
}

/* The same by any caller: also for what the functions below do not count, say batches, and runs
 * under constraints. */
static inline void quire_kinds_count(const struct quire_kinds *kinds, enum quire_kind kind,
                                     ptrdiff_t frames)
{
#ifdef QUIRE_CPU_HEADER
    uint32_t cpu = quire_this_cpu();
#else
    uint32_t cpu = kinds->cpu ? kinds->cpu(kinds->ctx) : 0;
#endif
    struct quire_kinds_line *counts = &kinds->lines[cpu < kinds->cpus ? cpu : 0];

    if (kinds->local)
        quire_kinds_add_local(counts, kind, frames);
    else
        (void)__atomic_fetch_add(&counts->frames[(unsigned)kind % QUIRE_KINDS], (size_t)frames,
                                 __ATOMIC_RELAXED); /* a figure */
}

/* quire_machine_alloc, _request and _free, with their errors, and the count if they succeed. */
static inline int quire_kinds_alloc(const struct quire_kinds *kinds, struct quire_machine *m,
                                    unsigned order, uint32_t flags, enum quire_kind kind,
                                    quire_pfn *pfn)
{
    int error = quire_machine_alloc(m, order, flags, pfn);

    if (!error)
        quire_kinds_count(kinds, kind, (ptrdiff_t)1 << order);
    return error;
}

static inline int quire_kinds_request(const struct quire_kinds *kinds, struct quire_machine *m,
                                      const struct quire_request *request, enum quire_kind kind,
                                      quire_pfn *pfn, struct quire_refusal *why)
{
    int error = quire_machine_request(m, request, pfn, why);

    if (!error)
        quire_kinds_count(kinds, kind, (ptrdiff_t)1 << request->order);
    return error;
}

static inline int quire_kinds_free(const struct quire_kinds *kinds, struct quire_machine *m,
                                   quire_pfn pfn, unsigned order, enum quire_kind kind)
{
    int error = quire_machine_free(m, pfn, order);

    if (!error)
        quire_kinds_count(kinds, kind, -((ptrdiff_t)1 << order));
    return error;
}

/* How many frames owners of this kind have; of QUIRE_KIND_NONE no sensible number. Exact while
 * nobody is at work. Below 0: more were freed by this kind than were asked for. */
static inline int64_t quire_kinds_frames(const struct quire_kinds *kinds, enum quire_kind kind)
{
    size_t sum = 0;

    for (uint32_t cpu = 0; cpu < kinds->cpus; cpu++)
        sum += __atomic_load_n(&kinds->lines[cpu].frames[(unsigned)kind % QUIRE_KINDS],
                               __ATOMIC_RELAXED); /* a figure */
    return (ptrdiff_t)sum;
}

/* All kinds. Of QUIRE_KIND_NONE: the frames of the machine that are in use (managed, neither free
 * nor in a cache) and that no other kind has. Exact while nobody is at work. QUIRE_ERR_DAMAGED: a
 * kind has fewer than none: *fault, if not NULL, names it in `where`, and in `found` how many are
 * missing. O(CPUs and zones). */
static inline int quire_kinds_report(const struct quire_kinds *kinds, struct quire_machine *m,
                                     int64_t frames[QUIRE_KINDS], struct quire_fault *fault)
{
    struct quire_machine_stats stats;
    int64_t of_kinds = 0;

    (void)quire_machine_stats(m, &stats); /* it refuses nobody */
    for (unsigned kind = QUIRE_KIND_NONE + 1; kind < QUIRE_KINDS; kind++) {
        frames[kind] = quire_kinds_frames(kinds, (enum quire_kind)kind);
        of_kinds += frames[kind];
    }
    frames[QUIRE_KIND_NONE] =
        (int64_t)(stats.managed - stats.free - stats.cached - stats.remote) - of_kinds;
    for (unsigned kind = 0; kind < QUIRE_KINDS; kind++) {
        if (frames[kind] >= 0)
            continue;
        if (fault) {
            fault->what = "a kind has fewer frames than none";
            fault->where = fault->other = kind;
            fault->found = (uint64_t)-frames[kind];
            fault->expected = 0;
            fault->error = QUIRE_ERR_DAMAGED;
        }
        return QUIRE_ERR_DAMAGED;
    }
    return QUIRE_OK;
}

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_MACHINE_H */
