/* SPDX-License-Identifier: MIT
 *
 * test_bounds.c - inputs that would keep a reader of maps or topologies busy for minutes, or for
 * ever: each is answered at once. A case that is not within the limit ends the program.
 */
#include "stress/common/assert.h"

#include "host-harness/machines/topo/topo.h"
#include "stress/host-harness/topo/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LIMIT_S = 20,     /* a sanitizer on a busy machine may need one or two */
    COMPARED = 16384, /* ranges that are compared with others; docs/maps-and-topologies.md */
    THREADS = 16380,  /* numbers of CPUs */
    FILLER = 'f',     /* the name of a property that is to be found again */
};

static struct topo topo;
static struct map map;
static struct map_error error;

static int at_once(void **state)
{
    (void)state;
    return alarm(LIMIT_S) != 0;
}

static int in_time(void **state)
{
    (void)state;
    alarm(0);
    map_free(&map);
    return 0;
}

static void refused(int result, const char *wrong)
{
    assert_int_equal(result, -1);
    if (!strstr(error.text, wrong) || !strstr(error.text, ": expected "))
        fail_msg("wanted \"%s: expected\", got \"%s\"", wrong, error.text);
}

static int parse_text(const char *text, size_t bytes)
{
    return map_parse(&map, "file", text, bytes, 0, &error);
}

static int parse_tree(void)
{
    return parse_text((const char *)tree.data, tree.bytes);
}

static void both_refuse(const char *wrong)
{
    refused(parse_tree(), wrong);
    refused(topo_parse(&topo, "file", tree.data, tree.bytes, 0, &error), wrong);
}

static void gigabyte(uint32_t node)
{
    tree_memory(node ? "memory@1" : "memory@0");
    TREE_CELLS("numa-node-id", node);
    TREE_CELLS("reg", 0, 1 << 30);
    tree_close();
}

/* Where the length of the property of 16 bytes FILLER is. */
static unsigned char *length_of_filler(void)
{
    unsigned char filler[16];

    memset(filler, FILLER, sizeof(filler));
    unsigned char *value = memmem(tree.data, tree.bytes, filler, sizeof(filler));
    assert_non_null(value);
    return value - 8;
}

/* The version says that a node's name is its whole path, and the root's is none: libfdt 1.6 reads
 * the name that it does not find. */
static void root_without_name(void **state)
{
    enum { VERSION = 20, COMPATIBLE = 24 }; /* where they stand in the header */

    (void)state;
    tree_begin(1, 1, NULL, 0);
    gigabyte(0);
    tree_one_cpu();
    tree_end();
    assert_int_equal(parse_tree(), 0);
    map_free(&map);
    tree.data[VERSION + 3] = 9;
    tree.data[COMPATIBLE + 3] = 9;
    both_refuse("the node at byte 0 of its structure has no name");
}

/* A length that leads back to before the property, or is negative: libfdt 1.6 does not see it. */
static void lengths_overflow(void **state)
{
    unsigned char filler[16];

    (void)state;
    memset(filler, FILLER, sizeof(filler));
    tree_begin(1, 1, NULL, 0);
    gigabyte(0);
    tree_one_cpu();
    tree_node("z");
    tree_raw("reg", filler, sizeof(filler));
    tree_close();
    tree_end();
    assert_int_equal(parse_tree(), 0);
    map_free(&map);
    for (uint32_t back = 1; back < 256; back++) {
        unsigned char *length = length_of_filler();

        memset(length, 0xff, 3);
        length[3] = (unsigned char)(0 - back);
        both_refuse("damaged device tree");
    }
}

static void names_are_short(void **state)
{
    char name[257];

    (void)state;
    for (size_t bytes = 255; bytes <= 256; bytes++) {
        memset(name, 'n', sizeof(name));
        name[bytes] = '\0';
        tree_begin(1, 1, NULL, 0);
        gigabyte(0);
        tree_one_cpu();
        tree_node("z");
        TREE_CELLS(name, 0);
        tree_close();
        tree_end();
        if (bytes == 255)
            assert_int_equal(parse_tree(), 0);
        else
            both_refuse("a property's name has 256 bytes");
        map_free(&map);
    }
}

