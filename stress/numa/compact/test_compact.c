/* SPDX-License-Identifier: MIT
 *
 * test_compact.c - compactions where one caller does all: what the plan says is what is done, what
 * movers answer, what budgets and requests stop, and which errors there are.
 */
#include "stress/numa/compact/books.h"
#include "stress/numa/machine/unit.h"

enum { BLOCKS = 1024, FEW_BLOCKS = 104, FILLED = 64, PLACES = FEW_BLOCKS * BLOCK + 100 };

static struct rig rig;
static struct books books;

/* Two nodes, of which the first has memory. */
static struct rig *open_blocks(uint32_t blocks, const struct quire_mover *mover)
{
    struct rig *r = &rig;

    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, (uint64_t)blocks * BLOCK);
    r->config.port.mover = mover;
    books_open(&books, r, (uint64_t)blocks * BLOCK, PLACES);
    rig_open(r);
    return r;
}

/* Two sections. */
static struct rig *open_machine(const struct quire_mover *mover)
{
    return open_blocks(BLOCKS, mover);
}

static void close_machine(void)
{
    books_check(&books);
    books_close(&books);
    rig_close(&rig);
}

static uint64_t block_number(uint64_t pfn)
{
    return (pfn - books.base) / BLOCK;
}

/* Fill `blocks` blocks with movable runs of an order, then free those that `keep` does not want of
 * a block, by their number in it. */
static void fill(unsigned order, uint32_t blocks, unsigned (*keep)(uint64_t block))
{
    uint32_t n = (uint32_t)(blocks * BLOCK >> order);

    for (uint32_t i = 1; i <= n; i++)
        assert_ok(books_alloc(&books, i, order, QUIRE_MOVABLE));
    for (uint32_t i = 1; i <= n; i++) {
        uint64_t pfn = books.runs[i].pfn;

        if ((pfn - books.base) % BLOCK >> order >= keep(block_number(pfn)))
            books_free(&books, i);
    }
    assert_ok(quire_machine_drain(rig.machine));
}

/* Of every fourth block a few runs, of the others nearly all. */
static unsigned few_of_each_fourth(uint64_t block)
{
    return block % 4 == 0 ? 3 + (unsigned)(block / 4 % 5) : 500;
}

static struct quire_compact want_blocks(uint32_t count)
{
    return (struct quire_compact){
        .order = 9, .count = count, .budget = UINT64_MAX, .mover = &books.mover};
}

static uint64_t whole_blocks(struct rig *r)
{
    struct quire_zone_stats s;

    assert_ok(quire_machine_drain(r->machine));
    assert_ok(quire_zone_stats(&r->zones[0].zone, &s));
    assert_int_equal(s.isolated_blocks, 0);
    return s.whole_free_blocks;
}

/* The place of the first run of a block. */
static uint32_t place_in_block(uint64_t block)
{
    uint32_t place = books_place(&books, books.base + block * BLOCK);

    assert_int_not_equal(place, 0);
    return place;
}

/* ---- Plan and deed --------------------------------------------------------------------------- */

static void dry_run_is_what_is_done(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact_range plan[32], deed[32];
    struct quire_compacted dry, wet;
    struct quire_compact want = want_blocks(12);
    uint64_t used, whole, cost = 0;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    used = books_used(&books);
    whole = whole_blocks(r);
    want.ranges = plan;
    want.range_room = 32;
    want.dry = true;
    assert_ok(quire_machine_compact(r->machine, &want, &dry));
    assert_int_equal(dry.planned, 12);
    assert_int_equal(dry.won, 0);
    assert_int_equal(dry.moves, 0);
    assert_int_equal(books.moved, 0);
    assert_int_equal(whole_blocks(r), whole);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(block_number(plan[i].pfn.n) % 4, 0);
        assert_in_range(plan[i].cost, i ? plan[i - 1].cost : 0, 7);
        cost += plan[i].cost;
    }
    assert_int_equal(dry.cost, cost);
    want.dry = false;
    want.ranges = deed;
    assert_ok(quire_machine_compact(r->machine, &want, &wet));
    assert_memory_equal(plan, deed, 12 * sizeof plan[0]);
    assert_int_equal(wet.planned, 12);
    assert_int_equal(wet.won, 12);
    assert_int_equal(wet.cost, cost);
    assert_int_equal(wet.moves, cost);
    assert_int_equal(books.moved, cost);
    assert_int_equal(whole_blocks(r), whole + 12);
    rig_check(r, used);
    close_machine();
}

