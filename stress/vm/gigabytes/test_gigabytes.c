/* SPDX-License-Identifier: MIT
 *
 * test_gigabytes.c - pages of 1 GiB, for areas that ask for them: one entry, a fallback or a
 * refusal, parts that are unmapped, protected and released, limits, fork. In all formats that have
 * such pages, with a direct map and with a window.
 */
#include "gigabyte_unit.h"

static uint64_t all_large(void)
{
    return GIGABYTE / large();
}

/* The whole range, or the first bytes of it. */
static int reserve_for(uint32_t gigabytes, uint64_t start, uint64_t bytes)
{
    struct quire_area area = space_rig_area(start, bytes, rw());

    area.gigabytes = gigabytes;
    return quire_space_reserve(&space, &area, 0, NULL);
}

static struct quire_page page_at(uint64_t virt)
{
    struct quire_page page;

    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL));
    return page;
}

static bool is_absent(uint64_t virt)
{
    struct quire_page page;

    return quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL) ==
           QUIRE_ERR_UNMAPPED;
}

/* A page of 1 GiB with three words in it. */
static void make_gigabyte(void)
{
    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE));
    write_word(&space, base() + 8, 1);
    write_word(&space, base() + 5 * large() + 7 * FRAME, 2);
    write_word(&space, base() + GIGABYTE - 8, 3);
    assert_int_equal(page_at(base()).size, GIGABYTE);
}

static void expect_words(void)
{
    expect_word(&space, base() + 8, 1);
    expect_word(&space, base() + 5 * large() + 7 * FRAME, 2);
    expect_word(&space, base() + GIGABYTE - 8, 3);
    expect_word(&space, base() + GIGABYTE / 2, 0);
}

/* ---- A fault -------------------------------------------------------------------------------- */

static void one_entry(void)
{
    struct quire_large_figures figures;
    uint64_t used, word;

    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base(), 2 * GIGABYTE));
    used = space_rig_used(&rig);
    write_word(&space, base() + GIGABYTE - 8, 7);
    assert_int_equal(giga.taken, 1);
    assert_int_equal(space_rig_used(&rig), used); /* no table */
    assert_int_equal(page_at(base()).size, GIGABYTE);
    expect_word(&space, base(), 0);
    expect_word(&space, base() + GIGABYTE - 8, 7);
    assert_ok(space_rig_read(&rig, 1, &space, base() + GIGABYTE - 8, &word));
    assert_int_equal(word, 7);
    expect_word(&space, base() + GIGABYTE, 0); /* another one */
    assert_int_equal(giga.taken, 2);
    assert_ok(quire_space_measure(&space, rig.config.range, false, &figures));
    assert_int_equal(figures.gigabytes, 2);
    assert_int_equal(figures.large, 2 * GIGA_FRAMES);
    assert_int_equal(figures.small, 0);
    assert_ok(unmap(base(), GIGABYTE));
    assert_true(gigabyte_is_back(0) && !gigabyte_is_back(1));
    assert_error(read_at(base()), QUIRE_ERR_AREA);
    expect_word(&space, base() + GIGABYTE, 0);
    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base(), GIGABYTE));
    expect_word(&space, base() + GIGABYTE - 8, 0);
}

/* Where no gigabyte is at hand the area has pages of 2 MiB, and of 4 KiB where these are used up;
 * or is refused, and nothing has changed. */
static void none_at_hand(void)
{
    giga.count = 0;
    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base(), GIGABYTE));
    for (unsigned i = 0; i < 9; i++) {
        write_word(&space, base() + i * large(), i);
        assert_int_equal(page_at(base() + i * large()).size,
                         i < SPACE_RIG_LARGE * FRAME / large() ? large() : FRAME);
    }
    assert_ok(unmap(base(), GIGABYTE));
    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base() + GIGABYTE, GIGABYTE));
    for (unsigned i = 0; i < 2; i++) {
        assert_error(read_at(base() + GIGABYTE + i * FRAME), QUIRE_ERR_NO_MEMORY);
        assert_true(is_absent(base() + GIGABYTE));
    }
    assert_error(
        quire_space_advise(&space, span(base() + GIGABYTE, GIGABYTE), QUIRE_ADVISE_POPULATE),
        QUIRE_ERR_NO_MEMORY);
    giga.count = 1;
    assert_ok(quire_space_advise(&space, span(base() + GIGABYTE, GIGABYTE), QUIRE_ADVISE_POPULATE));
    assert_int_equal(page_at(base() + GIGABYTE).size, GIGABYTE);
}

