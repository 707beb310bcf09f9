/* SPDX-License-Identifier: MIT
 *
 * test_cli.c - the program on bad input: one line on stderr that names the fault and the remedy,
 * nothing on stdout, the exit status promised in quire(1). And what the options of `quire map` do.
 */
#include "stress/common/assert.h"

#include "stress/common/program.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK = 0, FAILED = 1, BAD_INPUT = 2 };

static struct program program;
static const char desktop[] = MAPS "/desktop-msi-a320m.txt";

/* A map file with these bytes; returns its path. */
static const char *map_file(const char *text, size_t bytes)
{
    static char path[64];

    snprintf(path, sizeof(path), "map-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, bytes), bytes);
    close(file);
    return path;
}

static void expect_refusal(int status, const char *wrong, const char *right)
{
    const char *newline = strchr(program.error, '\n');

    if (program.status != status || !strstr(program.error, wrong) ||
        !strstr(program.error, right) || strncmp(program.error, "quire", 5) != 0)
        fail_msg("wanted %d, \"%s\" and \"%s\"; got %d and \"%s\"", status, wrong, right,
                 program.status, program.error);
    assert_non_null(newline);
    assert_string_equal(newline, "\n");
}

static void bad_arguments(void **state)
{
    static const struct {
        const char *args[6], *wrong, *right;
    } cases[] = {
        {{NULL}, "no command", "run, map, topo, frag, help or version"},
        {{"show"}, "unknown command show: expected", "run, map, topo, frag, help or version"},
        {{"mpa"},
         "unknown command mpa (did you mean map?)",
         "run, map, topo, frag, help or version"},
        {{"rum"},
         "unknown command rum (did you mean run?)",
         "run, map, topo, frag, help or version"},
        {{"top"},
         "unknown command top (did you mean topo?)",
         "run, map, topo, frag, help or version"},
        {{"vresion"},
         "unknown command vresion (did you mean version?)",
         "run, map, topo, frag, help or version"},
        {{"--verson"},
         "unknown option --verson (did you mean --version?)",
         "run, map, topo, frag, help or version"},
        {{"-x"}, "unknown option -x", "run, map, topo, frag, help or version"},
        {{""}, "unknown command :", "run, map, topo, frag, help or version"},
        {{"help", "rum"},
         "unknown command rum (did you mean run?)",
         "run, map, topo, frag, help or version"},
        {{"help", "run", "map"}, "unexpected argument map", "quire --help"},
        {{"version", "1"}, "unexpected argument 1", "quire --help"},
        {{"-V", "-V"}, "unexpected argument -V", "quire --help"},
        {{"map", "--maps", "x"}, "unknown option --maps (did you mean --map?)", "quire map --help"},
        {{"map", "--hgue=1G"}, "unknown option --hgue=1G (did you mean --huge?)", "map --help"},
        {{"map", "--sltos", "8"}, "(did you mean --slots?)", "quire map --help"},
        {{"map", "--nonsense"}, "unknown option --nonsense:", "quire map --help"},
        {{"map", "--no"}, "option --no can be --no-dma, --no-dma32, --no-run-map", "map --help"},
        {{"topo", "--tpology", "x"}, "(did you mean --topology?)", "quire topo --help"},
        {{"run", "--thraeds", "8"}, "(did you mean --threads?)", "quire run --help"},
        {{"map", "-m"}, "unknown option -m", "quire map --help"},
        {{"map", "--map"}, "--map needs a value", "quire map --help"},
        {{"map", "--no-dma=1"}, "--no-dma=1: expected no value", "quire map --help"},
        {{"map", "file"}, "unexpected argument file", "quire map --help"},
        {{"map", "--huge", "3M"}, "--huge 3M", "multiple of 2M"},
        {{"map", "--huge", "-2M"}, "--huge -2M", "multiple of 2M"},
        {{"map", "--huge", "16777216T"}, "--huge 16777216T", "multiple of 2M"},
        {{"map", "--huge", "4098T"}, "--huge 4098T", "up to 4096T"},
        {{"map", "--slots", "0"}, "--slots 0", "1 to 4095"},
        {{"map", "--slots", "4096"}, "--slots 4096", "1 to 4095"},
        {{"map", "--slots", "18446744073709551617"}, "--slots 1844", "1 to 4095"},
        {{"map", "--map", "no\nsuch"}, "no?such: cannot be opened: No such file", "readable"},
        {{"map", "--map", "."}, ".: cannot be read: Is a directory", "readable file"},
        {{"map", "--map", "/dev/null"}, "/dev/null: empty", "BIOS-e820"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        program_run(&program, cases[i].args);
        expect_refusal(BAD_INPUT, cases[i].wrong, cases[i].right);
        assert_string_equal(program.out, "");
    }
}

static void bad_maps(void **state)
{
#define BYTES(text) text, sizeof(text) - 1
    static const struct {
        const char *text;
        size_t bytes;
        const char *wrong, *right;
    } cases[] = {
        {BYTES(" \n"), ": no map lines", "SRAT: Node"},
        {BYTES("\x1f\x8b\x08\x00\x00"), ":1: binary data", "BIOS-e820"},
        {BYTES("BIOS-e820: [mem 0x0-0xffff"), ":1: truncated", "0xSTART-0xEND"},
        {BYTES("0 4G usable 0\n0 1G usable 1\n"), ":2: memory at 0x0 is on node 1", "one node"},
        {BYTES("2G 1G usable\n"), ":1: the region ends", "START < END"},
        {BYTES("1T +16777215T usable\n"), ":1: START + SIZE", "2^52"},
        {BYTES("00000000-00000000 : System RAM\n"), ":1: all addresses are zero", "sudo"},
        {BYTES("0 1G reserved\n"), ": none of its 1 regions", "at least one"},
        /* Sound, but all of it is in the first 2 MiB, or too little for metadata. */
        {BYTES("0 2M usable\n"), ": no zone fits", "above the first 2 MiB"},
        {BYTES("2M +4K usable\n"), ": no zone fits", "metadata"},
        {BYTES("4G +100 usable\n"), ": no zone fits", "usable memory"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = map_file(cases[i].text, cases[i].bytes);
        PROGRAM_RUN(&program, "map", "--map", path);
        unlink(path);
        expect_refusal(BAD_INPUT, cases[i].wrong, cases[i].right);
        assert_non_null(strstr(program.error, path));
        assert_string_equal(program.out, "");
    }
}

static void unwritable_output(void **state)
{
    struct stat device;

    (void)state;
    PROGRAM_RUN(&program, "map", "--map", desktop, "--json", "/none/x");
    expect_refusal(BAD_INPUT, "/none/x: No such file", "can be written");
    assert_string_equal(program.out, "");
    PROGRAM_RUN(&program, "map", "--map", desktop, "--json", "/dev/full");
    expect_refusal(FAILED, "/dev/full: No space left", "writable");
    /* The file that could not be written is not the program's to remove. */
    assert_int_equal(stat("/dev/full", &device), 0);
    assert_true(S_ISCHR(device.st_mode));
    program.device = "/dev/full";
    PROGRAM_RUN(&program, "map", "--map", desktop);
    expect_refusal(FAILED, "standard output", "have room");
    PROGRAM_RUN(&program, "--help");
    expect_refusal(FAILED, "standard output", "have room");
    PROGRAM_RUN(&program, "run", "--help");
    expect_refusal(FAILED, "standard output", "have room");
    program.device = NULL;
}

/* The zones that `quire map` makes with three more arguments (NULL for fewer). */
static cJSON *zones_with(const char *path, const char *a, const char *b, const char *c)
{
    const char *const args[] = {"map", "--map", path, "--json", "-", a, b, c, NULL};

    program_run(&program, args);
    assert_string_equal(program.error, "");
    assert_int_equal(program.status, OK);
    cJSON *root = cJSON_Parse(program.out);
    assert_non_null(root);
    return root;
}

static void expect_zones(const cJSON *root, const char *want)
{
    char got[256] = "";
    const cJSON *zone;

    cJSON_ArrayForEach(zone, cJSON_GetObjectItemCaseSensitive(root, "zones"))
    {
        const char *type = cJSON_GetObjectItemCaseSensitive(zone, "type")->valuestring;
        double node = cJSON_GetObjectItemCaseSensitive(zone, "node")->valuedouble;
        size_t used = strlen(got);
        snprintf(got + used, sizeof(got) - used, "%.0f:%s ", node, type);
    }
    assert_string_equal(got, want);
}

static double zone_number(const cJSON *root, int zone, const char *key)
{
    const cJSON *zones = cJSON_GetObjectItemCaseSensitive(root, "zones");

    return cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(zones, zone), key)->valuedouble;
}

static void options_change_the_zones(void **state)
{
    cJSON *root;

    (void)state;
    root = zones_with(desktop, NULL, NULL, NULL);
    expect_zones(root, "0:DMA 0:DMA32 0:Normal ");
    double with_run_map = zone_number(root, 2, "metadata_bytes");
    cJSON_Delete(root);
    root = zones_with(desktop, "--no-dma", NULL, NULL);
    expect_zones(root, "0:DMA32 0:Normal ");
    cJSON_Delete(root);
    root = zones_with(desktop, "--no-dma", "--no-dma32", NULL);
    expect_zones(root, "0:Normal ");
    cJSON_Delete(root);
    root = zones_with(desktop, "--huge", "3G", NULL);
    expect_zones(root, "0:DMA 0:DMA32 0:Normal 0:Huge ");
    assert_true(zone_number(root, 3, "usable_frames") == 3 * 262144);
    cJSON_Delete(root);
    /* Without run maps and frame bytes each 2 MiB costs 576 bytes less; 3273600 frames are 6394
     * blocks. */
    root = zones_with(desktop, "--no-run-map", NULL, NULL);
    double saved = with_run_map - zone_number(root, 2, "metadata_bytes");
    assert_true(saved >= 6300 * 576 && saved <= 6500 * 576);
    cJSON_Delete(root);
    /* A slot costs a few cache lines. */
    root = zones_with(desktop, "--slots", "1008", NULL);
    double more = zone_number(root, 2, "metadata_bytes") - with_run_map;
    assert_true(more >= 1000 * 128 && more <= 1000 * 576);
    cJSON_Delete(root);
}

/* Nodes come from SRAT where e820 says only the kind, and a block that two nodes share goes to one
 * of them: here 257 of its frames are node 0's. */
static void nodes_and_borders(void **state)
{
    static const char log[] = "BIOS-e820: [mem 0x100000000-0x17fffffff] usable\n"
                              "SRAT: Node 0 PXM 0 [mem 0x100000000-0x140100fff]\n"
                              "SRAT: Node 1 PXM 1 [mem 0x140101000-0x17fffffff]\n";

    (void)state;
    const char *path = map_file(log, sizeof(log) - 1);
    cJSON *root = zones_with(path, NULL, NULL, NULL);
    unlink(path);
    expect_zones(root, "0:Normal 1:Normal ");
    const cJSON *left_out = cJSON_GetObjectItemCaseSensitive(root, "left_out");
    assert_true(cJSON_GetObjectItem(left_out, "shared_frames")->valuedouble == 255);
    assert_true(cJSON_GetObjectItem(left_out, "shared_blocks")->valuedouble == 1);
    assert_true(zone_number(root, 0, "reserved_frames") == 255);
    assert_true(zone_number(root, 1, "start") == 0x140200000);
    cJSON_Delete(root);
}

/* What was said, by the one or two words that ask for it. */
static const char *said(const char *a, const char *b)
{
    static char text[PROGRAM_TEXT];

    PROGRAM_RUN(&program, a, b);
    assert_int_equal(program.status, OK);
    assert_string_equal(program.error, "");
    return memcpy(text, program.out, PROGRAM_TEXT);
}

static void says_what_it_is(void **state)
{
    static const char *const commands[] = {"run", "map", "topo"};

    (void)state;
    assert_memory_equal(said("--version", NULL), "quire ", 6);
    assert_string_equal(said("version", NULL), program.out);
    assert_string_equal(said("-V", NULL), said("--version", NULL));
    assert_non_null(strstr(said("help", NULL), "quire map"));
    assert_string_equal(said("--help", NULL), program.out);
    assert_string_equal(said("-h", NULL), said("help", NULL));
    for (unsigned i = 0; i < 3; i++) {
        const char *help = said("help", commands[i]);

        PROGRAM_RUN(&program, commands[i], "--help");
        assert_string_equal(help, program.out);
        PROGRAM_RUN(&program, commands[i], "-h");
        assert_string_equal(help, program.out);
    }
    assert_non_null(strstr(said("help", "map"), "--no-dma32"));
}

/* Whatever is read, the help of who reads it says so. */
static void help_names_every_input(void **state)
{
    static const char *const maps[] = {
        "boot log",     "BIOS-e820",    "BIOS-88",     "Xen",           "(XEN)",
        "e820: update", "SRAT: Node",   "efi: memN",   "early node",    "/proc/iomem",
        "device tree",  "FILE@ADDRESS", "START END|+", "standard input"};
    static const char *const topologies[] = {
        "host", "hwloc's XML", "device tree", "FILE@ADDRESS", "ACPI",   "APIC",
        "SRAT", "SLIT",        "HMAT",        "folder",       "node:4", "standard input"};
    const char *text;

    (void)state;
    for (unsigned i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        assert_non_null(strstr(said("map", "--help"), maps[i]));
        assert_non_null(strstr(said("run", "--help"), maps[i]));
    }
    for (unsigned i = 0; i < sizeof(topologies) / sizeof(topologies[0]); i++) {
        assert_non_null(strstr(said("topo", "--help"), topologies[i]));
        assert_non_null(strstr(said("run", "--help"), topologies[i]));
    }
    text = said("help", NULL);
    assert_true(strstr(text, "boot logs") && strstr(text, "/proc/iomem") && strstr(text, "lists") &&
                strstr(text, "device trees") && strstr(text, "hwloc") && strstr(text, "ACPI"));
}

/* "-" is the standard input, for whoever reads a map; faults in it are told by that name. */
static void standard_input(void **state)
{
    (void)state;
    program.input = desktop;
    PROGRAM_RUN(&program, "map", "--map", "-");
    assert_int_equal(program.status, OK);
    assert_non_null(strstr(program.out, "standard input: boot log"));
    PROGRAM_RUN(&program, "run", "--map", "-", "--operations", "10");
    assert_int_equal(program.status, OK);
    assert_non_null(strstr(program.out, "map: standard input (boot log)"));
    program.input = map_file("0 1G usable\n1G 2G nonsense\n", 27);
    PROGRAM_RUN(&program, "map", "--map", "-");
    expect_refusal(BAD_INPUT, "standard input:2: unknown kind of memory", "expected usable");
    unlink(program.input);
    program.input = "/dev/null";
    PROGRAM_RUN(&program, "map", "--map", "-@1M");
    expect_refusal(BAD_INPUT, "standard input: empty", "expected");
    PROGRAM_RUN(&program, "topo", "--topology", "-");
    expect_refusal(BAD_INPUT, "standard input: empty", "expected");
    program.input = NULL;
}

/* What a note says of a map is an error with --strict, unless the file gives the reason. */
static void strict(void **state)
{
#define TABLE "BIOS-e820: [mem 0x0000000000000000-0x00000000ffffffff] usable\n"
#define SRAT  "SRAT: Node 0 PXM 0 [mem 0x00000000-0x7fffffff]\n"
    static const struct {
        const char *text, *note, *wrong, *right;
    } cases[] = {
        {TABLE SRAT "SRAT: Node 1 PXM 1 [mem 0x40000000-0xffffffff]\n", "SRAT ranges passed over",
         ":3: an SRAT range that another node has too", "expected one node"},
        {"Command line: mem=1G\n" TABLE, "the command line changes memory",
         ": the command line changes memory", "user: [mem 0xSTART"},
        {"Early memory node ranges\n  node   0: [mem 0x0000000000001000-0x00000000ffffffff]\n",
         "the early ranges of nodes stand for it", ": the early ranges of nodes do not say",
         "expected a table"},
        {TABLE "user-defined physical RAM map:\n"
               "user: [mem 0x0000000000000000-0x000000007fffffff] usable\n",
         "was in force", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = map_file(cases[i].text, strlen(cases[i].text));

        PROGRAM_RUN(&program, "map", "--map", path);
        assert_int_equal(program.status, OK);
        assert_non_null(strstr(program.out, cases[i].note));
        PROGRAM_RUN(&program, "map", "--map", path, "--strict");
        if (cases[i].wrong)
            expect_refusal(BAD_INPUT, cases[i].wrong, cases[i].right);
        else
            assert_int_equal(program.status, OK);
        PROGRAM_RUN(&program, "run", "--strict", "--map", path, "--operations", "10");
        if (cases[i].wrong)
            expect_refusal(BAD_INPUT, cases[i].wrong, cases[i].right);
        else
            assert_int_equal(program.status, OK);
        unlink(path);
    }
}

/* This machine's map, or a refusal where that cannot be seen; the size of it is not enough. */
static void strict_of_this_machine(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "map", "--strict");
    if (program.status == OK)
        assert_non_null(strstr(program.out, "/proc/iomem of this machine"));
    else
        expect_refusal(BAD_INPUT, "/proc/iomem", "expected");
}

static void this_machine_by_default(void **state)
{
    (void)state;
    PROGRAM_RUN(&program, "map");
    assert_string_equal(program.error, "");
    assert_int_equal(program.status, OK);
    assert_non_null(strstr(program.out, "this machine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_arguments),           cmocka_unit_test(bad_maps),
        cmocka_unit_test(unwritable_output),       cmocka_unit_test(options_change_the_zones),
        cmocka_unit_test(nodes_and_borders),       cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(this_machine_by_default), cmocka_unit_test(help_names_every_input),
        cmocka_unit_test(standard_input),          cmocka_unit_test(strict),
        cmocka_unit_test(strict_of_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
