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
 * Callbacks. The zones' ports (port.h) are called, for `zero`, `event` and `report`, by a reader of
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
    uint64_t room[3]; /* zero, see version.h */
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
    struct quire_policy policy;   /* the default one; all zero is LOCAL */
    enum quire_cache_mode mode;   /* of the caches */
    uint32_t rounds, huge_rounds; /* of a magazine, see cache.h, QUIRE_CACHE_SIZE_AUTO; where they
                                   * come to more than QUIRE_CACHE_SHARE of a zone, for the CPUs
                                   * that it serves, its magazines get automatic sizes */
    struct quire_machine_port port;
    uint64_t room[8]; /* zero, see version.h */
};

/* The bytes, aligned to 64, that quire_machine_init needs besides what it asks the port for.
 * QUIRE_ERR_NODE: a zone on a node that the topology does not have. QUIRE_ERR_SIZE: no zone, too
 * many, a span of none of them, a zone without a span (what it gives could not be freed), rounds
 * odd or too many. QUIRE_ERR_UNSUPPORTED: an unknown mode, a policy that makes no sense, a port
 * without `memory`, with some of the three functions for readers, or whose mover has no `move`.
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
 * needs the kernel (cache.h). QUIRE_ERR_SIZE: no such CPU. QUIRE_ERR_NODE: no such node. */
int quire_machine_drain_cpu(struct quire_machine *machine, uint32_t cpu);
int quire_machine_drain_node(struct quire_machine *machine, quire_node node);
int quire_machine_drain(struct quire_machine *machine);

/* A CPU goes away, and gives up what it holds. It may come back. QUIRE_ERR_SIZE: no such
 * CPU. */
int quire_machine_retire_cpu(struct quire_machine *machine, uint32_t cpu);

/* To be called now and then, say every second, by anybody: see quire_cache_maintain; idle remote
 * magazines are flushed too. Returns frames given back. */
uint64_t quire_machine_maintain(struct quire_machine *machine);

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
    uint64_t room[8]; /* zero, see version.h */
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
    uint64_t room[8];   /* zero, see version.h */
};
int quire_machine_stats(struct quire_machine *machine, struct quire_machine_stats *stats);

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

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_MACHINE_H */
