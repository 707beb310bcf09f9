/* SPDX-License-Identifier: MIT
 *
 * resize.c - a large page becomes a table of smaller ones (split), and the other way (join).
 *
 * Split. The table is complete before the entry names it; a call that finds the split done by
 * another keeps its table. Danger: the processor may mark the large page while the table is filled
 * from it; then the exchange fails and the table is filled again. It can do so twice at most.
 *
 * Join. Danger: the processor may mark one of the small pages after they were looked at, and, by
 * what it remembers of the table, even after the large page is there. So the marks are collected
 * once more when all processors have forgotten the table, and added to the large page. Only then is
 * the table given back.
 *
 * With break-before-make the entry is busy in between, and all that the processor knows of it is
 * invalidated, before the other size is put in; nothing can be marked after that.
 */
#include "steps.h"

unsigned qi_splits_needed(const struct quire_paging *paging, unsigned level, uint64_t virt)
{
    unsigned splits = 0;

    while (level > 0 && (virt & (level_size(paging->format, level) - 1))) {
        splits++;
        level--;
    }
    return splits;
}

static void fill_from(struct quire_paging *paging, const struct place *place, quire_pfn table)
{
    const struct quire_paging_format *f = paging->format;
    unsigned below = place->level - 1;
    void *at = table_open(paging, table);
    struct quire_page page;
    uint64_t e;

    page_of_entry(f, place->level, place->entry, &page);
    e = entry_of_page(f, below, &page);
    if (below > 0) /* SP5 of reserved.h; at level 0 the bit would say that it is cached (SP4) */
        e |= place->entry & f->shared;
    for (unsigned i = 0; i < level_entries(f, below); i++) {
        entry_fill(f, at, i, e);
        e += level_size(f, below) >> f->frame_shift;
    }
    table_close(paging, at);
}

/* Put the table in the place of the large page, that is: of what is seen there. */
static bool split_page(struct quire_paging *paging, struct place *place, uint64_t virt,
                       quire_pfn table)
{
    const struct quire_paging_format *f = paging->format;

    if (f->break_before_make) {
        if (!place_replace(paging, place, entry_busy(f, place->entry)))
            return false;
        paging->port.invalidate(paging->port.ctx,
                                quire_vrange_of(virt, level_size(f, place->level)));
    }
    fill_from(paging, place, table);
    return place_replace(paging, place, entry_of_table(f, place->level, table));
}

int qi_split_at(struct quire_paging *paging, uint64_t virt, struct spares *spares,
                struct quire_gather *gather)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t top = level_size(f, f->levels - 1u); /* what begins at a multiple of it is whole */
    int error = 0;

    while (error == 0 && (virt & (top - 1))) {
        struct place place;
        uint64_t size;
        bool done = false;

        (void)qi_place_find(paging, virt, 0, false, &place);
        size = level_size(f, place.level);
        if (place.level == 0 || !entry_is_mapped(f, place.entry) || (virt & (size - 1)) == 0)
            done = true;
        else if (entry_is_busy(f, place.entry))
            error = QUIRE_ERR_BUSY;
        else if (spares->count == 0)
            error = QUIRE_ERR_NO_MEMORY;
        else if (!entry_is_table(f, place.level, place.entry)) {
            struct quire_page page;

            page_of_entry(f, place.level, place.entry, &page);
            if (split_page(paging, &place, virt & ~(size - 1), spares->pfn[spares->count - 1])) {
                spares->count--;
                gather->tables = true;
                gather_page(gather, virt & ~(size - 1), size, page.global);
            }
        }
        place_close(paging, &place);
        if (done)
            break;
    }
    return error;
}

/* The page that the small ones make up, if they do: *whole. Its marks are those of all. */
static int collect(struct quire_paging *paging, const void *table, unsigned below, uint64_t size,
                   struct quire_page *whole)
{
    const struct quire_paging_format *f = paging->format;

    for (unsigned i = 0; i < level_entries(f, below); i++) {
        uint64_t e = entry_load(f, table, i);
        struct quire_page page;

        if (!entry_is_mapped(f, e))
            return QUIRE_ERR_UNMAPPED;
        if (entry_is_table(f, below, e) || entry_is_busy(f, e))
            return QUIRE_ERR_BUSY;
        page_of_entry(f, below, e, &page);
        if (i == 0)
            *whole = page;
        if (page.phys.n != whole->phys.n + i * page.size || page.access != whole->access ||
            page.type != whole->type || page.global != whole->global)
            return QUIRE_ERR_BUSY;
        whole->accessed |= page.accessed;
        whole->dirty |= page.dirty;
    }
    return whole->phys.n & (size - 1) ? QUIRE_ERR_BUSY : 0;
}

/* The place has a table of pages that make up *whole: let it be one page. */
static void join_pages(struct quire_paging *paging, struct place *place, const void *table,
                       struct quire_vrange range, struct quire_page *whole)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t e = entry_of_page(f, place->level, whole);

    /* The table's entry has a mark too, which the processor sets once. */
    while (!place_replace(paging, place, f->break_before_make ? entry_busy(f, e) : e)) {
    }
    paging->port.invalidate(paging->port.ctx, range);
    (void)collect(paging, table, place->level - 1, range.bytes, whole);
    do {
        struct quire_page now;

        page_of_entry(f, place->level, place->entry, &now);
        e = entry_with_marks(f, entry_of_page(f, place->level, whole),
                             whole->accessed || now.accessed, whole->dirty || now.dirty);
    } while (!place_replace(paging, place, e));
}

int quire_paging_join(struct quire_paging *paging, quire_vaddr virt, uint64_t size)
{
    const struct quire_paging_format *f = paging->format;
    struct quire_vrange range = quire_vrange_of(virt.n, size);
    unsigned level = 1;
    struct place place;
    struct quire_page whole = {{0}, 0, 0, QUIRE_TYPE_NORMAL, false, false, false};
    quire_pfn pfn;
    void *table;
    int error;

    while (level + 1u < f->levels && level_size(f, level) != size)
        level++;
    if (!quire_power_of_two(size) || !(size & f->sizes) || level_size(f, level) != size ||
        !paging->port.invalidate)
        return QUIRE_ERR_UNSUPPORTED;
    if (virt.n & (size - 1))
        return QUIRE_ERR_ALIGN;
    error = qi_range_check(paging, range);
    if (error)
        return error;
    (void)qi_place_find(paging, virt.n, level, false, &place);
    if (!entry_is_table(f, place.level, place.entry)) {
        place_close(paging, &place);
        if (entry_is_busy(f, place.entry))
            return QUIRE_ERR_BUSY;
        return place.entry & ENTRY_PRESENT ? 0 : QUIRE_ERR_UNMAPPED;
    }
    pfn = entry_pfn(f, place.entry);
    table = table_open(paging, pfn);
    error = entry_is_table_of_two(f, level, place.entry)
                ? QUIRE_ERR_BUSY
                : collect(paging, table, level - 1, size, &whole);
    if (error == 0)
        join_pages(paging, &place, table, range, &whole);
    table_close(paging, table);
    place_close(paging, &place);
    if (error == 0)
        qi_table_free(paging, pfn);
    return error;
}
