/* SPDX-License-Identifier: MIT
 *
 * test_alloc.c - memory from the boot map, before there are zones.
 */
#include "boot_fixture.h"

#define LIMIT ((uint64_t)1 << 52) /* bytes */
#define ANY   .node = QUIRE_NODE_ANY

static uint64_t taken_frames(const struct boot_fixture *f)
{
    struct quire_boot_report r;

    quire_boot_report(&f->boot, &r);
    return r.taken;
}

static int alloc(struct boot_fixture *f, struct quire_boot_request request, uint64_t *phys)
{
    return quire_boot_alloc(&f->boot, &request, phys);
}

static struct boot_fixture *two_nodes(void)
{
    struct boot_fixture *f = boot_fixture_new(QUIRE_BOOT_LOW);

    add(f, 0, 2 * GIB, QUIRE_BOOT_USABLE, 0);
    add(f, GIB, FRAME_BYTES, QUIRE_BOOT_FIRMWARE, 0);
    add(f, 4 * GIB, 2 * GIB, QUIRE_BOOT_USABLE, 1);
    add(f, 8 * GIB, GIB, QUIRE_BOOT_DEVICE, 1);
    return f;
}

static void alloc_takes_the_highest_place(void **state)
{
    struct boot_fixture *f = two_nodes();
    uint64_t phys = 0;

    (void)state;
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = 1, ANY}, &phys), QUIRE_OK);
    assert_int_equal(phys, 6 * GIB - FRAME_BYTES);
    assert_int_equal(region_at(&f->boot, phys / FRAME_BYTES).use, QUIRE_BOOT_TAKEN);
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = FRAME_BYTES + 1, ANY}, &phys),
                     0);
    assert_int_equal(phys, 6 * GIB - 3 * FRAME_BYTES);
    assert_int_equal(
        alloc(f, (struct quire_boot_request){.bytes = 1, .align = 2 * MIB, ANY}, &phys), QUIRE_OK);
    assert_int_equal(phys, 6 * GIB - 2 * MIB);
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = 1, .node = 0}, &phys), 0);
    assert_int_equal(phys, 2 * GIB - FRAME_BYTES);
    assert_int_equal(taken_frames(f), 5);
    boot_fixture_free(f);
}

static void alloc_keeps_limits(void **state)
{
    struct boot_fixture *f = two_nodes();
    struct quire_boot_request r = {.bytes = FRAME_BYTES, .high = GIB + FRAME_BYTES - 1, ANY};
    uint64_t phys = 0;

    (void)state;
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, GIB - FRAME_BYTES); /* the frame at 1 GiB is reserved */
    r.high = 512 * MIB - 1;
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, 512 * MIB - FRAME_BYTES);
    r.high = 3 * MIB - 2; /* the frame that ends at 3 MiB is not wholly below */
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, 3 * MIB - 2 * FRAME_BYTES);
    r.high = 2 * MIB - 1; /* held by init */
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    r.low = 6 * GIB - FRAME_BYTES + 1;
    r.high = 0;
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    r.low--;
    r.high = UINT64_MAX;
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, 6 * GIB - FRAME_BYTES);
    boot_fixture_free(f);
}

/* Free memory is one stretch, whatever was told of its parts: here node 0 was told, not told, and
 * disputed, by turns; and the next node begins where it ends. */
static void alloc_crosses_borders(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    struct quire_boot_request r = {.bytes = 4 * MIB, .node = 0};
    uint64_t phys;

    (void)state;
    add(f, 0, 2 * MIB, QUIRE_BOOT_USABLE, 0);
    add(f, 2 * MIB, MIB, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY);
    add(f, 3 * MIB, 2 * MIB, QUIRE_BOOT_USABLE, 0);
    add(f, 4 * MIB, MIB, QUIRE_BOOT_USABLE, 1);
    add(f, 5 * MIB, MIB, QUIRE_BOOT_USABLE, 1);
    assert_true(region_at(&f->boot, 4 * MIB / FRAME_BYTES).disputed);
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, MIB);
    r.bytes = MIB + FRAME_BYTES;
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    boot_fixture_free(f);

    f = boot_fixture_new(0);
    add(f, 0, 2 * MIB, QUIRE_BOOT_USABLE, 0);
    add(f, 2 * MIB, 2 * MIB, QUIRE_BOOT_USABLE, 1);
    r = (struct quire_boot_request){.bytes = 2 * MIB, .high = 3 * MIB - 1, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_OK);
    assert_int_equal(phys, MIB);
    assert_int_equal(region_at(&f->boot, MIB / FRAME_BYTES).node, 0);
    assert_int_equal(region_at(&f->boot, 2 * MIB / FRAME_BYTES).node, 1);
    assert_int_equal(taken_frames(f), 2 * MIB / FRAME_BYTES);
    r = (struct quire_boot_request){.bytes = MIB + FRAME_BYTES, .node = 1};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    boot_fixture_free(f);
}

