/* SPDX-License-Identifier: MIT
 *
 * test_bad_free.c - frames that are freed twice, or that are part of a run, while they are cached:
 * noticed on the spot, in the usual build and in the hardened one (QUIRE_HARDENED). The port hears
 * which frame it was, and no other frame suffers. Of two frees at one instant the hardened build
 * refuses one at once, the usual one when the frame is flushed, or freed by its second owner.
 */
#include "unit.h"

#include "percpu/fastpath.h"

static void open_sized(struct rig *r, uint32_t rounds)
{
    rig_begin(r, 128 * BLOCK);
    r->cache_config.rounds = rounds;
    r->cache_config.run_rounds = 16;
    r->cache_config.huge_rounds = 4;
    r->cache_config.depot = 0;
    rig_open(r);
    run_on(r, 0);
}

/* Free a frame that the caller does not hold (any more). */
static void give_badly(struct rig *r, uint64_t pfn, unsigned order, int error)
{
    assert_int_equal(quire_cache_free(&r->cache, quire_pfn_of(pfn), order), error);
    assert_int_equal(r->heard.reports, 1);
    assert_int_equal(r->heard.report_pfn, pfn);
    assert_int_equal(r->heard.report_error, error);
}

/* What is cached is flushed, and no more is told. `all`: bad frees so far. */
static void assert_noticed(struct rig *r, uint64_t pfn, int error, uint64_t all)
{
    assert_ok(quire_cache_drain_all(&r->cache));
    assert_int_equal(r->heard.reports, 1);
    assert_int_equal(r->heard.report_pfn, pfn);
    assert_int_equal(r->heard.report_error, error);
    assert_int_equal(stats_of(r).bad_frees, all);
    assert_int_equal(r->heard.withdrawn, 0);
}

/* Once more, at a distance of `between` other frees, in magazines of `rounds`. */
static void twice(uint32_t rounds, size_t between)
{
    uint64_t pfns[600];
    struct rig r;

    open_sized(&r, rounds);
    take_many(&r, 0, between + 20, pfns);
    assert_ok(quire_cache_drain_all(&r.cache));
    give_many(&r, between + 1, pfns);
    give_badly(&r, pfns[0], 0, QUIRE_ERR_DOUBLE_FREE);
    give_many(&r, 9, pfns + between + 1);
    assert_noticed(&r, pfns[0], QUIRE_ERR_DOUBLE_FREE, 1);
    for (size_t i = 0; i < between + 10; i++)
        assert_int_equal(state_of(&r, pfns[i]), QUIRE_FRAME_FREE);
    for (size_t i = between + 10; i < between + 20; i++)
        assert_int_equal(state_of(&r, pfns[i]), QUIRE_FRAME_USED);
    rig_close(&r, 10);
}

static void freed_twice(void **unused)
{
    static const size_t between[] = {0, 1, 31, 62, 63, 64, 65, 100, 200, 300, 500};

    (void)unused;
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++)
        twice(512, between[i]);
    for (size_t i = 0; i < 5; i++) /* the first free is in the zone by then, or not */
        twice(16, i);
}

/* A second free after the first one reached the zone. */
static void freed_long_ago(void **unused)
{
    struct rig r;
    uint64_t other, pfn;

    (void)unused;
    open_sized(&r, 64);
    other = take(&r, 0, 0);
    pfn = take(&r, 0, 0);
    give(&r, pfn, 0);
    assert_ok(quire_cache_drain_all(&r.cache));
    give_badly(&r, pfn, 0, QUIRE_ERR_DOUBLE_FREE);
    assert_noticed(&r, pfn, QUIRE_ERR_DOUBLE_FREE, 1);
    assert_int_equal(state_of(&r, other), QUIRE_FRAME_USED);
    rig_close(&r, 1);
}

/* A frame of a run that is freed by itself. */
static void part_of_a_run(void **unused)
{
    (void)unused;
    for (uint64_t place = 0; place < 8; place++) {
        struct rig r;
        uint64_t run, other;

        open_sized(&r, 64);
        other = take(&r, 0, 0);
        run = take(&r, 3, 0);
        give_badly(&r, run + place, 0, QUIRE_ERR_ORDER);
        assert_noticed(&r, run + place, QUIRE_ERR_ORDER, 1);
        give(&r, run, 3);
        give(&r, other, 0);
        rig_close(&r, 0);
    }
}

