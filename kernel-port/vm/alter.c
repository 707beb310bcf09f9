/* SPDX-License-Identifier: MIT
 *
 * alter.c - ranges of areas change: unmap, protect, advise, another policy, sync.
 *
 * A call looks whether all of the range is in areas, then splits what lies across its ends, and
 * then changes entry by entry, which cannot fail. A split changes nothing but the size of pages, so
 * a call that could not split its second end has changed nothing else. Faults go on meanwhile: what
 * they change is seen by the exchange that fails.
 */
#include "file/files.h"

/* ---- Ends ----------------------------------------------------------------------------------- */

/* Split the large page at this place, which is closed, into those of the next smaller size. */
static int split_large_page(struct quire_space *space, struct place *place, uint64_t virt)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    quire_pfn pfn = entry_pfn(f, place->entry);
    uint64_t size = level_size(f, place->level);
    uint64_t first_end = (virt & ~(size - 1)) + level_size(f, place->level - 1);
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
        error = qi_split_at(&space->paging, first_end, &spares, &gather);
    if (spares.count)
        qi_table_free(&space->paging, spares.pfn[0]);
    qi_forgotten_note(&forgotten, virt & ~(size - 1), size);
    qi_forget(space, &forgotten);
    space->large.demotions += error == 0;
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
        if (entry_is_held(place.entry)) { /* a gigabyte that is being written */
            place_close(&space->paging, &place);
            qi_space_relax(space);
            continue;
        }
        if (place.entry & ENTRY_PRESENT)
            error = split_large_page(space, &place, virt);
        else
            error = qi_space_lower(space, &place);
        if (error)
            return error;
    }
}

/* Is all of the range in areas? */
static int check_areas(struct quire_space *space, struct quire_vrange range)
{
    int error = qi_space_check(space, range);

    return error || qi_space_is_all(space, range, true) ? error : QUIRE_ERR_AREA;
}

/* After it each entry is inside of the range, or outside. A large page is none afterwards, nor is
 * one to be: all else that may be refused is refused before. */
static int split_ends(struct quire_space *space, struct quire_vrange range)
{
    struct quire_vrange whole = space->config.range;
    uint64_t end = range.start.n + range.bytes;
    int error = qi_space_split(space, range.start.n);

    if (error == 0 && end != whole.start.n + whole.bytes) /* no entry goes beyond its end */
        error = qi_space_split(space, end);
    return error;
}

/* What most calls begin with. */
static int prepare_range(struct quire_space *space, struct quire_vrange range)
{
    int error = check_areas(space, range);

    return error ? error : split_ends(space, range);
}

/* ---- Unmap, protect ------------------------------------------------------------------------- */

int quire_space_unmap(struct quire_space *space, struct quire_vrange range)
{
    int error = prepare_range(space, range);

    if (error == 0)
        error = qi_notes_split(space, range.start.n);
    if (error == 0)
        error = qi_notes_split(space, range.start.n + range.bytes);
    if (error)
        return error;
    qi_space_take_out(space, range, false, true);
    qi_notes_write(space, range);
    qi_notes_remove(space, range);
    if (space->paging.port.retire)
        qi_tables_trim(&space->paging, range, space->config.range);
    if (range.start.n - space->config.range.start.n < space->search)
        space->search = range.start.n - space->config.range.start.n;
    return 0;
}

/* What takes the place of an entry, of an area with this note or none; the entry itself: nothing.
 */
typedef uint64_t entry_change(const struct quire_paging_format *f, unsigned level, uint64_t e,
                              const struct note *note, uint32_t access);

static uint64_t with_access(const struct quire_paging_format *f, unsigned level, uint64_t e,
                            const struct note *note, uint32_t access)
{
    if (!(e & ENTRY_PRESENT))
        return reserved_with_access(e, access);
    if (level == 0 && page_is_cached(f, e) && note && note->shared)
        return entry_with_access(f, e, access);
    return page_with_access(f, level, e, access);
}

