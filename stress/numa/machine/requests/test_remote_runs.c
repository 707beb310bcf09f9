/* SPDX-License-Identifier: MIT
 *
 * test_remote_runs.c - remote magazines for runs and blocks: what waits there and serves again, how
 * much at most, what drains and changes do to it; and frames of several nodes by turns.
 */
#include "numa/machine/machine.h"

#include "stress/numa/machine/unit.h"

#include <stdlib.h>

enum {
    LARGE = 64 * BLOCK, /* frames of a zone large enough for blocks to wait */
    MOST = 8,           /* runs in a magazine */
};

static struct rig rig;

static const struct {
    unsigned order, rounds;
} magazines[] = {{1, 8}, {2, 4}, {3, 4}, {9, 2}};
enum { KINDS = sizeof magazines / sizeof magazines[0] };

static uint64_t ask_run(struct rig *r, uint32_t node, unsigned order, uint32_t flags)
{
    struct quire_request request = quire_request_of(order, flags);

    request.near_node = quire_near_of(quire_node_of(node));
    return ask(r, &request);
}

static uint64_t remote(struct rig *r, uint32_t node)
{
    return rig_stats(r, node).remote;
}

/* Two nodes of a CPU each, with zones of so many frames. */
static void open_pair(struct rig *r, uint64_t frames)
{
    rig_begin(r, 2, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, frames);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, frames);
    rig_open(r);
}

/* Take the machine down with frames in use. */
static void leave(struct rig *r)
{
    quire_machine_fini(r->machine);
    rig_free_zones(r);
    free(r->memory);
}

/* Ask node 1 for n runs, and free them. */
static void ask_and_give(struct rig *r, unsigned order, unsigned n, uint64_t pfns[])
{
    for (unsigned i = 0; i < n; i++)
        pfns[i] = ask_run(r, 1, order, 0);
    for (unsigned i = 0; i < n; i++)
        give(r, pfns[i], order);
}

/* What was freed serves again, last first, with exact figures, by node and by policy. */
static void serves(void **unused)
{
    struct quire_policy one = {.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    struct quire_request by_policy = quire_request_of(0, 0);
    uint64_t pfns[MOST], given = 0;
    struct rig *r = &rig;

    (void)unused;
    open_pair(r, LARGE);
    by_policy.policy = &one;
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned order = magazines[k].order, n = magazines[k].rounds;

        by_policy.order = order;
        ask_and_give(r, order, n, pfns);
        assert_int_equal(remote(r, 1), (uint64_t)n << order);
        rig_check(r, 0);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(i % 2 ? ask(r, &by_policy) : ask_run(r, 1, order, 0), pfns[n - 1 - i]);
        assert_int_equal(remote(r, 1), 0);
        rig_check(r, (uint64_t)n << order);
        given += 2 * n;
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], given);
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_OTHER], given);
        for (unsigned i = 0; i < n; i++)
            give(r, pfns[i], order);
        assert_ok(quire_machine_drain(r->machine));
        assert_int_equal(remote(r, 1), 0);
        rig_check(r, 0);
    }
    rig_close(r);
}

/* A magazine never holds more than its rounds: the next free flushes it. An order without one goes
 * to its zone. */
static void bounded(void **unused)
{
    uint64_t pfns[MOST + 1];
    struct rig *r = &rig;

    (void)unused;
    open_pair(r, LARGE);
    for (unsigned k = 0; k < KINDS; k++) {
        ask_and_give(r, magazines[k].order, magazines[k].rounds + 1, pfns);
        assert_int_equal(remote(r, 1), 1ull << magazines[k].order);
        rig_check(r, 0);
        assert_ok(quire_machine_drain_cpu(r->machine, 0));
    }
    for (unsigned order = 4; order <= 10; order++)
        if (order != 9) {
            ask_and_give(r, order, 1, pfns);
            assert_int_equal(remote(r, 1), 0);
        }
    assert_int_equal(r->heard.reports, 0);
    rig_close(r);
}

/* Of a zone where all CPUs' magazines would be more than a sixteenth nothing waits but frames. */
static void small_zones(void **unused)
{
    uint64_t pfns[MOST];
    struct rig *r = &rig;

    (void)unused;
    for (uint64_t frames = LARGE - BLOCK; frames; frames = frames > 2 * BLOCK ? 2 * BLOCK : 0) {
        open_pair(r, frames);
        for (unsigned k = 0; k < KINDS; k++) {
            unsigned order = magazines[k].order;
            bool fits = (2ull * magazines[k].rounds << order) <= frames / 16;

            ask_and_give(r, order, 1, pfns);
            assert_int_equal(remote(r, 1), fits ? 1ull << order : 0);
            ask_and_give(r, order, 1, pfns);
            assert_int_equal(remote(r, 1), fits ? 1ull << order : 0);
            assert_ok(quire_machine_drain(r->machine));
        }
        rig_close(r);
    }
}

