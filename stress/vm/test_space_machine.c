/* SPDX-License-Identifier: MIT
 *
 * test_space_machine.c - spaces whose frames come from a machine, by the example of
 * docs/porting.md: a process lives, forks and ends, and every frame is back; a page of 2 MiB is
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
    assert_true(address >= AREA - FRAME);
    ended = why;
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

static void begin(void)
{
    memset(memory, 0xa5, MEMORY);
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
    quire_topology_init(&topology);
    memset(&bringup, 0, sizeof bringup);
    bringup.boot = &boot;
    bringup.topology = &topology;
    bringup.map = map;
    assert_ok(quire_bringup(&bringup));
    machine = bringup.machine;
    direct_base = (uintptr_t)memory;
    spaces_init();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(a_large_page),
        cmocka_unit_test(no_memory),
    };
    int failed;

    memory = aligned_alloc(FRAME, MEMORY);
    if (!memory)
        return 1;
    failed = cmocka_run_group_tests_name("space_machine", tests, NULL, NULL);
    free(memory);
    return failed;
}
