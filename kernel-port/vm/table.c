/* SPDX-License-Identifier: MIT
 *
 * table.c - tables come and go: the page table's beginning and end, and its source of frames.
 */
#include "steps.h"

int qi_table_new(struct quire_paging *paging, unsigned level, quire_pfn *pfn)
{
    const struct quire_paging_format *f = paging->format;
    const struct quire_table_source *tables = &paging->port.tables;
    bool root = level + 1u == f->levels;
    unsigned bits = root ? f->root_phys_bits : f->phys_bits;
    uint64_t below = (uint64_t)1 << (bits - QUIRE_FRAME_SHIFT);
    int error = tables->alloc(tables->ctx, below, pfn);
    void *table;

    if (error)
        return error;
    if (pfn->n >= below) {
        qi_table_free(paging, *pfn);
        return QUIRE_ERR_FRAME;
    }
    table = table_open(paging, *pfn);
    for (unsigned i = 0; i < level_entries(f, level); i++)
        entry_fill(f, table, i, 0);
    table_close(paging, table);
    return 0;
}

void qi_table_free(struct quire_paging *paging, quire_pfn pfn)
{
    const struct quire_table_source *tables = &paging->port.tables;

    if (tables->free)
        tables->free(tables->ctx, pfn);
}

/* All tables that the root may ever name. */
static int complete_root(struct quire_paging *paging)
{
    const struct quire_paging_format *f = paging->format;
    unsigned top = f->levels - 1u;

    for (unsigned i = 0; i < level_entries(f, top); i++) {
        quire_pfn pfn;
        int error = qi_table_new(paging, top - 1, &pfn);
        void *root;

        if (error)
            return error;
        root = table_open(paging, paging->root);
        entry_fill(f, root, i, entry_of_table(f, top, pfn));
        table_close(paging, root);
    }
    return 0;
}

/* A page table over this port, whose root is yet to come. Its entries are plain if they have 8
 * bytes, 512 to a table, with addresses as they are, in a direct map. */
static struct quire_paging paging_of(const struct quire_paging_format *format,
                                     const struct quire_paging_port *port)
{
    struct quire_paging paging = {format, *port, {0}, false, {0}};

    paging.plain = format->entry_bytes == 8 && format->index_bits == 9 && format->root_bits == 9 &&
                   format->frame_shift == 0 && !port->reach.open;
    return paging;
}

int quire_paging_init(struct quire_paging *paging, const struct quire_paging_format *format,
                      const struct quire_paging_port *port)
{
    struct quire_paging fresh = paging_of(format, port);
    int error = qi_table_new(&fresh, format->levels - 1u, &fresh.root);

    if (error)
        return error;
    if (format->root_complete)
        error = complete_root(&fresh);
    if (error)
        quire_paging_destroy(&fresh);
    else
        *paging = fresh;
    return error;
}

void quire_paging_adopt(struct quire_paging *paging, const struct quire_paging_format *format,
                        const struct quire_paging_port *port, quire_pfn root)
{
    *paging = paging_of(format, port);
    paging->root = root;
}

static bool table_is_empty(const struct quire_paging *paging, unsigned level, quire_pfn pfn)
{
    void *table = table_open(paging, pfn);
    bool empty = true;

    for (unsigned i = 0; empty && i < level_entries(paging->format, level); i++)
        empty = entry_load(paging->format, table, i) == 0;
    table_close(paging, table);
    return empty;
}

static uint64_t root_entry(const struct quire_paging *paging, unsigned index)
{
    void *root = table_open(paging, paging->root);
    uint64_t e = entry_load(paging->format, root, index);

    table_close(paging, root);
    return e;
}

/* May the root entry be the one of `from`? */
static int share_check(const struct quire_paging *paging, const struct quire_paging *from,
                       unsigned index)
{
    const struct quire_paging_format *f = paging->format;
    unsigned top = f->levels - 1u;
    uint64_t own = root_entry(paging, index), other = root_entry(from, index);

    if (other && !entry_is_table(f, top, other))
        return QUIRE_ERR_LARGE;
    if (!own || (own & f->shared))
        return 0;
    if (!entry_is_table(f, top, own) || !table_is_empty(paging, top - 1, entry_pfn(f, own)))
        return QUIRE_ERR_MAPPED;
    return 0;
}

static void share_entry(struct quire_paging *paging, const struct quire_paging *from,
                        unsigned index)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t own = root_entry(paging, index), other = root_entry(from, index);
    void *root;

    if (!other)
        return;
    root = table_open(paging, paging->root);
    while (!entry_replace(f, root, index, own, other | f->shared))
        own = entry_load(f, root, index); /* the processor's mark */
    table_close(paging, root);
    if (own && !(own & f->shared))
        qi_table_free(paging, entry_pfn(f, own));
}

int quire_paging_share(struct quire_paging *paging, const struct quire_paging *from,
                       struct quire_vrange range)
{
    const struct quire_paging_format *f = paging->format;
    unsigned top = f->levels - 1u, first = level_index(f, top, range.start.n), last;
    int error = qi_range_check(paging, range);

    if (error)
        return error;
    if (from->format != f || from->root.n == paging->root.n)
        return QUIRE_ERR_UNSUPPORTED;
    if ((range.start.n | range.bytes) & (level_size(f, top) - 1))
        return QUIRE_ERR_ALIGN;
    last = level_index(f, top, quire_vrange_last(range).n);
    for (unsigned i = first; i <= last && !error; i++)
        error = share_check(paging, from, i);
    for (unsigned i = first; i <= last && !error; i++)
        share_entry(paging, from, i);
    return error;
}

/* The entry names a table that goes when the page table goes. */
static bool entry_is_own_table(const struct quire_paging_format *f, unsigned level, uint64_t e)
{
    return entry_is_table(f, level, e) && !(level + 1u == f->levels && (e & f->shared));
}

/* Tables are visited in the order of their addresses, each after those below it, by one loop with
 * a place for each level: as many steps as tables have entries. */
void quire_paging_destroy(struct quire_paging *paging)
{
    const struct quire_paging_format *f = paging->format;
    unsigned level = f->levels - 1u, next[QUIRE_PAGING_LEVELS] = {0};
    quire_pfn pfn[QUIRE_PAGING_LEVELS];

    pfn[level] = paging->root;
    while (level < f->levels) {
        void *table = table_open(paging, pfn[level]);
        unsigned entries = level > 0 ? level_entries(f, level) : 0;
        uint64_t e = 0;

        while (next[level] < entries && !entry_is_own_table(f, level, e))
            e = entry_load(f, table, next[level]++);
        table_close(paging, table);
        if (entry_is_own_table(f, level, e)) {
            level--;
            next[level] = 0;
            pfn[level] = entry_pfn(f, e);
        } else {
            qi_table_free(paging, pfn[level++]);
        }
    }
}

void quire_paging_set_source(struct quire_paging *paging, const struct quire_table_source *tables)
{
    paging->port.tables = *tables;
}
