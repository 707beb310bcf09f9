/* SPDX-License-Identifier: MIT
 *
 * test_paging.c - each call on each format: what it does, each error, tables that are refused, and
 * a window of two frames. The processor of mmu.c is the judge.
 */
#include "rig.h"
#include "stress/common/assert.h"

#include <string.h>

enum { FRAME = QUIRE_FRAME_SIZE, RW = QUIRE_READ | QUIRE_WRITE, RX = QUIRE_READ | QUIRE_EXECUTE };
#define HALF  (UINT64_C(1) << 63)
#define range quire_vrange_of

static struct rig rig;
static struct quire_gather gather;

static const struct quire_paging_format *format(void)
{
    return rig.which->format;
}

/* An access that all formats have; i386 has no page that may not be executed. */
static uint32_t plain(void)
{
    return format()->access[RW] == QUIRE_PAGING_NO_ENCODING ? QUIRE_ACCESS_ALL & ~QUIRE_USER : RW;
}

/* The smallest large page. */
static uint64_t large(void)
{
    return format()->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
}

static int map(uint64_t virt, uint64_t bytes, uint64_t phys, uint64_t sizes)
{
    struct quire_page page = rig_page(phys, plain());

    return quire_paging_map(&rig.paging, range(virt, bytes), &page, sizes, &gather);
}

static int unmap(uint64_t virt, uint64_t bytes, uint32_t flags)
{
    return quire_paging_unmap(&rig.paging, range(virt, bytes), flags, NULL, NULL, &gather);
}

static void expect_page(uint64_t virt, uint64_t phys, uint64_t size, uint32_t access)
{
    struct quire_page page;
    struct mmu_page seen;
    quire_paddr at;

    assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(virt), &page, &at));
    assert_int_equal(at.n, phys);
    assert_int_equal(page.size, size);
    assert_int_equal(page.access, access);
    assert_int_equal(mmu_access(&rig.mmu, virt, QUIRE_READ | (access & QUIRE_USER), &seen), MMU_OK);
    assert_int_equal(seen.phys, phys);
    assert_int_equal(seen.size, size);
}

static void expect_nothing(uint64_t virt)
{
    struct quire_page page;
    struct mmu_page seen;

    assert_error(quire_paging_translate(&rig.paging, quire_vaddr_of(virt), &page, NULL),
                 QUIRE_ERR_UNMAPPED);
    assert_int_equal(mmu_access(&rig.mmu, virt, QUIRE_READ, &seen), MMU_ABSENT);
}

/* Run a test on all formats, with a direct map and with a window. */
static void on_all(void (*test)(uint64_t base))
{
    for (unsigned i = 0; i < 2 * RIG_FORMATS; i++) {
        rig_begin(&rig, &rig_formats[i / 2], i % 2 != 0);
        memset(&gather, 0, sizeof gather);
        test(rig.which->base);
        rig_end(&rig);
    }
}

/* ---- What each call does ------------------------------------------------------------------- */

static void one_page(uint64_t base)
{
    struct quire_page page;

    expect_nothing(base);
    assert_ok(map(base, FRAME, 0x7654000, 0));
    expect_page(base, 0x7654000, FRAME, plain());
    expect_page(base + 4095, 0x7654fff, FRAME, plain());
    expect_nothing(base + FRAME);
    expect_nothing(base - 1);
    assert_error(map(base, FRAME, 0x1000, 0), QUIRE_ERR_MAPPED);
    expect_page(base, 0x7654000, FRAME, plain());
    assert_int_equal(gather.count, 0);
    assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(base), &page, NULL));
    assert_ok(unmap(base, FRAME, 0));
    assert_int_equal(gather.count, 1);
    assert_int_equal(gather.pages[0].start.n, base);
    assert_error(unmap(base, FRAME, 0), QUIRE_ERR_UNMAPPED);
    expect_nothing(base);
}

