/* SPDX-License-Identifier: MIT
 *
 * test_changes.c - a change of the machine while it is under way, and one that fails half-way. It
 * looks inside, to be as late as a hit can be.
 */
#include "stress/numa/machine/unit.h"

#include "numa/machine/machine.h"

#include <stdlib.h>

static struct rig rig;

/* The port has so many pieces of memory more to give, whatever comes back. */
static uint32_t pieces_left;
static void *(*rig_memory)(void *ctx, size_t bytes, quire_node node);

static void *count_pieces(void *ctx, size_t bytes, quire_node node)
{
    return pieces_left && pieces_left-- ? rig_memory(ctx, bytes, node) : NULL;
}

static void open_counted(struct rig *r)
{
    rig_memory = r->config.port.memory;
    r->config.port.memory = count_pieces;
    pieces_left = UINT32_MAX;
    rig_open(r);
}

/* While a change waits for readers nothing that is cached is hidden from a request: not what lies
 * in the caches that are about to be replaced either. */

static uint64_t had; /* frames that could be had during the wait */

static uint32_t no_enter(void *ctx)
{
    (void)ctx;
    return 0;
}

static void no_leave(void *ctx, uint32_t entered)
{
    (void)ctx;
    (void)entered;
}

static void take_all(void *ctx)
{
    static quire_pfn pfns[16 * BLOCK];
    const struct quire_policy policy = {.mode = QUIRE_POLICY_BIND, .nodes = {1}};
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    struct rig *r = ctx;
    uint64_t n = 0;

    request.policy = &policy;
    rig_cpu = 1;
    while (n < 16 * BLOCK &&
           quire_machine_request(r->machine, &request, &pfns[n], NULL) == QUIRE_OK)
        n++;
    rig_check(r, n);
    had = n;
    while (n > 0)
        give(r, pfns[--n].n, 0);
}

static void replaced_cache(void **unused)
{
    static struct quire_topology t;
    struct rig *r = &rig;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    r->config.port.enter = no_enter;
    r->config.port.leave = no_leave;
    r->config.port.wait_for_readers = take_all;
    rig_open(r);
    pfn = take(r, 0, 0);
    give(r, pfn, 0);
    assert_true(rig_stats(r, 0).cached > 0);
    t = r->topology;
    t.cpu_node[2] = 0; /* node 0 needs a wider cache */
    assert_ok(quire_machine_set_topology(r->machine, &t));
    assert_int_equal(had, 16 * BLOCK);
    rig_close(r);
}

/* Every place where the port has no memory for more CPUs. */
static void topology_without_memory(void **unused)
{
    static struct quire_topology t;
    struct rig *r = &rig;
    uint32_t pieces, n = 0;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    open_counted(r);
    pieces = r->piece_count;
    t = r->topology;
    t.cpu_id[t.cpu_count] = 2;
    t.cpu_node[t.cpu_count++] = 0;
    for (pieces_left = n; quire_machine_set_topology(r->machine, &t) != QUIRE_OK;
         pieces_left = ++n) {
        assert_int_equal(r->piece_count, pieces);
        assert_true(n < 20);
    }
    assert_int_equal(n, 5); /* draft, snapshot, lists, cache, line of the CPU */
    pieces_left = UINT32_MAX;
    rig_close(r);
}

/* A zone that stays closing takes no late hits either: what they bring would be in nobody's sight.
 */
static void stuck(void **unused)
{
    struct quire_machine_stats before, after;
    const struct cpu_view *view;
    struct rig *r = &rig;
    uint32_t n = 0;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    open_counted(r);
    rig_cpu = 2;
    pfn = take(r, 0, 0);
    view = (const struct cpu_view *)(uintptr_t)qa_load(&r->machine->cpu_views[2], relaxed);
    assert_ptr_not_equal(view, &qi_no_view);
    assert_ok(quire_machine_stats(r->machine, &before));
    do { /* until the zone's end is begun, and then no memory is left to take that back */
        assert_true(n < 20);
        pieces_left = n++;
        assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_NO_MEMORY);
        assert_ok(quire_machine_stats(r->machine, &after));
    } while (after.snapshots == before.snapshots);
    assert_int_equal(after.snapshots, before.snapshots + 1);
    assert_false(view_push_frame(view, quire_pfn_of(pfn)));
    pieces_left = UINT32_MAX;
    assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_BUSY);
    assert_true(view_push_frame(view, quire_pfn_of(pfn))); /* it is back */
    rig_close(r);
}

