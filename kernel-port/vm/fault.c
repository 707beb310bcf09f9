/* SPDX-License-Identifier: MIT
 *
 * fault.c - a processor was refused an access: an address gets its page, a shared page is copied.
 *
 * A page of a file: file/touch.c. A page that was never touched: the page is made first, and put in
 * by one exchange against what the address was reserved for. Danger: an unmap, or another fault, in
 * between; then the exchange fails, the frame goes back, and the entry is looked at again. Each
 * round that fails is one in which another call changed this entry. So where there is no memory the
 * entry is looked at again, too: it may have the page by then.
 *
 * The first write to a page that may be shared. Dangers: another processor of the space reads the
 * old frame, from its TLB, after the new one was written; the other owner becomes the last one, and
 * writes, while we still copy; a fork counts one more owner while we find that we are the last. So
 * the entry is held; then it is seen whether there is another owner (SP2); all processors forget
 * the page; it is copied; the new page is put in; and our share of the old one is dropped last.
 */
#include "file/files.h"

/* ---- What was never touched ----------------------------------------------------------------- */

static void fill_with(struct quire_space *space, quire_pfn table, unsigned level, uint64_t e)
{
    const struct quire_paging_format *f = space->paging.format;
    void *at = table_open(&space->paging, table);

    for (unsigned i = 0; i < level_entries(f, level); i++)
        entry_fill(f, at, i, e);
    table_close(&space->paging, at);
}

/* Is there something else at the place by now? */
static bool is_changed(struct quire_space *space, struct place *place)
{
    uint64_t seen = place->entry;

    return place_look(&space->paging, place) != seen;
}

int qi_space_lower(struct quire_space *space, struct place *place)
{
    const struct quire_paging_format *f = space->paging.format;
    quire_pfn fresh;
    int error = qi_table_new(&space->paging, place->level - 1, &fresh);

    if (error == 0) {
        fill_with(space, fresh, place->level - 1, place->entry);
        if (!place_replace(&space->paging, place, entry_of_table(f, place->level, fresh)))
            qi_table_free(&space->paging, fresh);
    } else if (is_changed(space, place)) {
        error = 0;
    }
    place_close(&space->paging, place);
    return error;
}

void qi_space_zero_frames(struct quire_space *space, quire_pfn pfn, uint64_t frames)
{
    const struct quire_reach *reach = &space->paging.port.reach;

    for (uint64_t i = 0; i < frames; i++) {
        void *at = reach_open(reach, quire_pfn_of(pfn.n + i));

        __builtin_memset(at, 0, QUIRE_FRAME_SIZE);
        reach_close(reach, at);
    }
}

/* What an area's note, if it has one, or the space says. */
static const struct quire_policy *policy_of(const struct quire_space *space, uint32_t note)
{
    const struct quire_policy *own = NULL;

    if (note != NO_NOTE)
        /* relaxed: a policy of this space, if not of this area, see file/note.c */
        own =
            (const struct quire_policy *)(uintptr_t)qa_load(&qi_note(space, note)->policy, relaxed);
    return own ? own : space->config.policy;
}

/* A run of this order, which the format can reach; *zeroed says whether it is to read as zeros, and
 * then whether it does. */
static int take_run(struct quire_space *space, unsigned order, const struct quire_policy *policy,
                    bool *zeroed, quire_pfn *pfn)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    int error = QUIRE_ERR_UNSUPPORTED;

    if (*zeroed && frames->alloc_zeroed)
        error = frames->alloc_zeroed(frames->ctx, policy, order, pfn);
    *zeroed = error != QUIRE_ERR_UNSUPPORTED;
    if (!*zeroed)
        error = frames->alloc(frames->ctx, policy, order, pfn);
    if (error)
        return error;
    if (!frame_is_reached(f, quire_pfn_of(pfn->n + (((uint64_t)1 << order) - 1)))) {
        frames->free(frames->ctx, *pfn, order);
        error = QUIRE_ERR_FRAME;
    }
    return error;
}

int qi_space_take_run(struct quire_space *space, unsigned order, uint32_t note, bool *zeroed,
                      quire_pfn *pfn)
{
    return take_run(space, order, policy_of(space, note), zeroed, pfn);
}

/* Put zeros where the place is reserved. Closes the place. *done: they are there, or the access is
 * to be repeated; else, after 0, somebody was faster. A large page that a limit refuses becomes
 * small ones, so whether it is refused for good is asked for these alone. */
