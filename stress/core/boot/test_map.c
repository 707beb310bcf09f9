/* SPDX-License-Identifier: MIT
 *
 * test_map.c - the boot map: what firmware may say, however absurd, and what comes of it.
 */
#include "boot_fixture.h"

#include <string.h>

#define LIMIT ((uint64_t)1 << 52) /* bytes */

static struct quire_boot_report report_of(const struct boot_fixture *f)
{
    struct quire_boot_report r;

    quire_boot_report(&f->boot, &r);
    return r;
}

static void assert_frames(const struct boot_fixture *f, uint64_t first, uint64_t frames,
                          enum quire_boot_kind kind)
{
    struct quire_boot_region r = region_at(&f->boot, first);

    assert_int_equal(r.run.pfn.n, first);
    assert_int_equal(r.run.frames, frames);
    assert_int_equal(r.kind, kind);
}

static void empty_map_is_one_hole(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    struct quire_boot_region r;

    (void)state;
    assert_frames(f, 0, LIMIT / FRAME_BYTES, QUIRE_BOOT_NOTHING);
    assert_int_equal(quire_boot_region(&f->boot, 1, &r), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_NO_MEMORY);
    boot_fixture_free(f);
}

static void init_refuses(void **state)
{
    struct quire_boot boot;
    struct quire_boot_entry entries[2];

    (void)state;
    assert_int_equal(quire_boot_init(&boot, NULL, 2, 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_init(&boot, entries, 0, 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_init(&boot, entries, 1, QUIRE_BOOT_LOW), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_init(&boot, entries, 2, LIMIT + 1), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_init(&boot, entries, 2, QUIRE_BOOT_LOW), QUIRE_OK);
    assert_int_equal(quire_boot_init(&boot, entries, 1, 0), QUIRE_OK);
}

static void low_memory_is_held(void **state)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    (void)state;
    add(f, 0, 4 * MIB, QUIRE_BOOT_USABLE, 0);
    assert_int_equal(region_at(&f->boot, 511).use, QUIRE_BOOT_RESERVED);
    assert_int_equal(region_at(&f->boot, 512).use, QUIRE_BOOT_FREE);
    assert_int_equal(report_of(f).reserved, 512);
    boot_fixture_free(f);

    f = boot_fixture_new(5000); /* grows outwards, to two frames */
    add(f, 0, 4 * MIB, QUIRE_BOOT_USABLE, 0);
    assert_int_equal(report_of(f).reserved, 2);
    boot_fixture_free(f);
}

static void borders_are_rounded_to_the_safe_side(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    add(f, 0x1001, 0x4000, QUIRE_BOOT_USABLE, 0); /* frames 2, 3, 4 */
    assert_frames(f, 2, 3, QUIRE_BOOT_USABLE);
    add(f, 0x10fff, 0x2002, QUIRE_BOOT_FIRMWARE, 0); /* frames 0x10 to 0x13 */
    assert_frames(f, 0x10, 4, QUIRE_BOOT_FIRMWARE);
    add(f, 0x20800, 0x2000, QUIRE_BOOT_DEVICE, 0); /* frame 0x21 */
    assert_frames(f, 0x21, 1, QUIRE_BOOT_DEVICE);
    assert_int_equal(report_of(f).trimmed_bytes, 0x1000 + 0x1000);
    assert_int_equal(quire_boot_reserve(&f->boot, 0x3fff, 1), QUIRE_OK);
    assert_int_equal(region_at(&f->boot, 3).use, QUIRE_BOOT_RESERVED);
    assert_int_equal(region_at(&f->boot, 4).use, QUIRE_BOOT_FREE);
    boot_fixture_free(f);
}

static void absurd_entries_are_refused_and_counted(void **state)
{
    static const struct {
        uint64_t phys, bytes;
        struct quire_boot_refusals counted;
    } cases[] = {
        {0x100000, 0, {.empty = 1}},
        {LIMIT, 0, {.empty = 1}},
        {UINT64_MAX, 0, {.empty = 1}},
        {UINT64_MAX, 2, {.wrapping = 1}},
        {0x100000, UINT64_MAX, {.wrapping = 1}},
        {UINT64_MAX - 0xfff, 0x2000, {.wrapping = 1}},
        {UINT64_MAX, 1, {.beyond = 1}}, /* ends at 2^64: no wrap */
        {0, UINT64_MAX, {.beyond = 1}},
        {LIMIT, 0x1000, {.beyond = 1}},
        {LIMIT - 0x1000, 0x1001, {.beyond = 1}},
        {0x1001, 0x1ffe, {.slivers = 1}},
        {0x1fff, 2, {.slivers = 1}},
        {LIMIT - 1, 1, {.slivers = 1}},
    };
    struct boot_fixture *f = boot_fixture_new(0);
    uint64_t before = fingerprint(&f->boot);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&f->boot.refused, 0, sizeof(f->boot.refused));
        assert_int_equal(
            quire_boot_add(&f->boot, cases[i].phys, cases[i].bytes, QUIRE_BOOT_USABLE, 0),
            QUIRE_ERR_SIZE);
        assert_memory_equal(&f->boot.refused, &cases[i].counted, sizeof(cases[i].counted));
        assert_int_equal(fingerprint(&f->boot), before);
    }
    assert_int_equal(report_of(f).accepted, 0);
    boot_fixture_free(f);
}

