/* SPDX-License-Identifier: MIT
 *
 * test_dtb.c - device trees as topologies and as memory maps: cells of all widths, what is
 * disabled, what is reserved, and trees that lie.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/topo/topo.h"
#include "stress/common/sizes.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct topo topo;
static const struct quire_topology *const t = &topo.topology;
static struct map map;

static void parse(void)
{
    struct map_error error = {""};

    tree_end();
    if (topo_parse(&topo, "tree", tree.data, tree.bytes, 0, &error))
        fail_msg("refused: %s", error.text);
}

static void refused_as(int result, const struct map_error *error, const char *wrong,
                       const char *right)
{
    const char *expected = strstr(error->text, ": expected ");

    assert_int_equal(result, -1);
    if (strncmp(error->text, "tree: ", 6) != 0 || !strstr(error->text, wrong) || !expected ||
        !strstr(expected, right))
        fail_msg("wanted \"tree: %s ... %s\", got \"%s\"", wrong, right, error->text);
}

static void refused(const char *wrong, const char *right)
{
    struct map_error error = {""};

    tree_end();
    refused_as(topo_parse(&topo, "tree", tree.data, tree.bytes, TOPO_STRICT, &error), &error, wrong,
               right);
}

static void refused_map(const char *wrong, const char *right)
{
    struct map_error error = {""};

    tree_end();
    refused_as(map_parse(&map, "tree", (const char *)tree.data, tree.bytes, 0, &error), &error,
               wrong, right);
    assert_null(map.regions);
}

static void expect_regions(const struct map_region *want, size_t count)
{
    struct map_error error = {""};

    tree_end();
    if (map_parse(&map, "tree", (const char *)tree.data, tree.bytes, 0, &error))
        fail_msg("refused: %s", error.text);
    assert_string_equal(map.format, "device tree");
    assert_int_equal(map.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(map.regions[i].start, want[i].start);
        assert_int_equal(map.regions[i].end, want[i].end);
        assert_int_equal(map.regions[i].kind, want[i].kind);
        assert_int_equal(map.regions[i].node, want[i].node);
        assert_int_equal(map.regions[i].line, i + 1);
    }
}

static void cpu(const char *name, uint32_t high, uint32_t low, int node, const char *status)
{
    tree_node(name);
    tree_string("device_type", "cpu");
    TREE_CELLS("reg", high, low);
    if (node >= 0)
        TREE_CELLS("numa-node-id", (uint32_t)node);
    if (status)
        tree_string("status", status);
    tree_close();
}

/* Two cells for a CPU's number; a node's number need not be small, and may have no CPU. */
static void reads_everything(void **state)
{
    static const uint32_t ids[] = {0, 3, 900};

    (void)state;
    tree_begin(1, 1, NULL, 0);
    tree_node("cpus");
    TREE_CELLS("#address-cells", 2);
    TREE_CELLS("#size-cells", 0);
    cpu("cpu@a", 0, 0x80000001, 3, NULL);
    cpu("cpu@b", 2, 0x10203, 3, "okay");
    cpu("cpu@c", 0, 7, 900, "disabled");
    cpu("cpu@d", 0, 8, -1, "ok");
    tree_node("cpu-map");
    tree_close();
    tree_close();
    tree_memory("memory@90000000");
    TREE_CELLS("reg", 0x90000000, 0x1000, 0xa0000000, 0, 0xb0000000, 0x2000);
    TREE_CELLS("numa-node-id", 900);
    tree_close();
    tree_memory("memory@0");
    TREE_CELLS("reg", 0, 0x80000000);
    TREE_CELLS("linux,usable-memory", 0x1000, 0x4000);
    tree_close();
    tree_memory("memory@c0000000");
    TREE_CELLS("reg", 0xc0000000, 0x1000);
    tree_string("status", "disabled");
    tree_close();
    tree_node("distance-map");
    tree_string("compatible", "numa-distance-map-v1");
    TREE_CELLS("distance-matrix", 0, 0, 10, 3, 900, 40, 0, 900, 255, 7, 0, 99);
    tree_close();
    parse();
    assert_int_equal(t->node_count, 3);
    assert_memory_equal(t->node_id, ids, sizeof(ids));
    assert_int_equal(t->cpu_count, 3);
    assert_int_equal(t->cpu_id[0], 0x80000001);
    assert_int_equal(t->cpu_id[1], 0x2010203);
    assert_int_equal(t->cpu_node[1], 1);
    assert_int_equal(t->cpu_node[2], 0);
    assert_int_equal(t->range_count, 3);
    assert_int_equal(t->ranges[1].phys, 0xb0000000);
    assert_int_equal(t->ranges[1].bytes, 0x2000);
    assert_int_equal(t->ranges[1].node.n, 2);
    assert_int_equal(t->ranges[2].phys, 0x1000);
    assert_int_equal(t->ranges[2].bytes, 0x4000);
    assert_int_equal(t->distance[2][1], 40); /* told for the other direction */
    assert_int_equal(t->distance[0][2], 255);
    assert_int_equal(t->distance[0][1], 20);
}

