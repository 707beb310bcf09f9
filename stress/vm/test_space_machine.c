/* SPDX-License-Identifier: MIT
 *
 * test_space_machine.c - spaces whose frames come from a machine, by the example of
 * docs/porting-vm.md: a process lives, forks and ends, and every frame is back; a page of 2 MiB is
 * split; the machine has none left.
 */
#include "kernel.h"
#include "mmu.h"
#include "stress/common/assert.h"

#include <quire/bringup.h>

#include <stdlib.h>
#include <string.h>

enum {
    FRAME = QUIRE_FRAME_SIZE,
    MIB = 1 << 20,
    MEMORY = 64 * MIB,
    RW_USER = QUIRE_READ | QUIRE_WRITE | QUIRE_USER,
    READS = 4, /* x86's error codes, of user mode */
    WRITES = 6,
};
#define AREA ((uint64_t)0x7f0000200000)

struct quire_machine *machine;
uintptr_t direct_base;

static unsigned char *memory; /* physical memory from address 0 on */
static struct quire_boot boot;
static struct quire_boot_entry entries[64];
static struct quire_topology topology;
static struct quire_bringup bringup;
static struct quire_space space;
static const char *ended;
static unsigned invalidations;

void panic(const char *why)
{
    fail_msg("%s", why);
}

void invalidate(void *ctx, struct quire_vrange range)
{
    (void)ctx;
    assert_ok(quire_vrange_validate(range));
    invalidations++;
}

void end_process(uint64_t address, const char *why)
{
    assert_true(address >= 0x10000);
    ended = why;
}

void *page_give(void *ctx)
{
    (void)ctx;
    return aligned_alloc(FRAME, FRAME);
}

void page_take(void *ctx, void *page)
{
    (void)ctx;
    free(page);
}

/* A file of eight pages, in an array. */
static unsigned char disk[8 * FRAME];

int disk_size(void *at, uint64_t *bytes)
{
    assert_ptr_equal(at, disk);
    *bytes = sizeof disk;
    return 0;
}

int disk_read(void *at, uint64_t page, quire_pfn pfn)
{
    memcpy(memory + quire_phys(pfn), (unsigned char *)at + page * FRAME, FRAME);
    return 0;
}

int disk_write(void *at, uint64_t page, quire_pfn pfn)
{
    memcpy((unsigned char *)at + page * FRAME, memory + quire_phys(pfn), FRAME);
    return 0;
}

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)ctx;
    (void)node;
    assert_true(phys + bytes <= MEMORY);
    return memory + phys;
}

static uint64_t free_frames(void)
{
    uint64_t n = 0;

    (void)quire_machine_drain(bringup.machine);
    for (size_t i = 0; i < bringup.plan.zone_count; i++)
        n += quire_zone_free_frames(&bringup.zones[i]);
    return n;
}

/* The byte at `virt`, for user mode; NULL: the process was ended. */
static unsigned char *reach(struct quire_space *in, uint64_t virt, uint32_t code)
{
    struct mmu_memory physical = {memory, 0, MEMORY / FRAME};
    struct mmu mmu = {.kind = MMU_X86_64, .levels = 4, .memory = &physical};
    struct mmu_page page;

    ended = NULL;
    mmu_load(&mmu, quire_paging_root(&in->paging));
    while (mmu_access(&mmu, virt, QUIRE_USER | (code == WRITES ? QUIRE_WRITE : QUIRE_READ),
                      &page) != MMU_OK) {
        page_fault(in, virt, code);
        if (ended)
            return NULL;
    }
    return memory + page.phys;
}

static void reserve(uint64_t bytes, uint32_t flags)
{
    struct quire_area area = {.range = quire_vrange_of(AREA, bytes), .access = RW_USER};

    assert_ok(quire_space_reserve(&space, &area, flags, NULL));
}

static uint64_t zeroed; /* frames, by `zero` */

