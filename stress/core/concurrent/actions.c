/* SPDX-License-Identifier: MIT
 *
 * actions.c - what a thread of the stress test does to the zone. See stress.h.
 *
 * Everything that a thread gets it enters in the shadow, and takes out again before it gives it
 * back. Refusals must be ones that zone.h allows while others are at work; frees of what the
 * thread holds must succeed, and wrong frees of it must be refused.
 */
#include "stress.h"
#include "stress/common/random.h"

#include <inttypes.h>

struct weights {
    unsigned alloc, batch, contig, runs, at, reserve, split, isolate, retire,
        wrong; /* rest: free */
};

static const unsigned orders[] = {MODE_ORDERS};
static const struct weights weights = {MODE_WEIGHTS};

static void must_do(int got, const char *call, uint64_t pfn, uint64_t frames)
{
    if (got != QUIRE_OK) {
        die("%s of pfn 0x%" PRIx64 ", %" PRIu64 " frames: %s", call, pfn, frames,
            quire_strerror(got));
    }
}

/* True: it succeeded. A refusal must be one of two. */
static bool may(struct worker *w, int got, const char *call, int error, int other)
{
    if (got == QUIRE_OK) {
        return true;
    }
    if ((got != error && got != other) || (MODE_NEVER_REFUSED && got == QUIRE_ERR_NO_MEMORY)) {
        die("%s refused: %s", call, quire_strerror(got));
    }
    w->refused++;
    return false;
}

static uint32_t draw_flags(struct worker *w)
{
    return random_below(&w->random, 2) ? QUIRE_MOVABLE : QUIRE_UNMOVABLE;
}

/* A length that often ends at the edge of a word or a block. */
static uint64_t draw_frames(struct worker *w)
{
    static const uint16_t edges[] = {1, 2, 63, 64, 65, 128, 200, 511, 512, 513, 600, 1024};
    uint64_t most = random_below(&w->random, 2) ? 70 : MODE_FRAMES;
    return random_below(&w->random, 3) == 0
               ? edges[random_below(&w->random, sizeof edges / sizeof edges[0])]
               : 1 + random_below(&w->random, most);
}

static bool has_room(const struct worker *w, uint64_t frames)
{
    return w->count < HOLDINGS && w->frames + frames <= MODE_HOLD;
}

static void hold(struct worker *w, enum kind kind, uint64_t pfn, uint64_t frames)
{
    shadow_take(w->shadow, w->who, pfn, frames);
    w->held[w->count++] = (struct holding){kind, pfn, frames};
    w->frames += frames;
}

/* ---- Taking ------------------------------------------------------------------------------ */

static void take_order(struct worker *w)
{
    unsigned order = orders[random_below(&w->random, sizeof orders / sizeof orders[0])];
    quire_pfn pfn;
    if (!has_room(w, UINT64_C(1) << order)) {
        return;
    }
    int got = quire_zone_alloc(w->zone, w->slot, order, draw_flags(w), &pfn);
    if (may(w, got, "alloc", QUIRE_ERR_NO_MEMORY, QUIRE_ERR_NO_MEMORY)) {
        hold(w, HELD_ORDER, pfn.n, UINT64_C(1) << order);
    }
}

static void take_batch(struct worker *w)
{
    quire_pfn pfns[96];
    size_t n = 1 + random_below(&w->random, sizeof pfns / sizeof pfns[0]);
    size_t count = 0;
    uint32_t flags = draw_flags(w) | (random_below(&w->random, 2) ? QUIRE_PARTIAL : 0);
    if (!has_room(w, n) || w->count + n > HOLDINGS) {
        return;
    }
    int got = quire_zone_alloc_batch(w->zone, w->slot, flags, n, pfns, &count);
    if (!may(w, got, "alloc_batch", QUIRE_ERR_NO_MEMORY, QUIRE_ERR_NO_MEMORY)) {
        return;
    }
    if (count > n || count == 0 || (count < n && (flags & QUIRE_PARTIAL) == 0)) {
        die("alloc_batch gave %zu of %zu frames", count, n);
    }
    for (size_t i = 0; i < count; i++) {
        hold(w, HELD_ORDER, pfns[i].n, 1);
    }
}

