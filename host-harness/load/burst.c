/* SPDX-License-Identifier: MIT
 *
 * burst.c - bursts: a thread of `quire run` takes frames, the larger runs first, until a limit
 * or one of the zone's watermarks is reached, and then frees all of them, in the same, the
 * opposite or a random order. Most bursts are small. Floods, which only the watermark limits, come
 * once in MIX_FLOOD_PERIOD operations of a thread; they make the watermarks ring.
 *
 * State: the worker's `burst`, which is empty between operations.
 */
#include "work.h"

#include "random.h"

enum {
    TOP_ORDER = RUN_ORDERS - 1,
    LIMIT_SHIFT = 6, /* a burst takes 64 frames, half of them 128, a quarter 256 ... */
    LIMIT_DOUBLINGS = 10,
};

struct burst {
    uint64_t mark;   /* leave so many frames free */
    uint64_t limit;  /* take so many at most */
    uint64_t frames; /* taken so far */
    uint32_t count;  /* records so far */
    uint32_t flags;
};

static struct burst plan(const struct worker *w, const struct operation *op)
{
    const struct quire_zone_stats *zone = &w->run->zones[op->zone].before;
    const uint64_t marks[4] = {zone->high, zone->low, zone->min, 0};
    unsigned doublings = (unsigned)__builtin_ctzll(op->a | 1ULL << LIMIT_DOUBLINGS);
    struct burst burst = {
        .mark = marks[op->b & 3],
        .limit = op->flood ? UINT64_MAX : 1ULL << (LIMIT_SHIFT + doublings),
        .flags = op->flags & ~(uint32_t)QUIRE_ZEROED,
    };

    /* Nobody but the urgent gets below `min`. */
    if (burst.mark == 0 && op->b >> 4 & 1)
        burst.flags |= op->b >> 5 & 1 ? QUIRE_EMERGENCY : QUIRE_HIGH;
    return burst;
}

static bool may_go_on(const struct worker *w, const struct burst *burst)
{
    /* relaxed: a thread that sees the stop late ends a little later */
    return burst->count + RUN_BATCH <= RUN_BURST_RECORDS && burst->frames < burst->limit &&
           !qa_load(&w->run->stop, relaxed);
}

static void fill(struct worker *w, uint32_t z, struct burst *burst)
{
    unsigned order = TOP_ORDER;

    while (may_go_on(w, burst)) {
        uint64_t free = quire_zone_free_frames(w->run->zones[z].zone);
        struct record *next = &w->burst[burst->count];
        uint32_t got;

        while (order > 0 && burst->mark + (1ULL << order) > free)
            order--;
        if (free <= burst->mark && burst->mark > 0)
            return;
        if (order == 0) {
            got = call_alloc_batch(w, z, burst->flags | QUIRE_PARTIAL, next);
            if (got == 0)
                return;
            burst->count += got;
            burst->frames += got;
        } else if (call_alloc(w, z, order, burst->flags, next)) {
            burst->count++;
            burst->frames += next->frames;
        } else {
            order--;
        }
    }
}

static void shuffle(struct record records[], uint32_t count, uint64_t bits)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t at = (uint32_t)random_below((uint32_t)random_next(&bits), i);
        struct record other = records[i - 1];

        records[i - 1] = records[at];
        records[at] = other;
    }
}

/* From the end down; up to 64 single frames side by side go as a batch. */
static void empty(struct worker *w, uint32_t z, uint32_t count, uint64_t bits)
{
    while (count > 0) {
        uint32_t n = 0;

        while (n < RUN_BATCH && n < count && w->burst[count - 1 - n].frames == 1)
            n++;
        bits = random_mix(bits + 1);
        if (n > 1) {
            call_free_batch(w, z, &w->burst[count - n], n);
        } else {
            n = 1;
            call_free(w, z, &w->burst[count - 1], bits);
        }
        count -= n;
    }
}

static void turn_round(struct record records[], uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct record other = records[i];

        records[i] = records[count - 1 - i];
        records[count - 1 - i] = other;
    }
}

void work_burst(struct worker *w, const struct operation *op)
{
    struct burst burst = plan(w, op);
    unsigned direction = (unsigned)(op->b >> 2) & 3;

    fill(w, op->zone, &burst);
    if (direction == 0)
        turn_round(w->burst, burst.count);
    else if (direction > 1)
        shuffle(w->burst, burst.count, op->b);
    empty(w, op->zone, burst.count, op->b);
}
