/* SPDX-License-Identifier: MIT
 *
 * test_batches.c - many frames at once, runs under constraints, claims, and frees that are remote.
 */
#include "stress/numa/machine/unit.h"

#include <string.h>

enum { ALL = 4 * 16 * BLOCK };

static struct rig rig;
static quire_pfn pfns[ALL + 1];

/* All or nothing, or what there is; across nodes, with figures; and back. */
static void batches(void **unused)
{
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    struct quire_refusal why;
    struct rig *r = &rig;
    size_t got, freed;

    (void)unused;
    open_row(r);
    rig_cpu = 2;
    assert_error(quire_machine_alloc_batch(r->machine, &request, 0, pfns, &got, NULL),
                 QUIRE_ERR_SIZE);
    request.order = 1;
    assert_error(quire_machine_alloc_batch(r->machine, &request, 1, pfns, &got, NULL),
                 QUIRE_ERR_SIZE);
    request.order = 0;
    request.flags |= 1u << 30;
    assert_error(quire_machine_alloc_batch(r->machine, &request, 1, pfns, &got, NULL),
                 QUIRE_ERR_UNSUPPORTED);
    request.flags = QUIRE_EMERGENCY;
    assert_error(quire_machine_alloc_batch(r->machine, &request, ALL + 1, pfns, &got, &why),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(why.tried, 4);
    assert_int_equal(why.node.n, 1);
    rig_check(r, 0);
    assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], 0);
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 24 * BLOCK, pfns, &got, NULL));
    assert_int_equal(got, 24 * BLOCK);
    assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], 16 * BLOCK);
    assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_FOREIGN], 8 * BLOCK);
    request.flags |= QUIRE_PARTIAL;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, ALL, pfns + got, &freed, NULL));
    assert_int_equal(freed, 40 * BLOCK);
    assert_error(quire_machine_alloc_batch(r->machine, &request, 1, pfns + ALL, &got, NULL),
                 QUIRE_ERR_NO_MEMORY);
    rig_check(r, ALL);
    assert_ok(quire_machine_free_batch(r->machine, pfns, ALL, NULL));
    rig_close(r);
}

/* A batch that was freed serves the next one of its CPU, whoever's node it names as its own; with
 * the same figures as from the zone, and with what is wrong in it told. */
static void stays(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    enum { N = 8 };
    struct rig *r = &rig;
    quire_pfn first[N];
    size_t got, bad;

    (void)unused;
    open_row(r);
    rig_cpu = 2;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, N, first, &got, NULL));
    for (unsigned turn = 1; turn <= 3; turn++) {
        assert_ok(quire_machine_free_batch(r->machine, first, N, NULL));
        assert_int_equal(rig_stats(r, 1).cached, N);
        request.near_node = quire_near_of(quire_node_of(turn == 1   ? QUIRE_NO_NODE
                                                        : turn == 2 ? 1
                                                                    : 2));
        assert_ok(quire_machine_alloc_batch(r->machine, &request, N, pfns, &got, NULL));
        assert_int_equal(got, N);
        assert_int_equal(rig_stats(r, 1).cached, turn < 3 ? 0 : N);
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_HIT], turn < 3 ? (turn + 1) * N : 3 * N);
        assert_int_equal(rig_stats(r, 1).counts[QUIRE_NODE_LOCAL],
                         turn < 3 ? (turn + 1) * N : 3 * N);
        assert_int_equal(rig_stats(r, 2).counts[QUIRE_NODE_OTHER], turn < 3 ? 0 : N);
        if (turn < 3)
            assert_memory_equal(first, pfns, sizeof first);
        rig_check(r, N);
    }
    first[0] = pfns[N - 1];
    pfns[N - 1] = pfns[0];
    assert_error(quire_machine_free_batch(r->machine, pfns, N, &bad), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, N - 1);
    rig_check(r, N);
    pfns[N - 1] = first[0];
    assert_ok(quire_machine_free_batch(r->machine, pfns, N, NULL));
    rig_close(r);
}

