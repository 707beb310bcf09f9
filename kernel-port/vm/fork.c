/* SPDX-License-Identifier: MIT
 *
 * fork.c - a space is copied: its frames are shared until one of the two writes.
 *
 * Dangers: a write that finds itself the last owner while we count one more (SP2); a child that has
 * a page which the parent still writes, by a TLB; a refusal in the middle. So each page is held
 * while it is counted, taken the right to write from, and given to the child, in this order; the
 * fork returns after all processors have forgotten the parent's pages; and a refused child is
 * destroyed, which counts down again. The parent's pages that lost the right to write get it back
 * at the next write. A cached page of a file is the file's: the child's address is reserved, and
 * faults on it.
 *
 * Pages are copied by stretches: entries in a row of one table, which go into the child's table for
 * the same addresses, with frames of one table of counts. All that is the same for a stretch is
 * done once for it. The child's table is named by its entry before it is filled: a file that is cut
 * goes by the parent and then by the child, and must find here what it did not find there.
 */
#include "file/files.h"

/* What is the same in many pages in a row. */
struct likeness {
    uint64_t alike, bits; /* these bits, which are so; a page has its own frame and marks */
    uint64_t change;      /* what is different for two owners */
};

struct stretch {
    struct quire_space *space, *child;
    const struct note *note; /* of the child, or NULL */
    void *from, *to;         /* the tables, which are open */
    size_t index, end;
    struct likeness likeness; /* of the pages to come, as it seems */
    struct counting counting;
    bool changed; /* pages lost the right to write */
};

/* ---- Entries -------------------------------------------------------------------------------- */

/* Entries by their addresses; `plain`: as in steps.h. */
static inline __attribute__((__always_inline__)) uint64_t seen_at(
    const struct quire_paging_format *f, uintptr_t at, bool plain)
{
    if (plain)
        return qa_load((const qa64 *)at, acquire); /* E-entry acquire: what it names */
    return entry_load(f, (const void *)at, 0);
}

static inline __attribute__((__always_inline__)) bool hold_at(const struct quire_paging_format *f,
                                                              uintptr_t at, uint64_t seen,
                                                              bool plain)
{
    if (plain)
        /* E-entry acquire: what came before the page; E-entry release: nothing but itself */
        return qa_cas((qa64 *)at, &seen, entry_held(), acq_rel);
    return entry_replace(f, (void *)at, 0, seen, entry_held());
}

static inline __attribute__((__always_inline__)) void put_at(const struct quire_paging_format *f,
                                                             uintptr_t at, uint64_t e, bool plain)
{
    if (plain)
        qa_store((qa64 *)at, e, release); /* E-entry release: that it is counted */
    else
        entry_put(f, (void *)at, 0, e);
}

static bool is_shared_by_fork(const struct quire_paging_format *f, uint64_t e)
{
    return (e & ENTRY_PRESENT) && !page_is_cached(f, e);
}

static struct likeness likeness_of(const struct quire_paging_format *f, uint64_t page)
{
    struct likeness likeness = {entry_alike_mask(f), 0, 0};

    likeness.bits = page & likeness.alike;
    likeness.change = page_for_two(f, page) ^ page;
    return likeness;
}

/* What the child gets for an entry that is not shared, nor held. */
static uint64_t entry_for_child(const struct stretch *s, uint64_t e)
{
    const struct quire_paging_format *f = s->space->paging.format;

    return e & ENTRY_PRESENT ? entry_of_area(f, s->note, page_access(f, e), false) : e;
}

/* ---- A stretch ------------------------------------------------------------------------------ */

static uint32_t note_of_child(const struct stretch *s)
{
    return s->note && !s->note->file ? s->note->origin : NO_NOTE;
}

/* Share pages, as long as they are alike, and in the table of counts. `charged`: the
 * child's frames are counted against a limit. This loop is what a fork costs: there is no call in
 * it but for that. */
