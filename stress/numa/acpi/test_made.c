/* SPDX-License-Identifier: MIT
 *
 * test_made.c - what no table at hand has: x2APIC and GICC entries, domains beyond 255, CPUs
 * that are not there, windows for hot-plug, lists of HMAT that are not square, its revision 1.
 */
#include "stress/common/assert.h"

#include "stress/common/sizes.h"
#include "tables.h"

static struct quire_topology t;
static struct table table;

static void expect_cpu(uint32_t cpu, uint32_t id, uint32_t node)
{
    assert_true(cpu < t.cpu_count);
    assert_int_equal(t.cpu_id[cpu], id);
    assert_int_equal(t.cpu_node[cpu], node);
}

static void madt_says_who_is_there(void **state)
{
    (void)state;
    quire_topology_init(&t);
    table_begin(&table, "APIC", 5, 8);
    madt_apic(&table, 4, 1);
    madt_apic(&table, 5, 0);
    madt_apic(&table, 6, 2);    /* may be plugged in later */
    madt_apic(&table, 0xff, 1); /* nobody's number */
    madt_x2apic(&table, 0x300, 1);
    madt_x2apic(&table, 0x301, 2);
    madt_x2apic(&table, UINT32_MAX, 1);
    madt_x2apic(&table, 0xff, 1); /* but here it is somebody's */
    madt_x2apic(&table, 4, 1);    /* told twice */
    madt_gicc(&table, 9, 1);
    madt_gicc(&table, 10, 8);
    table_put(&table, 4, 0x04c0); /* of a type that nobody knows, with two bytes more */
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.cpu_count, 4);
    expect_cpu(0, 4, QUIRE_NO_NODE);
    expect_cpu(1, 0x300, QUIRE_NO_NODE);
    expect_cpu(2, 0xff, QUIRE_NO_NODE);
    expect_cpu(3, 9, QUIRE_NO_NODE);
    assert_int_equal(t.node_count, 0);
}

static void make_srat(unsigned revision)
{
    table_begin(&table, "SRAT", revision, 12);
    srat_apic(&table, 0x7000003, 4, 1);
    srat_apic(&table, 8, 5, 0);
    srat_x2apic(&table, 300, 0x300, 1);
    srat_x2apic(&table, 9, 0x301, 1);
    srat_gicc(&table, 3, 9, 1);
    srat_gicc(&table, 3, 11, 0);
    table_put(&table, 8, 0x2005); /* a generic initiator: 32 bytes */
    for (unsigned i = 0; i < 3; i++)
        table_put(&table, 8, UINT64_MAX);
    srat_memory(&table, 300, 16 * GIB, GIB, 1);
    srat_memory(&table, 0x104, 32 * GIB, GIB, 1 | 2);
    srat_memory(&table, 5, 48 * GIB, GIB, 1 | 2 | 4);
    srat_memory(&table, 6, 64 * GIB, GIB, 2); /* not enabled */
    srat_memory(&table, 7, 80 * GIB, 0, 1);   /* a domain without memory */
    table_end(&table);
}

static void srat_says_where(void **state)
{
    static const uint32_t ids[] = {0x7000003, 300, 9, 3, 0x104, 5, 7};
    static const enum quire_memory_kind kinds[] = {QUIRE_MEMORY_ORDINARY, QUIRE_MEMORY_HOTPLUG,
                                                   QUIRE_MEMORY_DEVICE};
    static const uint32_t where[] = {1, 4, 5};

    (void)state;
    quire_topology_init(&t);
    make_srat(3);
    table_read(&t, &table);
    assert_int_equal(t.node_count, 7);
    assert_memory_equal(t.node_id, ids, sizeof(ids));
    assert_int_equal(t.cpu_count, 4);
    expect_cpu(0, 4, 0);
    expect_cpu(1, 0x300, 1);
    expect_cpu(2, 0x301, 2);
    expect_cpu(3, 9, 3);
    assert_int_equal(t.range_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(t.ranges[i].kind, kinds[i]);
        assert_int_equal(t.ranges[i].node.n, where[i]);
        assert_int_equal(t.ranges[i].phys, (i + 1) * 16 * GIB);
    }
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    assert_int_equal(quire_topology_with_memory(&t).bits, 2);
}

/* In revision 1 a domain of old entries has one byte. */
static void srat_of_revision_1(void **state)
{
    (void)state;
    quire_topology_init(&t);
    make_srat(1);
    table_read(&t, &table);
    assert_int_equal(t.node_id[0], 3);
    assert_int_equal(t.node_id[3], 300 & 0xff);
    assert_int_equal(t.node_id[4], 4);
    expect_cpu(3, 9, 0);
}

