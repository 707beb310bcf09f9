/* SPDX-License-Identifier: MIT
 *
 * test_readers.c - what the map readers understand: each case is a text and the regions that it
 * must give, in any order of lines a real file may have.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/map/map.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect(const char *text, const char *format, const struct map_region *want,
                   size_t count)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "file", text, strlen(text), 0, &error))
        fail_msg("refused: %s", error.text);
    assert_string_equal(map.format, format);
    assert_string_equal(map.source, "file");
    assert_int_equal(map.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(map.regions[i].start, want[i].start);
        assert_int_equal(map.regions[i].end, want[i].end);
        assert_int_equal(map.regions[i].kind, want[i].kind);
        assert_int_equal(map.regions[i].node, want[i].node);
        assert_int_equal(map.regions[i].line, want[i].line);
    }
    map_free(&map);
    assert_null(map.regions);
}
#define EXPECT(text, format, ...)                                      \
    do {                                                               \
        const struct map_region want_[] = {__VA_ARGS__};               \
        expect(text, format, want_, sizeof(want_) / sizeof(want_[0])); \
    } while (0)

static void reads_e820_of_every_kind(void **state)
{
    (void)state;
    EXPECT("BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable\n"
           "[    0.000000] BIOS-e820: [mem 0x000000000009f000-0x000000000009ffff] reserved\n"
           "<6>[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x0000000000100fff] ACPI data\n"
           "Nov  3 10:11:12 host kernel: BIOS-e820: [mem 0x200000-0x200fff] ACPI NVS\r\n"
           "[    0.000000] Linux version 6.1.0: a line about something else\n"
           "BIOS-e820: [mem 0x300000-0x300fff] unusable\n"
           "BIOS-e820: [mem 0x400000-0x400fff] type 20\n"
           "BIOS-e820: [mem 0x500000-0x500fff] persistent (type 7)\n"
           "BIOS-e820: [mem 0x600000-0x600fff] soft reserved\n"
           "e820: [mem 0xd0000000-0xefffffff] available for PCI devices\n",
           "boot log", {0, 0x9f000, MAP_USABLE, MAP_NODE_ANY, 1},
           {0x9f000, 0xa0000, MAP_RESERVED, MAP_NODE_ANY, 2},
           {0x100000, 0x101000, MAP_ACPI_DATA, MAP_NODE_ANY, 3},
           {0x200000, 0x201000, MAP_ACPI_NVS, MAP_NODE_ANY, 4},
           {0x300000, 0x301000, MAP_UNUSABLE, MAP_NODE_ANY, 6},
           {0x400000, 0x401000, MAP_RESERVED, MAP_NODE_ANY, 7},
           {0x500000, 0x501000, MAP_PERSISTENT, MAP_NODE_ANY, 8},
           {0x600000, 0x601000, MAP_RESERVED, MAP_NODE_ANY, 9});
}

/* A last line without an end is no sign of a cut if nothing of the map can be missing. */
static void a_log_may_lack_its_last_newline(void **state)
{
    (void)state;
    EXPECT("BIOS-e820: [mem 0x0-0x9ffff] usable", "boot log",
           {0, 0xa0000, MAP_USABLE, MAP_NODE_ANY, 1});
    EXPECT("[    0.000000] BIOS-e820: [mem 0x0-0x9ffff] usable\n"
           "[    0.000000] NX (Execute Disable) protection: active",
           "boot log", {0, 0xa0000, MAP_USABLE, MAP_NODE_ANY, 1});
    EXPECT("BIOS-e820: [mem 0x0-0x9ffff] usable\n  ", "boot log",
           {0, 0xa0000, MAP_USABLE, MAP_NODE_ANY, 1});
}

static void an_update_changes_only_its_own_kind(void **state)
{
    (void)state;
    EXPECT("BIOS-e820: [mem 0x0-0x9ffff] usable\n"
           "BIOS-e820: [mem 0xa0000-0xfffff] ACPI NVS\n"
           "e820: update [mem 0x9f000-0xa0fff] usable ==> reserved\n",
           "boot log", {0, 0x9f000, MAP_USABLE, MAP_NODE_ANY, 1},
           {0xa0000, 0x100000, MAP_ACPI_NVS, MAP_NODE_ANY, 2},
           {0x9f000, 0xa0000, MAP_RESERVED, MAP_NODE_ANY, 3});
}

