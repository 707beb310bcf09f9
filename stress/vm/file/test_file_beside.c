/* SPDX-License-Identifier: MIT
 *
 * test_file_beside.c - what others do while the pager is at work, which holds nothing, while a file
 * gets another size, and while a fault asks for a frame; and what is left when an allocation, or a
 * call of the pager, fails in the middle.
 */
#include "file_unit.h"

/* ---- A slow pager --------------------------------------------------------------------------- */

static unsigned calls;

/* The area is unmapped, the page forked and the space changed by others while a page is read. */
static void change_meanwhile(struct file_rig *rig_of_file, uint64_t page, bool write)
{
    struct quire_space child;

    (void)rig_of_file;
    disk.during = NULL;
    assert_false(write);
    assert_int_equal(page, 2);
    expect_word(&space, base() + 3 * FRAME, file_rig_word(3)); /* another page */
    assert_ok(quire_space_fork(&space, &child));
    expect_word(&child, base() + 4 * FRAME, file_rig_word(4));
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    assert_ok(unmap(base() + FRAME, 2 * FRAME));
    assert_int_equal(quire_file_destroy(&disk.file), QUIRE_ERR_BUSY);
    calls++;
}

static void unmapped_meanwhile(void)
{
    calls = 0;
    assert_ok(map_file(base(), 8, 0, true));
    disk.during = change_meanwhile;
    assert_int_equal(read_at(base() + 2 * FRAME), QUIRE_ERR_AREA);
    assert_int_equal(calls, 1);
    assert_ok(unmap(base(), FRAME));
    assert_ok(unmap(base() + 3 * FRAME, 5 * FRAME));
    assert_int_equal(quire_file_cached(&disk.file), 3);
}

/* All areas go while a page is read: the fault keeps the file. */
static void last_area_meanwhile(struct file_rig *rig_of_file, uint64_t page, bool write)
{
    (void)rig_of_file;
    (void)page;
    (void)write;
    disk.during = NULL;
    assert_ok(unmap(base(), 8 * FRAME));
    assert_int_equal(quire_file_destroy(&disk.file), QUIRE_ERR_BUSY);
}

static void kept_by_fault(void)
{
    assert_ok(map_file(base(), 8, 0, true));
    disk.during = last_area_meanwhile;
    assert_int_equal(read_at(base() + 2 * FRAME), QUIRE_ERR_AREA);
}

/* The program writes while the page is written back: it is dirty again. */
static void write_meanwhile(struct file_rig *rig_of_file, uint64_t page, bool write)
{
    (void)rig_of_file;
    assert_true(write);
    disk.during = NULL;
    write_word(&space, base() + page * FRAME + 8, 9);
    assert_int_equal(quire_file_reclaim(&disk.file, 100, true), 0); /* one at a time */
    calls++;
}

static void written_meanwhile(void)
{
    calls = 0;
    assert_ok(map_file(base(), 8, 0, true));
    write_word(&space, base() + FRAME, 5);
    disk.during = write_meanwhile;
    assert_ok(sync_at(base(), 8));
    assert_int_equal(calls, 1);
    assert_ok(sync_at(base(), 8));
    assert_int_equal(on_disk(1), 5);
    assert_int_equal(file_rig_disk(&disk, 1)[1], 9);
    assert_int_equal(qa_load(&disk.writes, relaxed), 2);
}

/* ---- In the middle of a call ---------------------------------------------------------------- */

/* Another CPU faults on a page that is being taken out: it is told to come again, or, of what a
 * space's own call takes out, what is to come. */
static unsigned looks;

static void look_meanwhile(void)
{
    int error = quire_space_fault(&space, quire_vaddr_of(base() + FRAME), QUIRE_READ);

    assert_true(error == 0 || error == QUIRE_ERR_AREA);
    looks++;
}

static void fault_beside_taking(void)
{
    if (rig.window)
        return; /* which has room for the frames of one call */
    looks = 0;
    assert_ok(map_file(base(), 4, 0, true));
    for (uint64_t i = 0; i < 4; i++)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    write_word(&space, base() + FRAME, 4);
    rig.during = look_meanwhile;
    assert_ok(sync_at(base(), 4));
    assert_int_equal(looks, 1);
    assert_int_equal(quire_file_reclaim(&disk.file, 4, true), 3); /* one is used all the time */
    assert_int_equal(looks, 4);
    rig.during = NULL;
    expect_word(&space, base() + FRAME, 4);
    rig.during = look_meanwhile;
    assert_ok(quire_file_resize(&disk.file, 0));
    assert_int_equal(looks, 5);
    rig.during = NULL;
}

/* ---- Refused -------------------------------------------------------------------------------- */

/* What a process with files does; the so-manyth frame or page of memory is refused, or call of the
 * pager fails. Each call is repeated until it succeeds. True: none was. */
