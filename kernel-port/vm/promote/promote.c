/* SPDX-License-Identifier: MIT
 *
 * promote.c - the small pages of a part become one large page, while other CPUs fault.
 *
 * What it is worth is looked at first: the entries, and then the contents. Then the table's entry
 * is *folding*, all processors forget the part, its pages are copied, and the large page is put in,
 * by an exchange. Whoever faults meanwhile may put the table back (fault.c); then that exchange
 * fails, and the copy is for nothing. If it succeeds no processor has reached the pages since they
 * were forgotten, so the copy is whole.
 *
 * Dangers. A fault may be on its way in the table, by what it saw before, and change entries until
 * it ends: from reserved to a page of zeros, or from one to be copied to one's own. None of that
 * changes what the part reads as, so the copy is right whichever it sees; and what is in the table
 * is taken out entry by entry, each by an exchange that leaves it held for good: then a frame that
 * came late is seen, or its fault sees that it is too late, and comes again. The table itself stays
 * until nobody is in it, which the port knows. A processor writes to what is being copied, after a
 * fault has put the table back: what was read is old, and is thrown away.
 *
 * A limit. A promotion counts frames before it has them for good, and late ones twice. So its count
 * is pending until the last is counted down (file/limit.c). A fault that is still in a table that
 * was replaced finds no room because of its own page, which is counted by then: its entry is not
 * what it was, so it comes again.
 *
 * Pages are not shared with another space: forks come one at a time with this (SP2).
 */
#include "contents.h"
#include "scan.h"

/* ---- The parts of a range ------------------------------------------------------------------- */

static void step_by(struct parts *parts, unsigned level)
{
    uint64_t size = level_size(parts->space->paging.format, level);
    uint64_t step = size - (parts->virt & (size - 1));

    if (step > parts->left)
        step = parts->left;
    parts->virt += step;
    parts->left -= step;
}

void qi_parts_begin(struct parts *parts, struct quire_space *space, struct quire_vrange range,
                    uint64_t most)
{
    uint64_t size = level_size(space->paging.format, 1);
    uint64_t before = (0 - range.start.n) & (size - 1);

    *parts = (struct parts){space, range.start.n + before, 0, 0, most};
    if (range.bytes > before)
        parts->left = (range.bytes - before) & ~(size - 1);
}

bool qi_parts_next(struct parts *parts, uint64_t *entry)
{
    struct quire_paging *paging = &parts->space->paging;

    while (parts->left > 0 && (parts->most == 0 || parts->looks < parts->most)) {
        struct place place;

        (void)qi_place_find(paging, parts->virt, 1, false, &place);
        place_close(paging, &place);
        parts->looks++;
        *entry = place.entry;
        if (place.level == 1 && (place.entry & ENTRY_PRESENT))
            return true;
        step_by(parts, place.level);
    }
    return false;
}

void qi_parts_advance(struct parts *parts)
{
    step_by(parts, 1);
}

/* ---- What it is worth ----------------------------------------------------------------------- */

/* Is there one note about all of the part, of anonymous memory, or none about any of it? */
static bool has_one_note(const struct scan *scan, struct part *part)
{
    const struct quire_space *space = scan->space;
    uint64_t size = level_size(space->paging.format, 1);
    struct quire_vrange range = quire_vrange_of(part->virt, size);

    part->note = NO_NOTE;
    for (const struct note *note = (const struct note *)space->notes; note; note = note->next) {
        if (!quire_vrange_overlaps(range, quire_vrange_of(note->start, note->bytes)))
            continue;
        if (note->file || note->start > part->virt ||
            note->bytes - (part->virt - note->start) < size)
            return false;
        part->note = note->origin;
    }
    return true;
}

/* Is this entry one of a part that may be promoted? Counts it. */
static bool entry_fits(const struct quire_paging_format *f, struct part *part, uint64_t e)
{
    uint32_t access = promoted_access(f, e);

    if (access && (e & ENTRY_PRESENT)) {
        part->present++;
        part->accessed += (e & f->accessed) != 0;
    } else if (access) {
        part->small |= !(e & RESERVED_LARGE);
    }
    if (part->access == 0)
        part->access = access;
    return access && access == part->access;
}

bool qi_page_is_shared(struct quire_space *space, uint64_t e)
{
    const struct quire_paging_format *f = space->paging.format;

    if (!(e & f->copy) && (page_access(f, e) & QUIRE_WRITE))
        return false; /* SP1 */
    return qi_share_any(space->config.port.shares, entry_pfn(f, e));
}

/* Look at all entries. */
static bool entries_fit(struct scan *scan, struct part *part)
{
    struct quire_paging *paging = &scan->space->paging;
    void *table = table_open(paging, part->table);
    unsigned entries = level_entries(paging->format, 0);
    bool fit = true;

    for (unsigned i = 0; fit && i < entries; i++) {
        fit = entry_fits(paging->format, part, entry_load(paging->format, table, i));
        scan->done->looks++;
    }
    table_close(paging, table);
    return fit;
}

