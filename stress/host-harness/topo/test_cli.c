/* SPDX-License-Identifier: MIT
 *
 * test_cli.c - `quire topo` as a program: what it draws of machines of every size, its JSON, and
 * bad input of every kind, to which one line on standard error and exit status 2 are the answer.
 */
#include "stress/common/assert.h"

#include "stress/common/program.h"
#include "stress/common/sizes.h"
#include "stress/numa/acpi/tables.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct program program;
static const char uneven_file[] = DATA "/acpi/asym-SRAT.dat";
static struct table table;

static void topo(const char *argument, const char *option)
{
    PROGRAM_RUN(&program, "topo", "--topology", argument, option);
}

static void expect_refusal(const char *wrong, const char *right)
{
    const char *newline = strchr(program.error, '\n');

    if (program.status != 2 || strncmp(program.error, "quire topo: ", 12) != 0 ||
        !strstr(program.error, wrong) || !strstr(program.error, right))
        fail_msg("wanted 2, \"%s\" and \"%s\"; got %d and \"%s\"", wrong, right, program.status,
                 program.error);
    assert_non_null(newline);
    assert_string_equal(newline, "\n");
    assert_string_equal(program.out, "");
}

static void expect_lines(const char *const lines[], size_t count)
{
    const char *at = program.out;

    assert_int_equal(program.status, 0);
    assert_string_equal(program.error, "");
    for (size_t i = 0; i < count; i++) {
        const char *found = strstr(at, lines[i]);
        if (!found)
            fail_msg("no line \"%s\" after the earlier ones in:\n%s", lines[i], program.out);
        else
            at = found;
    }
}

/* Of the lines behind the first one, which names the file. */
static size_t widest(void)
{
    size_t most = 0;

    for (const char *line = strchr(program.out, '\n') + 1; *line;) {
        size_t length = strcspn(line, "\n");
        if (length > most)
            most = length;
        line += length + (line[length] == '\n');
    }
    return most;
}

static void draws(void **state)
{
    static const char *const lines[] = {
        ": ACPI tables, 4 nodes, 8 CPUs, 4.0 GiB\n",
        "\n   0      0     2   1023.6 MiB     0        -  0 1\n",
        "\n   3      3     2      1.0 GiB     0        -  6 7\n",
        ("\nnode zone     from               to                    managed\n"
         "   0 DMA      0x0000000000000000 0x0000000000ffffff   14.0 MiB\n"),
        "\n   3 Normal   0x0000000140000000 0x000000017fffffff 1023.7 MiB\n",
        "\nfrom    0   1   2   3\n   0   10  20  30  20\n",
        "\nlatency of a read, ns\nfrom      0     1     2     3\n   0     80   160   240   160\n",
        "\nbandwidth, MB/s\n",
        "\n   0: 0 1 3 2\n   1: 1 2 0 3\n   2: 2 3 1 0\n   3: 3 0 2 1\n",
        "\n0x0000000000100000 0x000000003fffffff 1023.0 MiB    0  ordinary\n",
    };
    static const char *const uneven[] = {
        "\n   0      0     4    511.6 MiB     0        3  0-3\n",
        "\n   2      3     1         none     -        -  7\n",
        "\n   3      2     0      1.0 GiB     1        -  none\n",
    };

    (void)state;
    PROGRAM_RUN(&program, "topo", "--topology",
                DATA "/acpi/hmat-HMAT.dat," DATA "/acpi/hmat-SLIT.dat," DATA
                     "/acpi/hmat-SRAT.dat," DATA "/acpi/hmat-APIC.dat");
    expect_lines(lines, sizeof(lines) / sizeof(lines[0]));
    topo(uneven_file, NULL);
    expect_lines(uneven, sizeof(uneven) / sizeof(uneven[0]));
    assert_true(widest() <= 80);
    PROGRAM_RUN(&program, "topo", "--help");
    assert_int_equal(program.status, 0);
    assert_true(widest() <= 100);
}

