/* SPDX-License-Identifier: MIT
 *
 * test_file.c - each call on mapped files, each error, on all formats.
 */
#include "file_unit.h"

#include <string.h>

/* ---- Shared and private --------------------------------------------------------------------- */

static void shared_by_two(void)
{
    uint64_t used;

    assert_ok(map_file(base(), 4, 1, true));
    assert_ok(map_file_in(&other, base() + 64 * FRAME, 2, 2, true, rw()));
    expect_word(&space, base() + FRAME, file_rig_word(2));
    used = space_rig_used(&rig);
    assert_int_equal(quire_file_cached(&disk.file), 1);
    expect_word(&other, base() + 64 * FRAME, file_rig_word(2));
    assert_int_equal(quire_file_cached(&disk.file), 1);
    assert_true(space_rig_used(&rig) - used <= 4); /* tables */
    write_word(&other, base() + 64 * FRAME + 8, 77);
    expect_word(&space, base() + FRAME + 8, 77);
    assert_int_equal(qa_load(&disk.reads, relaxed), 1);
    assert_int_equal(qa_load(&disk.writes, relaxed), 0);
}

static void synced(void)
{
    assert_ok(map_file(base(), 4, 1, true));
    write_word(&space, base(), 5);
    expect_word(&space, base() + FRAME, file_rig_word(2));
    assert_ok(sync_at(base(), 4));
    assert_int_equal(on_disk(1), 5);
    assert_int_equal(qa_load(&disk.writes, relaxed), 1); /* the other page is clean */
    assert_ok(sync_at(base(), 4));
    assert_int_equal(qa_load(&disk.writes, relaxed), 1);
    write_word(&space, base(), 6); /* by what the processor remembered before */
    write_word(&space, base() + FRAME, 7);
    assert_ok(sync_at(base(), 1));
    assert_int_equal(on_disk(1), 6);
    assert_int_equal(on_disk(2), file_rig_word(2));
    assert_ok(quire_file_sync(&disk.file, 0, UINT64_MAX));
    assert_int_equal(on_disk(2), 7);
    assert_int_equal(qa_load(&disk.writes, relaxed), 3);
}

static void private_copies(void)
{
    assert_ok(map_file(base(), 4, 1, false));
    assert_ok(map_file_in(&other, base(), 4, 1, true, rw()));
    expect_word(&space, base(), file_rig_word(1));
    write_word(&space, base(), 5);         /* read before */
    write_word(&space, base() + FRAME, 6); /* not read before */
    expect_word(&other, base(), file_rig_word(1));
    expect_word(&other, base() + FRAME, file_rig_word(2));
    write_word(&other, base() + 2 * FRAME, 8); /* what is not copied is the file's */
    expect_word(&space, base() + 2 * FRAME, 8);
    assert_ok(sync_at(base(), 4));
    assert_ok(quire_file_sync(&disk.file, 1, 2));
    assert_int_equal(on_disk(1), file_rig_word(1));
    assert_ok(quire_space_advise(&space, span(base(), 4 * FRAME), QUIRE_ADVISE_RELEASE));
    expect_word(&space, base(), file_rig_word(1));
    write_word(&space, base(), 9);
    expect_word(&other, base(), file_rig_word(1));
}

/* A copy that reads as zeros is not what the file has; nor is a part with a page of a file one that
 * a large page could cover. */
static void copies_of_zeros(void)
{
    struct quire_promotion promotion = {.present = 1};
    struct quire_demotion demotion = {.zeros = 1};
    uint64_t part = (base() + large() - 1) & ~(large() - 1);
    struct quire_promoted promoted;
    struct quire_demoted demoted;

    assert_ok(map_file(part, 4, 1, false));
    assert_ok(reserve(part + 4 * FRAME, large() - 4 * FRAME, rw()));
    for (uint64_t word = 0; word < FRAME; word += 8)
        write_word(&space, part + FRAME + word, 0);
    write_word(&space, part + 5 * FRAME, 5);
    expect_word(&space, part + 6 * FRAME, 0);
    assert_ok(quire_space_promote(&space, span(part, large()), &promotion, &promoted));
    assert_int_equal(promoted.parts, 0);
    assert_ok(quire_space_demote(&space, span(part, large()), &demotion, &demoted));
    assert_int_equal(demoted.frames, 1);
    expect_word(&space, part + FRAME, 0);
    expect_word(&space, part + 5 * FRAME, 5);
    expect_word(&space, part + 6 * FRAME, 0);
}

