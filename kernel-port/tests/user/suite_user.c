/* SPDX-License-Identifier: MIT
 *
 * suite_user.c - programs in user mode, on all CPUs: alone with their memory, forking all at once,
 * doing what they may not, and running out of memory. After each, programs have no frame but what
 * the page caches keep, and nothing of the heap; in the end those are back too. What the frames
 * are for is counted, and the counts agree with the books, the page caches and the machine.
 */
#include "kernel-port/kernel/heap.h"
#include "kernel-port/kernel/memory.h"
#include "kernel-port/kernel/user/user.h"
#include "kernel-port/tests/shadow.h"
#include "kernel-port/tests/spaces/disk.h"
#include "kernel-port/tests/suites/suite.h"
#include "kernel-port/tests/tap.h"
#include "kernel-port/tests/user/books.h"
#include "kernel-port/tests/zone_audit.h"

#include "cpu.h"
#include "x86.h"

enum {
    CHILDREN = 6,
    DEPTH = 4,
    ENOUGH = 600,
    TABLES_THREADS = 8,
    TABLES_AT_ONCE = 8, /* of a thread of the program `tables`; and of it besides */
    TABLES_OTHER = 16,
    HUNGRY = 3,
    COUNTS_MOST = 8,
    REFUSALS_MOST = 100,
    SMALL_MACHINE = 1 << 16
};

static struct user_config config;
static struct disk disk;
static int64_t kinds_before[QUIRE_KINDS];

static uint64_t page_caches(void)
{
    return user_cached() + quire_file_cached(&disk.file);
}

/* What the kernel's heap has with this tag. */
static struct quire_heap_tag_stats tagged(enum heap_tag tag)
{
    struct quire_heap_tag_stats stats;

    if (quire_heap_tag_stats(&kernel_heap, tag, &stats))
        tap(false, "the heap has the tag %u", (unsigned)tag);
    return stats;
}

/* Frames and tables that are neither of a page cache nor lead to the counts of shared frames: those
 * of programs; and objects of the heap that are. */
static uint64_t of_programs(void)
{
    uint64_t frames = books_frames() - page_caches();

    return (frames > COUNTS_MOST ? frames : 0) + tagged(HEAP_AREAS).objects +
           tagged(HEAP_PROCESSES).objects;
}

/* Run one, alone. */
static struct call_end run(const char *name, uint64_t argument)
{
    struct user_program program = {.name = name, .argument = argument};

    user_run(&program, 1);
    return program.end;
}

static void exits(const char *name, uint64_t argument, int64_t status, const char *what)
{
    struct call_end end = run(name, argument);

    if (!tap(end.kind == END_EXIT && end.status == status && of_programs() == 0, "%s", what))
        tap_note("kind %u, status %ld, expected %ld; %lu frames are left", end.kind, end.status,
                 status, of_programs());
}

/* ---- What they may not ---------------------------------------------------------------------- */

struct wrong {
    const char *what;
    enum call_end_kind kind;
    int64_t status;
    uint64_t address; /* 0: any */
};

static const struct wrong wrongs[] = {
    {"a read of a field of NULL", END_FAULT, QUIRE_ERR_AREA, 8},
    {"a read through a wild pointer", END_FAULT, QUIRE_ERR_AREA, 0x123456789000},
    {"a write to its code", END_FAULT, QUIRE_ERR_ACCESS, 0},
    {"a write to a constant", END_FAULT, QUIRE_ERR_ACCESS, 0},
    {"execution of data", END_FAULT, QUIRE_ERR_ACCESS, 0},
    {"a stack that does not end", END_FAULT, QUIRE_ERR_ACCESS, 0},
    {"a read of the kernel's memory", END_FAULT, QUIRE_ERR_AREA, 0xffff800000200000},
    {"a read of an address that is not canonical", END_TRAP, 13, 0},
    {"an instruction for the kernel alone", END_TRAP, 13, 0},
    {"a division by zero", END_TRAP, 0, 0},
    {"an interrupt's gate that is not for programs", END_TRAP, 13, 0},
    {"an instruction of the floating point unit", END_TRAP, 7, 0},
    {"an instruction that there is not", END_TRAP, 6, 0},
    {"single step", END_TRAP, 1, 0},
    {"a read behind the end of a file", END_FAULT, QUIRE_ERR_END, 0},
    {"segments of its own", END_EXIT, 0, 0},
    {"a call without a stack", END_EXIT, 0, 0},
    {"flags that it may set", END_EXIT, 0, 0},
    {"single step into the kernel", END_TRAP, 1, 0},
    {"a flag that opens user memory to the kernel", END_EXIT, 0, 0},
};

