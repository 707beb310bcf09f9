/* SPDX-License-Identifier: MIT
 *
 * states.c - blocks of every kind are isolated, emptied, committed and given back.
 */
#include "isolation_fixture.h"

enum { BLOCKS = 8, ALL = BLOCKS * BLOCK };

/* Nobody gets a frame of the range: take what there is, one by one, and give it back. */
static void assert_kept_out(struct isolating *t, uint64_t pfn, uint64_t frames)
{
    static quire_pfn got[ALL];
    size_t n = 0;
    while (!quire_zone_alloc(&t->f.zone, slot(2), 0, QUIRE_EMERGENCY, &got[n]))
        n++;
    for (size_t i = 0; i < n; i++) {
        assert_true(got[i].n - pfn >= frames);
        assert_ok(quire_zone_free(&t->f.zone, slot(2), got[i], 0));
    }
}

static void free_blocks(bool run_map, bool fresh)
{
    struct isolating t;
    isolating_simple(&t, BLOCKS, run_map);
    if (!fresh) {
        static quire_pfn pfns[ALL];
        size_t got;
        assert_ok(quire_zone_alloc_batch(&t.f.zone, slot(0), 0, ALL, pfns, &got));
        assert_ok(quire_zone_free_batch(&t.f.zone, slot(0), pfns, got, NULL));
    }
    assert_ok(isolate(&t, 2 * BLOCK, 3 * BLOCK));
    assert_sound(&t.f, ALL - 3 * BLOCK);
    assert_figures(&t, ALL, 0, 3);
    assert_state(&t.f, 2 * BLOCK, 3 * BLOCK, QUIRE_FRAME_ISOLATED);
    assert_int_equal(look(&t), 0);
    assert_kept_out(&t, 2 * BLOCK, 3 * BLOCK);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(2 * BLOCK), 0),
                   QUIRE_ERR_DOUBLE_FREE);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(2 * BLOCK), 9),
                   QUIRE_ERR_DOUBLE_FREE);
    assert_ok(undo(&t));
    assert_sound(&t.f, ALL);
    assert_figures(&t, ALL, 0, 0);
    assert_int_equal(must_alloc(&t.f, 12), 0);
    must_free(&t.f, 0, 12);
    assert_ok(isolate(&t, 2 * BLOCK, 3 * BLOCK));
    assert_ok(commit(&t));
    assert_sound(&t.f, ALL - 3 * BLOCK);
    assert_figures(&t, ALL - 3 * BLOCK, 3 * BLOCK, 0);
    assert_state(&t.f, 2 * BLOCK, 3 * BLOCK, QUIRE_FRAME_RESERVED);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(2 * BLOCK), 0), QUIRE_ERR_FRAME);
    assert_ok(quire_zone_unreserve(&t.f.zone, slot(0), at(2 * BLOCK), 3 * BLOCK));
    assert_sound(&t.f, ALL);
    assert_int_equal(must_alloc(&t.f, 12), 0);
    fixture_close(&t.f);
}

static void never_split(void **state)
{
    (void)state;
    free_blocks(true, true);
    free_blocks(false, true);
}

static void whole_again(void **state)
{
    (void)state;
    free_blocks(true, false);
    free_blocks(false, false);
}

/* A block that is a slot's home, with frames and runs in it. */
static void split_block(void **state)
{
    (void)state;
    struct isolating t;
    isolating_simple(&t, BLOCKS, true);
    uint64_t one = must_alloc(&t.f, 0), b = one / BLOCK * BLOCK;
    quire_pfn run = at(b + 64), odd = at(b + 130);
    assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), run, 6, 0));
    struct quire_contig want = {.frames = 200, .low = quire_phys(odd)};
    assert_ok(quire_zone_alloc_contig(&t.f.zone, slot(0), &want, 0, &odd));
    assert_int_equal(odd.n, b + 130);
    assert_ok(isolate(&t, b, BLOCK));
    assert_sound(&t.f, ALL - BLOCK);
    assert_kept_out(&t, b, BLOCK);
    assert_used(&t, one, 1, run.n, 64, b + 130, 200);
    assert_int_equal(t.frames, 265);
    assert_int_equal(commit(&t), QUIRE_ERR_BUSY);
    assert_true(must_alloc(&t.f, 0) / BLOCK * BLOCK != b);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), run, 5), QUIRE_ERR_ORDER);
    assert_ok(quire_zone_free_any(&t.f.zone, slot(0), run));
    assert_sound(&t.f, ALL - BLOCK - 1 + 64);
    assert_used(&t, one, 1, b + 130, 200);
    assert_sound(&t.f, ALL - BLOCK - 1);
    assert_ok(quire_zone_split(&t.f.zone, slot(0), at(one), 0));
    must_free(&t.f, one, 0);
    assert_used(&t, b + 130, 200);
    assert_ok(quire_zone_free_contig(&t.f.zone, slot(0), odd, 200));
    assert_ok(commit(&t));
    assert_sound(&t.f, ALL - BLOCK - 1);
    assert_figures(&t, ALL - BLOCK, BLOCK, 0);
    fixture_close(&t.f);
}

