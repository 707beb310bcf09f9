/* SPDX-License-Identifier: MIT
 *
 * holes.c - runs of mixed orders stay compact, a request goes where its order fits, and what cannot
 * be had is known. White-box: it looks at hole bytes and at how often a zone was walked.
 */
#include "core/layout.h"
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <stdlib.h>

enum { FRAMES = 1 << 18 /* 1 GiB */, PERCENT = 100, TENTH = 10 };

/* ---- Churn --------------------------------------------------------------------------------- */

struct held_run {
    uint64_t pfn;
    unsigned order;
};

struct churn {
    struct fixture f;
    struct held_run *runs;
    uint64_t count, frames, random;
    unsigned most; /* orders 0 .. most, each with the same share of the frames */
};

static unsigned drawn_order(struct churn *c)
{
    uint64_t x = random_below(&c->random, (UINT64_C(2) << c->most) - 1);
    unsigned order = 0;

    while (x >= UINT64_C(1) << (c->most - order)) {
        x -= UINT64_C(1) << (c->most - order);
        order++;
    }
    return order;
}

static void fill(struct churn *c, uint64_t frames)
{
    quire_pfn pfn;

    /* Refusals (from a peppered start there are some) cost tries, and end it. */
    for (uint64_t tries = FRAMES; c->frames < frames && tries > 0; tries--) {
        unsigned order = drawn_order(c);

        if (quire_zone_alloc(&c->f.zone, slot(0), order, QUIRE_MOVABLE, &pfn) == QUIRE_OK) {
            c->runs[c->count++] = (struct held_run){pfn.n, order};
            c->frames += UINT64_C(1) << order;
        }
    }
}

static void free_some(struct churn *c, uint64_t count)
{
    for (; count > 0; count--) {
        uint64_t i = random_below(&c->random, c->count);

        must_free(&c->f, c->runs[i].pfn, c->runs[i].order);
        c->frames -= UINT64_C(1) << c->runs[i].order;
        c->runs[i] = c->runs[--c->count];
    }
}

/* How many percent of the whole blocks that the free frames could make are whole. */
static uint64_t whole_percent(struct churn *c)
{
    struct quire_zone_stats stats;
    uint64_t whole = 0;

    assert_ok(quire_zone_stats(&c->f.zone, &stats));
    for (unsigned order = 9; order <= QUIRE_MAX_ORDER; order++) {
        whole += stats.free_runs[order] << order;
    }
    return whole * PERCENT / (FRAMES - c->frames);
}

/* Replace a tenth of the runs `rounds` times. */
static void churn_is_whole(unsigned most, bool peppered, uint64_t fill_percent, unsigned rounds,
                           uint64_t least)
{
    struct churn c = {.most = peppered ? 0 : most, .random = 1};
    uint64_t frames = FRAMES * fill_percent / PERCENT;

    fixture_simple(&c.f, 0, FRAMES);
    c.runs = malloc(FRAMES * sizeof c.runs[0]);
    assert_non_null(c.runs);
    fill(&c, peppered ? FRAMES : frames);
    free_some(&c, c.frames - frames);
    c.most = most;
    for (unsigned i = 0; i < rounds; i++) {
        free_some(&c, c.count / TENTH);
        fill(&c, frames);
    }
    if (whole_percent(&c) < least) {
        fail_msg("orders 0 to %u at %u %%: %u %% whole", most, (unsigned)fill_percent,
                 (unsigned)whole_percent(&c));
    }
    assert_sound(&c.f, FRAMES - c.frames);
    free(c.runs);
    fixture_close(&c.f);
}

static void mixed_orders_stay_whole(void **state)
{
    (void)state;
    churn_is_whole(1, false, 80, 20, 94);
    churn_is_whole(3, false, 50, 20, 95);
    churn_is_whole(8, false, 50, 20, 90);
    churn_is_whole(8, false, 80, 20, 65);
}

static void peppered_memory_becomes_whole(void **state)
{
    (void)state;
    churn_is_whole(3, true, 50, 60, 40);
}

static uint64_t count_of(const struct fixture *f, enum quire_count what)
{
    return qa_load(&slot_of(&f->zone, slot(0))->counts[what], relaxed);
}

/* ---- Where a request goes ------------------------------------------------------------------- */

/* A zone of eight blocks: three split ones that are nobody's home and have nothing free yet, and
 * runs in use. */
