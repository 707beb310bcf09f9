/* SPDX-License-Identifier: MIT
 *
 * range.c - frames in a row: ranges of single frames, parts of runs, and what a range is; beside a
 * model that knows each frame's run.
 */
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <string.h>

enum { FRAMES = 24 * BLOCK, BASE = 2 * SECTION + 8 * BLOCK };

static int free_part(struct fixture *f, uint64_t pfn, uint64_t frames, uint64_t part,
                     uint64_t part_frames)
{
    return quire_zone_free_part(&f->zone, slot(1), (struct quire_run){at(pfn), frames},
                                (struct quire_run){at(part), part_frames}, 0);
}

static int free_range(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    return quire_zone_free_range(&f->zone, slot(1), at(pfn), frames);
}

static struct quire_range_stats stats_of(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    struct quire_range_stats stats;

    assert_ok(quire_zone_range_stats(&f->zone, (struct quire_run){at(pfn), frames}, &stats));
    return stats;
}

/* The first frame of a run of any length from the lowest place on. */
static uint64_t must_contig(struct fixture *f, uint64_t frames)
{
    struct quire_contig want = {.frames = frames};
    quire_pfn pfn;

    assert_ok(quire_zone_alloc_contig(&f->zone, slot(0), &want, 0, &pfn));
    return pfn.n;
}

/* Of every order a part at the beginning, in the middle and at the end, and then the rest. */
static void parts_of_orders(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 4 * (uint64_t)SECTION, 4 * (uint64_t)SECTION);
    for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
        uint64_t n = UINT64_C(1) << order, part = n > 3 ? n / 4 + 1 : 1;
        for (uint64_t from = 0; from + part <= n; from += (n - part) / 2 + 1) {
            uint64_t pfn = must_alloc(&f, order);
            assert_ok(free_part(&f, pfn, n, pfn + from, part));
            assert_sound(&f, 4 * (uint64_t)SECTION - (n - part));
            assert_state(&f, pfn + from, part, QUIRE_FRAME_FREE);
            if (from > 0) {
                assert_state(&f, pfn, from, QUIRE_FRAME_USED);
                assert_ok(free_range(&f, pfn, from));
            }
            if (from + part < n) {
                assert_ok(free_range(&f, pfn + from + part, n - from - part));
            }
            assert_sound(&f, 4 * (uint64_t)SECTION);
        }
    }
    assert_int_equal(must_alloc(&f, 20), 4 * (uint64_t)SECTION);
    fixture_close(&f);
}

/* Of runs of no order, which cross blocks. */
static void parts_of_contiguous_runs(void **state)
{
    static const uint64_t lengths[] = {3, 65, 511, 513, 1024, 1500};
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint64_t n = lengths[i], before = must_alloc(&f, 0), pfn = must_contig(&f, n);
        assert_refused(&f, free_range(&f, pfn, n), QUIRE_ERR_ORDER);
        assert_refused(&f, free_part(&f, pfn, n - 1, pfn, 1), QUIRE_ERR_ORDER);
        assert_refused(&f, free_part(&f, pfn + 1, n - 1, pfn + 1, 1), QUIRE_ERR_ORDER);
        assert_ok(free_part(&f, pfn, n, pfn + 1, n - 2));
        assert_sound(&f, FRAMES - 3);
        must_free(&f, pfn, 0);
        must_free(&f, pfn + n - 1, 0);
        must_free(&f, before, 0);
    }
    assert_sound(&f, FRAMES);
    fixture_close(&f);
}

