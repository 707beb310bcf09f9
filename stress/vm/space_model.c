/* SPDX-License-Identifier: MIT
 *
 * space_model.c - random calls on spaces of each format against naive maps: an array for each space
 * with a cell for each page, what it may be used for and the word that was written to it. Two
 * processors read and write, whose TLBs forget what the port was told to invalidate and nothing
 * else. Frames are refused now and then: then the map is as it was. Up to three spaces come from
 * each other by fork.
 *
 *     space_model [SEED [CALLS]]
 */
#include "space_rig.h"
#include "stress/common/assert.h"
#include "stress/common/random.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME = QUIRE_FRAME_SIZE, CELLS_MAX = 4096, SPACES = 3, LIST_EVERY = 16 };

struct cell {
    uint8_t reserved, access; /* access 0: a guard */
    uint64_t word;
};

struct copy {
    bool used;
    struct quire_space space;
    struct cell cells[CELLS_MAX];
};

static struct space_rig rig;
static struct copy copies[SPACES];
static uint64_t state_of_random, calls = 2500, seed = 1, call, cells, promoted, demoted, rows;

static uint64_t draw(uint64_t bound)
{
    return random_below(&state_of_random, bound);
}

static void wrong(const char *what)
{
    fail_msg("%s: %s (seed %llu, call %llu)", rig.which->format->name, what,
             (unsigned long long)seed, (unsigned long long)call);
}

#define expect(good, what) \
    do {                   \
        if (!(good))       \
            wrong(what);   \
    } while (0)

static uint64_t large(void)
{
    return rig.which->format->sizes & QUIRE_PAGE_2M ? QUIRE_PAGE_2M : QUIRE_PAGE_4M;
}

static uint64_t virt_of(uint64_t cell)
{
    return rig.config.range.start.n + cell * FRAME;
}

/* ---- What is asked for --------------------------------------------------------------------- */

struct span {
    uint64_t first, cells;
};

static struct span draw_span(void)
{
    uint64_t in_large = large() / FRAME, kind = draw(20);
    uint64_t near = cells / 2 - 16 + draw(32); /* where things happen again and again */
    struct span s = {draw(2) ? near : draw(cells),
                     kind < 14 ? 1 + draw(8) : 1 + draw(2 * in_large)};

    if (kind > 16) {
        s.first &= ~(in_large - 1);
        s.cells = in_large;
    }
    if (s.cells > cells - s.first)
        s.cells = cells - s.first;
    return s;
}

static struct quire_vrange range_of(struct span s)
{
    return quire_vrange_of(virt_of(s.first), s.cells * FRAME);
}

static uint32_t draw_access(void)
{
    static const uint32_t accesses[] = {QUIRE_READ | QUIRE_WRITE, QUIRE_READ | QUIRE_WRITE,
                                        QUIRE_READ, QUIRE_READ | QUIRE_WRITE | QUIRE_EXECUTE,
                                        QUIRE_READ | QUIRE_EXECUTE};

    return space_rig_access(&rig, accesses[draw(5)]);
}

/* Of the cells of a span, how many are reserved? */
static uint64_t reserved(const struct copy *copy, struct span s)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < s.cells; i++)
        n += copy->cells[s.first + i].reserved;
    return n;
}

static void set(struct copy *copy, struct span s, uint32_t access)
{
    struct cell cell = {1, (uint8_t)access, 0};

    for (uint64_t i = 0; i < s.cells; i++)
        copy->cells[s.first + i] = cell;
}

/* A refusal is the rig's doing, or there are few frames. */
static bool no_memory(int error)
{
    return error == QUIRE_ERR_NO_MEMORY &&
           (rig.failed || space_rig_used(&rig) > SPACE_RIG_SMALL / 2);
}

static struct copy *draw_copy(void)
{
    struct copy *copy = &copies[draw(SPACES)];

    while (!copy->used)
        copy = &copies[draw(SPACES)];
    return copy;
}

/* ---- Calls --------------------------------------------------------------------------------- */

static void reserve_at(struct copy *copy)
{
    struct span s = draw_span(), guard = {s.first - 1, 1};
    bool stack = draw(4) == 0, is_guard = !stack && draw(8) == 0;
    struct quire_area area =
        space_rig_area(virt_of(s.first), s.cells * FRAME, is_guard ? 0 : draw_access());
    uint32_t flags = (stack ? QUIRE_RESERVE_STACK : 0) | (draw(3) ? 0 : QUIRE_RESERVE_LARGE);
    int error;

    area.kind = is_guard ? QUIRE_AREA_GUARD : QUIRE_AREA_ANONYMOUS;
    error = quire_space_reserve(&copy->space, &area, flags, NULL);
    if (stack && s.first == 0) {
        expect(error == QUIRE_ERR_ADDRESS, "a guard outside");
    } else if (reserved(copy, s) || (stack && reserved(copy, guard))) {
        expect(error == QUIRE_ERR_MAPPED || no_memory(error), "reserve of what is reserved");
    } else {
        expect(error == 0 || no_memory(error), "reserve");
        if (error == 0)
            set(copy, s, area.access);
        if (error == 0 && stack)
            set(copy, guard, 0);
    }
}