static uint64_t with_large(const struct quire_paging_format *f, unsigned level, uint64_t e,
                           const struct note *note, uint32_t large)
{
    (void)note;
    if (e & ENTRY_PRESENT)
        return level > 0 ? large_with_wish(f, e, large) : e;
    if (reserved_access(e) == 0)
        return e;
    return large ? e | RESERVED_LARGE : e & ~(uint64_t)RESERVED_LARGE;
}

static void change_entries(struct quire_space *space, struct quire_vrange range,
                           entry_change *change, uint32_t value)
{
    const struct quire_paging_format *f = space->paging.format;
    const uint64_t alike_mask = entry_alike_mask(f);
    uint64_t alike = 0, difference = 0; /* of the last small page: nearly all are alike */
    struct forgotten forgotten = {0, 0, false};
    struct note *note = NULL;
    struct steps steps;

    qi_steps_begin(&steps, &space->paging, range);
    while (steps_next(&steps)) {
        struct place *place = &steps.place;
        uint64_t seen = place->entry, wanted;
        bool page = place->level == 0 && (seen & ENTRY_PRESENT);

        if (entry_is_held(seen)) {
            qi_space_wait(space, &steps);
            continue;
        }
        if (entry_is_table(f, place->level, seen))
            continue;
        note = note_at(space, note, steps.virt);
        if (page && !note && (seen & alike_mask) == alike) {
            wanted = seen ^ difference;
        } else {
            wanted = change(f, place->level, seen, note, value);
            alike = page && !note ? seen & alike_mask : 0; /* 0: no page is so */
            difference = wanted ^ seen;
        }
        if (wanted != seen && !place_replace(&space->paging, place, wanted))
            continue;
        if (wanted != seen && (seen & ENTRY_PRESENT))
            qi_forgotten_note(&forgotten, steps_page(&steps), level_size(f, place->level));
        (void)steps_advance(&steps);
    }
    qi_steps_end(&steps);
    qi_forget(space, &forgotten);
}

/* Is a part of the range a file, shared, that is not written? */
static bool has_unwritten(struct quire_space *space, struct quire_vrange range)
{
    for (struct note *note = (struct note *)space->notes; note; note = note->next)
        if (note_is_unwritten(note) &&
            quire_vrange_overlaps(range, quire_vrange_of(note->start, note->bytes)))
            return true;
    return false;
}

int quire_space_protect(struct quire_space *space, struct quire_vrange range, uint32_t access)
{
    int error = qi_access_check(space, access) ? 0 : QUIRE_ERR_UNSUPPORTED;

    if (error == 0)
        error = check_areas(space, range);
    if (error == 0 && (access & QUIRE_WRITE) && has_unwritten(space, range))
        error = QUIRE_ERR_ACCESS;
    if (error == 0)
        error = split_ends(space, range);
    if (error == 0)
        change_entries(space, range, with_access, access);
    return error;
}

/* ---- Advise --------------------------------------------------------------------------------- */

