/* SPDX-License-Identifier: MIT
 *
 * test_field.c - maps as people's machines print them (stress/data/field): which frames boot memory
 * takes for memory, stretch by stretch, whatever is held back of it afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host-harness/machines/simulated.h"

#include <stdio.h>
#include <string.h>

#define GIB ((uint64_t)1 << 30)

enum { TEXT = 512 };

/* What the map makes of memory: "START-END" in hexadecimal, END being the first byte behind. */
static void write_memory(const struct simulated_machine *machine, char text[TEXT])
{
    struct quire_boot_region region;
    uint64_t start = 0, end = 0;
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; !quire_boot_region(&machine->plan->boot, i, &region); i++) {
        uint64_t from = quire_phys(region.run.pfn);

        if (region.kind != QUIRE_BOOT_USABLE)
            continue;
        if (from != end || end == 0) {
            if (end)
                used += (size_t)snprintf(text + used, TEXT - used, "%llx-%llx ",
                                         (unsigned long long)start, (unsigned long long)end);
            start = from;
        }
        end = from + (region.run.frames << QUIRE_FRAME_SHIFT);
    }
    snprintf(text + used, TEXT - used, "%llx-%llx", (unsigned long long)start,
             (unsigned long long)end);
}

static void expect_stretches(struct map *map, const char *what, const char *want)
{
    const struct simulated_options options = {.slots = 1};
    struct simulated_machine machine;
    struct map_error error = {""};
    char text[TEXT];

    if (simulated_build(&machine, map, &options, &error))
        fail_msg("%s: %s", what, error.text);
    write_memory(&machine, text);
    if (strcmp(text, want) != 0)
        fail_msg("%s: got %s, want %s", what, text, want);
    simulated_teardown(&machine);
    map_free(map);
}

/* A file of the field, and a word of its note; "" if there should be none. */
static void expect_file(const char *name, const char *format, const char *note, const char *want)
{
    struct map_error error = {""};
    char path[256];
    struct map map;

    snprintf(path, sizeof(path), FIELD "/%s", name);
    if (map_load(&map, path, 0, &error))
        fail_msg("%s: %s", name, error.text);
    assert_string_equal(map.format, format);
    if (*note ? !strstr(map.note, note) : map.note[0] != '\0')
        fail_msg("%s: wanted \"%s\", got \"%s\"", name, note, map.note);
    expect_stretches(&map, name, want);
}

static void expect_text(const char *text, const char *want)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "file", text, strlen(text), 0, &error))
        fail_msg("%s", error.text);
    expect_stretches(&map, text, want);
}

static void the_last_table_is_in_force(void **state)
{
    (void)state;
    expect_file("maps/m06-user-map.txt", "boot log", "\"user: ...\" from line 9",
                "1000-a0000 100000-68793000 100000000-1480000000 2840000000-3040000000");
    expect_file("maps/m15-setupdata.txt", "boot log", "\"reserve setup_data: ...\" from line 5",
                "1000-a0000 100000-7ab01000");
    expect_file("maps/m15b-without-update.txt", "boot log", "from line 4",
                "1000-a0000 100000-7ab01000");
}

/* What was changed before a table is in it; what comes behind changes it. */
static void changes_count_in_order(void **state)
{
    (void)state;
    expect_text("BIOS-e820: [mem 0x100000-0x8fffffff] usable\n"
                "e820: update [mem 0x100000-0x1fffff] usable ==> reserved\n"
                "user-defined physical RAM map:\n"
                "user: [mem 0x100000-0x7fffffff] usable\n"
                "e820: remove [mem 0x40000000-0x7fffffff] usable\n",
                "100000-40000000");
    expect_text(" BIOS-e820: 0000000000100000 - 0000000090000000 (usable)\n"
                "e820 update range: 0000000000100000 - 0000000000200000 (usable) ==> (reserved)\n"
                "e820 remove range: 0000000080000000 - 0000000090000000 (usable)\n",
                "200000-80000000");
    /* Of three tables the last one. */
    expect_text("BIOS-e820: [mem 0x100000-0x8fffffff] usable\n"
                "reserve setup_data: [mem 0x100000-0x7fffffff] usable\n"
                " modified: 0000000000100000 - 0000000060000000 (usable)\n",
                "100000-60000000");
}