/* Every access and type: what the processor grants is what was asked for, or the call refuses. */
static void every_attribute(uint64_t base)
{
    const uint32_t asked[] = {QUIRE_READ, QUIRE_WRITE, QUIRE_EXECUTE};

    for (unsigned n = 0; n < 4 * 4 * 2 * (QUIRE_ACCESS_ALL + 1); n++) {
        struct quire_page page = rig_page(QUIRE_PAGE_4M, n / 32), seen;
        uint64_t size = n / 16 % 2 ? large() : FRAME;
        uint64_t at = ((base + QUIRE_PAGE_1G) & ~(large() - 1)) + (size > FRAME ? large() : 0);
        struct mmu_page byte;
        int error;

        page.type = (enum quire_memory_type)(n % 4);
        page.global = n / 4 % 2;
        page.dirty = n / 8 % 2;
        error = quire_paging_map(&rig.paging, range(at, size), &page, 0, &gather);
        if (error) {
            assert_error(error, QUIRE_ERR_UNSUPPORTED);
            continue;
        }
        assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(at), &seen, NULL));
        assert_int_equal(seen.access, page.access);
        assert_int_equal(seen.global, page.global);
        assert_int_equal(seen.dirty, page.dirty);
        assert_int_equal(seen.size, size);
        assert_int_equal(seen.type, format()->types[3] ? (int)page.type : QUIRE_TYPE_NORMAL);
        for (unsigned i = 0; i < 3; i++) {
            bool may = (page.access & asked[i]) != 0, user = (page.access & QUIRE_USER) != 0;

            assert_int_equal(mmu_access(&rig.mmu, at, asked[i] | QUIRE_USER, &byte) == MMU_OK,
                             may && user);
            if (!user)
                assert_int_equal(mmu_access(&rig.mmu, at, asked[i], &byte) == MMU_OK, may);
        }
        assert_ok(unmap(at, size, 0));
        memset(&gather, 0, sizeof gather);
    }
}

static void largest_pages(uint64_t base)
{
    uint64_t huge = format()->sizes & QUIRE_PAGE_1G ? QUIRE_PAGE_1G : large();
    uint64_t at = (base + huge) & ~(huge - 1);

    assert_ok(map(at - FRAME, huge + large() + 2 * FRAME, huge - FRAME, 0));
    expect_page(at - FRAME, huge - FRAME, FRAME, plain());
    expect_page(at + 5, huge + 5, huge, plain());
    expect_page(at + huge, 2 * huge, large(), plain());
    expect_page(at + huge + large(), 2 * huge + large(), FRAME, plain());
    expect_nothing(at + huge + large() + FRAME);
    assert_ok(unmap(at - FRAME, huge + large() + 2 * FRAME, 0));
    assert_int_equal(gather.count, 4);
    assert_ok(map(at + huge, large(), 2 * huge, FRAME));
    expect_page(at + huge, 2 * huge, FRAME, plain());
    assert_error(map(at + huge + large(), large(), 0x1000, large()), QUIRE_ERR_ALIGN);
    assert_ok(unmap(at + huge, large(), 0));
    assert_true(gather.all);
    assert_error(map(at + huge, large(), 2 * huge, large()), QUIRE_ERR_BUSY); /* its table */
    assert_ok(map(at + huge, large(), 2 * huge, 0));
    expect_page(at + huge, 2 * huge, FRAME, plain());
}

static void parts_split(uint64_t base)
{
    uint64_t huge = format()->sizes & QUIRE_PAGE_1G ? QUIRE_PAGE_1G : large();
    uint64_t at = (base + huge) & ~(huge - 1);

    assert_ok(map(at, huge, huge, 0));
    assert_error(unmap(at + FRAME, FRAME, QUIRE_PAGING_WHOLE), QUIRE_ERR_LARGE);
    assert_ok(
        quire_paging_protect(&rig.paging, range(at + FRAME, FRAME), RX | QUIRE_USER, 0, &gather));
    assert_true(gather.tables);
    expect_page(at, huge, FRAME, plain());
    expect_page(at + FRAME, huge + FRAME, FRAME, RX | QUIRE_USER);
    expect_page(at + 2 * FRAME, huge + 2 * FRAME, FRAME, plain());
    if (huge > large())
        expect_page(at + large(), huge + large(), large(), plain());
    assert_ok(unmap(at + huge - FRAME, FRAME, 0));
    expect_nothing(at + huge - FRAME);
    expect_page(at + huge - 2 * FRAME, 2 * huge - 2 * FRAME, FRAME, plain());
    assert_ok(unmap(at, huge, QUIRE_PAGING_HOLES));
    expect_nothing(at);
    expect_nothing(at + huge / 2);
}

/* What is left of a page of the largest size when a page of the next smaller size is taken out of
 * its middle, at a border of that size. */
