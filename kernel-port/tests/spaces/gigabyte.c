/* SPDX-License-Identifier: MIT
 *
 * gigabyte.c - a page of 1 GiB on a real processor: one fault brings it, all CPUs reach it, and
 * write while a part of it is protected, which splits it; it is unmapped while they read. What was
 * split is whole again: all touch it at once, and find zeros, not their words. Where none is left
 * they are refused, or have smaller pages.
 */
#include "spaces.h"

#include "cpu.h"
#include "kernel-port/kernel/clock.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/tap.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

#define GIGABYTE 0x0000123400000000ul /* the first one; an area for another one is behind it, */
#define SECOND   (GIGABYTE + QUIRE_PAGE_1G)
#define OTHER    (GIGABYTE + 4 * QUIRE_PAGE_1G) /* and one that has smaller pages instead */

enum { PROTECTED = 1, NEIGHBOUR = 2, PLACES = 5 };
enum { BEFORE = 1, DURING = 2, AFTER = 3 }; /* words */

/* Where words are, one of each CPU. */
static const uint64_t places[PLACES] = {0, 5 * QUIRE_PAGE_2M + 7 * PAGE_BYTES,
                                        5 * QUIRE_PAGE_2M + 8 * PAGE_BYTES, QUIRE_PAGE_1G / 2,
                                        QUIRE_PAGE_1G - PAGE_BYTES};

static struct quire_space space;
static struct quire_frame_source source;
static quire_pfn held; /* a list of gigabytes, through their first words; 0: none */
static uint64_t first_faults, first_ns;
static bool of_huge_zone; /* one of the smaller pages is, which hugepages=2M: sets aside */
enum count { FAULTS, FOUND, KEPT, FORBIDDEN, GONE, ZEROS, REFUSED, SMALLER, ERRORS, COUNTS };
static uint64_t counts[COUNTS]; /* atomic */
static bool changed;            /* atomic */

static void add(enum count count, bool one)
{
    __atomic_fetch_add(&counts[count], one, __ATOMIC_RELAXED);
}

static bool serve(uint64_t address, uint64_t code)
{
    add(FAULTS, true);
    return spaces_serve(address, code);
}

static volatile uint64_t *word_of(uint32_t cpu, unsigned place)
{
    return (volatile uint64_t *)(GIGABYTE + places[place] + cpu * sizeof(uint64_t));
}

static void try_read(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

static void try_write(uint64_t address)
{
    *(volatile uint64_t *)address = AFTER;
}

static void reserve(uint64_t start, uint64_t bytes, uint32_t gigabytes)
{
    struct quire_area area = {.range = quire_vrange_of(start, bytes),
                              .access = QUIRE_READ | QUIRE_WRITE,
                              .gigabytes = gigabytes};

    add(ERRORS, quire_space_reserve(&space, &area, 0, NULL) != QUIRE_OK);
}

static void unmap(uint64_t start, uint64_t bytes)
{
    add(ERRORS, quire_space_unmap(&space, quire_vrange_of(start, bytes)) != QUIRE_OK);
}

/* The size of the page there; 0: none. */
static uint64_t page_size(uint64_t virt)
{
    struct quire_page page;

    return quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL) ? 0 : page.size;
}

static bool is_of_huge_zone(uint64_t virt)
{
    struct quire_page page;
    struct quire_zone *zone;

    if (quire_paging_translate(&space.paging, quire_vaddr_of(virt), &page, NULL))
        return false;
    zone = memory_zone(quire_pfn_of_phys(page.phys.n));
    return memory.up.plan.zones[zone - memory.up.zones].config.type == QUIRE_ZONE_HUGE;
}

/* ---- What CPUs do --------------------------------------------------------------------------- */

/* By the first CPU, while the others sleep: they would take time from it. */
static void touch_first(void)
{
    uint64_t before = read_cr3(), start = rdtsc();

    spaces_load(&space);
    for (unsigned i = 0; i < PLACES; i++)
        *word_of(0, i) = BEFORE;
    first_ns = clock_ns(rdtsc() - start);
    spaces_leave(before);
}

