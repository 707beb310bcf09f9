/* SPDX-License-Identifier: MIT
 *
 * hold.h - whose the isolated range of a compaction is: who would be refused ends the isolation.
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
 *                       end                           take back x          | take x
 *             <--------------------------------------------------  HOLD_RETURNED
 *                              returned
 *
 *   x  by compare-and-swap: the compaction or one request gets it.
 *
 *   HO1  The isolation and what it holds is the compaction's in HOLD_OWN, the request's in
 *        HOLD_RETURNED, and nobody touches it in HOLD_LENT. In HOLD_NONE there is none.
 *   HO2  A request that asked its zones between two looks at the word that found the same, without
 *        a range, was not refused because of one: where it saw a frame taken by a range it sees,
 *        behind its fence, that this one began. Otherwise, if the range may matter to it
 *        (give_back.c), it leaves HOLD_WANTED, which lets no further range of this compaction begin
 *        (nor of this maintenance: all that a call keeps is one compaction here), ends what is
 *        held, and asks again. Which range it is stands in one of two words, in turns, before it
 *        begins: a request that has read its version and the word, and the same version again, has
 *        that range's name.
 *
 * A request waits for nobody: what it finds in HOLD_OWN or HOLD_RETURNED it looks at HOLD_LOOKS
 * times, and leaves. While a range is held the zone stays, as the compaction counts as a change of
 * the machine; a request that ends it is a reader of a snapshot with that zone.
 *
 * Name, begin, lend and so on are the compaction's, one at a time (M5); look, interferes, named,
 * want, take and returned are for requests, any number of them. Lock-free, any context.
 */
#ifndef QUIRE_NUMA_COMPACT_HOLD_H
#define QUIRE_NUMA_COMPACT_HOLD_H

#include "core/assert.h"
#include "core/atomic.h"

enum {
    HOLD_NONE = 0,
    HOLD_OWN = 1,
    HOLD_LENT = 2,
    HOLD_RETURNED = 3,
    HOLD_STATE = 3,
    HOLD_WANTED = 4,
    HOLD_ORDER_SHIFT = 3, /* five bits: the order of the range, or of the last one */
    HOLD_VERSION = 1 << 8,
    HOLD_LOOKS = 64,
};

/* A compaction begins, or all those of a maintenance: what requests wanted of the last is past. */
static inline void hold_welcome(qa32 *hold)
{
    (void)qa_and(hold, ~(uint32_t)HOLD_WANTED, relaxed); /* relaxed: it carries nothing */
}

static inline unsigned hold_order(uint32_t v)
{
    return v / (1u << HOLD_ORDER_SHIFT) % (HOLD_VERSION >> HOLD_ORDER_SHIFT);
}

/* How many ranges began between two looks. */
static inline uint32_t hold_ranges(uint32_t seen, uint32_t v)
{
    return v / HOLD_VERSION - seen / HOLD_VERSION;
}

/* The next range to begin is this one, as the compaction names it. */
static inline void hold_name(const qa32 *hold, qa64 names[2], uint64_t name)
{
    uint32_t version = qa_load(hold, relaxed) / HOLD_VERSION; /* relaxed: the compaction's */

    /* E-hold-name release: the range before this one has begun */
    qa_store(&names[(version + 1) % 2], name, release);
}

/* A range of 2^order frames is about to be isolated. False: a request wants that it is not, or is
 * at the last one still. */
static inline bool hold_begin(qa32 *hold, unsigned order)
{
    uint32_t v = qa_load(hold, relaxed); /* relaxed: the exchange decides */

    while (!(v & (HOLD_STATE | HOLD_WANTED))) {
        uint32_t next =
            v / HOLD_VERSION * HOLD_VERSION + HOLD_VERSION + (order << HOLD_ORDER_SHIFT) + HOLD_OWN;

        /* E-hold acquire: who gave the last range back is done with the struct. Retries only when a
         * request set HOLD_WANTED. */
        if (qa_cas(hold, &v, next, acquire)) {
            qa_fence_after_rmw(); /* E-hold-look fence: name and word before what the range takes */
            return true;
        }
    }
    return false;
}

