/* SPDX-License-Identifier: MIT
 *
 * test_remote.c - the remote magazine as a stock: whom it serves, whom not, and what hot-plug does
 * to it.
 */
#include "numa/machine/machine.h"

#include "stress/numa/machine/unit.h"

#include <stdlib.h>

enum { N = 8 };

static struct rig rig;

static uint64_t ask_node(struct rig *r, uint32_t node, uint32_t flags)
{
    struct quire_request request = quire_request_of(0, flags);

    request.near_node = quire_near_of(quire_node_of(node));
    return ask(r, &request);
}

static uint64_t remote(struct rig *r, uint32_t node)
{
    return rig_stats(r, node).remote;
}

/* Take the machine down with frames in use. */
static void leave(struct rig *r)
{
    quire_machine_fini(r->machine);
    rig_free_zones(r);
    free(r->memory);
}

static bool knows_none(struct rig *r, uint32_t cpu)
{
    const struct machine_cpu *mcpu = machine_cpu_of(r->machine, cpu);

    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++)
        if (qa_load(&mcpu->remote[i].remote_zone, relaxed) != (uintptr_t)&qi_no_zone ||
            qa_load(&mcpu->remote[i].serving_zone, relaxed) != (uintptr_t)&qi_no_zone)
            return false;
    return true;
}

/* What was freed of another node serves the next request for that node, with exact figures. */
static void serves(void **unused)
{
    struct quire_policy one = {.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    struct quire_request request = quire_request_of(0, 0);
    uint64_t pfns[N], given = 0;
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned turn = 0; turn < 6; turn++) {
        for (unsigned i = 0; i < N; i++)
            pfns[i] = ask_node(r, 1, 0);
        given += N;
        assert_int_equal(remote(r, 1), 0);
        rig_check(r, N);
        for (unsigned i = 0; i < N; i++)
            give(r, pfns[i], 0);
        assert_int_equal(remote(r, 1), N);
        one.mode = turn % 2 ? QUIRE_POLICY_BIND : QUIRE_POLICY_PREFERRED;
        one.strict = turn > 2;
        request.policy = &one;
        request.near_node = quire_near_of(quire_node_of(turn % 3 ? QUIRE_NO_NODE : 1));
        for (unsigned i = 0; i < N; i++)
            assert_int_equal(ask(r, &request), pfns[N - 1 - i]);
        given += N;
        assert_int_equal(remote(r, 1), 0);
        for (unsigned i = 0; i < N; i++)
            give(r, pfns[i], 0);
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], given);
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_OTHER], given);
        rig_check(r, 0);
    }
    rig_close(r);
}

/* A CPU that turns from node to node: what its magazine served is counted for each of them. */
static void turns(void **unused)
{
    uint64_t given[4] = {0};
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (uint32_t turn = 0; turn < 24; turn++) {
        uint32_t node = 1 + turn * turn % 7 % 3;
        uint64_t pfn = ask_node(r, node, 0);

        for (uint32_t i = 0; i <= turn; i++) {
            assert_int_equal(node_of(r, pfn), node);
            give(r, pfn, 0);
            pfn = ask_node(r, node, 0);
        }
        give(r, pfn, 0);
        given[node] += turn + 2;
        for (uint32_t n = 1; n < 4; n++) {
            assert_int_equal(rig_stats(r, n).counts[QUIRE_NODE_HIT], given[n]);
            assert_int_equal(rig_stats(r, n).counts[QUIRE_NODE_OTHER], given[n]);
            assert_int_equal(rig_stats(r, n).counts[QUIRE_NODE_LOCAL], 0);
        }
    }
    rig_close(r);
}

/* Requests for other memory, and of other CPUs, get theirs elsewhere. */
static void others(void **unused)
{
    struct quire_policy several = {.mode = QUIRE_POLICY_BIND, .nodes = {6}};
    struct quire_request request = quire_request_of(0, 0);
    uint64_t pfns[N], movable;
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (unsigned i = 0; i < N; i++)
        pfns[i] = ask_node(r, 1, 0);
    for (unsigned i = 0; i < N; i++)
        give(r, pfns[i], 0);
    assert_int_equal(remote(r, 1), N);
    assert_int_equal(node_of(r, take(r, 0, 0)), 0);
    movable = ask_node(r, 1, QUIRE_MOVABLE);
    assert_int_equal(remote(r, 1), N);
    assert_int_equal(node_of(r, ask_node(r, 2, 0)), 2);
    request.policy = &several;
    (void)ask(r, &request);
    several.nodes.bits = 0;
    assert_error(quire_machine_request(r->machine, &request, &(quire_pfn){0}, NULL),
                 QUIRE_ERR_NODE);
    assert_int_equal(remote(r, 1), N);
    rig_cpu = 1;
    (void)ask_node(r, 1, 0);
    assert_int_equal(remote(r, 1), N);
    rig_cpu = 0;
    (void)ask_node(r, 1, QUIRE_MOVABLE);
    give(r, movable, 0); /* it lies above the others now, and is no unmovable one */
    assert_int_not_equal(ask_node(r, 1, 0), movable);
    assert_int_equal(remote(r, 1), N + 1);
    assert_int_equal(ask_node(r, 1, QUIRE_MOVABLE), movable);
    rig_check(r, 7);
    leave(r);
}

