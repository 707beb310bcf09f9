/* SPDX-License-Identifier: MIT
 *
 * note.c - what is known of an area besides its access: a file, a policy, a limit, whether it wants
 * gigabytes.
 *
 * Entries name a note by its number. Notes lie in pages of the kernel's memory that stay until the
 * space is destroyed; those in use are in a list, by address. A note that is split, as its area is
 * unmapped in the middle, becomes two; entries go on to have the number of the first one, which is
 * the *origin* of both, and is not used for another area before all that have it are gone.
 *
 * Who may be beside whom. Notes come, are split and go in calls that come one at a time, so these
 * read the list as they like. Calls on a file look at start and bytes of the notes about it, under
 * its lock `listing`, so these change under it. A fault looks at the note whose number an entry
 * has:
 *   - of a file: it holds the entry, so the area, the note and the file stay (N1).
 *   - of anonymous memory: it holds nothing. Danger: the number is another area's by now. What it
 *     finds there is a policy of this space, and a count or none, for good: it takes a frame by an
 *     old policy, or counts, and counts down again as its exchange fails. If it finds that
 *     gigabytes are wanted it puts one in only where its exchange finds a whole gigabyte reserved,
 *     and there a page of that size is right for any area.
 *
 * Whether there is a count is for good because a late fault may have counted, or not, and put its
 * page in all the same, where the number is that of an area just like the one that it saw. So a
 * note that is free is no help to an area of the other kind; each kind has its share of the
 * numbers, and is refused when its own are in use, not because the other kind had many once.
 */
#include "files.h"

enum {
    IN_PAGE = PAGE_BYTES / sizeof(struct note),
    PAGES = PAGE_BYTES / sizeof(struct note *),
    NOTES_MOST = IN_PAGE * PAGES,
    LIMITED_MOST = NOTES_MOST / 4, /* for areas with a limit; the others are for those without */
};

/* ---- Memory --------------------------------------------------------------------------------- */

struct note *qi_note(const struct quire_space *space, uint32_t number)
{
    struct note *const *pages = (struct note *const *)space->note_pages;

    return &pages[number / IN_PAGE][number % IN_PAGE];
}

static void *fresh_page(struct quire_space *space)
{
    const struct quire_memory_source *memory = &space->config.port.memory;

    return memory->alloc(memory->ctx);
}

/* Have one more, at the end, for an area with a limit or without one. */
static int make_note(struct quire_space *space, bool limited)
{
    struct note **pages = (struct note **)space->note_pages;
    uint32_t number = space->notes_made, limited_before = space->limited_notes_made;
    struct note *note;

    if (!space->config.port.memory.alloc || !space->config.port.memory.free)
        return QUIRE_ERR_UNSUPPORTED;
    if (limited ? limited_before == (uint32_t)LIMITED_MOST
                : number - limited_before == (uint32_t)(NOTES_MOST - LIMITED_MOST))
        return QUIRE_ERR_FULL;
    if (!pages) {
        pages = (struct note **)fresh_page(space);
        if (!pages)
            return QUIRE_ERR_NO_MEMORY;
        for (unsigned i = 0; i < PAGES; i++)
            pages[i] = NULL;
        space->note_pages = pages;
    }
    if (!pages[number / IN_PAGE]) {
        pages[number / IN_PAGE] = (struct note *)fresh_page(space);
        if (!pages[number / IN_PAGE])
            return QUIRE_ERR_NO_MEMORY;
    }
    note = qi_note(space, number);
    note->space = space;
    note->number = number;
    note->origin = number;
    note->bytes = 0;
    note->users = 0;
    note->file = NULL;
    note->shared = false;
    note->offset = 0;
    note->limited = limited;
    qa_store(&note->policy, 0, relaxed);                       /* relaxed: the caller's */
    qa_store(&note->limit, 0, relaxed);                        /* relaxed: as above */
    qa_store(&note->gigabytes, QUIRE_GIGABYTES_NONE, relaxed); /* relaxed: as above */
    qa_store(&note->frames, 0, relaxed);                       /* relaxed: as above */
    space->notes_made++;
    space->limited_notes_made += limited;
    return 0;
}

static void put_free(struct quire_space *space, struct note *note)
{
    note->next = (struct note *)space->free_notes;
    space->free_notes = note;
}

static int take_free(struct quire_space *space, bool limited, struct note **note)
{
    struct note **at = (struct note **)&space->free_notes;
    int error;

    while (*at && (*at)->limited != limited)
        at = &(*at)->next;
    if (*at) {
        *note = *at;
        *at = (*note)->next;
        return 0;
    }
    error = make_note(space, limited);
    if (error == 0)
        *note = qi_note(space, space->notes_made - 1);
    return error;
}

void qi_notes_end(struct quire_space *space)
{
    const struct quire_memory_source *memory = &space->config.port.memory;
    struct note **pages = (struct note **)space->note_pages;

    if (!pages)
        return;
    for (unsigned i = 0; i < PAGES && pages[i]; i++)
        memory->free(memory->ctx, pages[i]);
    memory->free(memory->ctx, pages);
}

