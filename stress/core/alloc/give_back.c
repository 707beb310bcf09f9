/* SPDX-License-Identifier: MIT
 *
 * give_back.c - blocks that are given back, and come again: what goes and what stays, what is
 * preferred, what an install that fails changes, and a long random history against a record of
 * where each block is.
 */
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <string.h>

enum { BLOCKS = 3 * 512 + 7, FIRST = 5 * 512 * 512 };

/* Who is outside: which blocks he has, and what he answers. `heard` is first: the port's ctx. */
struct outside {
    struct fixture f;
    bool gone[BLOCKS];
    bool refuses[BLOCKS]; /* his `install` */
    int discard_answer;
    bool says_zeroed;
    unsigned discards, installs;
    uint64_t largest; /* frames, of one discard */
};

static uint64_t first_block(quire_pfn pfn, uint64_t frames)
{
    assert_int_equal(pfn.n % BLOCK, 0);
    assert_int_equal(frames % BLOCK, 0);
    assert_in_range(pfn.n, FIRST, FIRST + (uint64_t)BLOCKS * BLOCK - frames);
    return (pfn.n - FIRST) / BLOCK;
}

static int on_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct outside *o = ctx;
    uint64_t b = first_block(pfn, frames);

    o->discards++;
    o->largest = frames > o->largest ? frames : o->largest;
    if (o->discard_answer)
        return o->discard_answer;
    for (uint64_t i = b; i < b + frames / BLOCK; i++) {
        assert_false(o->gone[i]);
        o->gone[i] = true;
    }
    return 0;
}

static int on_install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed)
{
    struct outside *o = ctx;
    uint64_t b = first_block(pfn, frames);

    assert_false(*zeroed);
    o->installs++;
    for (uint64_t i = b; i < b + frames / BLOCK; i++) {
        assert_true(o->gone[i]);
        if (o->refuses[i])
            return QUIRE_ERR_NO_MEMORY;
    }
    for (uint64_t i = b; i < b + frames / BLOCK; i++)
        o->gone[i] = false;
    *zeroed = o->says_zeroed;
    return 0;
}

static void begin(struct outside *o, uint64_t blocks)
{
    memset(o, 0, sizeof *o);
    fixture_begin(&o->f);
    o->f.config.port.discard = on_discard;
    o->f.config.port.install = on_install;
    fixture_usable(&o->f, FIRST, blocks * BLOCK);
    fixture_open(&o->f);
}

/* Frames given. */
static uint64_t give(struct outside *o, uint64_t keep, uint64_t most, uint32_t idle)
{
    struct quire_give_back how = {.keep = keep, .most = most, .idle = idle};
    uint64_t frames;

    assert_ok(quire_zone_give_back(&o->f.zone, slot(1), &how, &frames));
    return frames;
}

static uint64_t count_gone(const struct outside *o)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < BLOCKS; i++)
        n += o->gone[i];
    assert_int_equal(quire_zone_gone_frames(&o->f.zone), n * BLOCK);
    return n;
}

/* The run is here, all of it. */
static void assert_here(const struct outside *o, uint64_t pfn, uint64_t frames)
{
    for (uint64_t b = (pfn - FIRST) / BLOCK; b <= (pfn + frames - 1 - FIRST) / BLOCK; b++)
        assert_false(o->gone[b]);
}

static uint64_t count_of(const struct outside *o, enum quire_count what)
{
    struct quire_zone_stats stats;

    assert_ok(quire_zone_stats(&o->f.zone, &stats));
    return stats.counts[what];
}