static void dense_blocks_are_filled(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compacted done;
    struct quire_compact want = want_blocks(8);
    uint64_t in_fourths = 0;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    want.order = 9;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 8);
    for (uint32_t i = 1; i < PLACES; i++)
        if (atomic_load(&books.runs[i].state) == BOOKS_USED)
            in_fourths += block_number(books.runs[i].pfn) % 4 == 0;
    assert_int_equal(in_fourths + done.moves, 4 * 3 + 3 * (4 + 5 + 6 + 7));
    close_machine();
}

/* What caches have reads as used, and is not offered to the mover. */
static void cached_frames_are_drained(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compacted done;
    struct quire_compact want = want_blocks(1);

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    books_free(&books, place_in_block(0)); /* into a magazine, as the block is sparse */
    assert_int_equal(rig_stats(r, 0).cached, 1);
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 1);
    assert_int_equal(done.moves, 2);
    assert_int_equal(done.blockers, 0);
    close_machine();
}

static unsigned half_of_each_second(uint64_t block)
{
    return block % 2 ? 7 : 1;
}

static void runs_of_every_order_are_moved(void **unused)
{
    (void)unused;
    for (unsigned order = 1; order <= 6; order++) {
        struct rig *r = open_machine(NULL);
        struct quire_compact want = want_blocks(4);
        struct quire_compacted done;
        uint64_t used;

        fill(order, 16, half_of_each_second);
        used = books_used(&books);
        assert_ok(quire_machine_compact(r->machine, &want, &done));
        assert_int_equal(done.won, 4);
        assert_int_equal(done.moves, 4ull << order);
        assert_int_equal(books_used(&books), used);
        rig_check(r, used);
        close_machine();
    }
}

/* The same in runs of order 3, of which a block has 64. */
static unsigned few_runs_of_each_fourth(uint64_t block)
{
    return block % 4 == 0 ? 1 + (unsigned)(block / 4 % 5) : 60;
}

static void sections_become_whole(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;
    quire_pfn pfn;

    (void)unused;
    fill(3, 640, few_runs_of_each_fourth); /* of the second section a quarter */
    for (uint32_t i = 0; i < 4; i++)       /* and four whole blocks, in use as such */
        assert_ok(books_alloc(&books, PLACES - 1 - i, 9, QUIRE_MOVABLE));
    assert_ok(quire_machine_drain(r->machine));
    want.order = 18;
    assert_error(quire_machine_alloc(r->machine, 18, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    want.dry = true; /* the second section has no place in the first one's blocks, but the first */
    assert_ok(quire_machine_compact(r->machine, &want, &done)); /* in the second's whole ones */
    assert_int_equal(done.planned, 1);
    assert_true(done.cost > 384 * 480);
    want.dry = false;
    for (uint32_t i = 1; i < 640 * BLOCK / 8; i += 2) /* make room */
        (void)books_try_free(&books, i);
    for (uint32_t i = 1; i <= 20 * BLOCK / 8; i++) /* and five whole blocks of the first section */
        if (block_number(books.runs[i].pfn) % 4 == 0)
            (void)books_try_free(&books, i);
    assert_ok(quire_machine_drain(r->machine));
    used = books_used(&books);
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 1);
    assert_int_equal(done.moves, done.cost);
    assert_true(done.cost < 512 * 240);
    books_check(&books);
    rig_check(r, used);
    assert_ok(quire_machine_alloc(r->machine, 18, 0, &pfn));
    give(r, pfn.n, 18);
    close_machine();
}

/* Where no dense block has room, whole blocks of another section that is in use have: runs of each
 * kind of order, and blocks. */
static void whole_blocks_help_to_empty_a_section(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;
    quire_pfn pfn;

    (void)unused;
    for (unsigned order = 0; order < 9; order++)
        for (unsigned i = 0; i < 3u * BLOCK >> order; i++)
            assert_ok(books_alloc(&books, 1 + order * 3 * BLOCK + i, order, QUIRE_MOVABLE));
    assert_ok(books_alloc(&books, PLACES - 1, 9, QUIRE_MOVABLE));
    assert_ok(quire_machine_alloc(r->machine, 0, 0, &pfn)); /* unmovable, in the other section */
    used = books_used(&books) + 1;
    want.order = 18;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 1);
    assert_int_equal(done.moves, done.cost);
    assert_true(done.moves >= 28 * BLOCK - BLOCK);
    books_check(&books);
    rig_check(r, used);
    give(r, pfn.n, 0);
    assert_ok(quire_machine_alloc(r->machine, 18, 0, &pfn));
    give(r, pfn.n, 18);
    close_machine();
}

