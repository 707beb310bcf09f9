/* SPDX-License-Identifier: MIT
 *
 * test_space.c - each call of space.h on each format: what it does, and each error. The processors
 * of mmu.c read and write.
 */
#include "space_unit.h"

#include <string.h>

/* ---- The list ------------------------------------------------------------------------------ */

struct listed {
    struct quire_area areas[16];
    unsigned count;
};

static int note_area(void *ctx, const struct quire_area *area)
{
    struct listed *listed = ctx;

    assert_true(listed->count < 16);
    listed->areas[listed->count++] = *area;
    return 0;
}

static int stop_at_once(void *ctx, const struct quire_area *area)
{
    (void)ctx;
    return area->range.bytes ? 7 : 0;
}

static struct listed list(struct quire_space *in)
{
    struct listed listed;

    memset(&listed, 0, sizeof listed);
    assert_ok(quire_space_list(in, rig.config.range, note_area, &listed));
    return listed;
}

static void expect_area(const struct quire_area *area, uint64_t start, uint64_t bytes,
                        uint32_t access, uint64_t frames)
{
    assert_int_equal(area->range.start.n, start);
    assert_int_equal(area->range.bytes, bytes);
    assert_int_equal(area->access, access);
    assert_int_equal(area->kind, access ? QUIRE_AREA_ANONYMOUS : QUIRE_AREA_GUARD);
    assert_int_equal(area->frames, frames);
}

/* ---- Reserve, touch, unmap ----------------------------------------------------------------- */

static void touched(void)
{
    struct listed listed;

    assert_ok(reserve(base(), 4 * FRAME, rw()));
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base() + 4 * FRAME), QUIRE_READ),
                     QUIRE_ERR_AREA);
    expect_word(&space, base() + FRAME, 0);
    write_word(&space, base() + FRAME + 8, 17);
    expect_word(&space, base() + FRAME + 8, 17);
    expect_word(&space, base() + FRAME, 0);
    expect_word(&space, base() + FRAME + 4088, 0);
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + FRAME), QUIRE_WRITE)); /* again */
    listed = list(&space);
    assert_int_equal(listed.count, 1);
    expect_area(&listed.areas[0], base(), 4 * FRAME, rw(), 1);
    assert_ok(unmap(base(), 4 * FRAME));
    assert_int_equal(read_at(base() + FRAME), QUIRE_ERR_AREA);
    assert_int_equal(list(&space).count, 0);
}

/* A part goes, its neighbours stay; what is reserved anew reads as zeros. */
static void parts(void)
{
    struct listed listed;

    assert_ok(reserve(base(), 8 * FRAME, rw()));
    for (unsigned i = 0; i < 8; i++)
        write_word(&space, base() + i * FRAME, i + 1);
    assert_ok(unmap(base() + 2 * FRAME, 3 * FRAME));
    assert_int_equal(unmap(base() + 2 * FRAME, 3 * FRAME), QUIRE_ERR_AREA);
    assert_int_equal(unmap(base() + FRAME, 2 * FRAME), QUIRE_ERR_AREA);
    listed = list(&space);
    assert_int_equal(listed.count, 2);
    expect_area(&listed.areas[0], base(), 2 * FRAME, rw(), 2);
    expect_area(&listed.areas[1], base() + 5 * FRAME, 3 * FRAME, rw(), 3);
    assert_int_equal(reserve(base() + FRAME, 2 * FRAME, rw()), QUIRE_ERR_MAPPED);
    assert_ok(reserve(base() + 2 * FRAME, 3 * FRAME, rw()));
    for (unsigned i = 0; i < 8; i++)
        expect_word(&space, base() + i * FRAME, i < 2 || i > 4 ? i + 1 : 0);
    listed = list(&space);
    assert_int_equal(listed.count, 1); /* neighbours of one access are one area */
    assert_int_equal(quire_space_list(&space, rig.config.range, stop_at_once, NULL), 7);
}

