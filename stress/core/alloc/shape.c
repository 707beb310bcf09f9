/* SPDX-License-Identifier: MIT
 *
 * shape.c - runs that change shape in place: split into single frames, joined again.
 */
#include "stress/common/zone_fixture.h"

static void split_every_order(void **state)
{
    (void)state;
    const uint64_t base = 4 * (uint64_t)SECTION;
    struct fixture f;
    fixture_simple(&f, base, 4 * (uint64_t)SECTION);
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        uint64_t run = UINT64_C(1) << order;
        uint64_t pfn = must_alloc(&f, order);
        assert_ok(quire_zone_split(&f.zone, slot(1), at(pfn), order));
        assert_sound(&f, 4 * (uint64_t)SECTION - run);
        assert_state(&f, pfn, run, QUIRE_FRAME_USED);
        if (order > 0) {
            assert_refused(&f, quire_zone_free(&f.zone, slot(0), at(pfn), order), QUIRE_ERR_ORDER);
        }
        for (uint64_t i = 0; i < run; i++) {
            must_free(&f, pfn + (i ^ (run - 1)), 0);
        }
        assert_sound(&f, 4 * (uint64_t)SECTION);
    }
    (void)must_alloc(&f, 20);
    fixture_close(&f);
}

static void split_leaves_neighbours(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t length;
    fixture_simple(&f, 0, 2 * BLOCK);
    for (uint64_t n = 0; n < 64; n += 8) {
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(n), 3, 0));
    }
    assert_ok(quire_zone_split(&f.zone, slot(0), at(24), 3));
    assert_state(&f, 24, 8, QUIRE_FRAME_USED);
    for (uint64_t n = 0; n < 64; n += 8) {
        if (n != 24) {
            assert_ok(quire_zone_run_length(&f.zone, at(n), &length));
            assert_int_equal(length, 8);
            must_free(&f, n, 3);
        }
    }
    fixture_close(&f);
}

static void join_and_split(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t length;
    fixture_simple(&f, 0, 3 * BLOCK);
    for (uint64_t i = 0; i < 3 * BLOCK; i++) {
        (void)must_alloc(&f, 0);
    }
    for (int again = 0; again < 3; again++) {
        for (uint64_t b = 0; b < 3; b++) {
            assert_ok(quire_zone_join(&f.zone, slot(2), at(b * BLOCK)));
            assert_sound(&f, 0);
            assert_state(&f, b * BLOCK, 1, QUIRE_FRAME_USED);
            assert_state(&f, b * BLOCK + 1, BLOCK - 1, QUIRE_FRAME_INSIDE);
            assert_ok(quire_zone_run_length(&f.zone, at(b * BLOCK), &length));
            assert_int_equal(length, BLOCK);
            assert_refused(&f, quire_zone_join(&f.zone, slot(0), at(b * BLOCK)), QUIRE_ERR_ORDER);
        }
        for (uint64_t b = 0; b < 3; b++) {
            assert_ok(quire_zone_split(&f.zone, slot(3), at(b * BLOCK), 9));
        }
        assert_sound(&f, 0);
    }
    assert_ok(quire_zone_join(&f.zone, slot(0), at(BLOCK)));
    must_free(&f, BLOCK, 9);
    assert_int_equal(must_alloc(&f, 9), BLOCK);
    fixture_close(&f);
}

/* 512 single frames with one that is not, at every border of a word. */
static void join_refused(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 1, 63, 64, 255, 256, 448, 510, 511};
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 0, 2 * BLOCK);
    fixture_reserved(&f, 2 * BLOCK, 1);
    fixture_open(&f);
    for (uint64_t i = 0; i < BLOCK; i++) {
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(i), 0, 0));
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        must_free(&f, places[i], 0);
        assert_refused(&f, quire_zone_join(&f.zone, slot(0), at(0)), QUIRE_ERR_DOUBLE_FREE);
        assert_ok(quire_zone_reserve(&f.zone, slot(0), at(places[i]), 1));
        assert_refused(&f, quire_zone_join(&f.zone, slot(0), at(0)), QUIRE_ERR_FRAME);
        assert_ok(quire_zone_unreserve(&f.zone, slot(0), at(places[i]), 1));
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(places[i]), 0, 0));
    }
    for (uint64_t pair = 510; pair < BLOCK; pair -= 102) { /* 510, 408, .. 0 */
        must_free(&f, pair, 0);
        must_free(&f, pair + 1, 0);
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(pair), 1, 0));
        assert_refused(&f, quire_zone_join(&f.zone, slot(0), at(0)), QUIRE_ERR_ORDER);
        assert_ok(quire_zone_split(&f.zone, slot(0), at(pair), 1));
    }
    must_free(&f, 510, 0);
    must_free(&f, 511, 0);
    struct quire_contig want = {.frames = 20, .low = 511 * (uint64_t)QUIRE_FRAME_SIZE};
    quire_pfn pfn;
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(510), 0, 0));
    assert_ok(quire_zone_alloc_contig(&f.zone, slot(0), &want, 0, &pfn));
    assert_int_equal(pfn.n, 511); /* a run that only begins in the block */
    assert_refused(&f, quire_zone_join(&f.zone, slot(0), at(0)), QUIRE_ERR_ORDER);
    assert_ok(quire_zone_free_contig(&f.zone, slot(0), pfn, 20));
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(511), 0, 0));
    assert_ok(quire_zone_join(&f.zone, slot(0), at(0)));
    fixture_close(&f);
}

/* A contiguous run has no order, even if it is as long as one. */
static void split_contig(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    struct quire_contig want = {.frames = 700};
    fixture_simple(&f, 0, 3 * BLOCK);
    assert_ok(quire_zone_alloc_contig(&f.zone, slot(0), &want, 0, &pfn));
    assert_refused(&f, quire_zone_split(&f.zone, slot(0), pfn, 9), QUIRE_ERR_ORDER);
    assert_refused(&f, quire_zone_split(&f.zone, slot(0), pfn, 0), QUIRE_ERR_ORDER);
    assert_refused(&f, quire_zone_join(&f.zone, slot(0), pfn), QUIRE_ERR_ORDER);
    assert_ok(quire_zone_free_contig(&f.zone, slot(0), pfn, 700));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_every_order), cmocka_unit_test(split_leaves_neighbours),
        cmocka_unit_test(join_and_split),    cmocka_unit_test(join_refused),
        cmocka_unit_test(split_contig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