static int fill_reserved(struct quire_space *space, struct place *place, bool *done)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    uint64_t count = level_frames(f, place->level);
    uint32_t note = reserved_note(f, place->entry);
    bool zeroed = true;
    quire_pfn pfn;
    int error = area_charge(space, note, count + PENDING);

    if (error == 0) {
        error =
            take_run(space, level_order(f, place->level), policy_of(space, note), &zeroed, &pfn);
        if (error == 0) {
            if (!zeroed)
                qi_space_zero_frames(space, pfn, count);
            *done =
                place_replace(&space->paging, place,
                              own_page(space, place->level, pfn, reserved_access(place->entry)));
            if (!*done)
                frames->free(frames->ctx, pfn, level_order(f, place->level));
        }
        area_uncharge(space, note, error || !*done ? count + PENDING : PENDING);
        if (error && is_changed(space, place))
            error = 0;
    } else if (place->level == 0 &&
               (!qi_limit_refuses(space, note, count) || is_changed(space, place))) {
        error = 0; /* the access is repeated */
        *done = true;
    }
    place_close(&space->paging, place);
    return error;
}

/* Is it a place for a large page? */
static bool large_fits(const struct quire_space *space, const struct place *place)
{
    const struct quire_paging_format *f = space->paging.format;

    if (!(place->entry & RESERVED_LARGE))
        return false;
    if (place->level == GIGABYTE_LEVEL)
        return has_gigabytes(space) && gigabytes_of(space, place->entry);
    return place->level == 1 && (f->sizes & level_size(f, 1)) && space->config.port.frames.split;
}

/* The address is reserved, and the access is allowed. Closes the place. *done: the page is there.
 */
static int touch(struct quire_space *space, struct place *place, uint64_t virt, uint32_t access,
                 bool *done)
{
    const unsigned level = place->level;
    uint64_t seen = place->entry;
    bool of_file = (seen & RESERVED_FILE) != 0;
    int error = 0;

    *done = true;
    if (level == 0 && (seen & RESERVED_LARGE) && !of_file && space->config.around &&
        qi_space_fill_around(space, place))
        return 0;
    if (level == 0)
        return of_file ? qi_file_touch(space, place, virt, access, done)
                       : fill_reserved(space, place, done);
    if (!of_file && large_fits(space, place)) {
        error = level == GIGABYTE_LEVEL ? qi_space_fill_gigabyte(space, place, done)
                                        : fill_reserved(space, place, done);
        if (error == 0)
            return 0;
        /* No run is at hand: smaller pages, if the area takes them. */
        (void)qi_place_find(&space->paging, virt, 0, false, place);
    }
    *done = false;
    if (place->entry != seen || place->level != level) {
        place_close(&space->paging, place);
        return 0;
    }
    if (error && level == GIGABYTE_LEVEL && gigabytes_of(space, seen) == QUIRE_GIGABYTES_ONLY) {
        place_close(&space->paging, place);
        return error;
    }
    return qi_space_lower(space, place);
}

/* ---- The first write ------------------------------------------------------------------------ */

void qi_space_copy_frame(struct quire_space *space, quire_pfn to, quire_pfn from)
{
    const struct quire_reach *reach = &space->paging.port.reach;
    void *source = reach_open(reach, from), *target = reach_open(reach, to);

    __builtin_memcpy(target, source, QUIRE_FRAME_SIZE);
    reach_close(reach, target);
    reach_close(reach, source);
}

/* The page at the place is held, `seen` is what it was, and somebody else has it too. */
static void put_copy(struct quire_space *space, struct place *place, uint64_t virt, uint64_t seen,
                     quire_pfn copy)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    struct forgotten forgotten = {0, 0, false};
    quire_pfn old = entry_pfn(f, seen);

    qi_forgotten_note(&forgotten, virt, QUIRE_FRAME_SIZE);
    qi_forget(space, &forgotten);
    qi_space_copy_frame(space, copy, old);
    (void)place_replace(&space->paging, place, own_page(space, 0, copy, page_access(f, seen)));
    if (!page_is_cached(f, seen) && qi_share_drop(space->config.port.shares, old))
        frames->free(frames->ctx, old, 0);
}

/* Write to the page at the place, closed here. *spare is a frame for the copy, if `have`; it is
 * used up if `have` is cleared. False: there is none, and it takes one. */
static bool write_held(struct quire_space *space, struct place *place, uint64_t virt,
                       quire_pfn spare, bool *have, int *error)
{
    const struct quire_paging_format *f = space->paging.format;
    struct quire_shares *shares = space->config.port.shares;
    uint64_t seen = place->entry;
    quire_pfn pfn = entry_pfn(f, seen);
    bool served = true, cached = page_is_cached(f, seen);

    *error = 0;
    if (!place_replace(&space->paging, place, entry_held()))
        served = true; /* another call was faster; the access is repeated */
    else if (!cached && !qi_share_any(shares, pfn))
        (void)place_replace(&space->paging, place, own_page(space, 0, pfn, page_access(f, seen)));
    else if (*have && cached && area_charge(space, NO_NOTE, 1 + PENDING)) {
        if (qi_limit_refuses(space, NO_NOTE, 1))
            *error = QUIRE_ERR_LIMIT; /* else the access is repeated */
        (void)place_replace(&space->paging, place, seen);
    } else if (*have) {
        put_copy(space, place, virt, seen, spare);
        if (cached)
            area_uncharge(space, NO_NOTE, PENDING);
        *have = false;
    } else {
        (void)place_replace(&space->paging, place, seen);
        served = false;
    }
    place_close(&space->paging, place);
    return served;
}