static void forked(void)
{
    struct quire_space child;

    assert_ok(map_file(base(), 4, 1, true));
    assert_ok(map_file(base() + 8 * FRAME, 4, 1, false));
    write_word(&space, base(), 1);
    write_word(&space, base() + 9 * FRAME, 2);
    expect_word(&space, base() + 10 * FRAME, file_rig_word(3));
    assert_ok(quire_space_fork(&space, &child));
    expect_word(&child, base(), 1);
    expect_word(&child, base() + 9 * FRAME, 2);
    expect_word(&child, base() + 10 * FRAME, file_rig_word(3));
    write_word(&child, base(), 3);
    write_word(&child, base() + 9 * FRAME, 4);
    write_word(&child, base() + 10 * FRAME, 5);
    expect_word(&space, base(), 3);
    expect_word(&space, base() + 9 * FRAME, 2);
    expect_word(&space, base() + 10 * FRAME, file_rig_word(3));
    assert_int_equal(quire_file_destroy(&disk.file), QUIRE_ERR_BUSY);
    quire_space_destroy(&child);
    assert_int_equal(on_disk(1), 3); /* it was unmapped */
}

static void protected_file(void)
{
    assert_ok(map_file_in(&space, base(), 2, 1, true, ro()));
    assert_ok(map_file_in(&space, base() + 4 * FRAME, 2, 1, false, ro()));
    expect_word(&space, base(), file_rig_word(1));
    expect_word(&space, base() + 4 * FRAME, file_rig_word(1));
    assert_int_equal(space_rig_write(&rig, 0, &space, base(), 1), QUIRE_ERR_ACCESS);
    assert_ok(quire_space_protect(&space, span(base(), 2 * FRAME), rw()));
    assert_ok(quire_space_protect(&space, span(base() + 4 * FRAME, 2 * FRAME), rw()));
    write_word(&space, base() + 4 * FRAME, 9);
    expect_word(&space, base(), file_rig_word(1));
    write_word(&space, base(), 7);
    write_word(&space, base() + FRAME, 8);
    assert_ok(quire_space_protect(&space, span(base(), 2 * FRAME), ro()));
    assert_ok(sync_at(base(), 2)); /* the marks are kept */
    assert_int_equal(on_disk(1), 7);
    assert_int_equal(on_disk(2), 8);
    disk.file.config.pager.write = NULL;
    assert_int_equal(quire_space_protect(&space, span(base(), 2 * FRAME), rw()), QUIRE_ERR_ACCESS);
    assert_int_equal(map_file(base() + 8 * FRAME, 1, 0, true), QUIRE_ERR_ACCESS);
    assert_ok(map_file(base() + 8 * FRAME, 1, 0, false));
    assert_ok(sync_at(base(), 2));
}

/* ---- Parts ---------------------------------------------------------------------------------- */

static struct quire_area listed[16];
static unsigned listed_count;

static int note_area(void *ctx, const struct quire_area *area)
{
    (void)ctx;
    listed[listed_count++ % 16] = *area;
    return 0;
}

static unsigned list(void)
{
    listed_count = 0;
    assert_ok(quire_space_list(&space, rig.config.range, note_area, NULL));
    return listed_count;
}

