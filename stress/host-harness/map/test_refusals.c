/* SPDX-License-Identifier: MIT
 *
 * test_refusals.c - what the map readers refuse. Each case is a text, the place that the error must
 * name, a word of what was wrong, and a word of what would be right.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/map/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct refusal {
    const char *text, *place, *wrong, *right;
};

static void expect_refusal(const struct refusal *c, size_t bytes)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "file", c->text, bytes, 0, &error) == 0)
        fail_msg("accepted: %.60s", c->text);
    bool named = strncmp(error.text, c->place, strlen(c->place)) == 0;
    const char *right = strstr(error.text, ": expected ");
    if (!named || !strstr(error.text, c->wrong) || !right || !strstr(right, c->right))
        fail_msg("wanted \"%s ... %s ... %s\", got \"%s\"", c->place, c->wrong, c->right,
                 error.text);
    assert_null(strchr(error.text, '\n'));
    assert_null(map.regions);
    assert_int_equal(map.count, 0);
}

static void refuse_all(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_refusal(&cases[i], strlen(cases[i].text));
}
#define REFUSE(...)                                             \
    do {                                                        \
        static const struct refusal cases_[] = {__VA_ARGS__};   \
        refuse_all(cases_, sizeof(cases_) / sizeof(cases_[0])); \
    } while (0)

static void no_map_at_all(void **state)
{
    (void)state;
    REFUSE({"", "file: ", "empty", "BIOS-e820"},
           {"\n \n# only comments\n", "file: ", "no map", "list"},
           {"Hello\nworld\n", "file:1: ", "no map lines", "START END KIND"},
           {"\n\nDMI: some maker\n", "file:3: ", "no map lines", "/proc/iomem"},
           {"BIOS-e820: [mem 0x0-0xfff] reserved\n", "file: ", "none of its 1 regions is usable",
            "at least one"},
           {"0 1G device\n", "file: ", "usable", "at least one"},
           {"e0000000-efffffff : PCI Bus\n", "file: ", "none of its 0", "at least one"});
}

static void binary(void **state)
{
    static const struct refusal nul = {"0 1G usable\n0 1\0G usable\n", "file:2: ", "binary",
                                       "list"};

    (void)state;
    expect_refusal(&nul, 25);
    REFUSE({"\x7f"
            "ELF\x02\x01\x01",
            "file:1: ", "no map lines", "BIOS-e820"},
           {"0 1G \x1b[31m\xff\n", "file:1: ", "\"?[31m?\"", "usable"});
}

static void truncated(void **state)
{
    (void)state;
    REFUSE(
        {"BIOS-e820: [mem 0x0-0xfff] usable\nBIOS-e820: [mem 0x1000", "file:2: ", "truncated",
         "[mem 0xSTART-0xEND]"},
        {"BIOS-e820: [mem 0x0-0xfff", "file:1: ", "truncated", "KIND"},
        {"BIOS-e820: [mem 0x0-0xfff]", "file:1: ", "unknown kind", "usable, reserved"},
        {"BIOS-e820: [mem 0x0-0xfff] usab", "file:1: ", "\"usab\"", "usable"},
        {"BIOS-e820: [mem 0-fff] usable", "file:1: ", "damaged", "0xSTART"},
        {"BIOS-e820: 0000000000000000 - 000000000009fc00 (usable", "file:1: ", "\"(usable\"",
         "usable"},
        {"BIOS-e820: 0000000000000000 - \n", "file:1: ", "damaged", "[mem"},
        {"BIOS-e820: 0000000000000000\n", "file:1: ", "damaged", "[mem"},
        {"user: 0000000000000000", "file:1: ", "truncated", "user: [mem 0xSTART-0xEND] KIND"},
        {"user: [mem 0x0-0xfff", "file:1: ", "truncated", "user: [mem 0xSTART-0xEND] KIND"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\nuser: [me", "file:2: ", "truncated", "to end"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\nuser-defined physical RAM map:\n",
         "file:2: ", "is missing", "user: [mem"},
        {"(XEN)  [0000000000000000, 000000", "file:1: ", "truncated", "(XEN)  [START, END] (KIND)"},
        {"(XEN)  0000000000000000 - 00", "file:1: ", "unknown kind", "usable"},
        {"(XEN)  [0000000000000000, 000000000009ffff] (usable)\n(XEN)  [0000000",
         "file:2: ", "truncated", "to end"},
        {"(XEN)  [0000000000000000, 000000000009ffff] (usable)\n(XEN)  00000",
         "file:2: ", "truncated", "to end"},
        {"efi: mem00: [Conventional Memory|WB] range=[0x0-0x1000\n", "file:1: ", "damaged",
         "range=[0xSTART-0xEND)"},
        {"efi: mem00: [Conventional Mem\n", "file:1: ", "damaged", "range=[0xSTART-0xEND)"},
        {"Early memory node ranges\n  node   0: [mem 0x0-0x\n", "file:2: ", "damaged",
         "node N: [mem"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\ne820: update [mem 0x0-0x", "file:2: ", "truncated",
         "KIND ==> KIND"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\ne820: update [mem 0x0-0xff] usable",
         "file:2: ", "truncated", "==>"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\ne820: remove [mem 0x0", "file:2: ", "truncated",
         "e820: remove"},
        {"BIOS-e820: [mem 0x0-0xfff] type \n", "file:1: ", "\"type\"", "type N"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\n[    0.0", "file:2: ", "truncated", "to end"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\n[    0.000000] ", "file:2: ", "truncated", "to end"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\n[    0.000000] BIOS-e82", "file:2: ", "truncated",
         "to end"},
        {"BIOS-e820: [mem 0x0-0xfff] usable\ne820: upd", "file:2: ", "truncated", "to end"},
        {"SRAT: Node 0 PXM 0 [mem 0x0-0xfff]\n[    0.000000] ACPI: SR", "file:2: ", "truncated",
         "to end"},
        {"SRAT: Node 0 PXM 0 [mem 0x0-0xf", "file:1: ", "truncated", "SRAT: Node N PXM P"},
        {"SRAT: Node 0 PX", "file:1: ", "truncated", "SRAT: Node"},
        {"SRAT: Node 0 PXM 0 [mem 0x0-0xfff] hotplu", "file:1: ", "at the end", "hotplug"},
        {"0-fff : System RAM\n1000-1f", "file:2: ", "truncated", "START-END : NAME"},
        {"0-fff : \n", "file:1: ", "truncated", "NAME"}, {"0", "file:1: ", "truncated", "START"},
        {"0 1G", "file:1: ", "truncated", "KIND"}, {"0 1G usab", "file:1: ", "\"usab\"", "usable"});
}

static void contradictory(void **state)
{
    (void)state;
    REFUSE(
        {"0 4G usable 0\n2G 3G usable 1\n", "file:2: ",
         "0x80000000 is on node 1 here, but on "
         "node 0 by line 1",
         "one node"},
        {"2G 3G usable 1\n0 4G usable 0\n", "file:2: ", "node 1 by line 1", "one node"},
        /* The second region is inside of the first; the third meets only the first. */
        {"0 9G usable 0\n1G 2G usable 0\n3G 4G usable 5\n", "file:3: ", "node 0 by line 1", "node"},
        {"BIOS-e820: [mem 0x2000-0x1fff] usable\n", "file:1: ", "below its start", "START <= END"},
        {"SRAT: Node 0 PXM 0 [mem 0x2000-0x1000]\n", "file:1: ", "below its start", "START"},
        {"2000-1000 : System RAM\n", "file:1: ", "below its start", "START <= END"},
        {"2G 1G usable\n", "file:1: ", "not above its start", "START < END"},
        {"1G 1G usable\n", "file:1: ", "not above its start", "START < END"},
        {"1G +0 usable\n", "file:1: ", "not above its start", "START < END"},
        {"BIOS-provided physical RAM map:\nBIOS-e820: [mem 0x0-0xfff] usable\n"
         "BIOS-provided physical RAM map:\nBIOS-e820: [mem 0x0-0xfff] usable\n",
         "file:3: ", "second boot", "one boot"},
        /* Titles or not: what the firmware said does not come behind what was made of it. */
        {"BIOS-e820: [mem 0x0-0xfff] usable\nuser: [mem 0x0-0xfff] usable\n"
         "BIOS-e820: [mem 0x0-0xfff] usable\n",
         "file:3: ", "second boot", "one boot"},
        {"(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009ffff] (usable)\n"
         "(XEN) Xen-e820 RAM map:\n",
         "file:3: ", "second boot", "one boot"},
        {"efi: mem00: [Boot Code|WB] range=[0x0-0xfff]\nefi: mem00: [Boot Code|WB] "
         "range=[0x0-0xfff]\n",
         "file:2: ", "second boot", "one boot"},
        {"Early memory node ranges\n node 0: [mem 0x0-0xfff]\nEarly memory node ranges\n",
         "file:3: ", "second boot", "one boot"},
        {"Early memory node ranges\n node 0: [mem 0x2000-0x1fff]\n", "file:2: ", "below its start",
         "START <= END"});
}

