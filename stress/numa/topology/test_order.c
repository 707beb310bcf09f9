/* SPDX-License-Identifier: MIT
 *
 * test_order.c - the order of a node's neighbours: nearest first, equals shared out; and tiers and
 * demotion targets, which follow from speeds.
 */
#include "stress/common/assert.h"
#include "stress/common/sizes.h"

#include <quire/topology.h>

#include <stdio.h>

static struct quire_topology t;

/* `nodes` nodes with memory, the first `with_cpus` with a CPU each. */
static void make(uint32_t nodes, uint32_t with_cpus)
{
    quire_node node;

    quire_topology_init(&t);
    for (uint32_t i = 0; i < nodes; i++) {
        assert_int_equal(quire_topology_add_node(&t, i, &node), QUIRE_OK);
        if (i < with_cpus)
            assert_int_equal(quire_topology_add_cpu(&t, i, node), QUIRE_OK);
        assert_int_equal(quire_topology_add_memory(&t, i * GIB, GIB, node, 0), QUIRE_OK);
    }
}

static void far(uint32_t from, uint32_t to, unsigned distance)
{
    assert_int_equal(
        quire_topology_set_distance(&t, quire_node_of(from), quire_node_of(to), distance),
        QUIRE_OK);
}

static void checked(void)
{
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
}

/* The order as a word of digits, so that a failure shows it whole. */
static void expect_order(uint32_t from, const char *want)
{
    quire_node order[QUIRE_NODES];
    char got[4 * QUIRE_NODES] = "";
    size_t at = 0;
    uint32_t count = quire_topology_order(&t, quire_node_of(from), order);

    for (uint32_t i = 0; i < count; i++)
        at += (size_t)snprintf(got + at, sizeof(got) - at, i ? " %u" : "%u", order[i].n);
    assert_string_equal(got, want);
}

static void nearest_first(void **state)
{
    (void)state;
    make(4, 4);
    far(0, 1, 40);
    far(0, 2, 30);
    far(0, 3, 11);
    far(1, 2, 255);
    checked();
    expect_order(0, "0 3 2 1");
    expect_order(1, "1 3 0"); /* node 2 is out of reach */
    expect_order(2, "2 3 0");
    expect_order(4, "");
    assert_int_equal(t.distance[2][1], 255);
}

static void speed_decides_equal_distances(void **state)
{
    (void)state;
    make(5, 5);
    t.latency_ns[0][1] = 300;
    t.latency_ns[0][2] = 200;
    t.latency_ns[0][3] = 200;
    t.bandwidth_mbs[0][2] = 1000;
    t.bandwidth_mbs[0][3] = 2000;
    t.bandwidth_mbs[0][4] = 9000; /* its latency is not known: last */
    checked();
    expect_order(0, "0 3 2 1 4");
}

static void equals_take_turns(void **state)
{
    (void)state;
    make(4, 4);
    checked();
    expect_order(0, "0 1 2 3");
    expect_order(1, "1 2 3 0");
    expect_order(2, "2 3 0 1");
    expect_order(3, "3 0 1 2");
}

/* How often each node is the first choice of another one. */
static void expect_shares(uint32_t askers, const unsigned want[])
{
    unsigned first[QUIRE_NODES] = {0};
    quire_node order[QUIRE_NODES];

    for (uint32_t from = 0; from < askers; from++) {
        assert_true(quire_topology_order(&t, quire_node_of(from), order) >= 2);
        assert_int_equal(order[0].n, from);
        first[order[1].n]++;
    }
    for (uint32_t n = 0; n < t.node_count; n++)
        assert_int_equal(first[n], want[n]);
}

static void equals_share_the_load(void **state)
{
    static const unsigned once[QUIRE_NODES] = {[0 ... QUIRE_NODES - 1] = 1};
    static const unsigned behind[8] = {0, 0, 0, 0, 1, 1, 1, 1};

    (void)state;
    /* A ring of four. */
    make(4, 4);
    far(0, 2, 30);
    far(1, 3, 30);
    checked();
    expect_shares(4, once);
    /* Two sockets of four nodes each. */
    make(8, 8);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < 4; k++)
            if (i != k) {
                far(i, k, 12);
                far(i + 4, k + 4, 12);
            }
    checked();
    expect_shares(8, once);
    /* Four nodes without CPUs, nearer than the other ones with CPUs. */
    make(8, 4);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 4; k < 8; k++)
            far(i, k, 15);
    checked();
    expect_shares(4, behind);
    /* All that there can be. */
    make(QUIRE_NODES, QUIRE_NODES);
    checked();
    expect_shares(QUIRE_NODES, once);
}

static void nearest_of_a_set(void **state)
{
    (void)state;
    make(6, 3);
    far(0, 5, 15);
    far(0, 4, 255);
    checked();
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(0), (quire_nodemask){0x39}).n, 0);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(0), (quire_nodemask){0x38}).n, 5);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(0), (quire_nodemask){0x10}).n,
                     QUIRE_NO_NODE);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(0), (quire_nodemask){0}).n,
                     QUIRE_NO_NODE);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(6), (quire_nodemask){0x3f}).n,
                     QUIRE_NO_NODE);
    /* Askers before the same two members take turns: 5, 1, 2. For 0 one of them is no choice. */
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(5), (quire_nodemask){0x18}).n, 3);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(1), (quire_nodemask){0x18}).n, 4);
    assert_int_equal(quire_topology_nearest(&t, quire_node_of(2), (quire_nodemask){0x18}).n, 3);
}

