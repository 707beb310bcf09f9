/* SPDX-License-Identifier: MIT
 *
 * entry.h - what stands in a table's entry, and the operations on it. Private to kernel-port/vm.
 *
 * An entry is 0 (empty), present, busy: a page that is being replaced, in a format that asks for
 * break-before-make; or what a space has written there (reserved.h). Invariants:
 *   EN1  Above level 0 a present entry is a table or a large page; at level 0 it is a page.
 *   EN2  A table is complete before an entry names it, and stays where it is until join, promote,
 *        trim or destroy.
 *   EN3  An entry that is not empty changes by compare-and-swap alone, against what was seen: the
 *        processor's marks are in what is compared. The processor marks none that is not present.
 *   EN4  Whoever made an entry busy, and nobody else, replaces it again.
 */
#ifndef QUIRE_VM_ENTRY_H
#define QUIRE_VM_ENTRY_H

#include "core/atomic.h"

#include <quire/paging.h>

enum { ENTRY_PRESENT = 1 };

/* ---- Numbers of a format ------------------------------------------------------------------- */

static inline uint64_t level_size(const struct quire_paging_format *f, unsigned level)
{
    return (uint64_t)1 << (QUIRE_FRAME_SHIFT + f->index_bits * level);
}

static inline unsigned level_entries(const struct quire_paging_format *f, unsigned level)
{
    return 1u << (level + 1u == f->levels ? f->root_bits : f->index_bits);
}

static inline unsigned level_index(const struct quire_paging_format *f, unsigned level,
                                   uint64_t virt)
{
    return (unsigned)(virt >> (QUIRE_FRAME_SHIFT + f->index_bits * level)) &
           (level_entries(f, level) - 1);
}

/* ---- What an entry says -------------------------------------------------------------------- */

static inline bool entry_is_busy(const struct quire_paging_format *f, uint64_t e)
{
    return (e & ENTRY_PRESENT) == 0 && (e & f->busy) != 0;
}

/* A page, there or busy; not what a space wrote into an entry that is not present (reserved.h). */
static inline bool entry_is_mapped(const struct quire_paging_format *f, uint64_t e)
{
    return (e & (ENTRY_PRESENT | f->busy)) != 0;
}

static inline bool entry_is_table(const struct quire_paging_format *f, unsigned level, uint64_t e)
{
    return level > 0 && (e & ENTRY_PRESENT) != 0 && (e & f->kind_mask) == f->kind_table;
}

static inline uint64_t entry_phys(const struct quire_paging_format *f, uint64_t e)
{
    return (e & f->frame_mask) << f->frame_shift;
}

static inline quire_pfn entry_pfn(const struct quire_paging_format *f, uint64_t e)
{
    return quire_pfn_of_phys(entry_phys(f, e));
}

static inline uint64_t entry_of_table(const struct quire_paging_format *f, unsigned level,
                                      quire_pfn pfn)
{
    return quire_phys(pfn) >> f->frame_shift | (level + 1u == f->levels ? f->root_table : f->table);
}

/* The entry names a table that another page table has, too: its own is marked `shared`, and in the
 * root that gave it `copy`, which says nothing else of a table. */
static inline bool entry_is_table_of_two(const struct quire_paging_format *f, unsigned level,
                                         uint64_t e)
{
    return level + 1u == f->levels && (e & (f->shared | f->copy));
}

/* The small page of this entry with another frame. */
static inline uint64_t entry_with_frame(const struct quire_paging_format *f, uint64_t e,
                                        quire_pfn pfn)
{
    return (e & ~f->frame_mask) | quire_phys(pfn) >> f->frame_shift;
}

/* A page that is being replaced: all but the present bit is as before. */
static inline uint64_t entry_busy(const struct quire_paging_format *f, uint64_t e)
{
    return (e & ~(uint64_t)ENTRY_PRESENT) | f->busy;
}

static inline bool entry_is_dirty(const struct quire_paging_format *f, uint64_t e)
{
    if (f->clean && (e & f->writable) && !(e & f->clean))
        return true; /* the processor wrote it */
    return (e & f->dirty) != 0;
}

/* The entry of a page with these marks, and no others. */
static inline uint64_t entry_with_marks(const struct quire_paging_format *f, uint64_t e,
                                        bool accessed, bool dirty)
{
    e &= ~(f->accessed | f->dirty | f->clean);
    if (accessed)
        e |= f->accessed;
    if (dirty)
        e |= f->dirty;
    if (!dirty || !(e & f->writable))
        e |= f->clean;
    return e;
}

/* The format has this access. */
static inline bool access_exists(const struct quire_paging_format *f, uint32_t access)
{
    return access <= QUIRE_ACCESS_ALL && f->access[access] != QUIRE_PAGING_NO_ENCODING;
}

static inline uint64_t entry_with_access(const struct quire_paging_format *f, uint64_t e,
                                         uint32_t access)
{
    bool accessed = (e & f->accessed) != 0, dirty = entry_is_dirty(f, e);

    return entry_with_marks(f, (e & ~f->access_mask) | f->access[access], accessed, dirty);
}

