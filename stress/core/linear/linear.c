/* SPDX-License-Identifier: MIT
 *
 * linear.c - see linear.h. A depth-first search: of the calls that could be next, those that began
 * before the first of the others was over, each is tried that fits. Two ways to the same set of
 * calls lead to the same frames, so a set is tried once for each time that it was reached by.
 */
#include "linear.h"

#include <quire/types.h>

static bool has(const uint64_t *map, unsigned frame)
{
    return map[frame / 64] >> (frame % 64) & 1;
}

static void put(uint64_t *map, unsigned frame, bool on)
{
    uint64_t bit = (uint64_t)1 << (frame % 64);
    map[frame / 64] = on ? map[frame / 64] | bit : map[frame / 64] & ~bit;
}

static bool is_batch(const struct linear_call *c)
{
    return c->kind == LINEAR_BATCH_ALLOC || c->kind == LINEAR_BATCH_FREE;
}

static bool is_free(const struct linear_call *c)
{
    return c->kind == LINEAR_FREE || c->kind == LINEAR_BATCH_FREE;
}

/* The frames that the call is about, as runs of one length. */
static unsigned runs_of(const struct linear_call *c)
{
    return is_batch(c) ? c->n : 1;
}

static unsigned length_of(const struct linear_call *c)
{
    return is_batch(c) ? 1 : 1u << c->order;
}

static bool is_stretch_free(const uint64_t *used, unsigned first, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        if (first + i >= LINEAR_FRAMES || has(used, first + i)) {
            return false;
        }
    }
    return true;
}

/* Is exactly this an allocated run? */
static bool is_run(const struct linear_state *s, unsigned first, unsigned length)
{
    for (unsigned i = 0; i < length; i++) {
        unsigned frame = first + i;
        if (frame >= LINEAR_FRAMES || !has(s->used, frame) || has(s->inside, frame) != (i > 0)) {
            return false;
        }
    }
    return first + length == LINEAR_FRAMES || !has(s->inside, first + length);
}

/* Do what the call did, or take it back. */
static void apply(struct linear_state *s, const struct linear_call *c, bool back)
{
    if (c->result != 0) {
        return;
    }
    for (unsigned r = 0; r < runs_of(c); r++) {
        for (unsigned i = 0; i < length_of(c); i++) {
            put(s->used, c->frame[r] + i, is_free(c) == back);
            put(s->inside, c->frame[r] + i, is_free(c) == back && i > 0);
        }
    }
}

struct search {
    struct linear_state *state;
    const struct linear_call *calls;
    unsigned n;
    uint32_t done; /* a bit for each call that has its moment */
    uint64_t now;  /* the last moment given */
};

/* ---- Refusals ---------------------------------------------------------------------------- */

/* What others have in their hands: up to so many frames each. Which ones cannot be said: a call is
 * sure of its number of frames before it knows which they are. */
struct hands {
    const struct linear_call *call[LINEAR_CALLS];
    unsigned calls;
};

/* An allocation that had its moment has what it got, which is used; a free that waits for its own
 * has nothing yet that another one may miss. */
static void look_at_hands(struct hands *h, const struct search *s, unsigned self, uint64_t moment)
{
    h->calls = 0;
    for (unsigned i = 0; i < s->n; i++) {
        const struct linear_call *c = &s->calls[i];
        bool is_done = s->done >> i & 1;
        if (i != self && c->begin <= moment && moment < c->end &&
            (c->result != 0 || is_done == is_free(c))) {
            h->call[h->calls++] = c;
        }
    }
}

/* How many stretches of this length they can keep from being seen: each run that one has is in one
 * of them, or covers some. */
static uint64_t hidden_by(const struct hands *h, unsigned length)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < h->calls; i++) {
        unsigned covered = length_of(h->call[i]) / length;
        sum += (uint64_t)runs_of(h->call[i]) * (covered > 1 ? covered : 1);
    }
    return sum;
}

