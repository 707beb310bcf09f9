/* SPDX-License-Identifier: MIT
 *
 * reserved.h - what a space writes into entries that are not present. Private to kernel-port/vm.
 *
 *   reserved   for an access, 0 of a guard: a fault puts a page there. At any level: it stands for
 *              all that the entry covers.
 *   held       a page that is being copied or counted; who wrote it, and nobody else, replaces it,
 *              as a busy entry (EN4). Never above level 0.
 *   leaving    a page that was taken out, whose frame is not given back yet. Its access is what it
 *              will be reserved for, or 0: nothing.
 *
 * A reserved entry says all that a fault has to know, so it needs no descriptor, and no generation:
 * a fault that comes late, to an entry that was emptied and reserved again alike, does what is
 * wanted there. Present are pages, and tables, whose invariants are those of entry.h, and:
 *   SP1  A page that may be shared with another space is not writable. If its area is, it has the
 *        bit `copy`, and so has a page that became writable after it was mapped.
 *   SP2  Whether a page is shared changes from no to yes only while its entry is held, by a fork.
 *   SP3  A frame is given back after all processors have forgotten its page, by who took the page
 *        out and was its last owner.
 *
 * The bits are below those of an address in all formats, so that a processor that runs ahead, and
 * takes an entry that is not present for one that is, finds the address 0; of a leaving one, whose
 * frame stands there, all bits of the address are inverted.
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
};

static inline uint64_t entry_reserved(uint32_t access, bool large)
{
    return RESERVED | (uint64_t)access << RESERVED_ACCESS_SHIFT | (large ? RESERVED_LARGE : 0);
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

static inline uint64_t entry_leaving(const struct quire_paging_format *f, uint64_t page,
                                     uint32_t access)
{
    return (~page & f->frame_mask) | entry_reserved(access, false) | RESERVED_LEAVING;
}

static inline quire_pfn leaving_pfn(const struct quire_paging_format *f, uint64_t e)
{
    return entry_pfn(f, ~e);
}

/* What may be done with a page, after a copy if need be. */
static inline uint32_t page_access(const struct quire_paging_format *f, unsigned level, uint64_t e)
{
    struct quire_page page;

    page_of_entry(f, level, e, &page);
    return page.access | (e & f->copy ? QUIRE_WRITE : 0);
}

/* The page with this access, which is written in place if it is written already, or large: those
 * are nobody else's. */
static inline uint64_t page_with_access(const struct quire_paging_format *f, unsigned level,
                                        uint64_t e, uint32_t access)
{
    struct quire_page page;

    page_of_entry(f, level, e, &page);
    if (level == 0 && (access & QUIRE_WRITE) && !(page.access & QUIRE_WRITE))
        return entry_with_access(f, e, access & ~(uint32_t)QUIRE_WRITE) | f->copy;
    return entry_with_access(f, e, access) & ~f->copy;
}

/* As it is for two owners. */
static inline uint64_t page_for_two(const struct quire_paging_format *f, uint64_t e)
{
    uint32_t access = page_access(f, 0, e);

    if (!(access & QUIRE_WRITE))
        return e;
    return entry_with_access(f, e, access & ~(uint32_t)QUIRE_WRITE) | f->copy;
}

#endif /* QUIRE_VM_RESERVED_H */
