/* SPDX-License-Identifier: MIT
 *
 * test_promote.c - small pages become a large one: what is worth it, what is passed over, and what
 * another processor does in the middle. Each format.
 */
#include "promote_unit.h"

static const struct quire_promotion usual;

/* ---- What is promoted ----------------------------------------------------------------------- */

static void promoted(void)
{
    uint64_t part = part_at(), pages = in_part() * 3 / 4, used;
    struct quire_large_figures figures;
    struct quire_promoted done;
    uint64_t word;

    assert_ok(reserve(part, large(), rw()));
    write_pages(part, 0, pages);
    assert_ok(space_rig_read(&rig, 1, &space, part + 8, &word)); /* its TLB knows the small page */
    used = space_rig_used(&rig);
    done = promote_part(usual);
    assert_int_equal(done.parts, 1);
    assert_int_equal(done.copies, pages);
    assert_int_equal(done.next.n, part + large());
    assert_true(is_large(part));
    assert_int_equal(space_rig_used(&rig), used - pages - 1 + in_part()); /* the table is gone */
    expect_pages(part, pages);
    write_word(&space, part + 8, 77);
    assert_ok(space_rig_read(&rig, 1, &space, part + 8, &word));
    assert_int_equal(word, 77);
    assert_ok(quire_space_measure(&space, span(part, large()), true, &figures));
    assert_int_equal(figures.large, in_part());
    assert_int_equal(figures.small, 0);
    assert_int_equal(figures.zeros, in_part() - pages);
    assert_int_equal(figures.promotions, 1);
    assert_int_equal(promote_part(usual).parts, 0); /* it is large */
    assert_ok(unmap(part, large()));
}

/* A large page that was made is one as any: parts of it are unmapped, protected, forked. */
static void changed_later(void)
{
    struct quire_space child;
    uint64_t part = part_at(), word;

    make_large(in_part());
    assert_ok(quire_space_fork(&space, &child));
    write_word(&space, part + 8, 5);
    expect_word(&child, part + 8, 1);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_ok(quire_space_protect(&space, span(part + FRAME, FRAME), ro()));
    assert_int_equal(space_rig_write(&rig, 0, &space, part + FRAME, 1), QUIRE_ERR_ACCESS);
    assert_int_equal(promote_part(usual).parts, 0);
    assert_ok(quire_space_protect(&space, span(part + FRAME, FRAME), rw()));
    assert_int_equal(promote_part(usual).parts,
                     1); /* all are of one access again, and not shared */
    assert_ok(unmap(part + 2 * FRAME, FRAME));
    assert_int_equal(space_rig_read(&rig, 0, &space, part + 2 * FRAME, &word), QUIRE_ERR_AREA);
    expect_word(&space, part + 8, 5);
    expect_word(&space, part + 3 * FRAME + 8, 4);
}

/* What is released is small again, unless what was not touched was advised otherwise. */
static void released(void)
{
    const struct quire_vrange part = span(part_at(), large());

    make_large(16);
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_RELEASE));
    write_word(&space, part.start.n, 1);
    assert_false(is_large(part.start.n));
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_LARGE));
    write_pages(part.start.n, 0, 16);
    assert_int_equal(promote_part((struct quire_promotion){.present = 16}).parts, 1);
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_RELEASE));
    write_word(&space, part.start.n, 1);
    assert_true(is_large(part.start.n));
}

/* A scan goes over all of the space, through holes, in portions. */
static void in_portions(void)
{
    struct quire_vrange whole = rig.config.range;
    struct quire_promotion one = {.present = 8, .copies = 1};
    struct quire_promotion looks = {.present = 8, .looks = 1};
    struct quire_promoted done;
    uint64_t part = part_at(), end = whole.start.n + whole.bytes, parts = 0, calls = 0;

    assert_ok(reserve(part, large(), rw()));
    assert_ok(reserve(part + 4 * large(), 2 * large(), rw()));
    write_pages(part, 0, 8);
    write_pages(part + 5 * large(), 0, 8);
    done = promote_range(whole.start.n, whole.bytes, one);
    assert_int_equal(done.parts, 1);
    assert_int_equal(done.next.n, part + large());
    for (uint64_t at = done.next.n; at != end; at = done.next.n, calls++) {
        done = promote_range(at, end - at, looks);
        parts += done.parts;
    }
    assert_int_equal(parts, 1);
    assert_true(calls > 2);
    assert_true(is_large(part) && is_large(part + 5 * large()));
    expect_pages(part, 8);
    expect_pages(part + 5 * large(), 8);
    /* Parts that are not whole in the range are none. */
    write_pages(part + 4 * large(), 0, 8);
    assert_int_equal(promote_range(part + 4 * large() + FRAME, large() - FRAME, one).parts, 0);
    assert_int_equal(promote_range(part + 4 * large(), large() - FRAME, one).parts, 0);
}

