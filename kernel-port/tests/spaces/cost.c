/* SPDX-License-Identifier: MIT
 *
 * cost.c - how many instructions page tables and address spaces take; a part of the suite `count`.
 *
 * One CPU alone; what invalidates answers at once, so a shoot-down is in no figure. Frames are
 * given as if they read as zeros, and what copies a page is counted and taken off: the processor
 * moves or clears a page by one instruction. A fault is the call, without the exception around it.
 * What Linux takes is told in docs/benchmark.md.
 */
#include "spaces.h"

#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/tests/op_cost.h"
#include "kernel-port/tests/single_step.h"
#include "kernel-port/tests/tap.h"
#include "layout.h"
#include "paging.h"

#define AREA 0x0000123400000000ul

enum {
    PAGES = 64,
    WORDS = 512,  /* of a page: so many instructions is its copy in the count */
    MANY = 10000, /* pages, as Linux's were */
    LARGE = 2,    /* pages of 2 MiB */
    READ_WRITE = QUIRE_READ | QUIRE_WRITE | QUIRE_USER,
};

static struct quire_shares shares;
static struct quire_space parent, child;
static struct quire_gather gather;
static uint64_t taken; /* addresses of frames, added up */

static void answer_at_once(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    (void)range;
}

/* ---- Page tables ---------------------------------------------------------------------------- */

static int note_frame(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    (void)ctx;
    (void)virt;
    taken += page->phys.n;
    return 0;
}

/* The loop of the two below, and a call that does nothing. */
static int do_nothing(struct quire_paging *paging, struct quire_vrange range,
                      const struct quire_page *page, uint64_t sizes, struct quire_gather *with)
{
    (void)paging;
    (void)range;
    (void)page;
    (void)sizes;
    (void)with;
    return 0;
}

static int (*volatile nothing)(struct quire_paging *paging, struct quire_vrange range,
                               const struct quire_page *page, uint64_t sizes,
                               struct quire_gather *with) = do_nothing;

static void loop_alone(void *argument)
{
    struct op *op = argument;
    struct quire_page page = {.access = READ_WRITE};

    for (uint32_t i = 0; i < op->n; i++) {
        page.phys.n = (uint64_t)(i + 1) * PAGE_BYTES;
        gather.count = 0;
        op->failed +=
            nothing(&parent.paging, quire_vrange_of(AREA + i * (uint64_t)PAGE_BYTES, PAGE_BYTES),
                    &page, 0, &gather) != 0;
    }
}

static void op_map(struct op *op)
{
    struct quire_page page = {.access = READ_WRITE};

    for (uint32_t i = 0; i < op->n; i++) {
        page.phys.n = (uint64_t)(i + 1) * PAGE_BYTES;
        gather.count = 0;
        op->failed += quire_paging_map(&parent.paging,
                                       quire_vrange_of(AREA + i * (uint64_t)PAGE_BYTES, PAGE_BYTES),
                                       &page, 0, &gather) != 0;
    }
}

static void op_unmap(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++) {
        gather.count = 0;
        op->failed +=
            quire_paging_unmap(&parent.paging,
                               quire_vrange_of(AREA + i * (uint64_t)PAGE_BYTES, PAGE_BYTES), 0,
                               note_frame, NULL, &gather) != 0;
    }
}

/* As one range. */
static void op_map_range(struct op *op)
{
    struct quire_page page = {.phys = {PAGE_BYTES}, .access = READ_WRITE};

    op->failed +=
        quire_paging_map(&parent.paging, quire_vrange_of(AREA, op->n * (uint64_t)PAGE_BYTES), &page,
                         0, &gather) != 0;
}

static void op_unmap_range(struct op *op)
{
    op->failed +=
        quire_paging_unmap(&parent.paging, quire_vrange_of(AREA, op->n * (uint64_t)PAGE_BYTES), 0,
                           note_frame, NULL, &gather) != 0;
}

/* ---- Spaces --------------------------------------------------------------------------------- */

static void op_fault(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_space_fault(&parent, quire_vaddr_of(AREA + i * (uint64_t)PAGE_BYTES),
                                        QUIRE_WRITE | QUIRE_USER) != 0;
}

static void op_fault_in_child(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        op->failed += quire_space_fault(&child, quire_vaddr_of(AREA + i * (uint64_t)PAGE_BYTES),
                                        QUIRE_WRITE | QUIRE_USER) != 0;
}

static void op_fault_large(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        op->failed +=
            quire_space_fault(&parent, quire_vaddr_of(AREA + QUIRE_PAGE_1G + i * QUIRE_PAGE_2M),
                              QUIRE_WRITE | QUIRE_USER) != 0;
}

/* As where blocks come and go: the CPU's magazine is full of them. */
static bool fill_magazine(void)
{
    quire_pfn pfns[LARGE];
    bool good = true;

    for (unsigned i = 0; i < LARGE; i++)
        good = good && quire_machine_alloc(memory.up.machine, 9, 0, &pfns[i]) == QUIRE_OK;
    for (unsigned i = 0; good && i < LARGE; i++)
        good = quire_machine_free(memory.up.machine, pfns[i], 9) == QUIRE_OK;
    return good;
}

/* Magazines of frames have some, and outgoing ones have none: no table that goes is the one that
 * fills one up, so that all of it is flushed at its expense. */