static void protected(void)
{
    struct listed listed;

    assert_ok(reserve(base(), 6 * FRAME, rw()));
    write_word(&space, base() + 2 * FRAME, 5);
    write_word(&space, base() + 5 * FRAME, 6);
    assert_ok(quire_space_protect(&space, span(base() + 2 * FRAME, 2 * FRAME), ro()));
    assert_int_equal(space_rig_write(&rig, 0, &space, base() + 2 * FRAME, 1), QUIRE_ERR_ACCESS);
    assert_int_equal(space_rig_write(&rig, 0, &space, base() + 3 * FRAME, 1), QUIRE_ERR_ACCESS);
    expect_word(&space, base() + 2 * FRAME, 5);
    expect_word(&space, base() + 3 * FRAME, 0);
    listed = list(&space);
    assert_int_equal(listed.count, 3);
    expect_area(&listed.areas[0], base(), 2 * FRAME, rw(), 0);
    expect_area(&listed.areas[1], base() + 2 * FRAME, 2 * FRAME, ro(), 2);
    expect_area(&listed.areas[2], base() + 4 * FRAME, 2 * FRAME, rw(), 1);
    assert_ok(quire_space_protect(&space, span(base(), 6 * FRAME), rw()));
    assert_int_equal(list(&space).count, 1);
    write_word(&space, base() + 2 * FRAME, 8);
    expect_word(&space, base() + 2 * FRAME, 8);
    expect_word(&space, base() + 5 * FRAME, 6);
}

/* A terabyte, or all there is, takes a few tables. */
static void huge_reserve(void)
{
    uint64_t used = space_rig_used(&rig);

    assert_ok(reserve(base() + FRAME, rig.config.range.bytes - 2 * FRAME, rw()));
    assert_true(space_rig_used(&rig) - used <= 8);
    write_word(&space, base() + rig.config.range.bytes / 2, 3);
    assert_int_equal(list(&space).count, 1);
    assert_ok(unmap(base() + FRAME, rig.config.range.bytes - 2 * FRAME));
    assert_int_equal(list(&space).count, 0);
}

static void guards(void)
{
    struct quire_area guard = {.range = span(base(), FRAME), .kind = QUIRE_AREA_GUARD};
    struct quire_area stack = space_rig_area(0, 4 * FRAME, rw());
    quire_vaddr at;

    assert_ok(quire_space_reserve(&space, &guard, 0, NULL));
    assert_int_equal(read_at(base()), QUIRE_ERR_ACCESS);
    assert_ok(
        quire_space_reserve(&space, &stack, QUIRE_RESERVE_ANYWHERE | QUIRE_RESERVE_STACK, &at));
    assert_int_equal(at.n, base() + 2 * FRAME);
    write_word(&space, at.n + 3 * FRAME, 1);
    write_word(&space, at.n, 1);
    assert_int_equal(read_at(at.n - FRAME), QUIRE_ERR_ACCESS);
    assert_int_equal(list(&space).count, 2); /* the two guards are one */
    assert_ok(quire_space_protect(&space, span(base(), FRAME), rw()));
    expect_word(&space, base(), 0);
    stack.range.start.n = base();
    assert_int_equal(quire_space_reserve(&space, &stack, QUIRE_RESERVE_STACK, NULL),
                     QUIRE_ERR_ADDRESS); /* its guard would be outside */
    stack.range.start.n = base() + large() + FRAME;
    assert_ok(quire_space_reserve(&space, &stack, QUIRE_RESERVE_STACK, NULL));
    assert_int_equal(read_at(base() + large()), QUIRE_ERR_ACCESS);
}

static uint64_t anywhere(uint64_t bytes)
{
    struct quire_area area = space_rig_area(0, bytes, rw());
    quire_vaddr at;

    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, &at));
    return at.n;
}

static void first_fit(void)
{
    struct quire_area area = space_rig_area(0, rig.config.range.bytes, rw());

    assert_int_equal(anywhere(2 * FRAME), base());
    assert_int_equal(anywhere(FRAME), base() + 2 * FRAME);
    assert_int_equal(anywhere(large()), base() + 3 * FRAME);
    assert_int_equal(anywhere(FRAME), base() + 3 * FRAME + large());
    assert_ok(unmap(base(), FRAME));
    assert_ok(unmap(base() + 2 * FRAME, 2 * FRAME));
    assert_int_equal(anywhere(2 * FRAME), base() + 2 * FRAME);
    assert_int_equal(anywhere(2 * FRAME), base() + 4 * FRAME + large());
    assert_int_equal(anywhere(FRAME), base());
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_FULL);
    area.range.bytes = rig.config.range.bytes - 6 * FRAME - large();
    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL));
    area.range.bytes = FRAME;
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_FULL);
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_FULL);
}