static void middle_split(uint64_t base)
{
    uint64_t huge = format()->sizes & QUIRE_PAGE_1G ? QUIRE_PAGE_1G : large();
    uint64_t part = huge > large() ? large() : FRAME;
    uint64_t at = (base + huge) & ~(huge - 1);

    assert_ok(map(at, huge, huge, 0));
    assert_error(unmap(at + part, part, QUIRE_PAGING_WHOLE), QUIRE_ERR_LARGE);
    assert_ok(unmap(at + part, part, 0));
    assert_true(gather.tables);
    expect_page(at, huge, part, plain());
    expect_nothing(at + part);
    expect_nothing(at + 2 * part - 1);
    expect_page(at + 2 * part, huge + 2 * part, part, plain());
    assert_ok(unmap(at, huge, QUIRE_PAGING_HOLES));
    assert_ok(map(at, huge, huge, part));
    assert_ok(quire_paging_join(&rig.paging, quire_vaddr_of(at), huge));
    assert_ok(quire_paging_protect(&rig.paging, range(at, part), RX | QUIRE_USER, 0, &gather));
    expect_page(at, huge, part, RX | QUIRE_USER);
    expect_page(at + part, huge + part, part, plain());
    assert_ok(quire_paging_protect(&rig.paging, range(at + 5 * part, huge - 5 * part),
                                   RX | QUIRE_USER, 0, &gather));
    expect_page(at + 4 * part, huge + 4 * part, part, plain());
    expect_page(at + huge - part, 2 * huge - part, part, RX | QUIRE_USER);
}

/* Both ends of a range in the same part of a large page: the tables that it takes, and no more. */
static void ends_share_tables(uint64_t base)
{
    uint64_t huge = format()->sizes & QUIRE_PAGE_1G ? QUIRE_PAGE_1G : large();
    uint64_t at = (base + huge) & ~(huge - 1), tables = huge > large() ? 2 : 1;

    assert_ok(map(at, huge, huge, 0));
    rig.fail_in = tables + 1;
    assert_ok(unmap(at + FRAME, FRAME, 0));
    assert_false(rig.failed);
    rig.fail_in = 0;
    expect_page(at, huge, FRAME, plain());
    expect_nothing(at + FRAME);
    expect_page(at + 2 * FRAME, huge + 2 * FRAME, FRAME, plain());
    assert_ok(unmap(at, huge, QUIRE_PAGING_HOLES));
    assert_ok(map(at, large(), large(), FRAME));
    assert_ok(quire_paging_join(&rig.paging, quire_vaddr_of(at), large()));
    rig.fail_in = 1;
    assert_error(unmap(at + FRAME, FRAME, 0), QUIRE_ERR_NO_MEMORY);
    rig.fail_in = 2;
    assert_ok(unmap(at, FRAME, 0));
    expect_page(at + FRAME, large() + FRAME, FRAME, plain());
    rig.fail_in = 0;
}

static void neighbours_join(uint64_t base)
{
    uint64_t at = (base + large()) & ~(large() - 1), tables, before;
    struct quire_page page;
    struct mmu_page byte;

    assert_error(quire_paging_join(&rig.paging, quire_vaddr_of(at), large()), QUIRE_ERR_UNMAPPED);
    page = rig_page(large(), plain());
    page.accessed = page.dirty = false;
    before = rig_tables(&rig);
    assert_ok(quire_paging_map(&rig.paging, range(at, large()), &page, FRAME, &gather));
    tables = rig_tables(&rig);
    assert_true(tables > before);
    assert_int_equal(mmu_access(&rig.mmu, at + 7 * FRAME, QUIRE_WRITE, &byte), MMU_OK);
    assert_ok(quire_paging_join(&rig.paging, quire_vaddr_of(at), large()));
    assert_int_equal(rig_tables(&rig), tables - 1);
    assert_true(rig.invalidations.v > 0);
    assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(at), &page, NULL));
    assert_int_equal(page.size, large());
    assert_true(page.accessed && page.dirty);
    assert_ok(quire_paging_join(&rig.paging, quire_vaddr_of(at), large()));
    expect_page(at, large(), large(), plain());
    assert_ok(quire_paging_protect(&rig.paging, range(at, FRAME), RX, 0, &gather));
    assert_error(quire_paging_join(&rig.paging, quire_vaddr_of(at), large()), QUIRE_ERR_BUSY);
    assert_ok(unmap(at + FRAME, FRAME, 0));
    assert_error(quire_paging_join(&rig.paging, quire_vaddr_of(at + FRAME), large()),
                 QUIRE_ERR_ALIGN);
    assert_error(quire_paging_join(&rig.paging, quire_vaddr_of(at), FRAME), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_paging_join(&rig.paging, quire_vaddr_of(at), 2 * large()),
                 QUIRE_ERR_UNSUPPORTED);
}

