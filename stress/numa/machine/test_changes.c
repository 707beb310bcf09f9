/* SPDX-License-Identifier: MIT
 *
 * test_changes.c - a change of the machine while it is under way, and one that fails half-way. It
 * looks inside, to be as late as a hit can be.
 */
#include "unit.h"

#include "numa/machine/machine.h"

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
    assert_non_null(view);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_cache),
        cmocka_unit_test(topology_without_memory),
        cmocka_unit_test(stuck),
        cmocka_unit_test(waits_for_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