static int populate(struct quire_space *space, struct quire_vrange range)
{
    uint64_t asked = 0; /* where a fault was served last; 0 is in no space */
    struct steps steps;
    int error = 0;

    qi_steps_begin(&steps, &space->paging, range);
    while (error == 0 && steps_next(&steps)) {
        uint64_t e = steps.place.entry;
        uint32_t access = reserved_access(e);

        if (entry_is_held(e)) {
            qi_space_wait(space, &steps); /* nobody knows yet whether there will be a page */
            continue;
        }
        if (!(e & ENTRY_PRESENT) && access) {
            qi_steps_end(&steps);
            if (steps.virt == asked)
                qi_space_relax(space); /* it was told to come again */
            asked = steps.virt;
            error = quire_space_fault(space, quire_vaddr_of(asked), access & ~(access - 1));
            continue;
        }
        if (!entry_is_table(space->paging.format, steps.place.level, e))
            (void)steps_advance(&steps);
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

/* ---- Another policy ------------------------------------------------------------------------- */

/* Anonymous memory in a row without a limit of its own, or gigabytes. Guards between, which have no
 * note, end it. */
struct plain_run {
    struct quire_vrange range;
    const struct quire_policy *policy;
    bool differs; /* some of it has another policy */
};

static int add_to_run(void *ctx, const struct quire_area *area)
{
    struct plain_run *run = (struct plain_run *)ctx;

    if (area->kind != QUIRE_AREA_ANONYMOUS || area->limit || area->gigabytes)
        return run->range.bytes > 0;
    if (run->range.bytes == 0)
        run->range.start = area->range.start;
    run->range.bytes += area->range.bytes;
    run->differs |= area->policy != run->policy;
    return 0;
}

/* The first one of *rest, which is what is behind it then. */
static bool next_run(struct quire_space *space, struct quire_vrange *rest, struct plain_run *run)
{
    uint64_t passed;

    run->range.bytes = 0;
    run->differs = false;
    if (rest->bytes == 0 || quire_space_list(space, *rest, add_to_run, run) < 0 ||
        run->range.bytes == 0)
        return false;
    passed = run->range.start.n - rest->start.n + run->range.bytes;
    *rest = quire_vrange_of(rest->start.n + passed, rest->bytes - passed);
    return true;
}

static uint64_t with_note(const struct quire_paging_format *f, unsigned level, uint64_t e,
                          const struct note *note, uint32_t number)
{
    (void)level;
    (void)note;
    if (e & ENTRY_PRESENT)
        return e;
    return (e & ~f->frame_mask) | (number == NO_NOTE ? 0 : entry_note(f, number, false));
}

/* Entries first: a late fault finds what it did before, or the exchange fails. */
static void set_policy(struct quire_space *space, struct quire_vrange range,
                       const struct quire_policy *policy)
{
    struct note *note = policy ? qi_note_for(space, range.start.n, policy) : NULL;

    change_entries(space, range, with_note, note ? note->origin : NO_NOTE);
    qi_notes_remove(space, range);
    if (note)
        qi_note_extend(space, note, range);
}

int quire_space_set_policy(struct quire_space *space, struct quire_vrange range,
                           const struct quire_policy *policy)
{
    struct plain_run run = {.policy = policy};
    struct quire_vrange rest = range;
    uint32_t wanted = 0;
    int error = check_areas(space, range);

    if (error == 0 && !qi_notes_fit_policy(space, range))
        error = QUIRE_ERR_UNSUPPORTED;
    if (error == 0)
        error = split_ends(space, range);
    if (error == 0)
        error = qi_notes_split(space, range.start.n);
    if (error == 0)
        error = qi_notes_split(space, range.start.n + range.bytes);
    while (error == 0 && next_run(space, &rest, &run))
        wanted += run.differs;
    if (error == 0 && policy)
        error = qi_notes_prepare(space, wanted);
    if (error)
        return error;
    qi_notes_set_policy(space, range, policy);
    rest = range;
    while (next_run(space, &rest, &run))
        if (run.differs)
            set_policy(space, run.range, policy);
    return 0;
}

/* ---- Sync ----------------------------------------------------------------------------------- */

int quire_space_sync(struct quire_space *space, struct quire_vrange range)
{
    int error = qi_space_check(space, range);

    if (error)
        return error;
    if (!qi_space_is_all(space, range, true))
        return QUIRE_ERR_AREA;
    for (struct note *note = (struct note *)space->notes; note; note = note->next) {
        struct quire_vrange part;
        int answer = 0;

        if (note->shared &&
            quire_vrange_intersect(range, quire_vrange_of(note->start, note->bytes), &part))
            answer = quire_file_sync(note->file, note_page(note, part.start.n),
                                     part.bytes / QUIRE_FRAME_SIZE);
        error = error ? error : answer;
    }
    return error;
}
