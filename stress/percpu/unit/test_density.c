/* SPDX-License-Identifier: MIT
 *
 * test_density.c - frames of dense blocks are used again at once, those of sparse blocks are
 * flushed, so that memory that was fragmented heals while it is used.
 *
 * Where exactly the border between dense and sparse lies is a matter of tuning; the tests use
 * blocks that are nearly full and blocks that are nearly empty.
 */
#include "core/internal.h"
#include "percpu/cpu_cache.h"
#include "stress/common/random.h"
#include "unit.h"

enum { BLOCKS = 32, FRAMES = BLOCKS * BLOCK, ROUNDS = 64 };
enum { ORDERS_APART = 64 * 32 }; /* blocks, of which each order has some of its own */

static uint64_t pfns[FRAMES];

/* A zone all of whose frames are used, as single frames. */
static void open_full(struct rig *r)
{
    rig_begin(r, FRAMES);
    r->cache_config.rounds = ROUNDS;
    r->cache_config.huge_rounds = 0;
    r->cache_config.depot = 0;
    rig_open(r);
    run_on(r, 0);
    take_many(r, 0, FRAMES, pfns);
    check_rest(r, FRAMES);
}

/* Free by the zone, so that no cache is involved, all but `keep` frames of a block. */
static void thin_out(struct rig *r, uint64_t block, unsigned keep)
{
    for (uint64_t i = keep; i < BLOCK; i++)
        assert_ok(quire_zone_free(&r->zone, quire_slot_of(0), quire_pfn_of(block * BLOCK + i), 0));
}

/* Many refills, after which the border between dense and sparse is known; what they brought is
 * kept. Returns how many frames that are. */
static size_t learn(struct rig *r, uint64_t got[], size_t n)
{
    take_many(r, 0, n, got);
    assert_true(stats_of(r).refills >= n / ROUNDS);
    return n;
}

/* The first blocks nearly empty, the others nearly full. The refills of `learn` fill dense blocks
 * up first. */
static void steering(void **unused)
{
    static uint64_t got[2048];
    uint64_t first = 2, sparse = 0, dense = 0;
    struct rig r;
    uint64_t used;

    (void)unused;
    open_full(&r);
    for (uint64_t b = first; b < first + 10; b++)
        thin_out(&r, b, 12);
    for (uint64_t b = first + 10; b < first + BLOCKS; b++)
        thin_out(&r, b, BLOCK - 20);
    used = FRAMES - 10 * (BLOCK - 12) - (BLOCKS - 10) * 20;
    used += learn(&r, got, 640);
    for (uint64_t b = first; b < first + 10 && !sparse; b++) { /* a thin block left alone */
        sparse = b * BLOCK;
        for (size_t i = 0; i < 640; i++)
            sparse = got[i] / BLOCK == b ? 0 : sparse;
    }
    for (uint64_t b = first + 10; b < first + BLOCKS; b++)
        dense = b * BLOCK;
    assert_true(sparse != 0);
    for (uint64_t i = 0; i < 10; i++) {
        give(&r, dense + i, 0);
        assert_int_equal(take(&r, 0, 0), dense + i);
    }
    for (uint64_t i = 0; i < 10; i++) {
        give(&r, sparse + i, 0);
        assert_int_not_equal(take(&r, 0, 0), sparse + i);
    }
    check_rest(&r, used);
    rig_close(&r, used);
}

/* A frame of a block that is for runs of another order leaves it, however full the block is. */
static void foreign_frames_leave(void **unused)
{
    struct rig r;
    uint64_t frame;
    qa32 *desc;

    (void)unused;
    rig_begin(&r, ORDERS_APART * BLOCK);
    rig_open(&r);
    run_on(&r, 0);
    assert_true(r.zone.order_classes);
    frame = take(&r, 0, 0);
    give(&r, frame, 0);
    assert_int_equal(take(&r, 0, 0), frame);
    desc = desc_of(&r.zone, block_of(frame_of_pfn(&r.zone, quire_pfn_of(frame))));
    qa_store(desc, qa_load(desc, relaxed) | D_CLASS_ORDER, relaxed);
    give(&r, frame, 0);
    assert_int_not_equal(take(&r, 0, 0), frame);
    qa_store(desc, qa_load(desc, relaxed) & ~(uint32_t)D_CLASS_ORDER, relaxed);
    check_rest(&r, 1);
    rig_close(&r, 1);
}

