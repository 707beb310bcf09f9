/* SPDX-License-Identifier: MIT
 *
 * test_plan.c - from a boot map to zones: who gets which block, what is set aside for Huge, and
 * that the zones that are built hold what was planned.
 */
#include "boot_fixture.h"

/* The zone has exactly these usable frames. */
static void assert_zone(const struct boot_fixture *f, uint32_t node, enum quire_zone_type type,
                        uint64_t usable, uint64_t reserved)
{
    const struct quire_boot_zone *zone = zone_of(f, node, type);

    assert_non_null(zone);
    assert_int_equal(usable_frames(zone), usable);
    assert_int_equal(reserved_frames(zone), reserved);
}

static uint64_t frames_of(uint64_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

static void zones_by_address(void **state)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);
    const struct quire_boot_zone *normal;

    (void)state;
    add(f, 0, 8 * GIB, QUIRE_BOOT_USABLE, 0);
    add(f, 16 * GIB, GIB, QUIRE_BOOT_DEVICE, 0);
    plan(f);
    assert_int_equal(f->plan.zone_count, 4);
    normal = zone_of(f, 0, QUIRE_ZONE_NORMAL);
    assert_non_null(normal);
    assert_zone(f, 0, QUIRE_ZONE_DMA, 3584, 512);
    assert_zone(f, 0, QUIRE_ZONE_DMA32, 4 * GIB / FRAME_BYTES - 4096, 0);
    assert_zone(f, 0, QUIRE_ZONE_NORMAL, 4 * GIB / FRAME_BYTES - f->plan.metadata_frames, 0);
    assert_zone(f, 0, QUIRE_ZONE_DEVICE, GIB / FRAME_BYTES, 0);
    for (size_t i = 0; i < f->plan.zone_count; i++)
        assert_int_equal(f->zones[i].config.id, i);
    boot_fixture_free(f);
}

static void address_zones_can_be_left_out(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    f->layout.no_dma = true;
    f->layout.no_dma32 = true;
    add(f, 0, 8 * GIB, QUIRE_BOOT_USABLE, 0);
    plan(f);
    assert_int_equal(f->plan.zone_count, 1);
    assert_zone(f, 0, QUIRE_ZONE_NORMAL, 8 * GIB / FRAME_BYTES - f->plan.metadata_frames, 0);
    boot_fixture_free(f);
}

/* ---- Blocks that two would share ----------------------------------------------------------- */

/* Node 0 has `frames` frames of the block at 1 GiB, node 1 the rest; both have more around it. */
static struct boot_fixture *meeting(uint64_t frames, enum quire_boot_kind kind)
{
    struct boot_fixture *f = boot_fixture_new(0);
    uint64_t border = GIB + frames * FRAME_BYTES;

    f->layout.no_dma = true;
    f->layout.no_dma32 = true;
    add(f, 512 * MIB, border - 512 * MIB, QUIRE_BOOT_USABLE, 0);
    add(f, border, 2 * GIB - border, kind, 1);
    return f;
}

static void a_block_goes_to_who_has_more_of_it(void **state)
{
    (void)state;
    for (uint64_t frames = 0; frames <= BLOCK; frames += 64) {
        struct boot_fixture *f = meeting(frames, QUIRE_BOOT_USABLE);
        bool first = frames >= BLOCK / 2; /* equal: the lower node */
        uint64_t shared = first ? BLOCK - frames : frames;
        uint64_t lost = GIB / FRAME_BYTES + (first ? frames : 0);

        plan(f);
        assert_int_equal(f->plan.shared_frames, shared);
        assert_int_equal(f->plan.shared_blocks, shared > 0);
        assert_int_equal(f->plan.reserved_frames, shared);
        assert_int_equal(reserved_frames(zone_of(f, !first, QUIRE_ZONE_NORMAL)), shared);
        assert_int_equal(reserved_frames(zone_of(f, first, QUIRE_ZONE_NORMAL)), 0);
        assert_int_equal(region_at(&f->boot, lost).shared, shared > 0);
        boot_fixture_free(f);
    }
}