/* What is no whole gigabyte has smaller pages; nobody gets one who has not asked. */
static void where_it_does_not_fit(void)
{
    struct quire_area area = space_rig_area(base(), GIGABYTE, rw());

    assert_error(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE - FRAME), QUIRE_ERR_ALIGN);
    assert_error(reserve_for(QUIRE_GIGABYTES_ONLY, base() + large(), GIGABYTE), QUIRE_ERR_ALIGN);
    assert_error(reserve_for(QUIRE_GIGABYTES_ONLY + 1, base(), GIGABYTE), QUIRE_ERR_UNSUPPORTED);
    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base() + FRAME, GIGABYTE));
    write_word(&space, base() + large(), 1);
    assert_int_equal(page_at(base() + large()).size, large());
    write_word(&space, base() + FRAME, 1);
    assert_int_equal(page_at(base() + FRAME).size, FRAME);
    assert_ok(unmap(base() + FRAME, GIGABYTE));
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
    write_word(&space, base(), 1);
    assert_int_equal(page_at(base()).size, large());
    assert_int_equal(giga.asked, 0);
    area.kind = QUIRE_AREA_GUARD;
    area.access = 0;
    area.range = span(base() + GIGABYTE, GIGABYTE);
    area.gigabytes = QUIRE_GIGABYTES_PREFER;
    assert_error(quire_space_reserve(&space, &area, 0, NULL), QUIRE_ERR_UNSUPPORTED);
}

static void anywhere(void)
{
    struct quire_area area = space_rig_area(0, GIGABYTE, rw());
    quire_vaddr at;

    area.gigabytes = QUIRE_GIGABYTES_PREFER;
    assert_ok(reserve(base(), FRAME, rw()));
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, &at));
    assert_int_equal(at.n, base() + GIGABYTE);
    area.range.bytes = 3 * FRAME; /* smaller than one: as large pages */
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, &at));
    assert_int_equal(at.n, base() + large());
    area.range.bytes = GIGABYTE;
    assert_error(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, &at), QUIRE_ERR_FULL);
}

static int note_area(void *ctx, const struct quire_area *area)
{
    struct quire_area **next = ctx;

    *(*next)++ = *area;
    return 0;
}

static void listed(void)
{
    struct quire_area areas[4], *next = areas;

    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE));
    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base() + GIGABYTE, large()));
    assert_ok(reserve(base() + GIGABYTE + large(), large(), rw()));
    write_word(&space, base(), 1);
    assert_ok(unmap(base() + FRAME, FRAME)); /* both sides stay what they are */
    assert_ok(quire_space_list(&space, rig.config.range, note_area, &next));
    assert_int_equal(next - areas, 4);
    assert_int_equal(areas[0].gigabytes, QUIRE_GIGABYTES_ONLY);
    assert_int_equal(areas[1].gigabytes, QUIRE_GIGABYTES_ONLY);
    assert_int_equal(areas[1].range.bytes, GIGABYTE - 2 * FRAME);
    assert_int_equal(areas[1].frames, GIGA_FRAMES - 2);
    assert_int_equal(areas[2].gigabytes, QUIRE_GIGABYTES_PREFER);
    assert_int_equal(areas[3].gigabytes, QUIRE_GIGABYTES_NONE);
}

/* A gigabyte that is not known to read as zeros is written, all of it, once, while the entry is
 * held: who faults there meanwhile takes no other one. */
static void fault_meanwhile(void)
{
    giga.during = NULL;
    assert_true(is_absent(base()));
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + GIGABYTE / 2), QUIRE_READ));
    assert_true(is_absent(base()));
}