/* ---- Lists ---------------------------------------------------------------------------------- */

struct note *qi_note_at(struct quire_space *space, struct note *near, uint64_t virt)
{
    struct note *note = near && near->start <= virt ? near : (struct note *)space->notes;

    while (note && note->start <= virt && virt - note->start >= note->bytes)
        note = note->next;
    return note && note->start <= virt ? note : NULL;
}

/* Behind another note of the file, or NULL: before all. The listing lock of the file is ours. */
static void link_file(struct note *note, struct note *behind)
{
    struct note *next = behind ? behind->file_next : (struct note *)note->file->areas;

    note->file_before = behind;
    note->file_next = next;
    if (next)
        next->file_before = note;
    if (behind)
        behind->file_next = note;
    else
        note->file->areas = note;
}

static void unlink_file(struct note *note)
{
    if (note->file_before)
        note->file_before->file_next = note->file_next;
    else
        note->file->areas = note->file_next;
    if (note->file_next)
        note->file_next->file_before = note->file_before;
}

/* The listing lock of the file of the note, if it has one. */
static void lock(const struct note *note)
{
    if (note->file)
        qi_file_lock(note->file, FILE_LISTING);
}

static void unlock(const struct note *note)
{
    if (note->file)
        qi_file_unlock(note->file, FILE_LISTING);
}

/* A note in use, into both lists; in the file's behind another one, if there is one. */
static void put_in(struct quire_space *space, struct note *note, struct note *behind)
{
    struct note **at = (struct note **)&space->notes;

    while (*at && (*at)->start < note->start)
        at = &(*at)->next;
    note->next = *at;
    *at = note;
    qi_note(space, note->origin)->users++;
    lock(note);
    if (note->file)
        link_file(note, behind);
    unlock(note);
}

/* A note that is taken into use: all that is known of an area, and where it lies. */
static void begin_note(struct note *note, const struct quire_area *area, struct quire_vrange range)
{
    note->file = area->file;
    note->shared = area->kind == QUIRE_AREA_SHARED;
    note->offset = area->offset - range.start.n;
    qa_store(&note->policy, (uint64_t)(uintptr_t)area->policy, relaxed); /* relaxed: see above */
    qa_store(&note->limit, area->limit, relaxed);                        /* relaxed: see above */
    qa_store(&note->gigabytes, area->gigabytes, relaxed);                /* relaxed: see above */
    note->start = range.start.n;
    note->bytes = range.bytes;
    note->origin = note->number;
}

int qi_note_add(struct quire_space *space, const struct quire_area *area, struct quire_vrange range,
                struct note **made)
{
    struct note *note;
    int error = take_free(space, area->limit > 0, &note);

    if (error)
        return error;
    begin_note(note, area, range);
    put_in(space, note, NULL);
    *made = note;
    return 0;
}

/* All that stays the same for entries of the number of `from`. */
static void copy_note(struct note *to, const struct note *from)
{
    to->file = from->file;
    to->shared = from->shared;
    to->offset = from->offset;
    to->origin = from->origin;
    qa_store(&to->policy, qa_load(&from->policy, relaxed), relaxed);       /* relaxed: see above */
    qa_store(&to->limit, qa_load(&from->limit, relaxed), relaxed);         /* relaxed: see above */
    qa_store(&to->gigabytes, qa_load(&from->gigabytes, relaxed), relaxed); /* relaxed: see above */
}

/* Danger: a call on the file comes by in between, and finds no note about a page that stays mapped.
 * So the upper note is there before the lower one shrinks. What lies in both for a moment is the
 * same of both, and who takes a page out twice finds it gone. */
int qi_notes_split(struct quire_space *space, uint64_t virt)
{
    struct note *note = qi_note_at(space, NULL, virt), *upper;
    int error;

    if (!note || note->start == virt)
        return 0;
    error = take_free(space, note->limited, &upper);
    if (error)
        return error;
    copy_note(upper, note);
    upper->start = virt;
    upper->bytes = note->start + note->bytes - virt;
    put_in(space, upper, NULL);
    lock(note);
    note->bytes = virt - note->start;
    unlock(note);
    return 0;
}

/* The first note that begins in the range. */
static struct note **first_in(struct quire_space *space, struct quire_vrange range)
{
    struct note **at = (struct note **)&space->notes;

    while (*at && (*at)->start < range.start.n)
        at = &(*at)->next;
    return at;
}

static bool is_in(const struct note *note, struct quire_vrange range)
{
    return note && note->start - range.start.n < range.bytes;
}

/* What was dirty in an entry is dirty in its word by now, whoever took it out: this call, or
 * reclaim before it, which did not write. A page that cannot be written stays dirty, and is tried
 * again by the next call that writes. */
void qi_notes_write(struct quire_space *space, struct quire_vrange range)
{
    for (struct note *note = *first_in(space, range); is_in(note, range); note = note->next) {
        if (!note->shared || note_is_unwritten(note))
            continue;
        qi_file_lock(note->file, FILE_SERIAL);
        (void)qi_cache_write(note->file, note_page(note, note->start), note->bytes / PAGE_BYTES);
        qi_file_unlock(note->file, FILE_SERIAL);
    }
}