/* What the others lost can be put to use in the zone that has the block. */
static void shared_memory_can_be_rescued(void **state)
{
    struct boot_fixture *f = meeting(100, QUIRE_BOOT_USABLE);
    const struct quire_boot_zone *zone;
    quire_pfn pfn = quire_pfn_of(GIB / FRAME_BYTES);

    (void)state;
    plan(f);
    assert_int_equal(build(f), QUIRE_OK);
    zone = zone_of(f, 1, QUIRE_ZONE_NORMAL);
    assert_int_equal(quire_zone_unreserve(&f->built[zone->config.id], quire_slot_of(0), pfn, 100),
                     QUIRE_OK);
    assert_int_equal(quire_zone_free_frames(&f->built[zone->config.id]), usable_frames(zone) + 100);
    boot_fixture_free(f);
}

static void memory_and_device_memory_stay_apart(void **state)
{
    (void)state;
    for (uint64_t frames = 100; frames <= 400; frames += 300) {
        struct boot_fixture *f = meeting(frames, QUIRE_BOOT_DEVICE);

        plan(f);
        assert_int_equal(f->plan.shared_frames, frames == 100 ? 100 : BLOCK - frames);
        assert_int_equal(f->plan.reserved_frames, 0); /* holes: nobody may unreserve them */
        assert_int_equal(zone_of(f, 0, QUIRE_ZONE_NORMAL)->config.reserved_count, 0);
        assert_int_equal(zone_of(f, 1, QUIRE_ZONE_DEVICE)->config.reserved_count, 0);
        boot_fixture_free(f);
    }
}

/* Free frames decide before frames in use do; a block of which nobody has a free frame is not lost
 * as long as its owner has a zone. */
static void free_frames_decide(void **state)
{
    struct boot_fixture *f = meeting(500, QUIRE_BOOT_USABLE);

    (void)state;
    assert_int_equal(quire_boot_reserve(&f->boot, GIB, 500 * FRAME_BYTES), QUIRE_OK);
    plan(f);
    assert_zone(f, 1, QUIRE_ZONE_NORMAL,
                (2 * GIB - GIB) / FRAME_BYTES - 500 - frames_of(f->zones[1].metadata_bytes), 500);
    assert_int_equal(f->plan.shared_frames, 0);
    boot_fixture_free(f);

    f = meeting(500, QUIRE_BOOT_USABLE);
    assert_int_equal(quire_boot_reserve(&f->boot, GIB, 2 * MIB), QUIRE_OK);
    plan(f);
    assert_int_equal(reserved_frames(zone_of(f, 0, QUIRE_ZONE_NORMAL)), BLOCK);
    boot_fixture_free(f);
}

static void many_nodes_in_one_block(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        add(f, 8 * GIB + i * 2 * FRAME_BYTES, 2 * FRAME_BYTES, QUIRE_BOOT_USABLE, 59 - i);
    add(f, 16 * GIB, 64 * MIB, QUIRE_BOOT_USABLE, 99);
    plan(f);
    assert_int_equal(f->plan.zone_count, 2); /* the lowest node, and the one for the metadata */
    assert_zone(f, 0, QUIRE_ZONE_NORMAL, 2, 59 * 2);
    assert_int_equal(f->plan.shared_blocks, 1);
    assert_int_equal(f->plan.remote_metadata, 1);
    boot_fixture_free(f);
}

/* ---- Huge ---------------------------------------------------------------------------------- */

static void huge_takes_whole_sections_first(void **state)
{
    const uint64_t huge[] = {2 * GIB + 4 * MIB};
    struct boot_fixture *f = boot_fixture_new(0);
    const struct quire_boot_zone *zone;

    (void)state;
    f->layout.huge_bytes = huge;
    f->layout.huge_nodes = 1;
    add(f, 0, 8 * GIB + 7 * MIB, QUIRE_BOOT_USABLE, 0);
    add(f, 7 * GIB + 3 * MIB, FRAME_BYTES, QUIRE_BOOT_FIRMWARE,
        0); /* spoils the section at 7 GiB */
    plan(f);
    zone = zone_of(f, 0, QUIRE_ZONE_HUGE);
    assert_non_null(zone);
    assert_int_equal(zone->config.usable_count, 2);
    assert_int_equal(quire_phys(zone->config.usable[0].pfn), 5 * GIB);
    assert_int_equal(zone->config.usable[0].frames, 2 * GIB / FRAME_BYTES);
    assert_int_equal(quire_phys(zone->config.usable[1].pfn), 8 * GIB + 2 * MIB);
    assert_int_equal(zone->config.usable[1].frames, 4 * MIB / FRAME_BYTES);
    assert_int_equal(f->plan.huge_missing, 0);
    for (size_t i = 0; i < f->plan.zone_count; i++) /* metadata lies elsewhere */
        assert_false(in_runs(zone->config.usable, 2, f->zones[i].metadata_phys / FRAME_BYTES));
    boot_fixture_free(f);
}

