/* SPDX-License-Identifier: MIT
 *
 * test_machine.c - building, zonelists, allocation and free of single runs, figures.
 */
#include "unit.h"

#include <string.h>

static struct rig rig;

static void local_pair(void **unused)
{
    struct rig *r = &rig;
    uint64_t kept[8];

    (void)unused;
    open_row(r);
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        uint64_t pfn;

        rig_cpu = cpu;
        pfn = take(r, 0, 0);
        assert_int_equal(node_of(r, pfn), cpu / 2);
        rig_check(r, 1 + cpu);
        give(r, pfn, 0);
        kept[cpu] = take(r, 0, QUIRE_MOVABLE | QUIRE_HIGH);
        assert_int_equal(node_of(r, kept[cpu]), cpu / 2);
        rig_check(r, 1 + cpu);
    }
    for (uint32_t n = 0; n < 4; n++) {
        struct quire_node_stats s = rig_stats(r, n);

        assert_int_equal(s.counts[QUIRE_NODE_HIT], 4);
        assert_int_equal(s.counts[QUIRE_NODE_LOCAL], 4);
        assert_int_equal(s.counts[QUIRE_NODE_MISS] + s.counts[QUIRE_NODE_FOREIGN] +
                             s.counts[QUIRE_NODE_OTHER] + s.counts[QUIRE_NODE_INTERLEAVE],
                         0);
        assert_int_equal(s.zones, 1);
        assert_int_equal(s.managed, 16 * BLOCK);
    }
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        rig_cpu = cpu;
        give(r, kept[cpu], 0);
    }
    rig_close(r);
}

/* Every order, and the figures of what is not a hit. */
static void orders(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    rig_cpu = 5;
    for (unsigned order = 0; order <= 12; order++) {
        uint64_t pfn = take(r, order, order % 2 ? QUIRE_MOVABLE : 0);

        assert_int_equal(node_of(r, pfn), 2);
        rig_check(r, 1u << order);
        give(r, pfn, order);
    }
    assert_int_equal(rig_stats(r, 2).counts[QUIRE_NODE_HIT], 13);
    assert_int_equal(rig_stats(r, 2).counts[QUIRE_NODE_LOCAL], 13);
    rig_close(r);
}

/* All zero asks what quire_machine_alloc asks: the caller's node, wherever it is, and NORMAL. */
static void zeroed_request(void **unused)
{
    const struct quire_request request = {0};
    struct rig *r = &rig;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_DMA, 0, 4 * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 4 * BLOCK, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 32 * BLOCK, 16 * BLOCK);
    rig_open(r);
    for (rig_cpu = 0; rig_cpu < 4; rig_cpu++) {
        uint64_t pfn = ask(r, &request);
        struct quire_zone *zone;
        quire_node node;

        assert_ok(quire_machine_find(r->machine, quire_pfn_of(pfn), &node, &zone));
        assert_int_equal(node.n, r->topology.cpu_node[rig_cpu]);
        assert_ptr_equal(zone, &r->zones[1 + node.n].zone);
        give(r, pfn, 0);
    }
    rig_cpu = 0;
    rig_close(r);
}

