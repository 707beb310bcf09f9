/* SPDX-License-Identifier: MIT
 *
 * fuzz_topology.c - any bytes as a topology: ACPI tables one after the other (their checksums are
 * made right first, or nothing would get past them), a device tree as topology and as memory map,
 * hwloc's XML. The readers must not crash; a refusal must leave everything as it was and say so in
 * one printable line; what is accepted must be a topology from which all that follows makes sense.
 */
#include "host-harness/machines/topo/topo.h"

#include <quire/acpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
    fprintf(stderr, "fuzz_topology.c:%d: broken: %s\n", line, condition);
    abort();
}

static void check_line(const struct map_error *error)
{
    REQUIRE(strncmp(error->text, "fuzz:", 5) == 0);
    REQUIRE(strstr(error->text, "expected") != NULL);
    for (const char *c = error->text; *c; c++)
        REQUIRE(*c >= ' ' && *c <= '~');
}

/* Printable, and no node has more memory than there are addresses. */
static void check_note(const struct topo *topo)
{
    for (const char *c = topo->note; *c; c++)
        REQUIRE(*c >= ' ' && *c <= '~');
    for (uint32_t n = 0; n < topo->topology.node_count; n++)
        REQUIRE(topo_memory_of(topo, n) <= MAP_PHYS_LIMIT);
}

static void check_node(const struct quire_topology *t, quire_node node)
{
    quire_node order[QUIRE_NODES], down = quire_topology_demotion(t, node);
    uint32_t count = quire_topology_order(t, node, order), tier = quire_topology_tier(t, node);
    uint64_t seen = 0;
    unsigned last = 0;

    REQUIRE(count >= 1 && order[0].n == node.n);
    for (uint32_t i = 0; i < count; i++) {
        unsigned distance = t->distance[node.n][order[i].n];

        REQUIRE(order[i].n < t->node_count && !(seen >> order[i].n & 1));
        REQUIRE(distance >= last && distance < QUIRE_DISTANCE_UNREACHABLE);
        seen |= quire_nodemask_of(order[i]).bits;
        last = distance;
    }
    for (uint32_t n = 0; n < t->node_count; n++)
        REQUIRE((seen >> n & 1) || t->distance[node.n][n] == QUIRE_DISTANCE_UNREACHABLE);
    REQUIRE((tier == QUIRE_NO_TIER) != (quire_topology_with_memory(t).bits >> node.n & 1));
    REQUIRE(tier == QUIRE_NO_TIER || tier < t->node_count);
    REQUIRE(down.n == QUIRE_NO_NODE ||
            (tier != QUIRE_NO_TIER && quire_topology_tier(t, down) > tier && seen >> down.n & 1));
}

/* Byte by byte: whatever is changed shows. */
static bool same(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct quire_topology)) == 0;
}

static void check_topology(const struct quire_topology *t)
{
    static struct quire_topology copy;

    copy = *t;
    REQUIRE(quire_topology_check(&copy, NULL) == QUIRE_OK);
    REQUIRE(same(&copy, t));
    for (uint32_t n = 0; n < t->node_count; n++)
        check_node(t, quire_node_of(n));
}

static void put_sum(uint8_t *table, size_t size)
{
    uint8_t sum = 0;

    table[9] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + table[i]);
    table[9] = (uint8_t)-sum;
}

/* Read a table from memory of its exact size. Where the next one begins. */
static size_t read_table(struct quire_topology *t, const uint8_t *data, size_t size)
{
    static struct quire_topology before;
    struct quire_fault fault = {0};
    uint32_t length = 0;
    uint8_t *table;

    if (size >= 8)
        memcpy(&length, data + 4, sizeof(length));
    if (length < QUIRE_ACPI_HEADER || length > size)
        length = (uint32_t)size;
    table = malloc(length ? length : 1);
    if (!table)
        return size;
    memcpy(table, data, length);
    if (length >= QUIRE_ACPI_HEADER)
        put_sum(table, length);
    before = *t;
    if (quire_acpi_read(t, table, length, &fault) != QUIRE_OK) {
        REQUIRE(fault.what != NULL);
        REQUIRE(same(&before, t));
    } else {
        REQUIRE((fault.what != NULL) == (t->passed_over > before.passed_over));
        REQUIRE(!t->strict || !fault.what);
    }
    REQUIRE(!fault.what || fault.found != fault.expected);
    free(table);
    return length;
}

static void try_acpi(const uint8_t *data, size_t size, bool strict)
{
    static struct quire_topology t;

    quire_topology_init(&t);
    t.strict = strict;
    for (size_t at = 0; at < size;)
        at += read_table(&t, data + at, size - at);
    if (quire_topology_check(&t, NULL) == QUIRE_OK)
        check_topology(&t);
}

static void try_map(const uint8_t *data, size_t size)
{
    struct map_error error = {""};
    struct map map;

    if (map_parse(&map, "fuzz", (const char *)data, size, 0, &error)) {
        REQUIRE(map.regions == NULL);
        check_line(&error);
    }
    map_free(&map);
}

/* hwloc's part is a process for each input, which is slow: one of sixteen must do. */
static bool too_slow(const uint8_t *data, size_t size)
{
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return size > 0 && data[0] == '<' && sum % 16 != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct topo topo;
    struct map_error error = {""};

    try_acpi(data, size, false);
    try_acpi(data, size, true);
    if (size > 0 && data[0] == 0xd0)
        try_map(data, size);
    if (too_slow(data, size))
        return 0;
    if (topo_parse(&topo, "fuzz", data, size, size % 2 ? TOPO_STRICT : 0, &error))
        check_line(&error);
    else
        check_topology(&topo.topology);
    check_note(&topo);
    return 0;
}
