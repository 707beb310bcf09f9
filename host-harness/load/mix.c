/* SPDX-License-Identifier: MIT
 *
 * mix.c - the table of orders of mix.h, and drawing from it and from a target's mix.
 */
#include "mix.h"

#include "random.h"

const uint32_t mix_orders[LOAD_ORDERS] = {
    92837, 3239, 1587, 1519, 422, 196, 98, 49, 24, 23, 6,
};

uint64_t mix_seed(uint64_t seed, uint32_t thread)
{
    return random_mix(seed ^ random_mix((uint64_t)thread + 1));
}

static unsigned draw_kind(const struct target *target, uint32_t bits)
{
    uint64_t at = random_below(bits, MIX_KIND_SUM);
    unsigned kind = 0;

    while (at >= target->mix[kind].weight)
        at -= target->mix[kind++].weight;
    return kind;
}

static unsigned draw_order(uint32_t bits)
{
    uint64_t at = random_below(bits, MIX_ORDER_SUM);
    unsigned order = 0;

    while (at >= mix_orders[order])
        at -= mix_orders[order++];
    return order;
}

struct operation mix_draw(struct worker *w, uint64_t index)
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

    w->sequence = random_mix(w->sequence ^ random_mix(op.a ^ (uint64_t)op.kind << 56 ^ drawn));
    return op;
}
