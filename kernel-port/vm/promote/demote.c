/* SPDX-License-Identifier: MIT
 *
 * demote.c - large pages become small again, and pages that read as zeros are given back.
 *
 * A page that seems to read as zeros loses the right to be written, as one that is shared has; all
 * processors forget it; then it is looked at again. Danger: a write that comes while it is looked
 * at. It faults, and the fault gives the page the right back (fault.c), by an exchange; so the one
 * that takes the page out fails. What is taken out leaves as in an unmap (SP3), and its address is
 * reserved as before: it reads as zeros, as it did. Danger: a device that is about to fill it.
 * Whoever has a frame pinned looks the page up after that, so it is asked when nobody finds it any
 * more; what is pinned comes back.
 *
 * Which parts were demoted is remembered in a few words, each the part's address, whose low bits
 * say how often it still waits, and how often it did before, as a power of 2. A part has one place,
 * and who comes there later is the one that is remembered. Calls that read or write them come one
 * at a time.
 */
#include "contents.h"
#include "scan.h"

enum {
    WAITS_BITS = 16,   /* of a word: how often it still waits, */
    DOUBLED_MOST = 15, /* and above them, how often that doubled */
    DOUBLED_FIRST = 2,
};
#define WAITS_MASK   (((uint64_t)1 << WAITS_BITS) - 1)
#define DOUBLED_MASK ((uint64_t)DOUBLED_MOST << WAITS_BITS)

/* The pages of a part that seem to read as zeros. */
struct zeros {
    struct page_set pages;
    unsigned count;
};

/* A part, the zeros that were found there, and its table, when it has one. */
struct demoted_part {
    struct quire_space *space;
    const struct quire_demotion *how;
    uint64_t virt;
    quire_pfn table;
    struct zeros zeros;
    struct forgotten forgotten;
};

/* ---- What was demoted ----------------------------------------------------------------------- */

static uint64_t *demoted_word(struct quire_space *space, uint64_t virt)
{
    uint64_t number = virt / level_size(space->paging.format, 1);

    return &space->large.demoted[number * 0x9e3779b97f4a7c15 >> 32 & (QUIRE_DEMOTED_PARTS - 1u)];
}

static bool word_is_of(uint64_t word, uint64_t virt)
{
    return (word & ~(WAITS_MASK | DOUBLED_MASK)) == virt;
}

bool qi_part_waits(struct quire_space *space, uint64_t virt)
{
    uint64_t *word = demoted_word(space, virt);

    if (!word_is_of(*word, virt) || (*word & WAITS_MASK) == 0)
        return false;
    --*word;
    return true;
}

static void remember(struct quire_space *space, uint64_t virt)
{
    uint64_t *word = demoted_word(space, virt), doubled = DOUBLED_FIRST;

    if (word_is_of(*word, virt))
        doubled = (*word & DOUBLED_MASK) >> WAITS_BITS;
    if (word_is_of(*word, virt) && doubled < DOUBLED_MOST)
        doubled++;
    *word = virt | doubled << WAITS_BITS | (uint64_t)1 << doubled;
}

/* ---- What reads as zeros -------------------------------------------------------------------- */

bool qi_frame_is_zero(struct quire_space *space, quire_pfn pfn)
{
    const struct quire_reach *reach = &space->paging.port.reach;
    void *at = reach_open(reach, pfn);
    bool zero = contents_are_zero(at);

    reach_close(reach, at);
    return zero;
}

static bool is_pinned(const struct quire_demotion *how, quire_pfn pfn)
{
    return how->pinned && how->pinned(how->ctx, pfn);
}

/* A small page of the space's own, which nobody else has? */
static bool is_own(struct quire_space *space, uint64_t e)
{
    return (e & ENTRY_PRESENT) && !page_is_cached(space->paging.format, e) &&
           !qi_page_is_shared(space, e);
}

/* Of the part, which has a table or a large page. Danger: a copy of a page of a file that reads as
 * zeros, for when it is gone the file's page is there. So of files nothing is given back. */
