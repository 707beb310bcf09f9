/* SPDX-License-Identifier: MIT
 *
 * test_depot.c - the depot's shards: whose halves a CPU gets and when, where empty nodes go, and
 * that no half is out of reach (D1 to D6 of percpu/depot.h). First the depot alone, by hand; then
 * behind the caches.
 *
 * "Elsewhere" is another CPU; with one CPU only there is none to exchange with.
 */
#include "unit.h"

#include "percpu/depot.h"
#include "percpu/fastpath.h"

#include <stdlib.h>
#include <string.h>

/* ---- The depot alone ------------------------------------------------------------------------ */

enum { HALF = 4, PATIENCE = 5, CLS = CACHE_UNMOVABLE, OTHER_CLS = CACHE_LARGE };

static struct depot *make(uint32_t cpus, uint32_t nodes, uint32_t patience)
{
    size_t bytes = qi_depot_bytes(cpus, nodes, HALF);
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

    assert_non_null(memory);
    memset(memory, 0, bytes);
    qi_depot_init(memory, cpus, nodes, HALF, patience);
    return memory;
}

/* Put a half that begins with `tag`. */
static bool put_in(struct depot *depot, uint32_t cpu, unsigned cls, uint64_t tag)
{
    quire_pfn pfns[HALF];

    for (uint32_t i = 0; i < HALF; i++)
        pfns[i].n = tag + i;
    return qi_depot_put(depot, cpu, cls, pfns, HALF);
}

static bool put(struct depot *depot, uint32_t cpu, uint64_t tag)
{
    return put_in(depot, cpu, CLS, tag);
}

static uint64_t tag_of(const quire_pfn pfns[], uint32_t n)
{
    if (n == 0)
        return 0;
    assert_int_equal(n, HALF);
    for (uint32_t i = 0; i < HALF; i++)
        assert_int_equal(pfns[i].n, pfns[0].n + i);
    return pfns[0].n;
}

/* The tag of the half that a CPU gets; 0: none. */
static uint64_t get(struct depot *depot, uint32_t cpu)
{
    quire_pfn pfns[HALF];

    return tag_of(pfns, qi_depot_get(depot, cpu, CLS, pfns));
}

static uint64_t get_any(struct depot *depot, uint32_t cpu)
{
    quire_pfn pfns[HALF];

    return tag_of(pfns, qi_depot_get_any(depot, cpu, CLS, pfns));
}

/* Gets in vain until one has something. */
static unsigned vain_gets(struct depot *depot, uint32_t cpu, uint64_t tag)
{
    unsigned n = 0;
    uint64_t got;

    while ((got = get(depot, cpu)) == 0 && n < 1000)
        n++;
    assert_int_equal(got, tag);
    return n;
}

static void own_first(void **unused)
{
    struct depot *depot = make(3, 6, 0);

    (void)unused;
    for (uint32_t cpu = 0; cpu < 3; cpu++)
        assert_true(put(depot, cpu, 100 * cpu + 100));
    assert_int_equal(qi_depot_full(depot, CLS), 3);
    assert_int_equal(get_any(depot, 2), 300);
    assert_int_equal(get(depot, 1), 200);
    assert_int_equal(get(depot, 0), 100);
    assert_int_equal(qi_depot_full(depot, CLS), 0);
    free(depot);
}

/* Nobody else's halves before the patience is at its end; a put of that class by that CPU, and
 * nothing else, begins it anew. */
static void patience(void **unused)
{
    struct depot *depot = make(2, 8, PATIENCE);

    (void)unused;
    for (uint64_t i = 1; i <= 4; i++)
        assert_true(put(depot, 1, 10 * i));
    assert_int_equal(vain_gets(depot, 0, 40), PATIENCE);
    assert_int_equal(vain_gets(depot, 0, 30), 0); /* from then on at once */
    assert_true(put_in(depot, 0, OTHER_CLS, 500));
    assert_int_equal(vain_gets(depot, 0, 20), 0);
    assert_true(put(depot, 0, 600));
    assert_int_equal(get(depot, 0), 600);
    assert_int_equal(vain_gets(depot, 0, 10), PATIENCE);
    assert_int_equal(get(depot, 0), 0);
    assert_true(put(depot, 1, 70)); /* the other's puts do not */
    assert_int_equal(get(depot, 0), 70);
    free(depot);
}