static void a_removal_leaves_both_sides(void **state)
{
    (void)state;
    EXPECT("BIOS-e820: [mem 0x0-0xfffff] usable\n"
           "e820: remove [mem 0x10000-0x1ffff] usable\n",
           "boot log", {0, 0x10000, MAP_USABLE, MAP_NODE_ANY, 1},
           {0x20000, 0x100000, MAP_USABLE, MAP_NODE_ANY, 1});
    /* Without a kind, everything in the range goes, whole regions too. */
    EXPECT("BIOS-e820: [mem 0x0-0xfffff] usable\n"
           "BIOS-e820: [mem 0x100000-0x10ffff] reserved\n"
           "e820: remove [mem 0xf0000-0x1fffff] \n",
           "boot log", {0, 0xf0000, MAP_USABLE, MAP_NODE_ANY, 1});
    /* Another kind than the one there: nothing happens. */
    EXPECT("BIOS-e820: [mem 0x0-0xfffff] usable\n"
           "e820: remove [mem 0x10000-0x1ffff] reserved\n",
           "boot log", {0, 0x100000, MAP_USABLE, MAP_NODE_ANY, 1});
}

static void srat_alone_is_memory(void **state)
{
    (void)state;
    EXPECT("ACPI: SRAT: Node 2 PXM 2 [mem 0x88300000-0x883fffff]\n"
           "SRAT: Node 1 PXM 7 [mem 0x400000000000-0x4000bfffffff]\n"
           "SRAT: Node 3 PXM 3 [mem 0x100000000-0x13fffffff] non-volatile\n",
           "boot log", {0x88300000, 0x88400000, MAP_USABLE, 2, 1},
           {0x400000000000, 0x4000c0000000, MAP_USABLE, 1, 2},
           {0x100000000, 0x140000000, MAP_PERSISTENT, 3, 3});
}

static void srat_beside_e820_is_a_node(void **state)
{
    (void)state;
    EXPECT("SRAT: Node 1 PXM 1 [mem 0x0-0x3fffffff]\n"
           "SRAT: Node 2 PXM 2 [mem 0x100000000-0x13fffffff] hotplug\n"
           "BIOS-e820: [mem 0x0-0x1fffffff] usable\n",
           "boot log", {0, 0x20000000, MAP_USABLE, MAP_NODE_ANY, 3},
           {0, 0x40000000, MAP_NODE_ONLY, 1, 1}, {0x100000000, 0x140000000, MAP_NODE_ONLY, 2, 2});
}

static void hotplug_windows_are_told(void **state)
{
    static const char text[] = "SRAT: Node 0 PXM 0 [mem 0x0-0x3fffffff]\n"
                               "SRAT: Node 1 PXM 1 [mem 0x40000000-0x7fffffff] hotplug\n";
    struct map_error error;
    struct map map;

    (void)state;
    assert_int_equal(map_parse(&map, "file", text, sizeof(text) - 1, 0, &error), 0);
    assert_int_equal(map.regions[1].kind, MAP_NODE_ONLY);
    assert_non_null(strstr(map.note, "hot-plug windows left out: 1"));
    map_free(&map);
}

static void reads_iomem(void **state)
{
    (void)state;
    EXPECT("00001000-0009fbff : System RAM\n"
           "  00002000-00002fff : Kernel code\n"
           "0009fc00-000fffff : Reserved\n"
           "  000f0000-000fffff : System ROM\n"
           "c0001000-eebfffff : PCI Bus 0000:00\n"
           "d0000000-d0000fff : ACPI Tables\n"
           "d0001000-d0001fff : ACPI Non-volatile Storage\n"
           "100000000-23fffffff : CXL Window 0\n"
           "    100000000-13fffffff : System RAM (kmem)\n"
           "240000000-27fffffff : Persistent Memory\n",
           "/proc/iomem", {0x1000, 0x9fc00, MAP_USABLE, MAP_NODE_ANY, 1},
           {0x9fc00, 0x100000, MAP_RESERVED, MAP_NODE_ANY, 3},
           {0xd0000000, 0xd0001000, MAP_ACPI_DATA, MAP_NODE_ANY, 6},
           {0xd0001000, 0xd0002000, MAP_ACPI_NVS, MAP_NODE_ANY, 7},
           {0x100000000, 0x140000000, MAP_USABLE, MAP_NODE_ANY, 9},
           {0x240000000, 0x280000000, MAP_PERSISTENT, MAP_NODE_ANY, 10});
}