/* What pages in a row mostly have in common: all of their entries but the frames and marks. What is
 * changed in one is then changed in the next ones by the same bits. */
static inline uint64_t entry_alike_mask(const struct quire_paging_format *f)
{
    return ~(f->frame_mask | f->accessed | (f->clean ? 0 : f->dirty));
}

/* The entry of a page whose attributes the format has. */
static inline uint64_t entry_of_page(const struct quire_paging_format *f, unsigned level,
                                     const struct quire_page *page)
{
    uint64_t e = page->phys.n >> f->frame_shift;

    e |= level > 0 ? f->large_page : f->small_page;
    e |= f->access[page->access] | f->types[page->type] | (page->global ? f->global : f->local);
    if (page->accessed)
        e |= f->accessed;
    if (page->dirty)
        e |= f->dirty;
    if (f->clean && (!page->dirty || !(e & f->writable)))
        e |= f->clean;
    return e;
}

static inline bool entry_is_global(const struct quire_paging_format *f, uint64_t e)
{
    return (e & (f->global | f->local)) == f->global;
}

/* The access of the entry of a page. */
static inline uint32_t entry_access(const struct quire_paging_format *f, uint64_t e)
{
    return f->access_back[((e & f->access_mask) * f->access_spread) >> 60];
}

/* What the entry of a page, present or busy, maps. */
static inline void page_of_entry(const struct quire_paging_format *f, unsigned level, uint64_t e,
                                 struct quire_page *page)
{
    page->size = level_size(f, level);
    page->phys.n = entry_phys(f, e) & ~(page->size - 1);
    page->access = entry_access(f, e);
    page->type = QUIRE_TYPE_NORMAL;
    for (unsigned i = 0; i < QUIRE_TYPES; i++)
        if (f->types[i] == (e & f->type_mask)) {
            page->type = (enum quire_memory_type)i;
            break;
        }
    page->global = entry_is_global(f, e);
    page->accessed = (e & f->accessed) != 0;
    page->dirty = entry_is_dirty(f, e);
}

/* ---- Operations ---------------------------------------------------------------------------- */

/* What stands there. */
static inline uint64_t entry_load(const struct quire_paging_format *f, const void *table,
                                  unsigned index)
{
    if (f->entry_bytes == 4)
        return qa_load((const qa32 *)table + index, acquire); /* E-entry acquire: as below */
    return qa_load((const qa64 *)table + index, acquire); /* E-entry acquire: a table's entries */
}

/* Put `desired` in the place of `expected`; false if something else stands there. */
static inline bool entry_replace(const struct quire_paging_format *f, void *table, unsigned index,
                                 uint64_t expected, uint64_t desired)
{
    uint32_t narrow = (uint32_t)expected;

    if (f->entry_bytes == 4)
        /* E-entry acquire: as below; E-entry release: as below */
        return qa_cas((qa32 *)table + index, &narrow, (uint32_t)desired, acq_rel);
    /* E-entry acquire: what came before the entry that was there; E-entry release: the table that
     * it names is complete, and what was written to the page before comes with it */
    return qa_cas((qa64 *)table + index, &expected, desired, acq_rel);
}

/* Put something where nobody else does: in the place of an entry that we made busy or held (EN4),
 * or of an empty one of a table into which one call at a time puts something. */
static inline void entry_put(const struct quire_paging_format *f, void *table, unsigned index,
                             uint64_t e)
{
    if (f->entry_bytes == 4)
        qa_store((qa32 *)table + index, (uint32_t)e, release); /* E-entry release: as below */
    else
        qa_store((qa64 *)table + index, e, release); /* E-entry release: what came before */
}

/* Write an entry of a table that nobody else has seen. */
static inline void entry_fill(const struct quire_paging_format *f, void *table, unsigned index,
                              uint64_t e)
{
    if (f->entry_bytes == 4)
        qa_store((qa32 *)table + index, (uint32_t)e, relaxed); /* relaxed: the caller's */
    else
        qa_store((qa64 *)table + index, e, relaxed); /* relaxed: the caller's */
}

/* ---- Frames -------------------------------------------------------------------------------- */

static inline void *reach_open(const struct quire_reach *reach, quire_pfn pfn)
{
    if (reach->open)
        return reach->open(reach->ctx, pfn);
    return (void *)(reach->base + (uintptr_t)quire_phys(pfn));
}

static inline void reach_close(const struct quire_reach *reach, void *at)
{
    if (reach->open && reach->close)
        reach->close(reach->ctx, at);
}

static inline void *table_open(const struct quire_paging *paging, quire_pfn pfn)
{
    return reach_open(&paging->port.reach, pfn);
}

static inline void table_close(const struct quire_paging *paging, void *at)
{
    reach_close(&paging->port.reach, at);
}

#endif /* QUIRE_VM_ENTRY_H */
