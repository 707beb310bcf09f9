/* SPDX-License-Identifier: MIT
 *
 * isolating.c - workers that isolate ranges of blocks, look, commit and undo, while the others use
 * the same blocks. See stress.h.
 *
 * What the isolation holds is the worker's: it enters the shadow as soon as a call shows it, so a
 * frame that is swept while somebody has it, or handed out while it is held, is seen. It leaves the
 * shadow before it is given back. What is committed becomes reserved holdings.
 */
#include "stress.h"
#include "stress/common/random.h"

#include <inttypes.h>
#include <stdbool.h>

enum { RUNS = 32 };

static const uint64_t first_block = MODE_FIRST / 512;
static const uint64_t blocks = (MODE_FIRST + MODE_FRAMES - 1) / 512 - MODE_FIRST / 512 + 1;

static uint64_t blocks_of(const struct worker *w)
{
    return w->isolation.run.frames / 512;
}

static bool has(const struct quire_isolated_frames *held, uint64_t frame)
{
    return held[frame / 512].frames[frame % 512 / 64] >> frame % 64 & 1;
}

/* The next stretch of frames in `held` but not in `but`, from *frame on, within the worker's range.
 * Returns its length; 0: there is none. */
static uint64_t stretch(const struct worker *w, const struct quire_isolated_frames *held,
                        const struct quire_isolated_frames *but, uint64_t *frame)
{
    uint64_t end = blocks_of(w) * 512, n = 0;
    while (*frame < end && (!has(held, *frame) || (but && has(but, *frame)))) {
        ++*frame;
    }
    while (*frame + n < end && has(held, *frame + n) && !(but && has(but, *frame + n))) {
        n++;
    }
    return n;
}

/* The shadow learns what the isolation holds by now. */
static void learn(struct worker *w)
{
    uint64_t n;
    for (uint64_t at = 0; (n = stretch(w, w->isolated, w->known, &at)) > 0; at += n) {
        shadow_take(w->shadow, w->who, w->isolation.run.pfn.n + at, n);
    }
    for (uint64_t i = 0; i < blocks_of(w); i++) {
        w->known[i] = w->isolated[i];
    }
}

static void begin(struct worker *w)
{
    uint64_t n = 1 + random_below(&w->random, blocks < ISOLATED ? blocks : ISOLATED);
    uint64_t at = first_block + random_below(&w->random, blocks - n + 1);
    struct quire_run run = {{at * 512}, n * 512};
    int got = quire_zone_isolate(w->zone, w->slot, run, w->isolated, &w->isolation);
    if (got == QUIRE_ERR_BUSY || got == QUIRE_ERR_FULL) {
        w->refused++;
        return;
    }
    if (got != QUIRE_OK) {
        die("isolate: %s", quire_strerror(got));
    }
    for (uint64_t i = 0; i < n; i++) {
        w->known[i] = (struct quire_isolated_frames){{0}};
    }
    learn(w);
}

/* Everything listed reaches into the range. Returns how many frames are in the way. */
static uint64_t look(struct worker *w)
{
    const struct quire_run *range = &w->isolation.run;
    struct quire_run used[RUNS];
    uint64_t frames;
    size_t count;
    int got = quire_zone_isolated(w->zone, w->slot, &w->isolation, used, RUNS, &count, &frames);
    if (got != QUIRE_OK || count > RUNS || frames > range->frames) {
        die("isolated: %s, %zu runs, %" PRIu64 " frames", quire_strerror(got), count, frames);
    }
    for (size_t i = 0; i < count; i++) {
        if (used[i].frames == 0 || used[i].pfn.n >= range->pfn.n + range->frames ||
            used[i].pfn.n + used[i].frames <= range->pfn.n) {
            die("0x%" PRIx64 ", %" PRIu64 " frames, is in nobody's way", used[i].pfn.n,
                used[i].frames);
        }
    }
    learn(w);
    return frames;
}

/* What was held is reserved: keep it as holdings, or put it into use at once. */
static void keep_reserved(struct worker *w, uint64_t pfn)
{
    uint64_t n;
    for (uint64_t at = 0; (n = stretch(w, w->known, NULL, &at)) > 0; at += n) {
        if (w->count < HOLDINGS && w->frames + n <= MODE_HOLD) {
            w->held[w->count++] = (struct holding){HELD_RESERVED, pfn + at, n};
            w->frames += n;
            continue;
        }
        shadow_give(w->shadow, w->who, pfn + at, n);
        int got = quire_zone_unreserve(w->zone, w->slot, quire_pfn_of(pfn + at), n);
        if (got != QUIRE_OK) {
            die("unreserve of 0x%" PRIx64 ", %" PRIu64 " frames: %s", pfn + at, n,
                quire_strerror(got));
        }
    }
}

static void commit(struct worker *w)
{
    int got = quire_zone_isolate_commit(w->zone, w->slot, &w->isolation);
    learn(w);
    if (got == QUIRE_OK) {
        keep_reserved(w, w->isolation.run.pfn.n);
    } else if (got != QUIRE_ERR_BUSY) {
        die("isolate_commit: %s", quire_strerror(got));
    }
}

void worker_give_back(struct worker *w)
{
    uint64_t n;
    if (!w->isolation.held) {
        return;
    }
    for (uint64_t at = 0; (n = stretch(w, w->known, NULL, &at)) > 0; at += n) {
        shadow_give(w->shadow, w->who, w->isolation.run.pfn.n + at, n);
    }
    int got = quire_zone_isolate_undo(w->zone, w->slot, &w->isolation);
    if (got != QUIRE_OK) {
        die("isolate_undo: %s", quire_strerror(got));
    }
}

void worker_isolate(struct worker *w)
{
    if (!w->isolation.held) {
        begin(w);
    } else if (random_below(&w->random, 4) == 0) {
        worker_give_back(w);
    } else if (look(w) < 40 || random_below(&w->random, 8) == 0) {
        commit(w);
    }
}