/* Nobody else faults. */
static void find_words(uint32_t cpu)
{
    for (unsigned i = 0; i < PLACES; i++) {
        add(FOUND, *word_of(0, i) == BEFORE);
        *word_of(cpu, i) = BEFORE;
    }
    spaces_meet();
    for (unsigned i = 0; i < PLACES; i++)
        add(FOUND, *word_of((cpu + 1) % work_crew(), i) == BEFORE);
    if (cpu == 0)
        add(ERRORS, page_size(GIGABYTE) != QUIRE_PAGE_1G);
    spaces_meet();
    if (cpu == 0)
        first_faults = __atomic_load_n(&counts[FAULTS], __ATOMIC_RELAXED);
}

/* Others call this again and again while the first CPU changes the space. */
static bool is_changed(void)
{
    spaces_answer();
    return __atomic_load_n(&changed, __ATOMIC_ACQUIRE);
}

static void protect_beside_writes(uint32_t cpu)
{
    uint64_t page = GIGABYTE + places[PROTECTED];

    if (cpu == 0) {
        add(ERRORS,
            quire_space_protect(&space, quire_vrange_of(page, PAGE_BYTES), QUIRE_READ) != QUIRE_OK);
        add(ERRORS, page_size(page) != PAGE_BYTES ||
                        page_size(GIGABYTE + places[NEIGHBOUR]) != PAGE_BYTES ||
                        page_size(GIGABYTE) != QUIRE_PAGE_2M);
        __atomic_store_n(&changed, true, __ATOMIC_RELEASE);
    }
    while (cpu != 0 && !is_changed())
        for (unsigned i = 0; i < PLACES; i++)
            if (i != PROTECTED)
                *word_of(cpu, i) = DURING;
    spaces_meet();
    for (unsigned i = 0; i < PLACES; i++) {
        uint64_t word = *word_of(cpu, i);

        add(KEPT, word == BEFORE || (word == DURING && cpu != 0 && i != PROTECTED));
        add(FORBIDDEN, fault_probe(try_write, (uint64_t)word_of(cpu, i)) == (i == PROTECTED));
    }
    spaces_meet();
}

static void unmap_beside_reads(uint32_t cpu)
{
    changed = false;
    spaces_meet();
    if (cpu == 0) {
        unmap(GIGABYTE, QUIRE_PAGE_1G);
        __atomic_store_n(&changed, true, __ATOMIC_RELEASE);
    }
    while (cpu != 0 && !is_changed())
        for (unsigned i = 0; i < PLACES; i++)
            (void)fault_probe(try_read, (uint64_t)word_of(cpu, i));
    spaces_meet();
    for (unsigned i = 0; i < PLACES; i++)
        add(GONE, fault_probe(try_read, (uint64_t)word_of(cpu, i)));
    spaces_meet();
}

/* ---- When none is left ---------------------------------------------------------------------- */

/* Take all gigabytes that are left, of the machine too. */
static void hold_all(void)
{
    quire_pfn pfn;

    while (source.alloc(source.ctx, NULL, QUIRE_GIGABYTE_ORDER, &pfn) == QUIRE_OK) {
        *(quire_pfn *)direct(quire_phys(pfn)) = held;
        held = pfn;
    }
}

static void let_all_go(void)
{
    while (held.n) {
        quire_pfn pfn = held;

        held = *(quire_pfn *)direct(quire_phys(pfn));
        source.free(source.ctx, pfn, QUIRE_GIGABYTE_ORDER);
    }
}

