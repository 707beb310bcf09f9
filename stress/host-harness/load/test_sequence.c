/* SPDX-License-Identifier: MIT
 *
 * test_sequence.c - the operation sequence: tables against their derivation, draws against the
 * tables, and what a sequence depends on.
 */
#include "parts.h"

#include "host-harness/load/sequence.h"

#include <math.h>

enum { DRAWS = 400000, MAX_KINDS = 32 };

/* sequence.h's formula, from the counts of the traces. */
void orders_follow_their_derivation(void **state)
{
    static const double trace[LOAD_ORDERS] = {1789130, 2320, 487, 15243, 637, 8, 1, 1, 1, 232, 0};
    double traced = 0;
    double weights = 0;
    uint32_t sum = 0;

    (void)state;
    for (unsigned k = 0; k < LOAD_ORDERS; k++) {
        traced += trace[k];
        weights += 1.0 / (1u << k);
        sum += sequence_orders[k];
    }
    for (unsigned k = 0; k < LOAD_ORDERS; k++) {
        double share = 7.0 / 8 * trace[k] / traced + 1.0 / 8 / (1u << k) / weights;

        assert_true(fabs(share * SEQUENCE_ORDER_SUM - sequence_orders[k]) <= 0.5);
        assert_true(sequence_orders[k] > 0);
    }
    assert_int_equal(sum, SEQUENCE_ORDER_SUM);
}

/* Every row can be drawn, carried out, and named in the help. */
void kinds_are_whole(void **state)
{
    static const struct target *const targets[] = {&load_on_zones, &load_on_machine, &load_on_host};

    (void)state;
    for (unsigned t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
        uint32_t sum = 0;

        assert_in_range(targets[t]->kind_count, 1, MAX_KINDS);
        for (unsigned i = 0; i < targets[t]->kind_count; i++) {
            assert_true(targets[t]->kinds[i].weight > 0);
            assert_non_null(targets[t]->kinds[i].carry_out);
            assert_non_null(targets[t]->kinds[i].name);
            sum += targets[t]->kinds[i].weight;
        }
        assert_int_equal(sum, SEQUENCE_KIND_SUM);
    }
}

/* As many as expected, within five standard deviations. */
static void assert_share(uint32_t count, double share)
{
    double expected = share * DRAWS;

    assert_true(fabs(count - expected) <= 5 * sqrt(expected * (1 - share)) + 1);
}

void operations_are_drawn_as_published(void **state)
{
    struct load_zone zones[2] = {{.weight_end = 1 << 18}, {.weight_end = 1 << 20}};
    struct load load = {.target = &load_on_zones, .zones = zones, .weight_total = 1 << 20};
    struct worker w = {.load = &load, .number = 3, .random = sequence_seed(1, 3)};
    uint32_t kinds[MAX_KINDS] = {0}, orders[LOAD_ORDERS] = {0}, zone[2] = {0}, movable = 0;
    unsigned floods = 0;

    (void)state;
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct operation op = sequence_draw(&w, i);

        kinds[op.kind]++;
        orders[op.request.call.order]++;
        zone[op.request.list]++;
        movable += op.request.call.flags & QUIRE_MOVABLE;
        floods += op.flood;
    }
    for (unsigned i = 0; i < load_on_zones.kind_count; i++)
        assert_share(kinds[i], (double)load_on_zones.kinds[i].weight / SEQUENCE_KIND_SUM);
    for (unsigned i = 0; i < LOAD_ORDERS; i++)
        assert_share(orders[i], (double)sequence_orders[i] / SEQUENCE_ORDER_SUM);
    assert_share(zone[0], 0.25);
    assert_share(movable, 0.75);
    assert_int_equal(floods, (DRAWS + SEQUENCE_FLOOD_PERIOD - 4 * SEQUENCE_FLOOD_FIRST) /
                                 SEQUENCE_FLOOD_PERIOD);
}

static uint64_t digest(uint64_t seed, uint32_t thread, uint64_t calls)
{
    struct load_zone zone = {.weight_end = 1};
    struct load load = {.target = &load_on_zones, .zones = &zone, .weight_total = 1};
    struct worker w = {.load = &load, .number = thread, .random = sequence_seed(seed, thread)};

    for (uint64_t i = 0; i < 1000; i++) {
        w.calls = calls; /* whatever came of the operations before */
        sequence_draw(&w, i);
    }
    return w.sequence;
}

void sequence_depends_on_seed_and_thread(void **state)
{
    (void)state;
    assert_true(digest(7, 0, 0) == digest(7, 0, 99));
    assert_true(digest(7, 0, 0) != digest(8, 0, 0));
    assert_true(digest(7, 0, 0) != digest(7, 1, 0));
    assert_true(digest(0, 1, 0) != digest(1, 0, 0));
}