static void test_wrongs(void)
{
    enum { COUNT = sizeof wrongs / sizeof wrongs[0] };
    static struct user_program programs[COUNT];

    for (unsigned i = 0; i < COUNT; i++)
        programs[i] = (struct user_program){.name = "wrong", .argument = i};
    user_run(programs, COUNT); /* all at once, on all CPUs */
    for (unsigned i = 0; i < COUNT; i++) {
        const struct wrong *w = &wrongs[i];
        const struct call_end *end = &programs[i].end;

        if (!tap(end->kind == (uint32_t)w->kind && end->status == w->status &&
                     (!w->address || end->address == w->address),
                 "%s: %s", w->what, w->kind == END_EXIT ? "it goes on" : "the program ends"))
            tap_note("kind %u, status %ld at %lx, rip %lx", end->kind, end->status, end->address,
                     end->rip);
    }
}

/* ---- Tables that run empty ------------------------------------------------------------------ */

/* A program that needs ever new tables: each thread TABLES_AT_ONCE at once, and some times as many
 * in the end. */
static void test_tables(void)
{
    uint64_t threads = cpu_count < TABLES_THREADS ? cpu_count : TABLES_THREADS;

    books_limit(UINT64_MAX);
    exits("tables", cpu_count, 0, "pages far apart are mapped, and unmapped, beside each other");
    if (!tap(books_tables_most() <= TABLES_AT_ONCE * threads + TABLES_OTHER,
             "tables that run empty come back while others fault"))
        tap_note("%lu tables at once", books_tables_most());
}

/* ---- Memory runs out ------------------------------------------------------------------------ */

/* Programs that take all there is: each ends by a fault, and what it had is back for the others. */
static void test_no_memory(void)
{
    struct user_program programs[HUNGRY] = {
        {.name = "hungry"}, {.name = "hungry", .argument = 64}, {.name = "hungry", .argument = 8}};
    uint64_t reclaims = user_reclaims();
    bool good = true;

    books_limit(ENOUGH);
    user_run(programs, HUNGRY);
    for (unsigned i = 0; i < HUNGRY; i++)
        good = good && programs[i].end.status == QUIRE_ERR_NO_MEMORY; /* told, or ended */
    tap(good && books_refused() > 0, "programs that take more than there is end");
    tap(user_reclaims() > reclaims, "page caches gave frames back before");
    tap_equal(of_programs(), 0, "frames and tables that they still have");
    books_limit(UINT64_MAX);
    exits("hello", 1, 2, "a program runs after that");
}

/* The same of the whole machine, where that is soon done. */
static void test_no_memory_at_all(void)
{
    uint64_t managed = 0;
    struct call_end end;

    for (uint32_t i = 0; i < memory_zone_count(); i++)
        managed += quire_zone_managed(&memory.up.zones[i]);
    if (managed > SMALL_MACHINE) {
        tap_skip("a program that takes all of memory ends", "there is too much of it");
        return;
    }
    end = run("hungry", 0);
    tap(end.kind == END_FAULT && end.status == QUIRE_ERR_NO_MEMORY,
        "a program that takes all of memory ends");
    tap_equal(of_programs(), 0, "frames and tables that it still has");
    exits("hello", 1, 2, "a program runs after that");
}

/* Each of its allocations in turn is the first that is refused: whatever a program was doing, what
 * it had is back. */
static void test_each_refusal(void)
{
    uint64_t left = 0, limit = 0;
    bool good = false;

    for (; limit < REFUSALS_MOST && !good; limit++) {
        struct call_end end;

        books_limit(limit);
        end = run("tree", 1);
        good = end.kind == END_EXIT && end.status == 3;
        left += of_programs();
    }
    books_limit(UINT64_MAX);
    tap(good && limit > 1, "a program runs when no frame is refused any more");
    tap_note("after %lu limits", limit);
    tap_equal(left, 0, "frames and tables that it had after it was refused one");
}

/* ---- What memory is for --------------------------------------------------------------------- */

/* Nobody is at work, so the counts are exact: to the frame what others know of each kind, and with
 * those that nobody said a kind of they are all that the machine has in use. */
