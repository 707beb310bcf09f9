/* SPDX-License-Identifier: MIT
 *
 * file_threads.c - several CPUs at one file: they fault, write, sync, reclaim, resize, unmap and
 * fork at once. ThreadSanitizer sees the orders; the end says whether a word or a frame was lost.
 * There is no TLB here: an access is a walk, then the word.
 */
#include "file_rig.h"
#include "stress/common/assert.h"
#include "stress/common/sanitized.h"
#include "stress/vm/threads/workers.h"

#include <sched.h>

enum {
    FRAME = QUIRE_FRAME_SIZE,
    ROUNDS = SANITIZED ? 200 : 4000,
    PAGES = 16,
};

static struct space_rig rig;
static struct file_rig disk;
static struct quire_space space[WORKERS];

static uint64_t page_at(unsigned i)
{
    return rig.config.range.start.n + i * (uint64_t)FRAME;
}

static void relax(void *ctx)
{
    (void)ctx;
    (void)sched_yield();
}

/* A slow pager: others get their turn in each call. */
static void be_slow(struct file_rig *file, uint64_t page, bool write)
{
    (void)file;
    if (page % 4 == write)
        (void)sched_yield();
}

static void map(struct quire_space *in, bool shared)
{
    struct quire_area area = file_rig_area(&disk, page_at(0), PAGES, 0, shared,
                                           QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE);

    assert_ok(quire_space_reserve(in, &area, 0, NULL));
}

/* Each reads all pages, in its own space: each page is read once. */
static void read_pages(struct worker *worker)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t word = 0;
        unsigned page = (i + worker->number) % PAGES;

        worker->failures +=
            space_rig_read(&rig, 0, &space[worker->number], page_at(page), &word) != 0 ||
            word != file_rig_word(page);
    }
}

static void same_pages(void)
{
    for (unsigned t = 0; t < WORKERS; t++)
        map(&space[t], t % 2);
    workers_run(read_pages);
    assert_int_equal(qa_load(&disk.reads, relaxed), PAGES);
    assert_int_equal(quire_file_cached(&disk.file), PAGES);
}

/* The first one unmaps and maps its area, the second one syncs, the third one reclaims: faults
 * alone, as a word that is written by a walk from before may be anybody's by now. */
static void disturb(struct worker *worker)
{
    struct quire_space *own = &space[0];

    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = round % PAGES;

        if (worker->number == 0) {
            struct quire_area area = file_rig_area(&disk, page_at(i), 1, i, round % 3,
                                                   QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE);

            worker->failures += quire_space_unmap(own, area.range) != 0;
            worker->failures += quire_space_reserve(own, &area, 0, NULL) != 0;
        } else if (worker->number == 1) {
            worker->failures += quire_file_sync(&disk.file, 0, PAGES) != 0;
        } else if (worker->number == 2) {
            (void)quire_file_reclaim(&disk.file, 3, round % 2);
        }
        for (unsigned n = 0; n < 4; n++) {
            quire_vaddr at = quire_vaddr_of(page_at((i * 5 + n * 3 + worker->number) % PAGES));
            int error = quire_space_fault(own, at, n % 2 ? QUIRE_WRITE : QUIRE_READ);

            worker->failures += error && error != QUIRE_ERR_AREA;
        }
    }
}

static void beside_changes(void)
{
    disk.file.config.around = 8;
    map(&space[0], true);
    workers_run(disturb);
}

/* The file is cut and grows; the others read and write what is left of it, and fork. */
static void cut_or_use(struct worker *worker)
{
    struct quire_space *own = &space[worker->number % 2], child;

    for (unsigned round = 0; round < ROUNDS; round++) {
        if (worker->number == 0) {
            worker->failures +=
                quire_file_resize(&disk.file, (round * 7 % PAGES) * (uint64_t)FRAME) != 0;
            continue;
        }
        if (worker->number == 3 && round % 8 == 0) { /* the space with private areas */
            worker->failures += quire_space_fork(own, &child) != 0;
            (void)quire_space_fault(&child, quire_vaddr_of(page_at(1)), QUIRE_WRITE);
            quire_space_destroy(&child);
        }
        for (unsigned n = 0; n < 4; n++) {
            quire_vaddr at = quire_vaddr_of(page_at((round + n * 5) % PAGES));
            int error = quire_space_fault(own, at, n % 2 ? QUIRE_WRITE : QUIRE_READ);

            worker->failures += error && error != QUIRE_ERR_END;
        }
    }
}