static void maps_everything(void **state)
{
    static const uint64_t reserve[] = {0x40000000, 0x1000, 0x60000000, 0x2000};
    const uint32_t any = MAP_NODE_ANY;

    (void)state;
    tree_begin(2, 2, reserve, 2);
    tree_memory("memory@40000000");
    TREE_CELLS("reg", 0, 0x40000000, 0, 0x40000000, 1, 0, 0, 0x1000);
    TREE_CELLS("numa-node-id", 5);
    tree_close();
    tree_node("reserved-memory");
    TREE_CELLS("#address-cells", 1);
    TREE_CELLS("#size-cells", 1);
    tree_node("a@41000000");
    TREE_CELLS("reg", 0x41000000, 0x1000, 0x42000000, 0x1000);
    tree_raw("no-map", "", 0);
    tree_close();
    tree_node("b@43000000");
    TREE_CELLS("reg", 0x43000000, 0x1000);
    tree_raw("reusable", "", 0);
    tree_close();
    tree_node("c@44000000");
    TREE_CELLS("reg", 0x44000000, 0x1000);
    tree_string("status", "disabled");
    tree_close();
    tree_node("pool");
    TREE_CELLS("size", 0x3000);
    tree_close();
    tree_close();
    tree_node("chosen");
    TREE_CELLS("linux,initrd-start", 0, 0x45000000);
    TREE_CELLS("linux,initrd-end", 0x45800001);
    tree_close();
    const struct map_region want[] = {
        {0x40000000, 0x80000000, MAP_USABLE, 5, 0},
        {4 * GIB, 4 * GIB + 0x1000, MAP_USABLE, 5, 0},
        {0x40000000, 0x40001000, MAP_RESERVED, any, 0},
        {0x60000000, 0x60002000, MAP_RESERVED, any, 0},
        {0x41000000, 0x41001000, MAP_RESERVED, any, 0},
        {0x42000000, 0x42001000, MAP_RESERVED, any, 0},
        {0x43000000, 0x43001000, MAP_RESERVED, any, 0},
        {0x45000000, 0x45800001, MAP_RESERVED, any, 0},
    };
    expect_regions(want, sizeof(want) / sizeof(want[0]));
    assert_non_null(strstr(map.note, "12288 bytes more"));
    map_free(&map);
}