static void written_once(void)
{
    if (!rig.window)
        return; /* it would take a gigabyte */
    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE));
    giga.dirty = giga.one_frame = true;
    giga.during = fault_meanwhile;
    memset(one_frame, 0xa5, sizeof one_frame);
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + large()), QUIRE_READ));
    assert_int_equal(giga.asked, 1);
    assert_int_equal(giga.zeroing, GIGA_FRAMES);
    for (unsigned i = 0; i < sizeof one_frame; i++)
        assert_int_equal(one_frame[i], 0);
    assert_int_equal(page_at(base()).size, GIGABYTE);
}

/* ---- Parts ---------------------------------------------------------------------------------- */

static void part_unmapped(void)
{
    struct quire_large_figures figures;
    uint64_t hole = base() + 5 * large() + 8 * FRAME;

    make_gigabyte();
    assert_ok(unmap(hole, FRAME));
    assert_error(read_at(hole), QUIRE_ERR_AREA);
    expect_words();
    assert_int_equal(page_at(base()).size, large());
    assert_int_equal(page_at(hole - FRAME).size, FRAME);
    assert_ok(quire_space_measure(&space, rig.config.range, false, &figures));
    assert_int_equal(figures.gigabytes, 0);
    assert_int_equal(figures.small, large() / FRAME - 1);
    assert_int_equal(figures.large, GIGA_FRAMES - large() / FRAME);
    assert_int_equal(figures.demotions, 2);
    assert_ok(unmap(base() + GIGABYTE / 2, GIGABYTE / 2)); /* whole pages of 2 MiB */
    expect_word(&space, base() + 8, 1);
    assert_false(gigabyte_is_back(0));
    assert_ok(reserve(base() + GIGABYTE / 2, FRAME, rw()));
    expect_word(&space, base() + GIGABYTE / 2, 0);
    assert_int_equal(giga.taken, 1);
}

static void part_protected(void)
{
    uint64_t virt = base() + 3 * large();

    make_gigabyte();
    assert_ok(quire_space_protect(&space, span(virt, large()), ro()));
    assert_error(space_rig_write(&rig, 0, &space, virt, 1), QUIRE_ERR_ACCESS);
    expect_word(&space, virt, 0);
    write_word(&space, virt - 8, 4);
    write_word(&space, virt + large(), 5);
    expect_words();
    assert_int_equal(page_at(virt).size, large()); /* split once */
    assert_ok(quire_space_protect(&space, span(base(), GIGABYTE), rw()));
    write_word(&space, virt, 6);
    expect_word(&space, virt - 8, 4);
    assert_ok(unmap(base(), GIGABYTE));
    assert_true(gigabyte_is_back(0));
}

/* All of it keeps its page. */
static void whole_protected(void)
{
    make_gigabyte();
    assert_ok(quire_space_protect(&space, span(base(), GIGABYTE), ro()));
    assert_error(space_rig_write(&rig, 1, &space, base(), 1), QUIRE_ERR_ACCESS);
    expect_words();
    assert_ok(quire_space_protect(&space, span(base(), GIGABYTE), rw()));
    write_word(&space, base() + GIGABYTE / 2 + 8, 1);
    expect_words();
    assert_int_equal(page_at(base()).size, GIGABYTE);
    assert_int_equal(space.large.demotions, 0);
}

/* Nothing is written twice, nor lost: what was not touched is small where a page was split. */
static void released(void)
{
    make_gigabyte();
    assert_ok(quire_space_advise(&space, span(base(), GIGABYTE), QUIRE_ADVISE_RELEASE));
    assert_true(gigabyte_is_back(0));
    expect_word(&space, base() + 8, 0);
    expect_word(&space, base() + GIGABYTE - 8, 0);
    assert_int_equal(page_at(base()).size, GIGABYTE); /* a whole one again */
    write_word(&space, base() + large(), 9);
    assert_ok(quire_space_advise(&space, span(base() + large(), large()), QUIRE_ADVISE_RELEASE));
    expect_word(&space, base() + large(), 0);
    assert_int_equal(page_at(base() + large()).size, large());
    write_word(&space, base() + FRAME, 9);
    assert_ok(quire_space_advise(&space, span(base() + FRAME, FRAME), QUIRE_ADVISE_RELEASE));
    expect_word(&space, base() + FRAME, 0);
    assert_int_equal(page_at(base() + FRAME).size, FRAME);
    expect_word(&space, base() + GIGABYTE - 8, 0);
}