/* ---- What stops it --------------------------------------------------------------------------- */

static void budget_is_kept(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(32);
    struct quire_compacted done;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth); /* 3, 4, 5, 6, 7 used ones, and so on */
    want.budget = 3 + 3 + 2;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 2);
    assert_int_equal(done.moves, 6);
    want.budget = 0;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.planned, 0);
    assert_int_equal(done.moves, 0);
    close_machine();
}

static void refused_runs_are_named_and_left_alone(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact_blocker in_the_way[8];
    struct quire_compact want = want_blocks(14);
    struct quire_compacted done;
    uint32_t later, never;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    later = place_in_block(0);
    never = place_in_block(20);
    books.runs[later].answer = QUIRE_MOVE_LATER;
    books.runs[never].answer = QUIRE_MOVE_NEVER;
    want.blockers = in_the_way;
    want.blocker_room = 8;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 14);
    assert_int_equal(done.blockers, 2);
    assert_int_equal(in_the_way[0].pfn.n, books.base);
    assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_LATER);
    assert_int_equal(in_the_way[1].pfn.n, books.base + 20 * BLOCK);
    assert_int_equal(in_the_way[1].frames, 1);
    assert_int_equal(in_the_way[1].why, QUIRE_OBSTACLE_NEVER);
    books.runs[later].answer = books.runs[never].answer = QUIRE_MOVED;
    want.budget = 0;
    for (unsigned call = 1; call <= 65; call++) {
        want.count = 1;
        assert_ok(quire_machine_compact(r->machine, &want, &done));
        if (call <= 4) {
            assert_int_equal(in_the_way[0].pfn.n, books.base);
            assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_MARKED);
        }
        if (call <= 64)
            assert_int_equal(books_place(&books, books.base + 20 * BLOCK), never);
        if (call == 4)
            assert_int_equal(books_place(&books, books.base), later);
        want.budget = call == 4 || call == 64 ? UINT64_MAX : 0;
        if (call == 5)
            assert_int_equal(books_place(&books, books.base), 0);
    }
    assert_int_equal(books_place(&books, books.base + 20 * BLOCK), 0);
    close_machine();
}

static void move_that_fails_in_the_middle(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact_blocker in_the_way[2];
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used, whole;
    uint32_t stays;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    used = books_used(&books);
    whole = whole_blocks(r);
    books.mover.may_move = NULL;
    stays = books_place(&books, books.base + 1); /* the second one of the first block */
    books.runs[stays].answer = QUIRE_MOVE_LATER;
    want.blockers = in_the_way;
    want.blocker_room = 2;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.planned, 1);
    assert_int_equal(done.won, 0);
    assert_int_equal(done.moves, 1);
    assert_int_equal(done.blockers, 1);
    assert_int_equal(in_the_way[0].pfn.n, books.base + 1);
    assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_LATER);
    assert_int_equal(books_used(&books), used);
    assert_int_equal(whole_blocks(r), whole);
    rig_check(r, used);
    close_machine();
}

