/* SPDX-License-Identifier: MIT
 *
 * around.c - in an area that is advised large pages, and where there is none, one fault brings
 * small pages for a neighbourhood: out of one run, which is split, so each of them is a page as any
 * other from then on.
 *
 * Each is put in by one exchange against what all of them were reserved for, as one of a single
 * fault is (fault.c). Danger: an unmap, or another fault, in between: then this exchange fails, and
 * its frame goes back. A limit counts what was had, not what was looked for; the count is pending
 * (file/limit.c) until those that were too late are taken back.
 */
#include "kernel-port/vm/file/files.h"

/* Are these entries of the place's table all reserved as the place is? */
static bool all_reserved(const struct quire_space *space, const struct place *place, unsigned first,
                         unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        if (entry_load(space->paging.format, place->table, i) != place->entry)
            return false;
    return true;
}

int qi_space_take_row(struct quire_space *space, uint32_t note, unsigned order, uint64_t counts,
                      bool *zeroed, quire_pfn *pfn)
{
    const struct quire_frame_source *frames = &space->config.port.frames;
    int error = area_charge(space, note, counts);

    if (error)
        return error;
    error = qi_space_take_run(space, order, note, zeroed, pfn);
    if (error == 0) {
        error = frames->split(frames->ctx, *pfn, order);
        if (error)
            frames->free(frames->ctx, *pfn, order);
    }
    if (error)
        area_uncharge(space, note, counts);
    return error;
}

/* Put the frames into the entries from `first` on; give those back for which it is too late. The
 * count is not pending then. */
static void put_side_by_side(struct quire_space *space, const struct place *place, unsigned first,
                             unsigned count, quire_pfn pfn)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    const uint64_t seen = place->entry;
    uint64_t late = 0;

    for (unsigned i = 0; i < count; i++) {
        quire_pfn frame = quire_pfn_of(pfn.n + i);

        if (entry_replace(f, place->table, first + i, seen,
                          own_page(space, 0, frame, reserved_access(seen))))
            continue;
        frames->free(frames->ctx, frame, 0);
        late++;
    }
    area_uncharge(space, reserved_note(f, seen), late + PENDING);
}

/* A run that is refused for want of memory is not asked for again by halves: each time the machine
 * would drain its caches, and have memory reclaimed, for a page of which one frame is enough. */
bool qi_space_fill_around(struct quire_space *space, struct place *place)
{
    uint32_t note = reserved_note(space->paging.format, place->entry);
    int error = QUIRE_ERR_LIMIT;
    unsigned order = 0;

    while ((uint32_t)1 << order < space->config.around)
        order++;
    for (; order > 0 && error == QUIRE_ERR_LIMIT; order--) {
        unsigned count = 1u << order, first = place->index & ~(count - 1);
        bool zeroed = true;
        quire_pfn pfn;

        if (!all_reserved(space, place, first, count))
            continue;
        error = qi_space_take_row(space, note, order, count + PENDING, &zeroed, &pfn);
        if (error)
            continue;
        if (!zeroed)
            qi_space_zero_frames(space, pfn, count);
        put_side_by_side(space, place, first, count, pfn);
        place_close(&space->paging, place);
    }
    return error == 0;
}
