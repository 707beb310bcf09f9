/* SPDX-License-Identifier: MIT
 *
 * offline.c - offlining: the frames of a range are taken out of use while others allocate and free,
 * and put back.
 *
 * The zone isolates the range (core/isolate/isolate.c): no allocation that starts later gets a
 * frame of it, and a free into it is not cached, as the block's descriptor does not read SPLIT. The
 * danger is a frame of the range that lies in a cache: it reads as used, and a hit may still hand
 * it out. So all caches of the zone and the remote magazines are drained before each look at what
 * is used. What is used then is offered to its owner's callback, up to OFFLINE_PASSES times. When
 * nothing is left the range is committed, otherwise all is undone.
 *
 * A struct offline_range records, block by block, what offlining took, until it is online again:
 * frames of the range that were reserved before stay so. It lies in the port's memory, as does, for
 * the time of the call, the list of used runs.
 *
 *   OF1  A port whose memory comes out of the zones (bringup.c) gives none of the blocks in
 *        `emptied`: else the record would stand in its own way. The word is set while this
 *        call asks the port. Others who ask it then may read an older word; what they are given is
 *        in use like any other frame.
 *
 *                       offline, online   allocation, free   other changes of the machine
 *   offline, online            -                 X                        -
 *
 * (X: side by side; -: the second one is refused, BUSY.) Thread only; blocks in the callback, and
 * in rseq mode in the drains' system calls.
 */
#include "numa/machine/machine.h"

enum {
    OFFLINE_PASSES = 3,
    MAX_USED_RUNS = 1 << 20, /* used runs that are listed, and so offered, in a pass */
};

/* An offlining under way. */
struct offline_work {
    struct quire_machine *m;
    const struct machine_entry *e;
    struct quire_isolation isolation;
    quire_slot slot;
    struct quire_run *used;
    size_t capacity;
    size_t count;    /* used runs, of which the first `capacity` are in used[] */
    uint64_t frames; /* used frames */
};

/* ---- Offline ranges ------------------------------------------------------------------------- */

static size_t blocks_in(struct quire_run run)
{
    return (size_t)(run.frames / BLOCK_FRAMES);
}

static unsigned char *offline_flags(struct offline_range *range)
{
    return (unsigned char *)(range->held + blocks_in(range->run));
}

/* The first record from `range` on of which a block of the run is offline, or NULL. */
static struct offline_range *find_offline_range(struct offline_range *range, struct quire_run run)
{
    for (; range; range = range->next) {
        uint64_t first = range->run.pfn.n / BLOCK_FRAMES, at = run.pfn.n / BLOCK_FRAMES;
        uint64_t end = at + blocks_in(run);

        for (at = at < first ? first : at; at < end && at - first < blocks_in(range->run); at++)
            if (offline_flags(range)[at - first])
                return range;
    }
    return NULL;
}

static void forget_offline_range(struct quire_machine *m, struct offline_range *range)
{
    struct offline_range **link = &m->offline_ranges;

    qi_assert(writer_is_held(m)); /* M5 */
    while (*link != range)
        link = &(*link)->next;
    *link = range->next;
    qi_port_give_back(m, range);
}

/* A zone has left: forget what was offline of it. */
void qi_offline_forget(struct quire_machine *m, const struct machine_zone *z)
{
    for (struct offline_range *range = m->offline_ranges, *next; range; range = next) {
        next = range->next;
        if (range->zone == z)
            forget_offline_range(m, range);
    }
}

/* ---- Offlining ------------------------------------------------------------------------------ */

/* Drain all that may hold frames of the range, and look at what is used. */
static int drain_and_look(struct offline_work *w)
{
    qi_machine_drain_zone(w->m, w->e);
    return quire_zone_isolated(&w->e->zone->zone, w->slot, &w->isolation, w->used, w->capacity,
                               &w->count, &w->frames);
}

/* Look at what is used and offer it, until nothing is or all passes are made. */
static int empty_range(struct offline_work *w, quire_migrate *migrate, void *ctx)
{
    int error = drain_and_look(w);

    for (unsigned pass = 0; pass < OFFLINE_PASSES && !error && w->frames > 0; pass++) {
        size_t listed = w->count < w->capacity ? w->count : w->capacity;

        for (size_t i = 0; migrate && i < listed; i++)
            (void)migrate(ctx, w->used[i].pfn, w->used[i].frames);
        error = drain_and_look(w);
    }
    return error;
}

/* Report what is still used. */
static void report_blockers(const struct offline_work *w, struct quire_blocker blockers[],
                            size_t room, size_t *count)
{
    for (size_t i = 0; i < room && i < w->count && i < w->capacity; i++)
        blockers[i] = (struct quire_blocker){w->used[i].pfn, w->used[i].frames};
    if (count)
        *count = w->count;
}

