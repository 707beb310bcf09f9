/* SPDX-License-Identifier: MIT
 *
 * test_bringup.c - from a boot map to a machine by one call: with nodes and without, with memory
 * out of the zones; what it refuses, and says why.
 */
#include "stress/common/assert.h"

#include "numa/machine/machine.h"

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
    maps_left = 10000;
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

/* Metadata at the top of memory is none of the zone's frames, but in its span: a CPU's view and the
 * zone's window are of the frames that the zone has, so that its frames are hits. */
static void metadata_at_the_top(void **unused)
{
    struct quire_bringup b = begin(0);
    const struct quire_boot_request request = {.bytes = MIB, .node = QUIRE_NODE_ANY};
    struct machine_reader r;
    const struct cpu_view *view;
    uint64_t phys;

    (void)unused;
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], 0));
    assert_ok(quire_boot_add(&boot, 0, MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    b.layout.no_dma = true;
    b.layout.zone.slots = QUIRE_ZONE_MAX_SLOTS; /* so that much is needed */
    assert_ok(quire_boot_alloc(&boot, &request, &phys));
    assert_ok(quire_bringup(&b));
    assert_true(b.plan.zones[0].metadata_bytes > MIB); /* so the last block is none of the zone's */
    view = machine_view_of(b.machine, 0);
    assert_ptr_not_equal(view, &qi_no_view);
    assert_true(view->window.blocks > MEMORY / (2 * MIB) - 4);
    qi_machine_enter(b.machine, &r);
    assert_true(r.snapshot->entries[0].zone->window.blocks == view->window.blocks);
    qi_machine_leave(&r);
    quire_machine_fini(b.machine);
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

/* ---- Zones that leave ----------------------------------------------------------------------- */

static struct quire_bringup
    *waiting; /* in its waits for readers it has no memory but DMA; or NULL */
static unsigned waits;
static bool keep; /* what it took in the wait */

static uint32_t no_enter(void *ctx)
{
    (void)ctx;
    return 0;
}

static void no_leave(void *ctx, uint32_t entered)
{
    (void)ctx;
    (void)entered;
}

/* Take all free frames of a zone, or give them back. */
static void take_frames(struct quire_zone *zone, bool take)
{
    static quire_pfn pfns[MEMORY / QUIRE_FRAME_SIZE];
    static size_t n;

    while (take &&
           quire_zone_alloc(zone, quire_slot_of(0), 0, QUIRE_EMERGENCY, &pfns[n]) == QUIRE_OK)
        n++;
    while (!take && n > 0)
        assert_ok(quire_zone_free(zone, quire_slot_of(0), pfns[--n], 0));
}

static void take_in_wait(void *ctx)
{
    struct quire_bringup *b = ctx;

    if (b != waiting)
        return;
    waits++;
    take_frames(&b->zones[1], true);
    assert_null(quire_bringup_take(b, 1, quire_node_of(0)));
    if (!keep)
        take_frames(&b->zones[1], false);
}

static struct quire_bringup begin_dma(void)
{
    struct quire_bringup b = begin(0);

    waiting = NULL;
    waits = 0;
    keep = false;
    b.port.enter = no_enter;
    b.port.leave = no_leave;
    b.port.wait_for_readers = take_in_wait;
    return b;
}

/* Nothing is taken from a zone that leaves or has left; one that is back is asked again. */
static void zone_left(void **unused)
{
    struct quire_bringup b = begin_dma();
    struct quire_machine_zone dma;
    const struct quire_pfnmap_span *spans;
    size_t count = 0;
    void *data;

    (void)unused;
    assert_ok(quire_bringup(&b));
    assert_int_equal(b.plan.zone_count, 2);
    assert_int_equal(b.plan.zones[0].config.type, QUIRE_ZONE_DMA);
    dma = (struct quire_machine_zone){&b.zones[0], quire_node_of(0)};
    spans = b.plan.spans;
    while (count < b.plan.span_count && spans[count].zone == 0)
        count++;
    waiting = &b;
    assert_ok(quire_machine_remove_zone(b.machine, dma.zone));
    assert_int_equal(waits, 2);
    waiting = NULL;
    take_frames(&b.zones[1], true);
    assert_null(quire_bringup_take(&b, 5000, quire_node_of(0)));
    assert_int_equal(quire_zone_free_frames(dma.zone), quire_zone_managed(dma.zone));
    take_frames(&b.zones[1], false);
    assert_ok(quire_machine_add_zone(b.machine, &dma, spans, count));
    take_frames(&b.zones[1], true);
    data = quire_bringup_take(&b, 5000, quire_node_of(0));
    assert_non_null(data);
    assert_int_equal(quire_zone_free_frames(dma.zone), quire_zone_managed(dma.zone) - 2);
    assert_error(quire_machine_remove_zone(b.machine, dma.zone), QUIRE_ERR_NO_MEMORY);
    quire_bringup_give_back(&b, data, 5000);
    assert_int_equal(quire_zone_free_frames(dma.zone), quire_zone_managed(dma.zone));
    take_frames(&b.zones[1], false);
}

/* A removal takes no memory of the zone that is to leave: where there is no other it fails, and
 * nothing has changed. */
static void no_memory_but_its_own(void **unused)
{
    const struct quire_request request = {.purpose = QUIRE_FOR_DMA};
    struct quire_bringup b = begin_dma();
    struct quire_machine_stats before, after;
    quire_pfn pfn;

    (void)unused;
    assert_ok(quire_bringup(&b));
    assert_ok(quire_machine_stats(b.machine, &before));
    take_frames(&b.zones[1], true);
    assert_error(quire_machine_remove_zone(b.machine, &b.zones[0]), QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_machine_stats(b.machine, &after));
    assert_int_equal(after.snapshots, before.snapshots);
    assert_ok(quire_machine_request(b.machine, &request, &pfn, NULL));
    assert_ok(quire_machine_free(b.machine, pfn, 0));
    take_frames(&b.zones[1], false);
    assert_ok(quire_machine_remove_zone(b.machine, &b.zones[0]));
    /* this one has what the machine is made of */
    assert_error(quire_machine_remove_zone(b.machine, &b.zones[1]), QUIRE_ERR_NO_MEMORY);
}

/* A zone that stays closing, for want of memory, gives none. */
static void left_half_way(void **unused)
{
    struct quire_bringup b = begin_dma();

    (void)unused;
    assert_ok(quire_bringup(&b));
    waiting = &b;
    keep = true;
    assert_error(quire_machine_remove_zone(b.machine, &b.zones[0]), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(waits, 1);
    waiting = NULL;
    take_frames(&b.zones[1], true); /* what the old snapshot lay in */
    assert_null(quire_bringup_take(&b, 1, quire_node_of(0)));
    take_frames(&b.zones[1], false);
    assert_ok(quire_machine_remove_zone(b.machine, &b.zones[0]));
}

/* ---- Offlining ------------------------------------------------------------------------------ */

/* A block all of which is free, and which is asked for memory next. */
static struct quire_run next_block(struct quire_bringup *b)
{
    uint64_t pfn;
    void *data;

    do {
        data = quire_bringup_take(b, 1, quire_node_of(0)); /* what lies before it stays taken */
        assert_non_null(data);
        pfn = (uint64_t)((unsigned char *)data - memory) / QUIRE_FRAME_SIZE;
    } while (pfn % (1 << QUIRE_BLOCK_ORDER) || pfn < 8 * MIB / QUIRE_FRAME_SIZE);
    quire_bringup_give_back(b, data, 1);
    return (struct quire_run){quire_pfn_of(pfn), 1 << QUIRE_BLOCK_ORDER};
}

/* The records of an offlining do not lie in the range that it empties: they lie above it, below it,
 * or there is no memory for them. */
static void records_outside_the_range(void **unused)
{
    struct quire_bringup b = begin(0);
    struct quire_run run, rest;
    uint64_t before;

    (void)unused;
    b.layout.no_dma = true;
    assert_ok(quire_bringup(&b));
    run = next_block(&b);
    before = free_frames(&b);
    assert_ok(quire_machine_offline(b.machine, run, NULL, NULL, NULL, 0, NULL));
    assert_true(free_frames(&b) < before - run.frames); /* the record stays */
    assert_ok(quire_machine_online(b.machine, run));
    assert_int_equal(free_frames(&b), before);
    rest = (struct quire_run){run.pfn, MEMORY / QUIRE_FRAME_SIZE - run.pfn.n};
    assert_error(quire_machine_offline(b.machine, rest, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(free_frames(&b), before);
    rest.pfn.n += run.frames;
    rest.frames -= run.frames;
    assert_ok(quire_machine_offline(b.machine, rest, NULL, NULL, NULL, 0, NULL));
    assert_ok(quire_machine_online(b.machine, rest));
    assert_int_equal(free_frames(&b), before);
    assert_non_null(quire_bringup_take(&b, run.frames * QUIRE_FRAME_SIZE, quire_node_of(0)));
}

/* While the machine ends nobody looks at what has gone back. After its end there is nothing to
 * take, and what was taken goes back. */

static struct {
    unsigned char *at;
    size_t bytes;
} gone[64];
static unsigned gone_count;

static void *pass_on(void *ctx, size_t bytes, quire_node node)
{
    return quire_bringup_take(ctx, bytes, node);
}

static void poison(void *ctx, void *piece, size_t bytes, quire_node node)
{
    (void)node;
    memset(piece, 0x5a, bytes);
    assert_true(gone_count < sizeof gone / sizeof gone[0]);
    gone[gone_count].at = piece;
    gone[gone_count++].bytes = bytes;
    quire_bringup_give_back(ctx, piece, bytes);
}

static void after_the_end(void **unused)
{
    struct quire_bringup b = begin(NODES);
    uint64_t before;
    void *data;

    (void)unused;
    b.port.ctx = &b;
    b.port.memory = pass_on;
    b.port.give_back = poison;
    assert_ok(quire_bringup(&b));
    data = quire_bringup_take(&b, 2 * QUIRE_FRAME_SIZE, quire_node_of(1));
    assert_non_null(data);
    gone_count = 0;
    quire_machine_fini(b.machine);
    for (unsigned i = 0; i < gone_count; i++)
        for (size_t k = 0; k < gone[i].bytes; k++)
            assert_int_equal(gone[i].at[k], 0x5a);
    before = free_frames(&b);
    assert_null(quire_bringup_take(&b, 1, quire_node_of(1)));
    quire_bringup_give_back(&b, data, 2 * QUIRE_FRAME_SIZE);
    assert_int_equal(free_frames(&b), before + 3);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_and_down),
        cmocka_unit_test(own_data),
        cmocka_unit_test(metadata_at_the_top),
        cmocka_unit_test(zone_left),
        cmocka_unit_test(no_memory_but_its_own),
        cmocka_unit_test(left_half_way),
        cmocka_unit_test(after_the_end),
        cmocka_unit_test(refused),
        cmocka_unit_test(records_outside_the_range),
    };
    int failed;

    memory = aligned_alloc(QUIRE_METADATA_ALIGN, MEMORY);
    failed = memory ? cmocka_run_group_tests_name("bringup", tests, NULL, NULL) : 1;
    free(memory);
    return failed;
}