static void obstacles_have_names(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact_blocker in_the_way[8];
    struct quire_compact want = want_blocks(8);
    struct quire_contig contig = {.frames = 3};
    uint64_t order_3;
    struct quire_request request = quire_request_of(0, QUIRE_MOVABLE);
    struct quire_compacted done;
    quire_pfn run;

    (void)unused;
    assert_ok(books_alloc(&books, 1, 0, 0));
    assert_ok(books_alloc(&books, 2, 0, QUIRE_MOVABLE));
    assert_ok(books_alloc(&books, 3, 3, QUIRE_MOVABLE));
    contig.low = books.runs[2].pfn * QUIRE_FRAME_SIZE;
    assert_ok(quire_machine_alloc_contig(r->machine, &request, &contig, &run, NULL));
    assert_int_equal(block_number(run.n), block_number(books.runs[2].pfn));
    order_3 = books.runs[3].pfn / BLOCK * BLOCK;
    assert_ok(quire_machine_drain(r->machine));
    assert_ok(quire_zone_reserve(&r->zones[0].zone, quire_slot_of(0),
                                 quire_pfn_of(books.base + 900 * BLOCK), 1));
    want.blockers = in_the_way;
    want.blocker_room = 8;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.planned, 0);
    assert_int_equal(done.blockers, 4);
    assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_UNMOVABLE);
    assert_int_equal(in_the_way[0].pfn.n, books.runs[1].pfn / BLOCK * BLOCK);
    assert_int_equal(in_the_way[1].why, QUIRE_OBSTACLE_RESERVED);
    assert_int_equal(in_the_way[1].pfn.n, books.base + 900 * BLOCK);
    assert_int_equal(in_the_way[2].why, QUIRE_OBSTACLE_CONTIG);
    assert_int_equal(in_the_way[2].pfn.n, run.n);
    assert_int_equal(in_the_way[3].why, QUIRE_OBSTACLE_NO_PLACE);
    assert_int_equal(in_the_way[3].pfn.n, order_3);
    assert_ok(quire_machine_free_contig(r->machine, run, 3));
    assert_ok(quire_zone_unreserve(&r->zones[0].zone, quire_slot_of(0),
                                   quire_pfn_of(books.base + 900 * BLOCK), 1));
    close_machine();
}

static void errors_are_named(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(1), bad;
    struct quire_mover no_move = {0};
    struct quire_compacted done;

    (void)unused;
    bad = want;
    bad.order = 8;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_SIZE);
    bad.order = 19;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_SIZE);
    bad = want;
    bad.count = 0;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_SIZE);
    bad.count = QUIRE_COMPACT_RANGES + 1;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_SIZE);
    bad = want;
    bad.node = quire_node_of(1); /* no zone */
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_NODE);
    bad.node = quire_node_of(2);
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_NODE);
    bad = want;
    bad.mover = NULL;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_UNSUPPORTED);
    bad.mover = &no_move;
    assert_error(quire_machine_compact(r->machine, &bad, &done), QUIRE_ERR_UNSUPPORTED);
    r->refuse_memory = r->piece_count;
    assert_error(quire_machine_compact(r->machine, &want, &done), QUIRE_ERR_NO_MEMORY);
    r->refuse_memory = 0;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.planned, 0);
    close_machine();
}

static void change_while_it_moves(struct books *b, uint64_t pfn)
{
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;

    (void)pfn;
    b->before_move = NULL;
    assert_error(quire_machine_compact(b->rig->machine, &want, &done), QUIRE_ERR_BUSY);
    assert_error(quire_machine_set_topology(b->rig->machine, &b->rig->topology), QUIRE_ERR_BUSY);
}

