/* SPDX-License-Identifier: MIT
 *
 * history.c - see history.h.
 */
#include "history.h"

#include "stress/common/random.h"

#if defined(__SANITIZE_THREAD__)
#define MOMENT_ORDER                                                            \
    __ATOMIC_RELAXED /* the clock must not hide that the zone orders too little \
                      */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MOMENT_ORDER __ATOMIC_RELAXED
#endif
#endif
#ifndef MOMENT_ORDER
#define MOMENT_ORDER __ATOMIC_SEQ_CST
#endif

/* A run in one word: where it begins, and its order; never 0. */
static uint32_t run_of(unsigned frame, unsigned order)
{
    return frame << 8 | order << 1 | 1;
}

static unsigned frame_of(uint32_t run)
{
    return run >> 8;
}

static unsigned order_of(uint32_t run)
{
    return run >> 1 & 0x7f;
}

static uint64_t moment(struct history *h)
{
    uint64_t now;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    now = __atomic_fetch_add(&h->clock, 1, MOMENT_ORDER);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return now;
}

static quire_pfn pfn_at(const struct history *h, unsigned frame)
{
    return quire_pfn_of(h->first + frame);
}

/* ---- Calls ------------------------------------------------------------------------------- */

static void hold(struct history_worker *w, unsigned frame, unsigned order)
{
    w->run[w->held++] = run_of(frame, order);
}

static void do_alloc(struct history_worker *w, struct linear_call *c)
{
    struct history *h = w->history;
    quire_pfn pfn = pfn_at(h, c->frame[0]);
    bool any = c->kind == LINEAR_ALLOC;
    c->begin = moment(h);
    c->result = any ? quire_zone_alloc(h->zone, w->slot, c->order, QUIRE_EMERGENCY, &pfn)
                    : quire_zone_alloc_at(h->zone, w->slot, pfn, c->order, QUIRE_EMERGENCY);
    c->end = moment(h);
    if (c->result == 0) {
        c->frame[0] = (uint16_t)(pfn.n - h->first);
        hold(w, c->frame[0], c->order);
    }
}

static void do_free(struct history_worker *w, struct linear_call *c)
{
    struct history *h = w->history;
    c->begin = moment(h);
    c->result = quire_zone_free(h->zone, w->slot, pfn_at(h, c->frame[0]), c->order);
    c->end = moment(h);
}

static void do_batch(struct history_worker *w, struct linear_call *c)
{
    struct history *h = w->history;
    quire_pfn pfns[LINEAR_BATCH] = {{0}};
    size_t got;
    for (unsigned i = 0; i < c->n; i++) {
        pfns[i] = pfn_at(h, c->frame[i]);
    }
    c->begin = moment(h);
    c->result = c->kind == LINEAR_BATCH_FREE
                    ? quire_zone_free_batch(h->zone, w->slot, pfns, c->n, NULL)
                    : quire_zone_alloc_batch(h->zone, w->slot, QUIRE_EMERGENCY, c->n, pfns, &got);
    c->end = moment(h);
    for (unsigned i = 0; i < c->n && c->result == 0 && c->kind == LINEAR_BATCH_ALLOC; i++) {
        c->frame[i] = (uint16_t)(pfns[i].n - h->first);
        hold(w, c->frame[i], 0);
    }
}

/* ---- Drawing ----------------------------------------------------------------------------- */

/* A run to be freed: one of the worker's, or one from the table; 0 if there is none. */
static uint32_t give_up(struct history_worker *w)
{
    uint32_t *place = &w->history->table[random_below(&w->random, HISTORY_TABLE)];
    uint32_t run = 0;
    if (w->held > 0) {
        unsigned i = (unsigned)random_below(&w->random, w->held);
        run = w->run[i];
        w->run[i] = w->run[--w->held];
    }
    /* Half of what is given up goes by the table, which hands it over as a lock would. */
    return random_below(&w->random, 2) ? run : __atomic_exchange_n(place, run, __ATOMIC_ACQ_REL);
}

/* Up to n single frames of the worker's, for a batch; how many. */
static unsigned give_up_singles(struct history_worker *w, uint16_t frame[], unsigned n)
{
    unsigned found = 0;
    for (unsigned i = w->held; i-- > 0 && found < n;) {
        if (order_of(w->run[i]) == 0) {
            frame[found++] = (uint16_t)frame_of(w->run[i]);
            w->run[i] = w->run[--w->held];
        }
    }
    return found;
}

static unsigned draw_order(struct history_worker *w)
{
    static const unsigned char orders[] = {0, 0, 0, 0, 1, 2, 3, 5, 6, 7, 8};
    unsigned order = orders[random_below(&w->random, sizeof orders)];
    while ((1u << order) > w->history->arena) {
        order--;
    }
    return order;
}

