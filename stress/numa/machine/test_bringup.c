/* SPDX-License-Identifier: MIT
 *
 * test_bringup.c - from a boot map to a machine by one call: with nodes and without, with memory
 * out of the zones; what it refuses, and says why.
 */
#include "stress/common/assert.h"

#include <quire/bringup.h>

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, NODE_BYTES = 64 * MIB, NODES = 2, CPUS = 2, MEMORY = NODES * NODE_BYTES };

/* Physical memory from address 0 on. */
static unsigned char *memory;
static struct quire_topology topology;
static struct quire_boot boot;
static struct quire_boot_entry entries[64];
static uint32_t cpu_now;
static int maps_left;

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)node;
    assert_ptr_equal(ctx, memory);
    assert_true(phys + bytes <= MEMORY);
    return maps_left-- > 0 ? memory + phys : NULL;
}

static uint32_t tell_cpu(void *ctx)
{
    const struct quire_bringup *bringup = ctx;

    return *(const uint32_t *)bringup->user;
}

static struct quire_bringup begin(uint32_t nodes)
{
    struct quire_bringup b = {.boot = &boot,
                              .topology = &topology,
                              .map = map,
                              .map_ctx = memory,
                              .mode = QUIRE_CACHE_EXCHANGE,
                              .port = {.cpu = tell_cpu},
                              .user = &cpu_now};
    quire_node node;

    memset(memory, 0xa5, MEMORY);
    maps_left = 1000;
    cpu_now = 0;
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    assert_ok(quire_boot_add(&boot, 5 * MIB, MIB, QUIRE_BOOT_FIRMWARE, QUIRE_NODE_ANY));
    quire_topology_init(&topology);
    for (uint32_t n = 0; n < nodes; n++) {
        assert_ok(quire_topology_add_node(&topology, 7 + n, &node));
        for (uint32_t cpu = 0; cpu < CPUS; cpu++)
            assert_ok(quire_topology_add_cpu(&topology, n * CPUS + cpu, node));
        assert_ok(quire_topology_add_memory(&topology, (uint64_t)n * NODE_BYTES, NODE_BYTES, node,
                                            QUIRE_MEMORY_ORDINARY));
    }
    return b;
}

/* Frames that the zones have free. */
static uint64_t free_frames(const struct quire_bringup *b)
{
    uint64_t n = 0;

    for (size_t i = 0; i < b->plan.zone_count; i++)
        n += quire_zone_free_frames(&b->zones[i]);
    return n;
}

static void up_and_down(void **unused)
{
    static quire_pfn pfns[MEMORY / QUIRE_FRAME_SIZE];

    (void)unused;
    for (uint32_t nodes = 0; nodes <= NODES; nodes += NODES) {
        struct quire_bringup b = begin(nodes);
        uint64_t managed = 0, free_before;
        size_t n = 0;

        b.layout.no_dma = true;
        assert_ok(quire_bringup(&b));
        assert_null(b.fault.what);
        assert_int_equal(b.plan.zone_count, nodes ? NODES : 1);
        assert_int_equal(topology.node_count, nodes ? NODES : 1);
        assert_int_equal(b.plan.zones[0].config.slots, nodes ? NODES * CPUS : 1);
        for (size_t i = 0; i < b.plan.zone_count; i++)
            managed += quire_zone_managed(&b.zones[i]);
        free_before = free_frames(&b);
        for (cpu_now = 0; cpu_now < (nodes ? NODES * CPUS : 1); cpu_now++) {
            const struct quire_request zeroed = {0};
            struct quire_zone *zone;
            quire_node node;

            assert_ok(quire_machine_request(b.machine, &zeroed, &pfns[0], NULL));
            assert_ok(quire_machine_find(b.machine, pfns[0], &node, &zone));
            assert_int_equal(node.n, topology.cpu_node[cpu_now]);
            assert_ok(quire_machine_free(b.machine, pfns[0], 0));
        }
        cpu_now = 0;
        while (quire_machine_alloc(b.machine, 0, 0, &pfns[n]) == QUIRE_OK) {
            memset(memory + quire_phys(pfns[n]), 0, QUIRE_FRAME_SIZE);
            n++;
        }
        assert_int_equal(n, free_before);
        while (n > 0)
            assert_ok(quire_machine_free(b.machine, pfns[--n], 0));
        quire_machine_fini(b.machine);
        assert_true(free_frames(&b) < managed); /* what the machine's structure lies in */
        for (size_t i = 0; i < b.plan.zone_count; i++)
            assert_ok(quire_zone_check(&b.zones[i], NULL));
    }
}

static void own_data(void **unused)
{
    struct quire_bringup b = begin(NODES);
    uint64_t before;

    (void)unused;
    assert_ok(quire_bringup(&b));
    before = free_frames(&b);
    for (size_t bytes = 1; bytes <= 5 * QUIRE_FRAME_SIZE; bytes += 2040) {
        unsigned char *data = quire_bringup_take(&b, bytes, quire_node_of(1));

        assert_non_null(data);
        assert_int_equal((uintptr_t)(data - memory) % QUIRE_FRAME_SIZE, 0);
        assert_true(data - memory >= NODE_BYTES);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(data[i], 0);
        memset(data, 0xff, bytes);
        quire_bringup_give_back(&b, data, bytes);
        assert_int_equal(free_frames(&b), before);
    }
    assert_null(quire_bringup_take(&b, MEMORY, quire_node_of(0)));
}

/* Each step may fail, and is started over. */
static void refused(void **unused)
{
    int maps = 0, error;

    (void)unused;
    do {
        struct quire_bringup b = begin(NODES);

        maps_left = maps++;
        error = quire_bringup(&b);
        if (error)
            assert_int_equal(error, QUIRE_ERR_NO_MEMORY);
    } while (error);
    assert_true(maps > 5);
    struct quire_bringup b = begin(NODES);
    topology.cpu_id[1] = topology.cpu_id[0];
    assert_error(quire_bringup(&b), QUIRE_ERR_BUSY);
    assert_string_equal(b.fault.what, "two CPUs have one id");
    b = begin(NODES);
    b.layout.zone.slots = QUIRE_ZONE_MAX_SLOTS + 1;
    assert_error(quire_bringup(&b), QUIRE_ERR_SIZE);
    assert_int_equal(b.fault.found, QUIRE_ZONE_MAX_SLOTS + 1);
    b = begin(0);
    assert_ok(quire_boot_init(&boot, entries, 64, 0));
    assert_error(quire_bringup(&b), QUIRE_ERR_NO_MEMORY);
    assert_string_equal(b.fault.what, "no node has memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(up_and_down), cmocka_unit_test(own_data),
                                       cmocka_unit_test(refused)};
    int failed;

    memory = aligned_alloc(QUIRE_METADATA_ALIGN, MEMORY);
    failed = memory ? cmocka_run_group_tests_name("bringup", tests, NULL, NULL) : 1;
    free(memory);
    return failed;
}
