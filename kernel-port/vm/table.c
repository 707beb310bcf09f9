/* SPDX-License-Identifier: MIT
 *
 * table.c - tables come and go: the page table's beginning and end, its source of frames, and
 * tables that run empty (trim).
 *
 * A table is empty when all its entries are 0. Nobody puts anything into an empty entry but the
 * caller, and calls that he keeps apart from this one: so a table that was seen empty stays so. Its
 * entry above becomes 0; then nobody finds the table any more. Dangers: a processor remembers the
 * way to it; a call that came by before is still in it. So it is invalidated, and then given to the
 * port, which gives it back when no such call is left (a grace period). Who is in it meanwhile
 * finds what is true: that nothing is there.
 *
 * From the lowest tables up, as a table may be empty when those below it have left. The root stays,
 * and so does what it shares or has lent, and all tables that the processor reads with the root.
 *
 * Shared is what the root entry of the one that got it says, lent that of the one that gave it:
 * the entry, not struct quire_paging, as several of these may be about one root (adopt). A table
 * that is lent stays so, as nobody counts who has it, until the page table is destroyed.
 */
#include "steps.h"

/* Nobody else has seen the table. Most of what a table costs is this. */
static void clear_table(const struct quire_paging_format *f, unsigned level, void *table)
{
    const unsigned entries = level_entries(f, level);

    if (f->entry_bytes == 8) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < entries; i++)
            qa_store((qa64 *)table + i, 0, relaxed); /* relaxed: the caller's */
    } else {
        for (unsigned i = 0; i < entries; i++)
            entry_fill(f, table, i, 0);
    }
}

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
    clear_table(f, level, table);
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
    const unsigned upper = format->canonical.upper, bits = format->canonical.bits;
    struct quire_paging paging = {format, *port, {0}, false, 0, {0}};

    if (upper != QUIRE_UPPER_ZEROS)
        paging.lowest = (uint64_t)1 << (upper == QUIRE_UPPER_ONES ? bits : bits - 1u);
    paging.plain = format->levels >= 3 && format->entry_bytes == 8 && format->index_bits == 9 &&
                   format->root_bits == 9 && format->frame_shift == 0 && !port->reach.open;
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
    if (entry_is_table_of_two(f, top, own) || !entry_is_table(f, top, own) ||
        !table_is_empty(paging, top - 1, entry_pfn(f, own)))
        return QUIRE_ERR_MAPPED;
    return 0;
}

/* The root entry, which is a table's, or 0; from now on it says that the table is lent. */
static uint64_t lend(const struct quire_paging *from, unsigned index)
{
    const struct quire_paging_format *f = from->format;
    void *root = table_open(from, from->root);
    uint64_t e = entry_load(f, root, index);

    while (e && !entry_is_table_of_two(f, f->levels - 1u, e) &&
           !entry_replace(f, root, index, e, e | f->copy))
        e = entry_load(f, root, index); /* the processor's mark, or another call's */
    table_close(from, root);
    return e & ~f->copy;
}

static void share_entry(struct quire_paging *paging, const struct quire_paging *from,
                        unsigned index)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t own = root_entry(paging, index), other = lend(from, index);
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

/* ---- Trim ----------------------------------------------------------------------------------- */

enum {
    TRIM_BATCH = 32, /* tables that are invalidated at once */
    ROW = 64,        /* entries that are looked at without a look at what they were */
};

struct trimmed {
    quire_pfn pfn[TRIM_BATCH];
    unsigned count;
    uint64_t first, last; /* addresses */
};

static void retire(struct quire_paging *paging, struct trimmed *trimmed)
{
    const struct quire_paging_port *port = &paging->port;

    if (trimmed->count == 0)
        return;
    port->invalidate(port->ctx,
                     quire_vrange_of(trimmed->first, trimmed->last - trimmed->first + 1));
    port->retire(port->ctx, trimmed->pfn, trimmed->count);
    trimmed->count = 0;
}

static void note_trimmed(struct trimmed *trimmed, quire_pfn pfn, struct quire_vrange reach)
{
    uint64_t last = quire_vrange_last(reach).n;

    if (trimmed->count == 0 || reach.start.n < trimmed->first)
        trimmed->first = reach.start.n;
    if (trimmed->count == 0 || last > trimmed->last)
        trimmed->last = last;
    trimmed->pfn[trimmed->count++] = pfn;
}