static void draws_large_ones(void **state)
{
    static const char *const server[] = {
        "24 nodes, 384 CPUs, 743.6 GiB\n",
        ("\nfrom   2  10: 2; 50: 3; 65: 0 1 4-7 10 11 14 15 18 19; 79: 8 9 12 13 16 17\n"
         "          20-23;\n"),
        "\n   6: 6 7 10 11 14 15 22 23 0-5 8 9 12 13 16-21\n",
    };
    static const char *const synthetic[] = {
        "64 nodes, 1024 CPUs, 64.0 GiB\n",
        "\nfrom  63  10: 63; 20: 0-62;\n",
        "\n  63: 63 0-62\n",
    };

    (void)state;
    PROGRAM_RUN(&program, "topo", "--topology", DATA "/topology/192em64t-24n8c2t.xml");
    expect_lines(server, 3);
    topo("node:64 core:8 pu:2", NULL);
    expect_lines(synthetic, 3);
    assert_true(widest() <= 80);
    PROGRAM_RUN(&program, "topo");
    assert_int_equal(program.status, 0);
    assert_non_null(strstr(program.out, "host: this machine"));
}

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);

    if (!cJSON_IsNumber(item))
        fail_msg("no number %s", name);
    return item->valuedouble;
}

static void writes_json(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "topo", "--topology", uneven_file, "--json", "-");
    assert_int_equal(program.status, 0);
    cJSON *root = cJSON_Parse(program.out);
    assert_non_null(root);
    assert_string_equal(cJSON_GetObjectItem(root, "format")->valuestring, "ACPI table");
    assert_true(number(root, "node_count") == 4 && number(root, "cpu_count") == 8);
    const cJSON *nodes = cJSON_GetObjectItem(root, "nodes");
    assert_int_equal(cJSON_GetArraySize(nodes), 4);
    const cJSON *last = cJSON_GetArrayItem(nodes, 3), *third = cJSON_GetArrayItem(nodes, 2);
    assert_true(number(last, "id") == 2 && number(last, "tier") == 1);
    assert_true(number(last, "memory_bytes") == (double)GIB);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(last, "demotion")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(third, "tier")));
    assert_true(number(cJSON_GetArrayItem(nodes, 0), "demotion") == 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(third, "cpus")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(third, "order")), 4);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "distances")), 4);
    assert_null(cJSON_GetObjectItem(root, "latency_ns"));
    const cJSON *zones = cJSON_GetObjectItem(last, "zones"), *zone = cJSON_GetArrayItem(zones, 0);
    assert_int_equal(cJSON_GetArraySize(zones), 1);
    assert_string_equal(cJSON_GetObjectItem(zone, "type")->valuestring, "Normal");
    assert_true(number(zone, "start") == 7.0 * (double)GIB);
    assert_true(number(zone, "end") == 8.0 * (double)GIB);
    assert_true(number(zone, "managed_bytes") > 0.99 * (double)GIB);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(third, "zones")), 0);
    const cJSON *memory = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "memory"), 4);
    assert_true(number(memory, "start") == 7.0 * (double)GIB && number(memory, "node") == 3);
    assert_string_equal(cJSON_GetObjectItem(memory, "kind")->valuestring, "ordinary");
    cJSON_Delete(root);
    PROGRAM_RUN(&program, "topo", "--json", "/no/such/folder/file");
    expect_refusal("/no/such/folder/file: No such file", "expected a file that can be written");
    PROGRAM_RUN(&program, "topo", "--json", "/dev/full");
    assert_int_equal(program.status, 1);
    assert_non_null(strstr(program.error, "/dev/full: No space left"));
}

static double usable_frames(void)
{
    cJSON *root = cJSON_Parse(program.out);

    assert_int_equal(program.status, 0);
    assert_non_null(root);
    double frames = number(root, "usable_frames");
    cJSON_Delete(root);
    return frames;
}

static double managed_frames(void)
{
    cJSON *root = cJSON_Parse(program.out);
    const cJSON *node, *zone;
    double bytes = 0;

    assert_int_equal(program.status, 0);
    assert_non_null(root);
    cJSON_ArrayForEach(node, cJSON_GetObjectItem(root, "nodes"))
    {
        cJSON_ArrayForEach(zone, cJSON_GetObjectItem(node, "zones"))
        {
            bytes += number(zone, "managed_bytes");
        }
    }
    cJSON_Delete(root);
    return bytes / 4096;
}