static void too_large(void **state)
{
    (void)state;
    REFUSE(
        {"BIOS-e820: [mem 0x0-0x10000000000000000] usable\n", "file:1: ", "64 bits", "16 hex"},
        {"BIOS-e820: [mem 0x0-0xffffffffffffffff] usable\n", "file:1: ", "2^52",
         "0x10000000000000"},
        {"BIOS-e820: [mem 0x0-0x10000000000000] usable\n", "file:1: ", "2^52", "below"},
        {"0-fffffffffffffffff : System RAM\n", "file:1: ", "64 bits", "16 hex"},
        {"0-ffffffffffffffff : System RAM\n", "file:1: ", "2^52", "below"},
        {"0 99999999999999999999 usable\n", "file:1: ", "64 bits", "2^52"},
        {"0 16777216T usable\n", "file:1: ", "64 bits", "2^52"},
        {"16777215T +1T usable\n", "file:1: ", "START + SIZE", "2^52"},
        {"4095T +2T usable\n", "file:1: ", "2^52", "below"},
        {"Early memory node ranges\n node 1024: [mem 0x0-0xfff]\n", "file:2: ", "1024",
         "0 to 1023"},
        {"BIOS-e820: 0000000000000000 - 0010000000000001 (usable)\n", "file:1: ", "2^52", "below"},
        {"efi: mem00: [Boot Code|WB] range=[0x0-0x10000000000001)\n", "file:1: ", "2^52", "below"},
        {"SRAT: Node 1024 PXM 0 [mem 0x0-0xfff]\n", "file:1: ", "1024", "0 to 1023"},
        {"0 1G usable 1024\n", "file:1: ", "\"1024\"", "0 to 1023"});
}