static void changes_in_the_mover_are_refused(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    books.before_move = change_while_it_moves;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 1);
    assert_ok(quire_machine_set_topology(r->machine, &r->topology));
    close_machine();
}

static void free_what_is_to_be_moved(struct books *b, uint64_t pfn)
{
    b->before_move = NULL;
    books_free(b, books_place(b, pfn));
}

static void run_that_is_freed_meanwhile(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    used = books_used(&books);
    books.before_move = free_what_is_to_be_moved;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 1);
    assert_int_equal(done.moves, done.cost - 1);
    rig_check(r, used - 1);
    close_machine();
}

static void run_that_is_said_to_be_gone_and_stays(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_compact_blocker in_the_way[2];
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;

    (void)unused;
    fill(0, FILLED, few_of_each_fourth);
    used = books_used(&books);
    books.runs[place_in_block(0)].answer = QUIRE_MOVE_GONE;
    want.blockers = in_the_way;
    want.blocker_room = 2;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 0);
    assert_int_equal(done.moves, 2);
    assert_int_equal(done.blockers, 1);
    assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_CALL);
    assert_int_equal(in_the_way[0].pfn.n, books.base);
    rig_check(r, used);
    close_machine();
}

/* ---- Requests -------------------------------------------------------------------------------- */

static uint64_t had;

/* All that is free is asked for while a range is held. */
static void take_all(struct books *b, uint64_t pfn)
{
    (void)pfn;
    b->before_move = NULL;
    for (uint32_t i = 1; i < PLACES; i++) {
        if (atomic_load(&b->runs[i].state) != BOOKS_FREE)
            continue;
        if (books_alloc(b, i, 0, QUIRE_MOVABLE | QUIRE_EMERGENCY))
            break;
        had++;
    }
}

static unsigned all_but_one_block(uint64_t block)
{
    return block == 100 ? 2 : 511;
}

static unsigned all_but_two_blocks(uint64_t block)
{
    return block == 100 || block == 101 ? 2 : 511;
}

static void nobody_is_refused_for_what_is_held(void **unused)
{
    struct rig *r = open_blocks(FEW_BLOCKS, NULL);
    struct quire_compact_blocker in_the_way[2];
    struct quire_compact want = want_blocks(2);
    struct quire_compacted done;
    uint64_t used;

    (void)unused;
    fill(0, FEW_BLOCKS, all_but_two_blocks);
    used = books_used(&books);
    had = 0;
    books.before_move = take_all;
    want.blockers = in_the_way;
    want.blocker_room = 2;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(had,
                     FEW_BLOCKS * BLOCK - used - 1); /* but for the new place of what is moved */
    assert_int_equal(done.won, 0);
    assert_int_equal(done.moves, 1);
    assert_int_equal(done.blockers, 1); /* no other range was begun */
    assert_int_equal(in_the_way[0].why, QUIRE_OBSTACLE_REQUEST);
    assert_int_equal(in_the_way[0].pfn.n, books.base + 100 * BLOCK);
    assert_int_equal(books_used(&books), FEW_BLOCKS * BLOCK - 1);
    rig_check(r, FEW_BLOCKS * BLOCK - 1);
    close_machine();
}

static void take_all_in_event(struct rig *r)
{
    r->event = NULL;
    take_all(&books, 0);
}

/* A range takes its frames out of the count, which crosses a watermark: the port is told, and may
 * allocate. */
static void event_finds_what_is_held(void **unused)
{
    struct rig *r = &rig;
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;

    (void)unused;
    rig_begin(r, 1, 2);
    r->low = BLOCK;
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, (uint64_t)FEW_BLOCKS * BLOCK);
    books_open(&books, r, (uint64_t)FEW_BLOCKS * BLOCK, PLACES);
    rig_open(r);
    fill(0, FEW_BLOCKS, all_but_one_block);
    used = books_used(&books);
    had = 0;
    r->event = take_all_in_event;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_null(r->event);
    assert_int_equal(had, FEW_BLOCKS * BLOCK - used);
    assert_int_equal(done.won, 0);
    rig_check(r, FEW_BLOCKS * BLOCK);
    close_machine();
}

