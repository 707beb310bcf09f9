/* SPDX-License-Identifier: MIT
 *
 * test_around.c - in an area that is advised large pages, one fault brings small ones for a
 * neighbourhood: how many, where they lie, and what other calls do to them. Each format.
 */
#include "promote_unit.h"

enum { AROUND = 16 };

static struct quire_frame_source small; /* the rig's */
static unsigned runs, faults;           /* that were asked for, longer than a frame; of a loop */
static uint64_t touched_meanwhile;      /* 0: nothing is */

static int give(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    uint64_t virt = touched_meanwhile;

    runs += order > 0;
    touched_meanwhile = 0;
    if (virt)
        assert_ok(quire_space_fault(&space, quire_vaddr_of(virt), QUIRE_READ));
    return small.alloc(ctx, policy, order, pfn);
}

static void begin(void)
{
    quire_space_destroy(&space);
    small = rig.config.port.frames;
    rig.config.port.frames.alloc = give;
    rig.config.around = AROUND;
    assert_ok(quire_space_create(&space, &rig.config));
    runs = 0;
    touched_meanwhile = 0;
}

/* An area in a part, which no large page fits into. */
static void reserve_pages(uint64_t first, uint64_t pages, uint64_t limit)
{
    struct quire_area area = space_rig_area(part_at() + first * FRAME, pages * FRAME, rw());

    area.limit = limit;
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
}

static uint64_t at(uint64_t page)
{
    return part_at() + page * FRAME;
}

static bool is_there(uint64_t page)
{
    struct quire_page found;

    return quire_paging_translate(&space.paging, quire_vaddr_of(at(page)), &found, NULL) == 0;
}

/* These pages are there, and those beside them are not. */
static void expect_just(uint64_t first, uint64_t pages)
{
    for (uint64_t i = first; i < first + pages; i++)
        assert_true(is_there(i));
    assert_false(first > 0 && is_there(first - 1));
    assert_false(is_there(first + pages));
}

static void one_run(void)
{
    struct quire_page page, first;

    begin();
    reserve_pages(0, 64, 0);
    write_word(&space, at(21) + 8, 22);
    assert_int_equal(runs, 1);
    expect_just(16, AROUND);
    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(at(16)), &first, NULL));
    for (uint64_t i = 16; i < 32; i++) {
        assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(at(i)), &page, NULL));
        assert_int_equal(page.phys.n, first.phys.n + (i - 16) * FRAME);
        assert_int_equal(page.size, FRAME);
        assert_int_equal(page.access, rw());
        expect_word(&space, at(i) + 8, i == 21 ? 22 : 0);
        write_word(&space, at(i) + 8, i);
    }
    assert_int_equal(runs, 1);
    for (uint64_t i = 16; i < 32; i++)
        expect_word(&space, at(i) + 8, i);
    assert_ok(unmap(at(18), 3 * FRAME)); /* single frames go back */
    assert_ok(quire_space_advise(&space, span(at(24), FRAME), QUIRE_ADVISE_RELEASE));
    expect_word(&space, at(24) + 8, 0);
    expect_word(&space, at(23) + 8, 23);
}

/* How many faults a part takes that is touched page by page. */
static unsigned faults_of(uint64_t pages)
{
    faults = 0;
    for (uint64_t i = 0; i < pages; i++)
        if (!is_there(i)) {
            assert_ok(quire_space_fault(&space, quire_vaddr_of(at(i)), QUIRE_WRITE));
            faults++;
        }
    return faults;
}

static void fewer_faults(void)
{
    begin();
    reserve_pages(0, in_part() - 1, 0); /* 15 at the end: 8, 4, 2 and one */
    assert_int_equal(faults_of(in_part() - 1), in_part() / AROUND - 1 + 4);
    assert_int_equal(runs, in_part() / AROUND - 1 + 3);
}

/* A run fits into the area, and into what was not touched. */
static void what_fits(void)
{
    begin();
    reserve_pages(3, 18, 0);
    write_word(&space, at(3), 1);
    expect_just(3, 1);
    write_word(&space, at(5), 1);
    expect_just(3, 5); /* four of them */
    write_word(&space, at(19), 1);
    expect_just(16, 4);
    assert_ok(quire_space_protect(&space, span(at(8), 4 * FRAME), ro()));
    write_word(&space, at(13), 1);
    expect_just(12, 8); /* with those above */
    assert_int_equal(read_at(at(9)), 0);
    expect_just(3, 17);
}