void qi_notes_remove(struct quire_space *space, struct quire_vrange range)
{
    struct note **at = first_in(space, range);

    while (is_in(*at, range)) {
        struct note *note = *at, *origin = qi_note(space, note->origin);

        *at = note->next;
        lock(note);
        if (note->file)
            unlink_file(note);
        note->bytes = 0;
        unlock(note);
        origin->users--;
        if (note != origin && note->users == 0)
            put_free(space, note);
        if (origin->users == 0)
            put_free(space, origin);
    }
}

/* Danger: the file is cut while pages are given to the child, which is walked before the parent:
 * then the child gets a page that the parent loses. So its notes come behind the parent's. */
int qi_notes_fork(struct quire_space *space, struct quire_space *child)
{
    int error = 0;

    while (error == 0 && child->notes_made < space->notes_made)
        error = make_note(child, qi_note(space, child->notes_made)->limited);
    if (error)
        return error;
    for (uint32_t i = 0; i < space->notes_made; i++)
        copy_note(qi_note(child, i), qi_note(space, i));
    for (struct note *note = (struct note *)space->notes; note; note = note->next) {
        struct note *copy = qi_note(child, note->number);

        copy->start = note->start;
        copy->bytes = note->bytes;
        put_in(child, copy, note);
    }
    for (uint32_t i = 0; i < space->notes_made; i++)
        if (qi_note(child, i)->users == 0 && qi_note(child, i)->bytes == 0)
            put_free(child, qi_note(child, i));
    return 0;
}

/* ---- Another policy ------------------------------------------------------------------------- */

static const struct quire_policy *policy_of_note(const struct note *note)
{
    uint64_t policy = qa_load(&note->policy, relaxed); /* relaxed: the caller's */

    return (const struct quire_policy *)(uintptr_t)policy;
}

static void note_set_policy(struct note *note, const struct quire_policy *policy)
{
    qa_store(&note->policy, (uint64_t)(uintptr_t)policy, relaxed); /* relaxed: see above */
}

/* Is it of an area that has one policy as a whole? So has one with more than a policy to its note:
 * another policy is written into the note then. */
static bool has_one_policy(const struct note *note)
{
    return note->limited || qa_load(&note->gigabytes, relaxed); /* relaxed: the caller's */
}

/* Are all parts of the area that this note is a part of in the range? */
static bool is_whole_in(struct quire_space *space, const struct note *part,
                        struct quire_vrange range)
{
    uint32_t inside = 0;

    for (const struct note *note = *first_in(space, range); is_in(note, range); note = note->next)
        inside += note->origin == part->origin &&
                  note->bytes <= range.bytes - (note->start - range.start.n);
    return inside == qi_note(space, part->origin)->users;
}

bool qi_notes_fit_policy(struct quire_space *space, struct quire_vrange range)
{
    for (const struct note *note = (struct note *)space->notes; note; note = note->next)
        if (quire_vrange_overlaps(range, quire_vrange_of(note->start, note->bytes)) &&
            (note->file || (has_one_policy(note) && !is_whole_in(space, note, range))))
            return false;
    return true;
}

void qi_notes_set_policy(struct quire_space *space, struct quire_vrange range,
                         const struct quire_policy *policy)
{
    for (struct note *note = *first_in(space, range); is_in(note, range); note = note->next)
        if (has_one_policy(note)) {
            note_set_policy(note, policy);
            note_set_policy(qi_note(space, note->origin), policy); /* which entries name */
        }
}

int qi_notes_prepare(struct quire_space *space, uint32_t count)
{
    int error = 0;

    for (struct note *note = (struct note *)space->free_notes; note && count > 0; note = note->next)
        count -= !note->limited;
    for (; count > 0 && error == 0; count--) {
        error = make_note(space, false);
        if (error == 0)
            put_free(space, qi_note(space, space->notes_made - 1));
    }
    return error;
}

/* There is one. */
static struct note *take_prepared(struct quire_space *space)
{
    struct note **at = (struct note **)&space->free_notes, *note;

    while ((*at)->limited)
        at = &(*at)->next;
    note = *at;
    *at = note->next;
    return note;
}

struct note *qi_note_for(struct quire_space *space, uint64_t start,
                         const struct quire_policy *policy)
{
    const struct quire_area area = {.policy = policy};
    struct note *note = note_at(space, NULL, start - 1);

    if (note && !note->file && !has_one_policy(note) && policy_of_note(note) == policy)
        return note;
    note = take_prepared(space);
    begin_note(note, &area, quire_vrange_of(start, 0));
    return note;
}

void qi_note_extend(struct quire_space *space, struct note *note, struct quire_vrange range)
{
    bool fresh = note->bytes == 0;

    note->bytes += range.bytes;
    if (fresh)
        put_in(space, note, NULL);
}