/* None of these is helped by what is held: frames are there, but no whole block; or the memory of
 * another node is asked for. */
static void ask_in_vain(struct books *b, uint64_t pfn)
{
    struct quire_request request = quire_request_of(9, 0);
    struct quire_policy other = {.mode = QUIRE_POLICY_BIND,
                                 .nodes = quire_nodemask_of(quire_node_of(2))};
    quire_pfn block;

    (void)pfn;
    b->before_move = NULL;
    assert_error(quire_machine_request(b->rig->machine, &request, &block, NULL),
                 QUIRE_ERR_NO_MEMORY);
    request = quire_request_of(0, 0);
    request.policy = &other;
    assert_error(quire_machine_request(b->rig->machine, &request, &block, NULL), QUIRE_ERR_ZONE);
}

static unsigned few_or_half(uint64_t block)
{
    return block % 4 == 0 ? 3 : 256;
}

static void requests_in_vain_end_nothing(void **unused)
{
    struct rig *r = &rig;
    struct quire_compact want = want_blocks(8);
    struct quire_compacted done;
    quire_pfn pfn;

    (void)unused;
    rig_begin(r, 3, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, FILLED * BLOCK);
    (void)rig_zone(r, 2, QUIRE_ZONE_NORMAL, 0, BLOCK);
    books_open(&books, r, FILLED * BLOCK, PLACES);
    rig_open(r);
    pfn.n = rig_base(2);
    assert_ok(quire_zone_alloc_at(&r->zones[1].zone, quire_slot_of(0), pfn, 9, 0));
    fill(0, FILLED, few_or_half);
    books.before_move = ask_in_vain;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 8);
    assert_int_equal(done.moves, 24);
    assert_ok(quire_machine_free(r->machine, pfn, 9));
    close_machine();
}

/* A whole block is asked for while another one is emptied, and none is free. */
static void take_block(struct books *b, uint64_t pfn)
{
    quire_pfn block;

    (void)pfn;
    b->before_move = NULL;
    assert_error(quire_machine_alloc(b->rig->machine, 9, QUIRE_COMPACT, &block),
                 QUIRE_ERR_NO_MEMORY);
}

/* Who uses what is to be moved frees it, and asks for a whole block. */
static void free_all_and_take_block(struct books *b, uint64_t pfn)
{
    quire_pfn block;

    b->before_move = NULL;
    books_free(b, books_place(b, pfn + 1));
    assert_error(quire_machine_alloc(b->rig->machine, 9, 0, &block), QUIRE_ERR_NO_MEMORY);
    books_free(b, books_place(b, pfn));
    assert_ok(quire_machine_alloc(b->rig->machine, 9, 0, &block));
    assert_int_equal(block.n, pfn / BLOCK * BLOCK);
    assert_ok(quire_machine_free(b->rig->machine, block, 9));
}

/* Of no other block all, of all together more than a block is free. */
static unsigned two_or_most(uint64_t block)
{
    return block == 100 ? 2 : 500;
}

static void range_that_is_freed_while_held(void **unused)
{
    struct rig *r = open_blocks(FEW_BLOCKS, NULL);
    struct quire_compact want = want_blocks(1);
    struct quire_compacted done;
    uint64_t used;

    (void)unused;
    fill(0, FEW_BLOCKS, two_or_most);
    used = books_used(&books);
    books.before_move = free_all_and_take_block;
    assert_ok(quire_machine_compact(r->machine, &want, &done));
    assert_int_equal(done.won, 0);
    assert_int_equal(done.moves, 0);
    rig_check(r, used - 2);
    close_machine();
}