static void wrong_calls(void **unused)
{
    struct quire_request request;
    struct quire_refusal why;
    struct rig *r = &rig;
    quire_node node;
    struct quire_zone *zone;
    quire_pfn pfn = {77};
    uint64_t good;

    (void)unused;
    open_row(r);
    assert_error(quire_machine_alloc(r->machine, QUIRE_MAX_ORDER + 1, 0, &pfn), QUIRE_ERR_SIZE);
    assert_error(quire_machine_alloc(r->machine, 0, 1u << 30, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_machine_alloc(r->machine, 0, QUIRE_PARTIAL, &pfn), QUIRE_ERR_UNSUPPORTED);
    request = quire_request_of(0, 0);
    request.purpose = (enum quire_purpose)QUIRE_ZONE_TYPES;
    assert_error(quire_machine_request(r->machine, &request, &pfn, &why), QUIRE_ERR_UNSUPPORTED);
    assert_int_equal(why.error, QUIRE_ERR_UNSUPPORTED);
    request = quire_request_of(0, 0);
    request.near_node = quire_near_of(quire_node_of(4));
    assert_error(quire_machine_request(r->machine, &request, &pfn, &why), QUIRE_ERR_NODE);
    request = quire_request_of(0, 0);
    request.purpose = QUIRE_FOR_DEVICE;
    assert_error(quire_machine_request(r->machine, &request, &pfn, &why), QUIRE_ERR_NODE);
    assert_int_equal(pfn.n, 77);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(0), 0), QUIRE_ERR_FRAME);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(UINT64_MAX), 0), QUIRE_ERR_FRAME);
    assert_error(quire_machine_free(r->machine, quire_pfn_of(rig_base(0)), QUIRE_MAX_ORDER + 1),
                 QUIRE_ERR_SIZE);
    good = take(r, 3, 0);
    for (rig_cpu = 0; rig_cpu < 8; rig_cpu += 7) { /* local, and remote */
        assert_error(quire_machine_free(r->machine, quire_pfn_of(good + 1), 3), QUIRE_ERR_ALIGN);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(good), 2), QUIRE_ERR_ORDER);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(good), 4), QUIRE_ERR_ORDER);
        assert_error(quire_machine_free(r->machine, quire_pfn_of(rig_base(0) + 16 * BLOCK - 8), 3),
                     QUIRE_ERR_DOUBLE_FREE);
    }
    rig_cpu = 7;
    assert_error(quire_machine_free(r->machine, quire_pfn_of(good + 1), 0), QUIRE_ERR_ORDER);
    assert_error(quire_machine_find(r->machine, quire_pfn_of(5), &node, &zone), QUIRE_ERR_FRAME);
    assert_error(quire_machine_drain_cpu(r->machine, 8), QUIRE_ERR_SIZE);
    assert_error(quire_machine_retire_cpu(r->machine, 8), QUIRE_ERR_SIZE);
    assert_error(quire_machine_drain_node(r->machine, quire_node_of(4)), QUIRE_ERR_NODE);
    assert_error(quire_machine_drain_node(r->machine, quire_node_of(QUIRE_NO_NODE)),
                 QUIRE_ERR_NODE);
    give(r, good, 3);
    rig_close(r);
}

