/* SPDX-License-Identifier: MIT
 *
 * machine_offline.c - frames are taken out of use while others allocate and free, and put back.
 *
 * The zone isolates the range (core/isolate.c): no allocation that starts later gets a frame of it,
 * and a free into it is not cached, since the block's descriptor does not read SPLIT. Frames of the
 * range that are cached read as used, so all caches of the zone and the remote magazines are
 * drained before each look. What is used after that is offered to its owner's callback, up to
 * PASSES times; when nothing is left the range is committed, otherwise all is undone.
 *
 * The lists lie in the port's memory for the time of the call. One change of the machine at a time.
 * Thread only; blocks in the callback, and in rseq mode in the drains' system calls.
 */
#include "numa/machine.h"

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

static int offline(struct quire_machine *m, struct quire_run run, quire_migrate *migrate, void *ctx,
                   struct quire_blocker blockers[], size_t room, size_t *count)
{
    const struct machine_snapshot *s = quire_machine_snapshot(m);
    const struct machine_entry *e = quire_snapshot_find(s, run.pfn);
    size_t blocks = run.frames / BLOCK_FRAMES;
    struct work w = {.m = m, .e = e};
    struct quire_held *held;
    int error;

    if (!e)
        return QUIRE_ERR_FRAME;
    if (run.frames == 0 || run.frames >> QUIRE_PFN_BITS)
        return QUIRE_ERR_SIZE;
    w.slot = quire_entry_slot(e, 0);
    w.capacity = run.frames < MOST_RUNS ? run.frames : MOST_RUNS;
    held = (struct quire_held *)quire_machine_memory(
        m, blocks * sizeof *held + w.capacity * sizeof *w.used, e->zone->node);
    if (!held)
        return QUIRE_ERR_NO_MEMORY;
    w.used = (struct quire_run *)(void *)(held + blocks);
    error = quire_zone_isolate(&e->zone->zone, w.slot, run, held, &w.isolation);
    if (!error) {
        error = empty_range(&w, migrate, ctx);
        if (!error)
            error = quire_zone_isolate_commit(&e->zone->zone, w.slot, &w.isolation);
        if (error) {
            (void)quire_zone_isolate_undo(&e->zone->zone, w.slot, &w.isolation);
            tell(&w, blockers, room, count);
        }
    }
    quire_machine_give_back(m, held);
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

int quire_machine_online(struct quire_machine *m, struct quire_run run)
{
    const struct machine_entry *e;
    struct machine_reader r;
    int error = QUIRE_ERR_FRAME;

    quire_machine_enter(m, &r);
    e = quire_snapshot_find(r.snapshot, run.pfn);
    if (e)
        error =
            quire_zone_unreserve(&e->zone->zone, quire_entry_slot(e, r.cpu), run.pfn, run.frames);
    quire_machine_leave(&r);
    return error;
}
