/* SPDX-License-Identifier: MIT
 *
 * plan.c - which ranges of a zone a compaction empties: those that cost least, if there is room.
 *
 * First the maps of all blocks are read: what is in use in each aligned range of the order, and
 * what room its dense blocks have. The cheapest ranges are the candidates. Then each of these is
 * looked at closely, the cheapest first: by the frame bytes it is known which runs were handed out
 * (a frame in a cache has none, and moves by a drain), and the mover is asked whether it would move
 * them. A range is planned if budget and room allow: the room of all split blocks that are movable,
 * no home blocks and not in the plan, counted as aligned runs of the block's class. Moves into such
 * blocks go to the fullest first, and never into a range of the plan. For ranges of several blocks
 * the whole blocks of those that are not all free count, too: a block that is whole among used ones
 * is worth less than what it helps to empty.
 *
 * A block counts as unmovable by its class, which is a hint: an unmovable run in a block of movable
 * class is refused by the mover, and the block marked, so that not every call picks it anew. Home
 * blocks may be emptied, as their owner finds another one; that nobody fills them up again is
 * the isolation's matter.
 *
 * All that is read here may change meanwhile: the isolation is what counts afterwards. The plan is
 * the writer's own (M5). O(frames of the zone / 64).
 */
#include "numa/compact/compact.h"

#include "core/frame_byte.h"
#include "core/internal.h"

enum { MARK_LATER_CALLS = 4, MARK_NEVER_CALLS = 64 };

/* ---- What is in the way ---------------------------------------------------------------------- */

/* Tell the caller what is in the way. */
void qi_compact_blocked(struct compact_call *c, uint64_t pfn, uint64_t frames,
                        enum quire_compact_obstacle why)
{
    uint64_t n = c->done->blockers++;

    if (n < c->want->blocker_room)
        c->want->blockers[n] = (struct quire_compact_blocker){quire_pfn_of(pfn), frames, why};
}

static struct compact_mark *mark_of(struct quire_machine *m, uint32_t number)
{
    return &m->compact_marks[number * 0x9e3779b1u >> (32 - COMPACT_MARKS_ORDER)];
}

/* Was a run of the block refused in one of the last calls? */
static bool is_left_alone(struct compact_call *c, uint64_t pfn)
{
    uint32_t number = (uint32_t)(pfn / BLOCK_FRAMES);
    const struct compact_mark *mark = mark_of(c->m, number);

    if (mark->block != number + 1 || (int32_t)(mark->until - c->m->compact_calls) <= 0)
        return false;
    qi_compact_blocked(c, pfn, BLOCK_FRAMES, QUIRE_OBSTACLE_MARKED);
    return true;
}

/* The mover refused the run: mark its block for a while, unless nothing is to be done anyway. A
 * mark may push out another one: then that block is tried early. */
void qi_compact_refused(struct compact_call *c, uint64_t pfn, unsigned order,
                        enum quire_move_answer answer)
{
    bool never = answer == QUIRE_MOVE_NEVER;
    uint32_t number = (uint32_t)(pfn / BLOCK_FRAMES);

    if (!c->want->dry)
        *mark_of(c->m, number) = (struct compact_mark){
            number + 1, c->m->compact_calls + 1 + (never ? MARK_NEVER_CALLS : MARK_LATER_CALLS)};
    qi_compact_blocked(c, pfn, 1ull << order, never ? QUIRE_OBSTACLE_NEVER : QUIRE_OBSTACLE_LATER);
}

/* ---- By the maps: cost and room of all blocks ------------------------------------------------ */

/* Is the block with this descriptor, of a zone, for movable runs, as far as its class tells? In a
 * small zone longer runs of either kind share one. */
static bool is_movable(const struct quire_zone *z, uint32_t d)
{
    unsigned class = desc_class(d);

    return class & CLASS_MOVABLE || (!z->order_classes && class == 2 * LARGE_ORDER);
}

/* The free frames of a split block, as aligned runs of the order that its class is for. */
static uint64_t room_in_block(const struct quire_zone *z, uint32_t b, unsigned class)
{
    unsigned order = class / 2 < WORD_ORDER ? class / 2 : WORD_ORDER;
    uint64_t n = 0;

    if (class / 2 == 0)
        return qi_map_count_free(frame_map(z, b));
    for (unsigned i = 0; i < MAP_WORDS; i++)
        /* relaxed: advisory */
        n += word_count(word_free_runs(qa_load(&frame_map(z, b)->w[i], relaxed), order));
    return n << order;
}

/* The room of n blocks for what is moved: of those that may take some, added to room[] by class;
 * and of whole blocks, if the range that they are is not all free. */
