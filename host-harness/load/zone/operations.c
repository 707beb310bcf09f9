/* SPDX-License-Identifier: MIT
 *
 * operations.c - operations that zones alone have: few runs, given places, shapes, reservations and
 * bursts, each with its checked call.
 *
 * Bursts. A thread takes frames, the larger runs first, until a limit or one of the zone's
 * watermarks is reached, and then frees all of them, in the same, the opposite or a random order.
 * Most bursts are small. Floods, which only the watermark limits, come once in
 * SEQUENCE_FLOOD_PERIOD operations of a thread; they make the watermarks ring.
 *
 * State: the worker's lists; its `burst`, which is empty between operations.
 */
#include "zone.h"

#include "host-harness/load/random.h"

enum {
    RUNS = 16,     /* as many runs as alloc_runs is asked for at most */
    RUNS_EXP = 11, /* exponents of alloc_runs are below this */
    RESERVE_BLOCKS = 24,
    TOP_ORDER = LOAD_ORDERS - 1,
    LIMIT_SHIFT = 6, /* a burst takes 64 frames, half of them 128, a quarter 256 ... */
    LIMIT_DOUBLINGS = 10,
};

/* ---- Few runs -------------------------------------------------------------------------------- */

static uint32_t alloc_runs(struct worker *w, const struct request *r, uint64_t frames,
                           struct held_run held[RUNS])
{
    uint64_t before = call_free_count(w, r->list);
    struct quire_run runs[RUNS];
    size_t count = 0;
    uint64_t sum = 0;
    uint64_t begun = call_begin(w);
    int error = quire_zone_alloc_runs(zone_of(w, r->list), zone_slot(w), r->call.flags, frames,
                                      runs, RUNS, &count);

    call_end(w, CALL_ALLOC_RUNS, begun);
    if (!call_answer(w, r->list, "alloc_runs", error, CALL_ALLOWED(QUIRE_ERR_NO_MEMORY), count))
        return 0;
    call_floor(w, r->list, before, frames, r->call.flags, error);
    for (uint32_t i = 0; i < count && i < RUNS; i++) {
        sum += runs[i].frames;
        if (runs[i].frames == 0 || sum > frames)
            break;
        held[i] = (struct held_run){runs[i].pfn.n, (uint32_t)runs[i].frames, call_tag(w), true};
        if (!call_take(w, r->list, &held[i], r->call.flags))
            return 0;
    }
    if (sum != frames || count > RUNS) {
        load_violation(w->load, "alloc_runs in zone %u gave %zu runs of %llu frames, not %llu",
                       r->list, count, (unsigned long long)sum, (unsigned long long)frames);
        return 0;
    }
    return (uint32_t)count;
}

void zone_alloc_runs(struct worker *w, const struct operation *op)
{
    const struct request *r = &op->request;
    struct held_run runs[RUNS];
    uint64_t frames = 1 + (op->a >> 8) % (1ULL << (op->a & 255) % RUNS_EXP);
    uint32_t got;

    held_make_room(w, r->list, frames, RUNS, op->b);
    got = alloc_runs(w, r, frames, runs);
    for (uint32_t i = 0; i < got; i++)
        held_keep(w, r->list, &runs[i]);
}

/* ---- Given places ---------------------------------------------------------------------------- */

static bool alloc_at(struct worker *w, uint32_t z, uint64_t pfn, unsigned order, uint32_t flags,
                     struct held_run *run)
{
    uint64_t before = call_free_count(w, z);
    uint64_t begun = call_begin(w);
    int error = quire_zone_alloc_at(zone_of(w, z), zone_slot(w), quire_pfn_of(pfn), order, flags);

    call_end(w, CALL_ALLOC_AT, begun);
    if (!call_answer(w, z, "alloc_at", error,
                     CALL_ALLOWED(QUIRE_ERR_NO_MEMORY) | CALL_ALLOWED(QUIRE_ERR_BUSY) |
                         CALL_ALLOWED(QUIRE_ERR_FRAME),
                     pfn))
        return false;
    call_floor(w, z, before, 1ULL << order, flags, error);
    *run = (struct held_run){pfn, 1u << order, call_tag(w), false};
    return call_take(w, z, run, flags);
}