/* FILE@ADDRESS: the tree's own bytes are in use. */
static void where_the_tree_lies(void **state)
{
    struct map_error error = {""};

    (void)state;
    assert_int_equal(map_load(&map, DATA "/dtb/booted-8cpu-4node-8g.dtb@0x4a000000", 0, &error), 0);
    assert_int_equal(map.count, 6);
    assert_int_equal(map.regions[4].start, 0x48000000);
    assert_int_equal(map.regions[4].end, 0x480fdf19);
    assert_int_equal(map.regions[5].start, 0x4a000000);
    assert_int_equal(map.regions[5].end, 0x4a000000 + 9321);
    assert_int_equal(map.regions[5].kind, MAP_RESERVED);
    map_free(&map);
    assert_int_equal(topo_load(&topo, DATA "/dtb/booted-8cpu-4node-8g.dtb@0x4a000000", 0, &error),
                     0);
    assert_int_equal(topo.reserved_count, 2);
    assert_int_equal(topo.reserved[0].start, 0x48000000);
    assert_int_equal(topo.reserved[1].start, 0x4a000000);
    assert_int_equal(topo.reserved[1].end, 0x4a000000 + 9321);
    assert_int_equal(topo_load(&topo, DATA "/dtb/virt-1cpu-1g.dtb@4096T", 0, &error), -1);
    assert_non_null(strstr(error.text, "above 2^52: expected"));
    assert_int_equal(map_load(&map, DATA "/dtb/virt-1cpu-1g.dtb@4096T", 0, &error), -1);
    assert_non_null(strstr(error.text, "above 2^52: expected"));
    assert_null(map.regions);
    assert_int_equal(map_load(&map, DATA "/dtb/virt-1cpu-1g.dtb@here", 0, &error), -1);
    assert_non_null(strstr(error.text, "@here: cannot be opened"));
}

static void load(const char *name, const char *note)
{
    struct map_error error = {""};
    char path[256];

    snprintf(path, sizeof(path), DATA "/field/dts/%s.dtb", name);
    if (map_load(&map, path, 0, &error) || topo_load(&topo, path, 0, &error))
        fail_msg("%s: refused: %s", name, error.text);
    if (*note ? !strstr(map.note, note) || !strstr(topo.note, note) : *map.note || *topo.note)
        fail_msg("%s: wanted \"%s\", got \"%s\" and \"%s\"", name, note, map.note, topo.note);
}

static void expect_range(uint32_t i, uint64_t start, uint64_t end)
{
    assert_true(i < t->range_count);
    assert_int_equal(t->ranges[i].phys, start);
    assert_int_equal(t->ranges[i].phys + t->ranges[i].bytes, end);
    assert_int_equal(map.regions[i].start, start);
    assert_int_equal(map.regions[i].end, end);
    assert_int_equal(map.regions[i].kind, MAP_USABLE);
}

/* A crash kernel: what is not its own is the crashed one's, and left out by both. */
static void a_crash_kernel(void **state)
{
    (void)state;
    load("d04-kdump", "outside of linux,usable-memory-range is left out");
    expect_range(0, 0xc0000000, 0xe0000000);
    assert_int_equal(map.count, 2);
    assert_int_equal(map.regions[1].start, 0xdfff0000);
    assert_int_equal(map.regions[1].end, 0xe0000000);
    assert_int_equal(map.regions[1].kind, MAP_RESERVED);
    assert_int_equal(topo.reserved_count, 1);
    assert_int_equal(topo_memory_of(&topo, 0), 0x1fff0000);
    map_free(&map);
    /* Two ranges, in the root's cells, over two nodes; an empty one says nothing. */
    tree_begin(1, 1, NULL, 0);
    for (uint32_t n = 0; n < 2; n++) {
        tree_memory(n ? "memory@40000000" : "memory@0");
        TREE_CELLS("reg", n * 0x40000000, 0x40000000);
        TREE_CELLS("numa-node-id", n);
        tree_close();
    }
    tree_node("chosen");
    TREE_CELLS("linux,usable-memory-range", 0x3f000000, 0x2000000, 0, 0, 0x70000000, 0x1000);
    tree_close();
    const struct map_region want[] = {
        {0x3f000000, 0x40000000, MAP_USABLE, 0, 0},
        {0x40000000, 0x41000000, MAP_USABLE, 1, 0},
        {0x70000000, 0x70001000, MAP_USABLE, 1, 0},
    };
    expect_regions(want, 3);
    map_free(&map);
}

