/* SPDX-License-Identifier: MIT
 *
 * map.c - map a range.
 *
 * Danger: a failed call must leave every address as it was, and a page that was there for a moment
 * may be in a TLB. So a range of several pages is prepared first: all tables are made, and all
 * entries looked at. What can fail fails there, before one page is put in. Behind that only a call
 * that maps a page of the range at the same time is in the way; then the pages that were put in are
 * taken out again, and gathered. A single small page is put in at once.
 *
 * A range is cut into stretches: entries in a row of one table, each for one page.
 */
#include "steps.h"

struct mapping {
    struct quire_paging *paging;
    struct quire_page page; /* of what is left */
    uint64_t virt, left;
    uint64_t sizes;
    struct place place; /* the stretch: its first entry, */
    unsigned entries;   /* and how many */
};

/* The level of the largest page that may begin here, at most `most`; -1: there is none. */
static int largest_level(const struct mapping *m, unsigned most)
{
    for (int level = (int)most; level >= 0; level--) {
        uint64_t size = level_size(m->paging->format, (unsigned)level);

        if ((m->sizes & size) && size <= m->left && ((m->virt | m->page.phys.n) & (size - 1)) == 0)
            return level;
    }
    return -1;
}

/* The next stretch; its place is open if the result is 0. */
static int find_stretch(struct mapping *m)
{
    const struct quire_paging_format *f = m->paging->format;
    int level = largest_level(m, f->levels - 1u);

    if (level < 0)
        return QUIRE_ERR_ALIGN;
    for (;;) {
        int error = qi_place_find(m->paging, m->virt, (unsigned)level, true, &m->place);
        uint64_t in_table, fit;

        if (error)
            return error;
        if (!entry_is_table(f, m->place.level, m->place.entry)) {
            in_table = level_entries(f, m->place.level) - m->place.index;
            fit = m->left / level_size(f, m->place.level);
            m->entries = (unsigned)(in_table < fit ? in_table : fit);
            if (m->place.entry == 0)
                return 0;
            error = QUIRE_ERR_MAPPED;
        } else {
            /* A page of this size would take the place of a table: smaller ones, in it. */
            level = level > 0 ? largest_level(m, (unsigned)level - 1) : -1;
            error = level < 0 ? QUIRE_ERR_BUSY : 0;
        }
        place_close(m->paging, &m->place);
        if (error)
            return error;
    }
}

static void go_on(struct mapping *m, uint64_t bytes)
{
    m->virt += bytes;
    m->left -= bytes;
    m->page.phys.n += bytes;
}

/* Make the tables, and see that nothing is mapped. */
static int prepare(struct mapping m)
{
    const struct quire_paging_format *f = m.paging->format;
    int error = 0;

    while (error == 0 && m.left > 0) {
        unsigned n = 1;

        error = find_stretch(&m);
        if (error)
            break;
        for (; n < m.entries; n++) {
            m.place.index++;
            place_look(m.paging, &m.place);
            if (entry_is_table(f, m.place.level, m.place.entry))
                break; /* the next stretch is below it */
            if (m.place.entry) {
                error = QUIRE_ERR_MAPPED;
                break;
            }
        }
        place_close(m.paging, &m.place);
        go_on(&m, n * level_size(f, m.place.level));
    }
    return error;
}

/* Put in the pages of the stretch up to one that another call was faster with. */
static int put_in(struct mapping *m)
{
    const struct quire_paging_format *f = m->paging->format;
    uint64_t size = level_size(f, m->place.level);
    uint64_t e = entry_of_page(f, m->place.level, &m->page);
    uint64_t next = size >> f->frame_shift;

    unsigned n = 0;

    while (n < m->entries && entry_replace(f, m->place.table, m->place.index + n, 0, e)) {
        n++;
        e += next;
    }
    m->place.index += n;
    go_on(m, n * size);
    if (n < m->entries && !entry_is_table(f, m->place.level, place_look(m->paging, &m->place)))
        return QUIRE_ERR_MAPPED;
    return 0;
}

