/* SPDX-License-Identifier: MIT
 *
 * test_turns.c - batches under interleaving policies: whose frames they are made of.
 */
#include "stress/numa/machine/unit.h"

#include <string.h>

static struct rig rig;
static quire_pfn pfns[400];

/* An interleaved batch gives each node what single requests would have given it. */
static void node_in_turn(void **unused)
{
    struct quire_policy policy = {.mode = QUIRE_POLICY_WEIGHTED, .nodes = {0xd}};
    struct quire_request request = quire_request_of(0, 0);
    uint64_t singles[4] = {0}, batch[4] = {0};
    struct rig *r = &rig;
    size_t got;

    (void)unused;
    policy.weight[0] = 3;
    policy.weight[2] = 1;
    policy.weight[3] = 2;
    request.policy = &policy;
    for (size_t n = 1; n < 30; n++) {
        memset(singles, 0, sizeof singles);
        memset(batch, 0, sizeof batch);
        open_row(r);
        for (size_t i = 0; i < n; i++) {
            pfns[i].n = ask(r, &request);
            singles[node_of(r, pfns[i].n)]++;
        }
        assert_ok(quire_machine_free_batch(r->machine, pfns, n, NULL));
        for (size_t k = 0; k < 6 - n % 6; k++) /* once round */
            give(r, ask(r, &request), 0);
        assert_ok(quire_machine_alloc_batch(r->machine, &request, n, pfns, &got, NULL));
        assert_int_equal(got, n);
        for (size_t i = 0; i < n; i++)
            batch[node_of(r, pfns[i].n)]++;
        assert_memory_equal(singles, batch, sizeof batch);
        for (uint32_t node = 0; node < 4; node++) {
            struct quire_node_stats s = rig_stats(r, node);

            assert_int_equal(s.counts[QUIRE_NODE_HIT], s.counts[QUIRE_NODE_INTERLEAVE]);
        }
        assert_ok(quire_machine_free_batch(r->machine, pfns, n, NULL));
        rig_close(r);
    }
}

/* Of a strict one a depleted node's frames are left out, wherever it is in the row; of another one
 * they come from elsewhere. Nothing at all is a refusal that names the first. */
static void in_turn_without_one(void **unused)
{
    const struct quire_policy full = {.mode = QUIRE_POLICY_BIND, .strict = true, .nodes = {2}};
    struct quire_policy policy = {
        .mode = QUIRE_POLICY_WEIGHTED, .nodes = {7}, .weight = {1, 2, 1}, .strict = true};
    struct quire_policy lenient;
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    static quire_pfn taken[16 * BLOCK];
    uint32_t from[3] = {0};
    struct quire_refusal why;
    struct rig *r = &rig;
    size_t got, all;

    (void)unused;
    open_row(r);
    request.policy = &full;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 16 * BLOCK, taken, &all, NULL));
    request.policy = &policy;
    assert_error(quire_machine_alloc_batch(r->machine, &request, 400, pfns, &got, &why),
                 QUIRE_ERR_ZONE);
    assert_int_equal(why.node.n, 1);
    rig_check(r, all);
    request.flags |= QUIRE_PARTIAL;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 400, pfns, &got, &why));
    assert_int_equal(got, 200);
    for (size_t i = 0; i < got; i++)
        from[node_of(r, pfns[i].n)]++;
    assert_int_equal(from[0], 100);
    assert_int_equal(from[2], 100);
    assert_int_equal(rig_stats(r, 0).counts[QUIRE_NODE_INTERLEAVE], 100);
    assert_int_equal(rig_stats(r, 2).counts[QUIRE_NODE_INTERLEAVE], 100);
    assert_ok(quire_machine_free_batch(r->machine, pfns, got, NULL));
    lenient = policy;
    lenient.strict = false;
    request.policy = &lenient;
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 400, pfns, &got, NULL));
    assert_int_equal(got, 400);
    assert_ok(quire_machine_free_batch(r->machine, pfns, got, NULL));
    policy.nodes.bits = 2;
    request.policy = &policy;
    assert_error(quire_machine_alloc_batch(r->machine, &request, 400, pfns, &got, &why),
                 QUIRE_ERR_ZONE);
    assert_int_equal(why.error, QUIRE_ERR_ZONE);
    assert_int_equal(why.node.n, 1);
    assert_ok(quire_machine_free_batch(r->machine, taken, all, NULL));
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_in_turn),
        cmocka_unit_test(in_turn_without_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
