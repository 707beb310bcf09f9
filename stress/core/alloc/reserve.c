/* SPDX-License-Identifier: MIT
 *
 * reserve.c - taking free frames out of use and putting them back.
 */
#include "stress/common/zone_fixture.h"

static int reserve(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    return quire_zone_reserve(&f->zone, slot(0), at(pfn), frames);
}

static int unreserve(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    return quire_zone_unreserve(&f->zone, slot(1), at(pfn), frames);
}

static void assert_figures(struct fixture *f, uint64_t managed, uint64_t reserved)
{
    struct quire_zone_stats s;
    assert_ok(quire_zone_stats(&f->zone, &s));
    assert_int_equal(s.managed, managed);
    assert_int_equal(s.reserved, reserved);
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        uint64_t pfn, frames;
    } ranges[] = {{0, 1},
                  {63, 1},
                  {63, 2},
                  {10, 100},
                  {0, BLOCK},
                  {1, BLOCK},
                  {511, 2},
                  {BLOCK, BLOCK},
                  {0, 3 * BLOCK},
                  {5, 3 * BLOCK - 10},
                  {300, 700},
                  {448, 128},
                  {BLOCK - 1, BLOCK + 2}};
    struct fixture f;
    fixture_simple(&f, 0, 3 * BLOCK);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        uint64_t n = ranges[i].frames;
        assert_ok(reserve(&f, ranges[i].pfn, n));
        assert_sound(&f, 3 * BLOCK - n);
        assert_state(&f, ranges[i].pfn, n, QUIRE_FRAME_RESERVED);
        assert_figures(&f, 3 * BLOCK - n, n);
        assert_refused(&f, reserve(&f, ranges[i].pfn + n - 1, 1), QUIRE_ERR_FRAME);
        assert_refused(&f, quire_zone_free(&f.zone, slot(0), at(ranges[i].pfn), 0),
                       QUIRE_ERR_FRAME);
        assert_refused(&f, unreserve(&f, ranges[i].pfn, n + 1), QUIRE_ERR_FRAME);
        assert_ok(unreserve(&f, ranges[i].pfn, n));
        assert_sound(&f, 3 * BLOCK);
        assert_figures(&f, 3 * BLOCK, 0);
        assert_state(&f, 0, 3 * BLOCK, QUIRE_FRAME_FREE);
    }
    for (int i = 0; i < 3; i++) {
        (void)must_alloc(&f, 9);
    }
    fixture_close(&f);
}

/* In pieces back, out of the order in which it went. */
static void in_pieces(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 4 * BLOCK);
    assert_ok(reserve(&f, 100, 3 * BLOCK));
    for (uint64_t i = 0; i < 3 * BLOCK; i += 32) {
        uint64_t n = 100 + (i * 37 % (3 * BLOCK));
        assert_ok(unreserve(&f, n, 32));
        assert_state(&f, n, 32, QUIRE_FRAME_FREE);
    }
    assert_sound(&f, 4 * BLOCK);
    assert_figures(&f, 4 * BLOCK, 0);
    assert_int_equal(must_alloc(&f, 11), 0);
    fixture_close(&f);
}

