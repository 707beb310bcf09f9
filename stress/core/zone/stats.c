/* SPDX-License-Identifier: MIT
 *
 * stats.c - figures of zones in states that can be worked out by hand, and reports of misuse.
 */
#include "stress/common/zone_fixture.h"

static struct quire_zone_stats stats_of(struct fixture *f)
{
    struct quire_zone_stats s;
    assert_ok(quire_zone_stats(&f->zone, &s));
    return s;
}

static void fresh_zone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_begin(&f);
    fixture_usable(&f, 4 * (uint64_t)SECTION, 4 * (uint64_t)SECTION);
    fixture_usable(&f, 8 * (uint64_t)SECTION + 2, 7);
    fixture_reserved(&f, 8 * (uint64_t)SECTION + 20, 5);
    fixture_open(&f);
    struct quire_zone_stats s = stats_of(&f);
    assert_int_equal(s.managed, 4 * (uint64_t)SECTION + 7);
    assert_int_equal(s.free, s.managed);
    assert_int_equal(s.reserved, 5);
    assert_int_equal(s.metadata_bytes, f.bytes);
    assert_int_equal(s.largest_run, 4 * (uint64_t)SECTION);
    assert_int_equal(s.whole_free_blocks, 4 * BLOCK);
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        /* 2..8 is 2-3, 4-7, 8 */
        uint64_t runs = order == 20 || order <= 2 ? 1 : 0;
        assert_int_equal(s.free_runs[order], runs);
        assert_in_range(s.unusable[order], 0, 1);
    }
    fixture_close(&f);
}

static void fragments(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 2 * BLOCK);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(256), 8, 0));
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(BLOCK + 1), 0, 0));
    struct quire_zone_stats s = stats_of(&f);
    /* 0..255; 512; 514, 515; 516..519; ... 768..1023 */
    static const uint64_t runs[10] = {1, 1, 1, 1, 1, 1, 1, 1, 2, 0};
    uint64_t below = 0;
    for (unsigned order = 0; order < 10; order++) {
        assert_int_equal(s.free_runs[order], runs[order]);
        assert_in_range(s.unusable[order], below * 1000 / s.free, below * 1000 / s.free + 1);
        below += runs[order] << order;
    }
    assert_int_equal(below, s.free);
    assert_int_equal(s.unusable[20], 1000);
    assert_int_equal(s.largest_run, 510);
    assert_int_equal(s.split_blocks, 2);
    assert_int_equal(s.whole_free_blocks, 0);
    fixture_close(&f);
}

static void empty_zone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 2 * BLOCK);
    (void)must_alloc(&f, 10);
    struct quire_zone_stats s = stats_of(&f);
    assert_int_equal(s.free, 0);
    assert_int_equal(s.largest_run, 0);
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        assert_int_equal(s.free_runs[order], 0);
        assert_int_equal(s.unusable[order], 0);
    }
    fixture_close(&f);
}

/* Runs of free blocks across a section's end are one stretch, but no aligned run. */
static void across_sections(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, SECTION - 2 * BLOCK, 4 * BLOCK);
    struct quire_zone_stats s = stats_of(&f);
    assert_int_equal(s.largest_run, 4 * BLOCK);
    assert_int_equal(s.free_runs[10], 2);
    fixture_close(&f);
}

static void each_error_counted(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_begin(&f);
    fixture_usable(&f, 0, BLOCK);
    fixture_reserved(&f, BLOCK, BLOCK);
    fixture_open(&f);
    uint64_t run = must_alloc(&f, 3);
    struct quire_zone *z = &f.zone;
    for (int i = 0; i < 3; i++) {
        (void)quire_zone_alloc(z, slot(0), 9, 0, &pfn);
        (void)quire_zone_alloc(z, slot(1), 21, 0, &pfn);
        (void)quire_zone_alloc(z, slot(2), 0, QUIRE_PARTIAL, &pfn);
        (void)quire_zone_free(z, slot(3), at(run + 1), 1);
        (void)quire_zone_free(z, slot(0), at(BLOCK), 0);
        (void)quire_zone_free(z, slot(1), at(run ^ 256), 0);
        (void)quire_zone_free(z, slot(2), at(run), 2);
        (void)quire_zone_alloc_at(z, slot(3), at(run), 0, 0);
    }
    struct quire_zone_stats s = stats_of(&f);
    static const int errors[] = {QUIRE_ERR_NO_MEMORY, QUIRE_ERR_SIZE,  QUIRE_ERR_UNSUPPORTED,
                                 QUIRE_ERR_ALIGN,     QUIRE_ERR_FRAME, QUIRE_ERR_DOUBLE_FREE,
                                 QUIRE_ERR_ORDER,     QUIRE_ERR_BUSY};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_int_equal(s.errors[-errors[i]], 3);
    }
    for (unsigned e = 1; e < QUIRE_ERRORS; e++) {
        sum += s.errors[e];
    }
    assert_int_equal(sum, 3 * sizeof errors / sizeof errors[0]);
    fixture_close(&f);
}

/* A refused free is reported with the frame and the error, besides being answered. */
static void bad_frees_are_reported(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 2 * BLOCK);
    uint64_t run = must_alloc(&f, 4);
    assert_int_equal(quire_zone_free(&f.zone, slot(0), at(run + 4), 2), QUIRE_ERR_ORDER);
    assert_int_equal(f.heard.reports, 1);
    assert_int_equal(f.heard.report, QUIRE_REPORT_BAD_FREE);
    assert_int_equal(f.heard.report_error, QUIRE_ERR_ORDER);
    assert_int_equal(f.heard.report_pfn, run + 4);
    (void)quire_zone_free(&f.zone, slot(0), at(run ^ 64), 0);
    assert_int_equal(f.heard.reports, 2);
    assert_int_equal(f.heard.report_error, QUIRE_ERR_DOUBLE_FREE);
    (void)quire_zone_free_any(&f.zone, slot(0), at(run + 1));
    assert_int_equal(f.heard.reports, 3);
    assert_int_equal(f.heard.report_error, QUIRE_ERR_ORDER);
    (void)quire_zone_free_contig(&f.zone, slot(0), at(run), 15);
    assert_int_equal(f.heard.reports, 4);
    quire_pfn batch[] = {at(run ^ 64)};
    (void)quire_zone_free_batch(&f.zone, slot(0), batch, 1, NULL);
    assert_int_equal(f.heard.reports, 5);
    must_free(&f, run, 4);
    assert_int_equal(f.heard.reports, 5);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_zone),         cmocka_unit_test(fragments),
        cmocka_unit_test(empty_zone),         cmocka_unit_test(across_sections),
        cmocka_unit_test(each_error_counted), cmocka_unit_test(bad_frees_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
