/* SPDX-License-Identifier: MIT
 *
 * area.c - areas are reserved, found a place for, and listed.
 *
 * An area is written at the highest levels that fit: a terabyte takes a few entries. Danger: a call
 * that is refused must not leave a part of it. So the tables that its two ends need are made first,
 * and the entries are looked at; then they are written, which cannot fail, as nobody but the calls
 * that come one at a time writes into an empty entry.
 */
#include "spaces.h"

/* The highest level at which an entry may begin at `virt`. */
static unsigned level_for(const struct quire_paging_format *f, uint64_t virt)
{
    unsigned level = 0;

    while (level + 1u < f->levels && (virt & (level_size(f, level + 1) - 1)) == 0)
        level++;
    return level;
}

/* Have the tables above the entry for `virt` at this level. */
static int make_way(struct quire_space *space, uint64_t virt, unsigned level)
{
    struct place place;
    int error = qi_place_find(&space->paging, virt, level, true, &place);

    if (error == 0)
        place_close(&space->paging, &place);
    return error;
}

static int prepare_area(struct quire_space *space, struct quire_vrange range)
{
    const struct quire_paging_format *f = space->paging.format;
    uint64_t last = quire_vrange_last(range).n;
    int error;

    if (!qi_space_is_all(space, range, false))
        return QUIRE_ERR_MAPPED;
    error = make_way(space, range.start.n, level_for(f, range.start.n));
    return error ? error : make_way(space, last, level_for(f, last + 1));
}