static void three_blocks(struct fixture *f)
{
    fixture_simple(f, 0, 8 * BLOCK);
    for (uint64_t b = 0; b < 8; b++) {
        assert_ok(quire_zone_alloc_at(&f->zone, slot(0), at(b * BLOCK), 9, 0));
        if (b < 3) {
            assert_ok(quire_zone_split(&f->zone, slot(0), at(b * BLOCK), 9));
        }
    }
}

/* Free these frames of a block. */
static void make_hole(struct fixture *f, uint64_t pfn, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++) {
        must_free(f, pfn + i, 0);
    }
}

/* Every second frame of the block, from the odd place `first` on. */
static void pepper(struct fixture *f, uint64_t block, uint64_t first)
{
    for (uint64_t i = first; i < BLOCK; i += 2) {
        must_free(f, block * BLOCK + i, 0);
    }
}

static void the_fullest_that_fits(void **state)
{
    (void)state;
    struct fixture f;
    three_blocks(&f);
    pepper(&f, 0, 401); /* the fullest, without a pair */
    make_hole(&f, BLOCK + 64, 64);
    pepper(&f, 1, 129);
    pepper(&f, 2, 1); /* the emptiest, with a pair */
    make_hole(&f, 2 * BLOCK + 100, 1);
    assert_in_range(must_alloc(&f, 1), BLOCK, 2 * BLOCK - 1);
    assert_in_range(must_alloc(&f, 5), BLOCK, 2 * BLOCK - 1);
    fixture_close(&f);
}

static void the_smallest_hole_of_a_block(void **state)
{
    (void)state;
    struct fixture f;
    three_blocks(&f);
    make_hole(&f, 64, 32);
    make_hole(&f, 64 + 40, 2);
    make_hole(&f, 64 + 44, 4);
    assert_int_equal(must_alloc(&f, 1), 64 + 40);
    assert_int_equal(must_alloc(&f, 1), 64 + 44);
    assert_int_equal(must_alloc(&f, 5), 64);
    assert_int_equal(must_alloc(&f, 1), 64 + 46);
    fixture_close(&f);
}

/* A few free frames of a dense block are worth a home block where memory is scarce, and not where
 * whole blocks abound. */
static void few_frames_count_where_memory_is_scarce(void **state)
{
    (void)state;
    static const uint64_t places[] = {3, 5, 7, 0};
    struct fixture f;
    for (uint64_t whole = 1; whole <= 4; whole += 3) {
        three_blocks(&f);
        for (size_t i = 0; i < 4; i++) {
            must_free(&f, BLOCK + places[i], 0);
        }
        for (uint64_t b = 0; b < whole; b++) {
            must_free(&f, (3 + b) * BLOCK, 9);
        }
        assert_int_equal(block_of(must_alloc(&f, 0)) == 1, whole == 1);
        fixture_close(&f);
    }
}

/* A run is had again from where it was freed last, without another home block. */
static void the_last_hole_comes_first(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t runs[3 * BLOCK / 4], homes;
    fixture_simple(&f, 0, FRAMES);
    for (unsigned i = 0; i < 3 * BLOCK / 4; i++) {
        runs[i] = must_alloc(&f, 2);
    }
    must_free(&f, runs[0], 2);
    must_free(&f, runs[BLOCK / 4 + 3], 2);
    homes = count_of(&f, QUIRE_COUNT_HOME);
    assert_int_equal(must_alloc(&f, 2), runs[BLOCK / 4 + 3]);
    assert_int_equal(count_of(&f, QUIRE_COUNT_HOME), homes);
    assert_int_equal(qa_load(full_of(&f.zone, block_of(runs[BLOCK / 4 + 3])), relaxed), 0);
    assert_int_equal(must_alloc(&f, 2), runs[0]); /* found by the hints, as the last is used up */
    assert_int_equal(count_of(&f, QUIRE_COUNT_HOME), homes + 1);
    fixture_close(&f);
}

/* A class that needs a block takes one of its mobility over of which half is free, before it splits
 * a whole one. */
static void a_sparse_block_is_taken_over(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t first, split;
    quire_pfn pfn;
    fixture_simple(&f, 0, FRAMES);
    first = must_alloc(&f, 2);
    for (unsigned i = 1; i < BLOCK / 4; i++) {
        (void)must_alloc(&f, 2);
    }
    (void)must_alloc(&f, 2); /* the home block is another one from here on */
    for (unsigned i = 0; i < BLOCK / 4; i++) {
        if (i % 8 < 5) {
            must_free(&f, first + (uint64_t)i * 4, 2);
        }
    }
    split = count_of(&f, QUIRE_COUNT_SPLIT);
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 3, QUIRE_MOVABLE, &pfn));
    assert_int_equal(count_of(&f, QUIRE_COUNT_SPLIT), split + 1);
    assert_int_equal(block_of(must_alloc(&f, 3)), block_of(first));
    assert_int_equal(count_of(&f, QUIRE_COUNT_SPLIT), split + 1);
    fixture_close(&f);
}