/* May the call be answered so, by one who sees all but what others have in their hands? */
static bool is_refusal_true(const struct linear_state *s, const struct linear_call *c,
                            const struct hands *h)
{
    uint64_t seen = 0;
    uint64_t wanted = runs_of(c);
    unsigned length = length_of(c);
    if (c->result == QUIRE_ERR_BUSY) {
        return !is_stretch_free(s->used, c->frame[0], length) || h->calls > 0;
    }
    if (c->kind == LINEAR_AT) { /* so many are not free, wherever they are */
        wanted = length;
        length = 1;
    }
    for (unsigned first = 0; first < LINEAR_FRAMES; first += length) {
        seen += is_stretch_free(s->used, first, length);
    }
    return seen < wanted + hidden_by(h, length);
}

/* Is it an answer that this call may get at all? */
static bool is_answer(const struct linear_call *c)
{
    return c->result == 0 || (c->result == QUIRE_ERR_NO_MEMORY && !is_free(c)) ||
           (c->result == QUIRE_ERR_BUSY && c->kind == LINEAR_AT);
}

/* ---- The search -------------------------------------------------------------------------- */

/* The first end of a call without moment: the next moment comes before it. */
static uint64_t limit_of(const struct search *s)
{
    uint64_t limit = UINT64_MAX;
    for (unsigned i = 0; i < s->n; i++) {
        if (!(s->done >> i & 1) && s->calls[i].end < limit) {
            limit = s->calls[i].end;
        }
    }
    return limit;
}

/* The first moment from now on that the call may have, or UINT64_MAX. What others have in their
 * hands grows only when one begins, so nothing else has to be tried for a refusal. */
static uint64_t moment_of(const struct search *s, unsigned i, uint64_t limit)
{
    const struct linear_call *c = &s->calls[i];
    uint64_t moment = c->begin > s->now ? c->begin : s->now;
    if (c->begin >= limit || !is_answer(c)) {
        return UINT64_MAX;
    }
    if (c->result == 0) {
        for (unsigned r = 0; r < runs_of(c); r++) {
            if (is_free(c) ? !is_run(s->state, c->frame[r], length_of(c))
                           : !is_stretch_free(s->state->used, c->frame[r], length_of(c))) {
                return UINT64_MAX;
            }
        }
        return moment;
    }
    while (moment < limit) {
        struct hands hands;
        uint64_t next = limit;
        look_at_hands(&hands, s, i, moment);
        if (is_refusal_true(s->state, c, &hands)) {
            return moment;
        }
        for (unsigned k = 0; k < s->n; k++) {
            if (s->calls[k].begin > moment && s->calls[k].begin < next) {
                next = s->calls[k].begin;
            }
        }
        moment = next;
    }
    return UINT64_MAX;
}

/* Was this set reached at this moment before? From now on it was. */
static bool was_tried(struct linear_memory *m, uint32_t done, uint64_t now)
{
    uint64_t key = now << 32 ^ done;
    uint64_t slot = (key * 0x9e3779b97f4a7c15u) >> 40;
    slot %= LINEAR_TRIED;
    if (m->stamp[slot] == m->search && m->tried[slot] == key) {
        return true;
    }
    m->stamp[slot] = m->search;
    m->tried[slot] = key;
    return false;
}

bool linear_check(struct linear_state *state, const struct linear_call calls[], unsigned n,
                  struct linear_memory *memory, unsigned *stuck)
{
    struct search s = {.state = state, .calls = calls, .n = n};
    unsigned chosen[LINEAR_CALLS + 1] = {0};
    uint64_t before[LINEAR_CALLS] = {0};
    unsigned depth = 0;
    memory->search++;
    *stuck = 0;
    for (;;) {
        uint64_t limit = limit_of(&s);
        uint64_t moment = UINT64_MAX;
        unsigned i = chosen[depth];
        if (depth == n) {
            return true;
        }
        for (; i < n; i++) {
            moment = s.done >> i & 1 ? UINT64_MAX : moment_of(&s, i, limit);
            if (moment != UINT64_MAX && !was_tried(memory, s.done | (uint32_t)1 << i, moment)) {
                break;
            }
        }
        if (i < n) {
            chosen[depth] = i;
            before[depth++] = s.now;
            apply(state, &calls[i], false);
            s.done |= (uint32_t)1 << i;
            s.now = moment;
            chosen[depth] = 0;
            *stuck = depth > *stuck ? depth : *stuck;
        } else if (depth == 0) {
            return false;
        } else {
            i = chosen[--depth]++;
            apply(state, &calls[i], true);
            s.done &= ~((uint32_t)1 << i);
            s.now = before[depth];
        }
    }
}
