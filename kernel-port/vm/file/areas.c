/* SPDX-License-Identifier: MIT
 *
 * areas.c - a file's pages in all areas that map it: they are taken out, cleaned, looked at.
 *
 * The spaces are other threads', who fault, unmap, protect and fork meanwhile. The file's lock
 * `listing` keeps the notes as they are, so the areas, and the spaces and their tables, stay; of
 * entries each change is an exchange against what was seen. What is taken out here is held until
 * all processors have forgotten it, where a space's own calls say leaving: a leaving entry is given
 * back by the call of that space that comes next, which is not ours.
 *
 * Danger: two who wait for each other. An unmap waits for held entries, with others of its range
 * leaving. So nobody waits here while he holds an entry: what is held so far is finished first.
 */
#include "files.h"

enum { BATCH = 16 }; /* pages that are invalidated at once */

struct taken {
    unsigned count;
    uint64_t virt[BATCH], entry[BATCH];
};

/* The part of an area that has these pages of its file. */
static struct quire_vrange part_of(const struct note *note, uint64_t page, uint64_t pages)
{
    uint64_t first = note_page(note, note->start), count = note->bytes / PAGE_BYTES, skip;

    if (page > first) {
        skip = page - first < count ? page - first : count;
    } else {
        pages = pages > first - page ? pages - (first - page) : 0;
        skip = 0;
    }
    if (pages > count - skip)
        pages = count - skip;
    return quire_vrange_of(note->start + skip * PAGE_BYTES, pages * PAGE_BYTES);
}

/* Another call has this entry, and will replace it. */
static bool in_use(uint64_t e)
{
    return entry_is_held(e) || entry_is_leaving(e);
}

/* ---- Taking out ----------------------------------------------------------------------------- */

static void finish(const struct note *note, struct taken *taken)
{
    struct quire_space *space = note->space;
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    struct forgotten forgotten = {0, 0, false};

    for (unsigned i = 0; i < taken->count; i++)
        qi_forgotten_note(&forgotten, taken->virt[i], PAGE_BYTES);
    qi_forget(space, &forgotten);
    for (unsigned i = 0; i < taken->count; i++) {
        uint64_t e = taken->entry[i];
        bool cached = page_is_cached(f, e);
        struct place place;

        if (cached && entry_is_dirty(f, e))
            qi_cache_written(note, taken->virt[i]);
        if (!cached) /* before the entry: no fault on it is to be refused because of it (LM1) */
            area_uncharge(space, NO_NOTE, 1);
        (void)qi_place_find(&space->paging, taken->virt[i], 0, false, &place);
        (void)place_replace(&space->paging, &place,
                            entry_of_area(f, note, page_access(f, e), false));
        place_close(&space->paging, &place);
        if (!cached && qi_share_drop(space->config.port.shares, entry_pfn(f, e)))
            frames->free(frames->ctx, entry_pfn(f, e), 0);
    }
    taken->count = 0;
}

static bool take_from(const struct note *note, struct quire_vrange range, bool all, bool wait)
{
    struct quire_space *space = note->space;
    const struct quire_paging_format *f = space->paging.format;
    struct taken taken = {0, {0}, {0}};
    struct steps steps;
    bool whole = true;

    qi_steps_begin(&steps, &space->paging, range);
    while (steps_next(&steps)) {
        uint64_t e = steps.place.entry;
        bool wanted = page_is_cached(f, e) || (all && (e & ENTRY_PRESENT));

        if (entry_is_table(f, steps.place.level, e))
            continue;
        if (wanted && !place_replace(&space->paging, &steps.place, entry_held()))
            continue;
        if (wanted) {
            taken.virt[taken.count] = steps.virt;
            taken.entry[taken.count++] = e;
        }
        if (taken.count == BATCH || (in_use(e) && wait)) {
            qi_steps_end(&steps);
            finish(note, &taken);
        }
        if (in_use(e) && wait) {
            qi_file_relax(note->file);
            continue;
        }
        whole = whole && !in_use(e);
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    finish(note, &taken);
    return whole;
}

bool qi_areas_take(struct quire_file *file, uint64_t page, uint64_t pages, bool all, bool wait)
{
    bool whole = true;

    qi_file_lock(file, FILE_LISTING);
    for (struct note *note = (struct note *)file->areas; note; note = note->file_next) {
        struct quire_vrange range = part_of(note, page, pages);

        if (range.bytes)
            whole = take_from(note, range, all, wait) && whole;
    }
    qi_file_unlock(file, FILE_LISTING);
    return whole;
}

/* ---- Marks ---------------------------------------------------------------------------------- */

/* The word is marked before the entry is cleaned, so nothing is lost if we stop in between. The
 * processor may write, and not mark the entry, until it has forgotten it: the lock `serial` is
 * ours, so nobody takes the mark away before that. */
static void clean_part(const struct note *note, struct quire_vrange range)
{
    struct quire_space *space = note->space;
    const struct quire_paging_format *f = space->paging.format;
    struct forgotten forgotten = {0, 0, false};
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (steps_next(&steps)) {
        uint64_t e = steps.place.entry;

        if (in_use(e)) {
            qi_steps_end(&steps);
            qi_file_relax(note->file);
            continue;
        }
        if (entry_is_table(f, steps.place.level, e))
            continue;
        if (page_is_cached(f, e) && entry_is_dirty(f, e)) {
            qi_cache_written(note, steps.virt);
            if (!place_replace(&space->paging, &steps.place,
                               entry_with_marks(f, e, (e & f->accessed) != 0, false)))
                continue;
            qi_forgotten_note(&forgotten, steps.virt, PAGE_BYTES);
        }
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    qi_forget(space, &forgotten);
}

void qi_areas_clean(struct quire_file *file, uint64_t page, uint64_t pages)
{
    qi_file_lock(file, FILE_LISTING);
    for (struct note *note = (struct note *)file->areas; note; note = note->file_next) {
        struct quire_vrange range = part_of(note, page, pages);

        if (note->shared && range.bytes)
            clean_part(note, range);
    }
    qi_file_unlock(file, FILE_LISTING);
}

/* A processor that remembers the page does not mark it again: it is believed to be unused, which
 * costs a fault. */
bool qi_areas_accessed(struct quire_file *file, uint64_t page)
{
    bool any = false;

    qi_file_lock(file, FILE_LISTING);
    for (struct note *note = (struct note *)file->areas; note; note = note->file_next) {
        struct quire_paging *paging = &note->space->paging;
        const struct quire_paging_format *f = paging->format;
        struct quire_vrange range = part_of(note, page, 1);
        struct place place;

        if (range.bytes == 0)
            continue;
        (void)qi_place_find(paging, range.start.n, 0, false, &place);
        if (place.level == 0 && page_is_cached(f, place.entry) && (place.entry & f->accessed)) {
            any = true;
            (void)place_replace(
                paging, &place,
                entry_with_marks(f, place.entry, false, entry_is_dirty(f, place.entry)));
        }
        place_close(paging, &place);
    }
    qi_file_unlock(file, FILE_LISTING);
    return any;
}