static void reserve_anywhere(struct copy *copy)
{
    struct span s = {0, 1 + draw(16)};
    uint64_t unit = draw(4) ? 1 : large() / FRAME;
    struct quire_area area = space_rig_area(0, s.cells * FRAME, draw_access());
    quire_vaddr at = {0};
    int error = quire_space_reserve(
        &copy->space, &area,
        QUIRE_RESERVE_ANYWHERE | (unit > 1 ? (uint32_t)QUIRE_RESERVE_LARGE : 0), &at);

    while (s.first + s.cells <= cells && reserved(copy, s))
        s.first += unit;
    if (s.first + s.cells > cells) {
        expect(error == QUIRE_ERR_FULL, "there is no place");
    } else {
        expect(no_memory(error) || (error == 0 && at.n == virt_of(s.first)), "the first place");
        if (error == 0)
            set(copy, s, area.access);
    }
}

static void unmap(struct copy *copy)
{
    struct span s = draw_span();
    int error = quire_space_unmap(&copy->space, range_of(s));

    if (reserved(copy, s) < s.cells)
        expect(error == QUIRE_ERR_AREA, "unmap of a hole");
    else
        expect(error == 0 || no_memory(error), "unmap");
    if (error == 0)
        memset(&copy->cells[s.first], 0, (size_t)s.cells * sizeof copy->cells[0]);
}

static void protect(struct copy *copy)
{
    struct span s = draw_span();
    uint32_t access = draw_access();
    int error = quire_space_protect(&copy->space, range_of(s), access);

    if (reserved(copy, s) < s.cells)
        expect(error == QUIRE_ERR_AREA, "protect of a hole");
    else
        expect(error == 0 || no_memory(error), "protect");
    for (uint64_t i = 0; error == 0 && i < s.cells; i++)
        copy->cells[s.first + i].access = (uint8_t)access;
}

static void advise(struct copy *copy)
{
    struct span s = draw_span();
    enum quire_advice advice = (enum quire_advice)draw(4);
    int error;

    if (advice == QUIRE_ADVISE_POPULATE && s.cells > 8)
        s.cells = 8;
    error = quire_space_advise(&copy->space, range_of(s), advice);
    if (reserved(copy, s) < s.cells)
        expect(error == QUIRE_ERR_AREA, "advice about a hole");
    else
        expect(error == 0 || no_memory(error), "advice");
    for (uint64_t i = 0; error == 0 && advice == QUIRE_ADVISE_RELEASE && i < s.cells; i++)
        copy->cells[s.first + i].word = 0;
}

static void fork_or_end(struct copy *copy)
{
    struct copy *child = &copies[draw(SPACES)];
    int error;

    if (child->used) {
        if (child != copy && draw(2)) {
            space_rig_leave(&rig, 0);
            space_rig_leave(&rig, 1);
            quire_space_destroy(&child->space);
            child->used = false;
        }
        return;
    }
    error = quire_space_fork(&copy->space, &child->space);
    expect(error == 0 || no_memory(error), "fork");
    if (error == 0) {
        child->used = true;
        memcpy(child->cells, copy->cells, sizeof child->cells);
    }
}

/* Let all of a part be reserved, for one access: else few parts are worth a large page. */
static void even_out(struct copy *copy)
{
    struct span s = {draw(4) * large() / FRAME, large() / FRAME}, hole = {0, 1};
    struct quire_area area = space_rig_area(0, FRAME, space_rig_access(&rig, 3));
    int error = 0;

    for (hole.first = s.first; error == 0 && hole.first < s.first + s.cells; hole.first++)
        if (!copy->cells[hole.first].reserved) {
            area.range = range_of(hole);
            error = quire_space_reserve(&copy->space, &area, 0, NULL);
            if (error == 0)
                set(copy, hole, area.access);
        }
    if (error == 0)
        error = quire_space_protect(&copy->space, range_of(s), area.access);
    expect(error == 0 || no_memory(error), "an even part");
    for (uint64_t i = 0; error == 0 && i < s.cells; i++)
        copy->cells[s.first + i].access = (uint8_t)area.access;
}