/* A space up to the last address that there is: sums of it are 0. */
static void up_to_the_end(void)
{
    struct quire_space_config config = rig.config;
    struct quire_area area = space_rig_area(0, 4 * FRAME, rw());
    uint64_t start = 0 - 4 * FRAME;
    struct quire_space last;
    struct listed listed;
    quire_vaddr at;

    if (!quire_vaddr_canonical(rig.which->format->canonical, quire_vaddr_of(start)))
        return;
    config.range = span(start, 4 * FRAME);
    assert_ok(quire_space_create(&last, &config));
    assert_ok(quire_space_reserve(&last, &area, QUIRE_RESERVE_ANYWHERE, &at));
    assert_int_equal(at.n, start);
    area.range.bytes = 2 * FRAME;
    assert_int_equal(quire_space_reserve(&last, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_FULL);
    write_word(&last, start + 3 * FRAME, 5);
    assert_ok(quire_space_unmap(&last, span(start + FRAME, 2 * FRAME)));
    assert_ok(quire_space_reserve(&last, &area, QUIRE_RESERVE_ANYWHERE, &at));
    assert_int_equal(at.n, start + FRAME);
    memset(&listed, 0, sizeof listed);
    assert_ok(quire_space_list(&last, config.range, note_area, &listed));
    assert_int_equal(listed.count, 1);
    expect_area(&listed.areas[0], start, 4 * FRAME, rw(), 1);
    assert_ok(quire_space_unmap(&last, config.range));
    quire_space_destroy(&last);
}

/* ---- Advice, large pages ------------------------------------------------------------------- */

static void advised(void)
{
    uint64_t used;

    assert_ok(reserve(base(), 16 * FRAME, rw()));
    assert_ok(quire_space_advise(&space, span(base() + FRAME, 8 * FRAME), QUIRE_ADVISE_POPULATE));
    assert_int_equal(list(&space).areas[0].frames, 8);
    used = space_rig_used(&rig);
    write_word(&space, base() + FRAME, 5);
    write_word(&space, base() + 2 * FRAME, 6);
    assert_int_equal(space_rig_used(&rig), used);
    assert_ok(quire_space_advise(&space, span(base(), 2 * FRAME), QUIRE_ADVISE_RELEASE));
    assert_int_equal(space_rig_used(&rig), used - 1);
    expect_word(&space, base() + FRAME, 0);
    expect_word(&space, base() + 2 * FRAME, 6);
    assert_int_equal(quire_space_advise(&space, span(base(), FRAME), (enum quire_advice)4),
                     QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_space_advise(&space, span(base(), 17 * FRAME), QUIRE_ADVISE_RELEASE),
                     QUIRE_ERR_AREA);
}

static uint64_t page_size(uint64_t virt)
{
    struct quire_page page;

    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL));
    return page.size;
}

