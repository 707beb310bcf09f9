/* SPDX-License-Identifier: MIT
 *
 * suite_files.c - mapped files on a real processor: all CPUs read and write one file, shared and
 * private, while it is written back, while its frames are given back, and while it is cut; by a
 * pager that fails and is slow. The processor's own dirty bits and TLBs are what this is about. In
 * the end every frame is back: the audit counts.
 */
#include "kernel-port/tests/suites/suite.h"

#include "cpu.h"
#include "kernel-port/kernel/lib/panic.h"
#include "kernel-port/kernel/lib/text.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/work.h"
#include "kernel-port/tests/spaces/disk.h"
#include "kernel-port/tests/spaces/spaces.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/zone_audit.h"
#include "paging.h"
#include "trap.h"
#include "x86.h"

#define SHARED_AT  0x0000223400000000ul
#define PRIVATE_AT 0x0000223500000000ul

enum { PAGES = DISK_PAGES, ROUNDS = 12, READ_WRITE = QUIRE_READ | QUIRE_WRITE };

static struct quire_shares shares;
static struct quire_space space, child;
static struct disk disk;
enum count { FOUND, SYNCED, KEPT, OWN, GONE, EVICTED, ERRORS, COUNTS };
static uint64_t counts[COUNTS]; /* atomic */

static void add(enum count count, uint64_t n)
{
    __atomic_fetch_add(&counts[count], n, __ATOMIC_RELAXED);
}

static volatile uint64_t *word_of(uint64_t area, uint32_t place, unsigned page)
{
    return (volatile uint64_t *)(area + page * (uint64_t)PAGE_BYTES + place * sizeof(uint64_t));
}

static void write_words(uint64_t area, uint32_t place, uint64_t value)
{
    for (unsigned i = 0; i < PAGES; i++) {
        *word_of(area, place, i) = value;
        spaces_answer();
    }
}

static void count_words(uint64_t area, uint32_t place, uint64_t value, enum count count)
{
    for (unsigned i = 0; i < PAGES; i++) {
        add(count, *word_of(area, place, i) == value);
        spaces_answer();
    }
}

static void try_read(uint64_t address)
{
    (void)*(volatile uint64_t *)address;
}

/* Again and again, as the pager fails now and then. */
static void sync_all(void)
{
    int error = QUIRE_ERR_PAGER;

    while (error == QUIRE_ERR_PAGER) {
        error = quire_space_sync(&space, quire_vrange_of(SHARED_AT, PAGES * (uint64_t)PAGE_BYTES));
        spaces_answer();
    }
    add(ERRORS, error != QUIRE_OK);
}

/* The first CPU writes back while the others write, and once when they are done. */
static void write_beside_sync(uint32_t place)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (place == 0)
            sync_all();
        else
            write_words(SHARED_AT, place, round);
    }
    spaces_meet();
    if (place == 0)
        sync_all();
    spaces_meet();
    for (unsigned i = 0; i < PAGES && place != 0; i++)
        add(SYNCED, disk_word(&disk, i, place) == ROUNDS);
    spaces_meet();
}

/* The first CPU gives frames back, as under pressure; the others write, and find what they wrote.
 */
static void write_beside_reclaim(uint32_t place)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        if (place == 0) {
            add(EVICTED, quire_file_reclaim(&disk.file, PAGES / 2, true));
            spaces_answer();
            continue;
        }
        write_words(SHARED_AT, place, 100 + round);
        count_words(SHARED_AT, place, 100 + round, KEPT);
    }
    spaces_meet();
}

static void write_own(uint32_t place)
{
    write_words(PRIVATE_AT, place, 7);
    spaces_meet();
    count_words(PRIVATE_AT, place, 7, OWN);
    for (unsigned i = 0; i < PAGES && place != 0; i++)
        add(ERRORS, *word_of(SHARED_AT, place, i) != 100 + ROUNDS);
    spaces_meet();
}

