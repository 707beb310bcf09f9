/* SPDX-License-Identifier: MIT
 *
 * alter.c - ranges of areas change: unmap, protect, advise.
 *
 * A call looks whether all of the range is in areas, then splits what lies across its ends, and
 * then changes entry by entry, which cannot fail. A split changes nothing that anybody can see, so
 * a call that could not split its second end has changed nothing. Faults go on meanwhile: what they
 * change is seen by the exchange that fails.
 */
#include "spaces.h"

/* ---- Ends ----------------------------------------------------------------------------------- */

/* Split the large page at this place, which is closed. */
static int split_large_page(struct quire_space *space, struct place *place, uint64_t virt)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    quire_pfn pfn = entry_pfn(f, place->entry);
    uint64_t size = level_size(f, place->level);
    struct forgotten forgotten = {0, 0, false};
    struct quire_gather gather = {.count = 0};
    struct spares spares = {.count = 0};
    int error = qi_table_new(&space->paging, place->level - 1, &spares.pfn[0]);

    place_close(&space->paging, place);
    if (error)
        return error;
    spares.count = 1;
    error = frames->split(frames->ctx, pfn, level_order(f, place->level));
    if (error == 0)
        error = qi_split_at(&space->paging, virt, &spares, &gather);
    if (spares.count)
        qi_table_free(&space->paging, spares.pfn[0]);
    qi_forgotten_note(&forgotten, virt & ~(size - 1), size);
    qi_forget(space, &forgotten);
    return error;
}

int qi_space_split(struct quire_space *space, uint64_t virt)
{
    const struct quire_paging_format *f = space->paging.format;

    for (;;) {
        struct place place;
        int error;

        (void)qi_place_find(&space->paging, virt, 0, false, &place);
        if (place.entry == 0 || (virt & (level_size(f, place.level) - 1)) == 0) {
            place_close(&space->paging, &place);
            return 0;
        }
        if (place.entry & ENTRY_PRESENT)
            error = split_large_page(space, &place, virt);
        else
            error = qi_space_lower(space, &place);
        if (error)
            return error;
    }
}

/* What each call begins with. After it each entry is inside of the range, or outside. */
static int prepare_range(struct quire_space *space, struct quire_vrange range)
{
    struct quire_vrange whole = space->config.range;
    uint64_t end = range.start.n + range.bytes;
    int error = qi_space_check(space, range);

    if (error)
        return error;
    if (!qi_space_is_all(space, range, true))
        return QUIRE_ERR_AREA;
    error = qi_space_split(space, range.start.n);
    if (error == 0 && end != whole.start.n + whole.bytes) /* no entry goes beyond its end */
        error = qi_space_split(space, end);
    return error;
}

/* ---- Unmap, protect ------------------------------------------------------------------------- */

int quire_space_unmap(struct quire_space *space, struct quire_vrange range)
{
    int error = prepare_range(space, range);

    if (error)
        return error;
    qi_space_take_out(space, range, false, true);
    if (range.start.n - space->config.range.start.n < space->search)
        space->search = range.start.n - space->config.range.start.n;
    return 0;
}

/* What takes the place of an entry; the entry itself: nothing. */
typedef uint64_t entry_change(const struct quire_paging_format *f, unsigned level, uint64_t e,
                              uint32_t access);

static uint64_t with_access(const struct quire_paging_format *f, unsigned level, uint64_t e,
                            uint32_t access)
{
    if (e & ENTRY_PRESENT)
        return page_with_access(f, level, e, access);
    return entry_reserved(access, (e & RESERVED_LARGE) != 0);
}

static uint64_t with_large(const struct quire_paging_format *f, unsigned level, uint64_t e,
                           uint32_t large)
{
    (void)f;
    (void)level;
    if ((e & ENTRY_PRESENT) || reserved_access(e) == 0)
        return e;
    return entry_reserved(reserved_access(e), large != 0);
}

static void change_entries(struct quire_space *space, struct quire_vrange range,
                           entry_change *change, uint32_t value)
{
    const struct quire_paging_format *f = space->paging.format;
    struct forgotten forgotten = {0, 0, false};
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (qi_steps_next(&steps)) {
        struct place *place = &steps.place;
        uint64_t seen = place->entry, wanted;

        if (entry_is_held(seen)) {
            qi_space_wait(space, &steps);
            continue;
        }
        if (entry_is_table(f, place->level, seen))
            continue;
        wanted = change(f, place->level, seen, value);
        if (wanted != seen && !place_replace(&space->paging, place, wanted))
            continue;
        if (wanted != seen && (seen & ENTRY_PRESENT))
            qi_forgotten_note(&forgotten, steps_page(&steps), level_size(f, place->level));
        (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
    qi_forget(space, &forgotten);
}

int quire_space_protect(struct quire_space *space, struct quire_vrange range, uint32_t access)
{
    int error = qi_access_check(space, access) ? 0 : QUIRE_ERR_UNSUPPORTED;

    if (error == 0)
        error = prepare_range(space, range);
    if (error == 0)
        change_entries(space, range, with_access, access);
    return error;
}

/* ---- Advise --------------------------------------------------------------------------------- */

static int populate(struct quire_space *space, struct quire_vrange range)
{
    struct steps steps;
    int error = 0;

    qi_steps_begin(&steps, &space->paging, range);
    while (error == 0 && qi_steps_next(&steps)) {
        uint64_t e = steps.place.entry;
        uint32_t access = reserved_access(e);

        if (!(e & ENTRY_PRESENT) && !entry_is_held(e) && access) {
            qi_steps_end(&steps);
            error = quire_space_fault(space, quire_vaddr_of(steps.virt), access & ~(access - 1));
            continue;
        }
        if (!entry_is_table(space->paging.format, steps.place.level, e))
            (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return error;
}

int quire_space_advise(struct quire_space *space, struct quire_vrange range,
                       enum quire_advice advice)
{
    int error = (unsigned)advice > QUIRE_ADVISE_SMALL ? QUIRE_ERR_UNSUPPORTED : 0;

    if (error == 0)
        error = prepare_range(space, range);
    if (error)
        return error;
    if (advice == QUIRE_ADVISE_POPULATE)
        return populate(space, range);
    if (advice == QUIRE_ADVISE_RELEASE)
        qi_space_take_out(space, range, true, true);
    else
        change_entries(space, range, with_large, advice == QUIRE_ADVISE_LARGE);
    return 0;
}