static void update_exchanges(uint64_t base)
{
    struct quire_page page = rig_page(0x9000, plain()), old;
    struct mmu_page byte;

    page.accessed = page.dirty = false;
    assert_ok(quire_paging_map(&rig.paging, range(base, FRAME), &page, 0, &gather));
    assert_int_equal(mmu_access(&rig.mmu, base, QUIRE_WRITE, &byte), MMU_OK);
    page.phys.n = 0xa000;
    assert_ok(quire_paging_update(&rig.paging, quire_vaddr_of(base), quire_paddr_of(0x9000), &page,
                                  &old, &gather));
    assert_int_equal(old.phys.n, 0x9000);
    assert_true(old.accessed && old.dirty);
    assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(base), &old, NULL));
    assert_false(old.accessed || old.dirty);
    assert_error(quire_paging_update(&rig.paging, quire_vaddr_of(base), quire_paddr_of(0x9000),
                                     &page, NULL, &gather),
                 QUIRE_ERR_BUSY);
    assert_error(quire_paging_update(&rig.paging, quire_vaddr_of(base + FRAME), quire_paddr_of(0),
                                     &page, NULL, &gather),
                 QUIRE_ERR_UNMAPPED);
    page.phys.n = 0xa001;
    assert_error(quire_paging_update(&rig.paging, quire_vaddr_of(base), quire_paddr_of(0xa000),
                                     &page, NULL, &gather),
                 QUIRE_ERR_ALIGN);
    assert_ok(map(base + QUIRE_PAGE_1G, large(), large(), 0));
    page.phys.n = large() + FRAME;
    assert_error(quire_paging_update(&rig.paging, quire_vaddr_of(base + QUIRE_PAGE_1G + FRAME),
                                     quire_paddr_of(large() + FRAME), &page, NULL, &gather),
                 QUIRE_ERR_LARGE);
    assert_error(quire_paging_update(&rig.paging, quire_vaddr_of(base + QUIRE_PAGE_1G),
                                     quire_paddr_of(large()), &page, NULL, &gather),
                 QUIRE_ERR_ALIGN);
}

/* A page that becomes read-only stays dirty. */
static void protect_keeps_marks(uint64_t base)
{
    struct quire_page page = rig_page(0x9000, plain());
    struct mmu_page byte;

    page.accessed = page.dirty = false;
    assert_ok(quire_paging_map(&rig.paging, range(base, FRAME), &page, 0, &gather));
    assert_int_equal(mmu_access(&rig.mmu, base, QUIRE_WRITE, &byte), MMU_OK);
    assert_ok(quire_paging_protect(&rig.paging, range(base, FRAME), RX, 0, &gather));
    assert_int_equal(mmu_access(&rig.mmu, base, QUIRE_WRITE, &byte), MMU_DENIED);
    assert_ok(quire_paging_translate(&rig.paging, quire_vaddr_of(base), &page, NULL));
    assert_true(page.accessed && page.dirty);
    assert_ok(quire_paging_protect(&rig.paging, range(base, FRAME), plain(), 0, &gather));
    assert_int_equal(mmu_access(&rig.mmu, base, QUIRE_WRITE, &byte), MMU_OK);
}

/* The kernel's half: one set of tables in two page tables. */
static void shared_tables(uint64_t base)
{
    uint64_t unit = (uint64_t)FRAME << (format()->index_bits * (format()->levels - 1)), tables;
    uint64_t at = base & ~(unit - 1);
    struct quire_paging second;
    struct quire_page page;

    assert_ok(quire_paging_init(&second, format(), &rig.port));
    assert_ok(map(base, FRAME, 0x5000, 0));
    tables = rig_tables(&rig);
    assert_error(quire_paging_share(&second, &rig.paging, range(base, FRAME)), QUIRE_ERR_ALIGN);
    assert_error(quire_paging_share(&second, &rig.paging, range(at, HALF)), QUIRE_ERR_ADDRESS);
    assert_error(quire_paging_share(&second, &second, range(at, unit)), QUIRE_ERR_UNSUPPORTED);
    assert_ok(quire_paging_share(&second, &rig.paging, range(at, unit)));
    assert_int_equal(rig_tables(&rig), tables - format()->root_complete);
    assert_ok(quire_paging_share(&second, &rig.paging, range(at, unit)));
    assert_ok(quire_paging_translate(&second, quire_vaddr_of(base), &page, NULL));
    assert_int_equal(page.phys.n, 0x5000);
    assert_ok(map(base + FRAME, FRAME, 0x6000, 0));
    assert_ok(quire_paging_translate(&second, quire_vaddr_of(base + FRAME), &page, NULL));
    if (unit == large()) /* i386: a root entry may be a large page */
        assert_error(quire_paging_join(&second, quire_vaddr_of(at), unit), QUIRE_ERR_BUSY);
    quire_paging_destroy(&second);
    expect_page(base, 0x5000, FRAME, plain());
    expect_page(base + FRAME, 0x6000, FRAME, plain());
    assert_ok(quire_paging_init(&second, format(), &rig.port));
    page = rig_page(0x7000, plain());
    assert_ok(quire_paging_map(&second, range(base, FRAME), &page, 0, &gather));
    assert_error(quire_paging_share(&second, &rig.paging, range(at, unit)), QUIRE_ERR_MAPPED);
    quire_paging_adopt(&second, format(), &rig.port, quire_paging_root(&second));
    assert_ok(quire_paging_translate(&second, quire_vaddr_of(base), &page, NULL));
    assert_int_equal(page.phys.n, 0x7000);
    quire_paging_destroy(&second);
}

