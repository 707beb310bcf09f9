/* SPDX-License-Identifier: MIT
 *
 * property.c - random loads and compactions by one caller, against the books:
 *
 *   a dry run moves nothing, and plans what is done next
 *   what a range of a plan costs is what the books have there
 *   a range that is cheaper than one of the plan, and not in it, is named with its obstacle
 *   the budget is kept, and all that is moved is paid for
 *   whole blocks grow by what was won; nothing else is free or used than before
 *   a move that is refused, or comes too late, changes nothing
 *
 *   numa_compact_property [ROUNDS [SEED]]
 */
#include "stress/common/random.h"
#include "stress/numa/compact/books.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKERS = 4096, STEPS = 24, MOST_BLOCKS = 160, PLACES = 12000 };

static struct rig rig;
static struct books books;
static uint64_t random_state;
static struct quire_compact_range plan[QUIRE_COMPACT_RANGES], deed[QUIRE_COMPACT_RANGES];
static struct quire_compact_blocker obstacles[BLOCKERS];
static uint64_t disturbed; /* calls of the disturbance below */

static uint64_t below(uint64_t bound)
{
    return random_below(&random_state, bound);
}

static uint32_t some_place(void)
{
    return 1 + (uint32_t)below(PLACES - 1);
}

static void alloc_some(uint64_t n)
{
    unsigned top = below(3) ? 0 : (unsigned)below(9);

    while (n-- > 0) {
        uint32_t place = some_place();
        unsigned order = below(200) ? (unsigned)below(top + 1) : 9;

        if (atomic_load(&books.runs[place].state) == BOOKS_FREE)
            (void)books_alloc(&books, place, order, below(20) ? QUIRE_MOVABLE : 0);
    }
}

static void free_some(uint64_t n)
{
    while (n-- > 0)
        (void)books_try_free(&books, some_place());
}

/* Now and then the owner of a run, or somebody else, does something while a range is emptied. */
static void disturb(struct books *b, uint64_t pfn)
{
    if (below(8))
        return;
    disturbed++;
    if (below(2))
        (void)books_try_free(b, books_place(b, pfn));
    else if (below(2))
        free_some(5);
    else
        alloc_some(below(50) ? 5 : 2000);
}

static void change_answers(uint64_t n)
{
    while (n-- > 0) {
        struct books_run *run = &books.runs[some_place()];

        if (run->flags & QUIRE_MOVABLE)
            run->answer = below(2) ? QUIRE_MOVED : (enum quire_move_answer)below(3);
    }
}

static uint64_t used_in(uint64_t pfn, uint64_t frames)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < frames; i++)
        n += books_place(&books, pfn + i) != 0;
    return n;
}

static uint64_t whole_blocks(void)
{
    struct quire_zone_stats s;
    uint64_t n = 0;

    for (uint32_t i = 0; i < rig.zone_count; i++) {
        must(quire_zone_stats(&rig.zones[i].zone, &s), "zone_stats");
        if (s.isolated_blocks)
            die("%" PRIu64 " blocks are isolated still", s.isolated_blocks);
        n += s.whole_free_blocks;
    }
    return n;
}

static bool is_planned(uint64_t pfn, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (plan[i].pfn.n == pfn)
            return true;
    return false;
}

static bool is_named(uint64_t pfn, uint64_t n)
{
    for (uint64_t i = 0; i < n && i < BLOCKERS; i++)
        if (obstacles[i].pfn.n / BLOCK == pfn / BLOCK)
            return true;
    return false;
}

/* The plan, order 9, against what the books know of each block of the first zone. */
static void check_plan(const struct quire_compacted *dry)
{
    uint64_t end = books.base + rig.zones[0].run.frames, dearest = 0;

    for (uint32_t i = 0; i < dry->planned; i++)
        if (plan[i].pfn.n < end && plan[i].cost > dearest)
            dearest = plan[i].cost;
    for (uint64_t pfn = books.base; pfn < end; pfn += BLOCK) {
        uint64_t used = used_in(pfn, BLOCK);

        if (used > 0 && used < dearest && !is_planned(pfn, dry->planned) &&
            !is_named(pfn, dry->blockers))
            die("block 0x%" PRIx64 " has %" PRIu64 " frames in use and is not in a plan of up to "
                "%" PRIu64,
                pfn, used, dearest);
    }
}

