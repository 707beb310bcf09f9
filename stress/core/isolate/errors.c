/* SPDX-License-Identifier: MIT
 *
 * errors.c - every refusal of the isolation calls, and bad frees into an isolated range.
 */
#include "isolation_fixture.h"

enum { BLOCKS = 8, ALL = BLOCKS * BLOCK };

static void refusals(void **state)
{
    (void)state;
    struct isolating t;
    struct quire_run run = {at(0), BLOCK};
    isolating_simple(&t, BLOCKS, true);
    struct quire_zone *z = &t.f.zone;
    assert_refused(&t.f, isolate(&t, 0, 0), QUIRE_ERR_SIZE);
    assert_refused(&t.f, isolate(&t, 0, UINT64_MAX / BLOCK * BLOCK), QUIRE_ERR_SIZE);
    assert_refused(&t.f, isolate(&t, 1, BLOCK), QUIRE_ERR_ALIGN);
    assert_refused(&t.f, isolate(&t, 0, BLOCK + 1), QUIRE_ERR_ALIGN);
    assert_refused(&t.f, isolate(&t, 0, ALL + BLOCK), QUIRE_ERR_FRAME);
    assert_refused(&t.f, isolate(&t, ALL, BLOCK), QUIRE_ERR_FRAME);
    assert_refused(&t.f, isolate(&t, UINT64_MAX - BLOCK + 1, BLOCK), QUIRE_ERR_FRAME);
    assert_refused(&t.f, quire_zone_isolate(z, slot(4), run, t.held, &t.iso), QUIRE_ERR_SIZE);
    assert_refused(&t.f, commit(&t), QUIRE_ERR_STATE);
    assert_refused(&t.f, undo(&t), QUIRE_ERR_STATE);
    assert_refused(&t.f, quire_zone_isolated(z, slot(0), &t.iso, NULL, 0, &t.count, &t.frames),
                   QUIRE_ERR_STATE);
    assert_null(t.iso.held);
    assert_ok(isolate(&t, 0, BLOCK));
    assert_refused(&t.f, isolate(&t, BLOCK, BLOCK), QUIRE_ERR_INITIALISED);
    assert_refused(&t.f, quire_zone_isolate_commit(z, slot(4), &t.iso), QUIRE_ERR_SIZE);
    assert_refused(&t.f, quire_zone_isolate_undo(z, slot(4), &t.iso), QUIRE_ERR_SIZE);
    assert_refused(&t.f, quire_zone_isolated(z, slot(4), &t.iso, NULL, 0, &t.count, &t.frames),
                   QUIRE_ERR_SIZE);
    assert_ok(undo(&t));
    assert_refused(&t.f, undo(&t), QUIRE_ERR_STATE);
    assert_sound(&t.f, ALL);
    fixture_close(&t.f);
}

/* A range with a gap in the zone's memory, of sections without metadata. */
static void gap(void **state)
{
    (void)state;
    struct isolating t = {.count = 0};
    fixture_begin(&t.f);
    fixture_usable(&t.f, 0, SECTION);
    fixture_usable(&t.f, 8ull * SECTION, SECTION);
    fixture_open(&t.f);
    assert_refused(&t.f, isolate(&t, SECTION - BLOCK, 2 * BLOCK), QUIRE_ERR_FRAME);
    assert_refused(&t.f, isolate(&t, SECTION - BLOCK, 7ull * SECTION + 2 * BLOCK), QUIRE_ERR_FRAME);
    assert_ok(isolate(&t, SECTION - BLOCK, BLOCK));
    assert_ok(undo(&t));
    fixture_close(&t.f);
}

static void overlaps(void **state)
{
    (void)state;
    struct isolating t;
    struct quire_isolation more[QUIRE_ISOLATIONS] = {{.held = NULL}};
    struct quire_isolated_frames held[QUIRE_ISOLATIONS];
    isolating_simple(&t, 32, true);
    struct quire_zone *z = &t.f.zone;
    assert_ok(isolate(&t, 4 * BLOCK, 4 * BLOCK));
    static const uint64_t ranges[][2] = {{4, 4}, {3, 2}, {5, 1}, {7, 3}, {0, 16}, {4, 1}, {7, 1}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct quire_run run = {at(ranges[i][0] * BLOCK), ranges[i][1] * BLOCK};
        struct quire_isolated_frames many[16];
        assert_refused(&t.f, quire_zone_isolate(z, slot(0), run, many, &more[0]), QUIRE_ERR_BUSY);
        assert_null(more[0].held);
        assert_figures(&t, 32 * BLOCK, 0, 4);
    }
    for (uint64_t i = 0; i + 1 < QUIRE_ISOLATIONS; i++) {
        struct quire_run run = {at((8 + i) * BLOCK), BLOCK};
        assert_ok(quire_zone_isolate(z, slot(0), run, &held[i], &more[i]));
    }
    struct quire_run run = {at(0), BLOCK};
    struct quire_isolation *last = &more[QUIRE_ISOLATIONS - 1];
    assert_refused(&t.f, quire_zone_isolate(z, slot(0), run, &held[QUIRE_ISOLATIONS - 1], last),
                   QUIRE_ERR_FULL);
    assert_ok(commit(&t));
    assert_ok(quire_zone_isolate(z, slot(0), run, &held[QUIRE_ISOLATIONS - 1], last));
    assert_figures(&t, 28 * BLOCK, 4 * BLOCK, QUIRE_ISOLATIONS);
    for (size_t i = 0; i < QUIRE_ISOLATIONS; i++)
        assert_ok(quire_zone_isolate_undo(z, slot(0), &more[i]));
    assert_sound(&t.f, 28 * BLOCK);
    fixture_close(&t.f);
}

