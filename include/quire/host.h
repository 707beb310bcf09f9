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
 * Other processes. With `share_name` an arena is a file in memory (memfd) that other processes, or
 * QEMU as memory-backend-file, can map: quire_host_file says where a frame lies in it. They see the
 * same bytes; who may use which frame they have to be told by the program, as what Quire knows
 * stays in this process. What is given back is punched out of the file, so it is gone for them,
 * too. Who has the descriptor may write anywhere at any time: so such memory is never believed to
 * read as zeros by itself, and each QUIRE_ZEROED is written, unless the program says otherwise
 * (quire_machine_free_zeroed, quire_machine_zero_idle).
 *
 * fork. The child has a private copy of the arenas and of what is allocated, and may allocate and
 * free at once, whatever other threads were doing: no lock is held over fork. Frames that another
 * thread was just taking or giving are lost to the child. It has no reclaim thread; it may destroy
 * its copy, but not change the machine (the hot-plug calls of machine.h). Shared arenas are not in
 * the child's address space, as they would be no copy: it may only destroy its host, and map their
 * files by the descriptors that it inherits.
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

/* give_back_after of struct quire_host_options: nothing is given back. */
enum { QUIRE_HOST_NEVER = 0x7fffffff };

enum {
    QUIRE_HOST_ARENAS = 256, /* of a host, at most */
    QUIRE_HOST_NAME = 200,   /* bytes of a share_name, at most */
};

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
    /* Watermarks of each arena, in frames, min <= low <= high. Ordinary requests leave `min` frames
     * of an arena to QUIRE_HIGH (down to min / 2) and QUIRE_EMERGENCY (all); `reclaim` is called
     * below `low` until `high` is there. All zero: min is 8 sqrt(frames) and at most a 32nd, which
     * is 3.1 % of an arena's bytes up to 256 MiB, 1.6 % of 1 GiB, 0.2 % of 64 GiB; low and high lie
     * a quarter and a half of min above it. */
    uint64_t min, low, high;
    bool keep_nothing; /* no watermarks at all: they are 0, and `reclaim` must be NULL */
    /* No thread: `reclaim` must be NULL, and somebody else calls quire_machine_maintain. */
    bool no_thread;
    /* Memory that was free for about so many seconds goes back to the system, 2 MiB at a time. 0:
     * 10 seconds, but of huge pages none; at most 65535; QUIRE_HOST_NEVER: none. The host's thread
     * sees to it, or each call of quire_machine_maintain counts as a second. */
    uint32_t give_back_after;
    /* If not NULL: arenas are files that other processes can map, see above. The files are called
     * NAME.0, NAME.1 and so on, which shows in /proc/PID/maps and /proc/PID/fd. 1 to
     * QUIRE_HOST_NAME bytes; copied. */
    const char *share_name;
    /* The mover of the machine's port, and what quire_machine_maintain, which the host's thread
     * calls each second, keeps of each node by it (compact.h). `mover` stays valid. */
    const struct quire_mover *mover;
    struct quire_keep keep;
    /* If not NULL: what is wrong, after an error of quire_host_create that an option is the reason
     * for, or the machine's topology; `where` is a node. */
    struct quire_fault *fault;
    uint64_t room[7]; /* zero, see version.h */
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
 * for a node of the policy's set; give_back_after out of its range; watermarks that are out of
 * order, or above what an arena has, or set beside `keep_nothing`; a share_name that is empty or
 * too long; `keep` without a budget, or a budget for nothing. QUIRE_ERR_NODE: bytes for a
 * node that does not exist or has no memory, or a policy that names none of the nodes.
 * QUIRE_ERR_UNSUPPORTED: the kernel does not bind memory to nodes or has no huge pages, an unknown
 * kind of pages or policy, or `reclaim` with `no_thread` or `keep_nothing`, where nobody would call
 * it; `keep` without a mover, or a mover without `move`; no files in memory, or none that can be
 * sealed. QUIRE_ERR_NO_MEMORY: no address space, no thread, no descriptor, or too few huge pages in
 * a node's pool. */
int quire_host_create(const struct quire_host_options *options, struct quire_host **host);

/* Give everything back, whether it is allocated or not. Nobody may be in a call any more. NULL is
 * welcome. Thread only, blocking. */
void quire_host_destroy(struct quire_host *host);

/* Take another arena on a node, of the kind that the options name, and put it into service beside
 * those that are there: the host has so many bytes more until it is destroyed.
 * QUIRE_ERR_SIZE: bytes 0, not a multiple of 2 MiB, more than what the arenas leave of the node, or
 * less than the options' watermarks; QUIRE_HOST_ARENAS are there. QUIRE_ERR_NODE: no such node, or
 * no memory there. QUIRE_ERR_BUSY: the machine is being changed, or the host grows already.
 * QUIRE_ERR_STATE: a child after fork. Others as quire_host_create. Thread only, blocking: it is a
 * change of the machine, which waits for readers. */
int quire_host_grow(struct quire_host *host, quire_node node, uint64_t bytes);

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

/* Turn a run of exactly `frames` pages, of whatever call above, into single pages of the caller's.
 * As quire_machine_split, and QUIRE_ERR_ALIGN: not the address of a page. Lock-free, any context.
 */
