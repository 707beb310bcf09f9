/* SPDX-License-Identifier: MIT
 *
 * host.h - memory of this machine's nodes, for a program: a database's buffer pool, a virtual
 * machine's memory, buffers for devices. A library of its own, libquire-host (Linux).
 *
 * A host takes an *arena* on each node: address space whose pages the kernel takes from that node
 * and no other, when they are touched first. The arenas' frames are the zones of a machine
 * (machine.h), with its policies, caches and figures. A frame's number is its address divided by
 * 4096, so frame and pointer are the same thing in two units, a run of an order is aligned to its
 * size in memory too, and constraints of struct quire_contig speak of addresses.
 *
 * Nodes are counted from 0 without holes, as in topology.h; node_id[] of quire_machine_topology has
 * the numbers that Linux uses.
 *
 * Threads. Every function may be called by any thread at any time unless it says otherwise, and
 * `alloc`, `request` and `free` in a signal handler too, also one of a thread that the host has
 * never seen. Threads that call quire_host_thread_enter are cheaper to keep apart from hot-plug.
 *
 * fork. The child has a private copy of the arenas and of what is allocated, and may allocate and
 * free at once, whatever other threads were doing: no lock is held over fork. Frames that another
 * thread was just taking or giving are lost to the child. It has no reclaim thread; it may destroy
 * its copy, but not change the machine (the hot-plug calls of machine.h).
 *
 * Functions return 0 or one of enum quire_error, and a failed call changes nothing. Where it was
 * the system that refused, errno says why; otherwise errno is left alone. A pointer must not be
 * NULL unless the function says that it may be (a refusal's `why` may always be); nobody looks.
 */
#ifndef QUIRE_HOST_H
#define QUIRE_HOST_H

#include <quire/machine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct quire_host;

/* Which pages an arena is made of. */
enum quire_host_pages {
    QUIRE_HOST_PAGES_SMALL = 0,  /* what the system gives, usually 4 KiB */
    QUIRE_HOST_PAGES_ADVISE = 1, /* 2 MiB where the kernel finds them: madvise(MADV_HUGEPAGE) */
    QUIRE_HOST_PAGES_HUGE = 2,   /* 2 MiB, out of the pool of each node (nr_hugepages), all taken
                                  * at once so that there is no surprise later */
};

/* Free memory on `node`, about `frames` frames of it; `ctx` is the options'. Returns how many
 * frames were freed; 0 says that there is nothing to be had for now. May allocate, with
 * QUIRE_EMERGENCY | QUIRE_NO_CALLBACK. */
typedef uint64_t quire_host_reclaim(void *ctx, quire_node node, uint64_t frames);

/* A free was refused, or found out later to be a bad one: of `memory` and `order`, because of
 * `error`. What goes wrong in the caller's hands is told at once and with the order that it gave.
 * QUIRE_HOST_NO_ORDER: it was not freed by order, but as a contiguous run; or the order is not
 * known any more, as a cache took the frame, and the fault shows only where the cache gives it
 * back. With QUIRE_BLOCK_ORDER and QUIRE_ERR_DOUBLE_FREE it may also be a block that bad frees
 * damaged while they raced, and that is set aside for good.
 *
 * Called by who noticed it, with nothing held: the caller of the bad free, any later call that
 * gives frames of a cache back, or the host's own thread; so in a signal handler if that is where
 * it happens. It may allocate, free and ask for figures of this host; not destroy it, nor call what
 * changes the machine (hot-plug), which would wait for its own caller. A bad free that it commits
 * is reported as well. */
typedef void quire_host_report(void *ctx, void *memory, unsigned order, int error);
enum { QUIRE_HOST_NO_ORDER = 255 };