/* As many as there are runs: their tables are given back in more than one go. */
static void many(void)
{
    uint64_t parts = SPACE_RIG_LARGE / in_part(), part = part_at();
    struct quire_promotion how = {.present = 4};
    struct quire_large_figures figures;
    struct quire_promoted done;

    assert_ok(reserve(part, (parts + 1) * large(), rw()));
    for (uint64_t i = 0; i <= parts; i++)
        write_pages(part + i * large(), 0, 4);
    assert_int_equal(quire_space_promote(&space, span(part, (parts + 1) * large()), &how, &done),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(done.parts, parts);
    assert_int_equal(done.next.n, part + parts * large());
    assert_ok(quire_space_measure(&space, rig.config.range, true, &figures));
    assert_int_equal(figures.large, parts * in_part());
    assert_int_equal(figures.zeros, parts * (in_part() - 4));
    assert_int_equal(figures.small, 4);
    for (uint64_t i = 0; i <= parts; i++)
        expect_word(&space, part + i * large() + 3 * FRAME + 8, 4);
}

/* ---- What is passed over -------------------------------------------------------------------- */

static bool no_frame_moves(void *ctx, quire_pfn pfn)
{
    unsigned *asked = ctx;

    return pfn.n > 0 && ++*asked > 0;
}

static bool the_last_asked(void *ctx, quire_pfn pfn)
{
    unsigned *left = ctx;

    return pfn.n > 0 && --*left == 0;
}

static void passed_over(void)
{
    uint64_t part = part_at(), used;
    struct quire_promotion how = {.present = 16};
    unsigned asked = 0;

    assert_ok(reserve(part, large() - FRAME, rw())); /* a hole */
    write_pages(part, 0, 16);
    assert_int_equal(promote_part(how).parts, 0);
    assert_ok(reserve(part + large() - FRAME, FRAME, ro())); /* another access */
    assert_int_equal(promote_part(how).parts, 0);
    assert_ok(quire_space_protect(&space, span(part + large() - FRAME, FRAME), rw()));
    used = space_rig_used(&rig);
    how.present = 17; /* too few, */
    assert_int_equal(promote_part(how).parts, 0);
    assert_int_equal(read_at(part + 16 * FRAME), 0); /* and one of zeros is none */
    assert_int_equal(promote_part(how).parts, 0);
    how.present = 16;
    how.pinned = no_frame_moves;
    how.ctx = &asked;
    assert_int_equal(promote_part(how).parts, 0);
    assert_int_equal(asked, 1);
    how.pinned = the_last_asked; /* pinned after it was looked at: in the copy */
    asked = 17 + 9;
    assert_int_equal(promote_part(how).ended, 1);
    assert_int_equal(space_rig_used(&rig), used + 1);
    how.pinned = NULL;
    assert_int_equal(promote_part(how).parts, 1);
    expect_pages(part, 16);
}

/* The table of a part may be what other page tables have: on i386, where the root names it. */
static void lent(void)
{
    const struct quire_paging_format *f = rig.which->format;
    uint64_t unit = FRAME << f->index_bits * (f->levels - 1u), slot = part_at() & ~(unit - 1);
    struct quire_promotion how = {.present = 16};
    struct quire_paging second;
    struct quire_page page;

    assert_ok(reserve(part_at(), large(), rw()));
    write_pages(part_at(), 0, 16);
    assert_ok(quire_paging_init(&second, f, &rig.config.port.paging));
    assert_ok(quire_paging_share(&second, &space.paging, span(slot, unit)));
    assert_int_equal(promote_part(how).parts, f->levels > 2);
    write_pages(part_at(), 16, 1);
    assert_ok(quire_paging_translate(&second, quire_vaddr_of(part_at() + 16 * FRAME), &page, NULL));
    expect_pages(part_at(), 17);
    quire_paging_destroy(&second);
}

static void shared_by_two(void)
{
    struct quire_promotion how = {.present = 16};
    struct quire_space child;
    uint64_t part = part_at();

    assert_ok(reserve(part, large(), rw()));
    write_pages(part, 0, 16);
    assert_ok(quire_space_protect(&space, span(part, large()), ro()));
    assert_ok(quire_space_fork(&space, &child));
    assert_int_equal(promote_part(how).parts, 0);
    assert_ok(quire_space_protect(&space, span(part, large()), rw()));
    assert_int_equal(promote_part(how).parts, 0);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_int_equal(promote_part(how).parts, 1);
    expect_pages(part, 16);
    write_word(&space, part, 1);
}

static void with_limits(void)
{
    struct quire_promotion how = {.present = 16};
    struct quire_area area = space_rig_area(part_at(), large(), rw());
    uint64_t part = part_at(), more = part + large();
    struct quire_promoted done;

    area.limit = in_part() - 1;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_pages(part, 0, 16);
    done = promote_part(how);
    assert_int_equal(done.parts, 0);
    assert_int_equal(done.refused, 1);
    area.range.start.n = more;
    area.limit = in_part();
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_pages(more, 0, 16);
    assert_int_equal(promote_range(more, large(), how).parts, 1);
    assert_ok(unmap(more, large() - FRAME));
    assert_ok(unmap(more + large() - FRAME, FRAME));
    area.range.bytes = large() - FRAME; /* two notes about one part */
    area.limit = 0;
    area.policy = rig.policy = (const struct quire_policy *)(const void *)&rig;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    assert_ok(reserve(more + large() - FRAME, FRAME, rw()));
    write_pages(more, 0, 16);
    assert_int_equal(promote_range(more, large(), how).parts, 0);
    assert_ok(unmap(more + large() - FRAME, FRAME));
    assert_ok(unmap(more, large() - FRAME));
    area.range.bytes = large();
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_pages(more, 0, 16);
    rig.by_policy.v = 0;
    assert_int_equal(promote_range(more, large(), how).parts, 1);
    assert_int_equal(rig.by_policy.v, 1);
}

static void refused(void)
{
    struct quire_promotion how = {.present = 16};
    struct quire_promoted done;
    uint64_t part = part_at(), used;

    assert_ok(reserve(part, large(), rw()));
    write_pages(part, 0, 16);
    used = space_rig_used(&rig);
    rig.fail_in = 1;
    assert_int_equal(quire_space_promote(&space, span(part, large()), &how, &done),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(done.next.n, part);
    assert_int_equal(space_rig_used(&rig), used);
    expect_pages(part, 16);
    assert_int_equal(quire_space_promote(&space, span(part, large() + 1), &how, &done),
                     QUIRE_ERR_ALIGN);
    how.present = (uint32_t)in_part() + 1;
    assert_int_equal(quire_space_promote(&space, span(part, large()), &how, &done), QUIRE_ERR_SIZE);
    how.present = 16;
    how.accessed = (uint32_t)in_part() + 1;
    assert_int_equal(quire_space_promote(&space, span(part, large()), &how, &done), QUIRE_ERR_SIZE);
    how.accessed = 0;
    space.paging.port.retire = NULL;
    assert_int_equal(quire_space_promote(&space, span(part, large()), &how, &done),
                     QUIRE_ERR_UNSUPPORTED);
    space.paging.port.retire = rig.config.port.paging.retire;
    space.config.port.frames.split = NULL;
    assert_int_equal(quire_space_promote(&space, span(part, large()), &how, &done),
                     QUIRE_ERR_UNSUPPORTED);
}

/* ---- What is hot ---------------------------------------------------------------------------- */

static void accessed(void)
{
    struct quire_promotion how = {.present = 16, .accessed = 8, .age = true};
    struct quire_page page;
    uint64_t part = part_at();

    assert_ok(reserve(part, large(), rw()));
    write_pages(part, 0, 16);
    how.accessed = 17;
    assert_int_equal(promote_part(how).parts, 0); /* and from now on it is counted anew */
    how.accessed = 8;
    assert_int_equal(promote_part(how).parts, 0);
    for (unsigned i = 0; i < 4; i++)
        expect_word(&space, part + i * FRAME + 8, i + 1);
    for (unsigned i = 4; i < 7; i++) /* a processor that cannot set the mark asks its handler */
        assert_ok(quire_space_fault(&space, quire_vaddr_of(part + i * FRAME), QUIRE_READ));
    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(part + 6 * FRAME), &page, NULL));
    assert_true(page.accessed);
    how.age = false;
    assert_int_equal(promote_part(how).parts, 0);
    expect_word(&space, part + 7 * FRAME + 8, 8);
    assert_int_equal(promote_part(how).parts, 1);
    expect_pages(part, 16);
}

