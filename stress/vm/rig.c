/* SPDX-License-Identifier: MIT
 *
 * rig.c - see rig.h.
 */
#include "rig.h"

#include "core/atomic.h"
#include "stress/common/assert.h"

#include <stdlib.h>
#include <string.h>

#define UPPER_48 UINT64_C(0xffff000000000000)

const struct rig_format rig_formats[RIG_FORMATS] = {
    {&quire_x86_64_4level, MMU_X86_64, UINT64_C(0xffff80ffc0000000)},
    {&quire_x86_64_5level, MMU_X86_64, UINT64_C(0x0000ffffc0000000)},
    {&quire_i386, MMU_I386, 0x3fc00000},
    {&quire_i386_pae, MMU_I386_PAE, 0x70000000},
    {&quire_aarch64_lower, MMU_AARCH64, UINT64_C(0x00007fffc0000000)},
    {&quire_aarch64_upper, MMU_AARCH64, UPPER_48 | UINT64_C(0x00007fffc0000000)},
    {&quire_riscv64_sv39, MMU_RISCV64, UINT64_C(0xffffffc080000000)},
    {&quire_riscv64_sv48, MMU_RISCV64, UINT64_C(0x0000007fc0000000)},
};

static int give(void *ctx, uint64_t below, quire_pfn *pfn)
{
    struct rig *rig = ctx;
    struct quire_table_source pool = quire_tables_from_pool(&rig->pool);
    int error;

    if (rig->fail_in && --rig->fail_in == 0) {
        rig->failed = true;
        return QUIRE_ERR_NO_MEMORY;
    }
    error = pool.alloc(pool.ctx, below, pfn);
    if (error == 0) /* any content */
        memset(rig->memory.bytes + (pfn->n - RIG_FIRST) * QUIRE_FRAME_SIZE, 0xa5, QUIRE_FRAME_SIZE);
    return error;
}

static void take_back(void *ctx, quire_pfn pfn)
{
    struct rig *rig = ctx;
    struct quire_table_source pool = quire_tables_from_pool(&rig->pool);
    uint64_t frame = pfn.n - RIG_FIRST;

    assert_true(frame < RIG_FRAMES);
    assert_true(qa_load((qa64 *)rig->taken + frame / 64, relaxed) >> frame % 64 & 1);
    pool.free(pool.ctx, pfn);
}

static void *open_frame(void *ctx, quire_pfn pfn)
{
    struct rig *rig = ctx;

    assert_true(rig->open < 2);
    rig->open++;
    return rig->memory.bytes + (pfn.n - RIG_FIRST) * QUIRE_FRAME_SIZE;
}

static void close_frame(void *ctx, void *at)
{
    struct rig *rig = ctx;

    assert_non_null(at);
    assert_true(rig->open > 0);
    rig->open--;
}

static void forget(struct rig *rig, struct quire_vrange range)
{
    for (unsigned i = 0; i < RIG_TLB; i++) {
        struct rig_translation *t = &rig->tlb[i];

        if (t->access && quire_vrange_overlaps(range, quire_vrange_of(t->virt, t->size)))
            t->access = 0;
    }
}

static void invalidate(void *ctx, struct quire_vrange range)
{
    struct rig *rig = ctx;
    struct mmu_page page;

    if (rig->paging.format->break_before_make)
        assert_int_equal(mmu_access(&rig->mmu, range.start.n, QUIRE_READ, &page), MMU_ABSENT);
    (void)qa_add(&rig->invalidations, 1, relaxed);
    forget(rig, range);
}

void rig_begin(struct rig *rig, const struct rig_format *which, bool window)
{
    memset(rig, 0, sizeof *rig);
    rig->which = which;
    rig->window = window;
    rig->memory.first = RIG_FIRST;
    rig->memory.frames = RIG_FRAMES;
    rig->memory.bytes = aligned_alloc(QUIRE_FRAME_SIZE, (size_t)RIG_FRAMES * QUIRE_FRAME_SIZE);
    assert_non_null(rig->memory.bytes);
    rig->pool.run.pfn.n = RIG_FIRST;
    rig->pool.run.frames = RIG_FRAMES;
    rig->pool.taken = rig->taken;
    rig->port.tables.alloc = give;
    rig->port.tables.free = take_back;
    rig->port.tables.ctx = rig;
    rig->port.reach.base = (uintptr_t)rig->memory.bytes - (uintptr_t)RIG_FIRST * QUIRE_FRAME_SIZE;
    if (window) {
        rig->port.reach.base = 0;
        rig->port.reach.open = open_frame;
        rig->port.reach.close = close_frame;
        rig->port.reach.ctx = rig;
    }
    rig->port.invalidate = invalidate;
    rig->port.ctx = rig;
    assert_ok(quire_paging_init(&rig->paging, which->format, &rig->port));
    rig->mmu.kind = which->kind;
    rig->mmu.levels = which->format->levels;
    rig->mmu.memory = &rig->memory;
    mmu_load(&rig->mmu, quire_paging_root(&rig->paging));
}

uint64_t rig_tables(const struct rig *rig)
{
    uint64_t tables = 0;

    for (unsigned i = 0; i < RIG_FRAMES / 64; i++)
        tables += (unsigned)__builtin_popcountll(rig->taken[i]);
    return tables;
}

void rig_end(struct rig *rig)
{
    quire_paging_destroy(&rig->paging);
    assert_int_equal(rig_tables(rig), 0);
    assert_int_equal(rig->open, 0);
    free(rig->memory.bytes);
}

enum mmu_answer rig_access(struct rig *rig, uint64_t virt, uint32_t access, struct mmu_page *page)
{
    struct rig_translation *t = &rig->tlb[(virt >> QUIRE_FRAME_SHIFT) % RIG_TLB];
    enum mmu_answer answer = mmu_access(&rig->mmu, virt, access, page);

    if (answer != MMU_OK)
        return answer;
    if (!t->access || virt - t->virt >= t->size)
        t->access = 0;
    t->virt = virt & ~(page->size - 1);
    t->size = page->size;
    t->phys = page->phys - (virt & (page->size - 1));
    t->access |= access;
    for (unsigned i = 0; i < RIG_TLB; i++) { /* one size for one address */
        const struct rig_translation *other = &rig->tlb[i];

        if (other->access && other->size != t->size &&
            quire_vrange_overlaps(quire_vrange_of(other->virt, other->size),
                                  quire_vrange_of(t->virt, t->size)))
            fail_msg("%s: two sizes for %#llx", rig->which->format->name, (unsigned long long)virt);
    }
    return answer;
}

void rig_forget(struct rig *rig, struct quire_gather *gather)
{
    for (unsigned i = 0; i < RIG_TLB && gather->all; i++)
        rig->tlb[i].access = 0;
    for (uint32_t i = 0; i < gather->count; i++)
        forget(rig, gather->pages[i]);
    memset(gather, 0, sizeof *gather);
}

void rig_check_tlb(struct rig *rig)
{
    for (unsigned i = 0; i < RIG_TLB; i++) {
        const struct rig_translation *t = &rig->tlb[i];
        struct quire_page page;
        quire_paddr phys;

        if (!t->access)
            continue;
        assert_ok(quire_paging_translate(&rig->paging, quire_vaddr_of(t->virt), &page, &phys));
        assert_int_equal(phys.n, t->phys);
        assert_int_equal(page.size, t->size);
        assert_int_equal(t->access & ~page.access, 0);
    }
}

struct quire_page rig_page(uint64_t phys, uint32_t access)
{
    struct quire_page page = {{phys}, 0, access, QUIRE_TYPE_NORMAL, false, true, true};

    return page;
}
