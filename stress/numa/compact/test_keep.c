/* SPDX-License-Identifier: MIT
 *
 * test_keep.c - whole blocks and sections that quire_machine_maintain keeps: as many as wanted,
 * within the budget of each call, on the node that wants them, and nobody refused for it.
 * White-box.
 */
#include "numa/compact/hold.h"
#include "numa/machine/machine.h"
#include "stress/numa/compact/books.h"
#include "stress/numa/machine/unit.h"

enum { BLOCKS = 1024, FILLED = 64, PLACES = 640 * BLOCK };

static struct rig rig;
static struct books books;

/* Two nodes, of which the first has two sections, or fewer blocks. */
static struct rig *open_machine(uint32_t blocks, struct quire_keep keep)
{
    struct rig *r = &rig;

    rig_begin(r, 2, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, (uint64_t)blocks * BLOCK);
    (void)rig_zone(r, 1, QUIRE_ZONE_NORMAL, 0, 8 * BLOCK);
    books_open(&books, r, (uint64_t)blocks * BLOCK, PLACES);
    r->config.port.mover = &books.mover;
    r->config.keep = keep;
    rig_open(r);
    return r;
}

static void close_machine(void)
{
    books_check(&books);
    books_close(&books);
    rig_close(&rig);
}

/* Fill `blocks` blocks with movable runs of an order, and keep so many runs of each fourth block,
 * and `others` of the others. */
static void fill(unsigned order, uint32_t blocks, unsigned fourths, unsigned others)
{
    uint32_t n = (uint32_t)(blocks * BLOCK >> order);

    for (uint32_t i = 1; i <= n; i++)
        assert_ok(books_alloc(&books, i, order, QUIRE_MOVABLE));
    for (uint32_t i = 1; i <= n; i++) {
        uint64_t frame = books.runs[i].pfn - books.base;

        if (frame % BLOCK >> order >= (frame / BLOCK % 4 == 0 ? fourths : others))
            books_free(&books, i);
    }
    assert_ok(quire_machine_drain(rig.machine));
}

static struct quire_kept kept(uint32_t node)
{
    struct quire_kept k;

    assert_ok(quire_machine_kept(rig.machine, quire_node_of(node), &k));
    return k;
}

static void enough_blocks(void **unused)
{
    struct rig *r = open_machine(FILLED, (struct quire_keep){0});
    uint64_t used;

    (void)unused;
    fill(0, FILLED, 5, 480);
    used = books_used(&books);
    assert_int_equal(kept(0).blocks, 0);
    assert_int_equal(kept(1).blocks, 8);
    (void)quire_machine_maintain(r->machine); /* nothing is wanted */
    assert_int_equal(kept(0).blocks, 0);
    assert_int_equal(kept(0).calls, 0);
    assert_ok(quire_machine_keep(r->machine, quire_node_of(0),
                                 &(struct quire_keep){.blocks = 6, .budget = 1000}));
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).blocks, 6);
    assert_int_equal(kept(0).won_blocks, 6);
    assert_int_equal(kept(0).moves, 30);
    assert_int_equal(books.moved, 30);
    assert_int_equal(kept(0).short_calls, 0);
    (void)quire_machine_maintain(r->machine); /* enough */
    assert_int_equal(kept(0).calls, 1);
    assert_int_equal(kept(1).calls, 0);
    rig_check(r, used);
    close_machine();
}

/* A call moves what the budget allows, and the next one goes on. */
static void budget_holds_in_each_call(void **unused)
{
    struct rig *r = open_machine(FILLED, (struct quire_keep){.blocks = 5, .budget = 12});
    uint64_t moved = 0;

    (void)unused;
    fill(0, FILLED, 5, 480);
    for (unsigned call = 1; call <= 3; call++) {
        (void)quire_machine_maintain(r->machine);
        assert_in_range(books.moved - moved, 1, 12);
        moved = books.moved;
        assert_int_equal(kept(0).blocks, call < 3 ? 2 * call : 5);
        assert_int_equal(kept(0).short_calls, call < 3 ? call : 2);
    }
    assert_int_equal(kept(0).moves, 25);
    assert_int_equal(kept(0).most_moves, 10);
    close_machine();
}

