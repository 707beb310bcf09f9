/* SPDX-License-Identifier: MIT
 *
 * area.c - areas are reserved, found a place for, and listed.
 *
 * An area is written at the highest levels that fit: a terabyte takes a few entries. Danger: a call
 * that is refused must not leave a part of it. So the tables that its two ends need are made first,
 * and the entries are looked at; then they are written, which cannot fail, as nobody but the calls
 * that come one at a time writes into an empty entry.
 */
#include "file/files.h"

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
    while (steps_next(&steps)) {
        (void)place_replace(&space->paging, &steps.place, e);
        if (!entry_is_table(f, steps.place.level, steps.place.entry))
            (void)steps_advance(&steps);
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
    while (!found && steps_next(&steps)) {
        if (steps.place.entry == 0 && fit->free == 0)
            fit->from = steps.virt;
        if (steps.place.entry == 0 && first == whole.bytes)
            first = steps.virt - whole.start.n;
        if (steps.place.entry)
            fit->free = 0;
        else
            fit->free += steps_bytes(&steps);
        (void)steps_advance(&steps);
        found = fit->free > 0 && fits(fit, at);
    }
    qi_steps_end(&steps);
    space->search = first;
    return found ? 0 : QUIRE_ERR_FULL;
}

/* ---- Reserve -------------------------------------------------------------------------------- */

/* Is there more to know of the area than its access? */
static bool is_noted(const struct quire_area *area)
{
    return area->file || area->offset || area->policy || area->limit || area->gigabytes;
}

static bool area_exists(const struct quire_space *space, const struct quire_area *area,
                        uint32_t flags)
{
    const uint32_t known = QUIRE_RESERVE_ANYWHERE | QUIRE_RESERVE_LARGE | QUIRE_RESERVE_STACK;

    if (flags & ~known)
        return false;
    if (area->kind == QUIRE_AREA_GUARD)
        return area->access == 0 && !(flags & QUIRE_RESERVE_STACK) && !is_noted(area);
    if (area->kind == QUIRE_AREA_ANONYMOUS)
        return qi_access_check(space, area->access) && !area->file && !area->offset;
    return (area->kind == QUIRE_AREA_SHARED || area->kind == QUIRE_AREA_PRIVATE) &&
           qi_access_check(space, area->access) && !(flags & QUIRE_RESERVE_STACK) && area->file &&
           !area->policy && !area->limit && !area->gigabytes;
}

/* Can the range have what the area says of pages of 1 GiB? */
static int gigabytes_check(const struct quire_space *space, const struct quire_area *area,
                           struct quire_vrange range)
{
    if (area->gigabytes > QUIRE_GIGABYTES_ONLY)
        return QUIRE_ERR_UNSUPPORTED;
    if (area->gigabytes != QUIRE_GIGABYTES_ONLY)
        return 0;
    if (!has_gigabytes(space))
        return QUIRE_ERR_UNSUPPORTED;
    return (range.start.n | range.bytes) & (QUIRE_PAGE_1G - 1) ? QUIRE_ERR_ALIGN : 0;
}

/* Can the file be mapped so, by as many pages as the range has? */
static int file_check(const struct quire_area *area, struct quire_vrange range)
{
    if (!area->file)
        return 0;
    if (area->offset % QUIRE_FRAME_SIZE)
        return QUIRE_ERR_ALIGN;
    if (area->offset / QUIRE_FRAME_SIZE >= QUIRE_FILE_PAGES ||
        range.bytes / QUIRE_FRAME_SIZE > QUIRE_FILE_PAGES - area->offset / QUIRE_FRAME_SIZE)
        return QUIRE_ERR_SIZE;
    if (area->kind == QUIRE_AREA_SHARED && (area->access & QUIRE_WRITE) &&
        !area->file->config.pager.write)
        return QUIRE_ERR_ACCESS;
    return 0;
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
    if ((flags & QUIRE_RESERVE_LARGE) || area->gigabytes)
        fit.unit = level_size(f, 1);
    if (area->gigabytes && has_gigabytes(space) && area->range.bytes >= QUIRE_PAGE_1G)
        fit.unit = QUIRE_PAGE_1G;
    if (flags & QUIRE_RESERVE_STACK)
        fit.below = QUIRE_FRAME_SIZE;
    return find_place(space, &fit, &range->start.n);
}

