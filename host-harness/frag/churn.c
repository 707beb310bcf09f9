/* SPDX-License-Identifier: MIT
 *
 * churn.c - the load: the zone is filled with runs of mixed orders, aged, and compacted.
 *
 * An order is drawn so that each takes the same share of the frames. A lifetime is drawn with the
 * request; of what fills the zone at first some of it is over, as if the load had run for long. A
 * request names the zone's node and purpose alone; what it is given of another zone all the same
 * goes back, and counts as a refusal. The mover knows the load's runs by their first frames: a
 * movable one moves by being found elsewhere from then on.
 *
 * State and invariants: frag.h (FD1, FD2). Main thread; the mover is called by it, too.
 */
#include "frag.h"

#include "host-harness/cli/cli.h"
#include "host-harness/load/random.h"

#include <stdlib.h>
#include <string.h>

enum {
    REFUSALS_IN_A_ROW = 64, /* after so many the zone counts as full */
    GENERATION = 64,        /* rounds */
    SHORT_MOST = 8,
    LONG_LEAST = 200,
};

static uint32_t *held_of(struct frag *f, uint64_t pfn)
{
    return &f->held[pfn - f->first];
}

static uint64_t draw_below(struct frag *f, uint64_t limit)
{
    return random_below((uint32_t)(random_next(&f->random) >> 32), limit);
}

/* An order of those wanted: each takes the same share of the frames. */
static unsigned draw_order(struct frag *f)
{
    unsigned low = f->options.low, high = f->options.high;
    uint64_t parts = (UINT64_C(2) << (high - low)) - 1, drawn = draw_below(f, parts);
    unsigned order = low;

    for (uint64_t part = UINT64_C(1) << (high - low); drawn >= part; part >>= 1) {
        drawn -= part;
        order++;
    }
    return order;
}

/* How many rounds a run that is asked for now lives. */
static uint64_t draw_lifetime(struct frag *f)
{
    enum frag_lifetimes kind = f->options.lifetimes;
    uint64_t rounds;

    if (kind == LIVES_MIXED) {
        uint64_t drawn = draw_below(f, 10);

        kind = drawn < 5 ? LIVES_SHORT : drawn < 7 ? LIVES_LONG : LIVES_GENERATIONAL;
    }
    if (kind == LIVES_GENERATIONAL)
        return GENERATION - f->round % GENERATION + GENERATION * (1 + draw_below(f, 3)) -
               (f->round == 0 ? GENERATION * draw_below(f, 2) : 0);
    rounds = kind == LIVES_SHORT ? 1 + draw_below(f, SHORT_MOST)
                                 : LONG_LEAST + draw_below(f, FRAG_RING - LONG_LEAST);
    return f->round == 0 ? 1 + draw_below(f, rounds) : rounds;
}

static bool keep(struct frag *f, struct frag_run run)
{
    if (f->run_count == f->run_room) {
        size_t room = f->run_room ? 2 * f->run_room : 4096;
        struct frag_run *more = realloc(f->runs, room * sizeof(*more));

        if (!more)
            return false;
        f->runs = more;
        f->run_room = room;
    }
    if (f->options.lifetimes != LIVES_UNIFORM) {
        uint32_t *due = &f->due[(f->round + draw_lifetime(f)) % FRAG_RING];

        run.next = *due;
        *due = (uint32_t)(run.pfn - f->first) + 1;
    }
    f->runs[f->run_count++] = run;
    *held_of(f, run.pfn) = (uint32_t)f->run_count;
    f->held_frames += UINT64_C(1) << run.order;
    return true;
}

/* One more run. False: refused. */
static bool take_one(struct frag *f)
{
    const struct quire_policy policy = {.mode = QUIRE_POLICY_BIND,
                                        .nodes = quire_nodemask_of(quire_node_of(f->zone->node))};
    struct frag_run run = {.order = (uint8_t)draw_order(f),
                           .movable = draw_below(f, 100) >= f->options.unmovable};
    struct quire_request request =
        quire_request_of(run.order, run.movable ? (uint32_t)QUIRE_MOVABLE : 0);
    quire_pfn pfn;

    request.purpose = quire_purpose_of(f->zone->type);
    request.policy = &policy;
    if (quire_machine_request(f->quire, &request, &pfn, NULL)) {
        f->refusals++;
        return false;
    }
    run.pfn = pfn.n;
    if (simulated_zone_of(&f->machine, pfn) != f->zone || !keep(f, run)) {
        (void)quire_machine_free(f->quire, pfn, run.order);
        f->refusals++;
        return false;
    }
    return true;
}