/* Nothing is handed out past the floors, and nothing of a block that is sparse, has pins, or is
 * being emptied. */
static void keeps(void **unused)
{
    static struct quire_isolated_frames held[1];
    struct quire_isolation isolation = {0};
    struct rig *r = &rig;
    struct quire_zone *z;
    uint64_t pfn, first;
    int64_t limit;
    uint32_t b;

    (void)unused;
    open_row(r);
    z = &r->zones[1].zone;
    pfn = ask_node(r, 1, 0);
    first = pfn / BLOCK * BLOCK;
    b = block_of(frame_of_pfn(z, quire_pfn_of(pfn)));
    give(r, pfn, 0);
    qa_store(full_of(z, b), 200, relaxed);
    assert_int_not_equal(ask_node(r, 1, 0), pfn);
    qa_store(full_of(z, b), 0, relaxed);
    limit = qi_snapshot_find(qi_machine_snapshot(r->machine), quire_pfn_of(pfn))
                ->zone->zone.shard_limit;
    qa_sub(&z->head->total, 16 * BLOCK, relaxed);
    assert_true((int64_t)qa_load(&z->head->total, relaxed) <= limit);
    assert_int_not_equal(ask_node(r, 1, QUIRE_EMERGENCY), pfn);
    qa_add(&z->head->total, 16 * BLOCK, relaxed);
    assert_int_equal(remote(r, 1), 1);
    assert_ok(quire_zone_isolate(z, quire_slot_of(0), (struct quire_run){{first}, BLOCK}, held,
                                 &isolation));
    assert_int_not_equal(ask_node(r, 1, 0) / BLOCK * BLOCK, first);
    assert_ok(quire_zone_isolate_undo(z, quire_slot_of(0), &isolation));
    assert_int_equal(remote(r, 1), 1);
    qa_store(full_of(z, b), 0, relaxed);
    assert_int_equal(ask_node(r, 1, 0), pfn);
    assert_int_equal(remote(r, 1), 0);
    give(r, pfn, 0);
    assert_int_equal(remote(r, 1), 1);
    assert_ok(quire_zone_reserve(z, quire_slot_of(0), quire_pfn_of(first + 500), 2));
    assert_int_not_equal(ask_node(r, 1, 0), pfn);
    assert_int_equal(remote(r, 1), 1);
    leave(r);
}

/* What is freed into a block that is being emptied goes to its zone at once, and so the free is
 * told of that names a block's first frame. */
static void singles_only(void **unused)
{
    static struct quire_isolated_frames held[1];
    struct quire_request block = quire_request_of(9, 0);
    struct quire_isolation isolation = {0};
    struct rig *r = &rig;
    uint64_t pfn, used, free;
    size_t size;
    struct quire_zone *z;

    (void)unused;
    open_row(r);
    z = &r->zones[1].zone;
    pfn = ask_node(r, 1, 0);
    assert_ok(quire_zone_isolate(
        z, quire_slot_of(0), (struct quire_run){{pfn / BLOCK * BLOCK}, BLOCK}, held, &isolation));
    give(r, pfn, 0);
    assert_int_equal(remote(r, 1), 0);
    assert_ok(quire_zone_isolated(z, quire_slot_of(0), &isolation, NULL, 0, &size, &used));
    assert_int_equal(used, 0);
    assert_ok(quire_zone_isolate_undo(z, quire_slot_of(0), &isolation));
    block.near_node = quire_near_of(quire_node_of(1));
    pfn = ask(r, &block);
    free = rig_stats(r, 1).free;
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_ORDER);
    assert_int_equal(r->heard.reports, 1);
    assert_int_equal(remote(r, 1), 0);
    assert_int_equal(rig_stats(r, 1).free, free);
    give(r, pfn, 9);
    rig_close(r);
}

/* Bad frees are told as before, and a free of what is no single frame of the zone goes its way. */
static void bad_ones(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn, run;

    (void)unused;
    open_row(r);
    pfn = ask_node(r, 1, 0);
    give(r, pfn, 0);
    run = pfn;
    pfn = ask_node(r, 1, 0);
    assert_int_equal(pfn, run);
    give(r, pfn, 0);
    assert_ok(quire_machine_drain(r->machine));
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(r->heard.reports, 1);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(rig_base(1) + 15 * BLOCK), 0),
                 QUIRE_ERR_DOUBLE_FREE);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(rig_base(1) + 16 * BLOCK), 0),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 1),
                 pfn % 2 ? QUIRE_ERR_ALIGN : QUIRE_ERR_DOUBLE_FREE);
    rig_close(r);
}

/* A zone goes whose frames lie in the magazine, and another one comes in its place: what the CPU
 * knew of the first one is forgotten, and so it is by every other change. */