static void take_contig(struct worker *w)
{
    struct quire_contig want = {.frames = draw_frames(w)};
    quire_pfn pfn;
    if (random_below(&w->random, 2)) {
        /* With room behind it, where a refusal is a failure. */
        uint64_t most = MODE_NEVER_REFUSED ? MODE_FRAMES / 2 : MODE_FRAMES;
        want.low = (MODE_FIRST + random_below(&w->random, most)) * QUIRE_FRAME_SIZE;
    }
    if (random_below(&w->random, 4) == 0) {
        want.align = UINT64_C(1) << (12 + random_below(&w->random, 9));
    }
    if (want.frames > MODE_FRAMES || !has_room(w, want.frames)) {
        return;
    }
    int got = quire_zone_alloc_contig(w->zone, w->slot, &want, draw_flags(w), &pfn);
    /* SIZE: so much is reserved just now that the zone has not so many frames. */
    if (may(w, got, "alloc_contig", QUIRE_ERR_NO_MEMORY,
            weights.reserve || weights.isolate ? QUIRE_ERR_SIZE : QUIRE_ERR_NO_MEMORY)) {
        hold(w, HELD_LENGTH, pfn.n, want.frames);
    }
}

static void take_runs(struct worker *w)
{
    struct quire_run runs[8];
    uint64_t frames = draw_frames(w);
    size_t count = 0;
    uint64_t sum = 0;
    if (!has_room(w, frames) || w->count + 8 > HOLDINGS) {
        return;
    }
    int got = quire_zone_alloc_runs(w->zone, w->slot, draw_flags(w), frames, runs, 8, &count);
    if (!may(w, got, "alloc_runs", QUIRE_ERR_NO_MEMORY, QUIRE_ERR_NO_MEMORY)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hold(w, HELD_LENGTH, runs[i].pfn.n, runs[i].frames);
        sum += runs[i].frames;
    }
    if (sum != frames) {
        die("alloc_runs gave %" PRIu64 " of %" PRIu64 " frames", sum, frames);
    }
}

static void take_at(struct worker *w)
{
    unsigned order = orders[random_below(&w->random, sizeof orders / sizeof orders[0])];
    uint64_t pfn = (MODE_FIRST + random_below(&w->random, MODE_FRAMES)) >> order << order;
    uint64_t frames = UINT64_C(1) << order;
    if (!has_room(w, frames) || pfn < MODE_FIRST || pfn + frames > MODE_FIRST + MODE_FRAMES) {
        return;
    }
    int got = quire_zone_alloc_at(w->zone, w->slot, quire_pfn_of(pfn), order, draw_flags(w));
    /* FRAME: another thread has reserved a part of it. */
    if (got == QUIRE_ERR_NO_MEMORY || may(w, got, "alloc_at", QUIRE_ERR_BUSY, QUIRE_ERR_FRAME)) {
        if (got == QUIRE_OK) {
            hold(w, HELD_ORDER, pfn, frames);
        }
    }
}

static void take_reserved(struct worker *w)
{
    uint64_t frames = draw_frames(w);
    uint64_t pfn = MODE_FIRST + random_below(&w->random, MODE_FRAMES);
    if (random_below(&w->random, 3) == 0) {
        pfn = pfn / 512 * 512;
    }
    if (!has_room(w, frames) || pfn < MODE_FIRST || pfn + frames > MODE_FIRST + MODE_FRAMES) {
        return;
    }
    int got = quire_zone_reserve(w->zone, w->slot, quire_pfn_of(pfn), frames);
    if (may(w, got, "reserve", QUIRE_ERR_BUSY, QUIRE_ERR_FRAME)) {
        hold(w, HELD_RESERVED, pfn, frames);
    }
}

