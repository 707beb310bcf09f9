/* SPDX-License-Identifier: MIT
 *
 * test_limit.c - nobody is refused falsely, by a limit or for want of memory: what another CPU's
 * fault finds while a fault has counted its frame and has not put it in, and while a frame is given
 * back; and what a fault finds that got no memory. Faults are asked for one by one: one that is
 * told to come again would be repeated for ever here, where the other one waits for its end.
 */
#include "stress/vm/file/file_unit.h"

#include <pthread.h>
#include <semaphore.h>

/* ---- In the middle -------------------------------------------------------------------------- */

static struct quire_space own;
static void (*in_the_middle)(void); /* called once, when a fault takes a frame, or one is free */
static bool refuse_it;              /* and then it gets no frame */
static void (*at_table)(void);      /* called when a table is taken */

static void meet(void)
{
    void (*what)(void) = in_the_middle;

    in_the_middle = NULL;
    if (what)
        what();
}

static int give_meanwhile(void *ctx, const struct quire_policy *policy, unsigned order,
                          quire_pfn *pfn)
{
    bool refuse = refuse_it;

    refuse_it = false;
    if (!rig.during) /* else it is met while a page is copied */
        meet();
    if (refuse)
        return QUIRE_ERR_NO_MEMORY;
    return rig.config.port.frames.alloc(ctx, policy, order, pfn);
}

static void take_back_meanwhile(void *ctx, quire_pfn pfn, unsigned order)
{
    rig.config.port.frames.free(ctx, pfn, order);
    meet();
}

static int give_table_meanwhile(void *ctx, uint64_t below, quire_pfn *pfn)
{
    bool refuse = at_table && refuse_it;
    void (*what)(void) = at_table;

    if (refuse) {
        refuse_it = false;
        at_table = NULL;
    }
    if (what)
        what();
    if (refuse)
        return QUIRE_ERR_NO_MEMORY;
    return rig.config.port.paging.tables.alloc(ctx, below, pfn);
}

static int fault(uint64_t page, uint32_t access)
{
    return quire_space_fault(&own, quire_vaddr_of(base() + page * FRAME), access);
}

static bool is_there_in(struct quire_space *in, uint64_t page)
{
    struct quire_page found;
    quire_paddr phys;
    int error =
        quire_paging_translate(&in->paging, quire_vaddr_of(base() + page * FRAME), &found, &phys);

    return error == 0;
}

static bool is_there(uint64_t page)
{
    return is_there_in(&own, page);
}

/* The fault meets `what` when it takes a frame, or copies. */
static int fault_and(uint64_t page, uint32_t access, void (*what)(void))
{
    int error;

    in_the_middle = what;
    error = fault(page, access);
    assert_null(in_the_middle);
    return error;
}

static void begin(uint64_t limit)
{
    struct quire_space_config config = rig.config;

    config.limit = limit;
    config.port.frames.alloc = give_meanwhile;
    config.port.frames.free = take_back_meanwhile;
    config.port.paging.tables.alloc = give_table_meanwhile;
    assert_ok(quire_space_create(&own, &config));
}

static void reserve_pages(uint64_t bytes, uint64_t limit, uint32_t flags)
{
    struct quire_area area = space_rig_area(base(), bytes, rw());

    area.limit = limit;
    assert_ok(quire_space_reserve(&own, &area, flags, NULL));
}

/* ---- What is met ---------------------------------------------------------------------------- */

/* The same page, and another one: neither is there, and neither is refused. */
static void same_and_next(void)
{
    assert_ok(fault(0, QUIRE_READ));
    assert_ok(fault(1, QUIRE_READ));
    assert_false(is_there(0) || is_there(1));
}

static void one_page_twice(void)
{
    for (unsigned of_area = 0; of_area < 2 && !rig.window; of_area++) {
        begin(of_area ? 4 : 1);
        reserve_pages(4 * FRAME, of_area ? 1 : 0, 0);
        assert_ok(fault_and(0, QUIRE_READ, same_and_next));
        assert_true(is_there(0));
        assert_int_equal(fault(1, QUIRE_READ), QUIRE_ERR_LIMIT);
        assert_ok(quire_space_advise(&own, span(base(), FRAME), QUIRE_ADVISE_RELEASE));
        assert_ok(fault(1, QUIRE_READ));
        assert_int_equal(fault(0, QUIRE_READ), QUIRE_ERR_LIMIT);
        quire_space_destroy(&own);
    }
}

/* The first one gets no frame: what it counted was for nobody. */
static void given_up(void)
{
    if (rig.window)
        return;
    begin(1);
    reserve_pages(4 * FRAME, 0, 0);
    refuse_it = true;
    assert_int_equal(fault_and(0, QUIRE_READ, same_and_next), QUIRE_ERR_NO_MEMORY);
    assert_ok(fault(1, QUIRE_READ));
    assert_true(is_there(1));
    assert_int_equal(fault(0, QUIRE_READ), QUIRE_ERR_LIMIT);
    quire_space_destroy(&own);
}

