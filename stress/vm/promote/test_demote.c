/* SPDX-License-Identifier: MIT
 *
 * test_demote.c - large pages become small, and what reads as zeros is given back; what is
 * demoted is not promoted at once. Each format.
 */
#include "promote_unit.h"

static const struct quire_promotion any = {.present = 1};

static void given_back(void)
{
    uint64_t part = part_at(), pages = in_part() / 4, used;
    struct quire_large_figures figures;
    struct quire_demoted done;
    uint64_t word;

    make_large(pages);
    write_word(&space, part + 8, 0); /* one was cleared */
    assert_ok(space_rig_read(&rig, 1, &space, part + (pages + 1) * FRAME, &word));
    used = space_rig_used(&rig);
    assert_int_equal(demote_part((uint32_t)(in_part() - pages + 2)).parts, 0); /* not enough */
    assert_true(is_large(part));
    done = demote_part((uint32_t)(in_part() - pages + 1));
    assert_int_equal(done.parts, 1);
    assert_int_equal(done.frames, in_part() - pages + 1);
    assert_int_equal(done.next.n, part + large());
    assert_int_equal(space_rig_used(&rig), used - done.frames + 1); /* and a table */
    write_word(&space, part + (pages + 1) * FRAME, 5); /* the other one's TLB has forgotten it */
    assert_ok(space_rig_read(&rig, 1, &space, part + (pages + 1) * FRAME, &word));
    assert_int_equal(word, 5);
    write_word(&space, part + (pages + 1) * FRAME, 0);
    write_word(&space, part + 8, 1);
    expect_pages(part, pages);
    assert_ok(quire_space_measure(&space, span(part, large()), true, &figures));
    assert_int_equal(figures.large, 0);
    assert_int_equal(figures.small, in_part()); /* by reading them */
    assert_int_equal(figures.demotions, 1);
    assert_int_equal(figures.returned, done.frames);
    assert_int_equal(demote_part(1).frames, in_part() - pages); /* small ones, too */
    assert_ok(unmap(part, large()));
}

/* What a write brings in the middle stays. */
static uint64_t written_at;
static unsigned calls, write_in;
static bool written;

static void write_in_the_middle(void)
{
    struct quire_page page;

    if (++calls != write_in)
        return;
    rig.during = NULL;
    /* What is taken out comes back when it has left: it is passed over here. */
    if (quire_paging_translate(&space.paging, quire_vaddr_of(written_at), &page, NULL) == 0) {
        assert_ok(space_rig_write(&rig, 1, &space, written_at, 99));
        written = true;
    }
    rig.during = write_in_the_middle;
}

/* At each time that something is forgotten, but while a large page is busy: when it has a table,
 * when its pages have lost the right to be written, and when they are leaving. */
static void beside_writes(void)
{
    unsigned first = rig.which->format->break_before_make ? 2 : 1, times = 0;
    uint64_t part = part_at();

    if (rig.window)
        return; /* which has room for the frames of one call */
    written_at = part + 20 * FRAME + 8;
    for (unsigned when = first; when < first + 3; when++) {
        struct quire_demoted done;

        make_large(16);
        written = false;
        calls = 0;
        write_in = when;
        rig.during = write_in_the_middle;
        done = demote_part(1);
        rig.during = NULL;
        assert_int_equal(calls, first + 2);
        assert_int_equal(done.frames, in_part() - 16 - written);
        times += written;
        expect_word(&space, written_at, written ? 99 : 0);
        write_word(&space, written_at, 0);
        expect_pages(part, 16);
        assert_ok(unmap(part, large()));
        for (unsigned i = 0; i < QUIRE_DEMOTED_PARTS; i++)
            space.large.demoted[i] = 0;
    }
    assert_int_equal(times, 2);
}

/* What may be another space's is left alone. */
static void shared_zeros(void)
{
    struct quire_space child;
    uint64_t part = part_at();

    make_large(16);
    assert_ok(quire_space_fork(&space, &child));
    assert_int_equal(demote_part(1).frames, 0);
    write_word(&space, part + 30 * FRAME, 1); /* a copy */
    write_word(&space, part + 30 * FRAME, 0);
    assert_int_equal(demote_part(1).frames, 1);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_int_equal(demote_part(1).frames, in_part() - 17);
    expect_pages(part, 16);
}

/* The frame that a device is about to fill; or any, from a time on. */
static quire_pfn pinned_frame;
static unsigned pinned_asked;

static bool one_is_pinned(void *ctx, quire_pfn pfn)
{
    pinned_asked++;
    return ctx == &pinned_frame && pfn.n == pinned_frame.n;
}