/* ---- Giving ------------------------------------------------------------------------------ */

static void give_singles(struct worker *w, const struct holding *h)
{
    quire_pfn pfns[64] = {{0}};
    if (random_below(&w->random, 2)) {
        must_do(quire_zone_free_range(w->zone, w->slot, quire_pfn_of(h->pfn), h->frames),
                "free_range", h->pfn, h->frames);
        return;
    }
    for (uint64_t done = 0; done < h->frames;) {
        size_t n = 0;
        for (; n < 64 && done < h->frames; n++, done++) {
            pfns[n] = quire_pfn_of(h->pfn + done);
        }
        must_do(quire_zone_free_batch(w->zone, w->slot, pfns, n, NULL), "free_batch", pfns[0].n, n);
    }
}

static void give_order(struct worker *w, const struct holding *h)
{
    quire_pfn pfn = quire_pfn_of(h->pfn);
    unsigned order = (unsigned)__builtin_ctzll(h->frames);
    bool known = MODE_RUN_MAP || order >= 9;
    switch (random_below(&w->random, 4)) {
    case 0:
        must_do(quire_zone_free_contig(w->zone, w->slot, pfn, h->frames), "free_contig", pfn.n,
                h->frames);
        break;
    case 1:
        if (known) {
            must_do(quire_zone_free_any(w->zone, w->slot, pfn), "free_any", pfn.n, h->frames);
            break;
        }
        __attribute__((fallthrough));
    default:
        must_do(quire_zone_free(w->zone, w->slot, pfn, order), "free", pfn.n, h->frames);
        break;
    }
}

static void give(struct worker *w, unsigned i)
{
    struct holding h = w->held[i];
    w->held[i] = w->held[--w->count];
    w->frames -= h.frames;
    shadow_give(w->shadow, w->who, h.pfn, h.frames);
    switch (h.kind) {
    case HELD_ORDER:
        give_order(w, &h);
        break;
    case HELD_LENGTH:
        must_do(quire_zone_free_contig(w->zone, w->slot, quire_pfn_of(h.pfn), h.frames),
                "free_contig", h.pfn, h.frames);
        break;
    case HELD_SINGLES:
        give_singles(w, &h);
        break;
    case HELD_RESERVED:
        must_do(quire_zone_unreserve(w->zone, w->slot, quire_pfn_of(h.pfn), h.frames), "unreserve",
                h.pfn, h.frames);
        break;
    }
}

void worker_empty(struct worker *w)
{
    worker_give_back(w);
    while (w->count > 0) {
        give(w, w->count - 1);
    }
}

/* ---- Changing shape, and mistakes -------------------------------------------------------- */

/* A run gives a part at its end back, and is single frames then. */
static void free_end(struct worker *w, struct holding *h)
{
    uint64_t part = 1 + random_below(&w->random, h->frames - 1);
    struct quire_run run = {quire_pfn_of(h->pfn), h->frames};
    struct quire_run end = {quire_pfn_of(h->pfn + h->frames - part), part};
    uint32_t flags = random_below(&w->random, 2) ? QUIRE_MOVABLE : 0;

    shadow_give(w->shadow, w->who, end.pfn.n, part);
    must_do(quire_zone_free_part(w->zone, w->slot, run, end, flags), "free_part", h->pfn, part);
    w->frames -= part;
    h->frames -= part;
    h->kind = h->frames > 1 ? HELD_SINGLES : HELD_ORDER;
}