static void forgets(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    open_row(r);
    assert_true(knows_none(r, 0));
    pfn = ask_node(r, 1, 0);
    assert_false(knows_none(r, 0));
    give(r, pfn, 0);
    assert_int_equal(remote(r, 1), 1);
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
    assert_true(knows_none(r, 0));
    rig_rebuild_zone(r, 1);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_FRAME);
    assert_ok(quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1));
    assert_true(knows_none(r, 0));
    pfn = ask_node(r, 1, 0);
    assert_int_equal(node_of(r, pfn), 1);
    give(r, pfn, 0);
    assert_false(knows_none(r, 0));
    assert_int_equal(ask_node(r, 1, 0), pfn);
    assert_ok(quire_machine_set_topology(r->machine, &r->topology));
    assert_true(knows_none(r, 0));
    give(r, pfn, 0);
    assert_false(knows_none(r, 0));
    rig_close(r);
}

/* A zone that is local to nobody goes while somebody is on a short way: he has its name still, and
 * looks at the range. So that stays, and memory does not grow when the zone comes back. */
static void name_stays(void **unused)
{
    struct quire_run run = {quire_pfn_of(rig_base(1)), 16 * BLOCK};
    const struct machine_zone *z;
    struct rig *r = &rig;
    uint64_t bytes = 0;

    (void)unused;
    rig_begin(r, 2, 2);
    r->topology.cpu_node[2] = r->topology.cpu_node[3] = 0; /* node 1 has memory alone */
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_DMA, 0, run.frames);
    rig_open(r);
    z = qi_snapshot_find(qi_machine_snapshot(r->machine), run.pfn)->zone;
    assert_null(z->zone_caches);
    for (unsigned i = 0; i < 100; i++) {
        assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
        assert_int_equal(rig_node_of_memory(r, z), 1); /* or it fails there */
        assert_int_equal(z->window.first_block, run.pfn.n / BLOCK);
        assert_int_equal(z->node.n, 1);
        rig_rebuild_zone(r, 1);
        assert_ok(quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1));
        assert_ptr_equal(qi_snapshot_find(qi_machine_snapshot(r->machine), run.pfn)->zone, z);
        bytes = i == 0 ? r->memory_bytes : bytes;
        assert_int_equal(r->memory_bytes, bytes);
    }
    rig_close(r);
}

/* With a default policy that does not begin nearby only requests with a policy are served. */
static void other_policies(void **unused)
{
    struct quire_policy one = {.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 4, 2);
    in_a_row(r);
    for (uint32_t n = 0; n < 4; n++)
        (void)rig_zone(r, n, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    r->config.policy = (struct quire_policy){.mode = QUIRE_POLICY_INTERLEAVE, .nodes = {0xf}};
    rig_open(r);
    request.policy = &one;
    pfn = ask(r, &request);
    give(r, pfn, 0);
    assert_int_equal(remote(r, 1), 1);
    for (unsigned i = 0; i < REMOTE_MAGAZINES; i++)
        assert_int_equal(qa_load(&machine_cpu_of(r->machine, 0)->remote[i].serving_zone, relaxed),
                         (uintptr_t)&qi_no_zone);
    pfn = ask_node(r, 1, 0);
    give(r, pfn, 0);
    rig_close(r);
}

/* A policy that names the caller's own node alone is served locally; but not from another node's
 * zone, though that is local to a node without memory. */
static void own_node(void **unused)
{
    static const enum quire_policy_mode modes[] = {QUIRE_POLICY_LOCAL, QUIRE_POLICY_PREFERRED,
                                                   QUIRE_POLICY_BIND, QUIRE_POLICY_NEAREST};
    struct quire_request request = quire_request_of(0, 0);
    struct quire_policy policy = {.nodes = {1}};
    struct rig *r = &rig;
    quire_pfn none;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    request.policy = &policy;
    for (rig_cpu = 0; rig_cpu < 4; rig_cpu += 2)
        for (unsigned i = 0; i < 8; i++) {
            policy.mode = modes[i / 2];
            policy.strict = i % 2;
            if (rig_cpu == 2 && i == 1) {
                assert_error(quire_machine_request(r->machine, &request, &none, NULL),
                             QUIRE_ERR_NODE);
                continue;
            }
            pfn = take(r, 0, 0);
            give(r, pfn, 0);
            assert_int_equal(ask(r, &request), pfn);
            give(r, pfn, 0);
        }
    rig_cpu = 2;
    policy.mode = QUIRE_POLICY_BIND;
    policy.nodes.bits = 2;
    assert_error(quire_machine_request(r->machine, &request, &none, NULL), QUIRE_ERR_NODE);
    request.near_node = quire_near_of(quire_node_of(2)); /* there is none */
    assert_error(quire_machine_request(r->machine, &request, &none, NULL), QUIRE_ERR_NODE);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves),         cmocka_unit_test(turns),
        cmocka_unit_test(others),         cmocka_unit_test(keeps),
        cmocka_unit_test(bad_ones),       cmocka_unit_test(forgets),
        cmocka_unit_test(other_policies), cmocka_unit_test(singles_only),
        cmocka_unit_test(name_stays),     cmocka_unit_test(own_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
