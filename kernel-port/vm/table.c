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
    uint64_t below = UINT64_C(1) << (bits - QUIRE_FRAME_SHIFT);
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

int quire_paging_init(struct quire_paging *paging, const struct quire_paging_format *format,
                      const struct quire_paging_port *port)
{
    struct quire_paging fresh = {format, *port, {0}, {0}};
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

        while (next[level] < entries && !entry_is_table(f, level, e))
            e = entry_load(f, table, next[level]++);
        table_close(paging, table);
        if (entry_is_table(f, level, e)) {
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