/* A section and a block of which one part was told to be node 0's, and the other was not. */
static void huge_crosses_borders(void **state)
{
    const uint64_t huge[] = {GIB + 2 * MIB};
    struct boot_fixture *f = boot_fixture_new(0);
    const struct quire_boot_zone *zone;

    (void)state;
    f->layout.huge_bytes = huge;
    f->layout.huge_nodes = 1;
    add(f, 4 * GIB, GIB / 2, QUIRE_BOOT_USABLE, 0);
    add(f, 4 * GIB + GIB / 2, GIB / 2 + MIB, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY);
    add(f, 5 * GIB + MIB, MIB, QUIRE_BOOT_USABLE, 0);
    add(f, 8 * GIB, MIB, QUIRE_BOOT_USABLE, 0); /* for metadata */
    plan(f);
    zone = zone_of(f, 0, QUIRE_ZONE_HUGE);
    assert_int_equal(f->plan.huge_missing, 0);
    assert_non_null(zone);
    assert_int_equal(zone->config.usable_count, 1);
    assert_int_equal(quire_phys(zone->config.usable[0].pfn), 4 * GIB);
    assert_int_equal(zone->config.usable[0].frames, (GIB + 2 * MIB) / FRAME_BYTES);
    boot_fixture_free(f);
}

static void huge_says_what_is_missing(void **state)
{
    const uint64_t huge[] = {0, 3 * GIB, 2 * MIB};
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    f->layout.huge_bytes = huge;
    f->layout.huge_nodes = 3;
    add(f, 0, GIB, QUIRE_BOOT_USABLE, 0);
    add(f, 8 * GIB + MIB, 2 * GIB, QUIRE_BOOT_USABLE, 1);
    plan(f);
    assert_null(zone_of(f, 0, QUIRE_ZONE_HUGE));
    assert_zone(f, 1, QUIRE_ZONE_HUGE, (2 * GIB - 2 * MIB) / FRAME_BYTES, 0);
    assert_int_equal(f->plan.huge_missing, GIB + 2 * MIB + 2 * MIB); /* node 2 has no memory */
    boot_fixture_free(f);
}

static void huge_refuses(void **state)
{
    const uint64_t odd[] = {2 * MIB + FRAME_BYTES}, beyond[] = {UINT64_MAX & ~(2 * MIB - 1)};
    const uint64_t everything[] = {GIB}; /* then metadata has no place */
    struct boot_fixture *f = boot_fixture_new(0);
    uint64_t before;

    (void)state;
    add(f, 0, GIB, QUIRE_BOOT_USABLE, 0);
    before = fingerprint(&f->boot);
    f->layout.huge_bytes = odd;
    f->layout.huge_nodes = 1;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_ALIGN);
    assert_string_equal(f->plan.fault.what, "huge_bytes[] is not a multiple of 2 MiB");
    assert_int_equal(f->plan.fault.error, QUIRE_ERR_ALIGN);
    assert_int_equal(f->plan.fault.found, odd[0]);
    f->layout.huge_bytes = beyond;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_SIZE);
    f->layout.huge_nodes = QUIRE_BOOT_NODES + 1;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_SIZE);
    f->layout.huge_bytes = everything;
    f->layout.huge_nodes = 1;
    f->layout.no_dma = true;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(fingerprint(&f->boot), before);
    boot_fixture_free(f);
}

/* ---- Real machines, built ------------------------------------------------------------------ */

