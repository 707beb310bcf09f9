/* SPDX-License-Identifier: MIT
 *
 * suite_space.c - an address space on a real processor: all CPUs fault on the same pages, write
 * while the space is forked, copy the child's pages, read while pages are unmapped, and write while
 * small pages become a large one, and small again; a guard, a read-only page, data that is
 * executed; a page of 1 GiB (gigabyte.c). In the end every frame is back: the audit counts.
 */
#include "kernel-port/tests/suites/suite.h"

#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/spaces/spaces.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

#include <quire/space.h>

#define AREA 0x0000123400000000ul

enum { PAGES = 24, ROUNDS = 50, READ_WRITE = QUIRE_READ | QUIRE_WRITE };
enum { BEFORE = 1, DURING = 2, AFTER = 3 }; /* words */

static struct quire_shares shares;
static struct quire_space parent, child;
enum count { FOUND, KEPT, TAKEN, COPIED, GONE, ROWS, PROMOTED, RETURNED, MOVED, ERRORS, COUNTS };
static uint64_t counts[COUNTS]; /* atomic */

static void add(enum count count, bool one)
{
    __atomic_fetch_add(&counts[count], one, __ATOMIC_RELAXED);
}

static bool reserve(uint64_t start, uint64_t bytes, uint32_t access, uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(start, bytes), .access = access};

    return quire_space_reserve(&parent, &area, flags, NULL) == QUIRE_OK;
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
        spaces_answer();
    }
}