/* Before anything was touched, a part that goes leaves no whole gigabyte. */
static void part_of_nothing(void)
{
    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE));
    assert_ok(unmap(base() + GIGABYTE - FRAME, FRAME));
    expect_word(&space, base(), 0);
    assert_int_equal(page_at(base()).size, large());
    assert_int_equal(giga.asked, 0);
}

static void advised_small(void)
{
    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), 2 * GIGABYTE));
    assert_ok(quire_space_advise(&space, span(base(), 2 * GIGABYTE), QUIRE_ADVISE_SMALL));
    write_word(&space, base(), 1);
    assert_int_equal(page_at(base()).size, FRAME);
    assert_ok(quire_space_advise(&space, span(base(), 2 * GIGABYTE), QUIRE_ADVISE_LARGE));
    write_word(&space, base() + GIGABYTE, 1);
    assert_int_equal(page_at(base() + GIGABYTE).size, GIGABYTE);
}

/* A gigabyte is advised small, then split: what is released of it comes in small pages again. */
static void parts_advised_small(void)
{
    make_gigabyte();
    assert_ok(quire_space_advise(&space, span(base(), GIGABYTE), QUIRE_ADVISE_SMALL));
    assert_ok(unmap(base(), large()));
    assert_int_equal(page_at(base() + large()).size, large());
    assert_ok(quire_space_advise(&space, span(base() + large(), large()), QUIRE_ADVISE_RELEASE));
    write_word(&space, base() + large(), 1);
    assert_int_equal(page_at(base() + large()).size, FRAME);
}

/* ---- Marks ---------------------------------------------------------------------------------- */

/* The pages that a split makes have the marks of the one that it splits. */
static void marks_stay(void)
{
    struct quire_page page;
    struct quire_gather gather = {.count = 0};

    for (unsigned round = 0; round < 2; round++) {
        make_gigabyte();
        page = page_at(base());
        assert_true(page.accessed && page.dirty);
        page.accessed = page.dirty = false;
        assert_ok(quire_paging_update(&space.paging, quire_vaddr_of(base()), page.phys, &page, NULL,
                                      &gather));
        space_rig_leave(&rig, 0);
        if (round == 1)
            expect_word(&space, base() + 8, 1);
        assert_ok(quire_space_protect(&space, span(base() + large(), FRAME), rw()));
        for (uint64_t i = 0; i < all_large(); i += 37) {
            page = page_at(base() + i * large());
            assert_int_equal(page.accessed, round);
            assert_false(page.dirty);
        }
        write_word(&space, base() + 4 * large(), 4);
        assert_true(page_at(base() + 4 * large()).dirty);
        assert_false(page_at(base() + 3 * large()).dirty);
        assert_ok(unmap(base(), GIGABYTE));
    }
}

/* ---- Refusals ------------------------------------------------------------------------------- */

/* Each table that a split takes is refused, and so is the split of the run: the page is as it was,
 * or has been split once. */
static void split_refused(void)
{
    uint64_t hole = base() + 5 * large() + 8 * FRAME;
    int error = -1;

    make_gigabyte();
    giga.refuse_split = true;
    assert_error(unmap(hole, FRAME), QUIRE_ERR_BUSY);
    assert_int_equal(page_at(base()).size, GIGABYTE);
    giga.refuse_split = false;
    for (uint64_t in = 1; error; in++) {
        rig.fail_in = in;
        error = unmap(hole, FRAME);
        rig.fail_in = 0;
        if (error) {
            assert_int_equal(error, QUIRE_ERR_NO_MEMORY);
            assert_int_equal(page_at(hole).size, in == 1 ? GIGABYTE : large());
            expect_word(&space, hole, 0);
        }
        expect_words();
    }
}