/* All zero but `bytes` is a good start. */
struct quire_host_options {
    uint64_t bytes;             /* of each node that has memory, a multiple of 2 MiB */
    const uint64_t *node_bytes; /* if not NULL: of node i, instead; 0 for none */
    uint32_t node_bytes_count;  /* length of node_bytes[]; nodes past it get none */
    enum quire_host_pages pages;
    struct quire_policy policy; /* the default one; all zero is LOCAL */
    void *ctx;
    /* Called on a thread of the host's own, which sleeps until a zone falls below its low
     * watermark, and until that is back at high. NULL: nothing is reclaimed in the background. */
    quire_host_reclaim *reclaim;
    /* The last resort of a request that would be refused, called by the requester: so in a signal
     * handler if that is where it allocates. NULL: it is refused. */
    quire_host_reclaim *last_resort;
    quire_host_report *report; /* NULL: the caller of the bad free gets its error, nobody else */
    /* Watermarks of each node, in frames, min <= low <= high. Ordinary requests leave `min` frames
     * of a node to QUIRE_HIGH (down to min / 2) and QUIRE_EMERGENCY (all); `reclaim` is called
     * below `low` until `high` is there. All zero: min is 8 sqrt(frames) and at most a 32nd, which
     * is 3.1 % of a node's bytes up to 256 MiB, 1.6 % of 1 GiB, 0.2 % of 64 GiB; low and high lie a
     * quarter and a half of min above it. */
    uint64_t min, low, high;
    bool keep_nothing; /* no watermarks at all: they are 0, and `reclaim` must be NULL */
    /* No thread: `reclaim` must be NULL, and somebody else calls quire_machine_maintain. */
    bool no_thread;
    /* If not NULL: what is wrong, after an error of quire_host_create that an option is the reason
     * for, or the machine's topology; `where` is a node. */
    struct quire_fault *fault;
    uint64_t room[8]; /* zero, see version.h */
};

/* What a node of this machine has, before anything is taken of it. */
struct quire_host_node {
    uint32_t os_node;    /* Linux's number */
    uint32_t cpus;       /* that are configured, switched on or not */
    uint64_t bytes;      /* of memory, the most that quire_host_create takes; 0: there is none, or
                          * this process may not have it */
    uint64_t free_bytes; /* of it, in use by nobody at the moment */
    uint64_t huge_bytes; /* free in its pool of 2 MiB pages: for QUIRE_HOST_PAGES_HUGE */
    uint64_t room[4];    /* zero, see version.h */
};

/* Ask the system about a node, counted from 0 without holes. QUIRE_ERR_NODE: no such node. Thread
 * only, blocking. */
int quire_host_node(quire_node node, struct quire_host_node *what);

/* Take arenas on this machine's nodes and build zones and machine over them. Thread only, blocking.
 * QUIRE_ERR_SIZE: bytes not a multiple of 2 MiB, none at all, more than the node has; a weight of 0
 * for a node of the policy's set; watermarks that are out of order, or above what a node is given,
 * or set beside `keep_nothing`. QUIRE_ERR_NODE: bytes for a node that does not exist or has no
 * memory, or a policy that names none of the nodes. QUIRE_ERR_UNSUPPORTED: the kernel does not bind
 * memory to nodes or has no huge pages, an unknown kind of pages or policy, or `reclaim` with
 * `no_thread` or `keep_nothing`, where nobody would call it. QUIRE_ERR_NO_MEMORY: no address space,
 * no thread, or too few huge pages in a node's pool. */
int quire_host_create(const struct quire_host_options *options, struct quire_host **host);

/* Give everything back, whether it is allocated or not. Nobody may be in a call any more. NULL is
 * welcome. Thread only, blocking. */
void quire_host_destroy(struct quire_host *host);

/* ---- Memory --------------------------------------------------------------------------------- */

/* Allocate 2^order pages by the default policy. What is in them is left over from their last user,
 * unless QUIRE_ZEROED. Errors as quire_machine_alloc. Lock-free, any context. */
int quire_host_alloc(struct quire_host *host, unsigned order, uint32_t flags, void **memory);

/* The same by a policy, near a node. Errors as quire_machine_request. Lock-free, any context. */
int quire_host_request(struct quire_host *host, const struct quire_request *request, void **memory,
                       struct quire_refusal *why);

/* Free what either of them gave. Errors as quire_machine_free, and QUIRE_ERR_ALIGN: not the address
 * of a page. Lock-free, any context. */
int quire_host_free(struct quire_host *host, void *memory, unsigned order);

/* n single pages at once, memory[0 .. n-1]; request->order must be 0. Errors as
 * quire_machine_alloc_batch, after which memory[] is all NULL; *got pages with QUIRE_PARTIAL, n
 * otherwise. Lock-free, any context. */
