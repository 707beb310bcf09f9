/* SPDX-License-Identifier: MIT
 *
 * spaces.h - what the files about address spaces have from each other. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_SPACES_H
#define QUIRE_VM_SPACES_H

#include "promote/words.h"
#include "reserved.h"
#include "steps.h"

#include <stddef.h>

/* ---- share.c: how many spaces map a frame --------------------------------------------------- */

enum { COUNTS_SHIFT = 10, COUNTS_IN_TABLE = 1 << COUNTS_SHIFT }; /* frames of a table of counts */

/* Frames of one table of counts get one owner more each, or one less. */
struct counting {
    qa32 *counts;   /* the table, if it is open; NULL: there is none */
    quire_pfn pfn;  /* its frame */
    uint64_t first; /* the address of its first frame; COUNTING_NONE: it has not begun */
    uint32_t left;  /* users of it that we give up in the end */
    qa64 *word;     /* the table's, if it stays in reach; or NULL */
};
#define COUNTING_NONE UINT64_MAX

/* Begin to add, with this frame and others of its table: so many at most. Each that had no other
 * owner is a user itself then, one less for us to give up. The table is not open yet. Why a table
 * could not be had; then nothing has begun. */
int qi_counting_begin(struct quire_shares *shares, quire_pfn pfn, uint32_t frames,
                      struct counting *counting);
void qi_counting_open(struct quire_shares *shares, struct counting *counting);
void qi_counting_end(struct quire_shares *shares, struct counting *counting);

/* Where the frame at this address is in the table; not less than COUNTS_IN_TABLE: in another one.
 */
static inline uint64_t counting_index(const struct counting *counting, uint64_t phys)
{
    return (phys ^ counting->first) >> QUIRE_FRAME_SHIFT;
}

/* One owner less of a frame, as qi_share_drop; for many. All of them have been taken out before the
 * first call, so none that has no table of counts gets one. Ends by qi_counting_end. */
bool qi_counting_drop(struct quire_shares *shares, struct counting *counting, quire_pfn pfn);

/* One less. True: it was the last one, and the frame is the caller's. `shares` may be NULL. */
bool qi_share_drop(struct quire_shares *shares, quire_pfn pfn);

/* Is there another one? `shares` may be NULL. */
bool qi_share_any(struct quire_shares *shares, quire_pfn pfn);

/* ---- space.c -------------------------------------------------------------------------------- */

/* A range that is invalidated: from the first page that was noted to the last. */
struct forgotten {
    uint64_t first, last;
    bool any;
};
void qi_forgotten_note(struct forgotten *forgotten, uint64_t virt, uint64_t bytes);
void qi_forget(struct quire_space *space, const struct forgotten *forgotten);

/* Is the range what a call takes: page by page, canonical, and inside of the space? */
int qi_space_check(const struct quire_space *space, struct quire_vrange range);

/* Is all of the range in areas, or, if not `reserved`, nothing of it? */
bool qi_space_is_all(struct quire_space *space, struct quire_vrange range, bool reserved);

/* Is it an access of anonymous memory: not none, and one that the format has, with and without
 * writing? */
bool qi_access_check(const struct quire_space *space, uint32_t access);

/* Let others run. */
void qi_space_relax(const struct quire_space *space);

/* The page that the step came to is held: let others run, and look again. */
void qi_space_wait(const struct quire_space *space, struct steps *steps);

/* Take out all pages of the range. With `keep` their addresses are reserved as before; without it
 * for nothing. All entries are inside of the range. `used`: a processor may know them. */
void qi_space_take_out(struct quire_space *space, struct quire_vrange range, bool keep, bool used);

/* ---- alter.c -------------------------------------------------------------------------------- */

/* Split what lies across `virt`, so that an entry begins there. */
int qi_space_split(struct quire_space *space, uint64_t virt);

/* ---- fault.c -------------------------------------------------------------------------------- */

/* Let the place, whose entry is reserved and above level 0, have a table of such entries, unless
 * another call is faster. Closes the place. */
int qi_space_lower(struct quire_space *space, struct place *place);