int quire_host_split(struct quire_host *host, void *memory, uint64_t frames, uint32_t flags);

/* Turn 512 single pages, the first at `memory`, into one run of order 9. As quire_machine_join, and
 * QUIRE_ERR_ALIGN: not the address of a page. Lock-free, any context. */
int quire_host_join(struct quire_host *host, void *memory);

/* Free single pages in a row, all or none. As quire_machine_free_range, and QUIRE_ERR_ALIGN: not
 * the address of a page. Lock-free, any context. */
int quire_host_free_range(struct quire_host *host, void *memory, uint64_t frames);

/* Free part_frames pages at `part` of the run of `frames` pages at `memory`; the others are single
 * pages of the caller's then. As quire_machine_free_part, and QUIRE_ERR_ALIGN: one of both is not
 * the address of a page. Lock-free, any context. */
int quire_host_free_part(struct quire_host *host, void *memory, uint64_t frames, void *part,
                         uint64_t part_frames, uint32_t flags);

/* A frame's memory; NULL for a frame that is no zone's: of an arena, or of memory of this process
 * that the program added to the machine (machine.h). And back: the frame that holds a byte.
 * QUIRE_ERR_FRAME: the host has no such memory. Lock-free, any context. */
void *quire_host_pointer(struct quire_host *host, quire_pfn pfn);
int quire_host_pfn(struct quire_host *host, const void *memory, quire_pfn *pfn);

/* The file that a frame's memory lies in, and where in it: for another process that maps it, as by
 * mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset). The descriptor is the host's
 * until the end, and closed by exec: pass it on by SCM_RIGHTS, or a dup of it. The file cannot be
 * cut short or made longer. QUIRE_ERR_FRAME: no arena has the frame. QUIRE_ERR_UNSUPPORTED: the
 * arenas are not shared (`share_name`). Wait-free, any context. */
int quire_host_file(struct quire_host *host, quire_pfn pfn, int *fd, uint64_t *offset);

/* Everything else that can be done with frames, nodes and zones: mempools, drains, offlining,
 * figures. Frees by it are not the host's: `report` hears of those that a zone refuses. The handle
 * is the host's. Wait-free, any context. */
struct quire_machine *quire_host_machine(struct quire_host *host);

/* Give memory that nobody uses back to the system until the arenas have no more than `keep` bytes,
 * used ones among them; what caches hold goes, too. It goes in whole 2 MiB of which no page is
 * allocated. 0: all that can go, and that is each free page beside used ones as well, unless other
 * processes share the arenas or they are of the pool's pages. Call it once when much was freed:
 * for each stretch of free pages beside used ones there is a call of the system. *bytes says how
 * much went; what of it was never touched, or had gone on another way, is counted all the same. It
 * comes again, as zeros, when it is allocated: at the cost of the page faults of fresh memory;
 * pages of the pool (QUIRE_HOST_PAGES_HUGE) may be missing there then, and what cannot come is
 * passed by as if it was used. QUIRE_ERR_UNSUPPORTED: nothing went, as the kernel does not take it
 * back (locked pages, say, or an old kernel and huge pages), errno says why. Thread only. */
int quire_host_give_back(struct quire_host *host, uint64_t keep, uint64_t *bytes);

/* Let the system have what is in pages of the caller's, which stay the caller's and read as zeros
 * when they are touched next. For who frees parts of 2 MiB whose other parts stay in use for long,
 * a heap say: what goes by itself is whole 2 MiB, so discard what was idle for a while, then free
 * it, and the program's resident memory follows it page by page. The price is a call of the
 * system, and a page fault for each page that is used again. Of 2 MiB of which a part was
 * discarded the kernel makes no huge page (QUIRE_HOST_PAGES_ADVISE; 8 GiB of such at most, as they
 * cost mappings), or it would fill the part again by itself; when all of it goes, it may again.
 * QUIRE_ERR_ALIGN: not the address of a page. QUIRE_ERR_SIZE: no pages. QUIRE_ERR_FRAME: not all
 * of it is one arena's. QUIRE_ERR_UNSUPPORTED: huge pages of the pool, or the kernel does not take
 * it (locked pages, say), errno says why. Thread only. */
int quire_host_discard(struct quire_host *host, void *memory, uint64_t pages);

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
    int fd;           /* of its file (quire_host_file); -1: it is not shared */
    uint64_t room[2]; /* zero, see version.h */
};

/* The index-th arena, by node, then what was added in its order. QUIRE_ERR_SIZE: no more.
 * Wait-free, any context. */
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
    uint64_t gone_bytes;         /* of the arenas: given back to the system */
    uint64_t room[7];            /* zero, see version.h */
};

/* Exact while nobody uses the host. Figures of nodes: quire_machine_node_stats. Wait-free. */
int quire_host_stats(struct quire_host *host, struct quire_host_stats *stats);

/* Where in the program a code address is, as a text for a report: "function+0x12", by what the
 * dynamic linker knows, else "file+0x1234", else the number; cut to `bytes` with the zero behind
 * it. How long it is. Thread only. */
size_t quire_host_place(uint64_t address, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_HOST_H */