static void test_kinds(const char *when)
{
    int64_t now[QUIRE_KINDS];
    struct quire_fault fault = {.what = NULL};
    uint64_t programs = 0;

    (void)quire_machine_drain(memory.up.machine);
    if (!tap(quire_kinds_report(&memory_kinds, memory.up.machine, now, &fault) == QUIRE_OK,
             "%s: no kind has fewer frames than none", when))
        tap_note("%s: kind %lu, %lu", fault.what, fault.where, fault.found);
    for (unsigned kind = 0; kind < QUIRE_KINDS; kind++)
        now[kind] -= kinds_before[kind];
    programs =
        (uint64_t)(now[QUIRE_KIND_TABLE] + now[QUIRE_KIND_USER] + now[QUIRE_KIND_PAGE_CACHE]);
    tap_equal((uint64_t)now[QUIRE_KIND_PAGE_CACHE], page_caches(),
              "frames of page caches, by kind");
    tap_equal(programs, books_frames(), "frames of programs and their files, by kind");
    tap_equal((uint64_t)now[QUIRE_KIND_NONE], 0, "frames more in use of which no kind was said");
    memory_print_kinds();
}

/* There is no memory for what is known of areas: a program does not start, and nothing is left. */
static void test_no_areas(void)
{
    bool good = true;

    tap(tagged(HEAP_AREAS).peak >= 2 * (uint64_t)PAGE_BYTES && tagged(HEAP_FILES).objects > 1,
        "what is known of areas and files lies in the heap");
    for (uint64_t pages = 1; pages < 3; pages++) {
        struct call_end end;

        (void)quire_heap_tag_quota(&kernel_heap, HEAP_AREAS, pages * PAGE_BYTES);
        end = run("hello", 1);
        good = good && of_programs() == 0 &&
               (pages == 2 ? end.kind == END_EXIT
                           : end.kind == END_FAULT && end.status == QUIRE_ERR_NO_MEMORY);
    }
    (void)quire_heap_tag_quota(&kernel_heap, HEAP_AREAS, 0);
    tap(good, "a program whose areas find the heap's quota reached does not start");
    tap(tagged(HEAP_AREAS).refusals > 0, "and the tag knows it");
}

/* ---- The suite ------------------------------------------------------------------------------ */

static void test_forks(void)
{
    uint64_t expected = cpu_count >= 64 ? UINT64_MAX : (1ul << cpu_count) - 1;
    struct call_end end = run("forks", cpu_count);

    tap(end.kind == END_EXIT && end.status != 0 && !((uint64_t)end.status & ~expected),
        "all CPUs fork and write at once");
    tap_note("ran on CPUs %lx of %lx", (uint64_t)end.status, expected);
    exits("tree", DEPTH, (2 << DEPTH) - 1, "a tree of forks counts itself");
    exits("tree", DEPTH + 256, 0, "a tree of forks for which nobody waits is gone");
}

static void begin(void)
{
    struct quire_space_config space;

    shadow_begin();
    zone_audit_begin();
    books_begin(&config);
    user_space_config(&config, &space);
    space.port.frames = config.cached;
    space.port.memory = heap_pages(HEAP_FILES);
    (void)quire_machine_drain(memory.up.machine);
    if (quire_kinds_report(&memory_kinds, memory.up.machine, kinds_before, NULL))
        tap(false, "no kind has fewer frames than none");
    disk_begin(&disk, &space);
    config.files[0] = &disk.file;
    config.file_count = 1;
}

void suite_user(const struct options *options)
{
    (void)options;
    begin();
    if (user_begin(&config, memory.ramdisk.phys, memory.ramdisk.bytes)) {
        exits("hello", 41, 42, "a program says a line and exits");
        exits("memory", 0, 0, "memory is zeros, kept, given back and refused");
        if (books_large() > 0)
            tap(true, "a part of a page of 2 MiB was unmapped");
        else
            tap_skip("a part of a page of 2 MiB is unmapped", "there was no whole block");
        test_wrongs();
        if (read_cr4() & CR4_SMAP)
            tap_equal(books_open(), 0, "frames asked for with user memory open to the kernel");
        else
            tap_skip("user memory is not open to the kernel", "the processor has no SMAP");
        test_forks();
        exits("storm", cpu_count, 0, "no page is seen after it was given back");
        test_tables();
        exits("files", CHILDREN, 0, "a file is shared, and has private copies");
        tap_equal(disk_word(&disk, 3, 5), 5, "what was written to it is on disk");
        test_kinds("while files are cached");
        test_no_areas();
        test_no_memory();
        test_no_memory_at_all();
        test_each_refusal();
        user_end();
    } else {
        tap(false, "there is a ramdisk");
    }
    tap(disk_end(&disk), "the file is closed");
    (void)quire_heap_trim(&kernel_heap); /* processes were objects */
    tap_equal(tagged(HEAP_FILES).objects + of_programs(), 0, "objects of programs and files");
    tap_equal(books_frames(), 0, "programs have no frame and no table any more");
    test_kinds("in the end");
    shadow_end("user");
    zone_audit_end("user");
}
