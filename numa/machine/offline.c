/* SPDX-License-Identifier: MIT
 *
 * offline.c - frames are taken out of use while others allocate and free, and put back.
 *
 * The zone isolates the range (core/isolate/isolate.c): no allocation that starts later gets a
 * frame of it, and a free into it is not cached, since the block's descriptor does not read SPLIT.
 * Frames of the range that are cached read as used, so all caches of the zone and the remote
 * magazines are drained before each look. What is used after that is offered to its owner's
 * callback, up to PASSES times; when nothing is left the range is committed, otherwise all is
 * undone.
 *
 * What was taken is written down, block by block, until it is online again: frames of the range
 * that were reserved before stay so. The record lies in the port's memory, as does, for the time of
 * the call, the list of used runs. One change of the machine at a time. Thread only; blocks in the
 * callback, and in rseq mode in the drains' system calls.
 */
#include "numa/machine/machine.h"

enum {
    PASSES = 3,
    MOST_RUNS = 1 << 20, /* used runs that are listed, and so offered, in a pass */
};

/* An offlining under way. */
struct work {
    struct quire_machine *m;
    const struct machine_entry *e;
    struct quire_isolation isolation;
    quire_slot slot;
    struct quire_run *used;
    size_t capacity;
    size_t count;    /* used runs, of which the first `capacity` are in used[] */
    uint64_t frames; /* used frames */
};

/* ---- What is offline ------------------------------------------------------------------------ */

static size_t blocks_of(struct quire_run run)
{
    return run.frames / BLOCK_FRAMES;
}

static unsigned char *flags_of(struct machine_away *away)
{
    return (unsigned char *)(away->held + blocks_of(away->run));
}

/* The first record from `away` on of which a block of the run is offline, or NULL. */
static struct machine_away *find_away(struct machine_away *away, struct quire_run run)
{
    for (; away; away = away->next) {
        uint64_t first = away->run.pfn.n / BLOCK_FRAMES, at = run.pfn.n / BLOCK_FRAMES;
        uint64_t end = at + blocks_of(run);

        for (at = at < first ? first : at; at < end && at - first < blocks_of(away->run); at++)
            if (flags_of(away)[at - first])
                return away;
    }
    return NULL;
}

static void forget(struct quire_machine *m, struct machine_away *away)
{
    struct machine_away **link = &m->away;

    while (*link != away)
        link = &(*link)->next;
    *link = away->next;
    quire_machine_give_back(m, away);
}

/* A zone has left: what was offline of it is no longer ours. */
void quire_away_forget(struct quire_machine *m, const struct machine_zone *z)
{
    for (struct machine_away *away = m->away, *next; away; away = next) {
        next = away->next;
        if (away->zone == z)
            forget(m, away);
    }
}

/* ---- Offlining ------------------------------------------------------------------------------ */

/* Drain all that may hold frames of the range, and look. */
static int look(struct work *w)
{
    struct machine_reader r;

    quire_machine_enter(w->m, &r);
    (void)quire_remote_drain_all(&r, false);
    quire_entry_drain(w->e, false);
    quire_machine_leave(&r);
    return quire_zone_isolated(&w->e->zone->zone, w->slot, &w->isolation, w->used, w->capacity,
                               &w->count, &w->frames);
}

/* Look and offer, until nothing is used or enough was tried. */
static int empty_range(struct work *w, quire_migrate *migrate, void *ctx)
{
    int error = look(w);

    for (unsigned pass = 0; pass < PASSES && !error && w->frames > 0; pass++) {
        size_t listed = w->count < w->capacity ? w->count : w->capacity;

        for (size_t i = 0; migrate && i < listed; i++)
            (void)migrate(ctx, w->used[i].pfn, w->used[i].frames);
        error = look(w);
    }
    return error;
}

/* Say what is in the way. */
static void tell(const struct work *w, struct quire_blocker blockers[], size_t room, size_t *count)
{
    for (size_t i = 0; i < room && i < w->count && i < w->capacity; i++)
        blockers[i] = (struct quire_blocker){w->used[i].pfn, w->used[i].frames};
    if (count)
        *count = w->count;
}