/* Every order names each node once; its second is the nearest of the others. */
static void orders_are_permutations(void **state)
{
    quire_node order[QUIRE_NODES];
    uint32_t random = 1;

    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t nodes = 1 + round % QUIRE_NODES;

        make(nodes, nodes);
        for (uint32_t i = 0; i < nodes; i++)
            for (uint32_t k = i + 1; k < nodes; k++) {
                random = random * 1664525 + 1013904223;
                far(i, k, 11 + (random >> 24) % 4);
            }
        checked();
        for (uint32_t from = 0; from < nodes; from++) {
            uint64_t seen = 0;
            unsigned last = 0;

            assert_int_equal(quire_topology_order(&t, quire_node_of(from), order), nodes);
            quire_nodemask others = {~quire_nodemask_of(quire_node_of(from)).bits};
            assert_int_equal(quire_topology_nearest(&t, quire_node_of(from), others).n,
                             nodes > 1 ? order[1].n : QUIRE_NO_NODE);
            for (uint32_t i = 0; i < nodes; i++) {
                assert_true(t.distance[from][order[i].n] >= last);
                last = t.distance[from][order[i].n];
                seen |= quire_nodemask_of(order[i]).bits;
            }
            assert_int_equal(__builtin_popcountll(seen), nodes);
        }
    }
}

static void expect_tier(uint32_t node, uint32_t tier, uint32_t demotion)
{
    assert_int_equal(quire_topology_tier(&t, quire_node_of(node)), tier);
    assert_int_equal(quire_topology_demotion(&t, quire_node_of(node)).n, demotion);
}

static void tiers_by_cpus_alone(void **state)
{
    (void)state;
    make(4, 2);
    far(0, 3, 15);
    checked();
    expect_tier(0, 0, 3);
    expect_tier(1, 0, 2);
    expect_tier(2, 1, QUIRE_NO_NODE);
    expect_tier(3, 1, QUIRE_NO_NODE);
    far(0, 3, 20);
    far(3, 0, 20);
    expect_tier(0, 0, 2); /* nodes with CPUs share the others */
    expect_tier(1, 0, 3);
    expect_tier(4, QUIRE_NO_TIER, QUIRE_NO_NODE);
}

/* Nodes 0, 1 with CPUs; 2 is HBM, 3 is CXL memory, 4 is a slower one behind a switch. */
static void tiers_by_speed(void **state)
{
    static const uint32_t latency[] = {100, 110, 120, 250, 600};
    static const uint32_t bandwidth[] = {100000, 90000, 400000, 60000, 25000};

    (void)state;
    make(5, 2);
    for (uint32_t k = 0; k < 5; k++) {
        t.latency_ns[0][k] = latency[k];
        t.bandwidth_mbs[0][k] = bandwidth[k];
        t.latency_ns[1][k] = latency[k] + (k == 1 ? 0 : 50);
        t.bandwidth_mbs[1][k] = bandwidth[k];
    }
    far(0, 3, 30);
    far(0, 4, 14);
    checked();
    expect_tier(2, 0, 0);
    expect_tier(0, 1, 3); /* though 4 is nearer: it is two tiers down */
    expect_tier(1, 1, 3);
    expect_tier(3, 2, 4);
    expect_tier(4, 3, QUIRE_NO_NODE);
    /* Out of the next tier's reach, the one after it will do. */
    far(0, 3, 255);
    far(3, 0, 255);
    expect_tier(0, 1, 4);
}

/* At most a factor of two is one tier; one of two measures is enough. */
static void tiers_at_their_edges(void **state)
{
    (void)state;
    make(3, 1);
    t.latency_ns[0][0] = 100;
    t.latency_ns[0][1] = 200;
    t.latency_ns[0][2] = 204;
    checked();
    expect_tier(0, 0, 2);
    expect_tier(1, 0, 2);
    expect_tier(2, 1, QUIRE_NO_NODE);
    make(3, 1);
    t.bandwidth_mbs[0][0] = 100;
    t.bandwidth_mbs[0][1] = 50;
    t.bandwidth_mbs[0][2] = UINT32_MAX;
    checked();
    expect_tier(2, 0, 0);
    expect_tier(0, 1, QUIRE_NO_NODE);
    expect_tier(1, 1, QUIRE_NO_NODE);
    /* Absurd speeds end at the last tier, not in an overflow. */
    t.latency_ns[0][0] = 1;
    t.latency_ns[0][1] = UINT32_MAX;
    t.bandwidth_mbs[0][0] = UINT32_MAX;
    t.bandwidth_mbs[0][1] = 1;
    expect_tier(0, 0, 1);
    expect_tier(1, 1, QUIRE_NO_NODE);
}

/* CPUs here, memory there: then the memory is what is usual. */
static void tiers_without_local_memory(void **state)
{
    (void)state;
    make(3, 0);
    t.range_count = 0;
    assert_int_equal(quire_topology_add_cpu(&t, 0, quire_node_of(0)), QUIRE_OK);
    assert_int_equal(quire_topology_add_memory(&t, 0, GIB, quire_node_of(1), 0), QUIRE_OK);
    assert_int_equal(quire_topology_add_memory(&t, GIB, GIB, quire_node_of(2), 0), QUIRE_OK);
    t.latency_ns[0][1] = 100;
    t.latency_ns[0][2] = 300;
    checked();
    expect_tier(0, QUIRE_NO_TIER, QUIRE_NO_NODE);
    expect_tier(1, 0, 2);
    expect_tier(2, 1, QUIRE_NO_NODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_first),        cmocka_unit_test(speed_decides_equal_distances),
        cmocka_unit_test(equals_take_turns),    cmocka_unit_test(equals_share_the_load),
        cmocka_unit_test(nearest_of_a_set),     cmocka_unit_test(orders_are_permutations),
        cmocka_unit_test(tiers_by_cpus_alone),  cmocka_unit_test(tiers_by_speed),
        cmocka_unit_test(tiers_at_their_edges), cmocka_unit_test(tiers_without_local_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