static void large_pages(void)
{
    struct quire_area area = space_rig_area(0, 2 * large(), rw());
    uint64_t used = space_rig_used(&rig);
    quire_vaddr at;

    assert_ok(
        quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE | QUIRE_RESERVE_LARGE, &at));
    assert_int_equal(at.n & (large() - 1), 0);
    write_word(&space, at.n + 5 * FRAME, 9);
    assert_int_equal(page_size(at.n), large());
    expect_word(&space, at.n + large() - 8, 0);
    assert_ok(quire_space_protect(&space, span(at.n, large()), ro()));
    assert_ok(quire_space_protect(&space, span(at.n, large()), rw()));
    write_word(&space, at.n + 6 * FRAME, 10);
    assert_int_equal(page_size(at.n), large());
    /* A part of it goes: it is split, and so is its run. */
    assert_ok(unmap(at.n + 7 * FRAME, FRAME));
    assert_int_equal(page_size(at.n), FRAME);
    expect_word(&space, at.n + 5 * FRAME, 9);
    expect_word(&space, at.n + 6 * FRAME, 10);
    assert_int_equal(read_at(at.n + 7 * FRAME), QUIRE_ERR_AREA);
    /* No run is at hand, or it is not wanted: small pages. */
    rig.fail_in = 1;
    write_word(&space, at.n + large(), 1);
    assert_int_equal(page_size(at.n + large()), FRAME);
    assert_ok(quire_space_advise(&space, span(at.n + large(), large()), QUIRE_ADVISE_RELEASE));
    assert_ok(unmap(at.n, 7 * FRAME));
    assert_ok(unmap(at.n + 8 * FRAME, 2 * large() - 8 * FRAME));
    assert_true(space_rig_used(&rig) - used < 8); /* tables */
    assert_ok(reserve(base() + 8 * large(), large(), rw()));
    assert_ok(quire_space_advise(&space, span(base() + 8 * large(), large()), QUIRE_ADVISE_LARGE));
    assert_ok(quire_space_advise(&space, span(base() + 8 * large(), large()), QUIRE_ADVISE_SMALL));
    write_word(&space, base() + 8 * large(), 1);
    assert_int_equal(page_size(base() + 8 * large()), FRAME);
}

/* What is released is reserved as it was advised last, whatever page was there. */
static void advised_small(void)
{
    const struct quire_vrange part = span(base() + 8 * large(), large());
    struct quire_area area = space_rig_area(part.start.n, part.bytes, rw());

    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
    write_word(&space, part.start.n, 1);
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_SMALL));
    assert_int_equal(page_size(part.start.n), large()); /* it stays */
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_LARGE));
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_RELEASE));
    write_word(&space, part.start.n, 2);
    assert_int_equal(page_size(part.start.n), large());
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_SMALL));
    assert_ok(quire_space_protect(&space, part, ro()));
    assert_ok(quire_space_advise(&space, part, QUIRE_ADVISE_RELEASE));
    assert_ok(quire_space_protect(&space, part, rw()));
    write_word(&space, part.start.n, 3);
    assert_int_equal(page_size(part.start.n), FRAME);
}

/* The last frame that a format reaches, and the first that it does not. */
static quire_pfn given;

static int give_far(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    (void)ctx;
    (void)policy;
    assert_int_equal(order, 0);
    *pfn = given;
    return 0;
}

static void take_far(void *ctx, quire_pfn pfn, unsigned order)
{
    (void)ctx;
    assert_int_equal(order, 0);
    assert_int_equal(pfn.n, given.n);
    given.n = 0;
}

static void frame_out_of_reach(void)
{
    struct quire_space_config config = rig.config;
    struct quire_area area = space_rig_area(base(), FRAME, rw());
    struct quire_space far;

    config.port.frames = (struct quire_frame_source){give_far, take_far, NULL, NULL, NULL};
    given.n = (uint64_t)1 << (rig.which->format->phys_bits - QUIRE_FRAME_SHIFT);
    assert_ok(quire_space_create(&far, &config));
    assert_ok(quire_space_reserve(&far, &area, 0, NULL));
    assert_int_equal(quire_space_fault(&far, quire_vaddr_of(base()), QUIRE_READ), QUIRE_ERR_FRAME);
    assert_int_equal(given.n, 0); /* it was given back */
    quire_space_destroy(&far);
}

static void limited(void)
{
    struct quire_space small;
    struct quire_area area = space_rig_area(base(), 8 * FRAME, rw());

    rig.config.limit = 2;
    assert_ok(quire_space_create(&small, &rig.config));
    assert_ok(quire_space_reserve(&small, &area, 0, NULL));
    write_word(&small, base(), 1);
    write_word(&small, base() + FRAME, 1);
    assert_int_equal(space_rig_write(&rig, 0, &small, base() + 2 * FRAME, 1), QUIRE_ERR_LIMIT);
    assert_ok(quire_space_unmap(&small, span(base(), FRAME)));
    write_word(&small, base() + 2 * FRAME, 1);
    assert_int_equal(space_rig_write(&rig, 0, &small, base() + 3 * FRAME, 1), QUIRE_ERR_LIMIT);
    quire_space_destroy(&small);
    rig.config.limit = 0;
}

