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

/* table.c: give back the tables that have nothing in them and an address in the range, and of which
 * all addresses are `within`, where nobody else puts anything in. */
void qi_tables_trim(struct quire_paging *paging, struct quire_vrange range,
                    struct quire_vrange within);

/* walk.c: the entry for `virt` at `level`, or above it where there is no table; with `make`, tables
 * are made where entries are empty. 0, or why a table could not be had: then no place is open. */
int qi_place_find(struct quire_paging *paging, uint64_t virt, unsigned level, bool make,
                  struct place *place);

enum { PLAIN_BITS = 9, PLAIN_MASK = (1 << PLAIN_BITS) - 1 };

/* A way down of plain entries (paging_of in table.c): the table, and what stands in its entry. */
struct plain_way {
    uintptr_t base, table;
    uint64_t frame_mask, kind_mask, kind, entry;
};

static inline __attribute__((__always_inline__)) qa64 *plain_at(uintptr_t table, uint64_t virt,
                                                                unsigned level)
{
    enum { ENTRY_SHIFT = 3 };
    const unsigned shift = QUIRE_FRAME_SHIFT - ENTRY_SHIFT + PLAIN_BITS * level;

    return (qa64 *)(table + ((uintptr_t)(virt >> shift) & PLAIN_MASK << ENTRY_SHIFT));
}

/* Look at the entry of this level. True: it is a table, which is the next one. */
static inline __attribute__((__always_inline__)) bool plain_down(struct plain_way *way,
                                                                 uint64_t virt, unsigned level)
{
    way->entry =
        qa_load(plain_at(way->table, virt, level), acquire); /* E-entry acquire: its entries */
    if ((way->entry & way->kind_mask) != way->kind)
        return false;
    way->table = way->base + (uintptr_t)(way->entry & way->frame_mask);
    return true;
}

/* The entry for `virt` at level 0, or above it where there is no table: its level, and what stands
 * there. Levels are numbers of the source, so that shifts are. */
static inline __attribute__((__always_inline__)) unsigned plain_find(
    const struct quire_paging *paging, uint64_t virt, uintptr_t *table, uint64_t *entry)
{
    const struct quire_paging_format *f = paging->format;
    struct plain_way way = {
        paging->port.reach.base,       0, f->frame_mask, f->kind_mask | ENTRY_PRESENT,
        f->kind_table | ENTRY_PRESENT, 0};
    unsigned level = 0;

    way.table = way.base + (uintptr_t)quire_phys(paging->root);
    switch (f->levels) {
    case 5:
        if (!plain_down(&way, virt, 4)) {
            level = 4;
            break;
        }
        __attribute__((__fallthrough__));
    case 4:
        if (!plain_down(&way, virt, 3)) {
            level = 3;
            break;
        }
        __attribute__((__fallthrough__));
    default:
        if (!plain_down(&way, virt, 2))
            level = 2;
        else if (!plain_down(&way, virt, 1))
            level = 1;
        else
            way.entry =
                qa_load(plain_at(way.table, virt, 0), acquire); /* E-entry acquire: a page */
    }
    *table = way.table;
    *entry = way.entry;
    return level;
}

static inline __attribute__((__always_inline__)) void place_find_plain(
    const struct quire_paging *paging, uint64_t virt, struct place *place)
{
    uintptr_t table;

    place->level = plain_find(paging, virt, &table, &place->entry);
    place->index = (unsigned)(virt >> (QUIRE_FRAME_SHIFT + PLAIN_BITS * place->level)) & PLAIN_MASK;
    place->table = (void *)table;
}

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

/* Both again, short where both entries are in one table of level 0, as most are. */
static inline bool steps_next(struct steps *steps)
{
    if (!steps->open || steps->place.level > 0)
        return qi_steps_next(steps);
    place_look(steps->paging, &steps->place);
    return true;
}

static inline bool steps_advance(struct steps *steps)
{
    if (steps->place.level > 0 || steps->left <= QUIRE_FRAME_SIZE ||
        (steps->place.index + 1) >> steps->paging->format->index_bits)
        return qi_steps_advance(steps);
    steps->place.index++;
    steps->virt += QUIRE_FRAME_SIZE;
    steps->left -= QUIRE_FRAME_SIZE;
    return true;
}

/* walk.c: go on behind so many entries, which are in the table, and in the range. */
void qi_steps_pass(struct steps *steps, unsigned entries);

/* How many entries, from the place on, are in the table, and in the range as a whole. */
static inline unsigned steps_entries(const struct steps *steps)
{
    const struct quire_paging_format *f = steps->paging->format;
    uint64_t size = level_size(f, steps->place.level), left = steps->left / size;
    unsigned in_table = level_entries(f, steps->place.level) - steps->place.index;

    if (steps->virt & (size - 1))
        return 0;
    return left < in_table ? (unsigned)left : in_table;
}

/* walk.c: how many entries in a row, from the step's place on, where one was seen, in its table and
 * in the range as a whole, have one of these bits, or (not `any`) none of them? */
unsigned qi_steps_alike(const struct steps *steps, uint64_t bits, bool any);

/* walk.c: is the range what a call takes: page by page, canonical? */
int qi_range_check(const struct quire_paging *paging, struct quire_vrange range);

/* Is it one small page, as most ranges are, and what a call takes? */
static inline bool range_is_page(const struct quire_paging *paging, struct quire_vrange range)
{
    return range.bytes == QUIRE_FRAME_SIZE && range.start.n % QUIRE_FRAME_SIZE == 0 &&
           (range.start.n + paging->lowest) >> paging->format->canonical.bits == 0;
}

/* Has the format what this page asks for? */
static inline bool page_exists(const struct quire_paging_format *f, const struct quire_page *page)
{
    return page->access <= QUIRE_ACCESS_ALL && (unsigned)page->type < QUIRE_TYPES &&
           (f->access[page->access] | f->types[page->type]) != QUIRE_PAGING_NO_ENCODING;
}

/* One more page to be invalidated. */
static inline void gather_page(struct quire_gather *gather, uint64_t virt, uint64_t size,
                               bool global)
{
    gather->global |= global;
    if (gather->count < QUIRE_GATHER_PAGES)
        gather->pages[gather->count++] = quire_vrange_of(virt, size);
    else
        gather->all = true;
}

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