/* Nothing that a program sees changes. */
static void promote(struct copy *copy)
{
    struct quire_promotion how = {.present = (uint32_t)(1 + draw(draw(2) ? 4 : 64)),
                                  .age = draw(2),
                                  .row = draw(2) ? 4 + (uint32_t)draw(5) : 0};
    struct quire_promoted done;
    int error;

    if (draw(2))
        even_out(copy);
    error = quire_space_promote(&copy->space, rig.config.range, &how, &done);

    expect(error == 0 || error == QUIRE_ERR_NO_MEMORY, "promote");
    promoted += done.parts;
    rows += done.rows;
}

static void demote(struct copy *copy)
{
    struct quire_demotion how = {.zeros = (uint32_t)draw(large() / FRAME)};
    struct quire_demoted done;
    int error = quire_space_demote(&copy->space, rig.config.range, &how, &done);

    expect(error == 0 || no_memory(error), "demote");
    demoted += done.parts;
}

/* Several reads and writes near each other. */
static void touch(struct copy *copy)
{
    uint64_t first = draw_span().first;

    for (unsigned n = 0; n < 12; n++) {
        uint64_t i = (first + draw(12)) % cells, word = ~copy->cells[i].word;
        struct cell *cell = &copy->cells[i];
        bool write = draw(2);
        int error;

        if (write)
            error = space_rig_write(&rig, (unsigned)draw(2), &copy->space, virt_of(i), call + 1);
        else
            error = space_rig_read(&rig, (unsigned)draw(2), &copy->space, virt_of(i), &word);
        if (!cell->reserved)
            expect(error == QUIRE_ERR_AREA, "nothing is there");
        else if (!(cell->access & (write ? QUIRE_WRITE : QUIRE_READ)))
            expect(error == QUIRE_ERR_ACCESS, "it is not allowed");
        else
            expect(error == 0 || no_memory(error), "an access");
        if (error == 0 && write)
            cell->word = call + 1;
        if (error == 0 && !write)
            expect(word == cell->word, "another word was written there");
    }
}

/* ---- The list ------------------------------------------------------------------------------ */

struct listed {
    struct copy *copy;
    uint64_t next;
};

static int compare_area(void *ctx, const struct quire_area *area)
{
    struct listed *listed = ctx;
    struct cell *at = listed->copy->cells;
    uint64_t first = (area->range.start.n - virt_of(0)) / FRAME, n = area->range.bytes / FRAME;

    for (; listed->next < first; listed->next++)
        expect(!at[listed->next].reserved, "an area is not listed");
    for (; listed->next < first + n; listed->next++)
        expect(at[listed->next].reserved && at[listed->next].access == area->access,
               "an area is listed that is not so");
    expect(first + n == cells || !at[first + n].reserved || at[first + n].access != area->access,
           "equal neighbours are two areas");
    expect(area->frames <= n, "frames of an area");
    return 0;
}

static void list(struct copy *copy)
{
    struct listed listed = {copy, 0};

    assert_ok(quire_space_list(&copy->space, rig.config.range, compare_area, &listed));
    for (; listed.next < cells; listed.next++)
        expect(!copy->cells[listed.next].reserved, "an area is not listed");
}

/* ---- All formats --------------------------------------------------------------------------- */

static void run(const struct rig_format *which, bool window)
{
    static void (*const actions[])(struct copy * copy) = {
        reserve_at, reserve_at, reserve_anywhere, unmap, protect,
        protect,    advise,     fork_or_end,      touch, touch,
        touch,      touch,      promote,          demote};

    memset(copies, 0, sizeof copies);
    space_rig_begin(&rig, which, window);
    rig.with_tlb = true;
    cells = 4 * large() / FRAME;
    rig.config.range = quire_vrange_of(which->base + QUIRE_PAGE_1G - 2 * large(), cells * FRAME);
    assert_ok(quire_space_create(&copies[0].space, &rig.config));
    copies[0].used = true;
    for (call = 0; call < calls; call++) {
        struct copy *copy = draw_copy();

        rig.failed = false;
        rig.fail_in = draw(4) ? 0 : 1 + draw(6);
        actions[draw(sizeof actions / sizeof actions[0])](copy);
        rig.fail_in = 0;
        if (call % LIST_EVERY == 0)
            list(copy);
    }
    for (unsigned i = 0; i < SPACES; i++)
        if (copies[i].used) {
            list(&copies[i]);
            quire_space_destroy(&copies[i].space);
        }
    space_rig_end(&rig);
}

static void all_formats(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RIG_FORMATS; i++) {
        state_of_random = random_seed(seed, i);
        run(&rig_formats[i], i % 2 != 0);
    }
    assert_true(promoted > 0 && demoted > 0 && rows > 0);
    print_message("%llu promoted, %llu rows, %llu demoted\n", (unsigned long long)promoted,
                  (unsigned long long)rows, (unsigned long long)demoted);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_formats)};

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        calls = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("space_model", tests, NULL, NULL);
}
