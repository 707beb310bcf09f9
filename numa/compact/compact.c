/* SPDX-License-Identifier: MIT
 *
 * compact.c - the ranges of a plan are emptied, one after the other, while others allocate and
 * free; what a request that is refused does of it; the public call.
 *
 *   isolate the range; drain, if caches have frames of it; list what is used
 *   for each run: take a place in a dense block (for a range of several, or in a whole block of
 *   another range), move, free the old place
 *   until nothing is used, or a run stays; give the range back
 *
 * What is used is known by two things: the zone lists the runs of an isolated range (its run map),
 * and the frame byte says which of them were handed out, and by which order. A run without a byte
 * lies in a cache or belongs to a call that is not over.
 *
 * A move that fails changes nothing: its new place is freed. What was moved before stays moved, and
 * the range is given back as it is; so nothing is lost at any step, and a compaction that stops in
 * its mover for ever keeps the one new place from others, and the range only until somebody wants
 * it (hold.h). Whatever is done with the isolation is done in HOLD_OWN, all else in HOLD_LENT, the
 * port's events too.
 *
 * All rounds of a range but IDLE_ROUNDS move something, and no more frames are moved than its plan
 * said: so it ends, and the budget holds.
 */
#include "numa/compact/compact.h"

#include "core/frame_byte.h"
#include "core/internal.h"

enum { IDLE_ROUNDS = 4 }; /* of a range: all that is used is taken by calls or caches */

/* A range at work. */
struct range_work {
    struct compact_call *c;
    quire_pfn first;
    struct block_ranges but; /* the ranges that are to be emptied later */
    uint64_t budget;
    size_t listed;   /* runs in work->used[] */
    uint64_t frames; /* in use in the range */
    unsigned idle;   /* rounds in which nothing was moved */
};

/* ---- Places ---------------------------------------------------------------------------------- */

/* Is block b's range all free? Then it is what others compact for. */
static bool is_of_whole_range(const struct compact_call *c, uint32_t b)
{
    uint32_t first = b & ~(c->blocks - 1);

    return has_map(c->zone, first) && has_map(c->zone, first + (c->blocks - 1)) &&
           qi_compact_is_whole(c->zone, first, c->blocks);
}

/* Take a run of whole blocks outside the plan, and not of a range that is all free: one of an order
 * from 9 on, or a part of a block that is split for it. */
static int alloc_whole(const struct range_work *r, unsigned order, quire_pfn *pfn)
{
    struct compact_call *c = r->c;
    struct quire_zone *z = c->zone;
    uint32_t step = order > BLOCK_ORDER ? 1u << (order - BLOCK_ORDER) : 1;

    for (uint64_t b = rounded_up(z->first_block, step); b + step <= z->end_block; b += step) {
        int error;

        /* relaxed: the claim decides */
        if (desc_state(qa_load(desc_of(z, (uint32_t)b), relaxed)) != D_FREE ||
            block_is_of(&r->but, (uint32_t)b) || qi_blocks_have_gone(z, (uint32_t)b, step))
            continue;
        if (is_of_whole_range(c, (uint32_t)b)) {
            b = (b | (c->blocks - 1)) + 1 - step; /* behind it */
            continue;
        }
        *pfn = pfn_of_frame(z, frame_at((uint32_t)b, 0));
        error = order < BLOCK_ORDER ? qi_zone_alloc_opened(z, c->work->slot, (uint32_t)b, order,
                                                           QUIRE_MOVABLE | QUIRE_NO_CALLBACK, pfn)
                                    : quire_zone_alloc_at(z, c->work->slot, *pfn, order,
                                                          QUIRE_MOVABLE | QUIRE_NO_CALLBACK);
        if (error == QUIRE_OK || error == QUIRE_ERR_NO_MEMORY) /* the floor */
            return error;
    }
    return QUIRE_ERR_NO_MEMORY;
}