/* A put that is refused is one: the CPU frees, and has halves of its own soon. */
static void refused_put_is_one(void **unused)
{
    struct depot *depot = make(2, 2, PATIENCE);

    (void)unused;
    assert_true(put(depot, 1, 10));
    assert_true(put_in(depot, 0, OTHER_CLS, 20));
    for (int i = 0; i < PATIENCE; i++)
        assert_int_equal(get(depot, 0), 0);
    assert_false(put(depot, 0, 30));
    assert_int_equal(vain_gets(depot, 0, 10), PATIENCE);
    free(depot);
}

/* A node that another CPU emptied goes back to its shard. */
static void goes_back(void **unused)
{
    struct depot *depot = make(2, 2, 0);

    (void)unused;
    for (uint64_t i = 1; i <= 3 * DEPOT_EMPTY_PERIOD; i++) {
        assert_true(put(depot, 1, i));
        assert_int_equal(get(depot, 0), i);
        assert_true(put(depot, 1, i));
        assert_int_equal(get_any(depot, 0), i);
    }
    assert_true(put(depot, 0, 10)); /* it has the one that it had, and no more */
    assert_false(put(depot, 0, 20));
    free(depot);
}

/* Empty nodes of idle CPUs come to one that lacks them, one in DEPOT_EMPTY_PERIOD refusals, and
 * stay. */
static void nodes_move(void **unused)
{
    enum { CPUS = 3, NODES = 7 };
    struct depot *depot = make(CPUS, NODES, 0);
    unsigned puts = 0, refused = 0;

    (void)unused;
    while (refused < 10 * DEPOT_EMPTY_PERIOD)
        put(depot, 1, 10) ? puts++ : refused++;
    assert_int_equal(puts, NODES);
    assert_int_equal(qi_depot_full(depot, CLS), NODES);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(get(depot, 1), 10);
    assert_int_equal(get_any(depot, 1), 0);
    assert_false(put(depot, 0, 20));
    for (unsigned i = 0; i < NODES; i++)
        assert_true(put(depot, 1, 30));
    free(depot);
}

/* The pace of it. */
static void nodes_move_slowly(void **unused)
{
    struct depot *depot = make(2, 4, 0);

    (void)unused;
    assert_true(put(depot, 0, 10));
    assert_true(put(depot, 0, 20));
    for (int node = 0; node < 2; node++) {
        for (int i = 1; i < DEPOT_EMPTY_PERIOD; i++)
            assert_false(put(depot, 0, 30));
        assert_true(put(depot, 0, 40));
    }
    for (int i = 0; i < 3 * DEPOT_EMPTY_PERIOD; i++)
        assert_false(put(depot, 0, 50));
    free(depot);
}

/* A flush finds what lies in one CPU's shard, and the node goes back to it, too. */
static void hold(void **unused)
{
    struct depot *depot = make(2, 2, 0);
    const quire_pfn *pfns;
    uint32_t n;

    (void)unused;
    assert_true(put(depot, 1, 10));
    assert_null(qi_depot_hold(depot, 0, CLS, &n));
    assert_null(qi_depot_hold(depot, 1, OTHER_CLS, &n));
    pfns = qi_depot_hold(depot, 1, CLS, &n);
    assert_non_null(pfns);
    assert_int_equal(tag_of(pfns, n), 10);
    assert_int_equal(qi_depot_full(depot, CLS), 0);
    assert_false(put(depot, 1, 20)); /* it is in use still */
    qi_depot_emptied(depot, pfns);
    assert_true(put(depot, 1, 30));
    assert_true(put(depot, 0, 40));
    free(depot);
}

/* What was not needed is told by shard. */
static void unused_by_shard(void **unused)
{
    struct depot *depot = make(2, 8, 0);

    (void)unused;
    for (uint32_t cpu = 0; cpu < 2; cpu++)
        for (uint64_t i = 0; i < 3; i++)
            assert_true(put(depot, cpu, 10));
    for (uint32_t cpu = 0; cpu < 2; cpu++)
        (void)qi_depot_unused(depot, cpu, CLS);
    assert_int_equal(get(depot, 0), 10);
    assert_int_equal(get(depot, 0), 10);
    assert_true(put(depot, 0, 10));
    assert_int_equal(qi_depot_unused(depot, 0, CLS), 1);
    assert_int_equal(qi_depot_unused(depot, 1, CLS), 3);
    assert_int_equal(qi_depot_unused(depot, 0, CLS), 2);
    assert_int_equal(qi_depot_unused(depot, 0, OTHER_CLS), 0);
    free(depot);
}