static void limits(void)
{
    struct quire_area area = space_rig_area(base(), GIGABYTE, rw());

    area.gigabytes = QUIRE_GIGABYTES_PREFER;
    area.limit = GIGA_FRAMES - 1;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_word(&space, base(), 1);
    assert_int_equal(page_at(base()).size, large());
    assert_true(gigabyte_is_back(0));
    assert_ok(unmap(base(), GIGABYTE));
    area.gigabytes = QUIRE_GIGABYTES_ONLY;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    assert_error(read_at(base()), QUIRE_ERR_LIMIT);
    assert_true(gigabyte_is_back(0) && is_absent(base()));
    area.range.start.n += GIGABYTE;
    area.limit = GIGA_FRAMES;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    giga.count = 0;
    assert_error(read_at(base() + GIGABYTE), QUIRE_ERR_NO_MEMORY); /* which is not counted */
    giga.count = GIGA_MOST;
    write_word(&space, base() + GIGABYTE, 1);
    assert_int_equal(page_at(base() + GIGABYTE).size, GIGABYTE);
    assert_ok(quire_space_advise(&space, area.range, QUIRE_ADVISE_RELEASE));
    write_word(&space, base() + GIGABYTE, 1); /* it was counted down */
    assert_ok(quire_space_advise(&space, span(base() + GIGABYTE, large()), QUIRE_ADVISE_RELEASE));
    write_word(&space, base() + GIGABYTE, 1);
    assert_int_equal(page_at(base() + GIGABYTE).size, large());
}

/* ---- Beside --------------------------------------------------------------------------------- */

/* Promotion and demotion pass over it. */
static void promotion_passes(void)
{
    struct quire_promotion promotion = {.present = 1};
    struct quire_demotion demotion = {.zeros = 1};
    struct quire_promoted made;
    struct quire_demoted unmade;

    make_gigabyte();
    assert_ok(quire_space_promote(&space, rig.config.range, &promotion, &made));
    assert_int_equal(made.parts, 0);
    assert_int_equal(made.next.n, base() + rig.config.range.bytes);
    assert_ok(quire_space_demote(&space, rig.config.range, &demotion, &unmade));
    assert_int_equal(unmade.parts + unmade.frames, 0);
    assert_int_equal(page_at(base()).size, GIGABYTE);
    expect_words();
}

/* Both have what was written before, and none what the other writes after it: all is small. */
static void forked(void)
{
    struct quire_space child;

    if (rig.window)
        return;
    make_gigabyte();
    assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base() + GIGABYTE, GIGABYTE));
    assert_ok(quire_space_fork(&space, &child));
    assert_int_equal(page_at(base()).size, FRAME);
    write_word(&child, base() + 8, 11);
    write_word(&space, base() + GIGABYTE - 8, 33);
    expect_word(&space, base() + 8, 1);
    expect_word(&child, base() + GIGABYTE - 8, 3);
    expect_word(&child, base() + 8, 11);
    expect_word(&child, base() + 5 * large() + 7 * FRAME, 2);
    write_word(&child, base() + GIGABYTE, 1); /* the child's area asks for them, too */
    assert_int_equal(giga.taken, 2);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_true(gigabyte_is_back(1));
    expect_word(&space, base() + 5 * large() + 7 * FRAME, 2);
}

/* ---- Another policy ------------------------------------------------------------------------- */

/* A gigabyte keeps its wish under another policy, which is for all of it; a neighbour of the same
 * policy has none. */
static void another_policy(void)
{
    static const struct quire_policy policy;
    struct quire_area areas[3], *next = areas;

    assert_ok(reserve_for(QUIRE_GIGABYTES_ONLY, base(), GIGABYTE));
    assert_ok(reserve(base() + GIGABYTE, GIGABYTE, rw()));
    assert_error(quire_space_set_policy(&space, span(base(), large()), &policy),
                 QUIRE_ERR_UNSUPPORTED);
    assert_ok(quire_space_set_policy(&space, span(base(), GIGABYTE), &policy));
    assert_ok(quire_space_set_policy(&space, span(base() + GIGABYTE, GIGABYTE), &policy));
    assert_ok(quire_space_list(&space, rig.config.range, note_area, &next));
    assert_int_equal(next - areas, 2);
    assert_int_equal(areas[0].gigabytes, QUIRE_GIGABYTES_ONLY);
    assert_ptr_equal(areas[0].policy, &policy);
    assert_int_equal(areas[1].gigabytes, QUIRE_GIGABYTES_NONE);
    assert_ptr_equal(areas[1].policy, &policy);
    rig.policy = &policy;
    write_word(&space, base() + GIGABYTE, 1);
    assert_int_equal(giga.asked, 0);
    write_word(&space, base(), 1);
    assert_int_equal(page_at(base()).size, GIGABYTE);

    /* The number of its note goes to another area, without its wish. */
    assert_ok(unmap(base(), 2 * GIGABYTE));
    assert_ok(reserve(base(), GIGABYTE, rw()));
    assert_ok(quire_space_set_policy(&space, span(base(), GIGABYTE), &policy));
    next = areas;
    assert_ok(quire_space_list(&space, rig.config.range, note_area, &next));
    assert_int_equal(next - areas, 1);
    assert_int_equal(areas[0].gigabytes, QUIRE_GIGABYTES_NONE);
}

