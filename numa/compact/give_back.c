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

/* A request of a reader was refused by its zones after it saw `seen`. True: it is to ask again, as
 * a compaction held frames meanwhile, which are free now unless somebody works on them. */
bool qi_compact_give_back(struct quire_machine *m, uint32_t seen)
{
    bool over = false;

    if (!hold_interferes(&m->hold, seen))
        return false;
    for (unsigned looks = 0; looks < HOLD_LOOKS && !over; looks++)
        if (hold_take(&m->hold, &over)) {
            end_isolation(m);
            over = true;
        }
    return true;
}