/* The same of a run, of each order that has magazines. */
static void foreign_runs_leave(void **unused)
{
    struct rig r;

    (void)unused;
    rig_begin(&r, ORDERS_APART * BLOCK);
    rig_open(&r);
    run_on(&r, 0);
    for (unsigned order = 1; order < BLOCK_ORDER; order++) {
        uint64_t run = take(&r, order, 0);
        uint32_t as_it_was;
        qa32 *desc;

        assert_true(r.cache.capacity[cache_class_of(order, 0)] > 0);
        give(&r, run, order);
        assert_int_equal(take(&r, order, 0), run);
        desc = desc_of(&r.zone, block_of(frame_of_pfn(&r.zone, quire_pfn_of(run))));
        as_it_was = qa_load(desc, relaxed);
        assert_true((as_it_was & D_CLASS_ORDER) != 0);
        qa_store(desc, as_it_was & ~(uint32_t)D_CLASS_ORDER, relaxed); /* of single frames */
        give(&r, run, order);
        assert_int_not_equal(take(&r, order, 0), run);
        qa_store(desc, qa_load(desc, relaxed) | (as_it_was & D_CLASS_ORDER), relaxed);
        check_rest(&r, (2ull << order) - 2);
    }
    rig_close(&r, BLOCK - 2);
}

/* Frames to be flushed wait in the outgoing magazine, until it is full: then they are free. */
static void outgoing_is_flushed(void **unused)
{
    static uint64_t got[1024];
    struct rig r;
    uint64_t used = FRAMES, sparse;
    unsigned flushed = 0;

    (void)unused;
    open_full(&r);
    for (uint64_t b = 2; b < 2 + 16; b++) {
        thin_out(&r, b, 100);
        used -= BLOCK - 100;
    }
    used += learn(&r, got, 1024); /* fills up two or three of them, sixteen refills */
    sparse = 0;
    for (uint64_t b = 2; b < 2 + 16 && !sparse; b++) {
        sparse = b * BLOCK;
        for (size_t i = 0; i < 1024; i++)
            sparse = got[i] / BLOCK == b ? 0 : sparse;
    }
    assert_true(sparse != 0);
    for (uint64_t i = 0; i < 100; i++) {
        give(&r, sparse + i, 0);
        used--;
        check_rest(&r, used);
    }
    for (uint64_t i = 0; i < 100; i++)
        flushed += state_of(&r, sparse + i) == QUIRE_FRAME_FREE;
    assert_int_equal(flushed, 100 / (ROUNDS / 2) * (ROUNDS / 2));
    assert_true(stats_of(&r).flushes >= 3);
    assert_ok(quire_cache_drain(&r.cache, r.cpu)); /* the rest is flushed, the block is whole */
    for (uint64_t i = 0; i < BLOCK; i++)
        assert_int_equal(state_of(&r, sparse + i), QUIRE_FRAME_FREE);
    rig_close(&r, used);
}

/* The whole free blocks, over those that would be possible with this many free frames. */
static double whole_share(struct rig *r)
{
    struct quire_zone_stats s;
    uint64_t possible;

    assert_ok(quire_cache_drain_all(&r->cache));
    assert_ok(quire_zone_stats(&r->zone, &s));
    possible = s.free / BLOCK;
    return (double)s.whole_free_blocks / (double)possible;
}

/* Half-full memory with holes everywhere heals while a tenth of the frames is freed and taken again
 * at random, round after round. A last-in-first-out cache of the same size leaves no block whole.
 */
static void healing(void **unused)
{
    enum { HEAL_BLOCKS = 256, HEAL = HEAL_BLOCKS * BLOCK, HALF = HEAL / 2 };
    static uint64_t held[HEAL];
    uint64_t state = 1;
    struct rig r;
    size_t n = HEAL;

    (void)unused;
    rig_begin(&r, HEAL);
    rig_open(&r);
    run_on(&r, 0);
    take_many(&r, 0, n, held);
    while (n > HALF) {
        size_t i = random_below(&state, n);

        give(&r, held[i], 0);
        held[i] = held[--n];
    }
    assert_true(whole_share(&r) < 0.1);
    for (int round = 0; round < 100; round++) {
        while (n > HALF - HALF / 10) {
            size_t i = random_below(&state, n);

            give(&r, held[i], 0);
            held[i] = held[--n];
        }
        take_many(&r, 0, HALF - n, held + n);
        n = HALF;
    }
    check_rest(&r, HALF);
    assert_true(whole_share(&r) > 0.9);
    rig_close(&r, HALF);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steering),
        cmocka_unit_test(foreign_frames_leave),
        cmocka_unit_test(foreign_runs_leave),
        cmocka_unit_test(outgoing_is_flushed),
        cmocka_unit_test(healing),
    };

    return run_unit(argc, argv, tests);
}
