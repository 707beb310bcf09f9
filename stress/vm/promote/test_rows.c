/* SPDX-License-Identifier: MIT
 *
 * test_rows.c - small pages become rows, whose frames lie side by side: which ones, what stays as
 * it was, and what another processor does in the middle. Each format.
 */
#include "promote_unit.h"

#include <string.h>

enum { LEAST = 4, ROW = 1 << LEAST, LONG = 8 };

static struct quire_frame_source source; /* the rig's */
static unsigned longest;                 /* order of a run that is to be had */
static unsigned asked[16];               /* for a run of this order */
static uint64_t touched_meanwhile;       /* 0: nothing is */

static int give(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    uint64_t virt = order > 0 ? touched_meanwhile : 0;

    asked[order]++;
    if (virt) {
        touched_meanwhile = 0;
        assert_ok(quire_space_fault(&space, quire_vaddr_of(virt), QUIRE_READ));
    }
    return order > longest ? QUIRE_ERR_NO_MEMORY : source.alloc(ctx, policy, order, pfn);
}

static void begin(void)
{
    quire_space_destroy(&space);
    source = rig.config.port.frames;
    rig.config.port.frames.alloc = give;
    assert_ok(quire_space_create(&space, &rig.config));
    memset(asked, 0, sizeof asked);
    longest = LONG;
    touched_meanwhile = 0;
}

static uint64_t at(uint64_t page)
{
    return part_at() + page * FRAME;
}

/* No two of them get frames side by side. */
static void scatter(uint64_t first, uint64_t pages)
{
    for (uint64_t i = first + pages; i-- > first;)
        write_word(&space, at(i) + 8, i + 1);
}

static void expect_scattered(uint64_t first, uint64_t pages)
{
    for (uint64_t i = first; i < first + pages; i++)
        expect_word(&space, at(i) + 8, i + 1);
}

static struct quire_page page_of(uint64_t page)
{
    struct quire_page found = {.size = 0};

    (void)quire_paging_translate(&space.paging, quire_vaddr_of(at(page)), &found, NULL);
    return found;
}

static bool is_row(uint64_t first, unsigned order)
{
    uint64_t start = page_of(first).phys.n;

    for (uint64_t i = first; i < first + (1u << order); i++)
        if (page_of(i).size != FRAME || page_of(i).phys.n != start + (i - first) * FRAME)
            return false;
    return start % (FRAME << order) == 0;
}

static const struct quire_promotion usual = {.row = LEAST};

static void expect_nothing_to_do(struct quire_promotion how)
{
    struct quire_promoted done = promote_part(how);

    assert_int_equal(done.rows + done.filled + done.copies + done.ended + done.refused, 0);
}

/* ---- What is made --------------------------------------------------------------------------- */

static void made(void)
{
    uint64_t pages = in_part(), used, word;
    struct quire_large_figures figures;
    struct quire_promoted done;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, pages);
    assert_false(is_row(0, LEAST));
    assert_ok(space_rig_read(&rig, 1, &space, at(3) + 8, &word)); /* its TLB knows the old page */
    used = space_rig_used(&rig);
    done = promote_part(usual);
    assert_int_equal(done.rows, pages >> LONG);
    assert_int_equal(done.copies, pages);
    assert_int_equal(done.parts + done.filled + done.ended, 0);
    assert_int_equal(done.next.n, part_at() + large());
    assert_int_equal(space_rig_used(&rig), used);
    for (uint64_t first = 0; first < pages; first += 1u << LONG)
        assert_true(is_row(first, LONG));
    expect_scattered(0, pages);
    write_word(&space, at(3) + 8, 77);
    assert_ok(space_rig_read(&rig, 1, &space, at(3) + 8, &word));
    assert_int_equal(word, 77);
    expect_nothing_to_do(usual);
    expect_nothing_to_do((struct quire_promotion){.row = LONG, .present = 1});
    assert_ok(quire_space_measure(&space, span(part_at(), large()), false, &figures));
    assert_int_equal(figures.rows, pages >> LONG);
    assert_int_equal(figures.copies, pages);
    assert_int_equal(figures.filled, 0);
    longest = 10; /* and a large page, when there is one */
    assert_int_equal(promote_part(usual).parts, 1);
    assert_int_equal(promote_part(usual).copies, 0);
}

