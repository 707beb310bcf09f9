/* SPDX-License-Identifier: MIT
 *
 * test_read_real.c - topologies of real machines and of QEMU's, from hwloc files and device trees,
 * against what is in the files; hwloc's synthetic ones; and this machine, against the kernel.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/topo/topo.h"
#include "stress/common/sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct topo topo;
static const struct quire_topology *const t = &topo.topology;

static void load(const char *argument)
{
    struct map_error error = {""};

    if (topo_load(&topo, argument, 0, &error))
        fail_msg("refused: %s", error.text);
}

/* "10 20 30", a row of the distances. */
static void expect_row(uint32_t from, const char *want)
{
    char got[4 * QUIRE_NODES + 1] = "";
    size_t at = 0;

    for (uint32_t to = 0; to < t->node_count; to++)
        at +=
            (size_t)snprintf(got + at, sizeof(got) - at, to ? " %u" : "%u", t->distance[from][to]);
    assert_string_equal(got, want);
}

/* The ids of a node's CPUs. */
static void expect_cpus(uint32_t node, const char *want)
{
    char got[512] = "";
    size_t at = 0;

    for (uint32_t cpu = 0; cpu < t->cpu_count; cpu++)
        if (t->cpu_node[cpu] == node)
            at += (size_t)snprintf(got + at, sizeof(got) - at, at ? " %" PRIu32 : "%" PRIu32,
                                   t->cpu_id[cpu]);
    assert_string_equal(got, want);
}

static void expect_size(const char *format, uint32_t nodes, uint32_t cpus, uint32_t ranges)
{
    assert_string_equal(topo.format, format);
    assert_int_equal(t->node_count, nodes);
    assert_int_equal(t->cpu_count, cpus);
    assert_int_equal(t->range_count, ranges);
}

static void expect_range(uint32_t i, uint32_t node, uint64_t phys, uint64_t bytes)
{
    assert_int_equal(t->ranges[i].node.n, node);
    assert_int_equal(t->ranges[i].phys, phys);
    assert_int_equal(t->ranges[i].bytes, bytes);
    assert_int_equal(t->ranges[i].kind, QUIRE_MEMORY_ORDINARY);
}

static void expect_tier(uint32_t node, uint32_t tier, uint32_t demotion)
{
    assert_int_equal(quire_topology_tier(t, quire_node_of(node)), tier);
    assert_int_equal(quire_topology_demotion(t, quire_node_of(node)).n, demotion);
}

/* Five of eight nodes; the CPUs of two of them are not allowed. */
static void nodes_with_holes(void **state)
{
    static const uint32_t ids[] = {1, 2, 3, 4, 5};

    (void)state;
    load(DATA "/topology/16amd64-8n2c-cpusets.xml");
    expect_size("hwloc XML", 5, 10, 5);
    assert_memory_equal(t->node_id, ids, sizeof(ids));
    expect_cpus(1, "5");
    expect_cpus(2, "6");
    expect_cpus(3, "");
    expect_row(0, "10 20 20 20 20");
    expect_row(4, "20 20 20 20 10");
    assert_true(topo.laid_out);
    for (uint32_t i = 0; i < 5; i++)
        expect_range(i, i, (4 + 8 * i) * GIB, 8 * GIB);
    expect_tier(0, 0, 3);
    expect_tier(1, 0, 4);
    expect_tier(3, 1, QUIRE_NO_NODE);
}

static void large_server(void **state)
{
    (void)state;
    load(DATA "/topology/192em64t-24n8c2t.xml");
    expect_size("hwloc XML", 24, 384, 24);
    expect_cpus(0, "0 1 2 3 4 5 6 7 192 193 194 195 196 197 198 199");
    expect_cpus(23, "184 185 186 187 188 189 190 191 376 377 378 379 380 381 382 383");
    expect_row(0, "10 50 65 65 65 65 65 65 65 65 79 79 65 65 79 79 65 65 79 79 79 79 79 79");
    expect_range(0, 0, 4 * GIB, 33255329792 / 4096 * 4096);
    expect_range(1, 1, 35 * GIB, 33269219328);
    expect_tier(7, 0, QUIRE_NO_NODE);
}

