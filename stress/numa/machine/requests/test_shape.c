/* SPDX-License-Identifier: MIT
 *
 * test_shape.c - runs that change shape through the machine, and what a range of several zones is.
 */
#include "stress/numa/machine/unit.h"

/* So many that runs are cached, too. */
enum { ZONE_FRAMES = 128 * BLOCK };

static struct rig r;

static int set_up(void **state)
{
    (void)state;
    rig_begin(&r, 2, 1);
    for (uint32_t node = 0; node < 2; node++)
        (void)rig_zone(&r, node, QUIRE_ZONE_NORMAL, 0, ZONE_FRAMES);
    (void)rig_zone(&r, 1, QUIRE_ZONE_HUGE, ZONE_FRAMES, ZONE_FRAMES);
    rig_open(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_close(&r);
    return 0;
}

static struct quire_run run_of(quire_pfn pfn, uint64_t frames)
{
    return (struct quire_run){pfn, frames};
}

static quire_pfn behind(quire_pfn pfn, uint64_t frames)
{
    return quire_pfn_of(pfn.n + frames);
}

/* A block gives a part back, becomes whole again for its owner, and is freed: also if it came out
 * of a magazine, or of another node. */
static void split_free_and_join(void **state)
{
    (void)state;
    for (uint32_t node = 0; node < 2; node++) {
        struct quire_request request = quire_request_of(9, QUIRE_MOVABLE);
        quire_pfn pfn;

        request.near_node = quire_near_of(quire_node_of(node));
        assert_int_equal(quire_machine_request(r.machine, &request, &pfn, NULL), QUIRE_OK);
        assert_int_equal(quire_machine_free(r.machine, pfn, 9), QUIRE_OK);
        assert_int_equal(quire_machine_split(r.machine, pfn, BLOCK, 0), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(quire_machine_request(r.machine, &request, &pfn, NULL), QUIRE_OK);
        assert_int_equal(quire_machine_split(r.machine, pfn, BLOCK, QUIRE_MOVABLE), QUIRE_OK);
        assert_int_equal(quire_machine_free(r.machine, pfn, 9), QUIRE_ERR_ORDER);
        assert_int_equal(quire_machine_join(r.machine, pfn), QUIRE_OK);
        assert_int_equal(quire_machine_join(r.machine, pfn), QUIRE_ERR_ORDER);
        assert_int_equal(
            quire_machine_free_part(r.machine, run_of(pfn, BLOCK), run_of(behind(pfn, 100), 50), 0),
            QUIRE_OK);
        rig_check(&r, BLOCK - 50);
        assert_int_equal(quire_machine_free_range(r.machine, pfn, 101), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(quire_machine_free_range(r.machine, pfn, 100), QUIRE_OK);
        assert_int_equal(quire_machine_free_range(r.machine, behind(pfn, 150), BLOCK - 150),
                         QUIRE_OK);
        rig_check(&r, 0);
    }
}

/* What a longer run falls apart into goes by the magazines, as other blocks do. */
static void into_blocks(void **state)
{
    struct quire_request request = quire_request_of(12, 0);
    quire_pfn pfn;

    (void)state;
    assert_int_equal(quire_machine_request(r.machine, &request, &pfn, NULL), QUIRE_OK);
    assert_int_equal(quire_machine_split_blocks(r.machine, pfn, 11), QUIRE_ERR_ORDER);
    assert_int_equal(quire_machine_split_blocks(r.machine, pfn, 12), QUIRE_OK);
    assert_int_equal(quire_machine_free(r.machine, pfn, 12), QUIRE_ERR_ORDER);
    for (uint64_t b = 0; b < 8; b++)
        assert_int_equal(quire_machine_free(r.machine, behind(pfn, b * BLOCK), 9), QUIRE_OK);
    rig_check(&r, 0);
}

static void nobodys_frames(void **state)
{
    const quire_pfn none = quire_pfn_of(rig_base(1) + 4 * ZONE_FRAMES);
    const struct quire_run run = run_of(none, 2);
    struct quire_range_stats stats = {.frames = 77};

    (void)state;
    assert_int_equal(quire_machine_split(r.machine, none, 2, 0), QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_split_blocks(r.machine, quire_pfn_of(none.n & ~1023ull), 10),
                     QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_join(r.machine, none), QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_free_range(r.machine, none, 1), QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_free_part(r.machine, run, run, 0), QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_range_stats(r.machine, run, &stats), QUIRE_ERR_FRAME);
    assert_int_equal(quire_machine_range_stats(r.machine, run_of(none, 0), &stats), QUIRE_ERR_SIZE);
    assert_int_equal(
        quire_machine_range_stats(r.machine, run_of(quire_pfn_of(UINT64_MAX), 2), &stats),
        QUIRE_ERR_SIZE);
    assert_int_equal(stats.frames, 77);
}

/* Cached frames are told from used ones, and both zones of node 1 are counted. */
static void figures_of_a_range(void **state)
{
    const struct quire_run node = run_of(quire_pfn_of(rig_base(1)), 2 * ZONE_FRAMES);
    struct quire_range_stats stats;
    quire_pfn single, pair;

    (void)state;
    rig_cpu = 1;
    assert_int_equal(quire_machine_alloc(r.machine, 0, QUIRE_MOVABLE, &single), QUIRE_OK);
    assert_int_equal(quire_machine_alloc(r.machine, 1, QUIRE_MOVABLE, &pair), QUIRE_OK);
    assert_int_equal(quire_machine_range_stats(r.machine, node, &stats), QUIRE_OK);
    assert_int_equal(stats.frames, 2 * ZONE_FRAMES);
    assert_int_equal(stats.used[QUIRE_RANGE_MOVABLE], 3);
    assert_int_equal(stats.used[QUIRE_RANGE_UNMOVABLE] + stats.used[QUIRE_RANGE_WHOLE], 0);
    assert_true(stats.cached > 0);
    assert_int_equal(stats.free[QUIRE_RANGE_MOVABLE] + stats.free[QUIRE_RANGE_UNMOVABLE] +
                         stats.free[QUIRE_RANGE_WHOLE] + stats.cached,
                     2 * ZONE_FRAMES - 3);
    assert_int_equal(stats.cached, rig_stats(&r, 1).cached);
    assert_int_equal(quire_machine_free(r.machine, single, 0), QUIRE_OK);
    assert_int_equal(quire_machine_free(r.machine, pair, 1), QUIRE_OK);
    assert_int_equal(quire_machine_range_stats(r.machine, run_of(pair, 2), &stats), QUIRE_OK);
    assert_int_equal(stats.cached, 2);
    assert_int_equal(quire_machine_range_stats(r.machine, run_of(behind(pair, 1), 1), &stats),
                     QUIRE_OK);
    assert_int_equal(stats.cached, 1);
    assert_int_equal(quire_machine_drain(r.machine), QUIRE_OK);
    assert_int_equal(quire_machine_range_stats(r.machine, node, &stats), QUIRE_OK);
    assert_int_equal(stats.cached, 0);
    assert_int_equal(
        quire_machine_range_stats(r.machine, run_of(quire_pfn_of(0), rig_base(1) + 5), &stats),
        QUIRE_OK);
    assert_int_equal(stats.frames, ZONE_FRAMES + 5);
    rig_cpu = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(split_free_and_join, set_up, tear_down),
        cmocka_unit_test_setup_teardown(into_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobodys_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(figures_of_a_range, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
