/* SPDX-License-Identifier: MIT
 *
 * unit.h - what the unit tests of the machine add to machine_rig.h: cmocka, and shorter calls.
 */
#ifndef QUIRE_STRESS_NUMA_MACHINE_UNIT_H
#define QUIRE_STRESS_NUMA_MACHINE_UNIT_H

#include "stress/common/assert.h"
#include "stress/numa/machine/machine_rig.h"

/* Distances of nodes in a row. */
static inline void in_a_row(struct rig *r)
{
    for (uint32_t a = 0; a < r->topology.node_count; a++)
        for (uint32_t b = 0; b < r->topology.node_count; b++)
            if (a != b)
                assert_ok(quire_topology_set_distance(&r->topology, quire_node_of(a),
                                                      quire_node_of(b),
                                                      10 + 10 * (a > b ? a - b : b - a)));
}

/* Four nodes in a row, two CPUs each, 16 blocks of Normal memory each. */
static inline void open_row(struct rig *r)
{
    rig_begin(r, 4, 2);
    in_a_row(r);
    for (uint32_t n = 0; n < 4; n++)
        (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
}

/* The node of a frame. */
static inline uint32_t node_of(struct rig *r, uint64_t pfn)
{
    struct quire_zone *zone;
    quire_node node;

    assert_ok(quire_machine_find(r->machine, quire_pfn_of(pfn), &node, &zone));
    assert_true(quire_zone_holds(zone, quire_pfn_of(pfn)));
    return node.n;
}

static inline uint64_t take(struct rig *r, unsigned order, uint32_t flags)
{
    quire_pfn pfn = {UINT64_MAX};

    assert_ok(quire_machine_alloc(r->machine, order, flags, &pfn));
    return pfn.n;
}

static inline uint64_t ask(struct rig *r, const struct quire_request *request)
{
    quire_pfn pfn = {UINT64_MAX};

    assert_ok(quire_machine_request(r->machine, request, &pfn, NULL));
    return pfn.n;
}

static inline void give(struct rig *r, uint64_t pfn, unsigned order)
{
    assert_ok(quire_machine_free(r->machine, quire_pfn_of(pfn), order));
}

#endif /* QUIRE_STRESS_NUMA_MACHINE_UNIT_H */
