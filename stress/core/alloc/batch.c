/* SPDX-License-Identifier: MIT
 *
 * batch.c - batches of single frames: all or nothing, as many as there are, and frees that are
 * checked before the first frame moves.
 */
#include "stress/common/zone_fixture.h"

#include <string.h>

enum { MANY = 3 * BLOCK };

static quire_pfn pfns[MANY + 1];

static void take(struct fixture *f, size_t n)
{
    size_t got = 0;
    assert_ok(quire_zone_alloc_batch(&f->zone, slot(0), 0, n, pfns, &got));
    assert_int_equal(got, n);
}

static void sizes(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 63, 64, 65, 127, 128, 500, 512, 513, MANY};
    struct fixture f;
    fixture_simple(&f, 0, MANY);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        bool seen[MANY] = {false};
        take(&f, counts[i]);
        for (size_t j = 0; j < counts[i]; j++) {
            assert_true(pfns[j].n < MANY && !seen[pfns[j].n]);
            seen[pfns[j].n] = true;
            assert_state(&f, pfns[j].n, 1, QUIRE_FRAME_USED);
        }
        assert_sound(&f, MANY - counts[i]);
        assert_ok(quire_zone_free_batch(&f.zone, slot(1), pfns, counts[i], NULL));
        assert_sound(&f, MANY);
    }
    fixture_close(&f);
}

static void all_or_nothing(void **state)
{
    (void)state;
    struct fixture f;
    size_t got = 0;
    fixture_simple(&f, 0, MANY);
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(0), 0, MANY + 1, pfns, &got),
                   QUIRE_ERR_NO_MEMORY);
    /* A machine of 32 bits cannot say a number that no zone could have. */
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(0), 0, SIZE_MAX, pfns, &got),
                   SIZE_MAX > UINT32_MAX ? QUIRE_ERR_SIZE : QUIRE_ERR_NO_MEMORY);
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(0), 0, 0, pfns, &got), QUIRE_ERR_SIZE);
    take(&f, MANY - 5);
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(1), 0, 6, pfns, &got),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_batch(&f.zone, slot(1), 0, 5, pfns, &got));
    assert_sound(&f, 0);
    fixture_close(&f);
}

static void partial(void **state)
{
    (void)state;
    struct fixture f;
    size_t got = 0;
    fixture_begin(&f);
    f.config.min = f.config.low = f.config.high = 100;
    fixture_usable(&f, 0, 2 * BLOCK);
    fixture_open(&f);
    assert_ok(quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_PARTIAL, MANY, pfns, &got));
    assert_int_equal(got, 2 * BLOCK - 100);
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_PARTIAL, 1, pfns, &got),
                   QUIRE_ERR_NO_MEMORY);
    assert_ok(
        quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_PARTIAL | QUIRE_HIGH, MANY, pfns, &got));
    assert_int_equal(got, 50);
    assert_ok(quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_PARTIAL | QUIRE_EMERGENCY, MANY, pfns,
                                     &got));
    assert_int_equal(got, 50);
    assert_sound(&f, 0);
    fixture_close(&f);
}

/* A bad frame at any place of a batch: nothing moves, and the place is told. */
static void bad_one_in_the_middle(void **state)
{
    (void)state;
    static const size_t places[] = {0, 1, 63, 64, 65, 127, 200, 299};
    struct fixture f;
    fixture_simple(&f, 0, MANY);
    take(&f, 300);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t bad = SIZE_MAX;
        quire_pfn good = pfns[places[i]];
        quire_pfn free_one = at(2 * BLOCK + 17);
        pfns[places[i]] = free_one;
        assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 300, &bad),
                       QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(bad, places[i]);
        pfns[places[i]] = at((uint64_t)SECTION * 99);
        assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 300, &bad),
                       QUIRE_ERR_FRAME);
        assert_int_equal(bad, places[i]);
        pfns[places[i]] = good;
    }
    assert_ok(quire_zone_free_batch(&f.zone, slot(0), pfns, 300, NULL));
    assert_sound(&f, MANY);
    fixture_close(&f);
}

/* Two bad ones, of which the maps show the second alone: the first is told, and nothing moves. */
static void first_of_two(void **state)
{
    (void)state;
    struct fixture f;
    size_t bad = SIZE_MAX;
    fixture_simple(&f, 0, MANY);
    take(&f, 300);
    quire_pfn twice = pfns[100], last = pfns[250];
    pfns[100] = pfns[3];
    pfns[250] = at((uint64_t)SECTION * 99);
    assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 300, &bad),
                   QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, 100);
    pfns[100] = twice;
    assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 300, &bad), QUIRE_ERR_FRAME);
    assert_int_equal(bad, 250);
    pfns[250] = last;
    assert_ok(quire_zone_free_batch(&f.zone, slot(0), pfns, 300, NULL));
    assert_sound(&f, MANY);
    fixture_close(&f);
}