static void write_area(struct quire_space *space, struct quire_vrange range, uint64_t e)
{
    const struct quire_paging_format *f = space->paging.format;
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (qi_steps_next(&steps)) {
        (void)place_replace(&space->paging, &steps.place, e);
        if (!entry_is_table(f, steps.place.level, steps.place.entry))
            (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
}

/* ---- First fit ------------------------------------------------------------------------------ */

struct fit {
    uint64_t bytes, unit, below; /* wanted: so much, at a multiple of this, so much free below it */
    uint64_t from, free;         /* what is free begins here, and goes so far: 0, nothing */
};

/* Does the area fit into what is free? *at is where. */
static bool fits(const struct fit *fit, uint64_t *at)
{
    uint64_t start = fit->from + fit->below;

    if (start < fit->from || quire_address_align_up(start, fit->unit, &start))
        return false;
    if (start - fit->from > fit->free || fit->free - (start - fit->from) < fit->bytes)
        return false;
    *at = start;
    return true;
}

/* The lowest place. In the first bytes of the space, space->search of them, nothing is free. */
static int find_place(struct quire_space *space, struct fit *fit, uint64_t *at)
{
    struct quire_vrange whole = space->config.range;
    uint64_t done = space->search, first = whole.bytes;
    struct steps steps;
    bool found = false;

    if (done >= whole.bytes)
        return QUIRE_ERR_FULL;
    fit->free = 0;
    qi_steps_begin(&steps, &space->paging,
                   quire_vrange_of(whole.start.n + done, whole.bytes - done));
    while (!found && qi_steps_next(&steps)) {
        if (steps.place.entry == 0 && fit->free == 0)
            fit->from = steps.virt;
        if (steps.place.entry == 0 && first == whole.bytes)
            first = steps.virt - whole.start.n;
        if (steps.place.entry)
            fit->free = 0;
        else
            fit->free += steps_bytes(&steps);
        (void)qi_steps_advance(&steps);
        found = fit->free > 0 && fits(fit, at);
    }
    qi_steps_end(&steps);
    space->search = first;
    return found ? 0 : QUIRE_ERR_FULL;
}

/* ---- Reserve -------------------------------------------------------------------------------- */

static bool area_exists(const struct quire_space *space, const struct quire_area *area,
                        uint32_t flags)
{
    const uint32_t known = QUIRE_RESERVE_ANYWHERE | QUIRE_RESERVE_LARGE | QUIRE_RESERVE_STACK;

    if (flags & ~known)
        return false;
    if (area->kind == QUIRE_AREA_GUARD)
        return area->access == 0 && !(flags & QUIRE_RESERVE_STACK);
    return area->kind == QUIRE_AREA_ANONYMOUS && qi_access_check(space, area->access);
}

/* Where the area shall be: *range. */
static int place_area(struct quire_space *space, const struct quire_area *area, uint32_t flags,
                      struct quire_vrange *range)
{
    const struct quire_paging_format *f = space->paging.format;
    struct fit fit = {area->range.bytes, QUIRE_FRAME_SIZE, 0, 0, 0};

    *range = area->range;
    if (!(flags & QUIRE_RESERVE_ANYWHERE))
        return 0;
    if (area->range.bytes == 0)
        return QUIRE_ERR_SIZE;
    if (area->range.bytes % QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    if (flags & QUIRE_RESERVE_LARGE)
        fit.unit = level_size(f, 1);
    if (flags & QUIRE_RESERVE_STACK)
        fit.below = QUIRE_FRAME_SIZE;
    return find_place(space, &fit, &range->start.n);
}

int quire_space_reserve(struct quire_space *space, const struct quire_area *area, uint32_t flags,
                        quire_vaddr *at)
{
    bool stack = (flags & QUIRE_RESERVE_STACK) != 0, large = (flags & QUIRE_RESERVE_LARGE) != 0;
    struct quire_vrange range, guard;
    int error = area_exists(space, area, flags) ? 0 : QUIRE_ERR_UNSUPPORTED;

    if (error == 0)
        error = place_area(space, area, flags, &range);
    if (error == 0)
        error = qi_space_check(space, range);
    if (error)
        return error;
    guard = quire_vrange_of(range.start.n - QUIRE_FRAME_SIZE, QUIRE_FRAME_SIZE);
    if (stack)
        error = qi_space_check(space, guard);
    if (error == 0 && stack)
        error = prepare_area(space, guard);
    if (error == 0)
        error = prepare_area(space, range);
    if (error)
        return error;
    if (stack)
        write_area(space, guard, entry_reserved(0, false));
    write_area(space, range, entry_reserved(area->access, large));
    if (at)
        *at = range.start;
    return 0;
}

/* ---- List ----------------------------------------------------------------------------------- */

/* What the step came to, as an area. */
static struct quire_area area_of_step(const struct steps *steps)
{
    const struct place *place = &steps->place;
    struct quire_area area = {.range = quire_vrange_of(steps->virt, steps_bytes(steps))};

    if (place->entry & ENTRY_PRESENT) {
        area.access = page_access(steps->paging->format, place->level, place->entry);
        area.frames = area.range.bytes / QUIRE_FRAME_SIZE;
    } else {
        area.access = reserved_access(place->entry);
    }
    area.kind = area.access ? QUIRE_AREA_ANONYMOUS : QUIRE_AREA_GUARD;
    return area;
}

/* Add the area to the one before it, or tell that one and begin anew. An area of 0 bytes is none.
 */
static int join_or_visit(struct quire_area *area, const struct quire_area *next,
                         quire_area_visit *visit, void *ctx)
{
    int result = 0;

    if (area->range.bytes && next->range.bytes && area->access == next->access &&
        area->range.start.n + area->range.bytes == next->range.start.n) {
        area->range.bytes += next->range.bytes;
        area->frames += next->frames;
        return 0;
    }
    if (area->range.bytes)
        result = visit(ctx, area);
    *area = *next;
    return result;
}

int quire_space_list(struct quire_space *space, struct quire_vrange range, quire_area_visit *visit,
                     void *ctx)
{
    const struct quire_area none = {.range = {{0}, 0}};
    struct quire_area area = none;
    struct steps steps;
    int result = qi_space_check(space, range);

    if (result)
        return result;
    qi_steps_begin(&steps, &space->paging, range);
    while (result == 0 && qi_steps_next(&steps)) {
        struct quire_area next;

        if (entry_is_held(steps.place.entry)) {
            qi_space_wait(space, &steps);
            continue;
        }
        if (entry_is_table(space->paging.format, steps.place.level, steps.place.entry))
            continue;
        next = area_of_step(&steps);
        if (steps.place.entry)
            result = join_or_visit(&area, &next, visit, ctx);
        (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return result ? result : join_or_visit(&area, &none, visit, ctx);
}