/* ---- All formats ---------------------------------------------------------------------------- */

static void on_gigabytes(void (*test)(void))
{
    for (unsigned i = 0; i < RIG_FORMATS; i++)
        for (unsigned window = 0; window < 2; window++) {
            if (!(rig_formats[i].format->sizes & GIGABYTE))
                continue;
            giga_begin(&rig_formats[i], window, GIGA_MOST);
            assert_ok(quire_space_create(&space, &rig.config));
            test();
            quire_space_destroy(&space);
            giga_end();
        }
}

#define ON_GIGABYTES(test)              \
    static void test##_test(void **ctx) \
    {                                   \
        (void)ctx;                      \
        on_gigabytes(test);             \
    }

ON_GIGABYTES(one_entry)
ON_GIGABYTES(none_at_hand)
ON_GIGABYTES(where_it_does_not_fit)
ON_GIGABYTES(anywhere)
ON_GIGABYTES(listed)
ON_GIGABYTES(written_once)
ON_GIGABYTES(part_unmapped)
ON_GIGABYTES(part_protected)
ON_GIGABYTES(whole_protected)
ON_GIGABYTES(released)
ON_GIGABYTES(part_of_nothing)
ON_GIGABYTES(advised_small)
ON_GIGABYTES(parts_advised_small)
ON_GIGABYTES(marks_stay)
ON_GIGABYTES(split_refused)
ON_GIGABYTES(limits)
ON_GIGABYTES(promotion_passes)
ON_GIGABYTES(forked)
ON_GIGABYTES(another_policy)

/* Formats without such pages, and sources that do not split runs: as large ones, or small ones. */
static void no_such_pages(void **ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < RIG_FORMATS; i++) {
        bool has = (rig_formats[i].format->sizes & GIGABYTE) != 0;

        giga_begin(&rig_formats[i], false, GIGA_MOST);
        if (has)
            rig.config.port.frames.split = NULL;
        assert_ok(quire_space_create(&space, &rig.config));
        assert_error(
            reserve_for(QUIRE_GIGABYTES_ONLY, (base() + GIGABYTE - 1) & ~(GIGABYTE - 1), GIGABYTE),
            QUIRE_ERR_UNSUPPORTED);
        assert_ok(reserve_for(QUIRE_GIGABYTES_PREFER, base(), GIGABYTE));
        write_word(&space, base(), 1);
        assert_int_equal(page_at(base()).size, has ? FRAME : large());
        assert_int_equal(giga.asked, 0);
        quire_space_destroy(&space);
        giga_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_test),
        cmocka_unit_test(none_at_hand_test),
        cmocka_unit_test(anywhere_test),
        cmocka_unit_test(where_it_does_not_fit_test),
        cmocka_unit_test(listed_test),
        cmocka_unit_test(written_once_test),
        cmocka_unit_test(part_unmapped_test),
        cmocka_unit_test(part_protected_test),
        cmocka_unit_test(whole_protected_test),
        cmocka_unit_test(released_test),
        cmocka_unit_test(part_of_nothing_test),
        cmocka_unit_test(advised_small_test),
        cmocka_unit_test(parts_advised_small_test),
        cmocka_unit_test(marks_stay_test),
        cmocka_unit_test(split_refused_test),
        cmocka_unit_test(limits_test),
        cmocka_unit_test(promotion_passes_test),
        cmocka_unit_test(forked_test),
        cmocka_unit_test(another_policy_test),
        cmocka_unit_test(no_such_pages),
    };

    if (sizeof(void *) < 8)
        return 0; /* there are not so many addresses */
    return cmocka_run_group_tests_name("gigabytes", tests, NULL, NULL);
}