static void part_of_a_run(void **state)
{
    (void)state;
    struct fixture f;
    size_t bad = SIZE_MAX;
    fixture_simple(&f, 0, MANY);
    uint64_t run = must_alloc(&f, 3);
    uint64_t large = must_alloc(&f, 9);
    take(&f, 10);
    for (uint64_t n = 0; n < 8; n++) {
        pfns[7] = at(run + n);
        assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 10, &bad),
                       QUIRE_ERR_ORDER);
        assert_int_equal(bad, 7);
    }
    pfns[7] = at(large);
    assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 10, &bad), QUIRE_ERR_ORDER);
    pfns[7] = at(large + 5);
    assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns, 10, &bad), QUIRE_ERR_ORDER);
    fixture_close(&f);
}

/* Named twice, near or far apart: found before anything moves. Without frame bytes only if both
 * places lie in the same 64 from a multiple of 64; otherwise each frame was freed once. */
static void duplicates(bool bytes)
{
    static const size_t apart[] = {1, 2, 7, 8, 9, 31, 62, 63, 64, 65, 128, 250};
    static const size_t starts[] = {0, 1, 40, 63};
    struct fixture f;
    fixture_begin(&f);
    f.config.no_frame_bytes = !bytes;
    fixture_usable(&f, 0, MANY);
    fixture_open(&f);
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
            size_t bad = SIZE_MAX;
            take(&f, 400);
            quire_pfn good = pfns[starts[s] + apart[i]];
            pfns[starts[s] + apart[i]] = pfns[starts[s]];
            int got = quire_zone_free_batch(&f.zone, slot(0), pfns, 400, &bad);
            assert_int_equal(got, QUIRE_ERR_DOUBLE_FREE);
            assert_int_equal(bad, starts[s] + apart[i]);
            if (bytes || starts[s] / 64 == (starts[s] + apart[i]) / 64) {
                assert_sound(&f, MANY - 400);
                pfns[starts[s] + apart[i]] = good;
                assert_ok(quire_zone_free_batch(&f.zone, slot(0), pfns, 400, NULL));
            } else {
                assert_sound(&f, MANY - 1);
                must_free(&f, good.n, 0);
            }
            assert_sound(&f, MANY);
        }
    }
    fixture_close(&f);
}

static void duplicates_with_bytes(void **state)
{
    (void)state;
    duplicates(true);
}

static void duplicates_without_bytes(void **state)
{
    (void)state;
    duplicates(false);
}

/* Frames of many blocks in no order: each word and each block is met again and again. */
static void any_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, MANY);
    take(&f, MANY);
    for (uint64_t i = 0; i < MANY; i++) {
        pfns[i] = at(i * 577 % MANY);
    }
    for (size_t first = 0; first < MANY; first += 96) {
        assert_ok(
            quire_zone_free_batch(&f.zone, slot((uint32_t)first % 4), pfns + first, 96, NULL));
        assert_sound(&f, first + 96);
    }
    for (int i = 0; i < 3; i++) {
        (void)must_alloc(&f, 9);
    }
    fixture_close(&f);
}

/* Frames that follow one another, in rows of any length at any place: a row is looked at by fours,
 * and none of it is passed by where it ends, or a word or a block does. The neighbours stay. */
static void rows(void **state)
{
    (void)state;
    struct fixture f;
    fixture_simple(&f, 0, MANY);
    for (size_t from = 0; from < BLOCK + 2; from = from == 9 ? BLOCK - 9 : from + 1) {
        for (size_t n = 1; n < 72; n++) {
            size_t bad = SIZE_MAX, got = 0;
            take(&f, MANY);
            for (size_t i = 0; i < MANY; i++) {
                pfns[i] = at(i);
            }
            quire_pfn twice = pfns[from + n];
            pfns[from + n] = pfns[from + n / 2];
            assert_refused(&f, quire_zone_free_batch(&f.zone, slot(0), pfns + from, n + 1, &bad),
                           QUIRE_ERR_DOUBLE_FREE);
            assert_int_equal(bad, n);
            pfns[from + n] = twice;
            assert_ok(quire_zone_free_batch(&f.zone, slot(0), pfns + from, n, NULL));
            for (size_t i = 0; i < BLOCK + 99; i++) {
                assert_state(&f, i, 1, i - from < n ? QUIRE_FRAME_FREE : QUIRE_FRAME_USED);
            }
            assert_ok(quire_zone_alloc_batch(&f.zone, slot(0), 0, n, pfns + from, &got));
            assert_ok(quire_zone_free_batch(&f.zone, slot(0), pfns, MANY, NULL));
            assert_sound(&f, MANY);
        }
    }
    fixture_close(&f);
}

static void zeroed(void **state)
{
    (void)state;
    struct fixture f;
    size_t got = 0;
    fixture_simple(&f, 0, MANY);
    assert_ok(quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_ZEROED, 70, pfns, &got));
    assert_int_equal(f.heard.zeroed, 70);
    f.heard.zero_answer = QUIRE_ERR_FRAME;
    assert_refused(&f, quire_zone_alloc_batch(&f.zone, slot(0), QUIRE_ZEROED, 70, pfns, &got),
                   QUIRE_ERR_FRAME);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(partial),
        cmocka_unit_test(bad_one_in_the_middle),
        cmocka_unit_test(first_of_two),
        cmocka_unit_test(part_of_a_run),
        cmocka_unit_test(duplicates_with_bytes),
        cmocka_unit_test(duplicates_without_bytes),
        cmocka_unit_test(any_order),
        cmocka_unit_test(rows),
        cmocka_unit_test(zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