static void old_and_new_words(void **state)
{
    (void)state;
    expect_file("maps/m02-2.6.txt", "boot log", "", "0-9e000 100000-cf690000 100000000-130000000");
    expect_file("maps/m11b-new-kinds.txt", "boot log", "", "1000-9f000 100000-7ffdd000");
    expect_file("maps/m18-bios88.txt", "boot log", "", "0-9f000 100000-3100000");
    expect_file("maps/m01-xen-dom0.txt", "boot log", "",
                "1000-9d000 100000-ce28f000 100000000-120000000");
    expect_file("maps/m03-xen-hv.txt", "boot log", "",
                "0-58000 100000-bcbff000 100000000-41e800000");
    expect_text("(XEN) [2020-01-01 00:00:00] Xen-e820 RAM map:\n"
                "(XEN) [2020-01-01 00:00:00]  0000000000100000 - 0000000040000000 (usable)\n",
                "100000-40000000");
    expect_text("BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] 1023   MB System RAM\n"
                "BIOS-e820: [mem 0x0000000040000000-0x000000007fffffff]    1.5 GB persistent RAM "
                "(type 12)\n"
                "BIOS-e820: [gap 0x0000000080000000-0x00000000ffffffff]    2   GB ...\n",
                "100000-40000000");
    expect_text("SRAT: Node 0 PXM 0 0-80000000\nSRAT: Node 1 PXM 1 80000000-100000000\n",
                "0-100000000");
}

static void logs_without_a_table(void **state)
{
    (void)state;
    expect_file("maps/e01-efi.txt", "boot log", "", "0-58000 100000-80000000");
    expect_file("maps/e02-earlynode.txt", "boot log", "early ranges of nodes",
                "0-3b300000 40000000-fc000000 100000000-200000000");
    /* An old kernel's words; memory with a purpose of its own; a node. */
    expect_text("EFI: mem00: type=7, attr=0xf, range=[0x0000000000100000-0x0000000040000000)\n"
                "EFI: mem01: type=5, attr=0xf, range=[0x0000000040000000-0x0000000050000000)\n"
                "EFI: mem02: type=99, attr=0xf, range=[0x0000000050000000-0x0000000060000000)\n",
                "100000-40000000");
    expect_text("efi: mem00: [Conventional Memory|   |  |SP|  |WB] range=[0x100000-0x3fffffff]\n"
                "efi: mem01: [Conventional Memory|   |  |  |  |WB] range=[0x40000000-0x7fffffff]\n"
                "efi: mem02: [ACPI Mem NVS       |   |  |  |  |WB] range=[0x80000000-0x8fffffff]\n",
                "40000000-80000000");
    /* Beside a table both are passed over. */
    expect_text("BIOS-e820: [mem 0x100000-0x3fffffff] usable\n"
                "efi: mem00: [Conventional Memory|  |WB] range=[0x0-\n"
                "Early memory node ranges\n"
                "  node   0: [mem 0x0000000000000000-0x000000003b2fffff]\n",
                "100000-40000000");
}

/* The early ranges tell the node, too. */
static void early_ranges_have_nodes(void **state)
{
    static const char text[] = "ACPI: SRAT: Node 1 PXM 1 [mem 0x100000000-0x2ffffffff]\n"
                               "Early memory node ranges\n"
                               "  node   1: [mem 0x0000000100000000-0x00000001ffffffff]\n";
    struct map_error error = {""};
    struct map map;

    (void)state;
    assert_int_equal(map_parse(&map, "file", text, sizeof(text) - 1, 0, &error), 0);
    assert_int_equal(map.count, 1);
    assert_int_equal(map.regions[0].node, 1);
    assert_int_equal(map.regions[0].end, 8 * GIB);
    map_free(&map);
}

static void expect_note(const char *text, const char *note, const char *want)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "file", text, strlen(text), 0, &error))
        fail_msg("%s", error.text);
    if (!strstr(map.note, note))
        fail_msg("wanted \"%s\", got \"%s\"", note, map.note);
    expect_stretches(&map, text, want);
}