/* What a removal asks the port for, after it has seen that all frames are free, may lie in the zone
 * that is to go: then it stays. */

static struct quire_zone *lender; /* once it is leaving, the port has a frame of it; or NULL */
static quire_pfn lent;

static void *lend(void *ctx, size_t bytes, quire_node node)
{
    struct rig *r = ctx;

    if (lender && qi_machine_snapshot(r->machine)->entries[1].closing) {
        assert_ok(quire_zone_alloc(lender, quire_slot_of(0), 0, 0, &lent));
        lender = NULL;
    }
    return rig_memory(ctx, bytes, node);
}

static void needs_itself(void **unused)
{
    struct rig *r = &rig;
    uint32_t pieces = 0;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_memory = r->config.port.memory;
    r->config.port.memory = lend;
    rig_open(r);
    rig_cpu = 2;
    for (unsigned i = 0; i < 2; i++) {
        lender = &r->zones[1].zone;
        assert_error(quire_machine_remove_zone(r->machine, &r->zones[1].zone), QUIRE_ERR_BUSY);
        assert_null(lender);
        rig_check(r, 1);
        give(r, lent.n, 0);
        pieces = i == 0 ? r->piece_count : pieces; /* a cache for meanwhile stays */
        assert_int_equal(r->piece_count, pieces);
    }
    give(r, take(r, 0, 0), 0); /* it is back */
    assert_int_equal(rig_stats(r, 1).free + rig_stats(r, 1).cached, 16 * BLOCK);
    assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
    rig_close(r);
}

/* A writer waits for a reader that is inside, in either phase, whatever CPU it leaves on, and for
 * no later one. */

static struct machine_reader inside;
static unsigned relaxes;

static void leave_at_last(void *ctx)
{
    struct machine_reader other; /* new ones come and go */

    qi_machine_enter(((struct rig *)ctx)->machine, &other);
    if (++relaxes == 3)
        qi_machine_leave(&inside);
    qi_machine_leave(&other);
}

static void waits_for_readers(void **unused)
{
    struct rig *r = &rig;
    struct quire_machine *m;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    r->config.port.relax = leave_at_last;
    rig_open(r);
    m = r->machine;
    assert_true(qi_machine_lock(m));          /* we are the writer */
    for (uint32_t turn = 0; turn < 4; turn++) /* each phase, in use and not */
        for (uint32_t phase = 0; phase < 2; phase++) {
            relaxes = 3;
            qi_machine_wait_for_readers(m);
            assert_int_equal(relaxes, 3);
            rig_cpu = turn;
            qi_machine_enter(m, &inside);
            if (inside.entered != phase) { /* it read the phase before the last writer turned it */
                (void)qa_sub(&inside.mcpu->enters[inside.entered], 1, relaxed);
                (void)qa_add(&inside.mcpu->enters[phase], 1, relaxed);
                inside.entered = phase;
            }
            rig_cpu = 0;
            relaxes = 0;
            qi_machine_wait_for_readers(m);
            assert_int_equal(relaxes, 3);
        }
    qi_machine_unlock(m);
    rig_close(r);
}

/* A reader of the snapshot before meets a frame of a zone that came after it, and that shares its
 * section with one other zone: the frame is not that one's, and stays where it is. */

static struct machine_reader before;
static unsigned visits;
static bool flush_full; /* the reader frees into a full magazine, or it drains */

enum { PAIRS_ROUNDS = 8 }; /* of order 1, whose magazine is for all nodes */

static uint32_t in_magazine(unsigned order)
{
    return cpu_cache_count(remote_cache(remote_magazine(before.mcpu, order, quire_node_of(2))));
}