static bool refill_magazines(void)
{
    quire_pfn pfn;

    return quire_machine_drain(memory.up.machine) == QUIRE_OK &&
           quire_machine_alloc(memory.up.machine, 0, 0, &pfn) == QUIRE_OK &&
           quire_machine_free(memory.up.machine, pfn, 0) == QUIRE_OK;
}

static void op_fork(struct op *op)
{
    op->failed += quire_space_fork(&parent, &child) != 0;
}

static void op_protect(struct op *op)
{
    op->failed += quire_space_protect(&parent, quire_vrange_of(AREA, MANY * (uint64_t)PAGE_BYTES),
                                      QUIRE_READ | QUIRE_USER) != 0;
}

static void op_unmap_area(struct op *op)
{
    op->failed +=
        quire_space_unmap(&parent, quire_vrange_of(AREA, MANY * (uint64_t)PAGE_BYTES)) != 0;
}

static bool reserve(uint64_t at, uint64_t bytes, uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(at, bytes), .access = READ_WRITE};

    return quire_space_reserve(&parent, &area, flags, NULL) == 0;
}

/* An area of one page, from its reservation to its end. */
static void op_area(struct op *op)
{
    for (uint32_t i = 0; i < op->n; i++) {
        uint64_t at = AREA + 4 * QUIRE_PAGE_1G;

        op->failed += !reserve(at, PAGE_BYTES, 0);
        if (op->writes)
            op->failed +=
                quire_space_fault(&parent, quire_vaddr_of(at), QUIRE_WRITE | QUIRE_USER) != 0;
        op->failed += quire_space_unmap(&parent, quire_vrange_of(at, PAGE_BYTES)) != 0;
    }
}

static void count_tables(void)
{
    struct op one = {.n = 1}, many = {.how = op_map, .n = PAGES};
    uint64_t loop = single_step_call(loop_alone, &many, NULL).instructions;

    op_map(&one); /* the tables are there */
    op_unmap(&one);
    op_count(&(struct op_goal){"map a page, without the loop", 120, 1, 0}, &many, PAGES, loop);
    many.how = op_unmap;
    taken = 0;
    op_count(&(struct op_goal){"unmap a page, without the loop", 150, 1, 0}, &many, PAGES, loop);
    tap_equal(taken, PAGE_BYTES * (uint64_t)PAGES * (PAGES + 1) / 2, "frames that were told");
    op_count(&(struct op_goal){"map 256 pages, per page", 40, 1, 0},
             &(struct op){.how = op_map_range, .n = 256}, 256, 0);
    op_count(&(struct op_goal){"unmap 256 pages, per page", 150, 1, 0},
             &(struct op){.how = op_unmap_range, .n = 256}, 256, 0);
}

/* MANY pages are there. */
static void count_family(void)
{
    op_count(&(struct op_goal){"fork, per page", 40, 2, 157}, &(struct op){.how = op_fork}, MANY,
             0);
    op_count(&(struct op_goal){"the first write after a fork, without the copy", 1760, 15, 3520},
             &(struct op){.how = op_fault_in_child, .n = PAGES}, PAGES, PAGES * WORDS);
    quire_space_destroy(&child);
    op_count(&(struct op_goal){"a write when the other owner is gone", 600, 4, 1395},
             &(struct op){.how = op_fault, .n = PAGES}, PAGES, 0);
    op_count(&(struct op_goal){"protect, per page", 133, 1, 133}, &(struct op){.how = op_protect},
             MANY, 0);
    op_count(&(struct op_goal){"unmap touched pages, per page", 500, 4, 1312},
             &(struct op){.how = op_unmap_area}, MANY, 0);
}

void spaces_count(void)
{
    struct quire_space_config config;
    struct op touch = {.n = MANY};

    spaces_begin(&config);
    config.port.paging.invalidate = answer_at_once;
    config.port.frames.alloc_zeroed = spaces_give_run;
    config.port.shares = &shares;
    if (quire_shares_init(&shares, &config.port.paging.tables, &config.port.paging.reach, 0) ||
        quire_space_create(&parent, &config))
        panic("suite count: no table");
    count_tables();
    if (!reserve(AREA, MANY * (uint64_t)PAGE_BYTES, 0) ||
        !reserve(AREA + QUIRE_PAGE_1G, 16 * QUIRE_PAGE_2M, QUIRE_RESERVE_LARGE))
        panic("suite count: no area");
    if (quire_space_fault(&parent, quire_vaddr_of(AREA + PAGES * (uint64_t)PAGE_BYTES), QUIRE_READ))
        panic("suite count: no page"); /* the table is there */
    op_count(&(struct op_goal){"a fault of 4 KiB, without the zeroing", 600, 4, 2650},
             &(struct op){.how = op_fault, .n = PAGES}, PAGES, 0);
    op_fault(&touch);
    tap(touch.failed == 0, "pages are touched");
    count_family();
    tap(fill_magazine(), "blocks come and go");
    op_count(&(struct op_goal){"a fault of 2 MiB, without the zeroing", 600, 4, 36000},
             &(struct op){.how = op_fault_large, .n = LARGE}, LARGE, 0);
    tap(refill_magazines(), "frames come and go");
    op_count(&(struct op_goal){"an area of a page, reserved and unmapped", 10000, 20, 16664},
             &(struct op){.how = op_area, .n = 8}, 8, 0);
    op_count(&(struct op_goal){"the same, touched, without the zeroing", 11000, 20, 26942},
             &(struct op){.how = op_area, .writes = true, .n = 8}, 8, 0);
    quire_space_destroy(&parent);
    quire_shares_destroy(&shares);
}
