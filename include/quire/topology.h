/* SPDX-License-Identifier: MIT
 *
 * topology.h - what a machine is made of: nodes, the CPUs and the memory of each, how far apart.
 *
 * A topology is one plain structure without pointers, filled by a reader (acpi.h here; device
 * trees, hwloc, libnuma in host-harness) or by the caller, then checked once by
 * quire_topology_check, and read by everybody afterwards. It may be static, copied and compared.
 *
 * Numbers. Firmware names nodes by proximity domains, CPUs by APIC ids, with holes; Quire counts
 * nodes and CPUs from 0 without holes, in the order in which they were first named. Both numbers
 * are kept. A node may have no CPU (CXL memory) or no memory.
 *
 * Distances are those of ACPI's SLIT: 10 is a node's own memory, 20 is twice as far, 255 says
 * unreachable. Latency and bandwidth, as in ACPI's HMAT, are optional; 0 means not known.
 *
 * Functions return 0 or one of enum quire_error, a failed call changes nothing. One caller at a
 * time, any context; no call blocks, each is bounded by the sizes below.
 */
#ifndef QUIRE_TOPOLOGY_H
#define QUIRE_TOPOLOGY_H

#include <quire/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QUIRE_NODES = 64,            /* nodes per machine: a set of nodes is one word */
    QUIRE_CPUS = 4095,           /* CPUs per machine */
    QUIRE_TOPOLOGY_RANGES = 512, /* stretches of memory */
    QUIRE_DISTANCE_LOCAL = 10,
    QUIRE_DISTANCE_REMOTE = 20, /* where nobody told */
    QUIRE_DISTANCE_UNREACHABLE = 255,
};

/* A node, 0 .. node_count-1 of the topology. */
typedef struct quire_node {
    uint32_t n;
} quire_node;

/* A set of nodes: bit i is node i. */
typedef struct quire_nodemask {
    uint64_t bits;
} quire_nodemask;

#define QUIRE_NO_NODE UINT32_MAX /* quire_node.n: none, or not told */
#define QUIRE_NO_TIER UINT32_MAX /* of a node without memory */

static inline quire_node quire_node_of(uint32_t n)
{
    quire_node node = {n};
    return node;
}

static inline quire_nodemask quire_nodemask_of(quire_node node)
{
    quire_nodemask mask = {node.n < QUIRE_NODES ? (uint64_t)1 << node.n : 0};
    return mask;
}

/* What a stretch of memory is good for. */
enum quire_memory_kind {
    QUIRE_MEMORY_ORDINARY = 0,
    QUIRE_MEMORY_HOTPLUG =
        1,                   /* memory may come and go; only the memory map knows if there is any */
    QUIRE_MEMORY_DEVICE = 2, /* on a device: handed out on explicit request */
};

struct quire_topology_memory {
    uint64_t phys, bytes;
    quire_node node;
    enum quire_memory_kind kind;
};

struct quire_topology {
    uint32_t node_count, cpu_count, range_count;
    bool asymmetric; /* distances may differ by direction: the caller knows that this is meant */
    bool strict;     /* refuse what a reader of firmware's tables would pass over: see acpi.h */
    uint32_t passed_over;          /* how often one did */
    uint32_t node_id[QUIRE_NODES]; /* the firmware's numbers */
    uint32_t cpu_id[QUIRE_CPUS];
    uint32_t cpu_node[QUIRE_CPUS]; /* QUIRE_NO_NODE: not told; counts as node 0 */
    struct quire_topology_memory ranges[QUIRE_TOPOLOGY_RANGES];
    uint8_t distance[QUIRE_NODES][QUIRE_NODES];       /* 0: not told */
    uint32_t latency_ns[QUIRE_NODES][QUIRE_NODES];    /* of a read, from, to; 0: not known */
    uint32_t bandwidth_mbs[QUIRE_NODES][QUIRE_NODES]; /* 10^6 bytes a second; 0: not known */
    uint64_t room[8];                                 /* zero, see version.h */
};

/* An empty topology. */
void quire_topology_init(struct quire_topology *topology);