static void bad_parts(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    uint64_t pfn = must_alloc(&f, 9), other = must_alloc(&f, 0);
    assert_refused(&f, free_part(&f, pfn, BLOCK, pfn, 0), QUIRE_ERR_SIZE);
    assert_refused(&f, free_part(&f, pfn, BLOCK, pfn - 1, 2), QUIRE_ERR_SIZE);
    assert_refused(&f, free_part(&f, pfn, BLOCK, pfn + 1, BLOCK), QUIRE_ERR_SIZE);
    assert_refused(&f, free_part(&f, pfn, BLOCK, pfn + BLOCK, 1), QUIRE_ERR_SIZE);
    assert_refused(&f, free_part(&f, pfn, BLOCK, UINT64_MAX, 2), QUIRE_ERR_SIZE);
    assert_refused(&f, free_part(&f, pfn, BLOCK / 2, pfn, 8), QUIRE_ERR_ORDER);
    assert_refused(&f, free_part(&f, pfn, 2 * BLOCK, pfn, 8), QUIRE_ERR_ORDER);
    assert_refused(&f, free_part(&f, pfn + 64, 64, pfn + 64, 8), QUIRE_ERR_ORDER);
    assert_refused(&f, free_part(&f, 77, 4, 78, 1), QUIRE_ERR_FRAME);
    assert_refused(&f,
                   quire_zone_free_part(&f.zone, slot(0), (struct quire_run){at(pfn), BLOCK},
                                        (struct quire_run){at(pfn), 1}, QUIRE_ZEROED),
                   QUIRE_ERR_UNSUPPORTED);
    assert_refused(&f, quire_zone_split_contig(&f.zone, slot(0), at(pfn), BLOCK, QUIRE_HIGH),
                   QUIRE_ERR_UNSUPPORTED);
    assert_refused(&f, quire_zone_split_contig(&f.zone, slot(0), at(pfn), 0, 0), QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_split_contig(&f.zone, slot(0), at(pfn + 5), BLOCK, 0),
                   QUIRE_ERR_ORDER);
    assert_ok(free_part(&f, pfn, BLOCK, pfn + 7, 100));
    assert_refused(&f, free_part(&f, pfn, BLOCK, pfn + 7, 100), QUIRE_ERR_ORDER);
    assert_refused(&f, free_range(&f, pfn, 8), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(f.heard.reports, 6);
    must_free(&f, other, 0);
    fixture_close(&f);
}

/* A power of two of frames that no order has: no run, whatever begins there. */
static void longer_than_any_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, 9 * (uint64_t)SECTION);
    uint64_t pfn = must_alloc(&f, 9);
    assert_refused(&f, free_part(&f, pfn, UINT64_C(1) << 21, pfn, 1), QUIRE_ERR_ORDER);
    assert_refused(&f, free_part(&f, pfn + 2 * BLOCK, UINT64_C(1) << 21, pfn + 2 * BLOCK, 1),
                   QUIRE_ERR_DOUBLE_FREE);
    must_free(&f, pfn, 9);
    fixture_close(&f);
}

/* Of a bad range nothing is freed, and the first bad frame is told. */
static void bad_ranges(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    uint64_t pfn = must_alloc(&f, 10);
    assert_ok(quire_zone_split(&f.zone, slot(0), at(pfn), 10));
    for (uint64_t bad = 0; bad < 2 * BLOCK; bad += 73) {
        must_free(&f, pfn + bad, 0);
        assert_refused(&f, free_range(&f, pfn, 2 * BLOCK), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(f.heard.report_pfn, pfn + bad);
        assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(pfn + bad), 0, 0));
    }
    must_free(&f, pfn + 64, 0);
    must_free(&f, pfn + 65, 0);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(pfn + 64), 1, 0));
    assert_refused(&f, free_range(&f, pfn, 2 * BLOCK), QUIRE_ERR_ORDER);
    assert_int_equal(f.heard.report_pfn, pfn + 64);
    assert_refused(&f, free_range(&f, pfn, 0), QUIRE_ERR_SIZE);
    assert_refused(&f, free_range(&f, pfn, UINT64_MAX), QUIRE_ERR_SIZE);
    assert_refused(&f, free_range(&f, BASE + FRAMES - 1, 2), QUIRE_ERR_FRAME);
    assert_refused(&f, quire_zone_free_range(&f.zone, slot(4), at(pfn), 1), QUIRE_ERR_SIZE);
    fixture_close(&f);
}

/* What is left of a run of whole blocks is of the class that was asked for. */
static void class_of_the_rest(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    for (unsigned movable = 0; movable < 2; movable++) {
        uint64_t pfn = must_alloc(&f, 10);
        struct quire_range_stats stats;
        assert_ok(quire_zone_free_part(&f.zone, slot(0), (struct quire_run){at(pfn), 2 * BLOCK},
                                       (struct quire_run){at(pfn), BLOCK + 12},
                                       movable ? QUIRE_MOVABLE : 0));
        stats = stats_of(&f, pfn, 2 * BLOCK);
        assert_int_equal(stats.frames, 2 * BLOCK);
        assert_int_equal(stats.free[QUIRE_RANGE_WHOLE], BLOCK);
        assert_int_equal(stats.free[movable], 12);
        assert_int_equal(stats.used[movable], BLOCK - 12);
        assert_int_equal(stats.used[!movable] + stats.free[!movable], 0);
        assert_ok(free_range(&f, pfn + BLOCK + 12, BLOCK - 12));
    }
    fixture_close(&f);
}

