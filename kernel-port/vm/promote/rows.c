/* SPDX-License-Identifier: MIT
 *
 * rows.c - small pages side by side get frames side by side: a row, whose frames are an aligned
 * run, as a fault's neighbourhood has them (around.c). Their entries stay entries of small pages.
 *
 * Which pages: choice.c. Pages that read as zeros do not count, nor is any page moved that is in a
 * row of the least order already. So what is in rows is left alone, however often a scan comes by.
 *
 * A page that has a frame is moved as it is copied at a first write (fault.c): its entry is held,
 * all processors forget it, it is copied, the same entry with the new frame is put in, and the old
 * frame goes back. One invalidation serves HELD_MOST pages: a fault on one of them is told that it
 * is served, comes again meanwhile, and cannot end it, as it ends a promotion. A page that has none
 * gets zeros, by one exchange against what it is reserved for.
 *
 * Dangers. A fault is faster: where it brought a page, that one is moved, as any other, and what
 * was counted for it is counted down in the end; it is pending until then (file/limit.c). Where it
 * holds a page, nobody waits for it while others are held: the row lacks this page. A page is
 * pinned just now: whoever pins it looks it up after that, so it is asked when nobody finds it any
 * more; then it gets its old frame again, and the row lacks it, too.
 *
 * Whether a page is shared stays as it was seen, as forks come one at a time with this (SP2).
 */
#include "scan.h"

enum { HELD_MOST = 16 }; /* see docs/design-vm.md: one invalidation for so many */

/* Up to HELD_MOST pages of a row that is being made. */
struct batch {
    struct scan *scan;
    const struct part *part;
    unsigned first, pages;    /* in the part */
    quire_pfn frames;         /* the new ones, side by side */
    uint64_t held[HELD_MOST]; /* their entries, as they were; 0: it is not held */
    uint32_t filled;          /* a bit for each page that had no frame, and has one now */
    bool complete;            /* all of them have their new frames */
};

/* ---- What is worth it ----------------------------------------------------------------------- */

bool qi_table_has_row(const struct quire_paging_format *f, const void *table, struct row row)
{
    uint64_t first = entry_pfn(f, entry_load(f, table, row.first)).n;

    for (unsigned i = 0; i < row_pages(row); i++) {
        uint64_t e = entry_load(f, table, row.first + i);

        if (!(e & ENTRY_PRESENT) || entry_pfn(f, e).n != first + i)
            return false;
    }
    return (first & (row_pages(row) - 1)) == 0;
}

static uint32_t number_of(const struct note *note)
{
    return note ? note->origin : NO_NOTE;
}

/* What was seen last. */
struct neighbour {
    struct note *note;
    uint32_t access;
};

/* What the entries of these pages say. */
static void look_at_pages(struct quire_space *space, const struct part *part, const void *table,
                          struct row row, struct choice *choice, struct neighbour *before)
{
    const struct quire_paging_format *f = space->paging.format;

    for (unsigned i = row.first; i < row.first + row_pages(row); i++) {
        uint64_t e = entry_load(f, table, i);
        struct note *note = note_at(space, before->note, part_page(part, i));
        uint32_t access = promoted_access(f, e);

        if (access && !(note && note->file))
            page_set_add(&choice->fit, i);
        if (e & ENTRY_PRESENT)
            page_set_add(&choice->used, i);
        if ((e & ENTRY_PRESENT) && (e & f->accessed))
            page_set_add(&choice->marked, i);
        if (access != before->access || number_of(note) != number_of(before->note))
            page_set_add(&choice->changes, i);
        *before = (struct neighbour){note, access};
    }
}

/* What the part's entries say. Pages that are in a row already do not fit. */
static void look_at_table(struct scan *scan, const struct part *part, struct choice *choice)
{
    struct quire_paging *paging = &scan->space->paging;
    void *table = table_open(paging, part->table);
    struct neighbour before = {NULL, 0};

    for (struct row row = {choice->least, 0}; row.first < choice->pages; row_pass(&row))
        if (!qi_table_has_row(paging->format, table, row))
            look_at_pages(scan->space, part, table, row, choice, &before);
    table_close(paging, table);
    scan->done->looks += choice->pages;
}

static void take_out_row(struct choice *choice, struct row row)
{
    for (unsigned i = 0; i < row_pages(row); i++)
        page_set_remove(&choice->fit, row.first + i);
}

/* Are there pages enough in the row that are not zeros, and may all be moved? What is found out is
 * kept in *choice. */
static bool row_contents_fit(struct scan *scan, const struct part *part, struct choice *choice,
                             struct row row)
{
    struct quire_space *space = scan->space;
    const struct quire_paging_format *f = space->paging.format;
    void *table = table_open(&space->paging, part->table);
    unsigned wanted = qi_choice_present(choice, row), pages = 0;
    bool fit = true;

    for (unsigned i = row.first; fit && i < row.first + row_pages(row); i++) {
        uint64_t e = entry_load(f, table, i);

        if (!has_page(e))
            continue;
        fit = page_may_move(scan, e);
        if (!fit)
            page_set_remove(&choice->fit, i);
        else if (pages < wanted && page_set_has(&choice->used, i) &&
                 qi_frame_is_zero(space, entry_pfn(f, e)))
            page_set_remove(&choice->used, i);
        else
            pages += page_set_has(&choice->used, i);
    }
    table_close(&space->paging, table);
    return fit && pages >= wanted;
}

/* ---- The pages of a row --------------------------------------------------------------------- */

static struct place batch_open(struct batch *batch)
{
    return (struct place){table_open(&batch->scan->space->paging, batch->part->table), 0, 0, 0};
}