/* A section first; its blocks are whole ones, too, so no others are emptied. */
static void enough_sections(void **unused)
{
    const struct quire_keep keep = {.sections = 1, .blocks = 512, .budget = 100 * BLOCK};
    struct rig *r = open_machine(BLOCKS, keep);
    uint64_t used;
    quire_pfn pfn;

    (void)unused;
    fill(3, 640, 2, 10); /* 80 frames of most blocks; of the second section a quarter */
    used = books_used(&books);
    assert_int_equal(kept(0).sections, 0);
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).sections, 1);
    assert_true(kept(0).blocks >= 512);
    assert_int_equal(kept(0).won_sections, 1);
    assert_int_equal(kept(0).won_blocks, 0);
    assert_in_range(kept(0).moves, 1, keep.budget);
    rig_check(r, used);
    assert_ok(quire_machine_alloc(r->machine, 18, 0, &pfn));
    give(r, pfn.n, 18);
    /* What cannot be moved within a call stays. */
    assert_ok(quire_machine_keep(r->machine, quire_node_of(0),
                                 &(struct quire_keep){.sections = 2, .budget = 100}));
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).sections, 1);
    assert_int_equal(kept(0).short_calls, 1);
    close_machine();
}

/* The budget is one for sections and blocks. */
static void budget_is_shared(void **unused)
{
    struct rig *r = open_machine(BLOCKS, (struct quire_keep){0});
    struct quire_compacted plan;
    struct quire_compact want = {.order = 18, .count = 1, .budget = UINT64_MAX, .dry = true};

    (void)unused;
    fill(3, 640, 2, 10);
    assert_ok(quire_machine_compact(r->machine, &want, &plan));
    assert_int_equal(plan.planned, 1);
    assert_ok(quire_machine_keep(
        r->machine, quire_node_of(QUIRE_NO_NODE),
        &(struct quire_keep){.sections = 1, .blocks = 900, .budget = plan.cost + 40}));
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).won_sections, 1);
    assert_true(kept(0).won_blocks > 0);
    assert_in_range(kept(0).moves, plan.cost + 1, plan.cost + 40);
    assert_int_equal(kept(0).short_calls, 1);
    assert_int_equal(kept(1).won_blocks, 0); /* it cannot have them, and moves nothing */
    assert_int_equal(kept(1).short_calls, 1);
    close_machine();
}

/* Where nothing can be won it is not tried at each call. */
static void in_vain(void **unused)
{
    struct rig *r = open_machine(FILLED, (struct quire_keep){.blocks = 1, .budget = 1000});
    uint64_t last = 0;

    (void)unused;
    fill(0, FILLED, 480, 480);
    for (uint32_t i = 1; i <= FILLED * BLOCK; i++)
        books.runs[i].answer = QUIRE_MOVE_NEVER;
    for (unsigned call = 1; call <= 3 + 2 * 17 + 4 + 8; call++)
        (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).calls, 6); /* behind pauses of 0, 1, 2, 4, 8, 16 and 12 of 16 */
    assert_int_equal(kept(0).calls, kept(0).short_calls);
    assert_int_equal(books.moved, 0);
    last = kept(0).calls;
    for (uint32_t i = 1; i <= FILLED * BLOCK; i++)
        books.runs[i].answer = QUIRE_MOVED;
    /* Who wants something else is served at the next call. */
    assert_ok(quire_machine_keep(r->machine, quire_node_of(0),
                                 &(struct quire_keep){.blocks = 2, .budget = 2000}));
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).calls, last + 1);
    close_machine();
}

static uint64_t had;

/* All that is free is asked for while a range is held; and maintenance beside itself does nothing.
 */
static void take_all(struct books *b, uint64_t pfn)
{
    (void)pfn;
    b->before_move = NULL;
    (void)quire_machine_maintain(rig.machine);
    assert_int_equal(kept(0).calls, 0);
    for (uint32_t i = 1; i < PLACES; i++) {
        if (atomic_load(&b->runs[i].state) != BOOKS_FREE)
            continue;
        if (books_alloc(b, i, 0, QUIRE_MOVABLE | QUIRE_EMERGENCY))
            break;
        had++;
    }
}

