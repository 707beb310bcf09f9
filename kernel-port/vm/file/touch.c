/* SPDX-License-Identifier: MIT
 *
 * touch.c - a fault on a page of a file.
 *
 * The entry is held while it is looked at what it is reserved for: so the area, its note and the
 * file stay (N1). If the page is cached it is pinned and put in, and its neighbours with it, which
 * costs them no fault of their own. If it is not, the entry is given back as it was, and the page
 * is brought by who holds nothing: the pager may be slow, and an unmap does not wait for it. The
 * file is kept by `busy` meanwhile. Then the fault begins anew.
 *
 * Danger: a page that is given back, or cut off, at the same time. The pin says which came first
 * (FC2 of cache.c): a page that is leaving has none, and who takes it out finds what was put in.
 * After the entry is replaced the pin alone keeps the file (quire_file_destroy).
 *
 * Danger: a file's frames come by its own source, which does not know the formats of the spaces
 * that map it. A frame that this one cannot reach is refused, and stays cached for the others.
 *
 * A page of a private area is put in without the right to write, and is copied at the first write,
 * as one that is shared since a fork.
 */
#include "files.h"

/* A cached page as an entry of this area, which is reserved by `e`. */
static uint64_t cached_entry(const struct quire_space *space, const struct note *note, uint64_t e,
                             quire_pfn pfn, bool accessed, bool dirty)
{
    const struct quire_paging_format *f = space->paging.format;
    uint32_t access = reserved_access(e), granted = access;
    struct quire_page page = {
        quire_paddr_of_pfn(pfn), 0, 0, QUIRE_TYPE_NORMAL, false, accessed, dirty};

    if (!note->shared)
        granted &= ~(uint32_t)QUIRE_WRITE;
    page.access = granted;
    return entry_of_page(f, 0, &page) | f->shared | (granted != access ? f->copy : 0);
}

/* Put in a neighbour, if it is cached, and reserved as a page of the same area. */
static void put_neighbour(struct quire_space *space, const struct note *note, uint64_t virt)
{
    const struct quire_paging_format *f = space->paging.format;
    qa64 *word = qi_cache_word(note->file, note_page(note, virt), false);
    struct place place;
    quire_pfn pfn;

    if (!word || !qi_cache_pin(word, &pfn))
        return;
    (void)qi_place_find(&space->paging, virt, 0, false, &place);
    if (place.level == 0 && !(place.entry & ENTRY_PRESENT) && !entry_is_held(place.entry) &&
        !entry_is_leaving(place.entry) && reserved_note(f, place.entry) == note->number &&
        frame_is_reached(f, pfn))
        (void)place_replace(&space->paging, &place,
                            cached_entry(space, note, place.entry, pfn, false, false));
    place_close(&space->paging, &place);
    qi_cache_unpin(word);
}

static void put_neighbours(struct quire_space *space, const struct note *note, uint64_t virt)
{
    uint64_t bytes = (uint64_t)note->file->config.around * PAGE_BYTES;
    uint64_t first = virt & ~(bytes - 1);

    for (uint64_t at = first; bytes && at - first < bytes; at += PAGE_BYTES)
        if (at != virt && quire_vrange_contains(space->config.range, quire_vaddr_of(at)) &&
            note_page(note, at) < QUIRE_FILE_PAGES)
            put_neighbour(space, note, at);
}

/* Replace the entry that we hold. */
static void replace_held(struct quire_space *space, uint64_t virt, uint64_t e)
{
    struct place place;

    (void)qi_place_find(&space->paging, virt, 0, false, &place);
    (void)place_replace(&space->paging, &place, e);
    place_close(&space->paging, &place);
}

/* The entry is held, `seen` is what it was. */
static int touch_held(struct quire_space *space, uint64_t virt, uint64_t seen, uint32_t access,
                      bool *done)
{
    const struct note *note = qi_note(space, reserved_note(space->paging.format, seen));
    struct quire_file *file = note->file;
    bool write = (access & QUIRE_WRITE) != 0, shared = note->shared;
    uint64_t page = note_page(note, virt);
    qa64 *word = qi_cache_word(file, page, false);
    quire_pfn pfn;
    int error;

    if (word && qi_cache_pin(word, &pfn)) {
        bool reached = frame_is_reached(space->paging.format, pfn);

        if (!write)
            put_neighbours(space, note, virt);
        replace_held(space, virt,
                     reached ? cached_entry(space, note, seen, pfn, true, write && shared) : seen);
        qi_cache_unpin(word);
        *done = shared || !write; /* else it is to be copied */
        return reached ? 0 : QUIRE_ERR_FRAME;
    }
    (void)qa_add(file_word(file, FILE_BUSY), 1,
                 relaxed); /* relaxed: the entry is held, and carries it */
    replace_held(space, virt, seen);
    error = qi_cache_bring(file, page);
    (void)qa_sub(file_word(file, FILE_BUSY), 1,
                 release); /* E-file-busy release: we are done with it */
    return error;
}

int qi_file_touch(struct quire_space *space, struct place *place, uint64_t virt, uint32_t access,
                  bool *done)
{
    uint64_t seen = place->entry;
    bool held = place_replace(&space->paging, place, entry_held());

    place_close(&space->paging, place);
    *done = false;
    return held ? touch_held(space, virt, seen, access, done) : 0;
}