/* All that is free goes, in few calls, and counts as free; what is used stays, with its block. */
static void goes_and_comes(void **state)
{
    static struct outside o;
    struct quire_zone_stats stats;
    uint64_t frame, block;

    (void)state;
    begin(&o, BLOCKS);
    frame = must_alloc(&o.f, 0);
    block = must_alloc(&o.f, 9);
    assert_int_equal(give(&o, 0, 0, 0), (uint64_t)(BLOCKS - 2) * BLOCK);
    assert_int_equal(count_gone(&o), BLOCKS - 2);
    /* 64 blocks a call; fewer at the end, where they are more than an eighth of what is here. */
    assert_in_range(o.discards, BLOCKS / 64, BLOCKS / 64 + 44);
    assert_int_equal(o.largest, 64 * BLOCK);
    assert_here(&o, frame, 1);
    assert_here(&o, block, BLOCK);
    assert_sound(&o.f, (uint64_t)BLOCKS * BLOCK - 1 - BLOCK);
    assert_ok(quire_zone_stats(&o.f.zone, &stats));
    assert_int_equal(stats.gone, (uint64_t)(BLOCKS - 2) * BLOCK);
    assert_int_equal(stats.whole_free_blocks, BLOCKS - 2);
    assert_int_equal(stats.counts[QUIRE_COUNT_GIVEN], BLOCKS - 2);
    assert_int_equal(give(&o, 0, 0, 0), 0); /* nothing is left to give */
    uint64_t large = must_alloc(&o.f, 18);
    assert_here(&o, large, SECTION);
    assert_int_equal(o.installs, 8);
    assert_int_equal(count_of(&o, QUIRE_COUNT_INSTALLED), 512);
    must_free(&o.f, large, 18);
    must_free(&o.f, block, 9);
    must_free(&o.f, frame, 0);
    assert_int_equal(give(&o, 0, 0, 0), (uint64_t)514 * BLOCK); /* the idle home block, too */
    assert_int_equal(count_gone(&o), BLOCKS);
    fixture_close(&o.f);
}

/* Down to a limit, up to a number, and both in whole blocks. */
static void limits(void **state)
{
    static struct outside o;
    struct quire_give_back how = {.idle = 65536};
    uint64_t frames;

    (void)state;
    begin(&o, 100);
    assert_int_equal(give(&o, 100 * BLOCK, 0, 0), 0);
    assert_int_equal(give(&o, 99 * BLOCK + 1, 0, 0), 0);
    assert_int_equal(give(&o, 0, BLOCK - 1, 0), 0);
    assert_int_equal(give(&o, 0, 3 * BLOCK + 5, 0), 3 * BLOCK);
    assert_int_equal(give(&o, 90 * BLOCK, 0, 0), 7 * BLOCK);
    assert_int_equal(give(&o, 95 * BLOCK, 0, 0), 0);
    assert_int_equal(count_gone(&o), 10);
    assert_refused(&o.f, quire_zone_give_back(&o.f.zone, slot(0), &how, &frames), QUIRE_ERR_SIZE);
    how.idle = 0;
    assert_refused(&o.f, quire_zone_give_back(&o.f.zone, slot(4), &how, &frames), QUIRE_ERR_SIZE);
    fixture_close(&o.f);
    fixture_simple(&o.f, FIRST, 4 * BLOCK);
    assert_refused(&o.f, quire_zone_give_back(&o.f.zone, slot(0), &how, &frames),
                   QUIRE_ERR_UNSUPPORTED);
    fixture_close(&o.f);
}

/* Only what has been free for so many ages goes; taking and freeing it begins anew. */
static void ages(void **state)
{
    static struct outside o;

    (void)state;
    begin(&o, 8);
    assert_int_equal(give(&o, 0, 0, 1), 0);
    quire_zone_age(&o.f.zone);
    uint64_t a = must_alloc(&o.f, 9), b = must_alloc(&o.f, 10);
    uint64_t c = must_alloc(&o.f, 0);
    must_free(&o.f, a, 9);
    must_free(&o.f, b, 10);
    must_free(&o.f, c, 0);
    assert_int_equal(give(&o, 0, 0, 2), 0);
    assert_int_equal(give(&o, 0, 0, 1), 4 * BLOCK);
    quire_zone_age(&o.f.zone);
    assert_int_equal(give(&o, 0, 0, 2), 0);
    assert_int_equal(give(&o, 0, 0, 1), 4 * BLOCK); /* the home block was given up a call ago */
    assert_int_equal(count_gone(&o), 8);
    /* An age beyond 16 bits: younger than it is, never older. */
    a = must_alloc(&o.f, 9);
    must_free(&o.f, a, 9);
    for (unsigned i = 0; i < 65536 + 3; i++)
        quire_zone_age(&o.f.zone);
    assert_int_equal(give(&o, 0, 0, 4), 0);
    assert_int_equal(give(&o, 0, 0, 3), BLOCK);
    fixture_close(&o.f);
}

