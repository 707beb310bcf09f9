/* SPDX-License-Identifier: MIT
 *
 * walk.c - from the root down to an entry, and along a range. What is only read: translate, walk.
 *
 * Reading never fails and never waits: a table that was seen stays (V2), and each entry is seen as
 * it was at one moment. A range is walked table by table; where an entry is empty, the walk goes on
 * behind all that the entry covers, so it has as many steps as there are entries, not pages.
 */
#include "steps.h"

int qi_place_find(struct quire_paging *paging, uint64_t virt, unsigned level, bool make,
                  struct place *place)
{
    const struct quire_paging_format *f = paging->format;
    quire_pfn pfn = paging->root;

    place->level = f->levels - 1u;
    for (;;) {
        place->table = table_open(paging, pfn);
        place->index = level_index(f, place->level, virt);
        place_look(paging, place);
        while (place->level > level && place->entry == 0 && make) {
            quire_pfn fresh;
            int error = qi_table_new(paging, place->level - 1, &fresh);

            if (error) {
                place_close(paging, place);
                return error;
            }
            if (!place_replace(paging, place, entry_of_table(f, place->level, fresh)))
                qi_table_free(paging, fresh); /* another call put something in */
        }
        if (place->level == level || !entry_is_table(f, place->level, place->entry))
            return 0;
        pfn = entry_pfn(f, place->entry);
        place_close(paging, place);
        place->level--;
    }
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

int qi_range_check(const struct quire_paging *paging, struct quire_vrange range)
{
    int error = quire_vrange_canonical(paging->format->canonical, range);

    if (error)
        return error;
    return (range.start.n | range.bytes) % QUIRE_FRAME_SIZE ? QUIRE_ERR_ALIGN : 0;
}

int qi_page_check(const struct quire_paging *paging, const struct quire_page *page)
{
    const struct quire_paging_format *f = paging->format;

    if (!access_exists(f, page->access) || (unsigned)page->type >= QUIRE_TYPES)
        return QUIRE_ERR_UNSUPPORTED;
    return f->types[page->type] == QUIRE_PAGING_NO_ENCODING ? QUIRE_ERR_UNSUPPORTED : 0;
}

void qi_gather_page(struct quire_gather *gather, uint64_t virt, uint64_t size, bool global)
{
    gather->global |= global;
    if (gather->count < QUIRE_GATHER_PAGES)
        gather->pages[gather->count++] = quire_vrange_of(virt, size);
    else
        gather->all = true;
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
    if (place.entry == 0)
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
    while (error == 0 && qi_steps_next(&steps)) {
        struct quire_page page;

        if (steps.place.entry) {
            page_of_entry(paging->format, steps.place.level, steps.place.entry, &page);
            error = visit(ctx, quire_vaddr_of(steps_page(&steps)), &page);
        }
        (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return error;
}
