/* SPDX-License-Identifier: MIT
 *
 * map.c - kernel-port/vm on a real processor: all CPUs map pages in one page table, beside each
 * other in the same tables, write through them, make them read-only, and take them out again.
 *
 * The page table is a new one, which has the kernel's half from the tables that the kernel runs on,
 * and its own pages in the lower half. In the end all its tables are back: the audit counts.
 */
#include "suite.h"

#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

#include <quire/paging.h>

#define PAGES_BASE   0x0000123400000000ul /* in the middle of a table of each level */
#define KERNELS_HALF 0xffff800000000000ul

enum { PAGES = 16, READ_WRITE = QUIRE_READ | QUIRE_WRITE };

static struct quire_paging kernels, pages;
static quire_pfn frames[CPUS_MAX][PAGES];
enum count { MAPPED, WRITTEN, SEEN, REFUSED, UNMAPPED, DIRTY, ERRORS, COUNTS };
static uint64_t counts[COUNTS]; /* atomic */

static void add(enum count count, bool one)
{
    __atomic_fetch_add(&counts[count], one, __ATOMIC_RELAXED);
}

/* CPUs take turns, page by page, so that each line of a table has entries of several. */
static uint64_t page_of(uint32_t place, unsigned i)
{
    return PAGES_BASE + (uint64_t)(i * work_crew() + place) * PAGE_BYTES;
}

static uint64_t stamp(uint32_t place, unsigned i)
{
    return 0x5eed000000000000ul | (uint64_t)place << 16 | i;
}

static void try_write(uint64_t address)
{
    *(volatile uint64_t *)address = 0;
}