static void in_parts(void)
{
    assert_ok(map_file(base(), 10, 1, true));
    write_word(&space, base() + 4 * FRAME, 3);
    assert_ok(unmap(base() + 3 * FRAME, 4 * FRAME));
    assert_int_equal(on_disk(5), 3);
    assert_int_equal(list(), 2);
    assert_int_equal(listed[0].kind, QUIRE_AREA_SHARED);
    assert_int_equal(listed[0].range.bytes, 3 * FRAME);
    assert_int_equal(listed[1].offset, 8 * FRAME);
    assert_ptr_equal(listed[1].file, &disk.file);
    assert_int_equal(read_at(base() + 4 * FRAME), QUIRE_ERR_AREA);
    expect_word(&space, base() + 7 * FRAME, file_rig_word(8));
    assert_ok(reserve(base() + 3 * FRAME, FRAME, rw()));
    assert_ok(map_file(base() + 4 * FRAME, 3, 0, false));
    write_word(&space, base() + 4 * FRAME, 8);
    write_word(&space, base() + 3 * FRAME, 9);
    expect_word(&space, base() + 5 * FRAME, file_rig_word(1));
    assert_int_equal(list(), 4);
    assert_int_equal(listed[2].kind, QUIRE_AREA_PRIVATE);
    assert_ok(unmap(base(), 3 * FRAME)); /* what the entries of the last part are named after */
    expect_word(&space, base() + 9 * FRAME, file_rig_word(10));
    assert_ok(
        quire_space_advise(&space, span(base() + 7 * FRAME, 3 * FRAME), QUIRE_ADVISE_RELEASE));
    expect_word(&space, base() + 9 * FRAME, file_rig_word(10));
    assert_ok(map_file(base(), 3, 0, true));
    expect_word(&space, base(), file_rig_word(0));
    assert_ok(
        quire_space_advise(&space, span(base() + 7 * FRAME, 3 * FRAME), QUIRE_ADVISE_RELEASE));
    expect_word(&space, base() + 9 * FRAME, file_rig_word(10));
    assert_ok(quire_space_advise(&space, span(base(), 10 * FRAME), QUIRE_ADVISE_POPULATE));
}

/* Many come and go: notes are used again, on several pages. */
static void many(void)
{
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 100; i++)
            assert_ok(map_file(base() + 2 * i * FRAME, 1, i % IN_FILE, i % 2));
        for (uint64_t i = 0; i < 100; i++)
            expect_word(&space, base() + 2 * i * FRAME, file_rig_word(i % IN_FILE));
        for (uint64_t i = 0; i < 100; i++)
            assert_ok(unmap(base() + 2 * (i * 37 % 100) * FRAME, FRAME));
    }
    assert_int_equal(list(), 0);
    assert_int_equal(space.notes_made, 100);
}

/* ---- The end of the file -------------------------------------------------------------------- */

static void shorter_than_mapping(void)
{
    assert_ok(map_file(base(), 20, 10, true));
    assert_ok(map_file(base() + 32 * FRAME, 20, 10, false));
    assert_ok(map_file(base() + 64 * FRAME, 2, 1000, false));
    expect_word(&space, base() + 2 * FRAME, file_rig_word(12)); /* partly there */
    expect_word(&space, base() + 2 * FRAME + 16, 0);
    assert_int_equal(read_at(base() + 3 * FRAME), QUIRE_ERR_END);
    assert_int_equal(read_at(base() + 35 * FRAME), QUIRE_ERR_END);
    assert_int_equal(read_at(base() + 64 * FRAME), QUIRE_ERR_END);
    write_word(&space, base() + 2 * FRAME + 16, 5); /* the page is there, so nobody minds, */
    assert_int_equal(space_rig_write(&rig, 0, &space, base() + 35 * FRAME, 1), QUIRE_ERR_END);
    assert_int_equal(quire_space_advise(&space, span(base(), 20 * FRAME), QUIRE_ADVISE_POPULATE),
                     QUIRE_ERR_END);
    assert_ok(quire_file_resize(&disk.file, 14 * FRAME));
    expect_word(&space, base() + 2 * FRAME + 16, 0); /* and nobody gets it */
    expect_word(&space, base() + 3 * FRAME, file_rig_word(13));
    assert_int_equal(read_at(base() + 4 * FRAME), QUIRE_ERR_END);
    assert_ok(quire_file_resize(&disk.file, 0));
    assert_int_equal(read_at(base()), QUIRE_ERR_END);
    assert_int_equal(quire_file_cached(&disk.file), 0);
}

