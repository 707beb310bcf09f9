/* SPDX-License-Identifier: MIT
 *
 * reserved.h - what a space writes into entries that are not present. Private to kernel-port/vm.
 *
 *   reserved   for an access, 0 of a guard: a fault puts a page there. At any level: it stands for
 *              all that the entry covers.
 *   held       a page that is being copied or counted, or (above level 1) a gigabyte that is being
 *              written; who wrote it, and nobody else, replaces it, as a busy entry (EN4). In a
 *              table that was replaced: for good.
 *   folding    held, at level 1: a table whose pages are being copied into one large page, and
 *              which stands in the entry. A fault may put it back: then the copy is for nothing.
 *   leaving    a page that was taken out, whose frame is not given back yet. Its access is what it
 *              will be reserved for, or 0: nothing; of a large one it says, too, whether that is a
 *              large page again.
 *
 * A reserved entry of anonymous memory says all that a fault has to know, so it needs no
 * descriptor, and no generation: a fault that comes late, to an entry that was emptied and reserved
 * again alike, does what is wanted there. Of an area that more is known of, it has the number of a
 * *note* (file/note.c), in the place of an address. Present are pages, and tables, whose invariants
 * are those of entry.h, and: SP1  A page that may be shared with another space is not writable. If
 * its area is, it has the bit `copy`, and so has a page that became writable after it was mapped.
 *   SP2  Whether a page is shared changes from no to yes only while its entry is held, by a fork.
 *   SP3  A frame is given back after all processors have forgotten its page, by who took the page
 *        out and was its last owner.
 *   SP4  A page at level 0 with the bit `shared` is *cached*: its frame is a file's (file/cache.c).
 *        It is writable in an area that shares the file alone.
 *   SP5  A page above level 0 with the bit `shared` was promoted (unless it had untouched pages,
 *        and all of them were advised large), or was advised small later: its address wants small
 *        pages when it is gone.
 *
 * The bits are below those of an address in all formats, so that a processor that runs ahead, and
 * takes an entry that is not present for one that is, finds the address 0; of a leaving one, whose
 * frame stands there, a folding one, and one with a note, all bits of the address are inverted.
 */
#ifndef QUIRE_VM_RESERVED_H
#define QUIRE_VM_RESERVED_H

#include "entry.h"

#include <quire/space.h>

enum {
    RESERVED = 1u << 1, /* set in all of them */
    RESERVED_ACCESS_SHIFT = 2,
    RESERVED_LARGE = 1u << 6, /* by a large page, if there is one */
    RESERVED_HELD = 1u << 7,
    RESERVED_LEAVING = 1u << 8,
    RESERVED_FILE = 1u << 9,         /* an area of a file; a leaving page that was cached, */
    RESERVED_DIRTY = RESERVED_LARGE, /* and of that one: it was written to */
};
#define NO_NOTE UINT32_MAX

static inline uint64_t entry_reserved(uint32_t access, bool large)
{
    return RESERVED | (uint64_t)access << RESERVED_ACCESS_SHIFT | (large ? RESERVED_LARGE : 0);
}

/* What it has besides if it has this note. */
static inline uint64_t entry_note(const struct quire_paging_format *f, uint32_t note, bool file)
{
    return (~(quire_phys(quire_pfn_of(note)) >> f->frame_shift) & f->frame_mask) |
           (file ? (uint64_t)RESERVED_FILE : 0);
}

/* A reserved entry with another access. */
static inline uint64_t reserved_with_access(uint64_t e, uint32_t access)
{
    return (e & ~((uint64_t)QUIRE_ACCESS_ALL << RESERVED_ACCESS_SHIFT)) |
           (uint64_t)access << RESERVED_ACCESS_SHIFT;
}

/* Of a reserved entry: the number of its note, or NO_NOTE. */
static inline uint32_t reserved_note(const struct quire_paging_format *f, uint64_t e)
{
    return e & f->frame_mask ? (uint32_t)entry_pfn(f, ~e).n : NO_NOTE;
}

static inline uint32_t reserved_access(uint64_t e)
{
    return (uint32_t)(e >> RESERVED_ACCESS_SHIFT) & QUIRE_ACCESS_ALL;
}

static inline bool entry_is_held(uint64_t e)
{
    return (e & ENTRY_PRESENT) == 0 && (e & RESERVED_HELD) != 0;
}

static inline bool entry_is_leaving(uint64_t e)
{
    return (e & ENTRY_PRESENT) == 0 && (e & RESERVED_LEAVING) != 0;
}

static inline uint64_t entry_held(void)
{
    return RESERVED | RESERVED_HELD;
}

/* SP5 */
static inline bool large_is_wanted(const struct quire_paging_format *f, uint64_t e)
{
    return !(e & f->shared);
}

static inline uint64_t large_with_wish(const struct quire_paging_format *f, uint64_t e, bool large)
{
    return large ? e & ~f->shared : e | f->shared;
}

static inline uint64_t entry_leaving(const struct quire_paging_format *f, unsigned level,
                                     uint64_t page, uint32_t access)
{
    bool large = level > 0 && large_is_wanted(f, page);
    uint64_t e = (~page & f->frame_mask) | entry_reserved(access, large) | RESERVED_LEAVING;

    if (level == 0 && (page & f->shared))
        e |= RESERVED_FILE | (entry_is_dirty(f, page) ? (uint64_t)RESERVED_DIRTY : 0);
    return e;
}

/* What stands in the place of this table while its pages are copied. */
static inline uint64_t entry_folding(const struct quire_paging_format *f, uint64_t table)
{
    return (~table & f->frame_mask) | entry_held();
}

static inline bool entry_is_folding(unsigned level, uint64_t e)
{
    return level == 1 && entry_is_held(e);
}

/* The table again. */
static inline uint64_t entry_unfolded(const struct quire_paging_format *f, unsigned level,
                                      uint64_t e)
{
    return entry_of_table(f, level, entry_pfn(f, ~e));
}

/* Of an entry at level 0. */
static inline bool page_is_cached(const struct quire_paging_format *f, uint64_t e)
{
    return (e & ENTRY_PRESENT) && (e & f->shared);
}

static inline quire_pfn leaving_pfn(const struct quire_paging_format *f, uint64_t e)
{
    return entry_pfn(f, ~e);
}

/* What may be done with a page, after a copy if need be. */
static inline uint32_t page_access(const struct quire_paging_format *f, uint64_t e)
{
    return entry_access(f, e) | (e & f->copy ? QUIRE_WRITE : 0);
}

/* The page with this access, which is written in place if it is written already, or large: those
 * are nobody else's. */
static inline uint64_t page_with_access(const struct quire_paging_format *f, unsigned level,
                                        uint64_t e, uint32_t access)
{
    if (level == 0 && (access & QUIRE_WRITE) && !(entry_access(f, e) & QUIRE_WRITE))
        return entry_with_access(f, e, access & ~(uint32_t)QUIRE_WRITE) | f->copy;
    return entry_with_access(f, e, access) & ~f->copy;
}

/* As it is for two owners. */
static inline uint64_t page_for_two(const struct quire_paging_format *f, uint64_t e)
{
    uint32_t access = page_access(f, e);

    if (!(access & QUIRE_WRITE))
        return e;
    return entry_with_access(f, e, access & ~(uint32_t)QUIRE_WRITE) | f->copy;
}

#endif /* QUIRE_VM_RESERVED_H */
