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
#include "spaces.h"

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
    while (all && qi_steps_next(&steps)) {
        all = (steps.place.entry != 0) == reserved;
        (void)qi_steps_advance(&steps);
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

static qa64 *frames_of(struct quire_space *space)
{
    return (qa64 *)&space->frames;
}

int qi_space_charge(struct quire_space *space, uint64_t frames)
{
    uint64_t limit = space->config.limit, seen;

    if (limit == 0)
        return 0;
    seen = qa_load(frames_of(space), relaxed); /* relaxed: the exchange decides */
    do
        if (frames > limit - seen)
            return QUIRE_ERR_LIMIT;
    while (!qa_cas(frames_of(space), &seen, seen + frames, relaxed)); /* relaxed: a figure */
    return 0;
}

void qi_space_uncharge(struct quire_space *space, uint64_t frames)
{
    if (space->config.limit)
        (void)qa_sub(frames_of(space), frames, relaxed); /* relaxed: a figure */
}

void qi_space_wait(const struct quire_space *space, struct steps *steps)
{
    const struct quire_space_port *port = &space->config.port;

    qi_steps_end(steps); /* no window stays open: another CPU may be the next one */
    if (port->relax)
        port->relax(port->ctx);
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
                       entry_leaving(f, e, keep ? page_access(f, place->level, e) : 0)))
        return false;
    qi_forgotten_note(forgotten, steps_page(steps), level_size(f, place->level));
    return true;
}

/* Give the frame of a leaving entry back. */
static void give_frame_back(struct quire_space *space, struct place *place)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    quire_pfn pfn = leaving_pfn(f, place->entry);
    uint32_t access = reserved_access(place->entry);

    /* Nobody else replaces it. */
    (void)place_replace(&space->paging, place,
                        access ? entry_reserved(access, place->level > 0) : 0);
    if (place->level > 0 || qi_share_drop(space->config.port.shares, pfn))
        frames->free(frames->ctx, pfn, level_order(f, place->level));
    qi_space_uncharge(space, level_frames(f, place->level));
}

void qi_space_take_out(struct quire_space *space, struct quire_vrange range, bool keep, bool used)
{
    struct forgotten forgotten = {0, 0, false};
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (qi_steps_next(&steps))
        if (take_entry(space, &steps, keep, &forgotten))
            (void)qi_steps_advance(&steps);
    qi_steps_end(&steps);
    if (!forgotten.any)
        return;
    if (used)
        qi_forget(space, &forgotten);
    qi_steps_begin(&steps, &space->paging,
                   quire_vrange_of(forgotten.first, forgotten.last - forgotten.first + 1));
    while (qi_steps_next(&steps)) {
        if (entry_is_leaving(steps.place.entry))
            give_frame_back(space, &steps.place);
        if (!entry_is_table(space->paging.format, steps.place.level, steps.place.entry))
            (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

static int config_check(const struct quire_space_config *config)
{
    const struct quire_space_port *port = &config->port;
    struct quire_paging asked = {config->format, port->paging, {0}, false, {0}};
    int error = qi_range_check(&asked, config->range);

    if (error)
        return error;
    if (config->range.start.n == 0)
        return QUIRE_ERR_ADDRESS;
    if (!port->paging.invalidate || !port->paging.tables.free || !port->frames.alloc ||
        !port->frames.free)
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
    quire_paging_destroy(&space->paging);
}
