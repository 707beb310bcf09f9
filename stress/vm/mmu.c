/* SPDX-License-Identifier: MIT
 *
 * mmu.c - see mmu.h.
 */
#include "mmu.h"

#include "core/atomic.h"

#include <stddef.h>

#define BIT(n) (UINT64_C(1) << (n))

static void *table_at(const struct mmu *mmu, uint64_t phys)
{
    uint64_t frame = (phys >> 12) - mmu->memory->first;

    return frame < mmu->memory->frames ? mmu->memory->bytes + frame * 4096 : NULL;
}

static uint64_t read64(void *table, uint64_t index)
{
    return qa_load((qa64 *)table + index, acquire);
}

void mmu_load(struct mmu *mmu, quire_pfn root)
{
    void *table = table_at(mmu, quire_phys(root));

    mmu->root = root;
    if (mmu->kind == MMU_I386_PAE)
        for (unsigned i = 0; i < 4; i++)
            mmu->pae_root[i] = read64(table, i);
}

/* Set and clear bits of an entry, if it is still as it was seen: the locked update of a walk. */
static bool mark64(void *table, uint64_t index, uint64_t seen, uint64_t set, uint64_t clear)
{
    uint64_t now = (seen | set) & ~clear;

    return now == seen || qa_cas((qa64 *)table + index, &seen, now, acq_rel);
}

/* ---- x86 with entries of 8 bytes ----------------------------------------------------------- */

static enum mmu_answer x86_rights(uint64_t all, uint64_t any, uint32_t access)
{
    if ((access & QUIRE_USER) && !(all & BIT(2)))
        return MMU_DENIED;
    if ((access & QUIRE_WRITE) && !(all & BIT(1)))
        return MMU_DENIED;
    return (access & QUIRE_EXECUTE) && (any & BIT(63)) ? MMU_DENIED : MMU_OK;
}

static enum mmu_answer x86_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                                  struct mmu_page *page)
{
    uint64_t phys = quire_phys(mmu->root), all = UINT64_MAX, any = 0;
    unsigned level = mmu->levels - 1;

    if (mmu->kind == MMU_I386_PAE) {
        uint64_t e = mmu->pae_root[virt >> 30 & 3];

        if (!(e & 1))
            return MMU_ABSENT;
        if (e & (BIT(63) | 0x1e6))
            return MMU_INVALID;
        phys = e & 0x000ffffffffff000;
        level--;
    }
    for (;; level--) {
        uint64_t index = virt >> (12 + 9 * level) & 511, e;
        void *table = table_at(mmu, phys);
        bool leaf;

        if (!table)
            return MMU_INVALID;
        e = read64(table, index);
        if (!(e & 1))
            return MMU_ABSENT;
        leaf = level == 0 || (e & BIT(7));
        if (leaf && (level > 2 || (level == 2 && mmu->kind == MMU_I386_PAE)))
            return MMU_INVALID;
        all &= e;
        any |= e;
        phys = e & 0x000ffffffffff000;
        if (!leaf) {
            if (!mark64(table, index, e, BIT(5), 0))
                return MMU_AGAIN;
            continue;
        }
        page->size = BIT(12 + 9 * level);
        if (phys & (page->size - 1))
            return MMU_INVALID;
        if (x86_rights(all, any, access))
            return MMU_DENIED;
        if (!mark64(table, index, e, access & QUIRE_WRITE ? BIT(5) | BIT(6) : BIT(5), 0))
            return MMU_AGAIN;
        page->phys = phys | (virt & (page->size - 1));
        return MMU_OK;
    }
}

/* ---- i386 with two levels ------------------------------------------------------------------ */

static enum mmu_answer i386_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                                   struct mmu_page *page)
{
    uint64_t phys = quire_phys(mmu->root), all = UINT64_MAX;

