/* SPDX-License-Identifier: MIT
 *
 * zeros.c - what is said to read as zeros does. Beside the zone stands what each frame reads: the
 * port's functions and the users of the frames write it, users in every frame that they are given,
 * and whoever is given frames with QUIRE_ZEROED looks at all of them.
 */
#include "stress/common/random.h"
#include "stress/common/zone_fixture.h"

#include <string.h>

enum { BLOCKS = 600, FIRST = 3 * 512 * 512, FRAMES = BLOCKS * BLOCK, ROOM = 4 * BLOCK };

struct contents {
    struct fixture f; /* first: the port's ctx */
    bool written[FRAMES];
    bool held[FRAMES];
    bool comes_zeroed; /* what was given back */
    uint64_t zeroed;   /* frames, by the port */
    int answer;        /* of `zero` */
};

static void write_frames(struct contents *c, quire_pfn pfn, uint64_t frames, bool written)
{
    assert_in_range(pfn.n, FIRST, FIRST + FRAMES - frames);
    memset(&c->written[pfn.n - FIRST], written, frames);
}

static int on_zero(void *ctx, quire_pfn pfn, uint64_t frames)
{
    struct contents *c = ctx;

    if (c->answer)
        return c->answer;
    write_frames(c, pfn, frames, false);
    c->zeroed += frames;
    return 0;
}

static int on_discard(void *ctx, quire_pfn pfn, uint64_t frames)
{
    write_frames(ctx, pfn, frames, true);
    return 0;
}

static int on_install(void *ctx, quire_pfn pfn, uint64_t frames, bool *zeroed)
{
    struct contents *c = ctx;

    write_frames(c, pfn, frames, !c->comes_zeroed);
    *zeroed = c->comes_zeroed;
    return 0;
}

static struct contents *begin(bool memory_zeroed, bool no_frame_bytes)
{
    static struct contents c;

    memset(&c, 0, sizeof c);
    memset(c.written, !memory_zeroed, sizeof c.written);
    fixture_begin(&c.f);
    c.f.config.memory_zeroed = memory_zeroed;
    c.f.config.no_frame_bytes = no_frame_bytes;
    c.f.config.spare_pins = QUIRE_PINS_ALL;
    c.f.config.port.zero = on_zero;
    c.f.config.port.discard = on_discard;
    c.f.config.port.install = on_install;
    fixture_usable(&c.f, FIRST, FRAMES);
    fixture_open(&c.f);
    return &c;
}

/* Somebody has the run, and looks if it was to be zeroed; then he writes it. */
static void use(struct contents *c, uint64_t pfn, uint64_t frames, uint32_t flags)
{
    for (uint64_t i = pfn - FIRST; i < pfn - FIRST + frames; i++) {
        assert_false(c->held[i]);
        c->held[i] = true;
        if (flags & QUIRE_ZEROED)
            assert_false(c->written[i]);
    }
    write_frames(c, at(pfn), frames, true);
}

static void unuse(struct contents *c, uint64_t pfn, uint64_t frames)
{
    memset(&c->held[pfn - FIRST], false, frames);
}

static uint64_t alloc(struct contents *c, unsigned order, uint32_t flags)
{
    quire_pfn pfn;

    assert_ok(quire_zone_alloc(&c->f.zone, slot(0), order, flags, &pfn));
    use(c, pfn.n, 1ull << order, flags);
    return pfn.n;
}

static void give_up(struct contents *c, uint64_t pfn, unsigned order, bool zeroed)
{
    unuse(c, pfn, 1ull << order);
    if (zeroed)
        write_frames(c, at(pfn), 1ull << order, false);
    assert_ok(zeroed ? quire_zone_free_zeroed(&c->f.zone, slot(0), at(pfn), order)
                     : quire_zone_free(&c->f.zone, slot(0), at(pfn), order));
}

static uint64_t count_of(const struct contents *c, enum quire_count what)
{
    struct quire_zone_stats stats;

    assert_ok(quire_zone_stats(&c->f.zone, &stats));
    return stats.counts[what];
}