static void beside_cuts(void)
{
    map(&space[0], true);
    map(&space[1], false);
    workers_run(cut_or_use);
    assert_ok(quire_file_resize(&disk.file, 0));
    assert_int_equal(quire_file_cached(&disk.file), 0);
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned s = 0; s < 2; s++) {
            struct quire_page page;

            assert_int_equal(
                quire_paging_translate(&space[s].paging, quire_vaddr_of(page_at(i)), &page, NULL),
                QUIRE_ERR_UNMAPPED);
        }
}

/* ---- Accesses ------------------------------------------------------------------------------- */

/* A processor that is told to forget a page answers when its access is over. Here an access is
 * a walk, and then the word; so who invalidates waits for those that are between the two. There
 * nobody faults, or waits, so the wait ends. */
static qa64 accesses[WORKERS]; /* odd: the worker is between walk and word */

static void wait_for_accesses(void)
{
    qa_fence_seq_cst(); /* the entries before the accesses; with the fence of access_word */
    for (unsigned t = 0; t < WORKERS; t++) {
        uint64_t seen = qa_load(&accesses[t], acquire);

        while ((seen & 1) && qa_load(&accesses[t], acquire) == seen)
            (void)sched_yield();
    }
}

/* Write the word, or read it. 0, or the fault's error. */
static int access_word(const struct worker *worker, struct quire_space *own, uint64_t virt,
                       bool write, uint64_t *word)
{
    uint32_t access = write ? QUIRE_WRITE : QUIRE_READ;
    int error = 0;
    bool done = false;

    while (error == 0 && !done) {
        qa64 *at;

        (void)qa_add(&accesses[worker->number], 1, acq_rel);
        qa_fence_seq_cst(); /* the access before the walk */
        at = (qa64 *)space_rig_walk(&rig, own, virt, access);
        done = at != NULL;
        if (done && *word % 16 == worker->number)
            (void)sched_yield(); /* who invalidates now finds us here */
        if (done && write)
            qa_store(at, *word, relaxed);
        else if (done)
            *word = qa_load(at, relaxed);
        (void)qa_add(&accesses[worker->number], 1, release);
        if (!done)
            error = quire_space_fault(own, quire_vaddr_of(virt), access);
    }
    return error;
}

/* Two count up in words of their own, in two spaces; one writes back, and one gives back what it
 * can. */
static void count_up(struct worker *worker)
{
    struct quire_space *own = &space[worker->number];

    for (uint64_t round = 1; round <= ROUNDS / 4; round++) {
        for (unsigned i = 0; i < PAGES && worker->number < 2; i++) {
            uint64_t word = round, at = page_at(i) + 64 + worker->number * 8ul;

            worker->failures += access_word(worker, own, at, true, &word) != 0;
            worker->failures += access_word(worker, own, at, false, &word) != 0 || word != round;
        }
        for (unsigned i = 0; i < PAGES && worker->number == 2; i++)
            worker->failures += quire_file_sync(&disk.file, i, 1) != 0;
        if (worker->number == 3)
            (void)quire_file_reclaim(&disk.file, 5, true);
    }
}

static void nothing_lost(void)
{
    rig.during = wait_for_accesses;
    map(&space[0], true);
    map(&space[1], true);
    workers_run(count_up);
    assert_ok(quire_file_sync(&disk.file, 0, PAGES));
    for (uint64_t page = 0; page < PAGES; page++)
        for (unsigned t = 0; t < 2; t++)
            assert_int_equal(file_rig_disk(&disk, page)[8 + t], ROUNDS / 4);
}

static void on_some(void (*test)(void))
{
    static const unsigned formats[] = {0, 2, 4, 6};

    for (unsigned i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        space_rig_begin(&rig, &rig_formats[formats[i]], false);
        rig.config.port.relax = relax;
        rig.config.port.paging.retire = NULL;
        for (unsigned t = 0; t < WORKERS; t++)
            assert_ok(quire_space_create(&space[t], &rig.config));
        file_rig_begin(&disk, &rig, PAGES * (uint64_t)FRAME);
        disk.during = be_slow;
        test();
        for (unsigned t = 0; t < WORKERS; t++)
            quire_space_destroy(&space[t]);
        file_rig_end(&disk);
        space_rig_end(&rig);
    }
}

ON_SOME(same_pages)
ON_SOME(beside_changes)
ON_SOME(beside_cuts)
ON_SOME(nothing_lost)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pages_test),
        cmocka_unit_test(beside_changes_test),
        cmocka_unit_test(beside_cuts_test),
        cmocka_unit_test(nothing_lost_test),
    };

    return cmocka_run_group_tests_name("file_threads", tests, NULL, NULL);
}
