/* SPDX-License-Identifier: MIT
 *
 * work.c - a thread of `quire run`: carries out the operations that mix.c draws.
 *
 * State and invariants: see run.h and work.h. An operation that cannot be done (nothing to
 * free, no memory) is done with: the sequence goes on with the next one.
 */
#include "work.h"

#include "random.h"

enum {
    FRAMES_EXP = 11, /* contiguous runs are up to 2^11 frames */
    RUNS_EXP = 11,   /* exponents of alloc_runs are below this */
    PASS_FRAMES = 1024,
    RESERVE_FRAMES = 16,
    RESERVE_BLOCKS = 24,
};

static struct record take_out(struct bag *bag, uint32_t at)
{
    struct record record = bag->records[at];

    bag->records[at] = bag->records[--bag->count];
    bag->frames -= record.frames;
    return record;
}

void work_make_room(struct worker *w, uint32_t z, uint64_t frames, uint32_t records, uint64_t bits)
{
    struct bag *bag = &w->bags[z];

    while (bag->count > 0 &&
           (bag->count + records > RUN_BAG || bag->frames + frames > w->run->zones[z].budget)) {
        struct record record;

        bits = random_mix(bits + 1);
        record = take_out(bag, (uint32_t)random_below((uint32_t)bits, bag->count));
        call_free(w, z, &record, bits >> 32);
    }
}

void work_keep(struct worker *w, uint32_t z, const struct record *record)
{
    struct bag *bag = &w->bags[z];

    bag->records[bag->count++] = *record;
    bag->frames += record->frames;
}

static void do_alloc(struct worker *w, const struct operation *op)
{
    struct record record;

    work_make_room(w, op->zone, 1ULL << op->order, 1, op->a);
    if (call_alloc(w, op->zone, op->order, op->flags, &record))
        work_keep(w, op->zone, &record);
}

static void do_free(struct worker *w, const struct operation *op)
{
    struct bag *bag = &w->bags[op->zone];
    struct record record;

    if (bag->count == 0)
        return;
    record = take_out(bag, (uint32_t)random_below((uint32_t)op->a, bag->count));
    call_free(w, op->zone, &record, op->b);
}

static void do_alloc_batch(struct worker *w, const struct operation *op)
{
    struct record records[RUN_BATCH];
    uint32_t flags = op->flags | (op->a & 1 ? QUIRE_PARTIAL : 0);
    uint32_t got;

    work_make_room(w, op->zone, RUN_BATCH, RUN_BATCH, op->b);
    got = call_alloc_batch(w, op->zone, flags, records);
    for (uint32_t i = 0; i < got; i++)
        work_keep(w, op->zone, &records[i]);
}

/* Up to 64 single frames: neighbours in the bag, which often came together. */
static void do_free_batch(struct worker *w, const struct operation *op)
{
    struct bag *bag = &w->bags[op->zone];
    struct record records[RUN_BATCH];
    uint32_t n = 0;
    uint32_t at;

    if (bag->count == 0)
        return;
    at = (uint32_t)random_below((uint32_t)op->a, bag->count) + 1;
    while (at-- > 0 && n < RUN_BATCH) {
        if (bag->records[at].frames == 1)
            records[n++] = take_out(bag, at);
    }
    if (n > 0)
        call_free_batch(w, op->zone, records, n);
}

static void do_alloc_runs(struct worker *w, const struct operation *op)
{
    struct record records[CALLS_RUNS];
    uint64_t frames = 1 + (op->a >> 8) % (1ULL << (op->a & 255) % RUNS_EXP);
    uint32_t got;

    work_make_room(w, op->zone, frames, CALLS_RUNS, op->b);
    got = call_alloc_runs(w, op->zone, op->flags, frames, records);
    for (uint32_t i = 0; i < got; i++)
        work_keep(w, op->zone, &records[i]);
}

/* As devices ask: a third each without limits, below a limit, between two. */
static struct quire_contig draw_contig(const struct run_zone *zone, const struct operation *op)
{
    struct quire_contig want = {
        .frames = 1 + (op->a >> 8) % (1ULL << (op->a & 255) % (FRAMES_EXP + 1)),
    };
    unsigned shape = (unsigned)(op->b >> 8) & 3;
    unsigned limits = (unsigned)(op->b >> 10 & 255) % 3;
    uint64_t one = run_random_pfn(zone, op->b >> 18) << QUIRE_FRAME_SHIFT;
    uint64_t other = run_random_pfn(zone, random_mix(op->b)) << QUIRE_FRAME_SHIFT;
    unsigned width = 64u - (unsigned)__builtin_clzll(want.frames); /* 2^width > frames */

    if (shape & 1)
        want.align = (uint64_t)QUIRE_FRAME_SIZE << (op->b & 15) % 11;
    if (shape & 2)
        want.boundary = (uint64_t)QUIRE_FRAME_SIZE << (width + (op->b >> 4 & 3));
    if (limits > 0)
        want.high = (one > other ? one : other) | (QUIRE_FRAME_SIZE - 1);
    if (limits > 1)
        want.low = one > other ? other : one;
    return want;
}

