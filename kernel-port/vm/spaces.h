/* SPDX-License-Identifier: MIT
 *
 * spaces.h - what the files about address spaces have from each other. Private to kernel-port/vm.
 */
#ifndef QUIRE_VM_SPACES_H
#define QUIRE_VM_SPACES_H

#include "reserved.h"
#include "steps.h"

#include <stddef.h>

/* ---- share.c: how many spaces map a frame --------------------------------------------------- */

/* One more. QUIRE_ERR_LIMIT: as many as may be. Or why a table could not be had. */
int qi_share_add(struct quire_shares *shares, quire_pfn pfn);

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

/* Count frames against the limit, and no more. */
int qi_space_charge(struct quire_space *space, uint64_t frames);
void qi_space_uncharge(struct quire_space *space, uint64_t frames);

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

#endif /* QUIRE_VM_SPACES_H */