/* Several bad ones among good ones, and every good one is flushed. */
static void several(void **unused)
{
    uint64_t pfns[300];
    struct rig r;

    (void)unused;
    open_sized(&r, 512);
    take_many(&r, 0, 300, pfns);
    assert_ok(quire_cache_drain_all(&r.cache));
    for (size_t i = 0; i < 300; i++) {
        assert_ok(quire_cache_free(&r.cache, quire_pfn_of(pfns[i]), 0));
        if (i % 7 == 0)
            assert_int_equal(quire_cache_free(&r.cache, quire_pfn_of(pfns[i / 2]), 0),
                             QUIRE_ERR_DOUBLE_FREE);
    }
    assert_ok(quire_cache_drain_all(&r.cache));
    assert_int_equal(r.heard.reports, 43);
    assert_int_equal(stats_of(&r).bad_frees, 43);
    rig_close(&r, 0);
}

/* A run, or a block, that is freed twice. */
static void run_twice(void **unused)
{
    static const unsigned orders[] = {1, 2, 3, 9};

    (void)unused;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct rig r;
        uint64_t run;

        open_sized(&r, 64);
        run = take(&r, orders[i], 0);
        give(&r, run, orders[i]);
        give_badly(&r, run, orders[i], QUIRE_ERR_DOUBLE_FREE);
        assert_noticed(&r, run, QUIRE_ERR_DOUBLE_FREE, 1);
        rig_close(&r, 0);
    }
}

/* Whatever lies in a cache, wherever there, freed again with whatever order: refused at once, and
 * nothing has changed. */
static void any_order(void **unused)
{
    static const unsigned orders[] = {0, 1, 2, 3, 9};
    enum { MANY = 200 };

    (void)unused;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        uint64_t pfns[MANY], n = orders[i] == 9 ? 4 : MANY, told = 0;
        struct rig r;

        open_sized(&r, 64);
        for (uint64_t k = 0; k < n; k++)
            pfns[k] = take(&r, orders[i], 0);
        for (uint64_t k = 0; k < n; k++)
            give(&r, pfns[k], orders[i]);
        for (uint64_t k = 0; k < n; k++)
            for (unsigned order = 0; order <= 10; order++) {
                uint64_t held = cached_frames(&r), free = quire_zone_free_frames(&r.zone);
                quire_pfn pfn = {pfns[k] + (1u << orders[i]) - 1 - (k & 1)};
                int error;

                if (k % 3 == 0 || orders[i] == 0)
                    pfn.n = pfns[k];
                error = quire_cache_free(&r.cache, pfn, order);
                assert_true(error == QUIRE_ERR_DOUBLE_FREE || error == QUIRE_ERR_ORDER ||
                            (error == QUIRE_ERR_ALIGN && pfn.n & ((1u << order) - 1)));
                if (pfn.n == pfns[k] && order == orders[i])
                    assert_int_equal(error, QUIRE_ERR_DOUBLE_FREE);
                assert_int_equal(r.heard.reports, ++told);
                assert_int_equal(r.heard.report_pfn, pfn.n);
                assert_int_equal(cached_frames(&r), held);
                assert_int_equal(quire_zone_free_frames(&r.zone), free);
            }
        for (uint64_t k = 0; k < n; k++)
            pfns[k] = take(&r, orders[i], 0);
        for (uint64_t k = 0; k < n; k++)
            for (uint64_t l = 0; l < k; l++)
                assert_int_not_equal(pfns[k], pfns[l]);
        for (uint64_t k = 0; k < n; k++)
            give(&r, pfns[k], orders[i]);
        rig_close(&r, 0);
    }
}

/* What was taken from the zone itself, in runs that no cache has, freed in part or whole. */
static void zone_runs(void **unused)
{
    static const unsigned orders[] = {4, 6, 8, 10};

    (void)unused;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
        for (unsigned order = 0; order <= 11; order++) {
            uint64_t run, inside;
            struct rig r;

            open_sized(&r, 64);
            run = take(&r, orders[i], 0);
            inside = run + (1ull << orders[i]) / 2;
            if (order != orders[i] && run % (1u << order) == 0)
                give_badly(&r, run, order, QUIRE_ERR_ORDER);
            r.heard.reports = 0;
            if (inside % (1u << order) == 0)
                give_badly(&r, inside, order, QUIRE_ERR_ORDER);
            give(&r, run, orders[i]);
            rig_close(&r, 0);
        }
}

/* A contiguous run that is not aligned is not one of the order that its length has: it never gets
 * into a magazine. */
