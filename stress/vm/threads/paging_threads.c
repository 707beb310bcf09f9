/* SPDX-License-Identifier: MIT
 *
 * paging_threads.c - several CPUs in one page table: they map the same page, pages of the same
 * tables, and split the same large page, while the processor writes. ThreadSanitizer sees the
 * orders; the end says whether anything was lost.
 */
#include "stress/common/assert.h"
#include "stress/common/sanitized.h"
#include "stress/vm/rig.h"
#include "workers.h"

#include <string.h>

enum {
    FRAME = QUIRE_FRAME_SIZE,
    ROUNDS = SANITIZED ? 64 : 400,
    PAGES = 128,
    RX = QUIRE_READ | QUIRE_EXECUTE,
    RWX = RX | QUIRE_WRITE,
};

static struct rig rig;

/* What each worker did. */
static struct {
    uint64_t won[PAGES / 64];
    struct quire_gather gather;
} own[WORKERS];

static void run_all(void (*work)(struct worker *worker))
{
    memset(own, 0, sizeof own);
    workers_run(work);
}

static uint64_t large(void)
{
    return rig.which->format->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
}

static uint64_t area(void)
{
    return (rig.which->base + large()) & ~(large() - 1);
}

static int map_one(struct worker *worker, unsigned i)
{
    struct quire_page page = rig_page((worker->number * PAGES + i) * (uint64_t)FRAME, RWX);

    return quire_paging_map(&rig.paging, quire_vrange_of(area() + i * (uint64_t)FRAME, FRAME),
                            &page, 0, &own[worker->number].gather);
}

/* ---- Maps ---------------------------------------------------------------------------------- */

static void map_same(struct worker *worker)
{
    for (unsigned i = 0; i < PAGES; i++) {
        int error = map_one(worker, i);

        own[worker->number].won[i / 64] |= (uint64_t)(error == 0) << i % 64;
        worker->failures += error && error != QUIRE_ERR_MAPPED;
    }
}

static void same_pages(void)
{
    uint64_t tables;

    run_all(map_same);
    for (unsigned i = 0; i < PAGES; i++) {
        struct quire_page page;
        unsigned owners = 0, owner = 0;

        for (unsigned t = 0; t < WORKERS; t++)
            if (own[t].won[i / 64] >> i % 64 & 1) {
                owners++;
                owner = t;
            }
        assert_int_equal(owners, 1);
        assert_ok(
            quire_paging_translate(&rig.paging, quire_vaddr_of(area() + i * FRAME), &page, NULL));
        assert_int_equal(page.phys.n, (owner * PAGES + i) * (uint64_t)FRAME);
    }
    tables = rig_tables(&rig);
    assert_int_equal(tables, rig.which->format->root_complete ? 6 : rig.which->format->levels);
}

/* Ranges that overlap: who loses takes back all of his own, and nothing else. */
static void map_overlapping(struct worker *worker)
{
    struct quire_page page = rig_page(worker->number * large(), RWX);
    struct quire_vrange range = {{area() + worker->number * (uint64_t)FRAME}, 16 * FRAME};
    int error = quire_paging_map(&rig.paging, range, &page, 0, &own[worker->number].gather);

    own[worker->number].won[0] = error == 0;
    worker->failures += error && error != QUIRE_ERR_MAPPED;
}

static int count_page(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    unsigned *pages = ctx;

    (void)virt;
    pages[page->phys.n / large()]++;
    return 0;
}

static void overlapping_ranges(void)
{
    unsigned pages[WORKERS] = {0}, owners = 0;

    run_all(map_overlapping);
    assert_ok(quire_paging_walk(&rig.paging, quire_vrange_of(area(), large()), count_page, pages));
    for (unsigned t = 0; t < WORKERS; t++) {
        assert_int_equal(pages[t], own[t].won[0] ? 16 : 0);
        owners += own[t].won[0] != 0;
    }
    assert_true(owners <= 1);
}

/* ---- Splits, and the processor's marks ----------------------------------------------------- */

/* The last worker is the processor and writes to each page, the others change accesses: of pages of
 * their own. */