static void a_hole_byte_that_is_wrong_is_mended(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    three_blocks(&f);
    pepper(&f, 0, 1);
    qa_store(hole_of(&f.zone, 0), HOLE_MOST, relaxed);
    qa_store(sparse_of(&f.zone, 0), HOLE_MOST, relaxed);
    assert_int_equal(quire_zone_alloc(&f.zone, slot(0), 4, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(qa_load(hole_of(&f.zone, 0), relaxed) & HOLE_MASK, 1);
    assert_int_equal(quire_zone_alloc(&f.zone, slot(0), 5, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_true(qa_load(sparse_of(&f.zone, 0), relaxed) <= 5);
    fixture_close(&f);
}

/* ---- What is known -------------------------------------------------------------------------- */

static uint64_t walks(const struct fixture *f)
{
    return count_of(f, QUIRE_COUNT_LAST_PASS);
}

static void refuse(struct fixture *f, unsigned order)
{
    quire_pfn pfn;

    assert_refused(f, quire_zone_alloc(&f->zone, slot(0), order, QUIRE_EMERGENCY, &pfn),
                   QUIRE_ERR_NO_MEMORY);
}

/* Asked again, the zone is not walked again. */
static void refuse_as_known(struct fixture *f, unsigned order)
{
    uint64_t before = walks(f);

    refuse(f, order);
    assert_int_equal(walks(f), before);
}

static void a_refusal_is_remembered(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t before;
    three_blocks(&f);
    pepper(&f, 0, 1);
    pepper(&f, 1, 1);
    pepper(&f, 2, 1);
    for (unsigned order = 1; order <= 9; order++) {
        before = walks(&f);
        refuse(&f, order);
        assert_true(walks(&f) > before);
        refuse_as_known(&f, order);
    }
    must_free(&f, 64, 0); /* a pair: the longer runs are still not to be had */
    for (unsigned order = 2; order <= 9; order++) {
        refuse_as_known(&f, order);
    }
    assert_int_equal(must_alloc(&f, 1), 64);
    refuse(&f, 1);
    refuse_as_known(&f, 1);
    must_free(&f, 64, 1);
    assert_int_equal(must_alloc(&f, 1), 64);
    fixture_close(&f);
}

static void a_run_of_any_order_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    three_blocks(&f);
    pepper(&f, 0, 1);
    pepper(&f, 1, 1);
    pepper(&f, 2, 1);
    for (unsigned order = 1; order < 9; order++) {
        for (uint64_t i = 0; i < UINT64_C(1) << order; i += 2) {
            refuse(&f, order);
            refuse_as_known(&f, order);
            must_free(&f, 256 + i, 0);
        }
        assert_int_equal(must_alloc(&f, order), 256);
        assert_ok(quire_zone_split(&f.zone, slot(0), at(256), order));
        for (uint64_t i = 1; i < UINT64_C(1) << order; i += 2) {
            must_free(&f, 256 + i, 0);
        }
    }
    fixture_close(&f);
}

static void a_block_ends_it_for_all(void **state)
{
    (void)state;
    struct fixture f;
    three_blocks(&f);
    pepper(&f, 0, 1);
    for (unsigned order = 8; order <= 10; order++) {
        refuse(&f, order);
        refuse_as_known(&f, order);
    }
    must_free(&f, 4 * BLOCK, 9);
    refuse(&f, 10);
    assert_int_equal(must_alloc(&f, 9), 4 * BLOCK);
    refuse(&f, 9);
    must_free(&f, 4 * BLOCK, 9);
    assert_in_range(must_alloc(&f, 8), 4 * BLOCK, 5 * BLOCK - 1);
    refuse(&f, 10);
    refuse_as_known(&f, 10);
    must_free(&f, 6 * BLOCK, 9);
    must_free(&f, 7 * BLOCK, 9);
    assert_int_equal(must_alloc(&f, 10), 6 * BLOCK);
    fixture_close(&f);
}

/* In a zone of many sections a hole of the right class is found, although all sections before it
 * show holes, but of blocks of another class; a whole block is left alone. */
static void a_hole_behind_many_sections(void **state)
{
    enum { SECTIONS = 20 };
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    uint64_t hole = (SECTIONS - 1) * (uint64_t)SECTION + 5 * BLOCK + 64;
    fixture_simple(&f, 0, SECTIONS * (uint64_t)SECTION);
    while (quire_zone_alloc(&f.zone, slot(0), 5, QUIRE_MOVABLE, &pfn) == QUIRE_OK) {
    }
    for (uint64_t s = 0; s + 1 < SECTIONS; s++) {
        for (uint64_t i = 0; i < BLOCK; i += 32) {
            must_free(&f, s * SECTION + BLOCK + i, 5);
        }
        if (s > 0) {
            assert_ok(quire_zone_alloc_at(&f.zone, slot(0), at(s * SECTION + BLOCK), 0, 0));
        }
    }
    must_free(&f, hole, 5);
    assert_ok(quire_zone_alloc(&f.zone, slot(1), 5, QUIRE_MOVABLE, &pfn));
    assert_int_equal(pfn.n, hole);
    assert_ok(quire_zone_alloc(&f.zone, slot(1), 5, QUIRE_MOVABLE, &pfn));
    assert_int_equal(pfn.n, BLOCK);
    fixture_close(&f);
}

static uint64_t sections_with_unmovable(const struct fixture *f, uint64_t sections)
{
    struct quire_range_stats s;
    uint64_t n = 0;

    for (uint64_t i = 0; i < sections; i++) {
        assert_ok(
            quire_zone_range_stats(&f->zone, (struct quire_run){at(i * SECTION), SECTION}, &s));
        n += s.used[QUIRE_RANGE_UNMOVABLE] > 0;
    }
    return n;
}

/* Blocks for unmovable runs of all orders, of all slots, gather in few sections; a section that is
 * free of them again is like the others. */
static void unmovable_runs_gather(void **state)
{
    enum { SECTIONS = 12, RUNS = 64 * 512 };
    static uint64_t pfns[RUNS];
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    uint64_t n = 0, n0;
    fixture_simple(&f, 0, SECTIONS * (uint64_t)SECTION);
    const uint32_t runs = SECTIONS * (uint32_t)SECTION / 10 * 9 / 32;
    for (uint32_t i = 0; i < runs; i++) {
        bool unmovable = i > runs / 2 && i % 16 == 0;
        assert_ok(quire_zone_alloc(&f.zone, slot(i % 3 + unmovable),
                                   unmovable ? (unsigned)(n % 6) : 5, unmovable ? 0 : QUIRE_MOVABLE,
                                   &pfn));
        if (unmovable) {
            pfns[n++] = pfn.n;
        }
    }
    assert_int_equal(sections_with_unmovable(&f, SECTIONS), 1);
    /* What becomes unmovable otherwise is noted, too. */
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 9, QUIRE_MOVABLE, &pfn));
    assert_ok(quire_zone_split(&f.zone, slot(0), pfn, 9));
    n0 = pfn.n / SECTION;
    assert_true(qa_load(&f.zone.head->unmovable[0], relaxed) >> n0 & 1);
    assert_ok(quire_zone_free_range(&f.zone, slot(0), pfn, BLOCK));
    for (uint64_t i = 0; i < n; i++) {
        must_free(&f, pfns[i], (unsigned)(i % 6));
    }
    assert_int_equal(sections_with_unmovable(&f, SECTIONS), 0);
    while (quire_zone_alloc(&f.zone, slot(0), 5, QUIRE_MOVABLE, &pfn) == QUIRE_OK) {
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_orders_stay_whole),
        cmocka_unit_test(peppered_memory_becomes_whole),
        cmocka_unit_test(the_fullest_that_fits),
        cmocka_unit_test(a_hole_behind_many_sections),
        cmocka_unit_test(unmovable_runs_gather),
        cmocka_unit_test(the_smallest_hole_of_a_block),
        cmocka_unit_test(few_frames_count_where_memory_is_scarce),
        cmocka_unit_test(the_last_hole_comes_first),
        cmocka_unit_test(a_sparse_block_is_taken_over),
        cmocka_unit_test(a_hole_byte_that_is_wrong_is_mended),
        cmocka_unit_test(a_refusal_is_remembered),
        cmocka_unit_test(a_run_of_any_order_ends_it),
        cmocka_unit_test(a_block_ends_it_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
