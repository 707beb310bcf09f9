/* SPDX-License-Identifier: MIT
 *
 * test_build.c - filling a topology, and what quire_topology_check refuses and fills in.
 */
#include "stress/common/assert.h"
#include "stress/common/sizes.h"

#include <quire/topology.h>

#include <string.h>

static struct quire_topology t, before;

/* Nodes 0 .. nodes-1, called 10 times their number, with a CPU and a GiB each. */
static void simple(uint32_t nodes)
{
    quire_node node;

    quire_topology_init(&t);
    for (uint32_t i = 0; i < nodes; i++) {
        assert_int_equal(quire_topology_add_node(&t, 10 * i, &node), QUIRE_OK);
        assert_int_equal(node.n, i);
        assert_int_equal(quire_topology_add_cpu(&t, i, node), QUIRE_OK);
        assert_int_equal(quire_topology_add_memory(&t, i * GIB, GIB, node, 0), QUIRE_OK);
    }
}

/* It is refused, with this phrase and these numbers, and stays as it is. */
static void refused(int error, const char *what, uint64_t where, uint64_t other, uint64_t found,
                    uint64_t expected)
{
    struct quire_fault fault = {0};

    before = t;
    assert_int_equal(quire_topology_check(&t, &fault), error);
    assert_string_equal(fault.what, what);
    assert_int_equal(fault.where, where);
    assert_int_equal(fault.other, other);
    assert_int_equal(fault.found, found);
    assert_int_equal(fault.expected, expected);
    assert_int_not_equal(fault.expected, fault.found);
    assert_int_equal(quire_topology_check(&t, NULL), error);
    assert_memory_equal(&t, &before, sizeof(t));
}

/* A call that fails changes nothing. */
#define FAILS(call, error)                           \
    do {                                             \
        before = t;                                  \
        assert_int_equal(call, error);               \
        assert_memory_equal(&t, &before, sizeof(t)); \
    } while (0)

static void adds_nodes(void **state)
{
    quire_node node = quire_node_of(77);

    (void)state;
    simple(QUIRE_NODES);
    FAILS(quire_topology_add_node(&t, 1, &node), QUIRE_ERR_FULL);
    assert_int_equal(node.n, 77);
    assert_int_equal(quire_topology_add_node(&t, 630, &node), QUIRE_OK);
    assert_int_equal(node.n, 63);
    assert_int_equal(t.node_count, QUIRE_NODES);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
}

static void adds_cpus(void **state)
{
    const quire_node none = {QUIRE_NO_NODE};

    (void)state;
    simple(2);
    FAILS(quire_topology_add_cpu(&t, 7, quire_node_of(2)), QUIRE_ERR_NODE);
    FAILS(quire_topology_add_cpu(&t, 1, quire_node_of(0)), QUIRE_ERR_BUSY);
    FAILS(quire_topology_add_cpu(&t, 1, quire_node_of(1)), QUIRE_OK);
    FAILS(quire_topology_add_cpu(&t, 1, none), QUIRE_OK);
    assert_int_equal(quire_topology_add_cpu(&t, 7, none), QUIRE_OK);
    assert_int_equal(quire_topology_add_cpu(&t, 8, none), QUIRE_OK);
    assert_int_equal(t.cpu_node[2], QUIRE_NO_NODE);
    assert_int_equal(quire_topology_with_cpus(&t).bits, 3);
    assert_int_equal(quire_topology_add_cpu(&t, 7, quire_node_of(1)), QUIRE_OK);
    assert_int_equal(t.cpu_node[2], 1);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_int_equal(t.cpu_node[3], 0);
    for (uint32_t id = 100; t.cpu_count < QUIRE_CPUS; id++)
        assert_int_equal(quire_topology_add_cpu(&t, id, none), QUIRE_OK);
    FAILS(quire_topology_add_cpu(&t, 99, none), QUIRE_ERR_FULL);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
}