static void check_costs(const struct quire_compact *want, const struct quire_compacted *dry)
{
    uint64_t cost = 0;

    if (dry->planned > want->count || dry->cost > want->budget || dry->won || dry->moves)
        die("a dry run plans too much, or did it");
    for (uint32_t i = 0; i < dry->planned; i++) {
        uint64_t used = used_in(plan[i].pfn.n, 1ull << want->order);

        if (plan[i].cost != used)
            die("range 0x%" PRIx64 " costs %" PRIu64 " and has %" PRIu64 " in use", plan[i].pfn.n,
                plan[i].cost, used);
        cost += used;
    }
    if (cost != dry->cost)
        die("the ranges cost %" PRIu64 ", the plan says %" PRIu64, cost, dry->cost);
}

/* One compaction, first dry. */
static void compact(void)
{
    struct quire_compact want = {.order = 9 + (unsigned)(below(3) ? 0 : below(3)),
                                 .count = 1 + (uint32_t)below(40),
                                 .budget = below(2) ? UINT64_MAX : below(3000),
                                 .dry = true,
                                 .mover = &books.mover,
                                 .ranges = plan,
                                 .range_room = QUIRE_COMPACT_RANGES,
                                 .blockers = obstacles,
                                 .blocker_room = BLOCKERS};
    struct quire_compacted dry, wet;
    uint64_t used, whole, moved = books.moved;
    bool quiet = below(3);

    must(quire_machine_drain(rig.machine), "drain");
    must(quire_machine_compact(rig.machine, &want, &dry), "compact");
    check_costs(&want, &dry);
    if (want.order == 9)
        check_plan(&dry);
    used = books_used(&books);
    whole = whole_blocks();
    want.dry = false;
    want.ranges = deed;
    books.before_move = quiet ? NULL : disturb;
    must(quire_machine_compact(rig.machine, &want, &wet), "compact");
    books.before_move = NULL;
    if ((quiet || rig.zone_count == 1) && /* else the second zone may have changed */
        (wet.planned != dry.planned || wet.cost != dry.cost ||
         memcmp(plan, deed, dry.planned * sizeof plan[0]) != 0))
        die("the dry run planned something else");
    if (wet.moves != books.moved - moved || wet.moves > wet.cost)
        die("%" PRIu64 " moves are told, %" PRIu64 " were made, %" PRIu64 " planned", wet.moves,
            books.moved - moved, wet.cost);
    if (!quiet)
        return;
    if (wet.won < wet.planned && wet.blockers == dry.blockers)
        die("%" PRIu32 " of %" PRIu32 " ranges were won, and no obstacle is named", wet.won,
            wet.planned);
    if (wet.won == wet.planned && wet.moves != wet.cost)
        die("all was done, and for another price");
    must(quire_machine_drain(rig.machine), "drain");
    if (books_used(&books) != used || (want.order == 9 && whole_blocks() < whole + wet.won))
        die("%" PRIu32 " ranges were won, but whole blocks went from %" PRIu64 " to %" PRIu64,
            wet.won, whole, whole_blocks());
}

static void run_round(uint64_t seed)
{
    uint64_t blocks = 16 + (random_state = seed, below(MOST_BLOCKS - 16)), more = below(2) ? 4 : 0;

    printf("seed 0x%" PRIx64 "\n", seed);
    rig_begin(&rig, 1, 2);
    if (more)
        (void)rig_zone(&rig, 0, QUIRE_ZONE_NORMAL, 0, blocks * BLOCK);
    (void)rig_zone(&rig, 0, more ? QUIRE_ZONE_DMA32 : QUIRE_ZONE_NORMAL, more ? blocks * BLOCK : 0,
                   more ? more * BLOCK : blocks * BLOCK);
    books_open(&books, &rig, (blocks + more) * BLOCK, PLACES);
    rig.config.port.mover = below(2) ? &books.mover : NULL;
    if (below(2))
        books.mover.may_move = NULL;
    rig_open(&rig);
    for (unsigned step = 0; step < STEPS; step++) {
        rig_cpu = (uint32_t)below(2);
        alloc_some(below(4000));
        change_answers(below(30));
        free_some(below(4000));
        compact();
        books_check(&books);
        must(quire_machine_drain(rig.machine), "drain");
        rig_check(&rig, books_used(&books));
    }
    books_close(&books);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 10;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (uint64_t i = 0; i < rounds; i++)
        run_round(seed + i);
    printf("%" PRIu64 " disturbances\n", disturbed);
    return 0;
}