/* pseries: blocks one by one, and in runs; what is not assigned or is reserved is none. */
static void dynamic_memory(void **state)
{
    (void)state;
    load("d14-ppc-lmb", "ibm,associativity is not read");
    expect_range(0, 0, GIB);
    expect_range(1, GIB, GIB + (GIB >> 2));
    assert_int_equal(map.count, 2);
    assert_int_equal(t->cpu_count, 8);
    assert_int_equal(t->cpu_id[7], 7);
    map_free(&map);
    load("d14b-ppc-lmb-v2", "ibm,associativity is not read");
    expect_range(1, GIB, 2 * GIB);
    assert_int_equal(map.count, 2);
    map_free(&map);
}

static void dynamic_tree(const char *property, const uint32_t cells[], size_t count)
{
    tree_begin(2, 1, NULL, 0);
    tree_one_cpu();
    tree_memory("memory@0");
    TREE_CELLS("reg", 0, 0, 0x1000);
    tree_close();
    tree_node("ibm,dynamic-reconfiguration-memory");
    TREE_CELLS("ibm,lmb-size", 0x1000);
    tree_cells(property, cells, count);
}

/* Neighbours grow together, whatever lies between them in the list. */
static void dynamic_neighbours(void **state)
{
    static const uint32_t blocks[] = {4, 0,      0x1000, 1, 0, 0, 8, 0,      0x2000, 2, 0, 0, 8,
                                      0, 0x3000, 3,      0, 0, 0, 1, 0x3000, 4,      0, 0, 8};

    (void)state;
    dynamic_tree("ibm,dynamic-memory", blocks, sizeof(blocks) / sizeof(blocks[0]));
    tree_close();
    const struct map_region want[] = {
        {0, 0x1000, MAP_USABLE, MAP_NODE_ANY, 0},
        {0x1000, 0x3000, MAP_USABLE, MAP_NODE_ANY, 0},
        {4 * GIB + 0x3000, 4 * GIB + 0x4000, MAP_USABLE, MAP_NODE_ANY, 0},
    };
    expect_regions(want, 3);
    map_free(&map);
}

static void bad_dynamic_memory(void **state)
{
    static const uint32_t more[] = {2, 0, 0x1000, 1, 0, 0, 8}, less[] = {0, 0, 0x1000, 1, 0, 0, 8},
                          high[] = {1, 1 << 20, 0, 1, 0, 0, 8},
                          long_run[] = {1, UINT32_MAX, 0xfffff, 0xfffff000, 1, 0, 8},
                          one[] = {1, 0, 0x1000, 1, 0, 0, 8};

    (void)state;
    dynamic_tree("ibm,dynamic-memory", more, 7);
    tree_close();
    refused("says 2 entries and has 6 cells", "6 cells for each");
    dynamic_tree("ibm,dynamic-memory-v2", less, 7);
    tree_close();
    refused_map("ibm,dynamic-memory-v2 says 0 entries", "6 cells for each");
    dynamic_tree("ibm,dynamic-memory", more, 3);
    tree_close();
    refused_map("says 2 entries and has 2 cells", "6 cells for each");
    dynamic_tree("ibm,dynamic-memory", high, 7);
    tree_close();
    refused_map("1 blocks at 0x10000000000000 reach above 2^52", "below");
    dynamic_tree("ibm,dynamic-memory-v2", long_run, 7);
    tree_close();
    refused_map("4294967295 blocks at 0xffffffffff000 reach above 2^52", "below");
    dynamic_tree("ibm,dynamic-memory", one, 7);
    TREE_CELLS("linux,drconf-usable-memory", 0);
    tree_close();
    refused_map("linux,drconf-usable-memory", "a first kernel");
    for (unsigned i = 0; i < 2; i++) {
        tree_begin(2, 1, NULL, 0);
        tree_node("ibm,dynamic-reconfiguration-memory");
        if (i)
            TREE_CELLS("ibm,lmb-size", 0);
        tree_cells("ibm,dynamic-memory", one, 7);
        tree_close();
        refused_map("ibm,lmb-size is not the size", "1 to 2^52 bytes in 1 cells");
    }
}

