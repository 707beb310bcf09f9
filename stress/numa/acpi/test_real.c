/* SPDX-License-Identifier: MIT
 *
 * test_real.c - what the tables of three machines of QEMU say, against the command lines that
 * they were made by and a disassembly by iasl.
 */
#include "stress/common/assert.h"

#include "tables.h"

#include <stdio.h>

static struct quire_topology topology;
static struct table table;

static void load(const char *machine, unsigned hmat)
{
    static const char *const kinds[] = {"APIC", "SRAT", "SLIT", "HMAT"};
    struct quire_fault fault;
    char name[64];

    quire_topology_init(&topology);
    for (unsigned i = 0; i < 3 + hmat; i++) {
        snprintf(name, sizeof(name), "%s-%s.dat", machine, kinds[i]);
        table_load(&table, name);
        table_read(&topology, &table);
    }
    assert_int_equal(quire_topology_check(&topology, &fault), QUIRE_OK);
}

static void expect_nodes(uint32_t nodes, const uint32_t ids[], const uint32_t cpu_nodes[8])
{
    assert_int_equal(topology.node_count, nodes);
    assert_memory_equal(topology.node_id, ids, nodes * sizeof(ids[0]));
    assert_int_equal(topology.cpu_count, 8);
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        assert_int_equal(topology.cpu_id[cpu], cpu);
        assert_int_equal(topology.cpu_node[cpu], cpu_nodes[cpu]);
    }
}

static void expect_ranges(const struct quire_topology_memory *want, uint32_t count)
{
    assert_int_equal(topology.range_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(topology.ranges[i].phys, want[i].phys);
        assert_int_equal(topology.ranges[i].bytes, want[i].bytes);
        assert_int_equal(topology.ranges[i].node.n, want[i].node.n);
        assert_int_equal(topology.ranges[i].kind, QUIRE_MEMORY_ORDINARY);
    }
}

static void expect_distances(const uint8_t want[4][4])
{
    for (unsigned from = 0; from < 4; from++)
        for (unsigned to = 0; to < 4; to++)
            assert_int_equal(topology.distance[from][to], want[from][to]);
}

static const struct quire_topology_memory four_gib[] = {
    {0, 0xa0000, {0}, 0},
    {0x100000, 0x3ff00000, {0}, 0},
    {0x40000000, 0x40000000, {1}, 0},
    {0x100000000, 0x40000000, {2}, 0},
    {0x140000000, 0x40000000, {3}, 0},
};
static const uint32_t in_order[] = {0, 1, 2, 3}, in_pairs[] = {0, 0, 1, 1, 2, 2, 3, 3};
static const uint8_t ring[4][4] = {{10, 20, 30, 20},
                                   {20, 10, 20, 30},
                                   {30, 20, 10, 20},
                                   {20, 30, 20, 10}};

static void plain(void **state)
{
    (void)state;
    load("plain4", 0);
    expect_nodes(4, in_order, in_pairs);
    expect_ranges(four_gib, 5);
    expect_distances(ring);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < 4; k++)
            assert_int_equal(topology.latency_ns[i][k] | topology.bandwidth_mbs[i][k], 0);
}

static void with_hmat(void **state)
{
    static const uint32_t latency[] = {80, 160, 240}, bandwidth[] = {20480, 10240, 6144};

    (void)state;
    load("hmat", 1);
    expect_nodes(4, in_order, in_pairs);
    expect_ranges(four_gib, 5);
    expect_distances(ring);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < 4; k++) {
            assert_int_equal(topology.latency_ns[i][k], latency[ring[i][k] / 10 - 1]);
            assert_int_equal(topology.bandwidth_mbs[i][k], bandwidth[ring[i][k] / 10 - 1]);
            assert_int_equal(quire_topology_tier(&topology, quire_node_of(k)), 0);
        }
    assert_int_equal(quire_topology_demotion(&topology, quire_node_of(0)).n, QUIRE_NO_NODE);
}

/* Domain 3 has a CPU alone, domain 2 memory alone; 3 is named first. */
static void uneven(void **state)
{
    static const uint32_t ids[] = {0, 1, 3, 2}, cpus[] = {0, 0, 0, 0, 1, 1, 1, 2};
    static const struct quire_topology_memory memory[] = {
        {0, 0xa0000, {0}, 0},
        {0x100000, 0x1ff00000, {0}, 0},
        {0x20000000, 0x60000000, {1}, 0},
        {0x100000000, 0xc0000000, {1}, 0},
        {0x1c0000000, 0x40000000, {3}, 0},
    };
    static const uint8_t distances[4][4] = {
        {10, 20, 40, 25}, {20, 10, 25, 40}, {40, 25, 10, 50}, {25, 40, 50, 10}};

    (void)state;
    load("asym", 0);
    expect_nodes(4, ids, cpus);
    expect_ranges(memory, 5);
    expect_distances(distances);
    assert_int_equal(quire_topology_with_memory(&topology).bits, 0xb);
    assert_int_equal(quire_topology_with_cpus(&topology).bits, 0x7);
    /* The node without CPUs is slow, of the one without memory there is nothing to say. */
    assert_int_equal(quire_topology_tier(&topology, quire_node_of(0)), 0);
    assert_int_equal(quire_topology_tier(&topology, quire_node_of(2)), QUIRE_NO_TIER);
    assert_int_equal(quire_topology_tier(&topology, quire_node_of(3)), 1);
    assert_int_equal(quire_topology_demotion(&topology, quire_node_of(1)).n, 3);
    assert_int_equal(quire_topology_demotion(&topology, quire_node_of(3)).n, QUIRE_NO_NODE);
}

/* Either of MADT and SRAT is enough; tables after each other may be read twice. */
static void alone(void **state)
{
    struct quire_fault fault;

    (void)state;
    quire_topology_init(&topology);
    table_load(&table, "plain4-SRAT.dat");
    table_read(&topology, &table);
    expect_nodes(4, in_order, in_pairs);
    table_load(&table, "plain4-APIC.dat");
    table_read(&topology, &table);
    expect_nodes(4, in_order, in_pairs);

    quire_topology_init(&topology);
    table_read(&topology, &table);
    assert_int_equal(topology.cpu_count, 8);
    assert_int_equal(quire_topology_check(&topology, &fault), QUIRE_ERR_NODE);
    for (uint32_t cpu = 0; cpu < 8; cpu++)
        assert_int_equal(topology.cpu_node[cpu], QUIRE_NO_NODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(with_hmat),
        cmocka_unit_test(uneven),
        cmocka_unit_test(alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