static void truncated(void)
{
    uint64_t used;

    assert_ok(map_file(base(), 8, 0, true));
    assert_ok(map_file(base() + 8 * FRAME, 8, 0, false));
    assert_ok(map_file_in(&other, base(), 8, 0, true, rw()));
    for (uint64_t i = 0; i < 8; i++) {
        write_word(&space, base() + i * FRAME, 100 + i);
        expect_word(&other, base() + i * FRAME, 100 + i);
    }
    write_word(&space, base() + 11 * FRAME + 16, 8); /* a copy of the last page */
    used = space_rig_used(&rig);
    write_word(&space, base() + 13 * FRAME, 5);
    expect_word(&space, base() + 12 * FRAME, 104);
    write_word(&space, base() + 3 * FRAME + 8, 6);
    write_word(&space, base() + 3 * FRAME + 16, 7);
    assert_ok(quire_file_resize(&disk.file, 3 * FRAME + 16));
    assert_int_equal(quire_file_cached(&disk.file), 4);
    assert_true(space_rig_used(&rig) == used - 4);    /* the copy, too */
    expect_word(&space, base() + 11 * FRAME + 16, 8); /* but not that one */
    assert_int_equal(read_at(base() + 4 * FRAME), QUIRE_ERR_END);
    assert_int_equal(read_at(base() + 13 * FRAME), QUIRE_ERR_END);
    assert_int_equal(read_in(&other, base() + 7 * FRAME), QUIRE_ERR_END);
    expect_word(&other, base() + 3 * FRAME + 8, 6);
    expect_word(&other, base() + 3 * FRAME + 16, 0);
    assert_ok(quire_file_resize(&disk.file, 8 * FRAME));
    expect_word(&space, base() + 4 * FRAME, file_rig_word(4)); /* nothing was written back */
    assert_ok(quire_file_sync(&disk.file, 0, 8));
    assert_int_equal(on_disk(2), 102);
    assert_int_equal(on_disk(5), file_rig_word(5));
}

/* ---- A pager that fails --------------------------------------------------------------------- */

static void failing_pager(void)
{
    assert_ok(map_file(base(), IN_FILE, 0, true));
    for (uint64_t page = 0; page < IN_FILE; page++) {
        disk.fail_page = page;
        assert_int_equal(read_at(base() + page * FRAME), QUIRE_ERR_PAGER);
        assert_int_equal(quire_file_cached(&disk.file), page);
        disk.fail_page = UINT64_MAX;
        expect_word(&space, base() + page * FRAME, file_rig_word(page));
    }
    for (uint64_t page = 0; page < IN_FILE; page++)
        write_word(&space, base() + page * FRAME, 50 + page);
    disk.fail_page = 5;
    assert_int_equal(sync_at(base(), IN_FILE), QUIRE_ERR_PAGER);
    assert_int_equal(on_disk(4), 54);
    assert_int_equal(on_disk(6), 56); /* all others are written */
    assert_int_equal(on_disk(5), file_rig_word(5));
    assert_ok(unmap(base(), IN_FILE * FRAME));
    assert_int_equal(on_disk(5), file_rig_word(5));
    assert_true(quire_file_reclaim(&disk.file, 100, true) == IN_FILE - 1); /* it stays */
    disk.fail_page = UINT64_MAX;
    assert_ok(quire_file_sync(&disk.file, 0, IN_FILE));
    assert_int_equal(on_disk(5), 55);
}

