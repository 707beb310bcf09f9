/* SPDX-License-Identifier: MIT
 *
 * test_hotplug.c - zones that come and go, topologies that change. What must hold while others go
 * on is in stress.c; here one caller does all.
 */
#include "stress/numa/machine/unit.h"

#include <stdlib.h>
#include <string.h>

static struct rig rig;

/* A new zone is served by and serves its node, and is nearer than what was used before. */
static void add(void **unused)
{
    struct rig *r = &rig;
    struct quire_machine_stats s;
    uint64_t before, after, third;
    uint32_t spare, again;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    spare = rig_spare_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    again = rig_spare_zone(r, 1, QUIRE_ZONE_NORMAL, 8 * BLOCK, 16 * BLOCK);
    rig_open(r);
    rig_cpu = 2;
    before = take(r, 0, 0);
    assert_int_equal(node_of(r, before), 0);
    assert_ok(quire_machine_add_zone(r->machine, &r->given[spare], &r->spans[spare], 1));
    rig_cpu = 3;
    after = take(r, 0, 0);
    assert_int_equal(node_of(r, after), 1);
    rig_cpu = 2; /* its old cache was closed */
    third = take(r, 0, 0);
    assert_int_equal(node_of(r, third), 1);
    give(r, before, 0); /* remote now */
    assert_int_equal(rig_stats(r, 0).remote, 1);
    give(r, after, 0);
    give(r, third, 0);
    assert_error(quire_machine_add_zone(r->machine, &r->given[spare], &r->spans[again], 1),
                 QUIRE_ERR_BUSY);
    assert_error(quire_machine_add_zone(r->machine, &r->given[again], &r->spans[again], 1),
                 QUIRE_ERR_BUSY);
    assert_error(quire_machine_add_zone(r->machine, &r->given[again], &r->spans[again], 0),
                 QUIRE_ERR_SIZE);
    r->given[again].node = quire_node_of(2);
    assert_error(quire_machine_add_zone(r->machine, &r->given[again], &r->spans[again], 1),
                 QUIRE_ERR_NODE);
    assert_ok(quire_machine_stats(r->machine, &s));
    assert_int_equal(s.snapshots, 2);
    assert_int_equal(s.managed, 32 * BLOCK);
    rig_close(r);
}

/* Every place where the port has no memory. */
static void add_without_memory(void **unused)
{
    struct rig *r = &rig;
    uint32_t spare, pieces;
    uint64_t bytes;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    spare = rig_spare_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    pieces = r->piece_count;
    bytes = r->memory_bytes;
    for (r->refuse_memory = pieces;
         quire_machine_add_zone(r->machine, &r->given[spare], &r->spans[spare], 1) != QUIRE_OK;
         r->refuse_memory++) {
        assert_int_equal(r->piece_count, pieces);
        assert_int_equal(r->memory_bytes, bytes);
        assert_true(r->refuse_memory < pieces + 20);
        rig_cpu = 2;
        give(r, take(r, 0, 0), 0);
    }
    assert_true(r->refuse_memory >= pieces + 5);
    r->refuse_memory = 0;
    rig_close(r);
}

static void remove_zone(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    struct quire_zone *zone;
    quire_node node;
    quire_pfn pfn;
    uint64_t a, b;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    rig_cpu = 2;
    a = take(r, 0, 0);
    b = take(r, 9, 0);
    assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_BUSY);
    assert_int_equal(take(r, 0, 0) >> RIG_SHIFT, 2); /* it is back, with its cache */
    rig_check(r, 1 + 512 + 1);
    rig_cpu = 0; /* one in each place where it can hide: CPU cache, remote magazine */
    give(r, b, 9);
    give(r, a, 0);
    rig_cpu = 3;
    assert_ok(quire_machine_drain_cpu(r->machine, 2));
    request.near_node = quire_near_of(quire_node_of(1));
    assert_ok(quire_machine_request(r->machine, &request, &pfn, NULL));
    give(r, pfn.n, 0);
    /* the frame that CPU 2 took */
    assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_BUSY);
    for (uint64_t i = 0; i < 16 * BLOCK; i++) {
        enum quire_frame_state state;

        assert_ok(quire_zone_frame_state(&r->zones[1].zone, quire_pfn_of(rig_base(1) + i), &state));
        if (state == QUIRE_FRAME_USED)
            (void)quire_machine_free(r->machine, quire_pfn_of(rig_base(1) + i), 0);
    }
    assert_ok(quire_machine_drain(r->machine));
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
    assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_FRAME);
    memset(r->zones[1].metadata, 0xff, 4096); /* nobody looks at it any more */
    free(r->zones[1].metadata);
    r->zones[1].metadata = NULL;
    memset(&r->zones[1].zone, 0xff, sizeof r->zones[1].zone);
    assert_int_equal(node_of(r, a = take(r, 0, 0)), 0);
    assert_error(quire_machine_find(r->machine, quire_pfn_of(rig_base(1)), &node, &zone),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(rig_base(1)), 0), QUIRE_ERR_FRAME);
    give(r, a, 0);
    rig_close(r);
}

/* A CPU moves to another node, a node appears, one that has a zone may not go. */
static void topology(void **unused)
{
    static struct quire_topology t;
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    rig_cpu = 1;
    pfn = take(r, 0, 0);
    assert_int_equal(node_of(r, pfn), 0);
    give(r, pfn, 0);
    assert_int_equal(take(r, 0, 0), pfn); /* a hit, which the CPU's cache counts */
    t = r->topology;
    t.cpu_node[1] = 1;
    assert_ok(quire_machine_set_topology(r->machine, &t));
    give(r, pfn, 0);
    assert_int_equal(rig_stats(r, 0).remote, 1);
    assert_int_equal(rig_stats(r, 0).counts[QUIRE_NODE_HIT], 2); /* whose cache is closed */
    assert_int_equal(rig_stats(r, 0).counts[QUIRE_NODE_LOCAL], 2);
    pfn = take(r, 0, 0);
    assert_int_equal(node_of(r, pfn), 1);
    t.node_count = 1;
    assert_error(quire_machine_set_topology(r->machine, &t), QUIRE_ERR_NODE);
    t.node_count = 3;
    t.node_id[2] = 7;
    t.cpu_id[t.cpu_count] = 99;
    t.cpu_node[t.cpu_count++] = 2;
    t.distance[2][1] = t.distance[1][2] = 15;
    t.distance[0][1] = t.distance[1][0] = 9;
    assert_error(quire_machine_set_topology(r->machine, &t), QUIRE_ERR_SIZE);
    t.distance[0][1] = t.distance[1][0] = 30;
    assert_ok(quire_machine_set_topology(r->machine, &t));
    rig_cpu = 4;
    give(r, pfn, 0); /* local there */
    assert_int_equal(rig_stats(r, 1).remote, 0);
    assert_int_equal(node_of(r, pfn = take(r, 0, 0)), 1);
    give(r, pfn, 0);
    quire_machine_topology(r->machine, &t);
    assert_int_equal(t.node_count, 3);
    assert_int_equal(t.distance[0][1], 30);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add),
        cmocka_unit_test(add_without_memory),
        cmocka_unit_test(remove_zone),
        cmocka_unit_test(topology),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