static void try_read(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

static void forget(const struct quire_gather *gather)
{
    for (uint32_t i = 0; i < gather->count; i++)
        invlpg(gather->pages[i].start.n);
    if (gather->all)
        write_cr3(read_cr3());
}

static int count_dirty(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    (void)ctx;
    (void)virt;
    add(DIRTY, page->accessed && page->dirty);
    return 0;
}

static void map_and_write(uint32_t place)
{
    for (unsigned i = 0; i < PAGES; i++) {
        struct quire_gather gather = {.count = 0};
        struct quire_page page = {.access = READ_WRITE};
        uint64_t virt = page_of(place, i);

        if (quire_machine_alloc(memory.up.machine, 0, 0, &frames[place][i]))
            panic("suite map: no frame");
        page.phys = quire_paddr_of_pfn(frames[place][i]);
        add(MAPPED, quire_paging_map(&pages, quire_vrange_of(virt, PAGE_BYTES), &page, 0,
                                     &gather) == QUIRE_OK);
        *(volatile uint64_t *)virt = stamp(place, i);
        add(WRITTEN, *(volatile uint64_t *)direct(page.phys.n) == stamp(place, i));
    }
}

static void take_out(uint32_t place)
{
    for (unsigned i = 0; i < PAGES; i++) {
        struct quire_gather gather = {.count = 0};
        struct quire_vrange page = quire_vrange_of(page_of(place, i), PAGE_BYTES);

        add(ERRORS, quire_paging_protect(&pages, page, QUIRE_READ, 0, &gather) != QUIRE_OK);
        forget(&gather);
        add(REFUSED, fault_probe(try_write, page.start.n) &&
                         *(volatile uint64_t *)page.start.n == stamp(place, i));
        gather = (struct quire_gather){.count = 0};
        add(ERRORS, quire_paging_unmap(&pages, page, 0, count_dirty, NULL, &gather) != QUIRE_OK);
        forget(&gather);
        add(UNMAPPED, fault_probe(try_read, page.start.n));
    }
}

static void on_each_cpu(void *argument)
{
    uint64_t before = read_cr3();
    uint32_t place = work_place(), other = (place + 1) % work_crew();

    (void)argument;
    write_cr3(quire_phys(quire_paging_root(&pages)));
    map_and_write(place);
    work_meet();
    for (unsigned i = 0; i < PAGES; i++)
        add(SEEN, *(volatile uint64_t *)page_of(other, i) == stamp(other, i));
    work_meet();
    write_cr3(read_cr3()); /* what this CPU remembers of the other's pages */
    work_meet();
    take_out(place);
    write_cr3(before);
    work_meet(); /* nobody has a page in its TLB */
    for (unsigned i = 0; i < PAGES; i++)
        add(ERRORS, quire_machine_free(memory.up.machine, frames[place][i], 0) != QUIRE_OK);
}

/* A page of 2 MiB, of which one small page changes. */
static void test_large(void)
{
    struct quire_gather gather = {.count = 0};
    struct quire_page page = {.access = READ_WRITE};
    uint64_t before = read_cr3(), virt = PAGES_BASE + QUIRE_PAGE_1G;
    quire_pfn block;
    bool good;

    if (quire_machine_alloc(memory.up.machine, QUIRE_BLOCK_ORDER, QUIRE_MOVABLE, &block)) {
        tap_skip("a page of 2 MiB is split", "there is no whole block");
        return;
    }
    page.phys = quire_paddr_of_pfn(block);
    good = quire_paging_map(&pages, quire_vrange_of(virt, QUIRE_PAGE_2M), &page, 0, &gather) ==
           QUIRE_OK;
    write_cr3(quire_phys(quire_paging_root(&pages)));
    good = good && !fault_probe(try_write, virt + 3 * PAGE_BYTES);
    good = good && quire_paging_protect(&pages, quire_vrange_of(virt + 3 * PAGE_BYTES, PAGE_BYTES),
                                        QUIRE_READ, 0, &gather) == QUIRE_OK;
    forget(&gather);
    good = good && fault_probe(try_write, virt + 3 * PAGE_BYTES) &&
           !fault_probe(try_write, virt + 2 * PAGE_BYTES) && !fault_probe(try_read, virt);
    write_cr3(before);
    tap(good, "a page of 2 MiB is split, and one small page of it is read-only");
    tap(quire_paging_unmap(&pages, quire_vrange_of(virt, QUIRE_PAGE_2M), 0, NULL, NULL, &gather) ==
            QUIRE_OK,
        "all of it is unmapped");
    tap(quire_machine_free(memory.up.machine, block, QUIRE_BLOCK_ORDER) == QUIRE_OK,
        "its block is freed");
}

void suite_map(const struct options *options)
{
    struct quire_paging_port port = {.reach = {.base = DIRECT_BASE}};
    uint64_t all = (uint64_t)cpu_count * PAGES;

    (void)options;
    zone_audit_begin();
    memset(counts, 0, sizeof counts);
    port.tables = quire_tables_from_machine(memory.up.machine);
    quire_paging_adopt(&kernels, &quire_x86_64_4level, &port, quire_pfn_of_phys(paging_root()));
    if (quire_paging_init(&pages, &quire_x86_64_4level, &port))
        panic("suite map: no table");
    tap(quire_paging_share(&pages, &kernels, quire_vrange_of(KERNELS_HALF, 0 - KERNELS_HALF)) ==
            QUIRE_OK,
        "the kernel's half is shared");
    work_on_all(on_each_cpu, NULL);
    tap_equal(counts[MAPPED], all, "pages are mapped, by all CPUs at once");
    tap_equal(counts[WRITTEN], all, "pages are written through, and the frame has it");
    tap_equal(counts[SEEN], all, "pages are seen by another CPU");
    tap_equal(counts[REFUSED], all, "writes to read-only pages are refused");
    tap_equal(counts[UNMAPPED], all, "reads of unmapped pages are refused");
    tap_equal(counts[DIRTY], all, "pages that were written are dirty at the end");
    tap_equal(counts[ERRORS], 0, "errors");
    test_large();
    quire_paging_destroy(&pages);
    zone_audit_end("map");
}