static void add_room(const struct quire_zone *z, uint32_t b, uint32_t n,
                     uint64_t room[COMPACT_ROOMS])
{
    uint32_t whole = 0, gone = 0;

    for (uint32_t i = 0; i < n; i++) {
        /* relaxed: advisory, as all of a plan: isolating the range decides */
        uint32_t d = qa_load(desc_of(z, b + i), relaxed);

        if (desc_state(d) == D_FREE) {
            whole++;
            gone += qi_blocks_have_gone(z, b + i, 1);
        } else if (desc_state(d) == D_SPLIT && !(d & D_OWNER) && is_movable(z, d)) {
            room[desc_class(d)] += room_in_block(z, b + i, desc_class(d));
        }
    }
    if (whole < n)
        room[ROOM_WHOLE] += (uint64_t)(whole - gone) * BLOCK_FRAMES;
}

/* What is in use in a block of which nobody outside the range has a part; the order of its run if
 * it is the first of a longer one. False: it cannot be emptied, or is in use as a whole. */
static bool block_cost(struct compact_call *c, uint32_t b, uint64_t *cost, unsigned *order)
{
    const struct quire_zone *z = c->zone;
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory */
    uint64_t pfn = pfn_of_frame(z, frame_at(b, 0)).n, used;

    *order = BLOCK_ORDER;
    if (desc_state(d) == D_FREE)
        return true;
    if (desc_state(d) == D_WHOLE) {
        *order = desc_order(d);
        *cost += 1ull << *order;
        if (*order >= c->want->order)
            return false;
        return !is_left_alone(c, pfn);
    }
    if (desc_state(d) != D_SPLIT || d & D_PINS) {
        if (desc_state(d) != D_TAIL && !(d & D_HOLE))
            qi_compact_blocked(c, pfn, BLOCK_FRAMES, QUIRE_OBSTACLE_RESERVED);
        return false;
    }
    used = BLOCK_FRAMES - qi_map_count_free(frame_map(z, b));
    *cost += used;
    if (used && !is_movable(z, d)) {
        qi_compact_blocked(c, pfn, BLOCK_FRAMES, QUIRE_OBSTACLE_UNMOVABLE);
        return false;
    }
    return !used || !is_left_alone(c, pfn);
}

/* Are the range's blocks all free? Then there is nothing to win. */
bool qi_compact_is_whole(const struct quire_zone *z, uint32_t b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (desc_state(qa_load(desc_of(z, b + i), relaxed)) != D_FREE) /* relaxed: advisory */
            return false;
    return true;
}

static bool range_cost(struct compact_call *c, uint32_t b, uint64_t *cost)
{
    unsigned order;

    *cost = 0;
    if (qi_compact_is_whole(c->zone, b, c->blocks))
        return false;
    for (uint32_t i = 0; i < c->blocks; i += 1u << (order - BLOCK_ORDER))
        if (!block_cost(c, b + i, cost, &order))
            return false;
    return true;
}

/* A candidate: among the cheapest, equals by address. */
static void add_candidate(struct compact_work *w, uint32_t b, uint32_t cost)
{
    uint32_t at = w->count;

    if (at == QUIRE_COMPACT_RANGES && w->cost[at - 1] <= cost)
        return;
    at -= at == QUIRE_COMPACT_RANGES;
    w->count = at + 1;
    for (; at > 0 && w->cost[at - 1] > cost; at--) {
        w->cost[at] = w->cost[at - 1];
        w->first[at] = w->first[at - 1];
    }
    w->cost[at] = cost;
    w->first[at] = b;
}

static void scan_zone(struct compact_call *c)
{
    const struct quire_zone *z = c->zone;
    struct compact_work *w = c->work;

    w->count = 0;
    for (unsigned i = 0; i < COMPACT_ROOMS; i++)
        w->room[i] = w->need[i] = 0;
    for (uint64_t b = z->first_block & ~(uint64_t)(c->blocks - 1); b < z->end_block;
         b += c->blocks) {
        uint64_t first = b < z->first_block ? z->first_block : b;
        uint64_t end = b + c->blocks < z->end_block ? b + c->blocks : z->end_block, cost;

        add_room(z, (uint32_t)first, (uint32_t)(end - first), w->room);
        if (end - first == c->blocks && range_cost(c, (uint32_t)b, &cost))
            add_candidate(w, (uint32_t)b, (uint32_t)cost);
    }
}

/* ---- By the frame bytes: what is handed out -------------------------------------------------- */

