/* SPDX-License-Identifier: MIT
 *
 * steps.h - how the calls of the library find their way through the tables. Private to
 * kernel-port/vm.
 *
 * A place is an entry, and the table that it is in, which is open. Whoever has a place closes it.
 */
#ifndef QUIRE_VM_STEPS_H
#define QUIRE_VM_STEPS_H

#include "entry.h"

struct place {
    void *table;
    unsigned level, index;
    uint64_t entry; /* as it was seen */
};

/* All entries that have to do with a range, one after the other: pages, and what is empty. */
struct steps {
    struct quire_paging *paging;
    uint64_t virt, left; /* of the range: where we are, and how many bytes are left */
    struct place place;
    bool open;
};

/* table.c: tables that come and go. A new table is empty, and `level` is that of its entries. */
int qi_table_new(struct quire_paging *paging, unsigned level, quire_pfn *pfn);
void qi_table_free(struct quire_paging *paging, quire_pfn pfn);

/* walk.c: the entry for `virt` at `level`, or above it where there is no table; with `make`, tables
 * are made where entries are empty. 0, or why a table could not be had: then no place is open. */
int qi_place_find(struct quire_paging *paging, uint64_t virt, unsigned level, bool make,
                  struct place *place);

static inline void place_close(struct quire_paging *paging, struct place *place)
{
    table_close(paging, place->table);
}

/* Look again at what stands there. */
static inline uint64_t place_look(struct quire_paging *paging, struct place *place)
{
    place->entry = entry_load(paging->format, place->table, place->index);
    return place->entry;
}

/* Replace what was seen; if something else is there by now, look again. */
static inline bool place_replace(struct quire_paging *paging, struct place *place, uint64_t e)
{
    if (!entry_replace(paging->format, place->table, place->index, place->entry, e)) {
        place_look(paging, place);
        return false;
    }
    place->entry = e;
    return true;
}

/* walk.c: begin with a range, which is valid; the next entry that is no table; leave early. */
void qi_steps_begin(struct steps *steps, struct quire_paging *paging, struct quire_vrange range);
bool qi_steps_next(struct steps *steps);
void qi_steps_end(struct steps *steps);

/* The first address of the entry that the last step came to: of the whole page. */
static inline uint64_t steps_page(const struct steps *steps)
{
    return steps->virt & ~(level_size(steps->paging->format, steps->place.level) - 1);
}

/* How many bytes of the range are in that entry, from where the step is. */
static inline uint64_t steps_bytes(const struct steps *steps)
{
    uint64_t size = level_size(steps->paging->format, steps->place.level);
    uint64_t step = size - (steps->virt & (size - 1));

    return step < steps->left ? step : steps->left;
}

/* Go on behind the entry. False: the range ends here. */
bool qi_steps_advance(struct steps *steps);

/* walk.c: is the range what a call takes: page by page, canonical? */
int qi_range_check(const struct quire_paging *paging, struct quire_vrange range);

/* walk.c: has the format what this page asks for? */
int qi_page_check(const struct quire_paging *paging, const struct quire_page *page);

/* walk.c: one more page to be invalidated. */
void qi_gather_page(struct quire_gather *gather, uint64_t virt, uint64_t size, bool global);

/* resize.c: tables for splits that are yet to come, taken before anything is changed. */
enum { SPARES = 2 * (QUIRE_PAGING_LEVELS - 1) }; /* two ends of a range, each through all levels */
struct spares {
    quire_pfn pfn[SPARES];
    unsigned count;
};

/* resize.c: how many times a page of this level is split until a page begins at `virt`. */
unsigned qi_splits_needed(const struct quire_paging *paging, unsigned level, uint64_t virt);

/* resize.c: split until a page begins at `virt`, if there is one at all. */
int qi_split_at(struct quire_paging *paging, uint64_t virt, struct spares *spares,
                struct quire_gather *gather);

/* change.c: take out what is mapped in the range. */
void qi_take_out(struct quire_paging *paging, struct quire_vrange range, quire_page_visit *visit,
                 void *ctx, struct quire_gather *gather);

#endif /* QUIRE_VM_STEPS_H */