/* Put zeros where there is no frame. */
static void fill_pages(struct batch *batch)
{
    struct quire_space *space = batch->scan->space;
    struct place place = batch_open(batch);

    for (unsigned i = 0; i < batch->pages; i++) {
        quire_pfn frame = quire_pfn_of(batch->frames.n + i);
        uint64_t e;

        place.index = batch->first + i;
        e = place_look(&space->paging, &place);
        if ((e & ENTRY_PRESENT) || entry_is_held(e))
            continue;
        qi_space_zero_frames(space, frame, 1);
        if (place_replace(&space->paging, &place, own_page(space, 0, frame, reserved_access(e))))
            batch->filled |= (uint32_t)1 << i;
    }
    place_close(&space->paging, &place);
}

/* Hold the others, until all processors have forgotten them. Each exchange that fails is one in
 * which the processor set a mark, which it does twice at most, or a fault changed the entry. */
static void hold_pages(struct batch *batch)
{
    struct quire_space *space = batch->scan->space;
    struct place place = batch_open(batch);
    struct forgotten forgotten = {0, 0, false};

    for (unsigned i = 0; i < batch->pages; i++) {
        uint64_t e;

        batch->held[i] = 0;
        if (batch->filled >> i & 1)
            continue;
        place.index = batch->first + i;
        e = place_look(&space->paging, &place);
        while ((e & ENTRY_PRESENT) && !place_replace(&space->paging, &place, entry_held()))
            e = place.entry;
        if (!(e & ENTRY_PRESENT))
            continue;
        batch->held[i] = e;
        qi_forgotten_note(&forgotten, part_page(batch->part, place.index), QUIRE_FRAME_SIZE);
    }
    place_close(&space->paging, &place);
    qi_forget(space, &forgotten);
}

/* Let those that are held have their new frames. */
static void move_pages(struct batch *batch)
{
    struct quire_space *space = batch->scan->space;
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    struct place place = batch_open(batch);

    for (unsigned i = 0; i < batch->pages; i++) {
        quire_pfn frame = quire_pfn_of(batch->frames.n + i), old = entry_pfn(f, batch->held[i]);
        uint64_t e = batch->held[i];

        if (batch->filled >> i & 1)
            continue;
        if (e && !frame_is_pinned(batch->scan->how, old)) {
            qi_space_copy_frame(space, frame, old);
            entry_put(f, place.table, batch->first + i, entry_with_frame(f, e, frame));
            batch->scan->done->copies++;
            frames->free(frames->ctx, old, 0);
            continue;
        }
        if (e)
            entry_put(f, place.table, batch->first + i, e);
        frames->free(frames->ctx, frame, 0);
        batch->complete = false;
    }
    place_close(&space->paging, &place);
}

static uint64_t count_missing(struct quire_space *space, const struct part *part, struct row row)
{
    void *table = table_open(&space->paging, part->table);
    uint64_t missing = 0;

    for (unsigned i = row.first; i < row.first + row_pages(row); i++)
        missing += !(entry_load(space->paging.format, table, i) & ENTRY_PRESENT);
    table_close(&space->paging, table);
    return missing;
}

/* Make a row that was found worth it. Errors as qi_space_take_row; nothing has changed then. */
static int make_row(struct scan *scan, const struct part *part, struct row row)
{
    struct quire_space *space = scan->space;
    struct batch batch = {.scan = scan, .part = part, .complete = true};
    uint32_t number = number_of(note_at(space, NULL, part_page(part, row.first)));
    uint64_t missing = count_missing(space, part, row), filled = 0;
    uint64_t copies = scan->done->copies;
    bool zeroed = false;
    quire_pfn run;
    int error = qi_space_take_row(space, number, row.order, missing + PENDING, &zeroed, &run);

    if (error)
        return error;
    batch.pages = row_pages(row) < HELD_MOST ? row_pages(row) : HELD_MOST;
    for (unsigned i = 0; i < row_pages(row); i += batch.pages) {
        batch.first = row.first + i;
        batch.frames.n = run.n + i;
        batch.filled = 0;
        fill_pages(&batch);
        hold_pages(&batch);
        move_pages(&batch);
        filled += word_count(batch.filled);
    }
    area_uncharge(space, number, missing - filled + PENDING);
    scan->done->rows += batch.complete;
    scan->done->ended += !batch.complete;
    scan->done->filled += filled;
    space->large.rows += batch.complete;
    space->large.ended += !batch.complete;
    space->large.filled += filled;
    space->large.copies += scan->done->copies - copies;
    return 0;
}

/* ---- The rows of a part --------------------------------------------------------------------- */

/* An order for which no run was had is not asked for again by this scan. */
int qi_rows_make(struct scan *scan, const struct part *part, bool asked)
{
    struct choice choice = {.pages = level_entries(scan->space->paging.format, 0),
                            .least = scan->how->row,
                            .present = wanted_pages(scan),
                            .accessed = scan->how->accessed};
    struct row row = {scan->longest, 0};

    look_at_table(scan, part, &choice);
    while (qi_choice_next(&choice, &row)) {
        int error;

        if (!row_contents_fit(scan, part, &choice, row)) {
            row_pass(&row);
            continue;
        }
        if (!asked && qi_part_waits(scan->space, part->virt)) {
            scan->done->waiting++;
            return 0;
        }
        asked = true;
        error = make_row(scan, part, row);
        if (error && error != QUIRE_ERR_LIMIT && row.order == choice.least)
            return error;
        if (error && error != QUIRE_ERR_LIMIT) {
            row_shorten(&row);
            scan->longest = row.order;
            continue;
        }
        if (error)
            scan->done->refused++;
        else
            take_out_row(&choice, row);
        row_pass(&row);
    }
    return 0;
}
