/* SPDX-License-Identifier: MIT
 *
 * moves.c - how many frames are moved for a whole block, beside a zone that places by first fit.
 *
 * A machine of 2 GiB, or more, and a model of the classic policy (the lowest free place, no
 * recycling) get the same load: nine of ten requests for a frame, the others for runs of order 1 to
 * 3; one in twenty unmovable; lifetimes short, long, and of generations that end together; now and
 * then memory is nearly full. After that both are to have nine tenths of the whole blocks that
 * their free frames could make, by moves:
 *
 *   quire     quire_machine_compact
 *   cheapest  the model; the blocks with the fewest used frames first, as Quire's planner
 *   scanners  the model; block by block from below, into the highest free places, until they meet
 *
 * In the model unmovable runs are placed from the top, apart from the others; a block with one is
 * known at once; and the new places of runs are counted as if any frames would do: all of this to
 * its advantage. Quire is to need at most a fourth of the moves of the scanners, and a tenth, or
 * those of a block more, where memory was never nearly full.
 *
 *   numa_compact_moves [TICKS [SEED [GIBIBYTES [LIFETIMES [FULL_UNTIL [FILL]]]]]]
 *
 * LIFETIMES: mixed, as said above, or short, long or generational alone. FULL_UNTIL: memory is
 * nearly full for the last time before this tick; 0: never.
 */
#include "stress/common/random.h"
#include "stress/numa/compact/books.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GIBIBYTES = 2,
    GIB_FRAMES = 1 << 18,
    RING = 2048, /* ticks that a lifetime has at most */
    GENERATION = 64,
    FULL = 98, /* per cent in use now and then, as a cache of files has it */
    FULL_EVERY = 50,
    FULL_UNTIL = 200,         /* ticks */
    GOAL = 90,                /* per cent of the whole blocks that could be */
    SCANNERS_AT_LEAST = 4,    /* times the moves of quire */
    SCANNERS_NEVER_FULL = 10, /* the same where memory was never nearly full */
};

static struct rig rig;
static struct books books;
static uint64_t random_state, tick, used;
static uint64_t frames;     /* of the zone */
static uint64_t full_until; /* a tick */
static const char *lives;   /* LIFETIMES */
static uint32_t due[RING];  /* the first place that ends in a tick */
static uint32_t *next_due;  /* of a place: the next one of its tick, or of the empty ones */
static uint32_t empty;      /* the first empty place */

static void *zeroed(size_t n, size_t bytes)
{
    void *p = calloc(n, bytes);

    if (!p)
        die("no heap for %zu times %zu bytes", n, bytes);
    return p;
}

/* ---- The classic zone ------------------------------------------------------------------------ */

static struct {
    uint64_t *map;
    uint64_t lowest[4];  /* no run of the order is free below this frame */
    uint64_t highest[4]; /* and none above this one */
    uint32_t *at;        /* of a place */
    uint8_t *stays;      /* the frame is unmovable */
} classic;

static bool classic_is_free(uint64_t frame, unsigned order)
{
    uint64_t mask = (2ull << ((1u << order) - 1)) - 1;

    return !(classic.map[frame / 64] >> frame % 64 & mask);
}

static void classic_set(uint64_t frame, unsigned order, bool taken, bool stays)
{
    for (uint64_t i = frame; i < frame + (1u << order); i++) {
        classic.map[i / 64] = (classic.map[i / 64] & ~(1ull << i % 64)) | (uint64_t)taken << i % 64;
        classic.stays[i] = stays;
    }
}

static bool classic_alloc(uint32_t place, unsigned order, bool movable)
{
    uint64_t frame = movable ? classic.lowest[order] : classic.highest[order];

    if (movable) {
        while (frame < frames && !classic_is_free(frame, order))
            frame += classic.map[frame / 64] == UINT64_MAX ? 64 - frame % 64 : 1u << order;
        classic.lowest[order] = frame;
    } else {
        while (frame < frames && !classic_is_free(frame, order))
            frame -=
                classic.map[frame / 64] == UINT64_MAX ? frame % 64 + (1u << order) : 1u << order;
        classic.highest[order] = frame;
    }
    if (frame >= frames)
        return false;
    classic_set(frame, order, true, !movable);
    classic.at[place] = (uint32_t)frame;
    return true;
}