/* ---- Fork ---------------------------------------------------------------------------------- */

static void forked(void)
{
    struct quire_space child, grandchild;
    struct listed listed;
    uint64_t used;

    assert_ok(reserve(base(), 4 * FRAME, rw()));
    assert_ok(reserve(base() + 4 * FRAME, FRAME, ro()));
    write_word(&space, base(), 1);
    write_word(&space, base() + FRAME, 2);
    assert_ok(read_at(base() + 4 * FRAME));
    assert_ok(quire_space_fork(&space, &child));
    used = space_rig_used(&rig);
    expect_word(&child, base(), 1);
    expect_word(&child, base() + FRAME, 2);
    assert_int_equal(space_rig_used(&rig), used); /* reading copies nothing */
    write_word(&child, base(), 11);
    assert_int_equal(space_rig_used(&rig), used + 1);
    expect_word(&space, base(), 1);
    write_word(&space, base(), 3); /* the last owner writes in place */
    assert_int_equal(space_rig_used(&rig), used + 1);
    expect_word(&child, base(), 11);
    write_word(&space, base() + FRAME, 4);
    expect_word(&child, base() + FRAME, 2);
    assert_int_equal(space_rig_write(&rig, 0, &child, base() + 4 * FRAME, 1), QUIRE_ERR_ACCESS);
    /* What was never touched is everybody's own. */
    write_word(&child, base() + 2 * FRAME, 5);
    expect_word(&space, base() + 2 * FRAME, 0);
    listed = list(&child);
    assert_int_equal(listed.count, 2);
    expect_area(&listed.areas[0], base(), 4 * FRAME, rw(), 3);
    expect_area(&listed.areas[1], base() + 4 * FRAME, FRAME, ro(), 1);
    /* A page that becomes writable while it is shared. */
    assert_ok(quire_space_fork(&child, &grandchild));
    assert_ok(quire_space_protect(&grandchild, span(base() + 4 * FRAME, FRAME), rw()));
    write_word(&grandchild, base() + 4 * FRAME, 6);
    expect_word(&space, base() + 4 * FRAME, 0);
    expect_word(&child, base() + 4 * FRAME, 0);
    quire_space_destroy(&child);
    write_word(&grandchild, base(), 12);
    expect_word(&grandchild, base() + FRAME, 2);
    quire_space_destroy(&grandchild);
    expect_word(&space, base(), 3);
}

static void count_forgotten(void *ctx, struct quire_vrange range)
{
    ++*(unsigned *)ctx;
    rig.config.port.paging.invalidate(&rig, range);
}

/* A child has the port that its parent has by then, be it another one than that was made with. */
static void forked_with_port(void)
{
    struct quire_space child, grandchild;
    unsigned forgotten = 0, before;

    assert_ok(reserve(base(), 4 * FRAME, rw()));
    write_word(&space, base(), 1);
    assert_ok(quire_space_fork(&space, &child));
    child.paging.port.invalidate = count_forgotten;
    child.paging.port.retire = NULL; /* which has the same context */
    child.paging.port.ctx = &forgotten;
    write_word(&child, base(), 2);
    assert_ok(quire_space_fork(&child, &grandchild));
    assert_ptr_equal(grandchild.paging.port.ctx, &forgotten);
    assert_null(grandchild.paging.port.retire);
    before = forgotten;
    assert_ok(quire_space_unmap(&grandchild, span(base(), FRAME)));
    assert_int_equal(forgotten, before + 1);
    quire_space_destroy(&grandchild);
    quire_space_destroy(&child);
}

/* Pages of one table that are not alike: read-only or not, touched or not, in turns. */
static void forked_unlike(void)
{
    struct quire_space child;

    assert_ok(reserve(base(), 8 * FRAME, rw()));
    for (unsigned i = 0; i < 8; i++)
        if (i % 4 != 3)
            write_word(&space, base() + i * FRAME, i);
    for (unsigned i = 1; i < 8; i += 2)
        assert_ok(quire_space_protect(&space, span(base() + i * FRAME, FRAME), ro()));
    assert_ok(quire_space_fork(&space, &child));
    for (unsigned i = 0; i < 8; i++) {
        uint64_t at = base() + i * FRAME;

        expect_word(&child, at, i % 4 != 3 ? i : 0);
        expect_word(&space, at, i % 4 != 3 ? i : 0);
        assert_int_equal(space_rig_write(&rig, 0, &child, at, 50), i % 2 ? QUIRE_ERR_ACCESS : 0);
        assert_int_equal(space_rig_write(&rig, 0, &space, at, 60), i % 2 ? QUIRE_ERR_ACCESS : 0);
        if (i % 2 == 0)
            expect_word(&child, at, 50);
    }
    quire_space_destroy(&child);
}