static void reads_lists(void **state)
{
    (void)state;
    EXPECT("# a machine\n"
           "\n"
           "0x100000 1g usable 0 # up to 1 GiB\n"
           "  4096M\t+2G   usable 1023\n"
           "8T +1K reserved\n"
           "10T +4096 device 3\n"
           "11T 12T acpi\n12T 13T nvs\n13T 14T unusable\n14T 15T persistent\n"
           "4095T 4096T reserved",
           "list", {1 << 20, 1 << 30, MAP_USABLE, 0, 3},
           {1ULL << 32, 3ULL << 31, MAP_USABLE, 1023, 4},
           {8ULL << 40, (8ULL << 40) + 1024, MAP_RESERVED, MAP_NODE_ANY, 5},
           {10ULL << 40, (10ULL << 40) + 4096, MAP_DEVICE, 3, 6},
           {11ULL << 40, 12ULL << 40, MAP_ACPI_DATA, MAP_NODE_ANY, 7},
           {12ULL << 40, 13ULL << 40, MAP_ACPI_NVS, MAP_NODE_ANY, 8},
           {13ULL << 40, 14ULL << 40, MAP_UNUSABLE, MAP_NODE_ANY, 9},
           {14ULL << 40, 15ULL << 40, MAP_PERSISTENT, MAP_NODE_ANY, 10},
           {4095ULL << 40, MAP_PHYS_LIMIT, MAP_RESERVED, MAP_NODE_ANY, 11});
}

static void overlaps_without_contradiction_pass(void **state)
{
    (void)state;
    EXPECT("0 2G usable 1\n1G 3G usable 1\n0 4G usable\n1G 2G reserved 0\n", "list",
           {0, 2ULL << 30, MAP_USABLE, 1, 1}, {1 << 30, 3ULL << 30, MAP_USABLE, 1, 2},
           {0, 4ULL << 30, MAP_USABLE, MAP_NODE_ANY, 3}, {1 << 30, 2ULL << 30, MAP_RESERVED, 0, 4});
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t bytes;
    } cases[] = {
        {"0", true, 0},
        {"4096", true, 4096},
        {"0x1f", true, 31},
        {"0XfK", true, 15 << 10},
        {"3m", true, 3 << 20},
        {"18446744073709551615", true, UINT64_MAX},
        {"16777215T", true, 16777215ULL << 40},
        {"16777216T", false, 0},
        {"18446744073709551616", false, 0},
        {"0x10000000000000000", false, 0},
        {"", false, 0},
        {"K", false, 0},
        {"0x", false, 0},
        {"-1", false, 0},
        {"1.5G", false, 0},
        {"1KB", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 0;
        bool good = map_parse_size(cases[i].text, &bytes);
        if (good != cases[i].good || bytes != cases[i].bytes)
            fail_msg("\"%s\": %d, %llu", cases[i].text, good, (unsigned long long)bytes);
    }
}

/* In a child that may not see addresses: 0 if MemTotal stood in and the reason was told. */
static int load_without_rights(void)
{
    struct map_error error;
    struct map map;

    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return 2;
    if (map_load(&map, NULL, 0, &error))
        return 3;
    bool told = strcmp(map.format, "/proc/meminfo") == 0 && map.count == 1 &&
                strstr(map.source, "MemTotal") && strstr(map.note, "/proc/iomem");
    map_free(&map);
    return told ? 0 : 4;
}

static void meminfo_stands_in_for_iomem(void **state)
{
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(load_without_rights());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_e820_of_every_kind),
        cmocka_unit_test(a_log_may_lack_its_last_newline),
        cmocka_unit_test(an_update_changes_only_its_own_kind),
        cmocka_unit_test(a_removal_leaves_both_sides),
        cmocka_unit_test(srat_alone_is_memory),
        cmocka_unit_test(srat_beside_e820_is_a_node),
        cmocka_unit_test(hotplug_windows_are_told),
        cmocka_unit_test(reads_iomem),
        cmocka_unit_test(reads_lists),
        cmocka_unit_test(overlaps_without_contradiction_pass),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(meminfo_stands_in_for_iomem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
