/* SPDX-License-Identifier: MIT
 *
 * test_space_beside.c - what another CPU finds in the middle of a call on a space, and by its TLB
 * afterwards; and what a call leaves when a frame is refused in the middle of it.
 */
#include "space_unit.h"

/* ---- In the middle -------------------------------------------------------------------------- */

/* Another CPU faults on a large page while it is split: it is not there, but not gone. */
static unsigned served_meanwhile;

static void fault_meanwhile(void)
{
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + 3 * FRAME), QUIRE_WRITE));
    served_meanwhile++;
}

static void fault_beside_split(void)
{
    struct quire_area area = space_rig_area(base(), large(), rw());

    served_meanwhile = 0;
    if (rig.window)
        return; /* which has room for the frames of one call */
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
    write_word(&space, base(), 1);
    rig.during = fault_meanwhile;
    assert_ok(quire_space_protect(&space, span(base(), FRAME), ro()));
    rig.during = NULL;
    assert_true(served_meanwhile > 0);
    expect_word(&space, base(), 1);
}

/* What another CPU finds while pages leave, are released, or are copied. */
static int expected_meanwhile;

static void look_meanwhile(void)
{
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base() + FRAME), QUIRE_READ),
                     expected_meanwhile);
    expect_no_address();
    served_meanwhile++;
}

static void fault_beside_changes(void)
{
    struct quire_space child;

    if (rig.window)
        return; /* as above */
    assert_ok(reserve(base(), 4 * FRAME, rw()));
    write_word(&space, base() + FRAME, 5);
    assert_ok(quire_space_fork(&space, &child));
    served_meanwhile = 0;
    expected_meanwhile = 0;
    rig.during = look_meanwhile;
    write_word(&space, base() + FRAME, 6);
    assert_int_equal(served_meanwhile, 1);
    assert_ok(quire_space_advise(&space, span(base(), 4 * FRAME), QUIRE_ADVISE_RELEASE));
    assert_int_equal(served_meanwhile, 2);
    rig.during = NULL;
    expect_word(&space, base() + FRAME, 0);
    rig.during = look_meanwhile;
    expected_meanwhile = QUIRE_ERR_AREA;
    assert_ok(unmap(base(), 4 * FRAME));
    assert_int_equal(served_meanwhile, 4); /* the pages leave, and their table */
    rig.during = NULL;
    expect_word(&child, base() + FRAME, 5);
    quire_space_destroy(&child);
}

/* ---- Afterwards ----------------------------------------------------------------------------- */

/* Two CPUs with TLBs: neither uses what it remembers after a fork, a copy, an unmap. */
static void forgotten(void)
{
    struct quire_space child;
    uint64_t word = 0;

    assert_ok(reserve(base(), 2 * FRAME, rw()));
    write_word(&space, base(), 1);
    assert_ok(quire_space_fork(&space, &child));
    write_word(&space, base(), 2);
    assert_ok(space_rig_read(&rig, 1, &child, base(), &word));
    assert_int_equal(word, 1);
    quire_space_destroy(&child);
    assert_ok(quire_space_fork(&space, &child));
    assert_ok(space_rig_read(&rig, 1, &space, base(), &word));
    write_word(&space, base(), 3);
    assert_ok(space_rig_read(&rig, 1, &space, base(), &word));
    assert_int_equal(word, 3);
    assert_ok(unmap(base(), FRAME));
    assert_int_equal(space_rig_read(&rig, 1, &space, base(), &word), QUIRE_ERR_AREA);
    quire_space_destroy(&child);
}

/* ---- No memory ----------------------------------------------------------------------------- */

static int count_area(void *ctx, const struct quire_area *area)
{
    unsigned *count = ctx;

    *count += area->range.bytes > 0;
    return 0;
}

static unsigned areas(struct quire_space *in)
{
    unsigned count = 0;

    assert_ok(quire_space_list(in, rig.config.range, count_area, &count));
    return count;
}

/* What a process does; the so-manyth frame is refused. True: none was. */
static bool life(uint64_t fail_in)
{
    struct quire_space child;
    struct quire_area area = space_rig_area(base() + large() - 2 * FRAME, 2 * large(), rw());
    uint64_t at = area.range.start.n, before = space_rig_used(&rig), word;
    struct quire_space own;
    int error;

    rig.fail_in = fail_in;
    rig.failed = false;
    error = quire_space_create(&own, &rig.config);
    if (error) {
        assert_int_equal(space_rig_used(&rig), before);
        return false;
    }
    if (quire_space_reserve(&own, &area, QUIRE_RESERVE_LARGE, NULL)) {
        assert_int_equal(areas(&own), 0);
        assert_ok(quire_space_reserve(&own, &area, QUIRE_RESERVE_LARGE, NULL));
    }
    if (space_rig_write(&rig, 0, &own, at, 1))
        write_word(&own, at, 1);
    if (space_rig_write(&rig, 0, &own, base() + large() + FRAME, 2))
        write_word(&own, base() + large() + FRAME, 2);
    if (quire_space_protect(&own, span(at + FRAME, 4 * FRAME), ro())) {
        assert_int_equal(areas(&own), 1);
        write_word(&own, base() + large() + FRAME, 2);
        assert_ok(quire_space_protect(&own, span(at + FRAME, 4 * FRAME), ro()));
    }
    if (quire_space_fork(&own, &child)) {
        write_word(&own, at, 1);
        assert_ok(quire_space_fork(&own, &child));
    }
    if (space_rig_write(&rig, 0, &child, at, 3))
        write_word(&child, at, 3);
    if (quire_space_unmap(&child, span(base() + 2 * large(), FRAME))) {
        assert_ok(space_rig_read(&rig, 0, &child, base() + 2 * large(), &word));
        assert_ok(quire_space_unmap(&child, span(base() + 2 * large(), FRAME)));
    }
    expect_word(&own, at, 1);
    expect_word(&child, at, 3);
    expect_word(&child, base() + large() + FRAME, 2);
    quire_space_destroy(&own);
    expect_word(&child, base() + large() + FRAME, 2);
    quire_space_destroy(&child);
    rig.fail_in = 0;
    return !rig.failed;
}

static void refused(void)
{
    uint64_t n = 1;

    while (!life(n))
        n++;
    assert_true(n > 10);
}

ON_ALL(fault_beside_split)
ON_ALL(fault_beside_changes)
ON_ALL(forgotten)
ON_ALL(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_beside_split_test),
        cmocka_unit_test(fault_beside_changes_test),
        cmocka_unit_test(forgotten_test),
        cmocka_unit_test(refused_test),
    };

    return cmocka_run_group_tests_name("space_beside", tests, NULL, NULL);
}