static void fewer_nodes_than_cpus(void **unused)
{
    struct depot *depot = make(8, 3, PATIENCE);

    (void)unused;
    for (uint32_t cpu = 0; cpu < 8; cpu++)
        assert_int_equal(put(depot, cpu, cpu + 10), cpu < 3);
    assert_int_equal(qi_depot_full(depot, CLS), 3);
    assert_int_equal(get_any(depot, 5), 10);
    for (int i = 2; i < DEPOT_EMPTY_PERIOD; i++)
        assert_false(put(depot, 7, 20));
    assert_true(put(depot, 7, 20));
    assert_int_equal(vain_gets(depot, 6, 20), PATIENCE);
    assert_int_equal(get_any(depot, 6), 11);
    assert_int_equal(get_any(depot, 6), 12);
    assert_int_equal(get_any(depot, 6), 0);
    free(depot);
}

static void one_cpu(void **unused)
{
    struct depot *depot = make(1, 2, PATIENCE);

    (void)unused;
    for (int turn = 0; turn < 3; turn++) {
        assert_true(put(depot, 0, 10));
        assert_true(put(depot, 0, 20));
        for (int i = 0; i < 2 * DEPOT_EMPTY_PERIOD; i++)
            assert_false(put(depot, 0, 30));
        assert_int_equal(get(depot, 0), 20);
        assert_int_equal(get_any(depot, 0), 10);
        for (int i = 0; i < 2 * PATIENCE; i++)
            assert_int_equal(get(depot, 0), 0);
        assert_int_equal(get_any(depot, 0), 0);
    }
    free(depot);
}

static void no_node(void **unused)
{
    struct depot *depot = make(4, 0, 0);

    (void)unused;
    for (int i = 0; i < 2 * DEPOT_EMPTY_PERIOD; i++)
        assert_false(put(depot, 2, 10));
    assert_int_equal(get(depot, 2), 0);
    assert_int_equal(get_any(depot, 2), 0);
    assert_int_equal(qi_depot_full(depot, CLS), 0);
    free(depot);
}

/* Of many shards each is found, from each CPU; asking them in vain is paid for by gets that do not
 * ask. */
static void many_cpus(void **unused)
{
    enum { CPUS = 64, PAID = CPUS / DEPOT_SHARDS_A_GET };
    struct depot *depot = make(CPUS, CPUS, PATIENCE + PAID);

    (void)unused;
    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        uint32_t other = (cpu * 37 + 11) % CPUS;

        assert_true(put(depot, other, cpu + 1));
        assert_int_equal(get_any(depot, cpu), cpu + 1);
    }
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        assert_true(put(depot, cpu, cpu + 1));
    assert_int_equal(get(depot, 9), 10); /* and then the next one's, round to the one before */
    assert_int_equal(vain_gets(depot, 9, 11), PATIENCE + PAID);
    for (uint32_t i = 2; i < CPUS; i++)
        assert_int_equal(get(depot, 9), (9 + i) % CPUS + 1);
    assert_int_equal(get(depot, 9), 0);
    assert_true(put(depot, 50, 777));
    assert_int_equal(vain_gets(depot, 9, 777), PAID);
    free(depot);
}

/* ---- Behind the caches ---------------------------------------------------------------------- */

enum { FRAMES = 32 * BLOCK, ROUNDS = 64 };

static uint64_t pfns[FRAMES];

static void open_shards(struct rig *r)
{
    if (elsewhere() == HERE) {
        print_message("one CPU only: no second one to exchange with\n");
        skip();
    }
    rig_begin(r, FRAMES);
    r->cache_config.rounds = ROUNDS;
    r->cache_config.huge_rounds = 0;
    r->cache_config.depot = 4 * r->cache_config.cpus;
    rig_open(r);
}

/* All that the zone has is taken: a call that the layer above makes, which is refused where the
 * zone is, has what lies in another CPU's shard. */