static void not_created(void)
{
    struct quire_file file;
    struct quire_file_config config = disk.config;

    disk.fail_in = 1;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_PAGER);
    disk.bytes = UINT64_MAX;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_SIZE);
    disk.bytes = IN_FILE * FRAME;
    config.around = 3;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_UNSUPPORTED);
    config.around = 128;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_UNSUPPORTED);
    config.around = 0;
    config.pager.read = NULL;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_UNSUPPORTED);
    config = disk.config;
    rig.fail_in = 1;
    assert_int_equal(quire_file_create(&file, &config), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(quire_file_resize(&disk.file, UINT64_MAX), QUIRE_ERR_SIZE);
    assert_int_equal(quire_file_sync(&disk.file, QUIRE_FILE_PAGES, 1), QUIRE_ERR_SIZE);
    assert_ok(quire_file_sync(&disk.file, QUIRE_FILE_PAGES - 1, UINT64_MAX));
}

/* ---- Giving back ---------------------------------------------------------------------------- */

static void reclaimed(void)
{
    assert_ok(map_file(base(), 8, 0, true));
    for (uint64_t i = 0; i < 8; i++)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    write_word(&space, base() + 3 * FRAME, 33);
    assert_int_equal(quire_file_reclaim(&disk.file, 2, false), 2);
    assert_int_equal(quire_file_cached(&disk.file), 6);
    assert_int_equal(quire_file_reclaim(&disk.file, 100, false), 5); /* all but what is dirty */
    assert_int_equal(on_disk(3), file_rig_word(3));
    expect_word(&space, base() + 3 * FRAME, 33);
    assert_int_equal(quire_file_reclaim(&disk.file, 100, true), 1);
    assert_int_equal(on_disk(3), 33);
    assert_int_equal(quire_file_cached(&disk.file), 0);
    for (uint64_t i = 0; i < 8; i++)
        expect_word(&space, base() + i * FRAME, i == 3 ? 33 : file_rig_word(i));
}

/* The mark is no longer in the entry, but in the page cache, when the area goes. */
static void reclaimed_unwritten(void)
{
    assert_ok(map_file(base(), 4, 1, true));
    write_word(&space, base() + 3 * FRAME, 5);
    assert_int_equal(quire_file_reclaim(&disk.file, 100, false), 0);
    assert_int_equal(on_disk(4), file_rig_word(4));
    assert_ok(unmap(base(), 4 * FRAME));
    assert_int_equal(on_disk(4), 5);
    assert_int_equal(qa_load(&disk.writes, relaxed), 1);
}

/* Nor does it matter that the area is in parts by then. */
static void released_unwritten(void)
{
    assert_ok(map_file(base(), 4, 1, true));
    write_word(&space, base() + 3 * FRAME, 6);
    assert_ok(quire_space_advise(&space, span(base(), 4 * FRAME), QUIRE_ADVISE_RELEASE));
    assert_ok(unmap(base() + 2 * FRAME, 2 * FRAME));
    assert_int_equal(on_disk(4), 6);
    assert_ok(unmap(base(), 2 * FRAME));
    assert_int_equal(qa_load(&disk.writes, relaxed), 1);
}

/* An area that has the file private writes nothing back. */
static void unmapped_unwritten(void)
{
    assert_ok(map_file(base(), 4, 1, true));
    assert_ok(map_file_in(&other, base(), 4, 1, false, rw()));
    write_word(&space, base(), 5);
    expect_word(&other, base(), 5);
    assert_int_equal(quire_file_reclaim(&disk.file, 100, false), 0);
    assert_ok(quire_space_unmap(&other, span(base(), 4 * FRAME)));
    assert_int_equal(qa_load(&disk.writes, relaxed), 0);
    assert_ok(unmap(base(), 4 * FRAME));
    assert_int_equal(on_disk(1), 5);
}

/* What is used stays longer than what is not. */
static void second_chance(void)
{
    assert_ok(map_file(base(), 8, 0, true));
    for (uint64_t i = 0; i < 8; i++)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    assert_int_equal(quire_file_reclaim(&disk.file, 1, false),
                     1); /* all were used: they are aged */
    space_rig_leave(&rig, 0);
    for (uint64_t i = 0; i < 8; i += 2)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    assert_int_equal(quire_file_reclaim(&disk.file, 4, false), 4);
    assert_int_equal(quire_file_cached(&disk.file), 4);
    space_rig_leave(&rig, 0);
    qa_store(&disk.reads, 0, relaxed);
    for (uint64_t i = 2; i < 8; i += 2)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    assert_int_equal(qa_load(&disk.reads, relaxed), 0);
}