/* A run of whole blocks falls apart into these, of which the first one stays. */
static void keep_first_block(struct worker *w, struct holding *h)
{
    unsigned order = (unsigned)__builtin_ctzll(h->frames);

    must_do(quire_zone_split_blocks(w->zone, w->slot, quire_pfn_of(h->pfn), order), "split_blocks",
            h->pfn, h->frames);
    for (uint64_t at = 512; at < h->frames; at += 512) {
        shadow_give(w->shadow, w->who, h->pfn + at, 512);
        must_do(quire_zone_free(w->zone, w->slot, quire_pfn_of(h->pfn + at), 9), "free",
                h->pfn + at, 512);
    }
    w->frames -= h->frames - 512;
    h->frames = 512;
}

/* A run falls apart into single frames; 512 of them become a run again. */
static void change_shape(struct worker *w)
{
    struct holding *h = &w->held[random_below(&w->random, w->count)];
    quire_pfn pfn = quire_pfn_of(h->pfn);
    if ((h->kind == HELD_ORDER || h->kind == HELD_LENGTH) && h->frames > 1 &&
        random_below(&w->random, 2)) {
        free_end(w, h);
    } else if (h->kind == HELD_ORDER && h->frames > 512 && random_below(&w->random, 2)) {
        keep_first_block(w, h);
    } else if (h->kind == HELD_ORDER) {
        unsigned order = (unsigned)__builtin_ctzll(h->frames);
        must_do(quire_zone_split(w->zone, w->slot, pfn, order), "split", h->pfn, h->frames);
        h->kind = h->frames > 1 ? HELD_SINGLES : HELD_ORDER;
    } else if (h->kind == HELD_SINGLES && h->frames == 512 && h->pfn % 512 == 0) {
        int got = quire_zone_join(w->zone, w->slot, pfn);
        if (may(w, got, "join", QUIRE_ERR_BUSY, QUIRE_ERR_BUSY)) {
            h->kind = HELD_ORDER;
        }
    }
}

/* Frees of the thread's own frames with a wrong order must be refused, whatever lies beside. */
static void make_mistake(struct worker *w)
{
    const struct holding *h;
    unsigned order;
    uint64_t inside;
    if (!MODE_RUN_MAP) {
        return;
    }
    h = &w->held[random_below(&w->random, w->count)];
    if (h->kind != HELD_ORDER || h->frames == 1) {
        return;
    }
    order = (unsigned)__builtin_ctzll(h->frames);
    inside = h->pfn + h->frames / 2;
    if (quire_zone_free(w->zone, w->slot, quire_pfn_of(h->pfn), order - 1) != QUIRE_ERR_ORDER ||
        quire_zone_free(w->zone, w->slot, quire_pfn_of(inside), 0) != QUIRE_ERR_ORDER ||
        quire_zone_free_any(w->zone, w->slot, quire_pfn_of(inside)) != QUIRE_ERR_ORDER) {
        die("part of the run at pfn 0x%" PRIx64 ", %" PRIu64 " frames, could be freed", h->pfn,
            h->frames);
    }
}

/* ---- Drawing ----------------------------------------------------------------------------- */

void worker_act(struct worker *w)
{
    static const struct {
        const unsigned *weight;
        void (*act)(struct worker *w);
        bool needs_holding;
    } actions[] = {
        {&weights.alloc, take_order, false},
        {&weights.batch, take_batch, false},
        {&weights.contig, take_contig, false},
        {&weights.runs, take_runs, false},
        {&weights.at, take_at, false},
        {&weights.reserve, take_reserved, false},
        {&weights.split, change_shape, true},
        {&weights.wrong, make_mistake, true},
        {&weights.isolate, worker_isolate, false},
    };
    uint64_t drawn = random_below(&w->random, 100);
    w->done++;
    for (unsigned i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (drawn < *actions[i].weight) {
            if (!actions[i].needs_holding || w->count > 0) {
                actions[i].act(w);
            }
            return;
        }
        drawn -= *actions[i].weight;
    }
    if (drawn < weights.retire) {
        must_do(quire_zone_retire_slot(w->zone, w->slot), "retire_slot", 0, 0);
    } else if (w->count > 0) {
        give(w, (unsigned)random_below(&w->random, w->count));
    }
}
