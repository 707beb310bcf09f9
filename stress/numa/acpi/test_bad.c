/* SPDX-License-Identifier: MIT
 *
 * test_bad.c - tables that lie: every one is refused with a phrase and a place, and leaves the
 * topology as it was, byte by byte. Each is read from memory of its exact size, so that an
 * AddressSanitizer sees a read behind its end.
 */
#include "stress/common/assert.h"

#include "stress/common/sizes.h"
#include "tables.h"

#include <stdlib.h>
#include <string.h>

static struct quire_topology t;
static struct table table;

static const char *const files[] = {"hmat-APIC.dat", "asym-SRAT.dat", "asym-SLIT.dat",
                                    "hmat-HMAT.dat"};

/* A topology in use: two nodes, a CPU that is placed and two that are not. */
static void start(void)
{
    quire_node node;

    quire_topology_init(&t);
    t.strict = true;
    assert_int_equal(quire_topology_add_node(&t, 0, &node), QUIRE_OK);
    assert_int_equal(quire_topology_add_cpu(&t, 0, node), QUIRE_OK);
    assert_int_equal(quire_topology_add_memory(&t, 0, 4096, node, 0), QUIRE_OK);
    assert_int_equal(quire_topology_add_node(&t, 1, &node), QUIRE_OK);
    assert_int_equal(quire_topology_add_cpu(&t, 1, quire_node_of(QUIRE_NO_NODE)), QUIRE_OK);
    assert_int_equal(quire_topology_add_cpu(&t, 2, quire_node_of(QUIRE_NO_NODE)), QUIRE_OK);
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        start();
        table_load(&table, files[i]);
        for (size_t bytes = 0; bytes < table.bytes; bytes++) {
            bool header = bytes >= QUIRE_ACPI_HEADER;
            table_refused(&t, &table, bytes, QUIRE_ERR_SIZE,
                          header ? "cut off" : "shorter than a table's header", header ? 4 : bytes);
        }
    }
}

/* The same with a length and checksum that agree: whatever is refused changes nothing. */
static void short_anywhere(void **state)
{
    struct quire_topology *before = malloc(sizeof(*before));

    (void)state;
    assert_non_null(before);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        unsigned refusals = 0;

        table_load(&table, files[i]);
        while (table.bytes > QUIRE_ACPI_HEADER) {
            uint8_t *exact = malloc(--table.bytes);
            struct quire_fault fault;

            assert_non_null(exact);
            table_end(&table);
            memcpy(exact, table.data, table.bytes);
            start();
            *before = t;
            if (quire_acpi_read(&t, exact, table.bytes, &fault)) {
                assert_memory_equal(&t, before, sizeof(t));
                refusals++;
            }
            free(exact);
        }
        assert_true(refusals > 20);
    }
    free(before);
}

static void any_byte_changed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        start();
        table_load(&table, files[i]);
        for (size_t at = 8; at < table.bytes; at++) {
            table.data[at] ^= 0x10;
            table_refused(&t, &table, table.bytes, QUIRE_ERR_FRAME, "checksum", 9);
            table.data[at] ^= 0x10;
        }
    }
}

static void headers(void **state)
{
    (void)state;
    start();
    table_load(&table, "hmat-APIC.dat");
    table_set(&table, 4, 4, 35);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "less than its header", 4);
    table_set(&table, 4, 4, UINT32_MAX);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "cut off", 4);
    table_begin(&table, "FACP", 1, 100);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_UNSUPPORTED, "not an APIC", 0);
    table_begin(&table, "SRAT", 0, 12);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_UNSUPPORTED, "revision", 8);
    table_begin(&table, "HMAT", 3, 4);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_UNSUPPORTED, "revision", 8);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const kinds[] = {"APIC", "SRAT", "SLIT", "HMAT"};
        static const unsigned least[] = {8, 12, 8, 4};

        table_begin(&table, kinds[i], 1, least[i] - 1);
        table_end(&table);
        table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "too short for its kind", 4);
    }
}

/* Whatever stands before the bad entry is taken back. */
static void srat_with(unsigned type, unsigned size, unsigned zeros)
{
    start();
    table_begin(&table, "SRAT", 3, 12);
    srat_apic(&table, 7, 1, 1); /* a new node for a CPU that had none */
    srat_memory(&table, 8, GIB, GIB, 1);
    table_put(&table, 1, type);
    if (zeros) {
        table_put(&table, 1, size);
        for (unsigned i = 2; i < zeros; i++)
            table_put(&table, 1, 0);
    }
    table_end(&table);
}

