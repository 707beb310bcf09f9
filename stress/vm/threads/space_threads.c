/* SPDX-License-Identifier: MIT
 *
 * space_threads.c - several CPUs in one space: they fault on the same pages, write to pages of
 * which some are unmapped meanwhile, and while the space is forked. ThreadSanitizer sees the
 * orders; the end says whether a word or a frame was lost. There is no TLB here: an access is a
 * walk and the word, and what is copied is no longer reached when the copy begins, so a write that
 * is lost was made to a page that should not have been writable.
 */
#include "stress/common/assert.h"
#include "stress/common/sanitized.h"
#include "stress/vm/space_rig.h"
#include "workers.h"

#include <sched.h>

enum {
    FRAME = QUIRE_FRAME_SIZE,
    ROUNDS = SANITIZED ? 40 : 200,
    PAGES = 48,
    RWX = QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE,
};

static struct space_rig rig;
static struct quire_space space;

static uint64_t page_at(unsigned i)
{
    return rig.config.range.start.n + i * (uint64_t)FRAME;
}

static void relax(void *ctx)
{
    (void)ctx;
    (void)sched_yield();
}

static void reserve_pages(void)
{
    struct quire_area area = space_rig_area(page_at(0), PAGES * (uint64_t)FRAME, RWX);

    assert_ok(quire_space_reserve(&space, &area, 0, NULL));
}

/* Each has a word of its own in each page: none is lost, whoever brought the page. */
static void write_all(struct worker *worker)
{
    for (unsigned i = 0; i < PAGES; i++)
        worker->failures += space_rig_write(&rig, 0, &space, page_at(i) + worker->number * 8,
                                            worker->number + 1) != 0;
}

static void expect_all(struct quire_space *in)
{
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned t = 0; t < WORKERS; t++) {
            uint64_t word = 0;

            assert_ok(space_rig_read(&rig, 0, in, page_at(i) + t * 8ul, &word));
            assert_int_equal(word, t + 1);
        }
}

static void same_pages(void)
{
    for (unsigned round = 0; round < ROUNDS / 8; round++) {
        uint64_t used = space_rig_used(&rig);

        reserve_pages();
        workers_run(write_all);
        expect_all(&space);
        assert_true(space_rig_used(&rig) - used >= PAGES);
        assert_ok(quire_space_unmap(&space, quire_vrange_of(page_at(0), PAGES * FRAME)));
        assert_true(round == 0 || space_rig_used(&rig) == used);
    }
}

/* The first one unmaps and reserves; the others fault, and find the page or nothing. */
static void fault_or_unmap(struct worker *worker)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = round % PAGES;
        int error;

        if (worker->number == 0) {
            struct quire_area area = space_rig_area(page_at(i), 2 * (uint64_t)FRAME, RWX);

            if (i == PAGES - 1)
                continue;
            worker->failures += quire_space_unmap(&space, area.range) != 0;
            worker->failures += quire_space_reserve(&space, &area, 0, NULL) != 0;
            continue;
        }
        error = quire_space_fault(&space, quire_vaddr_of(page_at(i)), QUIRE_WRITE);
        worker->failures += error && error != QUIRE_ERR_AREA;
        error = quire_space_fault(&space, quire_vaddr_of(page_at((i + 1) % PAGES)), QUIRE_READ);
        worker->failures += error && error != QUIRE_ERR_AREA;
    }
}

static void beside_unmap(void)
{
    reserve_pages();
    workers_run(fault_or_unmap);
    assert_ok(quire_space_unmap(&space, quire_vrange_of(page_at(0), PAGES * FRAME)));
}

/* The first one forks, and its children write and end; the others make the parent's pages writable
 * again and again. Faults alone: a word that is written by a walk from before may belong to either.
 */
