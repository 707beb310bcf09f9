/* SPDX-License-Identifier: MIT
 *
 * fork.c - a space is copied: its frames are shared until one of the two writes.
 *
 * Dangers: a write that finds itself the last owner while we count one more (SP2); a child that has
 * a page which the parent still writes, by a TLB; a refusal in the middle. So each page is held
 * while it is counted, taken the right to write from, and given to the child; the fork returns
 * after all processors have forgotten the parent's pages; and a refused child is destroyed, which
 * counts down again. The parent's pages that lost the right to write get it back at the next write.
 */
#include "spaces.h"

/* Let the child have this entry. */
static int give_entry(struct quire_space *child, uint64_t virt, unsigned level, uint64_t e)
{
    struct place place;
    int error = qi_place_find(&child->paging, virt, level, true, &place);

    if (error)
        return error;
    (void)place_replace(&child->paging, &place, e);
    place_close(&child->paging, &place);
    return 0;
}

/* The page at the step's place is held, `seen` is what it was: share it. */
static int share_held(struct quire_space *space, struct quire_space *child, uint64_t virt,
                      uint64_t seen, uint64_t shared)
{
    struct quire_shares *shares = space->config.port.shares;
    quire_pfn pfn = entry_pfn(space->paging.format, seen);
    int error = qi_space_charge(child, 1);

    if (error)
        return error;
    error = qi_share_add(shares, pfn);
    if (error == 0) {
        error = give_entry(child, virt, 0, shared);
        if (error)
            (void)qi_share_drop(shares, pfn); /* never the last one */
    }
    if (error)
        qi_space_uncharge(child, 1);
    return error;
}

/* A small page. */
static int share_page(struct quire_space *space, struct quire_space *child, struct steps *steps,
                      struct forgotten *forgotten)
{
    const struct quire_paging_format *f = space->paging.format;
    struct place *place = &steps->place;
    uint64_t seen = place->entry, shared = page_for_two(f, seen);
    int error;

    if (!place_replace(&space->paging, place, entry_held()))
        return 0; /* it is looked at again */
    error = share_held(space, child, steps->virt, seen, shared);
    (void)place_replace(&space->paging, place, error ? seen : shared);
    if (error)
        return error;
    if (shared != seen)
        qi_forgotten_note(forgotten, steps->virt, QUIRE_FRAME_SIZE);
    (void)qi_steps_advance(steps);
    return 0;
}

/* What the step came to. */
static int fork_entry(struct quire_space *space, struct quire_space *child, struct steps *steps,
                      struct forgotten *forgotten)
{
    const struct quire_paging_format *f = space->paging.format;
    struct place *place = &steps->place;
    uint64_t e = place->entry;
    int error = 0;

    if (entry_is_table(f, place->level, e))
        return 0;
    if (entry_is_held(e)) {
        qi_space_wait(space, steps);
        return 0;
    }
    if (e & ENTRY_PRESENT) {
        if (place->level == 0)
            return share_page(space, child, steps, forgotten);
        qi_steps_end(steps);
        return qi_space_split(space, steps->virt + QUIRE_FRAME_SIZE);
    }
    if (e)
        error = give_entry(child, steps->virt, place->level, e);
    (void)qi_steps_advance(steps);
    return error;
}

int quire_space_fork(struct quire_space *space, struct quire_space *child)
{
    struct forgotten forgotten = {0, 0, false};
    struct steps steps;
    int error = space->config.port.shares ? quire_space_create(child, &space->config)
                                          : QUIRE_ERR_UNSUPPORTED;

    if (error)
        return error;
    child->search = space->search;
    qi_steps_begin(&steps, &space->paging, space->config.range);
    while (error == 0 && qi_steps_next(&steps))
        error = fork_entry(space, child, &steps, &forgotten);
    qi_steps_end(&steps);
    qi_forget(space, &forgotten);
    if (error)
        quire_space_destroy(child);
    return error;
}