/* Let requests have the isolation. */
static inline void hold_lend(qa32 *hold)
{
    uint32_t old = qa_add(hold, HOLD_LENT - HOLD_OWN, release); /* E-hold release: all of it */

    (void)old;
    qi_assert((old & HOLD_STATE) == HOLD_OWN); /* HO1 */
}

/* Is it lent still? */
static inline bool hold_is_lent(const qa32 *hold)
{
    return (qa_load(hold, relaxed) & HOLD_STATE) == HOLD_LENT; /* relaxed: advisory */
}

/* Have it back. False: a request took it, and it is over. */
static inline bool hold_take_back(qa32 *hold)
{
    uint32_t v = qa_load(hold, relaxed); /* relaxed: the exchange decides */

    while ((v & HOLD_STATE) == HOLD_LENT)
        /* relaxed: nobody was at it since it was lent. Retries only when a request set
         * HOLD_WANTED. */
        if (qa_cas(hold, &v, v - HOLD_LENT + HOLD_OWN, relaxed))
            return true;
    return false;
}

/* The isolation is over. */
static inline void hold_end(qa32 *hold)
{
    /* E-hold release: its frames are free, and the struct is not used */
    uint32_t old = qa_sub(hold, HOLD_OWN, release);

    (void)old;
    qi_assert((old & HOLD_STATE) == HOLD_OWN); /* HO1 */
}

/* The word: for a request before it asks. */
static inline uint32_t hold_look(const qa32 *hold)
{
    return qa_load(hold, acquire); /* E-hold acquire: what was given back can be found */
}

/* Is nobody at the struct of the isolation? */
static inline bool hold_is_over(const qa32 *hold)
{
    return (hold_look(hold) & HOLD_STATE) == HOLD_NONE;
}

/* A request was refused after it saw `seen`: was a range held meanwhile? *v is the word now. */
static inline bool hold_interferes(const qa32 *hold, uint32_t seen, uint32_t *v)
{
    qa_fence_seq_cst(); /* E-hold-look fence: what was seen taken before the word */
    *v = hold_look(hold);
    return *v & HOLD_STATE || hold_ranges(seen, *v) > 0 || seen & HOLD_STATE;
}

/* The name of the range that was held, or was last, at the look that found `v`. False: it is not
 * known any more, as others began. */
static inline bool hold_named(const qa32 *hold, const qa64 names[2], uint32_t v, uint64_t *name)
{
    /* E-hold-name acquire: if it is a later range's, the one before that is seen below */
    *name = qa_load(&names[v / HOLD_VERSION % 2], acquire);
    return hold_ranges(v, hold_look(hold)) == 0;
}

/* Was more than one range held between two looks? Then what is known of the last one tells nothing
 * of the others. */
static inline bool hold_several(uint32_t seen, uint32_t v)
{
    return hold_ranges(seen, v) + (seen & HOLD_STATE ? 1 : 0) > 1;
}

/* No further range of this compaction is to begin. */
static inline void hold_want(qa32 *hold)
{
    (void)qa_or(hold, HOLD_WANTED, relaxed); /* relaxed: it carries nothing */
}

/* Does one want that? */
static inline bool hold_is_wanted(const qa32 *hold)
{
    return qa_load(hold, relaxed) & HOLD_WANTED; /* relaxed: advisory, hold_begin decides */
}

/* Take the isolation if it is lent. False: it is not. *over: it is not held, either. */
static inline bool hold_take(qa32 *hold, bool *over)
{
    uint32_t v = hold_look(hold);

    /* E-hold acquire: as it was lent */
    if ((v & HOLD_STATE) == HOLD_LENT && qa_cas(hold, &v, v - HOLD_LENT + HOLD_RETURNED, acquire)) {
        *over = false;
        return true;
    }
    *over = (v & HOLD_STATE) == HOLD_NONE;
    return false;
}

/* Who took it is done with it. */
static inline void hold_returned(qa32 *hold)
{
    /* E-hold release: its frames are free, and the struct is not used */
    (void)qa_sub(hold, HOLD_RETURNED, release);
}

#endif /* QUIRE_NUMA_COMPACT_HOLD_H */