static void unaligned(void **unused)
{
    struct quire_contig want = {.frames = 8};
    quire_pfn first, pfn;
    struct rig r;

    (void)unused;
    open_sized(&r, 64);
    assert_ok(quire_cache_alloc_contig(&r.cache, &(struct quire_contig){.frames = 3}, 0, &first));
    assert_ok(quire_cache_alloc_contig(&r.cache, &want, 0, &pfn));
    assert_int_equal(pfn.n, first.n + 3);
    assert_int_equal(quire_cache_free(&r.cache, pfn, 3), QUIRE_ERR_ALIGN);
    assert_int_equal(quire_cache_free(&r.cache, pfn, 0), QUIRE_ERR_ORDER);
    assert_int_equal(r.heard.reports, 2);
    assert_ok(quire_zone_free_contig(&r.zone, quire_slot_of(0), pfn, 8));
    assert_ok(quire_zone_free_contig(&r.zone, quire_slot_of(0), first, 3));
    rig_close(&r, 0);
}

/* Two frees of a run at one instant: both have looked at its byte before either wrote it. */
static void at_one_instant(void **unused)
{
    static const unsigned orders[] = {0, 1, 2, 3, 9};

    (void)unused;
    for (unsigned owners = 0; owners < 2; owners++)
        for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
            uint64_t run, again;
            struct rig r;

            open_sized(&r, 64);
            run = take(&r, orders[i], 0);
            give(&r, run, orders[i]);
            byte_restore(byte_of_frame(&r.zone, frame_of_pfn(&r.zone, quire_pfn_of(run))),
                         byte_of_order(orders[i]));
            give(&r, run, orders[i]);
            if (owners) { /* the second of two owners is told when it frees the run */
                assert_int_equal(take(&r, orders[i], 0), run);
                byte_restore(byte_of_frame(&r.zone, frame_of_pfn(&r.zone, quire_pfn_of(run))),
                             BYTE_NONE);
                again = take(&r, orders[i], 0);
                assert_int_equal(again, run);
                give(&r, run, orders[i]);
                give_badly(&r, again, orders[i], QUIRE_ERR_DOUBLE_FREE);
            }
            assert_noticed(&r, run, QUIRE_ERR_DOUBLE_FREE, 1);
            rig_close(&r, 0);
        }
}

/* Memory that begins and ends inside a section: what lies before and behind it, and what is
 * nobody's in between, is refused like any foreign frame, and the metadata behind its end is not
 * touched. */
static void foreign(void **unused)
{
    enum { SECTION_FRAMES = 512 * BLOCK };
    static const unsigned orders[] = {0, 1, 3, 9};
    uint64_t first, pfns[3], checked = 0;
    struct rig r;

    (void)unused;
    rig_begin(&r, 128 * BLOCK);
    r.usable[0].pfn.n = (r.usable[0].pfn.n / SECTION_FRAMES + 1) * SECTION_FRAMES + 100 * BLOCK;
    r.cache_config.huge_rounds = 4;
    rig_open(&r);
    run_on(&r, 0);
    first = r.usable[0].pfn.n;
    for (size_t i = 0; i < 3; i++)
        pfns[i] = take(&r, 0, 0);
    give(&r, pfns[0], 0);
    for (uint64_t block = first / SECTION_FRAMES * SECTION_FRAMES; block < first + 400 * BLOCK;
         block += BLOCK) {
        if (block >= first && block < first + 128 * BLOCK)
            continue;
        for (size_t i = 0; i < 4; i++, checked++) {
            r.heard.reports = 0;
            give_badly(&r, block + (orders[i] == 9 ? 0 : 64), orders[i], QUIRE_ERR_FRAME);
        }
    }
    assert_true(checked > 1000);
    r.heard.reports = 0;
    give(&r, pfns[1], 0);
    give(&r, pfns[2], 0);
    rig_close(&r, 0);
}

/* A block is not joined while a frame of it lies in a cache; then it is, and can be split again. */
static void joined(void **unused)
{
    struct rig r;
    uint64_t block;

    (void)unused;
    open_sized(&r, 64);
    for (unsigned place = 0; place < BLOCK; place += 73) {
        block = take(&r, 9, 0);
        assert_ok(quire_zone_split(&r.zone, quire_slot_of(0), quire_pfn_of(block), 9));
        give(&r, block + place, 0);
        assert_int_equal(quire_zone_join(&r.zone, quire_slot_of(0), quire_pfn_of(block)),
                         QUIRE_ERR_DOUBLE_FREE);
        assert_int_equal(take(&r, 0, 0), block + place);
        assert_ok(quire_zone_join(&r.zone, quire_slot_of(0), quire_pfn_of(block)));
        assert_int_equal(quire_cache_free(&r.cache, quire_pfn_of(block + place), 0),
                         QUIRE_ERR_ORDER);
        give(&r, block, 9);
    }
    rig_close(&r, 0);
}