/* Memory of two kinds near the same CPUs: they count to the first, and the two are neighbours. */
static void fast_memory_beside(void **state)
{
    static const uint32_t beside[] = {7, 4, 5, 6};

    (void)state;
    load(DATA "/topology/64intel64-heteromem.xml");
    expect_size("hwloc XML", 8, 64, 8);
    expect_cpus(0, "0 1 2 3 16 17 18 19 32 33 34 35 48 49 50 51");
    expect_cpus(7, "");
    expect_row(0, "10 20 20 20 20 20 20 11");
    expect_row(4, "20 11 20 20 10 20 20 20");
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(t->bandwidth_mbs[i][i], 22500);
        assert_int_equal(t->bandwidth_mbs[i][beside[i]], 90000);
        assert_int_equal(t->bandwidth_mbs[i][beside[(i + 1) % 4]], 0);
        expect_tier(i, 1, QUIRE_NO_NODE);
        expect_tier(beside[i], 0, i);
    }
}

/* One bandwidth, as all CPUs see it; attributes of other names are somebody else's. */
static void attributes(void **state)
{
    (void)state;
    load(DATA "/topology/8intel64-4n2t-memattrs.xml");
    expect_size("hwloc XML", 4, 8, 4);
    for (uint32_t from = 0; from < 4; from++)
        for (uint32_t to = 0; to < 4; to++) {
            assert_int_equal(t->bandwidth_mbs[from][to], to == 1 ? 20 : 0);
            assert_int_equal(t->latency_ns[from][to], 0);
        }
    expect_row(0, "10 20 20 20");
}

/* CXL memory that no node has yet is no memory yet. */
static void cxl_devices(void **state)
{
    (void)state;
    load(DATA "/topology/cxlmem+dax.v3.xml");
    expect_size("hwloc XML", 1, 4, 1);
    expect_range(0, 0, 4 * GIB, 3061719040 / 4096 * 4096);
    expect_tier(0, 0, QUIRE_NO_NODE);
    assert_non_null(strstr(topo.note, "hwloc 3"));
}

static void distances_of_several_kinds(void **state)
{
    (void)state;
    load(DATA "/topology/fakeheterodistances.xml");
    expect_size("hwloc XML", 8, 8, 8);
    expect_cpus(7, "42");
    expect_row(0, "10 16 16 22 16 22 16 22");
    expect_row(5, "22 22 16 16 16 10 22 16");
    expect_range(1, 1, 12 * GIB, 16 * GIB);
}

static void device_trees(void **state)
{
    static const char *const files[] = {DATA "/dtb/virt-8cpu-4node-8g.dtb",
                                        DATA "/dtb/booted-8cpu-4node-8g.dtb"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        load(files[i]);
        expect_size("device tree", 4, 8, 4);
        assert_false(topo.laid_out);
        for (uint32_t n = 0; n < 4; n++) {
            static const char *const cpus[] = {"0 1", "2 3", "4 5", "6 7"};
            assert_int_equal(t->node_id[n], n);
            expect_cpus(n, cpus[n]);
            /* The tree names them in descending order. */
            expect_range(3 - n, n, GIB + 2 * GIB * n, 2 * GIB);
        }
        expect_row(0, "10 20 30 20");
        expect_row(1, "20 10 20 30");
    }
    load(DATA "/dtb/virt-1cpu-1g.dtb");
    expect_size("device tree", 1, 1, 1);
    expect_range(0, 0, GIB, GIB);
}