static void do_alloc_contig(struct worker *w, const struct operation *op)
{
    struct quire_contig want = draw_contig(&w->run->zones[op->zone], op);
    struct record record;

    work_make_room(w, op->zone, want.frames, 1, op->b);
    if (call_alloc_contig(w, op->zone, &want, op->flags, &record))
        work_keep(w, op->zone, &record);
}

static void do_pass(struct worker *w, const struct operation *op)
{
    struct bag *bag = &w->bags[op->zone];
    struct board_run given = {0};
    struct board_run got;

    if (bag->count > 0) {
        uint32_t at = (uint32_t)random_below((uint32_t)op->a, bag->count);

        if (bag->records[at].frames <= PASS_FRAMES) {
            struct record record = take_out(bag, at);

            given = (struct board_run){record.pfn, record.frames, record.contig};
        }
    }
    got = board_exchange(&w->run->board, (op->a >> 32) % w->run->board.count, given);
    if (got.frames > 0) {
        struct record record = {got.pfn, got.frames, 0, got.contig};
        struct simulated_zone *zone = machine_zone_of(&w->run->machine, quire_pfn_of(got.pfn));

        call_free(w, (uint32_t)(zone - w->run->machine.zones), &record, op->b);
    }
}

static void do_alloc_at(struct worker *w, const struct operation *op)
{
    uint64_t pfn = run_random_pfn(&w->run->zones[op->zone], op->a);
    struct record record;

    work_make_room(w, op->zone, 1ULL << op->order, 1, op->b);
    if (call_alloc_at(w, op->zone, pfn >> op->order << op->order, op->order,
                      op->flags & ~(uint32_t)QUIRE_MOVABLE, &record))
        work_keep(w, op->zone, &record);
}

/* Half of the runs are of order 9, and half of those are joined again. */
static void do_shape(struct worker *w, const struct operation *op)
{
    unsigned order = op->a & 1 ? 9 : 1 + (unsigned)(op->a >> 1 & 255) % 8;
    struct record record;

    work_make_room(w, op->zone, 1ULL << order, 1u << order, op->b);
    if (!call_alloc(w, op->zone, order, op->flags, &record))
        return;
    call_split(w, op->zone, &record);
    if (order == 9 && op->a & 2) {
        call_join(w, op->zone, &record);
        work_keep(w, op->zone, &record);
        return;
    }
    for (uint32_t i = 0; i < 1u << order; i++) {
        struct record single = {record.pfn + i, 1, record.tag, false};

        work_keep(w, op->zone, &single);
    }
}

/* Always in the same few blocks, at drawn places: a block that had a part reserved keeps one of
 * the zone's 64 spare pins for good. A range may reach into the next block. */
static void do_reserve(struct worker *w, const struct operation *op)
{
    uint64_t block = random_mix(op->a % RESERVE_BLOCKS + 1);
    uint64_t pfn = run_random_pfn(&w->run->zones[op->zone], block);

    pfn = (pfn & ~511ull) + (op->a >> 8 & 511);
    call_reserve(w, op->zone, pfn, 1 + op->b % RESERVE_FRAMES);
}

static void (*const doers[MIX_KINDS])(struct worker *w, const struct operation *op) = {
    [MIX_ALLOC] = do_alloc,
    [MIX_FREE] = do_free,
    [MIX_ALLOC_BATCH] = do_alloc_batch,
    [MIX_FREE_BATCH] = do_free_batch,
    [MIX_ALLOC_RUNS] = do_alloc_runs,
    [MIX_ALLOC_CONTIG] = do_alloc_contig,
    [MIX_PASS] = do_pass,
    [MIX_ALLOC_AT] = do_alloc_at,
    [MIX_SHAPE] = do_shape,
    [MIX_RESERVE] = do_reserve,
    [MIX_BURST] = work_burst,
    [MIX_REFUSE] = work_refuse,
};

void *work_main(void *argument)
{
    struct worker *w = argument;
    struct run *run = w->run;
    uint64_t limit = run->options.operations ? run->options.operations : UINT64_MAX;
    uint64_t done = 0;

    pthread_mutex_lock(&run->gate);
    pthread_mutex_unlock(&run->gate);
    /* relaxed: a thread that sees the stop late ends one operation later */
    while (done < limit && !qa_load(&run->stop, relaxed)) {
        struct operation op = mix_draw(w, done++);

        doers[op.kind](w, &op);
        /* relaxed: for the progress line only */
        qa_store(&w->operations, done, relaxed);
        qa_store(&w->published_calls, w->calls, relaxed); /* relaxed: as above */
    }
    qa_add(&run->finished, 1, relaxed); /* relaxed: the main thread joins before it reads */
    return w;
}