/* What init refuses, and that it leaves nothing behind. */
static void wrong_machines(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    rig_begin(r, 2, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    r->config.zone_count = 0;
    assert_error(rig_try(r), QUIRE_ERR_SIZE);
    r->config.zone_count = 1; /* the second span is of no zone */
    assert_error(rig_try(r), QUIRE_ERR_SIZE);
    r->config.zone_count = 2;
    r->config.span_count = 1; /* the second zone has none */
    assert_error(rig_try(r), QUIRE_ERR_SIZE);
    r->config.span_count = 2;
    r->given[1].node = quire_node_of(2);
    assert_error(rig_try(r), QUIRE_ERR_NODE);
    r->given[1].node = quire_node_of(1);
    r->config.mode = (enum quire_cache_mode)4;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.mode = QUIRE_CACHE_EXCHANGE;
    r->config.policy.mode = (enum quire_policy_mode)6;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    r->config.policy.mode = QUIRE_POLICY_LOCAL;
    r->config.rounds = 3;
    assert_error(rig_try(r), QUIRE_ERR_SIZE);
    r->config.rounds = 32;
    r->config.give_back_after = 65536;
    assert_error(rig_try(r), QUIRE_ERR_SIZE);
    r->config.give_back_after = 0;
    r->spans[1].run.pfn.n++;
    assert_error(rig_try(r), QUIRE_ERR_ALIGN);
    r->spans[1].run.pfn.n--;
    r->topology.cpu_id[1] = r->topology.cpu_id[0];
    assert_error(rig_try(r), QUIRE_ERR_BUSY);
    r->topology.cpu_id[1]++;
    for (r->refuse_memory = 1; rig_try(r) != QUIRE_OK; r->refuse_memory++)
        assert_true(r->refuse_memory < 50);
    assert_true(r->refuse_memory > 6);
    r->refuse_memory = 0;
    rig_close(r);
}

static void assert_list(struct rig *r, uint32_t node, enum quire_zone_type type,
                        const char *expected)
{
    struct quire_zonelist_entry entries[32];
    char text[200] = "";
    size_t count;

    assert_ok(quire_machine_zonelist(r->machine, quire_node_of(node), type, entries, 32, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(i < (sizeof(text) - 1) / 3);
        text[3 * i] = (char)('0' + entries[i].node.n);
        text[3 * i + 1] = "D3NHV"[entries[i].type];
        text[3 * i + 2] = ' ';
    }
    assert_string_equal(text, expected);
}

static void zonelists(void **unused)
{
    struct quire_zonelist_entry entries[2];
    struct rig *r = &rig;
    size_t count;

    (void)unused;
    rig_begin(r, 3, 1);
    in_a_row(r);
    (void)rig_zone(r, 0, QUIRE_ZONE_DMA, 0, 2 * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_DMA32, 2 * BLOCK, 6 * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 8 * BLOCK, 8 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_HUGE, 0, 8 * BLOCK);
    (void)rig_zone(r, 2, QUIRE_ZONE_NORMAL, 0, 8 * BLOCK);
    (void)rig_zone(r, 2, QUIRE_ZONE_DEVICE, 8 * BLOCK, 8 * BLOCK);
    rig_open(r);
    assert_list(r, 0, QUIRE_ZONE_NORMAL, "0N 03 0D 2N ");
    assert_list(r, 1, QUIRE_ZONE_NORMAL, "2N 0N 03 0D ");
    assert_list(r, 2, QUIRE_ZONE_NORMAL, "2N 0N 03 0D ");
    assert_list(r, 2, QUIRE_ZONE_DMA32, "03 0D ");
    assert_list(r, 1, QUIRE_ZONE_DMA, "0D ");
    assert_list(r, 0, QUIRE_ZONE_HUGE, "0N 03 0D 1H 2N ");
    assert_list(r, 0, QUIRE_ZONE_DEVICE, "2V ");
    assert_ok(
        quire_machine_zonelist(r->machine, quire_node_of(0), QUIRE_ZONE_HUGE, entries, 2, &count));
    assert_int_equal(count, 5);
    assert_error(
        quire_machine_zonelist(r->machine, quire_node_of(3), QUIRE_ZONE_HUGE, entries, 2, &count),
        QUIRE_ERR_NODE);
    assert_error(quire_machine_zonelist(r->machine, quire_node_of(0),
                                        (enum quire_zone_type)QUIRE_ZONE_TYPES, entries, 2, &count),
                 QUIRE_ERR_UNSUPPORTED);
    rig_close(r);
}

/* Purposes: DMA memory on demand, huge pages from Huge, small unmovable requests never. */
static void purposes(void **unused)
{
    struct quire_request request = quire_request_of(0, 0);
    struct rig *r = &rig;
    struct quire_zone *zone;
    quire_node node;
    uint64_t pfns[5];
    quire_pfn pfn;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_DMA, 0, 4 * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 4 * BLOCK, 16 * BLOCK);
    (void)rig_zone(r, 0, QUIRE_ZONE_HUGE, 32 * BLOCK, 16 * BLOCK);
    rig_open(r);
    request.purpose = QUIRE_FOR_DMA;
    pfns[0] = ask(r, &request);
    request.purpose = QUIRE_FOR_HUGE;
    pfns[1] = ask(r, &request);
    request.flags = QUIRE_MOVABLE;
    pfns[2] = ask(r, &request);
    request.order = 9;
    request.flags = 0;
    pfns[3] = ask(r, &request);
    pfns[4] = take(r, 9, 0);
    for (unsigned i = 0; i < 5; i++) {
        static const unsigned where[5] = {0, 1, 2, 2, 1};

        assert_ok(quire_machine_find(r->machine, quire_pfn_of(pfns[i]), &node, &zone));
        assert_ptr_equal(zone, &r->zones[where[i]].zone);
        give(r, pfns[i], i < 3 ? 0 : 9);
    }
    request.purpose = QUIRE_FOR_DMA;
    request.order = 12;
    assert_error(quire_machine_request(r->machine, &request, &pfn, NULL), QUIRE_ERR_ZONE);
    rig_close(r);
}

/* A node without memory is served by the nearest with some, through a cache; one without CPUs
 * serves as well. */
static void odd_nodes(void **unused)
{
    struct quire_node_stats s;
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 3, 2);
    in_a_row(r);
    r->topology.cpu_node[4] = r->topology.cpu_node[5] = 1; /* node 2 has memory alone */
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 8 * BLOCK);
    (void)rig_zone(r, 2, QUIRE_ZONE_NORMAL, 0, 64 * BLOCK); /* node 1 has CPUs alone */
    rig_open(r);
    rig_cpu = 3;
    pfn = take(r, 0, 0);
    assert_int_equal(node_of(r, pfn), 2);
    s = rig_stats(r, 2);
    assert_true(s.cached > 0);
    assert_int_equal(s.counts[QUIRE_NODE_HIT], 1);
    assert_int_equal(s.counts[QUIRE_NODE_OTHER], 1);
    assert_int_equal(s.counts[QUIRE_NODE_LOCAL], 0);
    assert_int_equal(rig_stats(r, 1).zones, 0);
    give(r, pfn, 0);
    assert_int_equal(take(r, 0, 0), pfn);
    assert_int_equal(rig_stats(r, 2).counts[QUIRE_NODE_OTHER], 2);
    give(r, pfn, 0);
    rig_cpu = 9; /* a CPU that nobody knows counts as CPU 0 */
    pfn = take(r, 0, 0);
    assert_int_equal(node_of(r, pfn), 0);
    give(r, pfn, 0);
    rig_close(r);
}