/* May the run be moved, as far as can be known? Its frames are counted. */
static bool survey_run(struct compact_call *c, uint64_t frame, uint8_t byte, uint64_t *cost,
                       uint64_t need[COMPACT_ROOMS])
{
    const struct quire_zone *z = c->zone;
    quire_pfn pfn = pfn_of_frame(z, frame);
    enum quire_move_answer answer = QUIRE_MOVED;
    unsigned order;

    if (byte == BYTE_CONTIG) {
        qi_compact_blocked(c, pfn.n, 1, QUIRE_OBSTACLE_CONTIG);
        return false;
    }
    order = byte - (unsigned)BYTE_SINGLE;
    if (c->mover->may_move)
        answer = c->mover->may_move(c->mover->ctx, pfn, order);
    if (answer == QUIRE_MOVE_LATER || answer == QUIRE_MOVE_NEVER) {
        qi_compact_refused(c, pfn.n, order, answer);
        return false;
    }
    *cost += 1ull << order;
    need[order < BLOCK_ORDER ? movable_class_of(z, order) : (unsigned)ROOM_WHOLE] += 1ull << order;
    return true;
}

/* The same for all runs that begin in block b. */
static bool survey_block(struct compact_call *c, uint32_t b, uint64_t *cost,
                         uint64_t need[COMPACT_ROOMS])
{
    const struct quire_zone *z = c->zone;
    uint32_t d = qa_load(desc_of(z, b), relaxed); /* relaxed: advisory */
    bool whole = desc_state(d) == D_WHOLE;

    for (unsigned i = 0; i < MAP_WORDS && (whole || desc_state(d) == D_SPLIT); i++) {
        uint64_t used = qa_load(&frame_map(z, b)->w[i], relaxed); /* relaxed: advisory */

        for (used = whole ? (uint64_t)(i == 0) : used; used; used &= used - 1) {
            uint64_t frame = frame_at(b, i * WORD_BITS + word_first(used));
            uint8_t byte = qa_load(byte_of_frame(z, frame), relaxed); /* relaxed: advisory */

            if (!byte_is_none(byte) && !survey_run(c, frame, byte, cost, need))
                return false;
        }
    }
    return true;
}

/* What of `wanted` frames `room` has no place for, in whole blocks. */
static uint64_t missing_blocks(uint64_t wanted, uint64_t room)
{
    return wanted > room ? rounded_up(wanted - room, BLOCK_FRAMES) : 0;
}

/* Is there room for `need` more beside the plan, if the room of the range `own` is not used? For a
 * range of several blocks, whole blocks of other ranges serve where dense ones do not suffice. */
static bool has_room(const struct compact_call *c, const uint64_t need[COMPACT_ROOMS],
                     const uint64_t own[COMPACT_ROOMS])
{
    const struct compact_work *w = c->work;
    uint64_t whole = w->need[ROOM_WHOLE] + need[ROOM_WHOLE];

    for (unsigned i = 0; i < ROOM_WHOLE; i++) {
        uint64_t room = w->room[i] > own[i] ? w->room[i] - own[i] : 0;
        uint64_t missing = missing_blocks(w->need[i] + need[i], room);

        if (missing && c->blocks == 1)
            return false;
        whole += missing;
    }
    return whole == 0 || w->room[ROOM_WHOLE] >= own[ROOM_WHOLE] + whole;
}

/* A candidate is looked at closely. True: it is planned, for `cost`. */
static bool plan_range(struct compact_call *c, uint32_t b, uint64_t *cost)
{
    struct compact_work *w = c->work;
    uint64_t need[COMPACT_ROOMS] = {0}, own[COMPACT_ROOMS] = {0};

    *cost = 0;
    for (uint32_t i = 0; i < c->blocks; i++)
        if (!survey_block(c, b + i, cost, need))
            return false;
    add_room(c->zone, b, c->blocks, own);
    if (!has_room(c, need, own)) {
        qi_compact_blocked(c, pfn_of_frame(c->zone, frame_at(b, 0)).n,
                           (uint64_t)c->blocks * BLOCK_FRAMES, QUIRE_OBSTACLE_NO_PLACE);
        return false;
    }
    for (unsigned i = 0; i < COMPACT_ROOMS; i++) {
        w->room[i] -= own[i] < w->room[i] ? own[i] : w->room[i];
        w->need[i] += need[i];
    }
    return true;
}

/* Plan what is to be done in the zone: w->first[], w->cost[] and w->count are the plan. */
void qi_compact_plan(struct compact_call *c)
{
    struct compact_work *w = c->work;
    uint32_t candidates, n = 0;

    scan_zone(c);
    candidates = w->count;
    for (uint32_t i = 0; i < candidates && n < c->left; i++) {
        uint32_t b = w->first[i], at = c->done->planned;
        uint64_t cost;

        if (!plan_range(c, b, &cost))
            continue;
        if (c->done->cost + cost > c->want->budget)
            break;
        w->first[n] = b;
        w->cost[n++] = (uint32_t)cost;
        c->done->cost += cost;
        c->done->planned++;
        if (at < c->want->range_room)
            c->want->ranges[at] =
                (struct quire_compact_range){pfn_of_frame(c->zone, frame_at(b, 0)), cost};
    }
    w->count = n;
    c->left -= n;
}