static void use_new_zone(void *ctx)
{
    unsigned order = flush_full ? 1 : 0, n = flush_full ? PAIRS_ROUNDS : 1;
    struct quire_request request = quire_request_of(order, 0);
    uint64_t pfns[PAIRS_ROUNDS], old = 0;
    struct rig *r = ctx;

    if (!before.snapshot)
        return; /* another change */
    visits++;
    if (flush_full) {
        request.near_node = quire_near_of(quire_node_of(1));
        old = ask(r, &request);
    }
    request.near_node = quire_near_of(quire_node_of(2));
    for (unsigned i = 0; i < n; i++)
        pfns[i] = ask(r, &request);
    for (unsigned i = 0; i < n; i++)
        give(r, pfns[i], order);
    assert_int_equal(in_magazine(order), n);
    if (flush_full)
        assert_ok(qi_remote_free(&before, qi_snapshot_find(before.snapshot, quire_pfn_of(old)),
                                 quire_pfn_of(old), order));
    else
        assert_int_equal(qi_remote_drain_all(&before, false), 0);
    assert_int_equal(r->heard.reports, 0);
    assert_int_equal(in_magazine(order), n);
    assert_null(qi_snapshot_find(before.snapshot, quire_pfn_of(pfns[0])));
    assert_int_equal(qi_remote_frames(before.snapshot, before.mcpu, 1), 0);
    before.snapshot = NULL;
}

static void newer_zone(void **unused)
{
    struct rig *r = &rig;

    (void)unused;
    for (visits = 0; visits < 2;) {
        rig_begin(r, 3, 1);
        (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
        (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
        (void)rig_spare_zone(r, 1, QUIRE_ZONE_NORMAL, 32 * BLOCK, 16 * BLOCK);
        r->given[2].node = quire_node_of(2);
        r->config.port.enter = no_enter;
        r->config.port.leave = no_leave;
        r->config.port.wait_for_readers = use_new_zone;
        rig_open(r);
        flush_full = visits;
        qi_machine_enter(r->machine, &before);
        assert_ok(quire_machine_add_zone(r->machine, &r->given[2], &r->spans[2], 1));
        assert_int_equal(r->heard.reports, 0);
        assert_int_equal(rig_stats(r, 2).remote, flush_full ? 2 * PAIRS_ROUNDS : 1);
        rig_check(r, 0);
        assert_ok(quire_machine_remove_zone(r->machine, &r->zones[2].zone));
        r->zone_count = 2;
        free(r->zones[2].metadata);
        rig_close(r);
    }
}

/* A frame of no zone is nobody's, though another zone has the rest of its section, or spans of one
 * zone lie around it. */
static void holes(void **unused)
{
    const uint64_t in_no_zone[] = {16 * BLOCK, 31 * BLOCK + 7, 48 * BLOCK, SECTION - 1};
    struct rig *r = &rig;
    struct quire_zone *zone;
    quire_node node;

    (void)unused;
    rig_begin(r, 2, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 48 * BLOCK);
    r->spans[2] = r->spans[1]; /* what lies between these is the zone's, and not in service */
    r->spans[1].run.frames = 16 * BLOCK;
    r->spans[2].run.pfn.n += 32 * BLOCK;
    r->spans[2].run.frames = 16 * BLOCK;
    r->config.span_count = 3;
    rig_open(r);
    for (unsigned i = 0; i < sizeof in_no_zone / sizeof in_no_zone[0]; i++) {
        quire_pfn pfn = quire_pfn_of(rig_base(1) + in_no_zone[i]);
        struct quire_run run = {{pfn.n / BLOCK * BLOCK}, BLOCK};
        size_t bad = 1;

        assert_error(quire_machine_find(r->machine, pfn, &node, &zone), QUIRE_ERR_FRAME);
        assert_error(quire_machine_free(r->machine, pfn, 0), QUIRE_ERR_FRAME);
        assert_error(quire_machine_free_contig(r->machine, pfn, 3), QUIRE_ERR_FRAME);
        assert_error(quire_machine_free_batch(r->machine, &pfn, 1, &bad), QUIRE_ERR_FRAME);
        assert_int_equal(bad, 0);
        assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                     QUIRE_ERR_FRAME);
        assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
    }
    assert_int_equal(r->heard.reports, 0);
    assert_int_equal(node_of(r, rig_base(1) + 47 * BLOCK), 1);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_cache), cmocka_unit_test(topology_without_memory),
        cmocka_unit_test(stuck),          cmocka_unit_test(waits_for_readers),
        cmocka_unit_test(newer_zone),     cmocka_unit_test(holes),
        cmocka_unit_test(needs_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