static void find_zeros(struct demoted_part *part, uint64_t entry)
{
    struct quire_space *space = part->space;
    struct zeros *zeros = &part->zeros;
    struct quire_paging *paging = &space->paging;
    const struct quire_paging_format *f = paging->format;
    struct note *note = NULL;
    bool large = !entry_is_table(f, 1, entry);
    void *table = large ? NULL : table_open(paging, entry_pfn(f, entry));

    *zeros = (struct zeros){.count = 0};
    for (unsigned i = 0; i < level_entries(f, 0); i++) {
        uint64_t e = large ? 0 : entry_load(f, table, i);
        quire_pfn pfn = large ? quire_pfn_of(entry_pfn(f, entry).n + i) : entry_pfn(f, e);

        if (!large && !is_own(space, e))
            continue;
        note = note_at(space, note, part->virt + i * (uint64_t)QUIRE_FRAME_SIZE);
        if (note && note->file)
            continue;
        if (qi_frame_is_zero(space, pfn) && !is_pinned(part->how, pfn)) {
            page_set_add(&zeros->pages, i);
            zeros->count++;
        }
    }
    if (!large)
        table_close(paging, table);
}

/* ---- Giving back ---------------------------------------------------------------------------- */

static void note_page_at(struct demoted_part *part, unsigned i)
{
    qi_forgotten_note(&part->forgotten, part->virt + i * (uint64_t)QUIRE_FRAME_SIZE,
                      QUIRE_FRAME_SIZE);
}

static void forget_noted(struct demoted_part *part)
{
    qi_forget(part->space, &part->forgotten);
    part->forgotten.any = false;
}

/* Let it be written by way of a fault alone. False: it changes just now. */
static bool take_right(struct demoted_part *part, struct place *place)
{
    const struct quire_paging_format *f = part->space->paging.format;
    uint64_t e = place->entry;

    if (!is_own(part->space, e))
        return false;
    if (page_for_two(f, e) == e)
        return true;
    note_page_at(part, place->index);
    return place_replace(&part->space->paging, place, page_for_two(f, e));
}

/* It was forgotten, and cannot be written but by way of a fault. False: it was written. */
static bool take_zeros(struct demoted_part *part, struct place *place)
{
    const struct quire_paging_format *f = part->space->paging.format;
    uint64_t e = place->entry;

    if (!is_own(part->space, e) || page_for_two(f, e) != e ||
        !qi_frame_is_zero(part->space, entry_pfn(f, e)))
        return false;
    note_page_at(part, place->index);
    return place_replace(&part->space->paging, place, entry_leaving(f, 0, e, page_access(f, e)));
}

/* It is leaving, and forgotten. False: it is pinned, and comes back as it was taken out. */
static bool give_zeros_back(struct demoted_part *part, struct place *place)
{
    struct quire_space *space = part->space;
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    const struct note *note =
        note_at(space, NULL, part->virt + place->index * (uint64_t)QUIRE_FRAME_SIZE);
    uint64_t leaving = place->entry;
    quire_pfn pfn = leaving_pfn(f, leaving);

    /* Nobody else replaces it. */
    if (is_pinned(part->how, pfn)) {
        uint64_t page = own_page(space, 0, pfn, reserved_access(leaving));

        (void)place_replace(&space->paging, place, page_for_two(f, page));
        return false;
    }
    /* Before the entry: no fault on it is to be refused because of it (LM1). */
    area_uncharge(space, note ? note->origin : NO_NOTE, 1);
    (void)place_replace(&space->paging, place,
                        entry_of_area(f, note, reserved_access(leaving), false));
    frames->free(frames->ctx, pfn, 0);
    return true;
}

/* Do this with all pages that are still among the zeros; where it is refused they are not. */
static void with_zeros(struct demoted_part *part,
                       bool (*step)(struct demoted_part *part, struct place *place))
{
    struct quire_paging *paging = &part->space->paging;
    struct zeros *zeros = &part->zeros;

    for (unsigned i = 0; i < level_entries(paging->format, 0); i++) {
        struct place place = {NULL, 0, i, 0};

        if (!page_set_has(&zeros->pages, i))
            continue;
        place.table = table_open(paging, part->table);
        place_look(paging, &place);
        if (!step(part, &place)) {
            page_set_remove(&zeros->pages, i);
            zeros->count--;
        }
        place_close(paging, &place);
    }
}