/* Metadata of a node lies on it. */
static void metadata(void **unused)
{
    struct quire_machine_stats s;
    uint64_t sums[4] = {0};
    struct rig *r = &rig;

    (void)unused;
    open_row(r);
    for (uint32_t i = 0; i < r->piece_count; i++)
        sums[r->pieces[i].node] += r->pieces[i].bytes;
    for (uint32_t n = 1; n < 4; n++) {
        assert_true(sums[n] >= 4 * 4096); /* lists, lines, handle, cache */
        assert_int_equal(sums[n], sums[1]);
    }
    assert_ok(quire_machine_stats(r->machine, &s));
    assert_true(s.metadata_bytes > r->memory_bytes);
    assert_true(s.zonelist_bytes > 0);
    rig_close(r);
}

static int discard_answer;

static int answer_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    (void)ctx;
    (void)pfn;
    (void)frames;
    return discard_answer;
}

/* What a port answers is told, if no zone gave or zeroed anything, wherever it comes in the order
 * of zones: one that has nothing to give is no success. */
static void refusing_ports(void **unused)
{
    const struct quire_give_back all = {0};
    quire_node any = quire_node_of(QUIRE_NO_NODE);
    struct rig *r = &rig;
    uint64_t frames;

    (void)unused;
    for (uint32_t n = 0; n < 4; n++) {
        rig_begin(r, 4, 2);
        for (uint32_t i = 0; i < 4; i++) {
            (void)rig_zone(r, i, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
            r->zones[i].zone.port.discard = answer_discard;
        }
        rig_open(r);
        discard_answer = 0;
        assert_ok(quire_machine_give_back(r->machine, quire_node_of(n), &all, &frames));
        assert_int_equal(frames, 16 * BLOCK);
        assert_ok(quire_machine_zero_idle(r->machine, quire_node_of(n), UINT64_MAX, &frames));
        discard_answer = QUIRE_ERR_STATE;
        r->heard.zero_answer = QUIRE_ERR_STATE;
        assert_int_equal(quire_machine_give_back(r->machine, any, &all, &frames), QUIRE_ERR_STATE);
        assert_int_equal(frames, 0);
        assert_int_equal(quire_machine_zero_idle(r->machine, any, UINT64_MAX, &frames),
                         QUIRE_ERR_STATE);
        assert_int_equal(frames, 0);
        rig_close(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_pair),     cmocka_unit_test(orders),
        cmocka_unit_test(zeroed_request), cmocka_unit_test(wrong_calls),
        cmocka_unit_test(wrong_machines), cmocka_unit_test(zonelists),
        cmocka_unit_test(purposes),       cmocka_unit_test(odd_nodes),
        cmocka_unit_test(metadata),       cmocka_unit_test(refusing_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