/* What has no frame gets one, with zeros. */
static void holes(void)
{
    uint64_t used;
    struct quire_promoted done;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(2, 7);
    assert_int_equal(promote_part(usual).rows, 0); /* half of 16 are 8 */
    scatter(0, 2);
    used = space_rig_used(&rig);
    done = promote_part(usual);
    assert_int_equal(done.rows, 1);
    assert_int_equal(done.copies, 9);
    assert_int_equal(done.filled, 7);
    assert_int_equal(space_rig_used(&rig), used + 7);
    assert_true(is_row(0, LEAST));
    assert_int_equal(page_of(ROW).size, 0);
    expect_scattered(0, 9);
    for (uint64_t i = 9; i < ROW; i++)
        expect_word(&space, at(i) + 8, 0);
    expect_nothing_to_do(usual);
}

/* The longest row that is worth it, and what is left by shorter ones. */
static void longest_first(void)
{
    struct quire_promoted done;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    for (uint64_t i = 256; i-- > 0;) /* every second page */
        if (i % 2 == 0)
            write_word(&space, at(i) + 8, i + 1);
    scatter(256 + 64, 32); /* half of an order of 6, */
    scatter(512 - 16, 7);  /* and too few of 4 */
    done = promote_part((struct quire_promotion){.row = LEAST, .present = (uint32_t)in_part() / 2});
    assert_int_equal(done.rows, 2);
    assert_true(is_row(0, 8));
    assert_true(is_row(256 + 64, 6));
    assert_int_equal(done.copies, 128 + 32);
    assert_int_equal(done.filled, 128 + 32);
    expect_scattered(256 + 64, 32);
    expect_scattered(512 - 16, 7);
    expect_nothing_to_do(usual);
}

/* Areas that no large page fits into, and what is aligned in them. */
static void small_areas(void)
{
    struct quire_promoted done;

    begin();
    assert_ok(reserve(at(3), 40 * FRAME, rw()));
    scatter(3, 40);
    done = promote_part(usual);
    assert_int_equal(done.rows, 1);
    assert_true(is_row(16, LEAST));
    assert_int_equal(done.copies, ROW);
    assert_ok(quire_space_protect(&space, span(at(32), 11 * FRAME), ro()));
    assert_ok(reserve(at(43), 5 * FRAME, rw()));
    expect_nothing_to_do(usual); /* two accesses */
    assert_ok(quire_space_protect(&space, span(at(32), 11 * FRAME), rw()));
    assert_int_equal(promote_part(usual).filled, 5);
    assert_true(is_row(32, LEAST));
    expect_scattered(3, 40);
    write_word(&space, at(33), 1); /* it lost the right to be written meanwhile */
    assert_true(is_row(32, LEAST));
}

/* An entry keeps all but the frame. */
static void marks(void)
{
    struct quire_promotion how = {.row = LEAST, .accessed = (uint32_t)in_part() / 4, .age = true};

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, 7);
    assert_int_equal(promote_part(how).rows, 0); /* and from now on marks are counted anew */
    scatter(7, 1);
    how.age = false;
    for (unsigned i = 0; i < 2; i++)
        expect_word(&space, at(i) + 8, i + 1);
    assert_int_equal(promote_part(how).rows, 0); /* three of 16, */
    expect_word(&space, at(2) + 8, 3);
    assert_int_equal(promote_part(how).rows, 1); /* and four */
    for (unsigned i = 0; i < 8; i++) {
        assert_true(page_of(i).accessed == (i < 3 || i == 7));
        assert_true(page_of(i).dirty);
        assert_int_equal(page_of(i).access, rw());
    }
    expect_scattered(0, 8);
}

static void zeros_told_apart(void)
{
    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, ROW);
    for (unsigned i = 0; i < 9; i++)
        write_word(&space, at(i) + 8, 0);
    assert_int_equal(promote_part(usual).rows, 0); /* seven that count */
    write_word(&space, at(0) + 8, 1);
    assert_int_equal(promote_part(usual).rows, 1);
}

/* A row is small pages: unmapped, protected, released, forked one by one. */
static void changed_later(void)
{
    struct quire_space child;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, ROW);
    assert_int_equal(promote_part(usual).rows, 1);
    assert_ok(quire_space_fork(&space, &child));
    write_word(&space, at(0) + 8, 5);
    expect_word(&child, at(0) + 8, 1);
    expect_nothing_to_do(usual); /* they are shared */
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_int_equal(promote_part(usual).rows, 1); /* one has a frame elsewhere */
    assert_ok(unmap(at(1), FRAME));
    assert_ok(quire_space_advise(&space, span(at(2), FRAME), QUIRE_ADVISE_RELEASE));
    expect_nothing_to_do(usual); /* a hole */
    assert_ok(reserve(at(1), FRAME, rw()));
    assert_int_equal(promote_part(usual).filled, 2);
    expect_word(&space, at(0) + 8, 5);
    expect_word(&space, at(2) + 8, 0);
    expect_scattered(3, ROW - 3);
}

