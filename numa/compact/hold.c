/* SPDX-License-Identifier: MIT
 *
 * hold.c - whose the isolated range of a compaction is: who would be refused ends the isolation.
 *
 * A range that is being emptied holds its free frames, which no request finds. The danger is a
 * request that is refused because of them, while the compaction waits for its mover, maybe for
 * ever. So the compaction lends its isolation while it does anything but work on it, and a request
 * that is to be refused takes it, and gives all back. The word `hold` of the machine says whose the
 * isolation is:
 *
 *             begin, its version is one more             lend
 *   HOLD_NONE  ---------------------->  HOLD_OWN  ------------------>  HOLD_LENT
 *             <----------------------             <------------------      |
 *                       end                           take back x          | x  by a request
 *             <--------------------------------------------------  HOLD_RETURNED
 *
 *   x  by compare-and-swap: one of the two gets it.
 *
 *   HO1  The isolation and what it holds is the compaction's in HOLD_OWN, the request's in
 *        HOLD_RETURNED, and nobody touches it in HOLD_LENT. In HOLD_NONE there is none.
 *   HO2  A request that asked its zones between two looks at the word that found the same, without
 *        a range, was not refused because of one. Otherwise it leaves HOLD_WANTED, which lets no
 *        further range of this compaction begin, ends what is held, and asks again.
 *
 * A request waits for nobody: what it finds in HOLD_OWN or HOLD_RETURNED it looks at HOLD_LOOKS
 * times, and leaves. While a range is held the zone stays, as the compaction counts as a change of
 * the machine; a request that ends it is a reader of a snapshot with that zone.
 *
 * Lock-free, any context; O(blocks of the range) for who gives it back.
 */
#include "numa/compact/compact.h"

enum {
    HOLD_NONE = 0,
    HOLD_OWN = 1,
    HOLD_LENT = 2,
    HOLD_RETURNED = 3,
    HOLD_STATE = 3,
    HOLD_WANTED = 4,
    HOLD_VERSION = 8,
    HOLD_LOOKS = 64,
};

/* A compaction begins: what requests wanted of the last one is past. */
void qi_hold_welcome(struct quire_machine *m)
{
    (void)qa_and(&m->hold, ~(uint32_t)HOLD_WANTED, relaxed); /* relaxed: it carries nothing */
}

/* A range is about to be isolated. False: a request wants that it is not, or is at the last one
 * still. */
bool qi_hold_begin(struct quire_machine *m)
{
    uint32_t v = qa_load(&m->hold, relaxed); /* relaxed: the exchange decides */

    while (!(v & (HOLD_STATE | HOLD_WANTED)))
        /* E-hold acquire: who gave the last range back is done with the struct. Retries only when a
         * request left its mark. */
        if (qa_cas(&m->hold, &v, v + HOLD_VERSION + HOLD_OWN, acquire))
            return true;
    return false;
}

/* Let requests have the isolation. */
void qi_hold_lend(struct quire_machine *m)
{
    uint32_t old = qa_add(&m->hold, HOLD_LENT - HOLD_OWN, release); /* E-hold release: all of it */

    (void)old;
    qi_assert((old & HOLD_STATE) == HOLD_OWN); /* HO1 */
}

/* Is it lent still? */
bool qi_hold_is_lent(const struct quire_machine *m)
{
    return (qa_load(&m->hold, relaxed) & HOLD_STATE) == HOLD_LENT; /* relaxed: advisory */
}

/* Have it back. False: a request took it, and it is over. */
bool qi_hold_take_back(struct quire_machine *m)
{
    uint32_t v = qa_load(&m->hold, relaxed); /* relaxed: the exchange decides */

    while ((v & HOLD_STATE) == HOLD_LENT)
        /* E-hold acquire: as it was lent. Retries only when a request left its mark. */
        if (qa_cas(&m->hold, &v, v - HOLD_LENT + HOLD_OWN, acquire))
            return true;
    return false;
}

/* The isolation is over. */
void qi_hold_end(struct quire_machine *m)
{
    /* E-hold release: its frames are free, and the struct is not used */
    uint32_t old = qa_sub(&m->hold, HOLD_OWN, release);

    (void)old;
    qi_assert((old & HOLD_STATE) == HOLD_OWN); /* HO1 */
}

/* Is nobody at the struct of the isolation? */
bool qi_hold_is_over(const struct quire_machine *m)
{
    /* E-hold acquire: who gave it back is done */
    return (qa_load(&m->hold, acquire) & HOLD_STATE) == HOLD_NONE;
}

/* The word, before zones are asked. */
uint32_t qi_hold_look(const struct quire_machine *m)
{
    return qa_load(&m->hold, acquire); /* E-hold acquire: what was given back can be found */
}

static void give_back(struct quire_machine *m)
{
    /* relaxed: it was set before the isolation was lent */
    uintptr_t p = (uintptr_t)qa_load(&m->compact_work, relaxed);
    struct compact_work *w = (struct compact_work *)p;

    (void)quire_zone_isolate_undo(w->zone, w->slot, &w->isolation);
    /* E-hold release: its frames are free, and the struct is not used */
    (void)qa_sub(&m->hold, HOLD_RETURNED, release);
}

/* A request of a reader was refused by its zones after it saw `seen`. True: it is to ask again, as
 * a compaction held frames meanwhile, which are free now unless somebody works on them. */
bool qi_hold_interfered(struct quire_machine *m, uint32_t seen)
{
    uint32_t v = qa_load(&m->hold, acquire); /* E-hold acquire: as qi_hold_look */

    if (!(v & HOLD_STATE) && !((v ^ seen) & ~(uint32_t)HOLD_WANTED))
        return false;
    v = qa_or(&m->hold, HOLD_WANTED, acquire) | HOLD_WANTED; /* E-hold acquire: as above */
    for (unsigned looks = 0; looks < HOLD_LOOKS && v & HOLD_STATE; looks++) {
        /* E-hold acquire: as it was lent */
        if ((v & HOLD_STATE) == HOLD_LENT &&
            qa_cas(&m->hold, &v, v - HOLD_LENT + HOLD_RETURNED, acquire)) {
            give_back(m);
            return true;
        }
        v = qa_load(&m->hold, acquire); /* E-hold acquire: as qi_hold_look */
    }
    return true;
}
