/* SPDX-License-Identifier: MIT
 *
 * batch_runs.c - half magazines of runs out of the zone and back: as many as there are, each an
 * allocated run of its order; what cannot be freed is named, and nothing else suffers. White-box.
 */
#include "stress/common/zone_fixture.h"

#include "core/internal.h"

enum { MOST = 40, SMALL_ZONE = 2 * BLOCK };

static size_t refill(struct fixture *f, unsigned order, size_t n, quire_pfn pfns[])
{
    return qi_runs_refill(&f->zone, slot(0), order, 0, n, pfns);
}

/* Each order, any number: aligned, allocated, of this length, once each; and all come back. */
static void there_and_back(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order < QUIRE_BLOCK_ORDER; order++) {
        struct fixture f;
        uint64_t before;

        fixture_simple(&f, 0, 64 * BLOCK);
        before = quire_zone_free_frames(&f.zone);
        for (size_t n = 1; n <= MOST; n++) {
            quire_pfn pfns[MOST];

            assert_int_equal(refill(&f, order, n, pfns), n);
            assert_int_equal(quire_zone_free_frames(&f.zone), before - (n << order));
            for (size_t i = 0; i < n; i++) {
                uint64_t frames;

                assert_int_equal(pfns[i].n % (1u << order), 0);
                assert_ok(quire_zone_run_length(&f.zone, pfns[i], &frames));
                assert_int_equal(frames, 1u << order);
                for (size_t k = 0; k < i; k++)
                    assert_int_not_equal(pfns[i].n, pfns[k].n);
            }
            assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, pfns, n), n);
            assert_int_equal(quire_zone_free_frames(&f.zone), before);
            assert_sound(&f, before);
        }
        fixture_close(&f);
    }
}

/* In any order of the runs, with a neighbour in the same word that stays. */
static void scattered(void **unused)
{
    enum { RUNS = 32 };

    (void)unused;
    for (unsigned order = 1; order <= WORD_ORDER; order++) {
        quire_pfn pfns[RUNS], odd[RUNS];
        struct fixture f;
        uint64_t frames, before;

        fixture_simple(&f, 0, 64 * BLOCK);
        before = quire_zone_free_frames(&f.zone);
        assert_int_equal(refill(&f, order, RUNS, pfns), RUNS);
        for (size_t i = 0; i < RUNS / 2; i++)
            odd[i] = pfns[(i * 14 + 1) % RUNS | 1];
        for (size_t i = 0; i < RUNS / 2; i++)
            for (size_t k = 0; k < i; k++)
                assert_int_not_equal(odd[i].n, odd[k].n);
        assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, odd, RUNS / 2), RUNS / 2);
        for (size_t i = 0; i < RUNS; i += 2) {
            assert_ok(quire_zone_run_length(&f.zone, pfns[i], &frames));
            assert_int_equal(frames, 1u << order);
            odd[i / 2] = pfns[i];
        }
        assert_sound(&f, before - ((uint64_t)RUNS / 2 << order));
        assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, odd, RUNS / 2), RUNS / 2);
        assert_sound(&f, before);
        fixture_close(&f);
    }
}

/* A zone that has less gives what it has, and its count is right afterwards. */
static void what_there_is(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order < QUIRE_BLOCK_ORDER; order++) {
        static quire_pfn pfns[BLOCK], single;
        size_t want = (size_t)SMALL_ZONE >> order, got;
        struct fixture f;

        fixture_simple(&f, 0, SMALL_ZONE);
        assert_ok(quire_zone_alloc_at(&f.zone, slot(1), at(5), 0, QUIRE_EMERGENCY));
        single = at(5);
        got = refill(&f, order, want, pfns);
        assert_int_equal(got, want - 1);
        assert_int_equal(quire_zone_free_frames(&f.zone), SMALL_ZONE - 1 - (got << order));
        assert_int_equal(refill(&f, order, 1, pfns + got), 0);
        assert_int_equal(quire_zone_free_frames(&f.zone), SMALL_ZONE - 1 - (got << order));
        assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, pfns, got), got);
        assert_ok(quire_zone_free(&f.zone, slot(1), single, 0));
        assert_sound(&f, SMALL_ZONE);
        fixture_close(&f);
    }
}

/* One of the runs is not one any more: the others are freed, and it is told. */
static void one_is_bad(void **unused)
{
    enum { RUNS = 6 };

    (void)unused;
    for (unsigned order = 1; order < QUIRE_BLOCK_ORDER; order++)
        for (size_t bad = 0; bad < RUNS; bad++) {
            quire_pfn pfns[RUNS];
            struct fixture f;
            uint64_t before;

            fixture_simple(&f, 0, 64 * BLOCK);
            before = quire_zone_free_frames(&f.zone);
            assert_int_equal(refill(&f, order, RUNS, pfns), RUNS);
            assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, &pfns[bad], 1), 1);
            assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, pfns, RUNS), RUNS - 1);
            assert_int_equal(quire_zone_free_frames(&f.zone), before);
            /* There twice. */
            assert_int_equal(refill(&f, order, 2, pfns), 2);
            pfns[2] = pfns[0];
            assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, pfns, 3), 2);
            /* Of another order. */
            assert_int_equal(refill(&f, order, 2, pfns), 2);
            if (order > 1)
                assert_int_equal(qi_runs_flush(&f.zone, slot(0), order - 1, pfns, 2), 0);
            assert_int_equal(qi_runs_flush(&f.zone, slot(0), order, pfns, 2), 2);
            assert_int_equal(quire_zone_free_frames(&f.zone), before);
            assert_sound(&f, before);
            fixture_close(&f);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(scattered),
        cmocka_unit_test(what_there_is),
        cmocka_unit_test(one_is_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
