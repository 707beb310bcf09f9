/* SPDX-License-Identifier: MIT
 *
 * test_refusals.c - a machine that runs out of memory: when it may refuse, and what it says.
 */
#include "stress/numa/machine/unit.h"

static struct rig rig;

/* Run out of memory: node by node, nearest first, to the last frame; then say why. */
static void to_the_last(void **unused)
{
    static uint64_t pfns[4 * 16 * BLOCK];
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    struct quire_refusal why;
    struct rig *r = &rig;
    uint32_t all = 4 * 16 * BLOCK;
    quire_pfn pfn;

    (void)unused;
    open_row(r);
    rig_cpu = 2;
    for (uint32_t i = 0; i < all; i++)
        pfns[i] = take(r, 0, QUIRE_EMERGENCY);
    for (uint32_t i = 0; i < all; i++)
        if (i < 16 * BLOCK)
            assert_int_equal(node_of(r, pfns[i]), 1);
        else if (i >= 3 * 16 * BLOCK)
            assert_int_equal(node_of(r, pfns[i]), 3);
    assert_error(quire_machine_request(r->machine, &request, &pfn, &why), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(why.error, QUIRE_ERR_NO_MEMORY);
    assert_int_equal(why.node.n, 1);
    assert_int_equal(why.zone, QUIRE_ZONE_NORMAL);
    assert_int_equal(why.tried, 4);
    assert_int_equal(r->reclaims, 1);
    request.flags |= QUIRE_NO_CALLBACK;
    assert_error(quire_machine_request(r->machine, &request, &pfn, NULL), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(r->reclaims, 1);
    rig_check(r, all);
    assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_FOREIGN], 3 * 16 * BLOCK);
    assert_int_equal(rig_stats(r, 3).counts[QUIRE_NODE_MISS], 16 * BLOCK);
    assert_int_equal(rig_stats(r, 3).counts[QUIRE_NODE_OTHER], 16 * BLOCK);
    assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], 16 * BLOCK);
    for (uint32_t i = 0; i < all; i++)
        give(r, pfns[i], 0);
    rig_close(r);
}

static uint64_t give_one_back(struct rig *r, quire_node node, uint64_t frames)
{
    static const uint32_t from = 16 * BLOCK - 1;

    assert_int_equal(node.n, 0);
    assert_int_equal(frames, 1);
    give(r, rig_base(0) + from, 0);
    return 1;
}

/* The port's last resort is asked once and helps. */
static void last_resort(void **unused)
{
    struct rig *r = &rig;
    struct quire_machine_stats s;
    uint64_t n = 0;
    quire_pfn pfn;

    (void)unused;
    rig_begin(r, 1, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    while (quire_machine_alloc(r->machine, 0, QUIRE_EMERGENCY | QUIRE_NO_CALLBACK, &pfn) == 0)
        n++;
    assert_int_equal(n, 16 * BLOCK);
    r->reclaim = give_one_back;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), rig_base(0) + 16 * BLOCK - 1);
    assert_int_equal(r->reclaims, 1);
    assert_ok(quire_machine_stats(r->machine, &s));
    assert_int_equal(s.reclaims, 1);
    for (uint64_t i = 0; i < n; i++)
        give(r, rig_base(0) + i, 0);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_the_last),
        cmocka_unit_test(last_resort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