/* Who did not ask gets the page. */
static void not_advised(void)
{
    begin();
    assert_ok(reserve(part_at(), 32 * FRAME, rw()));
    write_word(&space, at(5), 1);
    expect_just(5, 1);
    assert_ok(quire_space_advise(&space, span(part_at(), 32 * FRAME), QUIRE_ADVISE_LARGE));
    write_word(&space, at(17), 1);
    assert_true(is_there(16) && is_there(31) && !is_there(4));
    assert_ok(unmap(part_at(), 32 * FRAME));
    reserve_pages(0, 32, 0);
    assert_ok(quire_space_advise(&space, span(part_at(), 32 * FRAME), QUIRE_ADVISE_SMALL));
    write_word(&space, at(5), 1);
    expect_just(5, 1);
}

/* A whole large page comes first. */
static void large_first(void)
{
    begin();
    reserve_pages(0, in_part(), 0);
    write_word(&space, at(5), 1);
    assert_true(is_large(part_at()));
    assert_ok(unmap(part_at(), large()));
    reserve_pages(0, in_part(), 0);
    rig.fail_in = 1;
    write_word(&space, at(5), 1);
    expect_just(0, AROUND);
}

/* Where no such run is at hand there are fewer pages. */
static void refused(void)
{
    begin();
    reserve_pages(0, 64, 9);
    rig.fail_in = 1;
    write_word(&space, at(5), 1);
    expect_just(5, 1);
    write_word(&space, at(40), 1); /* what was refused is not counted */
    expect_just(40, 8);
}

static void limits(void)
{
    begin();
    reserve_pages(0, 64, 11);
    write_word(&space, at(40), 1);
    expect_just(40, 8);
    write_word(&space, at(33), 1);
    expect_just(32, 2);
    write_word(&space, at(0), 1);
    expect_just(0, 1);
    assert_error(read_at(at(50)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(at(32), 16 * FRAME));
    write_word(&space, at(60), 1);
    expect_just(56, 8);
}

/* Another CPU fills a page of the neighbourhood: it keeps what it has, and no frame is lost. */
static void beside_a_fault(void)
{
    uint64_t used;

    if (rig.window)
        return; /* which has room for the frames of one call */
    begin();
    reserve_pages(0, 64, 56);
    write_word(&space, at(63), 1); /* the tables */
    used = space_rig_used(&rig);
    touched_meanwhile = at(7);
    write_word(&space, at(5), 1);
    expect_just(0, AROUND);
    assert_int_equal(space_rig_used(&rig), used + AROUND);
    /* Those for which it was too late do not count. */
    write_word(&space, at(16), 1);
    assert_int_equal(space_rig_used(&rig), used + 2 * AROUND);
}

static void forked(void)
{
    struct quire_space child;

    begin();
    reserve_pages(0, 64, 0);
    write_word(&space, at(5), 1);
    assert_ok(quire_space_fork(&space, &child));
    write_word(&child, at(5), 2);
    write_word(&child, at(6), 3);
    expect_word(&space, at(5), 1);
    expect_word(&space, at(6), 0);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    expect_word(&space, at(5), 1);
}

static void wrong_numbers(void)
{
    struct quire_space_config config = rig.config;
    struct quire_space other;

    config.around = 12;
    assert_error(quire_space_create(&other, &config), QUIRE_ERR_UNSUPPORTED);
    config.around = 2 * QUIRE_AROUND_MOST;
    assert_error(quire_space_create(&other, &config), QUIRE_ERR_UNSUPPORTED);
    config.around = QUIRE_AROUND_MOST;
    config.port.frames.split = NULL;
    assert_error(quire_space_create(&other, &config), QUIRE_ERR_UNSUPPORTED);
}

ON_ALL(one_run)
ON_EACH(fewer_faults)
ON_EACH(what_fits)
ON_EACH(not_advised)
ON_EACH(large_first)
ON_EACH(refused)
ON_EACH(limits)
ON_ALL(beside_a_fault)
ON_EACH(forked)
ON_EACH(wrong_numbers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_run_test),     cmocka_unit_test(fewer_faults_test),
        cmocka_unit_test(what_fits_test),   cmocka_unit_test(not_advised_test),
        cmocka_unit_test(large_first_test), cmocka_unit_test(refused_test),
        cmocka_unit_test(limits_test),      cmocka_unit_test(beside_a_fault_test),
        cmocka_unit_test(forked_test),      cmocka_unit_test(wrong_numbers_test),
    };

    return cmocka_run_group_tests_name("around", tests, NULL, NULL);
}
