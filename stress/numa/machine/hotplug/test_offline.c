/* SPDX-License-Identifier: MIT
 *
 * test_offline.c - ranges that go offline and come back. What must hold while others go on is in
 * stress.c; here one caller does all.
 */
#include "stress/numa/machine/unit.h"

static struct rig rig;

static struct {
    struct rig *rig;
    uint64_t refuse; /* this frame is not moved */
    unsigned calls, refused;
} owner;

static int move_out(void *ctx, quire_pfn pfn, uint64_t frames)
{
    assert_ptr_equal(ctx, &owner);
    owner.calls++;
    if (pfn.n == owner.refuse) {
        owner.refused++;
        return -1;
    }
    return quire_machine_free_contig(owner.rig->machine, pfn, frames);
}

static void offline(void **unused)
{
    static quire_pfn pfns[16 * BLOCK];
    struct quire_blocker blockers[4];
    struct rig *r = &rig;
    struct quire_run run = {{rig_base(0) + 4 * BLOCK}, 4 * BLOCK};
    struct quire_request request = quire_request_of(0, QUIRE_EMERGENCY);
    uint64_t whole;
    size_t got, count;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    whole = take(r, 9, 0);
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 13 * BLOCK, pfns, &got, NULL));
    for (size_t i = 0; i < got; i++) /* all but one frame of the range, some into the cache */
        if (pfns[i].n != run.pfn.n + 77)
            give(r, pfns[i].n, 0);
    give(r, whole, 9);
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, blockers, 4, &count),
                 QUIRE_ERR_BUSY);
    assert_int_equal(count, 1);
    assert_int_equal(blockers[0].pfn.n, run.pfn.n + 77);
    assert_int_equal(blockers[0].frames, 1);
    rig_check(r, 1);
    owner.rig = r;
    owner.refuse = run.pfn.n + 77;
    assert_error(quire_machine_offline(r->machine, run, move_out, &owner, blockers, 0, &count),
                 QUIRE_ERR_BUSY);
    assert_int_equal(count, 1);
    assert_int_equal(owner.refused, 3);
    owner.refuse = 0;
    assert_ok(quire_machine_offline(r->machine, run, move_out, &owner, blockers, 4, &count));
    assert_int_equal(count, 0);
    assert_int_equal(owner.calls, 4);
    rig_check(r, 0);
    assert_int_equal(rig_stats(r, 0).managed, 12 * BLOCK);
    assert_ok(quire_machine_alloc_batch(r->machine, &request, 12 * BLOCK, pfns, &got, NULL));
    for (size_t i = 0; i < got; i++)
        assert_false(pfns[i].n - run.pfn.n < run.frames);
    assert_ok(quire_machine_free_batch(r->machine, pfns, got, NULL));
    assert_ok(quire_machine_online(r->machine, run));
    assert_int_equal(rig_stats(r, 0).managed, 16 * BLOCK);
    rig_close(r);
}

static void wrong_offlines(void **unused)
{
    struct rig *r = &rig;
    struct quire_run run = {{rig_base(0) + 1}, 4 * BLOCK};

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_ALIGN);
    run.pfn.n = rig_base(0) + 14 * BLOCK;
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_FRAME);
    run.pfn.n = 0;
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
    run.frames = 0;
    run.pfn.n = rig_base(0);
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_SIZE);
    run.frames = 1;
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_ALIGN);
    run.frames = 0;
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL), QUIRE_ERR_SIZE);
    r->refuse_memory = r->piece_count;
    run.frames = BLOCK;
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_NO_MEMORY);
    rig_close(r);
}

/* What is freed in a range that is being emptied is not handed out again, by no cache either. */

static int give_and_take(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct rig *r = ctx;
    unsigned order = (unsigned)__builtin_ctzll(frames);
    quire_pfn other;

    give(r, pfn.n, order);
    assert_ok(quire_machine_alloc(r->machine, order, 0, &other));
    assert_true(other.n < rig_base(0) + 4 * BLOCK || other.n >= rig_base(0) + 8 * BLOCK);
    give(r, other.n, order);
    return 0;
}

static void freed_meanwhile(void **unused)
{
    static const unsigned orders[] = {0, 1, 2, 3, 4, 9};
    struct rig *r = &rig;
    struct quire_run run = {{rig_base(0) + 4 * BLOCK}, 4 * BLOCK};

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 128 * BLOCK); /* enough for caches of runs */
    rig_open(r);
    for (unsigned i = 0; i < 6; i++) {
        struct quire_contig want = {.frames = 1u << orders[i],
                                    .align = 4096ull << orders[i],
                                    .low = (run.pfn.n + (i == 5 ? BLOCK : 0)) * 4096};
        struct quire_request request = quire_request_of(0, 0);
        quire_pfn pfn;

        if (orders[i] == 9) /* as a block, not as 512 frames in a row */
            assert_ok(quire_zone_alloc_at(&r->zones[0].zone, quire_slot_of(0),
                                          quire_pfn_of(run.pfn.n + 2 * BLOCK), 9, 0));
        else
            assert_ok(quire_machine_alloc_contig(r->machine, &request, &want, &pfn, NULL));
    }
    assert_ok(quire_machine_offline(r->machine, run, give_and_take, r, NULL, 0, NULL));
    assert_ok(quire_machine_online(r->machine, run));
    rig_close(r);
}

