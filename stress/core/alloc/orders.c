/* SPDX-License-Identifier: MIT
 *
 * orders.c - allocating and freeing runs of every order: alignment, exhaustion, that nothing is
 * handed out twice, that everything comes back, and that runs stay inside one stretch of memory.
 */
#include "stress/common/zone_fixture.h"

#include <stdlib.h>

/* Take runs of one order until refused. They must be aligned, disjoint, and as many as fit. */
static void exhaust(struct fixture *f, uint64_t base, uint64_t frames, unsigned order)
{
    uint64_t run = UINT64_C(1) << order;
    uint64_t most = frames >> order;
    bool *taken = calloc((size_t)most + 1, sizeof *taken);
    quire_pfn pfn;
    uint64_t count = 0;
    assert_non_null(taken);
    while (quire_zone_alloc(&f->zone, slot((uint32_t)(count % 4)), order, 0, &pfn) == 0) {
        assert_int_equal(pfn.n % run, 0);
        assert_in_range(pfn.n, base, base + frames - run);
        assert_false(taken[(pfn.n - base) >> order]);
        taken[(pfn.n - base) >> order] = true;
        count++;
    }
    assert_int_equal(count, most);
    assert_sound(f, frames - (most << order));
    for (uint64_t i = 0; i < most; i++) {
        assert_true(taken[i]);
        assert_ok(
            quire_zone_free(&f->zone, slot((uint32_t)(i % 3)), at(base + (i << order)), order));
    }
    assert_sound(f, frames);
    free(taken);
}

static void small_orders(void **state)
{
    (void)state;
    for (int run_map = 0; run_map < 2; run_map++) {
        struct fixture f;
        fixture_begin(&f);
        f.config.no_run_map = run_map == 0;
        fixture_usable(&f, 8 * BLOCK, 5 * BLOCK);
        fixture_open(&f);
        for (unsigned order = 0; order <= 9; order++) {
            exhaust(&f, 8 * BLOCK, 5 * BLOCK, order);
        }
        for (unsigned order = 10; order-- > 0;) {
            exhaust(&f, 8 * BLOCK, 5 * BLOCK, order);
        }
        fixture_close(&f);
    }
}

/* 8 GiB at a multiple of 4 GiB, so that every order fits without a rest. */
static void large_orders(void **state)
{
    (void)state;
    const uint64_t base = 4 * (uint64_t)SECTION;
    const uint64_t frames = 8 * (uint64_t)SECTION;
    struct fixture f;
    fixture_simple(&f, base, frames);
    for (unsigned order = 9; order <= QUIRE_MAX_ORDER; order++) {
        exhaust(&f, base, frames, order);
    }
    fixture_close(&f);
}

/* One frame in use anywhere spoils exactly the runs that hold it. */
static void one_frame_spoils(void **state)
{
    (void)state;
    const uint64_t base = 8 * (uint64_t)SECTION;
    const uint64_t used = base + 5 * (uint64_t)SECTION + 77 * BLOCK + 301;
    struct fixture f;
    fixture_simple(&f, base, 8 * (uint64_t)SECTION);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(used), 0, 0));
    for (unsigned order = 9; order <= QUIRE_MAX_ORDER; order++) {
        quire_pfn pfn;
        uint64_t count = 0;
        while (quire_zone_alloc(&f.zone, slot(0), order, 0, &pfn) == 0) {
            assert_true(used >> order != pfn.n >> order);
            count++;
        }
        assert_int_equal(count, (8 * (uint64_t)SECTION >> order) - 1);
        for (uint64_t n = base; n < base + 8 * (uint64_t)SECTION; n += UINT64_C(1) << order) {
            if (used >> order != n >> order) {
                must_free(&f, n, order);
            }
        }
        assert_sound(&f, 8 * (uint64_t)SECTION - 1);
    }
    must_free(&f, used, 0);
    fixture_close(&f);
}

/* Free single frames in an order that leaves no two neighbours together until late; then the
 * largest order must be there again. */
static void frames_become_whole_again(void **state)
{
    (void)state;
    const uint64_t base = 2 * (uint64_t)SECTION;
    struct fixture f;
    fixture_simple(&f, base, SECTION);
    for (uint64_t i = 0; i < SECTION; i++) {
        assert_true(must_alloc(&f, 0) >= base);
    }
    assert_sound(&f, 0);
    for (uint64_t i = 0; i < SECTION; i++) {
        must_free(&f, base + (i * 100003) % SECTION, 0);
    }
    assert_sound(&f, SECTION);
    assert_int_equal(must_alloc(&f, 18), base);
    must_free(&f, base, 18);
    fixture_close(&f);
}