static void synthetic(void **state)
{
    (void)state;
    load("node:4 core:8 pu:2");
    expect_size("hwloc synthetic topology", 4, 64, 4);
    for (uint32_t n = 0; n < 4; n++)
        expect_range(n, n, (4 + n) * GIB, GIB);
    expect_cpus(3, "48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63");
    expect_row(2, "20 20 10 20");
    load("node:2(memory=1610612736) pu:1");
    expect_range(0, 0, 4 * GIB, GIB + GIB / 2);
    expect_range(1, 1, 6 * GIB, GIB + GIB / 2);
    load("node:64 core:8 pu:2");
    expect_size("hwloc synthetic topology", 64, 1024, 64);
    load("[numa(memory=4096)] pu:2");
    expect_size("hwloc synthetic topology", 1, 2, 1);
}

/* What the kernel says in a file of lines such as "[Node 0 ]MemTotal: 5728472 kB"; 0 if it is not
 * there. */
static uint64_t total_in(const char *path)
{
    static const char key[] = "MemTotal:";
    FILE *file = fopen(path, "r");
    char line[128] = "";
    const char *found;

    if (!file)
        return 0;
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    found = strstr(line, key);
    assert_non_null(found);
    return (uint64_t)strtoull(found + sizeof(key) - 1, NULL, 10) << 10;
}

/* Of all nodes. A kernel whose memory grew since it was booted may tell another sum in
 * /proc/meminfo, which is for kernels that show no nodes. */
static uint64_t meminfo_bytes(void)
{
    uint64_t bytes = 0;

    for (unsigned node = 0; node < 1024; node++) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", node);
        bytes += total_in(path);
    }
    return bytes ? bytes : total_in("/proc/meminfo");
}

/* The sizes of the nodes are those of the machine, give or take what the kernel keeps. */
static void this_machine(void **state)
{
    uint64_t bytes = 0;

    (void)state;
    load("host");
    assert_true(t->node_count >= 1);
    assert_int_equal(t->cpu_count, sysconf(_SC_NPROCESSORS_ONLN));
    for (uint32_t i = 0; i < t->range_count; i++)
        bytes += t->ranges[i].bytes;
    assert_true(bytes / 10 * 9 <= meminfo_bytes() && bytes / 10 * 11 >= meminfo_bytes());
    assert_true(topo.laid_out);
}

/* As a memory map: the same ranges, and nodes by their numbers here. */
static void as_a_map(void **state)
{
    struct map_error error = {""};
    struct map map;

    (void)state;
    load(DATA "/dtb/virt-8cpu-4node-8g.dtb");
    assert_int_equal(topo_map(&topo, &map, &error), 0);
    assert_int_equal(map.count, 4);
    assert_int_equal(map.regions[0].start, 7 * GIB);
    assert_int_equal(map.regions[0].end, 9 * GIB);
    assert_int_equal(map.regions[0].node, 3);
    assert_int_equal(map.regions[0].kind, MAP_USABLE);
    assert_string_equal(map.format, "device tree");
    map_free(&map);
    topo.topology.ranges[0].kind = QUIRE_MEMORY_DEVICE;
    topo.topology.ranges[1].kind = QUIRE_MEMORY_HOTPLUG;
    assert_int_equal(topo_map(&topo, &map, &error), 0);
    assert_int_equal(map.regions[0].kind, MAP_DEVICE);
    assert_int_equal(map.regions[1].kind, MAP_NODE_ONLY);
    map_free(&map);
    topo.topology.range_count = 2;
    assert_int_equal(topo_map(&topo, &map, &error), -1);
    assert_non_null(strstr(error.text, "no node has ordinary memory: expected some"));
    assert_null(map.regions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_with_holes),   cmocka_unit_test(large_server),
        cmocka_unit_test(fast_memory_beside), cmocka_unit_test(attributes),
        cmocka_unit_test(cxl_devices),        cmocka_unit_test(distances_of_several_kinds),
        cmocka_unit_test(device_trees),       cmocka_unit_test(synthetic),
        cmocka_unit_test(this_machine),       cmocka_unit_test(as_a_map),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