/* Who has stopped in the middle is in nobody's way whom no limit would refuse. */
static void serve_next(void)
{
    assert_ok(fault(1, QUIRE_READ));
    assert_true(is_there(1));
    assert_ok(fault(2, QUIRE_READ));
    assert_false(is_there(2));
}

static void stopped(void)
{
    if (rig.window)
        return;
    begin(2);
    reserve_pages(4 * FRAME, 0, 0);
    assert_ok(fault_and(0, QUIRE_READ, serve_next));
    assert_int_equal(fault(2, QUIRE_READ), QUIRE_ERR_LIMIT);
    quire_space_destroy(&own);
}

/* A large page is counted, and small ones come before it. */
static void small_before_large(void)
{
    assert_ok(fault(1, QUIRE_READ));
    assert_false(is_there(1));
}

static void large_page(void)
{
    if (rig.window)
        return;
    begin(large() / FRAME);
    reserve_pages(large(), 0, QUIRE_RESERVE_LARGE);
    assert_ok(fault_and(0, QUIRE_READ, small_before_large));
    for (uint64_t page = 0; page < large() / FRAME; page++)
        assert_ok(fault(page, QUIRE_READ));
    quire_space_destroy(&own);
}

/* Private copies. */
static void copy_next(void)
{
    assert_ok(fault(1, QUIRE_WRITE));
    assert_ok(fault(0, QUIRE_WRITE));
}

static void private_copies(void)
{
    if (rig.window)
        return;
    begin(1);
    assert_ok(map_file_in(&own, base(), 4, 0, false, rw()));
    assert_ok(fault(0, QUIRE_READ));
    assert_ok(fault(1, QUIRE_READ));
    rig.during = meet;
    in_the_middle = copy_next;
    assert_ok(fault(0, QUIRE_WRITE));
    rig.during = NULL;
    assert_null(in_the_middle);
    assert_int_equal(fault(1, QUIRE_WRITE), QUIRE_ERR_LIMIT);
    quire_space_destroy(&own);
}

/* The page whose frame is free by now. */
static void same_again(void)
{
    assert_ok(fault(0, QUIRE_READ));
}

static void given_back(void)
{
    for (unsigned of_area = 0; of_area < 2 && !rig.window; of_area++) {
        begin(of_area ? 4 : 1);
        reserve_pages(4 * FRAME, of_area ? 1 : 0, 0);
        assert_ok(fault(0, QUIRE_READ));
        in_the_middle = same_again;
        assert_ok(quire_space_advise(&own, span(base(), FRAME), QUIRE_ADVISE_RELEASE));
        assert_null(in_the_middle);
        assert_ok(fault(0, QUIRE_READ));
        quire_space_destroy(&own);
    }
}

static void demoted(void)
{
    const struct quire_demotion how = {.zeros = 1};
    struct quire_demoted done;

    for (unsigned of_area = 0; of_area < 2 && !rig.window; of_area++) {
        const uint64_t pages = large() / FRAME;

        begin(of_area ? 2 * pages : pages);
        reserve_pages(large(), of_area ? pages : 0, QUIRE_RESERVE_LARGE);
        assert_ok(fault(0, QUIRE_READ));
        in_the_middle = same_again;
        assert_ok(quire_space_demote(&own, span(base(), large()), &how, &done));
        assert_null(in_the_middle);
        assert_ok(fault(0, QUIRE_READ));
        quire_space_destroy(&own);
    }
}

/* A private copy that is cut off with the end of its file is not counted when its frame is free. */
static void copy_first(void)
{
    assert_false(is_there(3));
    assert_ok(fault(0, QUIRE_WRITE));
}

static void cut_off(void)
{
    if (rig.window)
        return;
    begin(1);
    assert_ok(map_file_in(&own, base(), 4, 0, false, rw()));
    assert_ok(fault(0, QUIRE_READ));
    assert_ok(fault(3, QUIRE_WRITE));
    assert_int_equal(fault(0, QUIRE_WRITE), QUIRE_ERR_LIMIT);
    in_the_middle = copy_first;
    assert_ok(quire_file_resize(&disk.file, FRAME));
    assert_null(in_the_middle);
    quire_space_destroy(&own);
}

/* ---- A fork --------------------------------------------------------------------------------- */

static struct quire_space child;
static sem_t at_child, go_on;
static pthread_t cutter;
static uint64_t next_page; /* of another table, which is forked later */
static qa64 cuts;