static void misspelt(void **state)
{
    (void)state;
    REFUSE({"0 1G ram\n", "file:1: ", "\"ram\"", "usable"},
           {"0 1X usable\n", "file:1: ", "\"1X\"", "K, M, G, T"},
           {"0 +-1 usable\n", "file:1: ", "\"-1\"", "digits"},
           {"0 1G usable one\n", "file:1: ", "\"one\"", "0 to 1023"},
           {"0 1G usable 1 2\n", "file:1: ", "\"2\"", "[NODE]"},
           {"BIOS-e820: [mem 0x0-0xfff] great\n", "file:1: ", "\"great\"", "ACPI NVS"},
           {"00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n",
            "file:2: ", "CAP_SYS_ADMIN", "root"});
}

static void too_many(void **state)
{
    static const char line[] = "0 1G usable\n";
    struct refusal c = {NULL, "file:4097: ", "more than 4096", "no more"};
    size_t bytes = (sizeof(line) - 1) * (MAP_MAX_REGIONS + 1);
    char *text = calloc(1, bytes + 1);

    (void)state;
    assert_non_null(text);
    for (size_t at = 0; at < bytes; at += sizeof(line) - 1)
        memcpy(text + at, line, sizeof(line));
    c.text = text;
    expect_refusal(&c, bytes);
    free(text);
}

static void too_long(void **state)
{
    struct refusal c = {NULL, "file: ", "longer than 8 MiB", "boot"};
    char *text = calloc(1, MAP_MAX_BYTES + 1);

    (void)state;
    assert_non_null(text);
    c.text = text;
    expect_refusal(&c, MAP_MAX_BYTES + 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_map_at_all), cmocka_unit_test(binary),    cmocka_unit_test(truncated),
        cmocka_unit_test(contradictory), cmocka_unit_test(too_large), cmocka_unit_test(misspelt),
        cmocka_unit_test(too_many),      cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