static int zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    memset(memory + quire_phys(pfn), 0, frames * FRAME);
    zeroed += frames;
    return 0;
}

static void begin_with(int (*zero_frames)(void *ctx, quire_pfn pfn, uint64_t frames))
{
    memset(memory, 0xa5, MEMORY);
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    quire_topology_init(&topology);
    memset(&bringup, 0, sizeof bringup);
    bringup.boot = &boot;
    bringup.topology = &topology;
    bringup.map = map;
    bringup.layout.zone.port.zero = zero_frames;
    assert_ok(quire_bringup(&bringup));
    machine = bringup.machine;
    direct_base = (uintptr_t)memory;
    spaces_init();
}

static void begin(void)
{
    begin_with(NULL);
}

static void end(void)
{
    quire_machine_fini(bringup.machine);
}

static void a_life(void **state)
{
    struct quire_space child;
    uint64_t before;

    (void)state;
    begin();
    before = free_frames();
    assert_ok(process_begin(&space));
    reserve(16 * FRAME, QUIRE_RESERVE_STACK);
    assert_int_equal(*reach(&space, AREA + 5, READS), 0);
    *reach(&space, AREA + 5, WRITES) = 7;
    assert_null(reach(&space, AREA - 1, READS));
    assert_string_equal(ended, quire_strerror(QUIRE_ERR_ACCESS)); /* the guard */
    assert_null(reach(&space, AREA + 16 * FRAME, READS));
    assert_string_equal(ended, quire_strerror(QUIRE_ERR_AREA));
    assert_ok(quire_space_fork(&space, &child));
    *reach(&child, AREA + 5, WRITES) = 8;
    assert_int_equal(*reach(&space, AREA + 5, READS), 7);
    assert_true(invalidations > 0);
    quire_space_destroy(&space);
    assert_int_equal(*reach(&child, AREA + 5, READS), 8);
    quire_space_destroy(&child);
    /* What leads to the counts stays. */
    assert_in_range(before - free_frames(), 0, 3);
    end();
}

/* The process has no way to retire tables: so rows alone. */
static void rows(void **state)
{
    const struct quire_promotion how = {.row = 4, .present = 512};
    struct quire_promoted done;
    uint64_t before, used;

    (void)state;
    begin();
    before = free_frames();
    assert_ok(process_begin(&space));
    reserve(2 * MIB, 0);
    for (unsigned i = 400; i-- > 0;) /* all of 256, 128 and 16 */
        *reach(&space, AREA + i * (uint64_t)FRAME, WRITES) = (unsigned char)(i | 1);
    used = free_frames();
    assert_ok(quire_space_promote(&space, quire_vrange_of(AREA, 2 * MIB), &how, &done));
    assert_int_equal(done.rows, 3);
    assert_int_equal(done.copies, 400);
    assert_int_equal(free_frames(), used);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(*reach(&space, AREA + i * (uint64_t)FRAME, READS), (unsigned char)(i | 1));
    quire_space_destroy(&space);
    assert_in_range(before - free_frames(), 0, 3);
    end();
}

static void a_large_page(void **state)
{
    uint64_t before, whole;
    struct quire_page page;

    (void)state;
    begin();
    before = free_frames();
    assert_ok(process_begin(&space));
    reserve(QUIRE_PAGE_2M, QUIRE_RESERVE_LARGE);
    *reach(&space, AREA, WRITES) = 1;
    assert_ok(quire_paging_translate(&space.paging, quire_vaddr_of(AREA), &page, NULL));
    assert_int_equal(page.size, QUIRE_PAGE_2M);
    whole = free_frames();
    assert_ok(quire_space_unmap(&space, quire_vrange_of(AREA + FRAME, 100 * FRAME)));
    assert_int_equal(free_frames(), whole + 100 - 1); /* a table */
    assert_int_equal(*reach(&space, AREA, READS), 1);
    quire_space_destroy(&space);
    assert_int_equal(free_frames(), before);
    end();
}