static int check(const struct quire_paging *paging, struct quire_vrange range,
                 const struct quire_page *page, uint64_t sizes)
{
    const struct quire_paging_format *f = paging->format;
    int error = qi_range_check(paging, range);

    if (error)
        return error;
    if (!page_exists(f, page) || (sizes & ~f->sizes))
        return QUIRE_ERR_UNSUPPORTED;
    if (page->phys.n % QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    if (quire_prange_validate(quire_prange_of(page->phys.n, range.bytes)))
        return QUIRE_ERR_ADDRESS;
    return (page->phys.n + (range.bytes - 1)) >> f->phys_bits ? QUIRE_ERR_ADDRESS : 0;
}

/* Is it one page of the smallest size, and nothing wrong with it? */
static inline bool is_one(const struct quire_paging *paging, struct quire_vrange range,
                          const struct quire_page *page, uint64_t sizes)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t virt = range.start.n, phys = page->phys.n;

    return range.bytes == QUIRE_FRAME_SIZE &&
           ((virt + paging->lowest) >> f->canonical.bits | phys >> f->phys_bits |
            ((virt | phys) & (QUIRE_FRAME_SIZE - 1))) == 0 &&
           page_exists(f, page) &&
           (sizes == 0 || ((sizes & QUIRE_FRAME_SIZE) && !(sizes & ~f->sizes)));
}

static __attribute__((__noinline__)) int map_one(struct quire_paging *paging, uint64_t virt,
                                                 uint64_t e)
{
    struct place place;
    int error = qi_place_find(paging, virt, 0, true, &place);

    if (error)
        return error;
    if (place.entry != 0 || !place_replace(paging, &place, e))
        error = QUIRE_ERR_MAPPED;
    place_close(paging, &place);
    return error;
}

/* The same of plain entries, if its tables are there. */
static inline __attribute__((__always_inline__)) int map_plain(struct quire_paging *paging,
                                                               uint64_t virt, uint64_t e)
{
    uintptr_t table;
    uint64_t seen;

    if (plain_find(paging, virt, &table, &seen) > 0)
        return map_one(paging, virt, e);
    /* E-entry acquire: what came before the entry that was there; E-entry release: what was written
     * to the page before comes with it */
    return seen == 0 && qa_cas(plain_at(table, virt, 0), &seen, e, acq_rel) ? 0 : QUIRE_ERR_MAPPED;
}

/* Whatever it is. */
static __attribute__((__noinline__)) int map_range(struct quire_paging *paging,
                                                   struct quire_vrange range,
                                                   const struct quire_page *page, uint64_t sizes,
                                                   struct quire_gather *gather)
{
    struct mapping m;
    int error = check(paging, range, page, sizes);

    if (error)
        return error;
    m.paging = paging;
    m.page = *page;
    m.virt = range.start.n;
    m.left = range.bytes;
    m.sizes = sizes ? sizes : paging->format->sizes;
    error = prepare(m);
    if (error)
        return error;
    while (error == 0 && m.left > 0) {
        error = find_stretch(&m);
        if (error)
            break;
        error = put_in(&m);
        place_close(paging, &m.place);
    }
    if (error && m.left < range.bytes)
        qi_take_out(paging, quire_vrange_of(range.start.n, range.bytes - m.left), NULL, NULL,
                    gather);
    return error;
}

int quire_paging_map(struct quire_paging *paging, struct quire_vrange range,
                     const struct quire_page *page, uint64_t sizes, struct quire_gather *gather)
{
    uint64_t e;

    if (!is_one(paging, range, page, sizes))
        return map_range(paging, range, page, sizes, gather);
    e = entry_of_page(paging->format, 0, page);
    return paging->plain ? map_plain(paging, range.start.n, e) : map_one(paging, range.start.n, e);
}