/* ---- In the middle -------------------------------------------------------------------------- */

static uint64_t touched_at;
static bool touched_writes;
static unsigned touches;

/* The other processor, while all forget the part. */
static void touch_part(void)
{
    uint64_t word = 0;

    if (touches == 0)
        return;
    touches--;
    rig.during = NULL;
    if (touched_writes)
        assert_ok(space_rig_write(&rig, 1, &space, touched_at, 99));
    else
        assert_ok(space_rig_read(&rig, 1, &space, touched_at, &word));
    rig.during = touch_part;
}

static void touch_in_the_middle(uint64_t at, bool write, uint32_t patience)
{
    struct quire_promotion how = {.present = 16, .patience = patience};
    uint64_t used = space_rig_used(&rig);
    struct quire_promoted done;

    touched_at = at;
    touched_writes = write;
    touches = 1;
    rig.during = touch_part;
    done = promote_part(how);
    rig.during = NULL;
    assert_int_equal(done.parts, 0);
    assert_int_equal(done.ended, 1);
    assert_in_range(space_rig_used(&rig), used, used + 1); /* of the access */
    assert_false(is_large(part_at()));
}

static void in_the_middle(void)
{
    uint64_t part = part_at();

    if (rig.window)
        return; /* which has room for the frames of one call */
    assert_ok(reserve(part, large(), rw()));
    write_pages(part, 0, 16);
    touch_in_the_middle(part + 3 * FRAME, true, 0);
    expect_word(&space, part + 3 * FRAME, 99);
    touch_in_the_middle(part + 20 * FRAME, false, 0); /* where nothing is yet */
    touch_in_the_middle(part + 21 * FRAME, true, 5);
    expect_word(&space, part + 21 * FRAME, 99);
    write_word(&space, part + 21 * FRAME, 0);
    assert_int_equal(promote_part((struct quire_promotion){.present = 16}).parts, 1);
    expect_word(&space, part + 3 * FRAME, 99);
    write_word(&space, part + 3 * FRAME, 0);
    expect_pages(part, 16);
}

