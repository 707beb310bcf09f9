/* SPDX-License-Identifier: MIT
 *
 * scan.h - what the files about promotion have from each other. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_SCAN_H
#define QUIRE_VM_SCAN_H

#include "choice.h"

#include "kernel-port/vm/file/files.h"

enum { RETIRED_MOST = 8 };

struct scan {
    struct quire_space *space;
    const struct quire_promotion *how;
    struct quire_promoted *done;
    bool large_at_hand;              /* large pages can be had */
    unsigned longest;                /* order of a row that can be had, at most */
    quire_pfn retired[RETIRED_MOST]; /* tables that were replaced */
    unsigned retirements;
    struct forgotten aged;
};

/* What was seen of a part. */
struct part {
    uint64_t virt;
    quire_pfn table;
    uint32_t access, note;
    bool small; /* of what was not touched yet, some wants small pages */
    uint64_t present, accessed;
};

static inline uint64_t part_page(const struct part *part, unsigned index)
{
    return part->virt + index * (uint64_t)QUIRE_FRAME_SIZE;
}

/* May the contents of this frame not move now? */
static inline bool frame_is_pinned(const struct quire_promotion *how, quire_pfn pfn)
{
    return how->pinned && how->pinned(how->ctx, pfn);
}

/* Is there a page at this entry, one that is held included? */
static inline bool has_page(uint64_t e)
{
    return (e & ENTRY_PRESENT) || entry_is_held(e);
}

/* May the page of this entry be moved? One that is held may be shared, and come back as it was
 * (fault.c). */
static inline bool page_may_move(const struct scan *scan, uint64_t e)
{
    return !entry_is_held(e) && !qi_page_is_shared(scan->space, e) &&
           !frame_is_pinned(scan->how, entry_pfn(scan->space->paging.format, e));
}

/* The order of a row of a part, which is not longer than the part: tests' formats have parts that
 * are smaller than ROW_ORDER_MOST. */
static inline unsigned row_order_in(const struct quire_paging_format *f, unsigned order)
{
    return order < level_order(f, 1) ? order : level_order(f, 1);
}

/* So many pages of a part are wanted that do not read as zeros. */
static inline uint32_t wanted_pages(const struct scan *scan)
{
    uint64_t half = level_frames(scan->space->paging.format, 1) / 2;

    return scan->how->present ? scan->how->present : (uint32_t)half;
}

/* What may be done with the page of this entry, which has a frame or may get one. 0: it is none of
 * anonymous memory, or another call is about to change it. */
static inline uint32_t promoted_access(const struct quire_paging_format *f, uint64_t e)
{
    if (e & ENTRY_PRESENT)
        return page_is_cached(f, e) ? 0 : page_access(f, e);
    if (e == 0 || entry_is_held(e) || entry_is_leaving(e) || (e & RESERVED_FILE))
        return 0;
    return reserved_access(e);
}

/* demote.c: does the frame read as zeros? */
bool qi_frame_is_zero(struct quire_space *space, quire_pfn pfn);

/* rows.c: are the frames of these pages of a table an aligned run? */
bool qi_table_has_row(const struct quire_paging_format *f, const void *table, struct row row);

/* rows.c: make rows of the part's small pages where it is worth it. `asked`: qi_part_waits was
 * asked, and said no. QUIRE_ERR_NO_MEMORY, or what else the source answered: as
 * quire_space_promote. */
int qi_rows_make(struct scan *scan, const struct part *part, bool asked);

#endif /* QUIRE_VM_SCAN_H */