static void the_last_frame_counts(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    add(f, LIMIT - FRAME_BYTES, FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
    assert_frames(f, LIMIT / FRAME_BYTES - 1, 1, QUIRE_BOOT_USABLE);
    boot_fixture_free(f);
}

static void protection_is_clipped_not_forgotten(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    struct quire_boot_report r;

    (void)state;
    add(f, 0, 8 * GIB, QUIRE_BOOT_USABLE, 0);
    add(f, 6 * GIB, UINT64_MAX, QUIRE_BOOT_FIRMWARE, 0); /* wraps */
    assert_int_equal(quire_boot_reserve(&f->boot, 5 * GIB, LIMIT), QUIRE_OK);
    assert_int_equal(quire_boot_reserve(&f->boot, LIMIT, 1), QUIRE_ERR_SIZE);
    r = report_of(f);
    assert_int_equal(r.refused.wrapping, 1);
    assert_int_equal(r.refused.beyond, 2);
    assert_int_equal(r.refused.clipped, 2);
    assert_int_equal(r.usable, 5 * GIB / FRAME_BYTES);
    assert_int_equal(r.reserved, GIB / FRAME_BYTES);
    assert_int_equal(r.firmware, (LIMIT - 6 * GIB) / FRAME_BYTES);
    boot_fixture_free(f);
}

static void wrong_arguments_change_nothing(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    uint64_t before = fingerprint(&f->boot);

    (void)state;
    assert_int_equal(quire_boot_add(&f->boot, 0, FRAME_BYTES, QUIRE_BOOT_NOTHING, 0),
                     QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_boot_add(&f->boot, 0, FRAME_BYTES, (enum quire_boot_kind)4, 0),
                     QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_boot_add(&f->boot, 0, FRAME_BYTES, QUIRE_BOOT_USABLE, QUIRE_BOOT_NODES),
                     QUIRE_ERR_NODE);
    assert_int_equal(quire_boot_assign(&f->boot, 0, FRAME_BYTES, QUIRE_BOOT_NODES), QUIRE_ERR_NODE);
    assert_int_equal(quire_boot_assign(&f->boot, 0, FRAME_BYTES, QUIRE_NODE_ANY), QUIRE_ERR_NODE);
    assert_int_equal(quire_boot_assign(&f->boot, LIMIT - 1, 2, 0), QUIRE_ERR_SIZE);
    assert_int_equal(quire_boot_reserve(&f->boot, 0, 0), QUIRE_ERR_SIZE);
    assert_int_equal(fingerprint(&f->boot), before);
    boot_fixture_free(f);
}

static void what_wins_does_not_depend_on_the_order(void **state)
{
    static const enum quire_boot_kind orders[6][3] = {
        {QUIRE_BOOT_USABLE, QUIRE_BOOT_DEVICE, QUIRE_BOOT_FIRMWARE},
        {QUIRE_BOOT_USABLE, QUIRE_BOOT_FIRMWARE, QUIRE_BOOT_DEVICE},
        {QUIRE_BOOT_DEVICE, QUIRE_BOOT_USABLE, QUIRE_BOOT_FIRMWARE},
        {QUIRE_BOOT_DEVICE, QUIRE_BOOT_FIRMWARE, QUIRE_BOOT_USABLE},
        {QUIRE_BOOT_FIRMWARE, QUIRE_BOOT_USABLE, QUIRE_BOOT_DEVICE},
        {QUIRE_BOOT_FIRMWARE, QUIRE_BOOT_DEVICE, QUIRE_BOOT_USABLE},
    };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct boot_fixture *f = boot_fixture_new(0);

        for (size_t j = 0; j < 3; j++) /* usable 0-29, device 10-19, reserved 15-24 */
            switch (orders[i][j]) {
            case QUIRE_BOOT_USABLE:
                add(f, 0, 30 * FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
                break;
            case QUIRE_BOOT_DEVICE:
                add(f, 10 * FRAME_BYTES, 10 * FRAME_BYTES, QUIRE_BOOT_DEVICE, 0);
                break;
            default:
                add(f, 15 * FRAME_BYTES, 10 * FRAME_BYTES, QUIRE_BOOT_FIRMWARE, 0);
            }
        assert_frames(f, 0, 10, QUIRE_BOOT_USABLE);
        assert_frames(f, 10, 5, QUIRE_BOOT_DEVICE);
        assert_frames(f, 15, 10, QUIRE_BOOT_FIRMWARE);
        assert_frames(f, 25, 5, QUIRE_BOOT_USABLE);
        boot_fixture_free(f);
    }
}

static void the_lower_node_keeps_disputed_frames(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct boot_fixture *f = boot_fixture_new(0);

        add(f, 0, 20 * FRAME_BYTES, QUIRE_BOOT_USABLE, swap ? 3 : 1);
        add(f, 10 * FRAME_BYTES, 20 * FRAME_BYTES, QUIRE_BOOT_USABLE, swap ? 1 : 3);
        assert_int_equal(region_at(&f->boot, 5).node, swap ? 3 : 1);
        assert_int_equal(region_at(&f->boot, 15).node, 1);
        assert_true(region_at(&f->boot, 15).disputed);
        assert_int_equal(region_at(&f->boot, 25).node, swap ? 1 : 3);
        assert_int_equal(report_of(f).disputed, 10);
        boot_fixture_free(f);
    }
}

