/* SPDX-License-Identifier: MIT
 *
 * shadow.c - see shadow.h.
 */
#include "shadow.h"

#include "die.h"

#include <inttypes.h>
#include <stdlib.h>

void shadow_open(struct shadow *s, uint64_t first, uint64_t frames, uint64_t most)
{
    s->first = first;
    s->frames = frames;
    s->owner = calloc(frames, sizeof *s->owner);
    s->payload = calloc(frames, sizeof *s->payload);
    atomic_init(&s->held, 0);
    atomic_init(&s->most, most);
    if (s->owner == NULL || s->payload == NULL) {
        die("no heap for the shadow of %" PRIu64 " frames", frames);
    }
}

void shadow_close(struct shadow *s)
{
    free(s->owner);
    free(s->payload);
}

/* What the holder leaves in a frame. */
static uint64_t mark(uint32_t who, uint64_t i)
{
    return (uint64_t)who << 40 ^ i;
}

void shadow_take(struct shadow *s, uint32_t who, uint64_t pfn, uint64_t frames)
{
    if (pfn < s->first || pfn - s->first > s->frames || frames > s->frames - (pfn - s->first)) {
        die("pfn 0x%" PRIx64 ", %" PRIu64 " frames: not of this zone", pfn, frames);
    }
    for (uint64_t i = pfn - s->first; i < pfn - s->first + frames; i++) {
        uint32_t was = atomic_exchange_explicit(&s->owner[i], who, memory_order_relaxed);
        if (was != 0) {
            die("frame 0x%" PRIx64 " given to %" PRIu32 " while %" PRIu32 " holds it", s->first + i,
                who, was);
        }
        s->payload[i] = mark(who, i);
    }
    uint64_t held = atomic_fetch_add_explicit(&s->held, frames, memory_order_relaxed) + frames;
    if (held > atomic_load_explicit(&s->most, memory_order_relaxed)) {
        die("%" PRIu64 " frames are held at once", held);
    }
}

void shadow_give(struct shadow *s, uint32_t who, uint64_t pfn, uint64_t frames)
{
    (void)atomic_fetch_sub_explicit(&s->held, frames, memory_order_relaxed);
    for (uint64_t i = pfn - s->first; i < pfn - s->first + frames; i++) {
        if (s->payload[i] != mark(who, i)) {
            die("frame 0x%" PRIx64 ": somebody else wrote to it", s->first + i);
        }
        s->payload[i] = 0;
        uint32_t was = atomic_exchange_explicit(&s->owner[i], 0, memory_order_relaxed);
        if (was != who) {
            die("frame 0x%" PRIx64 " held by %" PRIu32 " instead of %" PRIu32, s->first + i, was,
                who);
        }
    }
}

uint32_t shadow_owner(struct shadow *s, uint64_t pfn)
{
    return atomic_load_explicit(&s->owner[pfn - s->first], memory_order_relaxed);
}
