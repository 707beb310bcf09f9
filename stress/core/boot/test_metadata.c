/* SPDX-License-Identifier: MIT
 *
 * test_metadata.c - where a plan puts the zones' metadata, and what happens when something does not
 * fit: no memory for it, or an array that is too small.
 */
#include "boot_fixture.h"

static uint64_t frames_of(uint64_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

/* All pieces lie where they are said to, and no frame is taken for anything else. */
static void assert_metadata(const struct boot_fixture *f)
{
    const struct quire_boot_plan *p = &f->plan;
    uint64_t frames = frames_of(p->pfnmap_bytes);

    for (size_t i = 0; i < p->zone_count; i++) {
        const struct quire_boot_zone *zone = &f->zones[i];
        uint64_t first = zone->metadata_phys / FRAME_BYTES;
        size_t needed = 0;

        frames += frames_of(zone->metadata_bytes);
        for (uint64_t j = 0; j < frames_of(zone->metadata_bytes); j++)
            assert_int_equal(region_at(&f->boot, first + j).use, QUIRE_BOOT_METADATA);
        assert_int_equal(quire_zone_metadata_size(&zone->config, &needed), QUIRE_OK);
        assert_true(needed <= zone->metadata_bytes);
    }
    assert_int_equal(p->metadata_frames, frames);
}

static void metadata_is_local_and_on_top(void **state)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    (void)state;
    add_machine(f, &server_4node);
    plan(f);
    assert_int_equal(f->plan.zone_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct quire_boot_zone *z = &f->zones[i];

        assert_int_equal(z->node, i);
        assert_int_equal(z->metadata_node, i);
        assert_int_equal(region_at(&f->boot, z->metadata_phys / FRAME_BYTES).node, i);
        assert_int_equal(region_at(&f->boot, z->metadata_phys / FRAME_BYTES).use,
                         QUIRE_BOOT_METADATA);
    }
    assert_int_equal(f->plan.remote_metadata, 0);
    assert_int_equal(f->zones[1].metadata_phys + f->zones[1].metadata_bytes +
                         (uint64_t)(-f->zones[1].metadata_bytes % FRAME_BYTES),
                     0x404000000000);
    boot_fixture_free(f);
}

static void metadata_below_a_limit(void **state)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    (void)state;
    add_machine(f, &server_4node);
    f->layout.metadata_high = 4 * GIB - 1; /* nodes 0 and 1 have nothing there */
    plan(f);
    for (size_t i = 0; i < 4; i++)
        assert_true(f->zones[i].metadata_phys + f->zones[i].metadata_bytes <= 4 * GIB);
    assert_int_equal(f->plan.remote_metadata, 2);
    assert_int_equal(f->zones[0].metadata_node, 2); /* nearer by number than 3 */
    assert_int_equal(f->zones[1].metadata_node, 2);
    boot_fixture_free(f);

    f = boot_fixture_new(QUIRE_BOOT_LOW);
    add_machine(f, &server_4node);
    f->layout.metadata_high = 2 * GIB;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_NO_MEMORY);
    boot_fixture_free(f);
}

static unsigned three_is_near(void *ctx, uint32_t from, uint32_t to)
{
    (void)ctx;
    return from == to ? 10 : to == 3 ? 12 : 20;
}

static void metadata_goes_to_the_nearest_node(void **state)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    (void)state;
    add_machine(f, &server_4node);
    f->layout.metadata_high = 4 * GIB - 1;
    f->layout.distance = three_is_near;
    plan(f);
    assert_int_equal(f->zones[0].metadata_node, 3);
    assert_int_equal(f->zones[1].metadata_node, 3);
    boot_fixture_free(f);
}

/* A node so small that its own metadata can eat it: whatever its size, no frame gets lost, and the
 * zone is there exactly if something of it is left. */
static void metadata_may_eat_a_zone(void **state)
{
    unsigned eaten = 0, remote = 0;

    (void)state;
    for (uint64_t frames = 1; frames <= 24; frames++) {
        struct boot_fixture *f = boot_fixture_new(0);
        const struct quire_boot_zone *small;

        add(f, 8 * GIB, GIB, QUIRE_BOOT_USABLE, 0);
        add(f, 16 * GIB, frames * FRAME_BYTES, QUIRE_BOOT_USABLE, 1);
        plan(f);
        assert_metadata(f);
        small = zone_of(f, 1, QUIRE_ZONE_NORMAL);
        assert_int_equal(f->plan.zone_count, small ? 2 : 1);
        if (!small) {
            eaten++;
            assert_int_equal(f->plan.zoneless_frames, frames);
        } else if (small->metadata_node == 0) {
            remote++;
            assert_int_equal(usable_frames(small), frames);
        } else {
            assert_int_equal(usable_frames(small), frames - frames_of(small->metadata_bytes));
        }
        assert_int_equal(f->plan.usable_frames + f->plan.metadata_frames + f->plan.zoneless_frames,
                         GIB / FRAME_BYTES + frames);
        boot_fixture_free(f);
    }
    assert_int_equal(eaten, 1); /* metadata exactly as large as the node */
    assert_true(remote > 0);
}

