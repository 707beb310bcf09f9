/* SPDX-License-Identifier: MIT
 *
 * books.c - see books.h.
 */
#include "stress/numa/compact/books.h"

#include <inttypes.h>
#include <stdlib.h>

static uint64_t word_for(const struct books_run *run, uint64_t i)
{
    return run->value + i;
}

/* The frames of a run at `pfn` go from one owner to another; 0: nobody. */
static void change_owner(struct books *b, uint64_t pfn, unsigned order, uint32_t from, uint32_t to)
{
    for (uint64_t i = 0; i < 1ull << order; i++) {
        uint32_t was =
            atomic_exchange_explicit(&b->cells[pfn - b->base + i], to, memory_order_relaxed);

        if (was != from)
            die("frame 0x%" PRIx64 ": owner %" PRIu32 " instead of %" PRIu32, pfn + i, was, from);
    }
}

static void check_words(const struct books *b, const struct books_run *run)
{
    for (uint64_t i = 0; i < 1ull << run->order; i++)
        if (b->words[run->pfn - b->base + i] != word_for(run, i))
            die("frame 0x%" PRIx64 " of a run of order %u was written by another owner",
                run->pfn + i, run->order);
}

static bool take_run(struct books_run *run)
{
    uint32_t used = BOOKS_USED;

    return atomic_compare_exchange_strong_explicit(&run->state, &used, BOOKS_TAKEN,
                                                   memory_order_acquire, memory_order_relaxed);
}

static void put_run(struct books_run *run, enum books_state state)
{
    atomic_store_explicit(&run->state, state, memory_order_release);
}

uint32_t books_place(const struct books *b, uint64_t pfn)
{
    return atomic_load_explicit(&b->cells[pfn - b->base], memory_order_relaxed);
}

static enum quire_move_answer may_move(void *ctx, quire_pfn pfn, unsigned order)
{
    struct books *b = ctx;
    uint32_t place = books_place(b, pfn.n);
    enum quire_move_answer answer = QUIRE_MOVE_GONE;

    (void)order;
    b->asked++;
    if (place && take_run(&b->runs[place])) {
        if (b->runs[place].pfn == pfn.n)
            answer = b->runs[place].answer;
        put_run(&b->runs[place], BOOKS_USED);
    }
    return answer;
}

static enum quire_move_answer move(void *ctx, quire_pfn from, quire_pfn to, unsigned order)
{
    struct books *b = ctx;
    uint32_t place = books_place(b, from.n);
    struct books_run *run = &b->runs[place];
    enum quire_move_answer answer;

    if (b->before_move)
        b->before_move(b, from.n);
    if (!place || !take_run(run))
        return QUIRE_MOVE_GONE;
    answer = run->pfn == from.n ? run->answer : QUIRE_MOVE_GONE;
    if (answer == QUIRE_MOVED) {
        if (run->order != order || to.n % (1ull << order) || !(run->flags & QUIRE_MOVABLE))
            die("a run of order %u is to be moved as one of order %u", run->order, order);
        check_words(b, run);
        change_owner(b, from.n, order, place, 0);
        change_owner(b, to.n, order, 0, place);
        for (uint64_t i = 0; i < 1ull << order; i++)
            b->words[to.n - b->base + i] = b->words[from.n - b->base + i];
        run->pfn = to.n;
        b->moved += 1ull << order;
    }
    put_run(run, BOOKS_USED);
    return answer;
}

void books_open(struct books *b, struct rig *r, uint64_t frames, uint32_t places)
{
    *b = (struct books){.rig = r, .base = rig_base(0), .frames = frames, .places = places};
    b->runs = calloc(places, sizeof *b->runs);
    b->cells = calloc(frames, sizeof *b->cells);
    b->words = calloc(frames, sizeof *b->words);
    if (!b->runs || !b->cells || !b->words)
        die("no heap for the books");
    b->mover = (struct quire_mover){b, may_move, move};
}

void books_close(struct books *b)
{
    for (uint32_t i = 1; i < b->places; i++)
        if (atomic_load(&b->runs[i].state) == BOOKS_USED)
            books_free(b, i);
    free(b->runs);
    free(b->cells);
    free(b->words);
}

int books_alloc(struct books *b, uint32_t place, unsigned order, uint32_t flags)
{
    struct books_run *run = &b->runs[place];
    quire_pfn pfn;
    int error = quire_machine_alloc(b->rig->machine, order, flags, &pfn);

    if (error)
        return error;
    run->order = order;
    run->flags = flags;
    run->pfn = pfn.n;
    run->value = (uint64_t)place << 32 ^ pfn.n << 8;
    run->answer = flags & QUIRE_MOVABLE ? QUIRE_MOVED : QUIRE_MOVE_NEVER;
    change_owner(b, pfn.n, order, 0, place);
    for (uint64_t i = 0; i < 1ull << order; i++)
        b->words[pfn.n - b->base + i] = word_for(run, i);
    put_run(run, BOOKS_USED);
    return QUIRE_OK;
}

bool books_try_free(struct books *b, uint32_t place)
{
    struct books_run *run = &b->runs[place];

    if (!take_run(run))
        return false;
    check_words(b, run);
    change_owner(b, run->pfn, run->order, place, 0);
    must(quire_machine_free(b->rig->machine, quire_pfn_of(run->pfn), run->order), "free");
    put_run(run, BOOKS_FREE);
    return true;
}

void books_free(struct books *b, uint32_t place)
{
    if (!books_try_free(b, place))
        die("run %" PRIu32 " is not there to be freed", place);
}

uint64_t books_used(const struct books *b)
{
    uint64_t n = 0;

    for (uint32_t i = 1; i < b->places; i++)
        if (atomic_load(&b->runs[i].state) == BOOKS_USED)
            n += 1ull << b->runs[i].order;
    return n;
}

void books_check(const struct books *b)
{
    for (uint32_t i = 1; i < b->places; i++)
        if (atomic_load(&b->runs[i].state) == BOOKS_USED)
            check_words(b, &b->runs[i]);
}