static void adds_memory(void **state)
{
    const uint64_t limit = (uint64_t)1 << 52;
    const quire_node one = {1}, two = {2};

    (void)state;
    simple(2);
    FAILS(quire_topology_add_memory(&t, 2 * GIB, GIB, two, 0), QUIRE_ERR_NODE);
    FAILS(quire_topology_add_memory(&t, 2 * GIB, 0, one, 0), QUIRE_ERR_SIZE);
    FAILS(quire_topology_add_memory(&t, limit, 1, one, 0), QUIRE_ERR_SIZE);
    FAILS(quire_topology_add_memory(&t, limit - 1, 2, one, 0), QUIRE_ERR_SIZE);
    FAILS(quire_topology_add_memory(&t, 4096, UINT64_MAX, one, 0), QUIRE_ERR_SIZE);
    FAILS(quire_topology_add_memory(&t, 2 * GIB, GIB, one, QUIRE_MEMORY_DEVICE + 1),
          QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_topology_add_memory(&t, limit - 1, 1, one, 0), QUIRE_OK);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    for (uint64_t i = 2; t.range_count < QUIRE_TOPOLOGY_RANGES; i++)
        assert_int_equal(quire_topology_add_memory(&t, i * GIB, GIB, one, 0), QUIRE_OK);
    FAILS(quire_topology_add_memory(&t, 4000 * GIB, GIB, one, 0), QUIRE_ERR_FULL);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
}

static void sets_distances(void **state)
{
    const quire_node zero = {0}, one = {1}, two = {2};

    (void)state;
    simple(2);
    FAILS(quire_topology_set_distance(&t, zero, two, 20), QUIRE_ERR_NODE);
    FAILS(quire_topology_set_distance(&t, two, zero, 20), QUIRE_ERR_NODE);
    FAILS(quire_topology_set_distance(&t, one, one, 11), QUIRE_ERR_SIZE);
    FAILS(quire_topology_set_distance(&t, one, one, 9), QUIRE_ERR_SIZE);
    FAILS(quire_topology_set_distance(&t, zero, one, 10), QUIRE_ERR_SIZE);
    FAILS(quire_topology_set_distance(&t, zero, one, 0), QUIRE_ERR_SIZE);
    FAILS(quire_topology_set_distance(&t, zero, one, 256 + 20), QUIRE_ERR_SIZE);
    assert_int_equal(quire_topology_set_distance(&t, one, one, 10), QUIRE_OK);
    assert_int_equal(quire_topology_set_distance(&t, zero, one, 11), QUIRE_OK);
    assert_int_equal(quire_topology_set_distance(&t, zero, one, 255), QUIRE_OK);
    assert_int_equal(t.distance[0][1], 255);
}

static void fills_in_distances(void **state)
{
    (void)state;
    simple(3);
    assert_int_equal(quire_topology_set_distance(&t, quire_node_of(2), quire_node_of(0), 33),
                     QUIRE_OK);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_int_equal(t.distance[0][2], 33);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(t.distance[i][i], 10);
    assert_int_equal(t.distance[0][1], 20);
    assert_int_equal(t.distance[2][1], 20);
    assert_int_equal(t.distance[0][3], 0);
    before = t;
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_memory_equal(&t, &before, sizeof(t));
}

static void refuses_counts(void **state)
{
    (void)state;
    quire_topology_init(&t);
    refused(QUIRE_ERR_NODE, "there is no node", 0, 0, 0, 1);
    simple(1);
    t.node_count = 65;
    refused(QUIRE_ERR_SIZE, "there are too many nodes", 0, 0, 65, 64);
    simple(1);
    t.cpu_count = 4096;
    refused(QUIRE_ERR_SIZE, "there are too many CPUs", 0, 0, 4096, 4095);
    simple(1);
    t.range_count = UINT32_MAX;
    refused(QUIRE_ERR_SIZE, "there are too many stretches of memory", 0, 0, UINT32_MAX, 512);
    simple(1);
    t.range_count = 0;
    refused(QUIRE_ERR_NO_MEMORY, "no node has memory", 0, 0, 0, 1);
}

