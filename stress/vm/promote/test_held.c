/* SPDX-License-Identifier: MIT
 *
 * test_held.c - a write holds a page that another space has, too, and puts it back as it was, as it
 * has no frame for the copy yet. A scan that looks just then moves it neither to a row nor into a
 * large page: its frame is not ours alone to give back.
 */
#include "promote_unit.h"

#include <pthread.h>
#include <semaphore.h>

enum { PAGES = 16, SHARED = 9, STOPS = 2 };

static struct quire_frame_source source; /* the rig's */
static sem_t stopped, go_on;
static pthread_t writer;
static _Thread_local unsigned stops_left; /* of the writer; nobody else stops */
static unsigned asked;                    /* for pages, whether they may move */

static uint64_t at(uint64_t page)
{
    return part_at() + page * FRAME;
}

static void stop(void)
{
    stops_left--;
    (void)sem_post(&stopped);
    (void)sem_wait(&go_on);
}

/* First while the writer has the page held, and asks whether it is shared, */
static void *open_counts(void *ctx, quire_pfn pfn)
{
    if (stops_left == STOPS)
        stop();
    return (unsigned char *)ctx + (pfn.n - SPACE_RIG_FIRST) * FRAME;
}

/* and then where it has put the page back, which the scan finds when it has a run. */
static int give(void *ctx, const struct quire_policy *policy, unsigned order, quire_pfn *pfn)
{
    if (order == 0 && stops_left == STOPS - 1)
        stop();
    if (order > 0) {
        (void)sem_post(&go_on);
        (void)sem_wait(&stopped);
    }
    return source.alloc(ctx, policy, order, pfn);
}

static void *write_shared(void *error)
{
    stops_left = STOPS;
    *(int *)error = quire_space_fault(&space, quire_vaddr_of(at(SHARED)), QUIRE_WRITE);
    return NULL;
}

/* The scan has looked at the entries, and looks at the page before the shared one. */
static bool begin_to_write(void *error, quire_pfn pfn)
{
    if (++asked == SHARED) {
        assert_int_equal(pthread_create(&writer, NULL, write_shared, error), 0);
        (void)sem_wait(&stopped);
    }
    return pfn.n == 0;
}

static void scan_beside_write(struct quire_promotion how)
{
    int error = QUIRE_ERR_ACCESS;
    struct quire_space child;
    struct quire_promoted done;

    if (rig.window)
        return; /* which has room for the frames of one call */
    assert_ok(reserve(part_at(), large(), rw()));
    for (uint64_t i = PAGES; i-- > 0;)
        write_word(&space, at(i) + 8, i + 1);
    assert_ok(quire_space_fork(&space, &child));
    for (uint64_t i = 0; i < PAGES; i++)
        if (i != SHARED)
            write_word(&space, at(i) + 8, i + 1);
    (void)sem_init(&stopped, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    asked = 0;
    source = space.config.port.frames;
    space.config.port.frames.alloc = give;
    rig.shares.reach = (struct quire_reach){0, open_counts, NULL, rig.memory.bytes};
    how.pinned = begin_to_write;
    how.ctx = &error;
    done = promote_part(how);
    for (unsigned i = 0; i < STOPS; i++)
        (void)sem_post(&go_on);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_ok(error);
    rig.shares.reach = rig.config.port.paging.reach;
    space.config.port.frames = source;
    assert_int_equal(done.copies + done.rows + done.parts + done.ended, 0);
    write_word(&space, at(SHARED) + 8, 99);
    for (uint64_t i = 0; i < PAGES; i++)
        expect_word(&child, at(i) + 8, i + 1);
    space_rig_leave(&rig, 0);
    quire_space_destroy(&child);
    expect_word(&space, at(SHARED) + 8, 99);
}

static void no_large_page(void)
{
    scan_beside_write((struct quire_promotion){.present = PAGES / 2});
}

static void no_row(void)
{
    scan_beside_write((struct quire_promotion){.row = 4});
}

ON_ALL(no_large_page)
ON_ALL(no_row)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_large_page_test),
        cmocka_unit_test(no_row_test),
    };

    return cmocka_run_group_tests_name("promote_held", tests, NULL, NULL);
}