void zone_alloc_at(struct worker *w, const struct operation *op)
{
    const struct request *r = &op->request;
    uint64_t pfn = load_random_pfn(&w->load->zones[r->list], op->a);
    struct held_run run;

    held_make_room(w, r->list, 1ULL << r->call.order, 1, op->b);
    if (alloc_at(w, r->list, pfn >> r->call.order << r->call.order, r->call.order,
                 r->call.flags & ~(uint32_t)QUIRE_MOVABLE, &run))
        held_keep(w, r->list, &run);
}

/* Always in the same few blocks, at drawn places: a block that had a part reserved keeps one of
 * the zone's 64 spare pins for good. A range may reach into the next block. */
void zone_reserve(struct worker *w, const struct operation *op)
{
    uint32_t z = op->request.list;
    uint64_t block = random_scramble(op->a % RESERVE_BLOCKS + 1);
    uint64_t start = load_random_pfn(&w->load->zones[z], block) & ~511ull;
    quire_pfn pfn = quire_pfn_of(start + (op->a >> 8 & 511));
    uint64_t frames = 1 + op->b % RESERVE_FRAMES;
    struct held_run run = {pfn.n, (uint32_t)frames, call_tag(w), true};
    uint64_t begun = call_begin(w);
    int error = quire_zone_reserve(zone_of(w, z), zone_slot(w), pfn, frames);

    call_end(w, CALL_RESERVE, begun);
    if (!call_answer(w, z, "reserve", error,
                     CALL_ALLOWED(QUIRE_ERR_BUSY) | CALL_ALLOWED(QUIRE_ERR_FRAME), pfn.n) ||
        !call_take(w, z, &run, 0) || !call_give(w, z, &run))
        return;
    begun = call_begin(w);
    error = quire_zone_unreserve(zone_of(w, z), zone_slot(w), pfn, frames);
    call_end(w, CALL_UNRESERVE, begun);
    call_answer(w, z, "unreserve of a range just reserved", error, 0, pfn.n);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

void zone_split(struct worker *w, uint32_t z, const struct held_run *run)
{
    unsigned order = (unsigned)__builtin_ctz(run->frames);
    uint64_t begun = call_begin(w);
    int error = quire_zone_split(zone_of(w, z), zone_slot(w), quire_pfn_of(run->pfn), order);

    call_end(w, CALL_SPLIT, begun);
    call_answer(w, z, "split of a held run", error, 0, run->pfn);
}

static void join(struct worker *w, uint32_t z, const struct held_run *run)
{
    uint64_t begun = call_begin(w);
    int error = quire_zone_join(zone_of(w, z), zone_slot(w), quire_pfn_of(run->pfn));

    call_end(w, CALL_JOIN, begun);
    call_answer(w, z, "join of 512 held frames", error, 0, run->pfn);
}

/* Half of the runs are of order 9, and half of those are joined again. */
void zone_shape(struct worker *w, const struct operation *op)
{
    struct request r = op->request;
    unsigned order = op->a & 1 ? 9 : 1 + (unsigned)(op->a >> 1 & 255) % 8;
    struct held_run run;

    r.call.order = order;
    held_make_room(w, r.list, 1ULL << order, 1u << order, op->b);
    if (!call_alloc(w, &r, &run))
        return;
    zone_split(w, r.list, &run);
    if (order == 9 && op->a & 2) {
        join(w, r.list, &run);
        held_keep(w, r.list, &run);
        return;
    }
    for (uint32_t i = 0; i < 1u << order; i++) {
        struct held_run single = {run.pfn + i, 1, run.tag, false};

        held_keep(w, r.list, &single);
    }
}

/* ---- Bursts ---------------------------------------------------------------------------------- */

struct burst {
    struct request request; /* of its runs, but for the order */
    uint64_t mark;          /* leave so many frames free */
    uint64_t limit;         /* take so many at most */
    uint64_t frames;        /* taken so far */
    uint32_t count;         /* runs so far */
};

static struct burst plan(const struct worker *w, const struct operation *op)
{
    const struct quire_zone_stats *zone = &w->load->zones[op->request.list].before;
    const uint64_t marks[4] = {zone->high, zone->low, zone->min, 0};
    unsigned doublings = (unsigned)__builtin_ctzll(op->a | 1ULL << LIMIT_DOUBLINGS);
    struct burst burst = {
        .request = op->request,
        .mark = marks[op->b & 3],
        .limit = op->flood ? UINT64_MAX : 1ULL << (LIMIT_SHIFT + doublings),
    };

    burst.request.call.flags &= ~(uint32_t)QUIRE_ZEROED;
    /* Only urgent requests get below `min`. */
    if (burst.mark == 0 && op->b >> 4 & 1)
        burst.request.call.flags |= op->b >> 5 & 1 ? QUIRE_EMERGENCY : QUIRE_HIGH;
    return burst;
}

static bool may_go_on(const struct worker *w, const struct burst *burst)
{
    /* relaxed: a thread that sees the stop late ends a little later */
    return burst->count + LOAD_BATCH <= LOAD_BURST_RUNS && burst->frames < burst->limit &&
           !qa_load(&w->load->stop, relaxed);
}

static void fill(struct worker *w, struct burst *burst)
{
    struct request *r = &burst->request;
    struct request batch = *r;

    batch.call.flags |= QUIRE_PARTIAL;
    r->call.order = TOP_ORDER;
    while (may_go_on(w, burst)) {
        uint64_t free = quire_zone_free_frames(zone_of(w, r->list));
        struct held_run *next = &w->burst[burst->count];
        uint32_t got;

        while (r->call.order > 0 && burst->mark + (1ULL << r->call.order) > free)
            r->call.order--;
        if (free <= burst->mark && burst->mark > 0)
            return;
        if (r->call.order == 0) {
            got = call_alloc_batch(w, &batch, next);
            if (got == 0)
                return;
            burst->count += got;
            burst->frames += got;
        } else if (call_alloc(w, r, next)) {
            burst->count++;
            burst->frames += next->frames;
        } else {
            r->call.order--;
        }
    }
}

static void exchange(struct held_run *one, struct held_run *other)
{
    struct held_run run = *one;

    *one = *other;
    *other = run;
}

static void shuffle(struct held_run runs[], uint32_t count, uint64_t bits)
{
    for (uint32_t i = count; i > 1; i--)
        exchange(&runs[i - 1], &runs[random_below((uint32_t)random_next(&bits), i)]);
}

static void reverse(struct held_run runs[], uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++)
        exchange(&runs[i], &runs[count - 1 - i]);
}

/* From the end down; up to 64 single frames side by side go as a batch. */
static void empty(struct worker *w, uint32_t z, uint32_t count, uint64_t bits)
{
    while (count > 0) {
        uint32_t n = 0;

        while (n < LOAD_BATCH && n < count && w->burst[count - 1 - n].frames == 1)
            n++;
        bits = random_scramble(bits + 1);
        if (n > 1) {
            call_free_batch(w, z, &w->burst[count - n], n);
        } else {
            n = 1;
            call_free(w, z, &w->burst[count - 1], bits);
        }
        count -= n;
    }
}

void zone_burst(struct worker *w, const struct operation *op)
{
    struct burst burst = plan(w, op);
    unsigned direction = (unsigned)(op->b >> 2) & 3;

    fill(w, &burst);
    if (direction == 0)
        reverse(w->burst, burst.count);
    else if (direction > 1)
        shuffle(w->burst, burst.count, op->b);
    empty(w, op->request.list, burst.count, op->b);
}