static void nobody_is_refused(void **unused)
{
    struct rig *r = &rig;
    uint64_t used;

    (void)unused;
    rig_begin(r, 1, 2);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, FILLED * BLOCK);
    books_open(&books, r, FILLED * BLOCK, PLACES);
    r->config.port.mover = &books.mover;
    r->config.keep = (struct quire_keep){.blocks = 4, .budget = 1000};
    rig_open(r);
    fill(0, FILLED, 5, 480);
    used = books_used(&books);
    had = 0;
    books.before_move = take_all;
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(had, FILLED * BLOCK - used - 1); /* but for the new place of what is moved */
    assert_int_equal(kept(0).moves, 1);
    assert_int_equal(kept(0).short_calls, 1);
    rig_check(r, FILLED * BLOCK - 1);
    close_machine();
}

/* A request is in need of frames while a range of the first node is held: no other begins in this
 * call, on whatever node. Its wish is not lost when nothing is held at the moment. */
static void want_none(struct books *b, uint64_t pfn)
{
    (void)pfn;
    b->before_move = NULL;
    hold_want(&rig.machine->hold);
}

static void a_request_ends_it_all(void **unused)
{
    struct rig *r = open_machine(
        BLOCKS, (struct quire_keep){.sections = 1, .blocks = 900, .budget = 100 * BLOCK});

    (void)unused;
    fill(3, 640, 2, 10);
    books.before_move = want_none;
    (void)quire_machine_maintain(r->machine);
    assert_int_equal(kept(0).won_sections, 1); /* the range at work is finished */
    assert_int_equal(kept(0).won_blocks, 0);
    assert_int_equal(kept(0).calls, 1);
    assert_int_equal(kept(1).calls, 0);
    (void)quire_machine_maintain(r->machine); /* the next call begins anew */
    assert_true(kept(0).won_blocks > 0);
    assert_int_equal(kept(1).calls, 1);
    close_machine();
}

static void wrong_wishes(void **unused)
{
    static const struct {
        struct quire_keep keep;
        int error;
    } cases[] = {
        {{.blocks = 1}, QUIRE_ERR_SIZE},
        {{.sections = 1}, QUIRE_ERR_SIZE},
        {{.budget = 1}, QUIRE_ERR_SIZE},
        {{.blocks = UINT32_MAX, .budget = UINT64_MAX}, QUIRE_OK},
    };
    struct rig *r = open_machine(FILLED, (struct quire_keep){0});
    const struct quire_keep good = {.blocks = 1, .budget = 1};
    struct quire_kept k;

    (void)unused;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(quire_machine_keep(r->machine, quire_node_of(1), &cases[i].keep),
                         cases[i].error);
    assert_error(quire_machine_keep(r->machine, quire_node_of(2), &good), QUIRE_ERR_NODE);
    assert_error(quire_machine_kept(r->machine, quire_node_of(2), &k), QUIRE_ERR_NODE);
    close_machine();
    for (unsigned i = 0; i < 5; i++) {
        rig_begin(r, 1, 1);
        (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, BLOCK);
        r->config.keep = i < 4 ? cases[i].keep : good;
        r->config.port.mover = i < 3 ? &books.mover : NULL;
        assert_error(rig_try(r), i < 3 ? cases[i].error : QUIRE_ERR_UNSUPPORTED);
        rig_free_zones(r);
    }
    rig_begin(r, 1, 1);
    (void)rig_zone(r, 0, QUIRE_ZONE_NORMAL, 0, BLOCK);
    rig_open(r);
    assert_error(quire_machine_keep(r->machine, quire_node_of(0), &good), QUIRE_ERR_UNSUPPORTED);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enough_blocks),
        cmocka_unit_test(budget_holds_in_each_call),
        cmocka_unit_test(enough_sections),
        cmocka_unit_test(budget_is_shared),
        cmocka_unit_test(in_vain),
        cmocka_unit_test(nobody_is_refused),
        cmocka_unit_test(a_request_ends_it_all),
        cmocka_unit_test(wrong_wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