/* As Linux does: what two nodes claim is the first one's, and nobody has memory beyond 2^52. */
static void affinity_is_distrusted(void **state)
{
    (void)state;
    expect_note("SRAT: Node 0 PXM 0 [mem 0x00000000-0x3fffffff]\n"
                "SRAT: Node 1 PXM 1 [mem 0x20000000-0x7fffffff]\n"
                "SRAT: Node 1 PXM 1 [mem 0x80000000-0xbfffffff]\n"
                "SRAT: Node 0 PXM 0 [mem 0x10000000000000-0x13ffffffffffff] hotplug\n",
                "passed over: 2, the first one in line 2", "0-40000000 80000000-c0000000");
    /* A window gives way to memory, before it or behind. */
    expect_note("SRAT: Node 0 PXM 0 [mem 0x00000000-0xffffffff] hotplug\n"
                "SRAT: Node 1 PXM 1 [mem 0x00000000-0x3fffffff]\n"
                "SRAT: Node 2 PXM 2 [mem 0x20000000-0x7fffffff] hotplug\n",
                "passed over: 2, the first one in line 1", "0-40000000");
}

/* What memmap= and mem= took is told by a table; or by nobody, and then the reader says so. */
static void a_command_line_without_its_table(void **state)
{
    (void)state;
    expect_note("Command line: ro memmap=1G$1G\nBIOS-e820: [mem 0x100000-0x8fffffff] usable\n",
                "the command line changes memory", "100000-90000000");
    expect_note("Kernel command line: mem=1G quiet\n"
                "BIOS-e820: [mem 0x100000-0x8fffffff] usable\n"
                "user: [mem 0x100000-0x3fffffff] usable\n",
                "from line 3 on was in force", "100000-40000000");
}

static void colours_are_no_content(void **state)
{
    (void)state;
    expect_file("maps/m17-colour-tail.txt", "boot log", "", "100000-c0000000");
    expect_text("\x1b[33mBIOS-e820: \x1b[0m[mem 0x100000-0x3fffffff] usable\x1b[m\x1b[K \r\n",
                "100000-40000000");
    expect_text("\x1b[1;31m00100000-3fffffff : System RAM\x1b[0m\n\x1b[0m", "100000-40000000");
}

static void pages_in_two_pieces_are_whole(void **state)
{
    (void)state;
    expect_file("maps/m19-half-frames.txt", "boot log", "", "100000-7ab01000");
    expect_file("maps/m20-whole.txt", "boot log", "", "100000-7ab01000");
    /* Any order, more than two, overlapping; but not of two nodes, nor with a gap. */
    expect_text("0x500800 +8M usable\n0x100000 0x200800 usable\n0x200800 0x200900 usable\n"
                "0x200880 0x500800 usable\n",
                "100000-d00000");
    expect_text("1M +0x400800 usable\n0x500801 +8M usable\n", "100000-500000 501000-d00000");
    expect_text("1M +0x400800 usable 0\n0x500800 +8M usable 1\n", "100000-500000 501000-d00000");
}

static void the_innermost_line_decides(void **state)
{
    (void)state;
    expect_file("maps/i01-bootalias.iomem", "/proc/iomem", "",
                "800000000-820000000 848000000-900000000");
    expect_file("maps/i02-kmem-pmem.iomem", "/proc/iomem", "",
                "1000-a0000 100000-c0000000 100000000-140000000 150000000-340000000");
    expect_file("maps/i03-kmem-cxl.iomem", "/proc/iomem", "",
                "1000-a0000 100000-c0000000 100000000-3080000000");
    /* Three deep, twice in one, and without the indentation. */
    expect_text("100000-ffffffff : System RAM\n"
                "10000000-7fffffff : Reserved\n"
                "20000000-2fffffff : System RAM (kmem)\n"
                "28000000-28ffffff : Reserved\n"
                "40000000-4fffffff : System RAM (virtio_mem)\n",
                "100000-10000000 20000000-28000000 29000000-30000000 40000000-50000000 "
                "80000000-100000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_table_is_in_force),
        cmocka_unit_test(changes_count_in_order),
        cmocka_unit_test(old_and_new_words),
        cmocka_unit_test(logs_without_a_table),
        cmocka_unit_test(early_ranges_have_nodes),
        cmocka_unit_test(affinity_is_distrusted),
        cmocka_unit_test(a_command_line_without_its_table),
        cmocka_unit_test(colours_are_no_content),
        cmocka_unit_test(pages_in_two_pieces_are_whole),
        cmocka_unit_test(the_innermost_line_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