/* All that empties the magazines of frames empties those of runs: drains, a retirement, a second
 * maintenance without use, offlining, the zone's end. */
static void drained(void **unused)
{
    uint64_t pfns[MOST];
    struct rig *r = &rig;
    struct quire_run run;

    (void)unused;
    open_pair(r, LARGE);
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned order = magazines[k].order;

        ask_and_give(r, order, 2, pfns);
        assert_ok(quire_machine_drain_node(r->machine, quire_node_of(1)));
        assert_int_equal(remote(r, 1), 0);
        ask_and_give(r, order, 2, pfns);
        assert_int_equal(remote(r, 1), 2ull << order);
        assert_ok(quire_machine_retire_cpu(r->machine, 0));
        assert_int_equal(remote(r, 1), 0);
        ask_and_give(r, order, 2, pfns);
        (void)quire_machine_maintain(r->machine);
        assert_int_equal(remote(r, 1), 2ull << order);
        assert_int_equal(quire_machine_maintain(r->machine), 2ull << order);
        assert_int_equal(remote(r, 1), 0);
        ask_and_give(r, order, 2, pfns);
        run = (struct quire_run){{pfns[0] / BLOCK * BLOCK}, BLOCK};
        assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
        assert_int_equal(remote(r, 1), 0);
        assert_ok(quire_machine_online(r->machine, run));
        ask_and_give(r, order, 2, pfns);
        assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
        rig_rebuild_zone(r, 1);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(pfns[0]), order), QUIRE_ERR_FRAME);
        assert_ok(quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1));
    }
    rig_close(r);
}

/* Nobody is refused while magazines have what he asks for. */
static void before_refusal(void **unused)
{
    struct quire_request request = quire_request_of(10, QUIRE_EMERGENCY);
    static quire_pfn got[LARGE / 2 / BLOCK + 1];
    uint64_t pfns[MOST];
    struct rig *r = &rig;
    unsigned n = 0;

    (void)unused;
    open_pair(r, LARGE);
    for (unsigned k = 0; k < KINDS; k++)
        ask_and_give(r, magazines[k].order, 1, pfns);
    assert_int_equal(remote(r, 1), 2 + 4 + 8 + 512);
    request.near_node = quire_near_of(quire_node_of(1));
    request.policy = &(struct quire_policy){.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    rig_cpu = 1;
    while (quire_machine_request(r->machine, &request, &got[n], NULL) == QUIRE_OK)
        n++;
    assert_int_equal(n, LARGE / (2 * BLOCK));
    assert_int_equal(remote(r, 1), 0);
    while (n > 0)
        give(r, got[--n].n, 10);
    rig_cpu = 0;
    rig_close(r);
}

/* What lies in a magazine is refused at once, and so is every other order of it, a part of it, and
 * a run that lies in a range which is being emptied keeps its name. */
static void wrong_frees(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn, a, b;
    unsigned told = 0;

    (void)unused;
    open_pair(r, LARGE);
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned order = magazines[k].order;

        pfn = ask_run(r, 1, order, 0);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), order - 1), QUIRE_ERR_ORDER);
        assert_int_not_equal(quire_machine_free(r->machine, quire_pfn_of(pfn + 1), 0), QUIRE_OK);
        told += 2;
        give(r, pfn, order);
        assert_int_equal(remote(r, 1), 1ull << order);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), order),
                     QUIRE_ERR_DOUBLE_FREE);
        assert_int_not_equal(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_OK);
        told += 2;
        assert_int_equal(r->heard.reports, told);
        assert_int_equal(remote(r, 1), 1ull << order);
        a = ask_run(r, 1, order, 0);
        b = ask_run(r, 1, order, 0);
        assert_int_equal(a, pfn);
        assert_int_not_equal(a, b);
        give(r, a, order);
        give(r, b, order);
        assert_ok(quire_machine_drain(r->machine));
        rig_check(r, 0);
    }
    rig_close(r);
}

/* Nothing waits, and nothing is handed out, while its range is being emptied or its zone is near
 * its floors; nothing of a sparse block is handed out, nor waits. */
