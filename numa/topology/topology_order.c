/* SPDX-License-Identifier: MIT
 *
 * topology_order.c - in which order a node asks the others for memory.
 *
 * Nearest first. Nodes that are equally near form a group, and it matters with which of them each
 * asker begins: if everybody began with the lowest number, that one would carry all overflow. An
 * asker begins with the first member after itself, counted in a ring. Askers that lie between the
 * same two members would still begin alike (four nodes with CPUs before four without); so each
 * begins one member further than the asker before it that has the same choice.
 *
 * No state; the topology is checked (numa/topology/topology_check.c). O(nodes^2).
 */
#include <quire/topology.h>

/* How good memory on `to` is for `from`: distance, then latency, then bandwidth; what is not known
 * counts as the worst. Negative: `a` is better than `b`. 0: they are equally good. */
struct choice {
    uint32_t distance, latency, bandwidth;
};

static struct choice choice_of(const struct quire_topology *topology, uint32_t from, uint32_t to)
{
    struct choice choice = {
        .distance = topology->distance[from][to],
        .latency = topology->latency_ns[from][to] - 1, /* not known, 0, becomes the largest */
        .bandwidth = topology->bandwidth_mbs[from][to],
    };

    return choice;
}

static int compare_choices(struct choice a, struct choice b)
{
    if (a.distance != b.distance)
        return a.distance < b.distance ? -1 : 1;
    if (a.latency != b.latency)
        return a.latency < b.latency ? -1 : 1;
    if (a.bandwidth != b.bandwidth)
        return a.bandwidth > b.bandwidth ? -1 : 1;
    return 0;
}

/* Sort the reachable others by choice, equals by number. Returns how many. */
static uint32_t sort_by_distance(const struct quire_topology *topology, uint32_t from,
                                 quire_node order[])
{
    uint32_t count = 0;

    for (uint32_t n = 0; n < topology->node_count; n++) {
        struct choice choice = choice_of(topology, from, n);
        uint32_t at = count;

        if (n == from || choice.distance == QUIRE_DISTANCE_UNREACHABLE)
            continue;
        for (; at > 0 && compare_choices(choice, choice_of(topology, from, order[at - 1].n)) < 0;
             at--)
            order[at] = order[at - 1];
        order[at] = quire_node_of(n);
        count++;
    }
    return count;
}

/* Is a whole group as good for `asker` as for the one whose choice it is? */
static bool same_choice(const struct quire_topology *topology, uint32_t asker, struct choice choice,
                        const quire_node group[], uint32_t members)
{
    uint32_t i = 0;

    while (i < members && !compare_choices(choice, choice_of(topology, asker, group[i].n)))
        i++;
    return i == members;
}

/* With which of a group's members, sorted by number, `from` begins. */
static uint32_t first_of_group(const struct quire_topology *topology, uint32_t from,
                               const quire_node group[], uint32_t members)
{
    const struct choice choice = choice_of(topology, from, group[0].n);
    uint32_t first = 0, nodes = topology->node_count, askers = 0;
    quire_nodemask mask = {0};

    for (uint32_t i = 0; i < members; i++) {
        mask.bits |= quire_nodemask_of(group[i]).bits;
        first += group[i].n < from;
    }
    for (uint32_t i = 1; i < nodes; i++) {
        uint32_t asker = (from + nodes - i) % nodes;

        if (mask.bits >> asker & 1)
            break;
        askers += same_choice(topology, asker, choice, group, members);
    }
    return (first + askers) % members;
}

/* Rotate each group of equals. */
static void rotate_group(const struct quire_topology *topology, uint32_t from, quire_node order[],
                         uint32_t count)
{
    quire_node group[QUIRE_NODES];

    for (uint32_t start = 0, members; start < count; start += members) {
        struct choice choice = choice_of(topology, from, order[start].n);
        uint32_t first;

        group[0] = order[start];
        for (members = 1; start + members < count; members++) {
            if (compare_choices(choice, choice_of(topology, from, order[start + members].n)))
                break;
            group[members] = order[start + members];
        }
        first = first_of_group(topology, from, group, members);
        for (uint32_t i = 0; i < members; i++)
            order[start + i] = group[(first + i) % members];
    }
}

uint32_t quire_topology_order(const struct quire_topology *topology, quire_node from,
                              quire_node order[QUIRE_NODES])
{
    uint32_t others;

    if (from.n >= topology->node_count)
        return 0;
    order[0] = from;
    others = sort_by_distance(topology, from.n, order + 1);
    rotate_group(topology, from.n, order + 1, others);
    return others + 1;
}

quire_node quire_topology_nearest(const struct quire_topology *topology, quire_node from,
                                  quire_nodemask set)
{
    quire_node group[QUIRE_NODES];
    uint32_t members = 0;
    struct choice best = {QUIRE_DISTANCE_UNREACHABLE, 0, UINT32_MAX};

    if (from.n >= topology->node_count)
        return quire_node_of(QUIRE_NO_NODE);
    if (set.bits >> from.n & 1)
        return from;
    for (uint32_t n = 0; n < topology->node_count; n++) {
        struct choice choice = choice_of(topology, from.n, n);

        if (!(set.bits >> n & 1) || choice.distance == QUIRE_DISTANCE_UNREACHABLE)
            continue;
        if (compare_choices(choice, best) < 0) {
            best = choice;
            members = 0;
        }
        if (compare_choices(choice, best) == 0)
            group[members++] = quire_node_of(n);
    }
    if (members == 0)
        return quire_node_of(QUIRE_NO_NODE);
    return group[first_of_group(topology, from.n, group, members)];
}
