/* SPDX-License-Identifier: MIT
 *
 * space.c - an address space on a real processor: all CPUs fault on the same pages, write while the
 * space is forked, copy the child's pages, and read while pages are unmapped; a guard, a read-only
 * page, data that is executed. In the end every frame is back: the audit counts.
 *
 * Shoot-downs here are answered by CPUs between their accesses, and while they wait for each other:
 * they all do nothing else.
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

#include <quire/space.h>

#define AREA         0x0000123400000000ul
#define KERNELS_HALF 0xffff800000000000ul

enum { PAGES = 24, READ_WRITE = QUIRE_READ | QUIRE_WRITE, BEFORE = 1, DURING = 2, AFTER = 3 };

static struct quire_paging kernels;
static struct quire_shares shares;
static struct quire_space parent, child;
static struct quire_space *loaded[CPUS_MAX];
static uint64_t asked, answered[CPUS_MAX], arrived; /* atomic */
enum count { FOUND, KEPT, TAKEN, COPIED, GONE, ERRORS, COUNTS };
static uint64_t counts[COUNTS]; /* atomic */

static void add(enum count count, bool one)
{
    __atomic_fetch_add(&counts[count], one, __ATOMIC_RELAXED);
}

/* ---- Shoot-downs ---------------------------------------------------------------------------- */

/* Forget all, if anybody asks. */
static void answer(void)
{
    uint64_t wanted = __atomic_load_n(&asked, __ATOMIC_SEQ_CST);

    if (wanted == answered[this_cpu()->id])
        return;
    write_cr3(read_cr3());
    __atomic_store_n(&answered[this_cpu()->id], wanted, __ATOMIC_SEQ_CST);
}

static void shoot_down(void *ctx, struct quire_vrange range)
{
    uint64_t mine = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);

    (void)ctx;
    (void)range;
    for (uint32_t i = 0; i < cpu_count; i++)
        while (__atomic_load_n(&answered[i], __ATOMIC_SEQ_CST) < mine)
            answer();
}

static void relax(void *ctx)
{
    (void)ctx;
    answer();
}

/* All CPUs wait here for each other, and answer. */
static void meet(void)
{
    uint64_t crew = work_crew();
    uint64_t end = __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST) / crew * crew + crew;

    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < end)
        answer();
}

/* ---- Faults --------------------------------------------------------------------------------- */

static bool serve(uint64_t address, uint64_t error)
{
    struct quire_space *space = loaded[this_cpu()->id];
    uint32_t access = error & 16 ? QUIRE_EXECUTE : error & 2 ? QUIRE_WRITE : QUIRE_READ;
    bool served = space && quire_space_fault(space, quire_vaddr_of(address), access) == QUIRE_OK;

    answer(); /* else two that wait for each other's page never do */
    return served;
}

static void load(struct quire_space *space)
{
    loaded[this_cpu()->id] = space;
    write_cr3(quire_phys(quire_paging_root(&space->paging)));
}

/* ---- What programs do ----------------------------------------------------------------------- */

static volatile uint64_t *word_of(uint32_t place, unsigned page)
{
    return (volatile uint64_t *)(AREA + page * (uint64_t)PAGE_BYTES + place * sizeof(uint64_t));
}

static void write_words(uint32_t place, uint64_t value)
{
    for (unsigned i = 0; i < PAGES; i++) {
        *word_of(place, i) = value;
        answer();
    }
}

static void count_words(uint32_t place, uint64_t value, enum count count)
{
    for (unsigned i = 0; i < PAGES; i++) {
        add(count, *word_of(place, i) == value);
        answer();
    }
}

static void try_write(uint64_t address)
{
    *(volatile uint64_t *)address = 0;
}

static void try_read(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

static void try_call(uint64_t address)
{
    ((void (*)(void))address)();
}

static void fork_beside_writes(uint32_t place)
{
    if (place == 0)
        add(ERRORS, quire_space_fork(&parent, &child) != QUIRE_OK ||
                        quire_paging_share(&child.paging, &kernels,
                                           quire_vrange_of(KERNELS_HALF, 0 - KERNELS_HALF)));
    else
        write_words(place, DURING);
    meet();
    if (place == 0)
        write_words(place, DURING);
    meet();
    count_words(place, DURING, KEPT);
    meet();
}

/* The child has each word as it was before or during the fork, and keeps what is written to it. */
static void write_to_child(uint32_t place)
{
    load(&child);
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t word = *word_of(place, i);

        add(TAKEN, word == BEFORE || (place != 0 && word == DURING));
        answer();
    }
    write_words(place, AFTER);
    meet();
    count_words(place, AFTER, COPIED);
    meet();
    load(&parent);
    count_words(place, DURING, KEPT);
    meet();
}

