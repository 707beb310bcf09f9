/* SPDX-License-Identifier: MIT
 *
 * sequence.c - the table of orders of sequence.h, and drawing from it and from a target's kinds.
 */
#include "sequence.h"

#include "random.h"

const uint32_t sequence_orders[LOAD_ORDERS] = {
    92837, 3239, 1587, 1519, 422, 196, 98, 49, 24, 23, 6,
};

uint64_t sequence_seed(uint64_t seed, uint32_t thread)
{
    return random_scramble(seed ^ random_scramble((uint64_t)thread + 1));
}

static unsigned draw_kind(const struct target *target, uint32_t bits)
{
    uint64_t at = random_below(bits, SEQUENCE_KIND_SUM);
    unsigned kind = 0;

    while (at >= target->kinds[kind].weight)
        at -= target->kinds[kind++].weight;
    return kind;
}

static unsigned draw_order(uint32_t bits)
{
    uint64_t at = random_below(bits, SEQUENCE_ORDER_SUM);
    unsigned order = 0;

    while (at >= sequence_orders[order])
        at -= sequence_orders[order++];
    return order;
}

struct operation sequence_draw(struct worker *w, uint64_t index)
{
    const struct target *target = w->load->target;
    uint64_t first = random_next(&w->random);
    uint64_t second = random_next(&w->random);
    uint64_t a = random_next(&w->random);
    uint64_t b = random_next(&w->random);
    struct operation op = {
        .kind = draw_kind(target, (uint32_t)first),
        .request = {.call = quire_request_of(draw_order((uint32_t)(first >> 32)), 0)},
        .a = a,
        .b = b,
    };
    uint64_t drawn = target->draw(w, index, second, &op);

    w->sequence =
        random_scramble(w->sequence ^ random_scramble(op.a ^ (uint64_t)op.kind << 56 ^ drawn));
    return op;
}