static void a_file(void **state)
{
    static struct quire_file file;
    quire_vaddr shared, own;
    uint64_t before;

    (void)state;
    begin();
    before = free_frames();
    memset(disk, 3, sizeof disk);
    assert_ok(process_begin(&space));
    assert_ok(file_begin(&file, disk));
    assert_ok(file_map(&space, &file, QUIRE_AREA_SHARED, sizeof disk, &shared));
    assert_ok(file_map(&space, &file, QUIRE_AREA_PRIVATE, 2 * sizeof disk, &own));
    *reach(&space, shared.n + FRAME, WRITES) = 4;
    assert_int_equal(*reach(&space, own.n + FRAME, READS), 4);
    *reach(&space, own.n + FRAME, WRITES) = 5;
    assert_ok(quire_space_sync(&space, quire_vrange_of(shared.n, sizeof disk)));
    assert_int_equal(disk[FRAME], 4);
    assert_int_equal(reclaim(&file, 1, 8), 1);
    assert_int_equal(*reach(&space, shared.n + FRAME, READS), 4);
    assert_int_equal(*reach(&space, own.n + FRAME, READS), 5);
    assert_null(reach(&space, own.n + sizeof disk, READS));
    assert_string_equal(ended, quire_strerror(QUIRE_ERR_END));
    quire_space_destroy(&space);
    assert_ok(quire_file_destroy(&file));
    assert_int_equal(free_frames(), before);
    end();
}

/* All memory is used up: the process ends, and all is back. */
static void no_memory(void **state)
{
    uint64_t before, touched = 0;

    (void)state;
    begin();
    before = free_frames();
    assert_ok(process_begin(&space));
    reserve(2 * (uint64_t)MEMORY, 0);
    while (reach(&space, AREA + touched * FRAME, WRITES))
        touched++;
    assert_string_equal(ended, quire_strerror(QUIRE_ERR_NO_MEMORY));
    assert_true(touched > MEMORY / FRAME / 2);
    assert_ok(
        quire_space_advise(&space, quire_vrange_of(AREA, touched * FRAME), QUIRE_ADVISE_RELEASE));
    assert_int_equal(*reach(&space, AREA + touched * FRAME, READS), 0);
    quire_space_destroy(&space);
    assert_int_equal(free_frames(), before);
    end();
}

/* A machine's frames that are known to read as zeros are not written at a fault; others are. */
static void known_zeros(void **state)
{
    uint64_t frames, before;

    (void)state;
    begin_with(zero);
    assert_ok(quire_machine_zero_idle(machine, quire_node_of(0), MEMORY / FRAME, &frames));
    assert_true(frames >= 512);
    assert_ok(process_begin(&space));
    reserve(QUIRE_PAGE_2M, QUIRE_RESERVE_LARGE);
    before = zeroed;
    assert_int_equal(*reach(&space, AREA, WRITES), 0);
    assert_int_equal(*reach(&space, AREA + QUIRE_PAGE_2M - 1, READS), 0);
    assert_int_equal(zeroed, before);
    memset(reach(&space, AREA, WRITES), 0xa5, QUIRE_PAGE_2M);
    quire_space_destroy(&space); /* the caches give the block that came last first */
    assert_ok(process_begin(&space));
    reserve(QUIRE_PAGE_2M, QUIRE_RESERVE_LARGE);
    assert_int_equal(*reach(&space, AREA + 77, READS), 0);
    assert_int_equal(zeroed, before + 512);
    quire_space_destroy(&space);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life), cmocka_unit_test(rows),        cmocka_unit_test(a_large_page),
        cmocka_unit_test(a_file), cmocka_unit_test(known_zeros), cmocka_unit_test(no_memory),
    };
    int failed;

    memory = aligned_alloc(FRAME, MEMORY);
    if (!memory)
        return 1;
    failed = cmocka_run_group_tests_name("space_machine", tests, NULL, NULL);
    free(memory);
    return failed;
}