/* Are there pages enough that are not zeros, and may all be moved? */
static bool contents_fit(struct scan *scan, const struct part *part)
{
    struct quire_paging *paging = &scan->space->paging;
    const struct quire_paging_format *f = paging->format;
    void *table = table_open(paging, part->table);
    uint64_t pages = 0;
    bool fit = true;

    for (unsigned i = 0; fit && i < level_entries(f, 0); i++) {
        uint64_t e = entry_load(f, table, i);

        if (!has_page(e))
            continue;
        fit = page_may_move(scan, e);
        if (fit && pages < wanted_pages(scan))
            pages += !qi_frame_is_zero(scan->space, entry_pfn(f, e));
    }
    table_close(paging, table);
    return fit && pages >= wanted_pages(scan);
}

static bool is_worth_it(struct scan *scan, struct part *part)
{
    return has_one_note(scan, part) && entries_fit(scan, part) &&
           part->present >= wanted_pages(scan) && part->accessed >= scan->how->accessed &&
           contents_fit(scan, part);
}

/* Take the marks of accesses away. */
static void age(struct scan *scan, const struct part *part)
{
    struct quire_paging *paging = &scan->space->paging;
    const struct quire_paging_format *f = paging->format;
    struct place place = {table_open(paging, part->table), 0, 0, 0};

    for (; place.index < level_entries(f, 0); place.index++) {
        uint64_t e = place_look(paging, &place);

        if (!(e & ENTRY_PRESENT) || page_is_cached(f, e) || !(e & f->accessed))
            continue;
        /* If the entry changes just now it keeps the mark. */
        (void)place_replace(paging, &place, entry_with_marks(f, e, false, entry_is_dirty(f, e)));
        qi_forgotten_note(&scan->aged, part->virt + place.index * (uint64_t)QUIRE_FRAME_SIZE,
                          QUIRE_FRAME_SIZE);
    }
    table_close(paging, place.table);
}

/* ---- The copy ------------------------------------------------------------------------------- */

/* Copy what is in the entry of the table, or zeros, to this frame. False: it cannot be now. */
static bool copy_entry(struct scan *scan, const struct part *part, unsigned index, quire_pfn to)
{
    struct quire_paging *paging = &scan->space->paging;
    const struct quire_paging_format *f = paging->format;
    const struct quire_reach *reach = &paging->port.reach;
    void *table = table_open(paging, part->table), *target;
    uint64_t e = entry_load(f, table, index);

    table_close(paging, table);
    if (e & ENTRY_PRESENT ? frame_is_pinned(scan->how, entry_pfn(f, e)) : entry_is_held(e))
        return false;
    if (e & ENTRY_PRESENT) {
        void *source = reach_open(reach, entry_pfn(f, e));

        target = reach_open(reach, to);
        contents_copy(target, source);
        reach_close(reach, target);
        reach_close(reach, source);
        scan->done->copies++;
    } else {
        target = reach_open(reach, to);
        contents_clear(target);
        reach_close(reach, target);
    }
    return true;
}

/* The place is folding. False: it is not any more, or a page cannot be copied. */
static bool copy_part(struct scan *scan, struct place *place, const struct part *part,
                      quire_pfn run)
{
    struct quire_paging *paging = &scan->space->paging;

    for (unsigned i = 0; i < level_entries(paging->format, 0); i++)
        if (!entry_is_folding(1, place_look(paging, place)) ||
            !copy_entry(scan, part, i, quire_pfn_of(run.n + i)))
            return false;
    return true;
}

/* Put the run in the place of the table. False: a fault was in between, or a page is pinned. */
static bool replace_table(struct scan *scan, const struct part *part, quire_pfn run)
{
    struct quire_space *space = scan->space;
    struct quire_paging *paging = &space->paging;
    const struct quire_paging_format *f = paging->format;
    struct forgotten forgotten = {0, 0, false};
    bool wanted = part->present < level_frames(f, 1) && !part->small;
    uint64_t promoted = large_with_wish(f, own_page(space, 1, run, part->access), wanted);
    struct place place;
    bool whole;

    (void)qi_place_find(paging, part->virt, 1, false, &place);
    /* relaxed: the entry carries it */
    qa_store(patience_of(space), scan->how->patience, relaxed);
    /* The table's entry has a mark too, which the processor sets once. */
    while (!place_replace(paging, &place, entry_folding(f, place.entry))) {
    }
    qi_forgotten_note(&forgotten, part->virt, level_size(f, 1));
    qi_forget(space, &forgotten);
    whole = copy_part(scan, &place, part, run);
    if (whole)
        whole = place_replace(paging, &place, promoted);
    else if (entry_is_folding(1, place.entry))
        (void)place_replace(paging, &place, entry_unfolded(f, 1, place.entry));
    place_close(paging, &place);
    return whole;
}

/* ---- What is left --------------------------------------------------------------------------- */

/* Take out what is in this entry of a table that was replaced: *e, held from now on. False: a late
 * fault holds it, or changes it just now. */