static void fault_around(void)
{
    disk.file.config.around = 8;
    assert_ok(map_file_in(&other, base(), IN_FILE, 0, true, rw()));
    for (uint64_t i = 0; i < IN_FILE; i++)
        expect_word(&other, base() + i * FRAME, file_rig_word(i));
    assert_ok(map_file(base(), 4, 0, true));
    assert_ok(map_file(base() + 4 * FRAME, 20, 4, true));
    expect_word(&space, base() + 6 * FRAME, file_rig_word(6));
    assert_int_equal(list(), 1);
    assert_int_equal(listed[0].frames, 4); /* of one area, of one stretch of eight */
    expect_word(&space, base() + FRAME, file_rig_word(1));
    assert_ok(unmap(base(), 4 * FRAME));
    write_word(&space, base() + 5 * FRAME, 5);
    expect_word(&space, base() + 4 * FRAME, file_rig_word(4));
    assert_ok(sync_at(base() + 4 * FRAME, 8));
    assert_int_equal(qa_load(&disk.writes, relaxed), 1);
    assert_int_equal(on_disk(5), 5);
}

/* ---- A frame that the format cannot reach ---------------------------------------------------- */

static bool gives_far; /* the next frame is one */

static uint64_t beyond(void)
{
    return (uint64_t)1 << (rig.which->format->phys_bits - QUIRE_FRAME_SHIFT);
}

static int give_far(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    int error = rig.config.port.frames.alloc(ctx, policy, order, pfn);

    if (gives_far)
        pfn->n += beyond();
    gives_far = false;
    return error;
}

static void take_far(void *ctx, quire_pfn pfn, unsigned order)
{
    rig.config.port.frames.free(ctx, quire_pfn_of(pfn.n % beyond()), order);
}

static int read_nothing(void *ctx, uint64_t page, quire_pfn pfn)
{
    (void)ctx;
    (void)page;
    (void)pfn;
    return 0;
}

/* A page in such a frame is refused, and is no neighbour of one that is not. */
static void frame_out_of_reach(void)
{
    struct quire_file_config config = disk.config;
    struct quire_area area = file_rig_area(&disk, base(), 4, 0, true, rw());
    struct quire_file far_file;

    config.frames.alloc = give_far;
    config.frames.free = take_far;
    config.pager.read = read_nothing;
    config.around = 4;
    assert_ok(quire_file_create(&far_file, &config));
    area.file = &far_file;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    gives_far = true;
    assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base()), QUIRE_READ),
                     QUIRE_ERR_FRAME);
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + FRAME), QUIRE_READ));
    assert_non_null(space_rig_walk(&rig, &space, base() + FRAME, QUIRE_READ));
    assert_null(space_rig_walk(&rig, &space, base(), QUIRE_READ));
    if (quire_file_cached(&far_file) == 2) { /* for formats that can reach it */
        assert_int_equal(quire_space_fault(&space, quire_vaddr_of(base()), QUIRE_WRITE),
                         QUIRE_ERR_FRAME);
        assert_int_equal(quire_file_cached(&far_file), 2);
    }
    assert_ok(unmap(base(), 4 * FRAME));
    assert_ok(quire_file_destroy(&far_file));
}

/* ---- Bad input ------------------------------------------------------------------------------ */

static int reserve_as(struct quire_area area)
{
    return quire_space_reserve(&space, &area, 0, NULL);
}