/* One tree, two commands: as many frames. A zone has a slot for each CPU. */
static void leaves_out_what_map_does(void **state)
{
    static const struct {
        const char *tree, *cpus;
    } trees[] = {
        {DATA "/field/dts/d04-kdump.dtb", "1"},
        {DATA "/field/dts/d11-reserved-mix.dtb", "1"},
        {DATA "/field/dts/d14-ppc-lmb.dtb", "8"},
        {DATA "/field/dts/d17-overlap.dtb", "1"},
        {DATA "/dtb/booted-8cpu-4node-8g.dtb@0x4a000000", "8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        PROGRAM_RUN(&program, "map", "--map", trees[i].tree, "--slots", trees[i].cpus, "--json",
                    "-");
        double map = usable_frames();
        PROGRAM_RUN(&program, "topo", "--topology", trees[i].tree, "--json", "-");
        double shown = managed_frames();
        if (map < shown || map > shown)
            fail_msg("%s: map has %.0f frames, topo %.0f", trees[i].tree, map, shown);
    }
    /* A run has what topo has: its zones are of the same map. */
    PROGRAM_RUN(&program, "run", "--topology", trees[0].tree, "--operations", "200", "--threads",
                "1", "--seed", "1");
    assert_int_equal(program.status, 0);
    assert_non_null(strstr(program.out, "linux,usable-memory-range is left out"));
}