static void real_machines(void **state)
{
    static const struct {
        const struct boot_machine *machine;
        size_t zones;
        uint64_t usable, held; /* frames: of the log, and of these the first 2 MiB */
    } cases[] = {
        {&desktop, 3, 4181774, 416},
        {&laptop, 3, 3120074, 414},
        {&server_2node, 3, 67068580, 256},
        {&server_4node, 4, 134144256, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);
        uint64_t free = 0;

        add_machine(f, cases[i].machine);
        plan(f);
        assert_int_equal(f->plan.zone_count, cases[i].zones);
        assert_int_equal(f->plan.shared_frames + f->plan.zoneless_frames, 0);
        assert_int_equal(f->plan.reserved_frames, cases[i].held);
        assert_int_equal(f->plan.usable_frames + f->plan.metadata_frames + cases[i].held,
                         cases[i].usable);
        assert_int_equal(build(f), QUIRE_OK);
        for (size_t z = 0; z < f->plan.zone_count; z++) {
            quire_pfn pfn = f->zones[z].config.usable[0].pfn;
            struct quire_fault violation;

            assert_int_equal(quire_zone_check(&f->built[z], &violation), QUIRE_OK);
            assert_int_equal(quire_pfnmap_zone(&f->pfnmap, pfn), z);
            assert_true(quire_zone_holds(&f->built[z], pfn));
            free += quire_zone_free_frames(&f->built[z]);
        }
        assert_int_equal(free, f->plan.usable_frames);
        boot_fixture_free(f);
    }
}

/* Whichever piece of metadata cannot be mapped, nothing is left behind. */
static void build_fails_cleanly(void **state)
{
    static const struct quire_zone zeroed;
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    (void)state;
    add_machine(f, &laptop);
    plan(f);
    for (size_t call = 1; call <= f->plan.zone_count + 1; call++) {
        f->map_fails_at = f->mapped_count + call;
        assert_int_equal(build(f), QUIRE_ERR_NO_MEMORY);
        for (size_t z = 0; z < f->plan.zone_count; z++)
            assert_memory_equal(&f->built[z], &zeroed, sizeof(zeroed));
        assert_null(f->pfnmap.root);
    }
    f->map_fails_at = 0;
    assert_int_equal(build(f), QUIRE_OK);
    assert_int_equal(build(f), QUIRE_ERR_INITIALISED); /* and the zones in use stay */
    assert_non_null(f->built[0].head);
    boot_fixture_free(f);
}

/* DMA and DMA32 keep a 256th of what is less scarce on their node, unless it is said otherwise. */
static void lowmem_reserve(void **state)
{
    struct boot_fixture *f;

    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        uint64_t above = 0;

        f = boot_fixture_new(0);
        add(f, 0, 5 * GIB, QUIRE_BOOT_USABLE, 0);
        add(f, 5 * GIB, GIB, QUIRE_BOOT_USABLE, 1);
        f->layout.no_lowmem_reserve = kind == 1;
        f->layout.zone.lowmem_reserve = kind == 2 ? 77 : 0;
        assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_OK);
        assert_int_equal(f->plan.zone_count, 4);
        for (size_t i = 3; i-- > 0;) { /* Normal, DMA32, DMA of node 0 */
            const struct quire_zone_config *c = &f->plan.zones[i].config;

            assert_int_equal(c->type, i);
            assert_int_equal(c->lowmem_reserve, kind == 0 ? above / 256 : kind == 1 ? 0 : 77);
            for (size_t k = 0; k < c->usable_count; k++)
                above += c->usable[k].frames;
        }
        assert_int_equal(f->plan.zones[3].config.lowmem_reserve, kind == 2 ? 77 : 0);
        assert_int_equal(build(f), QUIRE_OK);
        boot_fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_by_address),
        cmocka_unit_test(lowmem_reserve),
        cmocka_unit_test(address_zones_can_be_left_out),
        cmocka_unit_test(a_block_goes_to_who_has_more_of_it),
        cmocka_unit_test(shared_memory_can_be_rescued),
        cmocka_unit_test(memory_and_device_memory_stay_apart),
        cmocka_unit_test(free_frames_decide),
        cmocka_unit_test(many_nodes_in_one_block),
        cmocka_unit_test(huge_takes_whole_sections_first),
        cmocka_unit_test(huge_crosses_borders),
        cmocka_unit_test(huge_says_what_is_missing),
        cmocka_unit_test(huge_refuses),
        cmocka_unit_test(real_machines),
        cmocka_unit_test(build_fails_cleanly),
    };

    return cmocka_run_group_tests_name("boot plan", tests, NULL, NULL);
}
