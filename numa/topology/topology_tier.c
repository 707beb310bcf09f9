/* SPDX-License-Identifier: MIT
 *
 * topology_tier.c - which memory is fast, which is slow, and where to move what is seldom used.
 *
 * A node's memory gets one number, its slowness in 64ths of that of the machine's usual memory:
 *
 *   slowness = 64 * latency / usual latency * usual bandwidth / bandwidth
 *
 * where a node's latency and bandwidth are those seen from the CPUs that see it best, and the usual
 * ones are the best among nodes that have CPUs of their own (among all, if none has both). A factor
 * of which one side is not known is left out. Nodes with CPUs are 64 by definition: whoever runs
 * there takes from there. Memory without CPUs of which neither is known is taken for slow.
 *
 * Tiers are then cut from the fast end: the fastest node, and whatever is at most twice as slow,
 * are tier 0; the fastest of the rest begins tier 1; and so on. So memory that is more than twice
 * as fast as the usual one makes a tier before it, CXL memory one behind it.
 *
 * No state; the topology is checked (numa/topology/topology_check.c). O(nodes^2 + CPUs).
 */
#include "core/word.h"

#include <quire/topology.h>

enum {
    TIER_USUAL = 64,
    TIER_SLOW = 4 * TIER_USUAL,
    TIER_LIMIT =
        1 << 20, /* a factor beyond it says nothing more, and keeps products within 64 bits */
};

struct speed {
    uint64_t latency, bandwidth; /* 0: not known */
};

/* What the CPUs that see it best see of node `to`. */
static struct speed speed_of(const struct quire_topology *topology, quire_nodemask cpus,
                             uint32_t to)
{
    struct speed best = {0, 0};

    for (uint32_t from = 0; from < topology->node_count; from++) {
        uint64_t latency = topology->latency_ns[from][to];
        uint64_t bandwidth = topology->bandwidth_mbs[from][to];

        if (!(cpus.bits >> from & 1))
            continue;
        if (latency && (!best.latency || latency < best.latency))
            best.latency = latency;
        if (bandwidth > best.bandwidth)
            best.bandwidth = bandwidth;
    }
    return best;
}

static struct speed usual_speed(const struct quire_topology *topology, quire_nodemask cpus,
                                quire_nodemask nodes)
{
    struct speed best = {0, 0};

    for (uint32_t n = 0; n < topology->node_count; n++) {
        struct speed speed = speed_of(topology, cpus, n);

        if (!(nodes.bits >> n & 1))
            continue;
        if (speed.latency && (!best.latency || speed.latency < best.latency))
            best.latency = speed.latency;
        if (speed.bandwidth > best.bandwidth)
            best.bandwidth = speed.bandwidth;
    }
    return best;
}

static uint64_t slowness_of(struct speed speed, struct speed usual)
{
    uint64_t slowness = TIER_USUAL;
    bool known = false;

    if (speed.latency && usual.latency) {
        slowness = word_divide(slowness * speed.latency, usual.latency);
        known = true;
    }
    if (slowness > TIER_LIMIT)
        slowness = TIER_LIMIT;
    if (speed.bandwidth && usual.bandwidth) {
        slowness = word_divide(slowness * usual.bandwidth, speed.bandwidth);
        known = true;
    }
    return known ? slowness : TIER_SLOW;
}

/* The tier of each node; QUIRE_NO_TIER without memory. */
static void tiers_of(const struct quire_topology *topology, uint32_t tier[QUIRE_NODES])
{
    quire_nodemask memory = quire_topology_with_memory(topology);
    quire_nodemask cpus = quire_topology_with_cpus(topology), both = {memory.bits & cpus.bits};
    struct speed usual = usual_speed(topology, cpus, both.bits ? both : memory);
    uint64_t slowness[QUIRE_NODES], left = memory.bits;

    for (uint32_t n = 0; n < topology->node_count; n++) {
        tier[n] = QUIRE_NO_TIER;
        slowness[n] =
            both.bits >> n & 1 ? TIER_USUAL : slowness_of(speed_of(topology, cpus, n), usual);
    }
    for (uint32_t t = 0; left; t++) {
        uint64_t fastest = UINT64_MAX;

        for (uint32_t n = 0; n < topology->node_count; n++)
            if (left >> n & 1 && slowness[n] < fastest)
                fastest = slowness[n];
        for (uint32_t n = 0; n < topology->node_count; n++)
            if (left >> n & 1 && slowness[n] <= 2 * fastest) {
                tier[n] = t;
                left &= ~((uint64_t)1 << n);
            }
    }
}

uint32_t quire_topology_tier(const struct quire_topology *topology, quire_node node)
{
    uint32_t tier[QUIRE_NODES];

    if (node.n >= topology->node_count)
        return QUIRE_NO_TIER;
    tiers_of(topology, tier);
    return tier[node.n];
}

quire_node quire_topology_demotion(const struct quire_topology *topology, quire_node node)
{
    quire_node target = {QUIRE_NO_NODE};
    uint32_t tier[QUIRE_NODES];

    if (node.n >= topology->node_count)
        return target;
    tiers_of(topology, tier);
    if (tier[node.n] == QUIRE_NO_TIER)
        return target;
    /* No tier is empty but those behind the last one; one that is out of reach is passed over. */
    for (uint32_t next = tier[node.n] + 1; next < topology->node_count; next++) {
        quire_nodemask set = {0};

        for (uint32_t n = 0; n < topology->node_count; n++)
            if (tier[n] == next)
                set.bits |= quire_nodemask_of(quire_node_of(n)).bits;
        target = quire_topology_nearest(topology, node, set);
        if (target.n != QUIRE_NO_NODE)
            break;
    }
    return target;
}