/* A frame that the isolation holds is freed. Without frame bytes, one beside used frames is found
 * at the next look. */
static void bad_frees(bool run_map)
{
    struct isolating t;
    isolating_simple(&t, 2, run_map);
    assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(5), 0, 0));
    assert_ok(isolate(&t, 0, BLOCK));
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(64), 0), QUIRE_ERR_DOUBLE_FREE);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(64), 6), QUIRE_ERR_DOUBLE_FREE);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(0), 9), QUIRE_ERR_ORDER);
    t.f.heard.reports = 0;
    if (run_map) { /* and frame bytes */
        assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(6), 0), QUIRE_ERR_DOUBLE_FREE);
        assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(7), 0), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(look(&t), 1);
        assert_ok(undo(&t));
        assert_sound(&t.f, 2 * BLOCK - 1);
        fixture_close(&t.f);
        return;
    }
    (void)quire_zone_free(&t.f.zone, slot(0), at(6), 0);
    assert_int_equal(t.f.heard.reports, 0);
    assert_int_equal(look(&t), 1);
    assert_int_equal(t.f.heard.reports, 1);
    assert_int_equal(t.f.heard.report, QUIRE_REPORT_BAD_FREE);
    assert_int_equal(t.f.heard.report_error, QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(t.f.heard.report_pfn, 6);
    assert_sound(&t.f, BLOCK);
    (void)quire_zone_free(&t.f.zone, slot(0), at(7), 0);
    assert_ok(undo(&t));
    assert_int_equal(t.f.heard.reports, 2);
    assert_int_equal(t.f.heard.report_pfn, 7);
    assert_sound(&t.f, 2 * BLOCK - 1);
    fixture_close(&t.f);
}

static void found_later(void **state)
{
    (void)state;
    bad_frees(true);
    bad_frees(false);
}

/* The list of what is in the way is cut, the number of frames is not. */
static void short_list(void **state)
{
    (void)state;
    struct isolating t;
    isolating_simple(&t, 2, true);
    for (uint64_t n = 0; n < BLOCK; n += 100)
        assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(n), 0, 0));
    assert_ok(isolate(&t, 0, BLOCK));
    for (size_t room = 0; room < 8; room++) {
        assert_ok(quire_zone_isolated(&t.f.zone, slot(0), &t.iso, room ? t.used : NULL, room,
                                      &t.count, &t.frames));
        assert_int_equal(t.count, room < 6 ? room : 6);
        assert_int_equal(t.frames, 6);
    }
    assert_ok(undo(&t));
    fixture_close(&t.f);
}

/* An isolation takes frames whatever the watermarks say; the port hears of it. */
static void watermarks(void **state)
{
    (void)state;
    struct isolating t = {.count = 0};
    fixture_begin(&t.f);
    fixture_usable(&t.f, 0, ALL);
    t.f.config.min = 100;
    t.f.config.low = 200;
    t.f.config.high = 300;
    fixture_open(&t.f);
    assert_ok(isolate(&t, 0, ALL));
    assert_int_equal(t.f.heard.event_count, 2);
    assert_int_equal(t.f.heard.events[0], QUIRE_EVENT_LOW);
    assert_int_equal(t.f.heard.events[1], QUIRE_EVENT_MIN);
    assert_sound(&t.f, 0);
    assert_int_equal(quire_zone_pressure(&t.f.zone), 100);
    assert_ok(undo(&t));
    assert_int_equal(t.f.heard.event_count, 3);
    assert_int_equal(t.f.heard.events[2], QUIRE_EVENT_RECOVERED);
    fixture_close(&t.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),    cmocka_unit_test(gap),        cmocka_unit_test(overlaps),
        cmocka_unit_test(found_later), cmocka_unit_test(short_list), cmocka_unit_test(watermarks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