static void protect_or_write(struct worker *worker)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t virt = area() + i * (uint64_t)FRAME;
        struct mmu_page page;
        int error = QUIRE_ERR_BUSY;

        if (worker->number == WORKERS - 1) {
            enum mmu_answer answer = mmu_access(&rig.mmu, virt, QUIRE_WRITE, &page);

            own[worker->number].won[i / 64] |= (uint64_t)(answer == MMU_OK) << i % 64;
            worker->failures += answer == MMU_INVALID;
            continue;
        }
        if (i % (WORKERS - 1) != worker->number)
            continue;
        for (unsigned n = 0; n < 3; n++) {
            do
                error = quire_paging_protect(&rig.paging, quire_vrange_of(virt, FRAME),
                                             n == 1 ? RWX : RX, 0, &own[worker->number].gather);
            while (error == QUIRE_ERR_BUSY);
            worker->failures += error != 0;
        }
    }
}

static void splits_and_writes(void)
{
    struct quire_page page = rig_page(0, RWX);
    struct quire_gather none = {0};

    page.accessed = page.dirty = false;
    assert_ok(quire_paging_map(&rig.paging, quire_vrange_of(area(), large()), &page, 0, &none));
    run_all(protect_or_write);
    for (unsigned i = 0; i < PAGES; i++) {
        assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(area() + i * (uint64_t)FRAME),
                                         &page, NULL));
        assert_int_equal(page.access, RX);
        assert_int_equal(page.size, FRAME);
        assert_int_equal(page.phys.n, i * (uint64_t)FRAME);
        if (own[WORKERS - 1].won[i / 64] >> i % 64 & 1)
            assert_true(page.accessed && page.dirty);
    }
    assert_ok(
        quire_paging_translate(&rig.paging, quire_vaddr_of(area() + large() - FRAME), &page, NULL));
    assert_int_equal(page.access, RWX);
}

/* One unmaps what the processor writes: what it is told at the end is what was written. */
static int note_dirty(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    struct worker *worker = ctx;
    uint64_t i = (virt.n - area()) / FRAME;

    own[worker->number].won[i / 64] |= (uint64_t)page->dirty << i % 64;
    return 0;
}

static void unmap_or_write(struct worker *worker)
{
    struct mmu_page page;

    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t virt = area() + i * (uint64_t)FRAME;

        if (worker->number > 1)
            return;
        if (worker->number == 0)
            worker->failures +=
                quire_paging_unmap(&rig.paging, quire_vrange_of(virt, FRAME), 0, note_dirty, worker,
                                   &own[worker->number].gather) != 0;
        else if (mmu_access(&rig.mmu, virt, QUIRE_WRITE, &page) == MMU_OK)
            own[worker->number].won[i / 64] |= UINT64_C(1) << i % 64;
    }
}

static void unmaps_and_writes(void)
{
    struct quire_page page = rig_page(0, RWX);
    struct quire_gather none = {0};

    page.accessed = page.dirty = false;
    assert_ok(
        quire_paging_map(&rig.paging, quire_vrange_of(area(), PAGES * FRAME), &page, FRAME, &none));
    run_all(unmap_or_write);
    for (unsigned i = 0; i < PAGES / 64; i++)
        assert_int_equal(own[0].won[i], own[1].won[i]);
}

static void on_all(void (*scene)(void))
{
    for (unsigned i = 0; i < RIG_FORMATS; i++)
        for (unsigned round = 0; round < ROUNDS / RIG_FORMATS; round++) {
            rig_begin(&rig, &rig_formats[i], false);
            scene();
            rig_end(&rig);
        }
}

#define ON_ALL(scene)                     \
    static void scene##_all(void **state) \
    {                                     \
        (void)state;                      \
        on_all(scene);                    \
    }
ON_ALL(same_pages)
ON_ALL(overlapping_ranges)
ON_ALL(splits_and_writes)
ON_ALL(unmaps_and_writes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pages_all),
        cmocka_unit_test(overlapping_ranges_all),
        cmocka_unit_test(splits_and_writes_all),
        cmocka_unit_test(unmaps_and_writes_all),
    };

    return cmocka_run_group_tests_name("paging_threads", tests, NULL, NULL);
}