/* A fault that is patient is told to come again, and finds the large page. */
static void come_again(void)
{
    struct quire_page page;

    expect_no_address();
    assert_int_equal(quire_paging_translate(&space.paging, quire_vaddr_of(part_at()), &page, NULL),
                     QUIRE_ERR_UNMAPPED);
    for (unsigned i = 0; i < 5; i++)
        assert_ok(quire_space_fault(&space, quire_vaddr_of(part_at()), QUIRE_WRITE));
}

static void patient(void)
{
    struct quire_promotion how = {.present = 16, .patience = 5};

    if (rig.window)
        return; /* as above */
    assert_ok(reserve(part_at(), large(), rw()));
    write_pages(part_at(), 0, 16);
    rig.during = come_again;
    assert_int_equal(promote_part(how).parts, 1);
    rig.during = NULL;
    how.patience = 4;
    assert_ok(unmap(part_at(), large()));
    assert_ok(reserve(part_at(), large(), rw()));
    write_pages(part_at(), 0, 16);
    rig.during = come_again;
    assert_int_equal(promote_part(how).ended, 1);
    rig.during = NULL;
    expect_pages(part_at(), 16);
}

ON_EACH(promoted)
ON_EACH(changed_later)
ON_EACH(released)
ON_EACH(in_portions)
ON_EACH(many)
ON_EACH(passed_over)
ON_EACH(shared_by_two)
ON_EACH(with_limits)
ON_EACH(refused)
ON_EACH(accessed)
ON_ALL(in_the_middle)
ON_ALL(patient)
ON_EACH(lent)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promoted_test),      cmocka_unit_test(changed_later_test),
        cmocka_unit_test(released_test),      cmocka_unit_test(in_portions_test),
        cmocka_unit_test(many_test),          cmocka_unit_test(passed_over_test),
        cmocka_unit_test(shared_by_two_test), cmocka_unit_test(with_limits_test),
        cmocka_unit_test(refused_test),       cmocka_unit_test(accessed_test),
        cmocka_unit_test(in_the_middle_test), cmocka_unit_test(patient_test),
        cmocka_unit_test(lent_test),
    };

    return cmocka_run_group_tests_name("promote", tests, NULL, NULL);
}