/* A run of this order, by the policy of the note of this number, or of the space; *zeroed: in, is
 * it to read as zeros; out, does it. Errors as quire_space_fault. */
int qi_space_take_run(struct quire_space *space, unsigned order, uint32_t note, bool *zeroed,
                      quire_pfn *pfn);
void qi_space_zero_frames(struct quire_space *space, quire_pfn pfn, uint64_t frames);

/* Copy a frame's contents. Nobody writes to either frame meanwhile. Any context. */
void qi_space_copy_frame(struct quire_space *space, quire_pfn to, quire_pfn from);

/* ---- gigabytes/fill.c ----------------------------------------------------------------------- */

enum { GIGABYTE_LEVEL = 2 }; /* of the entry of a page of 1 GiB */

/* Can the space have pages of 1 GiB? */
static inline bool has_gigabytes(const struct quire_space *space)
{
    return (space->paging.format->sizes & QUIRE_PAGE_1G) && space->config.port.frames.split;
}

/* Put a gigabyte of zeros where the place is reserved for one. Closes the place. *done: the access
 * is to be repeated; else, after 0, the place is to be looked at again. */
int qi_space_fill_gigabyte(struct quire_space *space, struct place *place, bool *done);

/* ---- Pages of a level ----------------------------------------------------------------------- */

/* The order of a page of this level. */
static inline unsigned level_order(const struct quire_paging_format *f, unsigned level)
{
    return f->index_bits * level;
}

/* How many frames it has. */
static inline uint64_t level_frames(const struct quire_paging_format *f, unsigned level)
{
    return (uint64_t)1 << level_order(f, level);
}

/* Can the format reach this frame? */
static inline bool frame_is_reached(const struct quire_paging_format *f, quire_pfn pfn)
{
    return pfn.n >> (f->phys_bits - QUIRE_FRAME_SHIFT) == 0;
}

/* A page of one's own, that was written, or will be. */
static inline uint64_t own_page(const struct quire_space *space, unsigned level, quire_pfn pfn,
                                uint32_t access)
{
    struct quire_page page = {
        quire_paddr_of_pfn(pfn), 0, access, QUIRE_TYPE_NORMAL, false, true, true};

    return entry_of_page(space->paging.format, level, &page);
}

/* ---- promote/promote.c: the parts of a range ------------------------------------------------ */

/* One after the other; `looks` of at most `most` (0: no bound) were taken at entries. */
struct parts {
    struct quire_space *space;
    uint64_t virt, left, looks, most;
};
void qi_parts_begin(struct parts *parts, struct quire_space *space, struct quire_vrange range,
                    uint64_t most);

/* The next one, from parts->virt on, that has a table or a large page: *entry. False: there is
 * none, or no look is left. */
bool qi_parts_next(struct parts *parts, uint64_t *entry);
void qi_parts_advance(struct parts *parts);

/* Where to go on. */
static inline quire_vaddr parts_end(const struct parts *parts, struct quire_vrange range)
{
    return quire_vaddr_of(parts->left ? parts->virt : range.start.n + range.bytes);
}

/* May the frame of the small page, which is not cached, be another space's, too? */
bool qi_page_is_shared(struct quire_space *space, uint64_t e);

/* ---- promote/around.c ----------------------------------------------------------------------- */

/* Have pages of zeros at the place, of level 0, and around it, where all is reserved alike. True:
 * they are there, or others came first, and the place is closed. */
bool qi_space_fill_around(struct quire_space *space, struct place *place);

/* A run as qi_space_take_run gives it, that is split into single frames, and so many counts against
 * the limits of the note of this number and of the space. */
int qi_space_take_row(struct quire_space *space, uint32_t note, unsigned order, uint64_t counts,
                      bool *zeroed, quire_pfn *pfn);

/* ---- promote/demote.c: parts that were demoted ---------------------------------------------- */

/* Is the part, whose first address this is, one that was demoted not long ago? Counts the times. */
bool qi_part_waits(struct quire_space *space, uint64_t virt);

#endif /* QUIRE_VM_SPACES_H */