/* The first CPU forks and cuts the file; the others read meanwhile. */
static void cut_beside_reads(uint32_t place)
{
    if (place == 0) {
        add(ERRORS, quire_space_fork(&space, &child) != QUIRE_OK);
        add(ERRORS, quire_file_resize(&disk.file, PAGES / 2 * (uint64_t)PAGE_BYTES) != QUIRE_OK);
    }
    for (unsigned i = 0; i < PAGES && place != 0; i++) {
        (void)fault_probe(try_read, (uint64_t)word_of(i % 2 ? SHARED_AT : PRIVATE_AT, place, i));
        spaces_answer();
    }
    spaces_meet();
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned area = 0; area < 2; area++)
            add(GONE, fault_probe(try_read, (uint64_t)word_of(area ? SHARED_AT : PRIVATE_AT, place,
                                                              i)) == (i >= PAGES / 2));
    spaces_meet();
}

static void on_each_cpu(void *argument)
{
    uint64_t before = read_cr3();
    uint32_t place = work_place(), other = (place + 1) % work_crew();

    (void)argument;
    spaces_enter();
    spaces_load(&space);
    spaces_meet();
    write_words(SHARED_AT, place, 5);
    spaces_meet();
    count_words(SHARED_AT, other, 5, FOUND);
    spaces_meet();
    write_beside_sync(place);
    write_beside_reclaim(place);
    write_own(place);
    cut_beside_reads(place);
    spaces_leave(before);
    spaces_meet();
}

static void map(uint64_t start, enum quire_area_kind kind)
{
    struct quire_area area = {.range = quire_vrange_of(start, PAGES * (uint64_t)PAGE_BYTES),
                              .kind = kind,
                              .access = READ_WRITE,
                              .file = &disk.file};

    tap(quire_space_reserve(&space, &area, 0, NULL) == QUIRE_OK, "a file is mapped, %s",
        kind == QUIRE_AREA_SHARED ? "shared" : "private");
}

static void begin(void)
{
    struct quire_space_config config;

    spaces_begin(&config);
    config.port.shares = &shares;
    memset(counts, 0, sizeof counts);
    if (quire_shares_init(&shares, &config.port.paging.tables, &config.port.paging.reach, 0) ||
        quire_space_create(&space, &config) || spaces_share_kernel(&space))
        panic("suite files: no table");
    disk_begin(&disk, &config);
    disk.fails = 5;
    disk.yields = 50;
}

void suite_files(const struct options *options)
{
    uint64_t all = (uint64_t)cpu_count * PAGES, others = all - PAGES;

    (void)options;
    zone_audit_begin();
    begin();
    map(SHARED_AT, QUIRE_AREA_SHARED);
    map(PRIVATE_AT, QUIRE_AREA_PRIVATE);
    trap_on_page_fault(spaces_serve);
    work_on_all(on_each_cpu, NULL);
    trap_on_page_fault(NULL);
    tap_equal(counts[FOUND], all, "words are found that another CPU wrote to the same pages");
    tap_equal(counts[SYNCED], others, "words are on disk that were written beside a sync");
    tap_equal(counts[KEPT], others * ROUNDS, "words are kept while frames are given back");
    tap_equal(counts[OWN], all, "words of private pages are kept");
    tap_equal(counts[GONE], 2 * all, "pages are gone, or not, as the file was cut");
    tap_equal(counts[ERRORS], 0, "errors");
    tap(counts[EVICTED] > 0, "%lu frames were given back meanwhile",
        (unsigned long)counts[EVICTED]);
    tap(spaces_pager_failures() > 0, "the pager failed %lu faults, which were tried again",
        (unsigned long)spaces_pager_failures());
    disk.fails = 0;
    quire_space_destroy(&child);
    quire_space_destroy(&space);
    quire_shares_destroy(&shares);
    tap(disk_end(&disk), "the file is nobody's");
    zone_audit_end("files");
}