static bool take_late(struct quire_space *space, quire_pfn table, unsigned index, uint64_t *e)
{
    struct quire_paging *paging = &space->paging;
    struct place place = {table_open(paging, table), 0, index, 0};
    bool taken;

    *e = place_look(paging, &place);
    taken = !entry_is_held(*e) && place_replace(paging, &place, entry_held());
    place_close(paging, &place);
    return taken;
}

/* No processor knows the pages of the table any more. */
static void give_frames_back(struct quire_space *space, const struct part *part)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    uint64_t pages = 0;

    for (unsigned i = 0; i < level_entries(f, 0); i++) {
        uint64_t e;

        while (!take_late(space, part->table, i, &e))
            qi_space_relax(space);
        if (e & ENTRY_PRESENT) {
            pages++;
            frames->free(frames->ctx, entry_pfn(f, e), 0);
        }
    }
    area_uncharge(space, part->note, pages - part->present); /* those that came late */
}

static void retire(struct scan *scan)
{
    const struct quire_paging_port *port = &scan->space->paging.port;

    if (scan->retirements > 0)
        port->retire(port->ctx, scan->retired, scan->retirements);
    scan->retirements = 0;
}

/* ---- The scan ------------------------------------------------------------------------------- */

/* The part is worth it. *over: nothing is left to be done for it; else its pages may be rows. */
static int promote(struct scan *scan, const struct part *part, bool *over)
{
    struct quire_space *space = scan->space;
    const struct quire_frame_source *frames = &space->config.port.frames;
    unsigned order = level_order(space->paging.format, 1);
    uint64_t missing = level_frames(space->paging.format, 1) - part->present;
    bool zeroed = false;
    quire_pfn run;
    int error;

    *over = scan->how->row == 0;
    if (area_charge(space, part->note, missing + PENDING)) {
        scan->done->refused++;
        return 0;
    }
    error = qi_space_take_run(space, order, part->note, &zeroed, &run);
    if (error) {
        area_uncharge(space, part->note, missing + PENDING);
        scan->large_at_hand = false; /* the next one would not be had either */
        return *over ? error : 0;
    }
    *over = true;
    if (!replace_table(scan, part, run)) {
        area_uncharge(space, part->note, missing + PENDING);
        frames->free(frames->ctx, run, order);
        scan->done->ended++;
        space->large.ended++;
        return 0;
    }
    give_frames_back(space, part);
    area_uncharge(space, part->note, PENDING);
    scan->retired[scan->retirements++] = part->table;
    scan->done->parts++;
    space->large.promotions++;
    if (scan->retirements == RETIRED_MOST)
        retire(scan);
    return 0;
}

/* The part has a table. */
static int look_at_part(struct scan *scan, uint64_t virt, uint64_t entry)
{
    struct part part = {.virt = virt, .table = entry_pfn(scan->space->paging.format, entry)};
    bool worth = scan->large_at_hand && is_worth_it(scan, &part);
    bool waits = worth && qi_part_waits(scan->space, virt), over = false;
    int error = 0;

    if (waits)
        scan->done->waiting++;
    else if (worth)
        error = promote(scan, &part, &over);
    if (error == 0 && scan->how->row && !waits && !over)
        error = qi_rows_make(scan, &part, worth);
    if (error == 0 && scan->how->age && !over)
        age(scan, &part);
    return error;
}

static int promotion_check(const struct quire_space *space, const struct quire_promotion *how,
                           bool whole)
{
    const struct quire_paging_format *f = space->paging.format;

    if (!space->config.port.frames.split || !(whole || how->row))
        return QUIRE_ERR_UNSUPPORTED;
    if (how->row && (how->row < ROW_ORDER_LEAST || how->row > ROW_ORDER_MOST))
        return QUIRE_ERR_SIZE;
    if (how->present > level_frames(f, 1) || how->accessed > level_frames(f, 1))
        return QUIRE_ERR_SIZE;
    return 0;
}

int quire_space_promote(struct quire_space *space, struct quire_vrange range,
                        const struct quire_promotion *how, struct quire_promoted *done)
{
    const struct quire_paging_format *f = space->paging.format;
    struct scan scan = {.space = space, .how = how, .done = done};
    struct parts parts;
    uint64_t entry;
    int error = qi_space_check(space, range);

    *done = (struct quire_promoted){.next = range.start};
    scan.longest = row_order_in(f, ROW_ORDER_MOST);
    scan.large_at_hand = space->paging.port.retire && (f->sizes & level_size(f, 1));
    if (error == 0)
        error = promotion_check(space, how, scan.large_at_hand);
    if (error)
        return error;
    qi_parts_begin(&parts, space, range, how->looks);
    while (error == 0 && (how->copies == 0 || done->copies < how->copies) &&
           qi_parts_next(&parts, &entry)) {
        done->looks = parts.looks;
        if (entry_is_table(f, 1, entry) && !entry_is_table_of_two(f, 1, entry))
            error = look_at_part(&scan, parts.virt, entry);
        parts.looks = done->looks;
        if (error == 0)
            qi_parts_advance(&parts);
    }
    done->looks = parts.looks;
    done->next = parts_end(&parts, range);
    retire(&scan);
    qi_forget(space, &scan.aged);
    return error;
}