static bool pinned_once_it_left(void *ctx, quire_pfn pfn)
{
    uint64_t virt = *(const uint64_t *)ctx;
    struct quire_page page;

    return pfn.n == pinned_frame.n &&
           quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL) != 0;
}

/* A page of zeros that is pinned keeps its frame, and is written as before; whether it was pinned
 * before the call, or is when nobody finds it any more. */
static void pinned(void)
{
    struct quire_demotion how = {.zeros = (uint32_t)in_part() - 16, .pinned = one_is_pinned};
    uint64_t at = part_at() + 20 * FRAME;
    struct quire_demoted done;
    struct quire_page page;

    make_large(16);
    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(part_at()), &page, NULL));
    pinned_frame = quire_pfn_of_phys(page.phys.n + 20 * FRAME);
    pinned_asked = 0;
    how.ctx = &pinned_frame;
    assert_ok(quire_space_demote(&space, span(part_at(), large()), &how, &done));
    assert_int_equal(done.parts, 0); /* it does not count */
    assert_true(pinned_asked > 0 && is_large(part_at()));
    how.zeros = 1;
    for (unsigned round = 0; round < 2; round++) {
        assert_ok(quire_space_demote(&space, span(part_at(), large()), &how, &done));
        assert_int_equal(done.frames, round ? 0 : in_part() - 17);
        assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(at), &page, NULL));
        assert_int_equal(page.phys.n, quire_phys(pinned_frame));
        write_word(&space, at, 7);
        expect_word(&space, at, 7);
        write_word(&space, at, 0);
        how.pinned = pinned_once_it_left;
        how.ctx = &at;
    }
    how.pinned = NULL;
    assert_ok(quire_space_demote(&space, span(part_at(), large()), &how, &done));
    assert_int_equal(done.frames, 1);
    expect_pages(part_at(), 16);
}

static void waits(void)
{
    uint64_t part = part_at();
    unsigned expected = 4;

    make_large(16);
    for (unsigned round = 0; round < 2; round++, expected *= 2) {
        unsigned waited = 0;

        assert_int_equal(demote_part(0).parts, 1);
        assert_false(is_large(part));
        assert_int_equal(promote_part((struct quire_promotion){.present = 17}).waiting, 0);
        while (promote_part(any).waiting)
            waited++;
        assert_int_equal(waited, expected);
        assert_true(is_large(part));
        expect_pages(part, 16);
    }
}

/* A limit counts what is there. */
static void counted(void)
{
    struct quire_area area = space_rig_area(part_at(), large(), rw());

    area.limit = in_part();
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_pages(part_at(), 0, 8);
    assert_int_equal(promote_part(any).parts, 1);
    assert_int_equal(demote_part(1).frames, in_part() - 8);
    assert_ok(quire_space_protect(&space, span(part_at(), large()), ro()));
    expect_pages(part_at(), 8); /* all of it fits */
    assert_ok(quire_space_protect(&space, span(part_at(), large()), rw()));
    assert_int_equal(demote_part(1).frames, in_part() - 8);
    write_pages(part_at(), 0, in_part());
}

static void refused(void)
{
    struct quire_demotion how = {.zeros = 1};
    struct quire_demoted done;
    uint64_t used;

    make_large(16);
    used = space_rig_used(&rig);
    rig.fail_in = 1;
    assert_int_equal(quire_space_demote(&space, span(part_at(), large()), &how, &done),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(done.next.n, part_at());
    assert_int_equal(space_rig_used(&rig), used);
    assert_true(is_large(part_at()));
    assert_int_equal(quire_space_demote(&space, span(part_at() + 1, large()), &how, &done),
                     QUIRE_ERR_ALIGN);
    how.zeros = (uint32_t)in_part() + 1;
    assert_int_equal(quire_space_demote(&space, span(part_at(), large()), &how, &done),
                     QUIRE_ERR_SIZE);
    how.zeros = 1;
    how.looks = 1;
    assert_ok(quire_space_demote(&space, rig.config.range, &how, &done));
    assert_true(done.looks < 2 * in_part() && done.next.n <= part_at() + large());
    expect_pages(part_at(), 16);
}

ON_EACH(given_back)
ON_ALL(beside_writes)
ON_EACH(shared_zeros)
ON_EACH(pinned)
ON_EACH(waits)
ON_EACH(counted)
ON_EACH(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_back_test),   cmocka_unit_test(beside_writes_test),
        cmocka_unit_test(shared_zeros_test), cmocka_unit_test(pinned_test),
        cmocka_unit_test(waits_test),        cmocka_unit_test(counted_test),
        cmocka_unit_test(refused_test),
    };

    return cmocka_run_group_tests_name("demote", tests, NULL, NULL);
}
