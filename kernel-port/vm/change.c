/* SPDX-License-Identifier: MIT
 *
 * change.c - change what is mapped: unmap, protect, update.
 *
 * A range goes through three steps. It is looked at: is each page there, which large ones are
 * partly in the range, and how many tables will their splits take? The tables are taken, all or
 * none. Then large pages are split and the pages changed, which cannot fail: what another call does
 * meanwhile to pages outside of the range, though inside of the same large page, is a split that
 * is found done.
 *
 * Danger: the processor sets accessed and dirty while an entry is changed. So what was seen is what
 * is compared (EN3), and what the last exchange replaced is what the page was at the end.
 */
#include "steps.h"

enum { FLAGS = QUIRE_PAGING_HOLES | QUIRE_PAGING_WHOLE };

static bool present(const struct steps *steps)
{
    return (steps->place.entry & ENTRY_PRESENT) != 0;
}

/* Of the splits of a page of this level until a page begins at `start` and one at `end`, how many
 * serve both: those of pages that have both inside. */
static unsigned splits_in_common(const struct quire_paging *paging, unsigned level, uint64_t start,
                                 uint64_t end)
{
    unsigned common = 0;

    for (; level > 0; level--, common++) {
        uint64_t size = level_size(paging->format, level);

        if (!(start & (size - 1)) || (start ^ end) & ~(size - 1))
            break;
    }
    return common;
}

/* The page, or hole, that the step came to. Counts the splits that it takes. */
static int look_at(const struct steps *steps, struct quire_vrange range, uint32_t flags,
                   unsigned *splits)
{
    const struct quire_paging *paging = steps->paging;
    const struct quire_paging_format *f = paging->format;
    uint64_t start = range.start.n, end = start + range.bytes; /* 0: the end of all */
    uint64_t page;
    unsigned needed = 0;

    if (!entry_is_mapped(f, steps->place.entry))
        return flags & QUIRE_PAGING_HOLES ? 0 : QUIRE_ERR_UNMAPPED;
    if (entry_is_busy(f, steps->place.entry))
        return QUIRE_ERR_BUSY;
    if (steps->place.level == 0)
        return 0;
    page = steps_page(steps);
    if (page < start)
        needed += qi_splits_needed(paging, steps->place.level, start);
    if (page + (level_size(f, steps->place.level) - 1) > end - 1)
        needed += qi_splits_needed(paging, steps->place.level, end) -
                  splits_in_common(paging, steps->place.level, start, end);
    if (needed && (flags & QUIRE_PAGING_WHOLE))
        return QUIRE_ERR_LARGE;
    if (needed && f->break_before_make && !paging->port.invalidate)
        return QUIRE_ERR_UNSUPPORTED;
    *splits += needed;
    return 0;
}

static int range_check(const struct quire_paging *paging, struct quire_vrange range, uint32_t flags)
{
    return flags & ~(uint32_t)FLAGS ? QUIRE_ERR_UNSUPPORTED : qi_range_check(paging, range);
}