static int alloc_place(const struct range_work *r, unsigned order, quire_pfn *pfn)
{
    int error = QUIRE_ERR_NO_MEMORY;

    if (order < BLOCK_ORDER)
        error = qi_zone_alloc_dense(r->c->zone, r->c->work->slot, order,
                                    QUIRE_MOVABLE | QUIRE_NO_CALLBACK, &r->but, pfn);
    if (error == QUIRE_ERR_NO_MEMORY && (order >= BLOCK_ORDER || r->c->blocks > 1))
        error = alloc_whole(r, order, pfn);
    return error;
}

/* ---- One run --------------------------------------------------------------------------------- */

/* Move a run. False: it stays, and the caller of the compaction was told why. *moved: it was. */
static bool move_run(struct range_work *r, quire_pfn from, unsigned order, bool *moved)
{
    struct compact_call *c = r->c;
    enum quire_move_answer answer;
    quire_pfn to;

    if (1ull << order > r->budget) {
        qi_compact_blocked(c, from.n, 1ull << order, QUIRE_OBSTACLE_BUDGET);
        return false;
    }
    if (alloc_place(r, order, &to) != QUIRE_OK) {
        qi_compact_blocked(c, from.n, 1ull << order, QUIRE_OBSTACLE_NO_PLACE);
        return false;
    }
    answer = c->mover->move(c->mover->ctx, from, to, order);
    if (answer == QUIRE_MOVED) {
        (void)quire_zone_free(c->zone, c->work->slot, from, order);
        c->done->moves += 1ull << order;
        r->budget -= 1ull << order;
        *moved = true;
        return true;
    }
    (void)quire_zone_free(c->zone, c->work->slot, to, order);
    if (answer == QUIRE_MOVE_GONE)
        return true;
    qi_compact_refused(c, from.n, order, answer);
    return false;
}

/* ---- One range ------------------------------------------------------------------------------- */

/* Lend the isolation. Its calls told nobody of a watermark that they crossed, as the port may
 * allocate then; now what is held can be had. */
static void lend(const struct compact_call *c)
{
    hold_lend(&c->m->hold);
    qi_count_check_watermarks(c->zone, c->work->slot, 0);
}

/* Take what was freed, and list what is used. False: the isolation is over. */
static bool look(struct range_work *r)
{
    struct compact_work *w = r->c->work;
    int error;

    if (!hold_take_back(&r->c->m->hold))
        return false;
    error = quire_zone_isolated(r->c->zone, w->slot, &w->isolation, w->used, COMPACT_LISTED,
                                &r->listed, &r->frames);
    qi_assert(error == QUIRE_OK);
    (void)error;
    lend(r->c);
    return true;
}

/* Nothing was moved in a round: what is used is in a cache, in a call that is not over, or is being
 * freed. Drain once, look a few times more. False: enough of that. */
static bool wait_for_calls(struct range_work *r, uint64_t pfn)
{
    if (++r->idle == IDLE_ROUNDS) {
        qi_compact_blocked(r->c, pfn, 1, QUIRE_OBSTACLE_CALL);
        return false;
    }
    if (r->idle == 1)
        qi_machine_drain_zone(r->c->m, r->c->entry);
    return true;
}

/* Move the runs that are listed, while no request has ended the isolation. False: one of them
 * stays. */
static bool move_listed(struct range_work *r)
{
    struct compact_call *c = r->c;
    const struct quire_run *used = c->work->used;
    bool moved = false;

    for (size_t i = 0; i < r->listed && hold_is_lent(&c->m->hold); i++) {
        uint64_t frame = frame_of_pfn(c->zone, used[i].pfn);
        /* relaxed: advisory; the mover knows better */
        uint8_t byte = qa_load(byte_of_frame(c->zone, frame), relaxed);

        if (byte == BYTE_CONTIG) {
            qi_compact_blocked(c, used[i].pfn.n, used[i].frames, QUIRE_OBSTACLE_CONTIG);
            return false;
        }
        if (!byte_is_none(byte) && !move_run(r, used[i].pfn, byte - (unsigned)BYTE_SINGLE, &moved))
            return false;
    }
    return moved || wait_for_calls(r, r->listed ? used[0].pfn.n : r->first.n);
}