/* SRAT lists more CPUs than there are: where MADT was read, it adds none. */
static void srat_places_what_madt_named(void **state)
{
    (void)state;
    quire_topology_init(&t);
    table_begin(&table, "APIC", 5, 8);
    madt_x2apic(&table, 0x300, 1);
    madt_apic(&table, 77, 1);
    table_end(&table);
    table_read(&t, &table);
    make_srat(3);
    table_read(&t, &table);
    assert_int_equal(t.cpu_count, 2);
    expect_cpu(0, 0x300, 0);
    expect_cpu(1, 77, QUIRE_NO_NODE);
    assert_int_equal(t.node_id[0], 300);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    expect_cpu(1, 77, 0);
}

/* RISC-V: a CPU's number is its ACPI processor's, in both tables. */
static void harts(void **state)
{
    (void)state;
    quire_topology_init(&t);
    table_begin(&table, "APIC", 7, 8);
    madt_rintc(&table, 0, 1);
    madt_rintc(&table, 300, 1);
    madt_rintc(&table, 5, 2); /* may be plugged in later */
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.cpu_count, 2);
    table_begin(&table, "SRAT", 3, 12);
    srat_rintc(&table, 7, 300, 1);
    srat_rintc(&table, 2, 0, 1);
    srat_rintc(&table, 2, 5, 1);
    srat_memory(&table, 7, GIB, GIB, 1);
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.cpu_count, 2);
    expect_cpu(0, 0, 1);
    expect_cpu(1, 300, 0);
    assert_int_equal(t.node_id[0], 7);
    assert_int_equal(t.node_id[1], 2);
}

/* What costs its entry alone: memory of another domain, and memory beyond all addresses. */
static void entries_passed_over(void **state)
{
    (void)state;
    quire_topology_init(&t);
    table_begin(&table, "SRAT", 3, 12);
    srat_x2apic(&table, 0, 1, 1);                      /* at 48 */
    srat_memory(&table, 0, GIB, 2 * GIB, 1);           /* 72 */
    srat_memory(&table, 1, 2 * GIB, 2 * GIB, 1);       /* 112: domain 0 has the first of it */
    srat_memory(&table, 1, 2 * GIB, GIB, 1 | 2);       /* 152: but a window may lie there */
    srat_memory(&table, 2, 2 * GIB, GIB, 1 | 2);       /* 192: and not two */
    srat_memory(&table, 0, GIB, GIB, 1);               /* 232: one domain may say it twice */
    srat_memory(&table, 3, (uint64_t)1 << 52, GIB, 3); /* 272 */
    srat_memory(&table, 3, GIB, UINT64_MAX, 1);        /* 312 */
    srat_memory(&table, 3, 8 * GIB, GIB, 1);           /* 352 */
    table_end(&table);
    table_passed_over(&t, &table, "memory is in two domains", 112, 4);
    assert_int_equal(t.range_count, 4);
    assert_int_equal(t.node_count, 3); /* of domain 2 there is nothing */
    assert_int_equal(t.node_id[2], 3);
    assert_int_equal(t.ranges[1].kind, QUIRE_MEMORY_HOTPLUG);
    assert_int_equal(t.ranges[3].phys, 8 * GIB);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
    /* The first one told is the first one there; an error behind it takes all back. */
    quire_topology_init(&t);
    table_begin(&table, "SRAT", 3, 12);
    srat_memory(&table, 0, (uint64_t)1 << 52, GIB, 1);
    srat_memory(&table, 0, GIB, GIB, 1);
    table_end(&table);
    table_passed_over(&t, &table, "memory ends beyond 2^52", 48, 1);
    srat_memory(&table, 1, (uint64_t)1 << 52, GIB, 1);
    table_put(&table, 2, 0x0101);
    table_end(&table);
    table_refused(&t, &table, table.bytes, QUIRE_ERR_SIZE, "own header", 168);
    assert_int_equal(t.passed_over, 1);
}

static void nodes(const uint32_t ids[], uint32_t count)
{
    quire_node node;

    quire_topology_init(&t);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(quire_topology_add_node(&t, ids[i], &node), QUIRE_OK);
}

/* SLIT numbers domains, not nodes, and may know more of them or fewer. */
static void slit_by_domain(void **state)
{
    static const uint32_t ids[] = {2, 9, 0};

    (void)state;
    nodes(ids, 3);
    table_begin(&table, "SLIT", 1, 8);
    table_set(&table, 36, 8, 3);
    for (unsigned i = 0; i < 9; i++) {
        static const uint8_t matrix[] = {10, 0, 21, 0, 0, 0, 22, 0, 10};
        table_put(&table, 1, matrix[i]);
    }
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.distance[0][0], 10);
    assert_int_equal(t.distance[0][2], 22);
    assert_int_equal(t.distance[2][0], 21);
    assert_int_equal(t.distance[1][0], 0);
}