/* Memory that came zeroed needs no zeroing, whatever the order, once. */
static void came_zeroed(void **state)
{
    static const unsigned orders[] = {0, 1, 3, 6, 7, 8, 9, 12, 15};
    struct contents *c = begin(true, false);
    uint64_t pfns[sizeof orders / sizeof *orders], at_first = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof orders / sizeof *orders; i++) {
        pfns[i] = alloc(c, orders[i], QUIRE_ZEROED);
        at_first += 1ull << orders[i];
        assert_int_equal(c->zeroed, 0);
    }
    for (unsigned i = 0; i < sizeof orders / sizeof *orders; i++)
        give_up(c, pfns[i], orders[i], false);
    assert_int_equal(count_of(c, QUIRE_COUNT_KNOWN_ZERO), at_first);
    assert_int_equal(count_of(c, QUIRE_COUNT_ZEROED), 0);
    /* What was used is not: the same block again, and again. */
    for (unsigned i = 0; i < 3; i++) {
        uint64_t pfn = alloc(c, 15, QUIRE_ZEROED);

        give_up(c, pfn, 15, false);
    }
    assert_true(c->zeroed > 0);
    fixture_close(&c->f);
}

/* So it is with runs of any length, over blocks that are split and blocks that are not. */
static void came_zeroed_in_one_piece(void **state)
{
    static const uint64_t lengths[] = {1, 3, 700, BLOCK, 1, 5 * BLOCK, 2000, 512};
    enum { RUNS = sizeof lengths / sizeof *lengths };
    struct contents *c = begin(true, false);
    uint64_t pfns[RUNS], all = 0;
    quire_pfn pfn;

    (void)state;
    for (unsigned i = 0; i < RUNS; i++) {
        const struct quire_contig want = {.frames = lengths[i]};

        assert_ok(quire_zone_alloc_contig(&c->f.zone, slot(0), &want, QUIRE_ZEROED, &pfn));
        use(c, pfns[i] = pfn.n, lengths[i], QUIRE_ZEROED);
        assert_int_equal(c->zeroed, 0);
        all += lengths[i];
    }
    assert_int_equal(count_of(c, QUIRE_COUNT_KNOWN_ZERO), all);
    assert_int_equal(count_of(c, QUIRE_COUNT_ZEROED), 0);
    for (unsigned i = 0; i < RUNS; i++) {
        unuse(c, pfns[i], lengths[i]);
        assert_ok(quire_zone_free_contig(&c->f.zone, slot(0), at(pfns[i]), lengths[i]));
    }
    /* One frame of it was somebody's: all of it is zeroed. */
    for (unsigned i = 0; i < 2; i++) {
        const struct quire_contig want = {.frames = all + 1};

        c->zeroed = 0;
        assert_ok(quire_zone_alloc_contig(&c->f.zone, slot(0), &want, QUIRE_ZEROED, &pfn));
        use(c, pfn.n, all + 1, QUIRE_ZEROED);
        assert_int_equal(c->zeroed, all + 1);
        unuse(c, pfn.n, all + 1);
        assert_ok(quire_zone_free_contig(&c->f.zone, slot(0), pfn, all + 1));
    }
    fixture_close(&c->f);
}

/* And with runs in pieces. Where the port fails at one, all go back. */
static void came_zeroed_in_pieces(void **state)
{
    enum { PIECES = 8 };
    struct contents *c = begin(true, false);
    struct quire_run runs[4 * PIECES];
    uint64_t before, zeroed = 0;
    size_t count;

    (void)state;
    for (unsigned i = 1; i < PIECES; i++) {
        assert_ok(quire_zone_alloc_at(&c->f.zone, slot(0), at(FIRST + i * BLOCK - 7), 0, 0));
        use(c, FIRST + i * BLOCK - 7, 1, 0);
    }
    give_up(c, FIRST + 2 * BLOCK - 7, 0, false);
    before = quire_zone_free_frames(&c->f.zone);
    assert_ok(
        quire_zone_alloc_runs(&c->f.zone, slot(0), QUIRE_ZEROED, before, runs, 4 * PIECES, &count));
    for (size_t i = 0; i < count; i++) {
        use(c, runs[i].pfn.n, runs[i].frames, QUIRE_ZEROED);
        zeroed += runs[i].frames;
    }
    assert_int_equal(zeroed, before);
    assert_true(c->zeroed > 0 && c->zeroed < before);
    assert_int_equal(count_of(c, QUIRE_COUNT_ZEROED), c->zeroed);
    for (size_t i = 0; i < count; i++) {
        unuse(c, runs[i].pfn.n, runs[i].frames);
        assert_ok(quire_zone_free_contig(&c->f.zone, slot(0), runs[i].pfn, runs[i].frames));
    }
    c->answer = QUIRE_ERR_STATE;
    assert_refused(
        &c->f,
        quire_zone_alloc_runs(&c->f.zone, slot(0), QUIRE_ZEROED, before, runs, 4 * PIECES, &count),
        QUIRE_ERR_STATE);
    assert_int_equal(count, 0);
    assert_int_equal(quire_zone_free_frames(&c->f.zone), before);
    fixture_close(&c->f);
}