/* As long as a block is here none comes again, for no order and no path. */
static void prefers_what_is_here(void **state)
{
    static struct outside o;

    (void)state;
    begin(&o, BLOCKS);
    assert_int_equal(give(&o, 20 * BLOCK, 0, 0), (uint64_t)(BLOCKS - 20) * BLOCK);
    for (unsigned i = 0; i < 8; i++)
        assert_here(&o, must_alloc(&o.f, 9), BLOCK);
    for (unsigned i = 0; i < 4 * BLOCK; i++)
        assert_here(&o, must_alloc(&o.f, 0), 1);
    for (unsigned i = 0; i < 6; i++)
        assert_here(&o, must_alloc(&o.f, 8), 256);
    assert_int_equal(o.installs, 0);
    (void)must_alloc(&o.f, 15);
    assert_int_equal(o.installs, 1);
    assert_int_equal(count_gone(&o), BLOCKS - 20 - 64);
    fixture_close(&o.f);
}

/* A block that does not come is passed by; the request is served by the only one that does, or
 * refused when none does. What was refused before is served once it comes. */
static void install_fails(void **state)
{
    static const unsigned orders[] = {0, 1, 5, 8, 9};
    static struct outside o;

    (void)state;
    for (unsigned i = 0; i < sizeof orders / sizeof *orders; i++) {
        quire_pfn pfn;

        begin(&o, 600);
        assert_int_equal(give(&o, 0, 0, 0), (uint64_t)600 * BLOCK);
        memset(o.refuses, true, sizeof o.refuses);
        assert_refused(&o.f, quire_zone_alloc(&o.f.zone, slot(0), orders[i], 0, &pfn),
                       QUIRE_ERR_NO_MEMORY);
        assert_in_range(o.installs, 600, 601); /* each once, and one in search of a home */
        assert_refused(&o.f, quire_zone_alloc(&o.f.zone, slot(0), orders[i], 0, &pfn),
                       QUIRE_ERR_NO_MEMORY);
        assert_int_equal(count_gone(&o), 600);
        o.refuses[417] = false;
        pfn = at(must_alloc(&o.f, orders[i]));
        assert_int_equal((pfn.n - FIRST) / BLOCK, 417);
        assert_int_equal(count_gone(&o), 599);
        must_free(&o.f, pfn.n, orders[i]);
        assert_true(count_of(&o, QUIRE_COUNT_NOT_INSTALLED) > 600);
        fixture_close(&o.f);
    }
}