/* What overlaps in one node is counted once. */
static void overlaps_are_counted_once(void **state)
{
    (void)state;
    load("d17-overlap", "");
    assert_int_equal(topo_memory_of(&topo, 0), GIB + GIB / 2);
    assert_int_equal(topo_memory_of(&topo, 1), 0);
    map_free(&map);
    load("d11-reserved-mix", "");
    assert_int_equal(topo.reserved_count, 7);
    /* Less 1216 KiB at the start, 4 KiB that touch two frames, 8 KiB, and 1 MiB at the end. */
    assert_int_equal(topo_memory_of(&topo, 0), GIB - 0x130000 - 0x1000 - 0x2000 - 0x100000);
    map_free(&map);
}

static void bad_cpus(void **state)
{
    (void)state;
    tree_begin(2, 2, NULL, 0);
    refused("no /cpus", "the tree of a machine");
    tree_begin(2, 2, NULL, 0);
    tree_node("cpus");
    TREE_CELLS("#address-cells", 5);
    tree_close();
    refused("cpus: #address-cells or", "1 to 4");
    for (unsigned i = 0; i < 4; i++) {
        static const uint32_t high[] = {0x100, 1, 0, 0}, low[] = {0, 1 << 24, 0, 0};
        static const char *const wrong[] = {"cpu@a: reg is no CPU's number",
                                            "cpu@a: reg is no CPU's number",
                                            "cpu@a: numa-node-id is 1024", "CPU 0 is on two nodes"};
        static const char *const right[] = {"32 bits", "MPIDR", "0 to 1023", "one"};

        tree_begin(2, 2, NULL, 0);
        tree_node("cpus");
        TREE_CELLS("#address-cells", 2);
        TREE_CELLS("#size-cells", 0);
        cpu("cpu@a", high[i], low[i], i == 2 ? 1024 : 1, NULL);
        cpu("cpu@b", 0, 0, 2, NULL);
        tree_close();
        refused(wrong[i], right[i]);
    }
    tree_begin(2, 2, NULL, 0);
    tree_node("cpus");
    TREE_CELLS("#address-cells", 1);
    TREE_CELLS("#size-cells", 0);
    tree_node("cpu@0");
    tree_string("device_type", "cpu");
    tree_close();
    tree_close();
    refused("cpu@0: a CPU without reg", "its number");
}

static void one_memory(const uint32_t cells[], size_t count)
{
    tree_begin(2, 1, NULL, 0);
    tree_one_cpu();
    tree_memory("memory@0");
    tree_cells("reg", cells, count);
    tree_close();
}

static void bad_memory(void **state)
{
    static const uint32_t uneven[] = {0, 0, 1, 0}, high[] = {1 << 20, 0, 1},
                          beyond[] = {(1 << 20) - 1, 0xffffffff, 2}, none[] = {0, 0, 0};

    (void)state;
    one_memory(uneven, 4);
    refused("memory@0: reg has 16 bytes", "multiple of 12");
    one_memory(high, 3);
    refused("memory@0: reg reaches above 2^52", "below");
    one_memory(beyond, 3);
    refused_map("memory@0: reg reaches above 2^52", "below");
    one_memory(none, 3);
    refused("no node has memory", "at least one node");
    tree_begin(2, 4, NULL, 0);
    tree_one_cpu();
    tree_memory("memory@0");
    TREE_CELLS("reg", 0, 0, 0, 1, 0, 0x1000);
    tree_close();
    refused("memory@0: reg reaches above 2^52", "below");
    tree_begin(1, 1, NULL, 0);
    tree_one_cpu();
    for (uint32_t i = 0; i < 2; i++) {
        tree_memory(i ? "memory@1" : "memory@2");
        TREE_CELLS("reg", 0x1000, 0x1000);
        TREE_CELLS("numa-node-id", i);
        tree_close();
    }
    refused("memory of two nodes overlaps: node 0 and node 1, at 0x1000", "its own");
}