static void not_refused(void **unused)
{
    struct quire_cache_stats before;
    uint64_t in_depot;
    quire_pfn pfn;
    struct rig r;

    (void)unused;
    open_shards(&r);
    run_on(&r, elsewhere());
    take_many(&r, 0, FRAMES, pfns);
    give_many(&r, ROUNDS + 4 * (ROUNDS / 2), pfns);
    run_on(&r, HERE);
    before = stats_of(&r);
    in_depot = depot_of(&r);
    assert_int_equal(in_depot, 4 * (ROUNDS / 2));
    assert_int_equal(quire_zone_free_frames(&r.zone), 0);
    for (uint64_t i = 0; i < in_depot; i++)
        assert_ok(qi_cache_alloc_undrained(&r.cache, cpu_name(HERE), 0, QUIRE_NO_CALLBACK, &pfn));
    assert_int_equal(qi_cache_alloc_undrained(&r.cache, cpu_name(HERE), 0, 0, &pfn),
                     QUIRE_ERR_NO_MEMORY);
    assert_int_equal(stats_of(&r).drains, before.drains);
    check_rest(&r, FRAMES - ROUNDS);
    rig_close(&r, FRAMES - ROUNDS);
}

/* One CPU allocates, another one frees: after a while all goes through the depot, and the zone is
 * not met. */
static void hand_over(void **unused)
{
    enum { LOT = ROUNDS / 2, WARM = DEPOT_PATIENCE + 8, TURNS = WARM + 100 };
    struct quire_cache_stats before, after;
    struct rig r;

    (void)unused;
    open_shards(&r);
    for (int turn = 0; turn < TURNS; turn++) {
        if (turn == WARM)
            before = stats_of(&r);
        run_on(&r, HERE);
        take_many(&r, 0, LOT, pfns);
        run_on(&r, elsewhere());
        give_many(&r, LOT, pfns);
    }
    after = stats_of(&r);
    assert_int_equal(after.refills, before.refills);
    assert_int_equal(after.flushes, before.flushes);
    check_rest(&r, 0);
    rig_close(&r, 0);
}

/* Bursts on two CPUs, turn by turn: each gets its own frames back. */
static void no_mixing(void **unused)
{
    enum { BURST = ROUNDS + 2 * (ROUNDS / 2), CPUS = 2 };
    static uint64_t first[CPUS][BURST];
    struct rig r;

    (void)unused;
    open_shards(&r);
    for (int turn = 0; turn < 100; turn++)
        for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
            run_on(&r, cpu);
            take_many(&r, 0, BURST, pfns);
            if (turn == 0)
                memcpy(first[cpu], pfns, sizeof first[cpu]);
            for (size_t i = 0; i < BURST; i++) {
                bool mine = false;

                for (size_t k = 0; k < BURST; k++)
                    mine |= pfns[i] == first[cpu][k];
                assert_true(mine);
            }
            give_many(&r, BURST, pfns);
        }
    rig_close(&r, 0);
}

/* Every CPU's shard is in the figures, goes with a drain of all, and decays. */
static void all_shards(void **unused)
{
    struct rig r;

    (void)unused;
    open_shards(&r);
    for (int decay = 0; decay < 2; decay++) {
        for (uint32_t cpu = 0; cpu < cpu_count(); cpu++) {
            run_on(&r, cpu);
            take_many(&r, QUIRE_MOVABLE, 3 * ROUNDS, pfns);
            give_many(&r, 3 * ROUNDS, pfns);
            assert_int_equal(depot_of(&r), (cpu + 1) * 4ull * (ROUNDS / 2));
            check_rest(&r, 0);
        }
        run_on(&r, HERE);
        if (decay)
            assert_true(quire_cache_maintain(&r.cache) + quire_cache_maintain(&r.cache) > 0);
        else
            assert_ok(quire_cache_drain_all(&r.cache));
        assert_int_equal(cached_frames(&r), 0);
        assert_int_equal(quire_zone_free_frames(&r.zone), FRAMES);
    }
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_first),
        cmocka_unit_test(patience),
        cmocka_unit_test(refused_put_is_one),
        cmocka_unit_test(goes_back),
        cmocka_unit_test(nodes_move),
        cmocka_unit_test(nodes_move_slowly),
        cmocka_unit_test(hold),
        cmocka_unit_test(unused_by_shard),
        cmocka_unit_test(fewer_nodes_than_cpus),
        cmocka_unit_test(one_cpu),
        cmocka_unit_test(no_node),
        cmocka_unit_test(many_cpus),
        cmocka_unit_test(not_refused),
        cmocka_unit_test(hand_over),
        cmocka_unit_test(no_mixing),
        cmocka_unit_test(all_shards),
    };

    return run_unit(argc, argv, tests);
}
