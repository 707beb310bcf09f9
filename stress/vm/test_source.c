/* SPDX-License-Identifier: MIT
 *
 * test_source.c - where tables come from: a machine, by the example of docs/porting-vm.md; boot
 * memory; a fixed run of frames. Each gives all back, or keeps it as it says. What a machine gives,
 * tables and runs, may be counted by kind.
 */
#include "kernel.h"
#include "mmu.h"
#include "stress/common/assert.h"

#include <quire/bringup.h>
#include <quire/file.h>

#include <stdlib.h>
#include <string.h>

enum { FRAME = QUIRE_FRAME_SIZE, MIB = 1 << 20, MEMORY = 64 * MIB, RW = QUIRE_READ | QUIRE_WRITE };
#define VIRT UINT64_C(0xffff900000000000)

struct quire_machine *machine;
uintptr_t direct_base;

static unsigned char *memory; /* physical memory from address 0 on */
static struct quire_boot boot;
static struct quire_boot_entry entries[64];
static struct quire_topology topology;
static unsigned forgotten;
static bool all_forgotten;

void panic(const char *why)
{
    fail_msg("%s", why);
}

void forget_page(uint64_t virt)
{
    assert_true(virt >= VIRT);
    forgotten++;
}

void forget_all(void)
{
    all_forgotten = true;
}

static void *map(void *ctx, uint64_t phys, size_t bytes, uint32_t node)
{
    (void)ctx;
    (void)node;
    assert_true(phys + bytes <= MEMORY);
    return memory + phys;
}

static void begin(void)
{
    memset(memory, 0xa5, MEMORY);
    assert_ok(quire_boot_init(&boot, entries, sizeof entries / sizeof entries[0], QUIRE_BOOT_LOW));
    assert_ok(quire_boot_add(&boot, 0, MEMORY, QUIRE_BOOT_USABLE, QUIRE_NODE_ANY));
}

static uint64_t free_frames(const struct quire_bringup *b)
{
    uint64_t n = 0;

    (void)quire_machine_drain(b->machine);
    for (size_t i = 0; i < b->plan.zone_count; i++)
        n += quire_zone_free_frames(&b->zones[i]);
    return n;
}

static void from_machine(void **state)
{
    struct quire_bringup b = {.boot = &boot, .topology = &topology, .map = map};
    struct mmu_memory physical = {memory, 0, MEMORY / FRAME};
    struct mmu mmu = {.kind = MMU_X86_64, .levels = 4, .memory = &physical};
    struct mmu_page byte;
    uint64_t before;

    (void)state;
    begin();
    quire_topology_init(&topology);
    assert_ok(quire_bringup(&b));
    machine = b.machine;
    direct_base = (uintptr_t)memory;
    before = free_frames(&b);
    pages_init();
    mmu_load(&mmu, quire_paging_root(&pages));
    assert_ok(pages_map(VIRT, 0x123000, 40 * FRAME, RW));
    assert_int_equal(mmu_access(&mmu, VIRT + FRAME + 5, QUIRE_WRITE, &byte), MMU_OK);
    assert_int_equal(byte.phys, 0x124005);
    assert_int_equal(free_frames(&b), before - 4);
    assert_int_equal(forgotten, 0);
    assert_error(pages_map(VIRT + FRAME, 0, FRAME, RW), QUIRE_ERR_MAPPED);
    assert_ok(pages_unmap(VIRT, 2 * FRAME));
    assert_int_equal(forgotten, 2);
    assert_int_equal(mmu_access(&mmu, VIRT, QUIRE_READ, &byte), MMU_ABSENT);
    assert_ok(pages_unmap(VIRT + 2 * FRAME, 38 * FRAME));
    assert_true(all_forgotten);
    quire_paging_destroy(&pages);
    assert_int_equal(free_frames(&b), before);
    quire_machine_fini(b.machine);
}

static int zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    memset(memory + quire_phys(pfn), 0, frames * FRAME);
    return QUIRE_OK;
}