static void bad_input(void)
{
    struct quire_area good = file_rig_area(&disk, base(), 2, 0, true, rw()), area = good;
    struct quire_policy policy = {0};
    struct quire_space bare;
    struct quire_space_config config = rig.config;

    area.offset = 5;
    assert_int_equal(reserve_as(area), QUIRE_ERR_ALIGN);
    area.offset = QUIRE_FILE_PAGES * FRAME;
    assert_int_equal(reserve_as(area), QUIRE_ERR_SIZE);
    area.offset -= FRAME;
    assert_int_equal(reserve_as(area), QUIRE_ERR_SIZE);
    area.offset = 0 - FRAME;
    assert_int_equal(reserve_as(area), QUIRE_ERR_SIZE);
    area = good;
    area.file = NULL;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    area = good;
    area.kind = QUIRE_AREA_ANONYMOUS;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    area = good;
    area.limit = 3;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    area = good;
    area.policy = &policy;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    area = good;
    area.kind = (enum quire_area_kind)4;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    area = space_rig_area(base(), FRAME, 0);
    area.kind = QUIRE_AREA_GUARD;
    area.limit = 3;
    assert_int_equal(reserve_as(area), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(quire_space_reserve(&space, &good, QUIRE_RESERVE_STACK, NULL),
                     QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(sync_at(base(), 1), QUIRE_ERR_AREA);
    assert_int_equal(quire_space_sync(&space, span(base(), 0)), QUIRE_ERR_SIZE);
    assert_int_equal(quire_space_sync(&space, span(base(), HALF)), QUIRE_ERR_ADDRESS);
    assert_ok(reserve_as(good));
    assert_int_equal(reserve_as(good), QUIRE_ERR_MAPPED);
    assert_int_equal(sync_at(base(), 3), QUIRE_ERR_AREA);
    assert_int_equal(list(), 1);
    memset(&config.port.memory, 0, sizeof config.port.memory);
    assert_ok(quire_space_create(&bare, &config));
    assert_int_equal(quire_space_reserve(&bare, &good, 0, NULL), QUIRE_ERR_UNSUPPORTED);
    quire_space_destroy(&bare);
}

/* ---- Policies and limits of areas ------------------------------------------------------------ */

static void policy_of_area(void)
{
    struct quire_policy policy = {0};
    struct quire_area area = space_rig_area(base(), 4 * FRAME, rw());
    struct quire_space child;

    rig.policy = area.policy = &policy;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    assert_ok(reserve(base() + 4 * FRAME, 4 * FRAME, rw()));
    write_word(&space, base() + 5 * FRAME, 1);
    assert_int_equal(qa_load(&rig.by_policy, relaxed), 0);
    write_word(&space, base() + FRAME, 1);
    assert_int_equal(qa_load(&rig.by_policy, relaxed), 1);
    assert_int_equal(list(), 2);
    assert_ptr_equal(listed[0].policy, &policy);
    assert_ok(quire_space_protect(&space, span(base() + 2 * FRAME, FRAME), ro()));
    expect_word(&space, base() + 2 * FRAME, 0);
    assert_ok(quire_space_advise(&space, span(base(), 4 * FRAME), QUIRE_ADVISE_RELEASE));
    write_word(&space, base() + FRAME, 1);
    assert_int_equal(qa_load(&rig.by_policy, relaxed), 3);
    assert_ok(quire_space_fork(&space, &child));
    write_word(&child, base() + FRAME, 2); /* a copy has the space's */
    assert_int_equal(qa_load(&rig.by_policy, relaxed), 3);
    write_word(&child, base() + 3 * FRAME, 3);
    assert_int_equal(qa_load(&rig.by_policy, relaxed), 4);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
}

static void limit_of_area(void)
{
    struct quire_area area = space_rig_area(base(), 8 * FRAME, rw());
    struct quire_space child;

    area.limit = 2;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    write_word(&space, base() + FRAME, 1);
    write_word(&space, base() + 3 * FRAME, 2);
    assert_int_equal(read_at(base() + 5 * FRAME), QUIRE_ERR_LIMIT);
    assert_ok(quire_space_advise(&space, span(base(), 2 * FRAME), QUIRE_ADVISE_RELEASE));
    write_word(&space, base() + 5 * FRAME, 3);
    assert_int_equal(read_at(base()), QUIRE_ERR_LIMIT);
    assert_ok(quire_space_fork(&space, &child));
    write_word(&child, base() + 5 * FRAME, 4); /* a copy is no frame more */
    assert_int_equal(read_in(&child, base()), QUIRE_ERR_LIMIT);
    assert_ok(quire_space_unmap(&child, span(base() + 4 * FRAME, 2 * FRAME)));
    assert_ok(read_in(&child, base()));
    assert_int_equal(read_at(base()), QUIRE_ERR_LIMIT);
    quire_space_destroy(&child);
    assert_ok(unmap(base() + 3 * FRAME, FRAME));
    assert_ok(read_at(base() + 7 * FRAME));
    assert_int_equal(read_at(base()), QUIRE_ERR_LIMIT);
}

static void limit_of_space(void)
{
    struct quire_space_config config = rig.config;
    struct quire_space small;

    config.limit = 2;
    assert_ok(quire_space_create(&small, &config));
    assert_ok(map_file_in(&small, base(), 4, 0, false, rw()));
    for (uint64_t i = 0; i < 4; i++)
        expect_word(&small, base() + i * FRAME, file_rig_word(i)); /* the file's are not counted */
    write_word(&small, base(), 1);
    write_word(&small, base() + FRAME, 2);
    assert_int_equal(space_rig_write(&rig, 0, &small, base() + 2 * FRAME, 3), QUIRE_ERR_LIMIT);
    assert_ok(quire_file_resize(&disk.file, FRAME));
    assert_ok(quire_file_resize(&disk.file, 4 * FRAME));
    write_word(&small, base() + 2 * FRAME, 3);
    expect_word(&small, base() + FRAME, file_rig_word(1));
    space_rig_leave(&rig, 0);
    quire_space_destroy(&small);
}

ON_ALL_WITH_FILE(shared_by_two)
ON_ALL_WITH_FILE(synced)
ON_ALL_WITH_FILE(private_copies)
ON_ALL_WITH_FILE(copies_of_zeros)
ON_ALL_WITH_FILE(forked)
ON_ALL_WITH_FILE(protected_file)
ON_ALL_WITH_FILE(in_parts)
ON_ALL_WITH_FILE(many)
ON_ALL_WITH_FILE(shorter_than_mapping)
ON_ALL_WITH_FILE(truncated)
ON_ALL_WITH_FILE(failing_pager)
ON_ALL_WITH_FILE(not_created)
ON_ALL_WITH_FILE(reclaimed)
ON_ALL_WITH_FILE(reclaimed_unwritten)
ON_ALL_WITH_FILE(released_unwritten)
ON_ALL_WITH_FILE(unmapped_unwritten)
ON_ALL_WITH_FILE(second_chance)
ON_ALL_WITH_FILE(fault_around)
ON_ALL_WITH_FILE(frame_out_of_reach)
ON_ALL_WITH_FILE(bad_input)
ON_ALL_WITH_FILE(policy_of_area)
ON_ALL_WITH_FILE(limit_of_area)
ON_ALL_WITH_FILE(limit_of_space)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_by_two_test),
        cmocka_unit_test(synced_test),
        cmocka_unit_test(private_copies_test),
        cmocka_unit_test(copies_of_zeros_test),
        cmocka_unit_test(forked_test),
        cmocka_unit_test(protected_file_test),
        cmocka_unit_test(in_parts_test),
        cmocka_unit_test(many_test),
        cmocka_unit_test(shorter_than_mapping_test),
        cmocka_unit_test(truncated_test),
        cmocka_unit_test(failing_pager_test),
        cmocka_unit_test(not_created_test),
        cmocka_unit_test(reclaimed_test),
        cmocka_unit_test(reclaimed_unwritten_test),
        cmocka_unit_test(released_unwritten_test),
        cmocka_unit_test(unmapped_unwritten_test),
        cmocka_unit_test(second_chance_test),
        cmocka_unit_test(fault_around_test),
        cmocka_unit_test(frame_out_of_reach_test),
        cmocka_unit_test(bad_input_test),
        cmocka_unit_test(policy_of_area_test),
        cmocka_unit_test(limit_of_area_test),
        cmocka_unit_test(limit_of_space_test),
    };

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
