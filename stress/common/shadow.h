/* SPDX-License-Identifier: MIT
 *
 * shadow.h - who holds which frame, kept beside a zone by those who use it.
 *
 * Per frame one owner word, changed by one relaxed exchange when a frame is taken and one when it
 * is given, and one plain payload word that the holder writes. The exchanges find a frame that is
 * held twice; being relaxed they order nothing, so if the zone's own orders are too weak, the
 * plain payload accesses of two holders race and ThreadSanitizer says so.
 *
 *   CS1  owner[i] is 0 exactly while nobody holds frame i (between take and give).
 *   CS2  payload[i] is only touched by its holder.
 *
 * A violation prints one line and aborts. Any number of threads.
 */
#ifndef QUIRE_STRESS_COMMON_SHADOW_H
#define QUIRE_STRESS_COMMON_SHADOW_H

#include <stdatomic.h>
#include <stdint.h>

struct shadow {
    uint64_t first, frames; /* pfns that can be held */
    _Atomic uint32_t *owner;
    uint64_t *payload;
    _Atomic uint64_t held, most; /* frames held now; how many may be held at most */
};

void shadow_open(struct shadow *s, uint64_t first, uint64_t frames, uint64_t most);
void shadow_close(struct shadow *s);

/* The holder `who`, not 0, got or is about to give up the frames. */
void shadow_take(struct shadow *s, uint32_t who, uint64_t pfn, uint64_t frames);
void shadow_give(struct shadow *s, uint32_t who, uint64_t pfn, uint64_t frames);

/* Who holds the frame; 0 for nobody. Exact while nobody changes anything. */
uint32_t shadow_owner(struct shadow *s, uint64_t pfn);

#endif /* QUIRE_STRESS_COMMON_SHADOW_H */
