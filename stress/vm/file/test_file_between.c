/* SPDX-License-Identifier: MIT
 *
 * test_file_between.c - what others do between two steps of a call, of which each is whole. White-
 * box: note.c and touch.c are compiled for this program so that their last steps come here first.
 */
#include "kernel-port/vm/file/files.h"

#include "file_unit.h"

static void (*after_listing)(void); /* a call changed a note, and is done with the list */
static void (*before_unpin)(void);  /* a fault has put a page into an entry */
static unsigned steps_left;         /* it comes after so many of them */
static unsigned calls;

void between_unlock(struct quire_file *file, unsigned which);
void between_unpin(qa64 *word);

static void call_once(void (**call)(void))
{
    void (*now)(void) = *call;

    if (!now || steps_left--)
        return;
    *call = NULL;
    calls++;
    now();
}

/* The unlock of note.c. */
void between_unlock(struct quire_file *file, unsigned which)
{
    qi_file_unlock(file, which);
    if (which == FILE_LISTING)
        call_once(&after_listing);
}

/* The unpin of touch.c. */
void between_unpin(qa64 *word)
{
    call_once(&before_unpin);
    qi_cache_unpin(word);
}

/* ---- An area is split ----------------------------------------------------------------------- */

static void give_all_back(void)
{
    assert_int_equal(quire_file_reclaim(&disk.file, 100, true), 8);
}

static void cut_off(void)
{
    assert_ok(quire_file_resize(&disk.file, 0));
}

static unsigned listed;

static int count_frames(void *ctx, const struct quire_area *area)
{
    (void)ctx;
    listed += (unsigned)area->frames;
    return 0;
}

/* Pages of an area of eight are mapped, and `from` up to `to` are unmapped, with the other call
 * after so many steps. False: the unmap has fewer. */
static bool split_beside(void (*other_call)(void), uint64_t from, uint64_t to, unsigned step)
{
    bool called;

    assert_ok(map_file(base(), 8, 0, true));
    for (uint64_t i = 0; i < 8; i++)
        expect_word(&space, base() + i * FRAME, file_rig_word(i));
    steps_left = step;
    calls = 0;
    after_listing = other_call;
    assert_ok(unmap(base() + from * FRAME, (to - from) * FRAME));
    called = calls > 0;
    after_listing = NULL;
    if (called) {
        listed = 0;
        assert_ok(quire_space_list(&space, rig.config.range, count_frames, NULL));
        assert_int_equal(quire_file_cached(&disk.file), 0);
        assert_int_equal(listed, 0); /* nothing is mapped that is not cached */
    }
    if (from > 0)
        assert_ok(unmap(base(), from * FRAME));
    if (to < 8)
        assert_ok(unmap(base() + to * FRAME, (8 - to) * FRAME));
    assert_ok(quire_file_resize(&disk.file, IN_FILE * FRAME));
    return called;
}

static void split_whole(void)
{
    void (*const others[])(void) = {give_all_back, cut_off};

    for (unsigned i = 0; i < 2; i++) {
        unsigned step = 0;

        assert_true(split_beside(others[i], 0, 4, 0));
        assert_true(split_beside(others[i], 5, 8, 0));
        while (split_beside(others[i], 2, 5, step))
            step++;
        assert_true(step >= 4); /* two of each split */
    }
}

/* ---- A fault looks -------------------------------------------------------------------------- */

static struct quire_space own;
static uint64_t looked_at; /* the entry of the first page, which a fault holds */

static void hold(void)
{
    struct place place;

    (void)qi_place_find(&own.paging, base(), 0, false, &place);
    looked_at = place.entry;
    assert_true(place_replace(&own.paging, &place, entry_held()));
    place_close(&own.paging, &place);
}

/* The fault has not found the page, and reads it; it has not come yet. */
static void let_go(void *ctx)
{
    struct place place;

    (void)ctx;
    calls++;
    (void)qi_place_find(&own.paging, base(), 0, false, &place);
    assert_true(entry_is_held(place.entry));
    assert_true(place_replace(&own.paging, &place, looked_at));
    place_close(&own.paging, &place);
}

/* Populate does not believe that a page comes because somebody looks for it. */
static void populated(void)
{
    struct quire_space_config config = rig.config;

    config.port.relax = let_go;
    calls = 0;
    assert_ok(quire_space_create(&own, &config));
    assert_ok(map_file_in(&own, base(), 4, 0, false, rw()));
    disk.fail_page = 0;
    hold();
    assert_int_equal(quire_space_advise(&own, span(base(), 4 * FRAME), QUIRE_ADVISE_POPULATE),
                     QUIRE_ERR_PAGER);
    disk.fail_page = UINT64_MAX;
    hold();
    assert_ok(quire_space_advise(&own, span(base(), 4 * FRAME), QUIRE_ADVISE_POPULATE));
    assert_int_equal(calls, 2);
    for (uint64_t i = 0; i < 4; i++)
        assert_non_null(space_rig_walk(&rig, &own, base() + i * FRAME, QUIRE_READ));
    quire_space_destroy(&own);
}

/* ---- The file ends -------------------------------------------------------------------------- */

/* The last area goes, and then the file is to go. */
static void end_all(void)
{
    assert_ok(unmap(base(), 8 * FRAME));
    assert_int_equal(quire_file_destroy(&disk.file), QUIRE_ERR_BUSY);
}

static void kept_by_pin(void)
{
    assert_ok(map_file(base(), 8, 0, true));
    expect_word(&space, base() + FRAME, file_rig_word(1));
    assert_ok(quire_space_advise(&space, span(base(), 8 * FRAME), QUIRE_ADVISE_RELEASE));
    space_rig_leave(&rig, 0);
    steps_left = 0;
    calls = 0;
    before_unpin = end_all;
    assert_ok(quire_space_fault(&space, quire_vaddr_of(base() + FRAME), QUIRE_READ));
    assert_int_equal(calls, 1);
    assert_int_equal(quire_file_cached(&disk.file), 1);
}

ON_ALL_WITH_FILE(split_whole)
ON_ALL_WITH_FILE(populated)
ON_ALL_WITH_FILE(kept_by_pin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_whole_test),
        cmocka_unit_test(populated_test),
        cmocka_unit_test(kept_by_pin_test),
    };

    return cmocka_run_group_tests_name("file_between", tests, NULL, NULL);
}