/* A zone without frame bytes cannot have a cache. */
static void no_bytes(void **unused)
{
    size_t bytes;
    struct rig r;

    (void)unused;
    rig_begin(&r, 16 * BLOCK);
    rig_open(&r);
    r.zone.has_frame_bytes = false;
    assert_int_equal(quire_cache_size(&r.cache_config, &bytes), QUIRE_ERR_UNSUPPORTED);
    r.zone.has_frame_bytes = true;
    rig_close(&r, 0);
}

/* A block with reserved frames: those are never had, by whatever call, and the others are cached
 * like any. */
static void reserved(void **unused)
{
    enum { FIRST = 300, FRAMES = 70 };
    uint64_t pfn, run, block, hits;
    const struct cpu_view *view;
    struct rig r;

    (void)unused;
    open_sized(&r, 64);
    pfn = take(&r, 0, 0);
    run = take(&r, 1, 0);
    block = pfn / BLOCK * BLOCK;
    view = view_of(&r.cache, r.cache.first_cpu);
    assert_int_equal(run / BLOCK * BLOCK, block);
    assert_ok(quire_zone_reserve(&r.zone, quire_slot_of(0), quire_pfn_of(block + FIRST), FRAMES));
    for (unsigned i = 0; i < FRAMES; i++)
        for (unsigned order = 0; order <= 3; order++) {
            quire_pfn bad = {block + FIRST + i};
            int error = bad.n % (1u << order) ? QUIRE_ERR_ALIGN : QUIRE_ERR_FRAME;

            assert_int_equal(quire_cache_free(&r.cache, bad, order), error);
            assert_false(view_push_frame(view, bad));
            assert_false(qi_view_push_other(view, bad, order));
        }
    assert_int_equal(r.heard.reports, 4 * FRAMES);
    r.heard.reports = 0;
    hits = stats_of(&r).hits;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t free = quire_zone_free_frames(&r.zone);

        give(&r, pfn, 0);
        give(&r, run, 1);
        assert_int_equal(quire_zone_free_frames(&r.zone), free);
        assert_int_equal(take(&r, 0, 0), pfn);
        assert_int_equal(take(&r, 1, 0), run);
        assert_true(qi_view_push_other(view, quire_pfn_of(pfn), 0));
        assert_true(qi_view_push_other(view, quire_pfn_of(run), 1));
        assert_int_equal(take(&r, 0, 0), pfn);
        assert_int_equal(take(&r, 1, 0), run);
    }
    assert_int_equal(stats_of(&r).hits, hits + 400);
    give_badly(&r, block + FIRST - 1, 0, QUIRE_ERR_DOUBLE_FREE); /* free, beside them */
    assert_noticed(&r, block + FIRST - 1, QUIRE_ERR_DOUBLE_FREE, 4 * FRAMES + 1);
    give(&r, pfn, 0);
    give(&r, run, 1);
    assert_ok(quire_zone_unreserve(&r.zone, quire_slot_of(0), quire_pfn_of(block + FIRST), FRAMES));
    rig_close(&r, 0);
}

/* Good calls of every kind are never taken for bad ones. */
static void no_false_alarm(void **unused)
{
    static uint64_t pfns[4000];
    struct rig r;

    (void)unused;
    open_sized(&r, 32);
    for (int round = 0; round < 20; round++) {
        uint32_t flags = round % 2 ? QUIRE_MOVABLE : 0;
        uint64_t block = take(&r, 9, 0), run = take(&r, 2, flags);

        run_on(&r, (uint32_t)round % cpu_count());
        take_many(&r, flags, 4000, pfns);
        give_many(&r, 4000, pfns);
        give(&r, block, 9);
        give(&r, run, 2);
        (void)quire_cache_maintain(&r.cache);
    }
    assert_int_equal(r.heard.reports, 0);
    assert_int_equal(stats_of(&r).bad_frees, 0);
    rig_close(&r, 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_twice),    cmocka_unit_test(freed_long_ago),
        cmocka_unit_test(part_of_a_run),  cmocka_unit_test(several),
        cmocka_unit_test(run_twice),      cmocka_unit_test(reserved),
        cmocka_unit_test(no_false_alarm), cmocka_unit_test(any_order),
        cmocka_unit_test(zone_runs),      cmocka_unit_test(unaligned),
        cmocka_unit_test(at_one_instant), cmocka_unit_test(no_bytes),
        cmocka_unit_test(foreign),        cmocka_unit_test(joined),
    };

    return run_unit(argc, argv, tests);
}
