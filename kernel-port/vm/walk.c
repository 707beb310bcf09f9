/* SPDX-License-Identifier: MIT
 *
 * walk.c - from the root down to an entry, and along a range. What is only read: translate, walk.
 *
 * Reading never fails and never waits: a table that was seen stays (EN2), and each entry is seen as
 * it was at one moment. A range is walked table by table; where an entry is empty, the walk goes on
 * behind all that the entry covers, so it has as many steps as there are entries, not pages.
 */
#include "steps.h"

/* From the root down to `level`, or as far as there are tables. */
static __attribute__((__noinline__)) void descend_any(const struct quire_paging *paging,
                                                      uint64_t virt, unsigned level,
                                                      struct place *place)
{
    const struct quire_paging_format *f = paging->format;
    unsigned at = f->levels - 1u;
    quire_pfn pfn = paging->root;

    for (;;) {
        unsigned index = level_index(f, at, virt);
        void *table = table_open(paging, pfn);
        uint64_t e = entry_load(f, table, index);

        if (at == level || !entry_is_table(f, at, e)) {
            *place = (struct place){table, at, index, e};
            return;
        }
        table_close(paging, table);
        pfn = entry_pfn(f, e);
        at--;
    }
}

static inline void find(const struct quire_paging *paging, uint64_t virt, unsigned level,
                        struct place *place)
{
    if (paging->plain && level == 0)
        place_find_plain(paging, virt, place);
    else
        descend_any(paging, virt, level, place);
}

/* Let the empty entry have a table, unless another call is faster. */
static int make_table(struct quire_paging *paging, struct place *place)
{
    quire_pfn fresh;
    int error = qi_table_new(paging, place->level - 1, &fresh);

    if (!error &&
        !place_replace(paging, place, entry_of_table(paging->format, place->level, fresh)))
        qi_table_free(paging, fresh); /* another call put something in */
    place_close(paging, place);
    return error;
}

static __attribute__((__noinline__)) int find_and_make(struct quire_paging *paging, uint64_t virt,
                                                       unsigned level, struct place *place)
{
    while (place->entry == 0 && place->level > level) {
        int error = make_table(paging, place);

        if (error)
            return error;
        find(paging, virt, level, place);
    }
    return 0;
}

int qi_place_find(struct quire_paging *paging, uint64_t virt, unsigned level, bool make,
                  struct place *place)
{
    find(paging, virt, level, place);
    return make && place->level > level ? find_and_make(paging, virt, level, place) : 0;
}

void qi_steps_begin(struct steps *steps, struct quire_paging *paging, struct quire_vrange range)
{
    steps->paging = paging;
    steps->virt = range.start.n;
    steps->left = range.bytes;
    steps->open = false;
}

void qi_steps_end(struct steps *steps)
{
    if (steps->open)
        place_close(steps->paging, &steps->place);
    steps->open = false;
}

bool qi_steps_next(struct steps *steps)
{
    const struct quire_paging_format *f = steps->paging->format;

    if (steps->open &&
        entry_is_table(f, steps->place.level, place_look(steps->paging, &steps->place)))
        qi_steps_end(steps);
    if (steps->left == 0)
        return false;
    if (!steps->open)
        (void)qi_place_find(steps->paging, steps->virt, 0, false, &steps->place);
    steps->open = true;
    return true;
}

bool qi_steps_advance(struct steps *steps)
{
    const struct quire_paging_format *f = steps->paging->format;
    uint64_t size = level_size(f, steps->place.level);
    uint64_t step = size - (steps->virt & (size - 1));

    if (step >= steps->left) {
        steps->left = 0;
        qi_steps_end(steps);
        return false;
    }
    steps->virt += step;
    steps->left -= step;
    if (++steps->place.index == level_entries(f, steps->place.level))
        qi_steps_end(steps);
    return true;
}

/* The first entry, from `at` on, that is not so, or `end`. */
static inline __attribute__((__always_inline__)) unsigned end_of_row(
    const struct quire_paging_format *f, const void *table, unsigned at, unsigned end,
    uint64_t bits, bool any, bool wide)
{
    for (; at < end; at++) {
        uint64_t e =
            wide ? qa_load((const qa64 *)table + at, acquire) /* E-entry acquire: as below */
                 : entry_load(f, table, at);                  /* E-entry acquire: what it names */

        if (any ? (e & bits) == 0 : (e & bits) != 0)
            break;
    }
    return at;
}

unsigned qi_steps_alike(const struct steps *steps, uint64_t bits, bool any)
{
    const struct quire_paging_format *f = steps->paging->format;
    const void *table = steps->place.table;
    const unsigned first = steps->place.index, end = first + steps_entries(steps);

    if (first == end || ((steps->place.entry & bits) != 0) != any)
        return 0;
    if (f->entry_bytes == 4)
        return end_of_row(f, table, first + 1, end, bits, any, false) - first;
    if (any)
        return end_of_row(f, table, first + 1, end, bits, true, true) - first;
    return end_of_row(f, table, first + 1, end, bits, false, true) - first;
}

void qi_steps_pass(struct steps *steps, unsigned entries)
{
    const struct quire_paging_format *f = steps->paging->format;
    uint64_t bytes = entries * level_size(f, steps->place.level);

    steps->place.index += entries;
    steps->virt += bytes;
    steps->left -= bytes;
    if (steps->left == 0 || steps->place.index == level_entries(f, steps->place.level))
        qi_steps_end(steps);
}

int qi_range_check(const struct quire_paging *paging, struct quire_vrange range)
{
    struct quire_canonical form = paging->format->canonical;
    int error;

    error = quire_vrange_canonical(form, range);
    if (error)
        return error;
    return (range.start.n | range.bytes) % QUIRE_FRAME_SIZE ? QUIRE_ERR_ALIGN : 0;
}

int quire_paging_translate(struct quire_paging *paging, quire_vaddr virt, struct quire_page *page,
                           quire_paddr *phys)
{
    const struct quire_paging_format *f = paging->format;
    struct place place;

    if (!quire_vaddr_canonical(f->canonical, virt))
        return QUIRE_ERR_ADDRESS;
    (void)qi_place_find(paging, virt.n, 0, false, &place);
    place_close(paging, &place);
    if (!entry_is_mapped(f, place.entry))
        return QUIRE_ERR_UNMAPPED;
    page_of_entry(f, place.level, place.entry, page);
    if (phys)
        phys->n = page->phys.n + (virt.n & (page->size - 1));
    return 0;
}

int quire_paging_walk(struct quire_paging *paging, struct quire_vrange range,
                      quire_page_visit *visit, void *ctx)
{
    int error = qi_range_check(paging, range);
    struct steps steps;

    if (error)
        return error;
    qi_steps_begin(&steps, paging, range);
    while (error == 0 && steps_next(&steps)) {
        struct quire_page page;

        if (entry_is_mapped(paging->format, steps.place.entry)) {
            page_of_entry(paging->format, steps.place.level, steps.place.entry, &page);
            error = visit(ctx, quire_vaddr_of(steps_page(&steps)), &page);
        }
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return error;
}