/* ---- What is passed over -------------------------------------------------------------------- */

static bool no_frame_moves(void *ctx, quire_pfn pfn)
{
    unsigned *times = ctx;

    return pfn.n > 0 && ++*times > 0;
}

static bool the_last_asked(void *ctx, quire_pfn pfn)
{
    unsigned *left = ctx;

    return pfn.n > 0 && --*left == 0;
}

static void pinned(void)
{
    struct quire_promotion how = usual;
    struct quire_promoted done;
    struct quire_page page;
    uint64_t used;
    unsigned times = 0;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, ROW);
    used = space_rig_used(&rig);
    how.present = (uint32_t)in_part(); /* all pages of a row */
    how.pinned = no_frame_moves;
    how.ctx = &times;
    expect_nothing_to_do(how);
    assert_true(times > 0);
    how.pinned = the_last_asked; /* pinned after it was looked at */
    times = ROW + 9;
    page = page_of(8);
    done = promote_part(how);
    assert_int_equal(times, -(unsigned)(ROW - 9));
    assert_int_equal(done.rows, 0);
    assert_int_equal(done.ended, 1);
    assert_int_equal(done.copies, ROW - 1);
    assert_int_equal(page_of(8).phys.n, page.phys.n);
    assert_int_equal(space_rig_used(&rig), used);
    expect_scattered(0, ROW);
    how.pinned = NULL;
    assert_int_equal(promote_part(how).rows, 1);
    expect_scattered(0, ROW);
}

static void shared_by_two(void)
{
    struct quire_space child;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, 2 * ROW);
    assert_ok(quire_space_fork(&space, &child));
    for (uint64_t i = 0; i < ROW; i++)
        write_word(&space, at(i), 1);
    write_word(&child, at(ROW), 1);
    assert_int_equal(promote_part(usual).rows, 1); /* of copies */
    assert_true(is_row(0, LEAST) && !is_row(ROW, LEAST));
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_int_equal(promote_part(usual).rows, 1); /* whose entries do not allow writes yet */
    expect_scattered(0, 2 * ROW);
    for (uint64_t i = 0; i < 2 * ROW; i++)
        write_word(&space, at(i), 2);
    assert_true(is_row(0, LEAST) && is_row(ROW, LEAST));
}

static void two_notes(void)
{
    struct quire_area area = space_rig_area(part_at(), 8 * FRAME, rw());

    begin();
    area.policy = rig.policy = (const struct quire_policy *)(const void *)&rig;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    assert_ok(reserve(at(8), large() - 8 * FRAME, rw()));
    scatter(0, ROW);
    expect_nothing_to_do(usual);
    assert_ok(quire_space_set_policy(&space, span(at(8), 8 * FRAME), rig.policy));
    rig.by_policy.v = 0;
    assert_int_equal(promote_part(usual).rows, 1);
    assert_int_equal(rig.by_policy.v, 1);
    expect_scattered(0, ROW);
}

/* ---- What is refused ------------------------------------------------------------------------ */

