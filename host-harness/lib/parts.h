/* SPDX-License-Identifier: MIT
 *
 * parts.h - what the parts of libquire-host share (include/quire/host.h has the interface).
 *
 *   host.c      create and destroy; the machine's port
 *   calls.c     allocate, free, pointers, figures
 *   runs.c      batches and contiguous runs, in pointers
 *   report.c    bad frees, told to the program
 *   arena.c     address space and pages of a node
 *   topology.c  this machine's nodes, CPUs and distances
 *   reclaim.c   the thread that reclaims in the background, see reclaim.h
 *   guard.c     who reads a snapshot just now, see guard.h
 *
 * State: one struct quire_host, built by quire_host_create and constant afterwards but for what is
 * atomic, the guard and the reclaimer.
 * Invariants: HP1 arena i is zone i, and its first frame is its address / 4096. HP2 the reclaimer's
 * thread runs iff it is started and this process is `creator`.
 */
#ifndef HOST_HARNESS_LIB_PARTS_H
#define HOST_HARNESS_LIB_PARTS_H

#include "guard.h"
#include "reclaim.h"

#include <quire/host.h>

#include <sys/types.h>

#define HOST_HUGE ((uint64_t)2 << 20) /* bytes of a huge page, and of a block */

struct host_arena {
    void *memory;
    uint64_t bytes;
    quire_node node;
    struct quire_zone zone;
    void *metadata;
    size_t metadata_bytes;
};

struct quire_host {
    struct quire_host_options options;
    struct quire_topology topology;
    bool bind; /* more than one node: memory has to be bound to them */
    struct host_arena *arenas;
    uint32_t arena_count;
    struct quire_machine *machine;
    void *machine_memory;
    size_t machine_bytes;
    qa64 port_bytes; /* that the machine got from its port */
    struct guard guard;

    pid_t creator;
    struct reclaimer reclaimer;
    struct reclaimer_zone reclaimer_zones[QUIRE_NODES];
    qa64 last_resorts, last_resort_frames; /* figures */
};

/* topology.c: nodes, CPUs (numbered as Linux does) and distances, without memory. A
 * quire_error. */
int quire_host_topology_read(struct quire_topology *topology);
/* May memory of the node be had, and how much is there? Bytes; 0 for none. */
uint64_t quire_host_topology_bytes(const struct quire_topology *topology, quire_node node);

/* arena.c: memory of a node that is certain to come from it. A quire_error, errno set. */
int quire_host_arena_map(void **memory, uint64_t bytes, uint32_t os_node, bool bind,
                         enum quire_host_pages pages);
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
/* For the port of the zones; `ctx` is the host. */
void quire_host_port_report(void *ctx, struct quire_zone *zone, enum quire_report what,
                            quire_pfn pfn, int error);

#endif /* HOST_HARNESS_LIB_PARTS_H */