/* The node that the firmware calls `id`; added if it is new. QUIRE_ERR_FULL: 64 already. */
int quire_topology_add_node(struct quire_topology *topology, uint32_t id, quire_node *node);

/* Add a CPU on `node`, or on no node yet (QUIRE_NO_NODE) until a second call says where.
 * QUIRE_ERR_NODE: no such node. QUIRE_ERR_BUSY: it has another node. QUIRE_ERR_FULL: too many. */
int quire_topology_add_cpu(struct quire_topology *topology, uint32_t id, quire_node node);

/* Add memory. Overlaps are found by quire_topology_check. QUIRE_ERR_NODE: no such node.
 * QUIRE_ERR_SIZE: no bytes, or beyond 2^52. QUIRE_ERR_FULL: too many ranges.
 * QUIRE_ERR_UNSUPPORTED: kind. */
int quire_topology_add_memory(struct quire_topology *topology, uint64_t phys, uint64_t bytes,
                              quire_node node, enum quire_memory_kind kind);

/* Say how far `to`'s memory is from `from`'s CPUs. QUIRE_ERR_NODE: no such node.
 * QUIRE_ERR_SIZE: a distance below 10, or of 10 between two nodes, or other than 10 from a node to
 * itself. */
int quire_topology_set_distance(struct quire_topology *topology, quire_node from, quire_node to,
                                unsigned distance);

/* See that it makes sense, and fill in what nobody told: a distance told for the other direction,
 * else 10 and 20; CPUs without a node go to node 0. Whatever wrote the structure, nothing in it is
 * believed. QUIRE_ERR_NODE: no node at all, or a CPU or memory on one that does not exist.
 * QUIRE_ERR_BUSY: memory of two nodes overlaps, or two CPUs or nodes have one id.
 * QUIRE_ERR_SIZE: a count or address out of range, or absurd or, unless `asymmetric`, asymmetric
 * distances. QUIRE_ERR_NO_MEMORY: no memory at all. QUIRE_ERR_UNSUPPORTED: its kind. *fault says
 * which: `where` and `other` are numbers of nodes, CPUs or ranges. O(nodes^2 + CPUs^2 + ranges^2).
 */
int quire_topology_check(struct quire_topology *topology, struct quire_fault *fault);

/* ---- What follows from it; a checked topology --------------------------------------------- */

/* Nodes that have ordinary memory, or CPUs. */
quire_nodemask quire_topology_with_memory(const struct quire_topology *topology);
quire_nodemask quire_topology_with_cpus(const struct quire_topology *topology);

/* All nodes in the order in which `from` should ask them: itself, then nearer before farther
 * (distance, then latency, then bandwidth). Where several are equally good, each asker begins with
 * another one, so that they share the load. Unreachable nodes are left out. Returns how many; 0:
 * there is no node `from`. O(nodes^2). */
uint32_t quire_topology_order(const struct quire_topology *topology, quire_node from,
                              quire_node order[QUIRE_NODES]);

/* Of a set of nodes the one that `from` should ask first: itself, or the nearest, equals being
 * shared out among askers as above. QUIRE_NO_NODE: none that it can reach. O(nodes^2). */
quire_node quire_topology_nearest(const struct quire_topology *topology, quire_node from,
                                  quire_nodemask set);

/* The tier of a node's memory: 0 for the fastest. All nodes that have both CPUs and memory are of
 * one tier; others are compared with those by latency times bandwidth's inverse, and share a tier
 * with what is at most twice as fast. Memory without CPUs of which neither is known counts as
 * slower. QUIRE_NO_TIER: no such node, or it has no ordinary memory. O(nodes^2 + CPUs). */
uint32_t quire_topology_tier(const struct quire_topology *topology, quire_node node);

/* Where to move what is seldom used of `node`: the nearest (as above) of the next slower tier that
 * it can reach. QUIRE_NO_NODE: nowhere. O(nodes^3 + CPUs). */
quire_node quire_topology_demotion(const struct quire_topology *topology, quire_node node);

#ifdef __cplusplus
}
#endif

#endif /* QUIRE_TOPOLOGY_H */
