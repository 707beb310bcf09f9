/* SPDX-License-Identifier: MIT
 *
 * give_back.c - what a request does that would be refused while a compaction holds frames: it ends
 * the isolation and asks again (hold.h).
 *
 * Lock-free, any context; O(frames of the range) for who gives it back, or asks for as many.
 */
#include "numa/compact/compact.h"

#include "core/frame_byte.h"
#include "core/internal.h"

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

/* Is nothing of the range handed out? */
static bool range_is_unused(const struct quire_zone *z, quire_pfn first, unsigned order)
{
    uint64_t frame = frame_of_pfn(z, first), end = frame + (1ull << order);

    /* relaxed: advisory; what was freed before the request asked is seen */
    while (frame < end && byte_is_none(qa_load(byte_of_frame(z, frame), relaxed)))
        frame++;
    return frame == end;
}

/* May the range that is held, or was last, of the zone `e`, be why the request was refused? Not if
 * the request wants no less than the range, which is in use in part, and its count sufficed: else
 * those who ask for whole blocks in vain would end each compaction that makes some. */
static bool range_matters(const struct machine_entry *e, const struct machine_attempt *a,
                          quire_pfn first, unsigned range_order)
{
    const struct quire_zone_head *h = e->zone->zone.head;
    uint64_t frames = 1ull << a->request->order;

    if (a->request->order < HUGE_ORDER || a->contig || range_order > a->request->order)
        return true;
    return quire_zone_free_frames(&e->zone->zone) < frames + h->high + h->lowmem_reserve ||
           range_is_unused(&e->zone->zone, first, range_order);
}

/* Does the walk have the zone of the range, and does that matter? */
static bool walk_meets_range(const struct machine_reader *r, struct zonelist_walk *w,
                             const struct machine_attempt *a, quire_pfn first, unsigned range_order)
{
    const struct machine_entry *of = qi_snapshot_find(r->snapshot, first), *e;
    bool meets = false;

    while ((e = qi_walk_next(r->snapshot, w)))
        meets |= e == of && range_matters(e, a, first, range_order);
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
    uint64_t first;
    uint32_t v;

    if (!hold_interferes(&m->hold, seen, &v))
        return false;
    if (hold_named(&m->hold, m->compact_ranges, v, &first) &&
        !walk_meets_range(r, w, a, quire_pfn_of(first), hold_order(v)))
        return hold_several(seen, v);
    hold_want(&m->hold);
    for (unsigned looks = 0; looks < HOLD_LOOKS && !over; looks++)
        if (hold_take(&m->hold, &over)) {
            end_isolation(m);
            over = true;
        }
    return true;
}