static inline __attribute__((__always_inline__)) int share_pages(struct stretch *s, bool plain,
                                                                 bool charged)
{
    const struct quire_paging_format *f = s->space->paging.format;
    const uint64_t alike = s->likeness.alike, bits = s->likeness.bits, change = s->likeness.change;
    const uint64_t frame_mask = f->frame_mask, counted = s->counting.first;
    const uint32_t most = s->space->config.port.shares->most;
    qa32 *const counts = s->counting.counts;
    const size_t each = plain || f->entry_bytes == 8 ? sizeof(qa64) : sizeof(qa32);
    const uintptr_t first = (uintptr_t)s->from + s->index * each,
                    end = (uintptr_t)s->from + s->end * each,
                    to = (uintptr_t)s->to - (uintptr_t)s->from; /* from one table to the other */
    uintptr_t at = first;
    uint32_t pages, had_others = 0;
    int error = 0;

    while (at < end) {
        uint64_t e = seen_at(f, at, plain), place;
        uint32_t before;

        if ((e & alike) != bits)
            break;
        place = ((plain ? e & frame_mask : entry_phys(f, e)) ^ counted) >> QUIRE_FRAME_SHIFT;
        if (place >= COUNTS_IN_TABLE)
            break;
        if (!hold_at(f, at, e, plain))
            continue;
        if (charged)
            qi_limit_inherit(s->child, note_of_child(s), 1);
        /* E-share acquire: what the last but one did with it; could be relaxed: who was in the
         * table left it by its word, or will, before we do. */
        before = qa_load(counts + place, acquire);
        if (before == 0) {
            qa_store(counts + place, 1,
                     relaxed); /* relaxed: it has no other; the entry carries it */
        } else {
            /* relaxed: the page's entry carries it */
            while (before < most && !qa_cas(counts + place, &before, before + 1, relaxed))
                ;
            if (before >= most) {
                if (charged)
                    qi_limit_uncharge(s->child, note_of_child(s), 1);
                put_at(f, at, e, plain);
                error = QUIRE_ERR_LIMIT;
                break;
            }
            had_others += before > 0;
        }
        e ^= change;
        put_at(f, at + to, e, plain);
        put_at(f, at, e, plain);
        at += each;
    }
    pages = (uint32_t)((at - first) / each);
    s->index += pages;
    s->changed |= change != 0 && pages > 0;
    s->counting.left -= pages - had_others; /* they are users themselves */
    return error;
}

/* The same of most spaces. */
static __attribute__((__noinline__)) int share_plain_pages(struct stretch *s)
{
    return share_pages(s, true, false);
}

static __attribute__((__noinline__)) int share_any_pages(struct stretch *s)
{
    return share_pages(s, false, s->note || s->child->config.limit);
}

/* Give entries to the child that are not shared. False: the stretch ends here, with an entry that
 * is held, or whose frame is in another table of counts. */
static bool give_others(struct stretch *s)
{
    const struct quire_paging_format *f = s->space->paging.format;

    for (; s->index < s->end; s->index++) {
        uint64_t e = entry_load(f, s->from, (unsigned)s->index);

        if (e == 0)
            continue;
        if (entry_is_held(e))
            return false;
        if (is_shared_by_fork(f, e)) {
            s->likeness = likeness_of(f, e);
            return counting_index(&s->counting, entry_phys(f, e)) < COUNTS_IN_TABLE;
        }
        entry_put(f, s->to, (unsigned)s->index, entry_for_child(s, e));
    }
    return false;
}

static int give_entries(struct stretch *s)
{
    bool plain = s->space->paging.plain && !s->note && !s->child->config.limit;
    int error = 0;

    do
        error = plain ? share_plain_pages(s) : share_any_pages(s);
    while (error == 0 && give_others(s));
    return error;
}

/* The note about the address, or NULL, and how many pages from there on it goes, or there is none.
 */
static uint64_t note_ahead(const struct quire_space *space, uint64_t virt,
                           const struct note **found)
{
    const struct note *note = (const struct note *)space->notes;

    while (note && note->start <= virt && virt - note->start >= note->bytes)
        note = note->next;
    *found = note && note->start <= virt ? note : NULL;
    if (!note)
        return UINT64_MAX;
    return (*found ? note->start + note->bytes - virt : note->start - virt) / QUIRE_FRAME_SIZE;
}