int quire_host_alloc_batch(struct quire_host *host, const struct quire_request *request, size_t n,
                           void *memory[], size_t *got, struct quire_refusal *why);

/* Free n single pages, all or none. As quire_machine_free_batch, and QUIRE_ERR_ALIGN: memory[*bad]
 * is not the address of a page. memory[] is written to while the call works, and holds the same
 * pointers when it returns. Lock-free, any context. */
int quire_host_free_batch(struct quire_host *host, void *memory[], size_t n, size_t *bad);

/* Pages in one piece, want->frames of them, under constraints: `align`, `boundary`, `low` and
 * `high` are of addresses in this process. request->order is not read. Errors as
 * quire_machine_alloc_contig, and QUIRE_ERR_FRAME: no arena that the request may use has room
 * between `low` and `high`, however empty it is; a limit that a device has is of another address
 * space than the arenas. Lock-free, any context. */
int quire_host_alloc_contig(struct quire_host *host, const struct quire_request *request,
                            const struct quire_contig *want, void **memory,
                            struct quire_refusal *why);

/* Free such a run, by its exact length in frames. Errors as quire_machine_free_contig, and
 * QUIRE_ERR_ALIGN: not the address of a page. Lock-free, any context. */
int quire_host_free_contig(struct quire_host *host, void *memory, uint64_t frames);

/* A frame's memory; NULL for a frame that is no zone's. And back: the frame that holds a byte.
 * QUIRE_ERR_FRAME: the host has no such memory. Lock-free, any context. */
void *quire_host_pointer(struct quire_host *host, quire_pfn pfn);
int quire_host_pfn(struct quire_host *host, const void *memory, quire_pfn *pfn);

/* Everything else that can be done with frames, nodes and zones: mempools, drains, offlining,
 * figures. Frees by it are not the host's: `report` hears of those that a zone refuses. The handle
 * is the host's. Wait-free, any context. */
struct quire_machine *quire_host_machine(struct quire_host *host);

/* ---- Threads -------------------------------------------------------------------------------- */

/* Tell that the calling thread will use hosts, and, before it ends, that it will not any more. May
 * be nested. A thread that is registered with liburcu's memb flavour for its own reasons must not
 * call them. QUIRE_ERR_STATE: leave without enter. Thread only; may block for a moment. */
void quire_host_thread_enter(void);
int quire_host_thread_leave(void);

/* ---- Arenas and figures --------------------------------------------------------------------- */

struct quire_host_arena {
    quire_node node;
    uint32_t os_node; /* Linux's number */
    void *memory;     /* aligned to 1 GiB */
    uint64_t bytes;
    struct quire_zone *zone;
    uint64_t room[2]; /* zero, see version.h */
};

/* The index-th arena, by node. QUIRE_ERR_SIZE: no more. Wait-free, any context. */
int quire_host_arena(struct quire_host *host, uint32_t index, struct quire_host_arena *arena);

/* Where pages really lie, asked of the kernel: nodes[i] is the node of the page that is `i` pages
 * behind `memory`, QUIRE_NO_NODE if nobody has touched it yet. QUIRE_ERR_FRAME: not all of it is
 * the host's. QUIRE_ERR_SIZE: no pages. QUIRE_ERR_UNSUPPORTED: the kernel does not tell. Thread
 * only. */
int quire_host_where(struct quire_host *host, const void *memory, size_t pages, quire_node nodes[]);

struct quire_host_stats {
    uint64_t wakeups;            /* times that the thread was woken by a low watermark */
    uint64_t reclaims;           /* calls of `reclaim` */
    uint64_t reclaimed;          /* frames that they said to have freed */
    uint64_t last_resorts;       /* calls of `last_resort` */
    uint64_t last_resort_frames; /* frames that they said to have freed */
    uint64_t entered;            /* threads between thread_enter and thread_leave; of all hosts */
    uint64_t metadata_bytes;     /* all that is taken besides the arenas */
    uint64_t room[8];            /* zero, see version.h */
};

/* Exact while nobody uses the host. Figures of nodes: quire_machine_node_stats. Wait-free. */
int quire_host_stats(struct quire_host *host, struct quire_host_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_HOST_H */