static void classic_free(uint32_t place, unsigned order)
{
    uint64_t frame = classic.at[place];

    classic_set(frame, order, false, false);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t start = frame & ~((1ull << i) - 1);

        if (start < classic.lowest[i])
            classic.lowest[i] = start;
        if (start > classic.highest[i] || classic.highest[i] >= frames)
            classic.highest[i] = start;
    }
}

static unsigned classic_used(uint32_t block, bool *stays)
{
    unsigned n = 0;

    *stays = false;
    for (uint32_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
        n += (unsigned)(classic.map[i / 64] >> i % 64 & 1);
        *stays |= classic.stays[i];
    }
    return n;
}

static uint64_t classic_whole(void)
{
    uint64_t n = 0;
    bool stays;

    for (uint32_t b = 0; b < frames / BLOCK; b++)
        n += classic_used(b, &stays) == 0;
    return n;
}

/* ---- The load -------------------------------------------------------------------------------- */

static uint64_t lifetime(void)
{
    uint64_t kind = lives[0] == 'm'   ? random_below(&random_state, 10)
                    : lives[0] == 's' ? 0
                    : lives[0] == 'l' ? 5
                                      : 7;

    if (kind < 5)
        return 1 + random_below(&random_state, 8);
    if (kind < 7)
        return 200 + random_below(&random_state, RING - 201);
    return GENERATION - tick % GENERATION + GENERATION * (1 + random_below(&random_state, 3));
}

static void allocate_until(uint64_t goal)
{
    while (used < goal) {
        unsigned order =
            random_below(&random_state, 10) ? 0 : 1 + (unsigned)random_below(&random_state, 3);
        bool movable = random_below(&random_state, 20);
        uint32_t place = empty, *list = &due[(tick + lifetime()) % RING];

        empty = next_due[place];
        rig_cpu = (uint32_t)random_below(&random_state, 2);
        if (!classic_alloc(place, order, movable))
            die("the model has no run of order %u", order);
        must(books_alloc(&books, place, order, movable ? QUIRE_MOVABLE : 0), "alloc");
        next_due[place] = *list;
        *list = place;
        used += 1u << order;
    }
}

static void free_due(void)
{
    uint32_t place = due[tick % RING];

    due[tick % RING] = 0;
    while (place) {
        uint32_t next = next_due[place];
        unsigned order = books.runs[place].order;

        classic_free(place, order);
        rig_cpu = (uint32_t)random_below(&random_state, 2);
        books_free(&books, place);
        used -= 1u << order;
        next_due[place] = empty;
        empty = place;
        place = next;
    }
}

/* ---- Compaction ------------------------------------------------------------------------------ */

struct outcome {
    uint64_t before, after, moves;
};

static void tell(const char *who, const struct outcome *o)
{
    uint64_t most = (frames - used) / BLOCK, won = o->after - o->before;

    printf("  %-9s %4" PRIu64 " of %" PRIu64 " whole before, %4" PRIu64 " after %6" PRIu64
           " moves: %.1f a block\n",
           who, o->before, most, o->after, o->moves, won ? (double)o->moves / (double)won : 0.0);
}

static uint64_t quire_whole(void)
{
    struct quire_zone_stats s;

    must(quire_machine_drain(rig.machine), "drain");
    must(quire_zone_stats(&rig.zones[0].zone, &s), "stats");
    return s.whole_free_blocks;
}

static struct outcome compact_quire(uint64_t goal)
{
    struct outcome o = {.before = quire_whole()};
    struct quire_compacted done = {.won = 1};

    for (o.after = o.before; o.after < goal && done.won; o.after = quire_whole()) {
        uint64_t n = goal - o.after;
        struct quire_compact want = {.order = 9,
                                     .count = (uint32_t)(n < 64                            ? n
                                                         : frames > GIBIBYTES * GIB_FRAMES ? 256
                                                                                           : 64),
                                     .budget = UINT64_MAX,
                                     .mover = &books.mover};

        must(quire_machine_compact(rig.machine, &want, &done), "compact");
        o.moves += done.moves;
    }
    return o;
}