/* All touch the last one at once, and nobody gets a second one. */
static void touch_last(uint32_t cpu)
{
    if (cpu == 0) {
        add(ERRORS, quire_gigabytes_fill(&memory.gigabytes, false) != QUIRE_OK);
        reserve(GIGABYTE, 2 * QUIRE_PAGE_1G, QUIRE_GIGABYTES_ONLY);
        reserve(OTHER, QUIRE_PAGE_1G, QUIRE_GIGABYTES_PREFER);
    }
    spaces_meet();
    for (unsigned i = 0; i < PLACES; i++)
        add(ZEROS, *word_of(cpu, i) == 0);
    spaces_meet();
    if (cpu == 0) {
        add(ERRORS, page_size(GIGABYTE) != QUIRE_PAGE_1G ||
                        quire_gigabytes_ready(&memory.gigabytes) != memory.gigabytes.count - 1);
        hold_all();
        add(ERRORS,
            quire_space_fault(&space, quire_vaddr_of(SECOND), QUIRE_READ) != QUIRE_ERR_NO_MEMORY);
    }
    spaces_meet();
    add(REFUSED, fault_probe(try_read, SECOND + cpu * (uint64_t)PAGE_BYTES));
    add(SMALLER, !fault_probe(try_write, OTHER + cpu * sizeof(uint64_t)) &&
                     page_size(OTHER) == QUIRE_PAGE_2M);
    spaces_meet();
    if (cpu == 0) {
        of_huge_zone = is_of_huge_zone(OTHER);
        let_all_go();
        unmap(GIGABYTE, 2 * QUIRE_PAGE_1G);
        unmap(OTHER, QUIRE_PAGE_1G);
    }
    spaces_meet();
}

static void on_each_cpu(void *argument)
{
    uint64_t before = read_cr3();
    uint32_t cpu = work_place();

    (void)argument;
    spaces_enter();
    spaces_load(&space);
    spaces_meet();
    find_words(cpu);
    protect_beside_writes(cpu);
    unmap_beside_reads(cpu);
    touch_last(cpu);
    spaces_leave(before);
    spaces_meet();
}

/* ---- The test ------------------------------------------------------------------------------- */

static void begin(void)
{
    struct quire_space_config config;

    spaces_begin(&config);
    source = quire_frames_with_gigabytes(&memory.gigabytes);
    config.port.frames = source;
    memset(counts, 0, sizeof counts);
    changed = false;
    if (quire_space_create(&space, &config) || spaces_share_kernel(&space))
        panic("suite space: no table");
}

static void report(void)
{
    uint64_t all = (uint64_t)cpu_count * PLACES;

    tap_equal(first_faults, 1, "faults for a page of 1 GiB, which all CPUs read and write");
    tap_note("that fault took %lu ms, zeros included", first_ns / 1000000);
    tap_equal(counts[FOUND], 2 * all, "words in it are found that another CPU wrote");
    tap_equal(counts[KEPT], all, "words are kept, beside the split of it");
    tap_equal(counts[FORBIDDEN], all, "words are written, or not, as a part became read-only");
    tap_equal(counts[GONE], all, "words are gone with their pages");
    tap_equal(counts[ZEROS], all, "words read as zeros, when all CPUs touch a page of 1 GiB");
    tap_equal(counts[REFUSED], cpu_count, "accesses are refused where none is left");
    tap_equal(counts[SMALLER], cpu_count, "accesses are served by smaller pages");
    tap_note("a smaller page is %sof a Huge zone", of_huge_zone ? "" : "not ");
    tap_equal(counts[ERRORS], 0, "errors");
    tap_equal(quire_gigabytes_ready(&memory.gigabytes), memory.gigabytes.count,
              "what was set aside is all there again");
}

void spaces_test_gigabyte(void)
{
    const char *what = "a page of 1 GiB in a space";

    if (paging_largest_page() < QUIRE_PAGE_1G) {
        tap_skip(what, "the processor has none");
        return;
    }
    if (memory.gigabytes.count == 0) {
        tap_skip(what, "hugepages= sets none aside");
        return;
    }
    begin();
    reserve(GIGABYTE, QUIRE_PAGE_1G, QUIRE_GIGABYTES_ONLY);
    if (tap(quire_gigabytes_fill(&memory.gigabytes, false) == QUIRE_OK,
            "what hugepages= names is set aside")) {
        trap_on_page_fault(serve);
        touch_first();
        work_on_all(on_each_cpu, NULL);
        trap_on_page_fault(NULL);
        report();
    }
    quire_space_destroy(&space);
    quire_gigabytes_release(&memory.gigabytes);
}