/* What costs the entry, and a note, where nobody is strict. */
static void passes_over(void **state)
{
    struct map_error error;

    (void)state;
    tree_begin(1, 1, NULL, 0);
    tree_one_cpu();
    for (uint32_t i = 0; i < 2; i++) {
        tree_memory(i ? "memory@2000" : "memory@1000");
        TREE_CELLS("reg", 0x1000 * (i + 1), 0x2000, 0x8000 * (i + 1), 0x1000);
        TREE_CELLS("numa-node-id", i + 3);
        tree_close();
    }
    tree_node("distance-map");
    tree_string("compatible", "numa-distance-map-v1");
    TREE_CELLS("distance-matrix", 3, 4, 30, 4, 3, 10);
    tree_close();
    parse();
    assert_non_null(strstr(topo.note, "memory of node 4 at 0x2000 is passed over: node 3 has it"));
    assert_non_null(
        strstr(topo.note, "the distance map is ignored: from node 4 to node 3 it says 10"));
    assert_int_equal(t->range_count, 3);
    assert_int_equal(t->distance[1][0], 20);
    assert_int_equal(map_parse(&map, "tree", (const char *)tree.data, tree.bytes, 0, &error), 0);
    assert_non_null(strstr(map.note, "memory of node 4 at 0x2000 is passed over: node 3 has it"));
    assert_int_equal(map.count, 3);
    map_free(&map);
    assert_int_equal(topo_parse(&topo, "tree", tree.data, tree.bytes, TOPO_STRICT, &error), -1);
    assert_int_equal(
        map_parse(&map, "tree", (const char *)tree.data, tree.bytes, MAP_STRICT, &error), -1);
    assert_string_equal(error.text, "tree: memory at 0x2000 is on node 4 and on node 3: expected "
                                    "one node for each byte");
}

/* No CPU: looked at, but not run on. */
static void nobody_to_run(void **state)
{
    struct map_error error;

    (void)state;
    tree_begin(1, 1, NULL, 0);
    tree_node("cpus");
    TREE_CELLS("#address-cells", 1);
    TREE_CELLS("#size-cells", 0);
    tree_close();
    tree_memory("memory@1000");
    TREE_CELLS("reg", 0x1000, 0x2000);
    tree_close();
    parse();
    assert_non_null(strstr(topo.note, "there is no CPU in it"));
    assert_int_equal(topo_memory_map(&topo, &map, &error), 0);
    map_free(&map);
    assert_int_equal(topo_map(&topo, &map, &error), -1);
    assert_non_null(strstr(error.text, "there is no CPU to run on: expected at least one"));
    assert_null(map.regions);
}

static void bad_distances(void **state)
{
    static const uint32_t matrix[][3] = {{0, 0, 20}, {0, 1, 256}, {0, 1, 10}, {1, 0, 0}};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        tree_begin(1, 1, NULL, 0);
        tree_one_cpu();
        for (uint32_t n = 0; n < 2; n++) {
            tree_memory(n ? "memory@1" : "memory@0");
            TREE_CELLS("reg", n * 0x1000, 0x1000);
            TREE_CELLS("numa-node-id", n);
            tree_close();
        }
        tree_node("distance-map");
        tree_string("compatible", "numa-distance-map-v1");
        tree_cells("distance-matrix", matrix[i % 4], i < 4 ? 3 : 2);
        tree_close();
        if (i < 4)
            refused("the distance from node ", i ? "11 to 255" : "10, as");
        else
            refused("distance-map: distance-matrix has 8 bytes", "multiple of 12");
    }
}