/* Metadata in the middle of a run makes two of it, and two runs may need more metadata than one. */
static void metadata_may_grow_by_its_own_hole(void **state)
{
    unsigned grown = 0;

    (void)state;
    for (uint32_t pins = 1; pins < 64; pins++) {
        struct boot_fixture *f = boot_fixture_new(0);
        struct quire_run run = {quire_pfn_of(4 * GIB / FRAME_BYTES), 64 * MIB / FRAME_BYTES};
        struct quire_zone_config whole = f->layout.zone;
        size_t bytes = 0;

        f->layout.zone.spare_pins = whole.spare_pins = pins;
        f->layout.metadata_high = 4 * GIB + 32 * MIB - 1;
        whole.usable = &run;
        whole.usable_count = 1;
        assert_int_equal(quire_zone_metadata_size(&whole, &bytes), QUIRE_OK);
        add(f, 4 * GIB, 64 * MIB, QUIRE_BOOT_USABLE, 0);
        plan(f);
        grown += f->zones[0].metadata_bytes > bytes;
        assert_metadata(f);
        assert_int_equal(build(f), QUIRE_OK);
        boot_fixture_free(f);
    }
    assert_true(grown > 0);
}

static unsigned two_is_near(void *ctx, uint32_t from, uint32_t to)
{
    (void)ctx;
    return from == to ? 10 : to == 2 ? 12 : 20;
}

/* Node 0's metadata eats node 0; only then the frame-to-zone table goes to node 1, of which it may
 * eat what that node's own metadata has left. */
static void dropping_may_go_on(void **state)
{
    unsigned left[4] = {0};

    (void)state;
    for (uint64_t first = 4; first <= 12; first++)
        for (uint64_t second = 4; second <= 20; second++) {
            struct boot_fixture *f = boot_fixture_new(0);

            f->layout.distance = two_is_near;
            add(f, 8 * GIB, first * FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
            add(f, 16 * GIB, second * FRAME_BYTES, QUIRE_BOOT_USABLE, 1);
            add(f, 24 * GIB, GIB, QUIRE_BOOT_USABLE, 2);
            plan(f);
            assert_metadata(f);
            assert_int_equal(f->plan.usable_frames + f->plan.zoneless_frames +
                                 f->plan.metadata_frames,
                             GIB / FRAME_BYTES + first + second);
            left[f->plan.zone_count]++;
            boot_fixture_free(f);
        }
    assert_true(left[1] > 0 && left[2] > 0 && left[3] > 0);
}

static void bad_zone_options(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    uint64_t before;

    (void)state;
    add(f, 0, GIB, QUIRE_BOOT_USABLE, 0);
    before = fingerprint(&f->boot);
    f->layout.zone.slots = QUIRE_ZONE_MAX_SLOTS + 1;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_SIZE);
    f->layout.zone.slots = 0;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_SIZE);
    assert_int_equal(fingerprint(&f->boot), before);
    assert_int_equal(f->plan.zone_count, 0);
    f->layout.zone.slots = 1;
    plan(f); /* a failed plan is no obstacle */
    boot_fixture_free(f);
}

static struct boot_fixture *desktop_with_a_second_node(void)
{
    static const uint64_t huge[] = {3 * GIB + 6 * MIB};
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    f->layout.huge_bytes = huge;
    f->layout.huge_nodes = 1;
    add_machine(f, &desktop);
    add(f, 15 * GIB + FRAME_BYTES, 2 * GIB, QUIRE_BOOT_USABLE, 1);
    return f;
}

/* One array at every size that is too small: an error, and the map is as it was. */
static void grow_until_planned(struct boot_fixture *f, size_t *capacity, size_t size)
{
    uint64_t before = fingerprint(&f->boot);
    unsigned failures = 0;

    for (;; size++, failures++) {
        int err;

        *capacity = size;
        err = quire_boot_plan_zones(&f->boot, &f->layout, &f->plan);
        if (!err)
            break;
        assert_int_equal(err, QUIRE_ERR_FULL);
        assert_int_equal(f->plan.fault.error, err);
        assert_non_null(f->plan.fault.what);
        assert_int_equal(f->plan.fault.found + 1, f->plan.fault.expected);
        assert_int_equal(fingerprint(&f->boot), before);
        assert_int_equal(f->plan.zone_count + f->plan.run_count + f->plan.span_count, 0);
    }
    assert_true(failures > 0);
    boot_fixture_free(f);
}

static void arrays_too_small(void **state)
{
    struct boot_fixture *f = desktop_with_a_second_node();

    (void)state;
    grow_until_planned(f, &f->plan.zone_capacity, 0);
    f = desktop_with_a_second_node();
    grow_until_planned(f, &f->plan.run_capacity, 0);
    f = desktop_with_a_second_node();
    grow_until_planned(f, &f->plan.span_capacity, 0);
    f = desktop_with_a_second_node();
    grow_until_planned(f, &f->boot.capacity, f->boot.count);
    f = desktop_with_a_second_node();
    f->plan.runs = NULL;
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_FULL);
    boot_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_is_local_and_on_top),
        cmocka_unit_test(metadata_below_a_limit),
        cmocka_unit_test(metadata_goes_to_the_nearest_node),
        cmocka_unit_test(metadata_may_eat_a_zone),
        cmocka_unit_test(metadata_may_grow_by_its_own_hole),
        cmocka_unit_test(dropping_may_go_on),
        cmocka_unit_test(bad_zone_options),
        cmocka_unit_test(arrays_too_small),
    };

    return cmocka_run_group_tests_name("boot metadata", tests, NULL, NULL);
}