/* Give the isolated range back. True: it was empty, with nothing reserved in it. */
static bool finish_range(struct range_work *r)
{
    struct compact_work *w = r->c->work;
    bool whole = r->frames == 0;

    for (uint32_t i = 0; i < r->c->blocks && whole; i++)
        for (unsigned k = 0; k < MAP_WORDS; k++)
            whole &= w->held[i].frames[k] == WORD_FULL;
    (void)quire_zone_isolate_undo(r->c->zone, w->slot, &w->isolation);
    return whole;
}

/* Empty range i of the plan. */
static void compact_range(struct compact_call *c, uint32_t i)
{
    struct compact_work *w = c->work;
    uint64_t frames = (uint64_t)c->blocks * BLOCK_FRAMES;
    struct quire_run run = {pfn_of_frame(c->zone, frame_at(w->first[i], 0)), frames};
    struct range_work r = {.c = c,
                           .first = run.pfn,
                           .but = {w->first + i + 1, w->count - i - 1, c->blocks},
                           .budget = w->cost[i]};
    bool goes_on;

    hold_name(&c->m->hold, c->m->compact_ranges, run.pfn.n);
    if (!hold_begin(&c->m->hold, c->want->order)) {
        c->stop = true;
        qi_compact_blocked(c, run.pfn.n, frames, QUIRE_OBSTACLE_REQUEST);
        return;
    }
    w->isolation.flags = QUIRE_NO_CALLBACK;
    if (quire_zone_isolate(c->zone, w->slot, run, w->held, &w->isolation) != QUIRE_OK) {
        hold_end(&c->m->hold);
        qi_compact_blocked(c, run.pfn.n, frames, QUIRE_OBSTACLE_RESERVED);
        return;
    }
    lend(c);
    while ((goes_on = look(&r)) && r.frames > 0 && move_listed(&r))
        ;
    if (!goes_on || !hold_take_back(&c->m->hold)) {
        c->stop = true;
        qi_compact_blocked(c, run.pfn.n, frames, QUIRE_OBSTACLE_REQUEST);
        return;
    }
    c->done->won += finish_range(&r);
    hold_end(&c->m->hold);
    qi_count_check_watermarks(c->zone, w->slot, 0);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Does a compaction of the node work on the zone? */
static bool is_of_compaction(const struct compact_call *c, const struct machine_entry *e,
                             enum quire_zone_type highest)
{
    return e->zone->node.n == c->want->node.n && e->zone->type != QUIRE_ZONE_DEVICE &&
           e->zone->type <= highest && !e->closing;
}

/* Plan, and do it unless the run is dry, zone by zone. The machine is locked. */
static void compact_zones(struct compact_call *c, enum quire_zone_type highest, bool drain)
{
    const struct machine_snapshot *s = qi_machine_snapshot(c->m);

    c->left = c->want->count;
    for (uint32_t i = 0; i < s->entry_count && c->left > 0 && !c->stop; i++) {
        if (!is_of_compaction(c, &s->entries[i], highest))
            continue;
        c->entry = &s->entries[i];
        c->zone = &c->entry->zone->zone;
        c->work->zone = c->zone;
        c->work->slot = entry_slot(c->entry, 0);
        if (drain)
            qi_machine_drain_zone(c->m, c->entry);
        qi_compact_plan(c);
        for (uint32_t k = 0; k < c->work->count && !c->want->dry && !c->stop; k++)
            compact_range(c, k);
    }
    c->m->compact_calls += !c->want->dry;
}

static struct compact_work *compact_work_of(const struct quire_machine *m)
{
    uintptr_t p = (uintptr_t)qa_load(&m->compact_work, relaxed); /* relaxed: the writer's (M5) */

    return (struct compact_work *)p;
}

/* Make what a compaction needs, unless it is there. NO_MEMORY: the port gave none. Writer only. */
int qi_compact_make_work(struct quire_machine *m)
{
    if (compact_work_of(m))
        return QUIRE_OK;
    /* relaxed: E-hold carries it to requests */
    qa_store(&m->compact_work,
             (uintptr_t)qi_port_alloc(m, sizeof(struct compact_work), quire_node_of(0)), relaxed);
    return compact_work_of(m) ? QUIRE_OK : QUIRE_ERR_NO_MEMORY;
}

/* Give it back, but on a machine with a mover of its own, or while a request is at it. */
static void drop_work(struct quire_machine *m)
{
    struct compact_work *w = compact_work_of(m);

    if (m->port.mover || !hold_is_over(&m->hold))
        return;
    qa_store(&m->compact_work, 0, relaxed); /* relaxed: nobody is at it, nor comes to be */
    qi_port_give_back(m, w);
}

static bool has_zone(const struct compact_call *c)
{
    const struct machine_snapshot *s = qi_machine_snapshot(c->m);

    for (uint32_t i = 0; i < s->entry_count; i++)
        if (is_of_compaction(c, &s->entries[i], QUIRE_ZONE_HUGE))
            return true;
    return false;
}

/* Compact: the machine is locked, requests were welcomed (hold.h), and there is a mover. Errors as
 * quire_machine_compact. */
int qi_compact_locked(struct quire_machine *m, const struct quire_compact *want,
                      struct quire_compacted *done)
{
    struct compact_call c = {.m = m,
                             .want = want,
                             .done = done,
                             .mover = want->mover ? want->mover : m->port.mover,
                             .blocks = 1u << (want->order - BLOCK_ORDER)};
    int error;

    *done = (struct quire_compacted){0};
    error = has_zone(&c) ? qi_compact_make_work(m) : QUIRE_ERR_NODE;
    if (!error && !hold_is_over(&m->hold))
        error = QUIRE_ERR_BUSY;
    if (error)
        return error;
    c.work = compact_work_of(m);
    compact_zones(&c, QUIRE_ZONE_HUGE, true);
    drop_work(m);
    return QUIRE_OK;
}

int quire_machine_compact(struct quire_machine *m, const struct quire_compact *want,
                          struct quire_compacted *done)
{
    const struct quire_mover *mover = want->mover ? want->mover : m->port.mover;
    int error;

    *done = (struct quire_compacted){0};
    if (want->order < BLOCK_ORDER || want->order > QUIRE_COMPACT_MAX_ORDER || want->count == 0 ||
        want->count > QUIRE_COMPACT_RANGES)
        return QUIRE_ERR_SIZE;
    if (!mover || !mover->move)
        return QUIRE_ERR_UNSUPPORTED;
    if (!qi_machine_lock(m))
        return QUIRE_ERR_BUSY;
    hold_welcome(&m->hold);
    error = qi_compact_locked(m, want, done);
    qi_machine_unlock(m);
    return error;
}

/* A request of QUIRE_COMPACT is to be refused: empty one range for it on the node that it asked
 * first, if that moves no more than half of what it wants. True: there is one more than before. */
bool qi_compact_for_request(struct quire_machine *m, const struct quire_request *request,
                            quire_node node)
{
    struct quire_compacted done = {0};
    struct quire_compact want = {
        .node = node, .order = request->order, .count = 1, .budget = 1ull << request->order >> 1};
    struct compact_call c = {.m = m,
                             .want = &want,
                             .done = &done,
                             .mover = m->port.mover,
                             .blocks = 1u << (request->order - BLOCK_ORDER)};

    if (!qi_machine_lock(m))
        return false;
    c.work = compact_work_of(m);
    if (hold_is_over(&m->hold)) {
        hold_welcome(&m->hold);
        compact_zones(&c, request_type(request), false);
    }
    qi_machine_unlock(m);
    return done.won > 0;
}
