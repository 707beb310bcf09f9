/* SPDX-License-Identifier: MIT
 *
 * runs.c - n frames in as few runs as can be found.
 */
#include "stress/common/zone_fixture.h"

enum { ROOM = 2048 };

static struct quire_run runs[ROOM];

/* Take, check that the runs are disjoint and add up, and say how many they are. */
static size_t take(struct fixture *f, uint64_t frames, size_t capacity)
{
    size_t count = 0;
    uint64_t sum = 0;
    uint64_t before = quire_zone_free_frames(&f->zone);
    assert_ok(quire_zone_alloc_runs(&f->zone, slot(0), 0, frames, runs, capacity, &count));
    assert_in_range(count, 1, capacity);
    for (size_t i = 0; i < count; i++) {
        sum += runs[i].frames;
        assert_state(f, runs[i].pfn.n, 1, QUIRE_FRAME_USED);
        if (runs[i].frames > 1) {
            assert_state(f, runs[i].pfn.n + 1, runs[i].frames - 1, QUIRE_FRAME_INSIDE);
        }
    }
    assert_int_equal(sum, frames);
    assert_sound(f, before - frames);
    return count;
}

static void give(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_ok(quire_zone_free_contig(&f->zone, slot(1), runs[i].pfn, runs[i].frames));
    }
}

static void one_run_where_one_fits(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1, 2, 3, 63, 64, 65, 100, 511, 512, 513, 1000, 4 * BLOCK};
    struct fixture f;
    fixture_simple(&f, 0, 4 * BLOCK);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(take(&f, lengths[i], ROOM), 1);
        give(&f, 1);
        assert_int_equal(take(&f, lengths[i], 1), 1);
        give(&f, 1);
        assert_sound(&f, 4 * BLOCK);
    }
    fixture_close(&f);
}

static void more_than_a_section(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, SECTION, 3 * (uint64_t)SECTION);
    assert_int_equal(take(&f, 2 * (uint64_t)SECTION + 100 * BLOCK + 7, ROOM), 1);
    give(&f, 1);
    assert_sound(&f, 3 * (uint64_t)SECTION);
    fixture_close(&f);
}

/* Every second frame of a block in use: each run is one frame; with a whole block beside, the rest
 * comes from there in one piece. */
static void pieces(void **state)
{
    (void)state;
    struct fixture f;
    size_t count = 0;
    fixture_simple(&f, 0, 2 * BLOCK);
    for (uint64_t n = 0; n < BLOCK; n += 2) {
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(n), 0, 0));
    }
    assert_int_equal(take(&f, BLOCK + 10, ROOM), 10); /* frame 511 joins the block behind it */
    give(&f, 10);
    assert_refused(&f, quire_zone_alloc_runs(&f.zone, slot(0), 0, BLOCK + 10, runs, 9, &count),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(BLOCK), 9, 0));
    assert_int_equal(take(&f, BLOCK / 2, BLOCK / 2), BLOCK / 2);
    give(&f, BLOCK / 2);
    assert_refused(
        &f, quire_zone_alloc_runs(&f.zone, slot(0), 0, BLOCK / 2, runs, BLOCK / 2 - 1, &count),
        QUIRE_ERR_NO_MEMORY);
    fixture_close(&f);
}

static void refusals(void **state)
{
    (void)state;
    struct fixture f;
    size_t count = 0;
    fixture_begin(&f);
    f.config.min = f.config.low = f.config.high = 20;
    fixture_usable(&f, 0, 2 * BLOCK);
    fixture_open(&f);
    struct quire_zone *z = &f.zone;
    assert_refused(&f, quire_zone_alloc_runs(z, slot(0), 0, 0, runs, ROOM, &count), QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_alloc_runs(z, slot(9), 0, 1, runs, ROOM, &count), QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_alloc_runs(z, slot(0), QUIRE_PARTIAL, 1, runs, ROOM, &count),
                   QUIRE_ERR_UNSUPPORTED);
    assert_refused(&f, quire_zone_alloc_runs(z, slot(0), 0, UINT64_MAX, runs, ROOM, &count),
                   QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_alloc_runs(z, slot(0), 0, 2 * BLOCK - 19, runs, ROOM, &count),
                   QUIRE_ERR_NO_MEMORY);
    assert_int_equal(take(&f, 2 * BLOCK - 20, ROOM), 1);
    give(&f, 1);
    f.heard.zero_answer = QUIRE_ERR_BUSY;
    assert_refused(&f, quire_zone_alloc_runs(z, slot(0), QUIRE_ZEROED, 600, runs, ROOM, &count),
                   QUIRE_ERR_BUSY);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_run_where_one_fits),
        cmocka_unit_test(more_than_a_section),
        cmocka_unit_test(pieces),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
