/* SPDX-License-Identifier: MIT
 *
 * op_draw.c - draws operations. Plain random numbers would hardly ever fill a zone, empty it, or
 * meet the edge of a word or a block; so kinds are weighted by a mood that changes now and then,
 * and lengths and places prefer the edges. See op.h.
 */
#include "op.h"
#include "stress/common/random.h"
#include "stress/common/sizes.h"

#include <quire/zone.h>

enum {
    WORD = 64,
    MOOD_LASTS = 80, /* operations, on average */
};

static uint64_t below(struct source *s, uint64_t bound)
{
    return s->below(s, bound);
}

static uint64_t drawn_below(struct source *source, uint64_t bound)
{
    return random_below(&((struct random_source *)source)->state, bound);
}

void random_open(struct random_source *r, uint64_t seed)
{
    *r = (struct random_source){.source = {.below = drawn_below}, .state = seed};
}

/* ---- Arguments --------------------------------------------------------------------------- */

static uint64_t draw_order(struct source *s)
{
    switch (below(s, 8)) {
    case 0:
        return below(s, QUIRE_MAX_ORDER + 2);
    case 1:
        return 7 + below(s, 3);
    case 2:
    case 3:
        return below(s, 10);
    case 4:
        return below(s, 7);
    default:
        return 0;
    }
}

static uint64_t draw_frames(struct source *s, const struct op_limits *limits)
{
    static const uint16_t edges[] = {1, 2, 3, 31, 63, 64, 65, 128, 511, 512, 513, 1024, 1025};
    switch (below(s, 8)) {
    case 0:
        return below(s, limits->frames + 2);
    case 1:
    case 2:
        return 1 + below(s, BLOCK * 3);
    case 3:
        return 1 + below(s, WORD * 3);
    case 4:
        return 1 + below(s, 4);
    default:
        return edges[below(s, sizeof edges / sizeof edges[0])];
    }
}

/* A place that is a multiple of some power of two as often as not; rarely out of the zone. */
static uint64_t draw_place(struct source *s, const struct op_limits *limits)
{
    uint64_t place = below(s, limits->frames + (below(s, 32) == 0 ? BLOCK : 0));
    return below(s, 2) == 0 ? place : place >> below(s, 12) << below(s, 12);
}

static uint64_t draw_aligned(struct source *s, const struct op_limits *limits, uint64_t order)
{
    uint64_t place = draw_place(s, limits);
    return order > QUIRE_MAX_ORDER || below(s, 16) == 0 ? place : place >> order << order;
}

/* A byte of the zone, often the first or the last one of a frame. */
static uint64_t draw_address(struct source *s, const struct op_limits *limits)
{
    uint64_t frame = (1 + below(s, limits->frames)) * QUIRE_FRAME_SIZE;
    return below(s, 4) == 0 ? frame + below(s, QUIRE_FRAME_SIZE) : frame - below(s, 3);
}

static void draw_contig(struct source *s, const struct op_limits *limits, struct op *op)
{
    uint64_t bytes = limits->frames * QUIRE_FRAME_SIZE;
    op->arg[0] = draw_frames(s, limits);
    op->arg[1] = below(s, 3) == 0 ? UINT64_C(1) << below(s, 34) : 0;
    op->arg[2] = below(s, 3) == 0 ? UINT64_C(1) << (11 + below(s, 24)) : 0;
    op->arg[3] = below(s, 3) == 0 ? draw_address(s, limits) : 0;
    op->arg[4] = below(s, 3) == 0 ? op->arg[3] + draw_address(s, limits) : 0;
    if (below(s, 4) == 0) { /* hardly room, or hardly none */
        op->arg[4] = op->arg[3] + op->arg[0] * QUIRE_FRAME_SIZE + below(s, 2 * QUIRE_FRAME_SIZE);
        op->arg[4] -= below(s, 2) == 0 ? op->arg[4] % QUIRE_FRAME_SIZE + below(s, 3) : 0;
    }
    if (below(s, 40) == 0) {
        op->arg[1 + below(s, 4)] = below(s, bytes);
    }
}