/* Is the page at the place one that a write has to look at first? */
static bool is_copied_first(const struct quire_paging_format *f, const struct place *place)
{
    return place->level == 0 && (place->entry & ENTRY_PRESENT) && (place->entry & f->copy);
}

/* The first write to the page at the place, which is closed. */
static int write_first(struct quire_space *space, struct place *place, uint64_t virt)
{
    const struct quire_paging_format *f = space->paging.format;
    const struct quire_frame_source *frames = &space->config.port.frames;
    bool have = false, zeroed = false;
    quire_pfn spare = {0};
    int error = 0;

    /* Each round without success is one in which a fork came in between. */
    while (is_copied_first(f, place) && !write_held(space, place, virt, spare, &have, &error)) {
        error = take_run(space, 0, space->config.policy, &zeroed, &spare);
        have = error == 0;
        (void)qi_place_find(&space->paging, virt, 0, false, place);
        if (!is_copied_first(f, place))
            error = 0; /* another call was faster */
        else if (have)
            continue;
        place_close(&space->paging, place);
        break;
    }
    if (have)
        frames->free(frames->ctx, spare, 0);
    return error;
}

/* The page at the place grants the access: it has the marks of one, which the processor may not set
 * itself. One that was filled by a fault has them until a scan takes them away. */
static void mark_accessed(struct quire_space *space, struct place *place, uint32_t access)
{
    const struct quire_paging_format *f = space->paging.format;
    uint64_t e = place->entry;
    bool dirty = entry_is_dirty(f, e) || (access & QUIRE_WRITE);

    if (entry_with_marks(f, e, true, dirty) != e)
        (void)place_replace(&space->paging, place, entry_with_marks(f, e, true, dirty));
}

/* ---- The fault ------------------------------------------------------------------------------ */

/* The place has a table whose pages are being copied into one: put it back, unless the copy may
 * still go on while the access is repeated. True: it may. */
static bool end_fold(struct quire_space *space, struct place *place)
{
    qa64 *patience = patience_of(space);
    uint64_t left = qa_load(patience, relaxed); /* relaxed: the exchange decides */

    if (left > 0)
        return qa_cas(patience, &left, left - 1, relaxed); /* relaxed: a figure */
    (void)place_replace(&space->paging, place,
                        entry_unfolded(space->paging.format, place->level, place->entry));
    return false;
}

/* What stands at the place, and who may. *done: there is an answer, and the place is closed. */
static int look_at_entry(struct quire_space *space, struct place *place, uint64_t virt,
                         uint32_t access, bool *done)
{
    const struct quire_paging_format *f = space->paging.format;
    uint64_t e = place->entry;
    uint32_t allowed;
    int error = 0;

    *done = true;
    if (e & ENTRY_PRESENT) {
        allowed = page_access(f, e);
        if (!(access & ~allowed) && (access & QUIRE_WRITE) && (e & f->copy))
            return write_first(space, place, virt);
        error = access & ~allowed ? QUIRE_ERR_ACCESS : 0; /* 0: it was served meanwhile */
        if (error == 0)
            mark_accessed(space, place, access);
    } else if (entry_is_busy(f, e) || entry_is_held(e)) {
        error = 0; /* it comes back */
        if (entry_is_folding(place->level, e))
            *done = end_fold(space, place);
    } else if (e == 0 || (entry_is_leaving(e) && reserved_access(e) == 0)) {
        error = QUIRE_ERR_AREA;
    } else if (!entry_is_leaving(e)) {
        if (!(access & ~reserved_access(e)))
            return touch(space, place, virt, access, done);
        error = QUIRE_ERR_ACCESS;
    }
    place_close(&space->paging, place);
    return error;
}

int quire_space_fault(struct quire_space *space, quire_vaddr address, uint32_t access)
{
    const uint32_t kinds = QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE;
    uint64_t virt = address.n & ~(uint64_t)(QUIRE_FRAME_SIZE - 1);
    bool done = false;
    int error = 0;

    if (!quire_vaddr_canonical(space->paging.format->canonical, address))
        return QUIRE_ERR_ADDRESS;
    if (!quire_vrange_contains(space->config.range, address))
        return QUIRE_ERR_AREA;
    if (!(access & kinds) || (access & ~(uint32_t)QUIRE_ACCESS_ALL))
        return QUIRE_ERR_UNSUPPORTED;
    while (error == 0 && !done) {
        struct place place;

        (void)qi_place_find(&space->paging, virt, 0, false, &place);
        error = look_at_entry(space, &place, virt, access, &done);
    }
    return error;
}