static void entries(void **state)
{
    static const uint8_t sizes[] = {16, 40, 24, 18, 20};

    (void)state;
    srat_with(0, 0, 40);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "own header", 104);
    srat_with(99, 0, 40);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "own header", 104);
    srat_with(99, 1, 40);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "own header", 104);
    srat_with(99, 41, 40);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "longer than what is left", 104);
    srat_with(99, 0, 0);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "an entry is cut off", 104);
    for (unsigned i = 0; i < sizeof(sizes); i++) {
        unsigned type = i == 4 ? 7 : i;

        srat_with(type, sizes[i] - 1u, sizes[i] - 1u);
        table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "shorter than its type", 104);
    }
    for (unsigned i = 0; i < 4; i++) {
        static const uint8_t types[] = {0, 9, 11, 24}, least[] = {8, 16, 40, 20};

        start();
        table_begin(&table, "APIC", 5, 8);
        madt_apic(&table, 50, 1);
        table_put(&table, 1, types[i]);
        table_put(&table, 1, least[i] - 1u);
        for (unsigned k = 2; k < least[i] - 1u; k++)
            table_put(&table, 1, 0);
        table_end(&table);
        table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "shorter than its type", 52);
    }
}

static void one_cpu_in_two_domains(void **state)
{
    (void)state;
    start();
    table_begin(&table, "SRAT", 3, 12);
    srat_apic(&table, 7, 1, 1);
    srat_x2apic(&table, 8, 2, 1);
    srat_x2apic(&table, 7, 1, 1); /* told twice alike */
    srat_x2apic(&table, 8, 1, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_BUSY, "two domains", 112);
}

static void too_many(void **state)
{
    (void)state;
    start();
    table_begin(&table, "SRAT", 3, 12);
    for (uint32_t i = 0; i < 63; i++)
        srat_memory(&table, 100 + i, GIB * (i + 1), GIB, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_FULL, "too many proximity domains",
                  48 + 62 * 40);
    start();
    table_begin(&table, "SRAT", 3, 12);
    for (uint32_t i = 0; i < QUIRE_TOPOLOGY_RANGES; i++)
        srat_memory(&table, 7, GIB * (i + 1), GIB, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_FULL, "too many stretches", 48 + 511 * 40);
    start();
    table_begin(&table, "APIC", 3, 8);
    for (uint32_t i = 0; i < QUIRE_CPUS; i++)
        madt_x2apic(&table, 100 + i, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_FULL, "too many CPUs", 44 + 4092 * 16);
    start();
    table_begin(&table, "SRAT", 3, 12);
    srat_memory(&table, 7, (uint64_t)1 << 52, GIB, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "2^52", 48);
    table_set(&table, 56, 8, 4096); /* 4096 bytes are the first domain's */
    table_set(&table, 64, 8, UINT64_MAX);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "2^52", 48);
    table_set(&table, 56, 8, 0);
    table_set(&table, 64, 8, 1);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_BUSY, "memory is in two domains", 48);
}

static void slit(uint64_t count, unsigned bytes)
{
    start();
    table_begin(&table, "SLIT", 1, 8);
    table_set(&table, 36, 8, count);
    for (unsigned i = 0; i < bytes; i++)
        table_put(&table, 1, i % 3 ? 20 : 10);
    table_end(&table);
}

static void distances(void **state)
{
    (void)state;
    slit(2, 5);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "localities", 36);
    slit(2, 3);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "localities", 36);
    slit((uint64_t)1 << 32, 0);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "localities", 36);
    slit(UINT64_MAX, 4);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "localities", 36);
    slit(2, 4);
    table_set(&table, 47, 1, 20);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "itself is not 10", 47);
    slit(2, 4);
    table_set(&table, 46, 1, 9);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "nearer than 11", 46);
}

static void speeds(void **state)
{
    static const unsigned one[] = {0, 1, 40000};

    (void)state;
    for (unsigned type = 0; type < 3; type++) {
        static const unsigned least[] = {40, 32, 32};

        start();
        table_begin(&table, "HMAT", 2, 4);
        hmat_speeds(&table, 0, 1, 1000, 1, 1, one);
        table_put(&table, 4, type);
        table_put(&table, 4, least[type] - 4);
        for (unsigned i = 8; i < least[type] - 4; i++)
            table_put(&table, 1, 0);
        table_end(&table);
        table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "shorter than its type", 82);
    }
    for (unsigned field = 12; field <= 16; field += 4) {
        static const uint32_t counts[] = {2, 1 << 16, (uint32_t)1 << 31, UINT32_MAX};

        for (unsigned i = 0; i < 4; i++) {
            start();
            table_begin(&table, "HMAT", 2, 4);
            hmat_speeds(&table, 0, 1, 1000, 1, 1, one);
            table_set(&table, 40 + field, 4, counts[i]);
            table_end(&table);
            table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "than its lists", 40);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        start();
        table_begin(&table, "HMAT", 2, 4);
        hmat_speeds(&table, 0, i ? 4 : 1, i ? 1 << 20 : UINT64_MAX, 1, 1, one);
        table_end(&table);
        table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "does not fit 32 bits", 40);
    }
    start();
    table_begin(&table, "HMAT", 2, 4);
    table_put(&table, 8, (uint64_t)7 << 32 | 9);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "own header", 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),     cmocka_unit_test(short_anywhere),
        cmocka_unit_test(any_byte_changed), cmocka_unit_test(headers),
        cmocka_unit_test(entries),          cmocka_unit_test(one_cpu_in_two_domains),
        cmocka_unit_test(too_many),         cmocka_unit_test(distances),
        cmocka_unit_test(speeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