/* One bad frame in a batch of frees, wherever it is in whatever mixture: it is told, and nothing
 * has changed. */
static void bad_frees(void **unused)
{
    struct quire_policy policy = {.mode = QUIRE_POLICY_INTERLEAVE, .nodes = {0xf}};
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    size_t bad, got;
    uint64_t run;

    (void)unused;
    request.policy = &policy;
    open_row(r);
    run = take(r, 3, 0);
    for (size_t at = 0; at < 200; at += 7)
        for (unsigned kind = 0; kind < 3; kind++) {
            int error = kind == 0 ? QUIRE_ERR_FRAME : QUIRE_ERR_ORDER;
            quire_pfn was;

            for (size_t i = 0; i < 200; i++)
                pfns[i].n = ask(r, &request);
            was = pfns[at];
            pfns[at].n = kind == 0 ? 5 : run + (kind == 1 ? 0 : 3);
            assert_error(quire_machine_free_batch(r->machine, pfns, 200, &bad), error);
            assert_int_equal(bad, at);
            rig_check(r, 200 + 8);
            pfns[at] = pfns[at ^ 1];
            assert_error(quire_machine_free_batch(r->machine, pfns, 200, &bad),
                         QUIRE_ERR_DOUBLE_FREE);
            assert_int_equal(bad, at | 1);
            rig_check(r, 200 + 8);
            pfns[at] = was;
            assert_ok(quire_machine_free_batch(r->machine, pfns, 200, NULL));
            rig_check(r, 8);
        }
    give(r, run, 3);
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 1, pfns, &got, NULL));
    pfns[1] = pfns[0];
    assert_error(quire_machine_free_batch(r->machine, pfns, 2, &bad), QUIRE_ERR_DOUBLE_FREE);
    assert_int_equal(bad, 1);
    rig_check(r, 1);
    give(r, pfns[0].n, 0);
    assert_error(quire_machine_free_batch(r->machine, pfns, 0, NULL), QUIRE_ERR_SIZE);
    rig_close(r);
}

/* A frame that is there twice, far apart, of one zone and of several: told, and nothing has
 * changed. */
static void twice_far_apart(void **unused)
{
    struct quire_policy policy = {.mode = QUIRE_POLICY_INTERLEAVE, .nodes = {0xf}};
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    size_t bad, got;

    (void)unused;
    request.policy = &policy;
    for (unsigned zones = 1; zones <= 4; zones += 3) {
        policy.nodes.bits = zones == 1 ? 8 : 0xf;
        open_row(r);
        assert_ok(quire_machine_alloc_batch(r->machine, &request, 200, pfns, &got, NULL));
        pfns[200] = pfns[3];
        assert_error(quire_machine_free_batch(r->machine, pfns, 201, &bad), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(bad, 200);
        assert_int_equal(r->heard.reports, 1);
        rig_check(r, 200);
        assert_ok(quire_machine_free_batch(r->machine, pfns, 200, NULL));
        rig_check(r, 0);
        rig_close(r);
    }
}

/* Two bad ones, which different maps tell of: the first of them is told. */
static void first_of_two(void **unused)
{
    struct quire_policy policy = {.mode = QUIRE_POLICY_INTERLEAVE, .nodes = {0xf}};
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    size_t bad, got;
    quire_pfn was;
    uint64_t run;

    (void)unused;
    request.policy = &policy;
    for (unsigned zones = 1; zones <= 4; zones += 3) {
        policy.nodes.bits = zones == 1 ? 8 : 0xf;
        open_row(r);
        assert_ok(quire_machine_alloc_batch(r->machine, &request, 200, pfns, &got, NULL));
        request.order = 3;
        run = ask(r, &request);
        request.order = 0;
        was = pfns[180];
        give(r, pfns[20].n, 0); /* now in a magazine */
        pfns[180].n = run + 3;
        assert_error(quire_machine_free_batch(r->machine, pfns, 200, &bad), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(bad, 20);
        rig_check(r, 199 + 8);
        pfns[180] = was;
        give(r, run, 3);
        assert_ok(quire_machine_free_batch(r->machine, pfns, 20, NULL));
        assert_ok(quire_machine_free_batch(r->machine, pfns + 21, 179, NULL));
        rig_check(r, 0);
        rig_close(r);
    }
}

static void constraints(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct quire_contig want = {.frames = 3000, .align = 1 << 20};
    struct quire_refusal why;
    struct rig *r = &rig;
    quire_pfn pfn;

    (void)unused;
    open_row(r);
    rig_cpu = 6;
    assert_ok(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, NULL));
    assert_int_equal(node_of(r, pfn.n), 3);
    assert_int_equal(pfn.n % 256, 0);
    rig_check(r, 3000);
    assert_error(quire_machine_free_contig(r->machine, pfn, 2999), QUIRE_ERR_ORDER);
    assert_ok(quire_machine_free_contig(r->machine, pfn, 3000));
    want.high = rig_base(1) * 4096 + (64 << 20); /* nodes 0 and 1 alone have such addresses */
    assert_ok(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, NULL));
    assert_int_equal(node_of(r, pfn.n), 1);
    assert_ok(quire_machine_free_contig(r->machine, pfn, 3000));
    want.frames = 1 << 20;
    assert_error(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, &why),
                 QUIRE_ERR_SIZE);
    assert_int_equal(why.error, QUIRE_ERR_SIZE);
    want.frames = 0;
    assert_error(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, NULL),
                 QUIRE_ERR_SIZE);
    want.frames = 1;
    want.align = 3;
    assert_error(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, NULL),
                 QUIRE_ERR_ALIGN);
    assert_error(quire_machine_free_contig(r->machine, quire_pfn_of(3), 1), QUIRE_ERR_FRAME);
    rig_close(r);
}