/* A SLIT with one wrong number is worth nothing: distances stay as they were. */
static void slit_passed_over(void **state)
{
    static const uint32_t ids[] = {0, 1};
    static const uint8_t matrices[][4] = {
        {10, 10, 10, 10}, {0, 0, 0, 0}, {10, 20, 20, 20}, {20, 20, 20, 10}, {10, 20, 9, 10}};
    static const uint8_t wrong[] = {45, 44, 47, 44, 46};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        bool diagonal = wrong[i] == 44 || wrong[i] == 47;

        nodes(ids, 2);
        table_begin(&table, "SLIT", 1, 8);
        table_set(&table, 36, 8, 2);
        for (unsigned k = 0; k < 4; k++)
            table_put(&table, 1, matrices[i][k]);
        table_end(&table);
        table_passed_over(&t, &table, diagonal ? "itself is not 10" : "nearer than 11", wrong[i],
                          1);
        for (unsigned k = 0; k < 4; k++)
            assert_int_equal(t.distance[k / 2][k % 2], 0);
    }
}

static void hmat_lists(void **state)
{
    static const uint32_t ids[] = {4, 5, 6};
    /* Initiators 6, 4; targets 5, 99, 4. */
    static const unsigned access[] = {6, 4, 5, 99, 4, 30, 1, 20, 50, 1, 0xffff};
    static const unsigned read[] = {4, 5, 7};
    static const unsigned bandwidth[] = {4, 5, 3};

    (void)state;
    nodes(ids, 3);
    table_begin(&table, "HMAT", 2, 4);
    hmat_speeds(&table, 0, 1, 10001, 1, 1, read); /* reads win, though they come first */
    hmat_speeds(&table, 0, 0, 1000, 2, 3, access);
    hmat_speeds(&table, 1, 1, 5000, 1, 1, read); /* of a cache */
    hmat_speeds(&table, 0, 2, 6000, 1, 1, read); /* of writes */
    hmat_speeds(&table, 0, 9, 7000, 1, 1, read);
    hmat_speeds(&table, 0, 3, 100, 1, 1, bandwidth);
    hmat_speeds(&table, 0, 5, 200, 1, 1, bandwidth);
    table_put(&table, 8, (uint64_t)12 << 32 | 77); /* of an unknown type */
    table_put(&table, 4, UINT32_MAX);
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.latency_ns[2][1], 30);
    assert_int_equal(t.latency_ns[2][0], 20);
    assert_int_equal(t.latency_ns[0][1], 71); /* 70.007 ns */
    assert_int_equal(t.latency_ns[0][0], 0);
    assert_int_equal(t.latency_ns[1][0], 0);
    assert_int_equal(t.bandwidth_mbs[0][1], 300);
    assert_int_equal(t.bandwidth_mbs[2][1], 0);
}

static void hmat_of_revision_1(void **state)
{
    static const uint32_t ids[] = {0, 1};
    static const unsigned latency[] = {0, 1, 251}, bandwidth[] = {0, 1, 1000};

    (void)state;
    nodes(ids, 2);
    table_begin(&table, "HMAT", 1, 4);
    hmat_speeds(&table, 0, 1, 10, 1, 1, latency);
    hmat_speeds(&table, 0, 4, 10, 1, 1, bandwidth);
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.latency_ns[0][1], 251);
    assert_int_equal(t.bandwidth_mbs[0][1], 1000);
}

/* As many as there can be. */
static void large_tables(void **state)
{
    (void)state;
    quire_topology_init(&t);
    table_begin(&table, "APIC", 5, 8);
    for (uint32_t i = 0; i < QUIRE_CPUS; i++)
        madt_x2apic(&table, 3 * i, 1);
    table_end(&table);
    table_read(&t, &table);
    table_begin(&table, "SRAT", 3, 12);
    for (uint32_t i = 0; i < QUIRE_CPUS; i++)
        srat_x2apic(&table, i % QUIRE_NODES, 3 * i, 1);
    for (uint32_t i = 0; i < QUIRE_TOPOLOGY_RANGES; i++)
        srat_memory(&table, i % QUIRE_NODES, i * GIB, GIB, 1);
    table_end(&table);
    table_read(&t, &table);
    assert_int_equal(t.node_count, QUIRE_NODES);
    assert_int_equal(t.cpu_count, QUIRE_CPUS);
    assert_int_equal(t.range_count, QUIRE_TOPOLOGY_RANGES);
    expect_cpu(4094, 3 * 4094, 4094 % QUIRE_NODES);
    assert_int_equal(quire_topology_check(&t, NULL), QUIRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(madt_says_who_is_there),
        cmocka_unit_test(srat_says_where),
        cmocka_unit_test(srat_of_revision_1),
        cmocka_unit_test(srat_places_what_madt_named),
        cmocka_unit_test(slit_by_domain),
        cmocka_unit_test(hmat_lists),
        cmocka_unit_test(hmat_of_revision_1),
        cmocka_unit_test(large_tables),
        cmocka_unit_test(harts),
        cmocka_unit_test(entries_passed_over),
        cmocka_unit_test(slit_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