static void free_one(struct frag *f, size_t i)
{
    struct frag_run run = f->runs[i], last = f->runs[f->run_count - 1];

    (void)quire_machine_free(f->quire, quire_pfn_of(run.pfn), run.order);
    f->runs[i] = last;
    *held_of(f, last.pfn) = (uint32_t)i + 1;
    *held_of(f, run.pfn) = 0;
    f->run_count--;
    f->held_frames -= UINT64_C(1) << run.order;
}

static void fill(struct frag *f, uint64_t frames)
{
    unsigned refused = 0;

    while (f->held_frames < frames && refused < REFUSALS_IN_A_ROW)
        refused = take_one(f) ? 0 : refused + 1;
}

/* Free what is over in this round. */
static void end_lives(struct frag *f)
{
    uint32_t *due = &f->due[f->round % FRAG_RING];

    if (f->options.lifetimes == LIVES_UNIFORM) {
        for (size_t i = 0, n = f->run_count / 10; i < n; i++)
            free_one(f, draw_below(f, f->run_count));
        return;
    }
    while (*due) {
        size_t i = *held_of(f, f->first + *due - 1) - 1;

        *due = f->runs[i].next;
        free_one(f, i);
    }
}

int frag_churn(struct frag *f)
{
    uint64_t frames = quire_zone_managed(&f->zone->zone) * f->options.fill / 100;
    uint64_t peak = quire_zone_managed(&f->zone->zone) * f->options.peak / 100;

    f->held = simulated_pages(f->frames * sizeof(*f->held));
    if (!f->held) {
        cli_fail("frag", "no memory for the books of %zu MiB: expected less --memory",
                 (size_t)(f->frames * sizeof(*f->held) >> 20));
        return CLI_FAILED;
    }
    f->random = f->options.seed;
    fill(f, frames);
    for (f->round = 1; f->round <= f->options.rounds; f->round++) {
        end_lives(f);
        fill(f, f->round % FRAG_PEAKS == 0 && 2 * f->round <= f->options.rounds && peak > frames
                    ? peak
                    : frames);
        (void)quire_machine_maintain(f->quire);
    }
    return CLI_OK;
}

/* ---- Compaction ------------------------------------------------------------------------------ */

static enum quire_move_answer may_move(void *ctx, quire_pfn pfn, unsigned order)
{
    struct frag *f = ctx;
    uint32_t i;

    if (pfn.n < f->first || pfn.n - f->first >= f->frames)
        return QUIRE_MOVE_NEVER;
    i = *held_of(f, pfn.n);
    if (i == 0 || f->runs[i - 1].order != order || !f->runs[i - 1].movable)
        return QUIRE_MOVE_NEVER;
    return QUIRE_MOVED;
}

static enum quire_move_answer move(void *ctx, quire_pfn from, quire_pfn to, unsigned order)
{
    struct frag *f = ctx;
    enum quire_move_answer answer = may_move(ctx, from, order);

    if (answer != QUIRE_MOVED)
        return answer;
    if (to.n < f->first || to.n - f->first >= f->frames)
        return QUIRE_MOVE_LATER; /* the run would leave the zone that is drawn */
    f->runs[*held_of(f, from.n) - 1].pfn = to.n;
    *held_of(f, to.n) = *held_of(f, from.n);
    *held_of(f, from.n) = 0;
    return QUIRE_MOVED;
}

int frag_compact(struct frag *f)
{
    const struct quire_mover mover = {.ctx = f, .may_move = may_move, .move = move};
    struct quire_compact want = {.node = quire_node_of(f->zone->node),
                                 .order = f->options.range,
                                 .budget = UINT64_MAX,
                                 .mover = &mover};
    struct quire_compacted done = {.won = 1};
    int result = QUIRE_OK;

    while (f->won < f->options.compact && done.won && !result) {
        uint64_t left = f->options.compact - f->won;

        want.count = left < QUIRE_COMPACT_RANGES ? (uint32_t)left : (uint32_t)QUIRE_COMPACT_RANGES;
        result = quire_machine_compact(f->quire, &want, &done);
        if (!result) {
            f->won += done.won;
            f->moves += done.moves;
            f->blockers = done.blockers;
        }
    }
    if (!result)
        return CLI_OK;
    cli_fail("frag", "the zone cannot be compacted: %s", quire_strerror(result));
    return CLI_FAILED;
}