static void bad_reservations(void **state)
{
    static const uint64_t beyond[] = {0x1000, UINT64_MAX};

    (void)state;
    tree_begin(1, 1, beyond, 1);
    tree_memory("memory");
    TREE_CELLS("reg", 0, 0x1000);
    tree_close();
    refused_map("/memreserve/ entry 0 reaches above 2^52", "below");
    for (unsigned i = 0; i < 3; i++) {
        tree_begin(1, 1, NULL, 0);
        tree_memory("memory");
        TREE_CELLS("reg", 0, 0x1000);
        tree_close();
        tree_node("chosen");
        if (i < 2)
            TREE_CELLS("linux,initrd-start", 0x2000);
        if (i == 0)
            TREE_CELLS("linux,initrd-end", 0x1000);
        if (i == 2)
            TREE_CELLS("linux,initrd-end", 1, 2, 3);
        tree_close();
        refused_map(i < 2 ? "chosen: the initial ramdisk ends before"
                          : "chosen: linux,initrd-end has 3 cells",
                    i < 2 ? "linux,initrd-start <=" : "1 or 2");
    }
    tree_begin(1, 1, NULL, 0);
    refused_map("none of its 0 regions is usable", "at least one");
    for (unsigned i = 0; i < 2; i++) {
        tree_begin(2, 2, NULL, 0);
        tree_node("chosen");
        TREE_CELLS(i ? "linux,elfcorehdr" : "linux,usable-memory-range", 1 << 20, 0, 0, 1);
        tree_close();
        refused_map(i ? "chosen: linux,elfcorehdr reaches above 2^52"
                      : "chosen: linux,usable-memory-range reaches above 2^52",
                    "below");
    }
    tree_begin(1, 1, NULL, 0);
    tree_node("chosen");
    uint32_t many[34];
    for (uint32_t i = 0; i < 34; i++)
        many[i] = i + 1;
    tree_cells("linux,usable-memory-range", many, 34);
    tree_close();
    refused_map("has more than 16 ranges", "no more");
}

/* Every cut and every changed byte of a real tree is refused or understood, and never read beyond
 * its end (AddressSanitizer would see it). */
static void damaged(void **state)
{
    struct map_error error;
    FILE *file = fopen(DATA "/dtb/booted-8cpu-4node-8g.dtb", "rb");
    size_t bytes;

    (void)state;
    assert_non_null(file);
    bytes = fread(tree.data, 1, TREE_BYTES, file);
    fclose(file);
    for (size_t i = 0; i < bytes; i++) {
        char *exact = malloc(i ? i : 1);

        assert_non_null(exact);
        memcpy(exact, tree.data, i);
        assert_int_equal(topo_parse(&topo, "tree", exact, i, 0, &error), -1);
        assert_int_equal(map_parse(&map, "tree", exact, i, 0, &error), -1);
        free(exact);
        tree.data[i] ^= 0x81;
        topo_parse(&topo, "tree", tree.data, bytes, 0, &error);
        if (map_parse(&map, "tree", (const char *)tree.data, bytes, 0, &error) == 0)
            map_free(&map);
        tree.data[i] ^= 0x81;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_everything),
        cmocka_unit_test(maps_everything),
        cmocka_unit_test(where_the_tree_lies),
        cmocka_unit_test(bad_cpus),
        cmocka_unit_test(bad_memory),
        cmocka_unit_test(bad_distances),
        cmocka_unit_test(bad_reservations),
        cmocka_unit_test(damaged),
        cmocka_unit_test(a_crash_kernel),
        cmocka_unit_test(dynamic_memory),
        cmocka_unit_test(dynamic_neighbours),
        cmocka_unit_test(bad_dynamic_memory),
        cmocka_unit_test(overlaps_are_counted_once),
        cmocka_unit_test(passes_over),
        cmocka_unit_test(nobody_to_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