/* Otherwise nothing is known, until somebody says so. */
static void told_so(void **state)
{
    struct contents *c = begin(false, false);
    uint64_t frames;

    (void)state;
    for (unsigned order = 0; order <= 10; order++) {
        uint64_t pfn = alloc(c, order, QUIRE_ZEROED);

        assert_int_equal(c->zeroed, 1ull << order);
        give_up(c, pfn, order, true);
        c->zeroed = 0;
        assert_int_equal(alloc(c, order, QUIRE_ZEROED), pfn);
        assert_int_equal(c->zeroed, 0);
        give_up(c, pfn, order, false);
        assert_int_equal(alloc(c, order, QUIRE_ZEROED), pfn);
        assert_int_equal(c->zeroed, 1ull << order);
        c->zeroed = 0;
    }
    /* In idle time: whole blocks first, then the free frames of split ones, within the budget. */
    assert_ok(quire_zone_zero_idle(&c->f.zone, slot(1), 5 * BLOCK + 3, &frames));
    assert_int_equal(frames, 5 * BLOCK + 3);
    assert_int_equal(c->zeroed, frames);
    assert_ok(quire_zone_zero_idle(&c->f.zone, slot(1), UINT64_MAX, &frames));
    assert_int_equal(c->zeroed, quire_zone_free_frames(&c->f.zone));
    assert_ok(quire_zone_zero_idle(&c->f.zone, slot(1), UINT64_MAX, &frames));
    assert_int_equal(frames, 0);
    c->zeroed = 0;
    while (quire_zone_free_frames(&c->f.zone) > 0)
        (void)alloc(c, 0, QUIRE_ZEROED);
    assert_int_equal(c->zeroed, 0);
    fixture_close(&c->f);
}

/* What was given back is known again only if the port says so. */
static void comes_again(void **state)
{
    struct quire_give_back how = {.keep = 0};
    uint64_t frames;

    (void)state;
    for (unsigned zeroed = 0; zeroed < 2; zeroed++) {
        struct contents *c = begin(true, false);

        c->comes_zeroed = zeroed;
        assert_ok(quire_zone_give_back(&c->f.zone, slot(0), &how, &frames));
        assert_int_equal(frames, FRAMES);
        (void)alloc(c, 9, QUIRE_ZEROED);
        (void)alloc(c, 3, QUIRE_ZEROED);
        (void)alloc(c, 0, QUIRE_ZEROED);
        assert_int_equal(c->zeroed, zeroed ? 0 : BLOCK + 8 + 1);
        fixture_close(&c->f);
    }
}

