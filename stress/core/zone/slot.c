/* SPDX-License-Identifier: MIT
 *
 * slot.c - slots: shared and given up.
 */
#include "stress/common/zone_fixture.h"

/* A slot that is given up leaves nothing behind: its home can be had as a whole block, its credit
 * by others, and it can be used again. */
static void retire(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 0, 64 * BLOCK);
    for (uint32_t s = 0; s < 4; s++) {
        assert_ok(quire_zone_alloc(&f.zone, slot(s), 0, 0, &pfn));
        assert_ok(quire_zone_retire_slot(&f.zone, slot(s)));
        assert_ok(quire_zone_retire_slot(&f.zone, slot(s)));
        assert_sound(&f, 64 * BLOCK - 1);
        assert_ok(quire_zone_free(&f.zone, slot(s), pfn, 0));
        assert_ok(quire_zone_retire_slot(&f.zone, slot(s)));
        assert_sound(&f, 64 * BLOCK);
    }
    struct quire_zone_stats stats;
    assert_ok(quire_zone_stats(&f.zone, &stats));
    assert_int_equal(stats.whole_free_blocks, 64);
    assert_refused(&f, quire_zone_retire_slot(&f.zone, slot(4)), QUIRE_ERR_SIZE);
    fixture_close(&f);
}

/* Where there are sections enough, the whole blocks of two slots, and their long movable runs, lie
 * in two of them; short ones lie in one. */
static void sections_of_their_own(void **state)
{
    (void)state;
    static const struct {
        unsigned order;
        bool apart;
    } cases[] = {{0, false}, {3, false}, {4, true}, {8, true}, {9, true}, {10, true}};
    struct fixture f;
    fixture_simple(&f, 0, 8 * SECTION);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        quire_pfn a, b;
        assert_ok(quire_zone_alloc(&f.zone, slot(0), cases[i].order, QUIRE_MOVABLE, &a));
        assert_ok(quire_zone_alloc(&f.zone, slot(1), cases[i].order, QUIRE_MOVABLE, &b));
        assert_int_equal(a.n / SECTION != b.n / SECTION, cases[i].apart);
    }
    fixture_close(&f);
}

/* A slot that takes from a block is not in the way of the others. */
static void last_frames_of_a_home(void **state)
{
    (void)state;
    struct fixture f;
    quire_pfn pfn;
    fixture_simple(&f, 0, BLOCK);
    assert_ok(quire_zone_alloc(&f.zone, slot(0), 0, 0, &pfn));
    for (uint32_t i = 1; i < BLOCK; i++) {
        assert_ok(quire_zone_alloc(&f.zone, slot(1 + i % 3), 0, i % 2 ? QUIRE_MOVABLE : 0, &pfn));
    }
    assert_sound(&f, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retire),
        cmocka_unit_test(sections_of_their_own),
        cmocka_unit_test(last_frames_of_a_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