/* The entries from the step's place on, of which the first one is not empty, nor held. A window has
 * room for the two tables and the counts, or for what it takes to make one of these. */
static int fork_stretch(struct quire_space *space, struct quire_space *child, struct steps *steps,
                        struct forgotten *forgotten)
{
    const struct quire_paging_format *f = space->paging.format;
    struct quire_shares *shares = space->config.port.shares;
    struct stretch s = {.space = space, .child = child, .from = steps->place.table};
    const unsigned first = steps->place.index;
    unsigned entries = steps_entries(steps);
    uint64_t e = steps->place.entry, alike = note_ahead(child, steps->virt, &s.note);
    struct place place;
    int error = 0;

    entries = alike < entries ? (unsigned)alike : entries;
    s.index = first;
    s.end = first + entries;
    s.likeness.bits = 1; /* no page is of this one */
    s.counting.first = COUNTING_NONE;
    if (is_shared_by_fork(f, e)) {
        s.likeness = likeness_of(f, e);
        error = qi_counting_begin(shares, entry_pfn(f, e), entries, &s.counting);
        if (error)
            return error;
    }
    error = qi_place_find(&child->paging, steps->virt, 0, true, &place);
    if (error == 0) {
        s.to = place.table;
        if (s.counting.first != COUNTING_NONE)
            qi_counting_open(shares, &s.counting);
        error = give_entries(&s);
    }
    if (s.counting.first != COUNTING_NONE)
        qi_counting_end(shares, &s.counting);
    if (s.to)
        place_close(&child->paging, &place);
    if (s.changed)
        qi_forgotten_note(forgotten, steps->virt, (s.index - first) * (uint64_t)QUIRE_FRAME_SIZE);
    qi_steps_pass(steps, (unsigned)s.index - first);
    return error;
}

/* ---- All of it ------------------------------------------------------------------------------ */

/* Pass over empty entries. */
static void pass_empty(struct steps *steps)
{
    unsigned n = qi_steps_alike(steps, UINT64_MAX, false);

    if (n > 0)
        qi_steps_pass(steps, n);
    else
        (void)steps_advance(steps); /* a part of the entry is in the range */
}

/* What the step came to. */
static int fork_entry(struct quire_space *space, struct quire_space *child, struct steps *steps,
                      struct forgotten *forgotten)
{
    const struct quire_paging_format *f = space->paging.format;
    struct place *place = &steps->place;
    uint64_t e = place->entry;
    struct place theirs;
    int error;

    if (entry_is_table(f, place->level, e))
        return 0;
    if (entry_is_held(e)) {
        qi_space_wait(space, steps);
        return 0;
    }
    if (e == 0) {
        pass_empty(steps);
        return 0;
    }
    if (place->level == 0)
        return fork_stretch(space, child, steps, forgotten);
    if (e & ENTRY_PRESENT) {
        qi_steps_end(steps);
        return qi_space_split(space, steps->virt + QUIRE_FRAME_SIZE);
    }
    error = qi_place_find(&child->paging, steps->virt, place->level, true, &theirs);
    if (error)
        return error;
    entry_put(f, theirs.table, theirs.index, e);
    place_close(&child->paging, &theirs);
    (void)steps_advance(steps);
    return 0;
}

int quire_space_fork(struct quire_space *space, struct quire_space *child)
{
    struct forgotten forgotten = {0, 0, false};
    struct quire_space_config config = space->config;
    struct steps steps;
    int error;

    if (!config.port.shares)
        return QUIRE_ERR_UNSUPPORTED;
    /* Danger: whom the space was made to tell of changes may be gone, as a fork's parent is. */
    config.port.paging = space->paging.port;
    error = quire_space_create(child, &config);
    if (error)
        return error;
    child->search = space->search;
    error = qi_notes_fork(space, child);
    qi_steps_begin(&steps, &space->paging, space->config.range);
    while (error == 0 && steps_next(&steps))
        error = fork_entry(space, child, &steps, &forgotten);
    qi_steps_end(&steps);
    qi_forget(space, &forgotten);
    if (error)
        quire_space_destroy(child);
    return error;
}