/* A file with these bytes; returns its path. */
static const char *file_of(const void *bytes, size_t size)
{
    static char path[64];

    snprintf(path, sizeof(path), "topology-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    close(file);
    return path;
}

/* Tables of machines that run: what is wrong in them costs no more than that. */
static void passes_over_what_is_wrong(void **state)
{
    static const struct {
        const char *folder, *note, *strict;
    } cases[] = {
        {"a02-slit-all10",
         "note: the SLIT table is ignored: two domains are nearer than 11: from domain 0 to domain "
         "1 it is 10: expected 11 to 255\n",
         "SLIT table, byte 45: two domains are nearer than 11: from domain 0 to domain 1"},
        {"a06-overlap",
         "note: SRAT table, byte 120, is passed over: memory is in two domains: 0x100000000 is in "
         "domain 1 here: expected domain 0, which has it already\n",
         "SRAT table, byte 120: memory is in two domains: 0x100000000 is in domain 1"},
        {"a15b-window-252",
         "note: SRAT table, byte 160, is passed over: memory ends beyond 2^52: that of domain 0 "
         "reaches up to 0x14000000000000: expected at most 0x10000000000000\n",
         "SRAT table, byte 160: memory ends beyond 2^52: that of domain 0"},
        {"a09-riscv", "", NULL},
        {"a17-same-twice", "", NULL},
    };
    char path[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(path, sizeof(path), DATA "/field/acpi/%s", cases[i].folder);
        topo(path, NULL);
        assert_int_equal(program.status, 0);
        if (!strstr(program.out, ": ACPI tables, 2 nodes, 2 CPUs, 4.0 GiB\n") ||
            !strstr(program.out, cases[i].note) || (!*cases[i].note && strstr(program.out, "note")))
            fail_msg("%s: got %s", cases[i].folder, program.out);
        assert_non_null(strstr(program.out, "\nfrom    0   1\n   0   10  20\n   1   20  10\n"));
        topo(path, "--strict");
        if (cases[i].strict)
            expect_refusal(cases[i].strict, "expected");
        else
            assert_int_equal(program.status, 0);
        PROGRAM_RUN(&program, "run", "--topology", path, "--strict", "--operations", "10");
        assert_int_equal(program.status, cases[i].strict ? 2 : 0);
        assert_non_null(strstr(cases[i].strict ? program.error : program.out,
                               cases[i].strict ? cases[i].strict : "verdict: clean"));
    }
}

/* Without a CPU there is something to see, and nothing to run on. */
static void nobody_to_run(void **state)
{
    (void)state;
    table_begin(&table, "SRAT", 3, 12);
    srat_memory(&table, 1, GIB, GIB, 1);
    table_end(&table);
    const char *path = file_of(table.data, table.bytes);
    topo(path, NULL);
    assert_int_equal(program.status, 0);
    assert_non_null(strstr(program.out, "note: there is no CPU in it\n"));
    assert_non_null(strstr(program.out, "\n   0 DMA32 "));
    PROGRAM_RUN(&program, "run", "--topology", path);
    unlink(path);
    assert_int_equal(program.status, 2);
    assert_non_null(strstr(program.error, "there is no CPU to run on: expected at least one\n"));
}

#define NOT_A_TABLE DATA "/acpi/README.md," DATA "/acpi/asym-SRAT.dat"

static void bad_arguments(void **state)
{
    static const struct {
        const char *argument, *wrong, *right;
    } cases[] = {
        {"", ": no such file", "a synthetic topology like"},
        {"no-such-file", "no-such-file: no such file", "a folder or a list of ACPI tables"},
        {"no\nsuch", "no?such: no such file", "host"},
        {"a,b", "a: cannot be opened", "readable file"},
        {"/dev/null", "/dev/null: empty", "hwloc's XML"},
        {PROGRAM, ": not a topology", "flattened device tree"},
        {DATA "/topology", ": no ACPI table in it", "APIC, SRAT, SLIT or HMAT"},
        {DATA "/acpi", ": a second APIC table, after ", "one machine"},
        {NOT_A_TABLE, "README.md: not an ACPI table", "SRAT"},
        {DATA "/acpi/asym-SLIT.dat", ": there is no node", "at least one node"},
        {DATA "/acpi/plain4-APIC.dat", ": there is no node", "at least one node"},
        {"node:0 pu:1", ": not a synthetic topology", "node:4 core:8 pu:2"},
        {"node:65 pu:1", ": more than 64 nodes", "at most 64"},
        {"node:1 pu:4096", ": more than 4095 CPUs", "at most 4095"},
        {"node:1(memory=4503599627370496) pu:1", ": 4503599627370496 bytes", "below 2^52"},
        {"node:1(memory=4095) pu:1", ": no node has memory", "at least one node"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        topo(cases[i].argument, NULL);
        expect_refusal(cases[i].wrong, cases[i].right);
    }
    PROGRAM_RUN(&program, "topo", "--topology");
    expect_refusal("--topology needs a value", "quire topo --help");
    PROGRAM_RUN(&program, "topo", "--what");
    expect_refusal("unknown option --what", "quire topo --help");
    PROGRAM_RUN(&program, "topo", "what");
    expect_refusal("unexpected argument what", "quire topo --help");
}

static void expect_bad_file(const void *bytes, size_t size, const char *wrong, const char *right)
{
    const char *path = file_of(bytes, size);

    topo(path, NULL);
    unlink(path);
    expect_refusal(wrong, right);
}

static void bad_tables(void **state)
{
    (void)state;
    table_load(&table, "asym-SRAT.dat");
    expect_bad_file(table.data, table.bytes - 1, "SRAT table, byte 4: the table is cut off: 415",
                    "expected 416");
    expect_bad_file(table.data, 20, "byte 20: shorter than a table's header: 20", "expected 36");
    table.data[60]++;
    expect_bad_file(table.data, table.bytes, "byte 9: the checksum is wrong: 164", "expected 163");
    table_begin(&table, "SRAT", 3, 12);
    srat_x2apic(&table, 1, 5, 1);
    srat_x2apic(&table, 2, 5, 1);
    table_end(&table);
    expect_bad_file(table.data, table.bytes,
                    "byte 72: a CPU is in two domains: 0x5 is in domain 2 here",
                    "expected domain 1, which has it already");
    table_begin(&table, "SRAT", 3, 12);
    srat_memory(&table, 1, GIB, GIB, 1);
    srat_memory(&table, 2, 2 * GIB - 1, GIB, 1);
    table_end(&table);
    const char *path = file_of(table.data, table.bytes);
    topo(path, "--strict");
    unlink(path);
    expect_refusal("SRAT table, byte 88: memory is in two domains: 0x7fffffff is in domain 2 here",
                   "expected domain 1, which has it already");
    table_begin(&table, "SRAT", 3, 12);
    for (uint32_t i = 0; i < 65; i++)
        srat_memory(&table, i, i * GIB, GIB, 1);
    table_end(&table);
    expect_bad_file(table.data, table.bytes, "too many proximity domains", "expected 64");
    table_begin(&table, "SRAT", 3, 12);
    srat_x2apic(&table, 1, 5, 1);
    table_end(&table);
    expect_bad_file(table.data, table.bytes, "no node has memory", "at least one node");
}

#define XML_HEAD                                                                               \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"  \
    "<topology version=\"2.0\">\n"                                                             \
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\" "          \
    "allowed_cpuset=\"0x3\" nodeset=\"0x3\" complete_nodeset=\"0x3\" allowed_nodeset=\"0x3\" " \
    "gp_index=\"1\">\n"
#define XML_NODE(n, cpus)                                                                      \
    "<object type=\"Group\" cpuset=\"" cpus "\" complete_cpuset=\"" cpus "\" nodeset=\"" cpus  \
    "\" complete_nodeset=\"" cpus "\" gp_index=\"1" n "\">\n"                                  \
    "<object type=\"NUMANode\" os_index=\"" n "\" cpuset=\"" cpus "\" complete_cpuset=\"" cpus \
    "\" nodeset=\"" cpus "\" complete_nodeset=\"" cpus "\" gp_index=\"2" n                     \
    "\" local_memory=\"1073741824\"/>\n"                                                       \
    "<object type=\"PU\" os_index=\"" n "\" cpuset=\"" cpus "\" complete_cpuset=\"" cpus       \
    "\" nodeset=\"" cpus "\" complete_nodeset=\"" cpus "\" gp_index=\"3" n "\"/>\n</object>\n"
#define XML_DISTANCES(values)                                                             \
    "</object>\n<distances2 type=\"NUMANode\" nbobjs=\"2\" kind=\"5\" indexing=\"os\">\n" \
    "<indexes length=\"4\">0 1 </indexes>\n<u64values length=\"12\">" values              \
    "</u64values>\n</distances2>\n</topology>\n"
#define XML(values) XML_HEAD XML_NODE("0", "0x1") XML_NODE("1", "0x2") XML_DISTANCES(values)

static void bad_distances(void **state)
{
    static const char asymmetric[] = XML("10 21 12 10 "), absurd[] = XML("10 99 999 1 "),
                      diagonal[] = XML("11 21 21 10 "), sound[] = XML("10 21 21 10 ");

    (void)state;
    expect_bad_file(asymmetric, sizeof(asymmetric) - 1,
                    "a distance differs by direction: from node 0 to node 1 it is 21",
                    "expected 12, or the option --asymmetric");
    expect_bad_file(absurd, sizeof(absurd) - 1, "from node 1 to node 0 is 999", "11 to 255");
    expect_bad_file(diagonal, sizeof(diagonal) - 1, "from node 0 to node 0 is 11", "expected 10");
    const char *path = file_of(sound, sizeof(sound) - 1);
    topo(path, NULL);
    unlink(path);
    assert_int_equal(program.status, 0);
    path = file_of(asymmetric, sizeof(asymmetric) - 1);
    topo(path, "--asymmetric");
    unlink(path);
    assert_int_equal(program.status, 0);
    assert_non_null(strstr(program.out, "\n   0   10  21\n   1   12  10\n"));
}

static void bad_files(void **state)
{
    static const char xml[] = XML("10 21 21 10 ");
    static char zeros[(8 << 20) + 1];

    (void)state;
    expect_bad_file(xml, sizeof(xml) - 30, "hwloc cannot read it", "lstopo --of xml");
    expect_bad_file("<html>", 6, "hwloc cannot read it", "lstopo --of xml");
    expect_bad_file(zeros, sizeof(zeros), "longer than 8 MiB", "expected");
    expect_bad_file("\xd0\x0d\xfe\xed tree", 9, "damaged device tree", "a whole flattened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws),
        cmocka_unit_test(draws_large_ones),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(bad_arguments),
        cmocka_unit_test(bad_tables),
        cmocka_unit_test(bad_distances),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(leaves_out_what_map_does),
        cmocka_unit_test(passes_over_what_is_wrong),
        cmocka_unit_test(nobody_to_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