static void forked_large(void)
{
    struct quire_area area = space_rig_area(base() + 4 * large(), large(), rw());
    struct quire_space child;

    assert_ok(quire_space_reserve(&space, &area, QUIRE_RESERVE_LARGE, NULL));
    write_word(&space, base() + 4 * large() + 3 * FRAME, 7);
    assert_int_equal(page_size(base() + 4 * large()), large());
    assert_ok(quire_space_fork(&space, &child));
    write_word(&child, base() + 4 * large() + 3 * FRAME, 8);
    expect_word(&space, base() + 4 * large() + 3 * FRAME, 7);
    quire_space_destroy(&child);
}

/* A count that would overflow. */
static void too_many_sharers(void)
{
    struct quire_space child[3];

    assert_ok(reserve(base(), 4 * FRAME, rw()));
    write_word(&space, base(), 1);
    write_word(&space, base() + FRAME, 2);
    rig.shares.most = 2;
    assert_ok(quire_space_fork(&space, &child[0]));
    write_word(&child[0], base(), 11); /* one less */
    assert_ok(quire_space_fork(&child[0], &child[1]));
    assert_int_equal(quire_space_fork(&space, &child[2]), QUIRE_ERR_LIMIT);
    assert_int_equal(list(&space).areas[0].frames, 2);
    write_word(&space, base(), 3);
    expect_word(&child[0], base(), 11);
    expect_word(&child[1], base(), 11);
    quire_space_destroy(&child[0]);
    assert_ok(quire_space_fork(&space, &child[2]));
    expect_word(&child[2], base() + FRAME, 2);
    quire_space_destroy(&child[1]);
    quire_space_destroy(&child[2]);
}

/* ---- Bad input ----------------------------------------------------------------------------- */

static int call(unsigned which, struct quire_vrange r)
{
    struct quire_area area = space_rig_area(r.start.n, r.bytes, rw());
    struct listed listed = {.count = 0};

    switch (which) {
    case 0:
        return quire_space_reserve(&space, &area, 0, NULL);
    case 1:
        return quire_space_unmap(&space, r);
    case 2:
        return quire_space_protect(&space, r, rw());
    case 3:
        return quire_space_advise(&space, r, QUIRE_ADVISE_RELEASE);
    default:
        return quire_space_list(&space, r, note_area, &listed);
    }
}

static void bad_ranges(void)
{
    uint64_t end = base() + rig.config.range.bytes;
    bool all = rig.which->format->canonical.bits == 32; /* else HALF is between the halves */

    assert_ok(reserve(base() + 2 * FRAME, FRAME, rw()));
    write_word(&space, base() + 2 * FRAME, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(call(i, span(base(), 0)), QUIRE_ERR_SIZE);
        assert_int_equal(call(i, span(base() + 1, FRAME)), QUIRE_ERR_ALIGN);
        assert_int_equal(call(i, span(base(), FRAME + 1)), QUIRE_ERR_ALIGN);
        assert_int_equal(call(i, span(base(), HALF)), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(base(), ~(FRAME - 1))), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(UINT64_MAX - FRAME + 1, 2 * FRAME)), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(HALF + (all ? 0 : FRAME), FRAME)), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(end, FRAME)), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(end - FRAME, 2 * FRAME)), QUIRE_ERR_ADDRESS);
        assert_int_equal(call(i, span(base() - FRAME, 2 * FRAME)), QUIRE_ERR_ADDRESS);
        if (i > 0 && i < 4) {
            assert_int_equal(call(i, span(base() + FRAME, 2 * FRAME)), QUIRE_ERR_AREA);
            assert_int_equal(call(i, span(base() + 2 * FRAME, 2 * FRAME)), QUIRE_ERR_AREA);
        }
    }
    assert_int_equal(
        quire_space_fault(&space, quire_vaddr_of(HALF + (all ? 0 : FRAME)), QUIRE_READ),
        QUIRE_ERR_ADDRESS);
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(end), QUIRE_READ), QUIRE_ERR_AREA);
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base()), 0), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base()), 99), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(list(&space).count, 1);
    expect_word(&space, base() + 2 * FRAME, 5);
}