    for (unsigned level = 1;; level--) {
        uint64_t index = virt >> (12 + 10 * level) & 1023;
        qa32 *entry = (qa32 *)table_at(mmu, phys);
        uint32_t e, marks = 1u << 5;

        if (!entry)
            return MMU_INVALID;
        entry += index;
        e = qa_load(entry, acquire);
        if (!(e & 1))
            return MMU_ABSENT;
        all &= e;
        page->size = BIT(12 + 10 * level);
        phys = e & 0xfffff000;
        if (level == 0 || (e & 1u << 7)) {
            if (phys & (page->size - 1))
                return MMU_INVALID;
            if (x86_rights(all, 0, access))
                return MMU_DENIED;
            if (access & QUIRE_WRITE)
                marks |= 1u << 6;
            page->phys = phys | (virt & (page->size - 1));
        }
        if ((e | marks) != e) {
            uint32_t seen = e;

            if (!qa_cas(entry, &seen, e | marks, acq_rel))
                return MMU_AGAIN;
        }
        if (level == 0 || (e & 1u << 7))
            return MMU_OK;
    }
}

/* ---- aarch64 ------------------------------------------------------------------------------- */

static enum mmu_answer aarch64_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                                      struct mmu_page *page)
{
    uint64_t phys = quire_phys(mmu->root);

    for (unsigned level = 3;; level--) {
        uint64_t index = virt >> (12 + 9 * level) & 511, e, clear = 0;
        void *table = table_at(mmu, phys);

        if (!table)
            return MMU_INVALID;
        e = read64(table, index);
        if (!(e & 1))
            return MMU_ABSENT;
        phys = e & 0x0000fffffffff000;
        if (level > 0 && (e & 2))
            continue;
        if ((level == 0 && !(e & 2)) || level == 3)
            return MMU_INVALID;
        page->size = BIT(12 + 9 * level);
        if (phys & (page->size - 1))
            return MMU_INVALID;
        if (access & QUIRE_EXECUTE) {
            if (e & (access & QUIRE_USER ? BIT(54) : BIT(53)))
                return MMU_DENIED;
        } else if ((access & QUIRE_USER) && !(e & BIT(6))) {
            return MMU_DENIED;
        }
        if ((access & QUIRE_WRITE) && (e & BIT(7))) {
            if (!(e & BIT(51)))
                return MMU_DENIED;
            clear = BIT(7);
        }
        if (!mark64(table, index, e, BIT(10), clear))
            return MMU_AGAIN;
        page->phys = phys | (virt & (page->size - 1));
        return MMU_OK;
    }
}

/* ---- riscv64 ------------------------------------------------------------------------------- */

static enum mmu_answer riscv64_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                                      struct mmu_page *page)
{
    uint64_t phys = quire_phys(mmu->root);

    for (unsigned level = mmu->levels - 1;; level--) {
        uint64_t index = virt >> (12 + 9 * level) & 511, e, need = 0;
        void *table = table_at(mmu, phys);

        if (!table)
            return MMU_INVALID;
        e = read64(table, index);
        if (!(e & 1))
            return MMU_ABSENT;
        if ((e & BIT(2) && !(e & BIT(1))) || e >> 54)
            return MMU_INVALID;
        phys = (e >> 10) << 12;
        if (!(e & 0xe)) {
            if (level == 0 || (e & 0xd0))
                return MMU_INVALID;
            continue;
        }
        page->size = BIT(12 + 9 * level);
        if (phys & (page->size - 1))
            return MMU_INVALID;
        need |= access & QUIRE_READ ? BIT(1) : 0;
        need |= access & QUIRE_WRITE ? BIT(2) : 0;
        need |= access & QUIRE_EXECUTE ? BIT(3) : 0;
        if ((e & need) != need || ((access & QUIRE_USER) != 0) != ((e & BIT(4)) != 0))
            return MMU_DENIED;
        if (!mark64(table, index, e, access & QUIRE_WRITE ? BIT(6) | BIT(7) : BIT(6), 0))
            return MMU_AGAIN;
        page->phys = phys | (virt & (page->size - 1));
        return MMU_OK;
    }
}

enum mmu_answer mmu_access(const struct mmu *mmu, uint64_t virt, uint32_t access,
                           struct mmu_page *page)
{
    enum mmu_answer answer = MMU_AGAIN;

    while (answer == MMU_AGAIN) {
        switch (mmu->kind) {
        case MMU_I386:
            answer = i386_access(mmu, virt, access, page);
            break;
        case MMU_AARCH64:
            answer = aarch64_access(mmu, virt, access, page);
            break;
        case MMU_RISCV64:
            answer = riscv64_access(mmu, virt, access, page);
            break;
        default:
            answer = x86_access(mmu, virt, access, page);
        }
    }
    return answer;
}