/* Empty the range of `away` and reserve it. */
static int take_away(struct work *w, struct machine_away *away, quire_migrate *migrate, void *ctx)
{
    struct quire_zone *z = &w->e->zone->zone;
    int error = quire_zone_isolate(z, w->slot, away->run, away->held, &w->isolation);

    if (error)
        return error;
    error = empty_range(w, migrate, ctx);
    if (!error)
        error = quire_zone_isolate_commit(z, w->slot, &w->isolation);
    if (error)
        (void)quire_zone_isolate_undo(z, w->slot, &w->isolation);
    return error;
}

static int offline(struct quire_machine *m, struct quire_run run, quire_migrate *migrate, void *ctx,
                   struct quire_blocker blockers[], size_t room, size_t *count)
{
    const struct machine_entry *e = quire_snapshot_find(quire_machine_snapshot(m), run.pfn);
    size_t blocks = blocks_of(run);
    struct work w = {.m = m, .e = e};
    struct machine_away *away;
    int error;

    if (!e)
        return QUIRE_ERR_FRAME;
    if (run.frames == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    if (find_away(m->away, run))
        return QUIRE_ERR_FRAME;
    w.slot = quire_entry_slot(e, 0);
    w.capacity = run.frames < MOST_RUNS ? run.frames : MOST_RUNS;
    away = (struct machine_away *)quire_machine_memory(
        m, sizeof *away + blocks * (sizeof away->held[0] + 1), e->zone->node);
    w.used =
        (struct quire_run *)quire_machine_memory(m, w.capacity * sizeof *w.used, e->zone->node);
    if (away && w.used) {
        away->zone = e->zone;
        away->run = run;
        error = take_away(&w, away, migrate, ctx);
    } else {
        error = QUIRE_ERR_NO_MEMORY;
    }
    if (!error) {
        away->left = blocks;
        __builtin_memset(flags_of(away), 1, blocks);
        away->next = m->away;
        m->away = away;
    } else {
        tell(&w, blockers, room, count);
        quire_machine_give_back(m, away);
    }
    quire_machine_give_back(m, w.used);
    return error;
}

int quire_machine_offline(struct quire_machine *m, struct quire_run run, quire_migrate *migrate,
                          void *ctx, struct quire_blocker blockers[], size_t room, size_t *count)
{
    int error;

    if (count)
        *count = 0;
    if (!quire_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = offline(m, run, migrate, ctx, blockers, room, count);
    quire_machine_unlock(m);
    return error;
}

/* ---- And back ------------------------------------------------------------------------------- */

static int online(struct quire_machine *m, struct quire_run run)
{
    struct machine_away *away = find_away(m->away, run);
    uint64_t first, blocks = blocks_of(run);
    const struct machine_entry *e;
    int error;

    if ((run.pfn.n | run.frames) % BLOCK_FRAMES)
        return QUIRE_ERR_ALIGN;
    if (blocks == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    if (!away || run.pfn.n < away->run.pfn.n ||
        run.pfn.n + run.frames > away->run.pfn.n + away->run.frames)
        return QUIRE_ERR_FRAME;
    first = (run.pfn.n - away->run.pfn.n) / BLOCK_FRAMES;
    for (uint64_t i = 0; i < blocks; i++)
        if (!flags_of(away)[first + i])
            return QUIRE_ERR_FRAME;
    e = quire_snapshot_find(quire_machine_snapshot(m), run.pfn);
    error =
        quire_zone_unreserve_held(&e->zone->zone, quire_entry_slot(e, 0), run, away->held + first);
    if (error)
        return error;
    __builtin_memset(flags_of(away) + first, 0, blocks);
    away->left -= blocks;
    if (away->left == 0)
        forget(m, away);
    return QUIRE_OK;
}

int quire_machine_online(struct quire_machine *m, struct quire_run run)
{
    int error;

    if (!quire_machine_lock(m))
        return QUIRE_ERR_BUSY;
    error = online(m, run);
    quire_machine_unlock(m);
    return error;
}
