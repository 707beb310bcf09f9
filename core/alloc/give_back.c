/* SPDX-License-Identifier: MIT
 *
 * give_back.c - memory of free blocks is given back to whoever is outside, down to a limit, or
 * what has been free for some ages. What happens to a block is in gone.c.
 *
 * A call goes through the zone once, from its last block to its first, as searches begin at the
 * front; it holds at most GIVE_MOST blocks at a time, and no more than an eighth of what is free
 * and here (one at least), so that requests find the rest.
 *
 * Ages have no clock of their own: whoever calls quire_zone_age says when one begins. A block's
 * descriptor keeps the age in which it became free, 16 bits of it: after 2^16 ages a block looks
 * young again, and stays longer.
 *
 *                  give back    age    allocation, free    isolation
 *   give back          X         X            X                X (L3)
 *
 * (X: side by side.) Lock-free but for what the port's `discard` does, in the contexts in which
 * that may be called.
 */
#include "core/internal.h"

enum { HELD_SHARE = 8 };

static uint64_t gone_frames(const struct quire_zone *z)
{
    return qa_load(&z->head->gone, relaxed) * BLOCK_FRAMES; /* relaxed: a figure */
}

/* The blocks that may be held at a time. What is gone is no rest for a request: it may not come. */
static uint32_t blocks_at_a_time(const struct quire_zone *z)
{
    uint64_t free = quire_zone_free_frames(z), gone = gone_frames(z);
    uint64_t share = (free > gone ? free - gone : 0) / HELD_SHARE / BLOCK_FRAMES;

    return share >= GIVE_MOST ? GIVE_MOST : share ? (uint32_t)share : 1;
}

/* How many blocks a call may give, as the figures are now. */
static uint64_t blocks_wanted(const struct quire_zone *z, const struct quire_give_back *how)
{
    uint64_t managed = qa_load(&z->head->managed, relaxed); /* relaxed: a figure */
    uint64_t gone = gone_frames(z);
    uint64_t here = managed > gone ? managed - gone : 0;
    uint64_t wanted = here > how->keep ? (here - how->keep) / BLOCK_FRAMES : 0;
    uint64_t most = how->most / BLOCK_FRAMES;

    return how->most && most < wanted ? most : wanted;
}

int quire_zone_give_back(struct quire_zone *z, quire_slot slot, const struct quire_give_back *how,
                         uint64_t *frames)
{
    uint64_t wanted, given = 0;
    int error = QUIRE_OK;

    *frames = 0;
    if (slot.n >= z->slots || how->idle > UINT16_MAX)
        return qi_zone_count_error(z, slot, QUIRE_ERR_SIZE);
    if (!z->port.discard)
        return qi_zone_count_error(z, slot, QUIRE_ERR_UNSUPPORTED);
    wanted = blocks_wanted(z, how);
    if (wanted > 0)
        qi_zone_force_whole(z, slot); /* idle home blocks */
    for (uint64_t g = (uint64_t)z->sections * MAP_WORDS; g > 0 && given < wanted && !error; g--) {
        uint32_t some = 1;

        /* Again only after some were given, so a word's 64 times at most. */
        while (some > 0 && given < wanted && !error) {
            uint32_t at_once = blocks_at_a_time(z);

            at_once = at_once < wanted - given ? at_once : (uint32_t)(wanted - given);
            error = qi_blocks_give(z, slot, g - 1, how->idle, at_once, &some);
            given += some;
        }
    }
    *frames = given * BLOCK_FRAMES;
    return error && given == 0 ? qi_zone_count_error(z, slot, error) : QUIRE_OK;
}

void quire_zone_age(struct quire_zone *z)
{
    /* relaxed: a figure */
    (void)qa_add(&z->head->free_desc, UINT32_C(1) << D_AGE_SHIFT, relaxed);
}
