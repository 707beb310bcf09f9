/* SPDX-License-Identifier: MIT
 *
 * large_cost.c - what large pages cost and save; a part of the suite `count`.
 *
 * A program of one CPU touches a part of 2 MiB, page by page, and faults where nothing is there:
 * with small pages, and with a large one. Then small pages become rows and are promoted, and the
 * large page is demoted. What invalidates answers at once, and frames are given as if they read as
 * zeros: so neither a shoot-down nor the zeroing is in a figure. The clock counts instructions
 * where the emulator counts them (-icount); else there is nothing to say.
 */
#include "spaces.h"

#include "kernel-port/kernel/console.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/timing.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

#define AREA 0x0000234500000000ul

/* The small pages and the large one have places of their own. */
static uint64_t part = AREA;

enum { PAGES = 512, USED = 256, READ_WRITE = QUIRE_READ | QUIRE_WRITE };

static struct quire_space space;
static uint64_t rows, promoted, returned;
static int refused;

static void answer_at_once(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    (void)range;
    write_cr3(read_cr3());
}

/* ---- What is counted ------------------------------------------------------------------------ */

static volatile uint64_t *page_at(unsigned i)
{
    return (volatile uint64_t *)(part + i * (uint64_t)PAGE_BYTES);
}

static void touch(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        *page_at(i) = 1;
}

static void promote(void)
{
    struct quire_promotion how = {.present = PAGES};
    struct quire_promoted done;

    refused |= quire_space_promote(&space, quire_vrange_of(part, QUIRE_PAGE_2M), &how, &done);
    promoted = done.parts;
}

/* Two rows of order 8: without a way to retire tables there are no large pages. */
static void make_rows(void)
{
    struct quire_promotion how = {.present = PAGES, .row = 8};
    struct quire_promoted done;

    space.paging.port.retire = NULL;
    refused |= quire_space_promote(&space, quire_vrange_of(part, QUIRE_PAGE_2M), &how, &done);
    space.paging.port.retire = spaces_free_tables;
    rows = done.rows;
}

static void demote(void)
{
    struct quire_demotion how = {.zeros = USED};
    struct quire_demoted done;

    refused |= quire_space_demote(&space, quire_vrange_of(part, QUIRE_PAGE_2M), &how, &done);
    returned = done.frames;
}

/* Instructions, per page. */
static uint64_t counted(const char *name, void (*work)(void), uint64_t most)
{
    uint64_t start = rdtsc(), each;

    work();
    each = (rdtsc() - start + PAGES - 1) / PAGES;
    if (timing_unit()[0] != 'i') {
        tap_skip(name, "instructions are not counted");
        return 0;
    }
    print("@json {\"case\": \"%s\", \"value\": %lu, \"unit\": \"instructions\"}\n", name, each);
    tap(each <= most, "%s: %lu instructions (limit %lu)", name, each, most);
    return each;
}

static void reserve(uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(part, QUIRE_PAGE_2M), .access = READ_WRITE};

    refused |= quire_space_reserve(&space, &area, flags, NULL);
}

static void unmap(void)
{
    refused |= quire_space_unmap(&space, quire_vrange_of(part, QUIRE_PAGE_2M));
}

void spaces_count_large(void)
{
    uint64_t before = read_cr3(), small, large;
    struct quire_space_config config;

    part = AREA;
    timing_init();
    spaces_begin(&config);
    config.port.paging.invalidate = answer_at_once;
    config.port.paging.retire = spaces_free_tables;
    config.port.frames.alloc_zeroed = spaces_give_run;
    if (quire_space_create(&space, &config) || spaces_share_kernel(&space))
        panic("suite count: no table");
    refused = 0;
    trap_on_page_fault(spaces_serve);
    spaces_enter();
    spaces_load(&space);
    reserve(0);
    touch(); /* all that is cached is warm */
    unmap();
    reserve(0);
    small = counted("touch 2 MiB of small pages, per page", touch, 700);
    (void)counted("make rows in 2 MiB, per page", make_rows, 1300);
    tap_equal(rows, 2, "rows");
    (void)counted("promote 2 MiB, per page", promote, 2400);
    tap_equal(promoted, 1, "promoted parts");
    for (unsigned i = USED; i < PAGES; i++)
        *page_at(i) = 0;
    (void)counted("demote 2 MiB, half of it zeros, per page", demote, 2400);
    tap_equal(returned, PAGES - USED, "pages that read as zeros");
    unmap();
    part = AREA + QUIRE_PAGE_2M;
    reserve(QUIRE_RESERVE_LARGE);
    large = counted("touch 2 MiB of a large page, per page", touch, 10);
    if (small > 0)
        print("a large page saves %lu instructions of faults in 2 MiB\n", (small - large) * PAGES);
    unmap();
    tap_equal((uint64_t)refused, 0, "refused calls");
    spaces_leave(before);
    trap_on_page_fault(NULL);
    quire_space_destroy(&space);
}