static void fork_or_write(struct worker *worker)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (worker->number == 0) {
            struct quire_space child;
            uint64_t virt = page_at(round % PAGES);

            if (quire_space_fork(&space, &child)) {
                worker->failures++;
                continue;
            }
            worker->failures += quire_space_fault(&child, quire_vaddr_of(virt), QUIRE_WRITE) != 0;
            quire_space_destroy(&child);
            continue;
        }
        for (unsigned i = 0; i < PAGES; i += 5) {
            quire_vaddr at = quire_vaddr_of(page_at((i + round) % PAGES));

            worker->failures += quire_space_fault(&space, at, QUIRE_WRITE) != 0;
        }
    }
}

static void beside_fork(void)
{
    reserve_pages();
    workers_run(write_all);
    workers_run(fork_or_write);
    expect_all(&space);
    assert_ok(quire_space_unmap(&space, quire_vrange_of(page_at(0), PAGES * FRAME)));
}

/* A family of spaces, each with a thread: all write to what they share, and end. */
static struct quire_space family[WORKERS];

static void write_own(struct worker *worker)
{
    struct quire_space *own = &family[worker->number];

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t word = 0;

        worker->failures += space_rig_read(&rig, 0, own, page_at(i) + 8, &word) != 0;
        worker->failures += word != 2;
        worker->failures += space_rig_write(&rig, 0, own, page_at(i), worker->number + 100) != 0;
    }
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t word = 0;

        worker->failures += space_rig_read(&rig, 0, own, page_at(i), &word) != 0;
        worker->failures += word != worker->number + 100;
    }
    quire_space_destroy(own);
}

static void in_a_family(void)
{
    for (unsigned round = 0; round < ROUNDS / 8; round++) {
        reserve_pages();
        workers_run(write_all);
        for (unsigned t = 0; t < WORKERS; t++)
            assert_ok(quire_space_fork(t ? &family[t - 1] : &space, &family[t]));
        workers_run(write_own);
        expect_all(&space);
        assert_ok(quire_space_unmap(&space, quire_vrange_of(page_at(0), PAGES * FRAME)));
    }
}

/* ---- Tables that leave ---------------------------------------------------------------------- */

/* The first one unmaps all that there is, and reserves it anew; the others fault. */
static void fault_or_trim(struct worker *worker)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        int error;

        if (worker->number == 0) {
            struct quire_area area = space_rig_area(page_at(0), PAGES * (uint64_t)FRAME, RWX);

            worker->failures += quire_space_unmap(&space, area.range) != 0;
            worker->failures += quire_space_reserve(&space, &area, 0, NULL) != 0;
            continue;
        }
        worker_enters_call(worker);
        error = quire_space_fault(&space, quire_vaddr_of(page_at(worker->number * 7)), QUIRE_WRITE);
        worker_leaves_call(worker);
        worker->failures += error && error != QUIRE_ERR_AREA;
    }
}

static void beside_trim(void)
{
    uint64_t used = 0;

    space.paging.port.retire = workers_retire;
    for (unsigned round = 0; round < 2; round++) {
        reserve_pages();
        if (round == 0)
            assert_ok(quire_space_fault(&space, quire_vaddr_of(page_at(0)), QUIRE_WRITE));
        else
            workers_run(fault_or_trim);
        assert_ok(quire_space_unmap(&space, quire_vrange_of(page_at(0), PAGES * FRAME)));
        assert_true(round == 0 || space_rig_used(&rig) == used);
        used = space_rig_used(&rig);
    }
}

static void on_some(void (*test)(void))
{
    static const unsigned formats[] = {0, 2, 4, 6};

    for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        space_rig_begin(&rig, &rig_formats[formats[i]], false);
        rig.config.port.relax = relax;
        rig.config.port.paging.retire = NULL;
        assert_ok(quire_space_create(&space, &rig.config));
        test();
        quire_space_destroy(&space);
        space_rig_end(&rig);
    }
}

ON_SOME(same_pages)
ON_SOME(beside_unmap)
ON_SOME(beside_fork)
ON_SOME(in_a_family)
ON_SOME(beside_trim)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pages_test),  cmocka_unit_test(beside_unmap_test),
        cmocka_unit_test(beside_fork_test), cmocka_unit_test(in_a_family_test),
        cmocka_unit_test(beside_trim_test),
    };

    return cmocka_run_group_tests_name("space_threads", tests, NULL, NULL);
}