/* One zone is too short for the run and the other is full: that is no wrong size. */
static void short_and_full(void **unused)
{
    const struct quire_policy policy = {.mode = QUIRE_POLICY_BIND, .nodes = {2}};
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    struct quire_contig want = {.frames = 2 * BLOCK};
    struct quire_refusal why;
    struct rig *r = &rig;
    quire_pfn pfn;
    size_t got;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    request.policy = &policy;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 16 * BLOCK, pfns, &got, NULL));
    request.policy = NULL;
    request.flags |= QUIRE_NO_CALLBACK;
    assert_error(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, &why),
                 QUIRE_ERR_NO_MEMORY);
    assert_int_equal(why.tried, 2);
    want.frames = 17 * BLOCK;
    request.flags = QUIRE_EMERGENCY; /* nobody is asked to make room for what has none */
    assert_error(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, &why),
                 QUIRE_ERR_SIZE);
    assert_int_equal(r->reclaims, 0);
    assert_ok(quire_machine_free_batch(r->machine, pfns, got, NULL));
    rig_close(r);
}

/* What is claimed is there, whatever others take. */
static void claims(void **unused)
{
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    static quire_pfn others[ALL], stock[100];
    struct quire_mempool mempool;
    struct rig *r = &rig;
    size_t got;
    quire_pfn pfn;

    (void)unused;
    open_row(r);
    request.near_node = quire_near_of(quire_node_of(3));
    request.flags |= QUIRE_PARTIAL;
    assert_error(quire_mempool_fill(r->machine, &request, 100, stock, &mempool, NULL),
                 QUIRE_ERR_UNSUPPORTED);
    request.flags = QUIRE_EMERGENCY;
    assert_error(quire_mempool_fill(r->machine, &request, ALL + 1, pfns, &mempool, NULL),
                 QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_mempool_fill(r->machine, &request, 100, stock, &mempool, NULL));
    assert_ok(quire_machine_alloc_batch(r->machine, &request, ALL - 100, others, &got, NULL));
    for (unsigned i = 0; i < 60; i++) {
        assert_ok(quire_mempool_take(&mempool, &pfn));
        assert_int_equal(node_of(r, pfn.n), 3);
        give(r, pfn.n, 0);
    }
    assert_ok(quire_mempool_release(r->machine, &mempool));
    assert_error(quire_mempool_take(&mempool, &pfn), QUIRE_ERR_NO_MEMORY);
    rig_check(r, ALL - 100);
    assert_ok(quire_machine_free_batch(r->machine, others, got, NULL));
    rig_close(r);
}