static void unmap_beside_reads(uint32_t place)
{
    struct quire_vrange half = quire_vrange_of(AREA, PAGES / 2 * (uint64_t)PAGE_BYTES);

    if (place == 0)
        add(ERRORS, quire_space_unmap(&parent, half) != QUIRE_OK);
    for (unsigned i = 0; i < PAGES / 2 && place != 0; i++) {
        (void)fault_probe(try_read, (uint64_t)word_of(place, i));
        answer();
    }
    meet();
    for (unsigned i = 0; i < PAGES; i++)
        add(GONE, fault_probe(try_read, (uint64_t)word_of(place, i)) == (i < PAGES / 2));
    meet();
}

static void on_each_cpu(void *argument)
{
    uint64_t before = read_cr3();
    uint32_t place = work_place(), other = (place + 1) % work_crew();

    (void)argument;
    answered[this_cpu()->id] = 0;
    load(&parent);
    meet();
    write_words(place, BEFORE);
    meet();
    count_words(other, BEFORE, FOUND);
    meet();
    fork_beside_writes(place);
    write_to_child(place);
    unmap_beside_reads(place);
    loaded[this_cpu()->id] = NULL;
    write_cr3(before);
    meet();
}

/* ---- One CPU -------------------------------------------------------------------------------- */

static bool reserve(uint64_t start, uint64_t bytes, uint32_t access, uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(start, bytes), .access = access};

    return quire_space_reserve(&parent, &area, flags, NULL) == QUIRE_OK;
}

static void forget_here(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    (void)range;
    write_cr3(read_cr3());
}

static void test_refusals(void)
{
    uint64_t before = read_cr3(), stack = AREA + QUIRE_PAGE_1G, large = AREA + 2 * QUIRE_PAGE_1G;
    struct quire_page page;

    parent.paging.port.invalidate = forget_here; /* the other CPUs have left */
    load(&parent);
    tap(reserve(stack, 4 * PAGE_BYTES, READ_WRITE, QUIRE_RESERVE_STACK) &&
            !fault_probe(try_write, stack) && fault_probe(try_write, stack - 8),
        "a stack has its pages, and a guard below them");
    tap(fault_probe(try_call, stack), "data is not executed");
    tap(quire_space_protect(&parent, quire_vrange_of(stack, PAGE_BYTES), QUIRE_READ) == QUIRE_OK &&
            fault_probe(try_write, stack) && !fault_probe(try_read, stack),
        "a page that became read-only is not written");
    tap(reserve(large, QUIRE_PAGE_2M, READ_WRITE, QUIRE_RESERVE_LARGE) &&
            !fault_probe(try_write, large) &&
            quire_paging_translate(&parent.paging, quire_vaddr_of(large), &page, NULL) ==
                QUIRE_OK &&
            page.size == QUIRE_PAGE_2M,
        "an area gets a page of 2 MiB");
    tap(quire_space_unmap(&parent, quire_vrange_of(large + PAGE_BYTES, PAGE_BYTES)) == QUIRE_OK &&
            fault_probe(try_read, large + PAGE_BYTES) && !fault_probe(try_read, large),
        "a part of it is unmapped");
    loaded[this_cpu()->id] = NULL;
    write_cr3(before);
}

static void begin(void)
{
    struct quire_space_config config = {.format = &quire_x86_64_4level,
                                        .range = quire_vrange_of(PAGE_BYTES, 1ul << 46)};
    struct quire_paging_port *port = &config.port.paging;

    port->reach.base = DIRECT_BASE;
    port->tables = quire_tables_from_machine(memory.up.machine);
    port->invalidate = shoot_down;
    config.port.frames = quire_frames_from_machine(memory.up.machine);
    config.port.shares = &shares;
    config.port.relax = relax;
    memset(counts, 0, sizeof counts);
    asked = arrived = 0;
    quire_paging_adopt(&kernels, &quire_x86_64_4level, port, quire_pfn_of_phys(paging_root()));
    if (quire_shares_init(&shares, &port->tables, &port->reach, 0) ||
        quire_space_create(&parent, &config) ||
        quire_paging_share(&parent.paging, &kernels,
                           quire_vrange_of(KERNELS_HALF, 0 - KERNELS_HALF)))
        panic("suite space: no table");
}

void suite_space(const struct options *options)
{
    uint64_t all = (uint64_t)cpu_count * PAGES;

    (void)options;
    zone_audit_begin();
    begin();
    tap(reserve(AREA, PAGES * (uint64_t)PAGE_BYTES, READ_WRITE, 0), "an area is reserved");
    trap_on_page_fault(serve);
    work_on_all(on_each_cpu, NULL);
    tap_equal(counts[FOUND], all, "words are found that another CPU wrote to the same pages");
    tap_equal(counts[KEPT], 2 * all, "words of the parent are kept, by the fork and by the child");
    tap_equal(counts[TAKEN], all, "words of the child are those of the fork");
    tap_equal(counts[COPIED], all, "words of the child are written, by all CPUs at once");
    tap_equal(counts[GONE], all, "pages are gone, or not, as they were unmapped");
    tap_equal(counts[ERRORS], 0, "errors");
    test_refusals();
    trap_on_page_fault(NULL);
    quire_space_destroy(&child);
    quire_space_destroy(&parent);
    quire_shares_destroy(&shares);
    zone_audit_end("space");
}