/* A `zero` that refuses: nothing is said to be what it is not. */
static void zero_fails(void **state)
{
    struct contents *c = begin(false, false);
    uint64_t frames = 1;
    quire_pfn pfn;

    (void)state;
    c->answer = QUIRE_ERR_STATE;
    assert_refused(&c->f, quire_zone_zero_idle(&c->f.zone, slot(0), FRAMES, &frames),
                   QUIRE_ERR_STATE);
    assert_int_equal(frames, 0);
    (void)alloc(c, 0, 0);
    assert_refused(&c->f, quire_zone_zero_idle(&c->f.zone, slot(0), 100, &frames), QUIRE_ERR_STATE);
    assert_refused(&c->f, quire_zone_alloc(&c->f.zone, slot(0), 9, QUIRE_ZEROED, &pfn),
                   QUIRE_ERR_STATE);
    c->answer = 0;
    (void)alloc(c, 9, QUIRE_ZEROED);
    (void)alloc(c, 0, QUIRE_ZEROED);
    assert_int_equal(c->zeroed, BLOCK + 1);
    fixture_close(&c->f);
    c = begin(true, true); /* without frame bytes nothing is known, and nothing is wrong */
    assert_refused(&c->f, quire_zone_zero_idle(&c->f.zone, slot(0), 100, &frames),
                   QUIRE_ERR_UNSUPPORTED);
    give_up(c, alloc(c, 9, QUIRE_ZEROED), 9, true);
    (void)alloc(c, 9, QUIRE_ZEROED);
    assert_int_equal(c->zeroed, 2 * BLOCK);
    fixture_close(&c->f);
}

/* A frame that was reserved for a while was somebody's. */
static void reserved_meanwhile(void **state)
{
    struct contents *c = begin(true, false);
    quire_pfn pfn = at(alloc(c, 0, 0) + 5);

    (void)state;
    assert_ok(quire_zone_reserve(&c->f.zone, slot(0), pfn, 1));
    use(c, pfn.n, 1, 0);
    unuse(c, pfn.n, 1);
    assert_ok(quire_zone_unreserve(&c->f.zone, slot(0), pfn, 1));
    assert_ok(quire_zone_alloc_at(&c->f.zone, slot(0), pfn, 0, QUIRE_ZEROED));
    use(c, pfn.n, 1, QUIRE_ZEROED);
    assert_int_equal(c->zeroed, 1);
    fixture_close(&c->f);
}

/* ---- All of it in a random order ------------------------------------------------------------- */

struct piece {
    uint64_t pfn, frames; /* 0: none */
    unsigned order;       /* or ROOM: contiguous */
};

/* One of the ways to get memory. */
static void take_piece(struct contents *c, struct piece *p, uint64_t *random)
{
    uint32_t flags = random_below(random, 2) ? QUIRE_ZEROED : 0;
    struct quire_zone *z = &c->f.zone;
    quire_pfn pfn = at(FIRST + random_below(random, FRAMES));
    int error;

    p->order = (unsigned)random_below(random, 12);
    p->frames = 1ull << p->order;
    switch (random_below(random, 5)) {
    case 0:
        pfn.n &= ~(p->frames - 1);
        error = quire_zone_alloc_at(z, slot(1), pfn, p->order, flags);
        break;
    case 1: {
        struct quire_contig want = {.frames = 1 + random_below(random, 3 * BLOCK)};

        p->order = ROOM;
        p->frames = want.frames;
        error = quire_zone_alloc_contig(z, slot(2), &want, flags, &pfn);
        break;
    }
    case 2: {
        struct quire_run runs[2];
        size_t count;

        p->order = ROOM;
        error = quire_zone_alloc_runs(z, slot(2), flags, 1 + random_below(random, 600), runs, 1,
                                      &count);
        pfn = runs[0].pfn;
        p->frames = runs[0].frames;
        break;
    }
    case 3: {
        size_t got;

        p->order = 0;
        p->frames = 1;
        error = quire_zone_alloc_batch(z, slot(1), flags, 1, &pfn, &got);
        break;
    }
    default:
        error = quire_zone_alloc(z, slot(0), p->order, flags | (p->order & 1 ? QUIRE_MOVABLE : 0),
                                 &pfn);
        break;
    }
    if (error)
        p->frames = 0;
    else
        use(c, p->pfn = pfn.n, p->frames, flags);
}

static void free_piece(struct contents *c, struct piece *p, uint64_t *random)
{
    struct quire_zone *z = &c->f.zone;

    if (p->order == ROOM) {
        unuse(c, p->pfn, p->frames);
        assert_ok(quire_zone_free_contig(z, slot(3), at(p->pfn), p->frames));
    } else if (p->order > 0 && random_below(random, 4) == 0) {
        assert_ok(quire_zone_split(z, slot(0), at(p->pfn), p->order));
        for (uint64_t i = 0; i < p->frames; i++)
            give_up(c, p->pfn + i, 0, i & 1);
    } else {
        give_up(c, p->pfn, p->order, random_below(random, 3) == 0);
    }
    p->frames = 0;
}