static bool life(uint64_t fail_in, bool pager)
{
    struct quire_area shared = file_rig_area(&disk, base() + large() - 2 * FRAME, 6, 1, true, rw());
    struct quire_area own = file_rig_area(&disk, base() + 2 * large(), 6, 1, false, rw());
    uint64_t at = shared.range.start.n, from = own.range.start.n;
    struct quire_space child;
    bool failed;

    rig.failed = disk.failed = false;
    rig.fail_in = pager ? 0 : fail_in;
    disk.fail_in = pager ? fail_in : 0;
    while (quire_space_reserve(&space, &shared, 0, NULL))
        assert_true(rig.failed);
    while (quire_space_reserve(&space, &own, 0, NULL))
        assert_true(rig.failed);
    while (space_rig_write(&rig, 0, &space, at, 7))
        assert_true(rig.failed || disk.failed);
    while (space_rig_write(&rig, 0, &space, from + FRAME, 8))
        assert_true(rig.failed || disk.failed);
    while (quire_space_unmap(&space, span(at + 2 * FRAME, FRAME)))
        assert_true(rig.failed);
    while (quire_space_fork(&space, &child))
        assert_true(rig.failed);
    while (space_rig_write(&rig, 0, &child, from + FRAME, 9))
        assert_true(rig.failed || disk.failed);
    while (quire_space_sync(&child, span(at, 2 * FRAME)))
        assert_true(disk.failed);
    assert_int_equal(on_disk(1), 7);
    while (quire_file_reclaim(&disk.file, 100, true) == 0)
        assert_true(disk.failed);
    expect_word(&space, from + FRAME, 8);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    while (quire_space_unmap(&space, span(at, 2 * FRAME)) ||
           quire_space_unmap(&space, span(at + 3 * FRAME, 3 * FRAME)))
        assert_true(rig.failed);
    assert_ok(quire_space_unmap(&space, own.range));
    failed = rig.failed || disk.failed;
    rig.fail_in = disk.fail_in = 0;
    assert_ok(quire_file_resize(&disk.file, 0));
    assert_ok(quire_file_resize(&disk.file, IN_FILE * FRAME));
    assert_int_equal(quire_file_cached(&disk.file), 0);
    *file_rig_disk(&disk, 1) = file_rig_word(1);
    return !failed;
}

static void refused(void)
{
    for (unsigned pager = 0; pager < 2; pager++) {
        uint64_t n = 1;

        while (!life(n, pager)) {
            space_rig_leave(&rig, 0);
            quire_space_destroy(&space);
            assert_ok(quire_space_create(&space, &rig.config));
            n++;
        }
        assert_true(n > 3);
    }
}

/* ---- Another size --------------------------------------------------------------------------- */

static struct quire_file sized;
static uint64_t size_then; /* of the file when the rest of its last page was cleared */

static void *open_frame(void *ctx, quire_pfn pfn)
{
    struct space_rig *rig_of_frame = ctx;

    size_then = quire_file_size(&sized);
    return rig_of_frame->memory.bytes + (pfn.n - SPACE_RIG_FIRST) * FRAME;
}

/* What is cleared is behind the end just then, so nobody who knows the end can have written it. */
static void cleared_behind_end(void)
{
    const uint64_t sizes[] = {FRAME, 100, 100, 16}; /* it is 16 before */
    const uint64_t then[] = {16, 100, 100, 16};
    struct quire_file_config config = disk.config;
    struct quire_area area = file_rig_area(&disk, base(), 1, 0, true, rw());

    config.reach = (struct quire_reach){0, open_frame, NULL, &rig};
    assert_ok(quire_file_create(&sized, &config));
    assert_ok(quire_file_resize(&sized, 16));
    area.file = &sized;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    for (unsigned i = 0; i < 4; i++) {
        write_word(&space, base() + 128, 7);
        size_then = 0;
        assert_ok(quire_file_resize(&sized, sizes[i]));
        assert_int_equal(size_then, then[i]);
        expect_word(&space, base() + 128, 0);
    }
    assert_ok(unmap(base(), FRAME));
    assert_ok(quire_file_destroy(&sized));
}

/* ---- No memory ------------------------------------------------------------------------------ */

/* No frame for this fault, and one for the other space's on the same page. */
static int give_to_other(void *ctx, const struct quire_policy *policy, unsigned order,
                         quire_pfn *pfn)
{
    if (calls++ > 0)
        return rig.config.port.frames.alloc(ctx, policy, order, pfn);
    assert_ok(read_in(&other, base()));
    return QUIRE_ERR_NO_MEMORY;
}

static void cached_by_then(void)
{
    struct quire_file_config config = disk.config;
    struct quire_area area = file_rig_area(&disk, base(), 1, 0, true, rw());
    struct quire_file file;

    calls = 0;
    config.frames.alloc = give_to_other;
    assert_ok(quire_file_create(&file, &config));
    area.file = &file;
    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
    assert_ok(quire_space_reserve(&other, &area, 0, NULL));
    assert_ok(read_at(base()));
    assert_int_equal(calls, 2);
    assert_ok(unmap(base(), FRAME));
    assert_ok(quire_space_unmap(&other, span(base(), FRAME)));
    assert_ok(quire_file_destroy(&file));
}

ON_ALL_WITH_FILE(unmapped_meanwhile)
ON_ALL_WITH_FILE(kept_by_fault)
ON_ALL_WITH_FILE(cleared_behind_end)
ON_ALL_WITH_FILE(cached_by_then)
ON_ALL_WITH_FILE(written_meanwhile)
ON_ALL_WITH_FILE(fault_beside_taking)
ON_ALL_WITH_FILE(refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmapped_meanwhile_test),
        cmocka_unit_test(kept_by_fault_test),
        cmocka_unit_test(cleared_behind_end_test),
        cmocka_unit_test(cached_by_then_test),
        cmocka_unit_test(written_meanwhile_test),
        cmocka_unit_test(fault_beside_taking_test),
        cmocka_unit_test(refused_test),
    };

    return cmocka_run_group_tests_name("file_beside", tests, NULL, NULL);
}
