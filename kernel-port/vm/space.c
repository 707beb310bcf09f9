/* SPDX-License-Identifier: MIT
 *
 * space.c - a space begins and ends; pages are taken out of it.
 *
 * Taking out. Danger: another processor may use a page, and write to it, until it has forgotten it,
 * so its frame must not be given back before; and how many pages there are is not bounded. So the
 * page table is the list: in a first walk the pages become leaving entries, which keep the frames'
 * numbers; then one invalidation is for all; a second walk gives the frames back (SP3). A fault
 * finds a leaving entry to be what it will become.
 */
#include "file/files.h"

/* ---- What is invalidated -------------------------------------------------------------------- */

void qi_forgotten_note(struct forgotten *forgotten, uint64_t virt, uint64_t bytes)
{
    if (!forgotten->any || virt < forgotten->first)
        forgotten->first = virt;
    if (!forgotten->any || virt + (bytes - 1) > forgotten->last)
        forgotten->last = virt + (bytes - 1);
    forgotten->any = true;
}

void qi_forget(struct quire_space *space, const struct forgotten *forgotten)
{
    const struct quire_paging_port *port = &space->paging.port;

    if (forgotten->any)
        port->invalidate(port->ctx,
                         quire_vrange_of(forgotten->first, forgotten->last - forgotten->first + 1));
}

/* ---- What every call asks ------------------------------------------------------------------- */

int qi_space_check(const struct quire_space *space, struct quire_vrange range)
{
    struct quire_vrange whole = space->config.range;
    int error = qi_range_check(&space->paging, range);

    if (error)
        return error;
    if (!quire_vrange_contains(whole, range.start) ||
        !quire_vrange_contains(whole, quire_vrange_last(range)))
        return QUIRE_ERR_ADDRESS;
    return 0;
}