/* Is a page that seems to read as zeros in a row of the part's table? */
static bool zeros_are_in_row(const struct demoted_part *part)
{
    struct quire_paging *paging = &part->space->paging;
    void *table = table_open(paging, part->table);
    struct row row = {row_order_in(paging->format, ROW_ORDER_LEAST), 0};
    bool found = false;

    for (unsigned i = 0; !found && i < level_entries(paging->format, 0); i++) {
        row.first = i & ~(row_pages(row) - 1);
        found = page_set_has(&part->zeros.pages, i) && qi_table_has_row(paging->format, table, row);
    }
    table_close(paging, table);
    return found;
}

/* ---- The calls ------------------------------------------------------------------------------ */

/* `entry` is that of the part: a table or a large page. */
static int demote_part(struct quire_space *space, uint64_t virt, uint64_t entry,
                       const struct quire_demotion *how, struct quire_demoted *done)
{
    struct quire_paging *paging = &space->paging;
    const struct quire_paging_format *f = paging->format;
    struct demoted_part part = {.space = space, .how = how, .virt = virt};
    bool large = !entry_is_table(f, 1, entry), in_row = false;
    struct place place;
    int error;

    find_zeros(&part, entry);
    if (part.zeros.count < how->zeros)
        return 0;
    if (large) {
        error = qi_space_split(space, virt + QUIRE_FRAME_SIZE);
        if (error)
            return error;
        done->parts++;
        remember(space, virt);
    }
    (void)qi_place_find(paging, virt, 1, false, &place);
    place_close(paging, &place);
    part.table = entry_pfn(f, place.entry);
    if (!large)
        in_row = zeros_are_in_row(&part);
    with_zeros(&part, take_right);
    forget_noted(&part);
    with_zeros(&part, take_zeros);
    forget_noted(&part);
    with_zeros(&part, give_zeros_back);
    if (in_row && part.zeros.count > 0)
        remember(space, virt);
    done->frames += part.zeros.count;
    space->large.returned += part.zeros.count;
    return 0;
}

int quire_space_demote(struct quire_space *space, struct quire_vrange range,
                       const struct quire_demotion *how, struct quire_demoted *done)
{
    struct parts parts;
    uint64_t entry;
    int error = qi_space_check(space, range);

    *done = (struct quire_demoted){.next = range.start};
    if (error == 0 && how->zeros > level_frames(space->paging.format, 1))
        error = QUIRE_ERR_SIZE;
    if (error)
        return error;
    qi_parts_begin(&parts, space, range, how->looks);
    while (error == 0 && qi_parts_next(&parts, &entry)) {
        error = demote_part(space, parts.virt, entry, how, done);
        parts.looks += level_entries(space->paging.format, 0);
        if (error == 0)
            qi_parts_advance(&parts);
    }
    done->looks = parts.looks;
    done->next = parts_end(&parts, range);
    return error;
}

int quire_space_measure(struct quire_space *space, struct quire_vrange range, bool look,
                        struct quire_large_figures *figures)
{
    const struct quire_paging_format *f = space->paging.format;
    struct steps steps;
    int error = qi_space_check(space, range);

    *figures = (struct quire_large_figures){.promotions = space->large.promotions,
                                            .ended = space->large.ended,
                                            .demotions = space->large.demotions,
                                            .returned = space->large.returned,
                                            .rows = space->large.rows,
                                            .filled = space->large.filled,
                                            .copies = space->large.copies};
    if (error)
        return error;
    qi_steps_begin(&steps, &space->paging, range);
    while (qi_steps_next(&steps)) {
        struct place *place = &steps.place;
        uint64_t e = place->entry, pages = steps_bytes(&steps) / QUIRE_FRAME_SIZE;
        uint64_t first = (steps.virt - steps_page(&steps)) / QUIRE_FRAME_SIZE;

        if ((e & ENTRY_PRESENT) && place->level == 0)
            figures->small += !page_is_cached(f, e);
        else if (e & ENTRY_PRESENT)
            figures->large += pages;
        if ((e & ENTRY_PRESENT) && place->level == GIGABYTE_LEVEL)
            figures->gigabytes++;
        for (uint64_t i = 0; look && (e & ENTRY_PRESENT) && place->level > 0 && i < pages; i++)
            figures->zeros += qi_frame_is_zero(space, quire_pfn_of(entry_pfn(f, e).n + first + i));
        (void)qi_steps_advance(&steps);
    }
    qi_steps_end(&steps);
    return 0;
}