/* Reserved frames, holes and isolated ones are told apart. */
static void what_is_not_handed_out(void **state)
{
    (void)state;
    struct fixture f;
    struct quire_isolated_frames held[1];
    struct quire_isolation isolation = {0};
    struct quire_range_stats stats;
    fixture_begin(&f);
    fixture_usable(&f, BASE, 300);
    fixture_reserved(&f, BASE + 300, 100);
    fixture_usable(&f, BASE + BLOCK, 3 * BLOCK);
    fixture_open(&f);
    stats = stats_of(&f, BASE, 4 * BLOCK);
    assert_int_equal(stats.free[QUIRE_RANGE_WHOLE], 3 * BLOCK);
    assert_int_equal(stats.free[QUIRE_RANGE_UNMOVABLE] + stats.free[QUIRE_RANGE_MOVABLE], 300);
    assert_int_equal(stats.reserved, 100);
    assert_int_equal(stats.holes, BLOCK - 400);
    stats = stats_of(&f, BASE + 290, 120);
    assert_int_equal(stats.free[QUIRE_RANGE_UNMOVABLE] + stats.free[QUIRE_RANGE_MOVABLE], 10);
    assert_int_equal(stats.reserved, 100);
    assert_int_equal(stats.holes, 10);
    assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(BASE + BLOCK + 5), 0, 0));
    assert_ok(quire_zone_isolate(&f.zone, slot(0), (struct quire_run){at(BASE + BLOCK), BLOCK},
                                 held, &isolation));
    stats = stats_of(&f, BASE + BLOCK, BLOCK);
    assert_int_equal(stats.used[QUIRE_RANGE_UNMOVABLE] + stats.used[QUIRE_RANGE_MOVABLE] +
                         stats.isolated,
                     BLOCK);
    assert_in_range(stats.isolated, BLOCK - 64, BLOCK - 1);
    assert_ok(quire_zone_isolate_undo(&f.zone, slot(0), &isolation));
    assert_int_equal(quire_zone_range_stats(&f.zone, (struct quire_run){at(BASE), 0}, &stats),
                     QUIRE_ERR_SIZE);
    assert_int_equal(quire_zone_range_stats(&f.zone, (struct quire_run){at(BASE - 1), 2}, &stats),
                     QUIRE_ERR_FRAME);
    fixture_close(&f);
}

/* A run of whole blocks becomes runs of one block each, which are freed one by one. */
static void into_blocks(void **state)
{
    static const unsigned orders[] = {10, 13, 18, 20};
    const uint64_t all = 4 * (uint64_t)SECTION;
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, all);
    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        uint64_t n = UINT64_C(1) << orders[i], pfn = must_alloc(&f, orders[i]);
        assert_ok(quire_zone_split_blocks(&f.zone, slot(1), at(pfn), orders[i]));
        assert_sound(&f, all - n);
        assert_refused(&f, quire_zone_split_blocks(&f.zone, slot(0), at(pfn), orders[i]),
                       QUIRE_ERR_ORDER);
        assert_refused(&f, quire_zone_free(&f.zone, slot(0), at(pfn), orders[i]), QUIRE_ERR_ORDER);
        assert_ok(free_part(&f, pfn + BLOCK, BLOCK, pfn + BLOCK, 7)); /* a run as any */
        assert_ok(free_range(&f, pfn + BLOCK + 7, BLOCK - 7));
        for (uint64_t odd = 0; odd < 2; odd++)
            for (uint64_t b = odd; b < n / BLOCK; b += 2)
                if (b != 1) {
                    must_free(&f, pfn + b * BLOCK, 9);
                }
        assert_sound(&f, all);
    }
    assert_int_equal(must_alloc(&f, 20), 0);
    fixture_close(&f);
}

static int split_blocks(struct fixture *f, uint64_t pfn, unsigned order)
{
    return quire_zone_split_blocks(&f->zone, slot(0), at(pfn), order);
}

static void bad_blocks(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    uint64_t pfn = must_alloc(&f, 11), before = must_alloc(&f, 0), contig = must_contig(&f, 1025);
    assert_refused(&f, split_blocks(&f, pfn, 9), QUIRE_ERR_SIZE);
    assert_refused(&f, split_blocks(&f, pfn, QUIRE_MAX_ORDER + 1), QUIRE_ERR_SIZE);
    assert_refused(&f, quire_zone_split_blocks(&f.zone, slot(4), at(pfn), 11), QUIRE_ERR_SIZE);
    assert_refused(&f, split_blocks(&f, pfn + BLOCK, 11), QUIRE_ERR_ALIGN);
    assert_refused(&f, split_blocks(&f, pfn, 10), QUIRE_ERR_ORDER);
    assert_refused(&f, split_blocks(&f, pfn + 2 * BLOCK, 10), QUIRE_ERR_ORDER);
    assert_refused(&f, split_blocks(&f, 8 * SECTION, 10), QUIRE_ERR_FRAME);
    assert_true(split_blocks(&f, (contig + 1023) & ~UINT64_C(1023), 10) != QUIRE_OK);
    must_free(&f, pfn, 11);
    assert_refused(&f, split_blocks(&f, pfn, 11), QUIRE_ERR_DOUBLE_FREE);
    assert_ok(quire_zone_free_contig(&f.zone, slot(0), at(contig), 1025));
    must_free(&f, before, 0);
    assert_sound(&f, FRAMES);
    fixture_close(&f);
}