bool qi_space_is_all(struct quire_space *space, struct quire_vrange range, bool reserved)
{
    struct steps steps;
    bool all = true;

    qi_steps_begin(&steps, &space->paging, range);
    while (all && steps_next(&steps)) {
        bool row = steps.place.level == 0 || !reserved; /* none of it is a table */
        unsigned n = row ? qi_steps_alike(&steps, UINT64_MAX, reserved) : 0;

        all = (steps.place.entry != 0) == reserved;
        if (n > 0)
            qi_steps_pass(&steps, n);
        else
            (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return all;
}

bool qi_access_check(const struct quire_space *space, uint32_t access)
{
    const struct quire_paging_format *f = space->paging.format;

    return access != 0 && access_exists(f, access) &&
           access_exists(f, access & ~(uint32_t)QUIRE_WRITE);
}

void qi_space_relax(const struct quire_space *space)
{
    const struct quire_space_port *port = &space->config.port;

    if (port->relax)
        port->relax(port->ctx);
}

void qi_space_wait(const struct quire_space *space, struct steps *steps)
{
    qi_steps_end(steps); /* no window stays open: another CPU may be the next one */
    qi_space_relax(space);
}

/* ---- Taking out ----------------------------------------------------------------------------- */

/* The entry that the step came to. False: it is another one now, or a table. */
static bool take_entry(struct quire_space *space, struct steps *steps, bool keep,
                       struct forgotten *forgotten)
{
    const struct quire_paging_format *f = space->paging.format;
    struct place *place = &steps->place;
    uint64_t e = place->entry;

    if (entry_is_held(e)) {
        qi_space_wait(space, steps);
        return false;
    }
    if (!(e & ENTRY_PRESENT))
        return e == 0 || keep || place_replace(&space->paging, place, 0);
    if (entry_is_table(f, place->level, e))
        return false;
    if (!place_replace(&space->paging, place,
                       entry_leaving(f, place->level, e, keep ? page_access(f, e) : 0)))
        return false;
    qi_forgotten_note(forgotten, steps_page(steps), level_size(f, place->level));
    return true;
}

/* One owner less of a frame: was it the last one? */
static bool drop_frame(struct quire_space *space, struct counting *counting, quire_pfn pfn)
{
    struct quire_shares *shares = space->config.port.shares;
    bool last = !shares || qi_counting_drop(shares, counting, pfn);

    if (shares && shares->reach.open) { /* nothing stays open in a window */
        qi_counting_end(shares, counting);
        counting->first = COUNTING_NONE;
    }
    return last;
}

/* Give the frame of a leaving entry back, or leave it to its file. `note` is that of its area, or
 * NULL. */
static void give_frame_back(struct quire_space *space, struct place *place, uint64_t virt,
                            const struct note *note, struct counting *counting)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    uint64_t leaving = place->entry;
    quire_pfn pfn = leaving_pfn(f, leaving);
    uint32_t access = reserved_access(leaving);
    bool cached = (leaving & RESERVED_FILE) != 0;
    bool large = place->level > 0 && (leaving & RESERVED_LARGE);

    if (cached && (leaving & RESERVED_DIRTY))
        qi_cache_written(note, virt);
    if (!cached) /* before the entry: no fault on it is to be refused because of it (LM1) */
        area_uncharge(space, note && !note->file ? note->origin : NO_NOTE,
                      level_frames(f, place->level));
    /* Nobody else replaces it. */
    entry_put(f, place->table, place->index, access ? entry_of_area(f, note, access, large) : 0);
    if (!cached && (place->level > 0 || drop_frame(space, counting, pfn)))
        frames->free(frames->ctx, pfn, level_order(f, place->level));
}

void qi_space_take_out(struct quire_space *space, struct quire_vrange range, bool keep, bool used)
{
    struct counting counting = {.counts = NULL, .first = COUNTING_NONE};
    struct forgotten forgotten = {0, 0, false};
    struct note *note = NULL;
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (steps_next(&steps))
        if (take_entry(space, &steps, keep, &forgotten))
            (void)steps_advance(&steps);
    qi_steps_end(&steps);
    if (!forgotten.any)
        return;
    if (used)
        qi_forget(space, &forgotten);
    qi_steps_begin(&steps, &space->paging,
                   quire_vrange_of(forgotten.first, forgotten.last - forgotten.first + 1));
    while (steps_next(&steps)) {
        if (entry_is_leaving(steps.place.entry)) {
            note = note_at(space, note, steps.virt);
            give_frame_back(space, &steps.place, steps.virt, note, &counting);
            (void)steps_advance(&steps);
        } else if (!entry_is_table(space->paging.format, steps.place.level, steps.place.entry)) {
            (void)steps_advance(&steps);
        }
    }
    qi_steps_end(&steps);
    if (counting.first != COUNTING_NONE)
        qi_counting_end(space->config.port.shares, &counting);
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

static int config_check(const struct quire_space_config *config)
{
    const struct quire_space_port *port = &config->port;
    struct quire_paging asked = {config->format, port->paging, {0}, false, 0, {0}};
    int error = qi_range_check(&asked, config->range);

    if (error)
        return error;
    if (config->range.start.n == 0)
        return QUIRE_ERR_ADDRESS;
    if (!port->paging.invalidate || !port->paging.tables.free || !port->frames.alloc ||
        !port->frames.free)
        return QUIRE_ERR_UNSUPPORTED;
    if (config->around > QUIRE_AROUND_MOST || (config->around & (config->around - 1)) ||
        (config->around && !port->frames.split))
        return QUIRE_ERR_UNSUPPORTED;
    return 0;
}

int quire_space_create(struct quire_space *space, const struct quire_space_config *config)
{
    struct quire_space fresh = {.config = *config};
    int error = config_check(config);

    if (error == 0)
        error = quire_paging_init(&fresh.paging, config->format, &config->port.paging);
    if (error == 0)
        *space = fresh;
    return error;
}

void quire_space_destroy(struct quire_space *space)
{
    qi_space_take_out(space, space->config.range, false, false);
    qi_notes_write(space, space->config.range);
    qi_notes_remove(space, space->config.range);
    qi_notes_end(space);
    quire_paging_destroy(&space->paging);
}