static void request_that_compacts(void **unused)
{
    struct rig *r = open_blocks(FEW_BLOCKS, &books.mover);
    struct quire_refusal why;
    struct quire_request request = quire_request_of(9, QUIRE_COMPACT);
    uint64_t used;
    quire_pfn pfn, next;

    (void)unused;
    fill(0, FEW_BLOCKS, all_but_one_block);
    used = books_used(&books);
    assert_error(quire_machine_alloc(r->machine, 9, 0, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(books.moved, 0);
    assert_ok(quire_machine_alloc(r->machine, 9, QUIRE_COMPACT, &pfn));
    assert_int_equal(pfn.n, books.base + 100 * BLOCK);
    assert_int_equal(books.moved, 2);
    /* the next one would cost more than half of it */
    assert_error(quire_machine_request(r->machine, &request, &next, &why), QUIRE_ERR_NO_MEMORY);
    assert_int_equal(why.node.n, 0);
    assert_int_equal(books.moved, 2);
    rig_check(r, used + BLOCK);
    give(r, pfn.n, 9);
    close_machine();

    r = open_blocks(FEW_BLOCKS, &books.mover);
    fill(0, FEW_BLOCKS, all_but_one_block);
    books.before_move = take_block; /* one at a time */
    assert_error(quire_machine_alloc(r->machine, 9, QUIRE_COMPACT, &pfn), QUIRE_ERR_NO_MEMORY);
    assert_ok(quire_machine_alloc(r->machine, 9, QUIRE_COMPACT, &pfn));
    give(r, pfn.n, 9);
    close_machine();
}

static void requests_that_may_not_compact(void **unused)
{
    struct rig *r = open_machine(NULL);
    struct quire_mover no_move = {0};
    struct quire_request request = quire_request_of(0, QUIRE_COMPACT);
    quire_pfn pfn;
    size_t got;

    (void)unused;
    assert_error(quire_machine_alloc(r->machine, 9, QUIRE_COMPACT, &pfn), QUIRE_ERR_UNSUPPORTED);
    close_machine();
    r = open_machine(&books.mover);
    assert_error(quire_machine_alloc(r->machine, 8, QUIRE_COMPACT, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_machine_alloc(r->machine, 19, QUIRE_COMPACT, &pfn), QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_machine_alloc(r->machine, 9, QUIRE_COMPACT | QUIRE_NO_CALLBACK, &pfn),
                 QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_machine_alloc_batch(r->machine, &request, 1, &pfn, &got, NULL),
                 QUIRE_ERR_UNSUPPORTED);
    assert_error(quire_zone_alloc(&r->zones[0].zone, quire_slot_of(0), 9, QUIRE_COMPACT, &pfn),
                 QUIRE_ERR_UNSUPPORTED);
    close_machine();
    rig_begin(r, 1, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, BLOCK);
    r->config.port.mover = &no_move;
    assert_error(rig_try(r), QUIRE_ERR_UNSUPPORTED);
    rig_free_zones(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dry_run_is_what_is_done),
        cmocka_unit_test(dense_blocks_are_filled),
        cmocka_unit_test(cached_frames_are_drained),
        cmocka_unit_test(runs_of_every_order_are_moved),
        cmocka_unit_test(sections_become_whole),
        cmocka_unit_test(whole_blocks_help_to_empty_a_section),
        cmocka_unit_test(budget_is_kept),
        cmocka_unit_test(refused_runs_are_named_and_left_alone),
        cmocka_unit_test(move_that_fails_in_the_middle),
        cmocka_unit_test(obstacles_have_names),
        cmocka_unit_test(errors_are_named),
        cmocka_unit_test(changes_in_the_mover_are_refused),
        cmocka_unit_test(run_that_is_freed_meanwhile),
        cmocka_unit_test(run_that_is_said_to_be_gone_and_stays),
        cmocka_unit_test(nobody_is_refused_for_what_is_held),
        cmocka_unit_test(event_finds_what_is_held),
        cmocka_unit_test(requests_in_vain_end_nothing),
        cmocka_unit_test(range_that_is_freed_while_held),
        cmocka_unit_test(request_that_compacts),
        cmocka_unit_test(requests_that_may_not_compact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
