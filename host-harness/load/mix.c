/* SPDX-License-Identifier: MIT
 *
 * mix.c - the tables of mix.h, and drawing from them.
 */
#include "mix.h"

#include "random.h"

const struct mix_kind_row mix_kinds[MIX_KINDS] = {
    [MIX_ALLOC] = {"allocate a run", 370},
    [MIX_FREE] = {"free a run", 350},
    [MIX_ALLOC_BATCH] = {"allocate a batch of 64", 30},
    [MIX_FREE_BATCH] = {"free a batch of 64", 30},
    [MIX_ALLOC_RUNS] = {"allocate up to 1024 frames in few runs", 15},
    [MIX_ALLOC_CONTIG] = {"allocate contiguous, constrained", 20},
    [MIX_PASS] = {"have another thread free a run", 100},
    [MIX_ALLOC_AT] = {"allocate at a given place", 20},
    [MIX_SHAPE] = {"split a run, join frames", 10},
    [MIX_RESERVE] = {"reserve and unreserve", 5},
    [MIX_BURST] = {"burst: fill, then empty", 20},
    [MIX_REFUSE] = {"a call that must be refused", 30},
};

const uint32_t mix_orders[RUN_ORDERS] = {
    92837, 3239, 1587, 1519, 422, 196, 98, 49, 24, 23, 6,
};

uint64_t mix_seed(uint64_t seed, uint32_t thread)
{
    return random_mix(seed ^ random_mix((uint64_t)thread + 1));
}

static enum mix_kind draw_kind(uint32_t bits)
{
    uint64_t at = random_below(bits, MIX_KIND_SUM);
    unsigned kind = 0;

    while (at >= mix_kinds[kind].weight)
        at -= mix_kinds[kind++].weight;
    return (enum mix_kind)kind;
}

unsigned mix_draw_order(uint32_t bits)
{
    uint64_t at = random_below(bits, MIX_ORDER_SUM);
    unsigned order = 0;

    while (at >= mix_orders[order])
        at -= mix_orders[order++];
    return order;
}

/* In the traces 95 to 98 % of the pages were movable; a quarter of unmovable ones lets the home
 * blocks of both kinds compete. The rarer flags come often enough to be met in a short run. */
static uint32_t draw_flags(uint32_t bits)
{
    uint32_t flags = (bits & 3) ? QUIRE_MOVABLE : QUIRE_UNMOVABLE;

    if ((bits >> 2 & 31) == 0)
        flags |= QUIRE_NO_CALLBACK;
    if ((bits >> 7 & 31) == 0)
        flags |= QUIRE_ZEROED;
    if ((bits >> 12 & 63) == 0)
        flags |= QUIRE_HIGH;
    if ((bits >> 18 & 255) == 0)
        flags |= QUIRE_EMERGENCY;
    return flags;
}

static uint32_t draw_zone(const struct run *run, uint32_t bits)
{
    uint64_t at = random_below(bits, run->weight_total);
    uint32_t z = 0;

    while (at >= run->zones[z].weight_end)
        z++;
    return z;
}

/* Is it this thread's turn to fill a zone? Threads take turns. */
static bool is_flood(uint32_t thread, uint64_t index)
{
    uint64_t turn = (uint64_t)(thread % 32 + 1) * MIX_FLOOD_FIRST;

    return index % MIX_FLOOD_PERIOD == turn % MIX_FLOOD_PERIOD;
}

struct operation mix_draw(struct worker *w, uint64_t index)
{
    uint64_t first = random_next(&w->random);
    uint64_t second = random_next(&w->random);
    struct operation op = {
        .kind = draw_kind((uint32_t)first),
        .order = mix_draw_order((uint32_t)(first >> 32)),
        .zone = draw_zone(w->run, (uint32_t)second),
        .flags = draw_flags((uint32_t)(second >> 32)),
        .a = random_next(&w->random),
        .b = random_next(&w->random),
    };

    if (is_flood(w->number, index)) {
        op.kind = MIX_BURST;
        op.flood = true;
    }
    op.flags |= w->run->zones[op.zone].movable;
    w->sequence = random_mix(w->sequence ^
                             random_mix(op.a ^ (uint64_t)op.kind << 56 ^ (uint64_t)op.order << 48 ^
                                        (uint64_t)op.zone << 32 ^ op.flags));
    return op;
}
