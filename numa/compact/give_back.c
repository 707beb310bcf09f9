/* SPDX-License-Identifier: MIT
 *
 * give_back.c - what a request does that would be refused while a compaction holds frames: it ends
 * the isolation and asks again (hold.h).
 *
 * Lock-free, any context; O(blocks of the range) for who gives it back.
 */
#include "numa/compact/compact.h"

static void end_isolation(struct quire_machine *m)
{
    /* relaxed: it was set before the isolation was lent */
    uintptr_t p = (uintptr_t)qa_load(&m->compact_work, relaxed);
    struct compact_work *w = (struct compact_work *)p;

    (void)quire_zone_isolate_undo(w->zone, w->slot, &w->isolation);
    hold_returned(&m->hold);
}

/* The word `hold`, before zones are asked. */
uint32_t qi_compact_look(const struct quire_machine *m)
{
    return hold_look(&m->hold);
}

/* May the range that is held, or was last, of the zone `e`, be why the request was refused? Not if
 * the request wants no less than the range, which is in use in part, and its count sufficed: else
 * those who ask for whole blocks in vain would end each compaction that makes some. */
static bool range_matters(const struct machine_entry *e, const struct machine_attempt *a,
                          unsigned range_order)
{
    const struct quire_zone_head *h = e->zone->zone.head;
    uint64_t frames = 1ull << a->request->order;

    if (a->request->order < HUGE_ORDER || a->contig || range_order > a->request->order)
        return true;
    return quire_zone_free_frames(&e->zone->zone) < frames + h->high + h->lowmem_reserve;
}

/* Does the walk have the zone of the range, and does that matter? */
static bool walk_meets_range(const struct machine_reader *r, struct zonelist_walk *w,
                             const struct machine_attempt *a, uint64_t zone, unsigned range_order)
{
    const struct machine_entry *e;
    bool meets = false;

    while ((e = qi_walk_next(r->snapshot, w)))
        meets |= (uintptr_t)e->zone == (uintptr_t)zone && range_matters(e, a, range_order);
    return meets;
}

/* A request of a reader was refused by the zones of its walk after it saw `seen`. True: it is to
 * ask again, as a compaction held frames meanwhile that may matter to it; they are free now unless
 * somebody works on them. */
bool qi_compact_give_back(const struct machine_reader *r, struct zonelist_walk *w,
                          const struct machine_attempt *a, uint32_t seen)
{
    struct quire_machine *m = r->machine;
    bool over = false;
    uint64_t zone;
    uint32_t v;

    if (!hold_interferes(&m->hold, seen, &v))
        return false;
    if (hold_zone(&m->hold, m->compact_zones, v, &zone) &&
        !walk_meets_range(r, w, a, zone, hold_order(v)))
        return hold_several(seen, v);
    hold_want(&m->hold);
    for (unsigned looks = 0; looks < HOLD_LOOKS && !over; looks++)
        if (hold_take(&m->hold, &over)) {
            end_isolation(m);
            over = true;
        }
    return true;
}