/* Tables and runs of a machine, each counted by the kind of its source, and no refusal is. */
static void by_kind(void **state)
{
    struct quire_bringup b = {
        .boot = &boot, .topology = &topology, .map = map, .layout.zone.port.zero = zero};
    struct quire_kinds_line line = {{0}};
    struct quire_kinds kinds = {.lines = &line, .cpus = 1};
    struct quire_kind_source of_tables = {.kinds = &kinds, .kind = QUIRE_KIND_TABLE};
    struct quire_kind_source of_users = {.kinds = &kinds, .kind = QUIRE_KIND_USER};
    struct quire_table_source tables = quire_tables_of_kind(&of_tables);
    struct quire_frame_source frames = quire_frames_of_kind(&of_users);
    quire_pfn high, low, run, zeros, none;
    uint64_t before;

    (void)state;
    begin();
    quire_topology_init(&topology);
    assert_ok(quire_bringup(&b));
    of_tables.machine = of_users.machine = b.machine;
    before = free_frames(&b);
    assert_ok(tables.alloc(tables.ctx, UINT64_MAX, &high));
    assert_ok(tables.alloc(tables.ctx, MEMORY / FRAME, &low));
    assert_ok(frames.alloc(frames.ctx, NULL, 9, &run));
    assert_ok(frames.alloc_zeroed(frames.ctx, NULL, 1, &zeros));
    assert_int_equal(memory[quire_phys(zeros) + 2 * FRAME - 1], 0);
    assert_error(frames.alloc(frames.ctx, NULL, QUIRE_MAX_ORDER, &none), QUIRE_ERR_NO_MEMORY);
    assert_error(frames.alloc_zeroed(frames.ctx, NULL, QUIRE_MAX_ORDER, &none),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_TABLE), 2);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 514);
    assert_int_equal(free_frames(&b), before - 516);
    assert_ok(frames.split(frames.ctx, run, 9));
    for (unsigned i = 0; i < 512; i++)
        frames.free(frames.ctx, quire_pfn_of(run.n + i), 0);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 2);
    frames.free(frames.ctx, zeros, 1);
    tables.free(tables.ctx, high);
    tables.free(tables.ctx, low);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_USER), 0);
    assert_int_equal(quire_kinds_frames(&kinds, QUIRE_KIND_TABLE), 0);
    assert_int_equal(free_frames(&b), before);
    quire_machine_fini(b.machine);
}

static uint64_t boot_taken(void)
{
    struct quire_boot_report report;

    quire_boot_report(&boot, &report);
    return report.taken;
}

/* Tables of boot memory stay taken; a pool takes over, and takes back its own alone. */
static void from_boot_and_pool(void **state)
{
    uint64_t taken[2] __attribute__((aligned(8))) = {0, 0};
    struct quire_table_pool pool = {{{0x1000}, 70}, taken};
    struct quire_table_source tables = quire_tables_from_pool(&pool);
    struct quire_paging_port port = {.tables = quire_tables_from_boot(&boot)};
    struct quire_page page = {.phys = {0x5000}, .access = QUIRE_READ};
    struct quire_gather gather = {0};
    struct quire_paging paging;
    quire_pfn pfn;

    (void)state;
    begin();
    port.reach.base = (uintptr_t)memory;
    assert_ok(quire_paging_init(&paging, &quire_i386_pae, &port));
    assert_int_equal(boot_taken(), 5);
    assert_ok(quire_paging_map(&paging, quire_vrange_of(0, FRAME), &page, 0, &gather));
    assert_int_equal(boot_taken(), 6);
    quire_paging_set_source(&paging, &tables);
    assert_ok(quire_paging_map(&paging, quire_vrange_of(64 * MIB, FRAME), &page, 0, &gather));
    assert_int_equal(boot_taken(), 6);
    assert_int_equal(taken[0], 1);
    quire_paging_destroy(&paging);
    assert_int_equal(taken[0] | taken[1], 0);
    for (unsigned i = 0; i < 70; i++) {
        assert_ok(tables.alloc(tables.ctx, UINT64_MAX, &pfn));
        assert_int_equal(pfn.n, 0x1000 + i);
    }
    assert_error(tables.alloc(tables.ctx, UINT64_MAX, &pfn), QUIRE_ERR_NO_MEMORY);
    tables.free(tables.ctx, quire_pfn_of(0x1000 + 66));
    assert_error(tables.alloc(tables.ctx, 0x1000 + 66, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_ok(tables.alloc(tables.ctx, 0x1000 + 67, &pfn));
    assert_int_equal(pfn.n, 0x1000 + 66);
}

/* A source that does not heed the limit. */
static unsigned back;

static int give_high(void *ctx, uint64_t below, quire_pfn *pfn)
{
    (void)ctx;
    pfn->n = below;
    return 0;
}

static void count_back(void *ctx, quire_pfn pfn)
{
    (void)ctx;
    (void)pfn;
    back++;
}

static void frames_out_of_reach(void **state)
{
    struct quire_paging_port port = {.tables = {give_high, count_back, NULL}};
    struct quire_paging paging;

    (void)state;
    assert_error(quire_paging_init(&paging, &quire_i386, &port), QUIRE_ERR_FRAME);
    assert_int_equal(back, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_machine),
        cmocka_unit_test(by_kind),
        cmocka_unit_test(from_boot_and_pool),
        cmocka_unit_test(frames_out_of_reach),
    };
    int failed;

    memory = aligned_alloc(FRAME, MEMORY);
    if (!memory)
        return 1;
    failed = cmocka_run_group_tests_name("paging_source", tests, NULL, NULL);
    free(memory);
    return failed;
}
