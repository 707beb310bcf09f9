/* SPDX-License-Identifier: MIT
 *
 * test_find.c - from the root pointer to a table, in a piece of memory that stands for the
 * physical one; and what is said when a step of that is wrong.
 */
#include "stress/common/assert.h"

#include "tables.h"

#include <string.h>

enum { BASE = 0x1000, BYTES = 0x4000, RSDP = 0x1100, RSDT = 0x1200, XSDT = 0x1300 };
enum { APIC = 0x2000, OLD = 0x3000, SRAT = 0x4000 };

static uint8_t memory[BYTES];
static struct table table;

static const void *map(void *ctx, uint64_t phys, size_t bytes)
{
    assert_ptr_equal(ctx, memory);
    if (phys < BASE || bytes > BYTES || phys - BASE > BYTES - bytes)
        return NULL;
    return memory + (phys - BASE);
}

static uint8_t *at(unsigned phys)
{
    return memory + (phys - BASE);
}

static void put(unsigned phys, const struct table *from)
{
    memcpy(at(phys), from->data, from->bytes);
}

static void sum(unsigned phys, unsigned bytes, unsigned where)
{
    uint8_t total = 0;

    at(phys)[where] = 0;
    for (unsigned i = 0; i < bytes; i++)
        total = (uint8_t)(total + at(phys)[i]);
    at(phys)[where] = (uint8_t)-total;
}

static void number(unsigned phys, unsigned width, uint64_t value)
{
    memcpy(at(phys), &value, width);
}

/* The new root names APIC and SRAT, the old one has another SRAT alone. */
static void build(unsigned revision)
{
    memset(memory, 0, sizeof(memory));
    table_load(&table, "plain4-APIC.dat");
    put(APIC, &table);
    table_load(&table, "plain4-SRAT.dat");
    put(OLD, &table);
    table_load(&table, "asym-SRAT.dat");
    put(SRAT, &table);
    table_begin(&table, "RSDT", 1, 0);
    table_put(&table, 4, OLD);
    table_end(&table);
    put(RSDT, &table);
    table_begin(&table, "XSDT", 1, 0);
    table_put(&table, 8, APIC);
    table_put(&table, 8, 0);
    table_put(&table, 8, SRAT);
    table_put(&table, 1, 0xff); /* less than an entry */
    table_end(&table);
    put(XSDT, &table);
    memcpy(at(RSDP), "RSD PTR ", 8);
    at(RSDP)[15] = (uint8_t)revision;
    number(RSDP + 16, 4, RSDT);
    number(RSDP + 20, 4, 36);
    number(RSDP + 24, 8, XSDT);
    sum(RSDP, 20, 8);
    sum(RSDP, 36, 32);
}

static void expect(const char *signature, unsigned phys)
{
    struct quire_fault fault = {0};
    const void *found = NULL;
    size_t length = 0;

    assert_int_equal(quire_acpi_find(RSDP, signature, map, memory, &found, &length, &fault), 0);
    assert_ptr_equal(found, at(phys));
    assert_memory_equal(found, signature, 4);
    assert_int_equal(length, phys == APIC ? 176 : 416);
}

static void refused(uint64_t rsdp, int error, const char *what, uint64_t where)
{
    struct quire_fault fault = {0};
    const void *found = memory;
    size_t length = 7;

    assert_int_equal(quire_acpi_find(rsdp, "SRAT", map, memory, &found, &length, &fault), error);
    assert_string_equal(fault.what, what);
    assert_int_equal(fault.where, where);
    assert_ptr_equal(found, memory);
    assert_int_equal(length, 7);
    assert_int_equal(quire_acpi_find(rsdp, "SRAT", map, memory, &found, &length, NULL), error);
}

static void finds(void **state)
{
    (void)state;
    build(2);
    expect("APIC", APIC);
    expect("SRAT", SRAT);
    build(0);
    expect("SRAT", OLD);
    build(2);
    number(RSDP + 24, 8, 0);
    sum(RSDP, 36, 32);
    expect("SRAT", OLD);
}

static void root_pointer(void **state)
{
    (void)state;
    build(2);
    refused(UINT64_MAX - 4, QUIRE_ERR_NO_MEMORY, "a table lies where nothing can be read",
            UINT64_MAX - 4);
    refused(RSDP + 1, QUIRE_ERR_UNSUPPORTED, "there is no root pointer", RSDP + 1);
    refused(BASE + BYTES - 19, QUIRE_ERR_NO_MEMORY, "a table lies where nothing can be read",
            BASE + BYTES - 19);
    at(RSDP)[9]++;
    refused(RSDP, QUIRE_ERR_FRAME, "the root pointer's checksum is wrong", RSDP);
    build(2);
    at(RSDP)[33]++;
    refused(RSDP, QUIRE_ERR_FRAME, "the root pointer's checksum is wrong", RSDP);
    build(2);
    number(RSDP + 20, 4, 35);
    refused(RSDP, QUIRE_ERR_SIZE, "the root pointer's length is wrong", RSDP);
    number(RSDP + 20, 4, UINT32_MAX);
    refused(RSDP, QUIRE_ERR_SIZE, "the root pointer's length is wrong", RSDP);
}

static void tables(void **state)
{
    (void)state;
    build(2);
    at(XSDT)[9]++;
    refused(RSDP, QUIRE_ERR_FRAME, "the checksum is wrong", XSDT);
    build(2);
    number(XSDT, 4, 0x54445352); /* "RSDT" */
    sum(XSDT, 61, 9);
    refused(RSDP, QUIRE_ERR_UNSUPPORTED, "the root table is not one", XSDT);
    build(2);
    number(XSDT + 4, 4, 3);
    refused(RSDP, QUIRE_ERR_SIZE, "the table's length is less than its header", XSDT);
    number(XSDT + 4, 4, 0x10000);
    refused(RSDP, QUIRE_ERR_NO_MEMORY, "a table lies where nothing can be read", XSDT);
    build(2);
    at(SRAT)[60]++;
    refused(RSDP, QUIRE_ERR_FRAME, "the checksum is wrong", SRAT);
    build(2);
    at(SRAT)[0] = 's';
    refused(RSDP, QUIRE_ERR_FRAME, "there is no such table", XSDT);
    build(2);
    number(XSDT + 36, 8, (uint64_t)1 << 40);
    sum(XSDT, 61, 9);
    refused(RSDP, QUIRE_ERR_NO_MEMORY, "a table lies where nothing can be read", (uint64_t)1 << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(root_pointer),
        cmocka_unit_test(tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