/* What comes back is what was taken: a range goes once, and what was reserved before stays so. */
static void taken_and_given(void **unused)
{
    struct rig *r = &rig;
    const struct quire_run run = {{rig_base(0) + 4 * BLOCK}, 4 * BLOCK};
    const struct quire_run part = {{rig_base(0) + 5 * BLOCK}, BLOCK};
    const struct quire_run wide = {{rig_base(0) + 3 * BLOCK}, 4 * BLOCK};
    struct quire_zone *zone = &r->zones[0].zone;
    enum quire_frame_state state;
    uint64_t bytes;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    bytes = r->memory_bytes;
    assert_ok(quire_zone_reserve(zone, quire_slot_of(0), quire_pfn_of(run.pfn.n + 5), 3));
    assert_ok(
        quire_zone_reserve(zone, quire_slot_of(0), quire_pfn_of(run.pfn.n + 2 * BLOCK), BLOCK));
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
    assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
    assert_int_equal(rig_stats(r, 0).managed, 12 * BLOCK);
    assert_error(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_offline(r->machine, part, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_offline(r->machine, wide, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_FRAME);
    assert_error(quire_machine_online(r->machine, wide), QUIRE_ERR_FRAME);
    assert_int_equal(rig_stats(r, 0).managed, 12 * BLOCK);
    assert_ok(quire_machine_online(r->machine, part)); /* a part of it */
    assert_error(quire_machine_online(r->machine, part), QUIRE_ERR_FRAME);
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
    assert_int_equal(rig_stats(r, 0).managed, 13 * BLOCK);
    assert_ok(quire_machine_offline(r->machine, part, NULL, NULL, NULL, 0, NULL)); /* again */
    assert_ok(quire_machine_online(r->machine, part));
    assert_ok(quire_machine_online(r->machine, (struct quire_run){run.pfn, BLOCK}));
    assert_ok(
        quire_machine_online(r->machine, (struct quire_run){{run.pfn.n + 2 * BLOCK}, 2 * BLOCK}));
    assert_int_equal(rig_stats(r, 0).managed, 15 * BLOCK - 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_ok(quire_zone_frame_state(zone, quire_pfn_of(run.pfn.n + 5 + i), &state));
        assert_int_equal(state, QUIRE_FRAME_RESERVED);
    }
    assert_ok(quire_zone_frame_state(zone, quire_pfn_of(run.pfn.n + 2 * BLOCK), &state));
    assert_int_equal(state, QUIRE_FRAME_RESERVED);
    assert_int_equal(r->memory_bytes, bytes); /* the record is gone */
    rig_check(r, 0);
    rig_close(r);
}

/* Somebody put a frame back in another way: nothing changes. A zone that leaves forgets. */
static void given_otherwise(void **unused)
{
    struct rig *r = &rig;
    const struct quire_run run = {{rig_base(1) + 4 * BLOCK}, 4 * BLOCK};
    quire_pfn one = {run.pfn.n + 3 * BLOCK + 1};
    uint64_t bytes = 0;

    (void)unused;
    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
    assert_ok(quire_zone_unreserve(&r->zones[1].zone, quire_slot_of(0), one, 1));
    assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
    assert_int_equal(rig_stats(r, 1).managed, 12 * BLOCK + 1);
    assert_ok(quire_zone_reserve(&r->zones[1].zone, quire_slot_of(0), one, 1));
    assert_ok(quire_machine_online(r->machine, run));
    assert_int_equal(rig_stats(r, 1).managed, 16 * BLOCK);
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
        assert_ok(quire_machine_remove_zone(r->machine, &r->zones[1].zone));
        rig_rebuild_zone(r, 1);
        assert_ok(quire_machine_add_zone(r->machine, &r->given[1], &r->spans[1], 1));
        assert_error(quire_machine_online(r->machine, run), QUIRE_ERR_FRAME);
        bytes = i == 0 ? r->memory_bytes : bytes;
        assert_int_equal(r->memory_bytes, bytes);
    }
    assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
    assert_ok(quire_machine_online(r->machine, run));
    rig_close(r);
}

/* Who is asked to move frames may not change the machine: he is in the middle of a change. */

static int change_it(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct rig *r = ctx;
    const struct quire_run other = {quire_pfn_of(rig_base(0)), BLOCK};

    (void)pfn;
    (void)frames;
    assert_error(quire_machine_set_topology(r->machine, &r->topology), QUIRE_ERR_BUSY);
    assert_error(quire_machine_add_zone(r->machine, &r->given[0], &r->spans[0], 1), QUIRE_ERR_BUSY);
    assert_error(quire_machine_remove_zone(r->machine, &r->zones[0].zone), QUIRE_ERR_BUSY);
    assert_error(quire_machine_offline(r->machine, other, NULL, NULL, NULL, 0, NULL),
                 QUIRE_ERR_BUSY);
    assert_error(quire_machine_online(r->machine, other), QUIRE_ERR_BUSY);
    return -1;
}

static void nested(void **unused)
{
    struct rig *r = &rig;
    struct quire_run run;
    uint64_t pfn;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 16 * BLOCK);
    rig_open(r);
    pfn = take(r, 0, 0);
    run = (struct quire_run){quire_pfn_of(pfn / BLOCK * BLOCK), BLOCK};
    assert_error(quire_machine_offline(r->machine, run, change_it, r, NULL, 0, NULL),
                 QUIRE_ERR_BUSY);
    give(r, pfn, 0);
    assert_ok(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL));
    assert_ok(quire_machine_online(r->machine, run));
    rig_close(r);
}