/* Reserved memory is somebody's, who writes it, and not the zone's. */
static void reserve_for_a_while(struct contents *c, uint64_t *random)
{
    quire_pfn pfn = at(FIRST + random_below(random, FRAMES - 2 * BLOCK));
    uint64_t n = random_below(random, 2) ? 1 : 1 + random_below(random, 2 * BLOCK - 1), part;

    if (quire_zone_reserve(&c->f.zone, slot(0), pfn, n))
        return;
    use(c, pfn.n, n, 0);
    unuse(c, pfn.n, n);
    part = random_below(random, n);
    if (part > 0)
        assert_ok(quire_zone_unreserve(&c->f.zone, slot(0), pfn, part));
    assert_ok(quire_zone_unreserve(&c->f.zone, slot(0), at(pfn.n + part), n - part));
}

/* Isolate two blocks, and end it either way. */
static void isolate_for_a_while(struct contents *c, uint64_t *random)
{
    static struct quire_isolated_frames held[2];
    struct quire_isolation isolation = {.held = NULL};
    struct quire_run run = {at(FIRST + random_below(random, BLOCKS - 1) * BLOCK), 2 * BLOCK};

    assert_ok(quire_zone_isolate(&c->f.zone, slot(0), run, held, &isolation));
    if (quire_zone_isolate_commit(&c->f.zone, slot(0), &isolation)) {
        assert_ok(quire_zone_isolate_undo(&c->f.zone, slot(0), &isolation));
        return;
    }
    use(c, run.pfn.n, run.frames, 0);
    unuse(c, run.pfn.n, run.frames);
    assert_ok(quire_zone_unreserve_isolated(&c->f.zone, slot(0), run, held));
}

static void one_step(struct contents *c, struct piece *p, uint64_t *random)
{
    uint64_t what = random_below(random, 200), frames;
    struct quire_give_back how = {.most = random_below(random, 40) * BLOCK};

    if (what < 2)
        assert_ok(quire_zone_give_back(&c->f.zone, slot(0), &how, &frames));
    else if (what < 6)
        assert_ok(
            quire_zone_zero_idle(&c->f.zone, slot(0), random_below(random, 9 * BLOCK), &frames));
    else if (what < 14)
        reserve_for_a_while(c, random);
    else if (what < 20)
        isolate_for_a_while(c, random);
    else if (what < 21)
        c->comes_zeroed = random_below(random, 2);
    else if (p->frames)
        free_piece(c, p, random);
    else
        take_piece(c, p, random);
}

static void history(bool memory_zeroed, uint64_t random)
{
    enum { PIECES = 300, STEPS = 30000 };
    static struct piece pieces[PIECES];
    struct contents *c = begin(memory_zeroed, false);

    memset(pieces, 0, sizeof pieces);
    for (unsigned step = 0; step < STEPS; step++) {
        one_step(c, &pieces[random_below(&random, PIECES)], &random);
        if (step % 1000 == 0)
            assert_sound(&c->f, quire_zone_free_frames(&c->f.zone));
    }
    print_message("zeroed requests: %lu frames known, %lu zeroed\n",
                  count_of(c, QUIRE_COUNT_KNOWN_ZERO), count_of(c, QUIRE_COUNT_ZEROED));
    assert_true(count_of(c, QUIRE_COUNT_KNOWN_ZERO) > 10000);
    for (unsigned i = 0; i < PIECES; i++)
        if (pieces[i].frames)
            free_piece(c, &pieces[i], &random);
    assert_sound(&c->f, FRAMES);
    fixture_close(&c->f);
}

static void random_history(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 4; seed++)
        history(seed & 1, seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(came_zeroed),           cmocka_unit_test(came_zeroed_in_one_piece),
        cmocka_unit_test(came_zeroed_in_pieces), cmocka_unit_test(told_so),
        cmocka_unit_test(comes_again),           cmocka_unit_test(zero_fails),
        cmocka_unit_test(reserved_meanwhile),    cmocka_unit_test(random_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