static void stop_at_child(void)
{
    if (qa_add(&cuts, 1, relaxed) == 1) { /* the parent's is gone, the child's is held */
        (void)sem_post(&at_child);
        (void)sem_wait(&go_on);
    }
}

static void *cut_file(void *ctx)
{
    assert_ok(quire_file_resize(&disk.file, FRAME));
    return ctx;
}

/* A fork that was refused takes the child apart, and finds the page held. */
static void let_go(void *ctx)
{
    (void)ctx;
    (void)sem_post(&go_on);
}

/* The fork has given the private copy to the child: it is cut off, and the parent, which has it no
 * more, has another page in its place. */
static void cut_and_fault(void)
{
    if (!child.paging.format || !is_there_in(&child, 3))
        return;
    at_table = NULL;
    rig.during = stop_at_child;
    assert_int_equal(pthread_create(&cutter, NULL, cut_file, NULL), 0);
    (void)sem_wait(&at_child);
    assert_ok(fault(next_page + 1, QUIRE_READ));
}

/* What the parent may have, the child may. */
static void forked_beside(void)
{
    struct quire_area area;

    next_page = 64 * large() / FRAME;
    area = space_rig_area(base() + next_page * FRAME, 4 * FRAME, rw());
    if (rig.window)
        return;
    begin(2);
    own.config.port.relax = let_go;
    assert_ok(map_file_in(&own, base(), 4, 0, false, rw()));
    assert_ok(quire_space_reserve(&own, &area, 0, NULL));
    assert_ok(fault(3, QUIRE_WRITE));
    assert_ok(fault(next_page, QUIRE_READ));
    assert_int_equal(fault(next_page + 1, QUIRE_READ), QUIRE_ERR_LIMIT);
    (void)sem_init(&at_child, 0, 0);
    (void)sem_init(&go_on, 0, 0);
    qa_store(&cuts, 0, relaxed);
    child = (struct quire_space){.search = 0};
    at_table = cut_and_fault;
    assert_ok(quire_space_fork(&own, &child));
    assert_null(at_table);
    (void)sem_post(&go_on);
    (void)pthread_join(cutter, NULL);
    rig.during = NULL;
    assert_true(is_there_in(&child, next_page) && is_there_in(&child, next_page + 1));
    assert_int_equal(
        quire_space_fault(&child, quire_vaddr_of(area.range.start.n + 2 * FRAME), QUIRE_READ),
        QUIRE_ERR_LIMIT);
    quire_space_destroy(&child);
    quire_space_destroy(&own);
}

/* ---- No memory ------------------------------------------------------------------------------ */

static uint64_t same_page;

static void serve_same(void)
{
    assert_ok(fault(same_page, QUIRE_WRITE));
    assert_true(is_there(same_page));
}

/* A fault that gets no memory is served if another one was faster: with the page, a copy of it, and
 * its table. */
static void there_by_then(void)
{
    if (rig.window)
        return;
    begin(0);
    reserve_pages(4 * large(), 0, 0);
    for (unsigned copy = 0; copy < 2; copy++) {
        same_page = 0;
        refuse_it = true;
        assert_ok(fault_and(0, QUIRE_WRITE, serve_same));
        assert_true(is_there(0));
        if (copy == 0)
            assert_ok(quire_space_fork(&own, &child));
    }
    same_page = 2 * large() / FRAME;
    refuse_it = true;
    at_table = serve_same;
    assert_ok(fault(same_page, QUIRE_WRITE));
    assert_null(at_table);
    same_page++;
    refuse_it = true;
    assert_int_equal(fault(same_page, QUIRE_WRITE), QUIRE_ERR_NO_MEMORY);
    quire_space_destroy(&child);
    quire_space_destroy(&own);
}

ON_ALL_WITH_FILE(one_page_twice)
ON_ALL_WITH_FILE(given_up)
ON_ALL_WITH_FILE(stopped)
ON_ALL_WITH_FILE(large_page)
ON_ALL_WITH_FILE(private_copies)
ON_ALL_WITH_FILE(given_back)
ON_ALL_WITH_FILE(demoted)
ON_ALL_WITH_FILE(cut_off)
ON_ALL_WITH_FILE(forked_beside)
ON_ALL_WITH_FILE(there_by_then)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_page_twice_test), cmocka_unit_test(given_up_test),
        cmocka_unit_test(stopped_test),        cmocka_unit_test(large_page_test),
        cmocka_unit_test(private_copies_test), cmocka_unit_test(given_back_test),
        cmocka_unit_test(demoted_test),        cmocka_unit_test(cut_off_test),
        cmocka_unit_test(forked_beside_test),  cmocka_unit_test(there_by_then_test),
    };

    return cmocka_run_group_tests_name("space_limit", tests, NULL, NULL);
}
