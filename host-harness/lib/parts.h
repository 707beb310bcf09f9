/* SPDX-License-Identifier: MIT
 *
 * parts.h - what the parts of libquire-host share (include/quire/host.h has the interface).
 *
 *   host.c      create and destroy; the machine's port
 *   zones.c     an arena with its zone and that one's port; the host grows
 *   discard.c   pages that the system takes, and that come again
 *   calls.c     allocate, free, pointers, figures
 *   runs.c      batches and contiguous runs, in pointers
 *   shape.c     pages that are split, joined, freed in part
 *   report.c    bad frees, told to the program
 *   arena.c     address space and pages of a node
 *   topology.c  this machine's nodes, CPUs and distances
 *   reclaim.c   the thread that reclaims in the background, see reclaim.h
 *   guard.c     who reads a snapshot just now, see guard.h
 *
 * State: one struct quire_host, built by quire_host_create and constant afterwards but for what is
 * atomic, the guard and the reclaimer.
 * Invariants: HP1 arena i is zone i, and its first frame is its address / 4096; arenas [0 ..
 * arena_count-1] do not change until the end. HP2 the reclaimer's thread runs iff it is started and
 * this process is `creator`. HP3 the holder of `growing` writes the next arena.
 */
#ifndef HOST_HARNESS_LIB_PARTS_H
#define HOST_HARNESS_LIB_PARTS_H

#include "guard.h"
#include "reclaim.h"

#include <quire/host.h>

#include <sys/types.h>

#define HOST_HUGE ((uint64_t)2 << 20) /* bytes of a huge page, and of a block */

struct host_arena {
    struct quire_host *host;
    void *memory;
    uint64_t bytes;
    quire_node node;
    struct quire_zone zone;
    void *metadata;
    size_t metadata_bytes;
    qa64 *no_huge; /* discard.c: a bit for each 2 MiB; NULL but with QUIRE_HOST_PAGES_ADVISE */
    int fd;        /* of the file that it is, or -1 */
};

struct quire_host {
    struct quire_host_options options;
    struct quire_topology topology;
    bool bind;                            /* more than one node: memory has to be bound to them */
    char share_name[QUIRE_HOST_NAME + 1]; /* empty: arenas are not shared */
    struct host_arena *arenas;            /* QUIRE_HOST_ARENAS of them, */
    qa32 arena_count;                     /* of which so many are in service */
    qa32 growing;                         /* 1: somebody adds one */
    struct quire_machine *machine;
    void *machine_memory;
    size_t machine_bytes;
    qa64 port_bytes; /* that the machine got from its port */
    struct guard guard;
    qa64 no_huge_count; /* bits that are set in the arenas' no_huge */

    pid_t creator;
    struct reclaimer reclaimer;
    struct reclaimer_zone reclaimer_zones[QUIRE_HOST_ARENAS];
    qa64 last_resorts, last_resort_frames; /* figures */
};

/* topology.c: nodes, CPUs (numbered as Linux does) and distances, without memory. A
 * quire_error. */
int quire_host_topology_read(struct quire_topology *topology);
/* May memory of the node be had, and how much is there? Bytes; 0 for none. */
uint64_t quire_host_topology_bytes(const struct quire_topology *topology, quire_node node);

/* How many arenas may be read. Wait-free, any context. */
static inline uint32_t quire_host_arenas(const struct quire_host *host)
{
    return qa_load(&host->arena_count, acquire); /* E-host-arena acquire: they are made */
}

/* What an option is the reason for: fills `fault` of the options, and returns `error`. */
int quire_host_option_fault(const struct quire_host_options *options, int error, const char *what,
                            uint64_t where, uint64_t found, uint64_t expected);

/* zones.c: an arena of so many bytes on a node, its zone and metadata, in the place behind those in
 * service; and give it back. A quire_error, errno set, after which there is none of it. */
int quire_host_arena_make(struct quire_host *host, quire_node node, uint64_t bytes);
void quire_host_arena_drop(struct host_arena *arena);
/* It is in service: readers find it, and the reclaimer looks after it. */
void quire_host_arena_publish(struct quire_host *host);
uint32_t quire_host_port_cpu(void *ctx);

/* discard.c: for the port of the zones; `ctx` is the arena. */
int quire_host_port_zero(void *ctx, quire_pfn pfn, uint64_t frames);
int quire_host_port_discard(void *ctx, quire_pfn pfn, uint64_t frames);
int quire_host_port_install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed);
/* Bytes of the arena's map no_huge; 0: it has none. Wait-free. */
size_t quire_host_no_huge_bytes(const struct host_arena *arena);
/* Free pages beside used ones, of all arenas: *frames says how many went. QUIRE_ERR_UNSUPPORTED: of
 * an arena some cannot go, errno says why; its further ones are left alone. Thread only. */
int quire_host_discard_single(struct quire_host *host, uint64_t *frames);

/* calls.c: the arena that holds the frame, or NULL. Wait-free, any context. */
const struct host_arena *quire_host_arena_of(const struct quire_host *host, quire_pfn pfn);

/* arena.c: memory of the arena's node that is certain to come from there: `memory`, and `fd`. A
 * quire_error, errno set. */
int quire_host_arena_map(const struct quire_host *host, struct host_arena *arena);
void quire_host_arena_unmap(struct host_arena *arena);
/* Memory that should be near a node. NULL with errno set. */
void *quire_host_arena_near(size_t bytes, uint32_t os_node, bool bind);

/* report.c: a free in pointers, while the program wants to hear of bad ones. The machine's zones
 * tell it without the order, and tell also what they find out later: so each call that frees says
 * what it frees, in a list of the thread's calls (a signal handler's lie before what they
 * interrupted). quire_host_free_done takes it off again, and tells the program unless a zone has
 * done so; it returns `error`. Any context, wait-free but for the program's function. */
struct host_free {
    const quire_pfn *pfns;
    size_t n;
    unsigned order; /* of each, or QUIRE_HOST_NO_ORDER */
    bool told;
    struct host_free *outer;
};
void quire_host_free_begin(struct host_free *call);
int quire_host_free_done(struct quire_host *host, struct host_free *call, size_t bad, int error);
/* For the port of the zones; `ctx` is the arena. */
void quire_host_port_report(void *ctx, struct quire_zone *zone, enum quire_report what,
                            quire_pfn pfn, int error);

#endif /* HOST_HARNESS_LIB_PARTS_H */