/* A run of which one block does not come: the others are here then, and another place is taken. */
static void install_fails_in_a_run(void **state)
{
    static struct outside o;
    quire_pfn pfn;

    (void)state;
    begin(&o, 1024);
    assert_int_equal(give(&o, 0, 0, 0), (uint64_t)1024 * BLOCK);
    for (unsigned i = 3; i < 1024; i += 8)
        o.refuses[i] = true;
    assert_refused(&o.f, quire_zone_alloc(&o.f.zone, slot(0), 12, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_refused(&o.f, quire_zone_alloc(&o.f.zone, slot(0), 17, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    o.refuses[512 + 3] = false;
    pfn = at(must_alloc(&o.f, 12));
    assert_int_equal(pfn.n, FIRST + 512 * BLOCK);
    memset(o.refuses, 0, sizeof o.refuses);
    pfn = at(must_alloc(&o.f, 18));
    assert_int_equal(pfn.n, FIRST);
    assert_here(&o, pfn.n, SECTION);
    fixture_close(&o.f);
}

/* At a given place, in one piece of any length, reserved, isolated, in runs: what is handed out is
 * here, and a block that does not come is refused, or passed by. */
static void given_places(void **state)
{
    static struct outside o;
    static struct quire_isolated_frames held[8];
    struct quire_contig want = {.frames = 3 * BLOCK};
    struct quire_isolation isolation = {.held = NULL};
    struct quire_run runs[64];
    quire_pfn pfn;
    uint64_t frames;
    size_t count;

    (void)state;
    begin(&o, 64);
    assert_int_equal(give(&o, 0, 0, 0), 64 * BLOCK);
    o.refuses[1] = o.refuses[4] = o.refuses[11] = true;
    assert_refused(&o.f, quire_zone_alloc_at(&o.f.zone, slot(0), at(FIRST + BLOCK + 7), 0, 0),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(&o.f, quire_zone_alloc_at(&o.f.zone, slot(0), at(FIRST), 10, 0),
                   QUIRE_ERR_NO_MEMORY);
    assert_refused(&o.f, quire_zone_reserve(&o.f.zone, slot(0), at(FIRST + 4 * BLOCK), 1),
                   QUIRE_ERR_NO_MEMORY);
    o.installs = 0;
    assert_ok(quire_zone_alloc_contig(&o.f.zone, slot(0), &want, 0, &pfn));
    assert_int_equal(pfn.n, FIRST + 5 * BLOCK); /* behind the ones that do not come */
    assert_in_range(o.installs, 1, 12);
    assert_here(&o, pfn.n, 3 * BLOCK);
    assert_ok(quire_zone_alloc_at(&o.f.zone, slot(0), at(FIRST + 9 * BLOCK + 3), 0, 0));
    assert_here(&o, FIRST + 9 * BLOCK, 1);
    assert_ok(quire_zone_reserve(&o.f.zone, slot(0), at(FIRST + 12 * BLOCK), BLOCK + 5));
    assert_here(&o, FIRST + 12 * BLOCK, BLOCK + 5);
    /* An isolation brings its blocks back: its frames are handed on. One that does not come is in
     * the way, until it does. */
    assert_ok(quire_zone_isolate(&o.f.zone, slot(0),
                                 (struct quire_run){at(FIRST + 8 * BLOCK), 4 * BLOCK}, held,
                                 &isolation));
    assert_ok(quire_zone_isolated(&o.f.zone, slot(0), &isolation, runs, 64, &count, &frames));
    assert_int_equal(frames, BLOCK + 1);
    must_free(&o.f, FIRST + 9 * BLOCK + 3, 0);
    assert_int_equal(give(&o, 0, 0, 0), 3 * BLOCK); /* none of the isolated ones */
    assert_here(&o, FIRST + 8 * BLOCK, 3 * BLOCK);
    assert_int_equal(quire_zone_isolate_commit(&o.f.zone, slot(0), &isolation), QUIRE_ERR_BUSY);
    o.refuses[11] = false;
    assert_ok(quire_zone_isolate_commit(&o.f.zone, slot(0), &isolation));
    assert_ok(quire_zone_unreserve(&o.f.zone, slot(0), at(FIRST + 8 * BLOCK), 4 * BLOCK));
    assert_here(&o, FIRST + 8 * BLOCK, 4 * BLOCK);
    assert_sound(&o.f, 64 * BLOCK - 3 * BLOCK - BLOCK - 5);
    /* The rest, in runs; what does not come is left out. */
    o.refuses[40] = true;
    assert_refused(
        &o.f,
        quire_zone_alloc_runs(&o.f.zone, slot(0), 0, 60 * BLOCK - 5 - BLOCK, runs, 64, &count),
        QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_zone_alloc_runs(&o.f.zone, slot(0), 0, 40 * BLOCK, runs, 64, &count));
    for (size_t i = 0; i < count; i++)
        assert_here(&o, runs[i].pfn.n, runs[i].frames);
    fixture_close(&o.f);
}

/* 8 blocks from 8 on are gone and do not come, 20 to 23 and 30 to 33 are here,
 * and the others used, but for `holes` single frames in front. */
static void gone_and_two_pieces(struct outside *o, unsigned holes)
{
    begin(o, 64);
    for (uint64_t b = 0; b < 64; b++)
        assert_ok(quire_zone_alloc_at(&o->f.zone, slot(0), at(FIRST + b * BLOCK), 9, 0));
    if (holes > 0)
        assert_ok(quire_zone_split(&o->f.zone, slot(0), at(FIRST), 9));
    for (uint64_t i = 0; i < holes; i++)
        must_free(&o->f, FIRST + 1 + 2 * i, 0);
    for (uint64_t b = 8; b < 16; b++)
        must_free(&o->f, FIRST + b * BLOCK, 9);
    assert_int_equal(give(o, 0, 0, 0), 8 * BLOCK);
    for (uint64_t b = 20; b < 34; b++)
        if (b < 24 || b >= 30)
            must_free(&o->f, FIRST + b * BLOCK, 9);
    memset(o->refuses, true, sizeof o->refuses);
}

/* In runs: the longest stretch is gone and does not come. Those that are here serve, in no more
 * runs than there is room for, though lower ones would use that up. */
static void runs_of_what_is_here(void **state)
{
    static struct outside o;
    struct quire_run runs[2];
    size_t count;

    (void)state;
    gone_and_two_pieces(&o, 4);
    assert_ok(quire_zone_alloc_runs(&o.f.zone, slot(0), 0, 8 * BLOCK, runs, 2, &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].frames, 4 * BLOCK);
        assert_here(&o, runs[i].pfn.n, runs[i].frames);
    }
    assert_int_equal(count_gone(&o), 8);
    assert_in_range(o.installs, 1, 3); /* two passes for one run of all, and one for several */
    fixture_close(&o.f);
}

/* In runs, where what is here is too little: each block that is gone is asked for once or twice,
 * and one that comes is used. */
static void runs_of_what_comes(void **state)
{
    static struct outside o;
    struct quire_run runs[64];
    size_t count;

    (void)state;
    gone_and_two_pieces(&o, 0);
    assert_refused(&o.f, quire_zone_alloc_runs(&o.f.zone, slot(0), 0, 9 * BLOCK, runs, 64, &count),
                   QUIRE_ERR_NO_MEMORY);
    assert_in_range(o.installs, 8, 9);
    o.refuses[12] = false;
    assert_ok(quire_zone_alloc_runs(&o.f.zone, slot(0), 0, 9 * BLOCK, runs, 64, &count));
    assert_int_equal(count, 3);
    assert_int_equal(runs[0].pfn.n, FIRST + 12 * BLOCK);
    assert_int_equal(count_gone(&o), 7);
    fixture_close(&o.f);
}

/* The watermark of `rival_installs` is crossed: block 2 comes, for a rival, who frees it. */
static void on_event(void *ctx, struct quire_zone *z, enum quire_event event)
{
    struct outside *o = ctx;

    assert_int_equal(event, QUIRE_EVENT_LOW);
    assert_true(o->refuses[2]);
    o->refuses[2] = false;
    assert_ok(quire_zone_alloc_at(z, slot(2), at(FIRST + 2 * BLOCK), 9, QUIRE_NO_CALLBACK));
    assert_ok(quire_zone_free(z, slot(2), at(FIRST + 2 * BLOCK), 9));
}

/* A block of the only place does not come, and a rival brings it back before it is looked for. The
 * debit's return tells the watermark, which is when the rival acts. */
static void rival_installs(void **state)
{
    static struct outside o;
    struct quire_contig want = {.frames = 3 * BLOCK, .align = BLOCK * QUIRE_FRAME_SIZE};
    quire_pfn pfn;

    (void)state;
    memset(&o, 0, sizeof o);
    fixture_begin(&o.f);
    o.f.config.port.discard = on_discard;
    o.f.config.port.install = on_install;
    o.f.config.port.event = on_event;
    o.f.config.low = o.f.config.high = 4 * BLOCK;
    fixture_usable(&o.f, FIRST, 5 * BLOCK);
    fixture_open(&o.f);
    assert_int_equal(give(&o, 0, 0, 0), 5 * BLOCK);
    for (uint64_t b = 3; b < 5; b++)
        assert_ok(
            quire_zone_alloc_at(&o.f.zone, slot(0), at(FIRST + b * BLOCK), 9, QUIRE_NO_CALLBACK));
    o.refuses[2] = true;
    assert_ok(quire_zone_alloc_contig(&o.f.zone, slot(0), &want, 0, &pfn));
    assert_false(o.refuses[2]); /* the rival was there */
    assert_int_equal(pfn.n, FIRST);
    assert_here(&o, pfn.n, 3 * BLOCK);
    fixture_close(&o.f);
}

/* A giver holds an eighth of what is free and here, or a block: what is gone is not counted in. */
static void share_of_what_is_here(void **state)
{
    static struct outside o;

    (void)state;
    begin(&o, 1024);
    assert_int_equal(give(&o, 32 * BLOCK, 0, 0), (1024 - 32) * BLOCK);
    assert_int_equal(o.largest, 64 * BLOCK);
    o.largest = 0;
    assert_int_equal(give(&o, 0, 0, 0), 32 * BLOCK);
    assert_int_equal(o.largest, 4 * BLOCK);
    fixture_close(&o.f);
}

/* A `discard` that refuses changes nothing. */
static void discard_fails(void **state)
{
    static struct outside o;
    struct quire_give_back how = {.keep = 0};
    uint64_t frames = 1;

    (void)state;
    begin(&o, 100);
    o.discard_answer = QUIRE_ERR_BUSY;
    assert_refused(&o.f, quire_zone_give_back(&o.f.zone, slot(0), &how, &frames), QUIRE_ERR_BUSY);
    assert_int_equal(frames, 0);
    assert_int_equal(o.discards, 1);
    assert_int_equal(count_gone(&o), 0);
    fixture_close(&o.f);
}

/* Allocations and frees of all kinds, gifts and refusals: no frame that is gone is ever handed
 * out, and none that is used goes. */
static void random_history(void **state)
{
    enum { HELD = 200, STEPS = 20000 };
    static struct outside o;
    static struct {
        uint64_t pfn;
        unsigned order;
        bool used;
    } held[HELD];
    uint64_t free, random = 15;

    (void)state;
    begin(&o, 700);
    memset(held, 0, sizeof held);
    free = 700 * BLOCK;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)random_below(&random, HELD),
                 what = (unsigned)random_below(&random, 100);
        quire_pfn pfn;

        if (what < 2)
            (void)give(&o, random_below(&random, 700 * BLOCK), 0, what);
        else if (what < 3)
            quire_zone_age(&o.f.zone);
        else if (what < 10)
            o.refuses[random_below(&random, BLOCKS)] = what < 6;
        else if (held[i].used) {
            must_free(&o.f, held[i].pfn, held[i].order);
            held[i].used = false;
            free += 1ull << held[i].order;
        } else {
            held[i].order = (unsigned)random_below(&random, 14);
            if (quire_zone_alloc(&o.f.zone, slot(i % 4), held[i].order, i & (unsigned)QUIRE_MOVABLE,
                                 &pfn))
                continue;
            held[i].pfn = pfn.n;
            held[i].used = true;
            free -= 1ull << held[i].order;
        }
        for (i = 0; i < HELD && what < 2; i++)
            if (held[i].used)
                assert_here(&o, held[i].pfn, 1ull << held[i].order);
        if (held[i % HELD].used)
            assert_here(&o, held[i % HELD].pfn, 1ull << held[i % HELD].order);
        if (step % 500 == 0) {
            (void)count_gone(&o);
            assert_sound(&o.f, free);
        }
    }
    assert_true(count_of(&o, QUIRE_COUNT_INSTALLED) > 1000);
    assert_true(count_of(&o, QUIRE_COUNT_NOT_INSTALLED) > 100);
    assert_sound(&o.f, free);
    fixture_close(&o.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_and_comes),
        cmocka_unit_test(limits),
        cmocka_unit_test(ages),
        cmocka_unit_test(prefers_what_is_here),
        cmocka_unit_test(install_fails),
        cmocka_unit_test(install_fails_in_a_run),
        cmocka_unit_test(given_places),
        cmocka_unit_test(discard_fails),
        cmocka_unit_test(runs_of_what_is_here),
        cmocka_unit_test(runs_of_what_comes),
        cmocka_unit_test(rival_installs),
        cmocka_unit_test(share_of_what_is_here),
        cmocka_unit_test(random_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