static void count_words(uint32_t place, uint64_t value, enum count count)
{
    for (unsigned i = 0; i < PAGES; i++) {
        add(count, *word_of(place, i) == value);
        spaces_answer();
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
        add(ERRORS, quire_space_fork(&parent, &child) != QUIRE_OK || spaces_share_kernel(&child));
    else
        write_words(place, DURING);
    spaces_meet();
    if (place == 0)
        write_words(place, DURING);
    spaces_meet();
    count_words(place, DURING, KEPT);
    spaces_meet();
}

/* The child has each word as it was before or during the fork, and keeps what is written to it. */
static void write_to_child(uint32_t place)
{
    spaces_load(&child);
    for (unsigned i = 0; i < PAGES; i++) {
        uint64_t word = *word_of(place, i);

        add(TAKEN, word == BEFORE || (place != 0 && word == DURING));
        spaces_answer();
    }
    write_words(place, AFTER);
    spaces_meet();
    count_words(place, AFTER, COPIED);
    spaces_meet();
    spaces_load(&parent);
    count_words(place, DURING, KEPT);
    spaces_meet();
}

static void unmap_beside_reads(uint32_t place)
{
    struct quire_vrange half = quire_vrange_of(AREA, PAGES / 2 * (uint64_t)PAGE_BYTES);

    if (place == 0)
        add(ERRORS, quire_space_unmap(&parent, half) != QUIRE_OK);
    for (unsigned i = 0; i < PAGES / 2 && place != 0; i++) {
        (void)fault_probe(try_read, (uint64_t)word_of(place, i));
        spaces_answer();
    }
    spaces_meet();
    for (unsigned i = 0; i < PAGES; i++)
        add(GONE, fault_probe(try_read, (uint64_t)word_of(place, i)) == (i < PAGES / 2));
    spaces_meet();
}

/* The first one unmaps a page, and with it its table, which comes and goes; the others read it, and
 * find it there or not. */
static void trim_beside_reads(uint32_t place)
{
    uint64_t at = AREA + QUIRE_PAGE_1G;

    for (unsigned i = 0; i < ROUNDS; i++) {
        if (place == 0) {
            add(ERRORS, !reserve(at, PAGE_BYTES, READ_WRITE, 0) || fault_probe(try_write, at));
            spaces_answer();
            add(ERRORS, quire_space_unmap(&parent, quire_vrange_of(at, PAGE_BYTES)) != QUIRE_OK);
        } else {
            (void)fault_probe(try_read, at);
            spaces_answer();
        }
    }
    spaces_meet();
}

/* ---- Promotion and demotion ---------------------------------------------------------------- */

#define PART (AREA + 4 * QUIRE_PAGE_1G)

enum { PART_PAGES = 512, PART_USED = 300, ROW_ORDER = 4, ROW = 1 << ROW_ORDER };

static volatile uint64_t *part_word(uint32_t place, unsigned page)
{
    return (volatile uint64_t *)(PART + page * (uint64_t)PAGE_BYTES + place * sizeof(uint64_t));
}

static void write_part(uint32_t place, uint64_t value)
{
    for (unsigned i = 0; i < PART_USED; i++) {
        *part_word(place, i) = value;
        spaces_answer();
    }
}

/* Are the frames of these pages side by side, in an aligned run? */
static bool is_row(unsigned first)
{
    struct quire_page page;
    uint64_t start = 0;

    for (unsigned i = 0; i < ROW; i++) {
        uint64_t at = PART + (first + i) * (uint64_t)PAGE_BYTES;

        if (quire_paging_translate(&parent.paging, quire_vaddr_of(at), &page, NULL))
            return false;
        start = i ? start : page.phys.n;
        if (page.phys.n != start + i * (uint64_t)PAGE_BYTES)
            return false;
    }
    return start % (ROW * (uint64_t)PAGE_BYTES) == 0;
}

/* Too few pages are there for a large one. */
static void make_rows(void)
{
    struct quire_promotion how = {.present = PART_PAGES, .row = ROW_ORDER};
    struct quire_promoted done;

    add(ERRORS,
        quire_space_promote(&parent, quire_vrange_of(PART, QUIRE_PAGE_2M), &how, &done) != 0);
    for (unsigned i = 0; i + ROW <= PART_USED; i += ROW)
        add(ROWS, is_row(i));
}

/* At first rows; then whoever writes ends the promotion; then it has patience. */
static void promote_part(void)
{
    struct quire_promotion how = {.patience = 0};
    struct quire_promoted done;

    make_rows();
    for (unsigned i = 0; i < 3; i++) {
        add(ERRORS,
            quire_space_promote(&parent, quire_vrange_of(PART, QUIRE_PAGE_2M), &how, &done) != 0);
        add(PROMOTED, done.parts == 1);
        how.patience = 1u << 30;
    }
}

static void demote_part(void)
{
    struct quire_demotion how = {.zeros = 1};
    struct quire_demoted done;

    add(ERRORS,
        quire_space_demote(&parent, quire_vrange_of(PART, QUIRE_PAGE_2M), &how, &done) != 0);
    __atomic_fetch_add(&counts[RETURNED], done.frames, __ATOMIC_RELAXED);
}

static void promote_beside_writes(uint32_t place)
{
    write_part(place, BEFORE);
    spaces_meet();
    if (place == 0)
        promote_part();
    else
        write_part(place, DURING);
    spaces_meet();
    for (unsigned i = 0; i < PART_USED; i++)
        add(MOVED, *part_word(place, i) == (place == 0 ? BEFORE : DURING));
    if (place == 0)
        demote_part();
    else
        write_part(place, AFTER);
    spaces_meet();
    for (unsigned i = 0; i < PART_USED; i++)
        add(MOVED, *part_word(place, i) == (place == 0 ? BEFORE : AFTER));
    spaces_meet();
}

static void on_each_cpu(void *argument)
{
    uint64_t before = read_cr3();
    uint32_t place = work_place(), other = (place + 1) % work_crew();

    (void)argument;
    spaces_enter();
    spaces_load(&parent);
    spaces_meet();
    write_words(place, BEFORE);
    spaces_meet();
    count_words(other, BEFORE, FOUND);
    spaces_meet();
    fork_beside_writes(place);
    write_to_child(place);
    unmap_beside_reads(place);
    trim_beside_reads(place);
    promote_beside_writes(place);
    spaces_leave(before);
    spaces_meet();
}

/* ---- One CPU -------------------------------------------------------------------------------- */

static void forget_here(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    (void)range;
    write_cr3(read_cr3());
}

/* The space is loaded. */
static void test_large(void)
{
    quire_vaddr at = {0}, below = {0};
    uint64_t bytes = 5 * PAGE_BYTES;

    tap(!quire_large_alloc(&parent, bytes, READ_WRITE, &below) &&
            !quire_large_alloc(&parent, bytes, READ_WRITE, &at) && !fault_probe(try_write, at.n) &&
            !fault_probe(try_write, at.n + bytes - 8),
        "a large object has all its pages");
    tap(fault_probe(try_write, at.n + bytes) && fault_probe(try_write, at.n - 8) &&
            fault_probe(try_write, below.n + bytes),
        "there is a guard behind it, and below");
    tap(!quire_large_free(&parent, at) && fault_probe(try_read, at.n) &&
            !fault_probe(try_write, below.n) && !quire_large_free(&parent, below),
        "it goes alone");
}

static void test_refusals(void)
{
    uint64_t before = read_cr3(), stack = AREA + QUIRE_PAGE_1G, large = AREA + 2 * QUIRE_PAGE_1G;
    struct quire_page page;

    parent.paging.port.invalidate = forget_here; /* the other CPUs have left */
    parent.paging.port.retire = spaces_free_tables;
    spaces_load(&parent);
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
    test_large();
    spaces_leave(before);
}

static void begin(void)
{
    struct quire_space_config config;

    spaces_begin(&config);
    config.port.shares = &shares;
    memset(counts, 0, sizeof counts);
    if (quire_shares_init(&shares, &config.port.paging.tables, &config.port.paging.reach, 0) ||
        quire_space_create(&parent, &config) || spaces_share_kernel(&parent))
        panic("suite space: no table");
}

void suite_space(const struct options *options)
{
    uint64_t all = (uint64_t)cpu_count * PAGES;

    (void)options;
    zone_audit_begin();
    begin();
    tap(reserve(AREA, PAGES * (uint64_t)PAGE_BYTES, READ_WRITE, 0), "an area is reserved");
    tap(reserve(PART, QUIRE_PAGE_2M, READ_WRITE, 0), "and one for a large page");
    trap_on_page_fault(spaces_serve);
    work_on_all(on_each_cpu, NULL);
    tap_equal(counts[FOUND], all, "words are found that another CPU wrote to the same pages");
    tap_equal(counts[KEPT], 2 * all, "words of the parent are kept, by the fork and by the child");
    tap_equal(counts[TAKEN], all, "words of the child are those of the fork");
    tap_equal(counts[COPIED], all, "words of the child are written, by all CPUs at once");
    tap_equal(counts[GONE], all, "pages are gone, or not, as they were unmapped");
    tap_equal(counts[ROWS], PART_USED / ROW, "small pages became rows beside writes");
    tap_equal(counts[PROMOTED], 1, "small pages became a large one, once");
    tap_equal(counts[RETURNED], PART_PAGES - PART_USED, "it gave back what read as zeros");
    tap_equal(counts[MOVED], 2 * (uint64_t)cpu_count * PART_USED,
              "words are kept that were written meanwhile");
    tap_equal(counts[ERRORS], 0, "errors");
    tap(spaces_retired() >= ROUNDS, "tables that ran empty have left");
    test_refusals();
    trap_on_page_fault(NULL);
    quire_space_destroy(&child);
    quire_space_destroy(&parent);
    quire_shares_destroy(&shares);
    spaces_test_gigabyte();
    zone_audit_end("space");
}