/* Homes that are wholly free are not worth more than a larger request. */
static void homes_yield(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 4 * BLOCK);
    for (uint32_t s = 0; s < 4; s++) {
        quire_pfn pfn;
        const uint32_t flags[] = {QUIRE_UNMOVABLE, QUIRE_MOVABLE, QUIRE_UNMOVABLE, QUIRE_MOVABLE};
        assert_ok(quire_zone_alloc(&f.zone, slot(s), 0, flags[s], &pfn));
        assert_ok(quire_zone_free(&f.zone, slot(s), pfn, 0));
    }
    assert_int_equal(must_alloc(&f, 11), 0);
    must_free(&f, 0, 11);
    fixture_close(&f);
}

/* Memory that ends in the middle of an aligned run; sections that are neighbours by number in the
 * zone but not by address. */
static void runs_stay_in_extents(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_begin(&f);
    fixture_usable(&f, 6 * (uint64_t)SECTION, SECTION);                /* section 6, not 7 */
    fixture_usable(&f, 9 * (uint64_t)SECTION, SECTION);                /* 9, not 8 */
    fixture_usable(&f, 12 * (uint64_t)SECTION, 3 * (uint64_t)SECTION); /* 12, 13, 14, not 15 */
    fixture_open(&f);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 20, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(must_alloc(&f, 19), 12 * (uint64_t)SECTION);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 19, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    uint64_t seen = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t section = must_alloc(&f, 18) / SECTION;
        seen |= UINT64_C(1) << section;
    }
    assert_int_equal(seen, 1 << 6 | 1 << 9 | 1 << 14);
    assert_sound(&f, 0);
    must_free(&f, 6 * (uint64_t)SECTION, 18);
    must_free(&f, 9 * (uint64_t)SECTION, 18);
    must_free(&f, 12 * (uint64_t)SECTION, 19);
    must_free(&f, 14 * (uint64_t)SECTION, 18);
    fixture_close(&f);
}

/* Sections that touch make one stretch, wherever it starts. */
static void runs_cross_sections(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 7 * (uint64_t)SECTION, 5 * (uint64_t)SECTION);
    assert_int_equal(must_alloc(&f, 20), 8 * (uint64_t)SECTION);
    assert_int_equal(must_alloc(&f, 18), 7 * (uint64_t)SECTION);
    assert_sound(&f, 0);
    must_free(&f, 7 * (uint64_t)SECTION, 18);
    must_free(&f, 8 * (uint64_t)SECTION, 20);
    fixture_close(&f);
}

static void partial_blocks(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 100, 300); /* 28 frames up to 128, two runs of order 7, 16 more */
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 9, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 8, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    uint64_t a = must_alloc(&f, 7);
    uint64_t b = must_alloc(&f, 7);
    assert_int_equal(a + b, 128 + 256);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 7, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    for (int i = 0; i < 44; i++) {
        uint64_t n = must_alloc(&f, 0);
        assert_true((n >= 100 && n < 128) || (n >= 384 && n < 400));
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

static void zeroed_frames(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn = {5};
    fixture_simple(&f, 0, 2 * BLOCK);
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 4, QUIRE_ZEROED, &pfn));
    assert_int_equal(f.heard.zeroed, 16);
    f.heard.zero_answer = QUIRE_ERR_BUSY;
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 3, QUIRE_ZEROED, &pfn), QUIRE_ERR_BUSY);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 9, QUIRE_ZEROED, &pfn), QUIRE_ERR_BUSY);
    must_free(&f, 0, 4);
    fixture_close(&f);

    fixture_begin(&f);
    fixture_usable(&f, 0, BLOCK);
    f.config.port.zero = NULL;
    fixture_open(&f);
    assert_refused(&f, quire_zone_alloc(&f.zone, slot(0), 0, QUIRE_ZEROED, &pfn),
                   QUIRE_ERR_UNSUPPORTED);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_orders),        cmocka_unit_test(large_orders),
        cmocka_unit_test(one_frame_spoils),    cmocka_unit_test(frames_become_whole_again),
        cmocka_unit_test(homes_yield),         cmocka_unit_test(runs_stay_in_extents),
        cmocka_unit_test(runs_cross_sections), cmocka_unit_test(partial_blocks),
        cmocka_unit_test(zeroed_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