static void keeps(void **unused)
{
    static struct quire_isolated_frames held[1];
    uint64_t pfns[MOST], first, total;
    struct quire_isolation isolation;
    struct rig *r = &rig;
    struct quire_zone *z;

    (void)unused;
    open_pair(r, LARGE);
    z = &r->zones[1].zone;
    for (unsigned k = 0; k < KINDS; k++) {
        unsigned order = magazines[k].order;
        struct quire_run run;

        isolation = (struct quire_isolation){0};
        for (unsigned i = 0; i < 3; i++)
            pfns[i] = ask_run(r, 1, order, 0);
        give(r, pfns[0], order);
        first = pfns[0] / BLOCK * BLOCK;
        run = (struct quire_run){{first}, BLOCK};
        assert_ok(quire_zone_isolate(z, quire_slot_of(0), run, held, &isolation));
        pfns[3] = ask_run(r, 1, order, 0);
        assert_int_not_equal(pfns[3] / BLOCK * BLOCK, first);
        if (order < 9) { /* of the same block */
            give(r, pfns[1], order);
            assert_int_equal(remote(r, 1), 1ull << order);
            pfns[1] = pfns[3];
            pfns[3] = ask_run(r, 1, order, 0);
        } else { /* any: which ranges are emptied is not looked up */
            give(r, pfns[1], order);
            assert_int_equal(remote(r, 1), 1ull << order);
            pfns[1] = ask_run(r, 1, order, 0);
        }
        assert_ok(quire_zone_isolate_undo(z, quire_slot_of(0), &isolation));
        assert_ok(quire_machine_drain(r->machine));
        total = LARGE;
        qa_sub(&z->head->total, total, relaxed);
        give(r, pfns[1], order);
        assert_int_equal(remote(r, 1), 0);
        qa_add(&z->head->total, total, relaxed);
        give(r, pfns[2], order);
        assert_int_equal(remote(r, 1), 1ull << order);
        qa_sub(&z->head->total, total, relaxed);
        assert_int_not_equal(ask_run(r, 1, order, QUIRE_EMERGENCY), pfns[2]);
        qa_add(&z->head->total, total, relaxed);
        assert_int_equal(remote(r, 1), 1ull << order);
        assert_ok(quire_machine_drain(r->machine));
    }
    leave(r);
}

/* Frames of several nodes by turns: each is a hit of its own magazine. */
static void turns(void **unused)
{
    uint64_t pfns[4] = {0}, given[4] = {0};
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned turn = 0; turn < 8; turn++) {
        for (uint32_t node = 1; node < 4; node++) {
            uint64_t pfn = ask_run(r, node, 0, 0);

            assert_int_equal(node_of(r, pfn), node);
            assert_true(turn == 0 || pfn == pfns[node]);
            assert_int_equal(remote(r, node), 0);
            pfns[node] = pfn;
            given[node]++;
        }
        for (uint32_t node = 1; node < 4; node++) {
            give(r, pfns[node], 0);
            assert_int_equal(remote(r, node), 1);
            assert_int_equal(rig_stats(r, node).counts[QUIRE_NODE_HIT], given[node]);
            assert_int_equal(rig_stats(r, node).counts[QUIRE_NODE_OTHER], given[node]);
        }
        rig_check(r, 0);
    }
    rig_close(r);
}

/* Nodes that share a magazine, here for runs: each free and request is for the right zone, and what
 * it served of each is counted for that. */
static void shared(void **unused)
{
    uint64_t pfns[4];
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned turn = 0; turn < 20; turn++) {
        for (uint32_t node = 1; node < 4; node++) {
            pfns[node] = ask_run(r, node, 1, turn % 2);
            assert_int_equal(node_of(r, pfns[node]), node);
            give(r, pfns[node], 1);
            assert_int_equal(ask_run(r, node, 1, turn % 2), pfns[node]);
        }
        for (uint32_t node = 1; node < 4; node++)
            give(r, pfns[turn / 2 % 2 ? node : 4 - node], 1);
        rig_check(r, 0);
    }
    for (uint32_t node = 1; node < 4; node++)
        assert_int_equal(rig_stats(r, node).counts[QUIRE_NODE_HIT], 40);
    assert_int_equal(r->heard.reports, 0);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves),  cmocka_unit_test(bounded),        cmocka_unit_test(small_zones),
        cmocka_unit_test(drained), cmocka_unit_test(before_refusal), cmocka_unit_test(wrong_frees),
        cmocka_unit_test(keeps),   cmocka_unit_test(turns),          cmocka_unit_test(shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