static void bad_areas(void)
{
    struct quire_area area = space_rig_area(base(), FRAME, 0);
    struct quire_space other;
    struct quire_space_config config = rig.config;

    assert_int_equal(quire_space_reserve(&space, &area, 0, NULL), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_space_reserve(&space, &area, 64, NULL), QUIRE_ERR_UNSUPPORTED);
    area.kind = QUIRE_AREA_GUARD;
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_STACK, NULL),
                     QUIRE_ERR_UNSUPPORTED);
    area.access = rw();
    assert_int_equal(quire_space_reserve(&space, &area, 0, NULL), QUIRE_ERR_UNSUPPORTED);
    area = space_rig_area(base(), FRAME, QUIRE_ACCESS_ALL + 1);
    assert_int_equal(quire_space_reserve(&space, &area, 0, NULL), QUIRE_ERR_UNSUPPORTED);
    area = space_rig_area(0, 0, rw());
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_SIZE);
    area.range.bytes = HALF + 1;
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_ALIGN);
    area.range.bytes = HALF;
    assert_int_equal(quire_space_reserve(&space, &area, QUIRE_RESERVE_ANYWHERE, NULL),
                     QUIRE_ERR_FULL);
    assert_int_equal(quire_space_protect(&space, span(base(), FRAME), 0), QUIRE_ERR_UNSUPPORTED);
    config.port.paging.invalidate = NULL;
    assert_int_equal(quire_space_create(&other, &config), QUIRE_ERR_UNSUPPORTED);
    config = rig.config;
    config.range.bytes = HALF;
    assert_int_equal(quire_space_create(&other, &config), QUIRE_ERR_ADDRESS);
    config.range = span(0, FRAME);
    if (quire_vaddr_canonical(rig.which->format->canonical, quire_vaddr_of(0)))
        assert_int_equal(quire_space_create(&other, &config), QUIRE_ERR_ADDRESS);
    config = rig.config;
    config.port.shares = NULL;
    assert_ok(quire_space_create(&other, &config));
    assert_int_equal(quire_space_fork(&other, &space), QUIRE_ERR_UNSUPPORTED);
    quire_space_destroy(&other);
}

ON_ALL(touched)
ON_ALL(parts)
ON_ALL(protected)
ON_ALL(huge_reserve)
ON_ALL(guards)
ON_ALL(first_fit)
ON_ALL(advised)
ON_ALL(large_pages)
ON_ALL(advised_small)
ON_ALL(frame_out_of_reach)
ON_ALL(up_to_the_end)
ON_ALL(limited)
ON_ALL(forked)
ON_ALL(forked_with_port)
ON_ALL(forked_unlike)
ON_ALL(forked_large)
ON_ALL(too_many_sharers)
ON_ALL(bad_ranges)
ON_ALL(bad_areas)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(touched_test),          cmocka_unit_test(parts_test),
        cmocka_unit_test(protected_test),        cmocka_unit_test(huge_reserve_test),
        cmocka_unit_test(guards_test),           cmocka_unit_test(first_fit_test),
        cmocka_unit_test(advised_test),          cmocka_unit_test(large_pages_test),
        cmocka_unit_test(advised_small_test),    cmocka_unit_test(limited_test),
        cmocka_unit_test(forked_test),           cmocka_unit_test(forked_with_port_test),
        cmocka_unit_test(forked_unlike_test),    cmocka_unit_test(forked_large_test),
        cmocka_unit_test(too_many_sharers_test), cmocka_unit_test(bad_ranges_test),
        cmocka_unit_test(bad_areas_test),        cmocka_unit_test(frame_out_of_reach_test),
        cmocka_unit_test(up_to_the_end_test),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
