/* SPDX-License-Identifier: MIT
 *
 * tables.c - ACPI tables for tests (see tables.h). Layouts are those of the ACPI specification,
 * version 6.5.
 */
#include "tables.h"

#include "stress/common/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void table_load(struct table *table, const char *name)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), DATA "/acpi/%s", name);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    table->bytes = fread(table->data, 1, TABLE_BYTES, file);
    fclose(file);
    assert_true(table->bytes >= QUIRE_ACPI_HEADER && table->bytes < TABLE_BYTES);
}

void table_set(struct table *table, size_t at, unsigned width, uint64_t value)
{
    assert_true(at + width <= table->bytes);
    for (unsigned i = 0; i < width; i++)
        table->data[at + i] = (uint8_t)(value >> 8 * i);
}

void table_put(struct table *table, unsigned width, uint64_t value)
{
    assert_true(table->bytes + width <= TABLE_BYTES);
    table->bytes += width;
    table_set(table, table->bytes - width, width, value);
}

void table_begin(struct table *table, const char *signature, unsigned revision, size_t more)
{
    assert_true(QUIRE_ACPI_HEADER + more <= TABLE_BYTES);
    memset(table->data, 0, QUIRE_ACPI_HEADER + more);
    memcpy(table->data, signature, 4);
    table->data[8] = (uint8_t)revision;
    table->bytes = QUIRE_ACPI_HEADER + more;
}

void table_sum(struct table *table)
{
    uint32_t length;
    uint8_t sum = 0;

    memcpy(&length, table->data + 4, sizeof(length));
    table->data[9] = 0;
    for (size_t i = 0; i < length && i < table->bytes; i++)
        sum = (uint8_t)(sum + table->data[i]);
    table->data[9] = (uint8_t)-sum;
}

void table_end(struct table *table)
{
    table_set(table, 4, 4, table->bytes);
    table_sum(table);
}

/* An entry of `bytes` zeros but for its type and length. Where it begins. */
static size_t entry(struct table *table, unsigned type, unsigned bytes)
{
    size_t at = table->bytes;

    table_put(table, 1, type);
    table_put(table, 1, bytes);
    for (unsigned i = 2; i < bytes; i++)
        table_put(table, 1, 0);
    return at;
}

void madt_apic(struct table *table, unsigned id, unsigned flags)
{
    size_t at = entry(table, 0, 8);

    table_set(table, at + 3, 1, id);
    table_set(table, at + 4, 4, flags);
}

void madt_x2apic(struct table *table, uint32_t id, unsigned flags)
{
    size_t at = entry(table, 9, 16);

    table_set(table, at + 4, 4, id);
    table_set(table, at + 8, 4, flags);
}

void madt_gicc(struct table *table, uint32_t uid, unsigned flags)
{
    size_t at = entry(table, 11, 80);

    table_set(table, at + 4, 4, 0xdead); /* the interface's number, which nobody wants */
    table_set(table, at + 8, 4, uid);
    table_set(table, at + 12, 4, flags);
}

void madt_rintc(struct table *table, uint32_t uid, unsigned flags)
{
    size_t at = entry(table, 24, 36);

    table_set(table, at + 2, 1, 1);
    table_set(table, at + 4, 4, flags);
    table_set(table, at + 8, 8, 0xdeadbeefdead); /* the hart's number, which nobody wants */
    table_set(table, at + 16, 4, uid);
}

void srat_rintc(struct table *table, uint32_t domain, uint32_t uid, unsigned flags)
{
    size_t at = entry(table, 7, 20);

    table_set(table, at + 4, 4, domain);
    table_set(table, at + 8, 4, uid);
    table_set(table, at + 12, 4, flags);
}

void srat_apic(struct table *table, uint32_t domain, unsigned id, unsigned flags)
{
    size_t at = entry(table, 0, 16);

    table_set(table, at + 2, 1, domain);
    table_set(table, at + 3, 1, id);
    table_set(table, at + 4, 4, flags);
    table_set(table, at + 9, 3, domain >> 8);
}

void srat_memory(struct table *table, uint32_t domain, uint64_t phys, uint64_t bytes,
                 unsigned flags)
{
    size_t at = entry(table, 1, 40);

    table_set(table, at + 2, 4, domain);
    table_set(table, at + 8, 8, phys);
    table_set(table, at + 16, 8, bytes);
    table_set(table, at + 28, 4, flags);
}