/* Look at all of the range. */
static int look(struct quire_paging *paging, struct quire_vrange range, uint32_t flags,
                unsigned *splits)
{
    struct steps steps;
    int error = 0;

    *splits = 0;
    qi_steps_begin(&steps, paging, range);
    while (error == 0 && steps_next(&steps)) {
        unsigned n = steps.place.level == 0 ? qi_steps_alike(&steps, ENTRY_PRESENT, true) : 0;

        if (n > 0) {
            qi_steps_pass(&steps, n);
            continue;
        }
        error = look_at(&steps, range, flags, splits);
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return error;
}

static void give_back(struct quire_paging *paging, struct spares *spares)
{
    while (spares->count > 0)
        qi_table_free(paging, spares->pfn[--spares->count]);
}

/* Split so that pages begin at both ends of the range: after that no page is partly in it. */
static int make_ends(struct quire_paging *paging, struct quire_vrange range, unsigned splits,
                     struct quire_gather *gather)
{
    struct spares spares = {{{0}}, 0};
    int error = 0;

    while (error == 0 && spares.count < splits && spares.count < SPARES) {
        error = qi_table_new(paging, 0, &spares.pfn[spares.count]);
        spares.count += error == 0;
    }
    if (error == 0 && splits > 0)
        error = qi_split_at(paging, range.start.n, &spares, gather);
    if (error == 0 && splits > 0)
        error = qi_split_at(paging, range.start.n + range.bytes, &spares, gather);
    give_back(paging, &spares);
    return error;
}

/* Replace the page at this place: by nothing, or by one with another access. *was is the entry that
 * was replaced. False: there is no page, or a table. */
static inline bool replace(struct quire_paging *paging, struct place *place, const uint32_t *access,
                           uint64_t *was)
{
    const struct quire_paging_format *f = paging->format;

    do {
        *was = place->entry;
        if (!(*was & ENTRY_PRESENT) || entry_is_table(f, place->level, *was))
            return false;
    } while (!place_replace(paging, place, access ? entry_with_access(f, *was, *access) : 0));
    return true;
}

/* A page was taken out, which was `was` at the end. */
static inline __attribute__((__always_inline__)) void note_taken(
    const struct quire_paging_format *f, unsigned level, uint64_t virt, uint64_t was,
    quire_page_visit *visit, void *ctx, struct quire_gather *gather)
{
    struct quire_page page;

    gather_page(gather, virt, level_size(f, level), entry_is_global(f, was));
    if (visit) {
        page_of_entry(f, level, was, &page);
        (void)visit(ctx, quire_vaddr_of(virt), &page);
    }
}

/* Take the page at this place out. False: there is none. */
static inline __attribute__((__always_inline__)) bool take_page(struct quire_paging *paging,
                                                                struct place *place, uint64_t virt,
                                                                quire_page_visit *visit, void *ctx,
                                                                struct quire_gather *gather)
{
    uint64_t was;

    if (!replace(paging, place, NULL, &was))
        return false;
    note_taken(paging->format, place->level, virt, was, visit, ctx, gather);
    return true;
}

/* Give the page at this place an access. False: there is none. */
static bool change_page(struct quire_paging *paging, struct place *place, uint64_t virt,
                        uint32_t access, struct quire_gather *gather)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t was;

    if (!replace(paging, place, &access, &was))
        return false;
    if ((was & f->access_mask) != f->access[access])
        gather_page(gather, virt, level_size(f, place->level), entry_is_global(f, was));
    return true;
}

/* A single small page that is there needs no look beforehand. The place is open if it is one. */
static bool find_one(struct quire_paging *paging, struct quire_vrange range, uint32_t flags,
                     struct place *place)
{
    if (!range_is_page(paging, range) || (flags & ~(uint32_t)FLAGS))
        return false;
    (void)qi_place_find(paging, range.start.n, 0, false, place);
    if (place->level == 0 && (place->entry & ENTRY_PRESENT))
        return true;
    place_close(paging, place);
    return false;
}

/* Take out the page of plain entries. False: there is none of the smallest size. */
static inline __attribute__((__always_inline__)) bool take_plain(struct quire_paging *paging,
                                                                 uint64_t virt,
                                                                 quire_page_visit *visit, void *ctx,
                                                                 struct quire_gather *gather)
{
    uintptr_t table;
    uint64_t seen;
    bool taken = false;

    if (plain_find(paging, virt, &table, &seen) > 0)
        return false;
    while (!taken && (seen & ENTRY_PRESENT)) {
        /* E-entry acquire: what came before the page; E-entry release: what was written to it */
        taken = qa_cas(plain_at(table, virt, 0), &seen, 0, acq_rel);
        if (!taken)
            seen = qa_load(plain_at(table, virt, 0), acquire); /* E-entry acquire: a page */
    }
    if (taken)
        note_taken(paging->format, 0, virt, seen, visit, ctx, gather);
    return taken;
}

void qi_take_out(struct quire_paging *paging, struct quire_vrange range, quire_page_visit *visit,
                 void *ctx, struct quire_gather *gather)
{
    struct steps steps;

    qi_steps_begin(&steps, paging, range);
    while (steps_next(&steps))
        if (take_page(paging, &steps.place, steps_page(&steps), visit, ctx, gather) ||
            !present(&steps))
            (void)steps_advance(&steps); /* else there is a table: what is below it */
    qi_steps_end(&steps);
}

static __attribute__((__noinline__)) int unmap_range(struct quire_paging *paging,
                                                     struct quire_vrange range, uint32_t flags,
                                                     quire_page_visit *visit, void *ctx,
                                                     struct quire_gather *gather)
{
    struct place place;
    unsigned splits;
    int error;

    if (find_one(paging, range, flags, &place)) {
        bool taken = take_page(paging, &place, range.start.n, visit, ctx, gather);

        place_close(paging, &place);
        if (taken)
            return 0;
    }
    error = range_check(paging, range, flags);
    if (error == 0)
        error = look(paging, range, flags, &splits);
    if (error == 0)
        error = make_ends(paging, range, splits, gather);
    if (error == 0)
        qi_take_out(paging, range, visit, ctx, gather);
    return error;
}