static int by_cost(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

/* The cheapest first; all that has a place is as good as another. */
static struct outcome compact_cheapest(uint64_t goal)
{
    unsigned *cost = zeroed(frames / BLOCK, sizeof *cost);
    struct outcome o = {.before = classic_whole()};
    size_t n = 0;

    for (uint32_t b = 0; b < frames / BLOCK; b++) {
        bool stays;
        unsigned in_use = classic_used(b, &stays);

        if (in_use && !stays)
            cost[n++] = in_use;
    }
    qsort(cost, n, sizeof cost[0], by_cost);
    o.after = o.before;
    for (size_t i = 0; i < n && o.after < goal; i++, o.after++)
        o.moves += cost[i];
    free(cost);
    return o;
}

/* Block by block from below, into the free frames of the highest blocks. */
static struct outcome compact_scanners(uint64_t goal)
{
    struct outcome o = {.before = classic_whole()};
    uint32_t low = 0, high = (uint32_t)(frames / BLOCK) - 1;
    uint64_t room = 0;
    bool stays;

    o.after = o.before;
    for (; low < high && o.after < goal; low++) {
        unsigned in_use = classic_used(low, &stays);

        if (in_use == 0 || stays)
            continue;
        while (room < in_use && high > low) {
            unsigned there = classic_used(high--, &stays);

            o.after -= there == 0; /* it is broken into */
            room += BLOCK - there;
        }
        if (room < in_use)
            break;
        room -= in_use;
        o.moves += in_use;
        o.after++;
    }
    return o;
}

/* ---- A run ----------------------------------------------------------------------------------- */

static void begin(void)
{
    memset(&classic, 0, sizeof classic);
    classic.map = zeroed(frames / 64, sizeof *classic.map);
    classic.at = zeroed(frames, sizeof *classic.at);
    classic.stays = zeroed(frames, sizeof *classic.stays);
    for (unsigned i = 0; i < 4; i++)
        classic.highest[i] = frames - (1u << i);
    memset(due, 0, sizeof due);
    next_due = zeroed(frames, sizeof *next_due);
    rig_begin(&rig, 1, 2);
    (void)rig_zone(&rig, 0, QUIRE_ZONE_NORMAL, 0, frames);
    books_open(&books, &rig, frames, (uint32_t)frames);
    rig_open(&rig);
    used = 0;
    for (uint32_t i = 1; i < frames; i++)
        next_due[i] = i + 1 < frames ? i + 1 : 0;
    empty = 1;
}

static void end(void)
{
    books_check(&books);
    rig_check(&rig, used);
    books_close(&books);
    rig_close(&rig);
    free(classic.map);
    free(classic.at);
    free(classic.stays);
    free(next_due);
}

/* As many moves as quire may need. */
static uint64_t most_moves(uint64_t scanners)
{
    return full_until ? scanners / SCANNERS_AT_LEAST : scanners / SCANNERS_NEVER_FULL + BLOCK;
}

static void run(unsigned fill, uint64_t ticks)
{
    uint64_t target = frames * fill / 100, goal;
    struct outcome quire, cheapest, scanners;

    begin();
    for (tick = 0; tick < ticks; tick++) {
        free_due();
        allocate_until(tick < full_until && tick % FULL_EVERY == 0 ? frames * FULL / 100 : target);
    }
    goal = (frames - used) / BLOCK * GOAL / 100;
    quire = compact_quire(goal);
    cheapest = compact_cheapest(goal);
    scanners = compact_scanners(goal);
    printf("%u %% full, goal %" PRIu64 " whole blocks\n", fill, goal);
    tell("quire", &quire);
    tell("cheapest", &cheapest);
    tell("scanners", &scanners);
    if (lives[0] == 'm' && quire.moves > most_moves(scanners.moves))
        die("%" PRIu64 " moves, the scanners need %" PRIu64, quire.moves, scanners.moves);
    end();
}

int main(int argc, char **argv)
{
    uint64_t ticks = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000;

    random_state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    frames = (argc > 3 ? strtoull(argv[3], NULL, 0) : GIBIBYTES) * GIB_FRAMES;
    lives = argc > 4 ? argv[4] : "mixed";
    full_until = argc > 5 ? strtoull(argv[5], NULL, 0) : FULL_UNTIL;
    if (argc > 6) {
        run((unsigned)strtoul(argv[6], NULL, 0), ticks);
        return 0;
    }
    run(70, ticks);
    run(90, ticks);
    return 0;
}
