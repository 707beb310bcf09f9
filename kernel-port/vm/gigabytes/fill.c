/* SPDX-License-Identifier: MIT
 *
 * fill.c - a page of 1 GiB is put where an area asked for one.
 *
 * To write a gigabyte of zeros takes long. Dangers: several processors that touch it meanwhile take
 * a run each, and all but one write it for nothing, or are refused for want of it; a limit counts a
 * run that was never had. So the entry is held while the run is taken, counted and written: others
 * that fault on it come again, and who changes the space waits. Where there is no run the entry is
 * put back as it was, so that smaller pages can take its place.
 */
#include "kernel-port/vm/file/files.h"

/* A run that is counted against the limits: the count is pending (file/limit.c) until it is had. */
static int take_gigabyte(struct quire_space *space, uint32_t note, bool *zeroed, quire_pfn *pfn)
{
    const struct quire_paging_format *f = space->paging.format;
    const uint64_t frames = level_frames(f, GIGABYTE_LEVEL);
    int error = area_charge(space, note, frames + PENDING);

    if (error)
        return error;
    error = qi_space_take_run(space, level_order(f, GIGABYTE_LEVEL), note, zeroed, pfn);
    area_uncharge(space, note, error ? frames + PENDING : PENDING);
    return error;
}

int qi_space_fill_gigabyte(struct quire_space *space, struct place *place, bool *done)
{
    uint64_t seen = place->entry, frames = level_frames(space->paging.format, GIGABYTE_LEVEL);
    uint32_t note = reserved_note(space->paging.format, seen);
    bool zeroed = true;
    quire_pfn pfn;
    int error;

    *done = false;
    if (!place_replace(&space->paging, place, entry_held())) {
        place_close(&space->paging, place);
        return 0; /* it is looked at again */
    }
    error = take_gigabyte(space, note, &zeroed, &pfn);
    if (error == 0 && !zeroed)
        qi_space_zero_frames(space, pfn, frames);
    /* Nobody else replaces it. */
    (void)place_replace(&space->paging, place,
                        error ? seen : own_page(space, GIGABYTE_LEVEL, pfn, reserved_access(seen)));
    place_close(&space->paging, place);
    /* Where smaller pages may take its place, whether it is refused for good is no matter. */
    if (error == QUIRE_ERR_LIMIT && gigabytes_of(space, seen) == QUIRE_GIGABYTES_ONLY &&
        !qi_limit_refuses(space, note, frames))
        error = 0; /* the access is repeated */
    *done = error == 0;
    return error;
}