int quire_space_reserve(struct quire_space *space, const struct quire_area *area, uint32_t flags,
                        quire_vaddr *at)
{
    bool stack = (flags & QUIRE_RESERVE_STACK) != 0;
    bool large = (flags & QUIRE_RESERVE_LARGE) || area->gigabytes;
    const struct quire_paging_format *f = space->paging.format;
    struct quire_vrange range, guard;
    struct note *note = NULL;
    int error = area_exists(space, area, flags) ? 0 : QUIRE_ERR_UNSUPPORTED;

    if (error == 0)
        error = place_area(space, area, flags, &range);
    if (error == 0)
        error = qi_space_check(space, range);
    if (error == 0)
        error = file_check(area, range);
    if (error == 0)
        error = gigabytes_check(space, area, range);
    if (error)
        return error;
    guard = quire_vrange_of(range.start.n - QUIRE_FRAME_SIZE, QUIRE_FRAME_SIZE);
    if (stack)
        error = qi_space_check(space, guard);
    if (error == 0 && stack)
        error = prepare_area(space, guard);
    if (error == 0)
        error = prepare_area(space, range);
    if (error == 0 && is_noted(area))
        error = qi_note_add(space, area, range, &note);
    if (error)
        return error;
    if (stack)
        write_area(space, guard, entry_reserved(0, false));
    write_area(space, range, entry_of_area(f, note, area->access, large));
    if (at)
        *at = range.start;
    return 0;
}

/* ---- List ----------------------------------------------------------------------------------- */

/* What the step came to, as an area, which has this note or none. */
static struct quire_area area_of_step(const struct steps *steps, const struct note *note)
{
    const struct place *place = &steps->place;
    struct quire_area area = {.range = quire_vrange_of(steps->virt, steps_bytes(steps))};
    uint64_t policy;

    if (place->entry & ENTRY_PRESENT) {
        area.access = page_access(steps->paging->format, place->entry);
        area.frames = area.range.bytes / QUIRE_FRAME_SIZE;
    } else {
        area.access = reserved_access(place->entry);
    }
    area.kind = area.access ? QUIRE_AREA_ANONYMOUS : QUIRE_AREA_GUARD;
    if (!note)
        return area;
    if (note->file)
        area.kind = note->shared ? QUIRE_AREA_SHARED : QUIRE_AREA_PRIVATE;
    area.file = note->file;
    area.offset = note->file ? steps->virt + note->offset : 0;
    policy = qa_load(&note->policy, relaxed); /* relaxed: nobody changes it now */
    area.policy = (const struct quire_policy *)(uintptr_t)policy;
    area.limit = qa_load(&note->limit, relaxed);         /* relaxed: as above */
    area.gigabytes = qa_load(&note->gigabytes, relaxed); /* relaxed: as above */
    return area;
}

/* Are they one area, if they are neighbours? What has a limit is one with what counts against it.
 */
static bool are_alike(const struct quire_area *area, const struct quire_area *next)
{
    return area->access == next->access && area->kind == next->kind && area->file == next->file &&
           area->policy == next->policy && area->limit == next->limit &&
           area->gigabytes == next->gigabytes &&
           (!area->file || area->offset + area->range.bytes == next->offset) &&
           area->range.start.n + area->range.bytes == next->range.start.n;
}

/* Add the area to the one before it, or tell that one and begin anew. An area of 0 bytes is none.
 */
static int join_or_visit(struct quire_area *area, const struct quire_area *next,
                         quire_area_visit *visit, void *ctx)
{
    int result = 0;

    if (area->range.bytes && next->range.bytes && are_alike(area, next)) {
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
    struct note *note = NULL;
    struct steps steps;
    int result = qi_space_check(space, range);

    if (result)
        return result;
    qi_steps_begin(&steps, &space->paging, range);
    while (result == 0 && steps_next(&steps)) {
        struct quire_area next;

        if (entry_is_held(steps.place.entry)) {
            qi_space_wait(space, &steps);
            continue;
        }
        if (entry_is_table(space->paging.format, steps.place.level, steps.place.entry))
            continue;
        note = note_at(space, note, steps.virt);
        next = area_of_step(&steps, note);
        if (steps.place.entry)
            result = join_or_visit(&area, &next, visit, ctx);
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return result ? result : join_or_visit(&area, &none, visit, ctx);
}