int quire_paging_unmap(struct quire_paging *paging, struct quire_vrange range, uint32_t flags,
                       quire_page_visit *visit, void *ctx, struct quire_gather *gather)
{
    if (paging->plain && range_is_page(paging, range) && !(flags & ~(uint32_t)FLAGS) &&
        take_plain(paging, range.start.n, visit, ctx, gather))
        return 0;
    return unmap_range(paging, range, flags, visit, ctx, gather);
}

static void give_access(struct quire_paging *paging, struct quire_vrange range, uint32_t access,
                        struct quire_gather *gather)
{
    struct steps steps;

    qi_steps_begin(&steps, paging, range);
    while (steps_next(&steps))
        if (change_page(paging, &steps.place, steps_page(&steps), access, gather) ||
            !present(&steps))
            (void)steps_advance(&steps); /* else there is a table: what is below it */
    qi_steps_end(&steps);
}

int quire_paging_protect(struct quire_paging *paging, struct quire_vrange range, uint32_t access,
                         uint32_t flags, struct quire_gather *gather)
{
    struct place place;
    unsigned splits;
    int error;

    if (access_exists(paging->format, access) && find_one(paging, range, flags, &place)) {
        bool changed = change_page(paging, &place, range.start.n, access, gather);

        place_close(paging, &place);
        if (changed)
            return 0;
    }
    error = range_check(paging, range, flags);
    if (error == 0)
        error = look(paging, range, flags, &splits);
    if (error)
        return error;
    if (!access_exists(paging->format, access))
        return QUIRE_ERR_UNSUPPORTED;
    error = make_ends(paging, range, splits, gather);
    if (error == 0)
        give_access(paging, range, access, gather);
    return error;
}

/* May the page at this place be replaced? */
static int update_check(const struct quire_paging *paging, const struct place *place,
                        quire_vaddr virt, quire_paddr from, const struct quire_page *to)
{
    const struct quire_paging_format *f = paging->format;
    struct quire_page page;

    if (!entry_is_mapped(f, place->entry))
        return QUIRE_ERR_UNMAPPED;
    page_of_entry(f, place->level, place->entry, &page);
    if (virt.n & (page.size - 1))
        return QUIRE_ERR_LARGE;
    if (entry_is_busy(f, place->entry) || page.phys.n != from.n)
        return QUIRE_ERR_BUSY;
    if (to->phys.n & (page.size - 1))
        return QUIRE_ERR_ALIGN;
    if ((to->phys.n + (page.size - 1)) >> f->phys_bits)
        return QUIRE_ERR_ADDRESS;
    if (f->break_before_make &&
        (page.phys.n != to->phys.n || page.type != to->type || page.global != to->global))
        return paging->port.invalidate ? 0 : QUIRE_ERR_UNSUPPORTED;
    return 0;
}

/* Replace the page at this place; *seen is the entry that was replaced. */
static int replace_page(struct quire_paging *paging, struct place *place, quire_vaddr virt,
                        quire_paddr from, const struct quire_page *to, uint64_t *seen)
{
    const struct quire_paging_format *f = paging->format;
    uint64_t fixed = f->frame_mask | f->type_mask | f->global | f->local, wanted;
    bool done = false;

    while (!done) {
        int error = entry_is_table(f, place->level, place->entry)
                        ? QUIRE_ERR_BUSY /* another call has split it */
                        : update_check(paging, place, virt, from, to);

        if (error)
            return error;
        wanted = entry_of_page(f, place->level, to);
        *seen = place->entry;
        if (f->break_before_make && ((*seen ^ wanted) & fixed)) {
            if (!place_replace(paging, place, entry_busy(f, *seen)))
                continue;
            paging->port.invalidate(paging->port.ctx,
                                    quire_vrange_of(virt.n, level_size(f, place->level)));
        }
        done = place_replace(paging, place, wanted);
    }
    return 0;
}

int quire_paging_update(struct quire_paging *paging, quire_vaddr virt, quire_paddr from,
                        const struct quire_page *to, struct quire_page *old,
                        struct quire_gather *gather)
{
    const struct quire_paging_format *f = paging->format;
    int error = qi_range_check(paging, quire_vrange_of(virt.n, QUIRE_FRAME_SIZE));
    struct place place;
    struct quire_page was;
    uint64_t seen = 0;

    if (error)
        return error;
    if (!page_exists(f, to))
        return QUIRE_ERR_UNSUPPORTED;
    (void)qi_place_find(paging, virt.n, 0, false, &place);
    error = replace_page(paging, &place, virt, from, to, &seen);
    place_close(paging, &place);
    if (error)
        return error;
    page_of_entry(f, place.level, seen, &was);
    gather_page(gather, virt.n, was.size, was.global);
    if (old)
        *old = was;
    return 0;
}