/* A run may begin or end in a hole of its zone, and have one in the middle. In a hole alone there
 * is nothing to take; of two zones it may not be, not even where one lies in the other's hole. */
static void in_holes(void **unused)
{
    static const struct {
        uint64_t first, end, taken; /* blocks */
        int error;
    } runs[] = {
        {14, 18, 2, 0},
        {30, 34, 2, 0},
        {14, 34, 4, 0},
        {18, 22, 0, QUIRE_ERR_FRAME},
        {32, 40, 8, 0},
        {0, 48, 32, 0},
        {4, 4, 0, QUIRE_ERR_SIZE},
    };
    struct rig *r = &rig;
    const uint64_t base = rig_base(0);
    const struct quire_run across[] = {{{base + 30 * BLOCK}, 4 * BLOCK},
                                       {{base + 14 * BLOCK}, 4 * BLOCK},
                                       {{base + 14 * BLOCK}, 20 * BLOCK}};
    const struct quire_run early = {{base + 30 * BLOCK}, 4 * BLOCK};
    uint32_t other;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, 48 * BLOCK);
    other = rig_spare_zone(r, 0, QUIRE_ZONE_NORMAL, 16 * BLOCK, 16 * BLOCK);
    assert_ok(quire_zone_reserve(&r->zones[0].zone, quire_slot_of(0),
                                 quire_pfn_of(base + 16 * BLOCK), 16 * BLOCK));
    r->spans[2] = r->spans[1];
    r->spans[0].run.frames = 16 * BLOCK;
    r->spans[1] = (struct quire_pfnmap_span){{quire_pfn_of(base + 32 * BLOCK), 16 * BLOCK}, 0};
    r->config.span_count = 2;
    rig_open(r);
    for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const struct quire_run run = {quire_pfn_of(base + runs[i].first * BLOCK),
                                      (runs[i].end - runs[i].first) * BLOCK};

        assert_int_equal(quire_machine_offline(r->machine, run, NULL, NULL, NULL, 0, NULL),
                         runs[i].error);
        assert_int_equal(rig_stats(r, 0).managed, (32 - runs[i].taken) * BLOCK);
        if (runs[i].error)
            continue;
        assert_ok(quire_machine_online(r->machine, run));
        assert_int_equal(rig_stats(r, 0).managed, 32 * BLOCK);
    }
    /* What is offline comes back though another zone has the hole by then. */
    assert_ok(quire_machine_offline(r->machine, early, NULL, NULL, NULL, 0, NULL));
    assert_ok(quire_machine_add_zone(r->machine, &r->given[other], &r->spans[2], 1));
    assert_ok(quire_machine_online(r->machine, early));
    assert_int_equal(rig_stats(r, 0).managed, 48 * BLOCK);
    for (unsigned i = 0; i < sizeof across / sizeof across[0]; i++)
        assert_error(quire_machine_offline(r->machine, across[i], NULL, NULL, NULL, 0, NULL),
                     QUIRE_ERR_FRAME);
    assert_int_equal(rig_stats(r, 0).managed, 48 * BLOCK);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offline),         cmocka_unit_test(wrong_offlines),
        cmocka_unit_test(freed_meanwhile), cmocka_unit_test(taken_and_given),
        cmocka_unit_test(given_otherwise), cmocka_unit_test(nested),
        cmocka_unit_test(in_holes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
