/* SPDX-License-Identifier: MIT
 *
 * place.c - allocating at a given address.
 */
#include "stress/common/zone_fixture.h"

static int try_at(struct fixture *f, uint64_t pfn, unsigned order)
{
    return quire_zone_alloc_at(&f->zone, slot(0), at(pfn), order, 0);
}

/* Every order at its first, its second and its last place; nothing else changes. */
static void every_order(void **state)
{
    (void)state;
    const uint64_t base = 4 * (uint64_t)SECTION;
    const uint64_t frames = 8 * (uint64_t)SECTION;
    struct fixture f;
    fixture_simple(&f, base, frames);
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        uint64_t run = UINT64_C(1) << order;
        const uint64_t places[] = {base, base + run, base + frames - run};
        for (int i = 0; i < 3; i++) {
            uint64_t length = 0;
            assert_ok(try_at(&f, places[i], order));
            assert_int_equal(quire_zone_free_frames(&f.zone), frames - run);
            assert_state(&f, places[i], 1, QUIRE_FRAME_USED);
            assert_ok(quire_zone_run_length(&f.zone, at(places[i]), &length));
            assert_int_equal(length, run);
            assert_int_equal(try_at(&f, places[i], order), QUIRE_ERR_BUSY);
            assert_int_equal(try_at(&f, places[i] + run - 1, 0), QUIRE_ERR_BUSY);
            must_free(&f, places[i], order);
        }
        assert_sound(&f, frames);
    }
    fixture_close(&f);
}

/* Blocks that were split and are wholly free, as homes or not, are as good as whole ones. */
static void split_blocks(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 0, 4 * BLOCK);
    for (uint32_t s = 0; s < 4; s++) {
        assert_ok(quire_zone_alloc(&f.zone, slot(s), 0, s % 2 ? QUIRE_MOVABLE : 0, &pfn));
        assert_ok(quire_zone_free(&f.zone, slot(s), pfn, 0));
    }
    for (uint64_t b = 0; b < 4; b++) {
        assert_ok(try_at(&f, b * BLOCK, 9));
    }
    assert_sound(&f, 0);
    for (uint64_t b = 0; b < 4; b++) {
        must_free(&f, b * BLOCK, 9);
    }
    assert_ok(try_at(&f, BLOCK + 256, 8));
    assert_ok(try_at(&f, BLOCK, 8));
    assert_refused(&f, try_at(&f, BLOCK, 9), QUIRE_ERR_BUSY);
    fixture_close(&f);
}

/* One frame in use in the last block of a long run: all that was claimed before is given back. */
static void busy_at_the_end(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 2 * (uint64_t)SECTION);
    assert_ok(try_at(&f, 2 * (uint64_t)SECTION - 1, 0));
    for (unsigned order = 1; order <= 18; order++) {
        uint64_t pfn = 2 * (uint64_t)SECTION - (UINT64_C(1) << order);
        assert_refused(&f, try_at(&f, pfn, order), QUIRE_ERR_BUSY);
    }
    must_free(&f, 2 * (uint64_t)SECTION - 1, 0);
    assert_ok(try_at(&f, 0, 19));
    fixture_close(&f);
}

static void not_to_be_had(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 100, 3 * BLOCK);
    fixture_reserved(&f, 4 * BLOCK, BLOCK);
    fixture_open(&f);
    assert_refused(&f, try_at(&f, 99, 0), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, 0, 9), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, 0, 10), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, 4 * BLOCK, 0), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, 4 * BLOCK, 9), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, UINT64_C(1) << 40, 20), QUIRE_ERR_FRAME);
    assert_refused(&f, try_at(&f, UINT64_MAX - 1, 1), QUIRE_ERR_FRAME);
    fixture_close(&f);
}

static void floor_holds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    f.config.min = f.config.low = f.config.high = BLOCK + 1;
    fixture_usable(&f, 0, 2 * BLOCK);
    fixture_open(&f);
    assert_refused(&f, try_at(&f, 0, 9), QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(0), 9, QUIRE_HIGH));
    assert_refused(&f, quire_zone_alloc_at(&f.zone, slot(0), at(BLOCK), 9, QUIRE_HIGH),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(BLOCK), 9, QUIRE_EMERGENCY));
    assert_sound(&f, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order),     cmocka_unit_test(split_blocks),
        cmocka_unit_test(busy_at_the_end), cmocka_unit_test(not_to_be_had),
        cmocka_unit_test(floor_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