static void refuses_ids(void **state)
{
    (void)state;
    simple(4);
    t.node_id[3] = 10;
    refused(QUIRE_ERR_BUSY, "two nodes have one id", 3, 1, 10, 1);
    simple(4);
    t.cpu_id[2] = 0;
    refused(QUIRE_ERR_BUSY, "two CPUs have one id", 2, 0, 0, 2);
    simple(4);
    t.cpu_node[1] = 4;
    refused(QUIRE_ERR_NODE, "a CPU is on a node that does not exist", 1, 1, 4, 3);
}

static void refuses_memory(void **state)
{
    (void)state;
    simple(3);
    t.ranges[2].node.n = 3;
    refused(QUIRE_ERR_NODE, "memory is on a node that does not exist", 2, 2, 3, 2);
    simple(3);
    t.ranges[1].bytes = 0;
    refused(QUIRE_ERR_SIZE, "a stretch of memory is empty", 1, 1, 0, 1);
    simple(3);
    t.ranges[1].bytes = UINT64_MAX;
    refused(QUIRE_ERR_SIZE, "memory ends beyond 2^52", 1, 1, UINT64_MAX, (uint64_t)1 << 52);
    simple(3);
    t.ranges[1].phys = (uint64_t)1 << 52;
    refused(QUIRE_ERR_SIZE, "memory ends beyond 2^52", 1, 1, ((uint64_t)1 << 52) + GIB,
            (uint64_t)1 << 52);
    simple(3);
    t.ranges[1].kind = 3;
    refused(QUIRE_ERR_UNSUPPORTED, "memory is of an unknown kind", 1, 1, 3, 2);
}

static void refuses_overlaps(void **state)
{
    (void)state;
    simple(3);
    t.ranges[0].bytes++;
    refused(QUIRE_ERR_BUSY, "memory of two nodes overlaps", 1, 0, GIB, GIB + 1);
    simple(3);
    t.ranges[2].phys = GIB / 2;
    t.ranges[2].bytes = 1;
    refused(QUIRE_ERR_BUSY, "memory of two nodes overlaps", 2, 0, GIB / 2, GIB);
    /* One node's ranges may; what is plugged into a window may be another node's. */
    t.ranges[2].node.n = 0;
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    t.ranges[2].node.n = 2;
    t.ranges[2].kind = QUIRE_MEMORY_HOTPLUG;
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_int_equal(quire_topology_with_memory(&t).bits, 3);
    t.ranges[0].kind = QUIRE_MEMORY_HOTPLUG;
    refused(QUIRE_ERR_BUSY, "memory of two nodes overlaps", 2, 0, GIB / 2, GIB);
}

static void refuses_distances(void **state)
{
    (void)state;
    simple(3);
    t.distance[1][1] = 11;
    refused(QUIRE_ERR_SIZE, "a node's distance to itself is not 10", 1, 1, 11, 10);
    simple(3);
    t.distance[2][1] = 10;
    refused(QUIRE_ERR_SIZE, "two nodes are nearer than 11", 2, 1, 10, 11);
    simple(3);
    t.distance[0][1] = 21;
    t.distance[1][0] = 12;
    refused(QUIRE_ERR_SIZE, "a distance differs by direction", 0, 1, 21, 12);
    t.asymmetric = true;
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_int_equal(t.distance[0][1], 21);
    assert_int_equal(t.distance[1][0], 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_nodes),         cmocka_unit_test(adds_cpus),
        cmocka_unit_test(adds_memory),        cmocka_unit_test(sets_distances),
        cmocka_unit_test(fills_in_distances), cmocka_unit_test(refuses_counts),
        cmocka_unit_test(refuses_ids),        cmocka_unit_test(refuses_memory),
        cmocka_unit_test(refuses_overlaps),   cmocka_unit_test(refuses_distances),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