void srat_x2apic(struct table *table, uint32_t domain, uint32_t id, unsigned flags)
{
    size_t at = entry(table, 2, 24);

    table_set(table, at + 4, 4, domain);
    table_set(table, at + 8, 4, id);
    table_set(table, at + 12, 4, flags);
}

void srat_gicc(struct table *table, uint32_t domain, uint32_t uid, unsigned flags)
{
    size_t at = entry(table, 3, 18);

    table_set(table, at + 2, 4, domain);
    table_set(table, at + 6, 4, uid);
    table_set(table, at + 10, 4, flags);
}

void hmat_speeds(struct table *table, unsigned flags, unsigned type, uint64_t base,
                 unsigned initiators, unsigned targets, const unsigned entries[])
{
    unsigned lists = initiators + targets;

    table_put(table, 4, 1);
    table_put(table, 4, 32 + 4 * lists + 2 * initiators * targets);
    table_put(table, 1, flags);
    table_put(table, 1, type);
    table_put(table, 2, 0);
    table_put(table, 4, initiators);
    table_put(table, 4, targets);
    table_put(table, 4, 0);
    table_put(table, 8, base);
    for (unsigned i = 0; i < lists + initiators * targets; i++)
        table_put(table, i < lists ? 4 : 2, entries[i]);
}

void table_read(struct quire_topology *topology, const struct table *table)
{
    struct quire_fault fault = {0};

    fault.what = "what an earlier table left";
    if (quire_acpi_read(topology, table->data, table->bytes, &fault))
        fail_msg("refused: %s at %llu: %llu, expected %llu", fault.what,
                 (unsigned long long)fault.where, (unsigned long long)fault.found,
                 (unsigned long long)fault.expected);
    assert_null(fault.what);
}

void table_passed_over(struct quire_topology *topology, const struct table *table, const char *what,
                       uint64_t where, uint32_t times)
{
    struct quire_topology *strict = malloc(sizeof(*strict));
    struct quire_fault fault = {0};
    uint32_t before = topology->passed_over;

    assert_non_null(strict);
    *strict = *topology;
    strict->strict = true;
    assert_int_equal(quire_acpi_read(topology, table->data, table->bytes, NULL), QUIRE_OK);
    *topology = *strict;
    topology->strict = false;
    assert_int_equal(quire_acpi_read(topology, table->data, table->bytes, &fault), QUIRE_OK);
    if (!fault.what || !strstr(fault.what, what) || fault.where != where)
        fail_msg("wanted \"%s\" at %llu, got \"%s\" at %llu", what, (unsigned long long)where,
                 fault.what ? fault.what : "nothing", (unsigned long long)fault.where);
    assert_int_not_equal(fault.found, fault.expected);
    assert_int_equal(topology->passed_over, before + times);
    int error = quire_acpi_read(strict, table->data, table->bytes, NULL);
    assert_int_not_equal(error, QUIRE_OK);
    table_refused(strict, table, table->bytes, error, what, where);
    free(strict);
}

void table_refused(struct quire_topology *topology, const struct table *table, size_t bytes,
                   int error, const char *what, uint64_t where)
{
    struct quire_topology *before = malloc(sizeof(*before));
    struct quire_fault fault = {0};
    /* A copy of exactly these bytes, so that a byte read behind them is noticed. */
    uint8_t *exact = malloc(bytes ? bytes : 1);

    assert_non_null(before);
    assert_non_null(exact);
    memcpy(before, topology, sizeof(*before));
    memcpy(exact, table->data, bytes);
    assert_int_equal(quire_acpi_read(topology, exact, bytes, &fault), error);
    if (!fault.what || !strstr(fault.what, what) || fault.where != where)
        fail_msg("wanted \"%s\" at %llu, got \"%s\" at %llu", what, (unsigned long long)where,
                 fault.what ? fault.what : "nothing", (unsigned long long)fault.where);
    assert_int_not_equal(fault.found, fault.expected);
    assert_memory_equal(topology, before, sizeof(*before));
    assert_int_equal(quire_acpi_read(topology, exact, bytes, NULL), error);
    assert_memory_equal(topology, before, sizeof(*before));
    free(before);
    free(exact);
}