/* ---- Beside a model ------------------------------------------------------------------------- */

/* Each frame's run: its first frame's place and its length; length 0: free. */
struct model {
    uint32_t first[FRAMES], length[FRAMES];
};

static void model_set(struct model *m, uint64_t pfn, uint64_t n, uint64_t run)
{
    for (uint64_t i = 0; i < n; i++) {
        m->first[pfn - BASE + i] = (uint32_t)(run > 1 ? pfn - BASE : pfn - BASE + i);
        m->length[pfn - BASE + i] = (uint32_t)run;
    }
}

static uint64_t model_free(const struct model *m, uint64_t from, uint64_t n)
{
    uint64_t frames = 0;

    for (uint64_t i = 0; i < n; i++)
        frames += m->length[from + i] == 0;
    return frames;
}

/* A range of single frames, some of which may not be: it is freed if all are. */
static void free_some_range(struct fixture *f, struct model *m, uint64_t from, uint64_t n)
{
    uint64_t single = 0;
    int error;

    for (uint64_t i = 0; i < n; i++)
        single += m->length[from + i] == 1;
    error = free_range(f, BASE + from, n);
    assert_int_equal(error == QUIRE_OK, single == n);
    if (!error)
        model_set(m, BASE + from, n, 0);
}

static void free_some_part(struct fixture *f, struct model *m, uint64_t *random, uint64_t place)
{
    uint64_t first = m->first[place], n = m->length[place], from, part;

    if (n == 0)
        return;
    from = random_below(random, n);
    part = 1 + random_below(random, n - from);
    assert_ok(free_part(f, BASE + first, n, BASE + first + from, part));
    model_set(m, BASE + first, n, 1);
    model_set(m, BASE + first + from, part, 0);
}

static void allocate_some(struct fixture *f, struct model *m, uint64_t *random)
{
    struct quire_contig want = {.frames = 1 + random_below(random, 700)};
    unsigned order = (unsigned)random_below(random, 11);
    quire_pfn pfn;

    if (random_below(random, 3) == 0) {
        if (!quire_zone_alloc_contig(&f->zone, slot(2), &want, 0, &pfn))
            model_set(m, pfn.n, want.frames, want.frames);
    } else if (!quire_zone_alloc(&f->zone, slot(3), order,
                                 random_below(random, 2) ? QUIRE_MOVABLE : 0, &pfn)) {
        model_set(m, pfn.n, UINT64_C(1) << order, UINT64_C(1) << order);
    }
}

static void compare(struct fixture *f, const struct model *m, uint64_t from, uint64_t n)
{
    struct quire_range_stats stats = stats_of(f, BASE + from, n);
    uint64_t free = 0, used = 0;

    for (unsigned i = 0; i < QUIRE_RANGE_CLASSES; i++) {
        free += stats.free[i];
        used += stats.used[i];
    }
    assert_int_equal(stats.frames, n);
    assert_int_equal(free, model_free(m, from, n));
    assert_int_equal(used, n - free);
}

static void random_parts(void **state)
{
    static struct model m;
    uint64_t random = 20261130;
    (void)state;
    struct fixture f;
    fixture_simple(&f, BASE, FRAMES);
    memset(&m, 0, sizeof(m));
    for (unsigned i = 0; i < 6000; i++) {
        uint64_t from = random_below(&random, FRAMES), n = 1 + random_below(&random, 1200);

        n = n < FRAMES - from ? n : FRAMES - from;
        switch (random_below(&random, 4)) {
        case 0:
            free_some_range(&f, &m, from, random_below(&random, 2) ? n : n % 9 + (n < 9 ? 0 : 1));
            break;
        case 1:
            free_some_part(&f, &m, &random, from);
            break;
        default:
            allocate_some(&f, &m, &random);
        }
        compare(&f, &m, from, n);
        if (i % 64 == 0) {
            assert_sound(&f, model_free(&m, 0, FRAMES));
        }
    }
    assert_sound(&f, model_free(&m, 0, FRAMES));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_orders),
        cmocka_unit_test(parts_of_contiguous_runs),
        cmocka_unit_test(longer_than_any_order),
        cmocka_unit_test(bad_parts),
        cmocka_unit_test(bad_ranges),
        cmocka_unit_test(class_of_the_rest),
        cmocka_unit_test(what_is_not_handed_out),
        cmocka_unit_test(into_blocks),
        cmocka_unit_test(bad_blocks),
        cmocka_unit_test(random_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