/* Tell where the port's memory is not to come from (OF1); no blocks: from anywhere. */
static void set_emptied(struct quire_machine *m, struct quire_run run)
{
    uint64_t first = run.pfn.n / BLOCK_FRAMES;
    uint64_t end = (run.pfn.n + run.frames + BLOCK_FRAMES - 1) / BLOCK_FRAMES;

    /* relaxed: for the port's memory, which is asked by this thread */
    qa_store(&m->emptied, run.frames ? first << 32 | (end - first) : 0, relaxed);
}

/* Empty the range of `range` and reserve it. */
static int empty_and_reserve(struct offline_work *w, struct offline_range *range,
                             quire_migrate *migrate, void *ctx)
{
    struct quire_zone *z = &w->e->zone->zone;
    int error = quire_zone_isolate(z, w->slot, range->run, range->held, &w->isolation);

    if (error)
        return error;
    error = empty_range(w, migrate, ctx);
    if (!error)
        error = quire_zone_isolate_commit(z, w->slot, &w->isolation);
    if (error)
        (void)quire_zone_isolate_undo(z, w->slot, &w->isolation);
    return error;
}

static int offline_locked(struct quire_machine *m, struct quire_run run, quire_migrate *migrate,
                          void *ctx, struct quire_blocker blockers[], size_t room, size_t *count)
{
    const struct machine_entry *e = qi_snapshot_find_run(qi_machine_snapshot(m), run);
    size_t blocks = blocks_in(run);
    struct offline_work w = {.m = m, .e = e};
    struct offline_range *range;
    int error;

    if (run.frames == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    if (!e || find_offline_range(m->offline_ranges, run))
        return QUIRE_ERR_FRAME;
    w.slot = entry_slot(e, 0);
    w.capacity = run.frames < MAX_USED_RUNS ? (size_t)run.frames : MAX_USED_RUNS;
    set_emptied(m, run);
    range = (struct offline_range *)qi_port_alloc(
        m, sizeof *range + blocks * (sizeof range->held[0] + 1), e->zone->node);
    w.used = (struct quire_run *)qi_port_alloc(m, w.capacity * sizeof *w.used, e->zone->node);
    set_emptied(m, (struct quire_run){.frames = 0});
    if (range && w.used) {
        range->zone = e->zone;
        range->run = run;
        error = empty_and_reserve(&w, range, migrate, ctx);
    } else {
        error = QUIRE_ERR_NO_MEMORY;
    }
    if (!error) {
        range->left = blocks;
        __builtin_memset(offline_flags(range), 1, blocks);
        range->next = m->offline_ranges;
        m->offline_ranges = range;
    } else {
        report_blockers(&w, blockers, room, count);
        qi_port_give_back(m, range);
    }
    qi_port_give_back(m, w.used);
    return error;
}

int quire_machine_offline(struct quire_machine *m, struct quire_run run, quire_migrate *migrate,
                          void *ctx, struct quire_blocker blockers[], size_t room, size_t *count)
{
    int error;

    if (count)
        *count = 0;
    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = offline_locked(m, run, migrate, ctx, blockers, room, count);
    qi_machine_unlock(m);
    return error;
}

/* ---- Onlining ------------------------------------------------------------------------------- */

static int online_locked(struct quire_machine *m, struct quire_run run)
{
    struct offline_range *range = find_offline_range(m->offline_ranges, run);
    size_t blocks = blocks_in(run);
    uint64_t first;
    const struct machine_entry *e;
    int error;

    if ((run.pfn.n | run.frames) % BLOCK_FRAMES)
        return QUIRE_ERR_ALIGN;
    if (blocks == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    if (!range || run.pfn.n < range->run.pfn.n ||
        run.pfn.n + run.frames > range->run.pfn.n + range->run.frames)
        return QUIRE_ERR_FRAME;
    first = (run.pfn.n - range->run.pfn.n) / BLOCK_FRAMES;
    for (uint64_t i = 0; i < blocks; i++)
        if (!offline_flags(range)[first + i])
            return QUIRE_ERR_FRAME;
    /* by the zone, not by a frame: where the range has holes another zone may be by now */
    e = qi_snapshot_entry(qi_machine_snapshot(m), range->zone);
    qi_assert(e);
    error =
        quire_zone_unreserve_isolated(&e->zone->zone, entry_slot(e, 0), run, range->held + first);
    if (error)
        return error;
    __builtin_memset(offline_flags(range) + first, 0, blocks);
    qi_assert(range->left >= blocks);
    range->left -= blocks;
    if (range->left == 0)
        forget_offline_range(m, range);
    return QUIRE_OK;
}

int quire_machine_online(struct quire_machine *m, struct quire_run run)
{
    int error;

    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = online_locked(m, run);
    qi_machine_unlock(m);
    return error;
}