/* One node only allocates, the other only frees; then they swap. No cache grows with what is not
 * its own, and nothing is lost. */
static void one_way(void **unused)
{
    struct rig *r = &rig;
    uint64_t cached = 0; /* at the node that only frees, from when it allocated */

    (void)unused;
    open_row(r);
    for (unsigned round = 0; round < 400; round++) {
        uint32_t from = round < 200 ? 0 : 6, to = round < 200 ? 6 : 0;

        for (unsigned i = 0; i < 101; i++) {
            rig_cpu = from;
            pfns[i].n = take(r, 0, i % 2 ? QUIRE_MOVABLE : 0);
            assert_int_equal(node_of(r, pfns[i].n), from / 2);
        }
        for (unsigned i = 0; i < 101; i++) {
            rig_cpu = to;
            give(r, pfns[i].n, 0);
        }
        if (round == 200)
            cached = rig_stats(r, 0).cached;
        assert_int_equal(rig_stats(r, to / 2).cached, cached);
        assert_true(rig_stats(r, from / 2).remote <= 64);
        assert_true(rig_stats(r, from / 2).cached <= 100);
        rig_check(r, 0);
    }
    assert_true(cached > 0);
    rig_close(r);
}

/* The last frame is in another CPU's remote magazine: it is found, and decays when idle. */
static void last_frame(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn;
    uint32_t n = 0;

    (void)unused;
    open_row(r);
    rig_cpu = 2;
    while (n < ALL)
        pfns[n++].n = take(r, 0, QUIRE_EMERGENCY);
    pfn = pfns[7].n;
    rig_cpu = 7;
    give(r, pfn, 0);
    assert_int_equal(rig_stats(r, 1).remote, 1);
    rig_cpu = 4;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY | QUIRE_NO_CALLBACK), pfn);
    rig_cpu = 7;
    give(r, pfn, 0);
    assert_ok(quire_machine_drain_cpu(r->machine, 2));
    assert_int_equal(rig_stats(r, 1).remote, 1);
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(rig_stats(r, 1).remote, 1);
    assert_int_equal(quire_machine_maintain(r->machine), 1);
    assert_int_equal(rig_stats(r, 1).remote, 0);
    rig_cpu = 2;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), pfn);
    rig_cpu = 7;
    give(r, pfn, 0);
    assert_ok(quire_machine_retire_cpu(r->machine, 7));
    assert_int_equal(rig_stats(r, 1).remote, 0);
    rig_cpu = 2;
    assert_int_equal(take(r, 0, QUIRE_EMERGENCY), pfn);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 1),
                 pfn % 2 ? QUIRE_ERR_ALIGN : QUIRE_ERR_ORDER);
    for (uint32_t i = 0; i < n; i++)
        give(r, pfns[i].n, 0);
    rig_close(r);
}

/* A frame that is freed twice into a remote magazine is told to its own zone's port. */
static void twice(void **unused)
{
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    open_row(r);
    pfn = take(r, 0, 0);
    rig_cpu = 7;
    give(r, pfn, 0);
    for (unsigned i = 1; i <= 2; i++) {
        assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(r->heard.reports, i);
    }
    assert_ok(quire_machine_drain_node(r->machine, quire_node_of(0)));
    assert_int_equal(r->heard.reports, 2);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(pfn), 0), QUIRE_ERR_DOUBLE_FREE);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches),        cmocka_unit_test(stays),
        cmocka_unit_test(bad_frees),      cmocka_unit_test(twice_far_apart),
        cmocka_unit_test(first_of_two),   cmocka_unit_test(constraints),
        cmocka_unit_test(short_and_full), cmocka_unit_test(claims),
        cmocka_unit_test(one_way),        cmocka_unit_test(last_frame),
        cmocka_unit_test(twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