/* Memory that was reserved from the start becomes usable, a whole block and a part of one. */
static void reserved_from_the_start(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 0, BLOCK);
    fixture_reserved(&f, BLOCK, BLOCK);
    fixture_reserved(&f, 2 * BLOCK + 10, 20);
    fixture_open(&f);
    assert_figures(&f, BLOCK, BLOCK + 20);
    assert_ok(unreserve(&f, BLOCK + 7, 1));
    assert_ok(unreserve(&f, BLOCK, 7));
    assert_ok(unreserve(&f, BLOCK + 8, BLOCK - 8));
    assert_refused(&f, unreserve(&f, 2 * BLOCK + 9, 2), QUIRE_ERR_FRAME);
    assert_ok(unreserve(&f, 2 * BLOCK + 10, 20));
    assert_figures(&f, 2 * BLOCK + 20, 0);
    assert_state(&f, 2 * BLOCK + 30, 10, QUIRE_FRAME_HOLE);
    assert_int_equal(must_alloc(&f, 10), 0);
    for (int i = 0; i < 20; i++) {
        assert_in_range(must_alloc(&f, 0), 2 * BLOCK + 10, 2 * BLOCK + 29);
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

/* Each block that is reserved in part needs a pin. The configured number is enough, then they run
 * out with FULL, and whole blocks still can be reserved. */
static void pins_run_out(void **state)
{
    (void)state;
    enum { BLOCKS = 200, PINS = 5 };
    struct fixture f;
    fixture_begin(&f);
    f.config.spare_pins = PINS;
    fixture_usable(&f, 0, BLOCKS * BLOCK);
    fixture_open(&f);
    uint64_t b = 0;
    int error = QUIRE_OK;
    while (b < BLOCKS && (error = reserve(&f, b * BLOCK + 3, 2)) == QUIRE_OK) {
        b++;
    }
    assert_int_equal(error, QUIRE_ERR_FULL);
    assert_in_range(b, PINS, BLOCKS / 2);
    assert_sound(&f, BLOCKS * BLOCK - 2 * b);
    assert_refused(&f, reserve(&f, b * BLOCK, 1), QUIRE_ERR_FULL);
    assert_refused(&f, reserve(&f, b * BLOCK, BLOCK + 1), QUIRE_ERR_FULL);
    assert_state(&f, b * BLOCK, 2 * BLOCK, QUIRE_FRAME_FREE);
    assert_ok(reserve(&f, b * BLOCK, 2 * BLOCK));
    assert_refused(&f, unreserve(&f, b * BLOCK, 1), QUIRE_ERR_FULL);
    assert_ok(unreserve(&f, b * BLOCK, 2 * BLOCK));
    for (uint64_t i = 0; i < b; i++) {
        assert_ok(reserve(&f, i * BLOCK + 100, 50)); /* these blocks have theirs */
    }
    fixture_close(&f);
}

/* A zone whose memory is all reserved but one block, of which one frame of each block is put into
 * use. */
static void unreserve_one_of_each(uint32_t spare_pins, uint64_t expected)
{
    enum { BLOCKS = 512 };
    struct fixture f;
    fixture_begin(&f);
    f.config.spare_pins = spare_pins;
    fixture_usable(&f, 0, BLOCK);
    fixture_reserved(&f, BLOCK, BLOCKS * BLOCK);
    fixture_open(&f);
    uint64_t limit = quire_zone_spare_pins(&f.zone);
    assert_in_range(limit, expected, UINT32_MAX);
    for (uint64_t b = 1; b <= BLOCKS; b++) {
        if (b <= limit) {
            assert_ok(unreserve(&f, b * BLOCK + 77, 1));
            assert_int_equal(quire_zone_spare_pins(&f.zone), limit - b);
        } else {
            assert_refused(&f, unreserve(&f, b * BLOCK + 77, 1), QUIRE_ERR_FULL);
        }
    }
    assert_ok(unreserve(&f, BLOCK, 10)); /* a block that has its pin needs no other */
    fixture_close(&f);
}

/* How many blocks can be put into use in part is asked for, and can be read: as many at least, and
 * exactly so many as the zone says. */
static void part_of_each_reserved_block(void **state)
{
    (void)state;
    unreserve_one_of_each(0, 64);
    unreserve_one_of_each(300, 300);
    unreserve_one_of_each(QUIRE_PINS_ALL, 512);
}

/* Reserving knows no floor, and the frames of homes are not safe from it. */
static void everything(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    f.config.min = f.config.low = f.config.high = 2 * BLOCK;
    fixture_usable(&f, 0, 2 * BLOCK);
    fixture_open(&f);
    quire_pfn pfn;
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 0, QUIRE_EMERGENCY, &pfn));
    assert_ok(quire_zone_free(&f.zone, slot(0), pfn, 0));
    assert_ok(reserve(&f, 0, 2 * BLOCK));
    assert_sound(&f, 0);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 0, QUIRE_EMERGENCY, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(unreserve(&f, 0, 2 * BLOCK));
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 10, QUIRE_EMERGENCY, &pfn));
    fixture_close(&f);
}

static void busy_and_holes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 0, 3 * BLOCK - 5);
    fixture_open(&f);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(2 * BLOCK), 0, 0));
    assert_refused(&f, reserve(&f, 0, 2 * BLOCK + 1), QUIRE_ERR_BUSY);
    assert_refused(&f, reserve(&f, 2 * BLOCK, 1), QUIRE_ERR_BUSY);
    assert_refused(&f, reserve(&f, 3 * BLOCK - 6, 2), QUIRE_ERR_FRAME);
    assert_refused(&f, unreserve(&f, 3 * BLOCK - 5, 1), QUIRE_ERR_FRAME);
    assert_refused(&f, reserve(&f, 2 * BLOCK + 1, UINT64_MAX), QUIRE_ERR_SIZE);
    must_free(&f, 2 * BLOCK, 0);
    assert_ok(reserve(&f, 0, 2 * BLOCK + 1));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(reserved_from_the_start),
        cmocka_unit_test(pins_run_out),
        cmocka_unit_test(part_of_each_reserved_block),
        cmocka_unit_test(everything),
        cmocka_unit_test(busy_and_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