static uint32_t draw_flags(struct source *s)
{
    switch (below(s, 8)) {
    case 0:
        return (uint32_t)below(s, 256);
    case 1:
    case 2:
        return QUIRE_EMERGENCY | (uint32_t)below(s, 2) * QUIRE_NO_CALLBACK;
    case 3:
        return QUIRE_HIGH | (uint32_t)below(s, 2) * QUIRE_FALLBACK;
    case 4:
        return QUIRE_FALLBACK;
    default:
        return (uint32_t)below(s, 2) * QUIRE_MOVABLE;
    }
}

static void draw_arguments(struct source *s, const struct op_limits *limits, struct op *op)
{
    uint64_t *arg = op->arg;
    switch (op->kind) {
    case OP_ALLOC:
        arg[0] = draw_order(s);
        break;
    case OP_BATCH:
        arg[0] = draw_frames(s, limits) % (2 * BLOCK);
        break;
    case OP_RUNS:
        arg[0] = draw_frames(s, limits);
        arg[1] = 1 + below(s, below(s, 2) == 0 ? 4 : 2 * BLOCK);
        break;
    case OP_CONTIG:
        draw_contig(s, limits, op);
        break;
    case OP_AT:
    case OP_FREE_AT:
    case OP_SPLIT_AT:
        arg[1] = draw_order(s);
        arg[0] = draw_aligned(s, limits, arg[1]);
        break;
    case OP_FREE_BATCH:
        arg[0] = draw_place(s, limits);
        arg[1] = 1 + below(s, below(s, 2) == 0 ? 8 : BLOCK);
        arg[2] = below(s, 4) == 0 ? below(s, OP_TWISTS) : OP_STRAIGHT;
        break;
    case OP_FREE_CONTIG_AT:
    case OP_RESERVE:
    case OP_UNRESERVE:
    case OP_UNRESERVE_AT:
        arg[0] = draw_place(s, limits);
        arg[1] = draw_frames(s, limits);
        break;
    case OP_JOIN:
        arg[0] = draw_aligned(s, limits, 9);
        break;
    default:
        arg[0] = draw_place(s, limits);
        break;
    }
}

/* ---- Kinds ------------------------------------------------------------------------------- */

/* How often each kind is drawn, by mood: take more, give more, change shapes, make mistakes. */
enum { MOODS = 4 };
static const uint8_t weights[OP_KINDS][MOODS] = {
    [OP_ALLOC] = {60, 20, 20, 20},
    [OP_BATCH] = {10, 3, 5, 3},
    [OP_RUNS] = {6, 1, 4, 2},
    [OP_CONTIG] = {10, 2, 8, 4},
    [OP_AT] = {8, 2, 8, 6},
    [OP_FREE] = {12, 60, 20, 10},
    [OP_FREE_ANY] = {4, 8, 4, 4},
    [OP_FREE_CONTIG] = {4, 8, 4, 4},
    [OP_FREE_BATCH] = {3, 12, 4, 4},
    [OP_FREE_AT] = {1, 2, 2, 20},
    [OP_FREE_CONTIG_AT] = {1, 2, 2, 10},
    [OP_FREE_ANY_AT] = {1, 4, 2, 6},
    [OP_LENGTH] = {1, 1, 2, 4},
    [OP_RESERVE] = {2, 2, 10, 4},
    [OP_UNRESERVE] = {2, 2, 12, 4},
    [OP_UNRESERVE_AT] = {0, 0, 1, 4},
    [OP_SPLIT] = {4, 4, 20, 4},
    [OP_SPLIT_AT] = {1, 1, 2, 6},
    [OP_JOIN] = {3, 3, 20, 6},
    [OP_RETIRE] = {2, 2, 2, 2},
};

static enum op_kind draw_kind(struct source *s)
{
    uint64_t sum = 0;
    for (int k = 0; k < OP_KINDS; k++) {
        sum += weights[k][s->mood];
    }
    uint64_t drawn = below(s, sum);
    enum op_kind kind = OP_ALLOC;
    while (drawn >= weights[kind][s->mood]) {
        drawn -= weights[kind][s->mood];
        kind++;
    }
    return kind;
}

struct op op_draw(struct source *s, const struct op_limits *limits)
{
    if (below(s, MOOD_LASTS) == 0) {
        s->mood = (unsigned)below(s, MOODS);
    }
    struct op op = {.kind = draw_kind(s)};
    uint64_t wild = below(s, 200) == 0 ? 1 : 0;
    op.slot = (uint32_t)below(s, limits->slots + wild);
    op.flags = draw_flags(s);
    draw_arguments(s, limits, &op);
    return op;
}