/* ---- Bad input ----------------------------------------------------------------------------- */

static void bad_input(uint64_t base)
{
    struct quire_canonical form = format()->canonical;
    uint64_t reach = UINT64_C(1) << form.bits, page = UINT64_C(1) << format()->phys_bits;
    struct quire_page odd = rig_page(0x1000, plain());
    const struct {
        uint64_t virt, bytes, phys;
        int error;
    } calls[] = {
        {base, 0, 0, QUIRE_ERR_SIZE},
        {base, FRAME + 1, 0, QUIRE_ERR_ALIGN},
        {base + 1, FRAME, 0, QUIRE_ERR_ALIGN},
        {base, FRAME, 1, QUIRE_ERR_ALIGN},
        {base, HALF, 0, QUIRE_ERR_ADDRESS},
        {0, UINT64_MAX & ~(uint64_t)4095, 0, QUIRE_ERR_ADDRESS},
        {0 - (uint64_t)FRAME, 2 * FRAME, 0, QUIRE_ERR_ADDRESS},
        {HALF, FRAME, 0, QUIRE_ERR_ADDRESS},
        {reach / 2 - FRAME, reach, 0, QUIRE_ERR_ADDRESS},
        {base, FRAME, page, QUIRE_ERR_ADDRESS},
        {base, 2 * FRAME, page - FRAME, QUIRE_ERR_ADDRESS},
        {base, 2 * FRAME, 0 - (uint64_t)FRAME, QUIRE_ERR_ADDRESS},
    };
    uint64_t tables = rig_tables(&rig);

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_error(map(calls[i].virt, calls[i].bytes, calls[i].phys, 0), calls[i].error);
    for (size_t i = 0; i < 9; i++)
        if (calls[i].phys == 0) {
            assert_error(unmap(calls[i].virt, calls[i].bytes, QUIRE_PAGING_HOLES), calls[i].error);
            assert_error(quire_paging_protect(&rig.paging, range(calls[i].virt, calls[i].bytes),
                                              plain(), QUIRE_PAGING_HOLES, &gather),
                         calls[i].error);
        }
    assert_error(map(base, FRAME, 0, FRAME | 8192), QUIRE_ERR_UNSUPPORTED);
    odd.access = 16;
    assert_error(quire_paging_map(&rig.paging, range(base, FRAME), &odd, 0, &gather),
                 QUIRE_ERR_UNSUPPORTED);
    odd.access = plain();
    odd.type = (enum quire_memory_type)QUIRE_TYPES;
    assert_error(quire_paging_map(&rig.paging, range(base, FRAME), &odd, 0, &gather),
                 QUIRE_ERR_UNSUPPORTED);
    assert_error(unmap(base, FRAME, 4), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(rig_tables(&rig), tables);
    assert_ok(map(base, FRAME, page - FRAME, 0));
    assert_error(quire_paging_protect(&rig.paging, range(base, FRAME), 0, 0, &gather),
                 QUIRE_ERR_UNSUPPORTED);
    expect_page(base, page - FRAME, FRAME, plain());
}

/* The last page of the upper half has a range as any other. */
static void last_page(uint64_t base)
{
    uint64_t last = UINT64_MAX - 4095;

    (void)base;
    if (format()->canonical.upper == QUIRE_UPPER_ZEROS)
        last = (UINT64_C(1) << format()->canonical.bits) - FRAME;
    assert_ok(map(last - large() + FRAME, large(), 0, 0));
    expect_page(last, large() - FRAME, large(), plain());
    assert_ok(unmap(last, FRAME, 0));
    expect_nothing(last);
    expect_page(last - FRAME, large() - 2 * FRAME, FRAME, plain());
    assert_ok(unmap(last - large() + FRAME, large(), QUIRE_PAGING_HOLES));
}

/* ---- Tables that cannot be had ------------------------------------------------------------- */

enum { CALLS = 3 };

/* A call that needs tables, on what the one before left. */
static int call(unsigned number, uint64_t base)
{
    switch (number) {
    case 0:
        return map(base + large() - FRAME, 2 * large() + 2 * FRAME, large() - FRAME, 0);
    case 1:
        return quire_paging_protect(
            &rig.paging, range(base + large() + FRAME, 2 * large() - 2 * FRAME), RX, 0, &gather);
    default:
        return map(base + QUIRE_PAGE_1G - FRAME, 2 * FRAME, 0x1000, 0);
    }
}

static uint64_t digest;

static int add_page(void *ctx, quire_vaddr virt, const struct quire_page *page)
{
    (void)ctx;
    digest = (digest ^ virt.n ^ page->phys.n << 7 ^ page->size << 13 ^ page->access) * 1099511627;
    return 0;
}

static uint64_t digest_of_all(uint64_t base)
{
    digest = 1;
    assert_ok(quire_paging_walk(&rig.paging, range(base, 2 * QUIRE_PAGE_1G), add_page, NULL));
    return digest;
}

static void each_table_refused(uint64_t base)
{
    base &= ~(large() - 1);
    for (unsigned i = 0; i < CALLS; i++) {
        uint64_t before = digest_of_all(base), n = 0;
        int error = QUIRE_ERR_NO_MEMORY;

        while (error) {
            rig.failed = false;
            rig.fail_in = ++n;
            error = call(i, base);
            rig.fail_in = 0;
            if (error) {
                assert_error(error, QUIRE_ERR_NO_MEMORY);
                assert_true(rig.failed);
                assert_int_equal(digest_of_all(base), before);
                assert_int_equal(gather.count, 0);
            }
        }
        if (i != 1 || large() == QUIRE_PAGE_2M)
            assert_true(n > 1);
        assert_true(digest_of_all(base) != before);
        memset(&gather, 0, sizeof gather);
    }
}

static void begin_refused(uint64_t base)
{
    struct quire_paging second;
    uint64_t tables = rig_tables(&rig), n = 0;
    int error = QUIRE_ERR_NO_MEMORY;

    (void)base;
    while (error) {
        rig.fail_in = ++n;
        error = quire_paging_init(&second, format(), &rig.port);
        if (error)
            assert_int_equal(rig_tables(&rig), tables);
    }
    assert_int_equal(n, format()->root_complete ? 6 : 2);
    rig.fail_in = 0;
    quire_paging_destroy(&second);
    assert_int_equal(rig_tables(&rig), tables);
}

#define ON_ALL(test)                     \
    static void test##_all(void **state) \
    {                                    \
        (void)state;                     \
        on_all(test);                    \
    }
ON_ALL(one_page)
ON_ALL(every_attribute)
ON_ALL(largest_pages)
ON_ALL(parts_split)
ON_ALL(middle_split)
ON_ALL(ends_share_tables)
ON_ALL(neighbours_join)
ON_ALL(update_exchanges)
ON_ALL(protect_keeps_marks)
ON_ALL(shared_tables)
ON_ALL(bad_input)
ON_ALL(last_page)
ON_ALL(each_table_refused)
ON_ALL(begin_refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_page_all),
        cmocka_unit_test(every_attribute_all),
        cmocka_unit_test(largest_pages_all),
        cmocka_unit_test(parts_split_all),
        cmocka_unit_test(middle_split_all),
        cmocka_unit_test(ends_share_tables_all),
        cmocka_unit_test(neighbours_join_all),
        cmocka_unit_test(update_exchanges_all),
        cmocka_unit_test(protect_keeps_marks_all),
        cmocka_unit_test(shared_tables_all),
        cmocka_unit_test(bad_input_all),
        cmocka_unit_test(last_page_all),
        cmocka_unit_test(each_table_refused_all),
        cmocka_unit_test(begin_refused_all),
    };

    return cmocka_run_group_tests_name("paging", tests, NULL, NULL);
}