/* What a worker that has room does: it may be allowed to take, or has to free. */
static bool draw_take(struct history_worker *w, struct linear_call *c)
{
    unsigned what = (unsigned)random_below(&w->random, 20);
    unsigned arena = w->history->arena;
    if (what < 8) {
        *c = (struct linear_call){.kind = LINEAR_ALLOC, .order = draw_order(w)};
        return true;
    }
    if (what < 10) {
        unsigned order = draw_order(w);
        unsigned frame = (unsigned)random_below(&w->random, arena) >> order << order;
        *c = (struct linear_call){.kind = LINEAR_AT, .order = order, .frame = {(uint16_t)frame}};
        return true;
    }
    if (what < 11) {
        unsigned n = 2 + (unsigned)random_below(&w->random, LINEAR_BATCH - 1);
        *c = (struct linear_call){.kind = LINEAR_BATCH_ALLOC, .n = n};
        return true;
    }
    return false;
}

void history_act(struct history_worker *w)
{
    struct linear_call *c = &w->call[w->count];
    if (w->count == w->most) {
        return;
    }
    if (w->held + LINEAR_BATCH <= HISTORY_HELD && draw_take(w, c)) {
        w->count++;
        c->kind == LINEAR_BATCH_ALLOC ? do_batch(w, c) : do_alloc(w, c);
        return;
    }
    *c = (struct linear_call){.kind = LINEAR_BATCH_FREE};
    if (random_below(&w->random, 8) == 0) {
        c->n = give_up_singles(w, c->frame, 2 + (unsigned)random_below(&w->random, 3));
    }
    if (c->n == 0) {
        uint32_t run = give_up(w);
        if (run == 0) {
            return;
        }
        *c = (struct linear_call){
            .kind = LINEAR_FREE, .order = order_of(run), .frame = {(uint16_t)frame_of(run)}};
    }
    w->count++;
    c->kind == LINEAR_BATCH_FREE ? do_batch(w, c) : do_free(w, c);
}

/* ---- Windows ----------------------------------------------------------------------------- */

bool history_begin(struct history *h, struct quire_zone *zone, uint64_t first, unsigned arena,
                   const unsigned most[], unsigned workers, uint32_t slots, uint64_t seed)
{
    struct linear_call *call = h->calls;
    h->zone = zone;
    h->first = first;
    h->arena = arena;
    h->workers = workers;
    for (unsigned i = 0; i < workers; i++) {
        h->worker[i] = (struct history_worker){.history = h,
                                               .slot = quire_slot_of(i % slots),
                                               .random = random_seed(seed, i),
                                               .most = most[i],
                                               .call = call};
        call += most[i];
    }
    for (unsigned frame = arena; frame < LINEAR_FRAMES; frame++) {
        h->state.used[frame / 64] |= (uint64_t)1 << (frame % 64);
        if (quire_zone_alloc_at(zone, quire_slot_of(0), pfn_at(h, frame), 0, QUIRE_EMERGENCY)) {
            return false;
        }
    }
    return true;
}

static void count_met(struct history *h, const struct linear_call calls[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < i; k++) {
            h->met += calls[i].begin < calls[k].end && calls[k].begin < calls[i].end;
        }
        h->refused += calls[i].result != 0;
    }
    h->done += n;
    h->windows++;
}

bool history_window(struct history *h, unsigned *n, unsigned *stuck)
{
    struct linear_call calls[LINEAR_CALLS];
    *n = 0;
    for (unsigned i = 0; i < h->workers; i++) {
        struct history_worker *w = &h->worker[i];
        for (unsigned k = 0; k < w->count; k++) {
            calls[(*n)++] = w->call[k];
        }
    }
    count_met(h, calls, *n);
    if (!linear_check(&h->state, calls, *n, &h->memory, stuck)) {
        for (unsigned i = 0; i < *n; i++) {
            h->calls[i] = calls[i];
        }
        return false;
    }
    for (unsigned i = 0; i < h->workers; i++) {
        h->worker[i].count = 0;
    }
    return true;
}

void history_end(struct history *h)
{
    for (unsigned i = 0; i < h->workers + HISTORY_TABLE; i++) {
        bool is_table = i >= h->workers;
        uint32_t *runs = is_table ? &h->table[i - h->workers] : h->worker[i].run;
        unsigned n = is_table ? 1 : h->worker[i].held;
        for (unsigned k = 0; k < n; k++) {
            if (runs[k] != 0) {
                (void)quire_zone_free(h->zone, quire_slot_of(0), pfn_at(h, frame_of(runs[k])),
                                      order_of(runs[k]));
            }
        }
    }
}