static void nodes_may_be_told_apart_from_memory(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);

    (void)state;
    assert_int_equal(quire_boot_assign(&f->boot, 0, 10 * FRAME_BYTES, 2), QUIRE_OK);
    add(f, 5 * FRAME_BYTES, 10 * FRAME_BYTES, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY);
    assert_int_equal(quire_boot_assign(&f->boot, 12 * FRAME_BYTES, 10 * FRAME_BYTES, 7), QUIRE_OK);
    assert_int_equal(region_at(&f->boot, 5).node, 2);
    assert_int_equal(region_at(&f->boot, 10).node, QUIRE_NODE_ANY);
    assert_int_equal(region_at(&f->boot, 12).node, 7);
    assert_int_equal(report_of(f).nodeless, 2);
    assert_int_equal(report_of(f).disputed, 0);
    boot_fixture_free(f);
}

/* 1500 regions, in an order that hops about. */
static void many_regions(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    const uint64_t n = 1500;

    (void)state;
    for (uint64_t i = 0; i < n; i++)
        add(f, (i * 701 % n) * 3 * FRAME_BYTES, 2 * FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
    assert_int_equal(report_of(f).accepted, n);
    assert_int_equal(report_of(f).usable, 2 * n);
    assert_int_equal(f->boot.count, 2 * n);
    add(f, 0, n * 3 * FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
    assert_frames(f, 0, 3 * n, QUIRE_BOOT_USABLE);
    assert_int_equal(f->boot.count, 2);
    boot_fixture_free(f);
}

/* The array fills up at every possible size; what was in it stays. */
static void full_array(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    struct quire_boot_entry small[16];

    (void)state;
    for (size_t capacity = 1; capacity <= 9; capacity++) {
        uint64_t before;
        int err = QUIRE_OK;
        uint64_t i = 0;

        assert_int_equal(quire_boot_init(&f->boot, small, capacity, 0), QUIRE_OK);
        do {
            before = fingerprint(&f->boot);
            err = quire_boot_add(&f->boot, (2 * i++ + 1) * FRAME_BYTES, FRAME_BYTES,
                                 QUIRE_BOOT_USABLE, 0);
        } while (!err);
        assert_int_equal(err, QUIRE_ERR_FULL);
        assert_int_equal(i - 1, (capacity - 1) / 2); /* each takes two entries */
        assert_int_equal(fingerprint(&f->boot), before);
        assert_int_equal(report_of(f).refused.full, 1);
        assert_int_equal(report_of(f).accepted, i - 1);
        /* What needs no room still works. */
        if (capacity >= 3)
            add(f, FRAME_BYTES, FRAME_BYTES, QUIRE_BOOT_FIRMWARE, 0);
    }
    boot_fixture_free(f);
}

static void real_machines(void **state)
{
    static const struct {
        const struct boot_machine *machine;
        uint64_t usable, firmware; /* frames, added up from the logs by other means */
    } cases[] = {
        {&desktop, 4181774, 38002},
        {&laptop, 3120074, 79080},
        {&server_2node, 67068580, 109445},
        {&server_4node, 134144256, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct boot_fixture *f = boot_fixture_new(0);

        add_machine(f, cases[i].machine);
        assert_int_equal(report_of(f).accepted, cases[i].machine->count);
        assert_int_equal(report_of(f).usable, cases[i].usable);
        assert_int_equal(report_of(f).firmware, cases[i].firmware);
        assert_int_equal(report_of(f).trimmed_bytes, 0);
        boot_fixture_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_map_is_one_hole),
        cmocka_unit_test(init_refuses),
        cmocka_unit_test(low_memory_is_held),
        cmocka_unit_test(borders_are_rounded_to_the_safe_side),
        cmocka_unit_test(absurd_entries_are_refused_and_counted),
        cmocka_unit_test(the_last_frame_counts),
        cmocka_unit_test(protection_is_clipped_not_forgotten),
        cmocka_unit_test(wrong_arguments_change_nothing),
        cmocka_unit_test(what_wins_does_not_depend_on_the_order),
        cmocka_unit_test(the_lower_node_keeps_disputed_frames),
        cmocka_unit_test(nodes_may_be_told_apart_from_memory),
        cmocka_unit_test(many_regions),
        cmocka_unit_test(full_array),
        cmocka_unit_test(real_machines),
    };

    return cmocka_run_group_tests_name("boot map", tests, NULL, NULL);
}