/* Given back while frames are used: they stay used, the rest can be had at once. */
static void split_undone(bool run_map)
{
    struct isolating t;
    isolating_simple(&t, 1, run_map);
    quire_pfn pfn;
    for (uint64_t n = 0; n < BLOCK; n += 50)
        assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(n), 0, 0));
    assert_ok(isolate(&t, 0, BLOCK));
    assert_sound(&t.f, 0);
    assert_int_equal(quire_zone_alloc(&t.f.zone, slot(0), 0, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    must_free(&t.f, 50, 0);
    must_free(&t.f, 150, 0);
    assert_int_equal(quire_zone_alloc(&t.f.zone, slot(0), 0, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_sound(&t.f, 2);
    assert_int_equal(look(&t), 9);
    assert_sound(&t.f, 0);
    must_free(&t.f, 100, 0);
    assert_ok(undo(&t));
    assert_sound(&t.f, BLOCK - 8);
    for (int i = 0; i < BLOCK - 8; i++)
        (void)must_alloc(&t.f, 0);
    assert_sound(&t.f, 0);
    fixture_close(&t.f);
}

static void undone(void **state)
{
    (void)state;
    split_undone(true);
    split_undone(false);
}

/* Runs of whole blocks: one inside, one that only ends in the range. */
static void whole_runs(void **state)
{
    (void)state;
    struct isolating t;
    isolating_simple(&t, BLOCKS, true);
    assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(0), 11, 0));
    assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(4 * BLOCK), 9, 0));
    assert_ok(isolate(&t, 2 * BLOCK, 4 * BLOCK));
    assert_used(&t, 0, 4 * BLOCK, 4 * BLOCK, BLOCK);
    assert_int_equal(t.frames, 3 * BLOCK);
    assert_sound(&t.f, 2 * BLOCK);
    must_free(&t.f, 0, 11);
    assert_sound(&t.f, 6 * BLOCK);
    assert_kept_out(&t, 2 * BLOCK, 4 * BLOCK);
    assert_used(&t, 4 * BLOCK, BLOCK);
    assert_sound(&t.f, 4 * BLOCK);
    must_free(&t.f, 4 * BLOCK, 9);
    quire_pfn pfn;
    assert_int_equal(quire_zone_alloc(&t.f.zone, slot(0), 11, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_ok(commit(&t));
    assert_sound(&t.f, 4 * BLOCK);
    fixture_close(&t.f);
}

/* A run of whole blocks that its owner turns into frames, and frames that cannot be turned back. */
static void shape(void **state)
{
    (void)state;
    struct isolating t;
    isolating_simple(&t, BLOCKS, true);
    assert_ok(quire_zone_alloc_at(&t.f.zone, slot(0), at(2 * BLOCK), 10, 0));
    assert_ok(isolate(&t, 2 * BLOCK, BLOCK));
    assert_ok(quire_zone_split(&t.f.zone, slot(0), at(2 * BLOCK), 10));
    assert_figures(&t, ALL, 0, 1);
    assert_int_equal(look(&t), BLOCK);
    assert_int_equal(quire_zone_join(&t.f.zone, slot(0), at(2 * BLOCK)), QUIRE_ERR_BUSY);
    assert_ok(quire_zone_join(&t.f.zone, slot(0), at(3 * BLOCK)));
    for (uint64_t n = 0; n < BLOCK; n++)
        must_free(&t.f, 2 * BLOCK + n, 0);
    assert_kept_out(&t, 2 * BLOCK, BLOCK);
    assert_ok(commit(&t));
    must_free(&t.f, 3 * BLOCK, 9);
    assert_sound(&t.f, ALL - BLOCK);
    fixture_close(&t.f);
}

/* A run that crosses both ends of the range is listed once, with its own start and length. */
static void crossing(bool run_map)
{
    struct isolating t;
    isolating_simple(&t, BLOCKS, run_map);
    struct quire_contig want = {.frames = 3 * BLOCK, .low = quire_phys(at(BLOCK + 100))};
    quire_pfn pfn;
    assert_ok(quire_zone_alloc_contig(&t.f.zone, slot(0), &want, 0, &pfn));
    assert_int_equal(pfn.n, BLOCK + 100);
    assert_ok(isolate(&t, 2 * BLOCK, 2 * BLOCK));
    if (run_map)
        assert_used(&t, pfn.n, 3 * BLOCK);
    else
        assert_used(&t, 2 * BLOCK, 2 * BLOCK);
    assert_int_equal(t.frames, 2 * BLOCK);
    assert_ok(quire_zone_free_contig(&t.f.zone, slot(0), pfn, 3 * BLOCK));
    assert_sound(&t.f, ALL);
    assert_ok(commit(&t));
    assert_sound(&t.f, ALL - 2 * BLOCK);
    fixture_close(&t.f);
}

static void crossing_runs(void **state)
{
    (void)state;
    crossing(true);
    crossing(false);
}

/* Holes, reserved frames and reserved blocks stay what they are; the end of the zone lies inside a
 * block. */
static void pinned(void **state)
{
    (void)state;
    struct isolating t = {.count = 0};
    uint64_t last = 4 * BLOCK - 100;
    fixture_begin(&t.f);
    fixture_usable(&t.f, 0, last - BLOCK);
    fixture_reserved(&t.f, last - BLOCK, 50);
    fixture_usable(&t.f, last - BLOCK + 50, BLOCK - 50);
    fixture_open(&t.f);
    uint64_t all = last - 50;
    assert_ok(quire_zone_reserve(&t.f.zone, slot(0), at(BLOCK), BLOCK));
    all -= BLOCK;
    assert_ok(isolate(&t, 0, 4 * BLOCK));
    assert_sound(&t.f, 0);
    assert_int_equal(look(&t), 0);
    assert_state(&t.f, last - BLOCK, 50, QUIRE_FRAME_RESERVED);
    assert_state(&t.f, last, 100, QUIRE_FRAME_HOLE);
    assert_refused(&t.f, quire_zone_free(&t.f.zone, slot(0), at(last), 0), QUIRE_ERR_FRAME);
    assert_ok(undo(&t));
    assert_sound(&t.f, all);
    assert_ok(isolate(&t, 0, 4 * BLOCK));
    assert_ok(quire_zone_unreserve(&t.f.zone, slot(0), at(last - BLOCK), 10));
    assert_ok(quire_zone_unreserve(&t.f.zone, slot(0), at(BLOCK + 7), 20));
    assert_sound(&t.f, 30);
    assert_figures(&t, all + 30, BLOCK + 50 - 30, 4);
    assert_ok(commit(&t));
    assert_sound(&t.f, 0);
    assert_figures(&t, 0, all + BLOCK + 50, 0);
    assert_state(&t.f, last, 100, QUIRE_FRAME_HOLE);
    assert_state(&t.f, 0, last, QUIRE_FRAME_RESERVED);
    assert_int_equal(quire_zone_unreserve(&t.f.zone, slot(0), at(0), last + 1), QUIRE_ERR_FRAME);
    assert_ok(quire_zone_unreserve(&t.f.zone, slot(0), at(0), last));
    assert_sound(&t.f, all + BLOCK + 50);
    for (uint64_t i = 0; i < last; i++)
        (void)must_alloc(&t.f, 0);
    fixture_close(&t.f);
}

/* Requests for given places see an isolated range as in use. */
static void given_places(void **state)
{
    (void)state;
    struct isolating t;
    isolating_simple(&t, BLOCKS, true);
    uint64_t one = must_alloc(&t.f, 0), b = one / BLOCK * BLOCK;
    assert_ok(isolate(&t, b, BLOCK));
    must_free(&t.f, one, 0);
    for (unsigned order = 0; order <= 9; order++)
        assert_refused(&t.f, quire_zone_alloc_at(&t.f.zone, slot(0), at(b), order, 0),
                       QUIRE_ERR_BUSY);
    assert_refused(&t.f, quire_zone_reserve(&t.f.zone, slot(0), at(b), 3), QUIRE_ERR_BUSY);
    struct quire_contig want = {
        .frames = 1, .low = quire_phys(at(b)), .high = quire_phys(at(b + BLOCK)) - 1};
    quire_pfn pfn;
    assert_refused(&t.f, quire_zone_alloc_contig(&t.f.zone, slot(0), &want, 0, &pfn),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(undo(&t));
    fixture_close(&t.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_split),   cmocka_unit_test(whole_again),
        cmocka_unit_test(split_block),   cmocka_unit_test(undone),
        cmocka_unit_test(whole_runs),    cmocka_unit_test(shape),
        cmocka_unit_test(crossing_runs), cmocka_unit_test(pinned),
        cmocka_unit_test(given_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