static void alloc_refuses(void **state)
{
    struct boot_fixture *f = two_nodes();
    uint64_t before = fingerprint(&f->boot), phys = 42;
    struct quire_boot_request r;

    (void)state;
    r = (struct quire_boot_request){.bytes = 0, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_SIZE);
    r = (struct quire_boot_request){.bytes = LIMIT + 1, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_SIZE);
    r = (struct quire_boot_request){.bytes = 1, .low = 2, .high = 1, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_SIZE);
    r = (struct quire_boot_request){.bytes = 1, .align = 3 * FRAME_BYTES, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_ALIGN);
    r = (struct quire_boot_request){.bytes = 1, .node = 2};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NODE);
    r = (struct quire_boot_request){.bytes = 3 * GIB, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    r = (struct quire_boot_request){.bytes = 1, .align = (uint64_t)1 << 63, ANY};
    assert_int_equal(alloc(f, r, &phys), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(fingerprint(&f->boot), before);
    assert_int_equal(phys, 42);
    boot_fixture_free(f);
}

static void alloc_with_a_full_array(void **state)
{
    struct boot_fixture *f = boot_fixture_new(0);
    struct quire_boot_entry small[3];
    uint64_t before, phys;

    (void)state;
    assert_int_equal(quire_boot_init(&f->boot, small, 3, 0), QUIRE_OK);
    add(f, 2 * FRAME_BYTES, 2 * FRAME_BYTES, QUIRE_BOOT_USABLE, 0);
    before = fingerprint(&f->boot);
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = 1, ANY}, &phys), QUIRE_ERR_FULL);
    assert_int_equal(fingerprint(&f->boot), before);
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = 2 * FRAME_BYTES, ANY}, &phys),
                     0);
    assert_int_equal(phys, 2 * FRAME_BYTES);
    boot_fixture_free(f);
}

/* What was given away cannot be reserved afterwards: somebody uses it already. */
static void taken_memory_is_not_reserved(void **state)
{
    struct boot_fixture *f = two_nodes();
    uint64_t phys, before;

    (void)state;
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = FRAME_BYTES, ANY}, &phys),
                     QUIRE_OK);
    before = fingerprint(&f->boot);
    assert_int_equal(quire_boot_reserve(&f->boot, phys - FRAME_BYTES, FRAME_BYTES + 1),
                     QUIRE_ERR_BUSY);
    assert_int_equal(quire_boot_add(&f->boot, phys, 1, QUIRE_BOOT_FIRMWARE, 1), QUIRE_ERR_BUSY);
    assert_int_equal(quire_boot_add(&f->boot, phys, FRAME_BYTES, QUIRE_BOOT_DEVICE, 1),
                     QUIRE_ERR_BUSY);
    assert_int_equal(fingerprint(&f->boot), before);
    assert_int_equal(quire_boot_reserve(&f->boot, phys - FRAME_BYTES, FRAME_BYTES), QUIRE_OK);
    boot_fixture_free(f);
}

static void nothing_changes_after_planning(void **state)
{
    struct boot_fixture *f = two_nodes();
    uint64_t before, phys;

    (void)state;
    plan(f);
    before = fingerprint(&f->boot);
    assert_int_equal(quire_boot_add(&f->boot, 20 * GIB, FRAME_BYTES, QUIRE_BOOT_USABLE, 0),
                     QUIRE_ERR_INITIALISED);
    assert_int_equal(quire_boot_assign(&f->boot, 0, FRAME_BYTES, 0), QUIRE_ERR_INITIALISED);
    assert_int_equal(quire_boot_reserve(&f->boot, 0, FRAME_BYTES), QUIRE_ERR_INITIALISED);
    assert_int_equal(alloc(f, (struct quire_boot_request){.bytes = 1, ANY}, &phys),
                     QUIRE_ERR_INITIALISED);
    assert_int_equal(quire_boot_plan_zones(&f->boot, &f->layout, &f->plan), QUIRE_ERR_INITIALISED);
    assert_int_equal(fingerprint(&f->boot), before);
    boot_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_takes_the_highest_place),
        cmocka_unit_test(alloc_keeps_limits),
        cmocka_unit_test(alloc_crosses_borders),
        cmocka_unit_test(alloc_refuses),
        cmocka_unit_test(alloc_with_a_full_array),
        cmocka_unit_test(taken_memory_is_not_reserved),
        cmocka_unit_test(nothing_changes_after_planning),
    };

    return cmocka_run_group_tests_name("boot alloc", tests, NULL, NULL);
}