static void limits(void)
{
    struct quire_area area = space_rig_area(part_at(), large(), rw());
    struct quire_promoted done;

    begin();
    area.limit = 14;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    scatter(0, 12);
    done = promote_part(usual);
    assert_int_equal(done.rows, 0);
    assert_int_equal(done.refused, 1);
    scatter(12, 2); /* what was refused is not counted */
    assert_error(read_at(at(20)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(part_at(), large()));
    area.limit = ROW;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    scatter(0, 12);
    assert_int_equal(promote_part(usual).filled, 4);
    assert_error(read_at(at(20)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(at(3), FRAME));
    assert_ok(read_at(at(20)));
    assert_error(read_at(at(21)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(part_at(), 3 * FRAME));
    assert_ok(unmap(at(4), large() - 4 * FRAME));
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    scatter(0, ROW); /* nothing is missing, and nothing is left to be counted */
    assert_int_equal(promote_part(usual).rows, 1);
    assert_error(read_at(at(20)), QUIRE_ERR_LIMIT);
}

/* A row that a limit refuses is tried by halves. */
static void limits_of_halves(void)
{
    struct quire_area area = space_rig_area(part_at(), large(), rw());
    const struct quire_promotion half = {.row = LEAST, .present = (uint32_t)in_part() / 2};
    struct quire_promoted done;

    begin();
    area.limit = 128;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    for (uint64_t i = 256; i-- > 0;) /* every second page */
        if (i % 2 == 0)
            write_word(&space, at(i) + 8, i + 1);
    done = promote_part(half);
    assert_int_equal(done.rows + done.copies, 0);
    assert_int_equal(done.refused, 1 + 2 + 4 + 8 + 16);
    assert_error(read_at(at(300)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(at(0), 20 * FRAME)); /* ten frames less: room for what one of 16 lacks */
    assert_int_equal(promote_part(half).filled, 8);
}

static void no_memory(void)
{
    struct quire_promoted done;
    uint64_t used, second = in_part();

    begin();
    assert_ok(reserve(part_at(), 2 * large(), rw()));
    scatter(second, second);
    scatter(0, 256);
    used = space_rig_used(&rig);
    longest = LEAST - 1;
    assert_error(quire_space_promote(&space, span(part_at(), 2 * large()), &usual, &done),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(done.next.n, part_at());
    assert_int_equal(done.rows + done.copies, 0);
    longest = 5;
    memset(asked, 0, sizeof asked);
    done = promote_range(part_at(), 2 * large(), usual);
    assert_int_equal(done.rows, (256 + second) / 32);
    for (unsigned order = 6; order <= LONG; order++)
        assert_int_equal(asked[order], 1); /* each once for all of the range */
    assert_int_equal(asked[9] + asked[10], 1);
    assert_int_equal(asked[5], done.rows);
    assert_int_equal(space_rig_used(&rig), used);
    expect_scattered(0, 256);
    expect_scattered(second, second);
}

static int split_refused(void *ctx, quire_pfn pfn, unsigned order)
{
    (void)ctx;
    (void)pfn;
    return order > 0 ? QUIRE_ERR_NO_MEMORY : 0;
}

static void no_split(void)
{
    struct quire_promoted done;
    uint64_t used;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, ROW);
    used = space_rig_used(&rig);
    space.config.port.frames.split = split_refused;
    assert_error(quire_space_promote(&space, span(part_at(), large()), &usual, &done),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(space_rig_used(&rig), used);
    expect_scattered(0, ROW);
    space.config.port.frames.split = NULL;
    assert_error(quire_space_promote(&space, span(part_at(), large()), &usual, &done),
                 QUIRE_ERR_UNSUPPORTED);
    space.config.port.frames.split = source.split;
    space.paging.port.retire = NULL; /* which rows do without */
    assert_int_equal(promote_part(usual).rows, 1);
    space.paging.port.retire = rig.config.port.paging.retire;
    expect_scattered(0, ROW);
}

static void wrong_numbers(void)
{
    static const uint32_t wrong[] = {1, 3, 9, 10, 64};
    struct quire_promoted done;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct quire_promotion how = {.row = wrong[i]};

        assert_error(quire_space_promote(&space, span(part_at(), large()), &how, &done),
                     QUIRE_ERR_SIZE);
    }
}

/* ---- Budgets, and what was demoted ---------------------------------------------------------- */

static void in_portions(void)
{
    struct quire_promotion copies = usual, looks = usual;
    struct quire_promoted done;
    uint64_t parts = 3;

    begin();
    assert_ok(reserve(part_at(), parts * large(), rw()));
    for (uint64_t i = 0; i < parts; i++)
        scatter(i * in_part(), ROW);
    copies.copies = 1;
    done = promote_range(part_at(), parts * large(), copies);
    assert_int_equal(done.rows, 1);
    assert_int_equal(done.next.n, part_at() + large());
    looks.looks = 1;
    done = promote_range(done.next.n, (parts - 1) * large(), looks);
    assert_int_equal(done.rows, 1);
    assert_int_equal(done.next.n, part_at() + 2 * large());
    assert_true(done.looks > in_part());
    assert_int_equal(promote_range(done.next.n, large(), looks).rows, 1);
}

/* Filled, given back, and filled again: it waits, twice as often each time. */
static void no_creep(void)
{
    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, 12);
    for (unsigned waits = 4; waits <= 8; waits *= 2) {
        assert_int_equal(promote_part(usual).rows, 1);
        assert_int_equal(demote_part(1).frames, 4);
        for (unsigned i = 0; i < waits; i++) {
            struct quire_promoted done = promote_part(usual);

            assert_int_equal(done.rows, 0);
            assert_int_equal(done.waiting, 1);
        }
    }
    assert_int_equal(promote_part(usual).rows, 1);
    expect_scattered(0, 12);
}

/* ---- In the middle -------------------------------------------------------------------------- */

/* The other processor, while all forget a row's pages: it is told to come again. */
static void come_again(void)
{
    struct quire_page page;

    expect_no_address();
    for (uint64_t i = 0; i < 12; i++) {
        assert_error(quire_paging_translate(&space.paging, quire_vaddr_of(at(i)), &page, NULL),
                     QUIRE_ERR_UNMAPPED);
        assert_ok(quire_space_fault(&space, quire_vaddr_of(at(i)), QUIRE_WRITE));
    }
    rig.during = NULL;
    assert_ok(space_rig_write(&rig, 1, &space, at(13) + 8, 14)); /* it is there already */
    assert_ok(space_rig_write(&rig, 1, &space, at(16) + 8, 17));
}

static void held_meanwhile(void)
{
    struct quire_promoted done;

    begin();
    if (rig.window)
        return; /* which has room for the frames of one call */
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, 12);
    rig.during = come_again;
    done = promote_part(usual);
    assert_null(rig.during);
    assert_int_equal(done.rows, 1);
    assert_int_equal(done.ended, 0);
    expect_scattered(0, 12);
    expect_scattered(13, 1);
    expect_scattered(16, 1);
}

/* One invalidation for 16 pages. */
static void one_for_many(void)
{
    uint64_t before;

    begin();
    assert_ok(reserve(part_at(), large(), rw()));
    scatter(0, 1u << LONG);
    before = qa_load(&rig.invalidations, relaxed);
    assert_int_equal(promote_part(usual).rows, 1);
    assert_int_equal(qa_load(&rig.invalidations, relaxed) - before, (1u << LONG) / 16);
}

/* A fault brings a page of the row first: it is moved, and counted once. */
static void filled_meanwhile(void)
{
    struct quire_area area = space_rig_area(part_at(), large(), rw());
    struct quire_promoted done;

    begin();
    if (rig.window)
        return; /* as above */
    area.limit = ROW + 1;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    scatter(0, 12);
    touched_meanwhile = at(13);
    done = promote_part(usual);
    assert_int_equal(touched_meanwhile, 0);
    assert_int_equal(done.rows, 1);
    assert_int_equal(done.filled, 3);
    assert_int_equal(done.copies, 13);
    assert_true(is_row(0, LEAST));
    assert_ok(read_at(at(20)));
    assert_error(read_at(at(21)), QUIRE_ERR_LIMIT);
    assert_ok(unmap(part_at(), large()));
    area.limit = ROW; /* there is no room for it twice: it comes again */
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    scatter(0, 12);
    touched_meanwhile = at(13);
    assert_int_equal(promote_part(usual).filled, 4);
    assert_error(read_at(at(20)), QUIRE_ERR_LIMIT);
}

ON_ALL(made)
ON_ALL(holes)
ON_EACH(longest_first)
ON_EACH(small_areas)
ON_EACH(marks)
ON_EACH(zeros_told_apart)
ON_EACH(changed_later)
ON_ALL(pinned)
ON_EACH(shared_by_two)
ON_EACH(two_notes)
ON_EACH(limits)
ON_EACH(limits_of_halves)
ON_EACH(no_memory)
ON_EACH(no_split)
ON_EACH(wrong_numbers)
ON_EACH(in_portions)
ON_EACH(no_creep)
ON_ALL(held_meanwhile)
ON_EACH(one_for_many)
ON_ALL(filled_meanwhile)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_test),          cmocka_unit_test(holes_test),
        cmocka_unit_test(longest_first_test), cmocka_unit_test(small_areas_test),
        cmocka_unit_test(marks_test),         cmocka_unit_test(zeros_told_apart_test),
        cmocka_unit_test(changed_later_test), cmocka_unit_test(pinned_test),
        cmocka_unit_test(shared_by_two_test), cmocka_unit_test(two_notes_test),
        cmocka_unit_test(limits_test),        cmocka_unit_test(limits_of_halves_test),
        cmocka_unit_test(no_memory_test),     cmocka_unit_test(no_split_test),
        cmocka_unit_test(wrong_numbers_test), cmocka_unit_test(in_portions_test),
        cmocka_unit_test(no_creep_test),      cmocka_unit_test(held_meanwhile_test),
        cmocka_unit_test(one_for_many_test),  cmocka_unit_test(filled_meanwhile_test),
    };

    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