/* Are these entries all empty? */
static bool are_empty(const struct quire_paging_format *f, const void *table, unsigned first,
                      unsigned end)
{
    uint64_t any = 0;

    if (f->entry_bytes == 8) {
#pragma GCC unroll 8
        for (unsigned i = first; i < end; i++)
            any |= qa_load((const qa64 *)table + i, acquire); /* E-entry acquire: as entry_load */
    } else {
        for (unsigned i = first; i < end; i++)
            any |= entry_load(f, table, i);
    }
    return any == 0;
}

/* Has the table, whose entries are of this level, nothing in it? Most have something beside what
 * was taken out, which are the entries for `first` to `last`. */
static bool is_empty(const struct quire_paging *paging, quire_pfn pfn, unsigned level,
                     uint64_t first, uint64_t last)
{
    const struct quire_paging_format *f = paging->format;
    void *table = table_open(paging, pfn);
    const unsigned entries = level_entries(f, level), below = level_index(f, level, first),
                   above = level_index(f, level, last) + 1;
    bool empty = (below == 0 || entry_load(f, table, below - 1) == 0) &&
                 (above == entries || entry_load(f, table, above) == 0);

    for (unsigned i = 0; empty && i < entries; i += ROW)
        empty = are_empty(f, table, i, i + ROW < entries ? i + ROW : entries);
    table_close(paging, table);
    return empty;
}

/* The place, of the level above, has the addresses of `reach`: if it has an empty table, take that
 * out. `part` is what lies in the range. True: the place has a table that stays. */
static bool trim_place(struct quire_paging *paging, struct place *place, struct quire_vrange reach,
                       struct quire_vrange part, struct trimmed *trimmed)
{
    const struct quire_paging_format *f = paging->format;
    bool stays = entry_is_table_of_two(f, place->level, place->entry) ||
                 (f->root_complete && place->level + 1u == f->levels);
    quire_pfn pfn = entry_pfn(f, place->entry);

    if (!entry_is_table(f, place->level, place->entry))
        return false;
    if (stays || !is_empty(paging, pfn, place->level - 1, part.start.n, quire_vrange_last(part).n))
        return true;
    while (!place_replace(paging, place, 0)) /* the processor's mark, or it was lent just now */
        if (entry_is_table_of_two(f, place->level, place->entry))
            return true;
    note_trimmed(trimmed, pfn, reach);
    return false;
}

/* The tables whose entries are below this level. True: all of them stay, and so do those above. */
static bool trim_level(struct quire_paging *paging, unsigned level, struct quire_vrange range,
                       struct quire_vrange within, struct trimmed *trimmed)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t virt = range.start.n, last = quire_vrange_last(range).n, step;
    bool all = true;

    do {
        struct quire_vrange reach, part = range;
        struct place place;
        bool stays = false;

        (void)qi_place_find(paging, virt, level, false, &place);
        step = level_size(f, place.level);
        reach = quire_vrange_of(virt & ~(step - 1), step);
        if (place.level == level && quire_vrange_contains(within, reach.start) &&
            quire_vrange_contains(within, quire_vrange_last(reach)) &&
            quire_vrange_intersect(range, reach, &part))
            stays = trim_place(paging, &place, reach, part, trimmed);
        all = all && stays;
        place_close(paging, &place);
        if (trimmed->count == TRIM_BATCH)
            retire(paging, trimmed);
        step -= virt & (step - 1);
        virt += step;
    } while (virt != 0 && virt <= last);
    return all;
}

void qi_tables_trim(struct quire_paging *paging, struct quire_vrange range,
                    struct quire_vrange within)
{
    struct trimmed trimmed = {{{0}}, 0, 0, 0};
    unsigned level = 1;

    while (level < paging->format->levels && !trim_level(paging, level, range, within, &trimmed))
        level++;
    retire(paging, &trimmed);
}

int quire_paging_trim(struct quire_paging *paging, struct quire_vrange range)
{
    int error = qi_range_check(paging, range);

    if (error == 0 && (!paging->port.retire || !paging->port.invalidate))
        error = QUIRE_ERR_UNSUPPORTED;
    if (error == 0)
        qi_tables_trim(paging, range, range);
    return error;
}