/* Stretches that another node has already: none is added, each is compared with all there are. */
static void stretches_are_taken(void **state)
{
    static uint32_t cells[2 * (COMPARED + 1)];

    (void)state;
    for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++)
        cells[i] = 4096;
    for (size_t count = COMPARED - 1; count <= COMPARED; count++) {
        tree_begin(1, 1, NULL, 0);
        gigabyte(0);
        tree_memory("memory@1");
        TREE_CELLS("numa-node-id", 1);
        tree_cells("reg", cells, 2 * count);
        tree_close();
        tree_one_cpu();
        tree_end();
        if (count < COMPARED)
            assert_int_equal(parse_tree(), 0);
        else
            both_refuse("more than 16384 ranges");
        map_free(&map);
    }
}

/* As many stretches as the file has room for, in a node with as many properties. */
static void properties_are_many(void **state)
{
    enum { STRETCHES = 400 << 10, PROPERTIES = 300 << 10 };
    uint32_t *cells = malloc(2 * STRETCHES * sizeof(*cells));

    (void)state;
    assert_non_null(cells);
    for (size_t i = 0; i < 2 * STRETCHES; i++)
        cells[i] = 1 << 20;
    tree_begin(1, 1, NULL, 0);
    tree_node("chosen");
    TREE_CELLS("linux,usable-memory-range", 0x80000000, 4096);
    tree_close();
    tree_memory("memory@0");
    tree_cells("reg", cells, 2 * STRETCHES);
    for (size_t i = 0; i < PROPERTIES; i++)
        tree_raw("a", NULL, 0);
    tree_close();
    tree_one_cpu();
    tree_end();
    both_refuse("memory: expected");
    free(cells);
}

static void threads_are_many(void **state)
{
    static uint32_t cells[THREADS + 1];

    (void)state;
    for (size_t count = THREADS; count <= THREADS + 1; count++) {
        tree_begin(1, 1, NULL, 0);
        gigabyte(0);
        tree_node("cpus");
        TREE_CELLS("#address-cells", 1);
        TREE_CELLS("#size-cells", 0);
        tree_node("cpu@0");
        tree_string("device_type", "cpu");
        TREE_CELLS("reg", 0);
        tree_cells("ibm,ppc-interrupt-server#s", cells, count);
        tree_close();
        tree_close();
        tree_end();
        int result = topo_parse(&topo, "file", tree.data, tree.bytes, 0, &error);
        if (count == THREADS)
            assert_int_equal(result, 0);
        else
            refused(result, "more than 16380 numbers of CPUs");
    }
}

/* Lines after which the map has no region more. */
static void lines_without_end(void **state)
{
    static const struct {
        const char *first, *line;
        size_t fewer;
    } cases[] = {
        {"BIOS-e820: [mem 0x0-0xfff] usable\n", "e820: remove [mem 0x2000-0x2fff] usable\n", 0},
        {"SRAT: Node 0 PXM 0 [mem 0x0-0xfff]\n", "SRAT: Node 1 PXM 1 [mem 0x0-0xfff]\n", 1},
        {"0-fff : System RAM\n", "  0-fff : System RAM\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t first = strlen(cases[i].first), line = strlen(cases[i].line);
        size_t count = COMPARED - cases[i].fewer, bytes = first + (count + 1) * line;
        char *text = malloc(bytes);

        assert_non_null(text);
        memcpy(text, cases[i].first, first);
        for (size_t k = 0; k <= count; k++)
            memcpy(text + first + k * line, cases[i].line, line);
        refused(parse_text(text, bytes), "more than 16384 ranges");
        assert_int_equal(parse_text(text, bytes - line), 0);
        map_free(&map);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(root_without_name, at_once, in_time),
        cmocka_unit_test_setup_teardown(lengths_overflow, at_once, in_time),
        cmocka_unit_test_setup_teardown(names_are_short, at_once, in_time),
        cmocka_unit_test_setup_teardown(stretches_are_taken, at_once, in_time),
        cmocka_unit_test_setup_teardown(properties_are_many, at_once, in_time),
        cmocka_unit_test_setup_teardown(threads_are_many, at_once, in_time),
        cmocka_unit_test_setup_teardown(lines_without_end, at_once, in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
